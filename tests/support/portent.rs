//! Portent itself, as the user runs it.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tempfile::TempDir;

use super::client::{Reply, get};
use super::remote_writer::{RemoteWriter, Series};
use super::server::{Server, repository};
use super::wait::wait_until;

/// The program under test.
const PORTENT: &str = env!("CARGO_BIN_EXE_portent");

/// A running `portent serve`.
#[derive(Debug)]
pub struct Portent {
    /// The process.
    pub server: Server,
}

impl Portent {
    /// Starts `portent serve` with a configuration and further flags, and waits until it is healthy.
    /// It may not be ready yet: readiness can wait for data.
    pub async fn start(config_yaml: &str, flags: &[&str]) -> Self {
        Self::start_under("", config_yaml, flags).await
    }

    /// The same, where flags put this before all paths.
    pub async fn start_under(prefix: &str, config_yaml: &str, flags: &[&str]) -> Self {
        let dir = TempDir::with_prefix("portent-").expect("a temporary folder");
        let config = dir.path().join("portent.yml");
        fs::write(&config, config_yaml).expect("a fresh folder takes a file");
        let mut command = Command::new(PORTENT);
        command
            .arg("serve")
            .arg(format!("--config.file={}", config.display()))
            .arg("--web.listen-address=127.0.0.1:0");
        if !flags.iter().any(|flag| flag.starts_with("--storage.path")) {
            // Who does not ask for it leaves nothing behind.
            command.arg("--storage.path=");
        }
        command.args(flags);
        let server = Server::start("portent", command, dir, &format!("{prefix}/-/healthy")).await;
        Self { server }
    }

    /// Ends it at once, as a crash does, unless it has ended, and starts it again on the same port and with the
    /// same configuration.
    pub async fn restart(&mut self, flags: &[&str]) {
        let mut command = Command::new(PORTENT);
        command
            .arg("serve")
            .arg(format!("--config.file={}", self.config_file().display()))
            .arg(format!("--web.listen-address={}", self.address()))
            .args(flags);
        self.server.restart(command, "/-/healthy").await;
    }

    /// `127.0.0.1:PORT`.
    pub fn address(&self) -> &str {
        self.server.address()
    }

    /// A URL; `path` starts with a slash.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// Waits until it is ready.
    pub async fn ready(&self) {
        let limit = Duration::from_secs(60);
        wait_until(limit, "portent is ready", async || {
            let reply = self.get("/-/ready").await?;
            if reply.status == 200 { Ok(()) } else { Err(reply.body) }
        })
        .await;
    }

    /// The configuration that it was started with.
    pub fn config_file(&self) -> PathBuf {
        self.server.dir().join("portent.yml")
    }

    /// Sends the value 1 of a metric of some instances, of now.
    pub async fn push(&self, metric: &str, instances: &[&str]) {
        let values: Vec<(&str, f64)> = instances.iter().map(|it| (*it, 1.0)).collect();
        self.push_values(metric, &values).await;
    }

    /// Sends values of a metric by instance, of now.
    pub async fn push_values(&self, metric: &str, values: &[(&str, f64)]) {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
        let at = i64::try_from(since.as_millis()).expect("a clock before the far future");
        let series = |(instance, value): &(&str, f64)| {
            Series::new(&[("__name__", metric), ("instance", instance)], &[(at, *value)])
        };
        let series: Vec<Series> = values.iter().map(series).collect();
        let reply = RemoteWriter::new(self.url("/api/v1/write")).send(&series).await;
        assert_eq!(reply.status, 204, "{reply:?}");
    }

    /// Its metrics page once this is in it.
    pub async fn page_with(&self, wanted: &str, limit: Duration) -> String {
        wait_until(limit, wanted, async || {
            let page = self.get("/metrics").await?.body;
            if page.contains(wanted) { Ok(page) } else { Err(page) }
        })
        .await
    }

    /// GET of a path.
    pub async fn get(&self, path: &str) -> Result<Reply, String> {
        get(&self.url(path)).await
    }
}

/// Runs `portent` with some arguments in the repository's root, to its end.
pub fn run_portent(arguments: &[&str]) -> Output {
    Command::new(PORTENT)
        .args(arguments)
        .current_dir(repository())
        .output()
        .expect("cargo has built portent")
}
