//! Reading a start: query and body together, every fault told, defaults filled in, and the fingerprint of what was sent.

use std::borrow::Cow;
use std::collections::BTreeMap;

use rust_decimal::Decimal;
use serde_json::Value;

use super::address;
use crate::http::OrderDefaults;
use crate::http::fingerprint::hash;
use crate::http::json::{At, Fault, Faults, Json, object, text, value, whole_number, write_sorted, write_text};
use crate::http::query::Query;
use crate::model::{Currency, ID_BYTES_MAX, Money, OrderId, PaymentId, parse_amount};
use crate::workflows::order::{Item, OrderStart, ReviewMode, ReviewPlan};

pub const ITEMS_MAX: usize = 1_000;
pub const SKU_CHARS_MAX: usize = 256;
pub const METADATA_KEYS_MAX: usize = 64;
pub const METADATA_KEY_CHARS_MAX: usize = 128;
/// All metadata of an order, in canonical form.
pub const METADATA_BYTES_MAX: usize = 64 * 1024;
/// Ten years.
pub const SECONDS_MAX: u64 = 315_360_000;

/// A start as it was sent; what is `None` was not.
#[derive(Default)]
struct Sent {
    payment_id: Option<PaymentId>,
    address: Option<crate::model::Address>,
    items: Vec<Item>,
    amount: Option<Decimal>,
    currency: Option<Currency>,
    review: Option<ReviewMode>,
    review_ms: Option<u64>,
    review_deadline_ms: Option<u64>,
    deadline_ms: Option<u64>,
    metadata: BTreeMap<String, Value>,
}

/// Reads a start.
///
/// # Errors
/// Every fault of query and body.
pub fn read(
    order_id: &OrderId,
    mut query: Query,
    body: Option<&Json<'_>>,
    defaults: &OrderDefaults,
) -> Result<OrderStart, Vec<Fault>> {
    let in_query = query.take("payment_id");
    let mut sent = Sent::default();
    if let Some(text) = &in_query {
        match PaymentId::parse(text) {
            Ok(id) => sent.payment_id = Some(id),
            Err(why) => query.fault("payment_id", why.to_string()),
        }
    }
    let mut faults = query.finish();
    let mut entries: &[(Cow<'_, str>, Json<'_>)] = &[];
    if let Some(body) = body {
        entries = object(body, &At::ROOT, &mut faults).unwrap_or_default();
    }
    for (key, json) in entries {
        // A field that is null is one that was not sent.
        if *json == Json::Null && KNOWN.contains(&key.as_ref()) {
            continue;
        }
        sent.take(key, json, order_id, &mut faults);
    }
    let amount = sent.amount.or_else(|| total(&sent.items, &mut faults)).unwrap_or_default();
    faults.or(())?;
    let fingerprint = hash(&[&canonical(sent.payment_id.as_ref(), entries)]);
    let some = |ms: u64| (ms > 0).then_some(ms);
    Ok(OrderStart {
        order_id: order_id.clone(),
        payment_id: sent.payment_id.unwrap_or_else(|| PaymentId::of_order(order_id)),
        money: Money { amount, currency: sent.currency.unwrap_or(Currency::USD) },
        address: sent.address,
        items: sent.items,
        review: ReviewPlan {
            mode: sent.review.unwrap_or(defaults.review),
            auto_ms: sent.review_ms.unwrap_or(defaults.review_ms),
            deadline_ms: some(sent.review_deadline_ms.unwrap_or(defaults.review_deadline_ms)),
        },
        deadline_ms: some(sent.deadline_ms.unwrap_or(defaults.deadline_ms)),
        metadata: sent.metadata,
        trace: None,
        fingerprint,
    })
}

const KNOWN: [&str; 12] = [
    "order_id",
    "payment_id",
    "payment_token",
    "address",
    "items",
    "amount",
    "currency",
    "review",
    "review_seconds",
    "review_deadline_seconds",
    "deadline_seconds",
    "metadata",
];

