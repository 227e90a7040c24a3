use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use prost::Message;
use snap::write::FrameEncoder;

use super::*;
use crate::detect::alert::{Alert, AlertMemory};
use crate::detect::{
    AlertsMemory, EntityMemory, HoursMemory, LevelMemory, MeanMemory, MemoryPage, ModelKey,
    RunMemory,
};
use crate::features::{CellMemory, WindowMemory};
use crate::histogram::{
    BucketCounts, BucketSpan, CounterResetHint, NativeHistogram, SCHEMA_CUSTOM,
};
use crate::labels::Labels;
use crate::proto::state as proto;
use crate::proto::state::record::Kind;
use crate::sample::{Batch, BatchSeries, HistogramSample, STALE_NAN_BITS, Sample};

const LIMIT: u64 = 64 << 20;

/// A folder, and the path of a state file in it.
fn place() -> (tempfile::TempDir, PathBuf) {
    let dir = tempfile::tempdir().expect("a folder");
    let path = dir.path().join("state");
    (dir, path)
}

fn header() -> Header {
    Header { written_ms: 1_700_000_000_123, program: "1.2.3".to_owned() }
}

fn write(path: &Path, pages: &[MemoryPage]) -> Result<Counts, StateError> {
    let mut writer = Writer::create(path, &header())?;
    for page in pages {
        writer.write(page)?;
    }
    writer.finish()
}

fn read(path: &Path) -> Result<(Header, Vec<MemoryPage>), StateError> {
    read_all(path, LIMIT).map(|found| found.expect("there is a file"))
}

/// What reading these bytes says, without the path.
fn said(path: &Path, bytes: &[u8]) -> String {
    fs::write(path, bytes).expect("written");
    let error = read(path).expect_err("it is not whole").to_string();
    assert!(error.contains(&path.display().to_string()), "{error}");
    error.replace(&path.display().to_string(), "FILE")
}

/// A file of these records, each in frames of its own.
fn framed(records: &[Vec<u8>]) -> Vec<u8> {
    let mut frames = FrameEncoder::new([&MAGIC[..], &[LAYOUT]].concat());
    for record in records {
        frames.write_all(record).and_then(|()| frames.flush()).expect("memory");
    }
    frames.into_inner().expect("memory")
}

fn record(kind: Kind) -> Vec<u8> {
    proto::Record { kind: Some(kind) }.encode_length_delimited_to_vec()
}

fn head(schema: u32) -> Vec<u8> {
    record(Kind::Header(proto::Header { schema, ..proto::Header::default() }))
}

fn end(records: &[Vec<u8>], entities: u64) -> Vec<u8> {
    let bytes = records.iter().map(|it| it.len() as u64).sum();
    record(Kind::End(proto::End { entities, bytes, ..proto::End::default() }))
}

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
}

fn entity(name: &str) -> EntityMemory {
    EntityMemory {
        entity: labels(&[("instance", name), ("job", "node")]),
        left_ms: -5,
        is_away: true,
        cells: vec![
            CellMemory { held: Some((-1, -0.0)), had: 255, lacked: 0 },
            CellMemory { held: None, had: 0, lacked: 7 },
        ],
        window: WindowMemory { last_ms: i64::MAX, rows: vec![1.0, -0.0, f32::NAN] },
        level: vec![LevelMemory { mean: -0.0, variance: f64::INFINITY, weight: 0.5 }],
        smoothing: vec![MeanMemory { last_ms: 3, weight: -0.0, means: vec![0.0, 1.5] }],
        errors: u32::MAX,
        hours: Some(HoursMemory { hour: 5, since: -4, largest: vec![f32::NAN, 2.0] }),
        still: vec![RunMemory { last: f32::from_bits(0x7fa0_0001), run: 9 }],
        scored_ms: Some(0),
    }
}

fn series(name: &str, samples: &[(i64, f64)]) -> BatchSeries {
    BatchSeries::new(
        labels(&[("__name__", name)]),
        samples.iter().map(|&(time, value)| Sample::new(time, value)).collect(),
    )
}

