//! All keys of a database in memory, so that a request costs one look. Changed by whoever has made the change durable:
//! so a revoked key is refused from the next request on. What another process changed is read anew.

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
pub struct Ring(RwLock<Keys>);

#[derive(Debug, Default)]
struct Keys {
    by_digest: HashMap<Digest, Arc<Key>>,
    /// Counts the changes.
    version: u64,
}

impl Keys {
    fn of(keys: impl IntoIterator<Item = Key>, version: u64) -> Self {
        Self { by_digest: keys.into_iter().map(|key| (key.digest, Arc::new(key))).collect(), version }
    }
}

impl Ring {
    pub fn of(keys: impl IntoIterator<Item = Key>) -> Self {
        Self(RwLock::new(Keys::of(keys, 0)))
    }

    fn keys(&self) -> RwLockReadGuard<'_, Keys> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many there are, revoked ones included: a server that had keys stays closed when the last is revoked.
    pub fn len(&self) -> usize {
        self.keys().by_digest.len()
    }

    pub fn is_empty(&self) -> bool {
        self.keys().by_digest.is_empty()
    }

    /// The key of a secret, unless it is revoked.
    pub fn find(&self, digest: &Digest) -> Option<Arc<Key>> {
        self.keys().by_digest.get(digest).filter(|key| key.revoked_at.is_none()).cloned()
    }

    /// Also one that is revoked.
    pub fn by_id(&self, id: &str) -> Option<Arc<Key>> {
        self.keys().by_digest.values().find(|key| *key.id == *id).cloned()
    }

    /// All of them, the oldest first.
    pub fn all(&self) -> Vec<Arc<Key>> {
        let mut all: Vec<_> = self.keys().by_digest.values().cloned().collect();
        all.sort_by(|a, b| (a.created_at, &a.id).cmp(&(b.created_at, &b.id)));
        all
    }

    /// How many there are, and how many of them are revoked.
    pub fn counts(&self) -> (i64, i64) {
        let keys = self.keys();
        let revoked = keys.by_digest.values().filter(|key| key.revoked_at.is_some()).count();
        (keys.by_digest.len() as i64, revoked as i64)
    }

    /// Rises with every change.
    pub fn version(&self) -> u64 {
        self.keys().version
    }

    /// Takes over all keys as they were read, unless they were changed here since `version`: the reading is then too old.
    pub fn replace(&self, read: Vec<Key>, version: u64) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if keys.version == version {
            *keys = Keys::of(read, version + 1);
        }
    }

    /// Takes over a change that is durable.
    pub fn apply(&self, change: &KeyChange) {
        let mut keys = self.0.write().unwrap_or_else(PoisonError::into_inner);
        keys.version += 1;
        let keys = &mut keys.by_digest;
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
        assert_eq!((ring.counts(), ring.version()), ((1, 1), 3));
        ring.replace(Vec::new(), 2);
        assert!(!ring.is_empty(), "a reading that is too old is not taken");
        ring.replace(Vec::new(), 3);
        assert!(ring.is_empty());
    }
}
