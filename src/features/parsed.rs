//! Features that parse: what a model's features are before a store is bound to them.

use std::collections::HashSet;

use super::freshness::Freshness;
use super::rules::Rules;
use super::spec::FeatureSpec;
use crate::promql::{Expr, ParseError};

/// Why features cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FeatureError {
    /// There is nothing to compute.
    #[error("there are no features")]
    Empty,
    /// There is nothing to tell entities apart by.
    #[error("there are no entity labels")]
    NoEntity,
    /// Two features have one name.
    #[error("feature {0:?} is defined twice")]
    Twice(String),
    /// A name is empty.
    #[error("the feature with the expression {0:?} has no name")]
    Nameless(String),
    /// The expression is not PromQL, or not the part of it that can be computed here.
    #[error("feature {name:?}: {source}")]
    Expression {
        /// The feature.
        name: String,
        /// What is wrong with its expression.
        #[source]
        source: ParseError,
    },
    /// The expression aggregates an entity label away.
    #[error(
        "feature {name:?}: its result has the labels {found:?}, but the entity labels are \
         {entity:?}; aggregate by those"
    )]
    EntityLost {
        /// The feature.
        name: String,
        /// Labels of the result.
        found: Vec<String>,
        /// Labels that it should have.
        entity: Vec<String>,
    },
}

/// Features that parse, with the labels that make an entity; not bound to a store yet.
#[derive(Debug, Clone)]
pub struct Features {
    pub(super) specs: Vec<FeatureSpec>,
    pub(super) exprs: Vec<Expr>,
    pub(super) entity: Vec<String>,
    pub(super) can_mask: bool,
    pub(super) weightless: Vec<String>,
    pub(super) step_ms: i64,
}

impl Features {
    /// Parses and checks every expression.
    ///
    /// # Errors
    /// The first feature that cannot be computed, by name.
    pub fn parse(specs: &[FeatureSpec], entity: &[String]) -> Result<Self, FeatureError> {
        if specs.is_empty() {
            return Err(FeatureError::Empty);
        }
        if entity.is_empty() {
            return Err(FeatureError::NoEntity);
        }
        let mut exprs: Vec<Expr> = Vec::with_capacity(specs.len());
        let mut names = HashSet::with_capacity(specs.len());
        for spec in specs {
            let name = spec.name.clone();
            if name.is_empty() {
                return Err(FeatureError::Nameless(spec.expr.clone()));
            }
            if !names.insert(spec.name.as_str()) {
                return Err(FeatureError::Twice(name));
            }
            let expr = Expr::parse(&spec.expr)
                .map_err(|source| FeatureError::Expression { name: name.clone(), source })?;
            if let Some(found) = expr.output_labels() {
                let lost = entity.iter().any(|label| !found.contains(label));
                if lost && !found.is_empty() {
                    return Err(FeatureError::EntityLost { name, found, entity: entity.to_vec() });
                }
            }
            exprs.push(expr);
        }
        Ok(Self {
            specs: specs.to_vec(),
            exprs,
            entity: entity.to_vec(),
            can_mask: false,
            weightless: Vec::new(),
            step_ms: 0,
        })
    }

    /// The same features for a model that can do without some of them, or cannot.
    #[must_use]
    pub fn maskable(mut self, can_mask: bool) -> Self {
        self.can_mask = can_mask;
        self
    }

    /// The same features for a model whose error does not depend on these, by name.
    #[must_use]
    pub fn weightless(mut self, names: &[String]) -> Self {
        self.weightless = names.to_vec();
        self
    }

    /// The same features for a model that is evaluated at steps of this length: what is shorter than
    /// history can tell of them is taken as that.
    #[must_use]
    pub fn at_steps_of(mut self, step_ms: i64) -> Self {
        self.step_ms = step_ms;
        self
    }

    /// The features as they were written, in order.
    #[must_use]
    pub fn specs(&self) -> &[FeatureSpec] {
        &self.specs
    }

    /// The parsed expressions, in the same order.
    #[must_use]
    pub fn exprs(&self) -> &[Expr] {
        &self.exprs
    }

    pub(super) fn can_mask(&self) -> bool {
        self.can_mask
    }

    /// Freshness by their ranges, when no sample may be older than `stale_after_ms`.
    #[must_use]
    pub fn freshness(&self, stale_after_ms: i64) -> Freshness {
        self.rules().freshness.with(stale_after_ms, Freshness::resolution_ms(self.step_ms))
    }

    pub(super) fn rules(&self) -> Rules {
        Rules::new(&self.specs, &self.exprs, &self.weightless)
    }

    /// How far back the longest range of an expression looks that tells entities apart.
    #[must_use]
    pub fn longest_range_ms(&self) -> i64 {
        let own = self.exprs().iter().filter(|it| !it.is_common());
        own.map(Expr::range_ms).max().unwrap_or(0)
    }
}
