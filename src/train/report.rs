//! A summary of a training: what went in, what was left out, what came out.

use std::fmt;
use std::path::PathBuf;

use super::branches::BranchKind;
use super::config::TrainConfig;
use super::data::Cleaning;
use super::fit::{Course, Sharing};
use super::hindsight::{Called, Hindsight};
use super::left_out::LeftOut;
use super::threshold::Thresholds;
use super::tune::{TrialResult, Tuning};
use crate::history::Range;
use crate::model::Metadata;
use crate::timestamp::{format_ms, format_ranges};

/// Moments that are listed.
const SHOWN: usize = 20;

/// What went in, what was left out, what came out. Displayed as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// The ranges of time that a server was asked for, in order; none of a table.
    pub ranges: Vec<Range>,
    /// What became of the recording.
    pub cleaning: Cleaning,
    /// Windows: to fit the network on, and to decide when its learning ends; all others learn from both.
    pub windows: [usize; 2],
    /// The moments that stand out and were not learnt from.
    pub left_out: Vec<LeftOut>,
    /// Features that never moved in training: they count when they depart from their value.
    pub constant: Vec<String>,
    /// Features that tell the time: inputs that do not count in the error.
    pub context: Vec<String>,
    /// Features that are not learnt from: they tell the time or were never there.
    pub neutral: Vec<String>,
    /// The branches of the model and what each counts for.
    pub branches: Vec<(BranchKind, f64)>,
    /// Entities with a model of their own.
    pub own: usize,
    /// Entities that go with the shared one, where each should have had its own.
    pub sharing: Vec<Sharing>,
    /// The settings of the fit: those of the best trial, where there were trials.
    pub config: TrainConfig,
    /// How the network's fit went; empty without one.
    pub course: Course,
    /// Every trial, where there were any.
    pub tuning: Option<Tuning>,
    /// Every method's threshold, and the chosen one.
    pub thresholds: Thresholds,
    /// How often it would have called there.
    pub called: Called,
    /// What the model would have said of its own training range.
    pub hindsight: Hindsight,
    /// What the file says of itself.
    pub metadata: Metadata,
    /// The file.
    pub output: PathBuf,
    /// Its size.
    pub bytes: usize,
}

impl Summary {
    /// Names and texts, in order.
    pub(super) fn lines(&self) -> Vec<(&'static str, String)> {
        let mut lines = self.left_out_lines();
        lines.extend(self.data_lines());
        lines.extend(self.fit_lines());
        lines.retain(|(_, text)| !text.is_empty());
        lines
    }

    /// What stands out, first of all: who knows better has to see it.
    fn left_out_lines(&self) -> Vec<(&'static str, String)> {
        let count = self.left_out.len();
        if count == 0 {
            return Vec::new();
        }
        let text = match count {
            1 => "1 moment stands out and was not learnt from; if it was normal: --keep START..END"
                .into(),
            _ => format!(
                "{count} moments stand out and were not learnt from; if one was normal: --keep \
                 START..END"
            ),
        };
        let moments = self.left_out.iter().take(SHOWN).map(|moment| self.moment(moment).join("  "));
        let mut lines = vec![("left out", text)];
        lines.extend(moments.map(|text| ("", text)));
        if count > SHOWN {
            lines.push(("", format!("and {} more, which --report lists", count - SHOWN)));
        }
        lines
    }

    /// Who, when, which features, and how far.
    pub(super) fn moment(&self, moment: &LeftOut) -> [String; 4] {
        let [from, to] = [moment.from_ms, moment.to_ms].map(format_ms);
        let names = moment.features.iter().map(|it| self.metadata.features[*it].name.as_str());
        [
            moment.labels.entity_name(),
            format!("{from}..{to}"),
            names.collect::<Vec<_>>().join(", "),
            format!("{:.1} times the usual", moment.peak),
        ]
    }

    fn data_lines(&self) -> Vec<(&'static str, String)> {
        let (cleaning, metadata) = (&self.cleaning, &self.metadata);
        let entities =
            format!("{} with data, {} without", cleaning.entities, cleaning.empty_entities);
        let [fit, stopping] = self.windows;
        let steps = format!("{} used, {} dropped", cleaning.rows, cleaning.dropped);
        let some = |count: usize, text: &str| match count {
            0 => String::new(),
            count => format!("{count} {text}"),
        };
        let asked = self.ranges.iter().map(|it| (it.start_ms, it.end_ms));
        let whole = metadata.trained_from_ms.zip(metadata.trained_to_ms);
        let range = |it: String| ("range", format!("{it}, step {}", metadata.step));
        let mut lines: Vec<_> = format_ranges(asked, whole).into_iter().map(range).collect();
        lines.extend([
            ("entities", entities),
            ("sampled", self.sampled()),
            ("steps", steps),
            ("excluded", some(cleaning.excluded, "steps, with 15m before and 30m after")),
            (
                "in no window",
                some(cleaning.without_window, "used steps, with gaps nearer than a window is long"),
            ),
            ("duplicated", some(cleaning.duplicated, "lines, of which the first counts")),
            (
                "windows",
                format!(
                    "{} runs of {} steps to learn from; the latest {stopping} of them tell the network when \
                     it has learnt enough",
                    fit + stopping,
                    metadata.window
                ),
            ),
        ]);
        lines.extend(cleaning.by_feature().map(|(name, counts)| (name, self.counted(counts))));
        lines.extend([
            ("features", metadata.features.len().to_string()),
            ("never moved", self.constant.join(", ")),
            ("tell the time", self.context.join(", ")),
            ("not learnt", self.neutral.join(", ")),
        ]);
        lines
    }

