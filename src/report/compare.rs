//! A comparison: for several features, what was beside what was expected, around one moment.

use super::calendar;
use super::curves::{self, Curve, Field, Place};
use super::ink::Ink;
use super::plot::{Figure, Key, Part, Size};
use super::scale::Scale;
use super::time_series::{time_scale, time_words};

/// One feature of a comparison.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Panel {
    /// The feature's name, with its unit where known.
    pub label: String,
    /// What was, one value for each time. A value that is not finite is a gap, as is a missing one.
    pub actual: Vec<f64>,
    /// What was expected, one value for each time.
    pub expected: Vec<f64>,
}

/// What was beside what was expected.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Compare {
    /// What the plot shows, in a few words.
    pub title: String,
    /// The times of all values in milliseconds since 1970.
    pub times_ms: Vec<i64>,
    /// The moment it is about, in milliseconds since 1970; drawn as a line.
    pub moment_ms: Option<i64>,
    /// What happened at that moment, in a word or two.
    pub moment_label: String,
    /// The features, each with a vertical axis of its own.
    pub panels: Vec<Panel>,
}

impl Compare {
    pub(super) fn figure(&self) -> Figure {
        let times = || self.times_ms.iter().map(|ms| *ms as f64);
        let from = times().reduce(f64::min).unwrap_or(0.0);
        let to = times().reduce(f64::max).unwrap_or(0.0);
        let x = time_scale(from, to);
        let place = |ms| Place::at(ms as f64, &self.moment_label);
        let places: Vec<Place> = self.moment_ms.map(place).into_iter().collect();
        let parts = self.panels.iter().map(|panel| self.part(panel, x, &places));
        let key = |ink, name: &str| Key { ink, name: name.into() };
        Figure {
            title: self.title.clone(),
            above: String::new(),
            below: time_words(from, to),
            keys: vec![key(Ink::Series(0), "actual"), key(Ink::Expected, "expected")],
            parts: parts.collect(),
        }
    }

    fn part(&self, panel: &Panel, x: Scale, places: &[Place]) -> Part {
        let curve = |ink, values: &[f64]| {
            let times = self.times_ms.iter().map(|ms| *ms as f64);
            Curve::new(ink, times.zip(values.iter().copied()))
        };
        // What was lies over what was expected.
        let curves = [curve(Ink::Expected, &panel.expected), curve(Ink::Series(0), &panel.actual)];
        let description = format!("{}: {}", self.title, panel.label);
        let field = Field {
            description: &description,
            curves: &curves,
            x,
            x_ticks: calendar::ticks(&x, 6),
            y: curves::fit(&curves, &[], false),
            thresholds: &[],
            places,
        };
        let (svg, notes) = field.draw(Size::Panel);
        Part { heading: panel.label.clone(), size: Size::Panel, svg, notes }
    }
}
