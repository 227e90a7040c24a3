//! Portent: a Prometheus remote-write receiver that scores every host with an autoencoder.
//!
//! ```text
//! Prometheus ─POST /api/v1/write─▶ remote_write ─▶ series ─▶ promql ─▶ features ─▶ model ─▶ detect ─▶ exporter ─GET /metrics─▶ Prometheus
//!                                  bytes→batch    rings     expr→value  matrix     ONNX     snapshot  anomaly_score
//! history (query_range or CSV) ─▶ train ─▶ model file (.onnx) ─▶ serve
//!                              └▶ evaluate: the same detector over history ─▶ scores, figures, page
//! ```
//!
//! Data flows from left to right and never back. A module uses only rooms on lower floors
//! (`tests/tidy.rs` checks it); floors 0 to 5 are synchronous and pure, take the time as an
//! argument and know no socket, file, thread or clock.
//!
//! # Code map
//!
//! | floor | room | what it is |
//! |---|---|---|
//! | 0 | `labels`, `matcher`, `sample`, `duration`, `timestamp`, `bytesize`, `capacity`, `accept`, `setting` | label set, condition on labels, value at a time, `15s`, RFC 3339, the calendar and time zones, `32MiB`, how much room a collection keeps, what an allocation takes, what a client accepts, what is wrong with a key of the configuration |
//! | 0 | `statistics` | values → their middle, a quantile (by rank, or interpolated), the normal distribution |
//! | 0 | `histogram` | native histograms: validation, sums and differences, resets, quantiles and fractions, as Prometheus 3.5 computes them |
//! | 0 | `proto` | messages compiled from `proto/` by `build.rs`; converted at the doors, never passed inward |
//! | 1 | `series` | rings of recent samples, floats and native histograms, with exemplars and metadata, and the selectors that decide which series are kept |
//! | 1 | `maintenance` | windows and silences: whether alerts with these labels are held back now |
//! | 2 | `promql` | expression → plan → instant vector, with the semantics of Prometheus 3; inside: `syntax` (text → tree), `operators` (what is computed), `engine` (trees over a store) |
//! | 3 | `features` | named expressions → matrix of entities and features, each cell with its provenance; freshness; recordings; the node_exporter profile |
//! | 4 | `model` | the model file: metadata, graph, threshold, what it remembers of entities; the scorer (the only place that imports `ort`) |
//! | 5 | `detect` | `Detector`: feature matrices → scores, with each entity's level, smoothing and usual hours, and whether it stands still; alerts by rules; `Pipeline`: batches and ticks in, outcomes and snapshots out; `Replay`: a recording through the same code |
//! | 5 | `episodes` | steps above a threshold, over time → runs and alert episodes: one definition for thresholds and figures |
//! | 6 | `files` | a file that appears whole or not at all; a table that may be compressed; a file that is looked at before it is read |
//! | 6 | `response` | an answer over HTTP: a status, of what kind its body is, and the body |
//! | 6 | `retry` | when a sender that met a passing fault is to come again: later with each attempt, and spread |
//! | 7 | `http_client` | how to speak to a server: credentials, TLS, headers, proxy; how webhooks are signed |
//! | 8 | `actions` | alerts that fire → commands that are run, or webhooks that are called, once, with guard rails |
//! | 8 | `admission` | a model's file → tried by a process of its own, or a sentence |
//! | 8 | `remote_write` | request bytes → batch; outcome → HTTP status |
//! | 8 | `http` | connections: limits, time-outs, graceful end |
//! | 8 | `api` | PromQL asked over HTTP → Prometheus's JSON; who stands out at the last tick, and why; rules and alerts |
//! | 8 | `exporter` | snapshot and Portent's own metrics → text for Prometheus |
//! | 8 | `history` | a server's range queries or a CSV file, less what is excluded → recording; inside: `question` (what is asked, at which steps), `server` (asking one query), `recording` (answers → entities), `table` (CSV) |
//! | 8 | `state` | what models remember, and recent samples → a file that the next process finds, and back |
//! | 8 | `notify` | what fires → Alertmanagers, webhooks, chats, e-mail; what they were told → a file |
//! | 8 | `report` | numbers → tables and plots → one HTML page |
//! | 9 | `train` | recording → dataset → (trials judged by known faults →) fit → one graph → scores → threshold → model file, table, page |
//! | 9 | `evaluate` | model and recording → scores and calls; with incidents → which of them it finds, how early, and how often it cries wolf |
//! | 9 | `doctor` | models and what a server says → whether it has what their features need, and what to change |
//! | 10 | `config` | YAML → the sections of all rooms, validated |
//! | 11 | `serve` | wiring: listener, pipeline thread, ticks, signals, reload, warm start from history |
//! | 12 | `cli`, `logging`, `main` | what the user typed → a command |
//!
//! # Where to start reading
//!
//! [`detect::Pipeline`] is the program in a hundred lines; `serve` drives it with sockets and the
//! clock. A new protocol is a room on floor 8 that makes a [`sample::Batch`]; a new way to compute
//! a feature belongs in [`promql`], which says where; a new branch of the ensemble is a file in `train::branches`.
//!
//! A training is `train::run`, from top to bottom: `history::read` → a recording; `train::data` → a
//! dataset; `train::tune`, where it is asked for → settings; `train::ensemble` → a fit, of
//! `train::branches`, which says of itself what is usual; `train::hindsight` → scores, by the
//! detector that serves; `train::threshold` → a threshold; `train::graph` → the file's bytes. The arithmetic of a
//! model is there once, as that graph. `train::reference` has it again in float64, for tests alone.
//!
//! # What is deliberately absent
//!
//! No database, no lock around shared state (one thread owns the pipeline, everyone else reads an
//! immutable snapshot), no second way to compute a feature (training asks a server to evaluate the
//! same PromQL text, and plays the answers through the freshness, holding and filling that serve), no setting that the model file already holds.

#![cfg_attr(test, allow(clippy::disallowed_methods, clippy::disallowed_types))]

pub mod accept;
pub mod actions;
pub mod admission;
pub mod api;
pub mod bytesize;
pub mod capacity;
pub mod cli;
pub mod config;
pub mod detect;
pub mod doctor;
pub mod duration;
pub mod episodes;
pub mod evaluate;
pub mod exporter;
pub mod features;
pub mod files;
pub mod histogram;
pub mod history;
pub mod http;
pub mod http_client;
pub mod labels;
pub mod logging;
pub mod maintenance;
pub mod matcher;
pub mod model;
pub mod notify;
pub mod promql;
pub mod remote_write;
pub mod report;
pub mod response;
pub mod retry;
pub mod sample;
pub mod series;
pub mod serve;
pub mod setting;
pub mod state;
pub mod statistics;
pub mod timestamp;
pub mod train;

/// Messages compiled from `proto/`.
#[allow(missing_docs, clippy::all)]
pub mod proto {
    /// Remote-write 1.0.
    pub mod prometheus {
        include!(concat!(env!("OUT_DIR"), "/prometheus.rs"));
    }
    /// Remote-write 2.0.
    pub mod prometheus_v2 {
        include!(concat!(env!("OUT_DIR"), "/io.prometheus.write.v2.rs"));
    }
    /// The ONNX model format.
    pub mod onnx {
        include!(concat!(env!("OUT_DIR"), "/onnx.rs"));
    }
    /// What a state file holds.
    pub mod state {
        include!(concat!(env!("OUT_DIR"), "/portent.state.rs"));
    }
}
