//! The table of labelled recordings: what is printed of an entity, of a set, and what is asked of it.

use portent::evaluate::Judgement;

/// What a set has to reach. Means over its entities, but of the events found: those of all entities
/// together. Absent where nothing is asked.
pub struct Standard {
    /// The set.
    pub set: &'static str,
    /// The line's name.
    pub name: &'static str,
    auc_pr: f64,
    vus_pr: Option<f64>,
    /// At one false alarm a day and the best threshold.
    recall_at_one: Option<f64>,
    /// At the model's own threshold.
    events: Option<[usize; 2]>,
    found: Option<f64>,
    false_a_day: Option<f64>,
    normal_in_alarm: Option<f64>,
}

const NOTHING: Standard = Standard {
    set: "",
    name: "",
    auc_pr: 0.0,
    vus_pr: None,
    recall_at_one: None,
    events: None,
    found: None,
    false_a_day: None,
    normal_in_alarm: None,
};

/// The floor is what the best plain design known reached on these entities (six machines of SMD, four
/// servers of ASD) before there was a default: the mean of a daily baseline's largest deviations and a
/// linear forecast's residual, both smoothed over ten steps, with the 99.9 % quantile of its validation
/// scores as the threshold ("season+ridge", computed in Python). The goal is what makes the default worth
/// having beside it, and at its own threshold what an operator bears. What is to be accepted is what the
/// default's design reached when it was computed in Python, less what two implementations may differ by.
pub const STANDARDS: [Standard; 7] = [
    Standard {
        set: "smd",
        name: "floor",
        auc_pr: 0.565,
        vus_pr: Some(0.596),
        recall_at_one: Some(0.748),
        false_a_day: Some(1.013),
        normal_in_alarm: Some(0.137),
        ..NOTHING
    },
    Standard { set: "smd", vus_pr: Some(0.64), ..GOAL },
    Standard {
        set: "smd",
        name: "accept",
        auc_pr: 0.58,
        events: Some([40, 113]),
        false_a_day: Some(0.31),
        normal_in_alarm: Some(0.002),
        ..NOTHING
    },
    Standard {
        set: "asd",
        name: "floor",
        auc_pr: 0.548,
        vus_pr: Some(0.583),
        recall_at_one: Some(1.0),
        false_a_day: Some(0.017),
        normal_in_alarm: Some(0.002),
        ..NOTHING
    },
    Standard { set: "asd", vus_pr: Some(0.63), ..GOAL },
    Standard { set: "asd", name: "accept", auc_pr: 0.561, events: Some([17, 22]), ..NOTHING },
    Standard {
        set: "jumpstarter2",
        name: "accept",
        auc_pr: 0.398,
        events: Some([9, 9]),
        ..NOTHING
    },
];

const GOAL: Standard = Standard {
    name: "goal",
    auc_pr: 0.60,
    found: Some(0.6),
    false_a_day: Some(0.5),
    normal_in_alarm: Some(0.01),
    ..NOTHING
};

/// An entity's scores held against its labels.
#[derive(serde::Serialize)]
pub struct Judged {
    /// The figures of `portent evaluate`.
    #[serde(flatten)]
    pub judgement: Judgement,
    /// As the average precision, with a share for scores that rise near an event.
    pub vus_pr: Option<f64>,
}

/// What came out for one entity.
pub struct Row {
    /// How good its scores are.
    pub judged: Judged,
    /// CPU seconds of training.
    pub train_cpu_seconds: f64,
}

/// What the columns are.
pub const LEGEND: &str = "\
AUC-PR: average precision, sample by sample. VUS-PR: with a share for scores that rise near an event.
found@1, found@.5: the share of events that the best constant threshold finds at one false alarm a day,
  and at one in two days; constant: at no more than the model's own has. From there on at that one.
found: the share of events found; in a mean, of all events together, as the constant's. events: found and
  all.
false/day: false alarms, counted as episodes. in alarm: the share of normal time.
halves: means over the same entities, trained on the first half of what is labelled, anomalies and all.
floor, goal, accept: of AUC-PR, VUS-PR and found at least so much, of the others at most.
detect s: mean seconds from an event's start to its alarm. train s: CPU seconds of training.";

