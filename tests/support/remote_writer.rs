//! A sender of remote-write 1.0.

use portent::proto::prometheus::{Label, Sample, TimeSeries, WriteRequest};
use prost::Message;

use super::client::{Reply, http_client, reply};

/// One series to send: labels in any order, and samples as (milliseconds, value).
#[derive(Debug, Clone)]
pub struct Series {
    /// Name and value; the metric's name is `__name__`.
    pub labels: Vec<(String, String)>,
    /// Sent as they are, so that stale markers keep their bits.
    pub samples: Vec<(i64, f64)>,
}

impl Series {
    /// A series from literals.
    pub fn new(labels: &[(&str, &str)], samples: &[(i64, f64)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self { labels: labels.iter().map(own).collect(), samples: samples.to_vec() }
    }
}

/// The message, with labels sorted as the specification asks.
pub fn write_request(series: &[Series]) -> WriteRequest {
    let timeseries = series
        .iter()
        .map(|series| {
            let mut labels: Vec<Label> = series
                .labels
                .iter()
                .map(|(name, value)| Label {
                    name: name.clone().into_bytes(),
                    value: value.clone().into_bytes(),
                })
                .collect();
            labels.sort_by(|a, b| a.name.cmp(&b.name));
            let samples = series
                .samples
                .iter()
                .map(|&(timestamp, value)| Sample { value, timestamp })
                .collect();
            TimeSeries { labels, samples }
        })
        .collect();
    WriteRequest { timeseries, metadata: Vec::new() }
}

/// The body of a request: the message in snappy's block format.
pub fn encode(request: &WriteRequest) -> Vec<u8> {
    snap::raw::Encoder::new()
        .compress_vec(&request.encode_to_vec())
        .expect("a test's message is below snappy's limit")
}

/// Sends to one URL.
#[derive(Debug, Clone)]
pub struct RemoteWriter {
    client: reqwest::Client,
    url: String,
}

impl RemoteWriter {
    /// To a whole URL, such as Portent's or Prometheus's `/api/v1/write`.
    pub fn new(url: impl Into<String>) -> Self {
        Self { client: http_client(), url: url.into() }
    }

    /// Sends some series as Prometheus would.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send(&self, series: &[Series]) -> Reply {
        self.send_body(encode(&write_request(series))).await
    }

    /// Sends a body under the headers of remote-write 1.0.
    ///
    /// # Panics
    /// When there is no answer.
    pub async fn send_body(&self, body: Vec<u8>) -> Reply {
        let headers = [
            ("Content-Type", "application/x-protobuf"),
            ("Content-Encoding", "snappy"),
            ("X-Prometheus-Remote-Write-Version", "0.1.0"),
        ];
        self.send_raw(&headers, body)
            .await
            .unwrap_or_else(|error| panic!("no answer from {}: {error}", self.url))
    }

    /// Sends anything; the error is that of a broken connection.
    pub async fn send_raw(&self, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Reply, String> {
        let mut request = self.client.post(&self.url).body(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        reply(request).await
    }
}
