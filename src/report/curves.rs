//! Curves in a field: what plots over a number and plots over time have in common.
//!
//! In: points, scales, limits, marked places and shaded ranges. Out: an SVG, and notes about what
//! it could not show.

use super::canvas::{Anchor, Canvas, Layout, fitting, text_width};
use super::ink::Ink;
use super::lanes;
use super::plot::{Key, Size, Threshold};
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
/// An event is never thinner than this, in pixels: five minutes of a month would not be seen.
const THIN: f64 = 2.0;
/// Labels are at most this part of a picture wide; longer ones lose their middle.
const WIDEST: f64 = 0.8;
/// Pixels between the lowest lane and the plot.
const LANES_ABOVE: f64 = 3.0;
/// So many names in a note; the rest is counted.
const NAMES: usize = 8;
/// Why a label is missing.
const NO_SPACE: &str = "Not labelled for lack of space";

/// A named place, or range, on the horizontal axis.
pub(super) struct Place {
    pub(super) from: f64,
    /// Same as `from` for a place, which is drawn as a line.
    pub(super) to: f64,
    pub(super) label: String,
}

impl Place {
    pub(super) fn at(at: f64, label: &str) -> Self {
        Self { from: at, to: at, label: label.to_owned() }
    }
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

/// The legend of curves with names and of limits; words on a plot would lie on its curves.
pub(super) fn keys<'a>(names: impl Iterator<Item = &'a str>, thresholds: &[Threshold]) -> Vec<Key> {
    let series = |(i, name): (usize, &str)| Key { ink: Ink::Series(i), name: name.to_owned() };
    let finite = thresholds.iter().filter(|threshold| threshold.value.is_finite());
    let limit = |it: &Threshold| Key { ink: Ink::Mark, name: format!("{} {}", it.label, it.value) };
    names.enumerate().map(series).chain(finite.map(limit)).collect()
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
    pub(super) fn draw(&self, size: Size) -> (String, Vec<String>) {
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
        let mut canvas = Canvas::new(layout);
        canvas.axes(&self.x_ticks, &y_ticks);
        labels.draw_ranges(&mut canvas);
        let columns = (layout.x(1.0) - layout.x(0.0)).max(1.0) as usize;
        for curve in self.curves {
            for run in reduce(&curve.points, &self.x, columns) {
                let point =
                    |(x, y): &Point| (layout.x(self.x.place(*x)), layout.y(self.y.place(*y)));
                canvas.curve(&run.iter().map(point).collect::<Vec<_>>(), curve.ink);
            }
        }
        labels.draw(&mut canvas);
        for threshold in self.thresholds.iter().filter(|it| it.value.is_finite()) {
            let y = layout.y(self.y.place(threshold.value));
            canvas.line((layout.x(0.0), y), (layout.x(1.0), y), Ink::Mark);
        }
        if empty {
            canvas.text("no values", (layout.x(0.5), layout.y(0.5)), Anchor::Middle);
        }
        (canvas.svg(size, self.description), notes)
    }
}

/// The margins of a plot with these ticks at its left.
pub(super) fn layout(size: Size, y_ticks: &[Tick]) -> Layout {
    let (width, height) = size.pixels();
    let widest = y_ticks.iter().map(|(_, label)| text_width(label)).fold(20.0, f64::max);
    Layout { width, height, left: widest + 14.0, right: RIGHT, top: TOP, bottom: BOTTOM }
}

/// A place with its ends in pixels, and its label where one fits.
struct Label<'a> {
    place: &'a Place,
    from: f64,
    to: f64,
    text: String,
    at: Option<lanes::Place>,
}

impl Label<'_> {
    fn is_range(&self) -> bool {
        self.place.to > self.place.from
    }
}

