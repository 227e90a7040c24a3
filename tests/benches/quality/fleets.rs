//! Fleets: a model of each made-up fleet, and what an operator would have made of its alarms.
//!
//! In: seeds. Out: a line for each fleet and period (the fourteen days that were trained on, incidents
//! and all, and the week after), and sums over the fleets; sums also for the threshold in force without
//! each of its terms, for constants, and for a model that did not see the incidents: what is left in costs
//! the difference. The way is that of `portent train --prometheus.url` and `portent
//! evaluate --prometheus.url`.

use std::sync::Arc;

use anyhow::Context;
use portent::detect::AnomalyState;
use portent::evaluate::{self, Backtest, Scored};
use portent::history::{self, Exclusions};
use portent::model::AdaptiveThreshold;

use crate::bench::{Bench, Model, cpu_seconds};
use crate::fleet::{FORTNIGHT, Fleet, MINUTES, Span};
use crate::kept;
use crate::server::{INCIDENT, Server};
use crate::tally::{Period, Tally};

/// The name by which these are chosen.
pub const SET: &str = "fleets";

const SEEDS: u64 = 10;

/// What is played: the history itself, and what came after it.
const PERIODS: [(&str, Span); 2] = [
    ("fortnight", Span { from: 0, to: FORTNIGHT }),
    ("week", Span { from: FORTNIGHT, to: MINUTES }),
];

/// What is held beside the threshold in force: it without each of its terms, constants, and the model that
/// was spared the incidents.
const VARIANTS: [&str; 7] = [
    "in force",
    "no A, hours",
    "no B, same hour",
    "no C, stays",
    "fixed",
    "best constant",
    "none learnt",
];

/// One fleet in one period under each threshold.
type Tallies = [Tally; VARIANTS.len()];

/// What came out for one fleet.
struct Row {
    name: String,
    periods: [Tallies; PERIODS.len()],
    cpu_seconds: [f64; 2],
}

/// Runs the fleets with this part in their names, `fleets/seed-0` to `fleets/seed-9`. Gives whether there
/// were any.
pub fn run(bench: &Bench, part: &str) -> anyhow::Result<bool> {
    let seeds = (0..SEEDS).map(|seed| (seed, format!("{SET}/seed-{seed}")));
    let chosen: Vec<_> = seeds.filter(|(_, name)| name.contains(part)).collect();
    if chosen.is_empty() {
        return Ok(false);
    }
    println!("{}", header());
    let rows = chosen.into_iter().map(|(seed, name)| {
        let row = one(bench, seed, &name).with_context(|| name.clone())?;
        for ((period, _), tallies) in PERIODS.iter().zip(&row.periods) {
            let [train, all] = row.cpu_seconds;
            let seconds = format!("{train:>9.1}{all:>9.1}");
            println!("{}{seconds}", line([&row.name, period, VARIANTS[0]], &tallies[..1]));
        }
        Ok(row)
    });
    let rows = rows.collect::<anyhow::Result<Vec<Row>>>()?;
    for (at, (period, _)) in PERIODS.iter().enumerate() {
        for (variant, name) in VARIANTS.iter().enumerate() {
            let tallies: Vec<Tally> = rows.iter().map(|it| it.periods[at][variant]).collect();
            println!("{}", line([&format!("{} fleets", rows.len()), period, name], &tallies));
        }
    }
    println!("{ACCEPT}\n{LEGEND}");
    Ok(true)
}

