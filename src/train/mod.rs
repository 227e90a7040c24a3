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
mod calendar;
mod config;
mod dataset;
mod export;
mod fit;
mod optimizer;
mod report;
mod run;
mod scaler;

pub use config::{ConfigError, TrainConfig};
pub use dataset::{Cleaning, DatasetError};
pub use fit::{Course, FitError};
pub use report::Summary;
pub use run::{Options, TrainError, run};
