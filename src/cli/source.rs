//! Where history comes from and what is left out of it, as the user types it: the flags that
//! training and evaluation share.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::config::Config;
use crate::duration::Duration;
use crate::features::FeatureSpec;
use crate::history::{self, Exclusions, HistoryQuery, Range, RangeQuery, Source};
use crate::timestamp::{Zone, parse_typed_ms};

/// The step when neither a flag nor the model says one: Prometheus's usual evaluation interval.
const DEFAULT_STEP: Duration = Duration::from_seconds(15);

/// Flags that say where history comes from.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct SourceArgs {
    /// Prometheus, or anything that answers its query_range. Credentials belong into
    /// history.http_config of the configuration file.
    #[arg(long = "prometheus.url", value_name = "URL", conflicts_with = "input")]
    prometheus_url: Option<String>,
    /// Start of the history: relative to now such as -14d, a date or a time in UTC ("2026-11-22 10:00"),
    /// RFC 3339, or seconds since 1970. May be repeated with its own --end, for several ranges.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "prometheus_url")]
    start: Vec<String>,
    /// End of the history, written likewise; now without it.
    #[arg(long, value_name = "TIME", allow_hyphen_values = true, requires = "prometheus_url")]
    end: Vec<String>,
    /// Distance between two steps of the history; the model's step without it. A CSV file has its own,
    /// and another one is refused.
    #[arg(long, value_name = "DURATION")]
    step: Option<Duration>,
    /// A folder that keeps each answer: when the run is interrupted, the same command continues
    /// where it stopped. Answers that were kept for other credentials are not used.
    #[arg(long, value_name = "DIR", requires = "prometheus_url")]
    resume: Option<PathBuf>,
    /// CSV file, gzipped or not: a timestamp, then one column for each feature.
    #[arg(long, value_name = "FILE")]
    input: Option<PathBuf>,
    /// The time zone of tables: times in a CSV file that do not say their zone are taken as its wall
    /// clock. A name of the IANA database, such as Europe/Berlin; UTC without it.
    #[arg(long, value_name = "NAME")]
    timezone: Option<Zone>,
    /// A range to leave out, such as an incident: START..END, each written as for --start. May be
    /// repeated.
    #[arg(long, value_name = "START..END", allow_hyphen_values = true)]
    exclude: Vec<String>,
    /// A PromQL expression: steps at which it has a result are left out, for the entities whose
    /// labels match. May be repeated. Example: 'ALERTS{alertstate="firing"}'
    #[arg(long, value_name = "EXPR")]
    exclude_query: Vec<String>,
    /// The moment that times are relative to.
    #[arg(skip = now_ms())]
    now_ms: i64,
}

impl SourceArgs {
    /// The step of the history. `step` is the model's.
    fn step(&self, step: Option<Duration>) -> anyhow::Result<Duration> {
        match self.step.or(step).unwrap_or(DEFAULT_STEP) {
            step if step.as_ms() == 0 => bail!("--step must be above 0"),
            step => Ok(step),
        }
    }

    /// The zone of times in tables that do not say theirs. `has_table` is whether there is a table beside
    /// the history.
    pub(super) fn zone(&self, has_table: bool) -> anyhow::Result<Option<Zone>> {
        match &self.timezone {
            Some(_) if self.input.is_none() && !has_table => {
                bail!("--timezone is for times in a CSV file; those of a server always have a zone")
            }
            zone => Ok(zone.clone()),
        }
    }

    /// The step that a table must have, if --step says one.
    pub(super) fn table_step(&self) -> Option<Duration> {
        self.step.filter(|_| self.input.is_some())
    }

    /// Ranges of time that a flag names. `step` is the model's.
    pub(super) fn spans(
        &self,
        flag: &str,
        texts: &[String],
        step: Option<Duration>,
    ) -> anyhow::Result<Vec<Range>> {
        let (now_ms, step) = (self.now_ms, self.step(step)?);
        texts.iter().map(|text| span(flag, text, now_ms, step)).collect()
    }

