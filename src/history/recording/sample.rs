//! A sample: some entities where there are more than there is room for.
//!
//! In: labels of entities, in any order and as often as they come. Out: those that are kept. An entity's
//! rank is a hash of its labels and a seed, and the lowest ranks are kept: the same fleet and seed give the
//! same sample whatever the order of answers, and an entity that comes or goes changes one place at most.
//!
//! Invariant: an entity that was turned away never comes back. Whoever is kept in the end was kept from the
//! beginning and has all its values.

use std::collections::{BTreeMap, HashSet};
use std::hash::Hasher;

use fnv::FnvHasher;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::exclude::agrees;
use crate::history::error::HistoryError;
use crate::labels::Labels;

/// How a sample is taken where there are more entities than there is room for.
#[derive(Clone, Copy)]
pub struct Sampling<'a> {
    /// So many entities there is room for, of so large a recording.
    pub most: &'a dyn Fn(Extent) -> usize,
    /// Bytes of one answer, where `history.max_response_bytes` is not lower.
    pub max_answer_bytes: usize,
    /// Decides which entities are kept.
    pub seed: u64,
}

/// How large the recording of one entity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Steps.
    pub steps: usize,
    /// Features that are asked for.
    pub features: usize,
    /// Instants at which it is looked for when samples were taken.
    pub instants: usize,
}

/// Entities that were met, and those that are kept.
pub(super) struct Sample {
    most: usize,
    seed: u64,
    /// The ranks of all that were met.
    met: HashSet<u64>,
    /// By rank; equal ones by their labels.
    kept: BTreeMap<(u64, String), Labels>,
    /// Nobody else is let in any more: what is asked by now leaves out the others.
    is_closed: bool,
}

/// What becomes of an entity that is met.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Met {
    Kept,
    /// In the place of another one.
    Instead(Labels),
    Other,
}

impl Sample {
    /// Of nobody yet.
    ///
    /// # Errors
    /// When there is room for nobody.
    pub fn new(sampling: &Sampling<'_>, extent: Extent) -> Result<Self, HistoryError> {
        let most = (sampling.most)(extent);
        if most == 0 {
            let Extent { steps, features, .. } = extent;
            return Err(HistoryError::NoRoom { steps, features });
        }
        let (met, kept) = (HashSet::new(), BTreeMap::new());
        Ok(Self { most, seed: sampling.seed, met, kept, is_closed: false })
    }

    /// Of these, whether they are met or not, and of nobody else.
    pub fn of(entities: &[Labels]) -> Self {
        let key = |labels: &Labels| {
            let text = labels.to_string();
            (rank(&text, 0), text)
        };
        let kept: BTreeMap<_, _> = entities.iter().map(|it| (key(it), it.clone())).collect();
        let met = kept.keys().map(|(rank, _)| *rank).collect();
        Self { most: kept.len(), seed: 0, met, kept, is_closed: true }
    }

    /// Takes note of an entity by its labels.
    pub fn meet(&mut self, labels: &Labels) -> Met {
        let text = labels.to_string();
        let rank = rank(&text, self.seed);
        self.met.insert(rank);
        let key = (rank, text);
        if self.kept.contains_key(&key) {
            return Met::Kept;
        }
        let is_full = self.kept.len() == self.most;
        if self.is_closed || (is_full && self.kept.last_key_value().is_some_and(|it| *it.0 < key)) {
            return Met::Other;
        }
        let last = is_full.then(|| self.kept.pop_last()).flatten();
        self.kept.insert(key, labels.clone());
        last.map_or(Met::Kept, |(_, labels)| Met::Instead(labels))
    }

    /// Lets nobody else in if there are others already. Says whether that is so.
    pub fn close(&mut self) -> bool {
        self.is_closed = self.others() > 0;
        if self.is_closed {
            self.log();
        }
        self.is_closed
    }

    /// At the end: says that it became a sample on the way.
    pub fn tell(&self) {
        if !self.is_closed && self.others() > 0 {
            self.log();
        }
    }

    fn log(&self) {
        tracing::info!(
            entities = self.kept.len(),
            of = self.met.len(),
            "a sample of the entities is taken, as train.max_memory has no room for more"
        );
    }

    /// Whether a result with these of the entity labels may be about an entity that is or will be kept.
    pub fn concerns(&self, labels: &Labels) -> bool {
        !self.is_closed || self.kept.values().any(|it| agrees(it, labels))
    }

    /// Those that are kept.
    pub fn kept(&self) -> impl Iterator<Item = &Labels> + Clone {
        self.kept.values()
    }

    /// How many were met that are not kept.
    pub fn others(&self) -> usize {
        self.met.len().saturating_sub(self.kept.len())
    }
}

