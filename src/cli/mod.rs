//! The command line. Exit codes: 0 done, 1 refused, 2 wrong usage, 3 server not reachable.

pub(crate) mod access;
mod args;
pub(crate) mod client;
mod database;
mod history;
mod jobs;
mod keys;
mod list;
mod logs;
mod orders;
mod out;
mod pages;
mod queues;
mod sandbox;
mod serve;
mod serve_args;
mod show;
mod sim;
mod tasks;
mod terminal;
mod tools;
mod top;
mod worker;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;

use clap::Parser;

use crate::tasks::TaskTypes;
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

/// Runs the command line of this process, with the types of task that come with it.
pub fn run() -> ExitCode {
    run_with(crate::tasks::builtin())
}

/// Runs the command line with types of task of one's own: `tasks::builtin()` and what was added to it.
pub fn run_with(tasks: TaskTypes) -> ExitCode {
    run_from(tasks, std::env::args_os())
}

/// The same with arguments of one's own, the program's name first.
pub fn run_from(tasks: TaskTypes, arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    if let Err(error) = tasks.check() {
        return CliError::Usage(error.to_string()).tell();
    }
    let tasks = Arc::new(tasks);
    let cli = Cli::parse_from(arguments);
    let done = match cli.command {
        Command::Serve(args) => serve::serve(&args, tasks),
        Command::Config(args) => tools::config(&args, tasks),
        Command::Load(options) => return tools::load(options),
        Command::Sandbox(options) => sandbox::sandbox(&options),
        Command::Demo(options) => return tools::demo(&options),
        Command::Queues(args) => queues::queues(&args),
        Command::Worker(options) => worker::worker(&options, &tasks),
        Command::Verify(args) => tools::verify(&args, &tasks),
        Command::Migrate(args) => database::migrate(&args, tasks),
        Command::Backup(args) => database::backup(&args, tasks),
        Command::Key { command } => keys::run(&command, &tasks),
        Command::Openapi => tools::openapi(),
        Command::Completions { shell } => tools::completions(shell),
        Command::Job(command) => jobs::run(command),
        Command::Task(command) => tasks::run(command),
        Command::Top(args) => top::top(&args),
        Command::Order(command) => orders::run(command),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => error.tell(),
    }
}
