//! Policies: what an entity gets for features that have no value at a tick, and which it used to have.
//!
//! In: a matrix with missing cells, `now`, what is known of the entity's samples. Out: the same
//! matrix with what the policies put there, and whether each entity can be scored. Live samples and
//! recorded history go through the same code, so that a model is trained on what it is served.
//!
//! Invariants: only what the entity itself measured over whole windows counts towards the half that
//! has to be there; `fill` never stands for what the entity once had, for what is ambiguous, or for
//! what has begun and has no value yet.

use super::absence::Presence;
use super::freshness::Liveness;
use super::matrix::{EntityState, FeatureMatrix, Provenance};
use super::memory::CellMemory;
use super::spec::{Absence, Missing};

/// The share of an entity's features that it must have measured, however many may be left out. Less
/// than half of a picture is another picture.
const LEAST_OWN: f64 = 0.5;

/// One feature as policies see it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Rule {
    pub missing: Missing,
    pub absence: Absence,
    /// Whether it counts towards the half that has to be there: it can be an entity's own, and the
    /// model's error depends on it.
    pub weighs: bool,
    /// Whether the expression itself brings series of an entity together.
    pub aggregates: bool,
    /// The place of its range (see [`super::freshness::Freshness::place`]).
    pub range: Option<usize>,
}

/// The last value that a cell really had.
#[derive(Debug, Clone, Copy)]
struct Held {
    time_ms: i64,
    value: f64,
}

const NEVER: Held = Held { time_ms: i64::MIN, value: f64::NAN };

/// The policies of a model's features, with what they remember of each cell.
#[derive(Debug)]
pub(super) struct Policies {
    rules: Vec<Rule>,
    can_mask: bool,
    /// How many own values there must be.
    needed: f64,
    /// Bits of the ranges that some feature has, by their place.
    ranges: u64,
    /// `[slot, feature]`: the latest own value.
    held: Vec<Held>,
    /// `[slot, feature]`: whether the entity used to have it.
    presences: Vec<Presence>,
}

impl Policies {
    /// The policies of these features, for a model that can do without some of them or cannot.
    pub fn new(rules: Vec<Rule>, can_mask: bool) -> Self {
        let weighing = rules.iter().filter(|rule| rule.weighs).count();
        // Where nothing weighs there is nothing to judge by.
        let needed = (LEAST_OWN * weighing as f64).max(1.0);
        let ranges = rules.iter().filter_map(|rule| rule.range).fold(0, |all, it| all | 1 << it);
        Self { rules, can_mask, needed, ranges, held: Vec::new(), presences: Vec::new() }
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        (self.held, self.presences) = (Vec::new(), Vec::new());
    }

    /// Room for so many slots.
    pub fn resize(&mut self, slots: usize) {
        self.held.resize(slots * self.rules.len(), NEVER);
        self.presences.resize(slots * self.rules.len(), Presence::default());
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        self.held.capacity() * size_of::<Held>() + self.presences.capacity() * size_of::<Presence>()
    }

    /// The slot has a new entity.
    pub fn forget(&mut self, slot: usize) {
        let width = self.rules.len();
        self.held[slot * width..][..width].fill(NEVER);
        self.presences[slot * width..][..width].fill(Presence::default());
    }

    /// What is remembered of a slot's entity, by feature.
    pub fn memory(&self, slot: usize) -> Vec<CellMemory> {
        let width = self.rules.len();
        let row = slot * width..(slot + 1) * width;
        let cells = self.held[row.clone()].iter().zip(&self.presences[row]);
        let memory = |(held, presence): (&Held, &Presence)| {
            let (had, lacked) = presence.counts();
            let is_held = held.time_ms != NEVER.time_ms;
            CellMemory { held: is_held.then_some((held.time_ms, held.value)), had, lacked }
        };
        cells.map(memory).collect()
    }

    /// The slot has an entity of which this is remembered: a cell for each feature.
    pub fn restore(&mut self, slot: usize, cells: &[CellMemory]) {
        let first = slot * self.rules.len();
        for (at, cell) in (first..).zip(cells) {
            self.held[at] = cell.held.map_or(NEVER, |(time_ms, value)| Held { time_ms, value });
            self.presences[at] = Presence::of(cell.had, cell.lacked);
        }
    }

