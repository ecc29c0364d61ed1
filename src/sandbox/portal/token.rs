//! Tokens that say themselves until when they are good, so that none has to be remembered.

use crate::http::fingerprint::hash;
use crate::model::Timestamp;

const PREFIX: &str = "portal";
const MAC_CHARS: usize = 32;

pub struct Tokens {
    /// Out of the seed: this guards nothing but a game, and a token outlives a restart of the sandbox.
    secret: String,
    seconds: u32,
}

/// Why a token is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejected {
    Expired,
    Unknown,
}

impl Tokens {
    pub fn new(seed: u64, seconds: u32) -> Self {
        Self { secret: hash(&["portal", &seed.to_string()]), seconds }
    }

    /// A token, and for how many seconds it is good.
    pub fn issue(&self, now: Timestamp) -> (String, u32) {
        let until = now.plus_ms(u64::from(self.seconds) * 1_000).0.to_string();
        (format!("{PREFIX}.{until}.{}", self.mac(&until)), self.seconds)
    }

    /// # Errors
    /// [`Rejected`] says why.
    pub fn check(&self, token: &str, now: Timestamp) -> Result<(), Rejected> {
        let mut parts = token.split('.');
        let (Some(PREFIX), Some(until), Some(mac), None) = (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Rejected::Unknown);
        };
        if self.mac(until) != mac {
            return Err(Rejected::Unknown);
        }
        match until.parse::<i64>() {
            Ok(until) if now.0 < until => Ok(()),
            Ok(_) => Err(Rejected::Expired),
            Err(_) => Err(Rejected::Unknown),
        }
    }

    fn mac(&self, until: &str) -> String {
        let mut mac = hash(&[&self.secret, until]);
        mac.truncate(MAC_CHARS);
        mac
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_good_for_its_time_and_cannot_be_made_up() {
        let tokens = Tokens::new(1, 10);
        let (token, seconds) = tokens.issue(Timestamp(1_000));
        assert_eq!(seconds, 10);
        assert_eq!(tokens.check(&token, Timestamp(10_999)), Ok(()));
        assert_eq!(tokens.check(&token, Timestamp(11_000)), Err(Rejected::Expired));
        let forged = token.replace("11000", "99000");
        for bad in ["", "portal.1.2", "portal.1.2.3", forged.as_str()] {
            assert_eq!(tokens.check(bad, Timestamp(1)), Err(Rejected::Unknown), "{bad}");
        }
        assert_eq!(Tokens::new(2, 10).check(&token, Timestamp(1)), Err(Rejected::Unknown));
    }
}
