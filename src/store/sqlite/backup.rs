//! A copy of a database file, consistent while a server writes.

use std::fs::File;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::store::OpenError;

/// Writes a copy to `target`, which must not be there, as it was at one instant; durable on return. Its size in bytes.
///
/// # Errors
/// [`OpenError`] with a sentence for people; `target` is then not there.
pub fn backup(path: &Path, target: &Path) -> Result<u64, OpenError> {
    let shown = path.display().to_string();
    super::open::check_existing(path, &shown)?;
    let io = |what: &Path, why: &dyn std::fmt::Display| OpenError::Io {
        path: what.display().to_string(),
        why: why.to_string(),
    };
    if target.exists() {
        return Err(io(target, &"it is there already; a backup overwrites nothing"));
    }
    let mut partial = target.as_os_str().to_owned();
    partial.push(".partial");
    let partial = Path::new(&partial);
    let _absent = std::fs::remove_file(partial);
    let copied = copy(path, partial).and_then(|()| {
        // SQLite does not sync what VACUUM INTO writes.
        let file = File::open(partial).map_err(|e| e.to_string())?;
        file.sync_all().map_err(|e| e.to_string())?;
        std::fs::rename(partial, target).map_err(|e| e.to_string())?;
        let folder = target.parent().filter(|f| !f.as_os_str().is_empty()).unwrap_or(Path::new("."));
        File::open(folder).and_then(|f| f.sync_all()).map_err(|e| e.to_string())
    });
    match copied {
        Ok(()) => target.metadata().map(|m| m.len()).map_err(|e| io(target, &e)),
        Err(why) => {
            let _absent = std::fs::remove_file(partial);
            Err(io(target, &why))
        }
    }
}

/// One read transaction: what is committed meanwhile is not in the copy, in whole or in part.
fn copy(path: &Path, to: &Path) -> Result<(), String> {
    let mut c = SqliteConnection::establish(&path.to_string_lossy()).map_err(|e| e.to_string())?;
    let to = to.to_str().ok_or("its path is not UTF-8")?;
    diesel::sql_query("VACUUM INTO ?").bind::<Text, _>(to).execute(&mut c).map(|_| ()).map_err(|e| e.to_string())
}
