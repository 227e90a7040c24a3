//! How well the default settings detect: a table over labelled recordings.
//!
//! `PORTENT_DATA=DIR cargo bench --bench quality [-- PART_OF_A_NAME]`. For each entity a model is
//! trained on `DIR/SET/ENTITY/train.csv.gz` as `portent train` would without a configuration, runs
//! over `test.csv.gz` beside it as `portent evaluate` would, and is judged by `test_label.csv`. With
//! `PORTENT_SCORES=DIR` models, scores and every figure are kept there, as `SET-ENTITY.onnx`, `.csv`
//! and `.json`, for other judges.
//!
//! `volume` is the one figure that only this table has: others publish it.

mod volume;

use std::path::{Path, PathBuf};
use std::{env, fs};

use anyhow::{Context, ensure};
use portent::config::Config;
use portent::episodes::Timeline;
use portent::evaluate::{self, Backtest, Judgement, Settings};
use portent::features::{FeatureSpec, PROFILE_ENTITY, profile};
use portent::history::{self, Exclusions, Query, Source};
use portent::model::{Artifact, ModelConfig, Runtime, Scorer};
use portent::train::{self, Options};
use rustix::time::{ClockId, clock_gettime};

/// What a set has to reach at least, and what it should.
struct Standard {
    set: &'static str,
    floor: Figures,
    goal: Figures,
}

/// Means over the entities of a set; absent where nothing is asked.
#[derive(Clone, Copy)]
struct Figures {
    auc_pr: f64,
    vus_pr: f64,
    /// Of the events, at one false alarm a day and the best threshold.
    recall_at_one: Option<f64>,
    /// Of the events of all entities together, at the model's own threshold.
    found: Option<f64>,
    false_a_day: f64,
    normal_in_alarm: f64,
}

/// The floor is what the best plain design known reached on the dev entities (six machines of SMD,
/// four servers of ASD) before there was a default: the mean of a daily baseline's largest deviations
/// and a linear forecast's residual, both smoothed over ten steps, with the 99.9 % quantile of its
/// validation scores as the threshold ("season+ridge", computed in Python). The goal is what makes the
/// default worth having beside it, and at its own threshold what an operator bears.
const STANDARDS: [Standard; 2] = [
    Standard {
        set: "smd",
        floor: Figures {
            auc_pr: 0.565,
            vus_pr: 0.596,
            recall_at_one: Some(0.748),
            found: None,
            false_a_day: 1.013,
            normal_in_alarm: 0.137,
        },
        goal: Figures {
            auc_pr: 0.60,
            vus_pr: 0.64,
            recall_at_one: None,
            found: Some(0.6),
            false_a_day: 0.5,
            normal_in_alarm: 0.01,
        },
    },
    Standard {
        set: "asd",
        floor: Figures {
            auc_pr: 0.548,
            vus_pr: 0.583,
            recall_at_one: Some(1.0),
            found: None,
            false_a_day: 0.017,
            normal_in_alarm: 0.002,
        },
        goal: Figures {
            auc_pr: 0.60,
            vus_pr: 0.63,
            recall_at_one: None,
            found: Some(0.6),
            false_a_day: 0.5,
            normal_in_alarm: 0.01,
        },
    },
];

/// One entity of a set.
struct Entity {
    set: String,
    name: String,
    folder: PathBuf,
}

/// An entity's scores held against its labels.
#[derive(serde::Serialize)]
struct Judged {
    #[serde(flatten)]
    judgement: Judgement,
    /// As the average precision, with a share for scores that rise near an event.
    vus_pr: Option<f64>,
}

/// What came out for one entity.
struct Row {
    judged: Judged,
    train_cpu_seconds: f64,
}

fn main() -> anyhow::Result<()> {
    let Some(data) = env::var_os("PORTENT_DATA") else {
        println!(
            "quality: set PORTENT_DATA to a folder with SET/ENTITY/train.csv.gz, test.csv.gz and \
             test_label.csv to see how well the default settings detect"
        );
        return Ok(());
    };
    // Cargo adds flags of its own.
    let part = env::args().skip(1).find(|it| !it.starts_with('-')).unwrap_or_default();
    let data = PathBuf::from(data);
    let mut entities = entities(&data)?;
    entities.retain(|it| format!("{}/{}", it.set, it.name).contains(&part));
    ensure!(!entities.is_empty(), "{} has no entity named like {part:?}", data.display());
    let bench = Bench::new()?;
    println!("{}", header());
    for set in entities.chunk_by(|a, b| a.set == b.set) {
        let rows = set.iter().map(|entity| {
            let row = bench.run(entity);
            let row = row.with_context(|| format!("{}/{}", entity.set, entity.name))?;
            println!("{}", line(&entity.set, &entity.name, &Cells::of(&row)));
            Ok(row)
        });
        let rows = rows.collect::<anyhow::Result<Vec<Row>>>()?;
        println!("{}", line(&set[0].set, "mean", &Cells::mean(&rows)));
        for standard in STANDARDS.iter().filter(|it| it.set == set[0].set) {
            println!("{}", line(standard.set, "floor", &Cells::standard(&standard.floor)));
            println!("{}", line(standard.set, "goal", &Cells::standard(&standard.goal)));
        }
    }
    println!("{LEGEND}");
    Ok(())
}

