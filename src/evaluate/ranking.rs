//! A ranking: the samples from the highest score to the lowest, each judged by itself.
//!
//! In: finite scores and labels of both kinds. Out: average precision (the area below precision
//! and recall), the area below the receiver operating characteristic, and the best F1 of any
//! threshold. Equal scores are one step: no order among them can help or harm.
//!
//! Source: average precision and curves as scikit-learn defines them (`average_precision_score`,
//! `roc_auc_score`, `precision_recall_curve`).

/// Samples in descending order of their scores; equal ones in order of time.
pub(super) fn descending(scores: &[f64]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    // Finite scores compare; 0 and -0 are equal, as `total_cmp` would not have them.
    order.sort_by(|a, b| scores[*b].partial_cmp(&scores[*a]).unwrap_or(std::cmp::Ordering::Equal));
    order
}

/// One step down the ranking: the samples at or above one score.
#[derive(Clone, Copy)]
struct Step {
    hits: f64,
    misses: f64,
}

/// Average precision, area below the characteristic, best F1.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Areas {
    pub auc_pr: f64,
    pub auc_roc: f64,
    pub best_f1: f64,
}

/// The areas of a ranking that holds anomalous and normal samples.
pub(super) fn areas(scores: &[f64], labels: &[bool], order: &[usize]) -> Areas {
    let steps = steps(scores, labels, order);
    let Some(&Step { hits: anomalous, misses: normal }) = steps.last() else {
        return Areas { auc_pr: f64::NAN, auc_roc: f64::NAN, best_f1: f64::NAN };
    };
    let mut areas = Areas { auc_pr: 0.0, auc_roc: 0.0, best_f1: 0.0 };
    let mut before = Step { hits: 0.0, misses: 0.0 };
    for step in steps {
        let precision = step.hits / (step.hits + step.misses);
        let recall = step.hits / anomalous;
        areas.auc_pr += (recall - before.hits / anomalous) * precision;
        let width = (step.misses - before.misses) / normal;
        areas.auc_roc += width * (recall + before.hits / anomalous) / 2.0;
        if step.hits > 0.0 {
            areas.best_f1 = areas.best_f1.max(2.0 * precision * recall / (precision + recall));
        }
        before = step;
    }
    areas
}

fn steps(scores: &[f64], labels: &[bool], order: &[usize]) -> Vec<Step> {
    let mut step = Step { hits: 0.0, misses: 0.0 };
    let ties = order.chunk_by(|a, b| scores[*a] == scores[*b]);
    let sums = ties.map(|ties| {
        let hits = ties.iter().filter(|i| labels[**i]).count();
        step.hits += hits as f64;
        step.misses += (ties.len() - hits) as f64;
        step
    });
    sums.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(scores: &[f64], labels: &[u8], [auc_pr, auc_roc, best_f1]: [f64; 3]) {
        let labels: Vec<bool> = labels.iter().map(|label| *label == 1).collect();
        let found = areas(scores, &labels, &descending(scores));
        assert_eq!(found, Areas { auc_pr, auc_roc, best_f1 });
    }

    #[test]
    fn a_perfect_and_a_reversed_ranking() {
        check(&[1.0, 2.0, 3.0, 4.0], &[0, 0, 1, 1], [1.0, 1.0, 1.0]);
        check(&[4.0, 3.0], &[0, 1], [0.5, 0.0, 2.0 / 3.0]);
    }

    #[test]
    fn equal_scores_tell_nothing() {
        check(&[0.0, -0.0, 0.0, -0.0], &[0, 1, 0, 1], [0.5, 0.5, 2.0 / 3.0]);
        check(&[7.0, 7.0, 7.0, 7.0], &[1, 0, 0, 0], [0.25, 0.5, 0.4]);
    }
}
