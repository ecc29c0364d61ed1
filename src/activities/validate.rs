//! The activities that need no outside world: receiving an order, and the business rules.

use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use serde::Deserialize;
use serde_json::{Value, json};

use super::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Address, Currency, Failure, FailureKind, Money, parse_amount};
use crate::workflows::order::{Item, OrderStart};

/// `receive_order`.
pub struct Receive;

impl Activity for Receive {
    fn call(&self, _call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        ready(Ok(json!({}))).boxed_local()
    }
}

/// `validate_order`: applies [`OrderStart::check_rules`].
pub struct Validate;

#[derive(Deserialize)]
struct Input {
    amount: String,
    currency: Currency,
    #[serde(default)]
    items: Vec<Item>,
    #[serde(default)]
    address: Option<Address>,
}

fn validate(input: Value) -> Result<Value, Failure> {
    let wrong = |why: String| Failure::new(FailureKind::Validation, why);
    let input: Input = serde_json::from_value(input).map_err(|e| wrong(e.to_string()))?;
    let amount = parse_amount(&input.amount).map_err(|e| wrong(format!("amount {e}")))?;
    let money = Money { amount, currency: input.currency };
    OrderStart::check_rules(&money, &input.items, input.address.as_ref()).map_err(wrong)?;
    Ok(json!({}))
}

impl Activity for Validate {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        ready(validate(call.input)).boxed_local()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_business_rules_are_applied_and_named() {
        let check = |more: Value| {
            let mut input = json!({"order_id": "o", "amount": "1.00", "currency": "USD", "items": []});
            input.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            validate(input).map_err(|f| (f.kind, f.message))
        };
        assert!(check(json!({})).is_ok());
        for (input, word) in [
            (json!({"amount": "-1"}), "amount"),
            (json!({"items": [{"sku": "a", "quantity": 0}]}), "items[0].quantity"),
            (json!({"address": {"zip_code": "!"}}), "address.zip_code"),
        ] {
            let (kind, message) = check(input).unwrap_err();
            assert_eq!(kind, FailureKind::Validation);
            assert!(message.contains(word), "{message}");
        }
    }
}
