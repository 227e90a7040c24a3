//! What a graph gives: score, contributions, reconstruction.

use super::{DROP, With, Writer};
use crate::model::{Dim, LEVEL};
use crate::train::branches::Model;
use crate::train::branches::autoencoder::network_of;
use crate::train::fit::Fit;

impl Writer<'_> {
    /// Puts the branches together and names what comes out.
    pub(super) fn outputs(&mut self) {
        let kinds: Vec<&str> =
            self.first().branches.iter().map(|it| it.model.kind().name()).collect();
        for (what, whole) in [("part", "total"), ("contribution", "contributions")] {
            let names: Vec<String> = kinds.iter().map(|kind| format!("{kind}_{what}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.graph.node("Sum", &names, whole);
        }
        let sum = if self.fits.len() > 1 {
            self.parameter("gain", With::Rows, &|it| vec![it.gain]);
            self.graph.node("Mul", &["total", "gain"], "gained");
            "gained"
        } else {
            "total"
        };
        self.graph
            .node_with("ReduceSum", &[sum, "feature_axis"], "summed", &DROP)
            .node_with("ReduceSum", &["counted", "feature_axis"], "counted_rows", &DROP)
            .node("Greater", &["counted_rows", "zero"], "has_counted")
            .constant("unknown", &[], &[f32::NAN])
            // Of what nothing is known there is no error, rather than none to speak of.
            .node("Where", &["has_counted", "summed", "unknown"], "score")
            .node("Clip", &["total", "tiny"], "divisor")
            .node("Div", &["contributions", "divisor"], "contribution");
        self.reconstruction();
        let row = [Dim::Dynamic("N".to_owned()), Dim::Fixed(self.features())];
        self.graph
            .output("score", &row[..1])
            .output("contribution", &row)
            .output("reconstruction", &row);
    }

    /// What was expected in the features' own units; what does not count is as it is.
    fn reconstruction(&mut self) {
        let heaviest = self.first().heaviest_branch();
        let expected = match &heaviest.model {
            Model::Season => "season_expected".to_owned(),
            Model::Level => {
                // Not by way of the newest value, which may be missing.
                self.graph
                    .node("Sub", &[LEVEL[0], "offset"], "level_shifted")
                    .node("Mul", &["level_shifted", "inverse"], "level_at")
                    .node("Add", &["level_at", "course"], "level_expected");
                "level_expected".to_owned()
            }
            Model::Forecast(_) => "forecast_expected".to_owned(),
            Model::Autoencoder(autoencoder) if autoencoder.is_plain() => {
                format!("layer_{}", autoencoder.network.layers.len())
            }
            Model::Autoencoder(autoencoder) => {
                let last = format!("layer_{}", autoencoder.network.layers.len());
                self.parameter("network_shift", With::Rows, &|it| network_of(it).offset.clone());
                self.parameter("network_size", With::Rows, &|it| network_of(it).factor.clone());
                self.graph.node("Sub", &[&last, "network_shift"], "network_back").node(
                    "Div",
                    &["network_back", "network_size"],
                    "network_expected",
                );
                "network_expected".to_owned()
            }
        };
        let of_counting = |it: &Fit, value: &dyn Fn(usize) -> f32, other: f32| -> Vec<f32> {
            let kinds = it.base.scaler.kinds.iter().enumerate();
            kinds.map(|(i, kind)| if kind.counts() { value(i) } else { other }).collect()
        };
        self.parameter("unscale_size", With::Rows, &|it| {
            of_counting(it, &|i| it.base.scaler.size(i), 0.0)
        });
        self.parameter("unscale_offset", With::Rows, &|it| {
            of_counting(it, &|i| it.base.scaler.offset[i], 0.0)
        });
        self.parameter("passed", With::Rows, &|it| of_counting(it, &|_| 0.0, 1.0));
        self.graph
            .node("Mul", &[&expected, "unscale_size"], "sized")
            .node("Add", &["sized", "unscale_offset"], "restored")
            .node("Mul", &["raw", "passed"], "passing")
            .node("Add", &["restored", "passing"], "reconstruction");
    }
}
