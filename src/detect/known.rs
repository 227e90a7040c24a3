//! Known entities: those that a model's file names, and what it remembers of them.
//!
//! In: the file's metadata, the labels of an entity. Out: its place in the graph, if it has a fit of its own
//! there, and its place among the remembered entities, from which its level, its hours and its usual time of
//! standing still begin. Each is 0 for an entity that does not have it: an own fit and a memory are two
//! things.
//!
//! Files from before `portent.remembered` existed have levels for the entities with a fit of their own; these
//! are remembered with their level only.

use std::collections::HashMap;

use crate::labels::Labels;
use crate::model::{HourlyMaxima, LevelSpec, LevelStart, Metadata};

/// Whom a model's file names.
#[derive(Debug)]
pub(super) struct KnownEntities {
    names: Vec<String>,
    /// By the values of the entity labels.
    places: HashMap<Vec<String>, Places>,
}

/// Where an entity stands, each counted from 1; 0 where it does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Places {
    /// Among the entities that the graph tells apart.
    pub graph: usize,
    /// Among what is remembered.
    pub memory: usize,
}

/// What is remembered, by place less 1.
#[derive(Debug, Default)]
pub(super) struct Memories {
    /// Where levels begin.
    pub levels: Vec<Option<LevelStart>>,
    /// The largest scores of the last hours.
    pub hours: Vec<Option<HourlyMaxima>>,
    /// For how many steps each usually stands still.
    pub still: Vec<Option<u32>>,
}

impl KnownEntities {
    /// Of a file, with what it remembers of them.
    pub fn new(metadata: &Metadata) -> (Self, Memories) {
        let mut places: HashMap<Vec<String>, Places> = HashMap::new();
        let mut memories = Memories::default();
        for it in &metadata.remembered {
            memories.levels.push(it.level.clone());
            memories.hours.push(it.hours.clone());
            memories.still.push(it.still);
            places.entry(it.entity.clone()).or_default().memory = memories.levels.len();
        }
        let older = metadata.level.iter().flat_map(|LevelSpec { entities, .. }| entities);
        let mut older = older.map(Some).chain(std::iter::repeat(None));
        for (values, graph) in metadata.entities.iter().zip(1..) {
            let known = places.entry(values.clone()).or_default();
            known.graph = graph;
            let level = older.next().flatten();
            if let (0, Some(level)) = (known.memory, level) {
                memories.levels.push(Some(level.clone()));
                memories.hours.push(None);
                memories.still.push(None);
                known.memory = memories.levels.len();
            }
        }
        (Self { names: metadata.entity.clone(), places }, memories)
    }

    /// The places of an entity.
    pub fn of(&self, labels: &Labels) -> Places {
        if self.places.is_empty() {
            return Places::default();
        }
        let values: Vec<String> =
            self.names.iter().map(|name| labels.get(name).to_owned()).collect();
        self.places.get(&values).copied().unwrap_or_default()
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let text = |values: &Vec<String>| -> usize {
            values.iter().map(|it| size_of::<String>() + it.capacity()).sum()
        };
        self.places.capacity() * size_of::<(Vec<String>, Places)>()
            + self.places.keys().map(text).sum::<usize>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::Duration;
    use crate::features::FeatureSpec;
    use crate::model::Remembered;

    fn values(name: &str) -> Vec<String> {
        vec!["node".to_owned(), name.to_owned()]
    }

    fn start(mean: f32) -> LevelStart {
        LevelStart { prior: 2.0, mean: vec![mean], scale: vec![1.0], floor: vec![0.1] }
    }

    fn metadata() -> Metadata {
        let entity = ["job", "instance"].map(str::to_owned).to_vec();
        let features = vec![FeatureSpec::new("a", "a")];
        let start = start(0.0);
        let level = LevelSpec {
            half_life: 9.0,
            prior: 2.0,
            clip: 5.0,
            mean: start.mean,
            scale: start.scale,
            floor: start.floor,
            entities: Vec::new(),
        };
        Metadata {
            level: Some(level),
            ..Metadata::new(features, entity, Duration::from_seconds(60))
        }
    }

    #[track_caller]
    fn check(known: &KnownEntities, name: &str, graph: usize, memory: usize) {
        let labels = Labels::from_pairs([("job", "node"), ("instance", name), ("rack", "9")]);
        let found = known.of(&labels.expect("distinct names"));
        assert_eq!(found, Places { graph, memory }, "{name}");
    }

    #[test]
    fn who_has_a_fit_and_who_is_remembered_are_two_things() {
        let (nobody, _) = KnownEntities::new(&metadata());
        check(&nobody, "a", 0, 0);
        let mut metadata = metadata();
        metadata.entities = vec![values("b"), values("c")];
        metadata.remembered = vec![
            Remembered::new(values("a")).with_level(start(1.0)),
            Remembered::new(values("c")).with_level(start(3.0)),
        ];
        let (known, memories) = KnownEntities::new(&metadata);
        check(&known, "a", 0, 1);
        check(&known, "b", 1, 0);
        check(&known, "c", 2, 2);
        check(&known, "d", 0, 0);
        assert_eq!(memories.levels, [Some(start(1.0)), Some(start(3.0))]);
        assert!(known.bytes() > nobody.bytes());
    }

    #[test]
    fn levels_of_older_files_are_memories() {
        let mut metadata = metadata();
        metadata.entities = vec![values("a"), values("b")];
        let level = metadata.level.as_mut().expect("one");
        level.entities = vec![start(1.0), start(2.0)];
        let (known, memories) = KnownEntities::new(&metadata);
        check(&known, "a", 1, 1);
        check(&known, "b", 2, 2);
        check(&known, "c", 0, 0);
        assert_eq!(memories.levels, [Some(start(1.0)), Some(start(2.0))]);
        assert_eq!(memories.hours, [None, None]);
        // What is remembered goes before them.
        metadata.remembered = vec![Remembered::new(values("b")).with_level(start(9.0))];
        let (known, memories) = KnownEntities::new(&metadata);
        check(&known, "a", 1, 2);
        check(&known, "b", 2, 1);
        assert_eq!(memories.levels, [Some(start(9.0)), Some(start(1.0))]);
    }

    /// As a model of a table has it.
    #[test]
    fn an_entity_without_labels_is_known_by_that() {
        let metadata = Metadata {
            remembered: vec![Remembered::new(vec![String::new(); 2]).with_level(start(1.0))],
            ..metadata()
        };
        let (known, _) = KnownEntities::new(&metadata);
        assert_eq!(known.of(&Labels::empty()), Places { graph: 0, memory: 1 });
        check(&known, "a", 0, 0);
    }
}
