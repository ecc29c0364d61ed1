//! All keys of a database in memory, so that a request costs one look. Changed by whoever has made the change durable,
//! and by nobody else: so a revoked key is refused from the next request on.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use super::{Digest, Key};
use crate::model::Timestamp;

/// Keys of one database, those that are revoked included.
pub const KEYS_MAX: usize = 10_000;

/// A change of the keys, to be made durable.
#[derive(Debug, Clone)]
pub enum KeyChange {
    Create(Arc<Key>),
    /// Of one that is revoked already, the first instant stays.
    Revoke {
        id: String,
        at: Timestamp,
    },
}

#[derive(Debug, Default)]
pub struct Ring(RwLock<HashMap<Digest, Arc<Key>>>);

impl Ring {
    pub fn of(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(RwLock::new(keys.into_iter().map(|key| (key.digest, Arc::new(key))).collect()))
    }

    fn keys(&self) -> RwLockReadGuard<'_, HashMap<Digest, Arc<Key>>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are, revoked ones included: a server that had keys stays closed when the last is revoked.
    pub fn len(&self) -> usize {
        self.keys().len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys().is_empty()
    }

    /// The key of a secret, unless it is revoked.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Key>> {
        self.keys().get(digest).filter(|key| key.revoked_at.is_none()).cloned()
    }

    /// Also one that is revoked.
    pub fn by_id(&self, id: &str) -> Option<Arc<Key>> {
        self.keys().values().find(|key| *key.id == *id).cloned()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<Key>> {
        let mut all: Vec<_> = self.keys().values().cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    /// Takes over a change that is durable.
    pub fn apply(&self, change: &KeyChange) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        match change {
            KeyChange::Create(key) => {
                keys.insert(key.digest, Arc::clone(key));
            }
            KeyChange::Revoke { id, at } => {
                if let Some(key) = keys.values_mut().find(|key| *key.id == **id && key.revoked_at.is_none()) {
                    *key = Arc::new(Key { revoked_at: Some(*at), ..Key::clone(key) });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::access::{Scopes, Secret};

    #[test]
    fn a_revoked_key_is_not_found_but_still_counts() {
        let secret = Secret::generate().unwrap();
        let key = Key {
            id: "key-1".into(),
            name: "one".into(),
            digest: secret.digest(),
            scopes: Scopes::default(),
            owner: None,
            created_at: Timestamp(1),
            revoked_at: None,
        };
        let ring = Ring::default();
        assert!(ring.is_empty() && ring.find(&secret.digest()).is_none());
        ring.apply(&KeyChange::Create(Arc::new(key)));
        assert_eq!(ring.find(&secret.digest()).unwrap().id.as_ref(), "key-1");
        for at in [5, 9] {
            ring.apply(&KeyChange::Revoke { id: "key-1".into(), at: Timestamp(at) });
        }
        assert!(ring.find(&secret.digest()).is_none() && !ring.is_empty());
        assert_eq!(ring.by_id("key-1").unwrap().revoked_at, Some(Timestamp(5)));
    }
}