fn small() -> Vec<MemoryPage> {
    let stale = f64::from_bits(STALE_NAN_BITS);
    let samples = [(1000, 1.0), (1015, -0.0), (1030, stale), (-7, 2.0), (i64::MIN, 0.0)];
    vec![
        MemoryPage::Entities { model: ModelKey([7; 32]), entities: vec![entity("a"), entity("b")] },
        MemoryPage::Series(Batch::of(vec![series("up", &samples), series("x", &[])])),
    ]
}

/// All floats of the pages taken out, as bits, so that what is left can be compared.
fn floats(pages: &mut [MemoryPage]) -> Vec<u64> {
    let mut bits = Vec::new();
    let mut small = |it: &mut f32| bits.push(u64::from(std::mem::take(it).to_bits()));
    let mut large = Vec::new();
    let mut double = |it: &mut f64| large.push(std::mem::take(it).to_bits());
    for page in pages {
        match page {
            MemoryPage::Entities { entities, .. } => entities.iter_mut().for_each(|it| {
                it.cells.iter_mut().flat_map(|it| &mut it.held).for_each(|it| double(&mut it.1));
                it.window.rows.iter_mut().for_each(&mut small);
                for level in &mut it.level {
                    double(&mut level.mean);
                    double(&mut level.variance);
                    double(&mut level.weight);
                }
                for mean in &mut it.smoothing {
                    small(&mut mean.weight);
                    mean.means.iter_mut().for_each(&mut small);
                }
                it.hours.iter_mut().flat_map(|it| &mut it.largest).for_each(&mut small);
                it.still.iter_mut().for_each(|it| small(&mut it.last));
            }),
            MemoryPage::Alerts(of) => {
                of.alerts.iter_mut().for_each(|it| double(&mut it.alert.value))
            }
            // A sample compares by its bits.
            MemoryPage::Series(_) => {}
        }
    }
    bits.extend(large);
    bits
}

#[track_caller]
fn assert_same(found: &[MemoryPage], expected: &[MemoryPage]) {
    let (mut found, mut expected) = (found.to_vec(), expected.to_vec());
    assert_eq!(floats(&mut found), floats(&mut expected));
    assert_eq!(found, expected);
}

prop_compose! {
    fn any_labels()(pairs in btree_map("\\PC{1,8}", "\\PC{0,8}", 0..4)) -> Labels {
        Labels::from_pairs(pairs).expect("distinct names")
    }
}

fn single() -> impl Strategy<Value = f32> + Clone {
    any::<u32>().prop_map(f32::from_bits)
}

fn double() -> impl Strategy<Value = f64> + Clone {
    any::<u64>().prop_map(f64::from_bits)
}

prop_compose! {
    fn any_entity()(
        (entity, left_ms, is_away, errors, scored_ms) in
            (any_labels(), any::<i64>(), any::<bool>(), any::<u32>(), any::<Option<i64>>()),
        cells in vec((option::of((any::<i64>(), double())), any::<u8>(), any::<u8>()), 0..4),
        window in (any::<i64>(), vec(single(), 0..5)),
        level in vec((double(), double(), double()), 0..3),
        smoothing in vec((any::<i64>(), single(), vec(single(), 0..4)), 0..3),
        hours in option::of((any::<i64>(), any::<i64>(), vec(single(), 0..5))),
        still in vec((single(), any::<u32>()), 0..3),
    ) -> EntityMemory {
        EntityMemory {
            entity, left_ms, is_away, errors, scored_ms,
            cells: cells.into_iter()
                .map(|(held, had, lacked)| CellMemory { held, had, lacked }).collect(),
            window: WindowMemory { last_ms: window.0, rows: window.1 },
            level: level.into_iter()
                .map(|(mean, variance, weight)| LevelMemory { mean, variance, weight }).collect(),
            smoothing: smoothing.into_iter()
                .map(|(last_ms, weight, means)| MeanMemory { last_ms, weight, means }).collect(),
            hours: hours.map(|(hour, since, largest)| HoursMemory { hour, since, largest }),
            still: still.into_iter().map(|(last, run)| RunMemory { last, run }).collect(),
        }
    }
}

