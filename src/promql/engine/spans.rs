//! Spans of instants: where something is there. Lists of them are in order, none touching another.

/// Places of instants, the first and the last.
pub(super) type Span = (u64, u64);

/// Adds a span that begins no earlier than the others.
pub(super) fn extend(spans: &mut Vec<Span>, (first, last): Span) {
    match spans.last_mut() {
        Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
        _ => spans.push((first, last)),
    }
}

/// What is in both.
pub(super) fn common(a: &[Span], b: &[Span]) -> Vec<Span> {
    let (mut i, mut j, mut spans) = (0, 0, Vec::new());
    while i < a.len() && j < b.len() {
        let (first, last) = (a[i].0.max(b[j].0), a[i].1.min(b[j].1));
        if first <= last {
            spans.push((first, last));
        }
        if a[i].1 < b[j].1 { i += 1 } else { j += 1 }
    }
    spans
}

/// What is in `a` and not in `b`.
pub(super) fn without(a: &[Span], b: &[Span]) -> Vec<Span> {
    let mut spans = Vec::new();
    for (first, last) in a {
        let mut from = Some(*first);
        for (taken_first, taken_last) in b.iter().filter(|it| it.1 >= *first && it.0 <= *last) {
            if let Some(from) = from.filter(|from| from < taken_first) {
                spans.push((from, taken_first - 1));
            }
            from = taken_last.checked_add(1);
        }
        spans.extend(from.filter(|from| from <= last).map(|from| (from, *last)));
    }
    spans
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn places(spans: &[Span]) -> Vec<u64> {
        spans.iter().flat_map(|(first, last)| *first..=*last).collect()
    }

    fn spans() -> impl Strategy<Value = Vec<Span>> {
        proptest::collection::vec(any::<bool>(), 0..40).prop_map(|there| {
            let mut spans = Vec::new();
            let places = there.iter().enumerate().filter(|(_, there)| **there);
            places.for_each(|(i, _)| extend(&mut spans, (i as u64, i as u64)));
            spans
        })
    }

    proptest! {
        #[test]
        fn they_are_sets(a in spans(), b in spans()) {
            let (in_a, in_b) = (places(&a), places(&b));
            let both: Vec<u64> = in_a.iter().copied().filter(|it| in_b.contains(it)).collect();
            let left: Vec<u64> = in_a.iter().copied().filter(|it| !in_b.contains(it)).collect();
            prop_assert_eq!(places(&common(&a, &b)), both);
            let rest = without(&a, &b);
            prop_assert_eq!(places(&rest), left);
            prop_assert!(rest.windows(2).all(|it| it[0].1 + 1 < it[1].0), "{:?}", rest);
        }
    }

    #[test]
    fn the_last_place_of_all_can_be_taken() {
        assert_eq!(without(&[(3, u64::MAX)], &[(5, u64::MAX)]), [(3, 4)]);
    }
}
