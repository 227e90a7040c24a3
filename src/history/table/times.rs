//! The times of a table: what a cell says, and in which order the lines are.
//!
//! In: the cells of the time column, line by line. Out: moments; then the order in which the lines ascend.
//! A number is plausible from 2000 to 2100 in its unit; others are seconds from any beginning, of which the
//! caller judges. Lines may be in any order.
//!
//! Times that do not say their zone are the wall clock of the zone that the caller names, or UTC. Where a
//! clock is set back, an hour comes twice ([`folds`] decides by the order of the lines); without a name
//! nobody can tell that hour from the one before, nor the times before from those after, so that it is
//! refused.

use super::dates::{self, Order, Slashes};
use super::folds::{self, Twice, is_newest_first};
use super::steps;
use crate::duration::{DAY_MS, HOUR_MS};
use crate::timestamp::{self, Moments, Zone};

/// Moments of the years from 2000 to 2100.
const PLAUSIBLE_MS: std::ops::Range<i64> = 946_684_800_000..4_102_444_800_000;

/// The hours of the day after which clocks are set back, at the end of summer time.
const NIGHT: [i64; 5] = [23, 0, 1, 2, 3];

/// Clocks are not set back again for so long.
const SEASON_MS: i64 = 150 * DAY_MS;

/// What to do about an hour that comes again.
const ADVICE: &str = "export the times in UTC or with their zone (2026-10-25T02:00:00+01:00), or name it \
                      (--timezone Europe/Berlin)";

/// A line, by its index, of which nobody can tell what it is, and why.
pub(super) type Unclear = (usize, String);

/// What a cell says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Moment {
    pub ms: i64,
    /// Whether it is a number, not a date.
    pub is_number: bool,
    pub has_zone: bool,
    /// Whether it is a date without a time.
    pub is_day: bool,
    /// Which part of the date comes first, where that is to be told.
    first: First,
}

/// Which part of a date comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum First {
    /// The form has one order.
    Fixed,
    Told(Order),
    /// Nothing tells; with the month first it is this moment.
    Either(i64),
}

impl Moment {
    /// Reads a cell, in which a comma may be a point. One that may have the day or the month first has the
    /// day first.
    pub fn parse(text: &str, decimal_commas: bool) -> Result<Self, String> {
        let with_point = text.replace(',', ".");
        let read = if decimal_commas { &with_point } else { text };
        match timestamp::parse_table_ms(read) {
            Ok(ms) => {
                let is_number = read.trim().parse::<f64>().is_ok();
                let has_zone = timestamp::has_zone(read);
                Ok(Self { ms, is_number, has_zone, is_day: false, first: First::Fixed })
            }
            Err(error) => Self::of_date(text, decimal_commas).ok_or_else(|| error.to_string()),
        }
    }

    fn of_date(text: &str, decimal_commas: bool) -> Option<Self> {
        let written = dates::read(text, decimal_commas)?;
        let ms = timestamp::parse_table_ms(&written.text).ok()?;
        let first = match written.slashes {
            None => First::Fixed,
            Some(Slashes::Told(order)) => First::Told(order),
            Some(Slashes::Either(other)) => First::Either(timestamp::parse_table_ms(&other).ok()?),
        };
        let has_zone = timestamp::has_zone(&written.text);
        Some(Self { ms, is_number: false, has_zone, is_day: written.is_day, first })
    }

    /// Whether it is a time by its looks: a date, or a number that is one of these years.
    pub fn is_plausible(&self) -> bool {
        !self.is_number || PLAUSIBLE_MS.contains(&self.ms)
    }

    /// Whether it is a number that may count seconds from any beginning.
    pub fn is_early(&self) -> bool {
        self.ms < PLAUSIBLE_MS.start
    }
}

/// The times of the lines so far.
#[derive(Debug, Default)]
pub(super) struct Times {
    /// Until the end wall clocks, where a time does not say its zone.
    pub ms: Vec<i64>,
    /// The zone of times that do not say theirs; UTC without one.
    zone: Option<Zone>,
    /// From which lines on times say their zone, or do not.
    zoned: Vec<(usize, bool)>,
    /// Whether the times are dates alone.
    are_days: Option<bool>,
    /// Which part of dates comes first, since a line has told it.
    order: Option<Order>,
    /// While none has: the lines that may be either, with their moments if the month comes first.
    open: Vec<(usize, i64)>,
    /// The first of these of which that is another moment, and what it holds.
    unknown: Option<(usize, String)>,
}

