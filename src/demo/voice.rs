//! How the story is told: lines on standard output, in colour on a terminal, with pauses for people.

use std::io::{self, IsTerminal as _, Write as _};
use std::time::Duration;

use super::Pace;

const PAUSE: Duration = Duration::from_millis(1_500);

pub struct Voice {
    pace: Pace,
    colours: bool,
    scenes: u32,
    failed: u32,
}

impl Voice {
    pub fn new(pace: Pace) -> Self {
        Self { pace, colours: crate::cli::colours(), scenes: 0, failed: 0 }
    }

    fn line(&self, style: &str, text: &str) -> io::Result<()> {
        // Not println: whoever listens may leave, and that is no panic.
        let mut out = io::stdout().lock();
        if self.colours && !style.is_empty() {
            writeln!(out, "\x1b[{style}m{text}\x1b[0m")
        } else {
            writeln!(out, "{text}")
        }
    }

    pub fn title(&self, text: &str) -> io::Result<()> {
        self.line("1", text)?;
        self.line("", "")
    }

    pub fn scene(&mut self, text: &str) -> io::Result<()> {
        self.scenes += 1;
        self.heading(&format!("{}. {text}", self.scenes))
    }

    pub fn heading(&self, text: &str) -> io::Result<()> {
        self.line("", "")?;
        self.line("1;36", text)
    }

    pub fn say(&self, text: &str) -> io::Result<()> {
        self.line("", &format!("   {text}"))
    }

    /// A request that is sent.
    pub fn sends(&self, text: &str) -> io::Result<()> {
        self.line("2", &format!("   > {text}"))
    }

    /// Says whether something holds that was promised.
    pub fn claim(&mut self, holds: bool, text: &str) -> io::Result<()> {
        if holds {
            return self.line("32", &format!("   ✓ {text}"));
        }
        self.failed += 1;
        self.line("1;31", &format!("   ✗ {text}"))
    }

    /// Claims that two values are the same; says both where they are not.
    pub fn claim_eq<T: PartialEq + std::fmt::Debug>(&mut self, found: T, expected: T, text: &str) -> io::Result<()> {
        if found == expected {
            self.claim(true, text)
        } else {
            self.claim(false, &format!("{text} (expected {expected:?}, found {found:?})"))
        }
    }

    /// Claims that did not hold.
    pub fn failed(&self) -> u32 {
        self.failed
    }

    /// Time to read.
    pub async fn pause(&self) {
        if self.pace == Pace::Normal {
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A bar that counts to `total`; drawn on a terminal only.
    pub fn bar(&self, total: u64) -> indicatif::ProgressBar {
        let target = if io::stdout().is_terminal() {
            indicatif::ProgressDrawTarget::stdout()
        } else {
            indicatif::ProgressDrawTarget::hidden()
        };
        let bar = indicatif::ProgressBar::with_draw_target(Some(total), target);
        if let Ok(style) = indicatif::ProgressStyle::with_template("   {bar:50} {pos} of {len} have arrived") {
            bar.set_style(style);
        }
        bar
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn claims_that_do_not_hold_are_counted() {
        let mut voice = Voice::new(Pace::Fast);
        voice.claim(true, "holds").unwrap();
        voice.claim_eq(1, 1, "holds").unwrap();
        assert_eq!(voice.failed(), 0);
        voice.claim(false, "does not hold, on purpose").unwrap();
        voice.claim_eq(1, 2, "does not hold, on purpose").unwrap();
        assert_eq!(voice.failed(), 2);
    }
}
