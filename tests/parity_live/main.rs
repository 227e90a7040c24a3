//! Live is history: what a real Portent exported while a real Prometheus wrote to it is what
//! `portent evaluate` says of the same span afterwards, at the same ticks, whatever happened to the
//! hosts and to Prometheus meanwhile.
//!
//! And it is what the core says of the samples that Prometheus has stored, without any server: where
//! live differs from both, samples came late; where it differs from history alone, history is
//! computed in another way.
//!
//! Nothing is left out of the comparison but ticks that no page showed.
//!
//! One test of two minutes and alone in its binary: scrapes every second need the machine.

#[path = "../support/mod.rs"]
mod support;

mod compare;
mod live;
mod model;
mod replay;
mod world;

use std::time::Duration;

use compare::{compare, read_history};
use live::{Sampler, Ticks};
use replay::replay;
use support::run_portent;
use world::{Event, MODELS, Target, World};

/// After this everything has ended, whatever it waited for.
const LIMIT: Duration = Duration::from_secs(240);

/// How long an event is felt: the longest range, the window and the delay.
const SETTLE: Duration =
    Duration::from_secs(model::LONGEST_RANGE_S as u64 + model::WINDOW as u64 + 2);

/// Scores of each model that have to be compared, of about 200.
const LEAST_SCORED: usize = 150;

/// Differences that a failure lists; the tables show all.
const MOST_SHOWN: usize = 40;

const A: Target = Target { exporter: 0, instance: "a", pod: "a-1" };
const B: Target = Target { exporter: 1, instance: "b", pod: "b-1" };
const C: Target = Target { exporter: 2, instance: "c", pod: "c-1" };
/// The same host under another name.
const B2: Target = Target { instance: "b2", ..B };
/// The pod that comes in the place of another, on the same host.
const C2: Target = Target { pod: "c-2", ..C };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn live_scores_are_those_of_history() {
    tokio::time::timeout(LIMIT, live_is_history()).await.expect("an end in time");
}

async fn live_is_history() {
    let mut world = World::start(&[A, B, C]).await;
    let sampler = Sampler::start(world.portent.url("/metrics"));
    events(&mut world).await;
    let live = sampler.end().await;
    let end_ms = live.values().filter_map(|ticks| ticks.keys().last()).min();
    let end_ms = *end_ms.expect("a tick");
    evaluate(&world, end_ms);
    let stored = replay(&world, world.events[0].at_ms, end_ms);
    judge(&world, &live, &stored);
}

async fn events(world: &mut World) {
    world.until_scored(&["a", "b", "c"], true).await;
    seconds(5).await;

    world.event("a's exporter is killed");
    world.exporters[0].server().signal("KILL");
    seconds(8).await;
    world.until_scored(&["a"], false).await;
    world.event("and started again");
    world.exporters[0].restart().await;
    world.until_scored(&["a"], true).await;

    world.event("b's exporter is paused");
    world.exporters[1].server().signal("STOP");
    seconds(5).await;
    world.event("and goes on");
    world.exporters[1].server().signal("CONT");
    tokio::time::sleep(SETTLE).await;

    world.until_all_is_sent().await;
    world.event("Prometheus is paused");
    world.prometheus.server().signal("STOP");
    seconds(9).await;
    world.event("and goes on");
    world.prometheus.server().signal("CONT");
    tokio::time::sleep(SETTLE).await;

    world.until_all_is_sent().await;
    world.event("Prometheus is restarted");
    world.prometheus.restart().await;
    tokio::time::sleep(SETTLE).await;

    world.set_targets(&[A, B2, C]);
    world.until_scraped("b2", "b-1", true).await;
    world.event("b is called b2");
    world.set_targets(&[A, B2, C, C2]);
    world.until_scraped("c", "c-2", true).await;
    world.event("c has a second pod");
    world.set_targets(&[A, B2, C2]);
    world.until_scraped("c", "c-1", false).await;
    world.event("c's first pod is gone");
    tokio::time::sleep(SETTLE).await;
    world.until_scored(&["a", "b2", "c"], true).await;
    world.event("end");
}

async fn seconds(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

/// Runs every model over the whole of history: Portent was there before the first sample was, so
/// that both begin with nothing.
fn evaluate(world: &World, end_ms: i64) {
    let start_ms = world.events[0].at_ms;
    for model in MODELS {
        let output = run_portent(&[
            "evaluate",
            &format!("--config.file={}", world.portent.config_file().display()),
            &format!("--model={}", world.model_file(model).display()),
            &format!("--prometheus.url={}", world.prometheus.url("")),
            &format!("--start={}", start_ms / 1000),
            &format!("--end={}", end_ms / 1000),
            &format!("--scores={}", world.scores_file(model).display()),
        ]);
        let stdout = String::from_utf8_lossy(&output.stdout);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "evaluate: {}\n{stdout}\n{stderr}", output.status);
        println!("{stdout}{stderr}");
    }
}

fn judge(world: &World, live: &Ticks, stored: &Ticks) {
    let began_ms = world.events[0].at_ms;
    for Event { name, at_ms } in &world.events {
        println!("{:6.1} s: {name}", (at_ms - began_ms) as f64 / 1000.0);
    }
    let mut failures = Vec::new();
    for model in MODELS {
        let history = read_history(&world.scores_file(model));
        for (name, theirs) in [("stored", &stored[model]), ("history", &history)] {
            println!("\n{model}, live and {name}");
            let found = compare(&live[model], (name, theirs), &world.events);
            let own = found.differences.iter().map(|it| format!("{model}, live and {name}: {it}"));
            failures.extend(own);
            if found.scored < LEAST_SCORED {
                failures.push(format!("{model}: {} scores were compared to {name}", found.scored));
            }
        }
    }
    let first = failures.iter().take(MOST_SHOWN).cloned().collect::<Vec<_>>().join("\n");
    assert!(failures.is_empty(), "{} differences, the first of them:\n{first}", failures.len());
}

#[test]
fn a_page_is_read() {
    let page = "# TYPE anomaly_score gauge\n\
                anomaly_score{job=\"node\",instance=\"a\",model=\"plain\"} 0.5\n\
                anomaly_last_tick_timestamp_seconds{model=\"plain\"} 12\n";
    let found = live::parse(page);
    assert_eq!(found["plain"].0, 12_000);
    assert_eq!(found["plain"].1["a"], 0.5);
}
