//! Live held against history: for each model, entity and tick that was seen, whether there is a
//! score in both, and whether it is the same.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::live::Scores;
use crate::world::{DELAY_MS, Event};

/// The largest difference of a score, of it or of 1 where it is less: scores are float32, and the
/// runtime may add in another order for another number of entities.
const TOLERANCE: f64 = 1e-6;

/// What came of one model.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Entities times ticks that were compared.
    pub compared: usize,
    /// Those with a score in both.
    pub scored: usize,
    /// Ticks of the span that no page showed.
    pub unseen: usize,
    /// The largest difference of two scores.
    pub largest: f64,
    /// The differences, for people.
    pub differences: Vec<String>,
}

/// Reads the scores that `portent evaluate` wrote, by tick.
pub fn read_history(path: &Path) -> BTreeMap<i64, Scores> {
    let mut rows = csv::Reader::from_path(path).expect("the file of scores");
    let names = rows.headers().expect("a header").clone();
    let column = |name: &str| names.iter().position(|it| it == name).expect("a column");
    let (time, instance, score) = (column("timestamp"), column("instance"), column("score"));
    let mut ticks: BTreeMap<i64, Scores> = BTreeMap::new();
    for row in rows.records() {
        let row = row.expect("a whole row");
        let seconds: f64 = row[time].parse().expect("seconds");
        let scores = ticks.entry((seconds * 1000.0).round() as i64).or_default();
        if !row[score].is_empty() {
            scores.insert(row[instance].to_owned(), row[score].parse().expect("a score"));
        }
    }
    ticks
}

/// Compares live to the ticks of something else, which has a name, and prints what came of each
/// entity.
pub fn compare(
    live: &BTreeMap<i64, Scores>,
    (other, history): (&str, &BTreeMap<i64, Scores>),
    events: &[Event],
) -> Comparison {
    let mut found = Comparison {
        unseen: history.keys().filter(|tick| !live.contains_key(tick)).count(),
        ..Comparison::default()
    };
    println!("  x a score, . none, ? a tick that was not seen, | the next of the events");
    println!("  ! only one has a score, ~ the scores differ");
    let both = live.values().chain(history.values());
    let entities: BTreeSet<&String> = both.flat_map(BTreeMap::keys).collect();
    for entity in entities {
        let mut lines = [String::new(), String::new(), String::new()];
        let mut bars = events.iter().map(|event| event.at_ms + DELAY_MS).skip(1).peekable();
        for (tick, theirs) in history {
            while bars.next_if(|at_ms| at_ms <= tick).is_some() {
                lines.iter_mut().for_each(|line| line.push('|'));
            }
            let Some(ours) = live.get(tick) else {
                lines.iter_mut().zip("?? ".chars()).for_each(|(line, mark)| line.push(mark));
                continue;
            };
            let pair = (ours.get(entity), theirs.get(entity));
            let mark = found.judge(entity, *tick, pair);
            lines[0].push(if pair.0.is_some() { 'x' } else { '.' });
            lines[1].push(if pair.1.is_some() { 'x' } else { '.' });
            lines[2].push(mark);
        }
        for (name, line) in ["live", other, ""].iter().zip(lines) {
            println!("  {:<4} {name:<8} {line}", if *name == "live" { entity } else { "" });
        }
    }
    println!(
        "  {} compared, {} of them scored, {} differ, scores by {:.1e} at most; {} ticks not seen",
        found.compared,
        found.scored,
        found.differences.len(),
        found.largest,
        found.unseen
    );
    found
}

impl Comparison {
    /// Counts one entity at one tick, and says how it differs.
    fn judge(&mut self, entity: &str, tick: i64, pair: (Option<&f64>, Option<&f64>)) -> char {
        self.compared += 1;
        let (mark, difference) = match pair {
            (None, None) => (' ', 0.0),
            (Some(ours), Some(theirs)) => {
                self.scored += 1;
                let difference = (ours - theirs).abs() / ours.abs().max(1.0);
                (if difference <= TOLERANCE { ' ' } else { '~' }, difference)
            }
            _ => ('!', 0.0),
        };
        self.largest = self.largest.max(difference);
        if mark != ' ' {
            self.differences.push(format!("{entity} at {}: {pair:?}", tick / 1000));
        }
        mark
    }
}
