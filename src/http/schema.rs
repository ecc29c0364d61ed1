//! The shapes of requests and answers, as the OpenAPI document describes them.
//!
//! Descriptions only: requests are read by the strict readers, and documents are sent as the engine writes them.
#![allow(missing_docs, reason = "the contract's field names speak for themselves")]

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

mod requests;
mod work;
pub use requests::*;
pub use work::*;

#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderState {
    Received,
    Validated,
    InReview,
    Charging,
    Shipping,
    Completed,
    Compensating,
    Cancelled,
    Failed,
    TimedOut,
    Stuck,
}

#[derive(ToSchema, Deserialize)]
pub struct ErrorView {
    /// `validation`, `refused`, `unreachable`, `rate_limited`, `timeout`, `unknown_outcome`, `panic`, `error`,
    /// `secrets_unreadable`
    pub kind: String,
    pub message: String,
    pub activity: String,
    pub attempt: u32,
    #[schema(format = DateTime)]
    pub at: String,
}

#[derive(ToSchema, Deserialize)]
pub struct PaymentView {
    pub payment_id: String,
    /// `pending`, `charged`, `unknown`, `refunded`, `failed`
    pub status: String,
    #[schema(example = "49.90")]
    pub amount: String,
    pub currency: String,
}

#[derive(ToSchema, Deserialize)]
pub struct ShippingView {
    pub shipment_id: String,
    /// `preparing`, `dispatching`, `dispatched`, `failed`
    pub state: String,
    pub attempt: u32,
    pub carrier_ref: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct ReviewView {
    pub mode: ReviewBody,
    #[schema(format = DateTime)]
    pub opened_at: Option<String>,
    #[schema(format = DateTime)]
    pub approved_at: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct WaitingFor {
    /// `activity`, `timer`, `signal`, `child`
    pub kind: String,
    pub name: String,
    pub attempt: Option<u32>,
    pub since: Option<String>,
    pub until: Option<String>,
    pub last_error: Option<ErrorView>,
}

#[derive(ToSchema, Deserialize)]
pub struct LiveView {
    /// `active` or `passivated`
    pub actor: String,
    pub mailbox: u32,
    pub restarts: u32,
    /// Never empty while the order has not ended.
    pub waiting_for: Vec<WaitingFor>,
}

/// Everything known of an order: its durable record, and its live actor.
#[derive(ToSchema, Deserialize)]
#[schema(example = json!({
    "order_id": "o-1", "run_id": "0193e3a4-7a6c-7cc0-8000-3b1f5d7e9a42", "state": "in_review", "terminal": false,
    "paused": false, "step": "manual_review", "seq": 7, "attempts": {"receive_order": 1, "validate_order": 1},
    "last_error": null, "recent_errors": [], "reason": null, "stuck_reason": null,
    "payment": {"payment_id": "pay-1", "status": "pending", "amount": "49.90", "currency": "USD"},
    "shipping": null, "address": "1 Main St, Berlin", "items": [], "metadata": {},
    "review": {"mode": "auto", "opened_at": "2026-01-01T00:00:00.020Z", "approved_at": null},
    "created_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.020Z",
    "deadline_at": "2026-01-01T00:00:15.000Z", "ended_at": null,
    "live": {"actor": "active", "mailbox": 0, "restarts": 0, "waiting_for": [
        {"kind": "timer", "name": "review", "since": "2026-01-01T00:00:00.020Z", "until": "2026-01-01T00:00:02.020Z"}
    ]}
}))]
pub struct StatusDocument {
    pub order_id: String,
    pub run_id: String,
    pub state: OrderState,
    pub terminal: bool,
    pub paused: bool,
    /// `receive_order`, `validate_order`, `manual_review`, `charge_payment`, `ship`, `compensate`, `done`
    pub step: String,
    pub seq: u64,
    /// Attempts by activity.
    pub attempts: BTreeMap<String, u32>,
    pub last_error: Option<ErrorView>,
    #[schema(max_items = 5)]
    pub recent_errors: Vec<ErrorView>,
    /// Why it turned back or ended.
    pub reason: Option<String>,
    pub stuck_reason: Option<String>,
    pub payment: PaymentView,
    pub shipping: Option<ShippingView>,
    pub address: Option<AddressBody>,
    pub items: Vec<ItemBody>,
    pub metadata: BTreeMap<String, Value>,
    pub review: ReviewView,
    #[schema(format = DateTime)]
    pub created_at: String,
    #[schema(format = DateTime)]
    pub updated_at: String,
    #[schema(format = DateTime)]
    pub deadline_at: Option<String>,
    #[schema(format = DateTime)]
    pub ended_at: Option<String>,
    /// Not part of the durable record alone.
    pub live: Option<LiveView>,
}

/// The record of a workflow, as its kind writes it.
#[derive(ToSchema, Deserialize)]
pub struct WorkflowRecord(pub BTreeMap<String, Value>);

#[derive(ToSchema, Deserialize)]
pub struct EventView {
    /// From 1, without gaps.
    pub seq: u64,
    /// A fact in the past tense.
    #[serde(rename = "type")]
    #[schema(example = "PaymentCharged")]
    pub kind: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub data: Value,
}

/// The data of one message of a stream.
#[derive(ToSchema, Deserialize)]
pub struct StreamedEvent {
    /// The running number over all histories.
    pub id: u64,
    /// The order, or a child such as `o-1/shipping/1`.
    pub order_id: String,
    /// From 1, without gaps, within its history.
    pub seq: u64,
    /// A fact in the past tense.
    #[serde(rename = "type")]
    #[schema(example = "PaymentCharged")]
    pub kind: String,
    #[schema(format = DateTime)]
    pub at: String,
    pub data: Value,
}

