//! The outside world: a bank and a carrier that keep a ledger, and answer the same key with the same answer.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::kernel::ActivityCall;
use crate::model::Failure;
use crate::workflows::order::activity;
use crate::workflows::shipping;

/// What is on the ledger for one order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Account {
    pub charges: u32,
    pub refunds: u32,
    /// The address of each parcel that went.
    pub parcels: Vec<Value>,
}

impl Account {
    /// Whether its money is with us.
    pub fn holds_money(&self) -> bool {
        self.charges > self.refunds
    }
}

/// What a request brought about.
#[derive(Debug, Clone, PartialEq)]
pub struct Reply {
    pub result: Result<Value, Failure>,
    /// It was the first of its key: this is when the effect happened.
    pub fresh: bool,
}

impl Reply {
    /// Nobody was asked.
    pub(super) fn nothing() -> Self {
        Self { result: Ok(json!({})), fresh: false }
    }
}

#[derive(Debug, Clone, Default)]
pub struct World {
    answers: HashMap<String, Result<Value, Failure>>,
    accounts: HashMap<String, Account>,
}

impl World {
    pub fn account(&self, order: &str) -> Account {
        self.accounts.get(order).cloned().unwrap_or_default()
    }

    /// Carries out a request, once for its key. `refuse`: it is turned down so, unless it was answered before.
    ///
    /// # Errors
    /// A sentence where it does what must never happen: money taken twice, a second parcel, a parcel without money.
    pub fn perform(&mut self, call: &ActivityCall, refuse: Option<Failure>) -> Result<Reply, String> {
        if let Some(result) = self.answers.get(&call.idempotency_key) {
            return Ok(Reply { result: result.clone(), fresh: false });
        }
        let result = match refuse {
            Some(failure) => Err(failure),
            None => {
                self.effect(call)?;
                Ok(json!({ "charge_ref": "ch-1", "refund_ref": "re-1", "carrier_ref": "tr-1", "package_ref": "pk-1" }))
            }
        };
        // A refund is asked for until it is done, so a bank that turned it down is asked again and may give in.
        if result.is_ok() || call.activity != activity::REFUND {
            self.answers.insert(call.idempotency_key.clone(), result.clone());
        }
        Ok(Reply { result, fresh: true })
    }

    fn effect(&mut self, call: &ActivityCall) -> Result<(), String> {
        let order = call.workflow_id.root();
        let account = self.accounts.entry(order.to_owned()).or_default();
        let never = |what: &str, account: &Account| Err(format!("{order}: {what}: {account:?}"));
        match call.activity.as_ref() {
            activity::CHARGE => {
                if account.holds_money() {
                    return never("charged twice without a refund between", account);
                }
                account.charges += 1;
            }
            activity::REFUND => {
                if !account.holds_money() || !account.parcels.is_empty() {
                    return never("refunded what was not charged, or was shipped", account);
                }
                account.refunds += 1;
            }
            shipping::DISPATCH => {
                if !account.holds_money() || !account.parcels.is_empty() {
                    return never("dispatched without money, or twice", account);
                }
                account.parcels.push(call.input["address"].clone());
            }
            _ => {}
        }
        Ok(())
    }
}
