//! A subquery: a vector evaluated at many instants, its values kept as the samples of rows.
//!
//! The instants are the multiples of the step in `(end - range, end]`, whatever the instant of
//! evaluation, so that two evaluations look at the same ones. Rows are label sets: elements that
//! have the same labels at different steps are one row.
//!
//! Values at instants that were evaluated before are kept as long as no sample came that could
//! change them, so that a tick evaluates the instants that are new, not the whole window.
//! Source: Prometheus `promql/engine.go`, evaluation of `SubqueryExpr`.

use std::collections::HashMap;
use std::sync::Arc;

use crate::histogram::{CounterResetHint, NativeHistogram};
use crate::labels::Labels;
use crate::promql::operators::window::Window;
use crate::promql::syntax::when::When;
use crate::sample::{HistogramSample, Sample};
use crate::series::Mark;

use super::conflict::{Conflicts, OnConflict};
use super::context::{Context, NodeId, Output, Rows};
use super::error::EvalError;
use super::frame::Frame;
use super::layout::Layout;

/// The node of a subquery: a frame of its own, and what it gave.
#[derive(Debug)]
pub(super) struct Subquery {
    frame: Frame,
    root: NodeId,
    range_ms: i64,
    step_ms: i64,
    when: When,
    /// The vector at an instant depends on samples up to that instant only.
    lasting: bool,
    kept: Option<Kept>,
    /// The latest run around this node, and the one in here that belongs to it: Prometheus
    /// evaluates a subquery once for all instants of the run around it.
    run: (u64, u64),
    rows: Rows,
    row_of: HashMap<Labels, u32>,
    /// The row of each element of the layout with this version.
    row_of_element: Vec<u32>,
    mapped: u64,
    /// Rows were added since the layout was made.
    grown: bool,
    /// What was left out at the steps that were evaluated last. It stays until others are, so that
    /// a group that is left out at every step is so at all instants between.
    conflicts: Conflicts,
}

/// Which values the rows hold.
#[derive(Debug, Clone, Copy)]
struct Kept {
    /// The first instant.
    first_ms: i64,
    /// The last one.
    last_ms: i64,
    /// The store when they were evaluated.
    mark: Mark,
    /// The series when they were evaluated.
    births: u64,
    run_epoch: u64,
}

impl Subquery {
    pub(super) fn new(
        frame: Frame,
        root: NodeId,
        range_ms: i64,
        step_ms: i64,
        when: When,
        lasting: bool,
    ) -> Self {
        Self {
            frame,
            root,
            range_ms,
            step_ms,
            when,
            lasting,
            kept: None,
            run: (0, 0),
            rows: Rows::default(),
            row_of: HashMap::new(),
            row_of_element: Vec::new(),
            mapped: 0,
            grown: false,
            conflicts: Conflicts::default(),
        }
    }

    /// What was left out at the steps that were evaluated last.
    pub(super) fn conflicts(&self) -> &Conflicts {
        &self.conflicts
    }

    pub(super) fn eval(&mut self, cx: &mut Context, out: &mut Output) -> Result<(), EvalError> {
        // Between evaluations they are where those who read this node find them.
        std::mem::swap(&mut self.rows, &mut out.rows);
        let result = self.eval_rows(cx, out);
        std::mem::swap(&mut self.rows, &mut out.rows);
        result
    }

    fn eval_rows(&mut self, cx: &mut Context, out: &mut Output) -> Result<(), EvalError> {
        let window = Window::new(cx.time_ms, self.range_ms, self.when);
        let first_ms = first_step(window.start_ms, self.step_ms);
        self.forget_dead_rows();
        let kept = self.kept.take().filter(|_| self.lasting);
        let kept = kept.and_then(|kept| self.trim(kept, first_ms, window.end_ms, cx));
        let (begun, churn) =
            (self.run.0 == cx.run_epoch, kept.is_some_and(|kept| kept.births != cx.births));
        let mut result = self.advance(kept, first_ms, window.end_ms, cx);
        // An error is perhaps because of an instant that is not looked at any more. And where label
        // sets repeat, the search for two in the same run starts over with every series that is
        // born or dies, so it needs all instants; what is left out is looked for at each by itself.
        let over_all = cx.on_conflict == OnConflict::Fail && self.frame.has_repeated_labels();
        let in_doubt = result.is_err() && !begun || churn && over_all;
        if kept.is_some() && in_doubt {
            self.run = (0, 0);
            result = self.advance(None, first_ms, window.end_ms, cx);
        }
        self.kept = result?;
        if self.grown {
            self.grown = false;
            let mut labels = vec![Labels::empty(); self.rows.samples.len()];
            for (set, row) in &self.row_of {
                labels[*row as usize] = set.clone();
            }
            let labels = out.layout.labels.followed(labels.len(), |row| &labels[row]);
            out.follow(&Arc::new(Layout::distinct(cx.versions.next(), labels)));
        }
        Ok(())
    }

