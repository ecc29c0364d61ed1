//! The reference of all settings, as a page. Keys and defaults are those of [`Settings`]; a test compares the page in
//! `docs/`, and that no setting is missing here.

use serde_json::Value;

use super::Settings;
use crate::kernel::RetryPolicy;
use crate::runtime::QueueOptions;

/// A key and what it means. `NAME` stands for a name of the reader's.
pub const KEYS: [(&str, &str); 57] = [
    ("bind", "Where to listen, `HOST:PORT`. Beyond loopback only with an API key, or `insecure`."),
    ("insecure", "Allows to listen beyond loopback without API keys."),
    (
        "admin_key",
        "An API key with all scopes, 32 to 256 characters, for a server that is started for the first time. Best by `ORDAIN_ADMIN_KEY`. Never shown.",
    ),
    (
        "keys",
        "API keys beside those of the database: tables `[[keys]]` with `name`, `key` (never shown) or `sha256`, `scopes`, `owner`.",
    ),
    (
        "allowed_hosts",
        "Names the server answers to on loopback beside this machine's own; elsewhere any, unless some are named. In the environment with commas.",
    ),
    (
        "tls_cert",
        "A certificate with its chain, PEM; with it the server speaks TLS alone. Read again when it changes, and at SIGHUP.",
    ),
    ("tls_key", "The certificate's private key, PEM."),
    (
        "limits.requests_per_second_per_key",
        "Requests a second each API key may make, beyond which it is 429; 0: any number.",
    ),
    (
        "outside.allow",
        "Where activities may go: `HOST:PORT`, or `HOST` for any port. Empty: wherever their URLs say. In the environment with commas.",
    ),
    (
        "database_url",
        "`sqlite://PATH`, or `postgres://USER:PASSWORD@HOST/DATABASE`. A `+driver` in the scheme is dropped.",
    ),
    (
        "log_level",
        "A level (`error`, `warn`, `info`, `debug`, `trace`), or a filter such as `info,ordain::runtime=debug`.",
    ),
    ("log_format", "`text` or `json`; to standard error."),
    ("review", "`auto`: a timer ends a review; `manual`: a person does. What an order gets that does not say."),
    ("review_seconds", "How long an automatic review lasts."),
    ("review_deadline_seconds", "After how long an unanswered manual review ends the order; 0: never."),
    ("deadline_seconds", "Running time of a whole order; 0: no deadline."),
    ("body_limit_bytes", "The largest body of a request; a larger one is 413."),
    ("request_timeout_seconds", "Every request is answered within this time."),
    ("max_connections", "Connections at once."),
    ("workers", "Threads that serve HTTP; 0: as many as cores."),
    ("shards", "Arbiters that host order actors; 0: half as many as cores."),
    ("live_max", "Live actors; beyond it new orders are refused with 503."),
    (
        "steps_max",
        "Steps under way (requests, ends of calls, timers, until they are on disk); beyond it new work is refused with 503, and what was accepted goes on.",
    ),
    ("readers", "Threads that read the database; on PostgreSQL as many connections."),
    (
        "audit_per_second",
        "Stored histories that are folded and compared with their rows in a second, in the background, as `ordain verify` does for all; 0: none.",
    ),
    ("passivate_after_seconds", "How long an idle actor stays alive."),
    ("shutdown_seconds", "How long what runs may take to end after SIGTERM."),
    (
        "chaos",
        "`off`; `flaky`: of the attempts 33 % fail and 34 % hang, on purpose; `rough`: 15 % fail before the effect, 15 % after it, 5 % hang, 5 % answer garbage, 30 % are slow.",
    ),
    ("chaos_seed", "The same seed gives the same failures."),
    ("attempt_timeout_seconds", "How long an attempt of an activity may take, unless its own section says otherwise."),
    ("retry.initial_ms", "The wait after the first failed attempt."),
    ("retry.factor", "By how much each wait is longer than the one before; 1 to 100."),
    ("retry.cap_ms", "The longest wait."),
    ("retry.jitter", "Each wait is spread by up to this share in both directions; 0 to 1."),
    (
        "retry.max_attempts",
        "Attempts in all for failures of kind `error`; other kinds are never or always tried again.",
    ),
    (
        "activities.NAME.url",
        "The address to POST to. Without it `charge_payment`, `refund_payment`, `prepare_package` and `dispatch_carrier` are simulated.",
    ),
    ("activities.NAME.outside", "Done by outside workers only; also an activity that is not built in."),
    ("activities.NAME.timeout", "How long an attempt may take: seconds, or a text such as `500ms`."),
    ("activities.NAME.headers", "A table of headers that are sent with each call. Never shown."),
    ("activities.NAME.initial_ms", "As `retry.initial_ms`, for this activity."),
    ("activities.NAME.factor", "As `retry.factor`."),
    ("activities.NAME.cap_ms", "As `retry.cap_ms`."),
    ("activities.NAME.jitter", "As `retry.jitter`."),
    ("activities.NAME.max_attempts", "As `retry.max_attempts`."),
    ("queues.NAME.concurrency", "Calls of the queue under way at once in this process, at most."),
    ("queues.NAME.min", "Slots while it is idle; they grow to `concurrency` with what waits."),
    ("queues.NAME.max", "Another word for `concurrency`."),
    ("queues.NAME.window", "Calls of the queue that wait in memory; more wait in SQL."),
    ("queues.NAME.rate_limit.per_second", "Calls that may start in a second, outside workers' included."),
    ("queues.NAME.rate_limit.burst", "Calls that may start at once after a pause; without it, as many as in a second."),
    (
        "queues.NAME.shared_backoff",
        "Whether one 429, or 503 with Retry-After, holds back the whole queue. Off for `orders`, `shipping` and `jobs`, on for others.",
    ),
    ("queues.NAME.paused", "Nothing of the queue starts."),
    (
        "secret_key",
        "32 bytes, base64 or hexadecimal: seals secrets at rest. Without it one is made in `ordain.key` when it is needed. Never shown.",
    ),
    ("portal.url", "Where the invoice portal is that `gdt_invoice_import` asks; by default that of `ordain sandbox`."),
    ("order_task_queue", "Read for those who come from another system; has no effect, the queue is called `orders`."),
    ("shipping_task_queue", "Likewise; the queue is called `shipping`."),
    ("temporal_target", "Likewise; has no effect."),
];

