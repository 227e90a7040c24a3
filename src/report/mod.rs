//! A report: one HTML page of text, tables and plots that needs nothing but itself.
//!
//! In: numbers, labels and captions. Out: a page as text, with its style and its SVG inside, which
//! opens from a disk without network, script or font file and follows the reader's light or dark
//! colours.
//!
//! Invariants: the same input gives the same bytes. All text is escaped. A value that is not finite
//! is a gap and is never drawn as zero. A long series is reduced to the first, lowest, highest and
//! last value of each pixel column, so a peak of a single sample stays visible. Whatever a plot
//! could not show is said under it.
//!
//! It does not know what the numbers mean, and writes no file.
//!
//! ```
//! use portent::report::{Lines, Page, Plot, Series};
//!
//! let loss = Series { name: "training".into(), points: vec![(1.0, 0.9), (2.0, 0.4)] };
//! let plot = Plot::Lines(Lines {
//!     title: "Loss".into(),
//!     x_label: "epoch".into(),
//!     series: vec![loss],
//!     ..Lines::default()
//! });
//! let mut page = Page::new("Training");
//! page.section("Fit", "How the error fell.");
//! page.plot(&plot, "Lower is better.");
//! assert!(page.render().contains("<svg"));
//! ```
//!
//! Sources: reduction as M4 in Jugel, Jerzak, Hackenbroich and Markl, "M4: A Visualization-Oriented
//! Time Series Data Aggregation" (VLDB 2014); line colours after Okabe and Ito, "Color Universal
//! Design" (2008), darkened or lightened for contrast with the paper.

mod bars;
mod calendar;
mod canvas;
mod compare;
mod curves;
mod escape;
mod histogram;
mod ink;
mod lanes;
mod lines;
mod page;
mod plot;
mod reduce;
mod scale;
#[cfg(test)]
mod tests;
mod time_series;

pub use bars::{Bar, Bars};
pub use compare::{Compare, Panel};
pub use histogram::Histogram;
pub use lines::{Lines, Series};
pub use page::{Page, Table};
pub use plot::{Marker, Plot, Threshold};
pub use time_series::{Event, TimeSeries, TimedSeries};
