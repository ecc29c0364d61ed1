//! What a key allows. Who may operate may read, and who may administer may do everything.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One thing a key may allow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// To see: orders, histories, statistics, metrics.
    Read,
    /// To start, signal, cancel, retry, pause and resume; to work for a queue. And to see.
    Operate,
    /// To make and revoke keys, read the audit, change queues. And everything else.
    Admin,
}

impl Scope {
    pub const ALL: [Self; 3] = [Self::Read, Self::Operate, Self::Admin];

    pub fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Operate => "operate",
            Self::Admin => "admin",
        }
    }

    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|scope| scope.as_str() == text)
    }
}

/// A set of scopes; written as `read,operate`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes(u8);

impl Scopes {
    pub fn of(scopes: impl IntoIterator<Item = Scope>) -> Self {
        Self(scopes.into_iter().fold(0, |set, scope| set | 1 << scope as u8))
    }

    /// Whether it was given in so many words.
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & (1 << scope as u8) != 0
    }

    /// Whether what needs this scope is allowed: it, or a greater one, was given.
    pub fn allows(self, scope: Scope) -> bool {
        self.0 >> scope as u8 != 0
    }

    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }

    /// Reads `read,operate`; `None` where one of them is unknown or none is given.
    pub fn parse(text: &str) -> Option<Self> {
        let scopes: Option<Vec<Scope>> = text.split(',').map(|part| Scope::parse(part.trim())).collect();
        scopes.map(Self::of)
    }
}

impl fmt::Display for Scopes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.iter().map(Scope::as_str).collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_read_as_they_are_written() {
        for text in ["read", "operate", "admin", "read,operate", "read,operate,admin"] {
            assert_eq!(Scopes::parse(text).unwrap().to_string(), text);
        }
        let operate = Scopes::of([Scope::Operate]);
        assert!(operate.allows(Scope::Read) && operate.allows(Scope::Operate) && !operate.allows(Scope::Admin));
        assert_eq!(Scopes::parse("admin, read").unwrap().to_string(), "read,admin");
        for wrong in ["", "write", "read,", "READ", "read operate"] {
            assert_eq!(Scopes::parse(wrong), None, "{wrong}");
        }
    }
}
