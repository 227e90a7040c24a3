//! A made-up fleet: six hosts over three weeks, as the built-in profile sees them, and what befell them.
//!
//! In: a seed. Out: for each host and minute the columns of the profile, and when its incidents and its
//! nightly jobs were. Weeks begin on a Monday, time is UTC. The first fourteen days are history to train
//! on, the week after is to be watched. What is in it, for every host:
//!
//! - **a course** of demand over the day, of its own shape, calmer at weekends, a few percent more or less
//!   from day to day, with noise that is correlated over an hour, and noise of single minutes;
//! - **columns** that follow from demand and jobs as they do on a host: CPU, load, memory, disk, network,
//!   each with correlated noise of its own; from these the columns that look back ten minutes or compare
//!   two others (`derived`);
//! - **a nightly job** on three of them (CPU, disk, network for 30 to 60 minutes, seven nights a week, some
//!   minutes earlier or later); runs of some minutes at every hour on the batch host;
//! - **what is no incident**: bursts of demand of three to eight minutes; logs that fill a hundredth of the
//!   file system in the course of a day and are rotated at midnight; rows that are missing because a scrape
//!   failed, one to four at a time;
//! - **incidents** (`incidents`): nine in the fourteen days, four or five in the week, never near the
//!   host's nightly job. Nobody takes them out of what is trained on.
//!
//! Sizes and noise were chosen by what such hosts look like, and amplitudes so that a person would see
//! each incident in a plot of its columns; no detector was asked. Nothing grows, moves for good, or is
//! replaced: real fleets do all that, and are harder.

mod course;
pub mod derived;
mod hosts;
pub mod incidents;

use derived::{Minute, column};
use hosts::KINDS;
use incidents::Incident;
use ndarray::Array2;
use portent::features::profile;
use portent::labels::Labels;
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

pub use hosts::Plan;

/// Monday, 2024-01-01, the first minute of every fleet.
pub const START_MS: i64 = 1_704_067_200_000;

/// Distance of two rows.
pub const STEP_MS: i64 = 60_000;

/// Minutes of a day.
pub const DAY: usize = 1_440;

/// Minutes to train on.
pub const FORTNIGHT: usize = 14 * DAY;

/// All minutes.
pub const MINUTES: usize = 21 * DAY;

/// Minutes after which a sample is forgotten.
const LOOKBACK: usize = 4;

/// From a minute to another one, which no longer belongs to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Span {
    /// The first minute.
    pub from: usize,
    /// The first one after it.
    pub to: usize,
}

impl Span {
    /// Whether less than so many minutes lie between two.
    pub fn is_near(self, other: Self, minutes: usize) -> bool {
        self.from < other.to + minutes && other.from < self.to + minutes
    }

    /// Whether a minute belongs to it.
    pub fn contains(self, minute: usize) -> bool {
        (self.from..self.to).contains(&minute)
    }

    /// The first millisecond and the last row's.
    pub fn times_ms(self) -> [i64; 2] {
        [self.from, self.to - 1].map(time_ms)
    }
}

/// When a minute is.
pub fn time_ms(minute: usize) -> i64 {
    START_MS + minute as i64 * STEP_MS
}

/// Six hosts.
#[derive(Debug, PartialEq)]
pub struct Fleet {
    /// In the order of their labels.
    pub hosts: Vec<Host>,
}

/// One of them.
#[derive(Debug, PartialEq)]
pub struct Host {
    /// Job and instance.
    pub labels: Labels,
    /// Minutes by columns of the profile.
    ///
    /// # NaN
    /// A row whose scrape failed, all of it; a change over ten minutes of which only one is known.
    pub values: Array2<f32>,
    /// What befell it, in order of time.
    pub incidents: Vec<Incident>,
    /// When its nightly job ran, in order of time.
    pub jobs: Vec<Span>,
}

impl Fleet {
    /// The fleet of a seed.
    pub fn new(seed: u64) -> Self {
        let hosts = plans(seed).into_iter().zip(0..).map(|((plan, incidents), stream)| {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            rng.set_stream(1 + stream);
            let minutes = plan.minutes(&incidents, &mut rng);
            let pairs = [("job", "node"), ("instance", plan.kind.name)];
            Host {
                labels: Labels::from_pairs(pairs).expect("two names"),
                values: table(&minutes),
                incidents,
                jobs: plan.jobs,
            }
        });
        Self { hosts: hosts.collect() }
    }
}

/// What is known of each host beforehand, and what befalls it.
pub fn plans(seed: u64) -> Vec<(Plan, Vec<Incident>)> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let plans: Vec<Plan> = KINDS.iter().map(|kind| Plan::draw(kind, &mut rng)).collect();
    let incidents = incidents::draw(&plans, &mut rng);
    plans.into_iter().zip(incidents).collect()
}

impl Host {
    /// Whether there is an incident at a minute.
    pub fn is_in_incident(&self, minute: usize) -> bool {
        self.incidents.iter().any(|it| it.span.contains(minute))
    }

    /// The minute whose row is the newest one at a minute, as far as a server looks back.
    pub fn sampled(&self, minute: usize) -> Option<usize> {
        let is_there = |it: &usize| !self.values[[*it, 0]].is_nan();
        (minute.saturating_sub(LOOKBACK)..=minute).rev().find(is_there)
    }
}

/// The columns of the profile.
fn table(minutes: &[Option<Minute>]) -> Array2<f32> {
    let names = profile();
    let mut values = Array2::from_elem((minutes.len(), names.len()), f32::NAN);
    for (feature, mut cells) in names.iter().zip(values.columns_mut()) {
        let found = column(&feature.name, minutes);
        cells.iter_mut().zip(found).for_each(|(cell, value)| *cell = value as f32);
    }
    values
}
