//! Training: from history to a model file that can be trusted.
//!
//! In: history (a Prometheus-compatible server or a CSV file), and the features to learn. Out: one
//! `.onnx` file with scaling, branches, error, contribution and metadata inside, and a summary.
//!
//! ```text
//! history ─▶ recording ─▶ data ──┬▶ season ──────┐
//!            steps×values  clean ├▶ level ───────┤
//!                          rows  ├▶ forecast ────┼▶ ensemble ─▶ graph ─▶ hindsight ─▶ threshold ─▶ write
//!                                └▶ autoencoder ─┘  what is     ONNX     scores       chosen
//!                                    branches       usual
//! ```
//!
//! With a budget of trials, the network's settings are searched for first ([`tune`]): those whose error
//! detects known faults best, not those with the smallest loss.
//!
//! Training does not learn from moments that stand out from the history (`left_out`); a draft finds them. It
//! learns from all other usable rows, and the threshold comes from the scores of these same rows: a whole day
//! and a whole week in them are worth more than a part held back, whose few peaks would decide the threshold.
//! Only the network keeps the latest tenth, to know when to stop.
//!
//! Features that stand still for longer than they ever did cause no error, but are a finding: how long that
//! takes is learnt beside the branches (`still`).
//!
//! Invariants: the same data and seed give the same bytes on one machine; a file
//! appears under its name only after it has been read back and ONNX Runtime has loaded it; what training
//! says of a model is what ONNX Runtime computes with the graph that serves, and nothing else computes
//! it; whatever was left out is in the summary with a count.
//!
//! Memory: values are float32 throughout. A recording takes 4 bytes a value, the network's fit as
//! many again, and a window some 40 bytes; everything else works on 4,096 windows at a time. A
//! million rows of 12 features peak at 0.17 GB; ten million of 40 need some 4 GB. What is more than
//! `train.max_memory` is not collected: a large fleet is sampled (see `memory`).
//!
//! The numeric core below `run` knows no files, no clock, no network.

mod branches;
mod config;
mod data;
mod ensemble;
mod error;
mod fit;
mod graph;
mod hindsight;
mod left_out;
mod memory;
#[cfg(test)]
mod reference;
mod report;
mod run;
mod still;
pub mod threshold;
mod training_page;
pub mod tune;
mod write;

pub use branches::BranchKind;
pub use config::{FitKind, ModelKind, TrainConfig, TrainConfigError};
pub use data::{Cleaning, DatasetError, Scaling};
pub use error::{MemoryError, TrainError};
pub use fit::{Course, FitError, Sharing};
pub use hindsight::{Around, Called, Hindsight, Moment};
pub use left_out::LeftOut;
pub use report::Summary;
pub use run::{Options, run};
pub use training_page::page;
