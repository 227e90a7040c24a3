//! What was exported live: `/metrics` is looked at several times between two ticks, and each tick's
//! scores are kept under its time.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::support::http_client;

/// Five looks a tick: that one tick is never seen takes five failures.
const BETWEEN_LOOKS: Duration = Duration::from_millis(200);

/// Scores by instance.
pub type Scores = BTreeMap<String, f64>;

/// For each model the scores of each tick, by its time in milliseconds. A tick without any score is
/// there with none.
pub type Ticks = BTreeMap<String, BTreeMap<i64, Scores>>;

/// A task that looks until it is told to end.
pub struct Sampler {
    stop: oneshot::Sender<()>,
    task: JoinHandle<Ticks>,
}

impl Sampler {
    /// Begins to look at this page.
    pub fn start(url: String) -> Self {
        let (stop, mut stopped) = oneshot::channel();
        let task = tokio::spawn(async move {
            let client = http_client();
            let mut ticks = Ticks::new();
            loop {
                tokio::select! {
                    _ = &mut stopped => return ticks,
                    () = tokio::time::sleep(BETWEEN_LOOKS) => {}
                }
                // A look that fails is one of several at the same tick.
                let Ok(response) = client.get(&url).send().await else { continue };
                if let Ok(text) = response.text().await {
                    keep(&mut ticks, parse(&text));
                }
            }
        });
        Self { stop, task }
    }

    /// What was seen.
    pub async fn end(self) -> Ticks {
        // Without a receiver the task has ended, and awaiting it says why.
        let _ = self.stop.send(());
        self.task.await.expect("the sampler does not panic")
    }
}

/// A page: for each model its last tick.
pub fn parse(page: &str) -> BTreeMap<String, (i64, Scores)> {
    let mut found = BTreeMap::new();
    for (labels, value) in family(page, "anomaly_last_tick_timestamp_seconds") {
        let time_ms = (value * 1000.0).round() as i64;
        found.insert(label(labels, "model").to_owned(), (time_ms, Scores::new()));
    }
    for (labels, value) in family(page, "anomaly_score") {
        let (_, scores) = found.get_mut(label(labels, "model")).expect("a score is of a tick");
        scores.insert(label(labels, "instance").to_owned(), value);
    }
    found
}

fn keep(ticks: &mut Ticks, page: BTreeMap<String, (i64, Scores)>) {
    for (model, (time_ms, scores)) in page {
        let earlier = ticks.entry(model).or_default().insert(time_ms, scores.clone());
        assert!(earlier.is_none_or(|it| it == scores), "the scores of a tick never change");
    }
}

/// The labels and the value of each sample of a family.
fn family<'a>(page: &'a str, name: &'a str) -> impl Iterator<Item = (&'a str, f64)> {
    page.lines().filter_map(move |line| {
        let (labels, value) = line.strip_prefix(name)?.strip_prefix('{')?.split_once("} ")?;
        Some((labels, value.parse().expect("a number")))
    })
}

/// A label's value; those of this test have nothing to escape.
fn label<'a>(labels: &'a str, name: &str) -> &'a str {
    let value = labels.split(',').find_map(|pair| pair.strip_prefix(name)?.strip_prefix("=\""));
    value.unwrap_or_else(|| panic!("no {name} in {labels}")).trim_end_matches('"')
}
