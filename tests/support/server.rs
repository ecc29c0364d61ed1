//! The real server as a child process, over a database in a temporary folder, to be killed and started again.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{self, Response};
pub use super::line::Line;
use super::line::free_address;
use super::postgres::{self, Cluster};

/// Slow machines and debug builds included.
const READY_WITHIN: Duration = Duration::from_secs(20);
/// What a server promises after SIGTERM, and a little more.
const ENDS_WITHIN: Duration = Duration::from_secs(12);

/// The running process, if there is one; shared with whoever may kill it.
type Running = Arc<Mutex<Option<Child>>>;

/// Kills a server from any thread, and returns when it is dead; its owner learns of it by [`Server::kill9`].
#[derive(Clone)]
pub struct Killer(Running);

impl Killer {
    pub fn kill9(&self) {
        if let Some(child) = self.0.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }
}

pub struct Server {
    child: Running,
    line: Line,
    folder: tempfile::TempDir,
    args: Vec<String>,
    env: Vec<(String, String)>,
    database_url: String,
    /// Where the database is in one.
    cluster: Option<Arc<Cluster>>,
    /// The ignored test of this program that is the server, where the binary is not.
    played_by: Option<&'static str>,
}

/// The arguments of a server that a test plays, the program's name first.
pub fn played_arguments() -> Vec<String> {
    let arguments = std::env::var(PLAYED).expect("a server's arguments");
    std::iter::once("ordain").chain(arguments.split('\n')).map(str::to_owned).collect()
}

const PLAYED: &str = "TEST_SERVER_ARGUMENTS";

/// Whether this test program runs its suite on PostgreSQL: its name ends so.
pub fn on_postgres() -> bool {
    env!("CARGO_CRATE_NAME").ends_with("_postgres")
}

impl Server {
    /// Starts a server and waits until it is ready.
    pub fn start(args: &[&str], env: Vec<(String, String)>) -> Self {
        let cluster = on_postgres().then(|| postgres::cluster().expect("PostgreSQL is installed"));
        let folder = tempfile::tempdir().unwrap();
        let database_url = match &cluster {
            Some(cluster) => cluster.database(),
            None => format!("sqlite://{}", folder.path().join("ordain.db").display()),
        };
        Self::start_on(folder, database_url, cluster, args, env)
    }

    /// The same, of a server that an ignored test of this very program plays, by [`played_arguments`].
    pub fn played(by: &'static str, args: &[&str], env: Vec<(String, String)>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let database_url = format!("sqlite://{}", folder.path().join("ordain.db").display());
        let mut server = Self::new(folder, database_url, None, args, env);
        server.played_by = Some(by);
        server.restart();
        server
    }

    /// Another environment, from its next start on.
    pub fn set_env(&mut self, env: Vec<(String, String)>) {
        self.env = env;
    }

    /// The same on a database that is there.
    pub fn start_on(
        folder: tempfile::TempDir,
        database_url: String,
        cluster: Option<Arc<Cluster>>,
        args: &[&str],
        env: Vec<(String, String)>,
    ) -> Self {
        let mut server = Self::new(folder, database_url, cluster, args, env);
        server.restart();
        server
    }

    /// Starts a server that will not be ready at once, for another owns its database; waits until it answers.
    pub fn standby_on(
        folder: tempfile::TempDir,
        database_url: String,
        cluster: Option<Arc<Cluster>>,
        args: &[&str],
        env: Vec<(String, String)>,
    ) -> Self {
        let mut server = Self::new(folder, database_url, cluster, args, env);
        server.launch();
        let began = Instant::now();
        while !server.line.get("/healthz").is_ok_and(|response| response.status == 200) {
            assert!(began.elapsed() < READY_WITHIN, "it does not answer:\n{}", server.log());
            sleep(Duration::from_millis(5));
        }
        server
    }

    fn new(
        folder: tempfile::TempDir,
        database_url: String,
        cluster: Option<Arc<Cluster>>,
        args: &[&str],
        env: Vec<(String, String)>,
    ) -> Self {
        Self {
            child: Running::default(),
            line: Line::to(free_address()),
            folder,
            args: args.iter().map(|arg| (*arg).to_owned()).collect(),
            env,
            database_url,
            cluster,
            played_by: None,
        }
    }

    /// Sends it a signal by name, as `kill` knows it.
    pub fn signal(&self, name: &str) {
        let told = Command::new("kill").args([name, &self.pid().to_string()]).status().unwrap();
        assert!(told.success(), "it has ended by itself:\n{}", self.log());
    }

    /// Starts it again on the same database and, if it is still free, at the same address; waits until it is ready.
    /// How long that took.
    pub fn restart(&mut self) -> Duration {
        for _ in 0..3 {
            let began = Instant::now();
            self.launch();
            if self.becomes_ready(began) {
                return began.elapsed();
            }
        }
        panic!("the server does not start:\n{}", self.log());
    }

    /// Starts it again and does not wait.
    pub fn launch(&mut self) {
        // A connection of anybody may have taken the port meanwhile.
        if TcpListener::bind(self.line.address()).is_err() {
            self.line.move_to(free_address());
        }
        let child = self.spawn();
        let before = self.running().replace(child);
        assert!(before.is_none(), "it still runs");
    }

    fn running(&self) -> MutexGuard<'_, Option<Child>> {
        self.child.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn killer(&self) -> Killer {
        Killer(Arc::clone(&self.child))
    }

