//! Who may do what: API keys, their scopes, the owner a key may be bound to.
//!
//! Pure: no SQL, no HTTP, no clock. The only thing that comes from outside is the randomness of a new key.

mod key;
mod ring;
mod scope;

pub use key::{Digest, Key, KeyId, NAME_CHARS_MAX, RandomError, Secret, check_name, new_id};
pub use ring::{KEYS_MAX, KeyChange, Ring};
pub use scope::{Scope, Scopes};

/// Whose orders a key sees and starts.
pub type Owner = std::sync::Arc<str>;
