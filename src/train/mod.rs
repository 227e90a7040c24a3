//! Training: from history to a model file that can be trusted.
//!
//! In: history (a Prometheus-compatible server or a CSV file), and the features to learn. Out: one
//! `.onnx` file with scaling, network, error, contribution and metadata inside, and a summary.
//!
//! ```text
//! history ─▶ recording ─▶ dataset ─▶ scaler ─▶ autoencoder ─▶ export ─▶ model file
//!            steps×values  rows       0..1      weights        graph     summary
//! ```
//!
//! Invariants: nothing of the validation part, which lies after the training part in time, enters
//! scaler or weights; the same data and seed give the same bytes; a file appears under its name
//! only after ONNX Runtime has loaded it and given the trainer's own errors; whatever was left out
//! is in the summary with a count.
//!
//! The numeric core below `run` knows no files, no clock, no network.

mod autoencoder;
mod base;
mod branch;
mod calendar;
mod config;
mod dataset;
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
mod report;
mod residual;
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
