//! A real Alertmanager.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{get, http_client, reply};
use super::peers::Peers;
use super::server::Server;

/// A running Alertmanager without a cluster.
#[derive(Debug)]
pub struct Alertmanager {
    server: Server,
}

impl Alertmanager {
    /// Starts it with a configuration and waits until it is ready.
    pub async fn start(config: &Path) -> Self {
        let dir = TempDir::with_prefix("portent-alertmanager-").expect("a temporary folder");
        let mut command = Command::new(Peers::find().alertmanager);
        command
            .arg(format!("--config.file={}", config.display()))
            .arg(format!("--storage.path={}", dir.path().join("data").display()))
            .args(["--web.listen-address=127.0.0.1:0", "--cluster.listen-address="]);
        Self { server: Server::start("alertmanager", command, dir, "/-/ready").await }
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// Takes alerts as Prometheus sends them: a list of objects with `labels`.
    ///
    /// # Panics
    /// When they are refused.
    pub async fn send(&self, alerts: &Value) {
        let request = http_client().post(self.server.url("/api/v2/alerts")).json(alerts);
        let reply = reply(request).await.expect("an answer");
        assert_eq!(reply.status, 200, "{reply:?}");
    }

    /// All alerts that it knows, each with its `labels`, `annotations`, `receivers` and `status`.
    pub async fn alerts(&self) -> Result<Vec<Value>, String> {
        let reply = get(&self.server.url("/api/v2/alerts")).await?;
        serde_json::from_str(&reply.body).map_err(|error| format!("{error}: {reply:?}"))
    }
}
