//! The program `registry`.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
