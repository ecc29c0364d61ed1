//! After a crash every page says what was recovered, in the words and with the numbers of the engine. `static/live.js`
//! shows it; without it the lists do.

use maud::{Markup, html};

use super::list_view::grouped;
use super::span::{clock, span};
use crate::model::Timestamp;
use crate::runtime::{Engine, Recovery};

/// For so long it is news.
const NEWS_MS: u64 = 15 * 60_000;

fn of(n: i64, one: &str, many: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{} {many}", grouped(n)) }
}

/// What became of what was open when the process before ended.
pub fn sentence(recovery: &Recovery) -> String {
    let at = clock(recovery.began);
    let how = if recovery.after_crash { "came back after a crash" } else { "was restarted" };
    let mut said = format!("The server {how} at {} UTC: ", at.get(..8).unwrap_or_default());
    said += &of(recovery.orders, "open order", "open orders");
    if recovery.others > 0 {
        said += &format!(" and {}", of(recovery.others, "job or task", "jobs and tasks"));
    }
    said += if recovery.orders + recovery.others == 1 { " went on where it was" } else { " went on where they were" };
    if recovery.after_crash {
        let calls = i64::try_from(recovery.calls).unwrap_or(i64::MAX);
        said += &match calls {
            0 => "; no call was without its result".to_owned(),
            n => format!(
                "; {} handed out again, each under its key",
                of(n, "call without a result was", "calls without a result were")
            ),
        };
    }
    said + "."
}

/// Whether it is told to everybody.
pub fn is_news(recovery: &Recovery, now: Timestamp) -> bool {
    recovery.after_crash && now.ms_since(recovery.began) < NEWS_MS
}

/// For a page whose browser runs no scripts.
pub fn notice(engine: &Engine) -> Markup {
    let recovery = engine.recovery();
    html! {
        @if is_news(&recovery, engine.now()) {
            noscript { p.notice { (sentence(&recovery)) " " small { "It is " (span(engine.now().ms_since(recovery.began))) " ago." } } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crash_is_told_with_its_numbers_and_is_news_for_a_while() {
        let began = Timestamp(1_700_000_000_007);
        let crash = Recovery { after_crash: true, began, orders: 214, others: 1, calls: 3 };
        assert_eq!(
            sentence(&crash),
            "The server came back after a crash at 22:13:20 UTC: 214 open orders and 1 job or task went on where they \
             were; 3 calls without a result were handed out again, each under its key."
        );
        let plain = Recovery { after_crash: false, orders: 1, others: 0, ..crash };
        assert_eq!(sentence(&plain), "The server was restarted at 22:13:20 UTC: 1 open order went on where it was.");
        assert!(is_news(&crash, began.plus_ms(60_000)) && !is_news(&plain, began));
        assert!(!is_news(&crash, began.plus_ms(NEWS_MS)));
    }
}
