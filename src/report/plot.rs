//! A plot: numbers with what they mean, ready to be drawn.
//!
//! In: one of five kinds of plot. Out: a figure, the parts of which the page sets. A plot is drawn
//! twice, for wide and for narrow pages, so that its words keep their size on a telephone.

use super::ink::Ink;
use super::{Bars, Compare, Histogram, Lines, TimeSeries};

/// A limit on the vertical axis, drawn as a line; the legend has its label and its value.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Threshold {
    /// Where, in the unit of the vertical axis. A value that is not finite is not drawn.
    pub value: f64,
    /// What it is, such as `anomalous above`.
    pub label: String,
}

/// A place on the horizontal axis, drawn as a line with its label above the plot.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Marker {
    /// Where, in the unit of the horizontal axis. A value that is not finite is not drawn.
    pub at: f64,
    /// What it is.
    pub label: String,
}

/// A plot of one of the kinds a report knows.
#[derive(Debug, Clone, PartialEq)]
pub enum Plot {
    /// Series over a number.
    Lines(Lines),
    /// Series over time.
    TimeSeries(TimeSeries),
    /// How often values occur.
    Histogram(Histogram),
    /// One value for each of several names.
    Bars(Bars),
    /// What was beside what was expected, for several features.
    Compare(Compare),
}

impl Plot {
    pub(super) fn figure(&self) -> Figure {
        match self {
            Self::Lines(plot) => plot.figure(),
            Self::TimeSeries(plot) => plot.figure(),
            Self::Histogram(plot) => plot.figure(),
            Self::Bars(plot) => plot.figure(),
            Self::Compare(plot) => plot.figure(),
        }
    }
}

/// What the page sets: pictures, and the words around them.
#[derive(Debug, Default)]
pub(super) struct Figure {
    pub(super) title: String,
    /// What the vertical axis shows.
    pub(super) above: String,
    /// What the horizontal axis shows.
    pub(super) below: String,
    pub(super) keys: Vec<Key>,
    pub(super) parts: Vec<Part>,
}

/// A line of a legend.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) ink: Ink,
    pub(super) name: String,
}

/// One picture of a figure.
#[derive(Debug)]
pub(super) struct Part {
    /// Over the picture; empty where the figure has only one.
    pub(super) heading: String,
    pub(super) size: Size,
    pub(super) svg: String,
    /// What it could not show.
    pub(super) notes: Vec<String>,
}

/// For which page a picture is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Size {
    Wide,
    Narrow,
    /// One of many, on every page.
    Panel,
}

impl Size {
    /// Width and height in pixels. `style.css` holds the same widths: the text column of a wide
    /// page, a telephone's screen without its margins, and half a text column.
    pub(super) fn pixels(self) -> (f64, f64) {
        match self {
            Self::Wide => (880.0, 270.0),
            Self::Narrow => (360.0, 230.0),
            Self::Panel => (424.0, 170.0),
        }
    }

    /// The class of its picture.
    pub(super) fn class(self) -> &'static str {
        match self {
            Self::Wide => "wide",
            Self::Narrow => "narrow",
            Self::Panel => "panel",
        }
    }
}

/// Draws the same picture for both pages.
pub(super) fn both(draw: impl Fn(Size) -> (String, Vec<String>)) -> Vec<Part> {
    let part = |size| {
        let (svg, notes) = draw(size);
        Part { heading: String::new(), size, svg, notes }
    };
    [Size::Wide, Size::Narrow].map(part).into()
}

/// What a vertical axis shows, and how.
pub(super) fn axis_words(label: &str, log: bool) -> String {
    match (label.is_empty(), log) {
        (_, false) => label.to_owned(),
        (true, true) => "logarithmic scale".to_owned(),
        (false, true) => format!("{label}, logarithmic scale"),
    }
}
