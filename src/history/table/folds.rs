//! Folds: the hours that come twice, where a clock is set back.
//!
//! In: the times of lines in the order of the file, and which of them lie in such an hour; those are taken
//! as its first pass, summer time. Out: the same, with the lines of the second pass an hour later.
//!
//! A run of neighbouring lines in one such hour covers one pass or both. The second begins where the time
//! goes back by nearly an hour, or stays where lines are an hour apart. If it does so nowhere, the run is
//! the first pass where it follows the line before by a step, else the second where the line after follows
//! it. Anything else is refused: a third pass, lines out of order, gaps on both sides.

use super::steps;
use crate::timestamp::{self, Zone};

/// A line of an hour that comes twice.
#[derive(Debug, Clone, Copy)]
pub(super) struct Twice {
    pub line: usize,
    /// What the clock shows, as if it were one of UTC.
    pub clock_ms: i64,
    /// The moment of summer time, and by how much the other one is later.
    pub first_ms: i64,
    pub later_ms: i64,
}

/// A line may be so many steps after another one that it follows.
const FOLLOWS: f64 = 1.25;

/// Whether a table has the newest line first.
pub(super) fn is_newest_first(times_ms: &[i64]) -> bool {
    let ascents = times_ms.windows(2).filter(|pair| pair[1] > pair[0]).count();
    let descents = times_ms.windows(2).filter(|pair| pair[1] < pair[0]).count();
    descents > ascents
}

/// Decides of each of these lines which hour it is; or the line of which nobody can tell, and why.
pub(super) fn resolve(
    times_ms: &mut [i64],
    twice: &[Twice],
    zone: &Zone,
) -> Result<(), (usize, String)> {
    let Some(step_ms) = steps::common(times_ms).filter(|_| !twice.is_empty()) else {
        return Ok(());
    };
    let is_newest_first = is_newest_first(times_ms);
    let is_one =
        |a: &Twice, b: &Twice| a.line + 1 == b.line && (a.first_ms - b.first_ms).abs() < a.later_ms;
    let mut runs: Vec<Vec<Twice>> = twice.chunk_by(is_one).map(<[Twice]>::to_vec).collect();
    if is_newest_first {
        runs.reverse();
        runs.iter_mut().for_each(|run| run.reverse());
    }
    for run in &runs {
        let ends = [run[0].line, run[run.len() - 1].line];
        let beside = |line: usize, by: isize| {
            let by = if is_newest_first { -by } else { by };
            line.checked_add_signed(by).and_then(|line| times_ms.get(line)).copied()
        };
        let around = [beside(ends[0], -1), beside(ends[1], 1)];
        let from = second(run, around, step_ms)
            .map_err(|at| (run[at].line, refused(run[at].clock_ms, zone)))?;
        for it in &run[from..] {
            times_ms[it.line] += it.later_ms;
        }
    }
    Ok(())
}

/// From which of the lines on it is the second hour; or the line that is out of order. `around` is the line
/// before and the one after.
fn second(run: &[Twice], around: [Option<i64>; 2], step_ms: i64) -> Result<usize, usize> {
    let later_ms = run[0].later_ms;
    let is_back = |at: &usize| {
        let by_ms = run[*at].first_ms - run[*at - 1].first_ms;
        let off_ms = by_ms - (step_ms - later_ms);
        let is_within = step_ms as f64 <= FOLLOWS * later_ms as f64;
        2 * by_ms <= -later_ms || is_within && off_ms.abs() <= step_ms / 4
    };
    let mut back = (1..run.len()).filter(is_back);
    let (begins, again) = (back.next(), back.next());
    let is_disorder = |at: &usize| run[*at].first_ms < run[*at - 1].first_ms && !is_back(at);
    match (begins, again.or_else(|| (1..run.len()).find(is_disorder))) {
        (_, Some(at)) => Err(at),
        (Some(at), None) => Ok(at),
        (None, None) => {
            let follows = |from_ms: i64, to_ms: i64| {
                from_ms < to_ms && (to_ms - from_ms) as f64 <= FOLLOWS * step_ms as f64
            };
            let (first_ms, last_ms) = (run[0].first_ms, run[run.len() - 1].first_ms);
            let [before, after] = around;
            match before.is_some_and(|before| follows(before, first_ms)) {
                true => Ok(run.len()),
                false if after.is_some_and(|after| follows(last_ms + later_ms, after)) => Ok(0),
                false => Err(0),
            }
        }
    }
}

/// Why a line is not taken as one of both hours.
pub(super) fn refused(clock_ms: i64, zone: &Zone) -> String {
    format!(
        "{} comes twice in {}, as clocks are set back, and the lines around do not tell which one it is: \
         write times with their offset, as in 2026-10-25T02:00:00+01:00",
        clock(clock_ms),
        zone.name()
    )
}

