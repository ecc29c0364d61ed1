//! The report as tables for a person.

use std::fmt::Write as _;

use comfy_table::{CellAlignment, Table, presets};

use super::report::{Latency, Report};

pub fn render(report: &Report) -> String {
    let mut out = String::new();
    let verdict = if report.ok { "ok" } else { "NOT OK" };
    // Writing to a String cannot fail.
    let _ = writeln!(
        out,
        "{verdict}: {} of {} orders ended in {:.1} s, {:.0} orders/s, {} in flight\n",
        report.ended, report.orders, report.seconds, report.orders_per_second, report.in_flight
    );
    let _ = writeln!(out, "{}\n", latencies(report));
    let _ = writeln!(out, "{}", figures(report));
    for note in &report.notes {
        let _ = writeln!(out, "note: {note}");
    }
    match &report.check {
        None => out.push_str("check in SQL: not made\n"),
        Some(check) if check.breaches == 0 => {
            let _ = writeln!(out, "check in SQL: {} orders, {} events, no breach", check.orders, check.events);
        }
        Some(check) => {
            let _ = writeln!(out, "check in SQL: {} BREACHES, the first of them:", check.breaches);
            for breach in &check.first {
                let _ = writeln!(out, "  {} {}", breach.id, breach.what);
            }
        }
    }
    out
}

fn latencies(report: &Report) -> Table {
    let mut table = plain();
    table.set_header(["ms", "mean", "p50", "p95", "p99", "max"]);
    let mut row = |name: &str, l: &Latency| {
        let cells = [l.mean, l.p50, l.p95, l.p99, l.max].map(|ms| format!("{ms:.2}"));
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    };
    row("start answered", &report.start_ms);
    row("order ended", &report.completion_ms);
    if report.retries.overloaded > 0 {
        row("the try that was taken", &report.taken_ms);
        row("from then to the end", &report.life_ms);
    }
    right(&mut table);
    table
}

fn figures(report: &Report) -> Table {
    let mut table = plain();
    let mut row = |name: &str, value: Option<String>| {
        if let Some(value) = value {
            table.add_row([name.to_owned(), value]);
        }
    };
    let whole = |value: Option<f64>| value.map(|v| format!("{v:.0}"));
    let listed = |counts: &std::collections::BTreeMap<String, u64>| {
        let parts: Vec<String> = counts.iter().map(|(name, n)| format!("{n} {name}")).collect();
        (!parts.is_empty()).then(|| parts.join(", "))
    };
    let server = &report.server;
    let retries = &report.retries;
    row("arrival", report.rate.map(|rate| format!("{rate} orders/s, late starts count as latency")));
    row("accepted", Some(report.accepted.to_string()));
    row("ended", listed(&report.ends).or_else(|| Some("0".into())));
    row("refused", listed(&report.refused));
    let again = retries.overloaded + retries.server_errors + retries.connection_losses;
    row(
        "requests sent again",
        Some(match again {
            0 => "0".into(),
            _ => format!(
                "{} after 429/503, {} after a server error, {} after a lost connection",
                retries.overloaded, retries.server_errors, retries.connection_losses
            ),
        }),
    );
    row("last trouble", retries.last.clone());
    let restarts = &report.series.restarts;
    let slowest = restarts.iter().map(|r| r.ready_ms).fold(0.0, f64::max);
    let killed =
        (!restarts.is_empty()).then(|| format!("{} times, ready again within {slowest:.0} ms", restarts.len()));
    row("killed with -9", killed);
    row("commits", whole(server.batches));
    let batch = server.batch_mean.map(|mean| {
        let [p50, max] = [server.batch_p50, server.batch_max].map(|v| v.map_or("?".into(), |v| format!("{v:.0}")));
        format!("mean {mean:.1}, p50 {p50}, max ≤ {max}")
    });
    row("transitions a commit", batch);
    let commit = server.commit_p50_ms.zip(server.commit_p99_ms);
    row("commit ms", commit.map(|(p50, p99)| format!("p50 {p50:.2}, p99 {p99:.2}")));
    row("mailbox high-water", whole(server.mailbox_high_water));
    row("actors started", whole(server.actors_started));
    row("actors restarted", whole(server.actors_restarted));
    row("actors stuck", whole(server.actors_stuck).filter(|n| n != "0"));
    row("server peak memory", server.peak_rss_bytes.map(|b| format!("{:.0} MiB", b as f64 / 1_048_576.0)));
    row("server processor time", server.cpu_seconds.map(|s| format!("{s:.1} s")));
    row("generator processor time", report.generator_cpu_seconds.map(|s| format!("{s:.1} s")));
    right(&mut table);
    table
}

fn plain() -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING);
    table
}

/// Numbers stand under each other; the names before them to the left.
fn right(table: &mut Table) {
    let many = table.column_count() > 2;
    for column in table.column_iter_mut().skip(1).filter(|_| many) {
        column.set_cell_alignment(CellAlignment::Right);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::load::report::example as report;
    use crate::load::{Breach, Check};

    #[test]
    fn the_percentiles_stand_under_their_names() {
        let text = render(&report());
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines[0], "ok: 10 of 10 orders ended in 0.5 s, 20 orders/s, 2 in flight");
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        assert_eq!(words(lines[2]), ["ms", "mean", "p50", "p95", "p99", "max"]);
        assert_eq!(words(lines[3]), ["start", "answered", "1.00", "1.00", "2.00", "3.00", "40.12"]);
        assert_eq!(lines[2].trim_end().len(), lines[3].trim_end().len());
    }

    #[test]
    fn what_is_not_known_is_not_shown_and_breaches_are() {
        let mut report = report();
        let text = render(&report);
        assert!(text.contains("9 completed, 1 failed") && text.contains("note: fewer"), "{text}");
        assert!(text.contains("10 orders, 120 events, no breach") && !text.contains("commit ms"), "{text}");
        report.ok = false;
        let breach = Breach { id: "o-1".into(), what: "is not there".into() };
        report.check = Some(Check { breaches: 12, first: vec![breach], ..Check::default() });
        let text = render(&report);
        assert!(text.starts_with("NOT OK") && text.contains("12 BREACHES") && text.contains("  o-1 is not there"));
    }
}
