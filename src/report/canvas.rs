//! A canvas: one SVG, with axes where wanted, on which plots place their marks in pixels.
//!
//! In: a layout, ticks and marks. Out: the text of one `<svg>` element. The only file that speaks
//! to the plotting library.
//!
//! # Units
//! Pixels of a page at its full width, from the upper left corner; curves in places from 0 to 1.

use std::ops::Range;

use plotters::coord::Shift;
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::escape;
use super::ink::Ink;
use super::reduce::Point;
use super::scale::Tick;

/// Why the library could not draw.
pub(super) type DrawError = DrawingAreaErrorKind<std::io::Error>;

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Chart<'a> = ChartContext<'a, SVGBackend<'a>, Cartesian2d<Axis, Axis>>;

/// The library draws on whole numbers; half a pixel is as fine as common screens show.
const FINE: f64 = 2.0;
/// Font size in pixels; `style.css` sets the same.
const FONT: f64 = 12.0;
/// The library writes a font size divided by this.
const FONT_FACTOR: f64 = 1.24;
/// Mean width of a character, as a part of the font size, rounded up: sans-serif digits are 0.56.
const CHARACTER: f64 = 0.57;
/// Length of a tick in pixels; the label stands twice as far from the axis.
const TICK: f64 = 4.0;
/// Radius of a point without neighbours, in pixels.
const DOT: f64 = 1.5;

/// An axis of the library: places from 0 to 1, with these as its ticks.
struct Axis(Vec<f64>);

impl Ranged for Axis {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, place: &f64, (from, to): (i32, i32)) -> i32 {
        from + (place * f64::from(to - from)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, hint: Hint) -> Vec<f64> {
        if hint.weight().allow_light_points() { Vec::new() } else { self.0.clone() }
    }

    fn range(&self) -> Range<f64> {
        0.0..1.0
    }
}

/// How wide a text is, in pixels, about: no font is at hand to measure it.
pub(super) fn text_width(text: &str) -> f64 {
    text.chars().count() as f64 * FONT * CHARACTER
}

/// A text without its middle where it is too wide: names of features differ at their ends.
pub(super) fn fitting(text: &str, width: f64) -> String {
    let count = text.chars().count();
    let room = (width / text_width("m")) as usize;
    if count <= room {
        return text.to_owned();
    }
    let keep = room.saturating_sub(1);
    let (head, tail) = (keep.div_ceil(2), keep / 2);
    let chars: Vec<char> = text.chars().collect();
    chars[..head].iter().chain(&['…']).chain(&chars[count - tail..]).collect()
}

/// The size of a canvas and of the margins around its plot, in pixels.
#[derive(Debug, Clone, Copy)]
pub(super) struct Layout {
    pub(super) width: f64,
    pub(super) height: f64,
    pub(super) left: f64,
    pub(super) right: f64,
    pub(super) top: f64,
    pub(super) bottom: f64,
}

impl Layout {
    /// Pixels from the left edge of a place on the horizontal axis.
    pub(super) fn x(&self, place: f64) -> f64 {
        self.left + place * (self.width - self.left - self.right)
    }

    /// Pixels from the top of a place on the vertical axis.
    pub(super) fn y(&self, place: f64) -> f64 {
        self.height - self.bottom - place * (self.height - self.top - self.bottom)
    }
}

/// Which end of a text its place names.
#[derive(Debug, Clone, Copy)]
pub(super) enum Anchor {
    Left,
    Right,
    Middle,
}

/// An SVG while it is drawn.
pub(super) struct Canvas<'a> {
    root: Area<'a>,
    chart: Chart<'a>,
}

/// Ticks of both axes; without ticks an axis is not drawn.
pub(super) struct Axes<'a> {
    pub(super) x: &'a [Tick],
    pub(super) y: &'a [Tick],
}

