//! The outside world: a payment gateway, a warehouse and a carrier over real HTTP, as strict as Stripe and as
//! unreliable as the seed says, with a ledger of what really happened.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::future::FutureExt;
use serde_json::{Value, json};

use super::faults::{Fault, Faults};
use super::ledger::{Kind, Ledger};
use super::moments::{Moment, Trap};
use super::wire::{Host, Reply, Request};

pub struct World {
    host: Host,
    shared: Arc<Shared>,
}

struct Shared {
    faults: Mutex<Faults>,
    ledger: Mutex<Ledger>,
    /// Keys of requests under way: a second one at the same time is a conflict.
    under_way: Mutex<BTreeSet<String>>,
    trap: Trap,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl World {
    pub fn start(faults: Faults) -> Self {
        let shared = Arc::new(Shared {
            faults: Mutex::new(faults),
            ledger: Mutex::default(),
            under_way: Mutex::default(),
            trap: Trap::default(),
        });
        let (inner, told) = (Arc::clone(&shared), Arc::clone(&shared));
        let replied = move |request: &Request| {
            if let Some(kind) = kind(request) {
                told.trap.tell(Moment::Replied(kind));
            }
        };
        let host = Host::watched(move |request| answer(Arc::clone(&inner), request).boxed(), replied);
        Self { host, shared }
    }

    pub fn url(&self, kind: Kind) -> String {
        self.host.url(kind.path())
    }

    /// The environment that makes a server call this world.
    pub fn env(&self) -> Vec<(String, String)> {
        let name = |kind| match kind {
            Kind::Charge => "CHARGE_PAYMENT",
            Kind::Refund => "REFUND_PAYMENT",
            Kind::Prepare => "PREPARE_PACKAGE",
            Kind::Dispatch => "DISPATCH_CARRIER",
        };
        Kind::ALL.map(|kind| (format!("ORDAIN_ACTIVITIES__{}__URL", name(kind)), self.url(kind))).into()
    }

    pub fn set_faults(&self, faults: Faults) {
        *lock(&self.shared.faults) = faults;
    }

    /// Where it tells its moments.
    pub fn trap(&self) -> Trap {
        self.shared.trap.clone()
    }

    /// Refuses connections, and cuts those that are open.
    pub fn down(&self) {
        self.host.down();
    }

    pub fn up(&self) {
        self.host.up();
    }

    /// The books as they are now.
    pub fn ledger(&self) -> Ledger {
        lock(&self.shared.ledger).clone()
    }
}

/// Holds a key while its request is under way.
struct Claim(Arc<Shared>, String);

impl Claim {
    fn take(shared: &Arc<Shared>, key: &str) -> Option<Self> {
        let free = lock(&shared.under_way).insert(key.to_owned());
        free.then(|| Self(Arc::clone(shared), key.to_owned()))
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        lock(&self.0.under_way).remove(&self.1);
    }
}

fn reply(status: u16, body: &Value) -> Reply {
    Reply::new(status, body.to_string()).with("content-type", "application/json")
}

fn wrong(shared: &Shared, what: &str) -> Reply {
    lock(&shared.ledger).violation(what.to_owned());
    reply(400, &json!({ "error": what }))
}

fn kind(request: &Request) -> Option<Kind> {
    Kind::ALL.into_iter().find(|kind| kind.path() == request.path && request.method == "POST")
}

async fn answer(shared: Arc<Shared>, request: Request) -> Reply {
    let Some(kind) = kind(&request) else {
        return reply(404, &json!({"error": "there is nothing here"}));
    };
    let Some(key) = request.headers.get("idempotency-key").cloned() else {
        return wrong(&shared, "a request without an idempotency key");
    };
    let Ok(input) = serde_json::from_slice::<Value>(&request.body) else {
        return wrong(&shared, "a request whose body is not JSON");
    };
    let Some(order) = input["order_id"].as_str() else {
        return wrong(&shared, "a request without an order_id");
    };
    shared.trap.tell(Moment::Received(kind));
    let n = lock(&shared.ledger).asked(order, &key);
    let fault = lock(&shared.faults).draw(&key, n);
    let unavailable = |status| reply(status, &json!({"error": "later"})).with("retry-after", "1");
    match fault {
        Fault::ErrorBefore => return reply(500, &json!({"error": "an error"})),
        Fault::HangBefore => return Reply::Silence,
        Fault::RateLimited => return unavailable(429),
        Fault::Unavailable => return unavailable(503),
        _ => {}
    }
    let Some(_claim) = Claim::take(&shared, &key) else {
        return reply(409, &json!({"error": "a request with this key is under way"}));
    };
    if let Fault::Slow(time) = fault {
        tokio::time::sleep(time).await;
    }
    let (status, body) = lock(&shared.ledger).apply(kind, order, &key, &input);
    shared.trap.tell(Moment::Done(kind));
    match fault {
        Fault::ErrorAfter => reply(500, &json!({"error": "an error, but it is done"})),
        Fault::LostReply => Reply::Close,
        Fault::TornReply => Reply::Torn { status, body: body.to_string().into_bytes() },
        Fault::HangAfter => Reply::Silence,
        Fault::Garbage => Reply::new(200, "<html>all is well</html>"),
        _ => reply(status, &body),
    }
}