    /// How many of the entities were learnt from, where that are not all.
    pub(super) fn sampled(&self) -> String {
        let Cleaning { entities, empty_entities, others, .. } = self.cleaning;
        let taken = entities + empty_entities;
        match others {
            0 => String::new(),
            _ => format!(
                "{taken} of {} entities, as train.max_memory is {}",
                taken + others,
                self.config.max_memory
            ),
        }
    }

    /// Who has a model of its own, and who not.
    fn own_lines(&self) -> Vec<(&'static str, String)> {
        if self.own + self.sharing.len() == 0 {
            return Vec::new();
        }
        let text = format!("{} entities, {} share one", self.own, self.sharing.len());
        let sharing =
            self.sharing.iter().map(|it| ("shares", format!("{}: {}", it.labels, it.reason)));
        [("own models", text)].into_iter().chain(sharing).collect()
    }

    fn fit_lines(&self) -> Vec<(&'static str, String)> {
        let metadata = &self.metadata;
        let share = |(kind, share): &(BranchKind, f64)| format!("{} {:.2}", kind.name(), share);
        let shares: Vec<String> = self.branches.iter().map(share).collect();
        let parts = format!("its parts, and how much each counts: {}", shares.join(", "));
        let mut lines = vec![("model", parts), ("network", self.network_line())];
        lines.extend(self.own_lines());
        if let Some(tuning) = &self.tuning {
            lines.push(("trials", trials_line(tuning)));
        }
        let chosen = &self.thresholds.candidates[self.thresholds.chosen];
        lines.push((
            "threshold",
            format!("{:.6} ({})", metadata.threshold, metadata.threshold_method),
        ));
        lines.push(("", chosen.meaning().to_owned()));
        lines.push(("found", chosen.note.clone()));
        lines.push(("warning", self.thresholds.warning.clone()));
        if let Some(scores) = &metadata.training_scores {
            let text = format!(
                "{:.2} % of {} scores above the threshold, largest {:.3}",
                100.0 * scores.above_threshold,
                scores.rows,
                scores.max_error / metadata.threshold
            );
            lines.push(("scores", text));
        }
        let Called { episodes, left_out, hours_per_week, entity_weeks } = self.called;
        let times = if episodes == 1 { "time" } else { "times" };
        let text = format!(
            "{episodes} {times} over this history, {left_out} of them for what was left out; all hosts together \
             have scores of {entity_weeks:.3} weeks; a host is above its threshold {hours_per_week:.2} hours a \
             week"
        );
        lines.push(("would call", text));
        let file = format!("{} ({} bytes)", self.output.display(), self.bytes);
        lines.push(("written", file));
        lines
    }

    fn network_line(&self) -> String {
        let course = &self.course;
        let Some(best) = course.best_epoch.checked_sub(1) else {
            return String::new();
        };
        format!(
            "layers of {:?} numbers, {} passes over the runs, the best is number {}: it restores {:.2} % of what \
             values vary by where it learns, {:.2} % in the latest runs",
            self.config.layers,
            course.epochs,
            course.best_epoch,
            100.0 * (1.0 - course.training[best]),
            100.0 * (1.0 - course.stopping[best])
        )
    }

    /// Names with counts, of those that have any.
    fn counted(&self, counts: &[usize]) -> String {
        let features = self.metadata.features.iter().zip(counts);
        let texts = features
            .filter(|(_, count)| **count > 0)
            .map(|(feature, count)| format!("{} ({count})", feature.name));
        texts.collect::<Vec<_>>().join(", ")
    }
}

/// How many trials there were, and how well the best one and the configured one tell faults.
fn trials_line(tuning: &Tuning) -> String {
    let best = tuning.best.zip(tuning.best().and_then(TrialResult::figure));
    let best = match best {
        Some((best, figure)) => format!("best {}, which tells faults by {figure:.3}", best + 1),
        None => "none complete".to_owned(),
    };
    let configured = match tuning.trials.first().and_then(TrialResult::figure) {
        Some(figure) if tuning.best != Some(0) => format!("; the configured one by {figure:.3}"),
        _ => String::new(),
    };
    format!("{}, {best}{configured} (ROC AUC)", tuning.trials.len())
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self.lines() {
            writeln!(f, "{name:<14} {text}")?;
        }
        Ok(())
    }
}
