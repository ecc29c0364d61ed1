//! The engine's place behind the door: taken while this process owns the database, empty while it stands by.

use std::borrow::Cow;
use std::sync::{Arc, PoisonError, RwLock};

use super::problem::Problem;
use crate::runtime::Engine;

/// Cheap to clone; shared by the server and whoever runs it.
#[derive(Clone)]
pub struct Seat(Arc<RwLock<Sitting>>);

#[derive(Clone)]
enum Sitting {
    Engine(Engine),
    Empty { code: &'static str, why: Cow<'static, str> },
}

impl Default for Seat {
    fn default() -> Self {
        Self(Arc::new(RwLock::new(Sitting::Empty { code: "not_ready", why: "the engine is not running".into() })))
    }
}

impl Seat {
    pub fn fill(&self, engine: Engine) {
        self.set(Sitting::Engine(engine));
    }

    /// Takes the engine away; requests are answered 503 with this code (`standby`, `database_unavailable`) and reason.
    pub fn clear(&self, code: &'static str, why: impl Into<Cow<'static, str>>) {
        self.set(Sitting::Empty { code, why: why.into() });
    }

    fn set(&self, sitting: Sitting) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = sitting;
    }

    /// The engine, where there is one and nobody else can own its database at this moment.
    pub fn engine(&self) -> Result<Engine, Problem> {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Sitting::Engine(engine) if engine.owns_database() => Ok(engine.clone()),
            Sitting::Engine(_) => {
                Err(Problem::unavailable("database_unavailable", "the lease on the database could not be renewed"))
            }
            Sitting::Empty { code, why } => Err(Problem::unavailable(code, why.clone())),
        }
    }
}
