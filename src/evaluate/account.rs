//! An account in words: what an operator asks first, as text and as tables.
//!
//! In: an [`Account`]. Out: lines for a terminal, with long lists cut and the cut stated; and the same in full
//! as the rows of tables.

use super::backtest::{Backtest, Tally};
use super::calls::{Account, Call, CallVerdict, Finding};
use crate::duration::Duration;
use crate::report::Table;
use crate::statistics;
use crate::timestamp::format_ms;

/// Lines of a list on a terminal: what fits onto a screen beside the figures. The page has all.
const SHOWN: usize = 20;

/// One word with its number.
fn counted(count: usize, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

impl Account {
    /// How often, in a sentence.
    #[must_use]
    pub fn headline(&self) -> String {
        let times = counted(self.calls.len(), "time", "times");
        let mut hosts: Vec<usize> = self.calls.iter().map(|it| it.entity).collect();
        hosts.sort_unstable();
        hosts.dedup();
        let whom = match self.entities {
            1 => String::new(),
            all => format!(", for {} of {all} hosts", hosts.len()),
        };
        match self.per_week(self.calls.len()) {
            Some(rate) => {
                format!("would have called {times}{whom}: {rate:.2} episodes per host and week")
            }
            None => "would have called 0 times: no step has a score".to_owned(),
        }
    }

    /// Which incidents were found, and which calls were false; nothing without labels.
    #[must_use]
    pub fn verdicts(&self) -> Vec<String> {
        let Some(findings) = &self.findings else { return Vec::new() };
        let after: Vec<i64> = findings.iter().filter_map(|it| Some(it.found?.1)).collect();
        let mut found = format!(
            "found {} of {}",
            after.len(),
            counted(findings.len(), "incident", "incidents")
        );
        if let Some(median) = statistics::median(after.iter().map(|it| *it as f64).collect()) {
            found
                .push_str(&format!(", half of them {} or earlier", beside(median as i64, "their")));
        }
        let (wrong, all) = (self.false_calls(), self.calls.len());
        let rate = self.per_week(wrong).map_or_else(String::new, |rate| {
            format!(": {rate:.2} false episodes per host and week")
        });
        let unlabelled =
            self.calls.iter().filter(|it| it.verdict == Some(CallVerdict::Unlabelled)).count();
        let mut verdicts = vec![
            found,
            format!("{wrong} of {} false{rate}", counted(all, "call was", "calls were")),
        ];
        if unlabelled > 0 {
            let calls = counted(unlabelled, "call is", "calls are");
            verdicts.push(format!("{calls} neither right nor false, at times without labels"));
        }
        verdicts
    }

    /// For a terminal.
    #[must_use]
    pub fn text(&self, backtest: &Backtest) -> String {
        let mut text = format!("{}\n", self.headline());
        // Those that matter most where not all are shown.
        let mut order: Vec<usize> = (0..self.calls.len()).collect();
        order.sort_by(|a, b| self.calls[*b].largest.total_cmp(&self.calls[*a].largest));
        order.truncate(SHOWN);
        order.sort_unstable();
        let rows = order.iter().map(|at| self.call_cells(backtest, &self.calls[*at])).collect();
        text.push_str(&aligned(rows));
        text.push_str(&more(self.calls.len(), "calls with lower scores"));
        let verdicts = self.verdicts();
        let mut verdicts = verdicts.iter();
        if let (Some(findings), Some(found)) = (&self.findings, verdicts.next()) {
            text.push_str(&format!("{found}\n"));
            // What was missed is what is to be looked at.
            let (missed, found): (Vec<_>, Vec<_>) =
                findings.iter().partition(|it| it.found.is_none());
            let shown = missed.into_iter().chain(found).take(SHOWN);
            text.push_str(&aligned(shown.map(|it| finding_cells(backtest, it)).collect()));
            text.push_str(&more(findings.len(), "incidents"));
        }
        verdicts.chain(&self.notes).for_each(|it| text.push_str(&format!("{it}\n")));
        text
    }

    fn call_cells(&self, backtest: &Backtest, call: &Call) -> Vec<String> {
        let features: Vec<String> = call
            .features
            .iter()
            .map(|(at, share)| format!("{} {:.0} %", backtest.feature_names[*at], 100.0 * share))
            .collect();
        let mut cells = vec![
            format_ms(call.start_ms),
            backtest.entities[call.entity].labels.entity_name(),
            Duration::from_ms(call.length_ms).to_string(),
            format!("{:.2}", call.largest),
            features.join(", "),
        ];
        cells.extend(call.verdict.map(|it| {
            match it {
                CallVerdict::Right => "incident",
                CallVerdict::False => "false",
                CallVerdict::Unlabelled => "no label",
            }
            .to_owned()
        }));
        cells
    }

    /// All calls.
    #[must_use]
    pub fn call_table(&self, backtest: &Backtest) -> Table {
        let mut columns = vec!["when", "host", "how long", "largest score", "top features"];
        columns.extend(self.findings.as_ref().map(|_| "labels say"));
        Table::new(&columns, self.calls.iter().map(|it| self.call_cells(backtest, it)))
    }

    /// All incidents.
    #[must_use]
    pub fn finding_table(&self, backtest: &Backtest) -> Option<Table> {
        let findings = self.findings.as_ref()?;
        let columns = ["found", "when", "of", "how long", "called"];
        Some(Table::new(&columns, findings.iter().map(|it| finding_cells(backtest, it))))
    }
}

fn finding_cells(backtest: &Backtest, finding: &Finding) -> Vec<String> {
    let incident = &finding.marked.incident;
    let of = match (incident.owner.is_empty(), backtest.entities.len()) {
        (true, 1) => backtest.entities[0].labels.entity_name(),
        (true, _) => "every host".to_owned(),
        (false, _) => incident.owner.to_string(),
    };
    let called = match finding.found {
        None if !finding.is_scored => "no score then".to_owned(),
        None => String::new(),
        Some((entity, after_ms)) => {
            let by = match finding.marked.entities.len() {
                1 => String::new(),
                _ => format!(", for {}", backtest.entities[entity].labels.entity_name()),
            };
            format!("{}{by}", beside(after_ms, "its"))
        }
    };
    let found = if finding.found.is_some() { "found" } else { "missed" };
    let length = Duration::from_ms(incident.end_ms - incident.start_ms).to_string();
    vec![found.to_owned(), format_ms(incident.start_ms), of, length, called]
}

/// How far from the start of an incident.
fn beside(after_ms: i64, whose: &str) -> String {
    let length = Duration::from_ms(after_ms.abs() - after_ms.abs() % 1_000);
    match after_ms {
        0 => format!("at {whose} start"),
        1.. => format!("{length} after {whose} start"),
        _ => format!("{length} before {whose} start"),
    }
}

/// Rows in columns, indented.
fn aligned(rows: Vec<Vec<String>>) -> String {
    let columns = rows.iter().map(Vec::len).max().unwrap_or(0);
    let cell = |row: &[String], at: usize| row.get(at).map_or(0, |it| it.chars().count());
    let widths: Vec<usize> =
        (0..columns).map(|at| rows.iter().map(|row| cell(row, at)).max().unwrap_or(0)).collect();
    let mut text = String::new();
    for row in &rows {
        let cells = row.iter().zip(&widths).filter(|(_, width)| **width > 0);
        let cells: Vec<String> = cells.map(|(it, width)| format!("{it:<width$}")).collect();
        text.push_str(&format!("  {}\n", cells.join("  ").trim_end()));
    }
    text
}

/// That a list is cut.
fn more(all: usize, what: &str) -> String {
    match all.saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!("  and {more} more {what}; --report FILE has all\n"),
    }
}

