//! Each test of a client on the program of this repository, and on Debian's Distribution, which proves the test.

/// `on_each_registry! { Bench: one_test another_test }` runs functions that take a `&Bench`. `Bench::new` gets the
/// address of a registry with nothing in it.
macro_rules! on_each_registry {
    ($bench:ident: $($test:ident)*) => {
        mod registry {
            use registry_tests::registry_process::RegistryProcess;

            $(#[test]
            fn $test() {
                let root = tempfile::TempDir::new().unwrap();
                let registry = RegistryProcess::start(root.path());
                super::$test(&super::$bench::new(&registry.address().to_string()));
            })*
        }

        mod distribution {
            use registry_tests::peers::Distribution;

            $(#[test]
            fn $test() {
                let root = tempfile::TempDir::new().unwrap();
                let registry = Distribution::start(root.path());
                super::$test(&super::$bench::new(&registry.address().to_string()));
            })*
        }
    };
}

pub(crate) use on_each_registry;
