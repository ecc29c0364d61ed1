//! `gdt_invoice_import`: the machine is in `workflows::invoice_import`, what touches the portal in `activities::portal`.

use std::sync::Arc;

use super::TaskTypes;
use crate::activities::Activity;
use crate::activities::portal::{FetchInvoice, ListInvoices, Portal};
use crate::workflows::invoice_import::{FETCH, InvoiceBatch, InvoiceImport, LIST};

pub(super) fn register(types: &mut TaskTypes) {
    types.add_flow::<InvoiceImport>().add_kind::<InvoiceBatch>().outside_activities(|outside| {
        // One portal for both: they share its logins.
        let portal = Arc::new(Portal::new(&outside.portal_url));
        let list: Arc<dyn Activity> = Arc::new(ListInvoices(Arc::clone(&portal)));
        vec![(LIST, list), (FETCH, Arc::new(FetchInvoice(portal)))]
    });
}
