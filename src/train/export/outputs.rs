//! What a graph gives: score, contributions, reconstruction.

use super::{DROP, Writer};
use crate::model::{Dim, LEVEL};
use crate::train::branch::Model;

impl Writer<'_> {
    /// Puts the branches together and names what comes out.
    pub(super) fn outputs(&mut self) {
        let kinds: Vec<&str> = self.fitted.branches.iter().map(|it| it.kind().name()).collect();
        for (what, whole) in [("part", "total"), ("contribution", "contributions")] {
            let names: Vec<String> = kinds.iter().map(|kind| format!("{kind}_{what}")).collect();
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            self.graph.node("Sum", &names, whole);
        }
        self.graph
            .node_with("ReduceSum", &["total", "feature_axis"], "score", &DROP)
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
        let scaler = &self.fitted.base.scaler;
        let width = [scaler.kinds.len()];
        let teller = self.fitted.teller();
        let expected = match &teller.model {
            Model::Season => "season_expected".to_owned(),
            Model::Level => {
                // Not by way of the newest value, which may be missing.
                self.graph
                    .node("Sub", &[LEVEL[0], "offset"], "level_shifted")
                    .node("Mul", &["level_shifted", "inverse"], "level_at")
                    .node("Add", &["level_at", "course"], "level_expected");
                "level_expected".to_owned()
            }
            Model::Forecast { .. } => "forecast_expected".to_owned(),
            Model::Autoencoder(autoencoder) => {
                let last = format!("layer_{}", autoencoder.network.layers.len());
                self.graph.node("Sub", &[&last, "network_offset"], "network_back").node(
                    "Div",
                    &["network_back", "network_factor"],
                    "network_expected",
                );
                "network_expected".to_owned()
            }
        };
        let of_counting = |value: &dyn Fn(usize) -> f32, other: f32| -> Vec<f32> {
            let kinds = scaler.kinds.iter().enumerate();
            kinds.map(|(i, kind)| if kind.counts() { value(i) } else { other }).collect()
        };
        let size = of_counting(&|i| scaler.size(i), 0.0);
        let offset = of_counting(&|i| scaler.offset[i], 0.0);
        let passed = of_counting(&|_| 0.0, 1.0);
        self.graph
            .constant("unscale_size", &width, &size)
            .constant("unscale_offset", &width, &offset)
            .constant("passed", &width, &passed)
            .node("Mul", &[&expected, "unscale_size"], "sized")
            .node("Add", &["sized", "unscale_offset"], "restored")
            .node("Mul", &["raw", "passed"], "passing")
            .node("Add", &["restored", "passing"], "reconstruction");
    }
}