/// Named places with the lanes of their labels.
pub(super) struct Labels<'a> {
    places: Vec<Label<'a>>,
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
        let label = |place: &'a Place| Label {
            place,
            from: layout.x(x.place(place.from)),
            to: layout.x(x.place(place.to)),
            text: fitting(&place.label, layout.width * WIDEST),
            at: None,
        };
        let mut places: Vec<Label> = seen.iter().map(|place| label(place)).collect();
        let size = |label: &Label| (label.from as i32, text_width(&label.text).ceil() as i32);
        let sizes: Vec<(i32, i32)> = places.iter().map(size).collect();
        let found = lanes::place(&sizes, (0, layout.width as i32), LANES);
        let unlabelled = seen.iter().zip(&found).filter(|(_, found)| found.is_none());
        note(NO_SPACE, unlabelled.map(|(place, _)| place.label.as_str()), notes);
        note("Outside of the range shown", outside.iter().map(|place| place.label.as_str()), notes);
        let lanes = found.iter().flatten().map(|place| place.lane + 1).max().unwrap_or(0);
        for (label, found) in places.iter_mut().zip(found) {
            label.at = found;
        }
        Self { places, lanes }
    }

    /// Makes the canvas higher by the lanes, so that the plot keeps its height.
    pub(super) fn make_room(&self, layout: &mut Layout) {
        layout.top += self.lanes as f64 * LANE;
        layout.height += self.lanes as f64 * LANE;
    }

    /// Shades the ranges; drawn first, under everything else.
    pub(super) fn draw_ranges(&self, canvas: &mut Canvas) {
        let to = canvas.to;
        for label in self.places.iter().filter(|label| label.is_range()) {
            let end = label.to.max(label.from + THIN);
            canvas.rectangle((label.from, to.y(1.0)), (end, to.y(0.0)), Ink::Event);
        }
    }

    /// Draws lines up to the labels, and the labels.
    pub(super) fn draw(&self, canvas: &mut Canvas) {
        let to = canvas.to;
        let middle = |at: lanes::Place| to.y(1.0) - LANES_ABOVE - LANE * (at.lane as f64 + 0.5);
        for label in &self.places {
            let top = label.at.map_or(to.y(1.0), |at| middle(at) - LANE * 0.4);
            let (bottom, ink) = match label.is_range() {
                true => (to.y(1.0), Ink::Event),
                false => (to.y(0.0), Ink::Mark),
            };
            if bottom > top {
                canvas.line((label.from, top), (label.from, bottom), ink);
            }
        }
        // After all lines, so that no line crosses a word.
        for label in &self.places {
            let Some(at) = label.at else { continue };
            // Towards its line, since the width of a text is not known exactly.
            let (end, anchor) = match at.left > at.line {
                true => (at.left, Anchor::Left),
                false => (at.right, Anchor::Right),
            };
            canvas.text(&label.text, (f64::from(end), middle(at)), anchor);
        }
    }
}

fn note<'a>(what: &str, names: impl Iterator<Item = &'a str>, notes: &mut Vec<String>) {
    let names: Vec<&str> = names.collect();
    let shown = names[..names.len().min(NAMES)].join(", ");
    match names.len() {
        0 => {}
        count if count > NAMES => {
            notes.push(format!("{what}: {shown} and {} more.", count - NAMES));
        }
        _ => notes.push(format!("{what}: {shown}.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Draws one field with a value at 0 and at 100, and checks the notes under it.
    #[track_caller]
    fn check(low: f64, thresholds: usize, places: &[f64], expected: &[&str]) {
        let curves = [Curve::new(Ink::Series(0), [(0.0, low), (100.0, 1.0)].into_iter())];
        let name = |at: f64| Place::at(at, &format!("place {at} ").repeat(12));
        let places: Vec<Place> = places.iter().copied().map(name).collect();
        let limit = |i| Threshold { value: 0.9, label: format!("limit {i}") };
        let field = Field {
            description: "a test",
            curves: &curves,
            x: Scale::linear(0.0, 100.0),
            x_ticks: Vec::new(),
            y: Scale::log(0.1, 1.2),
            thresholds: &(0..thresholds).map(limit).collect::<Vec<_>>(),
            places: &places,
        };
        let (svg, notes) = field.draw(Size::Narrow);
        let begins = |(note, begin): (&String, &&str)| note.starts_with(begin);
        assert_eq!(notes.len(), expected.len(), "{notes:?}");
        assert!(notes.iter().zip(expected).all(begins), "{notes:?}");
        let lines = svg.matches("class=\"mark\"").count();
        assert!(lines >= thresholds, "every limit is drawn: {lines}");
    }

    #[test]
    fn a_field_says_what_it_could_not_show() {
        check(0.5, 1, &[20.0, 80.0], &[]);
        check(0.0, 0, &[], &["1 values below 0.100 are drawn at the lower edge."]);
        check(0.5, 1, &[20.0, 400.0], &["Outside of the range shown: place 400"]);
        check(0.5, 30, &[], &[]);
        check(0.5, 0, &[10.0; 7], &["Not labelled for lack of space: place 10"]);
        check(0.5, 0, &[f64::NAN], &[]);
    }

    #[test]
    fn a_note_does_not_list_hundreds() {
        let mut notes = Vec::new();
        note("Missing", ["a"; 300].into_iter(), &mut notes);
        assert_eq!(notes, ["Missing: a, a, a, a, a, a, a, a and 292 more."]);
    }
}
