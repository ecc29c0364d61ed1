//! Facts of a history in words for people; the raw JSON stays beside them.

use serde_json::Value;

use super::doc::line;
use super::span::{clock, span};
use super::words::{fate, state, who};
use crate::kernel::FactRecord;
use crate::model::{Address, Timestamp, redacted};
use crate::store::StoredFact;

/// One fact, ready to be shown.
pub struct Fact {
    pub seq: u64,
    pub at: Timestamp,
    pub kind: String,
    pub text: String,
    pub tone: Tone,
    pub data: Value,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tone {
    Plain,
    Good,
    Bad,
    /// A person did it.
    Human,
}

impl Tone {
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Plain => "plain",
            Self::Good => "good",
            Self::Bad => "bad",
            Self::Human => "human",
        }
    }
}

impl Fact {
    pub fn of(stored: &StoredFact) -> Self {
        Self::new(stored.seq, stored.at, &stored.fact)
    }

    pub fn new(seq: u64, at: Timestamp, fact: &FactRecord) -> Self {
        let data: Value = serde_json::from_str(&redacted(fact.data.get())).unwrap_or_default();
        let (tone, mut text) = say(&fact.kind, &data);
        if let Some(name) = by(&data) {
            text = format!("{text}, by {name}");
        }
        Self { seq, at, kind: fact.kind.clone(), text, tone, data }
    }

    /// A text of the data; empty where there is none.
    pub fn text_of(&self, field: &str) -> &str {
        text(&self.data, field)
    }

    pub fn number_of(&self, field: &str) -> u64 {
        self.data[field].as_u64().unwrap_or_default()
    }

    pub fn time_of(&self, field: &str) -> Option<Timestamp> {
        self.data[field].as_str().and_then(Timestamp::parse)
    }
}

/// The name of whoever did it, where the fact has one; `signal` and `timer` are not names.
fn by(data: &Value) -> Option<&str> {
    let named = |field: &str| {
        let value = &data[field];
        value.as_str().or_else(|| value["name"].as_str())
    };
    ["by", "actor"].into_iter().filter_map(named).find(|name| !matches!(*name, "" | "signal" | "timer"))
}

fn text<'v>(data: &'v Value, field: &str) -> &'v str {
    data[field].as_str().unwrap_or_default()
}

