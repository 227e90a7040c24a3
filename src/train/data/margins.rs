//! Margins: what comes shortly before and after marked steps.
//!
//! In: marks by step, and how much time before and after them is marked as well. Out: the marks with these
//! margins. Trouble is noticed after it began, and its consequences take time to disappear.

/// What is left out, by hand or since it stands out, is so from this long before it, in milliseconds.
pub const BEFORE_MS: i64 = 15 * 60_000;

/// And until so long after it.
pub const AFTER_MS: i64 = 30 * 60_000;

/// Marks every step that lies at most so long before or after a marked one. Steps ascend.
pub fn widened(marked: &[bool], times_ms: &[i64], before_ms: i64, after_ms: i64) -> Vec<bool> {
    let mut widened = vec![false; times_ms.len()];
    let marked: Vec<i64> =
        times_ms.iter().zip(marked).filter(|(_, marked)| **marked).map(|it| *it.0).collect();
    let mut next = 0;
    for (widened, time_ms) in widened.iter_mut().zip(times_ms) {
        // The first mark that this step is not too long after.
        while marked.get(next).is_some_and(|mark| time_ms.saturating_sub(*mark) > after_ms) {
            next += 1;
        }
        *widened = marked.get(next).is_some_and(|mark| mark.saturating_sub(*time_ms) <= before_ms);
    }
    widened
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_step_is_marked_when_a_mark_is_near(
            steps in prop::collection::vec((1_i64..9, any::<bool>()), 0..60),
            before in 0_i64..20,
            after in 0_i64..20,
        ) {
            let mut now = -30;
            let times: Vec<i64> = steps.iter().map(|it| { now += it.0; now }).collect();
            let marked: Vec<bool> = steps.iter().map(|it| it.1).collect();
            let is_near = |time: &i64| {
                times.iter().zip(&marked).any(|(mark, is)| *is && mark - time <= before && time - mark <= after)
            };
            let expected: Vec<bool> = times.iter().map(is_near).collect();
            prop_assert_eq!(widened(&marked, &times, before, after), expected);
        }
    }

    #[test]
    fn no_marks_mark_nothing() {
        assert_eq!(widened(&[], &[1, 2], 5, 5), [false; 2]);
        assert_eq!(widened(&[false, true], &[i64::MIN, i64::MAX], 5, 5), [false, true]);
    }
}
