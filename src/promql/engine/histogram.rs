//! A function of histograms: of classic ones, which are series that differ in `le` alone, each counting what is
//! at most that, and of native ones, which are elements by themselves.
//!
//! Where both are there under the same labels, neither has a value, as in Prometheus.

use std::collections::HashMap;
use std::sync::Arc;

use crate::histogram::NanEffect;
use crate::labels::Labels;
use crate::promql::operators::histogram::{BOUND, Bucket, bound, fraction, quantile};
use crate::promql::syntax::function::HistogramFunction;

use super::context::{Context, Inputs, NodeId, Output};
use super::error::EvalError;
use super::layout::{Layout, without_metadata};

/// The node of a function of histograms.
#[derive(Debug)]
pub(super) struct Histogram {
    function: HistogramFunction,
    parameters: Vec<NodeId>,
    vector: NodeId,
    made_from: u64,
    /// Whether the layout has a place for each element as well, behind those of the classic histograms.
    with_native: bool,
    /// For each element with the labels of a classic histogram, which one that is.
    classic: HashMap<u32, u32>,
    /// Of each classic histogram: bounds, ascending, and the element with the count.
    histograms: Vec<Vec<(f64, u32)>>,
    buckets: Vec<Bucket>,
    /// The histograms whose counts fell at the latest instant.
    forced: Vec<u32>,
    /// The native histograms that were left out at the latest instant, as classic ones were there, too.
    mixed: Vec<u32>,
    /// What observations that are NaN did at the latest instant.
    nan: [Option<NanEffect>; 2],
}

impl Histogram {
    pub(super) fn new(
        function: HistogramFunction,
        parameters: Vec<NodeId>,
        vector: NodeId,
    ) -> Self {
        let (histograms, buckets, forced) = (Vec::new(), Vec::new(), Vec::new());
        Self {
            function,
            parameters,
            vector,
            made_from: 0,
            with_native: false,
            classic: HashMap::new(),
            histograms,
            buckets,
            forced,
            mixed: Vec::new(),
            nan: [None; 2],
        }
    }

    pub(super) fn function(&self) -> HistogramFunction {
        self.function
    }

    pub(super) fn vector(&self) -> NodeId {
        self.vector
    }

    /// The first parameter of a function, if it is this one.
    pub(super) fn parameter_of(&self, function: HistogramFunction) -> Option<NodeId> {
        self.parameters.first().copied().filter(|_| self.function == function)
    }

    /// An element of each histogram whose counts were made to rise at the latest instant.
    pub(super) fn forced(&self) -> impl Iterator<Item = usize> {
        let element = |i: &u32| self.histograms[*i as usize].first();
        self.forced.iter().filter_map(element).map(|(_, element)| *element as usize)
    }

    /// The native histograms that were left out at the latest instant, as classic ones were there, too.
    pub(super) fn mixed(&self) -> impl Iterator<Item = usize> {
        self.mixed.iter().map(|i| *i as usize)
    }

    /// What observations that are NaN did at the latest instant, each once.
    pub(super) fn nan_effects(&self) -> impl Iterator<Item = NanEffect> {
        self.nan.into_iter().flatten()
    }

    pub(super) fn eval(
        &mut self,
        cx: &mut Context,
        inputs: Inputs,
        out: &mut Output,
    ) -> Result<(), EvalError> {
        let input = inputs.vector(self.vector)?;
        let mut parameters = [0.0; 2];
        for (parameter, id) in parameters.iter_mut().zip(&self.parameters) {
            *parameter = inputs.scalar(*id)?;
        }
        let has_native = input.histograms().next().is_some();
        if self.made_from != input.layout.version || has_native && !self.with_native {
            (self.made_from, self.with_native) = (input.layout.version, has_native);
            let labels = self.collect(&input.layout);
            out.follow(&Arc::new(Layout::new(cx.versions.next(), labels)));
        }
        self.forced.clear();
        self.mixed.clear();
        self.nan = [None; 2];
        for (i, bounds) in self.histograms.iter().enumerate() {
            self.buckets.clear();
            self.buckets.extend(
                bounds.iter().filter(|(_, element)| input.present[*element as usize]).map(
                    |(upper, element)| Bucket {
                        upper: *upper,
                        count: input.values[*element as usize],
                    },
                ),
            );
            let present = !self.buckets.is_empty();
            let (buckets, forced) = (&mut self.buckets, &mut self.forced);
            out.put(
                i,
                present.then(|| match self.function {
                    HistogramFunction::Quantile => {
                        let (value, is_forced) = quantile(parameters[0], buckets);
                        forced.extend(is_forced.then_some(i as u32));
                        value
                    }
                    HistogramFunction::Fraction => fraction(parameters[0], parameters[1], buckets),
                }),
            );
        }
        if self.with_native {
            self.of_native(input, parameters, out);
        }
        out.check_labels(cx)
    }

    /// Puts the values of native histograms behind those of classic ones.
    fn of_native(&mut self, input: &Output, parameters: [f64; 2], out: &mut Output) {
        let first = self.histograms.len();
        out.present[first..].fill(false);
        for (i, histogram) in input.histograms() {
            if let Some(classic) = self.classic.get(&(i as u32))
                && std::mem::take(&mut out.present[*classic as usize])
            {
                self.mixed.push(i as u32);
                continue;
            }
            let estimate = match self.function {
                HistogramFunction::Quantile => histogram.quantile(parameters[0]),
                HistogramFunction::Fraction => histogram.fraction(parameters[0], parameters[1]),
            };
            match estimate.nan {
                Some(NanEffect::Decided) => self.nan[0] = estimate.nan,
                Some(NanEffect::Skewed) => self.nan[1] = estimate.nan,
                None => {}
            }
            out.put(first + i, Some(estimate.value));
        }
    }

    /// Puts the elements together; returns the labels of the histograms.
    fn collect(&mut self, layout: &Layout) -> Vec<Labels> {
        let mut numbers: HashMap<Labels, usize> = HashMap::new();
        let mut labels = Vec::new();
        self.histograms.clear();
        self.classic.clear();
        for (i, element) in layout.labels.iter().enumerate() {
            let Some(upper) = bound(element) else {
                continue;
            };
            let histogram = element.filtered(|name| name != BOUND);
            let number = *numbers.entry(histogram).or_insert_with_key(|histogram| {
                labels.push(without_metadata(histogram));
                self.histograms.push(Vec::new());
                labels.len() - 1
            });
            self.histograms[number].push((upper, i as u32));
        }
        for histogram in &mut self.histograms {
            histogram.sort_by(|a, b| a.0.total_cmp(&b.0));
        }
        if self.with_native {
            for (i, element) in layout.labels.iter().enumerate() {
                if let Some(number) = numbers.get(element) {
                    self.classic.insert(i as u32, *number as u32);
                }
                labels.push(without_metadata(element));
            }
        }
        labels
    }
}