prop_compose! {
    fn any_histogram()(
        schema in -4..=8,
        zero in (0.0..1.0, 0.0..1e9),
        sum in double(),
        (offset, counts) in (any::<i32>(), vec(0.0..1e9, 0..5)),
        custom in vec(0.001..1.0, 0..4),
        hint in 0..4,
    ) -> NativeHistogram {
        let length = counts.len() as u32;
        let side = |offset| BucketCounts {
            spans: vec![BucketSpan { offset, length }],
            counts: counts.clone(),
        };
        let hints = [
            CounterResetHint::Unknown,
            CounterResetHint::Yes,
            CounterResetHint::No,
            CounterResetHint::Gauge,
        ];
        let reset_hint = hints[hint as usize];
        let count = 2.0 * counts.iter().sum::<f64>() + zero.1;
        if custom.len() >= counts.len() && !custom.is_empty() {
            let mut last = 0.0;
            let custom_values = custom.iter().map(|it| { last += it; last }).collect();
            return NativeHistogram {
                schema: SCHEMA_CUSTOM, sum, count, positive: side(0), custom_values, reset_hint,
                ..NativeHistogram::default()
            };
        }
        NativeHistogram {
            schema, zero_threshold: zero.0, zero_count: zero.1, count, sum, positive: side(offset),
            negative: side(-3), custom_values: Vec::new(), reset_hint,
        }
    }
}

prop_compose! {
    fn any_series()(
        labels in any_labels(),
        replica in option::of("\\PC{0,5}"),
        samples in vec((any::<i64>(), double()), 0..6),
        histograms in vec((any::<i64>(), any_histogram()), 0..4),
    ) -> BatchSeries {
        let samples = samples.into_iter().map(|(time, value)| Sample::new(time, value)).collect();
        let histogram = |(time, it)| HistogramSample::new(time, NativeHistogram::clone(&it));
        let histograms = histograms.into_iter().map(histogram).collect();
        let series = BatchSeries::new(labels, samples);
        BatchSeries { replica: replica.map(Into::into), histograms, ..series }
    }
}

prop_compose! {
    fn any_alert()(
        rule in "\\PC{0,8}",
        entity in option::of(any_labels()),
        (active_since_ms, scored_ms, value) in (any::<i64>(), any::<i64>(), double()),
        (fired_ms, keep_firing_since_ms, unscored_since_ms) in
            (any::<Option<i64>>(), any::<Option<i64>>(), any::<Option<i64>>()),
    ) -> AlertMemory {
        let alert = Alert {
            active_since_ms, fired_ms, keep_firing_since_ms, unscored_since_ms, scored_ms, value,
        };
        AlertMemory { rule, entity, alert }
    }
}

fn any_page() -> impl Strategy<Value = MemoryPage> {
    prop_oneof![
        (any::<[u8; 32]>(), vec(any_entity(), 0..4))
            .prop_map(|(key, entities)| MemoryPage::Entities { model: ModelKey(key), entities }),
        ("\\PC{0,8}", any::<[u8; 32]>(), any::<i64>(), vec(any_alert(), 0..4)).prop_map(
            |(model, key, evaluated_ms, alerts)| MemoryPage::Alerts(AlertsMemory {
                model,
                key: ModelKey(key),
                evaluated_ms,
                alerts,
            })
        ),
        vec(any_series(), 0..4).prop_map(|series| MemoryPage::Series(Batch::of(series))),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]

    #[test]
    fn what_is_written_is_read(pages in vec(any_page(), 0..6)) {
        let (_dir, path) = place();
        let counts = write(&path, &pages).expect("written");
        let (found, back) = read(&path).expect("whole");
        prop_assert_eq!(found, header());
        assert_same(&back, &pages);
        prop_assert_eq!(Reader::open(&path, LIMIT).expect("whole").expect("a file").counts(), counts);
    }

    #[test]
    fn any_bytes_behind_good_frames_are_an_error(records in vec(vec(any::<u8>(), 0..80), 0..4)) {
        let (_dir, path) = place();
        // With a length that is right, and without.
        let delimited = records.iter().map(|it| it.encode_length_delimited_to_vec());
        for tail in [records.clone(), delimited.collect()] {
            let all: Vec<Vec<u8>> = std::iter::once(head(SCHEMA)).chain(tail).collect();
            said(&path, &framed(&all));
        }
    }
}

