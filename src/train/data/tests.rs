use super::*;
use crate::detect::DetectConfig;
use crate::features::{EntityRecording, FeatureSpec, Missing, Recording, Sightings};

const NAN: f32 = f32::NAN;

/// Entities with any number of features, one step a minute.
pub fn recording(entities: &[&[Vec<f32>]]) -> Recording {
    let steps = entities[0].len();
    let times_ms = (0..steps as i64).map(|i| i * 60_000).collect();
    let width = entities[0][0].len();
    let entities = entities.iter().enumerate().map(|(i, rows)| {
        let labels = Labels::from_pairs([("instance", i.to_string())]).expect("one name");
        let values = Array2::from_shape_vec((steps, width), rows.concat()).expect("rows");
        EntityRecording::new(labels, values)
    });
    Recording::new(times_ms, 60_000, vec![true; width], entities.collect())
}

/// The same, cleaned: missing values are masked.
pub fn dataset(entities: &[&[Vec<f32>]]) -> Dataset {
    let width = entities[0][0].len();
    let names = (0..width).map(|i| format!("f{i}"));
    let features: Vec<_> = names.map(|name| FeatureSpec::new(name, "x")).collect();
    let mut recording = recording(entities);
    // However many features a row lacks: what is tested is not cleaning.
    let usable: Vec<Vec<bool>> = entities.iter().map(|rows| vec![true; rows.len()]).collect();
    recording.own.fill(false);
    match Dataset::clean(recording.clone(), &features, &[], &DetectConfig::default()) {
        Ok(mut dataset) if dataset.entities.len() == entities.len() => {
            for (rows, usable) in dataset.entities.iter_mut().zip(usable) {
                rows.usable = usable;
            }
            dataset
        }
        _ => Dataset {
            times_ms: recording.times_ms,
            step_ms: recording.step_ms,
            stale_after: DetectConfig::default().stale_after,
            entities: (recording.entities.into_iter().zip(usable))
                .map(|(it, usable)| Rows {
                    labels: it.labels,
                    values: it.values,
                    usable,
                    left_out: Vec::new(),
                    own: OwnCells::default(),
                })
                .collect(),
            cleaning: Cleaning::default(),
        },
    }
}

fn features(policies: [Missing; 3]) -> Vec<FeatureSpec> {
    let name = ["a", "b", "c"];
    (name.into_iter().zip(policies))
        .map(|(name, missing)| FeatureSpec::new(name, name).or(missing))
        .collect()
}

fn cleaned(recording: Recording, policies: [Missing; 3]) -> Result<Dataset, DatasetError> {
    Dataset::clean(recording, &features(policies), &[], &DetectConfig::default())
}

#[test]
fn a_missing_value_follows_its_policy() {
    let rows = [
        vec![NAN, NAN, 7.0], // nothing to hold yet: dropped
        vec![1.0, NAN, 7.0], // b is filled, as it has never been there
        vec![1.0, 2.0, 7.0], // complete
        vec![NAN, 3.0, 7.0], // a is held
        vec![NAN, NAN, NAN], // the entity is not there
        vec![NAN, 5.0, 7.0], // a is too old: dropped
        vec![6.0, NAN, 7.0], // b has vanished: masked
        vec![6.0, 5.0, NAN], // c is masked
    ];
    let features = features([Missing::Hold, Missing::Fill(-1.0), Missing::Mask]);
    let dataset = Dataset::clean(recording(&[&rows]), &features, &[], &DetectConfig::default())
        .expect("some rows");
    let usable = [false, true, true, true, false, false, true, true];
    assert_eq!(dataset.entities[0].usable, usable);
    assert_eq!(dataset.row(0, 1), Some([1.0, -1.0, 7.0].as_slice()));
    assert_eq!(dataset.row(0, 2), Some([1.0, 2.0, 7.0].as_slice()));
    assert_eq!(dataset.row(0, 3), Some([1.0, 3.0, 7.0].as_slice()));
    assert_eq!(dataset.row(0, 5), None);
    assert!(dataset.row(0, 6).is_some_and(|row| row[1].is_nan() && row[0] == 6.0));
    assert!(dataset.row(0, 7).is_some_and(|row| row[2].is_nan() && row[1] == 5.0));
    let cleaning = &dataset.cleaning;
    assert_eq!((cleaning.rows, cleaning.dropped, cleaning.entities), (5, 2, 1));
    assert_eq!(cleaning.dropped_for, [2, 0, 0]);
    assert_eq!(cleaning.filled, [1, 1, 0]);
    assert_eq!(cleaning.masked, [0, 1, 1]);
}

#[test]
fn excluded_steps_and_gaps_break_windows() {
    let rows = vec![vec![1.0, 2.0, 3.0]; 12];
    let mut recording = recording(&[&rows]);
    recording.entities[0].excluded = (0..12).map(|step| step == 4).collect();
    // Hours, so that the margins of what is excluded hold no other step.
    recording.step_ms *= 60;
    recording.times_ms.iter_mut().for_each(|time_ms| *time_ms *= 60);
    recording.times_ms.iter_mut().skip(9).for_each(|time_ms| *time_ms += 36_000_000);
    let dataset = cleaned(recording, [Missing::Mask; 3]).expect("rows");
    assert_eq!((dataset.cleaning.excluded, dataset.cleaning.rows), (1, 11));
    let steps = |window| -> Vec<u32> {
        dataset.windows(0, 12, window).iter().map(|place| place.step).collect()
    };
    assert_eq!(steps(3), [2, 3, 7, 8, 11]);
    assert_eq!(steps(1).len(), 11);
    let without: Vec<usize> = [1, 2, 3, 4, 5, 6].map(|it| dataset.without_window(it)).to_vec();
    assert_eq!(without, [0, 0, 0, 3, 11, 11]);
    let from = dataset.windows(3, 8, 3);
    assert_eq!(from.iter().map(|place| place.step).collect::<Vec<_>>(), [3, 7]);
    assert_eq!(dataset.gather(&from, 3).dim(), (2, 3, 3));
}

