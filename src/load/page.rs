//! The report as a page of its own: figures and plots, no script, nothing from elsewhere.

use std::fmt::Write as _;

use super::plots::{Curve, plot};
use super::report::{Latency, Report};
use super::series::Sample;

const STYLE: &str = "
:root { color-scheme: light; font: 15px/1.5 system-ui, sans-serif; color: #22282e; background: #f6f7f8 }
body { max-width: 1500px; margin: 0 auto; padding: 32px 24px 64px }
h1 { font-size: 22px; margin: 0 } h2 { font-size: 15px; margin: 0 0 4px } p { margin: 4px 0 }
.lead { color: #5a636c } .bad { color: #b00020; font-weight: 600 }
.tiles { display: flex; flex-wrap: wrap; gap: 12px; margin: 24px 0 }
.tile { background: #fff; border: 1px solid #e4e7ea; border-radius: 8px; padding: 12px 18px; min-width: 120px }
.tile b { display: block; font-size: 24px; font-weight: 600; font-variant-numeric: tabular-nums; line-height: 1.25 }
.tile span { color: #5a636c; font-size: 13px }
.plots { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 560px), 1fr)); gap: 16px }
figure { margin: 0; background: #fff; border: 1px solid #e4e7ea; border-radius: 8px; padding: 14px 16px 6px }
figure svg { width: 100%; height: auto; display: block }
figcaption { color: #5a636c; font-size: 13px }
table { border-collapse: collapse; background: #fff; margin: 24px 0; border: 1px solid #e4e7ea }
th, td { padding: 6px 14px; text-align: right; font-variant-numeric: tabular-nums; border-top: 1px solid #eef0f2 }
th:first-child, td:first-child { text-align: left } th { font-weight: 600; font-size: 13px; color: #5a636c }
code { background: #eef0f2; padding: 1px 5px; border-radius: 4px }
";

/// The page as HTML.
///
/// # Errors
/// What the drawing library says.
pub fn render(report: &Report) -> Result<String, String> {
    let mut page = String::new();
    // Writing to a String cannot fail.
    let _ = write!(
        page,
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>ordain load: {:.0} orders/s</title>\
         <meta name=\"viewport\" content=\"width=device-width\"><style>{STYLE}</style></head><body>",
        report.orders_per_second
    );
    head(&mut page, report);
    tiles(&mut page, report);
    plots(&mut page, report)?;
    latencies(&mut page, report);
    for note in &report.notes {
        let _ = write!(page, "<p class=\"lead\">Note: {}</p>", escaped(note));
    }
    page.push_str("</body></html>\n");
    Ok(page)
}

fn head(page: &mut String, report: &Report) {
    let arrival = match report.rate {
        Some(rate) => format!("{rate} orders a second arriving, at most {} in flight", report.in_flight),
        None => format!("{} in flight", report.in_flight),
    };
    let _ = write!(
        page,
        "<h1>ordain load</h1><p class=\"lead\">{} orders, {arrival}, mix <code>{}</code>, seed {}, ordain {}</p>",
        report.orders,
        escaped(&report.mix),
        report.seed,
        env!("CARGO_PKG_VERSION"),
    );
    let _ = match &report.check {
        None => write!(page, "<p>Not checked in SQL.</p>"),
        Some(check) if check.breaches == 0 => write!(
            page,
            "<p>Checked in SQL afterwards: {} orders, {} events, every accepted order ended with one charge and one \
             dispatch; no breach.</p>",
            check.orders, check.events
        ),
        Some(check) => {
            let first: Vec<String> = check.first.iter().map(|b| format!("{} {}", b.id, b.what)).collect();
            write!(page, "<p class=\"bad\">{} breaches: {}</p>", check.breaches, escaped(&first.join("; ")))
        }
    };
    if !report.ok {
        page.push_str("<p class=\"bad\">The run is not in order: not every order was accepted and ended well.</p>");
    }
}

fn tiles(page: &mut String, report: &Report) {
    page.push_str("<div class=\"tiles\">");
    let mut tile = |value: Option<String>, name: &str| {
        if let Some(value) = value {
            let _ = write!(page, "<div class=\"tile\"><b>{value}</b><span>{name}</span></div>");
        }
    };
    let whole = |value: f64| format!("{value:.0}");
    let server = &report.server;
    tile(Some(whole(report.orders_per_second)), "orders a second");
    tile(Some(format!("{:.1} ms", report.completion_ms.p50)), "p50 of completion");
    tile(Some(format!("{:.1} ms", report.completion_ms.p99)), "p99 of completion");
    tile(Some(format!("{:.1} ms", report.start_ms.p50)), "p50 of the start's answer");
    tile(server.batch_mean.map(whole), "transitions a commit, mean");
    tile(server.commit_p99_ms.map(|ms| format!("{ms:.1} ms")), "p99 of a commit");
    tile(server.mailbox_high_water.map(whole), "deepest mailbox");
    tile(server.peak_rss_bytes.map(|b| format!("{:.0} MiB", b as f64 / 1_048_576.0)), "server's peak memory");
    let restarts = report.series.restarts.len();
    tile((restarts > 0).then(|| restarts.to_string()), "kills with -9");
    page.push_str("</div>");
}

fn plots(page: &mut String, report: &Report) -> Result<(), String> {
    let samples = &report.series.samples;
    let curve = |name, of: &dyn Fn(&Sample) -> Option<f64>| Curve {
        name,
        points: samples.iter().filter_map(|s| Some((s.seconds, of(s)?))).collect(),
    };
    let marks: Vec<f64> = report.series.restarts.iter().map(|r| r.seconds).collect();
    let latency = |ms: f64| (ms > 0.0).then_some(ms);
    let rss = |s: &Sample| s.server_rss_bytes.map(|bytes| bytes as f64 / 1_048_576.0);
    let all: [(&str, &str, Vec<Curve>, &str); 7] = [
        ("Throughput", "orders that ended, a second", vec![curve("ended", &|s| Some(s.ended_per_second))], ""),
        (
            "Completion",
            "of each half second: orders that ended, and answers to starts that were taken",
            vec![
                curve("p99", &|s| latency(s.p99_ms)),
                curve("p50", &|s| latency(s.p50_ms)),
                curve("taken p99", &|s| latency(s.taken_p99_ms)),
            ],
            " ms",
        ),
        ("Commits", "transitions a commit, mean", vec![curve("batch", &|s| s.batch_mean)], ""),
        ("Commit time", "p99 of a commit, fsync included", vec![curve("commit", &|s| s.commit_p99_ms)], " ms"),
        (
            "Orders and actors",
            "in flight at the client, live in the server",
            vec![curve("in flight", &|s| Some(s.in_flight as f64)), curve("actors", &|s| s.actors_live)],
            "",
        ),
        (
            "Queues",
            "calls that wait for a worker; the deepest mailbox so far",
            vec![curve("waiting calls", &|s| s.queued), curve("mailbox", &|s| s.mailbox_high_water)],
            "",
        ),
        ("Memory", "resident memory of the server", vec![curve("rss", &rss)], " MiB"),
    ];
    page.push_str("<div class=\"plots\">");
    for (title, what, curves, unit) in all {
        if let Some(svg) = plot(&curves, &marks, report.seconds, unit)? {
            let _ = write!(page, "<figure><h2>{title}</h2><figcaption>{what}</figcaption>{svg}</figure>");
        }
    }
    page.push_str("</div>");
    if !report.series.restarts.is_empty() {
        let ready: Vec<String> = report.series.restarts.iter().map(|r| format!("{:.0} ms", r.ready_ms)).collect();
        let _ = write!(
            page,
            "<p class=\"lead\">Dashed lines: the server was killed with -9. From its start until it was ready: {}.</p>",
            ready.join(", ")
        );
    }
    Ok(())
}

fn latencies(page: &mut String, report: &Report) {
    page.push_str("<table><tr><th>ms</th><th>mean</th><th>p50</th><th>p95</th><th>p99</th><th>max</th></tr>");
    let mut row = |name: &str, l: &Latency| {
        let cells = [l.mean, l.p50, l.p95, l.p99, l.max].map(|ms| format!("<td>{ms:.2}</td>")).concat();
        let _ = write!(page, "<tr><td>{name}</td>{cells}</tr>");
    };
    row("start answered", &report.start_ms);
    row("order ended", &report.completion_ms);
    page.push_str("</table>");
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::{Breach, Check, Restart, Series};

    #[test]
    fn the_page_stands_alone_and_what_comes_from_outside_is_text() {
        let mut report = crate::load::report::example();
        let sample =
            |seconds| Sample { seconds, ended_per_second: 900.0, p50_ms: 3.0, p99_ms: 9.0, ..Sample::default() };
        report.series = Series {
            samples: vec![sample(0.5), sample(1.0)],
            restarts: vec![Restart { seconds: 0.7, ready_ms: 81.0 }],
        };
        let breach = Breach { id: "<img src=x>".into(), what: "is gone".into() };
        report.check = Some(Check { breaches: 1, first: vec![breach], ..Check::default() });
        let page = render(&report).unwrap();
        assert!(!page.contains("<img") && page.contains("&lt;img src=x&gt; is gone"), "{page}");
        assert!(!page.contains("<script") && !page.contains("src=\"") && !page.contains("href="));
        assert_eq!(page.matches("<svg").count(), 3, "throughput, completion, in flight");
        assert!(page.contains("81 ms") && page.contains("kills with -9"));
        assert_eq!(page.matches("<div").count(), page.matches("</div>").count());
    }
}
