//! A temporary folder that is gone when it is dropped, unless it is kept.

use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

#[derive(Debug)]
pub struct Scratch {
    path: PathBuf,
    keep: bool,
}

impl Scratch {
    /// # Errors
    /// If the folder cannot be made.
    pub fn new(keep: bool) -> std::io::Result<Self> {
        Self::named("ordain-load", keep)
    }

    /// # Errors
    /// If the folder cannot be made.
    pub fn named(name: &str, keep: bool) -> std::io::Result<Self> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let name = format!("{name}-{}-{:x}", std::process::id(), since.as_nanos());
        let path = std::env::temp_dir().join(name);
        // Fails if it exists: a folder someone else prepared is never used, nor removed.
        std::fs::create_dir(&path)?;
        Ok(Self { path, keep })
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if !self.keep
            && let Err(error) = std::fs::remove_dir_all(&self.path)
        {
            tracing::warn!(path = %self.path.display(), %error, "the temporary folder stays");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner_unless_it_is_kept() {
        let gone = Scratch::new(false).unwrap();
        let path = gone.path().to_owned();
        std::fs::write(path.join("file"), "x").unwrap();
        drop(gone);
        assert!(!path.exists());
        let kept = Scratch::new(true).unwrap();
        let path = kept.path().to_owned();
        drop(kept);
        assert!(path.exists());
        std::fs::remove_dir_all(path).unwrap();
    }
}
