//! Numbers as JSON writes them, and their sum: exact for integers of any size, rounded once for all others.

use num_bigint::BigInt;
use serde_json::value::RawValue;

/// Why a text is not a number that can be summed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("is not a number")]
    Form,
    #[error("is too large for a number of 64 bits with a floating point")]
    Infinite,
}

/// Why numbers have no sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SumError {
    #[error(transparent)]
    Number(#[from] NumberError),
    #[error("the sum is too large for a number of 64 bits with a floating point")]
    Infinite,
}

/// Checks a number as JSON writes it. Finite is what a float of 64 bits can hold, so an integer has at most 309 digits.
///
/// # Errors
/// [`NumberError`]
pub fn check(text: &str) -> Result<(), NumberError> {
    let bare =
        text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) && text.ends_with(|c: char| c.is_ascii_digit());
    if !bare || serde_json::from_str::<&RawValue>(text).is_err() {
        return Err(NumberError::Form);
    }
    let number: f64 = text.parse().map_err(|_| NumberError::Form)?;
    if number.is_finite() { Ok(()) } else { Err(NumberError::Infinite) }
}

/// The sum of numbers as JSON writes them, as JSON writes it. Integers (written without a point or an exponent) sum
/// exactly, however large; as soon as one number is none, the sum is a float, of which the error is one rounding.
///
/// # Errors
/// [`SumError`] where a text is not a number, or the sum of floats is not finite.
pub fn sum<'a>(numbers: impl IntoIterator<Item = &'a str>) -> Result<String, SumError> {
    let (mut exact, mut floats) = (Exact::default(), None);
    for text in numbers {
        check(text)?;
        if text.contains(['.', 'e', 'E']) {
            let number = text.parse().map_err(|_| NumberError::Form)?;
            floats.get_or_insert_with(Neumaier::default).add(number);
        } else {
            exact.add(text)?;
        }
    }
    let exact = exact.total();
    let Some(mut floats) = floats else { return Ok(exact.to_string()) };
    floats.add(exact.to_string().parse().map_err(|_| NumberError::Form)?);
    let total = floats.total();
    if total.is_finite() { Ok(written(total)) } else { Err(SumError::Infinite) }
}

/// A float in the shortest form that is read back as the same; with a point or an exponent, so that it stays a float.
fn written(number: f64) -> String {
    // Finite numbers can always be written.
    serde_json::to_string(&number).unwrap_or_default()
}

/// A sum of integers: in a register as long as it fits.
#[derive(Default)]
struct Exact {
    small: i128,
    large: BigInt,
}

impl Exact {
    fn add(&mut self, text: &str) -> Result<(), NumberError> {
        match text.parse::<i128>() {
            Ok(number) => match self.small.checked_add(number) {
                Some(total) => self.small = total,
                None => self.large += std::mem::replace(&mut self.small, number),
            },
            Err(_) => self.large += text.parse::<BigInt>().map_err(|_| NumberError::Form)?,
        }
        Ok(())
    }

    fn total(self) -> BigInt {
        self.large + self.small
    }
}

/// Compensated summation (Neumaier 1974): what each addition rounds away is kept and added at the end.
#[derive(Default)]
struct Neumaier {
    sum: f64,
    lost: f64,
}

impl Neumaier {
    fn add(&mut self, number: f64) {
        let total = self.sum + number;
        self.lost +=
            if self.sum.abs() >= number.abs() { (self.sum - total) + number } else { (number - total) + self.sum };
        self.sum = total;
    }

    fn total(&self) -> f64 {
        // Of a sum that has left the finite numbers, the correction is none.
        if self.sum.is_finite() { self.sum + self.lost } else { self.sum }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(numbers: &[&str]) -> String {
        sum(numbers.iter().copied()).unwrap()
    }

    #[test]
    fn integers_sum_exactly_and_floats_are_rounded_once() {
        assert_eq!(of(&["10", "20", "30"]), "60");
        assert_eq!(of(&[]), "0");
        assert_eq!(of(&["-0"]), "0");
        assert_eq!(of(&["9223372036854775807", "1"]), "9223372036854775808");
        assert_eq!(of(&["9007199254740993", "-1"]), "9007199254740992");
        let large = "9".repeat(300);
        assert_eq!(of(&[&large, "1"]), format!("1{}", "0".repeat(300)));
        assert_eq!(of(&[&i128::MAX.to_string(), "1", "-1"]), i128::MAX.to_string());
        assert_eq!(of(&["1", "0.5"]), "1.5");
        assert_eq!(of(&["1", "2.0"]), "3.0");
        assert_eq!(of(&["0.1"; 10]), "1.0");
        assert_eq!(of(&["1e100", "1", "-1e100"]), "1.0");
        assert_eq!(of(&["-1e-7"]), "-1e-7");
    }

    #[test]
    fn what_is_not_a_finite_number_is_told() {
        assert_eq!(check("1e400"), Err(NumberError::Infinite));
        assert_eq!(check(&"9".repeat(310)), Err(NumberError::Infinite));
        for text in ["", "x", "NaN", "inf", "0x1", "1 ", "1_0", "--1", ".5", "5.", "01", "+1"] {
            assert_eq!(check(text), Err(NumberError::Form), "{text:?}");
        }
        assert_eq!(sum(["1e308", "1e308"]), Err(SumError::Infinite));
    }

    proptest! {
        #[test]
        fn the_sum_of_integers_is_that_of_larger_integers(numbers: Vec<i64>) {
            let texts: Vec<String> = numbers.iter().map(i64::to_string).collect();
            let expected: i128 = numbers.iter().map(|n| i128::from(*n)).sum();
            prop_assert_eq!(sum(texts.iter().map(String::as_str)).unwrap(), expected.to_string());
        }

        #[test]
        fn huge_integers_cancel_out(numbers in proptest::collection::vec("[1-9][0-9]{0,80}", 0..20)) {
            let negative: Vec<String> = numbers.iter().map(|n| format!("-{n}")).collect();
            let all = numbers.iter().chain(&negative).map(String::as_str);
            prop_assert_eq!(sum(all).unwrap(), "0");
        }
    }
}