impl Sent {
    fn take(&mut self, key: &str, json: &Json<'_>, order_id: &OrderId, faults: &mut Faults) {
        let root = At::ROOT;
        let at = root.key(key);
        match key {
            "order_id" => {
                if text(json, &at, ID_BYTES_MAX, faults).is_some_and(|id| id != order_id.as_str()) {
                    faults.add(&at, "differs from the order id of the path");
                }
            }
            "payment_id" | "payment_token" => self.take_payment_id(json, &at, faults),
            "address" => self.address = address::read(json, &at, faults),
            "items" => self.items = items(json, &at, faults),
            "amount" => self.amount = decimal(json, &at, faults),
            "currency" => {
                if let Some(code) = text(json, &at, 64, faults) {
                    self.currency = Currency::parse(code).map_err(|why| faults.add(&at, why.to_string())).ok();
                }
            }
            "review" => match text(json, &at, 64, faults) {
                Some("auto") => self.review = Some(ReviewMode::Auto),
                Some("manual") => self.review = Some(ReviewMode::Manual),
                Some(_) => faults.add(&at, "must be \"auto\" or \"manual\""),
                None => {}
            },
            "review_seconds" => self.review_ms = seconds(json, &at, faults),
            "review_deadline_seconds" => self.review_deadline_ms = seconds(json, &at, faults),
            "deadline_seconds" => self.deadline_ms = seconds(json, &at, faults),
            "metadata" => self.metadata = metadata(json, &at, faults),
            _ => faults.add(&at, "is not a field of a start"),
        }
    }

    fn take_payment_id(&mut self, json: &Json<'_>, at: &At<'_>, faults: &mut Faults) {
        let Some(id) = text(json, at, ID_BYTES_MAX, faults) else { return };
        match PaymentId::parse(id) {
            Err(why) => faults.add(at, why.to_string()),
            Ok(id) => match &self.payment_id {
                Some(other) if *other != id => faults.add(at, "differs from the payment id given elsewhere"),
                _ => self.payment_id = Some(id),
            },
        }
    }
}

