//! The gate: each request shows a key, or a session that stands for one, and is let in by the rule of its route.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::{RequestHead, ServiceRequest};
use actix_web::http::header::{self, HeaderMap};
use actix_web::http::{Method, StatusCode};
use governor::clock::{Clock as _, DefaultClock};
use governor::state::keyed::HashMapStateStore;
use governor::{Quota, RateLimiter};

use super::hosts::Hosts;
use super::session::Sessions;
use super::{Asker, Rule};
use crate::access::{Digest, Key, KeyId, Ring};
use crate::http::origin::is_same_origin;
use crate::http::problem::Problem;
use crate::http::{Seat, ServerOptions};

type Limiter = RateLimiter<KeyId, HashMapStateStore<KeyId>, DefaultClock>;

/// A key that was shown, and how.
struct Shown {
    digest: Digest,
    by_session: bool,
}

/// Why a request is not let in.
pub struct Refusal {
    pub problem: Problem,
    /// The key that was shown, where it is a valid one that allows too little.
    pub key: Option<Arc<Key>>,
}

impl From<Problem> for Box<Refusal> {
    fn from(problem: Problem) -> Self {
        Self::new(Refusal { problem, key: None })
    }
}

pub struct Gate {
    /// Keys out of the configuration.
    configured: Ring,
    pub sessions: Sessions,
    /// So many requests a second for each key.
    limiter: Option<Limiter>,
    hosts: Hosts,
    /// Whether all are let in while it is not known yet whether the database has keys.
    trusting: bool,
}

impl Gate {
    pub fn new(options: &ServerOptions) -> Self {
        let quota = |n: NonZeroU32| RateLimiter::hashmap(Quota::per_second(n));
        Self {
            configured: Ring::of(options.keys.iter().cloned()),
            sessions: Sessions::new(options.bind.port(), options.tls.is_some()),
            limiter: options.requests_per_second_per_key.map(quota),
            hosts: Hosts::new(options.bind.ip(), &options.allowed_hosts),
            trusting: options.bind.ip().is_loopback() || options.insecure,
        }
    }

    /// Whether anything needs a key.
    pub fn is_closed(&self, seat: &Seat) -> bool {
        !self.configured.is_empty() || seat.keys().is_some_and(|ring| !ring.is_empty())
    }

    /// The valid key of a digest.
    pub fn find(&self, seat: &Seat, digest: &Digest) -> Option<Arc<Key>> {
        self.configured.find(digest).or_else(|| seat.keys()?.find(digest))
    }

    /// The keys of the configuration.
    pub fn configured(&self) -> &Ring {
        &self.configured
    }

    /// Refuses what came under a name that is not ours.
    ///
    /// # Errors
    /// A 421.
    fn check_host(&self, head: &RequestHead) -> Result<(), Problem> {
        if self.hosts.answers(head) {
            return Ok(());
        }
        let why = "this server does not answer under the name it was asked by; allowed_hosts names others";
        Err(Problem::new(StatusCode::MISDIRECTED_REQUEST, "host_not_allowed", why))
    }

    /// Lets a request in, or says why not.
    ///
    /// # Errors
    /// 401, 403, 429; 503 while it is not known which keys there are.
    pub fn admit(&self, seat: &Seat, rule: Rule, req: &ServiceRequest) -> Result<Asker, Box<Refusal>> {
        self.check_host(req.head())?;
        let shown = self.shown(req.headers());
        let known = seat.keys();
        if self.configured.is_empty() && known.as_ref().map_or(self.trusting, |ring| ring.is_empty()) {
            return Ok(Asker::Anyone);
        }
        let key = shown.as_ref().and_then(|shown| self.find(seat, &shown.digest));
        let Some(scope) = rule.scope else { return Ok(key.map_or(Asker::Nobody, Asker::Key)) };
        let Some(key) = key else {
            if known.is_none() && (shown.is_some() || self.configured.is_empty()) {
                let not_yet = || Problem::unavailable("not_ready", "it is not known yet which keys there are");
                return Err(seat.engine().err().unwrap_or_else(not_yet).into());
            }
            return Err(unauthorized(shown.is_some()).into());
        };
        let acts = !matches!(*req.method(), Method::GET | Method::HEAD | Method::OPTIONS);
        // A cookie comes along by itself: what acts must come from one of our own pages.
        if acts && shown.is_some_and(|shown| shown.by_session) && !is_same_origin(req.headers()) {
            return Err(Problem::cross_origin().into());
        }
        self.limit(&key.id)?;
        if !key.scopes.allows(scope) {
            return Err(forbidden(key, format!("this key lacks the scope {}", scope.as_str())));
        }
        if key.owner.is_some() && !rule.for_owners {
            let why = "this key is bound to an owner; what concerns all orders is not for it";
            return Err(forbidden(key, why.to_owned()));
        }
        Ok(Asker::Key(key))
    }

    fn shown(&self, headers: &HeaderMap) -> Option<Shown> {
        if let Some(value) = headers.get(header::AUTHORIZATION) {
            let (scheme, secret) = value.to_str().ok()?.split_once(' ')?;
            let digest = Digest::of(secret.trim().as_bytes());
            return scheme.eq_ignore_ascii_case("bearer").then_some(Shown { digest, by_session: false });
        }
        Some(Shown { digest: self.sessions.key(headers)?, by_session: true })
    }

    fn limit(&self, key: &KeyId) -> Result<(), Problem> {
        let Some(limiter) = &self.limiter else { return Ok(()) };
        limiter.check_key(key).map_err(|until| {
            let wait: Duration = until.wait_time_from(DefaultClock::default().now());
            let seconds = u32::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u32::MAX).max(1);
            let why = "this key has asked too often; see Retry-After";
            let limited = Problem::new(StatusCode::TOO_MANY_REQUESTS, "rate_limited", why);
            Problem { retry_after_s: Some(seconds), ..limited }
        })
    }
}

fn unauthorized(shown: bool) -> Problem {
    let why =
        if shown { "the key is not known, or was revoked" } else { "an API key is needed: Authorization: Bearer …" };
    Problem::new(StatusCode::UNAUTHORIZED, "unauthorized", why)
}

fn forbidden(key: Arc<Key>, why: String) -> Box<Refusal> {
    Box::new(Refusal { problem: Problem::new(StatusCode::FORBIDDEN, "forbidden", why), key: Some(key) })
}