fn say(kind: &str, data: &Value) -> (Tone, String) {
    let of = |field: &str| text(data, field).to_owned();
    let with = |words: &str, field: &str| match text(data, field) {
        "" => words.to_owned(),
        more => format!("{words}: {more}"),
    };
    let number = |field: &str| data[field].as_u64().unwrap_or_default();
    let at = |field: &str| data[field].as_str().and_then(Timestamp::parse).map(|at| clock(at)[..8].to_owned());
    match kind {
        "OrderReceived" => (Tone::Plain, format!("The order came in: {} {}", of("amount"), of("currency"))),
        "OrderAccepted" => (Tone::Good, "Taken in".to_owned()),
        "OrderValidated" => (Tone::Good, "Found sound".to_owned()),
        "ReviewOpened" if text(data, "mode") == "manual" => {
            (Tone::Plain, "Review opened: a person must approve".into())
        }
        "ReviewOpened" => {
            let until = at("until").map(|at| format!(" at {at}")).unwrap_or_default();
            (Tone::Plain, format!("Review opened: it ends by itself{until}"))
        }
        "ReviewApproved" if text(data, "by") == "signal" => (Tone::Human, "Approved by a person".to_owned()),
        "ReviewApproved" => (Tone::Good, "The review ended by its timer".to_owned()),
        "AddressUpdated" => {
            let address: Option<Address> = serde_json::from_value(data["address"].clone()).ok();
            (Tone::Human, format!("New address: {}", address.as_ref().map(line).unwrap_or_default()))
        }
        "PaymentCharged" => (Tone::Good, with("Charged", "charge_ref")),
        "PaymentOutcomeUnknown" => (Tone::Bad, "It is not known whether the money was taken".to_owned()),
        "PaymentFailed" => (Tone::Bad, with("Not charged", "reason")),
        "PaymentRefunded" => (Tone::Good, with("Refunded", "refund_ref")),
        "ShippingStarted" => (Tone::Plain, format!("Shipment {} started", number("round"))),
        "DispatchStarted" => (Tone::Plain, "The parcel may go; from here on nothing can be changed".to_owned()),
        "DispatchFailed" => (Tone::Bad, format!("Shipment {} failed: {}", number("round"), of("reason"))),
        "ShipmentCancelled" => (Tone::Plain, "The shipment was called off".to_owned()),
        "CancelRequested" => (Tone::Human, with("Cancel asked for", "reason")),
        "CompensationStarted" => (Tone::Bad, with("On the way back", "reason")),
        "OrderRetried" => (Tone::Human, format!("Goes on from: {}", state(text(data, "from")))),
        "RetryRequested" => (Tone::Human, "Retry asked for; the deadline starts anew".to_owned()),
        "OrderCompleted" => (Tone::Good, "Completed: the carrier has the parcel".to_owned()),
        "OrderCancelled" => (Tone::Bad, with("Cancelled", "reason")),
        "OrderFailed" => (Tone::Bad, with("Failed", "reason")),
        "OrderTimedOut" => (Tone::Bad, with("Out of time", "reason")),
        "ShipmentRequested" => (Tone::Plain, "The shipment was asked for".to_owned()),
        "PackagePrepared" => (Tone::Good, with("Packed", "package_ref")),
        "DispatchAuthorized" => (Tone::Plain, "Cleared for the carrier".to_owned()),
        "DispatchOutcomeUnknown" => (Tone::Bad, "It is not known whether the carrier took it".to_owned()),
        "ShipmentDispatched" => (Tone::Good, with("With the carrier", "carrier_ref")),
        "ShipmentFailed" => (Tone::Bad, with("The shipment failed", "reason")),
        "DeadlineReached" => (Tone::Bad, "The deadline was reached".to_owned()),
        "Paused" => (Tone::Human, "Paused".to_owned()),
        "Resumed" => (Tone::Human, format!("Resumed after {}", span(number("paused_ms")))),
        "Stuck" => (Tone::Bad, with("Parked after crashes", "reason")),
        "Unstuck" => (Tone::Human, "Let go again; the deadline starts anew".to_owned()),
        "ActivityScheduled" => {
            (Tone::Plain, format!("{}: attempt {} begins", who(text(data, "activity")), number("attempt")))
        }
        "ActivityCompleted" => {
            (Tone::Good, format!("{}: attempt {} done", who(text(data, "activity")), number("attempt")))
        }
        "ActivityFailed" => (Tone::Bad, failed(data, at("retry_at"))),
        "JobReceived" => {
            (Tone::Plain, format!("The job came in: {} numbers", data["numbers"].as_array().map_or(0, Vec::len)))
        }
        "JobCompleted" => (Tone::Good, with("Completed: the sum", "sum")),
        "JobFailed" | "TaskFailed" => (Tone::Bad, format!("Failed: {}", text(&data["error"], "message"))),
        "JobCancelled" | "TaskCancelled" => (Tone::Human, with("Cancelled", "reason")),
        "TaskStarted" => (Tone::Plain, "The task came in".to_owned()),
        "StepCompleted" => (Tone::Good, format!("Step {} done", number("done"))),
        "TaskCompleted" => (Tone::Good, "Completed".to_owned()),
        other => (Tone::Plain, spaced(other)),
    }
}

/// `InvoicesFound` as `Invoices found`: a fact of a type of task that is not known here.
fn spaced(kind: &str) -> String {
    let mut words = String::with_capacity(kind.len() + 4);
    for (index, letter) in kind.chars().enumerate() {
        if index > 0 && letter.is_ascii_uppercase() {
            words.push(' ');
            words.push(letter.to_ascii_lowercase());
        } else {
            words.push(letter);
        }
    }
    words
}

fn failed(data: &Value, retry_at: Option<String>) -> String {
    let (who, fate, attempt) = (who(text(data, "activity")), fate(text(data, "kind")), &data["attempt"]);
    let next = retry_at.map_or_else(|| "that was the last".to_owned(), |at| format!("next at {at}"));
    format!("{who} {fate}, attempt {attempt}: {}; {next}", text(data, "message"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whoever_did_it_is_named_where_the_fact_names_somebody() {
        assert_eq!(by(&json!({"by": "signal"})), None);
        assert_eq!(by(&json!({"by": "timer", "actor": {"name": "front desk"}})), Some("front desk"));
        assert_eq!(by(&json!({"by": "ops"})), Some("ops"));
        assert_eq!(by(&json!({"reason": "x"})), None);
    }

    #[test]
    fn a_fact_that_is_not_known_is_still_words() {
        assert_eq!(spaced("InvoicesFound"), "Invoices found");
    }
}
