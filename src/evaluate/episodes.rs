//! A run: samples in a row for which something holds; and an episode: alarms so close together
//! that an operator takes them for one.
//!
//! In: which samples are above the threshold. Out: runs and episodes in order of time, none of
//! which touch.

/// Samples `first..=last`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run {
    /// The first sample.
    pub first: usize,
    /// The last sample, which belongs to it.
    pub last: usize,
}

impl Run {
    /// Samples in it; at least one.
    pub fn len(self) -> usize {
        self.last - self.first + 1
    }
}

/// Runs of the samples `0..count` for which this holds.
pub(super) fn runs(count: usize, holds: impl Fn(usize) -> bool) -> Vec<Run> {
    let mut runs = Vec::new();
    let mut open = None;
    for i in 0..count {
        match (holds(i), open) {
            (true, None) => open = Some(i),
            (false, Some(first)) => {
                runs.push(Run { first, last: i - 1 });
                open = None;
            }
            _ => {}
        }
    }
    runs.extend(open.map(|first| Run { first, last: count - 1 }));
    runs
}

/// The parts of runs above the threshold in which the rule fires: from the `for_steps`-th sample on.
pub(super) fn firing(above: &[Run], for_steps: usize) -> Vec<Run> {
    let wait = for_steps.max(1) - 1;
    let long = above.iter().filter(|run| run.len() > wait);
    long.map(|run| Run { first: run.first + wait, last: run.last }).collect()
}

/// Firing runs as episodes: those whose distance is at most `merge_gap` are one.
pub(super) fn merged(firing: &[Run], merge_gap: usize) -> Vec<Run> {
    let mut episodes: Vec<Run> = Vec::new();
    for run in firing {
        match episodes.last_mut() {
            Some(before) if run.first - before.last <= merge_gap => before.last = run.last,
            _ => episodes.push(*run),
        }
    }
    episodes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(above: &str, for_steps: usize, merge_gap: usize, expected: &[(usize, usize)]) {
        let above = above.as_bytes();
        let above = runs(above.len(), |i| above[i] == b'#');
        let episodes = merged(&firing(&above, for_steps), merge_gap);
        let found: Vec<_> = episodes.iter().map(|run| (run.first, run.last)).collect();
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
    fn a_gap_is_the_distance_of_the_samples_at_its_sides() {
        check("#..#", 1, 2, &[(0, 0), (3, 3)]);
        check("#..#", 1, 3, &[(0, 3)]);
        check("#.#.#", 1, usize::MAX, &[(0, 4)]);
    }

    #[test]
    fn a_rule_fires_from_its_last_sample_of_waiting_on() {
        check("###.##", 3, 1, &[(2, 2)]);
        check("###.##", 2, 1, &[(1, 2), (5, 5)]);
        check("###.##", 0, 1, &[(0, 2), (4, 5)]);
        check("###", usize::MAX, 1, &[]);
    }
}