/// The rank of an entity: the same on every machine, and like drawn by lot.
fn rank(labels: &str, seed: u64) -> u64 {
    let mut hasher = FnvHasher::default();
    hasher.write(&seed.to_le_bytes());
    hasher.write(labels.as_bytes());
    // The hash of names that differ in their last digit alone is near by; a generator's first number is
    // not.
    ChaCha8Rng::seed_from_u64(hasher.finish()).next_u64()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(number: usize) -> Labels {
        let instance = format!("host-{number}:9100");
        Labels::from_pairs([("job", "node"), ("instance", &instance)]).expect("two names")
    }

    fn sample(most: usize, seed: u64) -> Sample {
        let extent = Extent { steps: 1, features: 1, instants: 0 };
        let sampling = Sampling { most: &|_| most, max_answer_bytes: 1, seed };
        Sample::new(&sampling, extent).expect("room")
    }

    fn kept(most: usize, seed: u64, hosts: impl IntoIterator<Item = usize>) -> HashSet<Labels> {
        let mut sample = sample(most, seed);
        hosts.into_iter().for_each(|it| drop(sample.meet(&host(it))));
        sample.kept().cloned().collect()
    }

    #[test]
    fn the_order_does_not_matter() {
        let forward = kept(40, 7, 0..1_000);
        assert_eq!(forward.len(), 40);
        assert_eq!(forward, kept(40, 7, (0..1_000).rev()));
        assert_eq!(forward, kept(40, 7, (0..1_000).chain(0..500).map(|i| i * 7 % 1_000)));
        assert_ne!(forward, kept(40, 8, 0..1_000));
        assert_eq!(kept(40, 7, 0..40).len(), 40);
    }

    #[test]
    fn a_host_more_moves_one_other_at_most() {
        let before = kept(40, 7, 0..1_000);
        let one_more = kept(40, 7, 0..1_001);
        assert!(before.difference(&one_more).count() <= 1);
        let more = kept(40, 7, 0..1_100);
        // Of forty ranks among a hundred more, four on average.
        assert!((1..=12).contains(&before.difference(&more).count()));
        let fewer = kept(40, 7, 1..1_000);
        assert!(before.difference(&fewer).count() <= 1);
    }

    #[test]
    fn every_host_has_the_same_chance() {
        let mut counts = vec![0; 100];
        for seed in 0..400 {
            let kept = kept(25, seed, 0..100);
            (0..100).filter(|i| kept.contains(&host(*i))).for_each(|i| counts[i] += 1);
        }
        assert_eq!(counts.iter().sum::<usize>(), 25 * 400);
        // 100 of 400 each, with a deviation of 8.7: none is five of them away.
        assert!(counts.iter().all(|it| (57..=143).contains(it)), "{counts:?}");
    }

    #[test]
    fn whoever_is_turned_away_stays_away() {
        let mut sample = sample(3, 0);
        let (mut away, mut others) = (HashSet::new(), 0);
        for number in (0..50).chain(0..50) {
            assert_eq!(sample.others(), others);
            match sample.meet(&host(number)) {
                Met::Kept => assert!(!away.contains(&host(number))),
                Met::Instead(labels) => {
                    assert!(!away.contains(&host(number)));
                    away.insert(labels);
                }
                Met::Other => drop(away.insert(host(number))),
            }
            others = away.len();
        }
        assert_eq!((others, sample.kept().count()), (47, 3));
    }

    #[test]
    fn a_closed_sample_lets_nobody_in() {
        let mut open = sample(3, 0);
        open.meet(&host(0));
        assert!(!open.close(), "there is room for all");
        assert!(open.concerns(&host(1)));
        let mut sample = sample(3, 0);
        (0..50).for_each(|it| drop(sample.meet(&host(it))));
        assert!(sample.close());
        let before: Vec<Labels> = sample.kept().cloned().collect();
        assert!((50..1_000).all(|it| sample.meet(&host(it)) == Met::Other));
        assert!(sample.kept().eq(&before));
        assert_eq!(sample.others(), 997);
        assert!(sample.concerns(&before[0]) && !sample.concerns(&host(999)));
        let job = |job: &str| Labels::from_pairs([("job", job)]).expect("a name");
        assert!(sample.concerns(&job("node")) && sample.concerns(&Labels::empty()));
        assert!(!sample.concerns(&job("other")));
    }

    #[test]
    fn those_that_are_named_are_kept_and_nobody_else() {
        let named: Vec<Labels> = (5..8).map(host).collect();
        let mut sample = Sample::of(&named);
        assert!((0..50).all(|it| {
            let expected = if (5..8).contains(&it) { Met::Kept } else { Met::Other };
            sample.meet(&host(it)) == expected
        }));
        assert_eq!((sample.kept().count(), sample.others()), (3, 47));
        assert!(sample.concerns(&host(5)) && !sample.concerns(&host(8)));
        assert_eq!(Sample::of(&[]).meet(&host(1)), Met::Other);
    }

    #[test]
    fn room_for_nobody_is_an_error() {
        let sampling = Sampling { most: &|_| 0, max_answer_bytes: 1, seed: 0 };
        let extent = Extent { steps: 5, features: 2, instants: 9 };
        let error = Sample::new(&sampling, extent).err().expect("no room").to_string();
        assert!(error.contains("5 steps of 2 features") && error.contains("train.max_memory"));
    }
}
