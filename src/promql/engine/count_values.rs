//! A count of values: for each value in a group, how many elements have it; the value becomes a
//! label, of a native histogram as its text.
//!
//! Label sets appear with the values, so the layout grows at instants, not only when series are
//! born. What is there once mostly comes back, so it is kept; when most of it does not, it is
//! forgotten.
//! Source: Prometheus `promql/engine.go`, `aggregationCountValues`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::labels::Labels;
use crate::promql::operators::go_format;
use crate::promql::syntax::clause::{Grouping, sorted};

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::Layout;

/// How many label sets are kept whether they are used or not.
const KEPT_ANYHOW: usize = 16;

/// What the text of a native histogram may have, as much as a label's value that is pushed by default: of many
/// buckets it takes several times the memory of the histogram, at every instant anew.
const MOST_TEXT_BYTES: usize = 4 << 10;

/// No label set.
const NONE: u32 = u32::MAX;

/// The node of `count_values`.
#[derive(Debug)]
pub(super) struct CountValues {
    label: String,
    /// Of elements that have the label already.
    grouping: Grouping,
    vector: NodeId,
    made_from: u64,
    /// Of each element the bits of its latest value, and the label set that it counts for.
    latest: Vec<(u64, u32)>,
    numbers: HashMap<Labels, u32>,
    counts: Vec<u32>,
    /// There are other label sets than in the layout.
    changed: bool,
}

impl CountValues {
    pub(super) fn new(label: String, mut grouping: Grouping, vector: NodeId) -> Self {
        if !grouping.without {
            grouping.labels.push(label.clone());
            grouping.labels = sorted(grouping.labels);
        }
        Self {
            label,
            grouping,
            vector,
            made_from: 0,
            latest: Vec::new(),
            numbers: HashMap::new(),
            counts: Vec::new(),
            changed: false,
        }
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        if self.made_from != input.layout.version {
            self.made_from = input.layout.version;
            self.latest.clear();
            self.latest.resize(input.layout.len(), (0, NONE));
        }
        self.counts.fill(0);
        for (i, value) in input.elements() {
            let number = self.number(i, value, &input.layout.labels[i]);
            self.counts[number as usize] += 1;
        }
        for (i, histogram) in input.histograms() {
            let text = go_format::histogram(histogram);
            if text.len() > MOST_TEXT_BYTES {
                let buckets = histogram.positive.counts.len() + histogram.negative.counts.len();
                let (bytes, limit) = (text.len(), MOST_TEXT_BYTES);
                return Err(EvalError::TextTooLong { buckets, bytes, limit });
            }
            let number = self.labelled(&text, &input.layout.labels[i]);
            self.counts[number as usize] += 1;
        }
        self.forget();
        if std::mem::take(&mut self.changed) {
            let mut labels = vec![Labels::empty(); self.numbers.len()];
            for (set, number) in &self.numbers {
                labels[*number as usize] = set.clone();
            }
            out.follow(&Arc::new(Layout::distinct(cx.versions.next(), labels)));
        }
        for (i, count) in self.counts.iter().enumerate() {
            out.put(i, (*count > 0).then_some(f64::from(*count)));
        }
        Ok(())
    }

    /// The number of the label set that a value of an element counts for.
    fn number(&mut self, element: usize, value: f64, labels: &Labels) -> u32 {
        // One NaN is as good as another.
        let bits = if value.is_nan() { f64::NAN.to_bits() } else { value.to_bits() };
        let (known, number) = self.latest[element];
        if known == bits && number != NONE {
            return number;
        }
        let number = self.labelled(&written(value), labels);
        self.latest[element] = (bits, number);
        number
    }

    /// The number of the label set that an element with a value of this text counts for.
    fn labelled(&mut self, text: &str, labels: &Labels) -> u32 {
        let set = self.grouping.group_of(&labels.with(&self.label, text));
        let next = self.counts.len() as u32;
        let number = *self.numbers.entry(set).or_insert(next);
        if number == next {
            self.counts.push(0);
            self.changed = true;
        }
        number
    }

    /// Keeps only what is used now when most of the label sets are not.
    fn forget(&mut self) {
        let used = self.counts.iter().filter(|count| **count > 0).count();
        if self.numbers.len() <= KEPT_ANYHOW.max(2 * used) {
            return;
        }
        let mut next = 0;
        let counts = std::mem::take(&mut self.counts);
        self.numbers.retain(|_, number| {
            let count = counts[*number as usize];
            if count > 0 {
                self.counts.push(count);
                *number = next;
                next += 1;
            }
            count > 0
        });
        self.latest.fill((0, NONE));
        self.changed = true;
    }
}

/// A number as Go's `strconv.FormatFloat(value, 'f', -1, 64)` writes it: the fewest digits that
/// mean this number, never an exponent.
fn written(value: f64) -> String {
    match value {
        f64::INFINITY => "+Inf".to_owned(),
        f64::NEG_INFINITY => "-Inf".to_owned(),
        _ => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_written_as_go_writes_them() {
        #[track_caller]
        fn check(value: f64, expected: &str) {
            assert_eq!(written(value), expected);
        }
        check(1.0, "1");
        check(-0.0, "-0");
        check(0.1, "0.1");
        check(1e21, "1000000000000000000000");
        check(2.5e-7, "0.00000025");
        check(f64::NAN, "NaN");
        check(f64::INFINITY, "+Inf");
        check(f64::NEG_INFINITY, "-Inf");
    }

    #[test]
    fn label_sets_that_are_not_used_are_forgotten() {
        let grouping = Grouping { without: false, labels: vec![] };
        let mut node = CountValues::new("v".to_owned(), grouping, NodeId(0));
        node.latest = vec![(0, NONE); 3];
        for i in 0..1_000 {
            node.counts.fill(0);
            for element in 0..3 {
                let value = f64::from(i + (element == 0) as i32);
                let number = node.number(element, value, &Labels::empty());
                node.counts[number as usize] += 1;
            }
            node.forget();
            assert!(node.numbers.len() <= KEPT_ANYHOW && node.counts.len() == node.numbers.len());
            let of = |value: i32| {
                let labels = Labels::from_pairs([("v", &*value.to_string())]).expect("one name");
                node.counts[node.numbers[&labels] as usize]
            };
            assert_eq!((of(i), of(i + 1)), (2, 1));
        }
    }
}
