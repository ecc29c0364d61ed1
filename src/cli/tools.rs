//! The commands that need no server.

use std::process::ExitCode;

use clap::CommandFactory;

use super::CliError;
use super::args::{Cli, Output, ServeArgs, VerifyArgs};
use crate::demo::{self, DemoOptions};
use crate::load::{self, LoadOptions};
use crate::store::{self, Location};
use crate::{config, http, verify, workflows};

/// `ordain config`.
pub fn config(args: &ServeArgs) -> Result<(), CliError> {
    let settings = config::load(args.config.as_deref(), args)?;
    let _usable = (settings.engine()?, settings.server()?, Location::parse(&settings.database_url)?);
    let text = serde_json::to_string_pretty(&settings).map_err(|e| CliError::Refused(e.to_string()))?;
    println!("{text}");
    Ok(())
}

/// `ordain verify`.
pub fn verify(args: &VerifyArgs) -> Result<(), CliError> {
    let location = Location::parse(&args.database_url)?;
    let queries = store::open_read_only(&location)?;
    let report = verify::verify(queries.as_ref(), &workflows::registry());
    let report = report.map_err(|e| CliError::Refused(e.to_string()))?;
    match args.output {
        Output::Json => {
            println!("{}", serde_json::to_string(&report).map_err(|e| CliError::Refused(e.to_string()))?);
        }
        Output::Table => {
            println!("{} workflows, {} facts: {} differences", report.workflows, report.facts, report.differences);
            for line in &report.listed {
                println!("  {line}");
            }
        }
    }
    if report.is_clean() {
        Ok(())
    } else {
        Err(CliError::Refused("the database does not agree with itself".to_owned()))
    }
}

/// `ordain openapi`.
pub fn openapi() -> Result<(), CliError> {
    println!("{}", http::openapi_json());
    Ok(())
}

/// `ordain completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<(), CliError> {
    clap_complete::generate(shell, &mut Cli::command(), "ordain", &mut std::io::stdout());
    Ok(())
}

/// `ordain load`.
pub fn load(options: LoadOptions) -> ExitCode {
    let output = options.output;
    let report = actix_rt::System::new().block_on(load::run(options));
    match report.map_err(|e| (e.to_string(), e.exit_code())) {
        Ok(report) => match report.render(output) {
            Ok(text) => {
                println!("{text}");
                if report.ok { ExitCode::SUCCESS } else { ExitCode::from(1) }
            }
            Err(error) => {
                eprintln!("ordain: {error}");
                ExitCode::from(1)
            }
        },
        Err((words, code)) => {
            eprintln!("ordain: {words}");
            ExitCode::from(code)
        }
    }
}

/// `ordain demo`.
pub fn demo(options: &DemoOptions) -> ExitCode {
    match actix_rt::System::new().block_on(demo::run(options)) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ordain: {error}");
            ExitCode::from(1)
        }
    }
}