#[test]
fn a_small_file_keeps_every_bit() {
    let (_dir, path) = place();
    let counts = write(&path, &small()).expect("written");
    assert_eq!(counts, Counts { entities: 2, series: 2, samples: 5 });
    assert_same(&read(&path).expect("whole").1, &small());
    assert!(read_all(&path.with_extension("none"), LIMIT).expect("no error").is_none());
}

/// Entities as they were before there were alerts.
#[derive(Clone, PartialEq, Message)]
struct FormerEntities {
    #[prost(bytes = "vec", tag = "1")]
    model: Vec<u8>,
    #[prost(message, repeated, tag = "2")]
    entities: Vec<proto::Entity>,
}

#[test]
fn alerts_are_nothing_to_former_programs_and_former_files_have_none() {
    let alerts =
        Some(proto::Alerts { alerts: vec![proto::Alert::default(); 3], ..Default::default() });
    let new = proto::Entities { model: vec![7; 32], entities: vec![], alerts };
    let former = FormerEntities::decode(&*new.encode_to_vec()).expect("it is passed over");
    assert_eq!(former, FormerEntities { model: vec![7; 32], entities: vec![] });
    let former = FormerEntities { entities: vec![proto::Entity::default()], ..former };
    let read = proto::Entities::decode(&*former.encode_to_vec()).expect("the same message");
    assert_eq!((read.entities.len(), read.alerts), (1, None));
}

#[test]
fn what_is_empty_stays_empty() {
    let (_dir, path) = place();
    let nobody = EntityMemory {
        entity: Labels::empty(),
        left_ms: 0,
        is_away: false,
        cells: vec![],
        window: WindowMemory::default(),
        level: vec![],
        smoothing: vec![],
        errors: 0,
        hours: None,
        still: vec![],
        scored_ms: None,
    };
    let nothing =
        BatchSeries { replica: Some("".into()), ..BatchSeries::new(Labels::empty(), vec![]) };
    let hours = EntityMemory { hours: Some(HoursMemory::default()), ..nobody.clone() };
    let model = ModelKey([0; 32]);
    for pages in [
        vec![],
        vec![
            MemoryPage::Entities { model, entities: vec![] },
            MemoryPage::Series(Batch::default()),
            MemoryPage::Entities { model, entities: vec![nobody, hours] },
            MemoryPage::Series(Batch::of(vec![nothing])),
        ],
    ] {
        write(&path, &pages).expect("written");
        assert_same(&read(&path).expect("whole").1, &pages);
    }
}

#[test]
fn a_large_page_becomes_many() {
    let (_dir, path) = place();
    let samples: Vec<(i64, f64)> = (0..5000).map(|i| (i * 15_000, (i as f64).sin())).collect();
    let many = (0..100).map(|i| series(&format!("s{i}"), &samples)).collect();
    let rows = WindowMemory { last_ms: 0, rows: (0..9000).map(|i| i as f32 * 1.7).collect() };
    let wide = |i| EntityMemory { window: rows.clone(), ..entity(&format!("h{i}")) };
    // Empty ones cost nearly nothing in a record, and still it does not hold any number.
    let empty = (0..400_000).map(|_| series("", &[])).collect();
    let pages = [
        MemoryPage::Series(Batch::of(many)),
        MemoryPage::Entities { model: ModelKey([1; 32]), entities: (0..100).map(wide).collect() },
        MemoryPage::Series(Batch::of(empty)),
    ];
    let counts = write(&path, &pages).expect("written");
    assert_eq!(counts, Counts { entities: 100, series: 400_100, samples: 500_000 });
    let found = read(&path).expect("whole").1;
    assert!((8..40).contains(&found.len()), "{} pages", found.len());
    let items = |page: &MemoryPage| match page {
        MemoryPage::Entities { entities, .. } => entities.len(),
        MemoryPage::Series(batch) => batch.series.len(),
        MemoryPage::Alerts(of) => of.alerts.len(),
    };
    assert!(found.iter().all(|page| items(page) < 200_000), "so many empty ones in a record");
    // In the same order, of the same model.
    let mut joined: Vec<MemoryPage> = Vec::new();
    for page in found {
        match (joined.last_mut(), page) {
            (Some(MemoryPage::Series(all)), MemoryPage::Series(more)) => {
                all.series.extend(more.series);
            }
            (
                Some(MemoryPage::Entities { model, entities }),
                MemoryPage::Entities { model: of, entities: more },
            ) if *model == of => entities.extend(more),
            (_, page) => joined.push(page),
        }
    }
    assert_same(&joined, &pages);
}

