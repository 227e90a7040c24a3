//! Capacity: how much room a collection keeps when elements leave it.
//!
//! In: how many elements there are, and for how many there is room. Out: how much of that room to keep, to be
//! given to `shrink_to`. A collection of the standard library never gives anything back by itself.
//!
//! Source: the tables that halve when they are a quarter full, Cormen et al., "Introduction to
//! Algorithms", 16.4.

/// Room for more than so many times the elements goes back. A collection that grows doubles, so that it may
/// have room for twice as many at any time.
const MOST: usize = 4;

/// Down to room for so many times the elements. Half of them must leave, or as many must come, before the
/// collection moves again: each that comes or goes pays for a move of two elements at most, however many
/// times a fleet goes up and down.
const KEPT: usize = 2;

/// The room to keep for `len` elements where there is room for `capacity`; all of it unless most is unused.
#[must_use]
pub fn kept(len: usize, capacity: usize) -> usize {
    if capacity > len.saturating_mul(MOST) { len * KEPT } else { capacity }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_goes_back_where_most_is_unused() {
        for (len, capacity, expected) in
            [(0, 0, 0), (0, 4, 0), (1, 4, 4), (10, 40, 40), (10, 41, 20), (1_000, 1 << 20, 2_000)]
        {
            assert_eq!(kept(len, capacity), expected, "{len} of {capacity}");
        }
    }

    #[test]
    fn who_comes_and_goes_moves_few() {
        let mut all: Vec<u32> = Vec::new();
        let (mut moved, mut changes) = (0, 0);
        for round in 0..200 {
            for _ in 0..1_000 {
                moved += if all.len() == all.capacity() { all.len() } else { 0 };
                all.push(round);
            }
            // A tenth, and once in a while nearly all.
            let gone = if round % 50 == 49 { all.len() - 10 } else { all.len().min(1_000) };
            for _ in 0..gone {
                all.pop();
                let before = all.capacity();
                all.shrink_to(kept(all.len(), before));
                moved += if all.capacity() < before { all.len() } else { 0 };
            }
            changes += 1_000 + gone;
            assert!(all.capacity() <= MOST * all.len().max(1));
        }
        assert!(moved <= 2 * changes, "{moved} of {changes}");
    }
}
