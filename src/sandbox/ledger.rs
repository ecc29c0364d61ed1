//! The books: what was decided under each key, and what really happened to each order, whatever anybody was told.
//!
//! Pure memory, bounded; who answers and who writes the file is elsewhere. A record is applied once for a key.

use std::collections::HashMap;
use std::sync::Arc;

use serde::Serialize;

use super::now;
use super::record::{Intent, Kind, Record};

/// Keys the ledger has room for.
pub const KEYS_MAX: usize = 1_000_000;

/// Sums over the ledger, or over one order of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    pub charges: u64,
    pub refunds: u64,
    pub packages: u64,
    pub dispatches: u64,
    /// Charges of a payment or an order that a charge stood for already.
    pub double_charges: u64,
    /// Dispatches of an order that was dispatched already.
    pub double_dispatches: u64,
    /// Refunds where no charge stood.
    pub stray_refunds: u64,
    /// Declined cards and refused addresses.
    pub refusals: u64,
    /// Requests, however often each was sent.
    pub requests: u64,
    /// Requests that a fault befell.
    pub faults: u64,
}

/// Why a request gets no further.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stopped {
    /// The key was used for another request.
    KeyReused,
    /// The first request with this key is being done.
    UnderWay,
    Full,
}

/// A request that goes on.
#[derive(Debug)]
pub struct Begun {
    /// Its number among those with its key, from 1.
    pub attempt: u32,
    /// What was decided for its key before. Without it the key is held until it is decided or released.
    pub decided: Option<Arc<Record>>,
}

#[derive(Debug)]
enum Step {
    Open,
    UnderWay,
    Decided(Arc<Record>),
}

#[derive(Debug)]
struct Entry {
    request: Box<str>,
    attempts: u32,
    step: Step,
}

#[derive(Debug, Default)]
struct Account {
    totals: Totals,
    /// Places in the list of records.
    records: Vec<u32>,
}

#[derive(Debug, Default)]
struct Standing {
    charges: u64,
    refunds: u64,
}

#[derive(Debug, Default)]
pub struct Ledger {
    keys: HashMap<Arc<str>, Entry>,
    /// In the order of happening, each with whether it was done already.
    records: Vec<(Arc<Record>, bool)>,
    accounts: HashMap<Arc<str>, Account>,
    payments: HashMap<Arc<str>, Standing>,
    totals: Totals,
    numbers: usize,
}

impl Ledger {
    /// Takes up a request.
    ///
    /// # Errors
    /// [`Stopped`] where it is answered without being done.
    pub fn begin(&mut self, intent: &Intent) -> Result<Begun, Stopped> {
        self.totals.requests += 1;
        let full = self.keys.len() >= KEYS_MAX;
        let entry = match self.keys.get_mut(&intent.key) {
            Some(entry) => entry,
            None if full => return Err(Stopped::Full),
            None => self.keys.entry(Arc::clone(&intent.key)).or_insert_with(|| Entry {
                request: intent.request.clone(),
                attempts: 0,
                step: Step::Open,
            }),
        };
        if entry.request != intent.request {
            return Err(Stopped::KeyReused);
        }
        entry.attempts = entry.attempts.saturating_add(1);
        self.accounts.entry(Arc::clone(&intent.order_id)).or_default().totals.requests += 1;
        let attempt = entry.attempts;
        match &entry.step {
            Step::UnderWay => Err(Stopped::UnderWay),
            Step::Decided(record) => Ok(Begun { attempt, decided: Some(Arc::clone(record)) }),
            Step::Open => {
                entry.step = Step::UnderWay;
                Ok(Begun { attempt, decided: None })
            }
        }
    }

    /// Gives a held key back: nothing was done under it.
    pub fn release(&mut self, key: &str) {
        if let Some(entry) = self.keys.get_mut(key)
            && matches!(entry.step, Step::UnderWay)
        {
            entry.step = Step::Open;
        }
    }

    /// Decides about a request whose key is held. It is done when it is applied.
    pub fn decide(&mut self, intent: Intent) -> Record {
        self.numbers += 1;
        Record::decide(intent, self.numbers, now())
    }

    /// Does what was decided. False where something was decided under its key before.
    pub fn apply(&mut self, record: Arc<Record>) -> bool {
        let fresh = || Entry { request: record.request.clone(), attempts: 0, step: Step::Open };
        let entry = self.keys.entry(Arc::clone(&record.key)).or_insert_with(fresh);
        if matches!(entry.step, Step::Decided(_)) {
            return false;
        }
        entry.step = Step::Decided(Arc::clone(&record));
        // A key has one record at most, and keys are bounded.
        let place = u32::try_from(self.records.len()).unwrap_or(u32::MAX);
        let account = self.accounts.entry(Arc::clone(&record.order_id)).or_default();
        account.records.push(place);
        let double = book(&record, &mut account.totals, &mut self.totals, &mut self.payments);
        self.records.push((record, double));
        self.numbers = self.numbers.max(self.records.len());
        true
    }

    /// Counts a fault that befell a request of the order.
    pub fn fault(&mut self, order_id: &str) {
        self.totals.faults += 1;
        if let Some(account) = self.accounts.get_mut(order_id) {
            account.totals.faults += 1;
        }
    }

    /// Of everything, or of one order.
    pub fn totals(&self, order_id: Option<&str>) -> Totals {
        match order_id {
            None => self.totals,
            Some(order) => self.accounts.get(order).map(|account| account.totals).unwrap_or_default(),
        }
    }

