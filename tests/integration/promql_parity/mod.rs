//! Portent's PromQL against a real Prometheus: the same samples into both, then every expression,
//! hand-picked or generated, at many instants and over ranges of them. Label sets must be equal,
//! values within a relative 1e-12 or both NaN, sorted answers in the same order, and one side has
//! an error exactly when the other has.

mod compare;
mod expressions;
mod generate;
mod leaves;
mod portent;
mod sharing;
mod world;

use std::collections::BTreeMap;

use crate::support::{Answer, Prometheus, RemoteWriter, Series};
use ::portent::features::profile;
use ::portent::labels::Labels;
use ::portent::promql::Expr;
use compare::{close, difference};
use generate::Generated;
use portent::{Archive, Elements, Live, Matrix, Steps};

/// Gives the recording and the expressions; a failure prints it. Set `PORTENT_SEED` for another one.
const SEED: u64 = 20_260_729;

/// When the recording starts: fixed, so that a seed gives the same case for ever, and such that
/// midnight and the end of a month (2025-06-30) fall in its middle.
const START_MS: i64 = 1_751_325_000_000;

/// Generated expressions; more than hand-picked ones need to be at least 500.
const GENERATED: usize = 400;

/// Evaluations, evenly spread over the recording; each is moved off the even by another amount.
const INSTANTS: i64 = 24;

/// Odd amounts to be off: aligned to steps and scrapes, a millisecond beside, anything.
const SHIFTS_MS: [i64; 6] = [0, 1, -1, 7_123, 29_500, 15_000];

/// Steps of range queries: a scrape, odd, longer than a lookback, less than a scrape.
const STEPS_MS: [i64; 5] = [15_000, 60_000, 37_250, 400_000, 7_001];

/// The instants of a range query, at most.
const MOST_STEPS: i64 = 24;

fn seed() -> u64 {
    std::env::var("PORTENT_SEED").map_or(SEED, |text| text.parse().expect("a number"))
}

/// What was compared, and what differed.
#[derive(Default)]
struct Tally {
    compared: usize,
    errors: usize,
    elements: usize,
    /// Expression, where it was asked, and the difference.
    mismatches: Vec<(String, Question, String)>,
}

/// When an expression is asked for.
#[derive(Debug, Clone, Copy)]
enum Question {
    /// At an instant of the running Portent.
    Live(i64),
    /// Of all samples.
    Instant(i64),
    Range(Steps),
}

impl Tally {
    fn add(
        &mut self,
        text: &str,
        question: Question,
        theirs: Option<usize>,
        found: Option<String>,
    ) {
        self.compared += 1;
        match theirs {
            Some(elements) => self.elements += elements,
            None => self.errors += 1,
        }
        if let Some(difference) = found {
            self.mismatches.push((text.to_owned(), question, difference));
        }
    }

    /// Fails with the smallest expression first.
    fn conclude(mut self, seed: u64, expressions: usize) {
        println!(
            "{expressions} expressions, {} comparisons, {} elements, {} errors on both sides",
            self.compared, self.elements, self.errors
        );
        self.mismatches.sort_by_key(|(text, ..)| text.len());
        let shown: Vec<String> = self
            .mismatches
            .iter()
            .take(60)
            .map(|(text, question, difference)| format!("{text}\n  {question:?}: {difference}"))
            .collect();
        assert!(
            shown.is_empty(),
            "{} of {} differ, PORTENT_SEED={seed}; the smallest first:\n{}",
            self.mismatches.len(),
            self.compared,
            shown.join("\n")
        );
        assert!(self.elements > 10 * expressions, "there was little to compare");
        assert!(self.errors < self.compared / 4, "most of it are errors");
    }
}

