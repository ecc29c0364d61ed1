//! Activities: the only code that touches the outside world.
//!
//! An activity is called at least once for an attempt, with an idempotency key that is the same for all attempts.
//! It reports how it failed by kind; whether it is called again is the kernel's decision.

mod allow;
mod chaos;
mod http;
pub mod portal;
mod simulated;
mod sum_numbers;
mod validate;

use std::collections::BTreeMap;
use std::sync::Arc;

pub use allow::Allow;
pub use chaos::{Chaos, ChaosMode};
pub(crate) use http::new_client;
pub use http::{HttpActivity, SettingError, check_url};
pub use simulated::{DECLINED, Simulated};
pub use sum_numbers::SumNumbers;
pub use validate::{Receive, Validate};

use futures_util::future::LocalBoxFuture;
use serde_json::Value;

use crate::kernel::ActivityCall;
use crate::model::Failure;
use crate::workflows::{job, order::activity, shipping};

/// Something a workflow can have done. Shared by the arbiters of a pool; each call runs on one of them, so its future
/// need not be `Send`. It must not block, and is dropped when its timeout is over.
pub trait Activity: Send + Sync {
    fn call(&self, call: ActivityCall) -> LocalBoxFuture<'static, Result<Value, Failure>>;
}

/// All activities of a process, by name. One that is not here is for outside workers.
#[derive(Clone, Default)]
pub struct Activities {
    by_name: BTreeMap<String, Arc<dyn Activity>>,
}

impl Activities {
    /// Adds an activity under its name, in place of one of the same name.
    pub fn add(&mut self, name: impl Into<String>, activity: Arc<dyn Activity>) -> &mut Self {
        self.by_name.insert(name.into(), activity);
        self
    }

    pub fn get(&self, name: &str) -> Option<&Arc<dyn Activity>> {
        self.by_name.get(name)
    }

    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(String::as_str)
    }
}

/// Where one activity is done.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ActivitySettings {
    /// The address to call; simulated in the process where there is none.
    pub url: Option<String>,
    /// Not done by this process at all: outside workers poll for it.
    pub outside: bool,
    /// Sent with each call.
    pub headers: BTreeMap<String, String>,
}

/// Where the services outside are that activities of tasks call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// Where the invoice portal's `/login` and `/invoices` are.
    pub portal_url: String,
}

/// Why the activities cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SetupError {
    #[error("activities.{activity}: {error}")]
    Setting { activity: String, error: SettingError },
    #[error("activities.{0}: has no url; it is done within the process")]
    NoUrl(String),
    #[error("activities.{0}: has a url, and is said to be done outside")]
    UrlOutside(String),
    #[error("the activity {0} of a type of task has the name of another")]
    Taken(String),
    #[error("activities.{0}: there is no such activity")]
    Unknown(String),
}

/// The activities that reach outside, and the field of the result that carries a reference.
const OUTSIDE: [(&str, &str); 4] = [
    (activity::CHARGE, "charge_ref"),
    (activity::REFUND, "refund_ref"),
    (shipping::PREPARE, "package_ref"),
    (shipping::DISPATCH, "carrier_ref"),
];

/// Whether there is an activity of this name in the product itself.
pub fn is_built_in(name: &str) -> bool {
    let inside = [activity::RECEIVE, activity::VALIDATE, job::SUM];
    inside.contains(&name) || OUTSIDE.iter().any(|(known, _)| *known == name)
}

/// The activities of orders and jobs, over HTTP where an address is set, simulated otherwise; those of tasks; chaos around
/// all of them.
///
/// # Errors
/// [`SetupError`] names the activity whose settings cannot be used.
pub fn build(
    settings: &BTreeMap<String, ActivitySettings>,
    of_tasks: Vec<(&'static str, Arc<dyn Activity>)>,
    chaos: Chaos,
) -> Result<Activities, SetupError> {
    let mut inside: Vec<(&str, Arc<dyn Activity>)> = vec![
        (activity::RECEIVE, Arc::new(Receive)),
        (activity::VALIDATE, Arc::new(Validate)),
        (job::SUM, Arc::new(SumNumbers)),
    ];
    if let Some((taken, _)) = of_tasks.iter().find(|(name, _)| {
        OUTSIDE.iter().map(|(known, _)| known).chain(inside.iter().map(|(known, _)| known)).any(|known| known == name)
    }) {
        return Err(SetupError::Taken((*taken).to_owned()));
    }
    inside.extend(of_tasks);
    for (name, setting) in settings {
        if setting.outside {
            if setting.url.is_some() {
                return Err(SetupError::UrlOutside(name.clone()));
            }
            continue;
        }
        let outside = OUTSIDE.iter().any(|(known, _)| known == name);
        if !outside && !inside.iter().any(|(known, _)| known == name) {
            return Err(SetupError::Unknown(name.clone()));
        }
        if !outside && setting.url.is_some() {
            return Err(SetupError::NoUrl(name.clone()));
        }
    }
    let mut activities = Activities::default();
    let mut add = |name: &str, inner: Arc<dyn Activity>| {
        if settings.get(name).is_some_and(|setting| setting.outside) {
            return;
        }
        let chaotic = chaos.mode != ChaosMode::Off;
        activities.add(name, if chaotic { Arc::new(chaos::Chaotic { inner, chaos }) } else { inner });
    };
    for (name, activity) in inside {
        add(name, activity);
    }
    for (name, reference) in OUTSIDE {
        let setting = settings.get(name);
        match setting.and_then(|s| s.url.as_deref().map(|url| (url, &s.headers))) {
            None => add(name, Arc::new(Simulated { reference })),
            Some((url, headers)) => {
                let http = HttpActivity::new(url, headers);
                let named = |error| SetupError::Setting { activity: name.to_owned(), error };
                add(name, Arc::new(http.map_err(named)?));
            }
        }
    }
    Ok(activities)
}
