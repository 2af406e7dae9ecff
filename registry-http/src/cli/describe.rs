//! `registry completions` and `registry man`: the command line described for shells and for `man`.

use std::io::{self, Write};

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use super::Failure;

#[derive(Args, Debug)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_name = "SHELL", value_enum)]
    shell: Shell,
}

#[derive(Args, Debug)]
pub(super) struct Page {
    /// The command that the page is of, such as `config check` [default: the program]
    #[arg(value_name = "COMMAND")]
    command: Vec<String>,
}

/// Prints what makes a shell complete the command line.
pub(super) fn completions(mut program: clap::Command, wanted: &Completions) {
    let mut script = Vec::new();
    clap_complete::generate(wanted.shell, &mut program, "registry", &mut script);
    print(&script);
}

/// Prints a page in roff.
pub(super) fn page(mut program: clap::Command, wanted: &Page) -> Result<(), Failure> {
    // Only then does a command know whose it is.
    program.build();
    let mut command = &program;
    let mut name = "registry".to_owned();
    for word in &wanted.command {
        command = command.find_subcommand(word).ok_or_else(|| {
            let names = command.get_subcommands().map(clap::Command::get_name);
            let names = names.collect::<Vec<_>>().join(", ");
            Failure::usage(format!("expected a command of {name}, {names}; found '{word}'"))
        })?;
        name = format!("{name} {word}");
    }
    let mut page = Vec::new();
    let man = Man::new(command.clone());
    man.render(&mut page).map_err(|error| Failure::new(format!("cannot make {name}: {error}")))?;
    print(&page);
    Ok(())
}

fn print(bytes: &[u8]) {
    // With standard output closed nobody wants to know.
    let _ = io::stdout().write_all(bytes);
}
