//! Policies: what an entity gets for features that have no value at a tick.
//!
//! In: a matrix with missing cells, `now`. Out: the same matrix with what the policies put there,
//! and whether each entity can be scored. Live samples and recorded history go through the same
//! code, so that a model is trained on what it is served.

use super::matrix::{Cell, EntityState, FeatureMatrix};
use super::spec::{FeatureSpec, Missing};

/// The share of an entity's features that must have a value, however many may be left out. Less
/// than half of a picture is another picture.
const LEAST_PRESENT: f64 = 0.5;

/// The last value that a cell really had.
#[derive(Debug, Clone, Copy)]
struct Held {
    time_ms: i64,
    value: f64,
}

const NEVER: Held = Held { time_ms: i64::MIN, value: f64::NAN };

/// The policies of a model's features, with the values that some of them hold.
#[derive(Debug)]
pub(super) struct Policies {
    missing: Vec<Missing>,
    can_mask: bool,
    /// `[slot, feature]`; only cells of features that are held are ever filled.
    held: Vec<Held>,
}

impl Policies {
    /// The policies of these features, for a model that can do without some of them or cannot.
    pub fn new(specs: &[FeatureSpec], can_mask: bool) -> Self {
        let missing = specs.iter().map(|spec| spec.missing).collect();
        Self { missing, can_mask, held: Vec::new() }
    }

    /// Room for so many slots.
    pub fn resize(&mut self, slots: usize) {
        self.held.resize(slots * self.missing.len(), NEVER);
    }

    /// The slot has a new entity.
    pub fn forget(&mut self, slot: usize) {
        let width = self.missing.len();
        self.held[slot * width..][..width].fill(NEVER);
    }

    /// Applies the policies to one entity that is there, and says whether it can be scored. Values
    /// are held up to `hold_ms`.
    pub fn settle(&mut self, matrix: &mut FeatureMatrix, slot: usize, now_ms: i64, hold_ms: i64) {
        let width = self.missing.len();
        let (mut complete, mut present) = (true, 0);
        for (feature, policy) in self.missing.iter().enumerate() {
            let cell = slot * width + feature;
            if matrix.cells[cell] == Cell::Present {
                present += 1;
                if *policy == Missing::Hold {
                    self.held[cell] = Held { time_ms: now_ms, value: matrix.values[cell] };
                }
                continue;
            }
            matrix.missing[feature] += 1;
            let held = self.held[cell];
            let instead = match *policy {
                Missing::Fill(value) => Some(value),
                Missing::Hold => (held.time_ms > now_ms.saturating_sub(hold_ms)
                    && held.time_ms <= now_ms)
                    .then_some(held.value),
                // Training makes a value of a median.
                Missing::Mask | Missing::Skip | Missing::FillMedian => None,
            };
            match instead {
                Some(value) => {
                    present += 1;
                    matrix.values[cell] = value;
                }
                None => complete &= self.can_mask && *policy == Missing::Mask,
            }
        }
        let enough = present as f64 >= LEAST_PRESENT * width as f64;
        matrix.states[slot] =
            if complete && enough { EntityState::Complete } else { EntityState::Incomplete };
    }
}
