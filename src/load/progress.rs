//! The bar a person watches. Without a terminal there is none.

use std::fmt::Write as _;
use std::time::Instant;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::crew::Shared;
use super::series::Series;

pub struct Progress {
    bar: ProgressBar,
    last: (Instant, u64),
    rate: f64,
}

impl Progress {
    pub fn new(total: u64) -> Self {
        // indicatif draws nothing where standard error is not a terminal.
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let template = "{bar:40} {pos}/{len} {msg} [{elapsed}, {eta} to go]";
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        Self { bar, last: (Instant::now(), 0), rate: 0.0 }
    }

    pub fn show(&mut self, shared: &Shared, series: &Series) {
        let (ended, over, p99_us) = {
            let tally = shared.tally();
            let refused: u64 = tally.refused.values().sum();
            (tally.ended, tally.ended + refused, tally.completion_us.value_at_quantile(0.99))
        };
        let now = Instant::now();
        let seconds = (now - self.last.0).as_secs_f64();
        if seconds > 0.0 {
            let rate = (ended - self.last.1) as f64 / seconds;
            self.rate = if self.last.1 == 0 { rate } else { 0.7 * self.rate + 0.3 * rate };
        }
        self.last = (now, ended);
        let in_flight = shared.begun().saturating_sub(over);
        let p99 = p99_us as f64 / 1_000.0;
        let mut message = format!("{:.0} orders/s, {in_flight} in flight, p99 {p99:.1} ms", self.rate);
        // Writing to a String cannot fail.
        if let Some(sample) = series.samples.last() {
            if let Some(batch) = sample.batch_mean {
                let _ = write!(message, ", commits of {batch:.0}");
            }
            if let Some(mailbox) = sample.mailbox_high_water {
                let _ = write!(message, ", mailbox {mailbox:.0}");
            }
        }
        if !series.restarts.is_empty() {
            let _ = write!(message, ", killed {} times", series.restarts.len());
        }
        self.bar.set_message(message);
        self.bar.set_position(over);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