#[tokio::test]
async fn the_same_samples_give_the_same_answers() {
    let seed = seed();
    let recording = world::record(seed, START_MS);
    let prometheus = Prometheus::start("global: {}\n", &[]).await;
    send(&prometheus, &recording).await;

    let mut archive = Archive::new(&recording);
    let generated = generate::expressions(seed, GENERATED);
    let mut texts: Vec<&str> = expressions::COMPARED.to_vec();
    let profile = profile();
    texts.extend(profile.iter().map(|spec| &*spec.expr));
    let picked = texts.len();
    texts.extend(generated.iter().map(|one| &*one.text));

    let mut tally = Tally::default();
    live(&prometheus, &texts, recording, &mut tally).await;
    for (i, text) in texts.iter().enumerate() {
        for question in questions(i as i64) {
            ask(&prometheus, &mut archive, text, question, &mut tally).await;
        }
    }
    let failed = tally.mismatches.clone();
    for one in &generated[..] {
        if let Some((_, question, _)) = failed.iter().find(|(text, ..)| *text == one.text) {
            reduce(&prometheus, &mut archive, one, *question, &mut tally).await;
        }
    }
    println!("{picked} hand-picked expressions");
    tally.conclude(seed, texts.len());
}

/// What is a feature too, as a running Portent evaluates it.
async fn live(prometheus: &Prometheus, texts: &[&str], recording: Vec<Series>, tally: &mut Tally) {
    let exprs: Vec<Expr> = texts
        .iter()
        // Prometheus has samples already that are yet to come here.
        .filter(|text| !text.contains("offset -"))
        .filter_map(|text| Expr::parse(text).ok())
        .collect();
    assert!(exprs.len() > texts.len() / 2, "most expressions are good");
    let mut portent = Live::new(&exprs, recording);
    let mut instants: Vec<i64> = (1..=INSTANTS)
        .map(|i| START_MS + world::LENGTH_MS * i / INSTANTS / 60_000 * 60_000)
        .zip(SHIFTS_MS.iter().cycle())
        .map(|(time_ms, shift_ms)| time_ms + shift_ms)
        .collect();
    instants.sort_unstable();
    for time_ms in instants {
        portent.advance(time_ms);
        for (i, expr) in exprs.iter().enumerate() {
            let theirs = prometheus.query(expr.text(), Some(time_ms)).await.map(elements);
            let found = difference(
                &portent.answer(i).map(by_labels),
                &theirs.clone().map(by_labels),
                close,
            );
            let count = theirs.as_ref().ok().map(Vec::len);
            tally.add(expr.text(), Question::Live(time_ms), count, found);
        }
    }
}

/// An aligned instant and one that is not, and two ranges, another time for each expression.
fn questions(i: i64) -> [Question; 4] {
    let minute = |share: i64| START_MS + share * 7_919 % (world::LENGTH_MS / 60_000) * 60_000;
    let range = |nth: i64, start_ms: i64| {
        let step_ms = STEPS_MS[(i + nth) as usize % STEPS_MS.len()];
        let end_ms = start_ms + step_ms * (MOST_STEPS - i % 5) + 1;
        Question::Range(Steps { start_ms, end_ms, step_ms })
    };
    let odd_ms = START_MS + (i * 611_953 + 48_271) % world::LENGTH_MS;
    [
        Question::Instant(minute(i)),
        Question::Instant(odd_ms),
        range(0, minute(i + 31)),
        range(3, START_MS + (i * 1_299_709 + 3_571) % world::LENGTH_MS),
    ]
}

