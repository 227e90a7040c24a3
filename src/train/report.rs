//! A summary of a training: what went in, what was left out, what came out.

use std::fmt;
use std::path::PathBuf;

use super::dataset::Cleaning;
use super::fit::Course;
use crate::history::Counts;
use crate::model::Metadata;

/// What went in, what was left out, what came out. Displayed as a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Summary {
    /// What became of the recording.
    pub cleaning: Cleaning,
    /// What the source held that is not in the recording.
    pub counts: Counts,
    /// Rows of the training part.
    pub training_rows: usize,
    /// Features that never moved in training: they count when they depart from their value.
    pub constant: Vec<String>,
    /// Features that tell the time: inputs that do not count in the error.
    pub context: Vec<String>,
    /// Features that tell the time and were left out, since the range is too short to learn them.
    pub neutral: Vec<String>,
    /// How the fit went.
    pub course: Course,
    /// What the file says of itself.
    pub metadata: Metadata,
    /// The file.
    pub output: PathBuf,
    /// Its size.
    pub bytes: usize,
}

impl Summary {
    fn lines(&self) -> Vec<(&'static str, String)> {
        let (cleaning, course) = (&self.cleaning, &self.course);
        let time = |ms: Option<i64>| ms.map_or_else(String::new, crate::timestamp::format_ms);
        let metadata = &self.metadata;
        let mut lines = vec![
            (
                "range",
                format!(
                    "{} to {}, step {}",
                    time(metadata.trained_from_ms),
                    time(metadata.trained_to_ms),
                    metadata.step
                ),
            ),
            (
                "entities",
                format!("{} with data, {} without", cleaning.entities, cleaning.empty_entities),
            ),
            (
                "rows",
                format!(
                    "{} complete ({} training, {} validation), {} dropped",
                    cleaning.rows,
                    self.training_rows,
                    cleaning.rows - self.training_rows,
                    cleaning.dropped
                ),
            ),
            ("excluded", counted_steps(cleaning.excluded, "entity steps")),
            ("duplicated", counted_steps(self.counts.duplicated, "lines with the time of another")),
            ("infinite", self.counted(&self.counts.infinite)),
            ("dropped for", self.counted(&cleaning.dropped_for)),
            ("filled", self.counted(&cleaning.filled)),
            ("features", metadata.features.len().to_string()),
            ("never moved", self.constant.join(", ")),
            ("tell the time", self.context.join(", ")),
            ("left out", self.neutral_line()),
            ("passes", format!("{}, best {}", course.epochs, course.best_epoch)),
            (
                "loss",
                format!(
                    "{:.3e} training, {:.3e} validation",
                    course.training_loss, course.validation_loss
                ),
            ),
            ("threshold", format!("{:.6e} ({})", metadata.threshold, metadata.threshold_method)),
        ];
        if let Some(validation) = &metadata.validation {
            let text = format!(
                "{:.2} % of {} rows above the threshold, largest {:.3e}",
                100.0 * validation.above_threshold,
                validation.rows,
                validation.max_error
            );
            lines.push(("validation", text));
        }
        let file = format!("{} ({} bytes)", self.output.display(), self.bytes);
        lines.push(("written", file));
        lines.retain(|(_, text)| !text.is_empty());
        lines
    }

    /// Names with counts, of those that have any.
    fn counted(&self, counts: &[usize]) -> String {
        let features = self.metadata.features.iter().zip(counts);
        let texts = features
            .filter(|(_, count)| **count > 0)
            .map(|(feature, count)| format!("{} ({count})", feature.name));
        texts.collect::<Vec<_>>().join(", ")
    }

    fn neutral_line(&self) -> String {
        if self.neutral.is_empty() {
            return String::new();
        }
        let names = self.neutral.join(", ");
        format!("{names}: the range does not cover their period")
    }
}

/// Nothing where there are none.
fn counted_steps(count: usize, what: &str) -> String {
    if count == 0 { String::new() } else { format!("{count} {what}") }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, text) in self.lines() {
            writeln!(f, "{name:<14} {text}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::duration::Duration;
    use crate::features::FeatureSpec;
    use crate::model::Validation;

    #[test]
    fn a_table_tells_what_went_in_and_came_out() {
        let features = vec![FeatureSpec::new("cpu", "a"), FeatureSpec::new("hour", "hour()")];
        let mut metadata =
            Metadata::new(features, vec!["instance".to_owned()], Duration::from_seconds(15));
        metadata.threshold = 0.001_25;
        metadata.threshold_method = "percentile 99.5".to_owned();
        metadata.trained_from_ms = Some(0);
        metadata.trained_to_ms = Some(3_600_000);
        metadata.validation = Some(Validation {
            rows: 20,
            mean_error: 0.001,
            max_error: 0.002,
            above_threshold: 0.05,
        });
        let summary = Summary {
            cleaning: Cleaning {
                entities: 1,
                rows: 100,
                dropped: 3,
                excluded: 7,
                dropped_for: vec![3, 0],
                filled: vec![0, 0],
                ..Cleaning::default()
            },
            counts: Counts { duplicated: 2, infinite: vec![0, 4] },
            training_rows: 80,
            constant: Vec::new(),
            context: Vec::new(),
            neutral: vec!["hour".to_owned()],
            course: Course {
                epochs: 9,
                best_epoch: 7,
                training_loss: 0.001,
                validation_loss: 0.0015,
            },
            metadata,
            output: "m.onnx".into(),
            bytes: 1234,
        };
        let expected = "\
range          1970-01-01T00:00:00Z to 1970-01-01T01:00:00Z, step 15s
entities       1 with data, 0 without
rows           100 complete (80 training, 20 validation), 3 dropped
excluded       7 entity steps
duplicated     2 lines with the time of another
infinite       hour (4)
dropped for    cpu (3)
features       2
left out       hour: the range does not cover their period
passes         9, best 7
loss           1.000e-3 training, 1.500e-3 validation
threshold      1.250000e-3 (percentile 99.5)
validation     5.00 % of 20 rows above the threshold, largest 2.000e-3
written        m.onnx (1234 bytes)
";
        assert_eq!(summary.to_string(), expected);
    }
}
