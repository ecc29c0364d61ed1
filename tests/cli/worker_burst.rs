//! A burst of workers ends when there was nothing to do for a while; a server that refuses to say so is not that.

use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures_util::future::FutureExt as _;

use super::support::wire::{Host, Reply, Request};

const IDLE_EXIT: Duration = Duration::from_secs(2);
/// Shorter than that, or the worker gives the server up.
const OVERLOADED_FOR: Duration = Duration::from_millis(1_500);

#[test]
fn a_burst_does_not_take_refused_polls_for_idle_time() {
    let began = Instant::now();
    let last_refusal = Arc::new(Mutex::new(began));
    let refusal = Arc::clone(&last_refusal);
    let server = Host::start(move |request: Request| {
        let refusal = Arc::clone(&refusal);
        async move {
            if !request.path.ends_with("/poll") {
                return Reply::new(
                    200,
                    r#"{"backlog": 0, "paused": false, "backoff_until": null, "rate_limit": null}"#,
                );
            }
            if began.elapsed() < OVERLOADED_FOR {
                *refusal.lock().unwrap() = Instant::now();
                return Reply::new(503, "{}");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            Reply::new(204, "")
        }
        .boxed()
    });
    let mut worker = Command::new(env!("CARGO_BIN_EXE_ordain"))
        .env_clear()
        .env("ORDAIN_URL", server.url(""))
        .current_dir(std::env::temp_dir())
        .args(["worker", "--queue", "shipping", "--burst", "--idle-exit", "2s", "--max", "2"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    let status = worker.wait().unwrap();
    let idle = last_refusal.lock().unwrap().elapsed();
    assert!(status.success(), "{status}");
    assert!(idle >= IDLE_EXIT, "it looked for work for {idle:?} only");
}