fn one(bench: &Bench, seed: u64, name: &str) -> anyhow::Result<Row> {
    let before = cpu_seconds();
    let fleet = Arc::new(Fleet::new(seed));
    let server = Server::start(Arc::clone(&fleet))?;
    let stem = name.replace('/', "-");
    let file = bench.output().join(format!("{stem}.onnx"));
    if bench.keeps() {
        kept::fleet(&fleet, &file)?;
    }
    let spared = Exclusions { queries: vec![INCIDENT.to_owned()], ..Exclusions::default() };
    let spared_file = file.with_file_name(format!("{stem}-spared.onnx"));
    let train_seconds = bench.train(server.source(PERIODS[0].1), Exclusions::default(), &file)?;
    bench.train(server.source(PERIODS[0].1), spared, &spared_file)?;
    let (model, spared) = (bench.model(&file)?, bench.model(&spared_file)?);
    let mut periods = [Tallies::default(); PERIODS.len()];
    for ((period, minutes), tallies) in PERIODS.iter().zip(&mut periods) {
        let history = history::read(&bench.query(server.source(*minutes), &model.metadata))?;
        let score = |model: &Model, change: fn(&mut AdaptiveThreshold)| {
            let mut metadata = model.metadata.clone();
            metadata.adaptive_threshold.iter_mut().for_each(change);
            bench.score(&model.artifact, &metadata, &history, bench.global())
        };
        let judge =
            |backtest: &Backtest, is_above: IsAbove| judge(&fleet, *minutes, backtest, is_above);
        let scored = score(&model, |_| {})?;
        let in_force = judge(&scored, &is_above);
        let constants = (0..CONSTANTS).map(|it| 0.5 * 1.05_f64.powi(it)).chain([f64::INFINITY]);
        let constants = constants.map(|most| judge(&scored, &|it, at| it.scores[at] > most));
        *tallies = [
            in_force,
            // More hours a week cannot be allowed.
            judge(&score(&model, |it| it.hours_per_week = 167)?, &is_above),
            judge(&score(&model, |it| it.same_hour = false)?, &is_above),
            judge(&scored, &|it, at| it.states[at] != AnomalyState::Normal),
            judge(&scored, &|it, at| it.scores[at] > 1.0),
            in_force.best_within(constants).context("an infinite constant calls for nothing")?,
            judge(&score(&spared, |_| {})?, &is_above),
        ];
        if bench.keeps() {
            let scores = file.with_file_name(format!("{stem}-{period}.csv"));
            evaluate::write_scores(&scores, &scored, &model.metadata.entity, None)?;
        }
    }
    let cpu_seconds = [train_seconds, cpu_seconds() - before];
    Ok(Row { name: name.to_owned(), periods, cpu_seconds })
}

/// Constants that are tried, each a twentieth above the one before, from one half on.
const CONSTANTS: i32 = 60;

/// Whether a host is called for at a step.
type IsAbove<'a> = &'a dyn Fn(&Scored, usize) -> bool;

fn is_above(scored: &Scored, at: usize) -> bool {
    scored.scores[at] > scored.thresholds[at]
}

/// All hosts of a fleet. One that has no scores has found nothing.
fn judge(fleet: &Fleet, minutes: Span, backtest: &Backtest, is_above: IsAbove) -> Tally {
    let hosts = fleet.hosts.iter().map(|host| {
        let scored = backtest.entities.iter().find(|it| it.labels == host.labels);
        let within = |spans: &mut dyn Iterator<Item = Span>| -> Vec<Period> {
            spans.filter(|it| it.is_near(minutes, 0)).map(Span::times_ms).collect()
        };
        let incidents = within(&mut host.incidents.iter().map(|it| it.span));
        let jobs = within(&mut host.jobs.iter().copied());
        let is_scored = |at: usize| scored.is_some_and(|it| it.scores[at].is_finite());
        let is_above = |at: usize| scored.is_some_and(|it| is_above(it, at));
        let steps = (backtest.times_ms.as_slice(), backtest.step_ms);
        Tally::of(steps, is_scored, is_above, [&incidents, &jobs])
    });
    hosts.fold(Tally::default(), Tally::and)
}

/// What is asked of ten fleets in the fourteen days that they were trained on.
const ACCEPT: &str = "\
accept        fortnight, ten fleets: found 88 of 90 at least; false/week .2 at most in the mean, and .6 in
              any fleet; nightly 2 at most in all";

/// What the columns are.
const LEGEND: &str = "\
found: incidents with a step above the threshold until 10 minutes after their end, and all. false/week:
  episodes a host and week without a cause (no incident until an hour after it, no nightly job); most: of
  the fleets. nightly: episodes of nightly jobs, in all. in alarm: the share of normal time, nights with
  it. A: a week's usual hours. B: the same hour of other days. C: what stays. fixed: 1, whatever was.
best constant: the one of each fleet and period that finds most, with no more calls for nothing than in force.
none learnt: in force, by a model from whose history the incidents were excluded by hand.
train s, all s: CPU seconds of the first training, and of everything with the fleet.";

fn header() -> String {
    let names = format!(
        "{:>9}{:>12}{:>8}{:>9}{:>10}",
        "found", "false/week", "most", "nightly", "in alarm"
    );
    let seconds = format!("{:>9}{:>9}", "train s", "all s");
    format!("{:<14}{:<12}{:<16}{names}{seconds}", "fleet", "period", "threshold")
}

/// A line for one fleet or for the sum of several.
fn line([name, period, variant]: [&str; 3], tallies: &[Tally]) -> String {
    let sum = tallies.iter().fold(Tally::default(), |all, it| all.and(*it));
    let most = tallies.iter().map(Tally::false_a_week).fold(0.0, f64::max);
    let found = format!("{}/{}", sum.found, sum.incidents);
    let (false_a_week, nightly) = (sum.false_a_week(), sum.nightly);
    format!(
        "{name:<14}{period:<12}{variant:<16}{found:>9}{false_a_week:>12.2}{most:>8.2}{nightly:>9}{:>10.4}",
        sum.normal_in_alarm()
    )
}
