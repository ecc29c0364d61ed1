//! `ordain sandbox` as a child process.

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use super::client::{self, Response};

pub struct Sandbox {
    child: Child,
    pub address: SocketAddr,
}

impl Sandbox {
    /// Starts one at a free port, and waits until it says where it listens.
    pub fn start(folder: &Path, args: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_ordain"))
            .args(["sandbox", "--bind", "127.0.0.1:0", "--log-level", "warn"])
            .args(args)
            .env_clear()
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().rsplit_once("http://").expect("it says where it listens").1.parse().unwrap();
        Self { child, address }
    }

    /// # Panics
    /// If there is no whole answer.
    pub fn get(&self, path: &str) -> Response {
        client::request(self.address, "GET", path, &[], None).unwrap()
    }

    /// # Panics
    /// If there is no whole answer.
    pub fn send(&self, method: &str, path: &str, body: &Value) -> Response {
        client::request(self.address, method, path, &[], Some(body)).unwrap()
    }

    /// # Errors
    /// If there is no whole answer.
    pub fn call(&self, activity: &str, key: &str, body: &Value) -> std::io::Result<Response> {
        let headers = [("idempotency-key", key)];
        client::request(self.address, "POST", &format!("/{activity}"), &headers, Some(body))
    }

    /// The settings that make a server use it.
    pub fn env(&self) -> Vec<(String, String)> {
        let portal = ("ORDAIN_PORTAL__URL".to_owned(), format!("http://{}/portal", self.address));
        let activities = ["charge_payment", "refund_payment", "prepare_package", "dispatch_carrier"].map(|name| {
            let url = format!("http://{}/{name}", self.address);
            (format!("ORDAIN_ACTIVITIES__{}__URL", name.to_uppercase()), url)
        });
        activities.into_iter().chain([portal]).collect()
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// SIGKILL: no goodbye, no flush.
    pub fn kill9(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// SIGTERM, and waits for its end.
    pub fn sigterm(mut self) -> ExitStatus {
        let told = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(told.success());
        let until = Instant::now() + Duration::from_secs(8);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("it does not end after SIGTERM");
    }
}

impl Drop for Sandbox {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
