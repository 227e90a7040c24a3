//! A real node_exporter.

use std::process::Command;

use tempfile::TempDir;

use super::peers::Peers;
use super::server::Server;

/// A running node_exporter of this machine.
#[derive(Debug)]
pub struct NodeExporter {
    server: Server,
}

impl NodeExporter {
    /// Starts it and waits until it answers.
    pub async fn start() -> Self {
        let dir = TempDir::with_prefix("portent-node-exporter-").expect("a temporary folder");
        let mut command = Command::new(Peers::find().node_exporter);
        command.arg("--web.listen-address=127.0.0.1:0");
        let server = Server::start("node_exporter", command, dir, "/").await;
        Self { server }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
