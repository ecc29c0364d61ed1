//! What both databases have in common: the tables, the rows, and the reading side over a pool of connections.
//!
//! Here are the few places where their SQL differs in reading; writing is each database's own affair.

mod access;
mod connection;
mod error;
mod events;
mod kept;
mod list;
mod queries;
pub mod schema;
mod window;

pub use access::{AuditRow, KeyRow};
pub use connection::{Any, Connect, pool};
pub use error::classify;
pub use kept::make_secret;
pub use queries::SqlQueries;