/// The columns of the table: their names and how many digits follow the point.
const COLUMNS: [(&str, usize); 11] = [
    ("AUC-PR", 3),
    ("VUS-PR", 3),
    ("best F1", 3),
    ("found@1", 3),
    ("found@.5", 3),
    ("constant", 3),
    ("found", 3),
    ("false/day", 3),
    ("in alarm", 4),
    ("detect s", 0),
    ("train s", 1),
];

/// The cells of a line.
pub struct Cells {
    /// In the order of the columns; absent where nothing defines it.
    values: [Option<f64>; COLUMNS.len()],
    /// Events found at the model's own threshold, and all of them.
    events: Option<[usize; 2]>,
}

impl Cells {
    /// Of one entity.
    pub fn of(row: &Row) -> Self {
        let Judged { judgement, vus_pr } = &row.judged;
        let (ranking, seen) = (judgement.ranking.as_ref(), &judgement.at_threshold);
        let recall = |budget: f64| {
            let recalls = &ranking?.event_recall_at_fa_per_day;
            Some(recalls.iter().find(|it| it.false_alarms_per_day == budget)?.event_recall)
        };
        Self {
            values: [
                ranking.map(|it| it.auc_pr),
                *vus_pr,
                ranking.map(|it| it.best_f1),
                recall(1.0),
                recall(0.5),
                ranking.filter(|_| seen.events > 0).map(|it| it.best_constant.event_recall),
                (seen.events > 0).then_some(seen.event_recall),
                Some(seen.false_alarms_per_day),
                seen.normal_time_in_alarm,
                seen.delay_mean_seconds,
                Some(row.train_cpu_seconds),
            ],
            events: Some([seen.events_detected, seen.events]),
        }
    }

    /// Means of what is defined; of the events found, the share of the events of all entities.
    pub fn mean(rows: &[Row]) -> Self {
        let lines: Vec<Self> = rows.iter().map(Self::of).collect();
        let mut values = std::array::from_fn(|column| {
            let defined: Vec<f64> = lines.iter().filter_map(|it| it.values[column]).collect();
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
        });
        let sum = |part: usize| lines.iter().filter_map(|it| it.events).map(|it| it[part]).sum();
        let events: [usize; 2] = [sum(0), sum(1)];
        for column in [CONSTANT, FOUND] {
            let found = |it: &Self| Some(it.values[column]? * it.events?[1] as f64);
            let found: f64 = lines.iter().filter_map(found).sum();
            values[column] = (events[1] > 0).then(|| found / events[1] as f64);
        }
        Self { values, events: Some(events) }
    }

    /// What is asked of a set.
    pub fn standard(standard: &Standard) -> Self {
        let mut values = [None; COLUMNS.len()];
        let share = standard.events.map(|[found, all]| found as f64 / all as f64);
        values[0] = Some(standard.auc_pr);
        values[1] = standard.vus_pr;
        values[3] = standard.recall_at_one;
        values[FOUND] = standard.found.or(share);
        values[7] = standard.false_a_day;
        values[8] = standard.normal_in_alarm;
        Self { values, events: standard.events }
    }
}

/// The places of shares of events found among the columns: by the best constant threshold, and by the
/// model's own.
const CONSTANT: usize = 5;
const FOUND: usize = 6;

/// The names of the columns.
pub fn header() -> String {
    let names = COLUMNS.map(|(name, _)| format!("{name:>10}"));
    format!("{:<14}{:<14}{}{:>9}", "set", "entity", names.concat(), "events")
}

/// A line of the table.
pub fn line(set: &str, name: &str, cells: &Cells) -> String {
    let texts = cells.values.iter().zip(COLUMNS).map(|(value, (_, digits))| match value {
        Some(value) => format!("{value:>10.digits$}"),
        None => format!("{:>10}", "-"),
    });
    let events = cells.events.map_or_else(String::new, |[found, all]| format!("{found}/{all}"));
    format!("{set:<14}{name:<14}{}{events:>9}", texts.collect::<String>())
}