/// Entities in order of their names, set by set.
fn entities(data: &Path) -> anyhow::Result<Vec<Entity>> {
    let mut entities = Vec::new();
    for (set, folder) in folders(data)? {
        for (name, folder) in folders(&folder)? {
            if folder.join("train.csv.gz").is_file() {
                entities.push(Entity { set: set.clone(), name, folder });
            }
        }
    }
    Ok(entities)
}

fn folders(of: &Path) -> anyhow::Result<Vec<(String, PathBuf)>> {
    let listed = fs::read_dir(of).with_context(|| format!("cannot list {}", of.display()))?;
    let paths = listed.map(|entry| Ok(entry?.path())).collect::<anyhow::Result<Vec<_>>>()?;
    let name = |path: &PathBuf| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let mut folders: Vec<_> =
        paths.into_iter().filter(|it| it.is_dir()).map(|it| (name(&it), it)).collect();
    folders.sort();
    Ok(folders)
}

/// What all entities share.
struct Bench {
    config: Config,
    runtime: Runtime,
    /// Where models, scores and figures are written.
    output: PathBuf,
    /// Removes them, unless they are to be kept.
    _temporary: Option<tempfile::TempDir>,
}

impl Bench {
    fn new() -> anyhow::Result<Self> {
        let config = Config::load(None)?;
        let runtime = Runtime::load(config.onnxruntime.library.as_deref())?;
        let (output, temporary) = match env::var_os("PORTENT_SCORES") {
            Some(folder) => (PathBuf::from(folder), None),
            None => {
                let temporary = tempfile::tempdir()?;
                (temporary.path().to_path_buf(), Some(temporary))
            }
        };
        fs::create_dir_all(&output)?;
        Ok(Self { config, runtime, output, _temporary: temporary })
    }

    fn run(&self, entity: &Entity) -> anyhow::Result<Row> {
        let file = self.output.join(format!("{}-{}.onnx", entity.set, entity.name));
        let before = cpu_seconds();
        train::run(&Options {
            config: self.config.train.clone(),
            global: self.config.global.clone(),
            model: self.config.models[0].clone(),
            history: self.query(entity.folder.join("train.csv.gz"), profile(), &PROFILE_ENTITY),
            keep: Vec::new(),
            tune: None,
            output: file.clone(),
            onnxruntime: self.config.onnxruntime.library.clone(),
        })?;
        let train_cpu_seconds = cpu_seconds() - before;
        let backtest = self.backtest(&file, &entity.folder.join("test.csv.gz"))?;
        let judged = judge(&backtest, &entity.folder.join("test_label.csv"))?;
        fs::write(file.with_extension("json"), serde_json::to_string_pretty(&judged)?)?;
        Ok(Row { judged, train_cpu_seconds })
    }

    fn backtest(&self, model: &Path, input: &Path) -> anyhow::Result<Backtest> {
        let artifact = Artifact::read(fs::read(model)?.into())?;
        let metadata = artifact.resolve(&ModelConfig::default())?;
        let scorer = Scorer::new(&self.runtime, &artifact, &metadata)?;
        let entity: Vec<&str> = metadata.entity.iter().map(String::as_str).collect();
        let query = self.query(input.to_path_buf(), metadata.features.clone(), &entity);
        let history = history::read(&query)?;
        let global = &self.config.global;
        let (recording, features) = (&history.recording, &history.features);
        let backtest = evaluate::backtest(&metadata, scorer, recording, features, global)?;
        let rows = Some((input, recording.rows.as_slice()));
        let scores = model.with_extension("csv");
        evaluate::write_scores(&scores, &backtest, &metadata.entity, rows)?;
        Ok(backtest)
    }

    fn query(&self, input: PathBuf, features: Vec<FeatureSpec>, entity: &[&str]) -> Query {
        Query {
            source: Source::Csv(input),
            features,
            entity: entity.iter().map(|it| (*it).to_owned()).collect(),
            exclude: Exclusions::default(),
            config: self.config.history.clone(),
        }
    }
}

