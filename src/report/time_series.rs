//! A time series plot: one or more series over time, with limits and shaded events.

use super::calendar;
use super::curves::{self, Curve, Field, Place};
use super::ink::Ink;
use super::plot::{self, Figure, Key, Size, Threshold};
use super::scale::Scale;

/// A named series over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimedSeries {
    /// Its name in the legend.
    pub name: String,
    /// Points (milliseconds since 1970, y) in any order. A y that is not finite is a gap.
    pub points: Vec<(i64, f64)>,
}

/// A time range that stands out, such as an alert or an incident.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Its begin in milliseconds since 1970.
    pub from_ms: i64,
    /// Its end in milliseconds since 1970. An event without length is drawn as a line.
    pub to_ms: i64,
    /// What happened.
    pub label: String,
}

/// Series over time.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TimeSeries {
    /// What the plot shows, in a few words.
    pub title: String,
    /// What y is, with its unit.
    pub y_label: String,
    /// The series, drawn in this order; they decide which time is shown.
    pub series: Vec<TimedSeries>,
    /// Limits of y.
    pub thresholds: Vec<Threshold>,
    /// Shaded time ranges.
    pub events: Vec<Event>,
    /// What the shaded ranges are, for the legend; empty for none.
    pub events_label: String,
    /// Equal steps for equal factors of y. Values at or below zero are drawn at the lower edge and
    /// counted in a note.
    pub log_y: bool,
}

impl TimeSeries {
    pub(super) fn figure(&self) -> Figure {
        let series = self.series.iter().enumerate();
        let curves: Vec<Curve> = series
            .map(|(i, s)| Curve::new(Ink::Series(i), s.points.iter().map(|(t, y)| (*t as f64, *y))))
            .collect();
        let (from, to) = curves::extent(&curves).unwrap_or((0.0, 0.0));
        let x = time_scale(from, to);
        let places: Vec<Place> = self.events.iter().map(place).collect();
        let parts = plot::both(|size| {
            let field = Field {
                description: &self.title,
                curves: &curves,
                x,
                x_ticks: calendar::ticks(&x, if size == Size::Wide { 12 } else { 5 }),
                y: curves::fit(&curves, &self.thresholds, self.log_y),
                thresholds: &self.thresholds,
                places: &places,
            };
            field.draw(size)
        });
        let names = self.series.iter().map(|series| series.name.as_str());
        let mut keys = curves::keys(names, &self.thresholds);
        if !self.events.is_empty() && !self.events_label.is_empty() {
            keys.push(Key { ink: Ink::Event, name: self.events_label.clone() });
        }
        let above = plot::axis_words(&self.y_label, self.log_y);
        let title = self.title.clone();
        Figure { title, above, below: time_words(from, to), keys, parts }
    }
}

/// A scale of milliseconds; a single moment is shown with a minute around it.
pub(super) fn time_scale(from: f64, to: f64) -> Scale {
    if to > from { Scale::linear(from, to) } else { Scale::linear(from - 6e4, from + 6e4) }
}

/// What the horizontal axis shows, with the dates that its ticks leave out.
pub(super) fn time_words(from: f64, to: f64) -> String {
    let words = |ms: f64| calendar::date_and_time(ms as i64);
    format!("time in UTC, from {} to {}", words(from), words(to))
}

fn place(event: &Event) -> Place {
    let (from, to) = (event.from_ms.min(event.to_ms), event.from_ms.max(event.to_ms));
    Place { from: from as f64, to: to as f64, label: event.label.clone() }
}
