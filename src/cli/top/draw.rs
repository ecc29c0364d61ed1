//! One frame of `ordain top`. Pure: a picture in, a frame out.

use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style, Stylize};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Paragraph, Row, Sparkline, Table};

use super::Picture;
use crate::cli::terminal::{clean, cut, relative};
use crate::runtime::CommitNow;

pub fn draw(frame: &mut Frame<'_>, picture: &Picture) {
    let [head, states, middle, below] =
        Layout::vertical([Constraint::Length(3), Constraint::Length(2), Constraint::Min(8), Constraint::Length(9)])
            .areas(frame.area());
    frame.render_widget(heading(picture), head);
    frame.render_widget(orders(picture), states);
    let [hottest, right] = Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).areas(middle);
    frame.render_widget(hot(picture, hottest), hottest);
    let queues_high = u16::try_from(picture.now.queues.len()).unwrap_or(u16::MAX).saturating_add(2);
    let [queues_at, shards_at] = Layout::vertical([Constraint::Length(queues_high), Constraint::Min(3)]).areas(right);
    frame.render_widget(queues(picture), queues_at);
    frame.render_widget(shards(picture), shards_at);
    let [commits_at, crashes_at] = Layout::horizontal([Constraint::Percentage(55), Constraint::Fill(1)]).areas(below);
    commits(frame, picture, commits_at);
    frame.render_widget(crashes(picture), crashes_at);
}

fn boxed(title: impl Into<String>) -> Block<'static> {
    Block::new().borders(Borders::TOP).title(Span::from(format!(" {} ", title.into())).bold())
}

fn heading(picture: &Picture) -> Paragraph<'_> {
    let now = &picture.now;
    let state = match (&picture.stale, now.ready) {
        (Some(why), _) => Span::from(clean(why)).red(),
        (None, true) => Span::from("ready").green(),
        (None, false) => Span::from("not ready").yellow(),
    };
    let first =
        Line::from(vec![Span::from("ordain top  ").bold(), Span::from(clean(&picture.url)).cyan(), "  ".into(), state]);
    let rate = |n: Option<f64>| n.map_or_else(|| "–".to_owned(), |n| format!("{n:.0}"));
    let of = picture.rates.as_ref();
    let second = format!(
        "started {}/s  ended {}/s  commits {}/s  transitions {}/s",
        rate(of.map(|r| r.orders_started)),
        rate(of.map(|r| r.orders_ended)),
        rate(of.map(|r| r.commits)),
        rate(of.map(|r| r.transitions)),
    );
    let third = format!(
        "live {} of {}  committing {}  deepest mailbox so far {}",
        now.live, now.live_max, now.committing, now.mailbox_high_water
    );
    Paragraph::new(vec![first, Line::from(second), Line::from(third)])
}

/// Orders by state, those that are none left out.
fn orders(picture: &Picture) -> Paragraph<'_> {
    let Some(orders) = &picture.now.orders else { return Paragraph::new("orders: the database does not answer".red()) };
    let mut spans = vec![Span::from("orders  ").bold()];
    for (state, n) in orders.iter().filter(|(_, n)| **n > 0) {
        let colour = match state.as_str() {
            "completed" => Color::Green,
            "failed" | "stuck" => Color::Red,
            "cancelled" | "timed_out" | "compensating" => Color::Yellow,
            _ => Color::Cyan,
        };
        spans.extend([Span::styled(clean(state), Style::new().fg(colour)), Span::from(format!(" {n}  "))]);
    }
    Paragraph::new(Line::from(spans))
}

fn table<'a>(head: &[&'a str], rows: Vec<Row<'a>>, widths: &[Constraint], title: String) -> Table<'a> {
    let head = Row::new(head.iter().copied()).style(Style::new().add_modifier(Modifier::DIM));
    Table::new(rows, widths.iter().copied()).header(head).block(boxed(title))
}

fn hot(picture: &Picture, area: Rect) -> Table<'_> {
    let rows = picture.now.hottest.iter().map(|hot| {
        let style = match (hot.restarts, hot.mailbox) {
            (1.., _) => Style::new().red(),
            (_, 2..) => Style::new().yellow(),
            _ => Style::new(),
        };
        let doing = if hot.idle { "idle" } else { "busy" };
        let timer = hot.next_timer.map(relative).unwrap_or_default();
        let id = cut(&clean(hot.order_id.as_str()), usize::from(area.width.saturating_sub(40)).max(12));
        Row::new([id, hot.mailbox.to_string(), hot.restarts.to_string(), hot.shard.to_string(), doing.into(), timer])
            .style(style)
    });
    let rows = rows.collect();
    let fixed = |n| Constraint::Length(n);
    let widths = [Constraint::Fill(1), fixed(7), fixed(8), fixed(5), fixed(4), fixed(11)];
    table(&["ORDER", "MAILBOX", "RESTARTS", "SHARD", "", "TIMER"], rows, &widths, "hottest orders".to_owned())
}

