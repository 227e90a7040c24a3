//! Backfill: the scores of a backtest in the form in which a server imports history.
//!
//! In: a backtest and the name of the model. Out: `anomaly_score` with the labels and the `model` label that
//! serving would have given it, at each step that has a score, in the text format of OpenMetrics with
//! timestamps in seconds. `promtool tsdb create-blocks-from openmetrics` makes blocks of it. The file
//! appears only when it is complete.
//!
//! Source: OpenMetrics 1.0, "Text format"; Prometheus documentation "Storage", backfilling from OpenMetrics.

use std::io::{BufWriter, Write};
use std::path::Path;

use super::backtest::Backtest;
use super::output::OutputError;
use crate::files::Draft;

/// What the series are, as on the metrics page.
const HEAD: &str = "# HELP anomaly_score Error divided by the trained threshold: above 1 is anomalous.\n\
                    # TYPE anomaly_score gauge\n";

/// Writes the scores.
///
/// # Errors
/// When the file cannot be written.
pub fn write(path: &Path, backtest: &Backtest, model: &str) -> Result<(), OutputError> {
    let failed = |source| OutputError::Write { path: path.to_path_buf(), source };
    let mut file = BufWriter::new(Draft::of(path).map_err(failed)?);
    lines(&mut file, backtest, model).map_err(failed)?;
    file.into_inner().map_err(|error| failed(error.into_error()))?.publish().map_err(failed)
}

fn lines(file: &mut impl Write, backtest: &Backtest, model: &str) -> std::io::Result<()> {
    file.write_all(HEAD.as_bytes())?;
    for entity in &backtest.entities {
        let own = entity.labels.iter().chain([("model", model)]);
        let pairs: Vec<String> =
            own.map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = pairs.join(",");
        let scores = backtest.times_ms.iter().zip(&entity.scores);
        for (time_ms, score) in scores.filter(|(_, score)| score.is_finite()) {
            let (seconds, rest) = (time_ms.div_euclid(1_000), time_ms.rem_euclid(1_000));
            writeln!(file, "anomaly_score{{{labels}}} {score} {seconds}.{rest:03}")?;
        }
    }
    file.write_all(b"# EOF\n")
}

/// A label value between quotes.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Scored;
    use crate::labels::Labels;

    #[test]
    fn scores_are_lines_with_their_times() {
        let scored = |instance: &str, scores: &[f64]| Scored {
            labels: Labels::from_pairs([("job", "n"), ("instance", instance)]).expect("two names"),
            scores: scores.to_vec(),
            thresholds: vec![1.0; scores.len()],
            states: Vec::new(),
            excluded: Vec::new(),
            blame: Vec::new(),
        };
        let backtest = Backtest {
            times_ms: vec![60_000, 75_500],
            step_ms: 15_500,
            entities: vec![scored("a\"\\\n", &[f64::NAN, 0.25]), scored("b", &[1.5, 2e-7])],
            by_feature: Vec::new(),
            feature_names: Vec::new(),
        };
        let mut text = Vec::new();
        lines(&mut text, &backtest, "own").expect("memory takes it");
        let expected = format!(
            "{HEAD}anomaly_score{{instance=\"a\\\"\\\\\\n\",job=\"n\",model=\"own\"}} 0.25 75.500\n\
             anomaly_score{{instance=\"b\",job=\"n\",model=\"own\"}} 1.5 60.000\n\
             anomaly_score{{instance=\"b\",job=\"n\",model=\"own\"}} 0.0000002 75.500\n# EOF\n"
        );
        assert_eq!(String::from_utf8(text).expect("text"), expected);
    }
}
