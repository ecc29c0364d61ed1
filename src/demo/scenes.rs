//! The quiet part of the story: one order after another, each showing one promise.

use serde_json::{Value, json};

use super::DemoError;
use super::guests::Guest;
use super::stage::Stage;
use super::voice::Voice;
use crate::model::Timestamp;

/// How many orders the books must show.
#[derive(Debug, Clone, Copy, Default)]
pub struct Tally {
    pub completed: u64,
    /// After their charge.
    pub cancelled: u64,
}

/// The facts that make up an order's life, for people.
const FACTS: [(&str, &str); 11] = [
    ("OrderReceived", "received"),
    ("OrderValidated", "validated"),
    ("ReviewOpened", "in review"),
    ("AddressUpdated", "address changed"),
    ("ReviewApproved", "approved"),
    ("PaymentCharged", "charged"),
    ("ShippingStarted", "shipping"),
    ("CancelRequested", "cancel asked for"),
    ("PaymentRefunded", "refunded"),
    ("OrderCompleted", "completed"),
    ("OrderCancelled", "cancelled"),
];

/// # Errors
/// [`DemoError`] where the story cannot go on.
pub async fn play(voice: &mut Voice, stage: &Stage) -> Result<Tally, DemoError> {
    let cast = Cast { server: Guest::server(stage.server_url())?, sandbox: Guest::sandbox(stage.sandbox_url())? };
    cast.an_order(voice).await?;
    voice.pause().await;
    cast.an_approval(voice).await?;
    voice.pause().await;
    cast.a_new_address(voice).await?;
    voice.pause().await;
    cast.a_change_of_mind(voice).await?;
    voice.pause().await;
    cast.a_bad_carrier(voice).await?;
    voice.pause().await;
    Ok(Tally { completed: 4, cancelled: 1 })
}

struct Cast {
    server: Guest,
    sandbox: Guest,
}

impl Cast {
    async fn an_order(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.scene("An order")?;
        let body = json!({"amount": "49.90", "address": "1 Main Street, Springfield", "review_seconds": 0.5});
        self.start(voice, "book", &body).await?;
        voice.say("Accepted: it is on disk, fsynced. A timer ends its review after half a second.")?;
        let status = self.server.until("book", "terminal").await?;
        self.tell(voice, "book").await?;
        voice.claim_eq(&status["state"], &json!("completed"), "the order is completed")?;
        let ledger = self.ledger("book").await?;
        voice.claim_eq(&ledger["charges"][0]["amount"], &json!("49.90"), "the gateway charged 49.90 USD")?;
        self.once(voice, "book", [1, 0, 1], "charged once, dispatched once").await
    }

    async fn an_approval(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.scene("An order that a person approves")?;
        self.start(voice, "guitar", &json!({"amount": "1299.00", "review": "manual"})).await?;
        let status = self.server.until("guitar", "in_review").await?;
        voice.say(&format!("It waits for: {}", waits(&status)))?;
        self.once(voice, "guitar", [0, 0, 0], "while it waits nothing is charged").await?;
        voice.pause().await;
        self.send(voice, "/orders/guitar/signals/approve", &json!({})).await?;
        let status = self.server.until("guitar", "terminal").await?;
        self.tell(voice, "guitar").await?;
        voice.claim_eq(&status["state"], &json!("completed"), "approved, it went on to its end")?;
        Ok(())
    }

    async fn a_new_address(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.scene("An address that changes on the way")?;
        let body = json!({"amount": "25.00", "address": "1 Main Street, Springfield", "review": "manual"});
        self.start(voice, "lamp", &body).await?;
        self.server.until("lamp", "in_review").await?;
        let address = json!({"address": "2 Side Street, Shelbyville"});
        self.send(voice, "/orders/lamp/signals/update-address", &address).await?;
        self.send(voice, "/orders/lamp/signals/approve", &json!({})).await?;
        self.server.until("lamp", "terminal").await?;
        self.tell(voice, "lamp").await?;
        let ledger = self.ledger("lamp").await?;
        let taken = &ledger["dispatches"][0]["address"];
        voice.claim_eq(taken, &address["address"], "the carrier took it to 2 Side Street, Shelbyville")?;
        Ok(())
    }