#[test]
fn a_file_that_is_cut_anywhere_is_an_error() {
    let (_dir, path) = place();
    write(&path, &small()).expect("written");
    let whole = fs::read(&path).expect("a file");
    for length in 0..whole.len() {
        let said = said(&path, &whole[..length]);
        assert_eq!(said, "the state file FILE is cut short", "after {length} bytes");
    }
    // Where a record ends, too.
    let records = [head(SCHEMA)];
    assert_eq!(said(&path, &framed(&records)), "the state file FILE is cut short");
    assert_eq!(
        said(&path, &[&whole[..], b"\0"].concat()),
        "the state file FILE is cut short",
        "a frame begins behind the end"
    );
}

#[test]
fn a_bit_that_is_turned_is_an_error_or_changes_nothing() {
    let (_dir, path) = place();
    write(&path, &small()).expect("written");
    let whole = fs::read(&path).expect("a file");
    let mut errors = 0;
    for at in 0..whole.len() {
        for bit in 0..8 {
            let mut bytes = whole.clone();
            bytes[at] ^= 1 << bit;
            fs::write(&path, &bytes).expect("written");
            match read(&path) {
                Err(error) => {
                    assert!(!error.to_string().is_empty());
                    errors += 1;
                }
                Ok((found, pages)) => {
                    assert_eq!(found, header(), "byte {at}");
                    assert_same(&pages, &small());
                }
            }
        }
    }
    // A copy of bytes that are there twice may come from either place; nearly all else is seen.
    assert!(errors * 50 > whole.len() * 8 * 49, "{errors} of {} bits", whole.len() * 8);
}

#[test]
fn a_frame_that_is_passed_over_is_missed() {
    let (_dir, path) = place();
    let page = record(Kind::Entities(proto::Entities {
        model: vec![3; 32],
        entities: vec![proto::Entity::default()],
        alerts: None,
    }));
    let records = [head(SCHEMA), page.clone(), page.clone()];
    let with_end = [&records[..], &[end(&records, 2)]].concat();
    fs::write(&path, framed(&with_end)).expect("written");
    assert_eq!(read(&path).expect("whole").1.len(), 2);
    // The kind of the second page's frame becomes one that a reader of frames is to skip.
    let mut bytes = framed(&with_end);
    let at = framed(&with_end[..2]).len();
    bytes[at] |= 0x80;
    let less = "the state file FILE is damaged: its end counts more or less than there is";
    assert_eq!(said(&path, &bytes), less);
    // What is twice there, or empty, is seen by its bytes.
    let none = record(Kind::Series(proto::SeriesPage::default()));
    for more in [page, none] {
        let mut records = records.to_vec();
        records.extend([more, end(&with_end[..3], 2)]);
        assert_eq!(said(&path, &framed(&records)), less);
    }
}

