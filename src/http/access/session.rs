//! Sessions of the console: a cookie stands for a key that was shown once. In memory only, lost with the process.
//!
//! The key itself is kept nowhere, neither here nor in the browser: what is kept is its digest, by which it is looked
//! up with every request, so that a revoked key ends its sessions.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use actix_web::http::header::{self, HeaderMap};

use crate::access::{Digest, RandomError, Secret};

/// How long a session lasts, in seconds.
pub const LASTS_S: u64 = 12 * 3_600;
/// Sessions at once; the oldest goes for a new one.
const SESSIONS_MAX: usize = 1_000;

struct Session {
    key: Digest,
    until: Instant,
}

pub struct Sessions {
    cookie: String,
    /// Whether the cookie travels by TLS alone.
    secure: bool,
    /// By the digest of what the cookie holds: who reads this memory has no cookie.
    open: Mutex<HashMap<Digest, Session>>,
}

impl Sessions {
    /// `port`: cookies are one for all ports of a host; two servers on one must not take each other's.
    pub fn new(port: u16, secure: bool) -> Self {
        Self { cookie: format!("ordain_session_{port}"), secure, open: Mutex::default() }
    }

    fn sessions(&self) -> std::sync::MutexGuard<'_, HashMap<Digest, Session>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens one for a key; the `Set-Cookie` that carries it.
    ///
    /// # Errors
    /// Where the operating system gives no randomness.
    pub fn open(&self, key: Digest) -> Result<String, RandomError> {
        let token = Secret::generate()?;
        let now = Instant::now();
        let mut open = self.sessions();
        open.retain(|_, session| session.until > now);
        if open.len() >= SESSIONS_MAX {
            let oldest = open.iter().min_by_key(|(_, session)| session.until).map(|(token, _)| *token);
            oldest.and_then(|token| open.remove(&token));
        }
        open.insert(token.digest(), Session { key, until: now + Duration::from_secs(LASTS_S) });
        Ok(self.set(token.reveal(), LASTS_S))
    }

    /// Ends the session of a request; the `Set-Cookie` that forgets it.
    pub fn close(&self, headers: &HeaderMap) -> String {
        if let Some(token) = self.token(headers) {
            self.sessions().remove(&Digest::of(token.as_bytes()));
        }
        self.set("", 0)
    }

    /// The digest of the key a request's session stands for.
    pub fn key(&self, headers: &HeaderMap) -> Option<Digest> {
        let digest = Digest::of(self.token(headers)?.as_bytes());
        self.sessions().get(&digest).filter(|session| session.until > Instant::now()).map(|session| session.key)
    }

    fn token<'h>(&self, headers: &'h HeaderMap) -> Option<&'h str> {
        let lines = headers.get_all(header::COOKIE).filter_map(|value| value.to_str().ok());
        let mut pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(name, value)| *name == self.cookie && !value.is_empty()).map(|(_, value)| value)
    }

    /// No script reads it, no other site's page sends it.
    fn set(&self, token: &str, seconds: u64) -> String {
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{}={token}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}", self.cookie)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(set_cookie: &str) -> HeaderMap {
        let pair = set_cookie.split(';').next().unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(header::COOKIE, format!("a=b; {pair}; c").parse().unwrap());
        headers
    }

    #[test]
    fn a_session_is_found_by_its_cookie_until_it_is_closed() {
        let sessions = Sessions::new(8000, false);
        let key = Digest::of(b"key");
        let first = headers(&sessions.open(key).unwrap());
        assert_eq!(sessions.key(&first), Some(key));
        assert_eq!(Sessions::new(8000, false).key(&first), None);
        assert_eq!(sessions.key(&HeaderMap::new()), None);
        sessions.close(&first);
        assert_eq!(sessions.key(&first), None);
    }

    #[test]
    fn there_are_never_more_than_so_many() {
        let sessions = Sessions::new(1, true);
        let first = headers(&sessions.open(Digest::of(b"0")).unwrap());
        for _ in 0..SESSIONS_MAX {
            sessions.open(Digest::of(b"1")).unwrap();
        }
        assert_eq!(sessions.key(&first), None);
        assert_eq!(sessions.sessions().len(), SESSIONS_MAX);
    }
}
