//! A server of a made-up fleet's history: what a Prometheus would answer to the queries of training.
//!
//! In: a fleet, range queries as `portent::history` asks them. Out: the columns of the profile by the
//! expressions that they are asked by, what is the same for all hosts, when samples were taken, and when
//! there were incidents. A CSV file holds one host; a fleet has to be asked for.

use std::sync::Arc;

use anyhow::Context;
use portent::duration::Duration;
use portent::features::{FeatureSpec, TIME_OF_DAY, TIME_OF_WEEK, profile};
use portent::history::{Range, RangeQuery, Source};

use super::fleet::derived::calendar;
use super::fleet::{Fleet, Host, MINUTES, START_MS, STEP_MS, Span, time_ms};
use super::range_server::{Asked, RangeServer, Series};

/// The expression that has a result for a host in an incident, as `ALERTS` would.
pub const INCIDENT: &str = "made_up_incident";

/// Serves a fleet as long as it is there.
pub struct Server(RangeServer);

impl Server {
    /// Serves from now on, on a port of this machine.
    pub fn start(fleet: Arc<Fleet>) -> anyhow::Result<Self> {
        let columns = profile();
        Ok(Self(RangeServer::start(move |asked| answer(&fleet, &columns, asked))?))
    }

    /// These minutes, as a source of history.
    pub fn source(&self, minutes: Span) -> Source {
        let [start_ms, end_ms] = minutes.times_ms();
        Source::Server(RangeQuery {
            url: self.0.url().to_owned(),
            ranges: vec![Range { start_ms, end_ms }],
            step: Duration::from_ms(STEP_MS),
            delay: Duration::from_ms(0),
            resume: None,
        })
    }
}

/// What a query asks for.
enum What {
    /// A column of every host.
    Column(usize),
    /// What is the same for all.
    Common(String),
    /// When the newest samples were taken, in seconds.
    Samples,
    /// Whether there is an incident.
    Incident,
}

fn what(columns: &[FeatureSpec], query: &str) -> Option<What> {
    if query == INCIDENT {
        return Some(What::Incident);
    }
    if query.starts_with("max by (job, instance) (timestamp(") {
        return Some(What::Samples);
    }
    // Behind it may stand whose series it is to be.
    let is_it = |it: &FeatureSpec| {
        query == it.expr || query.starts_with(&format!("({}\n) and on (job, instance)", it.expr))
    };
    if let Some(place) = columns.iter().position(is_it) {
        let name = &columns[place].name;
        let is_common = calendar(name, 0).is_some();
        return Some(if is_common { What::Common(name.clone()) } else { What::Column(place) });
    }
    let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|it| it.spec().expr == query)?;
    Some(What::Common(clock.name.to_owned()))
}

fn answer(fleet: &Fleet, columns: &[FeatureSpec], asked: &Asked) -> anyhow::Result<Vec<Series>> {
    let query = &asked.query;
    let what = what(columns, query).with_context(|| format!("nobody knows {query}"))?;
    let series = |labels: String, value: &dyn Fn(usize) -> Option<f64>| {
        let point = |at_ms: &i64| {
            let minute = usize::try_from((at_ms - START_MS).div_euclid(STEP_MS)).ok()?;
            let value = (minute < MINUTES).then(|| value(minute)).flatten()?;
            value.is_finite().then_some((*at_ms, value))
        };
        Series { labels, points: asked.times_ms.iter().filter_map(point).collect() }
    };
    let of_host = |host: &Host| {
        let [job, instance] = ["job", "instance"].map(|it| host.labels.get(it));
        series(format!(r#""job":"{job}","instance":"{instance}""#), &|minute| match what {
            What::Column(column) => Some(f64::from(host.values[[minute, column]])),
            What::Incident => host.is_in_incident(minute).then_some(1.0),
            _ => host.sampled(minute).map(|it| time_ms(it) as f64 / 1_000.0),
        })
    };
    Ok(match &what {
        What::Common(name) => vec![series(String::new(), &|minute| calendar(name, minute))],
        _ => fleet.hosts.iter().map(of_host).collect(),
    })
}
