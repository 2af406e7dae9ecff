//! What is wrong with the command line, in one line.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The one line that clap's several come down to: what is wrong, and what would be right.
pub(super) fn line(program: Command, error: &clap::Error) -> String {
    let command = words(error, ContextKind::InvalidSubcommand);
    match (error.kind(), command) {
        (ErrorKind::MissingSubcommand, [command]) => missing_command(command, error),
        (ErrorKind::ArgumentConflict, [command]) => flags_first(program, command, error),
        _ => as_clap_says(error),
    }
}

fn missing_command(command: &str, error: &clap::Error) -> String {
    let commands = words(error, ContextKind::ValidSubcommand);
    let commands: Vec<_> =
        commands.iter().map(String::as_str).filter(|name| *name != "help").collect();
    format!("'{command}' needs a command: {}; see {command} --help", commands.join(", "))
}

/// Flags of the program stand for `serve` where no command is named; with one they are the command's.
fn flags_first(mut program: Command, name: &str, error: &clap::Error) -> String {
    // Only then are its parts as they are shown to people.
    program.build();
    let flags = words(error, ContextKind::PriorArg);
    let mut right = format!("{} {name}", program.get_name());
    let mut command = program.find_subcommand(name);
    // A command of commands with only one below it.
    while let Some(nested) = command.and_then(only_command) {
        right = format!("{right} {}", nested.get_name());
        command = Some(nested);
    }
    let takes = |flag: &&String| {
        command.is_some_and(|command| command.get_arguments().any(|arg| arg.to_string() == **flag))
    };
    for flag in flags.iter().filter(takes) {
        right = format!("{right} {flag}");
    }
    format!(
        "'{}' before '{name}': flags go behind the command: {right}; see registry --help",
        flags.join("', '")
    )
}

fn only_command(command: &Command) -> Option<&Command> {
    let mut nested = command.get_subcommands().filter(|command| command.get_name() != "help");
    let only = nested.next()?;
    nested.next().is_none().then_some(only)
}

fn as_clap_says(error: &clap::Error) -> String {
    let rendered = error.to_string();
    let mut line = rendered
        .lines()
        .take_while(|line| !line.starts_with("Usage:") && !line.starts_with("For more"))
        .map(|line| line.trim().trim_start_matches("error: "))
        .filter(|line| !line.is_empty())
        .collect::<Vec<_>>()
        .join("; ");
    line.push_str("; see registry --help");
    line
}

/// What clap tells of one kind besides its text.
fn words(error: &clap::Error, kind: ContextKind) -> &[String] {
    match error.get(kind) {
        Some(ContextValue::String(word)) => std::slice::from_ref(word),
        Some(ContextValue::Strings(words)) => words,
        _ => &[],
    }
}
