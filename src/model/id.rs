//! Identifiers, each a type of its own, so that one is never taken for another.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// The longest order id and payment id, in bytes.
pub const ID_BYTES_MAX: usize = 128;

/// Why a text is not an identifier.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    #[error("must have 1 to {ID_BYTES_MAX} characters, has {0}")]
    Length(usize),
    #[error("has the character {0:?}; allowed are A-Z a-z 0-9 . _ : ~ -")]
    Character(char),
    #[error("may not be `.` or `..`")]
    Dots,
}

fn check(text: &str) -> Result<(), IdError> {
    if text.is_empty() || text.len() > ID_BYTES_MAX {
        return Err(IdError::Length(text.chars().count()));
    }
    if let Some(bad) = text.chars().find(|c| !(c.is_ascii_alphanumeric() || "._:~-".contains(*c))) {
        return Err(IdError::Character(bad));
    }
    // A path of a URL drops these segments, so such an id could be made but never be asked for.
    if text == "." || text == ".." { Err(IdError::Dots) } else { Ok(()) }
}

/// The id a client gives its order: 1 to 128 characters out of `A-Z a-z 0-9 . _ : ~ -`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct OrderId(Arc<str>);

impl OrderId {
    /// Reads an order id.
    ///
    /// # Errors
    /// [`IdError`] where the text is empty, too long, or has a character that is not allowed.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        check(text)?;
        Ok(Self(text.into()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The workflow that carries this order; the two share their text.
    pub fn workflow(&self) -> WorkflowId {
        WorkflowId(Arc::clone(&self.0))
    }
}

impl TryFrom<String> for OrderId {
    type Error = IdError;
    fn try_from(text: String) -> Result<Self, IdError> {
        Self::parse(&text)
    }
}

impl From<OrderId> for String {
    fn from(id: OrderId) -> Self {
        id.0.as_ref().to_owned()
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The public id of any workflow: an order's id, or a child's, such as `o-1/shipping/2`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct WorkflowId(Arc<str>);

impl WorkflowId {
    /// Takes a text that is known to be an id, such as one read from the store.
    pub fn new(text: impl Into<Arc<str>>) -> Self {
        Self(text.into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of this workflow's child number `n` of a kind.
    pub fn child(&self, kind: &str, n: u32) -> Self {
        Self(format!("{}/{kind}/{n}", self.0).into())
    }

    /// The id of the workflow at the root of this one's family: all before the first `/`.
    pub fn root(&self) -> &str {
        self.0.split('/').next().unwrap_or(&self.0)
    }
}

impl fmt::Display for WorkflowId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The token that names one payment, unique over all orders.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct PaymentId(Arc<str>);

impl PaymentId {
    /// Reads a payment id: 1 to 128 printable ASCII characters without blanks.
    ///
    /// # Errors
    /// [`IdError`] where the text is empty, too long, or has another character.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        if text.is_empty() || text.len() > ID_BYTES_MAX {
            return Err(IdError::Length(text.chars().count()));
        }
        match text.chars().find(|c| !c.is_ascii_graphic()) {
            Some(bad) => Err(IdError::Character(bad)),
            None => Ok(Self(text.into())),
        }
    }

    /// The payment id of an order that was started without one.
    pub fn of_order(order: &OrderId) -> Self {
        Self(format!("pay-{order}").into())
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PaymentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a workflow: a UUID (v7 in production) that logs and histories are joined by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct RunId(pub uuid::Uuid);

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The small integer the store knows a workflow by; given in order of creation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Key(pub i64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_id_takes_every_allowed_character_and_no_other() {
        assert!(OrderId::parse("Az09._:~-").is_ok());
        assert!(OrderId::parse(&"x".repeat(128)).is_ok());
        assert_eq!(OrderId::parse(&"x".repeat(129)), Err(IdError::Length(129)));
        assert_eq!(OrderId::parse(""), Err(IdError::Length(0)));
        assert_eq!(OrderId::parse(".."), Err(IdError::Dots));
        for bad in ["a/b", "a b", "ä", "a\0", "a%", "<"] {
            assert!(OrderId::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_child_knows_its_root() {
        let id = OrderId::parse("o-1").unwrap().workflow().child("shipping", 2);
        assert_eq!(id.as_str(), "o-1/shipping/2");
        assert_eq!(id.root(), "o-1");
    }
}
