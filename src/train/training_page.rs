//! The page of a training: what it did and why its model may be believed, for a browser.
//!
//! In: a summary and the command that made it. Out: one self-contained HTML page.

use super::hindsight::Moment;
use super::report::Summary;
use super::threshold::Candidate;
use super::tune::{Ending, TrialResult, Tuning};
use crate::report::{
    Bars, Compare, Histogram, Lines, Marker, Page, Panel, Plot, Series, Table, Threshold,
    TimeSeries, TimedSeries,
};

/// Entities of which the scores are shown: the ones with the largest.
const SHOWN_ENTITIES: usize = 5;

/// Lines of the summary that have a section of their own.
const ELSEWHERE: [&str; 2] = ["left out", ""];

/// The histogram reaches so many times as far as the largest score and the threshold.
const FARTHEST: f64 = 1.5;

/// Bins of a histogram.
const BINS: usize = 60;

/// The page.
#[must_use]
pub fn page(summary: &Summary, command: &str) -> String {
    let mut page = Page::new("Portent: training report");
    let model = summary.output.display();
    page.lead(&format!(
        "{model}: entities {}, steps {}, threshold {:.4} ({}).",
        summary.cleaning.entities,
        summary.cleaning.rows,
        summary.metadata.threshold,
        summary.metadata.threshold_method
    ));
    if summary.cleaning.others > 0 {
        page.lead(&format!("A sample: {}.", summary.sampled()));
    }
    left_out(&mut page, summary);
    page.section("Summary", "What went in, what was left out, what came out.");
    let rows = summary.lines().into_iter().filter(|(name, _)| !ELSEWHERE.contains(name));
    page.facts(rows);
    cleaning(&mut page, summary);
    scores(&mut page, summary);
    thresholds(&mut page, summary);
    features(&mut page, summary);
    network(&mut page, summary);
    if let Some(tuning) = &summary.tuning {
        trials(&mut page, tuning);
    }
    page.section("Reproduce", "The same data, configuration and seed give the same file.");
    page.code(command);
    page.render()
}

/// The moments that stand out.
fn left_out(page: &mut Page, summary: &Summary) {
    if summary.left_out.is_empty() {
        return;
    }
    page.section(
        "Left out",
        "These moments stand out from the history and were not learnt from, so that the model \
         finds what looks like them. If one was normal, keep it: --keep START..END.",
    );
    let rows = summary.left_out.iter().map(|moment| summary.moment(moment).to_vec());
    page.table(&Table::new(&["entity", "when", "features", "largest score"], rows));
}

fn cleaning(page: &mut Page, summary: &Summary) {
    let kinds = summary.cleaning.by_feature();
    let rows: Vec<Vec<String>> = (summary.metadata.features.iter().enumerate())
        .map(|(i, feature)| (feature, kinds.map(|(_, counts)| counts.get(i).copied().unwrap_or(0))))
        .filter(|(_, counts)| counts.iter().any(|it| *it > 0))
        .map(|(feature, counts)| {
            let counts = counts.iter().map(ToString::to_string);
            std::iter::once(feature.name.clone()).chain(counts).collect()
        })
        .collect();
    let text = if rows.is_empty() {
        "Every feature had a finite value at every step that was used."
    } else {
        "For each feature: steps dropped for lack of it, values held or filled in, values left out \
         of the error, values far out of what the host has, infinite values, steps that the server refused, values that two series \
         claimed, values of series without the entity labels, entities that never have it."
    };
    page.section("Cleaning", text);
    if !rows.is_empty() {
        let names = kinds.iter().map(|(name, _)| *name);
        let columns: Vec<&str> = std::iter::once("feature").chain(names).collect();
        page.table(&Table::new(&columns, rows));
    }
}

