//! Small charts as SVG: a line over time, bands on top of each other. Colours come from the style sheet.

use maud::{Markup, html};

use super::span::clock;
use crate::model::Timestamp;

const WIDTH: f64 = 600.0;
const HEIGHT: f64 = 120.0;

/// One series of bands: what it is called, its class, its values.
pub struct Band {
    pub name: String,
    pub class: String,
    pub values: Vec<f64>,
}

/// A number as people read it: 3 significant digits at most.
pub fn number(value: f64) -> String {
    match value {
        v if v.fract() == 0.0 || v.abs() >= 100.0 => format!("{v:.0}"),
        v if v.abs() >= 10.0 => format!("{v:.1}"),
        v => format!("{v:.2}"),
    }
}

fn x(index: usize, len: usize) -> f64 {
    if len < 2 { WIDTH } else { index as f64 / (len - 1) as f64 * WIDTH }
}

/// A chart of one series: its last value large, its course below.
pub fn line(title: &str, unit: &str, times: &[Timestamp], values: &[f64]) -> Markup {
    let top = values.iter().copied().fold(0.0, f64::max);
    let scale = if top > 0.0 { (HEIGHT - 6.0) / top } else { 0.0 };
    let points: String = values
        .iter()
        .enumerate()
        .map(|(i, v)| format!("{:.1},{:.1} ", x(i, values.len()), HEIGHT - 2.0 - v * scale))
        .collect();
    let last = values.last().copied().unwrap_or_default();
    let label = format!("{title}: now {} {unit}, at most {} {unit}", number(last), number(top));
    html! {
        figure.chart {
            figcaption { (title) span.now { (number(last)) " " small { (unit) } } }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img" aria-label=(label) {
                line.base x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
                @if values.len() > 1 {
                    polygon.fill points=(format!("0,{HEIGHT} {points}{WIDTH},{HEIGHT}")) {}
                    polyline.course points=(points) {}
                }
            }
            (axis(times, &format!("peak {} {unit}", number(top))))
        }
    }
}

/// Bands on top of each other, the first at the bottom.
pub fn bands(title: &str, times: &[Timestamp], bands: &[Band]) -> Markup {
    let len = times.len();
    let mut sums = vec![0.0; len];
    for band in bands {
        for (sum, value) in sums.iter_mut().zip(&band.values) {
            *sum += value;
        }
    }
    let top = sums.iter().copied().fold(0.0, f64::max);
    let scale = if top > 0.0 { (HEIGHT - 6.0) / top } else { 0.0 };
    let mut floor = vec![0.0; len];
    let mut shapes = Vec::new();
    for band in bands {
        let below: Vec<String> =
            (0..len).rev().map(|i| format!("{:.1},{:.1}", x(i, len), HEIGHT - floor[i] * scale)).collect();
        for (sum, value) in floor.iter_mut().zip(&band.values) {
            *sum += value;
        }
        let above: Vec<String> =
            (0..len).map(|i| format!("{:.1},{:.1}", x(i, len), HEIGHT - floor[i] * scale)).collect();
        shapes.push((band, format!("{} {}", above.join(" "), below.join(" "))));
    }
    html! {
        figure.chart.wide {
            figcaption { (title) span.now { (number(sums.last().copied().unwrap_or_default())) } }
            svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none" role="img"
                aria-label=(format!("{title}: at most {}", number(top))) {
                line.base x1="0" x2=(WIDTH) y1=(HEIGHT - 1.0) y2=(HEIGHT - 1.0) {}
                @if len > 1 { @for (band, points) in &shapes { polygon.band.(band.class) points=(points) {} } }
            }
            (axis(times, &format!("peak {}", number(top))))
            ul.legend { @for band in bands { li { i.swatch.(band.class) aria-hidden="true" {} (band.name) " "
                b { (number(band.values.last().copied().unwrap_or_default())) } } } }
        }
    }
}

fn axis(times: &[Timestamp], peak: &str) -> Markup {
    let at = |time: Option<&Timestamp>| time.map(|t| clock(*t).get(..8).unwrap_or_default().to_owned());
    html! {
        div.axis { span { (at(times.first()).unwrap_or_default()) } span { (peak) } span { (at(times.last()).unwrap_or_default()) } }
    }
}

/// How much something that only grows has grown a second, between neighbouring samples.
pub fn rate(times: &[Timestamp], totals: &[f64]) -> Vec<f64> {
    let pairs = times.windows(2).zip(totals.windows(2));
    pairs.map(|(t, v)| (v[1] - v[0]).max(0.0) * 1_000.0 / (t[1].ms_since(t[0]).max(1)) as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rates_are_a_second_and_never_negative() {
        let times = [Timestamp(0), Timestamp(2_000), Timestamp(3_000)];
        assert_eq!(rate(&times, &[0.0, 10.0, 4.0]), [5.0, 0.0]);
        assert_eq!([number(0.0), number(1.234), number(12.34), number(1234.5)], ["0", "1.23", "12.3", "1234"]);
    }
}