    fn spawn(&self) -> Child {
        let log = File::options().create(true).append(true).open(self.log_file()).unwrap();
        let mut args = vec!["--bind".to_owned(), self.line.address().to_string()];
        args.extend(["--database-url".to_owned(), self.database_url.clone()]);
        if !self.args.iter().any(|arg| arg == "--log-level") {
            args.extend(["--log-level", "warn"].map(str::to_owned));
        }
        args.extend(self.args.iter().cloned());
        self.command("serve", &args)
            .envs(self.env.iter().cloned())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .unwrap()
    }

    /// A command of the same binary. Nothing of the environment of the test, or of its folder, takes part.
    fn command(&self, name: &str, args: &[String]) -> Command {
        let mut command = match self.played_by {
            Some(test) => {
                let mut command = Command::new(std::env::current_exe().unwrap());
                command.args([test, "--exact", "--ignored", "--nocapture"]);
                command
            }
            None => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_ordain"));
                command.arg(name).args(args);
                command
            }
        };
        command.env_clear().envs(std::env::var_os("PATH").map(|path| ("PATH", path)));
        command
            .env(PLAYED, std::iter::once(name).chain(args.iter().map(String::as_str)).collect::<Vec<_>>().join("\n"));
        command.current_dir(self.folder.path());
        command
    }

    /// False where it ended instead.
    fn becomes_ready(&self, began: Instant) -> bool {
        loop {
            if self.line.get("/readyz").is_ok_and(|response| response.status == 200) {
                return true;
            }
            let mut running = self.running();
            if running.as_mut().unwrap().try_wait().unwrap().is_some() {
                *running = None;
                return false;
            }
            drop(running);
            assert!(began.elapsed() < READY_WITHIN, "it does not become ready:\n{}", self.log());
            sleep(Duration::from_millis(5));
        }
    }

    /// Waits until a running server is ready again; how long that took.
    pub fn until_ready(&self) -> Duration {
        let began = Instant::now();
        while !self.line.get("/readyz").is_ok_and(|response| response.status == 200) {
            assert!(began.elapsed() < READY_WITHIN, "it does not become ready:\n{}", self.log());
            sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }

    pub fn line(&self) -> Line {
        self.line.clone()
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.line.address())
    }

    pub fn pid(&self) -> u32 {
        self.running().as_ref().map(Child::id).unwrap()
    }

    /// The file, where it is one.
    pub fn database(&self) -> PathBuf {
        self.folder.path().join("ordain.db")
    }

    pub fn database_url(&self) -> &str {
        &self.database_url
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("server.log")
    }

    /// All that it wrote, over all its lives.
    pub fn whole_log(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.log_file()).unwrap_or_default()).into_owned()
    }

    /// The end of what it wrote, over all its lives.
    pub fn log(&self) -> String {
        let log = std::fs::read(self.log_file()).unwrap_or_default();
        String::from_utf8_lossy(&log[log.len().saturating_sub(4_000)..]).into_owned()
    }

    /// SIGKILL: no goodbye, no flush.
    pub fn kill9(&mut self) {
        let mut child = self.running().take().expect("it runs");
        child.kill().unwrap();
        let _ = child.wait().unwrap();
    }

    /// SIGTERM, and waits for its end.
    pub fn sigterm(&mut self) -> ExitStatus {
        // The standard library can only kill.
        self.signal("-TERM");
        self.ended()
    }

    /// Waits for its end.
    pub fn ended(&mut self) -> ExitStatus {
        let until = Instant::now() + ENDS_WITHIN;
        let mut child = self.running().take().expect("it runs");
        while Instant::now() < until {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            sleep(Duration::from_millis(10));
        }
        let _ = child.kill();
        let _ = child.wait();
        panic!("it does not end:\n{}", self.log());
    }

    /// `ordain verify` of its database.
    pub fn verify(&self) -> Output {
        self.command("verify", &["--database-url".to_owned(), self.database_url.clone()]).output().unwrap()
    }

    /// # Panics
    /// If there is no whole answer.
    pub fn get(&self, path: &str) -> Response {
        self.line.get(path).unwrap_or_else(|e| panic!("GET {path}: {e}\n{}", self.log()))
    }

    /// # Panics
    /// If there is no whole answer.
    pub fn post(&self, path: &str, body: Option<&Value>) -> Response {
        self.line.post(path, body).unwrap_or_else(|e| panic!("POST {path}: {e}\n{}", self.log()))
    }

    /// # Panics
    /// If there is no whole answer.
    pub fn patch(&self, path: &str, body: &Value) -> Response {
        let answer = client::request(self.line.address(), "PATCH", path, &[], Some(body));
        answer.unwrap_or_else(|e| panic!("PATCH {path}: {e}\n{}", self.log()))
    }

    /// A command of the same binary that talks to this server.
    pub fn ordain(&self, name: &str) -> Command {
        let mut command = self.command(name, &[]);
        command.env("ORDAIN_URL", self.url());
        command
    }

    /// The whole history of a workflow, page by page. `path`: `/orders/o-1` or `/workflows/o-1/shipping/1`.
    pub fn history(&self, path: &str) -> Vec<Value> {
        self.history_by(path, 7)
    }

    /// The same by pages of another size.
    pub fn history_by(&self, path: &str, limit: usize) -> Vec<Value> {
        let mut events: Vec<Value> = Vec::new();
        loop {
            let after = events.last().map_or(0, |event| event["seq"].as_u64().unwrap());
            let page = self.get(&format!("{path}/history?after={after}&limit={limit}"));
            assert_eq!(page.status, 200, "{}", page.text());
            let page = page.json();
            events.extend(page["events"].as_array().unwrap().iter().cloned());
            if page["next_after"].is_null() {
                return events;
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(mut child) = self.running().take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