impl Times {
    /// Of a table of which times without a zone are of this one.
    pub fn new(zone: Option<&Zone>) -> Self {
        Self { zone: zone.cloned(), ..Self::default() }
    }

    /// Whether times were taken as UTC that do not say so.
    pub fn are_taken_as_utc(&self) -> bool {
        self.zone.is_none() && self.lack_zone()
    }

    fn lack_zone(&self) -> bool {
        self.zoned.iter().any(|(_, has_zone)| !has_zone)
    }

    /// Takes the time of the next line.
    pub fn push(&mut self, moment: Moment, text: &str) -> Result<(), String> {
        if *self.are_days.get_or_insert(moment.is_day) != moment.is_day {
            let [one, other] = match moment.is_day {
                true => ["a date alone", "have a time of day"],
                false => ["more than a date", "are dates alone"],
            };
            return Err(format!(
                "the time {text:?} is {one}, and those before {other}: write every time as 2026-11-23 10:15, or \
                 as 2026-11-23 where the lines are of whole days"
            ));
        }
        let line = self.ms.len();
        if self.zoned.last().is_none_or(|(_, has_zone)| *has_zone != moment.has_zone) {
            self.zoned.push((line, moment.has_zone));
        }
        self.ms.push(moment.ms);
        match (moment.first, self.order) {
            (First::Told(told), Some(order)) if told != order => {
                let [here, before] = match told {
                    Order::Day => ["day", "month"],
                    Order::Month => ["month", "day"],
                };
                return Err(format!(
                    "the time {text:?} has the {here} first, and a line before has the {before} first: write \
                     dates as 2026-11-23"
                ));
            }
            (First::Told(told), None) => {
                self.order = Some(told);
                self.settle();
            }
            (First::Either(month_first_ms), None) => {
                if month_first_ms != moment.ms {
                    self.unknown.get_or_insert_with(|| (line, text.to_owned()));
                }
                self.open.push((line, month_first_ms));
            }
            (First::Either(month_first_ms), Some(Order::Month)) => self.ms[line] = month_first_ms,
            _ => {}
        }
        Ok(())
    }

    /// Reads the lines that were open by the order that is known now.
    fn settle(&mut self) {
        self.unknown = None;
        for (line, month_first_ms) in std::mem::take(&mut self.open) {
            if self.order == Some(Order::Month) {
                self.ms[line] = month_first_ms;
            }
        }
    }

    /// Whether the times are dates alone.
    pub fn are_days(&self) -> bool {
        self.are_days == Some(true)
    }

    /// Ends lines that are no steps, of which none tells anything of another; else as [`Self::finish`].
    pub fn finish_each(&mut self) -> Result<(), Unclear> {
        self.must_be_known()?;
        let Some(zone) = self.zone.clone() else { return Ok(()) };
        match self.place(&zone)?.first() {
            None => Ok(()),
            Some(twice) => Err((twice.line, folds::refused(twice.clock_ms, &zone))),
        }
    }

    fn must_be_known(&mut self) -> Result<(), Unclear> {
        self.unknown.take().map_or(Ok(()), |(line, text)| {
            let reason = format!(
                "the time {text:?} may have the day or the month first, and no line has a part above 12, which would \
                 tell: write dates as 2026-11-23"
            );
            Err((line, reason))
        })
    }

    /// Ends the lines, so that times are moments; or the line of which nobody can tell what it is, and why.
    pub fn finish(&mut self) -> Result<(), Unclear> {
        self.must_be_known()?;
        if !self.lack_zone() {
            return Ok(());
        }
        if let Some(zone) = self.zone.clone() {
            let twice = self.place(&zone)?;
            folds::resolve(&mut self.ms, &twice, &zone)?;
        }
        let Some(step_ms) = steps::common(&self.ms) else { return Ok(()) };
        match (set_back(&self.ms, step_ms), &self.zone) {
            (Some(line), None) => Err((
                line,
                format!(
                    "the time goes back to {} and an hour comes again, as where a clock is set back at the end of \
                     summer time: {ADVICE}",
                    folds::clock(self.ms[line])
                ),
            )),
            (Some(line), Some(zone)) => Err((
                line,
                format!(
                    "the time goes back to {} and an hour comes again, when clocks of {} are not set back: name the \
                     zone of the table by --timezone",
                    timestamp::format_ms(self.ms[line]),
                    zone.name()
                ),
            )),
            (None, None) => hour_again(&self.ms, step_ms).map_or(Ok(()), |line| {
                let reason = format!(
                    "the hour {} comes again, as where a clock is set back at the end of summer time: {ADVICE}; if it \
                     is one too many, leave out the line",
                    folds::clock(self.ms[line])
                );
                Err((line, reason))
            }),
            (None, Some(_)) => Ok(()),
        }
    }

