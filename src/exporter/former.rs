//! Former models: removes the metrics of models that a reload has renamed or removed.
//!
//! In: Portent's own metrics as text, and the models in use. Out: the text without series of other models.
//! The recorder forgets nothing that is still referred to. If such a model comes back, its counters continue
//! where they were, as counters of a process do.

use super::ModelInfo;

/// The text without the series of models that are not in use, and without families that have none left.
pub(super) fn without(text: &str, models: &[ModelInfo]) -> String {
    let mut kept = String::with_capacity(text.len());
    let mut heading = String::new();
    for line in text.split_inclusive('\n') {
        match line.strip_prefix('#') {
            // A family begins with its help; without samples nothing is said of it.
            Some(comment) => {
                if comment.starts_with(" HELP") {
                    heading.clear();
                }
                heading.push_str(line);
            }
            None if line.trim().is_empty() => {
                if heading.is_empty() {
                    kept.push_str(line);
                }
                heading.clear();
            }
            None if model(line).is_none_or(|name| models.iter().any(|it| escaped(it) == name)) => {
                kept.push_str(&std::mem::take(&mut heading));
                kept.push_str(line);
            }
            None => {}
        }
    }
    kept
}

/// The model that a sample is of, as it is written.
fn model(line: &str) -> Option<&str> {
    let labels = line.split_once('{')?.1;
    let from =
        labels.strip_prefix("model=\"").or_else(|| Some(labels.split_once(",model=\"")?.1))?;
    let mut is_escaped = false;
    let end = from.find(|c: char| {
        let ends = c == '"' && !is_escaped;
        is_escaped = c == '\\' && !is_escaped;
        ends
    })?;
    Some(&from[..end])
}

/// A model's name as a label value of the text format.
fn escaped(info: &ModelInfo) -> String {
    info.model.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(model: &str) -> ModelInfo {
        ModelInfo {
            model: model.to_owned(),
            features: 1,
            window: 1,
            threshold_method: String::new(),
            trained_to_ms: None,
        }
    }

    #[test]
    fn only_series_of_models_in_use_are_left() {
        let text = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n\n\
            # HELP b_total B.\n# TYPE b_total counter\nb_total{model=\"old\"} 1\n\n\
            # HELP c C.\n# TYPE c histogram\nc_bucket{model=\"old\",le=\"1\"} 1\n\
            c_bucket{model=\"a \\\"b\\\\\",le=\"1\"} 1\nd{x=\"y\",model=\"old\"} 1\n\n";
        let expected = "# HELP a_total A.\n# TYPE a_total counter\na_total 1\n\n\
            # HELP c C.\n# TYPE c histogram\nc_bucket{model=\"a \\\"b\\\\\",le=\"1\"} 1\n\n";
        assert_eq!(without(text, &[info("a \"b\\")]), expected);
        assert_eq!(without(expected, &[info("a \"b\\"), info("new")]), expected);
        assert_eq!(without("up 1\n", &[]), "up 1\n");
    }
}