fn queues(picture: &Picture) -> Table<'_> {
    let rows = picture.now.queues.iter().map(|queue| {
        let style = if queue.backlog > 0 { Style::new().yellow() } else { Style::new() };
        let running = format!("{}/{}", queue.running, queue.concurrency);
        let oldest = if queue.backlog > 0 { seconds(queue.oldest_wait_ms) } else { String::new() };
        let held = if queue.paused {
            " paused"
        } else if queue.backoff_until.is_some() {
            " backs off"
        } else {
            ""
        };
        Row::new([clean(&queue.name) + held, running, queue.backlog.to_string(), oldest]).style(style)
    });
    let rows = rows.collect();
    let widths = [Constraint::Fill(1), Constraint::Length(11), Constraint::Length(8), Constraint::Length(8)];
    table(&["QUEUE", "RUNNING", "BACKLOG", "OLDEST"], rows, &widths, "queues".to_owned())
}

fn shards(picture: &Picture) -> Table<'_> {
    let rows = picture.now.shards.iter().map(|shard| {
        Row::new([shard.shard, shard.live, shard.idle, shard.mailbox, shard.timers].map(|n| n.to_string()))
    });
    let rows = rows.collect();
    table(&["SHARD", "LIVE", "IDLE", "MAILBOX", "TIMERS"], rows, &[Constraint::Fill(1); 5], "shards".to_owned())
}

fn seconds(ms: u64) -> String {
    if ms < 10_000 { format!("{ms} ms") } else { format!("{} s", ms / 1_000) }
}

/// Time and size of the newest commits: figures, and a bar for each.
fn commits(frame: &mut Frame<'_>, picture: &Picture, area: Rect) {
    let last: Vec<&CommitNow> = picture.now.journal.last.iter().collect();
    let block = boxed(format!("commits: {}, failed {}", picture.now.journal.commits, picture.now.journal.failures));
    let inner = block.inner(area);
    frame.render_widget(block, area);
    let [figures, times, sizes] =
        Layout::vertical([Constraint::Length(2), Constraint::Fill(1), Constraint::Fill(1)]).areas(inner);
    let mut ms: Vec<f64> = last.iter().map(|commit| commit.ms).collect();
    ms.sort_by(f64::total_cmp);
    let at = |q: f64| ms.get(((ms.len().max(1) - 1) as f64 * q).round() as usize).copied().unwrap_or(0.0);
    let mean = last.iter().map(|commit| commit.transitions as f64).sum::<f64>() / last.len().max(1) as f64;
    let most = last.iter().map(|commit| commit.transitions).max().unwrap_or(0);
    let words = vec![
        Line::from(format!(
            "of the newest {}: ms p50 {:.2}  p90 {:.2}  max {:.2}",
            last.len(),
            at(0.5),
            at(0.9),
            at(1.0)
        )),
        Line::from(format!("transitions in one: mean {mean:.1}  max {most}")),
    ];
    frame.render_widget(Paragraph::new(words), figures);
    let fits = usize::from(inner.width.saturating_sub(6));
    let newest = &last[last.len().saturating_sub(fits)..];
    let micros: Vec<u64> = newest.iter().map(|commit| (commit.ms * 1e3) as u64).collect();
    let transitions: Vec<u64> = newest.iter().map(|commit| commit.transitions as u64).collect();
    bars(frame, times, "time", &micros, Color::Cyan);
    bars(frame, sizes, "size", &transitions, Color::Green);
}

fn bars(frame: &mut Frame<'_>, area: Rect, name: &str, values: &[u64], colour: Color) {
    let [label, line] = Layout::horizontal([Constraint::Length(6), Constraint::Fill(1)]).areas(area);
    frame.render_widget(Paragraph::new(name.to_owned()).dim(), label);
    frame.render_widget(Sparkline::default().data(values).style(Style::new().fg(colour)), line);
}

fn crashes(picture: &Picture) -> Paragraph<'_> {
    let restarts = &picture.now.restarts;
    let line = |crash: &crate::runtime::Crash| {
        let order = cut(&clean(crash.order_id.as_str()), 24);
        Line::from(format!("{:>10}  {order}  {}", relative(crash.at), cut(&clean(&crash.panic), 60)))
    };
    let lines: Vec<Line<'_>> = restarts.last.iter().rev().take(7).map(line).collect();
    Paragraph::new(lines).block(boxed(format!("restarts of actors: {}", restarts.total)))
}

#[cfg(test)]
mod tests {
    use super::super::rates::{Rates, tests::reading};
    use super::super::{Picture, text_of};

    #[test]
    fn a_frame_shows_orders_queues_shards_commits_and_rates() {
        let (before, now) = (reading(0, 100, 40), reading(2, 300, 50));
        let rates = Rates::between(&before, &now);
        let picture = Picture { url: "http://x".to_owned(), now, rates, stale: None };
        let text = text_of(&picture).unwrap();
        for part in [
            "http://x  ready",
            "started 5/s  ended 5/s  commits 100/s  transitions 1000/s",
            "live 2 of 20000",
            "completed 50  in_review 5",
            "o-1",
            "3/512       4        1500 ms",
            "1500 ms",
            "p50 0.75",
            "mean 4.0",
            "restarts of actors: 1",
            "boom",
        ] {
            assert!(text.contains(part), "{part:?} in\n{text}");
        }
    }

    #[test]
    fn a_server_that_went_away_is_told_over_what_was_last_seen() {
        let stale = Some("server not reachable".to_owned());
        let picture = Picture { url: "http://x".to_owned(), now: reading(1, 1, 1), rates: None, stale };
        let text = text_of(&picture).unwrap();
        assert!(text.contains("server not reachable") && text.contains("started –/s"), "{text}");
    }
}
