//! The command that this process is, as it can be run again for the same result.
//!
//! In: the arguments of the process, and what its times came to. Out: a line for a shell, without the
//! credentials in an address, with times that mean the same tomorrow.

use std::collections::VecDeque;

use crate::history::{HistoryQuery, Range, Source};
use crate::timestamp::format_ms;

/// The command, with the times of the query and of `--keep`.
pub(super) fn command_line(query: &HistoryQuery, keep: &[Range]) -> String {
    let arguments = std::env::args_os().skip(1).map(|it| it.to_string_lossy().into_owned());
    let arguments = resolved(arguments, query, keep).into_iter().map(without_credentials);
    let quoted = arguments.map(|argument| {
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,+@%".contains(c);
        match argument.chars().all(plain) && !argument.is_empty() {
            true => argument,
            false => format!("'{}'", argument.replace('\'', "'\\''")),
        }
    });
    std::iter::once("portent".to_owned()).chain(quoted).collect::<Vec<_>>().join(" ")
}

/// The arguments with moments in place of what was relative to now.
fn resolved(
    arguments: impl Iterator<Item = String>,
    query: &HistoryQuery,
    keep: &[Range],
) -> Vec<String> {
    let ranges: &[Range] = match &query.source {
        Source::Server(source) => &source.ranges,
        Source::Csv(_) => &[],
    };
    let both = |it: &Range| format!("{}..{}", format_ms(it.start_ms), format_ms(it.end_ms));
    let mut times: [(&str, VecDeque<String>); 4] = [
        ("--start", ranges.iter().map(|it| format_ms(it.start_ms)).collect()),
        ("--end", ranges.iter().map(|it| format_ms(it.end_ms)).collect()),
        ("--exclude", query.exclude.ranges.iter().map(both).collect()),
        ("--keep", keep.iter().map(both).collect()),
    ];
    let mut resolved = Vec::new();
    let mut arguments = arguments.peekable();
    while let Some(argument) = arguments.next() {
        let flag = argument.split_once('=').map_or(argument.as_str(), |it| it.0);
        let time = times.iter_mut().find(|it| it.0 == flag).and_then(|it| it.1.pop_front());
        match time {
            Some(time) => {
                resolved.push(format!("{flag}={time}"));
                if !argument.contains('=') {
                    arguments.next();
                }
            }
            None => resolved.push(argument),
        }
    }
    // Without one it was now.
    resolved.extend(times[1].1.drain(..).map(|end| format!("--end={end}")));
    resolved
}

/// An argument without what may be credentials in an address: up to the last `@`, because a password may
/// hold one that should have been escaped.
fn without_credentials(argument: String) -> String {
    match (argument.find("://"), argument.rfind('@')) {
        (Some(scheme), Some(at)) if scheme < at => {
            format!("{}<secret>{}", &argument[..scheme + 3], &argument[at..])
        }
        _ => argument,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::Duration;
    use crate::history::{Exclusions, HistoryConfig, RangeQuery};

    #[track_caller]
    fn check(argument: &str, expected: &str) {
        assert_eq!(without_credentials(argument.to_owned()), expected);
    }

    #[test]
    fn credentials_are_left_out_whole() {
        check("http://user:pass@host/", "http://<secret>@host/");
        check("http://user:p@ss@host/", "http://<secret>@host/");
        check("--prometheus.url=https://user:p@s@s@host", "--prometheus.url=https://<secret>@host");
        check("http://host:9090/", "http://host:9090/");
        check("user@host", "user@host");
    }

    #[test]
    fn times_are_those_of_this_run() {
        let range = |start_ms, end_ms| Range { start_ms, end_ms };
        let mut query = HistoryQuery {
            source: Source::Server(RangeQuery {
                url: String::new(),
                ranges: vec![range(0, 60_000), range(120_000, 180_000)],
                step: Duration::from_seconds(15),
                delay: Duration::from_ms(0),
                resume: None,
            }),
            features: Vec::new(),
            entity: Vec::new(),
            exclude: Exclusions { ranges: vec![range(1_000, 2_000)], queries: Vec::new() },
            config: HistoryConfig::default(),
            zone: None,
        };
        let of = |text: &str, query: &HistoryQuery| {
            let arguments = text.split(' ').map(str::to_owned);
            resolved(arguments, query, &[range(3_000, 4_000)]).join(" ")
        };
        let typed = "train --start -3m --end=-2m --keep -1s..now --start=-1m --end now --exclude=-2s..-1s --x";
        let expected = "train --start=1970-01-01T00:00:00Z --end=1970-01-01T00:01:00Z \
                        --keep=1970-01-01T00:00:03Z..1970-01-01T00:00:04Z --start=1970-01-01T00:02:00Z \
                        --end=1970-01-01T00:03:00Z --exclude=1970-01-01T00:00:01Z..1970-01-01T00:00:02Z --x";
        assert_eq!(of(typed, &query), expected);
        if let Source::Server(source) = &mut query.source {
            source.ranges.truncate(1);
        }
        let expected = "train --start=1970-01-01T00:00:00Z --x --end=1970-01-01T00:01:00Z";
        assert_eq!(of("train --start -3m --x", &query), expected);
    }
}