    /// Records so far.
    pub fn len(&self) -> usize {
        self.records.len()
    }

    /// Records by their places, what was done of this kind among them.
    pub fn range(&self, places: std::ops::Range<usize>, kind: Kind) -> impl Iterator<Item = (&Arc<Record>, bool)> {
        let records = self.records.get(places).unwrap_or_default();
        records.iter().filter(move |(r, _)| r.kind == kind && r.is_done()).map(|(record, double)| (record, *double))
    }

    /// What was done of this kind for an order.
    pub fn of_order(&self, order_id: &str, kind: Kind) -> impl Iterator<Item = (&Arc<Record>, bool)> {
        let places = self.accounts.get(order_id).map(|account| account.records.as_slice()).unwrap_or_default();
        places.iter().flat_map(move |place| {
            let place = *place as usize;
            self.range(place..place + 1, kind)
        })
    }
}

/// Books a record for its order, its payment and the whole. True where it was done already.
fn book(
    record: &Record,
    account: &mut Totals,
    totals: &mut Totals,
    payments: &mut HashMap<Arc<str>, Standing>,
) -> bool {
    let mut both = |add: fn(&mut Totals)| {
        add(account);
        add(totals);
        *account
    };
    if !record.is_done() {
        both(|t| t.refusals += 1);
        return false;
    }
    let mut none = Standing::default();
    let payment = match &record.payment {
        Some(payment) => payments.entry(Arc::clone(&payment.payment_id)).or_default(),
        None => &mut none,
    };
    match record.kind {
        Kind::Charge => {
            let order = both(|t| t.charges += 1);
            payment.charges += 1;
            let double = payment.charges > payment.refunds + 1 || order.charges > order.refunds + 1;
            if double {
                both(|t| t.double_charges += 1);
            }
            double
        }
        Kind::Refund => {
            let order = both(|t| t.refunds += 1);
            payment.refunds += 1;
            let stray = payment.refunds > payment.charges || order.refunds > order.charges;
            if stray {
                both(|t| t.stray_refunds += 1);
            }
            stray
        }
        Kind::Prepare => {
            both(|t| t.packages += 1);
            false
        }
        Kind::Dispatch => {
            let double = both(|t| t.dispatches += 1).dispatches > 1;
            if double {
                both(|t| t.double_dispatches += 1);
            }
            double
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sandbox::record::Payment;

    fn intent(kind: Kind, order: &str, key: &str) -> Intent {
        let payment = Payment { payment_id: format!("pay-{order}").into(), amount: "1".into(), currency: "USD".into() };
        Intent {
            kind,
            key: key.into(),
            request: format!("{kind:?} {order}").into(),
            order_id: order.into(),
            payment: kind.is_payment().then_some(payment),
            shipment_id: None,
            address: None,
            nowhere: false,
        }
    }

    fn done(ledger: &mut Ledger, kind: Kind, order: &str, key: &str) {
        let intent = intent(kind, order, key);
        ledger.begin(&intent).unwrap();
        let record = ledger.decide(intent);
        assert!(ledger.apply(Arc::new(record)));
    }

    #[test]
    fn a_key_is_held_decided_once_and_bound_to_its_request() {
        let mut ledger = Ledger::default();
        let charge = intent(Kind::Charge, "o-1", "k-1");
        assert_eq!(ledger.begin(&charge).unwrap().attempt, 1);
        assert_eq!(ledger.begin(&charge).unwrap_err(), Stopped::UnderWay);
        ledger.release("k-1");
        assert_eq!(ledger.begin(&charge).unwrap().attempt, 3);
        let record = Arc::new(ledger.decide(charge.clone()));
        assert!(ledger.apply(Arc::clone(&record)));
        assert!(!ledger.apply(record));
        assert!(ledger.begin(&charge).unwrap().decided.is_some());
        assert_eq!(ledger.begin(&intent(Kind::Refund, "o-1", "k-1")).unwrap_err(), Stopped::KeyReused);
        assert_eq!((ledger.totals(None).charges, ledger.totals(None).requests), (1, 5));
    }

    #[test]
    fn what_is_done_twice_is_counted_and_a_refund_makes_room_for_a_charge() {
        let mut ledger = Ledger::default();
        for (kind, key) in [(Kind::Charge, "1"), (Kind::Refund, "2"), (Kind::Charge, "3"), (Kind::Dispatch, "4")] {
            done(&mut ledger, kind, "o-1", key);
        }
        assert_eq!((ledger.totals(None).double_charges, ledger.totals(None).double_dispatches), (0, 0));
        done(&mut ledger, Kind::Charge, "o-1", "5");
        done(&mut ledger, Kind::Dispatch, "o-1", "6");
        done(&mut ledger, Kind::Refund, "o-2", "7");
        let totals = ledger.totals(Some("o-1"));
        assert_eq!((totals.double_charges, totals.double_dispatches, totals.stray_refunds), (1, 1, 0));
        assert_eq!(ledger.totals(Some("o-2")).stray_refunds, 1);
        assert_eq!(
            ledger.of_order("o-1", Kind::Charge).map(|(_, double)| double).collect::<Vec<_>>(),
            [false, false, true]
        );
        assert_eq!(ledger.range(0..ledger.len(), Kind::Refund).count(), 2);
        assert_eq!(ledger.totals(Some("nobody")), Totals::default());
    }
}
