//! The orders of a run: their ids, what they hold, and the bytes that start and await them.

use std::fmt::Write as _;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::mix::{Course, Mix};
use super::options::LoadOptions;
use super::target::Target;

/// Every id of a run begins with `prefix`, and no other order's does.
#[derive(Debug, Clone)]
pub struct Orders {
    pub prefix: String,
    seed: u64,
    review_seconds: u32,
    deadline_seconds: u32,
    mix: Mix,
}

impl Orders {
    pub fn new(options: &LoadOptions) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self {
            prefix: format!("load-{:x}-{:x}-", since.as_millis(), std::process::id()),
            seed: options.seed,
            review_seconds: options.review_seconds,
            deadline_seconds: options.deadline_seconds,
            mix: options.mix,
        }
    }

    /// All ids of this run, and those of their children, lie in `[prefix, after)`.
    pub fn after(&self) -> String {
        // '.' is the next character after the '-' the prefix ends with.
        format!("{}.", self.prefix.trim_end_matches('-'))
    }

    pub fn id(&self, number: u64) -> String {
        format!("{}{number:08}", self.prefix)
    }

    pub fn number(&self, id: &str) -> Option<u64> {
        id.strip_prefix(&self.prefix)?.parse().ok()
    }

    /// What the client of order `number` does with it.
    pub fn course(&self, number: u64) -> Course {
        self.mix.course(self.seed, number)
    }

    /// A time that follows from the seed and the order, up to `longest`.
    pub fn moment(&self, number: u64, longest: Duration) -> Duration {
        let draw = mix(self.seed.wrapping_add(0xCAFE) ^ number.wrapping_mul(0x9E37_79B9)) % 1_000;
        longest.mul_f64(draw as f64 / 1_000.0)
    }

    /// Writes the request that starts order `number` into `out`, which is cleared.
    pub fn start(&self, target: &Target, number: u64, out: &mut String) {
        let cents = 100 + mix(self.seed ^ number.wrapping_mul(0x9E37_79B9)) % 99_900;
        let review = if self.course(number) == Course::Manual { "manual" } else { "auto" };
        let body = format!(
            r#"{{"amount":"{}.{:02}","review":"{review}","review_seconds":{},"deadline_seconds":{}}}"#,
            cents / 100,
            cents % 100,
            self.review_seconds,
            self.deadline_seconds
        );
        out.clear();
        // Writing to a String cannot fail.
        let _ = write!(
            out,
            "POST {}/orders/{prefix}{number:08}/start?payment_id=pay-{prefix}{number:08} HTTP/1.1\r\n{}\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            target.base,
            target.headers,
            body.len(),
            prefix = self.prefix,
        );
    }

    /// Writes the request that sends order `number` a signal into `out`, which is cleared.
    pub fn signal(&self, target: &Target, number: u64, name: &str, out: &mut String) {
        out.clear();
        let _ = write!(
            out,
            "POST {}/orders/{}{number:08}/signals/{name} HTTP/1.1\r\n{}Content-Length: 0\r\n\r\n",
            target.base, self.prefix, target.headers
        );
    }

    /// Writes the request that waits for the end of order `number` into `out`, which is cleared.
    pub fn await_end(&self, target: &Target, number: u64, out: &mut String) {
        out.clear();
        let _ = write!(
            out,
            "GET {}/orders/{}{number:08}/status?wait=30&until=terminal HTTP/1.1\r\n{}\r\n",
            target.base, self.prefix, target.headers
        );
    }
}

/// A number that looks random and follows from `seed` (splitmix64).
pub fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_and_those_of_children_lie_in_the_range_of_the_run() {
        let orders = Orders::new(&LoadOptions::default());
        for id in [orders.id(0), orders.id(123_456_789), format!("{}/shipping/1", orders.id(7))] {
            assert!(orders.prefix <= id && id < orders.after(), "{id}");
        }
        assert_eq!(orders.number(&orders.id(42)), Some(42));
        assert_eq!(orders.number("o-1"), None);
    }

    #[test]
    fn a_start_is_the_same_bytes_when_sent_again() {
        let orders = Orders::new(&LoadOptions::default());
        let target = Target::new("http://127.0.0.1:1", None).unwrap();
        let (mut one, mut two) = (String::new(), "old".to_owned());
        orders.start(&target, 3, &mut one);
        orders.start(&target, 3, &mut two);
        assert_eq!(one, two);
        let (head, body) = one.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(&format!("Content-Length: {}", body.len())));
        assert!(serde_json::from_str::<serde_json::Value>(body).unwrap()["amount"].is_string());
    }
}
