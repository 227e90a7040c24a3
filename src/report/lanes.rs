//! Lanes: where labels of vertical lines stand above a plot so that none covers another.
//!
//! In: the places of the lines and the widths of their labels, in pixels. Out: for each label its
//! lane (0 is nearest to the plot) and on which side of its line it stands. A line reaches up to
//! its label, so it must not run through the label of another either.

/// Free pixels between a line and its label, and between two labels.
const SPACE: i32 = 4;

/// Where a label stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    /// 0 is nearest to the plot.
    pub(super) lane: usize,
    /// Left end of the text, in pixels.
    pub(super) left: i32,
    /// Right end of the text, in pixels.
    pub(super) right: i32,
    /// The place of its line, in pixels.
    pub(super) line: i32,
}

impl Place {
    fn covers(&self, x: i32) -> bool {
        (self.left - SPACE / 2..=self.right + SPACE / 2).contains(&x)
    }

    /// Whether one text would cover the other.
    fn overlaps(&self, other: &Self) -> bool {
        let apart = self.left >= other.right + SPACE || other.left >= self.right + SPACE;
        self.lane == other.lane && !apart
    }

    /// Whether a text would cover the text or the line of the other.
    fn meets(&self, other: &Self) -> bool {
        let through_other = other.lane <= self.lane && other.covers(self.line);
        let through_self = self.lane <= other.lane && self.covers(other.line);
        self.overlaps(other) || through_other || through_self
    }
}

type Places = Vec<Option<Place>>;

/// Places labels (x of the line, width of the text) between two edges in at most so many lanes.
/// Where there is no other way a line runs behind a text; `None` where no lane was free even so.
pub(super) fn place(labels: &[(i32, i32)], edges: (i32, i32), lanes: usize) -> Places {
    let mut order: Vec<usize> = (0..labels.len()).collect();
    order.sort_by_key(|index| labels[*index].0);
    let none = || vec![None; labels.len()];
    let mut attempts = Vec::new();
    for (left_first, far_first) in [(false, false), (false, true), (true, false), (true, true)] {
        let search = Search { labels, edges, lanes, left_first, far_first };
        for _ in ["from the left", "from the right"] {
            attempts.push(search.add(none(), &order, Place::meets));
            order.reverse();
        }
    }
    // Most labels first, then least height; of equals the first.
    let worth = |places: &Places| {
        let highest = places.iter().flatten().map(|place| place.lane).max();
        (places.iter().filter(|place| place.is_none()).count(), highest)
    };
    let best = attempts.into_iter().min_by_key(worth).unwrap_or_default();
    let search = Search { labels, edges, lanes, left_first: false, far_first: false };
    search.add(best, &order, Place::overlaps)
}

/// In which order a label tries the places it could have.
struct Search<'a> {
    labels: &'a [(i32, i32)],
    edges: (i32, i32),
    lanes: usize,
    /// Left of its line before right of it.
    left_first: bool,
    /// All lanes of one side before the other side.
    far_first: bool,
}

impl Search<'_> {
    /// Places those that have no place yet, one after the other.
    fn add(
        &self,
        mut places: Places,
        order: &[usize],
        conflict: impl Fn(&Place, &Place) -> bool,
    ) -> Places {
        for index in order.iter().copied() {
            if places[index].is_none() {
                let free = |candidate: &Place| {
                    places.iter().flatten().all(|placed| !conflict(candidate, placed))
                };
                places[index] = self.candidates(index).into_iter().find(free);
            }
        }
        places
    }

    fn candidates(&self, index: usize) -> Vec<Place> {
        let (line, width) = self.labels[index];
        let mut sides = [line + SPACE, line - SPACE - width];
        if self.left_first {
            sides.reverse();
        }
        let inside = |left: &i32| *left >= self.edges.0 && left + width <= self.edges.1;
        let mut lefts: Vec<i32> = sides.into_iter().filter(inside).collect();
        if lefts.is_empty() {
            lefts.push((self.edges.1 - width).max(self.edges.0));
        }
        let place = |lane: usize, left: i32| Place { lane, left, line, right: left + width };
        let by_lane = (0..self.lanes).flat_map(|lane| lefts.iter().map(move |left| (lane, *left)));
        let mut all: Vec<Place> = by_lane.map(|(lane, left)| place(lane, left)).collect();
        if self.far_first {
            all.sort_by_key(|place| lefts.iter().position(|left| *left == place.left));
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(labels: &[(i32, i32)], lanes: usize, expected: &[Option<(usize, i32)>]) {
        let places = place(labels, (0, 400), lanes);
        let found: Vec<_> = places.iter().map(|p| p.map(|p| (p.lane, p.left))).collect();
        assert_eq!(found, expected, "{labels:?}");
    }

    #[test]
    fn labels_far_apart_share_a_lane() {
        check(&[(10, 50), (200, 50)], 3, &[Some((0, 14)), Some((0, 204))]);
        check(&[(380, 50)], 3, &[Some((0, 326))]);
    }

    #[test]
    fn labels_close_together_do_not_meet() {
        // Each on its side, or in a lane above the line of the other.
        check(&[(100, 50), (110, 50)], 3, &[Some((0, 46)), Some((0, 114))]);
        check(&[(20, 50), (30, 50)], 3, &[Some((1, 24)), Some((0, 34))]);
        check(&[(20, 50), (20, 50)], 1, &[Some((0, 24)), None]);
    }

    #[test]
    fn a_staircase_keeps_lines_off_the_words() {
        // In the middle, and near an edge where only the short ones fit to the right.
        for labels in [
            [(200, 90), (210, 140), (214, 150), (218, 40)],
            [(280, 90), (304, 140), (308, 150), (312, 40)],
        ] {
            let places: Vec<Place> = place(&labels, (0, 400), 5).into_iter().flatten().collect();
            assert_eq!(places.len(), labels.len());
            for (i, one) in places.iter().enumerate() {
                assert!(places[i + 1..].iter().all(|other| !one.meets(other)), "{places:?}");
            }
        }
    }

    #[test]
    fn many_labels_never_cover_one_another() {
        let labels: Vec<(i32, i32)> = (0..40).map(|i| (i * 37 % 400, 30 + i % 50)).collect();
        let places: Vec<Place> = place(&labels, (0, 400), 40).into_iter().flatten().collect();
        assert_eq!(places.len(), labels.len());
        for (i, one) in places.iter().enumerate() {
            assert!(places[i + 1..].iter().all(|other| !one.overlaps(other)), "{one:?}");
        }
    }

    #[test]
    fn the_better_direction_is_taken() {
        // From the right the long one would stand across the line of the other.
        check(
            &[(115, 48), (226, 180), (330, 42)],
            5,
            &[Some((0, 119)), Some((1, 42)), Some((0, 334))],
        );
    }
}