    /// Applies the policies to one entity that is there, and says whether it can be scored. Values
    /// are held up to `hold_ms`. Of a feature without a value, `has_begun` says whether the entity has
    /// series for it all the same, and `is_unknown` whether it could not be computed.
    pub fn settle(
        &mut self,
        matrix: &mut FeatureMatrix,
        slot: usize,
        (now_ms, hold_ms): (i64, i64),
        liveness: Liveness,
        has_begun: impl Fn(usize) -> bool,
        is_unknown: impl Fn(usize) -> bool,
    ) {
        matrix.newest_ms[slot] = Some(liveness.newest_ms);
        self.leave_out(matrix, slot, liveness);
        let width = self.rules.len();
        let row = slot * width..(slot + 1) * width;
        let cells = matrix.cells[row.clone()].iter_mut().zip(&mut matrix.values[row.clone()]);
        let kept = self.held[row].iter_mut().zip(&mut matrix.counts);
        let (mut complete, mut own) = (true, 0);
        for (feature, ((rule, (cell, value)), (held, counts))) in
            self.rules.iter().zip(cells).zip(kept).enumerate()
        {
            let instead = match (*cell, rule.missing) {
                (Provenance::Own, _) => {
                    own += usize::from(rule.weighs);
                    *held = Held { time_ms: now_ms, value: *value };
                    None
                }
                (Provenance::Absent, Missing::Fill(value)) => {
                    // What could not be computed is not what the entity has never had.
                    let is_open = has_begun(feature) || is_unknown(feature);
                    let never = held.time_ms == i64::MIN && !is_open;
                    (never && !liveness.is_warming).then_some((value, Provenance::Filled))
                }
                (Provenance::Absent | Provenance::Ambiguous, Missing::Hold) => {
                    let is_recent =
                        held.time_ms > now_ms.saturating_sub(hold_ms) && held.time_ms <= now_ms;
                    is_recent.then_some((held.value, Provenance::Held))
                }
                // Training makes a value of a median.
                _ => None,
            };
            if let Some(instead) = instead {
                (*value, *cell) = instead;
            }
            // What a model can do without may be left out, and so may what has gone of that which
            // is filled where it never was.
            let may_lack = matches!(rule.missing, Missing::Mask | Missing::Fill(_));
            complete &= cell.has_value() || (self.can_mask && may_lack);
            counts[*cell as usize] += 1;
        }
        complete &= self.find_missing(matrix, slot, (now_ms, hold_ms), liveness, is_unknown);
        matrix.states[slot] = match (liveness.is_warming, complete && own as f64 >= self.needed) {
            (true, _) => EntityState::Warming,
            (false, true) => EntityState::Complete,
            (false, false) => EntityState::Incomplete,
        };
    }

    /// Notes which features the entity used to have and has not, and says whether it may have a score
    /// without them.
    fn find_missing(
        &mut self,
        matrix: &mut FeatureMatrix,
        slot: usize,
        (now_ms, grace_ms): (i64, i64),
        liveness: Liveness,
        is_unknown: impl Fn(usize) -> bool,
    ) -> bool {
        let mut may_be_scored = true;
        for (feature, rule) in self.rules.iter().enumerate() {
            let cell = slot * self.rules.len() + feature;
            let presence = &mut self.presences[cell];
            if rule.absence == Absence::Ignore {
                continue;
            }
            if matrix.cells[cell] == Provenance::Own {
                presence.has();
                continue;
            }
            let age_ms = now_ms.saturating_sub(self.held[cell].time_ms);
            let can_be = !liveness.is_warming && liveness.covers(rule.range);
            if presence.lacks(age_ms, grace_ms, can_be && !is_unknown(feature)) {
                matrix.missing.push((slot, feature));
                may_be_scored &= rule.absence != Absence::NoScore;
            }
        }
        may_be_scored
    }

    /// Takes away what is not a whole window, and what two sources have a part in.
    fn leave_out(&self, matrix: &mut FeatureMatrix, slot: usize, liveness: Liveness) {
        let width = self.rules.len();
        let is_doubled = matrix.provenance(slot).contains(&Provenance::Ambiguous);
        if !is_doubled && liveness.covered & self.ranges == self.ranges {
            return;
        }
        for (feature, rule) in self.rules.iter().enumerate() {
            let cell = slot * width + feature;
            if matrix.cells[cell] != Provenance::Own {
                continue;
            }
            if !liveness.covers(rule.range) {
                (matrix.cells[cell], matrix.values[cell]) = (Provenance::Absent, f64::NAN);
            } else if is_doubled && rule.aggregates {
                // Where two targets claim an entity, a sum over its series counts both.
                matrix.spoil(slot, feature);
            }
        }
    }
}
