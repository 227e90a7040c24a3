//! The page of an evaluation: how a model did on history, for a browser.

use super::backtest::{Backtest, Tally};
use super::calls::Account;
use super::judgement::Judgement;
use super::marked::Marked;
use crate::episodes::{Run, Timeline};
use crate::report::{Bars, Event, Page, Plot, Table, Threshold, TimeSeries, TimedSeries};

/// Entities of which the scores are shown: the ones with the largest.
const SHOWN_ENTITIES: usize = 5;

/// The page: first what an operator asks. With labels, `judged` has the figures and the label of each step.
#[must_use]
pub fn page(
    model: &str,
    backtest: &Backtest,
    account: &Account,
    judged: Option<(&Judgement, &Marked)>,
    command: &str,
) -> String {
    let mut page = Page::new("Portent: evaluation report");
    page.lead(&format!(
        "{model}: steps {}, entities {}.",
        backtest.times_ms.len(),
        backtest.entities.len()
    ));
    told(&mut page, backtest, account);
    if let Some((judgement, _)) = judged {
        page.section("Judgement", "The scores held against the labels.");
        page.facts(judgement.lines());
    }
    page.section("Scores", "As they would have been exported: above the line is anomalous.");
    page.plot(&scores(backtest, judged.map(|(_, marked)| marked)), "Gaps have no score.");
    page.section("Features", "Which features the errors came from.");
    let names = backtest.feature_names.iter().map(String::as_str);
    let (title, of) = ("Share of the error by feature", "share of all errors");
    let bars = Plot::Bars(Bars::shares(title, of, names, &backtest.by_feature));
    page.plot(&bars, "Over all steps, whether anomalous or not.");
    entities(&mut page, backtest);
    page.section("Reproduce", "The same model and history give the same scores.");
    page.code(command);
    page.render()
}

/// Calls, and what labels say of them, whole.
fn told(page: &mut Page, backtest: &Backtest, account: &Account) {
    let sentence = |text: &str| {
        let mut letters = text.chars();
        let first = letters.next().map(|it| it.to_uppercase().to_string()).unwrap_or_default();
        format!("{first}{}.", letters.as_str())
    };
    let headline = sentence(&account.headline());
    page.section(
        "Calls",
        &format!(
            "{headline} A call is an episode above the threshold; pauses of ten minutes, or of two steps, do \
             not end it."
        ),
    );
    if !account.calls.is_empty() {
        page.table(&account.call_table(backtest));
    }
    if let Some(table) = account.finding_table(backtest) {
        let texts = account.verdicts().into_iter().chain(account.notes.iter().cloned());
        let texts: Vec<String> = texts.map(|it| sentence(&it)).collect();
        page.section("Incidents", &texts.join("\n\n"));
        if !table.rows.is_empty() {
            page.table(&table);
        }
    }
}

fn scores(backtest: &Backtest, marked: Option<&Marked>) -> Plot {
    let mut order: Vec<usize> = (0..backtest.entities.len()).collect();
    order.sort_by(|a, b| {
        let [a, b] = [a, b].map(|i| backtest.tally(&backtest.entities[*i]).largest);
        b.total_cmp(&a)
    });
    let series = order.iter().take(SHOWN_ENTITIES).map(|&i| {
        let entity = &backtest.entities[i];
        let points = backtest.times_ms.iter().copied().zip(entity.scores.iter().copied());
        TimedSeries { name: entity.labels.entity_name(), points: points.collect() }
    });
    Plot::TimeSeries(TimeSeries {
        title: "Score".to_owned(),
        y_label: "anomaly_score".to_owned(),
        series: series.collect(),
        thresholds: vec![Threshold { value: 1.0, label: "anomalous above".to_owned() }],
        events: marked.map_or_else(Vec::new, |marked| events(backtest, marked)),
        events_label: "labelled events".to_owned(),
        log_y: true,
    })
}

/// Runs of steps at which any host was anomalous.
fn events(backtest: &Backtest, marked: &Marked) -> Vec<Event> {
    let line = Timeline::new(&backtest.times_ms, backtest.step_ms);
    let event = |run: Run| Event {
        from_ms: backtest.times_ms[run.first],
        to_ms: backtest.times_ms[run.last],
        label: String::new(),
    };
    line.runs(|step| marked.by_entity.iter().any(|it| it[step] == Some(true)))
        .into_iter()
        .map(event)
        .collect()
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
            entity.labels.entity_name(),
            scored.to_string(),
            above.to_string(),
            episodes.to_string(),
            format!("{largest:.2}"),
        ]
    });
    page.table(&Table::new(&["entity", "scored", "above", "episodes", "largest"], rows));
}
