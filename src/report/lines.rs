//! Lines: one or more series over a number, such as losses over epochs.

use super::curves::{self, Curve, Field, Place};
use super::ink::Ink;
use super::plot::{self, Figure, Marker, Size, Threshold};
use super::scale::Scale;

/// A named series over a number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Series {
    /// Its name in the legend.
    pub name: String,
    /// Points (x, y) in any order. A y that is not finite is a gap; a point whose x is not finite
    /// is left out.
    pub points: Vec<(f64, f64)>,
}

/// Series over a number.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Lines {
    /// What the plot shows, in a few words.
    pub title: String,
    /// What x is, with its unit.
    pub x_label: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// The series, drawn in this order.
    pub series: Vec<Series>,
    /// Equal steps for equal factors of y. Values at or below zero are drawn at the lower edge and
    /// counted in a note.
    pub log_y: bool,
    /// Limits of y.
    pub thresholds: Vec<Threshold>,
    /// Places of x, such as the epoch that was kept.
    pub markers: Vec<Marker>,
}

impl Lines {
    pub(super) fn figure(&self) -> Figure {
        let series = self.series.iter().enumerate();
        let curves: Vec<Curve> =
            series.map(|(i, s)| Curve::new(Ink::Series(i), s.points.iter().copied())).collect();
        let (lo, hi) = curves::extent(&curves).unwrap_or((0.0, 1.0));
        let x = Scale::linear(lo, hi);
        let places: Vec<Place> =
            self.markers.iter().map(|it| Place::at(it.at, &it.label)).collect();
        let parts = plot::both(|size| {
            let field = Field {
                description: &self.title,
                curves: &curves,
                x,
                x_ticks: x.ticks(if size == Size::Wide { 10 } else { 5 }),
                y: curves::fit(&curves, &self.thresholds, self.log_y),
                thresholds: &self.thresholds,
                places: &places,
            };
            field.draw(size)
        });
        let names = self.series.iter().map(|series| series.name.as_str());
        Figure {
            title: self.title.clone(),
            above: plot::axis_words(&self.y_label, self.log_y),
            below: self.x_label.clone(),
            keys: curves::keys(names, &self.thresholds),
            parts,
        }
    }
}