#[test]
fn a_length_that_is_claimed_gets_no_room() {
    let (_dir, path) = place();
    let claim = |length: u64| {
        let mut varint = Vec::new();
        prost::encoding::encode_varint(length, &mut varint);
        said(&path, &framed(&[head(SCHEMA), varint]))
    };
    let record = "the state file FILE is damaged: a record of";
    assert_eq!(claim(4 << 30), format!("{record} 4294967296 bytes is more than {RECORD_BYTES}"));
    assert_eq!(
        claim(RECORD_BYTES as u64 + 1),
        format!("{record} 16777217 bytes is more than {RECORD_BYTES}")
    );
    assert_eq!(claim(RECORD_BYTES as u64), "the state file FILE is cut short");
    assert!(claim(u64::MAX).contains("damaged"));
    let endless = said(&path, &framed(&[head(SCHEMA), vec![0xff; 11]]));
    assert_eq!(endless, "the state file FILE is damaged: the length of a record is none");
    // One that a message claims of a part of it: a string of 4 GiB in a header.
    let inside = [vec![9, 0x0a, 7, 0x1a], vec![0x80, 0x80, 0x80, 0x80, 0x10], vec![0]].concat();
    assert!(said(&path, &framed(&[inside])).contains("damaged"));
}

#[test]
fn other_files_and_versions_have_sentences_of_their_own() {
    let (_dir, path) = place();
    let foreign = "FILE is not a state file of this program: it begins with other bytes";
    assert_eq!(said(&path, b"PK\x03\x04 and so on"), foreign);
    assert_eq!(said(&path, b"PORTEND\x01"), foreign);
    assert_eq!(said(&path, b"x"), foreign);
    let version = |found: &str| {
        format!("the state file FILE has version {found}, and this program reads 1.1")
    };
    assert_eq!(said(&path, b"PORTENT\x02whatever"), version("2.?"));
    assert_eq!(said(&path, b"PORTENT\x00"), version("0.?"));
    let later = [head(2)];
    assert_eq!(said(&path, &framed(&[&later[..], &[end(&later, 0)]].concat())), version("1.2"));
}

#[test]
fn records_that_nobody_writes_are_an_error() {
    let (_dir, path) = place();
    let label = |name: &str| proto::Label { name: name.to_owned(), value: "v".to_owned() };
    let of_entity = |entity: proto::Entity| {
        Kind::Entities(proto::Entities { model: vec![0; 32], entities: vec![entity], alerts: None })
    };
    let of_series = |one| Kind::Series(proto::SeriesPage { series: vec![one] });
    let cell = |had, lacked| proto::Cell { held: None, had, lacked };
    let entity = proto::Entity::default;
    for (kind, expected) in [
        (Kind::Entities(proto::Entities::default()), "the key of a model has 0 bytes"),
        (
            of_entity(proto::Entity { labels: vec![label("a"), label("a")], ..entity() }),
            r#"label name "a" occurs more than once"#,
        ),
        (of_entity(proto::Entity { labels: vec![label("")], ..entity() }), "a label has no name"),
        (
            of_entity(proto::Entity { cells: vec![cell(256, 0)], ..entity() }),
            "a count of evaluations is 256",
        ),
        (
            of_entity(proto::Entity { cells: vec![cell(0, 257)], ..entity() }),
            "a count of evaluations is 257",
        ),
        (
            of_series(proto::Series { times: vec![1], ..proto::Series::default() }),
            "a series has 1 times and 0 values",
        ),
        (Kind::Header(proto::Header::default()), "it has a second header"),
    ] {
        let expected = format!("the state file FILE is damaged: {expected}");
        assert_eq!(said(&path, &framed(&[head(SCHEMA), record(kind)])), expected);
    }
    let begins = "the state file FILE is damaged: it does not begin with its header";
    assert_eq!(said(&path, &framed(&[end(&[], 0)])), begins);
    let unknown = "the state file FILE is damaged: a record is of an unknown kind";
    assert_eq!(said(&path, &framed(&[head(SCHEMA), vec![0]])), unknown);
    let records = [head(SCHEMA)];
    let twice = [&records[..], &vec![end(&records, 0); 2]].concat();
    let goes_on = "the state file FILE is damaged: it goes on after its end";
    assert_eq!(said(&path, &framed(&twice)), goes_on);
}

