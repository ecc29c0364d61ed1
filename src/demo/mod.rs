//! `ordain demo`: the promises told as a story, against a real server and a real sandbox, each a process of its own.
//!
//! It speaks HTTP and believes the sandbox's ledger and the stored histories, not itself: each claim is checked, and one
//! that does not hold makes the exit code 1. Invariant: whatever happens, its children end and its folder is removed.

mod crash;
mod guests;
mod scenes;
mod stage;
mod voice;

use clap::{Args, ValueEnum};
use tokio::signal::unix::{SignalKind, signal};

use stage::Stage;
use voice::Voice;

/// How fast the story is told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Pace {
    /// With pauses to read.
    #[default]
    Normal,
    /// Without pauses, for scripts.
    Fast,
}

#[derive(Debug, Clone, Copy, Args)]
pub struct DemoOptions {
    /// How fast the story is told.
    #[arg(long, value_enum, default_value_t)]
    pub pace: Pace,
}

/// Why the story was not told to its good end.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{0} of the claims did not hold")]
    Claims(u32),
    #[error("{who} cannot be run: {why}")]
    Child { who: &'static str, why: String },
    #[error("{who}: {why}")]
    Answer { who: &'static str, why: String },
    #[error("the database cannot be checked: {0}")]
    Verify(String),
    #[error("interrupted")]
    Interrupted,
    #[error(transparent)]
    Io(#[from] std::io::Error),
}

/// Tells the story. Ctrl-C, SIGTERM and a closed terminal end it early; children and folder are put away in any case.
/// Must be called within an actix system.
///
/// # Errors
/// [`DemoError`], claims that did not hold among them.
pub async fn run(options: &DemoOptions) -> Result<(), DemoError> {
    let (mut terminate, mut hangup) = (signal(SignalKind::terminate())?, signal(SignalKind::hangup())?);
    // The story holds guards of all it made: dropped halfway, it cleans up.
    tokio::select! {
        told = story(Voice::new(options.pace)) => told,
        interrupted = tokio::signal::ctrl_c() => Err(interrupted.err().map_or(DemoError::Interrupted, DemoError::Io)),
        _ = terminate.recv() => Err(DemoError::Interrupted),
        _ = hangup.recv() => Err(DemoError::Interrupted),
    }
}

async fn story(mut voice: Voice) -> Result<(), DemoError> {
    voice.title("ordain: a shop, a payment gateway, a carrier, and a kill -9")?;
    let mut stage = Stage::set().await?;
    let told = acts(&mut voice, &mut stage).await;
    // An error here has its reason in the server's log more often than not.
    told.map_err(|error| stage.with_last_words(error))?;
    match voice.failed() {
        0 => Ok(()),
        failed => Err(DemoError::Claims(failed)),
    }
}

async fn acts(voice: &mut Voice, stage: &mut Stage) -> Result<(), DemoError> {
    voice.say(&format!("The server:  {}  (its data: one file, {})", stage.server_url(), stage.database().display()))?;
    voice.say(&format!("The world outside, a sandbox of payment gateway and carrier:  {}", stage.sandbox_url()))?;
    voice.pause().await;
    let mut tally = scenes::play(voice, stage).await?;
    crash::play(voice, stage, &mut tally).await?;
    crash::books(voice, stage, &tally).await?;
    voice.heading("What next")?;
    for line in [
        "ordain serve                                   the same server, for you: its API is at /docs/",
        "ordain start-workflow o-1 pay-1 --wait 30      an order, then: ordain describe o-1, ordain history o-1",
        "ordain sandbox --faults rough                  the same world outside; it prints how to connect a server",
        "ordain load --orders 20000                     how fast it is here, checked in SQL afterwards",
    ] {
        voice.say(line)?;
    }
    Ok(())
}
