//! The outside world where none is configured: answers at once, the same key always the same answer.

use futures_util::future::{FutureExt, LocalBoxFuture, ready};
use serde_json::{Value, json};

use super::Activity;
use crate::kernel::ActivityCall;
use crate::model::{Failure, FailureKind};

/// A payment id that begins so is declined, so that a refusal can be shown without a gateway.
pub const DECLINED: &str = "pay-declined";

/// One of the four outside activities, simulated.
pub struct Simulated {
    /// The field of the result that carries its reference.
    pub reference: &'static str,
}

impl Activity for Simulated {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>> {
        let payment = call.input.get("payment_id").and_then(Value::as_str).unwrap_or_default();
        let answer = if self.reference == "charge_ref" && payment.starts_with(DECLINED) {
            Err(Failure::new(FailureKind::Refused, "card declined"))
        } else {
            Ok(json!({ self.reference: format!("sim:{}", call.idempotency_key) }))
        };
        ready(answer).boxed_local()
    }
}
