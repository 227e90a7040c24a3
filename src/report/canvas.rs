//! A canvas: one SVG, with axes where wanted, on which plots place their marks.
//!
//! In: a layout, ticks and marks. Out: the text of one `<svg>` element. The class of a mark says what it
//! means; colours and fonts are those of `style.css`.
//!
//! # Units
//! Pixels of a page at its full width, from the upper left corner.

use super::escape::html;
use super::ink::Ink;
use super::plot::Size;
use super::reduce::Point;
use super::scale::Tick;

/// Font size in pixels; `style.css` sets the same.
const FONT: f64 = 12.0;
/// Mean width of a character, as a part of the font size, rounded up: sans-serif digits are 0.56.
const CHARACTER: f64 = 0.57;
/// Length of a tick in pixels; the label stands twice as far from the axis.
const TICK: f64 = 4.0;
/// Radius of a point without neighbours, in pixels.
const DOT: f64 = 1.5;
/// No rectangle is thinner than can be seen, in pixels.
const THINNEST: f64 = 0.5;

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
pub(super) struct Canvas {
    pub(super) to: Layout,
    marks: String,
}

impl Canvas {
    /// Nothing yet.
    pub(super) fn new(to: Layout) -> Self {
        Self { to, marks: String::new() }
    }

    /// The SVG, with a description for those who cannot see it.
    pub(super) fn svg(self, size: Size, description: &str) -> String {
        format!(
            "<svg class=\"{}\" role=\"img\" aria-label=\"{}\" viewBox=\"0 0 {} {}\" \
             xmlns=\"http://www.w3.org/2000/svg\">\n{}</svg>\n",
            size.class(),
            html(description),
            tenths(self.to.width),
            tenths(self.to.height),
            self.marks
        )
    }

    /// Both axes, ticks with their labels, and lines across at those of the vertical axis.
    pub(super) fn axes(&mut self, x_ticks: &[Tick], y_ticks: &[Tick]) {
        let to = self.to;
        let (left, bottom) = (to.x(0.0), to.y(0.0));
        for (place, label) in y_ticks {
            let y = to.y(*place);
            self.line((left, y), (to.x(1.0), y), Ink::Grid);
            self.line((left - TICK, y), (left, y), Ink::Axis);
            self.text(label, (left - 2.0 * TICK, y), Anchor::Right);
        }
        for (place, label) in x_ticks {
            let x = to.x(*place);
            self.line((x, bottom), (x, bottom + TICK), Ink::Axis);
            self.text(label, (x, bottom + 2.0 * TICK + FONT / 2.0), Anchor::Middle);
        }
        self.line((left, to.y(1.0)), (left, bottom), Ink::Axis);
        self.line((left, bottom), (to.x(1.0), bottom), Ink::Axis);
    }

    /// A line through points; a single point is a dot.
    pub(super) fn curve(&mut self, points: &[Point], ink: Ink) {
        let class = ink.class();
        self.marks += &match points {
            [(x, y)] => {
                let (x, y) = (tenths(*x), tenths(*y));
                format!("<circle class=\"{class}\" cx=\"{x}\" cy=\"{y}\" r=\"{DOT}\"/>\n")
            }
            _ => {
                let pairs = points.iter().map(|(x, y)| format!("{},{}", tenths(*x), tenths(*y)));
                let pairs = pairs.collect::<Vec<_>>().join(" ");
                format!("<polyline class=\"{class}\" points=\"{pairs}\"/>\n")
            }
        };
    }

    /// A straight line between two points.
    pub(super) fn line(&mut self, from: Point, to: Point, ink: Ink) {
        let [x1, y1, x2, y2] = [from.0, from.1, to.0, to.1].map(tenths);
        let class = ink.class();
        self.marks +=
            &format!("<line class=\"{class}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" y2=\"{y2}\"/>\n");
    }

    /// A filled rectangle between its upper left and its lower right corner.
    pub(super) fn rectangle(&mut self, from: Point, to: Point, ink: Ink) {
        let [x, y] = [from.0, from.1].map(tenths);
        let [width, height] = [to.0 - from.0, to.1 - from.1].map(|it| tenths(it.max(THINNEST)));
        let class = ink.class();
        self.marks += &format!(
            "<rect class=\"{class}\" x=\"{x}\" y=\"{y}\" width=\"{width}\" height=\"{height}\"/>\n"
        );
    }

    /// A text whose vertical middle and given end stand at a point.
    pub(super) fn text(&mut self, text: &str, (x, y): Point, anchor: Anchor) {
        let anchor = match anchor {
            Anchor::Left => "start",
            Anchor::Right => "end",
            Anchor::Middle => "middle",
        };
        let [x, y] = [x, y].map(tenths);
        let text = html(text);
        self.marks +=
            &format!("<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\">{text}</text>\n");
    }
}

/// A tenth of a pixel is as fine as can be seen.
fn tenths(pixels: f64) -> f64 {
    (pixels * 10.0).round() / 10.0
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
