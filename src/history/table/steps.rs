//! Steps: times that are nearly even, on a grid.
//!
//! In: ascending times. Out: the common step, and the step of each time. Collectors stamp their lines some
//! milliseconds early or late, or a little later each time; a time becomes the nearest step. Each stretch
//! without a gap has its own grid, as in history from a server, or goes on with that of the stretch before
//! if the two nearly agree. The grid lies at the median of the times, so that even times stay as they are.
//! Of lines that share a step the first one counts.

/// A distance is common that so many times its own length over has the most others beside it.
const SPREAD: f64 = 1.25;

/// The share of common distances from which on the most frequent one is the step, exactly: of whole
/// seconds, and of others.
const DOMINANT: [f64; 2] = [0.5, 0.9];

/// What a step is rounded to where distances differ, if that is within [`ROUNDING`].
const ROUND_MS: [i64; 8] = [60_000, 15_000, 10_000, 5_000, 1_000, 100, 10, 1];
const ROUNDING: f64 = 0.01;

/// A longer distance, in steps, is a gap.
const GAP: f64 = 1.5;

/// A time may be so many steps from the one that follows the step before, if that is free.
const FOLLOWS: f64 = 0.55;

/// Times as steps.
#[derive(Debug, PartialEq)]
pub(super) struct Steps {
    /// Strictly ascending.
    pub times_ms: Vec<i64>,
    /// For each time that was there, the index of its step.
    pub of_line: Vec<usize>,
    /// Lines that are not exactly at their step, and by how much at most.
    pub moved: usize,
    pub most_ms: i64,
    /// Lines of another time than the first line of their step.
    pub merged: usize,
    /// Steps that follow the one before without a gap.
    pub follow: usize,
}

/// The distance that most neighbours among times have, if there are two times.
pub(super) fn common(times_ms: &[i64]) -> Option<i64> {
    let distances = times_ms.windows(2).map(|pair| (pair[1] - pair[0]).abs()).filter(|it| *it > 0);
    let mut distances: Vec<i64> = distances.collect();
    distances.sort_unstable();
    let (mut best, mut to) = (0..0, 0);
    for from in 0..distances.len() {
        let most = distances[from] as f64 * SPREAD;
        to += distances[to..].iter().take_while(|it| (**it as f64) <= most).count();
        if to - from > best.len() {
            best = from..to;
        }
    }
    let near = &distances[best];
    // The shortest of equally frequent ones.
    let frequent = near.chunk_by(|a, b| a == b).rev().max_by_key(|run| run.len())?;
    let dominant = DOMINANT[usize::from(frequent[0] % 1_000 != 0)];
    if frequent.len() as f64 >= dominant * near.len() as f64 {
        return Some(frequent[0]);
    }
    let mean = near.iter().map(|it| *it as f64).sum::<f64>() / near.len() as f64;
    let rounded = |unit: &i64| (mean / *unit as f64).round() as i64 * unit;
    let is_near = |it: &i64| (*it as f64 - mean).abs() <= ROUNDING * mean;
    ROUND_MS.iter().map(rounded).find(is_near).or(Some((mean.round() as i64).max(1)))
}

impl Steps {
    /// Steps of ascending times.
    pub fn new(times_ms: &[i64], step_ms: i64) -> Self {
        let mut steps = Self {
            times_ms: Vec::with_capacity(times_ms.len()),
            of_line: Vec::with_capacity(times_ms.len()),
            moved: 0,
            most_ms: 0,
            merged: 0,
            follow: 0,
        };
        let most_ms = (step_ms as f64 * GAP) as i64;
        let mut anchor_ms = None;
        for stretch in times_ms.chunk_by(|a, b| b - a <= most_ms) {
            let own_ms = middle(stretch, step_ms);
            let is_near = |it: &i64| off_grid(own_ms, *it, step_ms).abs() <= step_ms / 4;
            let grid_ms = anchor_ms.filter(is_near).unwrap_or(own_ms);
            anchor_ms = Some(grid_ms);
            steps.add(stretch, grid_ms, step_ms);
        }
        let pairs = steps.times_ms.windows(2);
        steps.follow = pairs.filter(|pair| pair[1] - pair[0] == step_ms).count();
        steps
    }

    fn add(&mut self, stretch: &[i64], grid_ms: i64, step_ms: i64) {
        let follows_ms = (FOLLOWS * step_ms as f64) as i64;
        let mut first_ms = i64::MIN;
        for time_ms in stretch {
            let nearest_ms = time_ms - off_grid(*time_ms, grid_ms, step_ms);
            let last_ms = self.times_ms.last().copied();
            let next_ms = last_ms.map(|it| it + step_ms).filter(|_| first_ms != i64::MIN);
            let is_same = first_ms == *time_ms;
            let next_ms = next_ms.filter(|it| !is_same && (it - time_ms).abs() <= follows_ms);
            let at_ms = next_ms.unwrap_or(nearest_ms);
            let is_shared = is_same || last_ms.is_some_and(|last_ms| at_ms <= last_ms);
            if is_shared {
                self.merged += usize::from(!is_same);
            } else {
                self.times_ms.push(at_ms);
                self.moved += usize::from(at_ms != *time_ms);
                self.most_ms = self.most_ms.max((at_ms - time_ms).abs());
                first_ms = *time_ms;
            }
            self.of_line.push(self.times_ms.len() - 1);
        }
    }
}

