//! Everything that tests do with the library and the program from outside, but for what needs a process or the
//! machine to itself. One binary, so that the library is linked once, and tests that wait run beside tests
//! that compute. One module alone: `cargo test --test integration api::`.
//!
//! A test of this binary may not ask for its process alone: no environment variable or working folder is
//! set, no memory of its own process is measured, no global recorder is installed. Those that do, and
//! those that load the machine or need it quiet, are binaries of their own beside this folder:
//! `remote_write` and `overload`, `parity_live` and `e2e`, and each says why.

// What .clippy.toml bans is about the program.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

#[path = "../support/mod.rs"]
mod support;

mod actions;
mod api;
mod config;
mod dashboards;
mod demo;
mod deployment;
mod doctor;
mod door;
mod evaluate;
mod examples;
mod exemplars;
mod exporters;
mod fleet;
mod foreign;
mod histogram_parity;
mod history;
mod loading;
mod mail;
mod maintenance;
mod memory;
mod metadata;
mod notify;
mod onnx_reference;
mod peers_smoke;
mod pipeline;
mod profiles;
mod promql_parity;
mod quality;
mod restart;
mod rules;
mod senders;
mod server;
mod shipped;
mod story;
mod tables;
mod train;
mod vmagent;
mod volume;
mod warm_start;
