//! A real node_exporter.

use std::process::Command;

use tempfile::TempDir;

use super::peers::Peers;
use super::server::Server;

/// A running node_exporter of this machine.
#[derive(Debug)]
pub struct NodeExporter {
    server: Server,
    flags: Vec<String>,
}

impl NodeExporter {
    /// Starts it and waits until it answers.
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// Starts it with further flags and waits until it answers.
    pub async fn start_with(flags: &[&str]) -> Self {
        let dir = TempDir::with_prefix("portent-node-exporter-").expect("a temporary folder");
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let command = command("127.0.0.1:0", &flags);
        Self { server: Server::start("node_exporter", command, dir, "/").await, flags }
    }

    /// Ends it, if it still runs, and starts it again on the same port.
    pub async fn restart(&mut self) {
        let command = command(self.server.address(), &self.flags);
        self.server.restart(command, "/").await;
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

fn command(address: &str, flags: &[String]) -> Command {
    let mut command = Command::new(Peers::find().node_exporter);
    command.arg(format!("--web.listen-address={address}")).args(flags);
    command
}