    /// What to read for these features. `step` is the model's.
    pub(super) fn query(
        self,
        config: &Config,
        features: Vec<FeatureSpec>,
        entity: Vec<String>,
        step: Option<Duration>,
    ) -> anyhow::Result<HistoryQuery> {
        let (now_ms, step) = (self.now_ms, self.step(step)?);
        let excluded = self.spans("--exclude", &self.exclude, Some(step))?;
        let exclude = Exclusions { ranges: excluded, queries: self.exclude_query };
        let source = match (self.prometheus_url, self.input) {
            (Some(url), None) => {
                history::check_address(&url).context("--prometheus.url")?;
                let ranges = ranges(&self.start, &self.end, now_ms, step)?;
                let delay = config.global.evaluation_delay;
                Source::Server(RangeQuery { url, ranges, step, delay, resume: self.resume })
            }
            (None, Some(_)) if !exclude.queries.is_empty() => bail!(
                "--exclude-query needs a server, and a CSV file has none; use --exclude START..END"
            ),
            (None, Some(path)) => Source::Csv(path),
            _ => bail!("say where history comes from: --prometheus.url URL or --input FILE"),
        };
        let (config, zone) = (config.history.clone(), self.timezone);
        Ok(HistoryQuery { source, features, entity, exclude, config, zone })
    }
}

/// The ranges of --start and --end, which come in pairs. They begin at a multiple of the step, at
/// which serving ticks, and end now at the latest.
fn ranges(
    starts: &[String],
    ends: &[String],
    now_ms: i64,
    step: Duration,
) -> anyhow::Result<Vec<Range>> {
    let now = ["now".to_owned()];
    let ends = match (starts.len(), ends.len()) {
        (0, _) => bail!("--start is needed with --prometheus.url"),
        (1, 0) => &now,
        (starts, ends) if starts != ends => {
            bail!("there are {starts} --start and {ends} --end: give each --start its --end")
        }
        _ => ends,
    };
    let pairs = starts.iter().zip(ends);
    let range = |(start, end): (&String, &String)| {
        let start_ms = moment(start, now_ms, step).context("--start")?;
        // Of what is to come nothing is known.
        let end_ms = moment(end, now_ms, step).context("--end")?.min(now_ms);
        // Serving ticks at multiples of the step.
        let start_ms = start_ms + (-start_ms).rem_euclid(step.as_ms());
        if start_ms > end_ms {
            bail!("--start {start} is not before --end {end}");
        }
        Ok(Range { start_ms, end_ms })
    };
    pairs.map(range).collect()
}

fn span(flag: &str, text: &str, now_ms: i64, step: Duration) -> anyhow::Result<Range> {
    let both = text.split_once("..");
    let (start, end) = both.ok_or_else(|| anyhow!("{flag} {text}: write it as START..END"))?;
    let context = || format!("{flag} {text}");
    let start_ms = moment(start.trim(), now_ms, step).with_context(context)?;
    let end_ms = moment(end.trim(), now_ms, step).with_context(context)?;
    if start_ms > end_ms {
        bail!("{flag} {text}: the start is after the end");
    }
    Ok(Range { start_ms, end_ms })
}

/// Milliseconds since 1970 of what the user wrote. A moment that is relative to now is moved back
/// to a multiple of the step, so that a run that is resumed later has the same steps.
fn moment(text: &str, now_ms: i64, step: Duration) -> anyhow::Result<i64> {
    let ago = match text.strip_prefix('-') {
        _ if text == "now" => Duration::from_ms(0),
        Some(ago) => ago.parse()?,
        None => return absolute(text),
    };
    let ms = now_ms - ago.as_ms();
    if ms < 0 {
        bail!("{text:?} is before 1970");
    }
    Ok(ms - ms % step.as_ms())
}

fn absolute(text: &str) -> anyhow::Result<i64> {
    parse_typed_ms(text).map_err(|_| match text.parse::<Duration>() {
        Ok(_) => anyhow!("{text:?} is a duration, not a time: write -{text} for {text} ago"),
        Err(_) => anyhow!(
            "{text:?} is not a time: write -14d for 14 days ago, now, 2026-11-22 or \"2026-11-22 10:00\" in \
             UTC, 2026-11-22T10:00:00Z, or seconds since 1970"
        ),
    })
}

