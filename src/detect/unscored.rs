//! The unscored: the entities that are known at a step and have no score, each with the reason.

use super::detector::Detection;
use super::snapshot::{Unscored, UnscoredEntity};
use crate::features::{EntityState, FeatureMatrix};

/// Those of a step that was judged. `lacks` says whether the graph takes a mask, so that an error which is no
/// number means that nothing of what counts was there.
pub(super) fn list(
    matrix: &FeatureMatrix,
    detection: &Detection,
    lacks: bool,
) -> Vec<UnscoredEntity> {
    let has_score =
        |slot: usize| detection.scores.binary_search_by_key(&slot, |(slot, _)| *slot).is_ok();
    let incomplete = |slot: usize| {
        let cells = matrix.provenance(slot).iter().enumerate();
        let features = cells.filter(|(_, it)| !it.has_value()).map(|(feature, _)| feature as u32);
        Unscored::Incomplete { features: features.collect() }
    };
    let reason = |slot: usize| match matrix.state(slot) {
        EntityState::Unknown => None,
        EntityState::Stale => Some(Unscored::Stale),
        EntityState::Warming => Some(Unscored::Warming),
        EntityState::Incomplete => Some(incomplete(slot)),
        EntityState::Complete if has_score(slot) => None,
        EntityState::Complete if detection.numberless.binary_search(&slot).is_err() => {
            Some(Unscored::Warming)
        }
        EntityState::Complete if lacks => Some(incomplete(slot)),
        EntityState::Complete => Some(Unscored::NotFinite),
    };
    let with_reason = |slot: usize| {
        let entity = matrix.labels(slot).clone();
        reason(slot).map(|reason| UnscoredEntity { entity, reason })
    };
    (0..matrix.slots()).filter_map(with_reason).collect()
}