/// A line for each entity: those with the largest scores where there are many.
#[must_use]
pub fn overview(backtest: &Backtest) -> String {
    let mut order: Vec<(usize, Tally)> =
        backtest.entities.iter().map(|it| backtest.tally(it)).enumerate().collect();
    order.sort_by(|a, b| b.1.largest.total_cmp(&a.1.largest));
    order.truncate(SHOWN);
    order.sort_by_key(|(at, _)| *at);
    let mut text = String::new();
    for (at, Tally { scored, above, episodes, largest, excluded }) in order {
        let entity = &backtest.entities[at];
        let name = match entity.labels.is_empty() {
            true => String::new(),
            false => format!("{}: ", entity.labels),
        };
        let excluded = match excluded {
            0 => String::new(),
            excluded => format!(" ({excluded} excluded)"),
        };
        text.push_str(&format!(
            "{name}{scored} of {} steps scored{excluded}, {above} above the threshold, episodes: {episodes}, \
             largest {largest:.2}\n",
            entity.scores.len()
        ));
    }
    text.push_str(&more(backtest.entities.len(), "hosts with lower scores"));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evaluate::Scored;
    use crate::labels::Labels;

    #[test]
    fn an_entity_is_summed_up_in_a_line() {
        let mut scores = vec![0.5; 60];
        scores[0] = f64::NAN;
        // Within ten minutes of one another, and later again; 3 is not above its own threshold.
        (scores[10], scores[20], scores[40], scores[50]) = (1.5, 1.25, 2.0, 3.0);
        let mut thresholds = vec![1.0; 60];
        thresholds[50] = 3.0;
        let labels = Labels::from_pairs([("instance", "a")]).expect("one name");
        let backtest = Backtest {
            times_ms: (0..60).map(|minute| minute * 60_000).collect(),
            step_ms: 60_000,
            entities: vec![Scored {
                labels,
                scores,
                thresholds,
                states: Vec::new(),
                excluded: Vec::new(),
                blame: Vec::new(),
            }],
            by_feature: Vec::new(),
            feature_names: Vec::new(),
        };
        let expected = "{instance=\"a\"}: 59 of 60 steps scored, 3 above the threshold, episodes: 2, \
                        largest 3.00\n";
        assert_eq!(overview(&backtest), expected);
    }
}
