//! Exact money: a decimal amount and a currency. No floating point comes near it.

use std::fmt;

use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

/// Why a text is not an amount or a currency.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MoneyError {
    #[error("is not a decimal number of at most 18 digits before and 8 after the point")]
    Amount,
    #[error("is not a currency code of three capital letters")]
    Currency,
}

/// Reads an exact decimal such as `49.90` or `-3`, exponents included (`1e2`), as JSON writes numbers.
///
/// # Errors
/// [`MoneyError::Amount`] where the text is no number or has more digits than can be kept exactly.
pub fn parse_amount(text: &str) -> Result<Decimal, MoneyError> {
    let number = if text.contains(['e', 'E']) {
        Decimal::from_scientific(text).map_err(|_| MoneyError::Amount)?
    } else {
        let plain = text.bytes().all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
        if !plain {
            return Err(MoneyError::Amount);
        }
        Decimal::from_str_exact(text).map_err(|_| MoneyError::Amount)?
    };
    let limit = Decimal::from(1_000_000_000_000_000_000_i64);
    if number.scale() > 8 || number.abs() >= limit { Err(MoneyError::Amount) } else { Ok(number) }
}

/// An ISO 4217 code; its form is checked, not its existence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    pub const USD: Self = Self(*b"USD");

    /// Reads a currency code.
    ///
    /// # Errors
    /// [`MoneyError::Currency`] unless it is three capital letters.
    pub fn parse(text: &str) -> Result<Self, MoneyError> {
        match <[u8; 3]>::try_from(text.as_bytes()) {
            Ok(code) if code.iter().all(u8::is_ascii_uppercase) => Ok(Self(code)),
            _ => Err(MoneyError::Currency),
        }
    }

    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("???")
    }
}

impl TryFrom<String> for Currency {
    type Error = MoneyError;
    fn try_from(text: String) -> Result<Self, MoneyError> {
        Self::parse(&text)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// An amount in a currency. The amount keeps the decimals it was written with: `49.90` stays `49.90`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Money {
    #[serde(with = "rust_decimal::serde::str")]
    pub amount: Decimal,
    pub currency: Currency,
}

impl fmt::Display for Money {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.currency)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_exact_and_keep_their_decimals() {
        assert_eq!(parse_amount("49.90").unwrap().to_string(), "49.90");
        assert_eq!(parse_amount("1e2").unwrap(), Decimal::from(100));
        assert_eq!(parse_amount("-0.1").unwrap().to_string(), "-0.1");
        for bad in ["", "NaN", "1e999", "1_0", "0x1", "+1", "1e-20", "9999999999999999999", "1.123456789"] {
            assert!(parse_amount(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_currency_is_three_capitals() {
        assert_eq!(Currency::parse("EUR").unwrap().as_str(), "EUR");
        assert!(Currency::parse("eur").is_err());
        assert!(Currency::parse("EURO").is_err());
    }
}
