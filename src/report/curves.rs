//! Curves in a field: what plots over a number and plots over time have in common.
//!
//! In: points, scales, limits, marked places and shaded ranges. Out: an SVG, and notes about what
//! it could not show.

use super::canvas::{self, Anchor, Axes, Canvas, DrawError, Layout, text_width};
use super::ink::Ink;
use super::lanes;
use super::plot::{Size, Threshold};
use super::reduce::{Point, reduce};
use super::scale::{Scale, Tick};

/// Height of a line of labels above a plot, in pixels.
pub(super) const LANE: f64 = 17.0;
/// Lanes above a plot; more would leave no room for the plot itself.
const LANES: usize = 5;
/// Pixels below a plot: a tick and its label.
pub(super) const BOTTOM: f64 = 28.0;
/// Pixels right of a plot: half of the last tick's label.
pub(super) const RIGHT: f64 = 24.0;
/// Pixels above a plot without labels: half of the highest tick's label.
pub(super) const TOP: f64 = 10.0;
/// Between the labels of two limits, in pixels: one line of text.
const LINE: f64 = 15.0;
/// An event is never thinner than this, in pixels: five minutes of a month would not be seen.
const THIN: f64 = 2.0;
/// So many names in a note; the rest is counted.
const NAMES: usize = 8;

/// A named place, or range, on the horizontal axis.
pub(super) struct Place {
    pub(super) from: f64,
    /// Same as `from` for a place, which is drawn as a line.
    pub(super) to: f64,
    pub(super) label: String,
}

/// One series with its ink, in order of x.
pub(super) struct Curve {
    pub(super) ink: Ink,
    pub(super) points: Vec<Point>,
}

impl Curve {
    /// Points without a place are left out, the others put in order.
    pub(super) fn new(ink: Ink, points: impl Iterator<Item = Point>) -> Self {
        let mut points: Vec<Point> = points.filter(|(x, _)| x.is_finite()).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Self { ink, points }
    }
}

/// The range of x that curves cover; `None` without points.
pub(super) fn extent(curves: &[Curve]) -> Option<(f64, f64)> {
    let ends =
        curves.iter().filter_map(|curve| Some((curve.points.first()?, curve.points.last()?)));
    ends.map(|(first, last)| (first.0, last.0))
        .reduce(|one, other| (one.0.min(other.0), one.1.max(other.1)))
}

/// A vertical scale that shows all curves and limits.
pub(super) fn fit(curves: &[Curve], thresholds: &[Threshold], log: bool) -> Scale {
    let values = curves.iter().flat_map(|curve| curve.points.iter().map(|(_, y)| *y));
    Scale::fit(values.chain(thresholds.iter().map(|threshold| threshold.value)), log)
}

/// All that is drawn in one field.
pub(super) struct Field<'a> {
    pub(super) description: &'a str,
    pub(super) curves: &'a [Curve],
    pub(super) x: Scale,
    pub(super) x_ticks: Vec<Tick>,
    pub(super) y: Scale,
    pub(super) thresholds: &'a [Threshold],
    pub(super) places: &'a [Place],
}

impl Field<'_> {
    /// Draws it in a size. Out: the SVG and the notes under it.
    pub(super) fn draw(&self, size: Size) -> Result<(String, Vec<String>), DrawError> {
        let mut notes = Vec::new();
        let y_ticks = self.y.ticks(if size == Size::Panel { 3 } else { 5 });
        let mut layout = layout(size, &y_ticks);
        let labels = Labels::place(self.places, &self.x, &layout, &mut notes);
        labels.make_room(&mut layout);
        let empty = !self.curves.iter().any(|c| c.points.iter().any(|(_, y)| y.is_finite()));
        let below = self.curves.iter().flat_map(|curve| curve.points.iter());
        let below = below.filter(|(_, y)| y.is_finite() && *y < self.y.lo()).count();
        if below > 0 {
            let lo = super::scale::short(self.y.lo());
            notes.push(format!("{below} values below {lo} are drawn at the lower edge."));
        }
        let axes = Axes { x: &self.x_ticks, y: &y_ticks };
        let svg = canvas::draw(layout, &axes, (size.class(), self.description), |canvas| {
            labels.draw_ranges(canvas, &layout)?;
            for curve in self.curves {
                self.draw_curve(canvas, curve, &layout)?;
            }
            labels.draw(canvas, &layout)?;
            self.draw_thresholds(canvas, &layout)?;
            if empty {
                canvas.text("no values", (layout.x(0.5), layout.y(0.5)), Anchor::Middle)?;
            }
            Ok(())
        })?;
        Ok((svg, notes))
    }

    fn draw_curve(&self, canvas: &Canvas, curve: &Curve, to: &Layout) -> Result<(), DrawError> {
        let columns = (to.width - to.left - to.right).max(1.0) as usize;
        for run in reduce(&curve.points, &self.x, columns) {
            let places = run.iter().map(|(x, y)| (self.x.place(*x), self.y.place(*y)));
            canvas.curve(&places.collect::<Vec<_>>(), curve.ink)?;
        }
        Ok(())
    }

    /// Lines at their values, labels at the right end above them, moved up where they would meet.
    fn draw_thresholds(&self, canvas: &Canvas, to: &Layout) -> Result<(), DrawError> {
        let finite = self.thresholds.iter().filter(|threshold| threshold.value.is_finite());
        let mut drawn: Vec<(f64, &str)> =
            finite.map(|t| (to.y(self.y.place(t.value)), t.label.as_str())).collect();
        // From the bottom up; a later sort of equals would not be the order given.
        drawn.sort_by(|one, other| other.0.total_cmp(&one.0));
        for (y, _) in &drawn {
            canvas.line((to.x(0.0), *y), (to.x(1.0), *y), Ink::Mark)?;
        }
        let mut lowest = f64::INFINITY;
        for (y, label) in drawn {
            let at = (y - LINE * 0.6).min(lowest - LINE);
            canvas.text(label, (to.x(1.0) - 2.0, at), Anchor::Right)?;
            lowest = at;
        }
        Ok(())
    }
}