#[test]
fn what_is_excluded_has_margins() {
    let rows = vec![vec![1.0, 2.0, 3.0]; 200];
    let mut recording = recording(&[&rows]);
    recording.entities[0].excluded = (0..200).map(|step| step == 100).collect();
    let dataset = cleaned(recording, [Missing::Mask; 3]).expect("rows");
    let unused: Vec<usize> = (0..200).filter(|step| !dataset.entities[0].usable[*step]).collect();
    assert_eq!(unused, (85..=130).collect::<Vec<_>>());
    assert_eq!((dataset.cleaning.excluded, dataset.cleaning.rows), (46, 154));
}

#[test]
fn what_is_left_out_is_in_no_window() {
    let rows = vec![vec![1.0, 2.0, 3.0]; 200];
    let mut dataset = cleaned(recording(&[&rows]), [Missing::Mask; 3]).expect("rows");
    dataset.entities[0].left_out = (0..200).map(|step| (50..70).contains(&step)).collect();
    let split = dataset.split(10).expect("enough");
    assert!(split.training().iter().all(|it| it.step < 50 || it.step >= 79));
    assert_eq!(split.training().len(), 41 + 121);
    // It is scored even so.
    assert!(dataset.row(0, 60).is_some());
}

#[test]
fn one_moment_parts_all_entities() {
    let rows = vec![vec![1.0, 2.0, 3.0]; 50];
    let mut late = vec![vec![NAN, NAN, NAN]; 50];
    late[30..].fill(vec![1.0, 2.0, 3.0]);
    let gone = vec![vec![NAN, NAN, NAN]; 50];
    let recording = recording(&[&rows, &late, &gone]);
    let dataset = cleaned(recording, [Missing::Skip; 3]).expect("rows");
    assert_eq!((dataset.cleaning.entities, dataset.cleaning.empty_entities), (2, 1));
    let split = dataset.split(1).expect("two parts");
    let last = |places: &[WindowPosition]| places.iter().map(|place| place.step).max();
    let first = |places: &[WindowPosition]| places.iter().map(|place| place.step).min();
    assert!(last(&split.fit) < first(&split.stopping));
    assert_eq!((split.training().len(), split.stopping.len()), (70, 8));
    let places = split.training();
    assert!(places.is_sorted_by_key(|place| (place.entity, place.step)));
}

#[test]
fn who_is_too_young_for_the_longest_range_lacks_no_value() {
    let rows = vec![vec![1.0, 2.0, 3.0]; 8];
    let mut young = recording(&[&rows]);
    // A scrape each quarter of a minute, from the first step on.
    let instants_ms: Vec<i64> = (-40..=28).map(|i| i * 15_000).collect();
    let seen = |at: &i64| if *at < 0 { i64::MIN } else { *at };
    young.entities[0].newest_ms = instants_ms.iter().map(seen).collect();
    young.sightings = Some(Sightings { instants_ms, resolution_ms: 15_000 });
    let features = |range: &str| -> Vec<FeatureSpec> {
        let spec = |name: &str| FeatureSpec::new(name, format!("rate(m_{name}[{range}])"));
        ["a", "b", "c"].map(spec).to_vec()
    };
    let entity = ["instance".to_owned()];
    let clean = |range: &str| {
        Dataset::clean(young.clone(), &features(range), &entity, &DetectConfig::default())
    };
    let text = clean("10m").expect_err("all of it is too young").to_string();
    assert!(text.contains("at all 8 at which") && text.contains("for the 10m that"), "{text}");
    let cleaning = clean("5m").expect("some steps").cleaning;
    assert!(cleaning.warming >= 4 && cleaning.rows >= 2, "{cleaning:?}");
    assert_eq!((cleaning.warming + cleaning.rows, cleaning.dropped), (8, 0));
}

#[test]
fn too_little_says_what_to_do() {
    let rows = vec![vec![NAN, 2.0, 3.0]; 40];
    let error = cleaned(recording(&[&rows]), [Missing::Skip; 3]);
    let text = error.expect_err("nothing").to_string();
    assert!(text.contains("for lack of a (40)"), "{text}");
    let rows = vec![vec![NAN; 3]; 40];
    let error = cleaned(recording(&[&rows]), [Missing::Mask; 3]);
    let text = error.expect_err("nothing").to_string();
    assert!(text.contains("no feature has a value at any of 40 steps"), "{text}");
    let rows = vec![vec![1.0, 2.0, 3.0]; 31];
    let dataset = cleaned(recording(&[&rows]), [Missing::Skip; 3]);
    let error = dataset.expect("rows").split(1).expect_err("too few").to_string();
    assert!(error.contains("31 windows of 1 steps"), "{error}");
}
