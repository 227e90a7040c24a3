//! What a call costs that scores ten thousand entities, in CPU time of one thread.
//!
//! `cargo bench --bench score`. Goals: 50 ms for the ensemble, 1 ms for the dense autoencoder. Models are trained here, on a made-up recording of 38 features, so
//! that their graphs are those of `portent train`: the default ensemble, and a dense autoencoder
//! alone.

use std::fs::{self, File};
use std::hint::black_box;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use ndarray::{Array1, Array2, Array3};
use portent::detect::DetectConfig;
use portent::features::{TIME_OF_DAY, TIME_OF_WEEK};
use portent::history::{Exclusions, HistoryConfig, HistoryQuery, Source};
use portent::model::{Artifact, Context, Metadata, ModelConfig, Runtime, Scorer};
use portent::train::{self, ModelKind, Options, TrainConfig};
use rustix::time::{ClockId, clock_gettime};

/// The features of a machine of the server data sets that are in common use.
const FEATURES: usize = 38;

/// Three days of minutes: enough for every branch to find something to learn, soon trained.
const STEPS: usize = 3 * 1_440;

const START_SECONDS: usize = 1_700_000_000;

/// Entities of one call.
const ENTITIES: usize = 10_000;

fn score(criterion: &mut Criterion) {
    let folder = tempfile::tempdir().expect("a folder");
    let input = folder.path().join("train.csv");
    record(&input);
    let dense = TrainConfig {
        model: ModelKind::Autoencoder,
        layers: vec![8, 4, 8],
        window: 1,
        ..TrainConfig::default()
    };
    let mut group = criterion.benchmark_group("score");
    group.sample_size(20).throughput(Throughput::Elements(ENTITIES as u64));
    for (name, config) in [("ensemble", TrainConfig::default()), ("dense_autoencoder", dense)] {
        // What is measured is the graph, which is the same after few passes.
        let config = TrainConfig { epochs: 2, ..config };
        let model = folder.path().join(format!("{name}.onnx"));
        let (metadata, mut scorer) = trained(&input, &model, config);
        let batch = Batch::new(&metadata);
        group.bench_function(BenchmarkId::new(name, ENTITIES), |bencher| {
            bencher.iter_custom(|calls| {
                let before = cpu_time();
                for _ in 0..calls {
                    let level = Some((batch.mean.view(), batch.scale.view()));
                    let context = Context { level, entity: Some(batch.entity.view()) };
                    let scores = scorer.score_in(batch.features.view(), &context).expect("scores");
                    assert_eq!(scores.error.len(), ENTITIES);
                    black_box(scores);
                }
                cpu_time() - before
            });
        });
    }
    group.finish();
}

/// Of this thread, on which the graph runs as well: what others do on the machine does not count.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), u32::try_from(time.tv_nsec).expect("below a second"))
}

/// Loads, daily waves and noise, each feature in its own mixture.
fn record(path: &Path) {
    let mut file = BufWriter::new(File::create(path).expect("a file"));
    let names: Vec<String> = (0..FEATURES).map(|i| format!("f{i:02}")).collect();
    writeln!(file, "timestamp,{}", names.join(",")).expect("written");
    let mut noise = Noise(1);
    for step in 0..STEPS {
        let day = (step % 1_440) as f64 / 1_440.0 * std::f64::consts::TAU;
        let load = day.sin() + 0.3 * noise.next();
        write!(file, "{}", START_SECONDS + 60 * step).expect("written");
        for feature in 0..FEATURES {
            let share = (feature % 5) as f64 / 4.0;
            let value = 10.0 + share * load + (1.0 - share) * day.cos() + 0.2 * noise.next();
            write!(file, ",{value:.4}").expect("written");
        }
        writeln!(file).expect("written");
    }
    file.flush().expect("written");
}

/// Numbers from -1 to 1 that look random and are always the same.
struct Noise(u64);

impl Noise {
    fn next(&mut self) -> f64 {
        // Source: Knuth, MMIX's linear congruential generator; its upper bits are good enough here.
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f64 / (1 << 23) as f64 - 1.0
    }
}

fn trained(input: &Path, model: &Path, config: TrainConfig) -> (Metadata, Scorer) {
    train::run(&Options {
        config,
        global: DetectConfig::default(),
        model: ModelConfig::default(),
        history: HistoryQuery {
            source: Source::Csv(input.to_path_buf()),
            features: Vec::new(),
            entity: vec!["instance".to_owned()],
            exclude: Exclusions::default(),
            config: HistoryConfig::default(),
            zone: None,
        },
        keep: Vec::new(),
        tune: None,
        output: model.to_path_buf(),
        onnxruntime: None,
    })
    .expect("a model");
    let artifact = Artifact::read(fs::read(model).expect("the file").into()).expect("a model file");
    let metadata = artifact.resolve(&ModelConfig::default()).expect("a model of ours");
    let runtime = Runtime::load(None).expect("ONNX Runtime; `make onnxruntime` gets it");
    let scorer = Scorer::new(&runtime, &artifact, &metadata).expect("a model of the contract");
    (metadata, scorer)
}

/// What one call is given.
struct Batch {
    features: Array3<f32>,
    mean: Array2<f32>,
    scale: Array2<f32>,
    entity: Array1<f32>,
}

impl Batch {
    fn new(metadata: &Metadata) -> Self {
        let shape = (ENTITIES, metadata.window, metadata.features.len());
        let mut noise = Noise(2);
        let features = Array3::from_shape_fn(shape, |(entity, step, feature)| {
            let spec = &metadata.features[feature];
            let time_ms = (START_SECONDS + 60 * step) as i64 * 1_000;
            let clock = [TIME_OF_DAY, TIME_OF_WEEK].into_iter().find(|it| it.is(spec));
            match clock {
                Some(clock) => clock.value(time_ms),
                // One value in a hundred is missing.
                None if (entity + feature) % 100 == 0 => f32::NAN,
                None => 10.0 + noise.next() as f32,
            }
        });
        let level = (ENTITIES, metadata.features.len());
        Self {
            features,
            mean: Array2::from_elem(level, 10.0),
            scale: Array2::from_elem(level, 0.5),
            entity: Array1::zeros(ENTITIES),
        }
    }
}

criterion_group!(benches, score);
criterion_main!(benches);
