//! A question: an expression to ask at every step, whose it is, and what is known of it so far.
//!
//! Where a server refuses a feature because label sets clash, there may be another text that leaves
//! out the match groups that do, as serving does; see [`crate::promql::Expr::lenient_text`].

use std::sync::Arc;

use crate::promql::Expr;

pub(super) mod grid;
pub(super) mod groups;
pub(super) mod query;
pub(super) mod query_texts;

use grid::Grid;
use groups::{Texts, WantedEntities};
use query::HistoryQuery;
use query_texts::QueryTexts;

/// What an answer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The values of a feature.
    Feature(usize),
    /// Steps that are left out.
    Exclusion,
    /// Steps that are marked as anomalous.
    Label,
    /// When the newest samples of entities were taken.
    Sighting,
}

/// An expression, and whose it is.
#[derive(Debug, Clone)]
pub(crate) struct Question {
    /// For messages.
    pub what: String,
    pub expr: Arc<str>,
    pub purpose: Purpose,
    /// The steps it is asked at.
    pub grid: Arc<Grid>,
    /// Steps that were not too much, as far as is known.
    pub max_steps: usize,
    /// Whether it is known to have a result somewhere.
    pub has_result: bool,
    /// The text without the groups that clash, and whether the server can do nothing with it.
    lenient: Option<Arc<str>>,
    lenient_is_refused: bool,
    /// Steps that were answered by that text, and why the first of them were.
    answered_leniently: usize,
    clash: Option<String>,
    /// Steps that were left out, and why the first of them was.
    left_out: usize,
    words: Option<String>,
}

impl Question {
    /// Of which nothing is known yet.
    pub fn new(
        what: String,
        expr: &str,
        purpose: Purpose,
        grid: &Arc<Grid>,
        max_steps: usize,
    ) -> Self {
        Self {
            what,
            expr: expr.into(),
            purpose,
            grid: Arc::clone(grid),
            max_steps,
            has_result: false,
            lenient: None,
            lenient_is_refused: false,
            answered_leniently: 0,
            clash: None,
            left_out: 0,
            words: None,
        }
    }

    /// With a text for where label sets clash.
    pub fn or(mut self, lenient: Option<&str>) -> Self {
        self.lenient = lenient.map(Into::into);
        self
    }

    /// Whether single steps that the server refuses may be left out.
    pub fn may_lack_steps(&self) -> bool {
        !matches!(self.purpose, Purpose::Exclusion | Purpose::Label)
    }

    /// Whether there is another text where label sets clash.
    pub fn has_lenient(&self) -> bool {
        self.lenient.is_some() && !self.lenient_is_refused
    }

    pub fn text(&self, is_lenient: bool) -> &Arc<str> {
        self.lenient.as_ref().filter(|_| is_lenient).unwrap_or(&self.expr)
    }

    /// The other text is not asked again. Gives what the server said of this one.
    pub fn give_up_lenient(&mut self) -> String {
        self.lenient_is_refused = true;
        self.clash.clone().unwrap_or_default()
    }

    /// Remembers why the other text is asked.
    pub fn clashes(&mut self, words: String) {
        self.clash.get_or_insert(words);
    }

    /// Remembers that a step is left out.
    pub fn leave_out(&mut self, words: String) {
        self.left_out += 1;
        self.words.get_or_insert(words);
    }

    /// Remembers an answer.
    pub fn answered(&mut self, steps: usize, is_lenient: bool, has_result: bool) {
        self.has_result |= has_result;
        if is_lenient {
            self.answered_leniently += steps;
        }
    }

    /// Says what is not whole, and what is of no use.
    pub fn tell(&self) {
        if self.purpose == Purpose::Exclusion && !self.has_result {
            tracing::info!(query = %self.expr, "an exclusion has no result at any step: it excludes nothing");
        }
        if let Some(words) = self.clash.as_ref().filter(|_| self.answered_leniently > 0) {
            tracing::warn!(
                query = self.what,
                steps = self.answered_leniently,
                reason = words,
                "the server refuses steps at which label sets clash: they were asked without the \
                 groups that do"
            );
        }
        if let Some(words) = &self.words {
            tracing::warn!(
                query = self.what,
                steps = self.left_out,
                reason = words,
                "the server refuses steps at which label sets clash: they are left out"
            );
        }
    }
}

/// The steps of features, and the instants at which it is asked when samples were taken.
pub(crate) type Grids<'a> = (&'a Arc<Grid>, Option<&'a Arc<Grid>>);

/// What tells who is there, of whoever there may be.
pub(crate) fn who(asked: &QueryTexts, (_, instants): Grids<'_>) -> Option<Question> {
    let (expr, grid) = (asked.sightings.as_ref()?, instants?);
    Some(Question::new("the entities".to_owned(), expr, Purpose::Sighting, grid, 1))
}

/// Everything that is asked, of some entities alone where only they are wanted and the text allows it.
pub(crate) fn all(
    query: &HistoryQuery,
    asked: &QueryTexts,
    (grid, instants): Grids<'_>,
    wanted: Option<&WantedEntities>,
) -> Vec<Question> {
    let max_steps = query.config.max_steps_per_query;
    let each = |what: &str, texts: Texts, purpose: Purpose, grid: &Arc<Grid>| -> Vec<Question> {
        let groups = wanted.and_then(|it| it.groups(&texts));
        let is_common = Expr::parse(&texts.0).is_ok_and(|it| it.is_common());
        if wanted.is_some_and(|it| it.tells) && groups.is_none() && !is_common {
            tracing::info!(
                query = what,
                "a query is asked for all entities: it cannot be restricted to the sample"
            );
        }
        let questions = groups.unwrap_or_else(|| vec![texts]).into_iter().map(|(text, lenient)| {
            Question::new(what.to_owned(), &text, purpose, grid, max_steps).or(lenient.as_deref())
        });
        questions.collect()
    };
    let mut all = Vec::new();
    for (i, feature) in query.features.iter().enumerate() {
        let texts = (asked.features[i].clone(), asked.lenient[i].clone());
        all.extend(each(&format!("feature {:?}", feature.name), texts, Purpose::Feature(i), grid));
    }
    all.extend(query.exclude.queries.iter().map(|expr| {
        Question::new("an exclusion".to_owned(), expr, Purpose::Exclusion, grid, max_steps)
    }));
    if let (Some(instants), Some(expr)) = (instants, &asked.sightings) {
        let texts = (expr.clone(), None);
        all.extend(each("the times of samples", texts, Purpose::Sighting, instants));
    }
    all
}
