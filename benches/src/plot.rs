//! Plots, as SVG.

use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;

type Failure = Box<dyn std::error::Error>;

/// Lines over one axis.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) x: Axis,
    pub(crate) y: Axis,
    pub(crate) lines: Vec<Line>,
}

#[derive(Debug)]
pub(crate) struct Axis {
    pub(crate) label: &'static str,
    pub(crate) scale: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Scale {
    Linear,
    /// Values have to be above zero.
    Log,
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) name: String,
    pub(crate) points: Vec<(f64, f64)>,
}

const SIZE: (u32, u32) = (1_000, 480);
/// The width of the legend.
const LEGEND: u32 = 260;

/// Told apart by those who don't see all colors, too.
const COLORS: [RGBColor; 8] = [
    RGBColor(213, 94, 0),
    RGBColor(0, 114, 178),
    RGBColor(0, 158, 115),
    RGBColor(204, 121, 167),
    RGBColor(86, 180, 233),
    RGBColor(230, 159, 0),
    RGBColor(90, 90, 90),
    RGBColor(0, 0, 0),
];

impl Chart {
    pub(crate) fn file_name(&self) -> String {
        format!("{}.svg", self.name)
    }

    /// The plot as the text of an SVG file.
    pub(crate) fn svg(&self) -> String {
        let mut svg = String::new();
        let drawn = self.draw(&mut svg);
        drawn.expect("text can be drawn on without errors");
        svg
    }

    fn draw(&self, svg: &mut String) -> Result<(), Failure> {
        let (x, y) = (self.range(|point| point.0), self.range(|point| point.1));
        let (x, y) = (self.x.padded(x), self.y.padded(y));
        let log = |range: std::ops::Range<f64>| range.log_scale();
        match (self.x.scale, self.y.scale) {
            (Scale::Linear, Scale::Linear) => self.draw_on(svg, x, y),
            (Scale::Linear, Scale::Log) => self.draw_on(svg, x, log(y)),
            (Scale::Log, Scale::Linear) => self.draw_on(svg, log(x), y),
            (Scale::Log, Scale::Log) => self.draw_on(svg, log(x), log(y)),
        }
    }

    fn draw_on<X, Y>(&self, svg: &mut String, x: X, y: Y) -> Result<(), Failure>
    where
        X: AsRangedCoord<Value = f64>,
        X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
        Y: AsRangedCoord<Value = f64>,
        Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    {
        let area = SVGBackend::with_string(svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        // The legend has a place of its own, so that it hides no line.
        let (area, legend) = area.split_horizontally(SIZE.0 - LEGEND);
        let mut chart = ChartBuilder::on(&area)
            .caption(self.title, ("sans-serif", 20))
            .margin(12)
            .x_label_area_size(44)
            .y_label_area_size(76)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(self.x.label)
            .y_desc(self.y.label)
            .label_style(("sans-serif", 13))
            .x_label_formatter(&|value| short(*value))
            .y_label_formatter(&|value| short(*value))
            .light_line_style(WHITE.mix(0.0))
            .draw()?;
        for (n, (line, color)) in (1..).zip(self.lines.iter().zip(COLORS.iter().cycle())) {
            let style = color.stroke_width(2);
            let points = || line.points.iter().copied();
            chart.draw_series(LineSeries::new(points(), style))?;
            if line.points.len() <= MARKED {
                chart.draw_series(points().map(|point| Circle::new(point, 3, color.filled())))?;
            }
            let y = 24 * n + 24;
            legend.draw(&PathElement::new(vec![(4, y), (24, y)], style))?;
            legend.draw(&Text::new(
                line.name.as_str(),
                (32, y - 6),
                ("sans-serif", 13),
            ))?;
        }
        area.present()?;
        Ok(())
    }

    fn range(&self, of: impl Fn(&(f64, f64)) -> f64) -> (f64, f64) {
        let values = self.lines.iter().flat_map(|line| &line.points).map(of);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    }
}

/// A line with at most that many points shows each of them.
const MARKED: usize = 20;

impl Axis {
    fn padded(&self, (low, high): (f64, f64)) -> std::ops::Range<f64> {
        match self.scale {
            _ if low > high => 0.1..1.0,
            Scale::Log => low.max(1e-3) / 1.2..high.max(1e-3) * 1.6,
            Scale::Linear => low.min(0.0)..high * 1.05 + f64::EPSILON,
        }
    }
}

/// A number as it is written at an axis.
fn short(value: f64) -> String {
    let text = |value: f64, unit: &str| {
        let text = format!("{value:.2}");
        let text = text.trim_end_matches('0').trim_end_matches('.');
        format!("{text}{unit}")
    };
    match value {
        ..1e3 => text(value, ""),
        ..1e6 => text(value / 1e3, "k"),
        _ => text(value / 1e6, "M"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_names_its_axes_and_lines() {
        for scale in [Scale::Linear, Scale::Log] {
            let axis = |label| Axis { label, scale };
            let chart = Chart {
                name: "test",
                title: "The title",
                x: axis("the x axis"),
                y: axis("the y axis"),
                lines: vec![Line {
                    name: "a line".to_owned(),
                    points: vec![(1.0, 10.0), (100.0, 2_000.0)],
                }],
            };
            let svg = chart.svg();
            for text in ["<svg", "The title", "the x axis", "the y axis", "a line"] {
                assert!(svg.contains(text), "{text} is missing in {svg}");
            }
        }
    }

    #[test]
    fn a_chart_without_points_is_drawn() {
        let axis = |label| Axis {
            label,
            scale: Scale::Log,
        };
        let chart = Chart {
            name: "empty",
            title: "Nothing",
            x: axis("x"),
            y: axis("y"),
            lines: Vec::new(),
        };
        assert!(chart.svg().contains("Nothing"));
    }

    #[test]
    fn numbers_at_an_axis_are_short() {
        assert_eq!(short(0.5), "0.5");
        assert_eq!(short(64.0), "64");
        assert_eq!(short(10_000.0), "10k");
    }
}
