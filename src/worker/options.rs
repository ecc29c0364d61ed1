//! How a worker is started.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cli::access::Access;
use crate::config::LogFormat;

#[derive(Debug, Clone, Args)]
pub struct WorkerOptions {
    /// The task queue to work for.
    #[arg(long)]
    pub queue: String,
    /// The server to work for.
    #[arg(long, env = "ORDAIN_URL", default_value = "http://127.0.0.1:8000")]
    pub url: String,
    #[command(flatten)]
    pub access: Access,
    /// Attempts at once.
    #[arg(long, value_name = "N", default_value = "8")]
    pub max: NonZeroUsize,
    /// End with exit 0 when the backlog is empty.
    #[arg(long)]
    pub burst: bool,
    /// With --burst: for how long it must be empty.
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = time)]
    pub idle_exit: Duration,
    /// Its name for itself [default: worker-PID-…].
    #[arg(long, value_name = "NAME")]
    pub worker_id: Option<String>,
    /// A configuration file, in place of ordain.toml; of it, and of the environment, the activities count.
    #[arg(long, env = "ORDAIN_CONFIG", value_name = "FILE")]
    pub config: Option<PathBuf>,
    /// error, warn, info, debug, trace, or a filter.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    pub log_format: LogFormat,
}

/// `500ms`, `30s`, `2m`, or a number of seconds.
fn time(text: &str) -> Result<Duration, String> {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len()));
    let scale = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        _ => return Err("is a time such as 30s, 500ms or 2m".to_owned()),
    };
    let seconds = number.parse::<f64>().map_err(|_| "is a time such as 30s, 500ms or 2m".to_owned())? * scale;
    if (0.0..=86_400.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("is at most a day".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_with_and_without_a_unit() {
        for (text, ms) in [("30s", 30_000), ("500ms", 500), ("2m", 120_000), ("1.5", 1_500), ("0s", 0)] {
            assert_eq!(time(text), Ok(Duration::from_millis(ms)), "{text}");
        }
        for bad in ["", "s", "1h", "-1s", "1d", "100000000s"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }
}
