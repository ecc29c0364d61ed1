//! What a load run is told.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use super::mix::Mix;

/// How the report is printed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Output {
    #[default]
    Table,
    Json,
}

#[derive(Debug, Clone, Args)]
pub struct LoadOptions {
    /// Orders to run.
    #[arg(long, short = 'n', default_value_t = 20_000, value_parser = clap::value_parser!(u64).range(1..=50_000_000))]
    pub orders: u64,
    /// Orders in flight at once.
    #[arg(long, short = 'c', default_value_t = 1_000, value_parser = at_least_one)]
    pub concurrency: usize,
    /// The server to load; without it one is started in a temporary folder, and ended.
    // Not from the environment: a load run hits a server only when its command line says so.
    #[arg(long)]
    pub url: Option<String>,
    /// The database. With --url: that server's, for the check in SQL, which is left out without it. Without --url: what
    /// the server that is started works on, in place of a file in its folder; it should be empty.
    #[arg(long)]
    pub database_url: Option<String>,
    /// An API key for the server, where it wants one.
    #[arg(id = "api_key", long = "key", env = "ORDAIN_KEY", hide_env_values = true, value_name = "KEY")]
    pub api_key: Option<String>,
    /// Orders that arrive a second, evenly, whether or not earlier ones have ended; what they wait for a free connection
    /// counts as theirs. Without it a new order starts when another has ended.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,
    /// Which orders, in shares: auto (a timer ends the review), manual (the client approves), cancel (the client
    /// cancels at some moment).
    #[arg(long, default_value_t, value_name = "auto=N,manual=N,cancel=N")]
    pub mix: Mix,
    /// Kill the server that is started with -9 this often, and start it again.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "url")]
    pub kill_every: Option<Duration>,
    /// Write the report as a page with plots.
    #[arg(long, value_name = "FILE.html")]
    pub report: Option<PathBuf>,
    /// Connections at most. An order in flight holds one, so fewer connections mean fewer orders in flight.
    #[arg(long, value_parser = at_least_one)]
    pub connections: Option<usize>,
    /// Threads of the generator.
    #[arg(long, default_value_t = 1, value_parser = at_least_one)]
    pub threads: usize,
    /// The amounts of the orders follow from it.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,
    /// How long the automatic review of each order lasts.
    #[arg(long, default_value_t = 0)]
    pub review_seconds: u32,
    /// The deadline of each order; 0: none.
    #[arg(long, default_value_t = 0)]
    pub deadline_seconds: u32,
    /// Ask again at once after a 429 or 503, whatever its Retry-After says: what a server under attack has to bear.
    #[arg(long)]
    pub impatient: bool,
    /// Over this time the orders in flight grow to their number, evenly, instead of all at once.
    #[arg(long, value_name = "DURATION", value_parser = duration, conflicts_with = "rate")]
    pub ramp: Option<Duration>,
    /// For how long an order without a usable answer is tried again, a restart of the server included.
    #[arg(long, default_value_t = 60)]
    pub patience_seconds: u64,
    /// Keep the temporary folder: database and log of the server.
    #[arg(long, conflicts_with = "url")]
    pub keep: bool,
    /// How the report is printed.
    #[arg(long, short = 'o', value_enum, default_value_t)]
    pub output: Output,
    /// Further arguments for the server that is started, as in `ordain load -- --chaos flaky`.
    #[arg(last = true, conflicts_with = "url")]
    pub server_args: Vec<String>,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self {
            orders: 20_000,
            concurrency: 1_000,
            url: None,
            rate: None,
            mix: Mix::default(),
            kill_every: None,
            report: None,
            database_url: None,
            api_key: None,
            connections: None,
            threads: 1,
            seed: 1,
            review_seconds: 0,
            deadline_seconds: 0,
            impatient: false,
            ramp: None,
            patience_seconds: 60,
            keep: false,
            output: Output::Table,
            server_args: Vec::new(),
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if (0.01..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err("must be a number from 0.01 to 1000000".into()),
    }
}

/// `5s`, `500ms`, `2m`, or seconds as a number.
fn duration(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" => 60.0,
        _ => return Err("must be a duration such as 5s, 500ms or 2m".into()),
    };
    match number.parse::<f64>() {
        Ok(value) if (0.1..=86_400.0).contains(&(value * scale)) => Ok(Duration::from_secs_f64(value * scale)),
        _ => Err("must be a duration from 100ms to a day, such as 5s".into()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".into()),
        Ok(number) => Ok(number),
        Err(_) => Err("not a whole number".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        load: LoadOptions,
    }

    #[test]
    fn the_defaults_of_the_command_line_are_those_of_the_library() {
        let parsed = Cli::parse_from(["load"]).load;
        assert_eq!(format!("{:?}", LoadOptions::default()), format!("{parsed:?}"));
    }

    #[test]
    fn what_follows_two_dashes_goes_to_the_server() {
        let parsed = Cli::parse_from(["load", "-n", "10", "--", "--chaos", "flaky"]).load;
        assert_eq!(parsed.server_args, ["--chaos", "flaky"]);
        assert_eq!(parsed.orders, 10);
    }

    #[test]
    fn durations_have_units_and_rates_bounds() {
        assert_eq!(duration("5s"), Ok(Duration::from_secs(5)));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for wrong in ["", "s", "5h", "-1s", "0", "NaN", "inf"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(rate("0").is_err() && rate("NaN").is_err() && rate("250").is_ok());
    }

    #[test]
    fn nothing_in_flight_is_refused() {
        assert!(Cli::try_parse_from(["load", "-c", "0"]).is_err());
    }
}
