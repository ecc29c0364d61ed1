//! The engine's place behind the door: taken while this process owns the database, empty while it stands by.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use super::problem::Problem;
use crate::access::{Key, Ring};
use crate::runtime::Engine;

/// Cheap to clone; shared by the server and whoever runs it.
#[derive(Clone)]
pub struct Seat(Arc<RwLock<Place>>);

struct Place {
    sitting: Sitting,
    /// The keys of the database, once they were read.
    keys: Option<Arc<Ring>>,
}

enum Sitting {
    Engine(Engine),
    Empty { code: &'static str, why: Cow<'static, str> },
}

impl Default for Seat {
    fn default() -> Self {
        let sitting = Sitting::Empty { code: "not_ready", why: "the engine is not running".into() };
        Self(Arc::new(RwLock::new(Place { sitting, keys: None })))
    }
}

impl Seat {
    pub fn fill(&self, engine: Engine) {
        let mut place = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *place = Place { keys: Some(Arc::clone(engine.keys())), sitting: Sitting::Engine(engine) };
    }

    /// The keys of a database that another process owns.
    pub fn know(&self, keys: Vec<Key>) {
        self.0.write().unwrap_or_else(PoisonError::into_inner).keys = Some(Arc::new(Ring::of(keys)));
    }

    /// Takes the engine away; requests are answered 503 with this code (`standby`, `database_unavailable`) and reason.
    pub fn clear(&self, code: &'static str, why: impl Into<Cow<'static, str>>) {
        let sitting = Sitting::Empty { code, why: why.into() };
        self.0.write().unwrap_or_else(PoisonError::into_inner).sitting = sitting;
    }

    /// The keys of the database; `None`: it was never seen.
    pub fn keys(&self) -> Option<Arc<Ring>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).keys.clone()
    }

    /// The engine, where there is one and nobody else can own its database at this moment.
    pub fn engine(&self) -> Result<Engine, Problem> {
        match &self.0.read().unwrap_or_else(PoisonError::into_inner).sitting {
            Sitting::Engine(engine) if engine.owns_database() => Ok(engine.clone()),
            Sitting::Engine(_) => {
                Err(Problem::unavailable("database_unavailable", "the lease on the database could not be renewed"))
            }
            Sitting::Empty { code, why } => Err(Problem::unavailable(code, why.clone())),
        }
    }
}
