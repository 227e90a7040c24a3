//! A real Prometheus, and its query API as values.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::client::{Reply, get, http_client, reply};
use super::peers::Peers;
use super::server::Server;
use super::wait::wait_until;

/// Where it says that it is ready.
const READY: &str = "/-/ready";

/// How long it may take to send what it has and to end.
const END_LIMIT: Duration = Duration::from_secs(30);

/// A running Prometheus with an empty database of its own.
#[derive(Debug)]
pub struct Prometheus {
    server: Server,
    /// Kept, because making a client costs more than a query.
    client: reqwest::Client,
    flags: Vec<String>,
}

/// What an instant query gives.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// A number without labels.
    Scalar(f64),
    /// An instant vector, in the server's order.
    Vector(Vec<Element>),
}

/// One element of an instant vector.
#[derive(Debug, Clone, PartialEq)]
pub struct Element {
    /// All labels, with `__name__` where the answer has it.
    pub labels: BTreeMap<String, String>,
    /// The value, to the bit except for the payload of a NaN.
    pub value: f64,
}

/// One series of a range query.
#[derive(Debug, Clone, PartialEq)]
pub struct RangeElement {
    /// As in [`Element`].
    pub labels: BTreeMap<String, String>,
    /// Milliseconds since the epoch, and the value there.
    pub samples: Vec<(i64, f64)>,
}

impl Prometheus {
    /// Starts it with a configuration and further flags, and waits until it is ready. It receives
    /// remote writes and takes `/-/reload`. With the flag `--agent` it only sends on, and answers no query.
    pub async fn start(config_yaml: &str, flags: &[&str]) -> Self {
        let dir = TempDir::with_prefix("portent-prometheus-").expect("a temporary folder");
        let config = dir.path().join("prometheus.yml");
        fs::write(&config, config_yaml).expect("a fresh folder takes a file");
        let flags: Vec<String> = flags.iter().map(|flag| (*flag).to_owned()).collect();
        let command = command(dir.path(), "127.0.0.1:0", &flags);
        let server = Server::start("prometheus", command, dir, READY).await;
        let client = http_client();
        Self { server, client, flags }
    }

    /// Ends it as an operator does and starts it again, on the same port and database.
    pub async fn restart(&mut self) {
        self.server.signal("TERM");
        self.server.wait_for_end(END_LIMIT).await;
        let command = command(self.server.dir(), self.server.address(), &self.flags);
        self.server.restart(command, READY).await;
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// `http://127.0.0.1:PORT` and `path`, which starts with a slash or is empty.
    pub fn url(&self, path: &str) -> String {
        self.server.url(path)
    }

    /// GET of a path with its query string.
    pub async fn get(&self, path: &str) -> Result<Reply, String> {
        get(&self.url(path)).await
    }

    /// An instant query at a time in milliseconds, or now. The error is the server's own sentence.
    pub async fn query(&self, expr: &str, time_ms: Option<i64>) -> Result<Answer, String> {
        let mut form = vec![("query", expr.to_owned())];
        form.extend(time_ms.map(|time| ("time", seconds(time))));
        let data = self.api("/api/v1/query", &form).await?;
        match data["resultType"].as_str() {
            Some("scalar") => Ok(Answer::Scalar(sample(&data["result"])?.1)),
            Some("vector") => elements(&data["result"], |element| {
                Ok(Element { labels: labels(element)?, value: sample(&element["value"])?.1 })
            })
            .map(Answer::Vector),
            _ => Err(format!("not a scalar nor a vector: {data}")),
        }
    }

    /// An instant query that gives a vector.
    pub async fn vector(&self, expr: &str, time_ms: Option<i64>) -> Result<Vec<Element>, String> {
        match self.query(expr, time_ms).await? {
            Answer::Vector(elements) => Ok(elements),
            Answer::Scalar(value) => Err(format!("{expr} is the scalar {value}")),
        }
    }

    /// A range query from `start_ms` to `end_ms`, both included. A scalar comes as a series without labels.
    pub async fn query_range(
        &self,
        expr: &str,
        start_ms: i64,
        end_ms: i64,
        step_ms: i64,
    ) -> Result<Vec<RangeElement>, String> {
        let form = [
            ("query", expr.to_owned()),
            ("start", seconds(start_ms)),
            ("end", seconds(end_ms)),
            ("step", seconds(step_ms)),
        ];
        let data = self.api("/api/v1/query_range", &form).await?;
        elements(&data["result"], |element| {
            Ok(RangeElement {
                labels: labels(element)?,
                samples: elements(&element["values"], sample)?,
            })
        })
    }

    /// Waits until a vector has at least one element, and returns it.
    pub async fn wait_for_vector(&self, limit: Duration, expr: &str) -> Vec<Element> {
        wait_until(limit, &format!("prometheus to have `{expr}`"), async || {
            match self.vector(expr, None).await {
                Ok(elements) if !elements.is_empty() => Ok(elements),
                other => Err(format!("{other:?}")),
            }
        })
        .await
    }

    async fn api(&self, path: &str, form: &[(&str, String)]) -> Result<Value, String> {
        let request = self.client.post(self.url(path)).form(form);
        let reply = reply(request).await?;
        let mut answer: Value = serde_json::from_str(&reply.body)
            .map_err(|error| format!("status {}: {error}: {}", reply.status, reply.body))?;
        if answer["status"] == "success" {
            Ok(answer["data"].take())
        } else {
            Err(answer["error"].as_str().unwrap_or(&reply.body).to_owned())
        }
    }
}

fn command(dir: &Path, address: &str, flags: &[String]) -> Command {
    let mut command = Command::new(Peers::find().prometheus);
    let database = if flags.iter().any(|flag| flag == "--agent") { "agent" } else { "tsdb" };
    command
        .arg(format!("--config.file={}", dir.join("prometheus.yml").display()))
        .arg(format!("--storage.{database}.path={}", dir.join("data").display()))
        .arg(format!("--web.listen-address={address}"))
        .args(["--web.enable-lifecycle", "--web.enable-remote-write-receiver"])
        .args(flags);
    command
}

/// Milliseconds as the API takes them: seconds with exactly three digits after the point.
fn seconds(ms: i64) -> String {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    format!("{sign}{}.{:03}", ms / 1000, ms % 1000)
}

fn elements<T>(
    value: &Value,
    read: impl Fn(&Value) -> Result<T, String>,
) -> Result<Vec<T>, String> {
    value.as_array().ok_or_else(|| format!("not a list: {value}"))?.iter().map(read).collect()
}

fn labels(element: &Value) -> Result<BTreeMap<String, String>, String> {
    serde_json::from_value(element["metric"].clone()).map_err(|error| error.to_string())
}

/// `[seconds, "value"]`.
fn sample(pair: &Value) -> Result<(i64, f64), String> {
    let read = || {
        let time_ms = (pair[0].as_f64()? * 1000.0).round() as i64;
        Some((time_ms, pair[1].as_str()?.parse().ok()?))
    };
    read().ok_or_else(|| format!("not a sample: {pair}"))
}
