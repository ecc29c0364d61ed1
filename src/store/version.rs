//! The versions of a database's schema: what was applied, what this build knows.

use serde::Serialize;

use super::OpenError;

/// The migrations of a database by version.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SchemaVersions {
    /// In the database.
    pub applied: Vec<String>,
    /// Known to this build, and not in the database.
    pub pending: Vec<String>,
    /// In the database, and not known to this build.
    pub unknown: Vec<String>,
}

impl SchemaVersions {
    pub(super) fn of(applied: Vec<String>, known: Vec<String>) -> Self {
        let pending = known.iter().filter(|v| !applied.contains(v)).cloned().collect();
        let unknown = applied.iter().filter(|v| !known.contains(v)).cloned().collect();
        Self { applied, pending, unknown }
    }

    /// Refuses what a newer build has written.
    pub(super) fn check(&self, path: &str) -> Result<(), OpenError> {
        let Some(newer) = self.unknown.last() else { return Ok(()) };
        let known = self.applied.iter().chain(&self.pending).filter(|v| !self.unknown.contains(v)).max();
        let known = known.cloned().unwrap_or_default();
        Err(OpenError::Newer { path: path.to_owned(), found: newer.clone(), known })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_newer_is_refused_and_what_is_older_is_pending() {
        let text = |list: &[&str]| list.iter().map(|v| (*v).to_owned()).collect::<Vec<_>>();
        let older = SchemaVersions::of(text(&["1"]), text(&["1", "2"]));
        assert_eq!(older.pending, ["2"]);
        assert!(older.check("db").is_ok());
        let newer = SchemaVersions::of(text(&["1", "2", "3"]), text(&["1", "2"]));
        assert!(
            matches!(newer.check("db"), Err(OpenError::Newer { found, known, .. }) if found == "3" && known == "2")
        );
    }
}