/// The score over the training range.
fn scores(page: &mut Page, summary: &Summary) {
    let (hindsight, threshold) = (&summary.hindsight, summary.metadata.threshold);
    page.section(
        "Scores",
        "What the model would have said of the very steps that it was learnt from: this shows what stands \
         out there, not how it will do. Scores are smoothed and divided by the threshold, as they are \
         served: above 1 is anomalous, where the entity's own recent hours do not excuse it.",
    );
    let largest =
        |scores: &[f64]| scores.iter().copied().filter(|it| it.is_finite()).fold(0.0, f64::max);
    let mut order: Vec<usize> = (0..hindsight.entities.len()).collect();
    order.sort_by(|a, b| {
        let [a, b] = [a, b].map(|i| largest(&hindsight.scores.entities[*i]));
        b.total_cmp(&a)
    });
    let series = order.iter().take(SHOWN_ENTITIES).map(|&entity| TimedSeries {
        name: hindsight.entities[entity].entity_name(),
        points: (hindsight.scores.times_ms.iter().zip(&hindsight.scores.entities[entity]))
            .map(|(time_ms, error)| (*time_ms, error / threshold))
            .collect(),
    });
    let plot = Plot::TimeSeries(TimeSeries {
        title: "Score over the training range".to_owned(),
        y_label: "anomaly_score".to_owned(),
        series: series.collect(),
        thresholds: vec![Threshold { value: 1.0, label: "anomalous above".to_owned() }],
        ..TimeSeries::default()
    });
    let caption = match hindsight.entities.len() {
        0..=SHOWN_ENTITIES => "A score that stays below the line would not have alerted anybody.",
        _ => "The entities with the largest scores.",
    };
    page.plot(&plot, caption);
}

fn thresholds(page: &mut Page, summary: &Summary) {
    let thresholds = &summary.thresholds;
    page.section(
        "Threshold",
        "Every method's threshold for the same scores, before they are divided by it. The chosen one \
         is set in bold.",
    );
    let figure = |value: f64, digits: usize| match value.is_finite() {
        true => format!("{value:.digits$}"),
        false => String::new(),
    };
    let count = |it: &Candidate| it.episodes.map_or_else(String::new, |count| count.to_string());
    let rows = thresholds.candidates.iter().map(|it| {
        vec![
            it.method.clone(),
            it.threshold.as_ref().map_or_else(ToString::to_string, |found| format!("{found:.4}")),
            figure(100.0 * it.above, 2),
            count(it),
            if it.note.is_empty() { it.meaning().to_owned() } else { it.note.clone() },
        ]
    });
    let episodes = format!("episodes in {:.3} entity-weeks", thresholds.entity_weeks);
    let columns = ["method", "threshold", "% above", &episodes, "how"];
    let emphasis = Some(thresholds.chosen);
    page.table(&Table { emphasis, ..Table::new(&columns, rows) });
    let markers = thresholds.candidates.iter().filter_map(|it| {
        let at = *it.threshold.as_ref().ok()?;
        Some(Marker { at, label: it.method.clone() })
    });
    let scores = || summary.hindsight.scores.entities.iter().flatten().copied();
    let largest = scores().filter(|it| it.is_finite()).fold(thresholds.threshold, f64::max);
    // One that is far out would leave the scores a corner.
    let (markers, far): (Vec<Marker>, Vec<Marker>) =
        markers.partition(|it| it.at <= FARTHEST * largest);
    let far: Vec<String> = far.iter().map(|it| format!("{} ({:.4})", it.label, it.at)).collect();
    let plot = Plot::Histogram(Histogram {
        title: "Scores, and the threshold of each method".to_owned(),
        x_label: "smoothed error".to_owned(),
        values: scores().filter(|it| it.is_finite()).collect(),
        bins: BINS,
        log_x: false,
        log_counts: true,
        markers,
    });
    let caption = "How many steps had which score; the counts are logarithmic.";
    let caption = match far.is_empty() {
        true => caption.to_owned(),
        false => format!("{caption} Farther out than is shown: {}.", far.join(", ")),
    };
    page.plot(&plot, &caption);
}

/// What drove errors, and what was and should have been at the worst moments.
fn features(page: &mut Page, summary: &Summary) {
    page.section("Features", "Which features the errors came from.");
    let names = summary.metadata.features.iter().map(|it| it.name.as_str());
    let (title, of) = ("Share of the error by feature", "share of all errors");
    let plot = Plot::Bars(Bars::shares(title, of, names, &summary.hindsight.by_feature));
    page.plot(&plot, "A feature that leads by far here is hard to foretell, or has changed.");
    for moment in &summary.hindsight.worst {
        if let Some(plot) = worst(summary, moment) {
            page.plot(&plot, "Actual against expected around one of the largest errors.");
        }
    }
}