pub(super) fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW_MS: i64 = 1_800_000_007_000;
    const STEP: Duration = Duration::from_seconds(15);

    #[test]
    fn moments_are_absolute_or_relative() {
        let at = |text| moment(text, NOW_MS, STEP).ok();
        assert_eq!(at("now"), Some(1_800_000_000_000));
        assert_eq!(at("-1h30m"), Some(1_800_000_000_000 - 5_400_000));
        assert_eq!(at("1795428900.5"), Some(1_795_428_900_500));
        assert_eq!(at("2026-11-23T10:15:00Z"), Some(1_795_428_900_000));
        assert_eq!(at("2026-11-23"), Some(1_795_392_000_000));
        assert_eq!(at("2026-11-23 10:15"), Some(1_795_428_900_000));
        let error = moment("14d", NOW_MS, STEP).expect_err("a duration").to_string();
        assert!(error.contains("write -14d for 14d ago"), "{error}");
        assert_eq!(at("-yesterday"), None);
        assert_eq!(at("yesterday"), None);
        assert_eq!(at("-100y"), None);
    }

    #[track_caller]
    fn check(args: SourceArgs, expected: Result<&[(i64, i64)], &str>) {
        let args =
            SourceArgs { prometheus_url: Some("http://a".to_owned()), now_ms: NOW_MS, ..args };
        let query = args.query(&Config::default(), Vec::new(), Vec::new(), None);
        match (query, expected) {
            (Ok(HistoryQuery { source: Source::Server(asked), .. }), Ok(expected)) => {
                let ranges = asked.ranges.iter();
                let found: Vec<_> = ranges.map(|it| (it.start_ms, it.end_ms)).collect();
                assert_eq!(found, expected);
            }
            (Err(error), Err(expected)) => {
                let text = format!("{error:#}");
                assert!(text.contains(expected), "{text}");
            }
            (query, expected) => panic!("{query:?} is not {expected:?}"),
        }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|it| (*it).to_owned()).collect()
    }

    #[test]
    fn starts_and_ends_come_in_pairs() {
        let args = |start: &[&str], end: &[&str]| SourceArgs {
            start: texts(start),
            end: texts(end),
            ..SourceArgs::default()
        };
        check(args(&["100", "5"], &["200", "50"]), Ok(&[(105_000, 200_000), (15_000, 50_000)]));
        check(args(&[], &[]), Err("--start is needed"));
        check(args(&["1", "2"], &["3"]), Err("2 --start and 1 --end"));
        check(args(&["2"], &["1"]), Err("--start 2 is not before --end 1"));
        check(args(&["x"], &["1"]), Err("--start: \"x\" is not a time"));
    }

    #[test]
    fn exclusions_are_ranges_of_the_same_times() {
        let range = |text| span("--exclude", text, NOW_MS, STEP).map(|it| (it.start_ms, it.end_ms));
        assert_eq!(range("1.5..3").ok(), Some((1_500, 3_000)));
        assert_eq!(
            range("2026-11-23T10:15:00Z..now").ok(),
            Some((1_795_428_900_000, 1_800_000_000_000))
        );
        assert_eq!(range("-1h..-1m").ok(), Some((1_799_996_400_000, 1_799_999_940_000)));
        for (text, expected) in [
            ("5", "--exclude 5: write it as START..END"),
            ("5..4", "the start is after the end"),
            ("a..4", "--exclude a..4: \"a\" is not a time"),
        ] {
            let error = format!("{:#}", range(text).expect_err("a refusal"));
            assert!(error.contains(expected), "{error}");
        }
    }

    #[test]
    fn a_file_is_asked_nothing() {
        let args = SourceArgs {
            input: Some(PathBuf::from("a.csv")),
            exclude_query: texts(&["ALERTS"]),
            ..SourceArgs::default()
        };
        let query = args.query(&Config::default(), Vec::new(), Vec::new(), None);
        let text = query.expect_err("a refusal").to_string();
        assert!(text.contains("use --exclude START..END"), "{text}");
        let nothing = SourceArgs::default();
        let query = nothing.query(&Config::default(), Vec::new(), Vec::new(), None);
        assert!(query.expect_err("a refusal").to_string().contains("--input FILE"));
    }
}
