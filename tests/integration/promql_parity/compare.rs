//! Two answers to one question, and in what they differ.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

/// How far two values may be apart, relative to the larger one: for functions such as `exp`, of
/// which Go and Rust have different implementations. Sums and rates agree to the bit.
const TOLERANCE: f64 = 1e-12;

/// Says in what two answers differ: errors on one side only, keys that one does not have, values.
pub fn difference<K: Ord + Debug, V: Debug>(
    ours: &Result<BTreeMap<K, V>, String>,
    theirs: &Result<BTreeMap<K, V>, String>,
    same: impl Fn(&V, &V) -> bool,
) -> Option<String> {
    let (ours, theirs) = match (ours, theirs) {
        (Err(_), Err(_)) => return None,
        (Err(error), Ok(_)) => return Some(format!("only portent fails: {error}")),
        (Ok(_), Err(error)) => return Some(format!("only prometheus fails: {error}")),
        (Ok(ours), Ok(theirs)) => (ours, theirs),
    };
    let keys: BTreeSet<_> = ours.keys().chain(theirs.keys()).collect();
    let differences: Vec<String> = keys
        .into_iter()
        .filter_map(|key| {
            let (a, b) = (ours.get(key), theirs.get(key));
            let same = matches!((a, b), (Some(a), Some(b)) if same(a, b));
            (!same).then(|| format!("{key:?}: portent {a:?}, prometheus {b:?}"))
        })
        .collect();
    (!differences.is_empty()).then(|| differences.join("; "))
}

pub fn close(a: &f64, b: &f64) -> bool {
    a == b
        || a.is_nan() && b.is_nan()
        || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs()) && a.is_finite() && b.is_finite()
}
