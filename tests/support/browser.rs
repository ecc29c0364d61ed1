//! A real headless Chromium, told what to do by WebDriver JSON over the small client; where there is none, nothing.

use std::net::{SocketAddr, TcpListener};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::client;

/// How long a page may take to become what is waited for, on a slow machine.
const PATIENCE: Duration = Duration::from_secs(15);

pub struct Browser {
    driver: Child,
    address: SocketAddr,
    session: String,
    _profile: tempfile::TempDir,
}

fn on_path(name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|folder| folder.join(name).is_file())
}

impl Browser {
    /// `None`, and a line that says so, where Chromium or its driver is not on the path.
    pub fn start(what: &str) -> Option<Self> {
        if !on_path("chromedriver") || !on_path("chromium") {
            eprintln!("skipped: {what} (chromium and chromedriver are not both on PATH)");
            return None;
        }
        let address = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let driver = Command::new("chromedriver")
            .arg(format!("--port={}", address.port()))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self { driver, address, session: String::new(), _profile: profile };
        let until = Instant::now() + PATIENCE;
        while client::request(address, "GET", "/status", &[], None).is_err() {
            assert!(Instant::now() < until, "chromedriver does not answer");
            std::thread::sleep(Duration::from_millis(20));
        }
        let profile = format!("--user-data-dir={}", browser._profile.path().display());
        let args = [
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--disable-dev-shm-usage",
            "--window-size=1440,900",
            &profile,
        ];
        // An element may be on a page that is just being fetched.
        let timeouts = json!({"implicit": 10_000});
        let wanted = json!({"goog:chromeOptions": {"args": args}, "timeouts": timeouts});
        let wanted = json!({"capabilities": {"alwaysMatch": wanted}});
        let session = browser.call("POST", "/session", &wanted);
        browser.session = session["sessionId"].as_str().unwrap().to_owned();
        Some(browser)
    }

    fn call(&self, method: &str, path: &str, body: &Value) -> Value {
        let body = (method == "POST").then_some(body);
        let answer = client::request(self.address, method, path, &[], body).unwrap().json();
        assert!(answer["value"]["error"].is_null(), "{path}: {answer}");
        answer["value"].clone()
    }

    fn tell(&self, what: &str, body: &Value) -> Value {
        self.call("POST", &format!("/session/{}/{what}", self.session), body)
    }

    pub fn open(&self, url: &str) {
        self.tell("url", &json!({ "url": url }));
    }

    /// Runs a script; what it returns.
    pub fn run(&self, script: &str) -> Value {
        self.tell("execute/sync", &json!({"script": script, "args": []}))
    }

    /// Runs a script that calls `done`.
    pub fn run_async(&self, script: &str) -> Value {
        let script = format!("const done = arguments[arguments.length - 1]; {script}");
        self.tell("execute/async", &json!({"script": script, "args": []}))
    }

    /// Waits until an expression is true; how long that took.
    pub fn wait(&self, expression: &str) -> Duration {
        let began = Instant::now();
        while self.run(&format!("return Boolean({expression})")) != json!(true) {
            let page = || self.run("return document.body.innerText.slice(0, 3000)");
            assert!(began.elapsed() < PATIENCE, "in vain: {expression}\n{}", page());
            std::thread::sleep(Duration::from_millis(10));
        }
        began.elapsed()
    }

    fn element(&self, css: &str) -> String {
        let found = self.tell("element", &json!({"using": "css selector", "value": css}));
        found.as_object().unwrap().values().next().unwrap().as_str().unwrap().to_owned()
    }

    /// Clicks as a person does: it must be seen and not covered.
    pub fn click(&self, css: &str) {
        self.tell(&format!("element/{}/click", self.element(css)), &json!({}));
    }

    pub fn write(&self, css: &str, text: &str) {
        self.tell(&format!("element/{}/value", self.element(css)), &json!({ "text": text }));
    }

    /// Presses keys, one after another, wherever the focus is.
    pub fn press(&self, keys: &str) {
        let strokes: Vec<Value> = keys
            .chars()
            .flat_map(|key| [json!({"type": "keyDown", "value": key}), json!({"type": "keyUp", "value": key})])
            .collect();
        self.tell("actions", &json!({"actions": [{"type": "key", "id": "keyboard", "actions": strokes}]}));
    }

    fn devtools(&self, command: &str, params: &Value) {
        self.tell("goog/cdp/execute", &json!({"cmd": command, "params": params}));
    }

    /// `light` or `dark`.
    pub fn theme(&self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.devtools("Emulation.setEmulatedMedia", &json!({ "features": features }));
    }

    pub fn size(&self, width: u32, height: u32) {
        let metrics = json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.devtools("Emulation.setDeviceMetricsOverride", &metrics);
    }

    /// Without JavaScript from the next page on.
    pub fn scripts(&self, enabled: bool) {
        self.devtools("Emulation.setScriptExecutionDisabled", &json!({"value": !enabled}));
    }

    /// The rules of axe-core that the page breaks, each with its first place.
    pub fn axe(&self) -> Vec<String> {
        let axe = include_str!("../vendor/axe-core/axe.min.js");
        let script = format!(
            "{axe};\naxe.run().then(r => done({{n: r.passes.length, \
             v: r.violations.map(v => `${{v.id}}: ${{v.nodes[0].html}}`)}}), e => done({{n: 0, v: [String(e)]}}))"
        );
        let result = self.run_async(&script);
        let broken = result["v"].as_array().unwrap().iter().map(|v| v.as_str().unwrap().to_owned()).collect();
        assert!(result["n"].as_u64() > Some(10), "axe did not look: {result}");
        broken
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        if !self.session.is_empty() {
            // Ends the browser, too; killing the driver alone would leave it.
            let _ = client::request(self.address, "DELETE", &format!("/session/{}", self.session), &[], None);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}
