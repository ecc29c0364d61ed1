//! Keys and run ids one after another, so that a story is the same each time.

use std::cell::Cell;

use ordain::kernel::IdSource;
use ordain::model::{Key, RunId};

#[derive(Default, Clone)]
pub struct Ids(Cell<u64>);

impl IdSource for Ids {
    fn key(&self) -> Key {
        self.0.set(self.0.get() + 1);
        Key(self.0.get() as i64)
    }
    fn run_id(&self) -> RunId {
        self.0.set(self.0.get() + 1);
        RunId(uuid::Uuid::from_u64_pair(7, self.0.get()))
    }
}
