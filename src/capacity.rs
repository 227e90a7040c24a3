//! Capacity: how much room a collection keeps when elements leave it, and what an allocation takes.
//!
//! In: how many elements there are, and for how many there is room. Out: how much of that room to keep, to be
//! given to `shrink_to`. A collection of the standard library never gives anything back by itself.
//!
//! An allocation takes what the allocator's size classes make of it: up to a quarter more than was asked for.
//! What is counted against a budget is that.
//!
//! Source: jemalloc, "Size classes" of its manual; the tables that halve when they are a quarter full, Cormen et al., "Introduction to
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

/// The distance between the smallest size classes.
const QUANTUM: usize = 16;

/// From here on there are four classes to each doubling.
const FIRST_DOUBLING: usize = 4 * QUANTUM;

/// The bytes that an allocation of so many takes.
#[must_use]
pub const fn allocated(bytes: usize) -> usize {
    let distance = match bytes {
        0..=FIRST_DOUBLING => QUANTUM,
        _ => 1 << ((bytes - 1).ilog2() - 2),
    };
    match bytes.checked_next_multiple_of(distance) {
        Some(class) => class,
        None => bytes,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_allocation_takes_its_size_class() {
        // As in the table "Size classes" of jemalloc(3), from each class to the next.
        let classes = [
            16, 32, 48, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 640, 768,
            896, 1_024, 1_280, 1_536, 1_792, 2_048, 2_560,
        ];
        let mut least = 1;
        for class in classes {
            for bytes in least..=class {
                assert_eq!(allocated(bytes), class, "of {bytes}");
            }
            least = class + 1;
        }
        assert_eq!((allocated(0), allocated((7 << 20) + 1)), (0, 8 << 20));
        assert_eq!(allocated(usize::MAX), usize::MAX);
    }

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
