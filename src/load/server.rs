//! A server of our own to load: the same binary, as a child process over a database in a temporary folder.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::LoadError;

/// How long it has to end after SIGTERM before it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const LOG: &str = "server.log";

/// The child. Dropped before it was stopped, it is killed.
#[derive(Debug)]
pub struct Server {
    child: Child,
    folder: PathBuf,
    arguments: Vec<String>,
    pub url: String,
    /// Its URL.
    pub database: String,
    log: PathBuf,
    stopped: bool,
}

impl Server {
    /// Starts it. It is not ready yet.
    ///
    /// # Errors
    /// If there is no free port or the binary does not start.
    pub fn start(folder: &Path, database: Option<&str>, arguments: &[String]) -> Result<Self, LoadError> {
        // Free now; should another process take it before the child does, the child says so in its log.
        let address = TcpListener::bind("127.0.0.1:0")?.local_addr()?;
        let database = match database {
            Some(url) => url.to_owned(),
            None => format!("sqlite://{}", folder.join("ordain.db").display()),
        };
        let log = folder.join(LOG);
        File::create(&log)?;
        let quiet: &[&str] =
            if arguments.iter().any(|a| a.starts_with("--log-level")) { &[] } else { &["--log-level", "warn"] };
        let own = ["serve", "--bind", &address.to_string(), "--database-url", &database];
        let all = own.iter().chain(quiet).map(|a| (*a).to_owned()).chain(arguments.iter().cloned()).collect();
        let child = spawn(folder, &log, &all)?;
        let url = format!("http://{address}");
        Ok(Self { child, folder: folder.to_owned(), arguments: all, url, database, log, stopped: false })
    }

    /// Kills it with -9 and starts it again, at the same address on the same database. It is not ready yet.
    ///
    /// # Errors
    /// If it does not start.
    pub fn kill_and_restart(&mut self) -> Result<(), LoadError> {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.folder, &self.log, &self.arguments)?;
        Ok(())
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// # Errors
    /// [`LoadError::ServerDied`] if it has ended.
    pub fn alive(&mut self) -> Result<(), LoadError> {
        match self.child.try_wait()? {
            None => Ok(()),
            Some(status) => Err(LoadError::ServerDied { status: status.to_string(), log: self.last_words() }),
        }
    }

    /// Asks it to end and waits until it has; kills it if it does not. `None`: it was killed.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub async fn stop(mut self) -> Result<Option<ExitStatus>, LoadError> {
        // The standard library can only kill, which is not how a server is ended.
        let told = Command::new("kill").args(["-TERM", &self.pid().to_string()]).stderr(Stdio::null()).status();
        let until = Instant::now() + ENDS_WITHIN;
        while told.as_ref().is_ok_and(ExitStatus::success) && Instant::now() < until {
            if let Some(status) = self.child.try_wait()? {
                self.stopped = true;
                return Ok(Some(status));
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        Ok(None)
    }

    /// The end of its log.
    fn last_words(&self) -> String {
        let log = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&log[log.len().saturating_sub(2_000)..]).trim().to_owned();
        if text.is_empty() { text } else { format!("; its last words:\n{text}") }
    }
}

fn spawn(folder: &Path, log: &Path, arguments: &Vec<String>) -> Result<Child, LoadError> {
    let out = File::options().append(true).open(log)?;
    Command::new(std::env::current_exe()?)
        .args(arguments)
        // Its own folder: no `.env` or `ordain.toml` of the caller's takes part.
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(out.try_clone()?)
        .stderr(out)
        .spawn()
        .map_err(|e| LoadError::Server(e.to_string()))
}

impl Drop for Server {
    fn drop(&mut self) {
        if !self.stopped {
            // It may have ended by itself; then there is nothing to kill.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
