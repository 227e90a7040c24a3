//! The graph: a fit as an ONNX graph that computes error, contributions and reconstruction by itself.
//!
//! ```text
//! features, mask ─▶ scaled ─┬─ newest ─────────────┬─▶ season ──────┐
//!                           ├─ clipped ─▶ earlier ─┼─▶ forecast ────┼─▶ ÷ usual, · weight ─▶ sum ─▶ score
//!                           └─ clipped ────────────┼─▶ autoencoder ─┤                └▶ shares ─▶ contribution
//! level_mean, level_scale ─────────────────────────┴─▶ level ───────┘
//! ```
//!
//! The graph contains everything that happens between a window and its error, so that serving adds
//! nothing and cannot differ. It is the only arithmetic: every figure that training reports of a model was
//! computed by this graph ([`measuring`]). A missing value is 0 after scaling, which is the mean, and has
//! residual 0; a feature that does not count has residual 0 and is its own reconstruction.
//!
//! With several fits every parameter is a stack, the shared one first, from which each row takes its
//! entity's by the input `entity`.

mod branch;
mod outputs;

use bytes::Bytes;

use super::branches::{BranchKind, INPUT_CLIP};
use super::fit::{Fit, Fits};
use crate::model::graph::{Attribute, Graph};
use crate::model::{Dim, ENTITY, LEVEL, MASK, Metadata};

/// Divides where the error is zero: shares are then 0. Far below any error that float32 can sum
/// from its own rounding, far above where division overflows.
const TINY: f32 = 1e-30;

/// The end of a slice that goes to the end.
pub(super) const END: i64 = i32::MAX as i64;

const KEEP: [Attribute; 1] = [Attribute::Int("keepdims", 1)];
const DROP: [Attribute; 1] = [Attribute::Int("keepdims", 0)];

/// The bytes of the model file.
pub(super) fn export(fits: &Fits, metadata: &Metadata) -> Bytes {
    Writer::of(fits.all()).graph.encode(metadata.properties())
}

/// The graph of one fit with what training has to know of each branch as outputs beside the others:
/// [`residual`], in the units that the fit divides by, and [`value`]. Both are there in every graph of
/// ours; only in this one can they be asked for, as each output is a copy in memory.
pub(super) fn measuring(fit: &Fit) -> Bytes {
    let mut writer = Writer::of(vec![fit]);
    let row = [Dim::Dynamic("N".to_owned()), Dim::Fixed(writer.features())];
    let one = [row[0].clone(), Dim::Fixed(1)];
    for branch in &fit.branches {
        writer
            .graph
            .output(&residual(branch.model.kind()), &row)
            .output(&value(branch.model.kind()), &one);
    }
    writer.graph.encode(Vec::new())
}

/// The output with a branch's residuals, `[N, F]`; 0 where a feature does not count or is missing.
pub(super) fn residual(kind: BranchKind) -> String {
    format!("{}_residual", kind.name())
}

/// The output with what a branch makes of its residuals, `[N, 1]`, at least 0.
pub(super) fn value(kind: BranchKind) -> String {
    format!("{}_value", kind.name())
}

/// A graph in the making.
pub(super) struct Writer<'a> {
    pub(super) graph: Graph,
    /// At least one; all of the same shapes.
    fits: Vec<&'a Fit>,
}

/// A matrix by rows, and a bias.
type Affine = (Vec<f32>, Vec<f32>);

/// What a parameter is used with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum With {
    /// Rows `[N, ..]`.
    Rows,
    /// Windows `[N, W · F]`: it is repeated for each step.
    Windows,
}

impl<'a> Writer<'a> {
    /// The whole graph of fits of the same shapes.
    fn of(fits: Vec<&'a Fit>) -> Self {
        let mut writer = Self { graph: Graph::new("portent"), fits };
        writer.inputs();
        writer.common();
        for branch in &writer.first().branches {
            writer.branch(branch);
        }
        writer.outputs();
        writer
    }

