//! Bars: one value for each of several names, such as the error of each feature.

use super::canvas::{Anchor, Canvas, Layout, fitting, text_width};
use super::ink::Ink;
use super::plot::{self, Figure, Size};
use super::scale;

/// More bars are not read any more; the rest is counted in a note.
const MOST_BARS: usize = 60;
/// Shares that are drawn: enough to see which lead.
const MOST_SHARES: usize = 20;
/// Height of a bar with its space, in pixels.
const ROW: f64 = 24.0;
/// Height of the bar itself.
const BAR: f64 = 12.0;
/// Space between columns.
const SPACE: f64 = 10.0;
/// Names take at most this part of a wide picture.
const NAMES: f64 = 0.4;

/// A name and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bar {
    /// The name.
    pub label: String,
    /// The value; one that is not finite has no bar and says so.
    pub value: f64,
}

/// One value for each of several names, in the order given.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Bars {
    /// What the plot shows, in a few words.
    pub title: String,
    /// What the values are.
    pub x_label: String,
    /// Written after each value, such as `%`.
    pub unit: String,
    /// The bars from top to bottom; at most 60 are drawn, the others counted in a note.
    pub bars: Vec<Bar>,
}

impl Bars {
    /// Parts of a whole in percent, the largest first; at most 20, and none that is nothing.
    #[must_use]
    pub fn shares<'a>(
        title: &str,
        x_label: &str,
        names: impl Iterator<Item = &'a str>,
        shares: &[f64],
    ) -> Self {
        let mut shares: Vec<(&str, f64)> = names.zip(shares.iter().copied()).collect();
        shares.retain(|(_, share)| *share > 0.0);
        shares.sort_by(|a, b| b.1.total_cmp(&a.1));
        let bar =
            |(label, share): &(&str, f64)| Bar { label: (*label).to_owned(), value: 100.0 * share };
        let bars = shares.iter().take(MOST_SHARES).map(bar).collect();
        Self { title: title.to_owned(), x_label: x_label.to_owned(), unit: "%".to_owned(), bars }
    }

    pub(super) fn figure(&self) -> Figure {
        let (title, above) = (self.title.clone(), self.x_label.clone());
        Figure { title, above, parts: plot::both(|size| self.draw(size)), ..Figure::default() }
    }

    fn draw(&self, size: Size) -> (String, Vec<String>) {
        let bars = &self.bars[..self.bars.len().min(MOST_BARS)];
        let mut notes = Vec::new();
        if bars.len() < self.bars.len() {
            notes.push(format!("{} more are not drawn.", self.bars.len() - bars.len()));
        }
        let written: Vec<String> = bars.iter().map(|bar| self.written(bar.value)).collect();
        let widest =
            |texts: &mut dyn Iterator<Item = &str>| texts.map(text_width).fold(0.0, f64::max);
        let values = widest(&mut written.iter().map(String::as_str));
        let names = widest(&mut bars.iter().map(|bar| bar.label.as_str()));
        let (width, _) = size.pixels();
        // On a narrow page names stand over their bars.
        let over = size == Size::Narrow;
        let names = if over { 0.0 } else { names.min(width * NAMES) + SPACE };
        let row = if over { ROW + BAR + 4.0 } else { ROW };
        let height = row * bars.len().max(1) as f64 + 8.0;
        let right = values + SPACE;
        let layout = Layout { width, height, left: names, right, top: 0.0, bottom: 0.0 };
        let range = range(bars);
        let mut canvas = Canvas::new(layout);
        for (i, (bar, written)) in bars.iter().zip(&written).enumerate() {
            let top = 4.0 + row * i as f64;
            let middle = if over { top + row - ROW / 2.0 } else { top + ROW / 2.0 };
            if over {
                let name = fitting(&bar.label, width);
                canvas.text(&name, (0.0, middle - BAR / 2.0 - 10.0), Anchor::Left);
            } else {
                let name = fitting(&bar.label, names - SPACE);
                canvas.text(&name, (names - SPACE, middle), Anchor::Right);
            }
            canvas.text(written, (width, middle), Anchor::Right);
            if bar.value.is_finite() {
                let (zero, end) = (layout.x(range.place(0.0)), layout.x(range.place(bar.value)));
                let (from, to) = (zero.min(end), zero.max(end));
                let half = BAR / 2.0;
                canvas.rectangle((from, middle - half), (to, middle + half), Ink::Bar);
            }
        }
        if bars.is_empty() {
            canvas.text("no values", (layout.x(0.5), ROW / 2.0), Anchor::Middle);
        }
        (canvas.svg(size, &self.title), notes)
    }

    fn written(&self, value: f64) -> String {
        let number = scale::short(value);
        match self.unit.as_str() {
            "" => number,
            _ if !value.is_finite() => number,
            "%" => format!("{number}%"),
            unit => format!("{number} {unit}"),
        }
    }
}

/// From zero, or the lowest value below, to the highest above.
fn range(bars: &[Bar]) -> scale::Scale {
    let values = bars.iter().map(|bar| bar.value).filter(|value| value.is_finite());
    let (lo, hi) = values.fold((0.0_f64, 0.0_f64), |(lo, hi), v| (lo.min(v), hi.max(v)));
    if lo < hi { scale::Scale::linear(lo, hi) } else { scale::Scale::linear(0.0, 1.0) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn too_many_bars_are_counted() {
        let bar = Bar { label: "a".into(), value: 1.0 };
        let bars = Bars { bars: vec![bar; MOST_BARS + 3], ..Bars::default() };
        let (svg, notes) = bars.draw(Size::Wide);
        assert_eq!(svg.matches("<rect").count(), MOST_BARS);
        assert_eq!(notes, ["3 more are not drawn."]);
    }

    #[test]
    fn values_are_written_with_their_unit() {
        let bars = |unit: &str| Bars { unit: unit.into(), ..Bars::default() };
        assert_eq!(bars("%").written(12.34), "12.3%");
        assert_eq!(bars("ms").written(2.0), "2.00 ms");
        assert_eq!(bars("ms").written(f64::NAN), "no value");
        assert_eq!(range(&[]), scale::Scale::linear(0.0, 1.0));
    }
}