/// The scores of the only entity held against the labels of the same times.
fn judge(backtest: &Backtest, labels: &Path) -> anyhow::Result<Judged> {
    let [entity] = backtest.entities.as_slice() else {
        anyhow::bail!("a recording of {} entities", backtest.entities.len());
    };
    let labels = evaluate::read_labels(labels)?;
    let at = |time_ms: &i64| backtest.times_ms.binary_search(time_ms).ok();
    let places: Vec<Option<usize>> = labels.iter().map(|(time_ms, _)| at(time_ms)).collect();
    let of = |values: &[f64], absent: f64| -> Vec<f64> {
        places.iter().map(|it| it.map_or(absent, |at| values[at])).collect()
    };
    let scores = of(&entity.scores, f64::NAN);
    let thresholds = of(&entity.thresholds, 1.0);
    let (times_ms, labels): (Vec<i64>, Vec<bool>) = labels.into_iter().unzip();
    let (line, widest) =
        (Timeline::new(&times_ms, backtest.step_ms), volume::widest(backtest.step_ms));
    let settings = Settings::for_step(backtest.step_ms);
    Ok(Judged {
        judgement: evaluate::judge(&times_ms, &scores, &labels, &thresholds, &settings)?,
        vus_pr: volume::vus_pr(line, &scores, &labels, widest),
    })
}

/// Of all threads of the program.
fn cpu_seconds() -> f64 {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// What the columns are.
const LEGEND: &str = "\
AUC-PR: average precision, sample by sample. VUS-PR: with a share for scores that rise near an event.
found@1, found@.5: the share of events that the best threshold finds at one false alarm a day, and at
  one in two days. From there on at the model's own threshold.
found: the share of events found; in a mean, of all events together. events: found and all.
false/day: false alarms, counted as episodes. in alarm: the share of normal time.
detect s: mean seconds from an event's start to its alarm. train s: CPU seconds of training.";

/// The columns of the table: their names and how many digits follow the point.
const COLUMNS: [(&str, usize); 10] = [
    ("AUC-PR", 3),
    ("VUS-PR", 3),
    ("best F1", 3),
    ("found@1", 3),
    ("found@.5", 3),
    ("found", 3),
    ("false/day", 3),
    ("in alarm", 4),
    ("detect s", 0),
    ("train s", 1),
];

/// A line of the table.
struct Cells {
    /// In the order of the columns; absent where nothing defines it.
    values: [Option<f64>; COLUMNS.len()],
    /// Events found at the model's own threshold, and all of them.
    events: Option<[usize; 2]>,
}

impl Cells {
    fn of(row: &Row) -> Self {
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
    fn mean(rows: &[Row]) -> Self {
        let lines: Vec<Self> = rows.iter().map(Self::of).collect();
        let mut values = std::array::from_fn(|column| {
            let defined: Vec<f64> = lines.iter().filter_map(|it| it.values[column]).collect();
            (!defined.is_empty()).then(|| defined.iter().sum::<f64>() / defined.len() as f64)
        });
        let sum = |part: usize| lines.iter().filter_map(|it| it.events).map(|it| it[part]).sum();
        let events: [usize; 2] = [sum(0), sum(1)];
        values[FOUND] = (events[1] > 0).then(|| events[0] as f64 / events[1] as f64);
        Self { values, events: Some(events) }
    }

    fn standard(figures: &Figures) -> Self {
        let Figures { auc_pr, vus_pr, recall_at_one, found, false_a_day, normal_in_alarm } =
            *figures;
        Self {
            values: [
                Some(auc_pr),
                Some(vus_pr),
                None,
                recall_at_one,
                None,
                found,
                Some(false_a_day),
                Some(normal_in_alarm),
                None,
                None,
            ],
            events: None,
        }
    }
}

/// The place of the share of events found among the columns.
const FOUND: usize = 5;

fn header() -> String {
    let names = COLUMNS.map(|(name, _)| format!("{name:>10}"));
    format!("{:<14}{:<14}{}{:>9}", "set", "entity", names.concat(), "events")
}

fn line(set: &str, name: &str, cells: &Cells) -> String {
    let texts = cells.values.iter().zip(COLUMNS).map(|(value, (_, digits))| match value {
        Some(value) => format!("{value:>10.digits$}"),
        None => format!("{:>10}", "-"),
    });
    let events = cells.events.map_or_else(String::new, |[found, all]| format!("{found}/{all}"));
    format!("{set:<14}{name:<14}{}{events:>9}", texts.collect::<String>())
}
