//! The plots of a report: lines over the time of the run, drawn as SVG by plotters. Nothing here knows what is measured.

use plotters::prelude::*;

const SIZE: (u32, u32) = (720, 280);
const INK: RGBColor = RGBColor(0x33, 0x3a, 0x42);
const GRID: RGBColor = RGBColor(0xe4, 0xe7, 0xea);
/// Told apart also by people who see colours differently (Okabe and Ito, 2008).
const COLOURS: [RGBColor; 3] = [RGBColor(0x00, 0x72, 0xb2), RGBColor(0xd5, 0x5e, 0x00), RGBColor(0x00, 0x9e, 0x73)];
const KILLED: RGBColor = RGBColor(0xb0, 0x00, 0x20);

/// A line: its name and its points (seconds, value), in the order of time.
pub struct Curve {
    pub name: &'static str,
    pub points: Vec<(f64, f64)>,
}

/// Draws curves over the same axes; `marks`: instants to mark with an upright line. `None` where there is no point.
///
/// # Errors
/// What the drawing library says.
pub fn plot(curves: &[Curve], marks: &[f64], seconds: f64, unit: &str) -> Result<Option<String>, String> {
    let points = || curves.iter().flat_map(|curve| &curve.points);
    if points().next().is_none() {
        return Ok(None);
    }
    let top = points().map(|point| point.1).fold(0.0, f64::max);
    // Room above for the names of the curves.
    let room = if curves.len() > 1 { 1.25 } else { 1.08 };
    let top = if top > 0.0 { top * room } else { 1.0 };
    let mut svg = String::new();
    draw(&mut svg, curves, marks, seconds.max(1e-3), top, unit).map_err(|e| e.to_string())?;
    Ok(Some(svg))
}

fn draw(
    svg: &mut String,
    curves: &[Curve],
    marks: &[f64],
    seconds: f64,
    top: f64,
    unit: &str,
) -> Result<(), Box<dyn std::error::Error>> {
    let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
    area.fill(&WHITE)?;
    let text = ("sans-serif", 13).into_font().color(&INK);
    let mut chart = ChartBuilder::on(&area)
        .margin(10)
        .margin_right(18)
        .x_label_area_size(26)
        .y_label_area_size(64)
        .build_cartesian_2d(0.0..seconds, 0.0..top)?;
    chart
        .configure_mesh()
        .disable_x_mesh()
        .light_line_style(WHITE)
        .bold_line_style(GRID)
        .axis_style(INK.mix(0.4))
        .x_labels(8)
        .y_labels(5)
        .x_label_formatter(&|s| format!("{s:.0} s"))
        .y_label_formatter(&|value| format!("{}{unit}", short(*value)))
        .label_style(text.clone())
        .draw()?;
    for at in marks {
        chart.draw_series(DashedLineSeries::new([(*at, 0.0), (*at, top)], 4, 4, KILLED.mix(0.7).stroke_width(1)))?;
    }
    for (curve, colour) in curves.iter().zip(COLOURS.iter().cycle()) {
        let drawn = chart.draw_series(LineSeries::new(curve.points.iter().copied(), colour.stroke_width(2)))?;
        if curves.len() > 1 {
            let sign = *colour;
            let line = move |(x, y)| PathElement::new(vec![(x, y), (x + 16, y)], sign.stroke_width(2));
            drawn.label(curve.name).legend(line);
        }
    }
    if curves.len() > 1 {
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::UpperRight)
            .background_style(WHITE.mix(0.85))
            .border_style(GRID)
            .label_font(text)
            .draw()?;
    }
    area.present()?;
    Ok(())
}

/// A number in few characters: 1200 is 1.2k.
fn short(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        v if v >= 1e9 => (value / 1e9, "G"),
        v if v >= 1e6 => (value / 1e6, "M"),
        v if v >= 1e3 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text =
        if scaled.abs() >= 100.0 || scaled.fract() == 0.0 { format!("{scaled:.0}") } else { format!("{scaled:.1}") };
    text + suffix
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plot_is_an_svg_with_its_curves_and_marks() {
        let curve = |name, to: f64| Curve { name, points: vec![(0.0, 0.0), (5.0, to), (10.0, 3.0)] };
        let svg = plot(&[curve("p50", 4.0), curve("p99", 4_000.0)], &[2.5], 10.0, " ms").unwrap().unwrap();
        assert!(svg.starts_with("<svg") && svg.contains("p50") && svg.contains("4k ms"), "{svg}");
        assert!(plot(&[Curve { name: "none", points: Vec::new() }], &[], 10.0, "").unwrap().is_none());
    }

    #[test]
    fn numbers_are_short() {
        let shown: Vec<String> = [0.0, 0.5, 12.0, 1_234.0, 250_000.0, 3e6].into_iter().map(short).collect();
        assert_eq!(shown, ["0", "0.5", "12", "1.2k", "250k", "3M"]);
    }
}