    /// Makes moments of wall clocks of this zone. Gives the lines of hours that come twice, of which the
    /// first is taken.
    fn place(&mut self, zone: &Zone) -> Result<Vec<Twice>, Unclear> {
        let mut twice = Vec::new();
        let ends = self.zoned.iter().skip(1).map(|(line, _)| *line).chain([self.ms.len()]);
        let stretches = self.zoned.iter().zip(ends).filter(|((_, has_zone), _)| !has_zone);
        for line in stretches.flat_map(|((from, _), to)| *from..to) {
            let clock_ms = self.ms[line];
            self.ms[line] = match zone.moments(clock_ms) {
                Moments::Once(ms) => ms,
                // A day begins with the first moment that it has.
                Moments::Twice(first_ms, _) | Moments::Never(first_ms) if self.are_days() => {
                    first_ms
                }
                Moments::Twice(first_ms, second_ms) => {
                    let later_ms = second_ms - first_ms;
                    twice.push(Twice { line, clock_ms, first_ms, later_ms });
                    first_ms
                }
                Moments::Never(_) => {
                    let reason = format!(
                        "{} does not exist in {}, as clocks are set forward there: name the zone of the table by \
                         --timezone, or write times with their offset",
                        folds::clock(clock_ms),
                        zone.name()
                    );
                    return Err((line, reason));
                }
            };
            if self.ms[line] < 0 {
                return Err((line, format!("the time is before 1970 in {}", zone.name())));
            }
        }
        Ok(twice)
    }
}

/// The order of lines in which times ascend; nothing where they do already. Lines of the same time stay
/// as they are.
pub(super) fn ascending(times_ms: &[i64]) -> Option<Vec<usize>> {
    if times_ms.is_sorted() {
        return None;
    }
    let mut order: Vec<usize> = (0..times_ms.len()).collect();
    order.sort_by_key(|line| times_ms[*line]);
    Some(order)
}

/// The line with which a clock was set back, if one was and lines are less than an hour apart: its time is that of a line an hour of steps
/// before it, and the next runs on.
fn set_back(times_ms: &[i64], step_ms: i64) -> Option<usize> {
    // Of a table with the newest first, the line that is read before.
    let is_newest_first = is_newest_first(times_ms);
    let at =
        |i: usize| if is_newest_first { times_ms[times_ms.len() - 1 - i] } else { times_ms[i] };
    let steps = usize::try_from(HOUR_MS / step_ms.max(1)).unwrap_or(0);
    let is_near = |one: i64, other: i64| (one - other).abs() <= step_ms / 4;
    let is_it = |i: &usize| {
        at(*i) < at(i - 1)
            && is_near(at(*i), at(i - 1) + step_ms - HOUR_MS)
            && is_near(at(*i), at(i - steps))
            && is_near(at(i + 1), at(*i) + step_ms)
    };
    let found = (steps.max(1)..times_ms.len().saturating_sub(1)).find(is_it)?;
    Some(if is_newest_first { times_ms.len() - 1 - found } else { found })
}

