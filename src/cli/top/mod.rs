//! `ordain top`: the busiest orders, queues, shards and commits of a server, live in the terminal.

mod draw;
mod rates;

use std::io::IsTerminal;
use std::time::Duration;

use ratatui::backend::TestBackend;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyModifiers};
use ratatui::{DefaultTerminal, Terminal};
use serde_json::Value;

use super::args::{Output, TopArgs};
use super::client::Client;
use super::{CliError, out, show, terminal};
use crate::runtime::EngineNow;
use rates::Rates;

/// What a pipe, which has no size, gets.
const COLUMNS: u16 = 110;
const ROWS: u16 = 34;

/// What is drawn: the engine now, and what happened since the reading before.
struct Picture {
    url: String,
    now: EngineNow,
    rates: Option<Rates>,
    /// Why the newest reading failed; `now` is then an older one.
    stale: Option<String>,
}

pub fn top(args: &TopArgs) -> Result<(), CliError> {
    actix_rt::System::new().block_on(run(args))
}

async fn run(args: &TopArgs) -> Result<(), CliError> {
    if !(0.1..=3_600.0).contains(&args.interval) {
        return Err(CliError::Usage("--interval must be from 0.1 to 3600 seconds".to_owned()));
    }
    let client = Client::new(&args.server)?;
    let path = format!("/debug/actors?limit={}", args.limit);
    let interval = Duration::from_secs_f64(args.interval);
    // Two readings make the first rate.
    let first: EngineNow = client.read(&path).await?;
    if args.server.output == Output::Table && !args.once && std::io::stdout().is_terminal() {
        let mut screen = ratatui::try_init().map_err(|e| CliError::Refused(format!("the terminal: {e}")))?;
        let done = watch(&client, &path, interval, first, &mut screen).await;
        ratatui::restore();
        return done;
    }
    let mut before = first;
    loop {
        actix_rt::time::sleep(interval).await;
        let text = client.get(&path).await?;
        let now: EngineNow = show::read(&text)?;
        let rates = Rates::between(&before, &now);
        match args.server.output {
            Output::Json => out::line(with_rates(&text, rates.as_ref())?)?,
            Output::Table => {
                let picture = Picture { url: args.server.url.clone(), now: now.clone(), rates, stale: None };
                out::line(text_of(&picture)?)?;
            }
        }
        if args.once {
            return Ok(());
        }
        before = now;
    }
}

/// What the server sent, and the rates beside it.
fn with_rates(text: &str, rates: Option<&Rates>) -> Result<String, CliError> {
    let failed = |e: serde_json::Error| CliError::Refused(e.to_string());
    let mut all: Value = show::read(text)?;
    if let Some(all) = all.as_object_mut() {
        all.insert("rates".to_owned(), serde_json::to_value(rates).map_err(failed)?);
    }
    serde_json::to_string(&all).map_err(failed)
}

/// One frame as plain text, without the blanks at the ends of its lines.
fn text_of(picture: &Picture) -> Result<String, CliError> {
    let columns = terminal::width().and_then(|columns| u16::try_from(columns).ok()).unwrap_or(COLUMNS);
    let failed = |e: &dyn std::fmt::Display| CliError::Refused(e.to_string());
    let mut screen = Terminal::new(TestBackend::new(columns.max(60), ROWS)).map_err(|e| failed(&e))?;
    screen.draw(|frame| draw::draw(frame, picture)).map_err(|e| failed(&e))?;
    let buffer = screen.backend().buffer();
    let rows = buffer.content().chunks(usize::from(buffer.area.width));
    let row = |cells: &[ratatui::buffer::Cell]| cells.iter().map(|cell| cell.symbol()).collect::<String>();
    Ok(rows.map(|cells| row(cells).trim_end().to_owned()).collect::<Vec<_>>().join("\n").trim_end().to_owned())
}

/// Draws anew with every reading, until `q`, Escape or Ctrl-C.
async fn watch(
    client: &Client,
    path: &str,
    interval: Duration,
    first: EngineNow,
    screen: &mut DefaultTerminal,
) -> Result<(), CliError> {
    let lost = |e: std::io::Error| CliError::Refused(format!("the terminal: {e}"));
    let mut picture = Picture { url: client.base().to_owned(), now: first, rates: None, stale: None };
    loop {
        screen.draw(|frame| draw::draw(frame, &picture)).map_err(lost)?;
        let asked = actix_rt::task::spawn_blocking(move || told_to_end(interval)).await;
        if asked.map_err(|e| CliError::Refused(e.to_string()))?.map_err(lost)? {
            return Ok(());
        }
        match client.read::<EngineNow>(path).await {
            Ok(now) => {
                picture.rates = Rates::between(&picture.now, &now);
                (picture.now, picture.stale) = (now, None);
            }
            // It may come back; what was last seen stays on the screen.
            Err(error) => (picture.rates, picture.stale) = (None, Some(error.to_string())),
        }
    }
}

/// Waits so long for a key that ends it.
fn told_to_end(interval: Duration) -> std::io::Result<bool> {
    let until = std::time::Instant::now() + interval;
    loop {
        let left = until.saturating_duration_since(std::time::Instant::now());
        if !event::poll(left)? {
            return Ok(false);
        }
        match event::read()? {
            Event::Key(key) => {
                let interrupt = key.code == KeyCode::Char('c') && key.modifiers.contains(KeyModifiers::CONTROL);
                if interrupt || matches!(key.code, KeyCode::Char('q') | KeyCode::Esc) {
                    return Ok(true);
                }
            }
            // Drawn anew at once, in the new size.
            Event::Resize(..) => return Ok(false),
            _ => {}
        }
    }
}
