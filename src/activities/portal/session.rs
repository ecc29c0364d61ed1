//! Logins of tasks: one token a task, shared by all its calls, got by one login at a time.
//!
//! Tokens live here and nowhere else: not in an input or a result, so in no history, and never on disk. After a restart
//! the first call logs in again.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::model::Failure;

/// Tasks whose tokens are kept; beyond it those go that are not in use.
const SESSIONS_MAX: usize = 256;

/// What a login gives.
#[derive(Deserialize)]
pub struct Grant {
    token: String,
    /// In seconds.
    #[serde(default)]
    expires_in: Option<f64>,
}

impl Grant {
    /// Whether the token can be sent in a header.
    pub fn is_usable(&self) -> bool {
        !self.token.is_empty() && self.token.bytes().all(|b| b.is_ascii_graphic())
    }
}

#[derive(Clone)]
pub struct Token {
    pub text: Arc<str>,
    /// Which login it is from.
    login: u64,
    until: Option<Instant>,
}

impl Token {
    fn holds(&self) -> bool {
        self.until.is_none_or(|until| Instant::now() < until)
    }
}

#[derive(Default)]
pub struct Sessions(Mutex<HashMap<String, Arc<Session>>>);

impl Sessions {
    pub fn of(&self, task: &str) -> Arc<Session> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(session) = all.get(task) {
            return Arc::clone(session);
        }
        if all.len() >= SESSIONS_MAX {
            all.retain(|_, session| Arc::strong_count(session) > 1);
        }
        Arc::clone(all.entry(task.to_owned()).or_default())
    }
}

#[derive(Default)]
pub struct Session {
    state: tokio::sync::Mutex<State>,
    /// Logins that have ended, well or not.
    logins: AtomicU64,
}

#[derive(Default)]
struct State {
    token: Option<Token>,
    /// How the last login failed, if it did.
    failure: Option<Failure>,
}

impl Session {
    /// A token that holds and is not the `stale` one; logs in for it if need be. Whoever waited for a login of another
    /// call shares its outcome: a refusal, or a word to come back later, is not asked for again by each of them.
    ///
    /// # Errors
    /// How the login failed.
    pub async fn token<F>(&self, stale: Option<&Token>, log_in: impl FnOnce() -> F) -> Result<Token, Failure>
    where
        F: Future<Output = Result<Grant, Failure>>,
    {
        let seen = self.logins.load(Ordering::Acquire);
        let mut state = self.state.lock().await;
        let good = |token: &&Token| token.holds() && stale.is_none_or(|stale| stale.login != token.login);
        if let Some(token) = state.token.as_ref().filter(good) {
            return Ok(token.clone());
        }
        if let Some(failure) = state.failure.as_ref().filter(|_| self.logins.load(Ordering::Acquire) > seen) {
            return Err(failure.clone());
        }
        let granted = log_in().await;
        let login = self.logins.fetch_add(1, Ordering::AcqRel) + 1;
        match granted {
            Ok(Grant { token, expires_in }) => {
                let lasts = expires_in.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
                let until = lasts.and_then(|lasts| Instant::now().checked_add(lasts));
                let token = Token { text: token.into(), login, until };
                *state = State { token: Some(token.clone()), failure: None };
                Ok(token)
            }
            Err(failure) => {
                *state = State { token: None, failure: Some(failure.clone()) };
                Err(failure)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use futures_util::future::join_all;

    use super::*;
    use crate::model::FailureKind;

    fn grant(text: &str, expires_in: Option<f64>) -> Grant {
        Grant { token: text.to_owned(), expires_in }
    }

    #[actix_rt::test]
    async fn one_login_serves_all_who_wait_for_it_and_a_failed_one_is_shared() {
        let (session, logins) = (Session::default(), Cell::new(0));
        let log_in = |good: bool| {
            let logins = &logins;
            async move {
                logins.set(logins.get() + 1);
                tokio::task::yield_now().await;
                if good { Ok(grant("t", None)) } else { Err(Failure::new(FailureKind::RateLimited, "later")) }
            }
        };
        let failed = join_all((0..10).map(|_| session.token(None, || log_in(false)))).await;
        assert!(failed.iter().all(Result::is_err));
        assert_eq!(logins.get(), 1);
        let got = join_all((0..10).map(|_| session.token(None, || log_in(true)))).await;
        assert!(got.iter().all(Result::is_ok));
        assert_eq!(logins.get(), 2);
        // One by one, several find that it is stale: one of them logs in.
        let stale = got[0].as_ref().unwrap();
        let again = join_all((0..10).map(|_| session.token(Some(stale), || log_in(true)))).await;
        assert!(again.iter().all(|token| token.as_ref().is_ok_and(|token| token.login == 3)));
        assert_eq!(logins.get(), 3);
    }

    #[actix_rt::test]
    async fn a_token_is_not_used_beyond_its_time() {
        let session = Session::default();
        let first = session.token(None, || async { Ok(grant("a", Some(0.0))) }).await.unwrap();
        let second = session.token(None, || async { Ok(grant("b", Some(60.0))) }).await.unwrap();
        assert_eq!((&*first.text, &*second.text), ("a", "b"));
        assert!(!grant("a\nb", None).is_usable() && !grant("", None).is_usable());
    }

    #[test]
    fn only_sessions_in_use_are_kept_beyond_the_bound() {
        let sessions = Sessions::default();
        let held = sessions.of("held");
        for n in 0..SESSIONS_MAX * 2 {
            sessions.of(&n.to_string());
        }
        assert!(sessions.0.lock().unwrap().len() <= SESSIONS_MAX);
        assert!(Arc::ptr_eq(&held, &sessions.of("held")));
    }
}
