//! A grid: the steps of one or several ranges, and the pieces they are asked for in.
//!
//! In: ranges and the distance between steps. Out: strictly ascending steps. Each range has its own
//! grid that begins at its start; what lies between two ranges is a gap. A step that ends one range
//! and begins the next is one step. The borders of pieces lie at the same moments wherever a range
//! begins, so that a run that is resumed later finds most of its pieces again.

use super::query::Range;
use crate::history::error::HistoryError;
use crate::timestamp;

/// The steps of all ranges.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    step_ms: i64,
    /// How long before its time a step is asked for: steps are ticks, which look back so far.
    delay_ms: i64,
    spans: Vec<Span>,
}

/// The steps of one range.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Span {
    start_ms: i64,
    /// The number of its first step among all.
    first: usize,
    count: usize,
}

/// Some steps of one range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Piece {
    /// When the first of them is asked for.
    pub start_ms: i64,
    /// Its number among all.
    pub first: usize,
    /// How many they are, at least one.
    pub count: usize,
}

impl Grid {
    pub fn new(ranges: &[Range], step_ms: i64, delay_ms: i64) -> Result<Self, HistoryError> {
        let mut ranges = ranges.to_vec();
        ranges.sort_by_key(|it| (it.start_ms, it.end_ms));
        if ranges.is_empty() || step_ms <= 0 || ranges.iter().any(|it| it.end_ms < it.start_ms) {
            return Err(HistoryError::Range);
        }
        for pair in ranges.windows(2) {
            if pair[1].start_ms < pair[0].end_ms || pair[1].start_ms == pair[0].start_ms {
                return Err(HistoryError::Overlap {
                    start: timestamp::format_ms(pair[1].start_ms),
                    end: timestamp::format_ms(pair[0].end_ms),
                });
            }
        }
        let mut grid = Self { step_ms, delay_ms, spans: Vec::with_capacity(ranges.len()) };
        for range in ranges {
            let is_shared = grid.end_ms() == Some(range.start_ms);
            let start_ms = range.start_ms + if is_shared { step_ms } else { 0 };
            let count = (range.end_ms - start_ms).div_euclid(step_ms) + 1;
            let count = usize::try_from(count).unwrap_or(0);
            if count > 0 {
                grid.spans.push(Span { start_ms, first: grid.len(), count });
            }
        }
        Ok(grid)
    }

    /// The same moments, when they are asked for, and those between and before them that tell when
    /// samples were taken: `every_ms` apart, which goes into the step without a rest, and from
    /// `before_ms` before each range.
    pub fn finer(&self, every_ms: i64, before_ms: i64) -> Self {
        let before = before_ms.div_euclid(every_ms) + 1;
        let mut finer = Self { step_ms: every_ms, delay_ms: 0, spans: Vec::new() };
        for span in &self.spans {
            let first_ms = span.start_ms - self.delay_ms;
            let after = finer.end_ms().map_or(i64::MIN, |it| it + every_ms);
            let behind = (first_ms.saturating_sub(after) / every_ms).min(before).max(0);
            let count =
                behind as usize + (span.count - 1) * (self.step_ms / every_ms).max(1) as usize + 1;
            let (start_ms, first) = (first_ms - behind * every_ms, finer.len());
            finer.spans.push(Span { start_ms, first, count });
        }
        finer
    }

    /// How long before its time a step is asked for.
    pub fn delay_ms(&self) -> i64 {
        self.delay_ms
    }

    /// The number of steps, at least one.
    pub fn len(&self) -> usize {
        self.spans.last().map_or(0, |it| it.first + it.count)
    }

    pub fn step_ms(&self) -> i64 {
        self.step_ms
    }

    /// The first step.
    pub fn start_ms(&self) -> i64 {
        self.spans[0].start_ms
    }

    /// The last step.
    pub fn end_ms(&self) -> Option<i64> {
        self.spans.last().map(|it| it.start_ms + (it.count as i64 - 1) * self.step_ms)
    }

    /// All steps.
    pub fn times_ms(&self) -> impl Iterator<Item = i64> {
        let step_ms = self.step_ms;
        self.spans
            .iter()
            .flat_map(move |it| (0..it.count as i64).map(move |i| it.start_ms + i * step_ms))
    }

    /// Single steps, spread evenly over all: so many, or every one where there are fewer.
    pub fn spread(&self, count: usize) -> impl Iterator<Item = Piece> + use<> {
        let (len, step_ms, spans) = (self.len(), self.step_ms, self.spans.clone());
        let delay_ms = self.delay_ms;
        let count = count.min(len);
        (0..count).map(move |i| {
            // The middle of each of as many parts.
            let first = (2 * i + 1) * len / (2 * count);
            let span = spans.iter().rfind(|it| it.first <= first).expect("the first begins at 0");
            let start_ms = span.start_ms + (first - span.first) as i64 * step_ms - delay_ms;
            Piece { start_ms, first, count: 1 }
        })
    }

    /// All steps in pieces of at most `max`, which is at least one.
    pub fn pieces(&self, max: usize) -> impl Iterator<Item = Piece> + Clone + use<> {
        let (step_ms, delay_ms) = (self.step_ms, self.delay_ms);
        self.spans.clone().into_iter().flat_map(move |span| {
            let mut done = 0;
            std::iter::from_fn(move || {
                let start_ms = span.start_ms + done as i64 * step_ms;
                // How far it is to the next border.
                let behind = start_ms.div_euclid(step_ms).rem_euclid(max as i64) as usize;
                let count = (max - behind).min(span.count - done);
                let start_ms = start_ms - delay_ms;
                let piece = Piece { start_ms, first: span.first + done, count };
                done += count;
                (count > 0).then_some(piece)
            })
        })
    }
}