    /// Drops the values of instants that are outside or not certain any more. `None` when others
    /// than the latest instants are missing then.
    fn trim(&mut self, kept: Kept, first_ms: i64, end_ms: i64, cx: &Context) -> Option<Kept> {
        let certain_ms = cx.store.changed_from(kept.mark).saturating_sub(1);
        let last_ms = last_step(kept.last_ms.min(certain_ms).min(end_ms), self.step_ms);
        if kept.first_ms > first_ms || last_ms < first_ms {
            return None;
        }
        for row in &mut self.rows.samples {
            keep(row, first_ms, last_ms, |sample| sample.timestamp_ms);
        }
        for row in &mut self.rows.histograms {
            keep(row, first_ms, last_ms, |sample| sample.timestamp_ms);
        }
        Some(Kept { first_ms, last_ms, ..kept })
    }

    /// Evaluates the instants after those that are kept. With the new ones in the rows it says what
    /// these hold, if anything.
    fn advance(
        &mut self,
        kept: Option<Kept>,
        first_ms: i64,
        end_ms: i64,
        cx: &mut Context,
    ) -> Result<Option<Kept>, EvalError> {
        let run_epoch = match kept {
            Some(kept) => kept.run_epoch,
            None => {
                self.rows.samples.iter_mut().for_each(Vec::clear);
                self.rows.histograms.iter_mut().for_each(Vec::clear);
                if self.run.0 == cx.run_epoch { self.run.1 } else { cx.versions.next() }
            }
        };
        self.run = (cx.run_epoch, run_epoch);
        let mut last_ms = kept.map(|kept| kept.last_ms);
        // As of the last step that is evaluated: without one, the frame has not seen the series
        // that were born.
        let mut births = kept.map_or(cx.births, |kept| kept.births);
        let step_ms = self.step_ms;
        let mut next = last_ms.map_or(Some(first_ms), |last_ms| last_ms.checked_add(step_ms));
        if next.is_some_and(|next| next <= end_ms) {
            self.conflicts.clear();
        }
        while let Some(time_ms) = next.filter(|next| *next <= end_ms) {
            let step_epoch = cx.versions.next();
            self.frame.eval(&mut Context {
                store: cx.store,
                memberships: cx.memberships,
                births: cx.births,
                versions: cx.versions,
                go_on: cx.go_on,
                notes: cx.notes.as_deref_mut(),
                on_conflict: cx.on_conflict,
                time_ms,
                step_epoch,
                run_epoch,
            })?;
            let conflicts = self.frame.conflicts(self.frame.nodes());
            conflicts.for_each(|it| self.conflicts.merge(it));
            self.take(time_ms)?;
            last_ms = Some(time_ms);
            births = cx.births;
            next = time_ms.checked_add(step_ms);
        }
        let mark = cx.store.mark();
        Ok(last_ms.map(|last_ms| Kept { first_ms, last_ms, mark, births, run_epoch }))
    }

    /// Appends the values of the frame's root to the rows.
    fn take(&mut self, time_ms: i64) -> Result<(), EvalError> {
        let vector = self.frame.inputs().vector(self.root)?;
        if self.mapped != vector.layout.version {
            self.mapped = vector.layout.version;
            self.row_of_element.clear();
            for labels in vector.layout.labels.iter() {
                let next = self.rows.samples.len() as u32;
                let row = *self.row_of.entry(labels.clone()).or_insert(next);
                if row == next {
                    self.rows.samples.push(Vec::new());
                    self.grown = true;
                }
                self.row_of_element.push(row);
            }
        }
        for (i, value) in vector.elements() {
            self.rows.samples[self.row_of_element[i] as usize].push(Sample::new(time_ms, value));
        }
        for (i, histogram) in vector.histograms() {
            let rows = &mut self.rows.histograms;
            rows.resize_with(rows.len().max(self.rows.samples.len()), Vec::new);
            let row = &mut rows[self.row_of_element[i] as usize];
            row.push(HistogramSample::new(time_ms, unhinted(histogram)));
        }
        Ok(())
    }