#[derive(ToSchema, Deserialize)]
pub struct OrderHistory {
    pub order_id: String,
    pub events: Vec<EventView>,
    /// The `after` of the next page; null: this was the last.
    pub next_after: Option<u64>,
}

#[derive(ToSchema, Deserialize)]
pub struct WorkflowHistory {
    pub workflow_id: String,
    pub events: Vec<EventView>,
    pub next_after: Option<u64>,
}

#[derive(ToSchema, Deserialize)]
pub struct OrderList {
    pub orders: Vec<StatusDocument>,
    /// The `cursor` of the next page; null: this was the last.
    pub next_cursor: Option<String>,
    /// There where more orders fit than were sorted: how many, the newest.
    #[schema(example = 5_000)]
    pub sorted_within: Option<u32>,
}

/// Filters of a list; all given must hold.
#[derive(IntoParams, Deserialize)]
#[into_params(parameter_in = Query)]
pub struct ListParams {
    /// States, separated by commas.
    #[param(
        example = "failed,stuck",
        pattern = r"^((received|validated|in_review|charging|shipping|completed|compensating|cancelled|failed|timed_out|stuck)(,(received|validated|in_review|charging|shipping|completed|compensating|cancelled|failed|timed_out|stuck))*)?$"
    )]
    pub state: Option<String>,
    /// A part of the order id.
    #[param(max_length = 128)]
    pub q: Option<String>,
    /// Only those with an activity that is being tried again.
    pub retrying: Option<bool>,
    /// At least this many attempts of some activity.
    #[param(maximum = 2_147_483_647)]
    pub attempts_min: Option<u32>,
    /// The kind of the last error.
    #[param(
        example = "timeout",
        pattern = "^(validation|refused|unreachable|rate_limited|timeout|unknown_outcome|panic|error|secrets_unreadable)$"
    )]
    pub error: Option<String>,
    /// A metadata value, compared as text; any other key than `KEY` likewise.
    #[serde(rename = "metadata.KEY")]
    pub metadata: Option<String>,
    /// Created at or after this instant.
    #[param(format = DateTime)]
    pub created_after: Option<String>,
    /// Created before this instant.
    #[param(format = DateTime)]
    pub created_before: Option<String>,
    /// `created_at`, `updated_at`, `order_id`, `state`, `amount`, `attempts`, `address`, `deadline` (only orders whose
    /// clock runs); with `-` descending. `-created_at` by default. The last four sort the newest 5,000 that fit.
    #[param(
        example = "-created_at",
        pattern = "^-?(created_at|updated_at|order_id|state|amount|attempts|address|deadline)$"
    )]
    pub sort: Option<String>,
    /// 1 to 500, 50 by default.
    #[param(minimum = 1, maximum = 500)]
    pub limit: Option<u32>,
    /// The `next_cursor` of the page before, in the same order.
    pub cursor: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct Stats {
    /// Every state, zero included.
    pub orders: BTreeMap<String, i64>,
    pub jobs: BTreeMap<String, i64>,
    pub tasks: BTreeMap<String, i64>,
}

#[derive(ToSchema, Deserialize)]
pub struct Health {
    #[schema(example = "ok")]
    pub status: String,
}

#[derive(ToSchema, Deserialize)]
pub struct Root {
    #[schema(example = "ordain")]
    pub name: String,
    pub version: String,
    pub links: BTreeMap<String, String>,
}

#[derive(ToSchema, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ScopeName {
    Read,
    Operate,
    Admin,
}

/// A key to be made.
#[derive(ToSchema, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyBody {
    pub name: Name,
    /// At least one of `read`, `operate`, `admin`; none entails another.
    #[schema(min_items = 1, example = json!(["read", "operate"]))]
    pub scopes: Vec<ScopeName>,
    /// The key sees only this owner's orders, and what it starts is this owner's. Not with `admin`.
    pub owner: Option<Name>,
}

#[derive(ToSchema, Deserialize)]
pub struct KeyView {
    #[schema(example = "key-0123456789ab")]
    pub key_id: String,
    pub name: String,
    pub scopes: Vec<String>,
    pub owner: Option<String>,
    /// It stands in the configuration, not in the database.
    pub configured: bool,
    #[schema(format = DateTime)]
    pub created_at: Option<String>,
    #[schema(format = DateTime)]
    pub revoked_at: Option<String>,
}

/// A key that was made, with its secret.
#[derive(ToSchema, Deserialize)]
pub struct KeyMade {
    #[serde(flatten)]
    pub view: KeyView,
    /// The secret. It is shown here, once.
    pub key: String,
}

#[derive(ToSchema, Deserialize)]
pub struct KeyList {
    pub keys: Vec<KeyView>,
}

#[derive(ToSchema, Deserialize)]
pub struct AuditView {
    /// Rising in the order of the commits.
    pub id: u64,
    #[schema(format = DateTime)]
    pub at: String,
    #[schema(example = "POST")]
    pub method: String,
    #[schema(example = "/orders/{order_id}/signals/cancel")]
    pub route: String,
    pub order_id: Option<String>,
    /// Null: asked without a key.
    pub key_id: Option<String>,
    pub key_name: Option<String>,
    /// What was answered.
    pub status: u16,
    /// In the words of whoever asked.
    pub reason: Option<String>,
    /// The address it came from.
    pub remote: Option<String>,
}

#[derive(ToSchema, Deserialize)]
pub struct AuditPage {
    pub entries: Vec<AuditView>,
    /// The `after` of the next page; null: this was the last.
    pub next_after: Option<u64>,
}
