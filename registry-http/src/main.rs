//! The program `registry`.

mod cli;

/// In place of musl's, as ARCHITECTURE.md says.
#[cfg(target_env = "musl")]
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> std::process::ExitCode {
    cli::run()
}
