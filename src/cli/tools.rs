//! The commands that need no server.

use std::process::ExitCode;
use std::sync::Arc;

use clap::CommandFactory;

use super::args::{Cli, Output, VerifyArgs};
use super::serve::may_have_keys;
use super::serve_args::ServeArgs;
use super::{CliError, out, sim};
use crate::demo::{self, DemoOptions};
use crate::load::{self, LoadOptions};
use crate::store;
use crate::tasks::TaskTypes;
use crate::{config, http, verify};

/// `ordain config`.
pub fn config(args: &ServeArgs, tasks: Arc<TaskTypes>) -> Result<(), CliError> {
    let config = config::load(args.config.as_deref(), args, tasks)?;
    config.check_tls()?;
    if let Some(error) = config.without_keys.filter(|_| !may_have_keys(&config.location)) {
        return Err(error.into());
    }
    for warning in &config.warnings {
        out::note(&format!("warning: {warning}"));
    }
    out::line(serde_json::to_string_pretty(&config.settings).map_err(|e| CliError::Refused(e.to_string()))?)
}

/// `ordain verify`.
pub fn verify(args: &VerifyArgs, tasks: &Arc<TaskTypes>) -> Result<(), CliError> {
    if args.sim.sim {
        return sim::simulate(&args.sim, args.output);
    }
    let location = config::load(args.database.config.as_deref(), &args.database, Arc::clone(tasks))?.location;
    let queries = store::open_read_only(&location)?;
    let report = verify::verify(queries.as_ref(), &tasks.registry());
    let report = report.map_err(|e| CliError::Refused(e.to_string()))?;
    let text = match args.output {
        Output::Json => serde_json::to_string(&report).map_err(|e| CliError::Refused(e.to_string()))?,
        Output::Table => {
            let head =
                format!("{} workflows, {} facts: {} differences", report.workflows, report.facts, report.differences);
            let lines = report.listed.iter().map(|line| format!("  {line}"));
            std::iter::once(head).chain(lines).collect::<Vec<_>>().join("\n")
        }
    };
    let printed = out::line(text);
    // What was found counts, whether or not anybody reads it.
    if report.is_clean() {
        printed
    } else {
        Err(CliError::Refused("the database does not agree with itself".to_owned()))
    }
}

/// `ordain openapi`.
pub fn openapi() -> Result<(), CliError> {
    out::line(http::openapi_json())
}

/// `ordain completions`.
pub fn completions(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "ordain", &mut script);
    out::bytes(&script)
}

/// `ordain load`.
pub fn load(options: LoadOptions) -> ExitCode {
    let output = options.output;
    let report = actix_rt::System::new().block_on(load::run(options));
    match report.map_err(|e| (e.to_string(), e.exit_code())) {
        Ok(report) => match report.render(output).map_err(|e| CliError::Refused(e.to_string())).and_then(out::line) {
            Ok(()) | Err(CliError::NobodyReads) => ExitCode::from(u8::from(!report.ok)),
            Err(error) => error.tell(),
        },
        Err((words, code)) => {
            out::note(&words);
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
