//! The life of one order as its client sees it: start, wait, end. Whatever is lost on the way is asked for again with
//! the same bytes, for a start sent twice is one order; so a server may be killed underneath.

use std::time::{Duration, Instant};

use super::client::{Answer, Line};
use super::crew::Shared;
use super::glance::member;
use super::mix::Course;
use super::orders::mix;

/// A start is answered at once; a wait may be held for 30 s.
const START_TIMEOUT: Duration = Duration::from_secs(15);
const WAIT_TIMEOUT: Duration = Duration::from_secs(45);
/// A cancel comes within this time after the order was accepted.
const CANCEL_WITHIN: Duration = Duration::from_millis(100);
const PAUSE_FIRST: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_secs(1);

/// What of an answer matters.
struct Word {
    status: u16,
    terminal: bool,
    /// The state of the order, or the code of the problem.
    what: String,
    /// How long the answer took.
    took: Duration,
}

impl Word {
    fn of(answer: &Answer<'_>, took: Duration) -> Self {
        let body = answer.body();
        let terminal = member(body, "terminal") == Some("true");
        let name = if answer.status >= 400 { "code" } else { "state" };
        // The state in between is of no interest, and most starts are answered with one.
        let what = if terminal || answer.status >= 400 { member(body, name).unwrap_or_default() } else { "" };
        Self { status: answer.status, terminal, what: what.to_owned(), took }
    }
}

/// Runs order `number` to its end, or until patience is at its own. `begun`: when it should have started; a generator
/// that comes late to it makes it late, so that what a server leaves undone is not left out of its figures.
pub async fn run(line: &mut Line<'_>, shared: &Shared, number: u64, begun: Instant, request: &mut String) {
    shared.orders.start(&shared.target, number, request);
    let Some(mut word) = ask(line, shared, number, request, START_TIMEOUT).await else { return };
    if !(200..300).contains(&word.status) {
        return shared.tally().refuse(number, format!("{} {}", word.status, word.what));
    }
    shared.tally().accept(number, begun.elapsed(), word.took);
    let accepted = Instant::now();
    if !word.terminal && !signal(line, shared, number, request).await {
        return;
    }
    shared.orders.await_end(&shared.target, number, request);
    while !word.terminal {
        let asked = Instant::now();
        let Some(next) = ask(line, shared, number, request, WAIT_TIMEOUT).await else { return };
        word = next;
        if !(200..300).contains(&word.status) {
            // An order that was accepted and is not found any more stays unfinished in the report.
            shared.tally().last_trouble = Some(format!("{} {} for an accepted order", word.status, word.what));
            return;
        }
        // A server that does not hold the answer is not asked in a spin, nor for ever.
        if !word.terminal && asked.elapsed() < PAUSE_FIRST {
            tokio::time::sleep(PAUSE_FIRST).await;
        }
        if !word.terminal && accepted.elapsed() > shared.order_patience {
            shared.tally().last_trouble = Some("an order did not end in time".into());
            return;
        }
    }
    shared.tally().end(number, &word.what, begun.elapsed(), accepted.elapsed());
}

/// Sends the order the signal of its course. False where there was no usable answer.
async fn signal(line: &mut Line<'_>, shared: &Shared, number: u64, request: &mut String) -> bool {
    let name = match shared.orders.course(number) {
        Course::Auto => return true,
        Course::Manual => "approve",
        Course::Cancel => {
            tokio::time::sleep(shared.orders.moment(number, CANCEL_WITHIN)).await;
            "cancel"
        }
    };
    shared.orders.signal(&shared.target, number, name, request);
    let Some(word) = ask(line, shared, number, request, START_TIMEOUT).await else { return false };
    // 409: the order was faster.
    let done = (200..300).contains(&word.status) || word.status == 409;
    if !done {
        shared.tally().last_trouble = Some(format!("{} {} for {name}", word.status, word.what));
    }
    done
}

/// Sends a request until there is an answer other than "later"; `None` when patience ends.
async fn ask(line: &mut Line<'_>, shared: &Shared, number: u64, request: &str, timeout: Duration) -> Option<Word> {
    let since = Instant::now();
    let mut pause = PAUSE_FIRST;
    loop {
        let asked = Instant::now();
        let wait = match line.exchange(request.as_bytes(), timeout).await {
            Ok(answer) if answer.status == 429 || answer.status == 503 => {
                // Not all at the same instant again.
                let apart = Duration::from_millis(mix(number) % 200);
                let wait = match answer.retry_after {
                    _ if shared.impatient => Duration::ZERO,
                    Some(after) => after + apart,
                    None => pause,
                };
                shared.tally().overloaded += 1;
                wait
            }
            Ok(answer) if answer.status >= 500 => {
                let word = Word::of(&answer, asked.elapsed());
                let mut tally = shared.tally();
                tally.server_errors += 1;
                tally.last_trouble = Some(format!("{} {}", word.status, word.what));
                pause
            }
            Ok(answer) => return Some(Word::of(&answer, asked.elapsed())),
            Err(error) => {
                let mut tally = shared.tally();
                tally.connection_losses += 1;
                tally.last_trouble = Some(error.to_string());
                pause
            }
        };
        if since.elapsed() + wait > shared.patience {
            return None;
        }
        tokio::time::sleep(wait).await;
        pause = (pause * 2).min(PAUSE_MAX);
    }
}