/// Draws an SVG with a class for the style sheet and a description for those who cannot see it.
pub(super) fn draw(
    layout: Layout,
    axes: &Axes,
    (class, description): (&str, &str),
    with: impl FnOnce(&Canvas) -> Result<(), DrawError>,
) -> Result<String, DrawError> {
    let mut svg = String::new();
    {
        let size = (fine(layout.width) as u32, fine(layout.height) as u32);
        let root = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        let axis = |ticks: &[Tick]| Axis(ticks.iter().map(|(place, _)| *place).collect());
        let mut chart = ChartBuilder::on(&root)
            .margin_top(fine(layout.top))
            .margin_right(fine(layout.right))
            .x_label_area_size(fine(layout.bottom))
            .y_label_area_size(fine(layout.left))
            .build_cartesian_2d(axis(axes.x), axis(axes.y))?;
        if !axes.x.is_empty() || !axes.y.is_empty() {
            chart
                .configure_mesh()
                .disable_x_mesh()
                .bold_line_style(stroke(Ink::Grid, 1.0))
                .axis_style(stroke(Ink::Axis, 1.0))
                .set_all_tick_mark_size(fine(TICK))
                .label_style(text_style(Ink::Text, Anchor::Left))
                .x_label_formatter(&|place| label(axes.x, *place))
                .y_label_formatter(&|place| label(axes.y, *place))
                .draw()?;
        }
        with(&Canvas { root: root.clone(), chart })?;
        root.present()?;
    }
    let opening = format!(
        "<svg class=\"{class}\" role=\"img\" aria-label=\"{}\" ",
        escape::html(description)
    );
    Ok(svg.replacen("<svg ", &opening, 1))
}

impl Canvas<'_> {
    /// A line through places from 0 to 1 of both axes; a single point is a dot.
    pub(super) fn curve(&self, run: &[Point], ink: Ink) -> Result<(), DrawError> {
        if let [point] = run {
            let dot = Circle::new(*point, fine(DOT), fill(ink));
            return self.chart.plotting_area().draw(&dot);
        }
        self.chart.plotting_area().draw(&PathElement::new(run.to_vec(), stroke(ink, 1.5)))
    }

    /// A straight line between two points in pixels.
    pub(super) fn line(&self, from: Point, to: Point, ink: Ink) -> Result<(), DrawError> {
        self.root.draw(&PathElement::new(vec![corner(from), corner(to)], stroke(ink, 1.25)))
    }

    /// A filled rectangle between two corners in pixels; never thinner than can be seen.
    pub(super) fn rectangle(&self, from: Point, to: Point, ink: Ink) -> Result<(), DrawError> {
        let ((x0, y0), (x1, y1)) = (corner(from), corner(to));
        let to = (x1.max(x0 + 1), y1.max(y0 + 1));
        self.root.draw(&Rectangle::new([(x0, y0), to], fill(ink)))
    }

    /// A text whose vertical middle and given end stand at a point in pixels.
    pub(super) fn text(&self, text: &str, at: Point, anchor: Anchor) -> Result<(), DrawError> {
        let style = text_style(Ink::Text, anchor);
        self.root.draw_text(&escape::clean(text), &style, corner(at))
    }
}

fn fine(pixels: f64) -> i32 {
    (pixels * FINE).round() as i32
}

fn corner((x, y): Point) -> (i32, i32) {
    (fine(x), fine(y))
}

fn stroke(ink: Ink, width: f64) -> ShapeStyle {
    ink.sentinel().stroke_width((width * FINE).round() as u32)
}

fn fill(ink: Ink) -> ShapeStyle {
    ink.sentinel().filled()
}

fn text_style(ink: Ink, anchor: Anchor) -> TextStyle<'static> {
    let horizontal = match anchor {
        Anchor::Left => HPos::Left,
        Anchor::Right => HPos::Right,
        Anchor::Middle => HPos::Center,
    };
    let font = ("sans-serif", FONT * FINE * FONT_FACTOR).into_font();
    let pos = Pos::new(horizontal, VPos::Center);
    TextStyle { font, color: ink.sentinel().to_backend_color(), pos }
}

/// The library hands back the places it was given.
fn label(ticks: &[Tick], place: f64) -> String {
    let tick = ticks.iter().find(|(tick, _)| *tick == place);
    tick.map(|(_, label)| escape::clean(label)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, characters: usize, expected: &str) {
        assert_eq!(fitting(text, text_width(&"m".repeat(characters)) + 0.1), expected);
    }

    #[test]
    fn wide_texts_keep_both_ends() {
        check("cpu_busy", 8, "cpu_busy");
        check("node_network_receive_bytes", 9, "node…ytes");
        check("µµµµµµ", 4, "µµ…µ");
        check("abc", 0, "…");
    }
}
