//! `ordain sandbox`: the world outside, until a signal ends it.

use std::io::Write as _;
use std::net::SocketAddr;

use super::CliError;
use super::serve::Signals;
use crate::config::LogFormat;
use crate::sandbox::{self, SandboxError, SandboxOptions};
use crate::telemetry;

impl From<SandboxError> for CliError {
    fn from(error: SandboxError) -> Self {
        Self::Refused(error.to_string())
    }
}

pub fn sandbox(options: &SandboxOptions) -> Result<(), CliError> {
    // Replies that are lost on purpose are no errors.
    let level = format!("{},actix_http::h1::dispatcher=off", options.log_level);
    telemetry::logs(&level, LogFormat::Text).map_err(|e| CliError::Usage(e.to_string()))?;
    if !options.bind.ip().is_loopback() {
        tracing::warn!("listens beyond loopback: anybody who reaches it can change its faults and read its ledger");
    }
    actix_rt::System::new().block_on(async {
        let signals = Signals::listen();
        let mut signals = signals.map_err(|e| CliError::Refused(format!("signals cannot be received: {e}")))?;
        let (server, address) = sandbox::listen(options)?;
        let handle = server.handle();
        let served = actix_rt::spawn(server);
        announce(address);
        let name = signals.next().await;
        tracing::info!(signal = name, "ending");
        tokio::select! {
            () = handle.stop(true) => {}
            _ = signals.next() => {}
        }
        served.abort();
        Ok(())
    })
}

/// On standard output, for people and scripts: the address first.
fn announce(address: SocketAddr) {
    let mut text = format!("ordain sandbox listens on http://{address}\nuse it from a server:\n");
    for activity in sandbox::ACTIVITIES {
        let name = activity.to_uppercase();
        text.push_str(&format!("  ORDAIN_ACTIVITIES__{name}__URL=http://{address}/{activity} \\\n"));
    }
    text.push_str(&format!("  ORDAIN_PORTAL__URL=http://{address}/portal \\\n"));
    text.push_str("  ordain serve\n");
    // Whoever started it may not listen.
    let mut out = std::io::stdout().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}