fn worst(summary: &Summary, moment: &Moment) -> Option<Plot> {
    let around = moment.course.as_ref()?;
    let time_ms = summary.hindsight.scores.times_ms[moment.step];
    let panels = around.features.iter().map(|(feature, actual, expected)| Panel {
        label: summary.metadata.features[*feature].name.clone(),
        actual: actual.clone(),
        expected: expected.clone(),
    });
    Some(Plot::Compare(Compare {
        title: format!(
            "{} at {}: score {:.2}",
            summary.hindsight.entities[moment.entity].entity_name(),
            crate::timestamp::format_ms(time_ms),
            moment.error / summary.metadata.threshold
        ),
        times_ms: around.times_ms.clone(),
        moment_ms: Some(time_ms),
        moment_label: "largest error".to_owned(),
        panels: panels.collect(),
    }))
}

fn network(page: &mut Page, summary: &Summary) {
    let course = &summary.course;
    if course.training.is_empty() {
        return;
    }
    page.section(
        "Autoencoder",
        "The share of the features' variance that the network does not restore. The weights are \
         those of the best pass on steps after the ones it learns from.",
    );
    let points = |losses: &[f64]| (1..).zip(losses).map(|(i, it)| (f64::from(i), *it)).collect();
    let series = [("training", &course.training), ("after training", &course.stopping)];
    let plot = Plot::Lines(Lines {
        title: "Loss".to_owned(),
        x_label: "pass".to_owned(),
        y_label: "share not restored".to_owned(),
        series: series
            .map(|(name, losses)| Series { name: name.to_owned(), points: points(losses) })
            .to_vec(),
        log_y: true,
        thresholds: Vec::new(),
        markers: vec![Marker { at: course.best_epoch as f64, label: "best".to_owned() }],
    });
    page.plot(&plot, "Training is measured with features missing at random, the other without.");
}

fn trials(page: &mut Page, tuning: &Tuning) {
    page.section(
        "Tuning",
        "Every trial, in the order they were made; the first is the configured one, and the best is set \
         in bold. Known faults were laid over windows of the part that decides when learning ends, the \
         same for all trials. The figure is how often a window with a fault has a larger error of the \
         network than one without (area under the ROC curve, a mean over the kinds of faults): 1 is \
         every time, 0.5 is chance.",
    );
    let row = |(i, it): (usize, &TrialResult)| {
        let figures = it.executions.iter().map(|it| format!("{:.3}", it.figure.mean()));
        let passes: Vec<usize> = it.executions.iter().map(|it| it.passes).collect();
        let ending = match &it.ending {
            Ending::Complete => "complete".to_owned(),
            Ending::Failed(reason) => format!("failed: {reason}"),
        };
        vec![
            (i + 1).to_string(),
            format!("{:?}", it.trial.layers),
            it.trial.learning_rate.to_string(),
            it.trial.window.to_string(),
            format!("{:?}", it.trial.scaling),
            it.figure().map_or_else(String::new, |figure| format!("{figure:.3}")),
            figures.collect::<Vec<_>>().join(", "),
            format!("{passes:?}"),
            ending,
        ]
    };
    let columns = [
        "trial",
        "layers",
        "learning rate",
        "window",
        "scaling",
        "faults told",
        "by execution",
        "passes",
        "ending",
    ];
    let rows = tuning.trials.iter().enumerate().map(row);
    page.table(&Table { emphasis: tuning.best, ..Table::new(&columns, rows) });
    kinds(page, tuning);
}

/// Which faults the best trial and the configured one tell.
fn kinds(page: &mut Page, tuning: &Tuning) {
    let (Some(best), Some(configured)) = (tuning.best(), tuning.trials.first()) else {
        return;
    };
    let of_configured = configured.by_kind();
    let rows = best.by_kind().into_iter().map(|(kind, figure)| {
        let same = of_configured.iter().find(|(other, _)| *other == kind);
        let same = same.map_or_else(String::new, |(_, figure)| format!("{figure:.3}"));
        vec![kind.name().to_owned(), kind.meaning().to_owned(), same, format!("{figure:.3}")]
    });
    let columns = ["fault", "what happens", "told by the configured one", "by the best"];
    page.table(&Table::new(&columns, rows));
}
