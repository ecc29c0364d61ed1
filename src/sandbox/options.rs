//! What a sandbox is told on the command line.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;

use clap::Args;

use super::FaultMode;

#[derive(Debug, Clone, Args)]
pub struct SandboxOptions {
    /// Where to listen; port 0: any free one, which is printed.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:8100")]
    pub bind: SocketAddr,
    /// The same seed gives the same faults and the same invoices.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u64,
    /// How many requests of gateway and carrier go wrong: light 10 %, rough 45 %.
    #[arg(long, value_enum, default_value_t)]
    pub faults: FaultMode,
    /// Keep the ledger in this file as well; it is read at start, so a sandbox can be ended and started again.
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Invoices the portal has for each month of each company.
    #[arg(long, value_name = "N", default_value_t = 40, value_parser = clap::value_parser!(u32).range(..=9_999))]
    pub invoices_per_month: u32,
    /// How long a login of the portal lasts.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=86_400))]
    pub token_seconds: u32,
    /// Requests the portal takes in a second, such as 20/s; beyond it 429. Without it: any number.
    #[arg(long, value_name = "N/s")]
    pub portal_rate: Option<Rate>,
    /// error, warn, info, debug, trace, or a filter.
    #[arg(long, value_name = "LEVEL", default_value = "info")]
    pub log_level: String,
}

/// Requests a second.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate(pub f64);

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let number = text.strip_suffix("/s").unwrap_or(text);
        match number.parse::<f64>() {
            Ok(rate) if rate > 0.0 && rate <= 1e6 => Ok(Self(rate)),
            _ => Err("is not a rate such as 20/s"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_positive_number_a_second() {
        assert_eq!("20/s".parse(), Ok(Rate(20.0)));
        assert_eq!("0.5".parse(), Ok(Rate(0.5)));
        for bad in ["", "0", "-1/s", "20/m", "NaN", "inf"] {
            assert!(bad.parse::<Rate>().is_err(), "{bad}");
        }
    }
}