    async fn a_change_of_mind(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.scene("A change of mind, after the charge")?;
        voice.say("The packing line stands still, so that there is time for it.")?;
        let still = json!({"activity": "prepare_package", "kind": "error_before", "times": 100_000});
        self.sandbox.post("/faults/next", &still).await?;
        self.start(voice, "piano", &json!({"amount": "8900.00", "review_seconds": 0})).await?;
        let status = self.server.until("piano", "shipping").await?;
        voice.claim_eq(&status["payment"]["status"], &json!("charged"), "it is charged, and waits for its parcel")?;
        voice.pause().await;
        self.send(voice, "/orders/piano/signals/cancel", &json!({"reason": "no room for it"})).await?;
        let status = self.server.until("piano", "terminal").await?;
        self.sandbox.put("/faults", &json!({"mode": "off"})).await?;
        self.tell(voice, "piano").await?;
        voice.claim_eq(&status["state"], &json!("cancelled"), "the order is cancelled")?;
        let ledger = self.ledger("piano").await?;
        voice.claim_eq(&ledger["refunds"][0]["amount"], &json!("8900.00"), "8900.00 USD were given back")?;
        self.once(voice, "piano", [1, 1, 0], "one charge, one refund, nothing dispatched").await
    }

    async fn a_bad_carrier(&self, voice: &mut Voice) -> Result<(), DemoError> {
        voice.scene("A carrier that fails twice")?;
        let twice = json!({"activity": "dispatch_carrier", "kind": "error_before", "times": 2});
        self.sandbox.post("/faults/next", &twice).await?;
        self.start(voice, "kite", &json!({"amount": "12.50", "review_seconds": 0})).await?;
        let status = self.server.until("kite", "terminal").await?;
        self.tell_attempts(voice, "/workflows/kite/shipping/1").await?;
        let attempts = &status["attempts"]["dispatch_carrier"];
        voice.claim_eq(attempts, &json!(3), "the third attempt, with the same key, went well")?;
        voice.claim_eq(&status["state"], &json!("completed"), "the order is completed")?;
        self.once(voice, "kite", [1, 0, 1], "charged once, dispatched once").await
    }

    async fn start(&self, voice: &Voice, order: &str, body: &Value) -> Result<(), DemoError> {
        self.send(voice, &format!("/orders/{order}/start"), body).await
    }

    async fn send(&self, voice: &Voice, path: &str, body: &Value) -> Result<(), DemoError> {
        let shown =
            if body.as_object().is_some_and(serde_json::Map::is_empty) { String::new() } else { body.to_string() };
        voice.sends(format!("POST {path} {shown}").trim_end())?;
        self.server.post(path, body).await.map(|_| ())
    }

    async fn ledger(&self, order: &str) -> Result<Value, DemoError> {
        self.sandbox.get(&format!("/ledger?order_id={order}")).await
    }

    /// Claims how often an order was charged, refunded, dispatched.
    async fn once(&self, voice: &mut Voice, order: &str, expected: [u64; 3], text: &str) -> Result<(), DemoError> {
        let totals = self.sandbox.get(&format!("/ledger/totals?order_id={order}")).await?;
        let found = ["charges", "refunds", "dispatches"].map(|name| totals[name].as_u64().unwrap_or(u64::MAX));
        voice.claim_eq(found, expected, text)?;
        Ok(())
    }

    /// The life of an order, out of its history.
    async fn tell(&self, voice: &Voice, order: &str) -> Result<(), DemoError> {
        let events = self.server.history(&format!("/orders/{order}")).await?;
        let begin = events.first().map_or(Timestamp::default(), at);
        let told = events.iter().filter_map(|event| {
            let (_, words) = FACTS.iter().find(|(fact, _)| event["type"] == *fact)?;
            Some(format!("{words} +{} ms", at(event).ms_since(begin)))
        });
        let told: Vec<String> = told.collect();
        let lines: Vec<String> = told.chunks(5).map(|line| line.join(" → ")).collect();
        for line in lines.join(" →\n").lines() {
            voice.say(&format!("  {line}"))?;
        }
        Ok(())
    }

    /// The attempts at a dispatch, out of a shipment's history.
    async fn tell_attempts(&self, voice: &Voice, path: &str) -> Result<(), DemoError> {
        let events = self.server.history(path).await?;
        let begin = events.first().map_or(Timestamp::default(), at);
        for event in events.iter().filter(|event| event["data"]["activity"] == "dispatch_carrier") {
            let what = match event["type"].as_str() {
                Some("ActivityScheduled") => format!("key {}", text(&event["data"]["idempotency_key"])),
                Some("ActivityFailed") => text(&event["data"]["message"]),
                _ => "done".to_owned(),
            };
            let (attempt, ms) = (&event["data"]["attempt"], at(event).ms_since(begin));
            voice.say(&format!("  +{ms:<4} ms  attempt {attempt}: {what}"))?;
        }
        Ok(())
    }
}

fn at(event: &Value) -> Timestamp {
    event["at"].as_str().and_then(Timestamp::parse).unwrap_or_default()
}

fn text(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

fn waits(status: &Value) -> String {
    let waits = status["live"]["waiting_for"].as_array().map(Vec::as_slice).unwrap_or_default();
    let waits: Vec<String> =
        waits.iter().map(|wait| format!("{} {}", text(&wait["kind"]), text(&wait["name"]))).collect();
    waits.join(", ")
}
