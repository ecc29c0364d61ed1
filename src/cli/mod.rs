//! The command line. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server not reachable.

mod args;
pub(crate) mod client;
mod database;
mod history;
mod keys;
mod list;
mod logs;
mod orders;
mod out;
mod pages;
mod sandbox;
mod serve;
mod show;
mod terminal;
mod tools;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
pub(crate) use terminal::colours;

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CliError {
    /// Refused by the server, or failed here. Exit 1.
    #[error("{0}")]
    Refused(String),
    /// Wrong usage or configuration. Exit 2.
    #[error("{0}")]
    Usage(String),
    /// Exit 3.
    #[error("server not reachable at {url}: start it with \"ordain serve\" ({why})")]
    NotReachable { url: String, why: String },
    /// Whoever read what is printed has gone, as `head` does. Exit 0, without a word.
    #[error("nobody reads on")]
    NobodyReads,
}

impl CliError {
    fn code(&self) -> u8 {
        match self {
            Self::Refused(_) => 1,
            Self::Usage(_) => 2,
            Self::NotReachable { .. } => 3,
            Self::NobodyReads => 0,
        }
    }

    /// Says it to whoever watches; the exit code.
    fn tell(&self) -> ExitCode {
        if !matches!(self, Self::NobodyReads) {
            out::note(&self.to_string());
        }
        ExitCode::from(self.code())
    }
}

/// Runs the command line of this process.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let done = match cli.command {
        Command::Serve(args) => serve::serve(&args),
        Command::Config(args) => tools::config(&args),
        Command::Load(options) => return tools::load(options),
        Command::Sandbox(options) => sandbox::sandbox(&options),
        Command::Demo(options) => return tools::demo(&options),
        Command::Verify(args) => tools::verify(&args),
        Command::Migrate(args) => database::migrate(&args),
        Command::Backup(args) => database::backup(&args),
        Command::Key { command } => keys::run(&command),
        Command::Openapi => tools::openapi(),
        Command::Completions { shell } => tools::completions(shell),
        Command::Order(command) => orders::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.tell(),
    }
}
