//! Where a parcel goes: one line, or named fields.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A delivery address as the client wrote it. Its form is checked at the door; whether its
/// `zip_code` makes sense is a business rule, and `validate_order`'s to say.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Address {
    Line(String),
    Fields(BTreeMap<String, String>),
}

impl Address {
    /// The field names an address may have.
    pub const FIELDS: [&'static str; 22] = [
        "name",
        "recipient",
        "company",
        "street",
        "street2",
        "line1",
        "line2",
        "line",
        "house_number",
        "unit",
        "city",
        "state",
        "region",
        "province",
        "zip",
        "zip_code",
        "postal_code",
        "country",
        "country_code",
        "phone",
        "email",
        "notes",
    ];
    /// The longest value of a field, and the longest line, in characters.
    pub const VALUE_CHARS_MAX: usize = 512;

    /// The business rule: a `zip_code` has 3 to 12 letters, digits, spaces or dashes.
    ///
    /// # Errors
    /// A sentence for people that names the field.
    pub fn check_rules(&self) -> Result<(), String> {
        let Self::Fields(fields) = self else { return Ok(()) };
        for name in ["zip_code", "zip", "postal_code"] {
            let Some(zip) = fields.get(name) else { continue };
            let fits = (3..=12).contains(&zip.chars().count())
                && zip.chars().all(|c| c.is_alphanumeric() || c == ' ' || c == '-');
            if !fits {
                return Err(format!("address.{name} must have 3 to 12 letters, digits, spaces or dashes, is {zip:?}"));
            }
        }
        Ok(())
    }

    /// The address as one line for people.
    pub fn line(&self) -> String {
        match self {
            Self::Line(line) => line.clone(),
            Self::Fields(fields) => {
                let ordered = Self::FIELDS.iter().filter_map(|name| fields.get(*name));
                ordered.map(String::as_str).collect::<Vec<_>>().join(", ")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn zip(text: &str) -> Address {
        Address::Fields(BTreeMap::from([("zip_code".to_owned(), text.to_owned())]))
    }

    #[test]
    fn a_zip_code_has_3_to_12_letters_digits_spaces_or_dashes() {
        for good in ["123", "SW1A 1AA", "12345-6789"] {
            assert!(zip(good).check_rules().is_ok(), "{good}");
        }
        for bad in ["", "12", "1234567890123", "12_34", "12\n34"] {
            assert!(zip(bad).check_rules().is_err(), "{bad:?}");
        }
        assert!(Address::Line("x".into()).check_rules().is_ok());
    }
}
