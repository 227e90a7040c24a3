//! An annotation: what an evaluation has to say of a query besides its value. A warning is of what is
//! likely wrong, an info of what may be.
//!
//! A parser remembers the calls and operators of a query that may have one, with their places in the text;
//! a feature has none, so that at a tick nothing is looked at. A text is said once for a query, at the place
//! of what was evaluated last of all that say it, as in Prometheus.
//! Source: Prometheus `util/annotations/annotations.go` and where `promql/engine.go` and
//! `promql/functions.go` add some.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::sync::Arc;

use crate::promql::operators::go_format::general;
use crate::promql::syntax::error::place;
use crate::promql::syntax::expr::Expr;
use crate::promql::syntax::site::Site;

/// Texts of one kind that are kept for an answer; the others are counted. As many as Prometheus shows.
const MAX_SHOWN: usize = 10;

/// What was said of a query.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Annotations {
    /// What is likely wrong.
    pub warnings: Said,
    /// What may be.
    pub infos: Said,
}

/// The annotations of one kind.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// The first ones, each with its place: `PromQL warning: … (1:10)`.
    pub texts: Vec<String>,
    /// How many more there are.
    pub more: usize,
}

/// How much an annotation weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Severity {
    Warning,
    Info,
}

/// The annotations of a run.
#[derive(Debug)]
pub(super) struct Notes {
    text: Arc<str>,
    sites: Arc<[Site]>,
    /// By kind and text, of which many need not be kept: where it is said, and by which site.
    said: HashMap<(Severity, u64), (usize, usize)>,
    warnings: Vec<String>,
    infos: Vec<String>,
    /// Of aggregations the smallest and largest quantile, and whether one was NaN: Prometheus looks at all
    /// instants together there.
    pub(super) quantiles: HashMap<usize, (f64, f64, bool)>,
}

impl Notes {
    pub(super) fn new(text: Arc<str>, sites: Arc<[Site]>) -> Self {
        let (said, quantiles) = (HashMap::new(), HashMap::new());
        Self { text, sites, said, warnings: Vec::new(), infos: Vec::new(), quantiles }
    }

    /// What collects the annotations of an evaluation, if there can be any.
    pub(super) fn of(expr: &Expr) -> Option<Self> {
        let any = !expr.sites().is_empty();
        any.then(|| Self::new(expr.text().into(), Arc::clone(expr.sites())))
    }

    /// Says a text at one of the two places of a site.
    pub(super) fn say(&mut self, kind: Severity, (site, place): (usize, usize), text: String) {
        let at = self.sites[site].places[place];
        let shown = match kind {
            Severity::Warning => &mut self.warnings,
            Severity::Info => &mut self.infos,
        };
        let known = self.said.entry((kind, hash(&text))).or_insert_with(|| {
            if shown.len() < MAX_SHOWN {
                shown.push(text);
            }
            (site, at)
        });
        if site >= known.0 {
            *known = (site, at);
        }
    }

    pub(super) fn say_quantile(&mut self, site: usize, quantile: f64) {
        let text = format!(
            "PromQL warning: quantile value should be between 0 and 1, got {}",
            general(quantile)
        );
        self.say(Severity::Warning, (site, 0), text);
    }

    /// All that was said.
    pub(super) fn annotations(&mut self) -> Annotations {
        let quantiles: Vec<_> = self.quantiles.drain().collect();
        for (site, (least, most, is_nan)) in quantiles {
            let wrong = [(f64::NAN, is_nan), (most, most > 1.0), (least, least < 0.0)];
            let wrong = wrong.into_iter().filter(|(_, is_wrong)| *is_wrong);
            wrong.for_each(|(quantile, _)| self.say_quantile(site, quantile));
        }
        let all = |kind: Severity, texts: &[String]| {
            let texts: Vec<String> = texts
                .iter()
                .map(|text| {
                    let (line, column) = place(&self.text, self.said[&(kind, hash(text))].1);
                    format!("{text} ({line}:{column})")
                })
                .collect();
            let of_kind = self.said.keys().filter(|(other, _)| *other == kind).count();
            Said { more: of_kind - texts.len(), texts }
        };
        Annotations {
            warnings: all(Severity::Warning, &self.warnings),
            infos: all(Severity::Info, &self.infos),
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}