    /// Starts over when most rows are of label sets that no longer exist.
    fn forget_dead_rows(&mut self) {
        if self.rows.samples.len() > 2 * self.row_of_element.len() {
            self.rows = Rows::default();
            self.row_of = HashMap::new();
            self.kept = None;
            self.mapped = 0;
            self.grown = true;
        }
    }
}

/// A histogram of which nobody says whether it began anew: what was between two steps is not known.
fn unhinted(histogram: &Arc<NativeHistogram>) -> Arc<NativeHistogram> {
    match histogram.reset_hint {
        CounterResetHint::Unknown | CounterResetHint::Gauge => Arc::clone(histogram),
        CounterResetHint::Yes | CounterResetHint::No => Arc::new(NativeHistogram {
            reset_hint: CounterResetHint::Unknown,
            ..NativeHistogram::clone(histogram)
        }),
    }
}

/// Drops what was not taken within `[first_ms, last_ms]`.
fn keep<T>(row: &mut Vec<T>, first_ms: i64, last_ms: i64, time_ms: impl Fn(&T) -> i64) {
    let to = row.iter().rposition(|sample| time_ms(sample) <= last_ms);
    row.truncate(to.map_or(0, |last| last + 1));
    let from = row.iter().position(|sample| time_ms(sample) >= first_ms);
    row.drain(..from.unwrap_or(row.len()));
}

/// The first multiple of the step after a time.
pub(super) fn first_step(start_ms: i64, step_ms: i64) -> i64 {
    let below = start_ms / step_ms * step_ms;
    if below <= start_ms { below.saturating_add(step_ms) } else { below }
}

