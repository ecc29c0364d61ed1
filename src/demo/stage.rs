//! The processes of the story: a sandbox and a server, children of this one, over a temporary folder.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use super::DemoError;
use super::guests::Guest;
use crate::load::scratch::Scratch;
use crate::sandbox::ACTIVITIES;

const READY_WITHIN: Duration = Duration::from_secs(20);
/// How long the server has to end after SIGTERM.
const ENDS_WITHIN: Duration = Duration::from_secs(15);
const STEP: Duration = Duration::from_millis(10);
/// A port that is free may be taken by another process before the server has it.
const TRIES: u32 = 3;
const LOG: &str = "server.log";
/// What children need of the environment; settings of the caller's take no part.
const ENVIRONMENT: [&str; 4] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH"];
/// How the server is set for the story: no order runs out of time, and a call that hangs is soon asked again.
const SETTINGS: [&str; 6] = ["--deadline-seconds", "0", "--attempt-timeout-seconds", "1", "--log-level", "warn"];

/// And no wait between two attempts is long.
const RETRY: (&str, &str) = ("ORDAIN_RETRY__CAP_MS", "500");

/// A child that is killed when it is dropped.
struct Guarded(Child);

impl Guarded {
    fn kill(&mut self) {
        // It may have ended by itself; then there is nothing to kill.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.kill();
    }
}

/// In this order: the children end before their folder is removed.
pub struct Stage {
    server: Option<Guarded>,
    _sandbox: Guarded,
    server_url: String,
    sandbox_url: String,
    scratch: Scratch,
}

impl Stage {
    /// Starts both and waits until they are ready.
    ///
    /// # Errors
    /// [`DemoError`] where that cannot be done.
    pub async fn set() -> Result<Self, DemoError> {
        let scratch = Scratch::named("ordain-demo", false)?;
        let (sandbox, sandbox_url) = sandbox(scratch.path()).await?;
        let mut stage = Self { server: None, _sandbox: sandbox, server_url: String::new(), sandbox_url, scratch };
        stage.start_server().await?;
        Ok(stage)
    }

    /// Starts the server, at the address it had before if that is free, and waits until it is ready. How long it took.
    ///
    /// # Errors
    /// [`DemoError::Child`] where it does not get ready.
    pub async fn start_server(&mut self) -> Result<Duration, DemoError> {
        for _ in 0..TRIES {
            let address = self.server_url.strip_prefix("http://").unwrap_or("127.0.0.1:0");
            let free = TcpListener::bind(address).or_else(|_| TcpListener::bind("127.0.0.1:0"))?.local_addr()?;
            self.server_url = format!("http://{free}");
            let began = Instant::now();
            let mut server = self.spawn_server(&free.to_string())?;
            let guest = Guest::server(&self.server_url)?;
            loop {
                if guest.get("/readyz").await.is_ok() {
                    self.server = Some(server);
                    return Ok(began.elapsed());
                }
                if server.0.try_wait()?.is_some() {
                    break;
                }
                if began.elapsed() > READY_WITHIN {
                    return Err(self.with_last_words(child("the server", "it does not get ready")));
                }
                tokio::time::sleep(STEP).await;
            }
        }
        Err(self.with_last_words(child("the server", "it ends at once")))
    }

    fn spawn_server(&self, address: &str) -> Result<Guarded, DemoError> {
        let log = File::options().create(true).append(true).open(self.log())?;
        let mut command = command(self.scratch.path(), "serve")?;
        command.args(["--bind", address, "--database-url", &self.database_url()]).args(SETTINGS).env(RETRY.0, RETRY.1);
        for activity in ACTIVITIES {
            let name = format!("ORDAIN_ACTIVITIES__{}__URL", activity.to_uppercase());
            command.env(name, format!("{}/{activity}", self.sandbox_url));
        }
        let spawned = command.stdout(log.try_clone()?).stderr(log).spawn();
        spawned.map(Guarded).map_err(|e| child("the server", &e.to_string()))
    }

