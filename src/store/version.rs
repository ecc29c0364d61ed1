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

    /// Two migrations of one version are one migration to the database: the second is never run.
    #[test]
    fn no_two_migrations_have_the_same_version() {
        for database in ["sqlite", "postgres"] {
            let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
            let names =
                std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
            let mut versions: Vec<String> =
                names.map(|name| name.split('_').next().unwrap_or_default().to_owned()).collect();
            let all = versions.len();
            versions.sort();
            versions.dedup();
            assert_eq!(versions.len(), all, "{database}: {versions:?}");
        }
    }
}
