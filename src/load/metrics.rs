//! Reads the Prometheus text of `/metrics`: as much of the format as a report needs. Missing names are no error.

use std::collections::BTreeMap;

/// One reading of all samples.
#[derive(Debug, Clone, Default)]
pub struct Scrape {
    /// Values by name, summed over all labels but `le`.
    values: BTreeMap<String, f64>,
    /// Cumulative counts by name and upper bound.
    buckets: BTreeMap<String, Vec<(f64, f64)>>,
}

/// A histogram between two readings.
#[derive(Debug, Clone, PartialEq)]
pub struct Distribution {
    pub count: f64,
    pub sum: f64,
    /// Upper bound and cumulative count, ascending.
    buckets: Vec<(f64, f64)>,
}

impl Scrape {
    pub fn parse(text: &str) -> Self {
        let mut scrape = Self::default();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let Some((name, labels, value)) = sample(line) else { continue };
            if let Some(histogram) = name.strip_suffix("_bucket")
                && let Some(bound) = label(labels, "le").and_then(|le| le.parse::<f64>().ok())
            {
                let buckets = scrape.buckets.entry(histogram.to_owned()).or_default();
                match buckets.iter_mut().find(|(le, _)| *le == bound) {
                    Some((_, count)) => *count += value,
                    None => buckets.push((bound, value)),
                }
            } else {
                *scrape.values.entry(name.to_owned()).or_default() += value;
            }
        }
        for buckets in scrape.buckets.values_mut() {
            buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        scrape
    }

    pub fn value(&self, name: &str) -> Option<f64> {
        self.values.get(name).copied()
    }

    /// How much a counter grew since `earlier`.
    pub fn growth(&self, earlier: &Self, name: &str) -> Option<f64> {
        self.value(name).map(|now| now - earlier.value(name).filter(|then| *then <= now).unwrap_or_default())
    }

    /// What a histogram took in since `earlier`; all of it, if the server was started anew in between.
    pub fn distribution(&self, earlier: &Self, name: &str) -> Option<Distribution> {
        let (count, sum) = (format!("{name}_count"), format!("{name}_sum"));
        let restarted = earlier.value(&count) > self.value(&count);
        let nothing = Self::default();
        let earlier = if restarted { &nothing } else { earlier };
        let before = earlier.buckets.get(name).map(Vec::as_slice).unwrap_or_default();
        let then = |bound: f64| before.iter().find(|(le, _)| *le == bound).map_or(0.0, |(_, count)| *count);
        let buckets = self.buckets.get(name).map(Vec::as_slice).unwrap_or_default();
        Some(Distribution {
            count: self.growth(earlier, &count)?,
            sum: self.growth(earlier, &sum)?,
            buckets: buckets.iter().map(|(bound, count)| (*bound, count - then(*bound))).collect(),
        })
    }
}

impl Distribution {
    pub fn mean(&self) -> Option<f64> {
        (self.count > 0.0).then(|| self.sum / self.count)
    }

    /// An estimate: values are taken to lie evenly in their bucket.
    pub fn quantile(&self, quantile: f64) -> Option<f64> {
        let total = self.buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        let rank = quantile * total;
        let (mut lower, mut below) = (0.0, 0.0);
        for (bound, count) in &self.buckets {
            if *count >= rank && *count > below {
                // Nothing is known of what lies beyond the last bound.
                let upper = if bound.is_finite() { *bound } else { lower };
                return Some(lower + (upper - lower) * ((rank - below) / (count - below)));
            }
            (lower, below) = (*bound, *count);
        }
        Some(lower)
    }

    /// The bound of the highest bucket that holds anything: the maximum is not greater, unless it is infinite.
    pub fn max_bound(&self) -> Option<f64> {
        let total = self.buckets.last().map(|(_, count)| *count).filter(|count| *count > 0.0)?;
        self.buckets.iter().find(|(_, count)| *count >= total).map(|(bound, _)| *bound)
    }
}

/// `name{labels} value [timestamp]` in its parts.
fn sample(line: &str) -> Option<(&str, &str, f64)> {
    let (name, labels, rest) = match line.split_once('{') {
        Some((name, rest)) => {
            let end = rest.rfind('}')?;
            (name, &rest[..end], &rest[end + 1..])
        }
        None => line.split_once(' ').map(|(name, rest)| (name, "", rest))?,
    };
    let value = rest.split_whitespace().next()?.parse().ok()?;
    Some((name.trim(), labels, value))
}

fn label<'a>(labels: &'a str, name: &str) -> Option<&'a str> {
    // Good enough for `le`, whose value holds neither comma nor quote.
    labels.split(',').find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix("=\"")?.strip_suffix('"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"
# HELP batch how many
# TYPE batch histogram
batch_bucket{le="1"} 10
batch_bucket{le="10"} 60
batch_bucket{le="100",x="a,b"} 100
batch_bucket{le="+Inf"} 100
batch_sum 2000
batch_count 100
actors_live{shard="0"} 3
actors_live{shard="1"} 4 1700000000000
broken line here
high 12e1
"#;

    fn batch(text: &str, earlier: &str) -> Distribution {
        Scrape::parse(text).distribution(&Scrape::parse(earlier), "batch").unwrap()
    }

    #[test]
    fn values_are_summed_over_labels() {
        let scrape = Scrape::parse(TEXT);
        assert_eq!(scrape.value("actors_live"), Some(7.0));
        assert_eq!(scrape.value("high"), Some(120.0));
        assert_eq!(scrape.value("missing"), None);
        assert_eq!(scrape.distribution(&Scrape::default(), "missing"), None);
    }

    #[test]
    fn quantiles_are_estimated_within_their_bucket() {
        let batch = batch(TEXT, "");
        assert_eq!(batch.mean(), Some(20.0));
        assert_eq!(batch.quantile(0.1), Some(1.0));
        assert_eq!(batch.quantile(0.35), Some(5.5));
        assert_eq!(batch.quantile(0.8), Some(55.0));
        assert_eq!(batch.max_bound(), Some(100.0));
    }

    #[test]
    fn what_was_there_before_the_run_is_taken_off() {
        let earlier = "batch_bucket{le=\"1\"} 10\nbatch_bucket{le=\"10\"} 60\nbatch_bucket{le=\"100\"} 60\n\
            batch_bucket{le=\"+Inf\"} 60\nbatch_sum 100\nbatch_count 60\n";
        let run = batch(TEXT, earlier);
        assert_eq!((run.count, run.sum), (40.0, 1_900.0));
        assert_eq!(run.quantile(0.5), Some(55.0));
        // Fewer now than then: the server was started anew.
        assert_eq!(batch(earlier, TEXT).count, 60.0);
    }

    #[test]
    fn an_empty_histogram_and_values_beyond_the_last_bound_are_harmless() {
        let empty = batch("batch_bucket{le=\"1\"} 0\nbatch_sum 0\nbatch_count 0", "");
        assert_eq!((empty.mean(), empty.quantile(0.5), empty.max_bound()), (None, None, None));
        let beyond = batch("batch_bucket{le=\"1\"} 0\nbatch_bucket{le=\"+Inf\"} 5\nbatch_sum 50\nbatch_count 5", "");
        assert_eq!(beyond.quantile(0.5), Some(1.0));
        assert_eq!(beyond.max_bound(), Some(f64::INFINITY));
    }
}