    /// SIGKILL: no goodbye, no flush.
    pub fn kill_server(&mut self) {
        if let Some(mut server) = self.server.take() {
            server.kill();
        }
    }

    /// SIGTERM, and waits for its end. `None`: it did not end, and was killed.
    ///
    /// # Errors
    /// If it cannot be waited for.
    pub async fn stop_server(&mut self) -> Result<Option<ExitStatus>, DemoError> {
        let Some(mut server) = self.server.take() else { return Ok(None) };
        // The standard library can only kill, which is not how a server is ended.
        let told = Command::new("kill").args(["-TERM", &server.0.id().to_string()]).stderr(Stdio::null()).status();
        let until = Instant::now() + ENDS_WITHIN;
        while told.as_ref().is_ok_and(ExitStatus::success) && Instant::now() < until {
            if let Some(status) = server.0.try_wait()? {
                return Ok(Some(status));
            }
            tokio::time::sleep(STEP).await;
        }
        Ok(None)
    }

    pub fn pid(&self) -> u32 {
        self.server.as_ref().map_or(0, |server| server.0.id())
    }

    pub fn server_url(&self) -> &str {
        &self.server_url
    }

    pub fn sandbox_url(&self) -> &str {
        &self.sandbox_url
    }

    pub fn database(&self) -> PathBuf {
        self.scratch.path().join("ordain.db")
    }

    pub fn database_url(&self) -> String {
        format!("sqlite://{}", self.database().display())
    }

    fn log(&self) -> PathBuf {
        self.scratch.path().join(LOG)
    }

    /// The error with the end of the server's log.
    pub fn with_last_words(&self, error: DemoError) -> DemoError {
        let log = std::fs::read(self.log()).unwrap_or_default();
        let text = String::from_utf8_lossy(&log[log.len().saturating_sub(2_000)..]).trim().to_owned();
        match error {
            DemoError::Child { who, why } if !text.is_empty() => {
                DemoError::Child { who, why: format!("{why}; the server's last words:\n{text}") }
            }
            DemoError::Answer { who, why } if !text.is_empty() => {
                DemoError::Answer { who, why: format!("{why}; the server's last words:\n{text}") }
            }
            error => error,
        }
    }
}

/// The sandbox chooses its port itself and says it in its first line.
async fn sandbox(folder: &Path) -> Result<(Guarded, String), DemoError> {
    let said = folder.join("sandbox.out");
    let log = File::create(folder.join("sandbox.log"))?;
    let mut command = command(folder, "sandbox")?;
    command.args(["--bind", "127.0.0.1:0", "--seed", "7", "--log-level", "warn"]);
    let spawned = command.stdout(File::create(&said)?).stderr(log).spawn();
    let mut sandbox = spawned.map(Guarded).map_err(|e| child("the sandbox", &e.to_string()))?;
    let began = Instant::now();
    loop {
        let text = std::fs::read_to_string(&said)?;
        if let Some((line, _)) = text.split_once('\n')
            && let Some(at) = line.find("http://")
        {
            return Ok((sandbox, line[at..].trim().to_owned()));
        }
        if sandbox.0.try_wait()?.is_some() || began.elapsed() > READY_WITHIN {
            let log = std::fs::read_to_string(folder.join("sandbox.log")).unwrap_or_default();
            return Err(child("the sandbox", &format!("it does not get ready\n{log}")));
        }
        tokio::time::sleep(STEP).await;
    }
}

/// This same binary, in a process group of its own: Ctrl-C is for the story, which then ends its children.
fn command(folder: &Path, name: &str) -> Result<Command, DemoError> {
    let mut command = Command::new(std::env::current_exe()?);
    let kept = ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?)));
    command.arg(name).env_clear().envs(kept).current_dir(folder).stdin(Stdio::null()).process_group(0);
    Ok(command)
}

fn child(who: &'static str, why: &str) -> DemoError {
    DemoError::Child { who, why: why.to_owned() }
}
