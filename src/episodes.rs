//! An episode: steps above a threshold so close together that an operator takes them for one alert.
//!
//! In: the times of an entity's steps and at which of them something holds. Out: runs, and the
//! episodes that they make, in order of time, none of which touch. Training's thresholds and the
//! figures of an evaluation both count by this.
//!
//! ```text
//! above      .##..#.........#####......   time in which nothing was scored      ##.
//! runs        [ ]  [         [    ]                                             []
//! episodes    [    ]         [    ]                                             []
//! ```
//!
//! Invariants: only time counts. Two runs are one episode when not more than the reach lies between
//! the last step of the one and the first of the next, whatever was or was not scored meanwhile; so
//! a gap in the data that is longer than the reach ends a run and an episode, and one that is not
//! ends neither an episode nor, where only the steps are absent, a run.

use crate::duration::Duration;

/// The longest pause within an episode: two of Alertmanager's default `group_interval` of 5 minutes,
/// within which the alerts of a group reach people together.
pub const MERGE_PAUSE: Duration = Duration::from_seconds(600);

/// Steps that may lie between two of an episode at least, with the later one: one step below the
/// threshold between two above is a waver, and one that is absent is no recovery.
const MIN_STEPS: i64 = 2;

/// How far apart two steps of an episode may be for a distance of steps, in milliseconds:
/// [`MERGE_PAUSE`], or two steps where these are longer.
#[must_use]
pub const fn reach_ms(step_ms: i64) -> i64 {
    let steps_ms = step_ms.saturating_mul(MIN_STEPS);
    if steps_ms > MERGE_PAUSE.as_ms() { steps_ms } else { MERGE_PAUSE.as_ms() }
}

/// Steps `first..=last`, by their places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// The first step.
    pub first: usize,
    /// The last step, which belongs to it.
    pub last: usize,
}

impl Run {
    /// Steps in it; at least one.
    #[must_use]
    #[allow(clippy::len_without_is_empty)]
    pub const fn len(self) -> usize {
        self.last - self.first + 1
    }
}

/// The times of an entity's steps, and how far apart two of an episode may be.
#[derive(Debug, Clone, Copy)]
pub struct Timeline<'a> {
    /// In milliseconds, ascending.
    pub times_ms: &'a [i64],
    /// In milliseconds; see [`reach_ms`].
    pub reach_ms: i64,
}

impl<'a> Timeline<'a> {
    /// With the reach for steps of this distance.
    #[must_use]
    pub const fn new(times_ms: &'a [i64], step_ms: i64) -> Self {
        Self { times_ms, reach_ms: reach_ms(step_ms) }
    }

    /// Runs of neighbouring steps for which this holds. Where time leaps farther than the reach, a
    /// run ends.
    #[must_use]
    pub fn runs(&self, holds: impl Fn(usize) -> bool) -> Vec<Run> {
        let mut runs: Vec<Run> = Vec::new();
        for at in (0..self.times_ms.len()).filter(|at| holds(*at)) {
            match runs.last_mut() {
                Some(run) if run.last + 1 == at && self.reaches(run.last, at) => run.last = at,
                _ => runs.push(Run { first: at, last: at }),
            }
        }
        runs
    }

    /// Runs as episodes: those with a pause within the reach are one.
    #[must_use]
    pub fn merged(&self, runs: &[Run]) -> Vec<Run> {
        let mut episodes: Vec<Run> = Vec::new();
        for run in runs {
            match episodes.last_mut() {
                Some(before) if self.reaches(before.last, run.first) => before.last = run.last,
                _ => episodes.push(*run),
            }
        }
        episodes
    }

    /// The episodes of the steps for which this holds.
    #[must_use]
    pub fn episodes(&self, holds: impl Fn(usize) -> bool) -> Vec<Run> {
        self.merged(&self.runs(holds))
    }

    /// Whether two steps above the threshold, of which none between is, are of one episode.
    #[must_use]
    pub fn reaches(&self, from: usize, to: usize) -> bool {
        self.times_ms[to].saturating_sub(self.times_ms[from]) <= self.reach_ms
    }
}

/// The parts of runs above the threshold in which a rule fires that waits for so many steps in a
/// row: from the `for_steps`-th one on; 0 counts as 1.
#[must_use]
pub fn firing(above: &[Run], for_steps: usize) -> Vec<Run> {
    let wait = for_steps.max(1) - 1;
    let long = above.iter().filter(|run| run.len() > wait);
    long.map(|run| Run { first: run.first + wait, last: run.last }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A minute a step: above the threshold `#`, below it or without a score `.`, no step at all ` `.
    #[track_caller]
    fn check(course: &str, for_steps: usize, reach_minutes: i64, expected: &[(usize, usize)]) {
        let steps = || course.bytes().enumerate().filter(|(_, it)| *it != b' ');
        let times_ms: Vec<i64> = steps().map(|(minute, _)| minute as i64 * 60_000).collect();
        let above: Vec<bool> = steps().map(|(_, it)| it == b'#').collect();
        let line = Timeline { times_ms: &times_ms, reach_ms: reach_minutes.saturating_mul(60_000) };
        let firing = firing(&line.runs(|at| above[at]), for_steps);
        let minute = |at: usize| (times_ms[at] / 60_000) as usize;
        let episodes = line.merged(&firing);
        let found: Vec<_> = episodes.iter().map(|it| (minute(it.first), minute(it.last))).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn runs_reach_to_the_borders() {
        check("", 1, 1, &[]);
        check("....", 1, 1, &[]);
        check("####", 1, 1, &[(0, 3)]);
        check("#..#", 1, 1, &[(0, 0), (3, 3)]);
    }

    #[test]
    fn a_pause_is_the_time_between_the_steps_at_its_sides() {
        check("#..#", 1, 2, &[(0, 0), (3, 3)]);
        check("#..#", 1, 3, &[(0, 3)]);
        check("#.#.#", 1, i64::MAX, &[(0, 4)]);
        check("#..#..#", 1, 3, &[(0, 6)]);
    }

    #[test]
    fn a_rule_fires_from_its_last_step_of_waiting_on() {
        check("###.##", 3, 1, &[(2, 2)]);
        check("###.##", 2, 1, &[(1, 2), (5, 5)]);
        check("###.##", 0, 1, &[(0, 2), (4, 5)]);
        check("###", usize::MAX, 1, &[]);
    }

    #[test]
    fn time_without_steps_is_no_bridge() {
        check("#  #", 1, 3, &[(0, 3)]);
        check("#   #", 1, 3, &[(0, 0), (4, 4)]);
        // A rule does not wait through it either.
        check("##  ##", 3, 3, &[(4, 5)]);
        check("##   ##", 3, 3, &[]);
    }

    #[test]
    fn a_reach_is_ten_minutes_or_two_steps() {
        assert_eq!(reach_ms(15_000), 600_000);
        assert_eq!(reach_ms(300_000), 600_000);
        assert_eq!(reach_ms(900_000), 1_800_000);
        assert_eq!(reach_ms(i64::MAX), i64::MAX);
        // Ten steps of a minute from one to the next are an episode, eleven are not.
        let times_ms: Vec<i64> = (0..30).map(|minute| minute * 60_000).collect();
        let line = Timeline::new(&times_ms, 60_000);
        assert_eq!(line.episodes(|at| [0, 10, 21].contains(&at)).len(), 2);
    }
}