/// Asks both sides for one expression.
async fn ask(
    prometheus: &Prometheus,
    archive: &mut Archive,
    text: &str,
    question: Question,
    tally: &mut Tally,
) {
    let (count, found) = match question {
        Question::Live(time_ms) | Question::Instant(time_ms) => {
            let ours = archive.instant(text, time_ms);
            let theirs = prometheus.query(text, Some(time_ms)).await.map(elements);
            let mut found =
                difference(&ours.clone().map(by_labels), &theirs.clone().map(by_labels), close);
            if let (None, Ok(ours), Ok(theirs)) = (&found, &ours, &theirs)
                && is_sorted_by_value(text)
            {
                // Equal values may stand either way round.
                let same = ours.iter().zip(theirs).all(|((_, a), (_, b))| close(a, b));
                found = (!same).then(|| format!("order: {ours:?}, prometheus {theirs:?}"));
            }
            (theirs.ok().map(|elements| elements.len()), found)
        }
        Question::Range(over) => {
            let Steps { start_ms, end_ms, step_ms } = over;
            let ours = archive.range(text, over);
            let theirs = prometheus.query_range(text, start_ms, end_ms, step_ms).await;
            let theirs: Result<Matrix, String> = theirs.map(|series| {
                let labels = |labels| Labels::from_pairs(labels).expect("distinct names");
                series.into_iter().map(|one| (labels(one.labels), one.samples)).collect()
            });
            let count = theirs.as_ref().ok().map(|all| all.values().map(Vec::len).sum());
            let same = |a: &Vec<(i64, f64)>, b: &Vec<(i64, f64)>| {
                a.len() == b.len() && a.iter().zip(b).all(|((t, a), (u, b))| t == u && close(a, b))
            };
            (count, difference(&ours, &theirs, same))
        }
    };
    tally.add(text, question, count, found);
}

fn is_sorted_by_value(text: &str) -> bool {
    ["sort", "topk", "bottomk"].iter().any(|name| text.starts_with(name))
        && Expr::parse(text).is_ok_and(|expr| expr.order().is_some())
}

/// Asks for the parts of an expression that differs where it did, so that the smallest one is seen.
async fn reduce(
    prometheus: &Prometheus,
    archive: &mut Archive,
    one: &Generated,
    question: Question,
    tally: &mut Tally,
) {
    for part in &one.parts {
        if *part != one.text {
            ask(prometheus, archive, part, question, tally).await;
        }
    }
}

#[tokio::test]
async fn what_prometheus_refuses_is_refused_in_its_words() {
    let prometheus = Prometheus::start("global: {}\n", &[]).await;
    let mut different = Vec::new();
    for text in expressions::REFUSED {
        let theirs = prometheus.query(text, None).await;
        let ours = Expr::parse(text).map_err(|error| format!("{error}"));
        let same = match (&ours, &theirs) {
            (Err(ours), Err(theirs)) => {
                let theirs = theirs.trim_start_matches("invalid parameter \"query\": ");
                // It does not say where nothing is.
                ours.ends_with(&theirs.replace("unknown position", "1:1"))
            }
            _ => false,
        };
        if !same {
            let ours = ours.err();
            different.push(format!("{text}\n  portent: {ours:?}\n  prometheus: {theirs:?}"));
        }
    }
    assert!(different.is_empty(), "accepted, or in other words:\n{}", different.join("\n"));
}

async fn send(prometheus: &Prometheus, recording: &[Series]) {
    let writer = RemoteWriter::new(prometheus.url("/api/v1/write"));
    let mut from_ms = START_MS;
    while from_ms < START_MS + world::LENGTH_MS + world::SLICE_MS {
        let to_ms = from_ms + world::SLICE_MS;
        let slice: Vec<Series> = recording
            .iter()
            .map(|series| Series {
                labels: series.labels.clone(),
                samples: portent::between(&series.samples, from_ms, to_ms),
            })
            .filter(|series| !series.samples.is_empty())
            .collect();
        if !slice.is_empty() {
            let reply = writer.send(&slice).await;
            assert_eq!(reply.status, 204, "{}", reply.body);
        }
        from_ms = to_ms;
    }
}

fn elements(answer: Answer) -> Elements {
    match answer {
        Answer::Scalar(value) => vec![(None, value)],
        Answer::Vector(elements) => elements
            .into_iter()
            .map(|element| {
                let labels = Labels::from_pairs(element.labels).expect("distinct names");
                (Some(labels), element.value)
            })
            .collect(),
    }
}

/// Elements by label set; those of an equal set, which no answer should have, are told by number.
fn by_labels(elements: Elements) -> BTreeMap<(Option<Labels>, usize), f64> {
    let mut map = BTreeMap::new();
    for (labels, value) in elements {
        let mut key = (labels, 0);
        while map.contains_key(&key) {
            key.1 += 1;
        }
        map.insert(key, value);
    }
    map
}
