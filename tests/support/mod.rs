//! What integration tests share: real peers, Portent itself, a sender of samples, a server of range
//! queries, models that do harm, and waiting.
//!
//! Every server listens on a port that the system picks, lives in a folder of its own and is killed
//! when its value is dropped. A missing program fails the test with the command that gets it.

// Each test binary compiles all of this and uses a part of it.
#![allow(dead_code, unused_imports)]
// What .clippy.toml bans is about the program.
#![allow(clippy::disallowed_methods, clippy::disallowed_types)]

mod alerting;
mod alertmanager;
mod client;
mod hook;
pub mod hostile;
mod node_exporter;
mod peers;
mod portent;
mod prometheus;
pub mod range_server;
mod remote_writer;
mod server;
mod squares;
mod vmagent;
mod wait;
mod watched;
mod webhook;

pub use alerting::Alerting;
pub use alertmanager::Alertmanager;
pub use client::{Reply, get, http_client, post};
pub use hook::{Call, Hook, Reaction};
pub use node_exporter::NodeExporter;
pub use peers::Peers;
pub use portent::{Portent, run_portent};
pub use prometheus::{Answer, Element, Prometheus, RangeElement};
pub use remote_writer::{RemoteWriter, Series, encode, write_request};
pub use server::{Server, repository};
pub use squares::{alerting_on_squares, write_sum_of_squares};
pub use vmagent::Vmagent;
pub use wait::wait_until;
pub use watched::Watched;
pub use webhook::Webhook;