/// What a clock shows, without a zone.
pub(super) fn clock(clock_ms: i64) -> String {
    timestamp::format_ms(clock_ms).trim_end_matches('Z').to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::times::{Moment, Times};
    use super::*;

    /// The lines of a table in this zone, as moments of UTC; or the line that is refused.
    fn moments(zone: &str, lines: &[&str]) -> Result<Vec<String>, (usize, String)> {
        let mut times = Times::new(Some(&zone.parse().expect(zone)));
        for line in lines {
            times.push(Moment::parse(line, false).expect(line), line).expect(line);
        }
        times.finish()?;
        Ok(times.ms.iter().map(|ms| timestamp::format_ms(*ms)).collect())
    }

    /// Hours and minutes of a day, of which an asterisk marks the second hour: as a clock shows them, and as
    /// the moments that they are.
    #[track_caller]
    fn check(zone: &str, day: &str, offsets: [&str; 2], clocks: &[&str]) {
        let shown: Vec<String> =
            clocks.iter().map(|it| format!("{day} {}", it.trim_end_matches('*'))).collect();
        let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
        let expected = clocks.iter().map(|it| {
            let clock = it.trim_end_matches('*');
            let text = format!("{day} {clock}{}", offsets[usize::from(clock != *it)]);
            timestamp::format_ms(timestamp::parse_table_ms(&text).expect("a time"))
        });
        assert_eq!(moments(zone, &shown), Ok(expected.collect()), "{clocks:?}");
    }

    #[test]
    fn an_hour_that_comes_twice_is_told_by_the_order_of_lines() {
        let berlin =
            |clocks: &[&str]| check("Europe/Berlin", "2026-10-25", ["+02:00", "+01:00"], clocks);
        // Hours, half hours, minutes with a gap; what follows is winter time in any case.
        berlin(&["00:00", "01:00", "02:00", "02:00*", "03:00*", "04:00*"]);
        berlin(&["01:30", "02:00", "02:30", "02:00*", "02:30*", "03:00*"]);
        berlin(&["01:59", "02:00", "02:01", "02:58", "02:59", "02:00*", "02:01*", "02:02*"]);
        berlin(&["01:40", "02:00", "02:20", "02:40", "02:00*", "02:40*", "03:00*"]);
        // Three quarters of an hour, and a quarter late.
        berlin(&["00:30", "01:15", "02:00", "02:45", "02:30*", "03:15*"]);
        // Newest first.
        berlin(&["04:00*", "03:00*", "02:00*", "02:00", "01:00", "00:00"]);
        berlin(&["03:00*", "02:30*", "02:00*", "02:30", "02:00", "01:30"]);
        // The table begins in the second hour, or ends in the first one.
        berlin(&["02:20*", "02:40*", "03:00*", "03:20*"]);
        berlin(&["01:20", "01:40", "02:00", "02:20"]);
        // One line of both, where the one before is nearer than the hour.
        berlin(&["00:00", "02:00", "04:00*", "06:00*"]);
        // Another zone.
        let island = |clocks: &[&str]| {
            check("Australia/Lord_Howe", "2026-04-05", ["+11:00", "+10:30"], clocks);
        };
        island(&["01:15", "01:30", "01:45", "01:30*", "01:45*", "02:00*"]);
        island(&["01:00", "01:30", "01:30*", "02:00*"]);
    }

    #[test]
    fn a_day_begins_with_its_first_moment() {
        for (zone, days, expected) in [
            // No midnight.
            (
                "Africa/Cairo",
                ["2026-04-23", "2026-04-24", "2026-04-25"],
                ["2026-04-22T22:00:00Z", "2026-04-23T22:00:00Z", "2026-04-24T21:00:00Z"],
            ),
            // Two.
            (
                "America/Havana",
                ["03.11.2012", "04.11.2012", "05.11.2012"],
                ["2012-11-03T04:00:00Z", "2012-11-04T04:00:00Z", "2012-11-05T05:00:00Z"],
            ),
        ] {
            assert_eq!(moments(zone, &days), Ok(expected.map(str::to_owned).to_vec()));
        }
    }

    #[test]
    fn lines_that_do_not_tell_their_hour_are_refused() {
        for (clocks, line, sentence) in [
            // A third time, and out of order.
            (
                &["01:00", "02:00", "02:00", "02:00", "03:00"][..],
                3,
                "02:00:00 comes twice in Europe/Berlin",
            ),
            (
                &["01:50", "02:10", "02:00", "02:20", "02:30", "02:40"],
                2,
                "the lines around do not tell",
            ),
            // Gaps on both sides.
            (
                &["00:10", "00:20", "02:20", "02:30", "04:00", "04:10"],
                2,
                "write times with their offset",
            ),
        ] {
            let lines: Vec<String> = clocks.iter().map(|it| format!("2026-10-25 {it}")).collect();
            let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
            let (at, reason) = moments("Europe/Berlin", &lines).expect_err("a refusal");
            assert_eq!(at, line, "{clocks:?}: {reason}");
            assert!(reason.contains(sentence), "{reason}");
        }
    }
}
