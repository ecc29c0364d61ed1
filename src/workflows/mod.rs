//! The kinds of workflow that come with ordain, one folder each. Pure: facts, decisions and wishes, no I/O.

pub mod invoice_import;
pub mod job;
pub mod order;
pub mod shipping;
pub mod task;

use crate::kernel::Registry;

/// A registry of all built-in kinds.
pub fn registry() -> Registry {
    let mut registry = Registry::default();
    registry.add::<order::Order>().add::<shipping::Shipment>().add::<job::Job>();
    registry
}
