//! What is wrong with the command line, in one line.

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

/// The one line that clap's several come down to: what is wrong, and what would be right.
pub(super) fn line(program: Command, error: &clap::Error) -> String {
    let command = words(error, ContextKind::InvalidSubcommand);
    match (error.kind(), command) {
        (ErrorKind::MissingSubcommand, [command]) => missing_command(command, error),
        (ErrorKind::ArgumentConflict, [command]) => flags_first(program, command, error),
        (ErrorKind::MissingRequiredArgument, _) => missing_argument(error),
        (ErrorKind::InvalidSubcommand, [word]) if word.contains(['.', '/']) => format!(
            "there is no command '{word}'; a configuration is served with registry serve {word}; see registry --help"
        ),
        (ErrorKind::UnknownArgument, _) if is_configuration(error) => {
            let help = help(error);
            format!(
                "there is no such flag: a configuration is served with registry serve FILE; see {help}"
            )
        }
        _ => as_clap_says(error),
    }
}

/// Other programs take it so.
fn is_configuration(error: &clap::Error) -> bool {
    let flags = words(error, ContextKind::InvalidArg);
    flags.iter().any(|flag| matches!(flag.as_str(), "--config" | "--config-file" | "-c" | "-f"))
}

fn missing_argument(error: &clap::Error) -> String {
    let help = help(error);
    let command = help.trim_end_matches(" --help");
    format!("'{command}' needs {}; see {help}", words(error, ContextKind::InvalidArg).join(" "))
}

/// Where the command is described that was meant: it stands in clap's own words on how it is used.
fn help(error: &clap::Error) -> String {
    let rendered = error.to_string();
    let usage = rendered.lines().find_map(|line| line.trim().strip_prefix("Usage:"));
    let words = usage.unwrap_or("registry").split_whitespace();
    let is_name = |word: &&str| word.chars().all(|it| it.is_ascii_lowercase() || it == '-');
    let names: Vec<&str> =
        words.take_while(|word| is_name(word) && !word.starts_with('-')).collect();
    format!("{} --help", names.join(" "))
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
        .filter(|line| !line.is_empty() && !line.starts_with("tip: to pass"))
        .collect::<Vec<_>>()
        .join("; ");
    line.push_str(&format!("; see {}", help(error)));
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