/// The last multiple of the step up to a time.
pub(super) fn last_step(time_ms: i64, step_ms: i64) -> i64 {
    time_ms.saturating_sub(time_ms.rem_euclid(step_ms))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{first_step, last_step};
    use crate::labels::Labels;
    use crate::promql::{Expr, Plan, Value};
    use crate::sample::{Batch, BatchSeries, STALE_NAN_BITS, Sample};
    use crate::series::{StorageConfig, Store};

    /// What repeats label sets, nests, looks back with an offset, keeps some elements only.
    const EXPRESSIONS: [&str; 12] = [
        "avg_over_time(rate(a[40])[100:10])",
        r#"max_over_time(abs({__name__=~"a|b"})[60:20])"#,
        r#"max_over_time((-{__name__=~"a|b"})[60:20])"#,
        "sum_over_time(sum_over_time(b[30:10])[90:30] offset 20)",
        "count_over_time(topk(1, a)[50:10])",
        "max_over_time((a offset -15)[60:10])",
        "last_over_time((a > 50 or b)[70:10] offset -20)",
        "deriv(sum by (x) (a offset 15)[100:25])",
        "absent_over_time(a[30:10])",
        "stddev_over_time((a - on (x) b)[80:10])",
        r#"sum_over_time(({__name__=~"a|b"} * on (x) b)[60:20])"#,
        r#"sum_over_time((a * on (x) {__name__=~"a|b"} or -b)[40:10])"#,
    ];

    type Answer = Result<Vec<(Labels, u64)>, String>;

    fn answer(plan: &Plan, i: usize) -> Answer {
        match plan.output(i).map_err(ToString::to_string)? {
            Value::Scalar(value) => Ok(vec![(Labels::empty(), value.to_bits())]),
            Value::Vector(vector) => {
                let labels = vector.layout.labels.iter().zip(vector.values).zip(vector.present);
                let there = labels.filter(|(_, present)| **present);
                let mut all: Vec<_> = there.map(|((l, v), _)| (l.clone(), v.to_bits())).collect();
                all.sort();
                Ok(all)
            }
        }
    }

    /// A scrape, late or not, perhaps the end of a series, or an instant to evaluate at.
    #[derive(Debug, Clone)]
    enum Event {
        Sample { name: usize, x: usize, late_s: i64, value: f64 },
        Evaluate { after_s: i64 },
    }

    fn event() -> impl Strategy<Value = Event> {
        let late = prop_oneof![8 => 0i64..3, 1 => 0i64..90];
        let value = prop_oneof![2 => 0.0..100.0f64, 1 => Just(f64::from_bits(STALE_NAN_BITS))];
        let sample = (0usize..2, 0usize..3, late, value)
            .prop_map(|(name, x, late_s, value)| Event::Sample { name, x, late_s, value });
        // After the longest, every series is evicted and comes anew.
        let after = prop_oneof![16 => 1i64..9, 2 => 0i64..200, 2 => -40i64..0, 4 => Just(900)];
        prop_oneof![4 => sample, 1 => after.prop_map(|after_s| Event::Evaluate { after_s })]
    }

    proptest! {
        /// A plan that keeps what it evaluated says the same as one that is made anew each time.
        #[test]
        fn keeping_values_changes_no_answer(
            events in proptest::collection::vec(event(), 1..150)
        ) {
            let parse = |text: &&str| Expr::parse(text).expect("good expressions");
            let exprs: Vec<Expr> = EXPRESSIONS.iter().map(parse).collect();
            let mut store = Store::new(StorageConfig::default());
            let mut plan = Plan::bind(&exprs, &mut store);
            let mut lenient = Plan::bind_lenient(&exprs, &mut store);
            let mut now_ms = 1_000_000;
            for event in events {
                match event {
                    Event::Sample { name, x, late_s, value } => {
                        let pairs = [("__name__", ["a", "b"][name]), ("x", ["1", "2", "3"][x])];
                        let labels = Labels::from_pairs(pairs).expect("distinct names");
                        let samples = vec![Sample::new(now_ms - late_s * 1_000, value)];
                        store.append(now_ms, &Batch::of(vec![BatchSeries::new(labels, samples)]));
                    }
                    Event::Evaluate { after_s } => {
                        now_ms += after_s * 1_000;
                        store.evict(now_ms);
                        plan.eval(&store, now_ms);
                        let mut fresh = Plan::bind(&exprs, &mut store);
                        fresh.eval(&store, now_ms);
                        lenient.eval(&store, now_ms);
                        let mut fresh_lenient = Plan::bind_lenient(&exprs, &mut store);
                        fresh_lenient.eval(&store, now_ms);
                        for (i, text) in EXPRESSIONS.iter().enumerate() {
                            let strict = answer(&plan, i);
                            prop_assert_eq!(&strict, &answer(&fresh, i), "{}", text);
                            let left = answer(&lenient, i);
                            prop_assert_eq!(&left, &answer(&fresh_lenient, i), "{}", text);
                            prop_assert!(left.is_ok(), "{}", text);
                            // Where nothing is refused nothing is left out.
                            if strict.is_ok() {
                                prop_assert!(fresh_lenient.faults(i).is_empty(), "{}", text);
                                prop_assert_eq!(left, strict, "{}", text);
                            }
                        }
                        fresh.release(&mut store);
                        fresh_lenient.release(&mut store);
                    }
                }
            }
        }
    }

    /// A series that is born after another of the same labels has ended: both are in the window,
    /// which Prometheus refuses, though they are never there at once.
    #[test]
    fn a_birth_can_make_label_sets_repeat() {
        let expr = Expr::parse(r#"max_over_time((-{__name__=~"a|b"})[60:20])"#).expect("good");
        let mut store = Store::new(StorageConfig::default());
        let mut plan = Plan::bind(std::slice::from_ref(&expr), &mut store);
        let mut append = |name: &str, time_ms, value| {
            let labels = Labels::from_pairs([("__name__", name), ("x", "1")]).expect("distinct");
            let samples = vec![Sample::new(time_ms, value)];
            store.append(time_ms, &Batch::of(vec![BatchSeries::new(labels, samples)]));
            plan.eval(&store, time_ms);
            answer(&plan, 0)
        };
        assert!(append("a", 1_000_000, 1.0).is_ok());
        assert!(append("a", 1_021_000, f64::from_bits(STALE_NAN_BITS)).is_ok());
        let error = append("b", 1_040_000, 1.0).expect_err("both are in the window");
        assert!(error.contains("same labelset"), "{error}");
        assert!(append("b", 1_090_000, 1.0).is_ok(), "the first is not any more");
    }

    #[test]
    fn the_last_step_is_a_multiple_at_or_before() {
        assert_eq!(last_step(0, 10), 0);
        assert_eq!(last_step(19, 10), 10);
        assert_eq!(last_step(20, 10), 20);
        assert_eq!(last_step(-1, 10), -10);
        assert_eq!(last_step(i64::MIN, 10), i64::MIN);
    }

    #[test]
    fn steps_are_multiples_after_the_start() {
        assert_eq!(first_step(0, 10), 10);
        assert_eq!(first_step(9, 10), 10);
        assert_eq!(first_step(10, 10), 20);
        assert_eq!(first_step(-10, 10), 0);
        assert_eq!(first_step(-15, 10), -10);
        assert_eq!(first_step(-5, 10), 0);
    }
}
