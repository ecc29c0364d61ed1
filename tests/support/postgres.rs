//! A private PostgreSQL for the tests: made from the installed binaries in a temporary folder, on a free port, with
//! fsync on; ended and removed with the last test that uses it.

use std::fs::File;
use std::io::Write as _;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::thread::sleep;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

const STARTS_WITHIN: Duration = Duration::from_secs(30);
/// Where distributions keep the server's binaries, which are not in PATH.
const PLACES: [&str; 4] = ["/usr/lib/postgresql", "/usr/local/pgsql", "/opt/homebrew/opt", "/usr/local/opt"];

pub struct Cluster {
    binaries: PathBuf,
    folder: tempfile::TempDir,
    pub port: u16,
    user: Option<(u32, u32)>,
    server: Mutex<Option<Child>>,
    databases: AtomicU32,
}

/// The cluster of this test program; `None` where there is no PostgreSQL, which is said on the terminal.
pub fn cluster() -> Option<Arc<Cluster>> {
    static SHARED: Mutex<Weak<Cluster>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(cluster) = shared.upgrade() {
        return Some(cluster);
    }
    let Some(binaries) = binaries().or_else(install) else {
        assert!(std::env::var_os("POSTGRES_REQUIRED").is_none(), "PostgreSQL is required, and not installed");
        // Past the harness, which keeps what a passing test prints.
        let _ = writeln!(std::io::stderr(), "\nSKIPPED: a test on PostgreSQL, which is not installed");
        return None;
    };
    let cluster = Arc::new(Cluster::new(binaries));
    *shared = Arc::downgrade(&cluster);
    Some(cluster)
}

fn binaries() -> Option<PathBuf> {
    let complete = |folder: &Path| ["initdb", "postgres"].iter().all(|name| folder.join(name).is_file());
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).find(|folder| complete(folder));
    let versions = PLACES.iter().flat_map(|place| std::fs::read_dir(place).into_iter().flatten().flatten());
    let mut installed: Vec<PathBuf> = versions.map(|version| version.path().join("bin")).collect();
    installed.extend(PLACES.iter().map(|place| Path::new(place).join("bin")));
    installed.sort();
    found.or_else(|| installed.into_iter().rev().find(|folder| complete(folder)))
}

/// Installs it where that is a matter of one command and is allowed: as root on a Debian.
fn install() -> Option<PathBuf> {
    if !is_root() || !Path::new("/usr/bin/apt-get").exists() {
        return None;
    }
    let install = "apt-get install -y --no-install-recommends postgresql >/dev/null 2>&1 \
                   || { apt-get update >/dev/null 2>&1 && apt-get install -y --no-install-recommends postgresql; }";
    let mut apt = Command::new("timeout");
    apt.args(["300", "sh", "-c", install]).env("DEBIAN_FRONTEND", "noninteractive");
    apt.stdout(Stdio::null()).stderr(Stdio::null()).status().ok()?.success().then(binaries).flatten()
}

fn is_root() -> bool {
    std::fs::metadata("/proc/self").is_ok_and(|me| std::os::unix::fs::MetadataExt::uid(&me) == 0)
}

/// A user to run it as: PostgreSQL refuses to be root.
fn user() -> Option<(u32, u32)> {
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let id = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    is_root().then(|| id("postgres").or_else(|| id("nobody"))).flatten()
}

impl Cluster {
    /// Another one, for a test that stops it.
    pub fn another(like: &Self) -> Self {
        Self::new(like.binaries.clone())
    }

    fn new(binaries: PathBuf) -> Self {
        let folder = tempfile::Builder::new().prefix("ordain-pg").tempdir().unwrap();
        let user = user();
        if let Some((uid, gid)) = user {
            std::os::unix::fs::chown(folder.path(), Some(uid), Some(gid)).unwrap();
        }
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let cluster = Self { binaries, folder, port, user, server: Mutex::new(None), databases: AtomicU32::new(0) };
        let made = cluster
            .command("initdb")
            .args(["-D", "data", "-U", "ordain", "--auth=trust", "--encoding=UTF8", "--no-locale", "--no-sync"])
            .output()
            .unwrap();
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        cluster.start();
        cluster
    }

    fn command(&self, name: &str) -> Command {
        let mut command = Command::new(self.binaries.join(name));
        command.current_dir(self.folder.path()).env("LC_ALL", "C");
        if let Some((uid, gid)) = self.user {
            command.uid(uid).gid(gid);
        }
        command
    }

    /// Starts it and waits until it takes connections.
    pub fn start(&self) {
        let log = File::options().create(true).append(true).open(self.folder.path().join("log")).unwrap();
        let mut server = self.server.lock().unwrap();
        assert!(server.is_none(), "it still runs");
        let child = self
            .command("postgres")
            .args(["-D", "data", "-p", &self.port.to_string(), "-k", ".", "-h", "127.0.0.1"])
            .args(["-c", "max_connections=200", "-c", "max_wal_size=2GB"])
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap();
        *server = Some(child);
        drop(server);
        let until = Instant::now() + STARTS_WITHIN;
        while PgConnection::establish(&self.url("postgres")).is_err() {
            assert!(Instant::now() < until, "PostgreSQL does not start:\n{}", self.log());
            sleep(Duration::from_millis(20));
        }
    }

    /// Ends it as a crash would: no checkpoint, every session cut off.
    pub fn stop_immediate(&self) {
        self.signal("-QUIT");
    }

    fn signal(&self, signal: &str) {
        let Some(mut child) = self.server.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let _ = Command::new("kill").args([signal, &child.id().to_string()]).status();
        let _ = child.wait();
    }

    pub fn url(&self, database: &str) -> String {
        format!("postgres://ordain@127.0.0.1:{}/{database}", self.port)
    }

    pub fn address(&self) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, 1], self.port))
    }

    /// An empty database of its own for a test; its URL.
    pub fn database(&self) -> String {
        let name = format!("t{}", self.databases.fetch_add(1, Ordering::Relaxed));
        self.sql("postgres", &format!("CREATE DATABASE {name}"));
        self.url(&name)
    }

    /// # Panics
    /// If it fails.
    pub fn sql(&self, database: &str, statements: &str) {
        let mut c = PgConnection::establish(&self.url(database)).unwrap();
        c.batch_execute(statements).unwrap();
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.signal("-QUIT");
    }
}
