//! What the sandbox does and notes: the four effects, a request for one, and the record of what became of it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::activities::DECLINED;
use crate::model::Timestamp;

/// The effects outside, called by their activities' names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Kind {
    #[serde(rename = "charge_payment")]
    Charge,
    #[serde(rename = "refund_payment")]
    Refund,
    #[serde(rename = "prepare_package")]
    Prepare,
    #[serde(rename = "dispatch_carrier")]
    Dispatch,
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Charge, Self::Refund, Self::Prepare, Self::Dispatch];

    /// The activity's name.
    pub fn as_str(self) -> &'static str {
        &self.path()[1..]
    }

    pub fn path(self) -> &'static str {
        match self {
            Self::Charge => "/charge_payment",
            Self::Refund => "/refund_payment",
            Self::Prepare => "/prepare_package",
            Self::Dispatch => "/dispatch_carrier",
        }
    }

    pub fn is_payment(self) -> bool {
        matches!(self, Self::Charge | Self::Refund)
    }

    /// The field of the answer that carries the reference.
    fn reference_field(self) -> &'static str {
        match self {
            Self::Charge => "charge_ref",
            Self::Refund => "refund_ref",
            Self::Prepare => "package_ref",
            Self::Dispatch => "carrier_ref",
        }
    }

    fn reference(self, number: usize) -> String {
        let prefix = match self {
            Self::Charge => "ch",
            Self::Refund => "re",
            Self::Prepare => "pk",
            Self::Dispatch => "tr",
        };
        format!("{prefix}-{number:06}")
    }
}

/// A request for an effect, as it was understood.
#[derive(Debug, Clone)]
pub struct Intent {
    pub kind: Kind,
    pub key: Arc<str>,
    /// A hash of the request, to tell a repetition from another request.
    pub request: Box<str>,
    pub order_id: Arc<str>,
    pub payment: Option<Payment>,
    pub shipment_id: Option<Box<str>>,
    /// Where to, in one line.
    pub address: Option<Box<str>>,
    /// No carrier goes to its address.
    pub nowhere: bool,
}

/// What is charged or refunded.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Payment {
    pub payment_id: Arc<str>,
    /// As it was sent: the decimals are kept.
    pub amount: Box<str>,
    pub currency: Box<str>,
}

/// Why the outside says no, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Refusal {
    CardDeclined,
    AddressRefused,
}

/// What became of a request; it stays so for its key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Done(Box<str>),
    Refused(Refusal),
}

/// One line of the ledger's file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Record {
    pub kind: Kind,
    pub key: Arc<str>,
    pub request: Box<str>,
    pub order_id: Arc<str>,
    #[serde(flatten, default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<Payment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shipment_id: Option<Box<str>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Box<str>>,
    pub at: Timestamp,
    pub outcome: Outcome,
}

impl Record {
    /// Decides about a request. `number`: its place in the ledger, for its reference.
    pub fn decide(intent: Intent, number: usize, at: Timestamp) -> Self {
        let Intent { kind, key, request, order_id, payment, shipment_id, address, nowhere } = intent;
        let declined = payment.as_ref().is_some_and(|p| is_declined(&p.payment_id));
        let outcome = match kind {
            Kind::Charge if declined => Outcome::Refused(Refusal::CardDeclined),
            Kind::Dispatch if nowhere => Outcome::Refused(Refusal::AddressRefused),
            _ => Outcome::Done(kind.reference(number).into()),
        };
        Self { kind, key, request, order_id, payment, shipment_id, address, at, outcome }
    }

    pub fn is_done(&self) -> bool {
        matches!(self.outcome, Outcome::Done(_))
    }

    /// As the ledger shows it. `double`: it was done already.
    pub fn view(&self, double: bool) -> Value {
        let mut view = json!({"order_id": self.order_id, "at": self.at, "key": self.key});
        if let Some(Payment { payment_id, amount, currency }) = &self.payment {
            view["payment_id"] = json!(payment_id);
            view["amount"] = json!(amount);
            view["currency"] = json!(currency);
        }
        if let Some(shipment) = &self.shipment_id {
            view["shipment_id"] = json!(shipment);
        }
        if let Some(address) = &self.address {
            view["address"] = json!(address);
        }
        if let Outcome::Done(reference) = &self.outcome {
            view[self.kind.reference_field()] = json!(reference);
        }
        if double {
            view["double"] = json!(true);
        }
        view
    }
}

/// Cards the gateway declines.
fn is_declined(payment_id: &str) -> bool {
    payment_id.starts_with(DECLINED) || payment_id.starts_with("tok_declined")
}