#[test]
fn only_a_regular_file_of_a_sensible_size_is_read() {
    let (dir, path) = place();
    let refused = |path: &Path, limit| {
        read_all(path, limit)
            .expect_err("refused")
            .to_string()
            .replace(&path.display().to_string(), "FILE")
    };
    let kind = |what| {
        format!("cannot read the state file FILE: it is {what}, and only a regular file is read")
    };
    assert_eq!(refused(dir.path(), LIMIT), kind("a folder"));
    let made = std::process::Command::new("mkfifo").arg(&path).status();
    assert!(made.expect("mkfifo is on every Unix").success());
    assert_eq!(refused(&path, LIMIT), kind("a pipe"));
    fs::remove_file(&path).expect("removed");
    write(&path, &small()).expect("written");
    let size = fs::metadata(&path).expect("a file").len();
    assert!(read_all(&path, size).expect("whole").is_some());
    assert_eq!(
        refused(&path, size - 1),
        format!(
            "cannot read the state file FILE: it has {size} bytes, more than the {} bytes that are read",
            size - 1
        )
    );
}

#[test]
fn what_was_there_stays_until_the_new_file_is_whole() {
    let (dir, path) = place();
    let names = || fs::read_dir(dir.path()).expect("a folder").count();
    write(&path, &small()).expect("written");
    let before = fs::read(&path).expect("a file");
    // Dropped while under way.
    let mut writer = Writer::create(&path, &header()).expect("a draft");
    writer.write(&small()[0]).expect("written");
    assert_eq!(names(), 2);
    drop(writer);
    assert_eq!((names(), fs::read(&path).expect("a file")), (1, before.clone()));
    // A page that no reader would take.
    let samples: Vec<(i64, f64)> = (0..1_900_000).map(|i| (i, 0.0)).collect();
    let page = MemoryPage::Series(Batch::of(vec![series("up", &samples)]));
    let mut writer = Writer::create(&path, &header()).expect("a draft");
    let error = writer.write(&page).expect_err("too large").to_string();
    assert!(error.contains("the series up takes 17100"), "{error}");
    writer.write(&small()[0]).expect("written");
    let error = writer.finish().expect_err("a part is missing");
    assert!(matches!(error, StateError::Unfinished { .. }), "{error}");
    assert_eq!((names(), fs::read(&path).expect("a file")), (1, before));
    // A folder is in the way, or there is none.
    fs::remove_file(&path).expect("removed");
    fs::create_dir(&path).expect("a folder");
    let error = write(&path, &small()).expect_err("a folder").to_string();
    assert!(error.starts_with("cannot write the state file"), "{error}");
    assert_eq!(names(), 1);
    match write(&dir.path().join("absent/state"), &[]) {
        Err(StateError::Write { reason, .. }) => assert_eq!(reason.kind(), ErrorKind::NotFound),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_reader_keeps_the_file_that_it_has_opened() {
    let (_dir, path) = place();
    write(&path, &small()).expect("written");
    let mut reader = Reader::open(&path, LIMIT).expect("whole").expect("a file");
    write(&path, &[]).expect("written");
    assert_eq!(reader.counts().entities, 2);
    let pages: Vec<MemoryPage> = reader.by_ref().map(|page| page.expect("whole")).collect();
    assert_same(&pages, &small());
    assert!(reader.next().is_none());
    // Whoever writes into it is found out when its pages are read, and once.
    let samples: Vec<(i64, f64)> = (0..30_000).map(|i| (i, (i as f64).sin())).collect();
    write(&path, &[MemoryPage::Series(Batch::of(vec![series("up", &samples)]))]).expect("written");
    let mut reader = Reader::open(&path, LIMIT).expect("whole").expect("a file");
    let file = fs::OpenOptions::new().write(true).open(&path).expect("a file");
    file.set_len(100_000).expect("cut");
    assert!(matches!(reader.next(), Some(Err(StateError::Short { .. }))));
    assert!(reader.next().is_none());
}

#[test]
fn a_state_file_is_its_owners_alone() {
    let (_dir, path) = place();
    let mode = || fs::metadata(&path).expect("a file").permissions().mode() & 0o7777;
    write(&path, &[]).expect("written");
    assert_eq!(mode(), 0o600);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).expect("a mode");
    write(&path, &[]).expect("written");
    assert_eq!(mode(), 0o600);
}
