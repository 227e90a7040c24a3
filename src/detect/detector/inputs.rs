//! Inputs: what a graph gets of the entities of a step, and what is remembered for that.
//!
//! In: at each step the matrix of all entities. Out: for each entity that is ready its window, the level
//! that it had before this step and its place in the graph, one after the other. Several steps may be gathered
//! before they are used, as none of this depends on the outputs of a graph.
//!
//! Invariant: a step enters the levels only after it was gathered.

use ndarray::{Array2, Array3, ArrayView1};

use crate::detect::known::{KnownEntities, Places};
use crate::detect::level::Levels;
use crate::detect::memory::{EntityMemory, LevelMemory};
use crate::features::{EntityState, FeatureMatrix, WindowMemory, Windows};
use crate::model::{Context, Metadata, Scorer, ScorerError, Scores};

/// What is remembered of entities for a graph, and what of it has been gathered for the next run.
#[derive(Debug)]
pub(super) struct Inputs {
    windows: Windows,
    levels: Option<Levels>,
    /// The place of each slot's entity, as the graph takes it.
    places: Vec<f32>,
    gathered: Gathered,
    /// Steps of a window, and features of a step.
    shape: (usize, usize),
}

/// Rows for the next run, in the order in which they were taken in.
#[derive(Debug, Default)]
struct Gathered {
    windows: Vec<f32>,
    means: Vec<f32>,
    scales: Vec<f32>,
    places: Vec<f32>,
}

/// Who is ready at a step.
#[derive(Debug)]
pub(super) struct Ready {
    /// The slots with a full window, in order.
    pub slots: Vec<usize>,
    /// Complete entities without one.
    pub warming: usize,
}

impl Inputs {
    pub fn new(
        metadata: &Metadata,
        (interval_ms, bridge_ms): (i64, i64),
        levels: Option<Levels>,
    ) -> Self {
        let shape = (metadata.window, metadata.features.len());
        Self {
            windows: Windows::new(shape.0, shape.1, interval_ms, bridge_ms),
            levels,
            places: Vec::new(),
            gathered: Gathered::default(),
            shape,
        }
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        self.windows.clear();
        self.levels.iter_mut().for_each(Levels::clear);
        (self.places, self.gathered) = (Vec::new(), Gathered::default());
    }

    /// What is remembered of the entity in a slot: its window, and its level by feature.
    pub fn memory(&self, slot: usize) -> (WindowMemory, Vec<LevelMemory>) {
        let level = self.levels.as_ref().map_or_else(Vec::new, |it| it.memory(slot));
        (self.windows.memory(slot), level)
    }

    /// Gives a slot, which may be the next one, what another had.
    pub fn restore(&mut self, slot: usize, known: Places, memory: &EntityMemory) {
        let slots = self.places.len().max(slot + 1);
        self.places.resize(slots, 0.0);
        self.places[slot] = known.graph as f32;
        self.windows.restore(slot, &memory.window);
        if let Some(levels) = &mut self.levels {
            levels.resize(slots);
            levels.reset(slot, known.memory);
            levels.restore(slot, &memory.level);
        }
    }

    /// Puts what another had before what a slot has, whose rows follow as if they came now.
    pub fn precede(&mut self, slot: usize, known: Places, past: &EntityMemory) {
        let later = self.windows.precede(slot, &past.window);
        if let Some(levels) = &mut self.levels {
            levels.reset(slot, known.memory);
            levels.restore(slot, &past.level);
            later.iter().for_each(|(_, row)| levels.update(slot, row));
        }
    }

    /// Windows bridge gaps of this length from now on.
    pub fn set_bridge(&mut self, bridge_ms: i64) {
        self.windows.set_bridge(bridge_ms);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let Gathered { windows, means, scales, places } = &self.gathered;
        let cells = [windows, means, scales, places, &self.places].map(Vec::capacity);
        self.windows.bytes()
            + self.levels.as_ref().map_or(0, Levels::bytes)
            + cells.iter().sum::<usize>() * size_of::<f32>()
    }

    /// Rows that have been gathered.
    pub fn rows(&self) -> usize {
        self.gathered.places.len()
    }

    /// Takes in a step: gathers what the graph is given, then moves the levels on.
    pub fn take_in(&mut self, matrix: &FeatureMatrix, now_ms: i64, known: &KnownEntities) -> Ready {
        self.follow(matrix, known);
        self.windows.push(matrix, now_ms);
        let slots = self.windows.ready().to_vec();
        self.windows.gather_into(&mut self.gathered.windows);
        for slot in &slots {
            self.gathered.places.push(self.places[*slot]);
            if let Some(levels) = &self.levels {
                self.gathered.means.extend_from_slice(levels.means(*slot));
                self.gathered.scales.extend_from_slice(levels.scales(*slot));
            }
        }
        let complete = (0..matrix.slots()).filter(|it| matrix.state(*it) == EntityState::Complete);
        let mut count = 0;
        for slot in complete {
            count += 1;
            if let Some(levels) = &mut self.levels {
                let row: Vec<f32> = matrix.row(slot).iter().map(|value| *value as f32).collect();
                levels.update(slot, &row);
            }
        }
        Ready { warming: count - slots.len(), slots }
    }

    /// Runs the graph once over all that was gathered, which then is no more.
    pub fn run(&mut self, scorer: &mut Scorer) -> Result<Scores, ScorerError> {
        let Gathered { windows, means, scales, places } = std::mem::take(&mut self.gathered);
        let (length, features) = self.shape;
        let rows = places.len();
        let windows = Array3::from_shape_vec((rows, length, features), windows);
        let windows = windows.expect("one window for each row");
        let level = |cells| Array2::from_shape_vec((rows, features), cells).expect("a row each");
        let level = self.levels.as_ref().map(|_| (level(means), level(scales)));
        let context = Context {
            level: level.as_ref().map(|(means, scales)| (means.view(), scales.view())),
            entity: Some(ArrayView1::from(&places)),
        };
        let scores = scorer.score_in(windows.view(), &context);
        // Room for the next run.
        let (means, scales) = level.map_or_else(Default::default, |(means, scales)| {
            (means.into_raw_vec_and_offset().0, scales.into_raw_vec_and_offset().0)
        });
        let windows = windows.into_raw_vec_and_offset().0;
        self.gathered = Gathered { windows, means, scales, places };
        self.forget_gathered();
        scores
    }

    /// Leaves out what was gathered.
    fn forget_gathered(&mut self) {
        let Gathered { windows, means, scales, places } = &mut self.gathered;
        [windows, means, scales, places].into_iter().for_each(Vec::clear);
    }

    /// Makes room for new entities.
    fn follow(&mut self, matrix: &FeatureMatrix, known: &KnownEntities) {
        let slots = matrix.slots();
        self.levels.iter_mut().for_each(|it| it.resize(slots));
        let before = self.places.len();
        self.places.resize(slots, 0.0);
        for slot in super::newcomers(matrix, before) {
            let known = known.of(matrix.labels(slot));
            self.places[slot] = known.graph as f32;
            self.levels.iter_mut().for_each(|it| it.reset(slot, known.memory));
        }
    }
}
