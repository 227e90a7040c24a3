//! Rules: what the expressions themselves say about how a feature may be filled in and counted.

use super::freshness::Freshness;
use super::policy::Rule;
use super::spec::FeatureSpec;
use crate::promql::Expr;

/// The rules of a model's features.
#[derive(Debug, Clone)]
pub(super) struct Rules {
    /// In the order of the features.
    pub list: Vec<Rule>,
    /// For each feature, whether its expression can never carry labels: every entity has the same.
    pub is_common: Vec<bool>,
    /// The ranges that the features look over.
    pub freshness: Freshness,
}

impl Rules {
    /// The rules of features for a model whose error does not depend on those of these names.
    pub fn new(specs: &[FeatureSpec], exprs: &[Expr], weightless: &[String]) -> Self {
        let ranges: Vec<i64> = exprs.iter().map(Expr::range_ms).collect();
        // How old a sample may be, and how finely that is known, is said by whoever looks.
        let freshness = Freshness::new(&ranges, 0, 0);
        let is_common: Vec<bool> = exprs.iter().map(Expr::is_common).collect();
        let list = (specs.iter().zip(exprs).zip(&ranges).zip(&is_common))
            .map(|(((spec, expr), range_ms), is_common)| Rule {
                missing: spec.missing,
                absence: spec.absence,
                weighs: !is_common && !weightless.contains(&spec.name),
                aggregates: !is_common && expr.output_labels().is_some(),
                range: freshness.place(*range_ms).filter(|_| !is_common),
            })
            .collect();
        Self { list, is_common, freshness }
    }

    /// The rules of columns of a table, of which nothing is known but whether every entity has the
    /// same values.
    pub fn of_columns(specs: &[FeatureSpec], is_common: &[bool], weightless: &[String]) -> Self {
        let rule = |(spec, is_common): (&FeatureSpec, &bool)| Rule {
            missing: spec.missing,
            absence: spec.absence,
            weighs: !is_common && !weightless.contains(&spec.name),
            aggregates: false,
            range: None,
        };
        Self {
            list: specs.iter().zip(is_common).map(rule).collect(),
            is_common: is_common.to_vec(),
            freshness: Freshness::new(&[], 0, 0),
        }
    }
}
