//! What is to be read: from where, which features of which entities, and what is to be left out.

use std::path::PathBuf;

use crate::duration::Duration;
use crate::features::FeatureSpec;
use crate::history::server::config::HistoryConfig;
use crate::timestamp::Zone;

/// What to read.
#[derive(Debug, Clone)]
pub struct HistoryQuery {
    /// Where it comes from.
    pub source: Source,
    /// What to ask for. For a CSV file: what its columns may refer to by name.
    pub features: Vec<FeatureSpec>,
    /// The labels that name an entity.
    pub entity: Vec<String>,
    /// What to leave out.
    pub exclude: Exclusions,
    /// How to ask, and how much to take.
    pub config: HistoryConfig,
    /// For a CSV file: the zone of times that do not say theirs; UTC without one.
    pub zone: Option<Zone>,
}

impl HistoryQuery {
    /// The ranges of time that a server is asked for, in order of time; none of a file, which has its own.
    #[must_use]
    pub fn ranges(&self) -> Vec<Range> {
        let mut ranges = match &self.source {
            Source::Server(source) => source.ranges.clone(),
            Source::Csv(_) => Vec::new(),
        };
        ranges.sort_by_key(|it| it.start_ms);
        ranges
    }
}

/// Where history comes from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A server that answers range queries as Prometheus does.
    Server(RangeQuery),
    /// A CSV file, possibly compressed by gzip.
    Csv(PathBuf),
}

/// Which server to ask, and for which steps.
#[derive(Debug, Clone)]
pub struct RangeQuery {
    /// Its address, possibly with user and password.
    pub url: String,
    /// Ranges that do not overlap, in any order.
    pub ranges: Vec<Range>,
    /// The distance between steps.
    pub step: Duration,
    /// How long before its time a step is asked for, as a tick looks back so far
    /// (`global.evaluation_delay`).
    pub delay: Duration,
    /// A folder that keeps each answer, for a run that goes on where this one is interrupted.
    pub resume: Option<PathBuf>,
}

/// From one moment to another.
///
/// # Units
/// Milliseconds since 1970.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Range {
    /// The first step.
    pub start_ms: i64,
    /// No step is later.
    pub end_ms: i64,
}

impl Range {
    pub(crate) fn contains(&self, time_ms: i64) -> bool {
        (self.start_ms..=self.end_ms).contains(&time_ms)
    }
}

/// What is to be left out.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Exclusions {
    /// Ranges of time, both ends included; they may overlap.
    pub ranges: Vec<Range>,
    /// PromQL expressions. A step at which one has a result is excluded.
    pub queries: Vec<String>,
}
