//! A histogram: how often values occur, with limits drawn where they fall.

use super::canvas::{Anchor, Canvas};
use super::curves::{self, Labels, Place};
use super::ink::Ink;
use super::plot::{self, Figure, Marker, Size};
use super::scale::Scale;

/// More bins than this are fewer than two pixels wide.
const MOST_BINS: usize = 400;
/// Bins where none are asked for: enough to see a tail, few enough to see steps.
const DEFAULT_BINS: usize = 60;
/// A logarithmic axis of counts begins here, so that a count of one is a visible bar.
const BELOW_ONE: f64 = 0.5;

/// How often values occur.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Histogram {
    /// What the plot shows, in a few words.
    pub title: String,
    /// What the values are, with their unit.
    pub x_label: String,
    /// The values in any order. Values that are not finite are counted in a note.
    pub values: Vec<f64>,
    /// Bins of equal width; 0 is 60, more than 400 is 400.
    pub bins: usize,
    /// Equal steps for equal factors of the values. Values at or below zero fall into the lowest
    /// bin and are counted in a note.
    pub log_x: bool,
    /// Equal steps for equal factors of the counts, so that a rare value stays visible.
    pub log_counts: bool,
    /// Places among the values, such as thresholds. The axis reaches as far as they do.
    pub markers: Vec<Marker>,
}

impl Histogram {
    pub(super) fn figure(&self) -> Figure {
        let places: Vec<Place> =
            self.markers.iter().map(|it| Place::at(it.at, &it.label)).collect();
        let x = self.x_scale();
        let counts = self.counts(&x);
        let parts = plot::both(|size| self.draw(size, &x, &counts, &places));
        let above = plot::axis_words("values in each bin", self.log_counts);
        let below = plot::axis_words(&self.x_label, self.log_x);
        Figure { title: self.title.clone(), above, below, keys: Vec::new(), parts }
    }

    fn draw(
        &self,
        size: Size,
        x: &Scale,
        counts: &[usize],
        places: &[Place],
    ) -> (String, Vec<String>) {
        let most = counts.iter().copied().max().unwrap_or(0).max(1) as f64;
        let y = if self.log_counts {
            Scale::log(BELOW_ONE, most * 1.25)
        } else {
            Scale::linear(0.0, most * 1.05)
        };
        // A count has no parts.
        let y_ticks: Vec<_> = (y.ticks(5).into_iter())
            .filter(|(place, _)| (y.value(*place) - y.value(*place).round()).abs() < 1e-6)
            .collect();
        let x_ticks = x.ticks(if size == Size::Wide { 10 } else { 4 });
        let mut layout = curves::layout(size, &y_ticks);
        let mut notes = self.notes(x);
        let labels = Labels::place(places, x, &layout, &mut notes);
        labels.make_room(&mut layout);
        let mut canvas = Canvas::new(layout);
        canvas.axes(&x_ticks, &y_ticks);
        for (bin, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
            let edge = |bin: usize| layout.x(bin as f64 / counts.len() as f64);
            let top = layout.y(y.place(*count as f64));
            // Half a pixel between bars, where they are wide enough to lose it.
            let gap = if edge(1) - edge(0) >= 3.0 { 0.5 } else { 0.0 };
            canvas.rectangle((edge(bin), top), (edge(bin + 1) - gap, layout.y(0.0)), Ink::Bar);
        }
        labels.draw(&mut canvas);
        if counts.iter().all(|count| *count == 0) {
            canvas.text("no values", (layout.x(0.5), layout.y(0.5)), Anchor::Middle);
        }
        (canvas.svg(size, &self.title), notes)
    }

    fn finite(&self) -> impl Iterator<Item = f64> {
        self.values.iter().copied().filter(|value| value.is_finite())
    }

    /// From the lowest to the highest value or marker, without free space: bins begin at the edge.
    fn x_scale(&self) -> Scale {
        let shown = self.finite().chain(self.markers.iter().map(|marker| marker.at));
        let shown = shown.filter(|value| value.is_finite() && (!self.log_x || *value > 0.0));
        let (lo, hi) =
            shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(lo, hi), v| (lo.min(v), hi.max(v)));
        match (lo <= hi, self.log_x) {
            (false, log) => Scale::fit(std::iter::empty(), log),
            // As far down as a logarithmic axis reaches elsewhere.
            (true, true) => Scale::log(lo.max(Scale::fit([lo, hi].into_iter(), true).lo()), hi),
            (true, false) => Scale::linear(lo, hi),
        }
    }

    fn counts(&self, x: &Scale) -> Vec<usize> {
        let bins = if self.bins == 0 { DEFAULT_BINS } else { self.bins.min(MOST_BINS) };
        let mut counts = vec![0; bins];
        for value in self.finite() {
            counts[((x.place(value) * bins as f64) as usize).min(bins - 1)] += 1;
        }
        counts
    }

    fn notes(&self, x: &Scale) -> Vec<String> {
        let mut notes = Vec::new();
        let missing = self.values.len() - self.finite().count();
        if missing > 0 {
            notes.push(format!("{missing} of {} values are not numbers.", self.values.len()));
        }
        let below = self.finite().filter(|value| *value < x.lo()).count();
        if below > 0 {
            let lo = super::scale::short(x.lo());
            notes.push(format!("{below} values below {lo} are in the lowest bin."));
        }
        notes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(values: &[f64], bins: usize, log_x: bool, expected: &[usize]) {
        let histogram = Histogram { values: values.to_vec(), bins, log_x, ..Histogram::default() };
        assert_eq!(histogram.counts(&histogram.x_scale()), expected, "{values:?}");
    }

    #[test]
    fn every_finite_value_is_in_a_bin() {
        check(&[0.0, 1.0, 2.0, 4.0], 4, false, &[1, 1, 1, 1]);
        check(&[f64::NAN, 1.0, f64::INFINITY], 3, false, &[0, 1, 0]);
        check(&[1.0, 10.0, 100.0, 0.0, -1.0], 2, true, &[3, 2]);
        check(&[], 3, false, &[0, 0, 0]);
        let many = Histogram { bins: 1_000_000, ..Histogram::default() };
        assert_eq!(many.counts(&many.x_scale()).len(), MOST_BINS);
    }
}