/// The line with which a clock was set back where lines are an hour apart: at night a line is of the same
/// hour as the one before, and no other one is in that season, as where lines are there twice.
fn hour_again(times_ms: &[i64], step_ms: i64) -> Option<usize> {
    if step_ms != HOUR_MS {
        return None;
    }
    let is_same = |i: &usize| (times_ms[*i] - times_ms[*i - 1]).abs() <= step_ms / 4;
    let same: Vec<usize> = (1..times_ms.len()).filter(is_same).collect();
    let is_far = |one: usize, other: Option<&usize>| {
        other.is_none_or(|other| (times_ms[one] - times_ms[*other]).abs() > SEASON_MS)
    };
    let is_it = |(i, line): &(usize, &usize)| {
        let hour = (times_ms[**line] / HOUR_MS) % 24;
        let before = i.checked_sub(1).and_then(|i| same.get(i));
        NIGHT.contains(&hour) && is_far(**line, before) && is_far(**line, same.get(i + 1))
    };
    same.iter().enumerate().find(is_it).map(|(_, line)| *line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, commas: bool, expected: Option<(i64, bool)>) {
        let found = Moment::parse(text, commas).ok();
        assert_eq!(found.map(|it| (it.ms, it.is_plausible())), expected, "{text}");
    }

    #[test]
    fn numbers_are_plausible_in_our_century() {
        check("1795428900", false, Some((1_795_428_900_000, true)));
        check("1795428900000", false, Some((1_795_428_900_000, true)));
        check("1795428900,25", true, Some((1_795_428_900_250, true)));
        check("1795428900,25", false, None);
        check("2026-11-23 10:15:00,250", true, Some((1_795_428_900_250, true)));
        check("1970-01-01T00:00:30Z", false, Some((30_000, true)));
        check("0", false, Some((0, false)));
        check("45000.5", false, Some((45_000_500, false)));
        check("946684799", false, Some((946_684_799_000, false)));
        check("4102444800", false, Some((4_102_444_800_000, false)));
        check("soon", false, None);
    }

    #[test]
    fn lines_are_put_in_order() {
        assert_eq!(ascending(&[1, 1, 2]), None);
        assert_eq!(ascending(&[]), None);
        assert_eq!(ascending(&[3, 1, 2, 1]), Some(vec![1, 3, 2, 0]));
    }

    #[test]
    fn an_hour_that_comes_again_is_told_from_a_line_that_is_there_twice() {
        let hours = |it: &[i64]| -> Vec<i64> { it.iter().map(|hour| hour * HOUR_MS).collect() };
        for (lines, expected) in [
            (hours(&[0, 1, 2, 2, 3, 4]), Some(3)),
            (hours(&[4, 3, 2, 2, 1, 0]), Some(3)),
            (hours(&[22, 23, 23, 24, 25]), Some(2)),
            // A year later again.
            (hours(&[1, 2, 2, 3, 8_738, 8_739, 8_739, 8_740]), Some(2)),
            // By day, three times, and in the nights after.
            (hours(&[9, 10, 11, 11, 12, 13]), None),
            (hours(&[0, 1, 2, 2, 2, 3, 4, 5]), None),
            (hours(&[1, 2, 2, 3, 25, 26, 26, 27, 28]), None),
            // Other steps.
            (hours(&[0, 2, 2, 4, 6]), None),
            (hours(&[0, 1, 2, 3, 4]), None),
        ] {
            let step_ms = steps::common(&lines).expect("a step");
            assert_eq!(hour_again(&lines, step_ms), expected, "{lines:?}");
        }
    }

    #[test]
    fn a_clock_that_was_set_back_is_told_from_lines_out_of_order() {
        const MINUTE: i64 = 60_000;
        let minutes = |it: &mut dyn Iterator<Item = i64>| -> Vec<i64> {
            it.map(|minute| minute * MINUTE).collect()
        };
        let back = minutes(&mut (0..180).chain(120..300));
        assert_eq!(set_back(&back, MINUTE), Some(180));
        let newest_first: Vec<i64> = back.iter().rev().copied().collect();
        assert_eq!(set_back(&newest_first, MINUTE), Some(179));
        let halves = minutes(&mut [0, 30, 60, 90, 60, 90, 120].into_iter());
        assert_eq!(set_back(&halves, 30 * MINUTE), Some(4));
        for (lines, step_ms) in [
            (minutes(&mut (0..300)), MINUTE),
            (minutes(&mut (0..300).rev()), MINUTE),
            // Two lines changed places.
            (minutes(&mut [0, 60, 30, 90, 120].into_iter()), 30 * MINUTE),
            // Two hours came again.
            (minutes(&mut (0..180).chain(60..300)), MINUTE),
            (minutes(&mut [0, 60, 60, 120].into_iter()), 60 * MINUTE),
            (minutes(&mut [0, 1_440, 2_880].into_iter()), 1_440 * MINUTE),
            (vec![0, 5], 0),
            (Vec::new(), 1),
        ] {
            assert_eq!(set_back(&lines, step_ms), None, "{lines:?}");
        }
    }
}
