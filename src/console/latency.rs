//! How long orders took, out of the buckets of a Prometheus histogram: percentiles of what ended between two samples.

/// Cumulative counts by upper bound in seconds, as the text has them.
pub type Buckets = Vec<(f64, f64)>;

/// The buckets of the orders that completed, out of the Prometheus text.
pub fn completed(text: &str) -> Buckets {
    let mut buckets = Buckets::new();
    for line in text.lines().filter(|line| line.starts_with("ordain_workflow_seconds_bucket{")) {
        if !line.contains("kind=\"order\"") || !line.contains("state=\"completed\"") {
            continue;
        }
        let bound = line.split("le=\"").nth(1).and_then(|rest| rest.split('"').next());
        let bound = bound.and_then(|le| if le == "+Inf" { Some(f64::INFINITY) } else { le.parse().ok() });
        let count = line.rsplit_once(' ').and_then(|(_, value)| value.parse().ok());
        buckets.extend(bound.zip(count));
    }
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    buckets
}

/// The percentile of what came between two readings, in seconds; `None` where nothing did. Within a bucket it is taken
/// as even.
pub fn percentile(before: &Buckets, after: &Buckets, share: f64) -> Option<f64> {
    let grown = |bound: f64, count: f64| {
        let earlier = before.iter().find(|(known, _)| *known == bound).map_or(0.0, |(_, count)| *count);
        count - earlier
    };
    let grown: Buckets = after.iter().map(|(bound, count)| (*bound, grown(*bound, *count))).collect();
    let all = grown.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
    let rank = all * share;
    let (mut low, mut below) = (0.0, 0.0);
    for (bound, count) in grown {
        if count >= rank {
            let within = if count > below { (rank - below) / (count - below) } else { 1.0 };
            // Nothing is known beyond the last bound.
            return Some(if bound.is_finite() { low + (bound - low) * within } else { low });
        }
        (low, below) = (bound, count);
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "ordain_workflow_seconds_bucket{kind=\"order\",state=\"completed\",le=\"1\"} 50\n\
        ordain_workflow_seconds_bucket{kind=\"order\",state=\"completed\",le=\"+Inf\"} 100\n\
        ordain_workflow_seconds_bucket{kind=\"order\",state=\"completed\",le=\"2\"} 100\n\
        ordain_workflow_seconds_bucket{kind=\"order\",state=\"failed\",le=\"1\"} 9\n\
        ordain_workflow_seconds_bucket{kind=\"job\",state=\"completed\",le=\"1\"} 9\n";

    #[test]
    fn percentiles_are_of_what_came_between() {
        let after = completed(TEXT);
        assert_eq!(after, [(1.0, 50.0), (2.0, 100.0), (f64::INFINITY, 100.0)]);
        assert_eq!(percentile(&Buckets::new(), &after, 0.5), Some(1.0));
        assert_eq!(percentile(&Buckets::new(), &after, 0.25), Some(0.5));
        assert_eq!(percentile(&Buckets::new(), &after, 0.95), Some(1.9));
        let before = vec![(1.0, 50.0), (2.0, 90.0), (f64::INFINITY, 90.0)];
        assert_eq!(percentile(&before, &after, 0.5), Some(1.5));
        assert_eq!(percentile(&after, &after, 0.5), None);
        assert_eq!(percentile(&Buckets::new(), &Buckets::new(), 0.5), None);
    }
}