/// An exact decimal, written as a number or as a text.
fn decimal(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Decimal> {
    let text = match json {
        Json::Number(number) => *number,
        Json::Text(text) => text,
        other => {
            faults.add(at, format!("must be a decimal number, is {}", other.kind()));
            return None;
        }
    };
    parse_amount(text).map_err(|why| faults.add(at, why.to_string())).ok()
}

/// A duration in seconds, in ms; a part of a ms counts as a whole one, so that "very short" never becomes "none".
fn seconds(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<u64> {
    let Json::Number(number) = json else {
        faults.add(at, format!("must be a number, is {}", json.kind()));
        return None;
    };
    let exact = if number.contains(['e', 'E']) {
        // Beyond the digits of a decimal it is too large, or so small that a ms is next.
        Decimal::from_scientific(number).ok().or_else(|| tiny(number))
    } else {
        number.parse::<Decimal>().ok()
    };
    let fits = exact.filter(|s| (s.is_zero() || s.is_sign_positive()) && *s <= Decimal::from(SECONDS_MAX));
    let ms = fits.and_then(|s| u64::try_from((s * Decimal::ONE_THOUSAND).ceil()).ok());
    if ms.is_none() {
        faults.add(at, format!("must be a number of seconds from 0 to {SECONDS_MAX}"));
    }
    ms
}

/// The ms that a number too small for a decimal becomes; `None`: it is none such.
fn tiny(number: &str) -> Option<Decimal> {
    let small = number.parse::<f64>().ok().filter(|n| (0.0..1e-3).contains(n))?;
    Some(if small > 0.0 { Decimal::new(1, 3) } else { Decimal::ZERO })
}

fn items(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Vec<Item> {
    let Json::List(list) = json else {
        faults.add(at, format!("must be a list, is {}", json.kind()));
        return Vec::new();
    };
    if list.len() > ITEMS_MAX {
        faults.add(at, format!("must have at most {ITEMS_MAX} items, has {}", list.len()));
        return Vec::new();
    }
    list.iter().enumerate().filter_map(|(i, json)| item(json, &at.index(i), faults)).collect()
}

fn item(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<Item> {
    let (mut sku, mut quantity, mut unit_price) = (None, None, None);
    let (mut saw_sku, mut saw_quantity) = (false, false);
    for (key, json) in object(json, at, faults)? {
        let at = at.key(key);
        match key.as_ref() {
            "sku" => {
                saw_sku = true;
                sku = text(json, &at, SKU_CHARS_MAX, faults).map(str::to_owned);
            }
            "quantity" => {
                saw_quantity = true;
                quantity = whole(json, &at, faults);
            }
            "unit_price" if *json == Json::Null => {}
            "unit_price" => unit_price = decimal(json, &at, faults),
            _ => faults.add(&at, "is not a field of an item"),
        }
    }
    if !saw_sku {
        faults.add(&at.key("sku"), "is missing");
    }
    if !saw_quantity {
        faults.add(&at.key("quantity"), "is missing");
    }
    Some(Item { sku: sku?, quantity: quantity?, unit_price })
}

fn whole(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> Option<i64> {
    let number = match json {
        Json::Number(number) => whole_number(number),
        _ => None,
    };
    if number.is_none() {
        faults.add(at, format!("must be a whole number of 64 bits, is {}", json.kind()));
    }
    number
}

/// What the items cost, where no amount was sent. A quantity below 1 is `validate_order`'s to refuse; it costs nothing.
fn total(items: &[Item], faults: &mut Faults) -> Option<Decimal> {
    let mut sum = Decimal::new(0, 2);
    for (index, item) in items.iter().enumerate() {
        let Some(price) = item.unit_price else { continue };
        let limit = Decimal::from(1_000_000_000_000_000_000_i64);
        let next = price.checked_mul(item.quantity.max(0).into()).and_then(|cost| sum.checked_add(cost));
        match next {
            Some(next) if next.abs() < limit => sum = next,
            _ => {
                let root = At::ROOT;
                faults.add(&root.key("items").index(index), "the items cost more than an amount can be");
                return None;
            }
        }
    }
    Some(sum)
}

fn metadata(json: &Json<'_>, at: &At<'_>, faults: &mut Faults) -> BTreeMap<String, Value> {
    let entries = object(json, at, faults).unwrap_or_default();
    if entries.len() > METADATA_KEYS_MAX {
        faults.add(at, format!("must have at most {METADATA_KEYS_MAX} keys, has {}", entries.len()));
        return BTreeMap::new();
    }
    let mut size = String::new();
    json.write_canonical(&mut size);
    if size.len() > METADATA_BYTES_MAX {
        faults.add(at, format!("must have at most {METADATA_BYTES_MAX} bytes, has {}", size.len()));
        return BTreeMap::new();
    }
    let mut metadata = BTreeMap::new();
    for (key, json) in entries {
        let at = at.key(key);
        if key.is_empty() || key.chars().count() > METADATA_KEY_CHARS_MAX {
            faults.add(&at, format!("a key must have 1 to {METADATA_KEY_CHARS_MAX} characters"));
        }
        metadata.insert(key.to_string(), value(json, &at, faults));
    }
    metadata
}

/// What was asked for, in a form that does not depend on how it was written: aliases resolved, keys sorted, no
/// difference between `49.90` and `"49.90"`, and defaults left out, for they may change between two tries.
fn canonical(payment_id: Option<&PaymentId>, entries: &[(Cow<'_, str>, Json<'_>)]) -> String {
    let payment = payment_id.map(|id| Json::Text(id.as_str().into()));
    let payment = payment.iter().map(|id| ("payment_id", id));
    let sent = entries.iter().map(|(key, json)| (key.as_ref(), json));
    let sent =
        sent.filter(|(key, json)| **json != Json::Null && !matches!(*key, "order_id" | "payment_id" | "payment_token"));
    let mut out = String::with_capacity(256);
    write_sorted(payment.chain(sent), &mut out, |key, json, out| match (key, json) {
        ("amount", _) => write_decimal(json, out),
        ("items", Json::List(items)) => {
            out.push('[');
            for item in items {
                write_item(item, out);
                out.push(',');
            }
            out.push(']');
        }
        _ => json.write_canonical(out),
    });
    out
}

fn write_item(item: &Json<'_>, out: &mut String) {
    let Json::Object(fields) = item else { return item.write_canonical(out) };
    let sent = fields.iter().map(|(key, json)| (key.as_ref(), json)).filter(|(_, json)| **json != Json::Null);
    write_sorted(sent, out, |key, json, out| match key {
        "unit_price" => write_decimal(json, out),
        _ => json.write_canonical(out),
    });
}

fn write_decimal(json: &Json<'_>, out: &mut String) {
    match json {
        Json::Number(number) => write_text(number, out),
        other => other.write_canonical(out),
    }
}

#[cfg(test)]
#[path = "start_request_tests.rs"]
mod tests;
