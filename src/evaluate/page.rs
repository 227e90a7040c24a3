//! A page: how a model did on history, for a browser.

use super::backtest::{Backtest, Tally};
use super::judgement::Judgement;
use crate::episodes::{Run, Timeline};
use crate::report::{
    Bar, Bars, Event, Page, Plot, ReportError, Table, Threshold, TimeSeries, TimedSeries,
};

/// Entities of which the scores are shown: the ones with the largest.
const SHOWN_ENTITIES: usize = 5;

/// Features of which the share of the error is shown.
const SHOWN_FEATURES: usize = 20;

/// The page. With labels, `judged` has the figures and the label of each step.
///
/// # Errors
/// When a plot cannot be drawn.
pub fn page(
    model: &str,
    backtest: &Backtest,
    judged: Option<(&Judgement, &[bool])>,
    command: &str,
) -> Result<String, ReportError> {
    let mut page = Page::new("Portent: evaluation report");
    page.lead(&format!(
        "{model}: steps {}, entities {}.",
        backtest.times_ms.len(),
        backtest.entities.len()
    ));
    if let Some((judgement, _)) = judged {
        page.section("Judgement", "The scores held against the labels.");
        page.code(&judgement.to_string());
    }
    page.section("Scores", "As they would have been exported: above the line is anomalous.");
    page.plot(&scores(backtest, judged.map(|(_, labels)| labels)), "Gaps have no score.")?;
    page.section("Features", "Which features the errors came from.");
    let mut shares: Vec<(usize, f64)> = backtest.by_feature.iter().copied().enumerate().collect();
    shares.sort_by(|a, b| b.1.total_cmp(&a.1));
    shares.retain(|(_, share)| *share > 0.0);
    let bars = shares.iter().take(SHOWN_FEATURES).map(|(feature, share)| Bar {
        label: backtest.feature_names[*feature].clone(),
        value: 100.0 * share,
    });
    let bars = Plot::Bars(Bars {
        title: "Share of the error by feature".to_owned(),
        x_label: "share of all errors".to_owned(),
        unit: "%".to_owned(),
        bars: bars.collect(),
    });
    page.plot(&bars, "Over all steps, whether anomalous or not.")?;
    entities(&mut page, backtest);
    page.section("Reproduce", "The same model and history give the same scores.");
    page.code(command);
    Ok(page.render())
}

fn scores(backtest: &Backtest, labels: Option<&[bool]>) -> Plot {
    let mut order: Vec<usize> = (0..backtest.entities.len()).collect();
    order.sort_by(|a, b| {
        let [a, b] = [a, b].map(|i| backtest.tally(&backtest.entities[*i]).largest);
        b.total_cmp(&a)
    });
    let series = order.iter().take(SHOWN_ENTITIES).map(|&i| {
        let entity = &backtest.entities[i];
        let name =
            if entity.labels.is_empty() { "score".to_owned() } else { entity.labels.to_string() };
        let points = backtest.times_ms.iter().copied().zip(entity.scores.iter().copied());
        TimedSeries { name, points: points.collect() }
    });
    Plot::TimeSeries(TimeSeries {
        title: "Score".to_owned(),
        y_label: "anomaly_score".to_owned(),
        series: series.collect(),
        thresholds: vec![Threshold { value: 1.0, label: "anomalous above".to_owned() }],
        events: labels.map_or_else(Vec::new, |labels| events(backtest, labels)),
        events_label: "labelled events".to_owned(),
        log_y: true,
    })
}

/// Runs of labelled steps.
fn events(backtest: &Backtest, labels: &[bool]) -> Vec<Event> {
    let line = Timeline::new(&backtest.times_ms, backtest.step_ms);
    let event = |run: Run| Event {
        from_ms: backtest.times_ms[run.first],
        to_ms: backtest.times_ms[run.last],
        label: String::new(),
    };
    line.runs(|step| labels[step]).into_iter().map(event).collect()
}

fn entities(page: &mut Page, backtest: &Backtest) {
    page.section(
        "Entities",
        "Steps with a score, steps above the threshold, the episodes that these make, and the largest \
         score.",
    );
    let rows = backtest.entities.iter().map(|entity| {
        let Tally { scored, above, episodes, largest, excluded: _ } = backtest.tally(entity);
        vec![
            entity.labels.to_string(),
            scored.to_string(),
            above.to_string(),
            episodes.to_string(),
            format!("{largest:.2}"),
        ]
    });
    page.table(&Table {
        columns: ["entity", "scored", "above", "episodes", "largest"].map(str::to_owned).to_vec(),
        rows: rows.collect(),
        emphasis: None,
    });
}
