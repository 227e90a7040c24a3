//! Labelled recordings: a model of each machine, its scores held against labels.
//!
//! In: `DIR/SET/ENTITY/` with `train.csv.gz`, `test.csv.gz` and `test_label.csv`. Out: a line for each
//! entity and set. An entity's model is trained on `train.csv.gz`. Once more, for a line of the set
//! alone, another one is trained on the first half of `test.csv.gz`, whose anomalies nobody has taken
//! out, and judged by the second half.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use portent::episodes::Timeline;
use portent::evaluate::{self, Backtest, Settings};
use portent::history::{self, Exclusions, Source};

use crate::bench::Bench;
use crate::halves::split;
use crate::table::{Cells, Judged, LEGEND, Row, STANDARDS, header, line};
use crate::volume;

/// One entity of a set.
struct Entity {
    set: String,
    name: String,
    folder: PathBuf,
}

/// The name of what is trained on the first half of a recording.
const HALF: &str = "half";

/// Runs the entities with this part in their names: `SET/ENTITY`, and `SET/ENTITY/half` for those that
/// are trained on labelled data. Gives whether there were any.
pub fn run(bench: &Bench, data: &Path, part: &str) -> anyhow::Result<bool> {
    let mut entities = entities(data)?;
    entities.retain(|it| it.half_name().contains(part));
    if entities.is_empty() {
        return Ok(false);
    }
    println!("{}", header());
    for set in entities.chunk_by(|a, b| a.set == b.set) {
        let name = &set[0].set;
        let mut rows = Vec::new();
        for entity in set.iter().filter(|it| it.name().contains(part)) {
            let row = entity.judged(bench).with_context(|| entity.name())?;
            println!("{}", line(name, &entity.name, &Cells::of(&row)));
            rows.push(row);
        }
        if !rows.is_empty() {
            println!("{}", line(name, "mean", &Cells::mean(&rows)));
            for standard in STANDARDS.iter().filter(|it| it.set == name) {
                println!("{}", line(name, standard.name, &Cells::standard(standard)));
            }
        }
        let halves = set.iter().map(|it| it.half(bench).with_context(|| it.half_name()));
        let halves = halves.collect::<anyhow::Result<Vec<Row>>>()?;
        println!("{}", line(name, "halves", &Cells::mean(&halves)));
    }
    println!("{LEGEND}");
    Ok(true)
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

impl Entity {
    fn name(&self) -> String {
        format!("{}/{}", self.set, self.name)
    }

    fn half_name(&self) -> String {
        format!("{}/{HALF}", self.name())
    }

    /// By the model of its own training part.
    fn judged(&self, bench: &Bench) -> anyhow::Result<Row> {
        let [train, test] = ["train.csv.gz", "test.csv.gz"].map(|it| self.folder.join(it));
        self.play(bench, &self.name(), [&train, &test])
    }

    /// By the model of the first half of what is labelled, in the second one.
    fn half(&self, bench: &Bench) -> anyhow::Result<Row> {
        let folder = tempfile::tempdir()?;
        let halves = ["first.csv", "second.csv"].map(|it| folder.path().join(it));
        split(&self.folder.join("test.csv.gz"), &halves)?;
        self.play(bench, &self.half_name(), [&halves[0], &halves[1]])
    }

    fn play(&self, bench: &Bench, name: &str, [train, test]: [&Path; 2]) -> anyhow::Result<Row> {
        let file = bench.output().join(format!("{}.onnx", name.replace('/', "-")));
        let train_cpu_seconds =
            bench.train(Source::Csv(train.to_path_buf()), Exclusions::default(), &file)?;
        let model = bench.model(&file)?;
        let query = bench.query(Source::Csv(test.to_path_buf()), &model.metadata);
        let history = history::read(&query)?;
        let backtest = bench.score(&model.artifact, &model.metadata, &history, bench.global())?;
        let rows = Some((test, history.recording.rows.as_slice()));
        let scores = file.with_extension("csv");
        evaluate::write_scores(&scores, &backtest, &model.metadata.entity, rows)?;
        let judged = judge(&backtest, &self.folder.join("test_label.csv"))?;
        fs::write(file.with_extension("json"), serde_json::to_string_pretty(&judged)?)?;
        Ok(Row { judged, train_cpu_seconds })
    }
}

/// The scores of the only entity held against the labels from its first step on.
fn judge(backtest: &Backtest, labels: &Path) -> anyhow::Result<Judged> {
    let [entity] = backtest.entities.as_slice() else {
        anyhow::bail!("a recording of {} entities", backtest.entities.len());
    };
    let history::Marks::Steps(mut all) = history::read_labels(labels, None, &[])?.marks else {
        anyhow::bail!("{} has incidents instead of a label for each step", labels.display());
    };
    let mut labels = all.pop().map_or_else(Vec::new, |it| it.steps);
    labels.retain(|(time_ms, _)| backtest.times_ms.first().is_some_and(|first| time_ms >= first));
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