impl Piece {
    /// The number among all steps of the one that a time belongs to; none for a time that was not
    /// asked for.
    pub fn step_at(&self, time_ms: i64, step_ms: i64) -> Option<usize> {
        let step = (time_ms - self.start_ms + step_ms / 2).div_euclid(step_ms);
        let step = usize::try_from(step).ok()?;
        (step < self.count).then_some(self.first + step)
    }

    /// Both halves; none of a single step.
    pub fn halves(&self, step_ms: i64) -> Option<[Self; 2]> {
        let half = self.count / 2;
        let second = Self {
            start_ms: self.start_ms + half as i64 * step_ms,
            first: self.first + half,
            count: self.count - half,
        };
        (half > 0).then_some([Self { count: half, ..*self }, second])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(ranges: &[(i64, i64)], step_ms: i64) -> Result<Grid, HistoryError> {
        let ranges: Vec<_> =
            ranges.iter().map(|&(start_ms, end_ms)| Range { start_ms, end_ms }).collect();
        Grid::new(&ranges, step_ms, 0)
    }

    #[track_caller]
    fn check(ranges: &[(i64, i64)], step_ms: i64, expected: &[i64]) {
        let grid = grid(ranges, step_ms).expect("a grid");
        assert_eq!(grid.times_ms().collect::<Vec<_>>(), expected);
        assert_eq!(grid.len(), expected.len());
        assert_eq!(grid.end_ms(), expected.last().copied());
        for max in 1..=expected.len() + 1 {
            let pieces: Vec<_> = grid.pieces(max).collect();
            assert!(pieces.iter().all(|it| (1..=max).contains(&it.count)), "{pieces:?}");
            let steps = pieces.iter().flat_map(|it| it.first..it.first + it.count);
            assert_eq!(steps.collect::<Vec<_>>(), (0..grid.len()).collect::<Vec<_>>());
            assert!(pieces.iter().all(|it| it.start_ms == expected[it.first]), "{pieces:?}");
            let spread: Vec<_> = grid.spread(max).collect();
            assert_eq!(spread.len(), max.min(expected.len()));
            assert!(spread.windows(2).all(|pair| pair[0].first < pair[1].first), "{spread:?}");
            assert!(spread.iter().all(|it| it.start_ms == expected[it.first]), "{spread:?}");
        }
    }

    #[test]
    fn ranges_become_ascending_steps() {
        check(&[(5, 31)], 10, &[5, 15, 25]);
        check(&[(7, 7)], 10, &[7]);
        check(&[(100, 110), (5, 31)], 10, &[5, 15, 25, 100, 110]);
        // One ends where the next begins.
        check(&[(0, 20), (20, 30)], 10, &[0, 10, 20, 30]);
        check(&[(0, 20), (20, 20)], 10, &[0, 10, 20]);
        check(&[(0, 25), (25, 30)], 10, &[0, 10, 20, 25]);
    }

    #[test]
    fn what_makes_no_grid_is_refused() {
        for (ranges, step_ms) in [(&[(1, 0)][..], 1), (&[(0, 1)], 0), (&[], 1)] {
            assert!(matches!(grid(ranges, step_ms), Err(HistoryError::Range)));
        }
        for ranges in [[(0, 20), (19, 30)], [(5, 9), (0, 6)], [(0, 5), (0, 5)], [(0, 0), (0, 9)]] {
            let text = grid(&ranges, 1).expect_err("an overlap").to_string();
            assert!(text.contains("the ranges overlap"), "{text}");
        }
    }

    #[test]
    fn borders_do_not_depend_on_the_start() {
        let borders = |start_ms| -> Vec<i64> {
            let grid = grid(&[(start_ms, 1_000)], 10).expect("a grid");
            grid.pieces(8).map(|it| it.start_ms).skip(1).collect()
        };
        assert_eq!(borders(0)[..3], [80, 160, 240]);
        assert_eq!(borders(0)[1..], borders(90));
        assert_eq!(borders(3)[..3], [83, 163, 243]);
    }

    #[test]
    fn steps_are_asked_for_before_their_time() {
        let range = |start_ms, end_ms| Range { start_ms, end_ms };
        let grid = Grid::new(&[range(100, 120), range(150, 150)], 10, 3).expect("a grid");
        assert_eq!(grid.times_ms().collect::<Vec<_>>(), [100, 110, 120, 150]);
        let asked = |grid: &Grid| grid.pieces(1).map(|it| it.start_ms).collect::<Vec<_>>();
        assert_eq!(asked(&grid), [97, 107, 117, 147]);
        assert_eq!(grid.pieces(9).next().and_then(|it| it.step_at(107, 10)), Some(1));
        let finer = grid.finer(5, 10);
        let expected = [82, 87, 92, 97, 102, 107, 112, 117, 132, 137, 142, 147];
        assert_eq!(asked(&finer), expected);
        assert_eq!(finer.times_ms().collect::<Vec<_>>(), expected);
        // Ranges do not overlap.
        assert_eq!(asked(&grid.finer(10, 1_000))[101..], [97, 107, 117, 127, 137, 147]);
    }

    #[test]
    fn halves_end_at_one_step() {
        let piece = Piece { start_ms: 50, first: 3, count: 5 };
        let [a, b] = piece.halves(10).expect("halves");
        assert_eq!(a, Piece { start_ms: 50, first: 3, count: 2 });
        assert_eq!(b, Piece { start_ms: 70, first: 5, count: 3 });
        assert_eq!(Piece { count: 1, ..piece }.halves(10), None);
        assert_eq!(piece.step_at(71, 10), Some(5));
        assert_eq!(piece.step_at(44, 10), None);
        assert_eq!(piece.step_at(100, 10), None);
    }
}