/// How far a time is from the nearest moment of a grid; negative where it is before.
fn off_grid(time_ms: i64, grid_ms: i64, step_ms: i64) -> i64 {
    let before = (step_ms - 1) / 2;
    (time_ms - grid_ms + before).rem_euclid(step_ms) - before
}

/// Where the grid of a stretch without gaps is: as far from its first time as the middle of all.
fn middle(stretch: &[i64], step_ms: i64) -> i64 {
    let first_ms = stretch[0];
    let mut off: Vec<i64> = stretch.iter().map(|it| off_grid(*it, first_ms, step_ms)).collect();
    let half = off.len() / 2;
    first_ms + *off.select_nth_unstable(half).1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(times_ms: &[i64], step_ms: i64, expected: &[i64], of_line: &[usize]) {
        assert_eq!(common(times_ms), Some(step_ms), "{times_ms:?}");
        let steps = Steps::new(times_ms, step_ms);
        assert_eq!(steps.times_ms, expected);
        assert_eq!(steps.of_line, of_line);
    }

    #[test]
    fn even_times_stay_as_they_are() {
        check(&[7, 17, 27, 37], 10, &[7, 17, 27, 37], &[0, 1, 2, 3]);
        // With gaps, and lines of the same time.
        check(&[7, 17, 17, 27, 57, 57, 67], 10, &[7, 17, 27, 57, 67], &[0, 1, 1, 2, 3, 3, 4]);
        // A step that is no whole second.
        let odd: Vec<i64> = (0..9).map(|i| 15_437 * i).collect();
        check(&odd, 15_437, &odd, &[0, 1, 2, 3, 4, 5, 6, 7, 8]);
    }

    #[test]
    fn what_jitters_is_the_nearest_step() {
        check(
            &[703, 1_702, 2_703, 3_704, 4_703],
            1_000,
            &[703, 1_703, 2_703, 3_703, 4_703],
            &[0, 1, 2, 3, 4],
        );
        // The first is the one that is off.
        check(
            &[701, 1_703, 2_703, 3_703, 4_703],
            1_000,
            &[703, 1_703, 2_703, 3_703, 4_703],
            &[0, 1, 2, 3, 4],
        );
        // One is late by more than half a step, and the next one is in time: the first counts.
        check(
            &[0, 1_000, 2_600, 3_000, 4_000, 5_000],
            1_000,
            &[0, 1_000, 3_000, 4_000, 5_000],
            &[0, 1, 2, 2, 3, 4],
        );
        let late: Vec<i64> = (0..400).map(|i| 60_000 * i + (i * 7_919) % 9_000).collect();
        let all: Vec<usize> = (0..400).collect();
        let first_ms = Steps::new(&late, 60_000).times_ms[0];
        let expected: Vec<i64> = (0..400).map(|i| first_ms + 60_000 * i).collect();
        check(&late, 60_000, &expected, &all);
    }

    #[test]
    fn what_drifts_leaves_out_a_step_at_times_and_never_a_line() {
        // A loop that sleeps for a minute, and takes half a second for its work.
        for jitter in [0, 700] {
            let times: Vec<i64> =
                (0..1_000).map(|i| 60_500 * i + (i * 7_919) % (jitter + 1)).collect();
            assert_eq!(common(&times), Some(if jitter == 0 { 60_500 } else { 60_000 }));
            let steps = Steps::new(&times, 60_000);
            assert_eq!((steps.times_ms.len(), steps.merged), (1_000, 0));
            assert_eq!(steps.follow, 999 - 8, "{jitter}");
        }
    }

    #[test]
    fn stretches_have_grids_of_their_own() {
        // Further off than a quarter of a step; and nearer, which stays on the grid.
        check(
            &[0, 60, 120, 1_040, 1_100, 1_160],
            60,
            &[0, 60, 120, 1_040, 1_100, 1_160],
            &[0, 1, 2, 3, 4, 5],
        );
        check(
            &[0, 60, 120, 1_030, 1_090, 1_150],
            60,
            &[0, 60, 120, 1_020, 1_080, 1_140],
            &[0, 1, 2, 3, 4, 5],
        );
    }

    #[test]
    fn what_was_done_is_counted() {
        let steps = Steps::new(&[0, 1_000, 1_000, 1_300, 2_010, 5_000, 6_000], 1_000);
        assert_eq!(steps.times_ms, [0, 1_000, 2_000, 5_000, 6_000]);
        assert_eq!((steps.moved, steps.most_ms, steps.merged, steps.follow), (1, 10, 1, 3));
    }

    #[test]
    fn there_is_a_step_from_two_times_on() {
        assert_eq!((common(&[]), common(&[5]), common(&[5, 5])), (None, None, None));
        assert_eq!(common(&[5, 5, 9]), Some(4));
        // The shortest of equally common ones.
        assert_eq!(common(&[0, 60, 75]), Some(15));
    }
}
