//! A server of a made-up fleet's history: what a Prometheus would answer to the queries of training.
//!
//! In: a fleet, range queries as `portent::history` asks them. Out: the columns of the profile by the
//! expressions that they are asked by, what is the same for all hosts, and when samples were taken. A CSV
//! file holds one host; a fleet has to be asked for.

use std::fmt::Write;
use std::sync::Arc;

use anyhow::Context;
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use portent::duration::Duration;
use portent::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK, profile};
use portent::history::{Range, RangeQuery, Source};
use portent::http::{self, WebConfig};
use tokio::net::TcpListener;
use tokio::runtime::Builder;

use crate::fleet::derived::calendar;
use crate::fleet::{Fleet, Host, MINUTES, START_MS, STEP_MS, Span, time_ms};

/// Serves a fleet as long as it is there.
pub struct Server {
    url: String,
    /// Dropped to end it.
    _stop: tokio::sync::oneshot::Sender<()>,
}

impl Server {
    /// Serves from now on, on a port of this machine.
    pub fn start(fleet: Arc<Fleet>) -> anyhow::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let listener = runtime.block_on(TcpListener::bind("127.0.0.1:0"))?;
        let url = format!("http://{}", listener.local_addr()?);
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let history = Arc::new(History::new(fleet));
        std::thread::spawn(move || {
            let handler = move |request| answer(Arc::clone(&history), request);
            let stopped = async { drop(stopped.await) };
            runtime.block_on(http::serve(listener, &WebConfig::default(), handler, stopped));
        });
        Ok(Self { url, _stop: stop })
    }

    /// These minutes, as a source of history.
    pub fn source(&self, minutes: Span) -> Source {
        let [start_ms, end_ms] = minutes.times_ms();
        Source::Server(RangeQuery {
            url: self.url.clone(),
            ranges: vec![Range { start_ms, end_ms }],
            step: Duration::from_ms(STEP_MS),
            delay: Duration::from_ms(0),
            resume: None,
        })
    }
}

async fn answer(history: Arc<History>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let found = async {
        let body = request.into_body().collect().await?.to_bytes();
        history.answer(std::str::from_utf8(&body)?)
    };
    match found.await {
        Ok(json) => Response::new(Full::from(json)),
        Err(error) => http::text(StatusCode::BAD_REQUEST, format!("{error:#}")),
    }
}

/// What can be asked for.
struct History {
    fleet: Arc<Fleet>,
    columns: Vec<FeatureSpec>,
}

/// What a query asks for.
enum Asked {
    /// A column of every host.
    Column(usize),
    /// What is the same for all.
    Common(String),
    /// When the newest samples were taken, in seconds.
    Samples,
}

impl History {
    fn new(fleet: Arc<Fleet>) -> Self {
        Self { fleet, columns: profile() }
    }

    fn asked(&self, query: &str) -> Option<Asked> {
        if query.starts_with("max by (job, instance) (timestamp(") {
            return Some(Asked::Samples);
        }
        // Behind it may stand whose series it is to be.
        let is_it = |it: &FeatureSpec| {
            query == it.expr
                || query.starts_with(&format!("({}\n) and on (job, instance)", it.expr))
        };
        if let Some(place) = self.columns.iter().position(is_it) {
            let name = &self.columns[place].name;
            let is_common = calendar(name, 0).is_some();
            return Some(if is_common {
                Asked::Common(name.clone())
            } else {
                Asked::Column(place)
            });
        }
        let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|it| it.spec().expr == query)?;
        Some(Asked::Common(clock.name.to_owned()))
    }

    /// The JSON of an answer to a form.
    fn answer(&self, form: &str) -> anyhow::Result<String> {
        let (query, times) = parse(form)?;
        let asked = self.asked(&query).with_context(|| format!("nobody knows {query}"))?;
        let of_host = |host: &Host| {
            let [job, instance] = ["job", "instance"].map(|it| host.labels.get(it));
            let labels = format!(r#""job":"{job}","instance":"{instance}""#);
            series(&labels, &times, |minute| match asked {
                Asked::Column(column) => Some(f64::from(host.values[[minute, column]])),
                _ => host.sampled(minute).map(|it| time_ms(it) as f64 / 1_000.0),
            })
        };
        let all = match &asked {
            Asked::Common(name) => vec![series("", &times, |minute| calendar(name, minute))],
            _ => self.fleet.hosts.iter().map(of_host).collect(),
        };
        let all = all.join(",");
        Ok(format!(r#"{{"status":"success","data":{{"resultType":"matrix","result":[{all}]}}}}"#))
    }
}

/// The query of a form, and the times that it is asked at, in milliseconds and as minutes of a fleet.
fn parse(form: &str) -> anyhow::Result<(String, Vec<(i64, usize)>)> {
    let url = reqwest::Url::parse(&format!("http://form/?{form}"))?;
    let field = |key: &str| {
        let found = url.query_pairs().find(|(name, _)| name == key);
        found.map(|(_, value)| value.into_owned()).with_context(|| format!("there is no {key}"))
    };
    let ms = |key: &str| anyhow::Ok((field(key)?.parse::<f64>()? * 1_000.0).round() as i64);
    let (start_ms, end_ms, step_ms) = (ms("start")?, ms("end")?, ms("step")?);
    anyhow::ensure!(step_ms > 0, "the step is {step_ms} ms");
    let times = (start_ms..=end_ms).step_by(step_ms as usize).filter_map(|at_ms| {
        let minute = usize::try_from((at_ms - START_MS).div_euclid(STEP_MS)).ok()?;
        (minute < MINUTES).then_some((at_ms, minute))
    });
    Ok((field("query")?, times.collect()))
}

/// The JSON of a series with these labels: where it has a value.
fn series(labels: &str, times: &[(i64, usize)], value: impl Fn(usize) -> Option<f64>) -> String {
    let mut text = format!(r#"{{"metric":{{{labels}}},"values":["#);
    for (at_ms, minute) in times {
        if let Some(value) = value(*minute).filter(|it| it.is_finite()) {
            let separator = if text.ends_with('[') { "" } else { "," };
            let seconds = *at_ms as f64 / 1_000.0;
            write!(text, r#"{separator}[{seconds},"{value}"]"#).expect("room");
        }
    }
    text + "]}"
}