    /// The fit that gives shapes, and whatever all have in common.
    pub(super) fn first(&self) -> &'a Fit {
        self.fits[0]
    }

    fn features(&self) -> usize {
        self.first().base.scaler.kinds.len()
    }

    fn is_windowed(&self) -> bool {
        self.first().base.window > 1
    }

    fn uses(&self, kind: BranchKind) -> bool {
        self.first().branches.iter().any(|branch| branch.model.kind() == kind)
    }

    /// A number or a row of numbers, each of which belongs to a fit: a constant, or what each row of
    /// the batch takes from the stack of all fits.
    pub(super) fn parameter(&mut self, name: &str, with: With, of: &dyn Fn(&Fit) -> Vec<f32>) {
        let times = if with == With::Windows { self.first().base.window } else { 1 };
        let row = |fit: &&Fit| of(fit).repeat(times);
        let mut values: Vec<f32> = self.fits.iter().flat_map(row).collect();
        let width = values.len() / self.fits.len();
        if self.fits.len() == 1 {
            let dims = [width];
            let dims = if width == 1 { &dims[..0] } else { &dims };
            self.graph.constant(name, dims, &values);
        } else {
            self.stacked(name, &[width], &mut values);
        }
    }

    /// A matrix that belongs to a fit, and its bias: `input · matrix + bias`.
    pub(super) fn linear(
        &mut self,
        input: &str,
        (weights, dims): (&str, [usize; 2]),
        bias: &str,
        of: &dyn Fn(&Fit) -> Affine,
        output: &str,
    ) {
        let mut values: Vec<f32> = self.fits.iter().flat_map(|fit| of(fit).0).collect();
        if self.fits.len() == 1 {
            self.graph.constant(weights, &dims, &values).constant(
                bias,
                &dims[1..],
                &of(self.fits[0]).1,
            );
            self.graph.node("Gemm", &[input, weights, bias], output);
            return;
        }
        self.stacked(weights, &dims, &mut values);
        self.parameter(bias, With::Rows, &|fit| of(fit).1);
        let [row, product, flat] = ["row", "product", "flat"].map(|it| format!("{output}_{it}"));
        self.graph
            .node("Unsqueeze", &[input, "step_axis"], &row)
            .node("MatMul", &[&row, weights], &product)
            .node("Squeeze", &[&product, "step_axis"], &flat)
            .node("Add", &[&flat, bias], output);
    }

    /// What each row takes from a stack.
    fn stacked(&mut self, name: &str, dims: &[usize], values: &mut [f32]) {
        let stack = format!("{name}_stack");
        let dims: Vec<usize> = [self.fits.len()].iter().chain(dims).copied().collect();
        self.graph.constant(&stack, &dims, values).node("Gather", &[&stack, "place"], name);
    }

    fn inputs(&mut self) {
        let (batch, features) = (Dim::Dynamic("N".to_owned()), Dim::Fixed(self.features()));
        let row = [batch.clone(), features.clone()];
        let shape = match self.first().base.window {
            1 => row.to_vec(),
            window => vec![batch, Dim::Fixed(window), features],
        };
        self.graph.input("features", &shape).input(MASK, &shape);
        if self.uses(BranchKind::Level) {
            LEVEL.iter().for_each(|name| {
                self.graph.input(name, &row);
            });
        }
        if self.fits.len() > 1 {
            // 7 is int64 in TensorProto.DataType.
            let to = [Attribute::Int("to", 7)];
            self.graph.input(ENTITY, &row[..1]).node_with("Cast", &[ENTITY], "place", &to);
        }
    }

    /// Part of an axis as a tensor of the same rank.
    fn slice(&mut self, input: &str, axis: i64, (from, to): (i64, i64), output: &str) {
        let names = ["starts", "ends", "axes"].map(|part| format!("{output}_{part}"));
        let values = [from, to, axis];
        for (name, value) in names.iter().zip(values) {
            self.graph.integers(name, &[value]);
        }
        self.graph.node("Slice", &[input, &names[0], &names[1], &names[2]], output);
    }

    /// The newest step of windows, `[N, F]`.
    pub(super) fn newest(&mut self, input: &str, output: &str) {
        self.flattened(input, (-1, END), output);
    }

    /// Some steps of windows, oldest first: windows are rows `[N, W · F]` from the beginning, as
    /// operations on few long rows cost less than on many short ones.
    pub(super) fn flattened(&mut self, input: &str, (from, to): (i64, i64), output: &str) {
        let features = self.features() as i64;
        if from == -(self.first().base.window as i64) && to == END {
            self.graph.node("Identity", &[input], output);
        } else {
            let to = if to == END { END } else { to * features };
            self.slice(input, 1, (from * features, to), output);
        }
    }

    /// Windows as rows, and which of their values are there.
    fn rows(&mut self) -> [&'static str; 2] {
        if !self.is_windowed() {
            return ["features", MASK];
        }
        // As many rows as there are, and all the rest in one.
        self.graph
            .integers("row_shape", &[0, -1])
            .node("Reshape", &["features", "row_shape"], "values")
            .node("Reshape", &[MASK, "row_shape"], "present");
        ["values", "present"]
    }

    /// What every branch needs: scaled values, time, what counts.
    fn common(&mut self) {
        let [values, present] = self.rows();
        self.graph
            .integers("step_axis", &[1])
            .integers("feature_axis", &[1])
            .constant("one", &[], &[1.0])
            .constant("zero", &[], &[0.0])
            .constant("tiny", &[], &[TINY])
            .constant("clip_low", &[], &[-INPUT_CLIP])
            .constant("clip_high", &[], &[INPUT_CLIP]);
        self.parameter("offset", With::Windows, &|it| it.base.scaler.offset.clone());
        self.parameter("inverse", With::Windows, &|it| it.base.scaler.inverse.clone());
        self.parameter("counting", With::Rows, &|it| it.base.scaler.counting());
        self.graph
            .node("Sub", &[values, "offset"], "shifted")
            .node("Mul", &["shifted", "inverse"], "deviations")
            .node("Mul", &["deviations", present], "scaled")
            .node("Clip", &["scaled", "clip_low", "clip_high"], "clipped");
        self.newest(values, "raw");
        self.newest(present, "there");
        self.newest("scaled", "newest");
        self.graph
            .node("Mul", &["there", "counting"], "counted")
            .node_with("ReduceSum", &["counted", "feature_axis"], "counted_sum", &KEEP)
            .node("Clip", &["counted_sum", "one"], "count");
        self.waves();
    }

    /// Sines and cosines of the time, and the season's course.
    fn waves(&mut self) {
        let base = &self.first().base;
        let harmonics = base.season.harmonics;
        let mut waves = Vec::new();
        let clocks = [("day", harmonics.daily), ("week", harmonics.weekly)];
        for ((name, count), column) in clocks.into_iter().zip(base.clocks) {
            if count == 0 {
                continue;
            }
            let [clock, turns, phase] =
                ["share", "turns", "phase"].map(|part| format!("{name}_{part}"));
            let turn = |k: usize| (std::f64::consts::TAU * k as f64) as f32;
            let values: Vec<f32> = (1..=count).map(turn).collect();
            self.slice("raw", 1, (column as i64, column as i64 + 1), &clock);
            self.graph.constant(&turns, &[1, count], &values).node(
                "Mul",
                &[&clock, &turns],
                &phase,
            );
            for function in ["Sin", "Cos"] {
                let wave = format!("{name}_{}", function.to_lowercase());
                self.graph.node(function, &[&phase], &wave);
                waves.push(wave);
            }
        }
        let width = self.features();
        if waves.is_empty() {
            self.graph.constant("course", &[1, width], &vec![0.0; width]);
            return;
        }
        let names: Vec<&str> = waves.iter().map(String::as_str).collect();
        let (columns, crossed) = ([Attribute::Int("axis", 1)], harmonics.crossed());
        if crossed.is_empty() {
            self.graph.node_with("Concat", &names, "waves", &columns);
        } else {
            self.graph.node_with("Concat", &names, "plain_waves", &columns);
            for (i, clock) in ["day", "week"].into_iter().enumerate() {
                let places: Vec<i64> = crossed.iter().map(|pair| pair[i] as i64).collect();
                let [at, factor] = ["places", "factor"].map(|part| format!("{clock}_{part}"));
                self.graph.integers(&at, &places);
                self.graph.node_with("Gather", &["plain_waves", &at], &factor, &columns);
            }
            self.graph.node("Mul", &["day_factor", "week_factor"], "crossed_waves");
            let all = ["plain_waves", "crossed_waves"];
            self.graph.node_with("Concat", &all, "waves", &columns);
        }
        self.linear(
            "waves",
            ("season_weights", [harmonics.count(), width]),
            "no_bias",
            &|it| (rounded(&it.base.season.weights), vec![0.0; width]),
            "course",
        );
    }
}

/// Numbers as a graph holds them. Those of a fit were rounded before: this is exact.
pub(super) fn rounded<'v>(values: impl IntoIterator<Item = &'v f64>) -> Vec<f32> {
    values.into_iter().map(|it| *it as f32).collect()
}
