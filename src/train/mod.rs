//! Training: from history to a model file that can be trusted.
//!
//! In: history (a Prometheus-compatible server or a CSV file), and the features to learn. Out: one
//! `.onnx` file with scaling, branches, error, contribution and metadata inside, and a summary.
//!
//! ```text
//! history ─▶ recording ─▶ dataset ─▶ base ──┬▶ season ──────┐
//!            steps×values  clean rows scaler ├▶ level ───────┤
//!                          in parts   season ├▶ forecast ────┼▶ ensemble ─▶ export ─▶ validate ─▶ threshold ─▶ write
//!                                            └▶ autoencoder ─┘  what is     graph     scores      chosen
//!                                                               usual
//! ```
//!
//! With a budget of trials, the network's settings are searched for first ([`tune`]): those whose error
//! tells known faults best, not those of least loss.
//!
//! Invariants: nothing of the validation part, which lies after the training part in time, enters
//! weights, scaler or season; what residuals are usual comes from both parts, what values are usual and
//! the threshold from validation. The same data and seed give the same bytes on one machine; a file appears under its name
//! only after it has been read back and ONNX Runtime has loaded it; what training says of a model is
//! what ONNX Runtime computes with the graph that serves, and nothing else computes it; whatever was
//! left out is in the summary with a count.
//!
//! Memory: values are float32 throughout. A recording takes 4 bytes a value, the network's fit as
//! many again, and a window some 40 bytes; everything else works on 4,096 windows at a time. A
//! million rows of 12 features peak at 0.17 GB; ten million of 40 need some 4 GB.
//!
//! The numeric core below `run` knows no files, no clock, no network.

mod autoencoder;
mod base;
mod branch;
mod calendar;
mod config;
mod coverage;
mod dataset;
mod ensemble;
mod export;
mod fit;
mod forecast;
mod learn;
mod leveling;
mod linear;
mod medians;
mod network;
mod optimizer;
mod own;
mod page;
mod range;
#[cfg(test)]
mod reference;
mod report;
mod run;
mod scaler;
mod season;
pub mod threshold;
pub mod tune;
mod validate;
mod values;
mod write;

pub use autoencoder::Course;
pub use branch::Kind;
pub use config::{ConfigError, FitKind, ModelKind, TrainConfig};
pub use dataset::{Cleaning, DatasetError};
pub use fit::FitError;
pub use own::Sharing;
pub use page::page;
pub use report::Summary;
pub use run::{Options, TrainError, run};
pub use scaler::Scaling;
pub use validate::{Around, Moment, Validated};