/// The margins of a plot with these ticks at its left.
pub(super) fn layout(size: Size, y_ticks: &[Tick]) -> Layout {
    let (width, height) = size.pixels();
    let widest = y_ticks.iter().map(|(_, label)| text_width(label)).fold(20.0, f64::max);
    Layout { width, height, left: widest + 14.0, right: RIGHT, top: TOP, bottom: BOTTOM }
}

/// Named places with the lanes of their labels.
pub(super) struct Labels<'a> {
    places: Vec<(&'a Place, f64, f64, Option<lanes::Place>)>,
    lanes: usize,
}

impl<'a> Labels<'a> {
    /// Finds lanes; notes those places for which there is none, and those outside of the range.
    pub(super) fn place(
        places: &'a [Place],
        x: &Scale,
        layout: &Layout,
        notes: &mut Vec<String>,
    ) -> Self {
        let finite = |place: &&Place| place.from.is_finite() && place.to.is_finite();
        let seen = |place: &&Place| place.to >= x.lo() && place.from <= x.hi();
        let (seen, outside): (Vec<&Place>, Vec<&Place>) =
            places.iter().filter(finite).partition(seen);
        let line = |place: &Place| layout.x(x.place(place.from)) as i32;
        let sizes: Vec<(i32, i32)> =
            seen.iter().map(|p| (line(p), text_width(&p.label).ceil() as i32)).collect();
        let found = lanes::place(&sizes, (0, layout.width as i32), LANES);
        let unlabelled = seen.iter().zip(&found).filter(|(_, found)| found.is_none());
        note("Not labelled for lack of space", unlabelled.map(|(place, _)| *place), notes);
        note("Outside of the range shown", outside.into_iter(), notes);
        let lanes = found.iter().flatten().map(|place| place.lane + 1).max().unwrap_or(0);
        let ends = |p: &Place| (layout.x(x.place(p.from)), layout.x(x.place(p.to)));
        let places = seen.into_iter().zip(found);
        let places = places.map(|(p, found)| (p, ends(p).0, ends(p).1, found)).collect();
        Self { places, lanes }
    }

    /// Makes the canvas higher by the lanes, so that the plot keeps its height.
    pub(super) fn make_room(&self, layout: &mut Layout) {
        layout.top += self.lanes as f64 * LANE;
        layout.height += self.lanes as f64 * LANE;
    }

    /// Shades the ranges; drawn first, under everything else.
    pub(super) fn draw_ranges(&self, canvas: &Canvas, to: &Layout) -> Result<(), DrawError> {
        for (place, from, end, _) in &self.places {
            if place.to > place.from {
                let end = end.max(from + THIN);
                canvas.rectangle((*from, to.y(1.0)), (end, to.y(0.0)), Ink::Event)?;
            }
        }
        Ok(())
    }

    /// Draws lines up to the labels, and the labels.
    pub(super) fn draw(&self, canvas: &Canvas, to: &Layout) -> Result<(), DrawError> {
        for (place, x, _, found) in &self.places {
            let range = place.to > place.from;
            let lane = found.map(|found| to.y(1.0) - 3.0 - LANE * (found.lane as f64 + 0.5));
            let top = lane.map_or(to.y(1.0), |lane| lane - LANE * 0.4);
            let bottom = if range { to.y(1.0) } else { to.y(0.0) };
            let ink = if range { Ink::Event } else { Ink::Mark };
            if bottom > top {
                canvas.line((*x, top), (*x, bottom), ink)?;
            }
        }
        // After all lines, so that no line crosses a word.
        for (place, _, _, found) in &self.places {
            if let Some(found) = found {
                let y = to.y(1.0) - 3.0 - LANE * (found.lane as f64 + 0.5);
                // Towards its line, since the width of a text is not known exactly.
                let (end, anchor) = match found.left > found.line {
                    true => (found.left, Anchor::Left),
                    false => (found.right, Anchor::Right),
                };
                canvas.text(&place.label, (f64::from(end), y), anchor)?;
            }
        }
        Ok(())
    }
}

fn note<'a>(what: &str, places: impl Iterator<Item = &'a Place>, notes: &mut Vec<String>) {
    let names: Vec<&str> = places.map(|place| place.label.as_str()).collect();
    let shown = names[..names.len().min(NAMES)].join(", ");
    match names.len() {
        0 => {}
        count if count > NAMES => {
            notes.push(format!("{what}: {shown} and {} more.", count - NAMES));
        }
        _ => notes.push(format!("{what}: {shown}.")),
    }
}
