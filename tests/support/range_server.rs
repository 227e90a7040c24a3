//! A server of range queries, as `portent::history` asks them: what a Prometheus is to training.
//!
//! In: a function from what is asked to series. Out: their JSON over HTTP, on a port of this machine, for
//! as long as the server is there. A question that the function does not understand is answered by 400, one that
//! finds it [`Busy`] by 503.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode};
use portent::http::{self, RequestBody, WebConfig};
use portent::response::text;
use tokio::net::TcpListener;
use tokio::runtime::Builder;

/// One range query.
pub struct Asked {
    /// The expression.
    pub query: String,
    /// When it is to be evaluated.
    pub times_ms: Vec<i64>,
}

/// A series of an answer.
pub struct Series {
    /// Its labels, as the members of a JSON object.
    pub labels: String,
    /// Times in milliseconds, and values.
    pub points: Vec<(i64, f64)>,
}

/// The server has no time now.
#[derive(Debug)]
pub struct Busy;

impl std::fmt::Display for Busy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("busy")
    }
}

impl std::error::Error for Busy {}

/// The server.
pub struct RangeServer {
    url: String,
    /// Dropped to end it.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl RangeServer {
    /// Serves from now on.
    ///
    /// # Errors
    /// When there is no port or no runtime.
    pub fn start<F>(answer: F) -> anyhow::Result<Self>
    where
        F: Fn(&Asked) -> anyhow::Result<Vec<Series>> + Send + Sync + 'static,
    {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let answer = Arc::new(answer);
        std::thread::spawn(move || {
            let handler = move |request| reply(Arc::clone(&answer), request);
            let stopped = async { drop(stopped.await) };
            let (config, vital): (_, http::Vital) = (WebConfig::default(), Arc::new(|_, _| false));
            runtime.block_on(http::serve(listener, &config, handler, vital, stopped));
        });
        Ok(Self { url, _stop: stop })
    }

    /// Where it is.
    pub fn url(&self) -> &str {
        &self.url
    }
}

async fn reply<F>(answer: Arc<F>, request: Request<RequestBody>) -> Response<Full<Bytes>>
where
    F: Fn(&Asked) -> anyhow::Result<Vec<Series>>,
{
    let found = async {
        let body = request.into_body().collect().await?.to_bytes();
        answer(&parse(std::str::from_utf8(&body)?)?)
    };
    match found.await {
        Ok(series) => Response::new(Full::from(matrix(&series))),
        Err(error) if error.is::<Busy>() => {
            text(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
        }
        Err(error) => text(StatusCode::BAD_REQUEST, format!("{error:#}")),
    }
}

/// What a form asks for.
fn parse(form: &str) -> anyhow::Result<Asked> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}"))?;
    let field = |key: &str| {
        let found = url.query_pairs().find(|(name, _)| name == key);
        found.map(|(_, value)| value.into_owned()).with_context(|| format!("there is no {key}"))
    };
    let ms = |key: &str| anyhow::Ok((field(key)?.parse::<f64>()? * 1_000.0).round() as i64);
    let (start_ms, end_ms, step_ms) = (ms("start")?, ms("end")?, ms("step")?);
    anyhow::ensure!(step_ms > 0, "the step is {step_ms} ms");
    let times_ms = (start_ms..=end_ms).step_by(step_ms as usize).collect();
    Ok(Asked { query: field("query")?, times_ms })
}

/// The JSON of an answer.
fn matrix(all: &[Series]) -> String {
    let mut text = r#"{"status":"success","data":{"resultType":"matrix","result":["#.to_owned();
    for (place, Series { labels, points }) in all.iter().enumerate() {
        let separator = if place > 0 { "," } else { "" };
        write!(text, r#"{separator}{{"metric":{{{labels}}},"values":["#).expect("room");
        for (place, (at_ms, value)) in points.iter().enumerate() {
            let separator = if place > 0 { "," } else { "" };
            let seconds = *at_ms as f64 / 1_000.0;
            write!(text, r#"{separator}[{seconds},"{value}"]"#).expect("room");
        }
        text.push_str("]}");
    }
    text + "]}}"
}