const HEAD: &str = "\
# Configuration

<!-- Made from the code by a test: UPDATE_GOLDEN=1 cargo test --lib the_configuration_page -->

A setting is taken from the first of these that has it: flag of `ordain serve`, environment, `.env`, `ordain.toml` (or the file of `--config`),
default. An unknown key or a value that cannot be used ends the start with exit code 2 and names the place. `ordain config` checks everything
that `serve` checks and prints what would be in force, without passwords and without values of headers.

In the environment the key has `ORDAIN_` before it and is in capitals, with a double underscore where the file has a dot:
`retry.max_attempts` is `ORDAIN_RETRY__MAX_ATTEMPTS`. A header's name has underscores for dashes there. Plain `DATABASE_URL`, `LOG_LEVEL`,
`ORDER_TASK_QUEUE`, `SHIPPING_TASK_QUEUE` and `TEMPORAL_TARGET` are read where the `ORDAIN_…` one is not set. Times are in the unit the key
ends with.

| key | flag | default | meaning |
| --- | --- | --- | --- |
";

/// The page. `has_flag`: whether `ordain serve` has a flag of this name.
pub fn markdown(has_flag: impl Fn(&str) -> bool) -> String {
    let defaults = defaults();
    let row = |(key, what): &(&str, &str)| {
        let flag = format!("--{}", key.replace('_', "-"));
        let flag = if has_flag(&flag[2..]) { format!("`{flag}`") } else { String::new() };
        let default = match (&defaults[*key], *key) {
            // As many as the machine has cores, which is not the same everywhere.
            (_, "readers") => "the cores, 2 to 8".to_owned(),
            (Value::Null, _) => String::new(),
            (Value::String(text), _) => format!("`{text}`"),
            (other, _) => format!("`{other}`"),
        };
        format!("| `{key}` | {flag} | {default} | {what} |\n")
    };
    format!("{HEAD}{}", KEYS.iter().map(row).collect::<String>())
}

/// Defaults by key, those within sections too.
fn defaults() -> Value {
    let all = serde_json::to_value(Settings::default()).unwrap_or_default();
    let mut flat = serde_json::Map::new();
    for (key, value) in all.as_object().into_iter().flatten() {
        if !value.is_object() {
            flat.insert(key.clone(), value.clone());
        }
    }
    let (retry, queue) = (RetryPolicy::default(), QueueOptions::default());
    let nested = [
        ("retry.initial_ms", retry.initial_ms.into()),
        ("retry.factor", retry.factor.into()),
        ("retry.cap_ms", retry.cap_ms.into()),
        ("retry.jitter", retry.jitter.into()),
        ("retry.max_attempts", retry.max_attempts.into()),
        ("portal.url", Settings::default().portal.url.into()),
        ("queues.NAME.concurrency", queue.concurrency.into()),
        ("queues.NAME.min", queue.min.into()),
        ("queues.NAME.window", queue.window.into()),
        ("limits.requests_per_second_per_key", 0.into()),
    ];
    flat.extend(nested.map(|(key, value)| (key.to_owned(), value)));
    Value::Object(flat)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::config::{ActivitySection, KeySection, OutsideSection, QueueSection, RateSection, Retry, Time};

    #[test]
    fn no_setting_is_missing_in_the_reference() {
        let retry =
            Retry { initial_ms: Some(1), factor: Some(1.0), cap_ms: Some(1), jitter: Some(0.0), max_attempts: Some(1) };
        let activity = ActivitySection {
            outside: true,
            url: Some(String::new()),
            timeout: Some(Time::Seconds(1.0)),
            headers: [("x".to_owned(), Value::Null.into())].into(),
            initial_ms: Some(1),
            factor: Some(1.0),
            cap_ms: Some(1),
            jitter: Some(0.0),
            max_attempts: Some(1),
        };
        let queue = QueueSection {
            concurrency: Some(1),
            min: Some(1),
            max: Some(1),
            window: Some(1),
            rate_limit: Some(RateSection { per_second: 1.0, burst: Some(1) }),
            shared_backoff: Some(true),
            paused: Some(true),
        };
        let full = Settings {
            retry,
            activities: [("NAME".to_owned(), activity)].into(),
            queues: [("NAME".to_owned(), queue)].into(),
            secret_key: Some(Value::Null.into()),
            admin_key: Some(Value::Null.into()),
            keys: vec![KeySection::default()],
            tls_cert: Some("cert.pem".into()),
            tls_key: Some("key.pem".into()),
            outside: OutsideSection { allow: vec![String::new()] },
            temporal_target: Some(String::new()),
            ..Settings::default()
        };
        let mut keys = BTreeSet::new();
        flatten("", &serde_json::to_value(full).unwrap(), &mut keys);
        let told: BTreeSet<String> = KEYS.iter().map(|(key, _)| (*key).to_owned()).collect();
        assert_eq!(told, keys);
    }

    fn flatten(path: &str, value: &Value, keys: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) if !path.ends_with(".headers") => {
                for (key, value) in map {
                    let inner = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                    flatten(&inner, value, keys);
                }
            }
            _ => drop(keys.insert(path.to_owned())),
        }
    }
}
