//! A branch: one way to say what an entity should be doing, and how far it is from that.
//!
//! In: windows of raw values, the entity's level at each. Out: a residual for each feature, in units
//! of the feature's own usual residual. All branches of a model share one scaler, one season and one
//! aggregate each; the graph that `export` writes repeats this arithmetic in float32.
//!
//! | branch | expects | residual in units of |
//! |---|---|---|
//! | season | the time of day's and week's usual value | the fit's residuals |
//! | level | the entity's own level, moved by the season | the fit's residuals, or the level's own scale where that is larger |
//! | forecast | what follows from the last steps of all features | all residuals of the training range |
//! | autoencoder | what its bottleneck restores of the window | all residuals of the training range |

use ndarray::{Array1, Array2, ArrayView2, ArrayView3, Axis, Zip, s};
use serde::{Deserialize, Serialize};

use super::autoencoder::Autoencoder;
use super::forecast::Forecast;
use super::residual::{Aggregate, Aggregated};
use super::scaler::Scaler;
use super::season::Season;

/// What forecast and autoencoder are fed with at most, in deviations: a value farther out says all
/// it can, and would drown all others in a linear map.
pub(super) const INPUT_CLIP: f32 = 5.0;

/// How many of the largest residuals the season and the level look at: what is wrong with a host
/// shows in a few features, seldom in one alone.
const LARGEST: usize = 3;

/// Which branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// The time of day's and week's usual value.
    Season,
    /// The entity's own level.
    Level,
    /// What follows from the last steps.
    Forecast,
    /// What a bottleneck restores.
    Autoencoder,
}

impl Kind {
    /// All of them, in the order of a graph.
    pub const ALL: [Self; 4] = [Self::Season, Self::Level, Self::Forecast, Self::Autoencoder];

    /// Its name in graphs, metrics and reports.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Season => "season",
            Self::Level => "level",
            Self::Forecast => "forecast",
            Self::Autoencoder => "autoencoder",
        }
    }

    pub(super) fn aggregate(self) -> Aggregate {
        match self {
            Self::Season | Self::Level => Aggregate::Largest(LARGEST),
            Self::Forecast | Self::Autoencoder => Aggregate::RootMeanSquare,
        }
    }
}

/// What all branches know of the features.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Base {
    /// Raw values to deviations from the mean.
    pub scaler: Scaler,
    /// Each feature's usual course, in deviations.
    pub season: Season,
    /// The usual residual from the season, in deviations: never below the scaler's least.
    pub season_scale: Vec<f32>,
    /// The mean square of the season's waves.
    pub wave_square: Vec<f32>,
    /// Columns of the time of day and of the week.
    pub clocks: [usize; 2],
    /// Steps of a window.
    pub window: usize,
}

/// A batch as every branch needs it.
#[derive(Debug)]
pub(super) struct Prepared {
    /// Scaled windows `[rows, window, features]`; NaN is missing.
    pub windows: ndarray::Array3<f64>,
    /// The same, clipped.
    pub clipped: ndarray::Array3<f64>,
    /// Sines and cosines of the newest step.
    pub waves: Array2<f64>,
    /// The season's course at the newest step without its mean, `[rows, features]`.
    pub course: Array2<f64>,
    /// How far the newest step is from the entity's level, and the level's scale, in deviations.
    pub from_level: Array2<f64>,
    /// The level's scale in deviations.
    pub level_scale: Array2<f64>,
}

impl Base {
    /// The first float32 operations are the graph's own, so that huge values round alike.
    pub fn prepare(
        &self,
        raw: ArrayView3<'_, f32>,
        level: (ArrayView2<'_, f32>, ArrayView2<'_, f32>),
    ) -> Prepared {
        let (rows, window, features) = raw.dim();
        let flat = raw.to_shape((rows * window, features)).expect("the same values");
        let scaled = self.scaler.scale(flat.view());
        let windows = scaled
            .mapv(f64::from)
            .into_shape_with_order((rows, window, features))
            .expect("as many");
        let clip = f64::from(INPUT_CLIP);
        let clipped = windows.mapv(|it| if it.is_nan() { it } else { it.clamp(-clip, clip) });
        let newest = raw.slice(s![.., window - 1, ..]);
        let clock = |column: usize| newest.column(column).mapv(f64::from);
        let [day, week] = self.clocks.map(clock);
        let waves = self.season.harmonics.of(day.view(), week.view());
        let course = waves.dot(&self.season.weights);
        let inverse = Array1::from(self.scaler.inverse.clone());
        let from_level = ((&newest - &level.0) * &inverse).mapv(f64::from);
        let level_scale = (&level.1 * &inverse).mapv(f64::from);
        Prepared { windows, clipped, waves, course, from_level, level_scale }
    }

    /// Features that count and are there: others have no residual.
    fn counted(&self, mut residual: Array2<f64>) -> Array2<f64> {
        for (kind, mut column) in self.scaler.kinds.iter().zip(residual.axis_iter_mut(Axis(1))) {
            if !kind.counts() {
                column.fill(f64::NAN);
            }
        }
        residual
    }
}

/// One branch, fitted.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Branch {
    /// Its arithmetic.
    pub model: Model,
    /// One over the usual residual of each feature; 1 where the branch finds its own.
    pub inverse: Vec<f32>,
    /// The value that few of the validation windows exceed: divided by it, branches compare.
    pub quantile: f32,
    /// What a branch counts for at most, in quantiles.
    pub cap: Option<f32>,
    /// Its part of the whole; all sum to 1.
    pub weight: f32,
}

/// The arithmetic of a branch.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Model {
    /// See [`Kind::Season`].
    Season,
    /// See [`Kind::Level`].
    Level,
    /// See [`Kind::Forecast`]. Its inputs are the last `lags` steps before the newest, and the
    /// season's waves.
    Forecast {
        /// Steps that it looks at.
        lags: usize,
        /// The map.
        map: Forecast,
    },
    /// See [`Kind::Autoencoder`].
    Autoencoder(Autoencoder),
}

impl Branch {
    /// Which one it is.
    pub fn kind(&self) -> Kind {
        match self.model {
            Model::Season => Kind::Season,
            Model::Level => Kind::Level,
            Model::Forecast { .. } => Kind::Forecast,
            Model::Autoencoder(_) => Kind::Autoencoder,
        }
    }

    /// The newest step as it should be, in deviations, `[rows, features]`.
    pub fn expect(&self, base: &Base, batch: &Prepared) -> Array2<f64> {
        match &self.model {
            Model::Season => &batch.course + &Array1::from(base.season.bias.clone()),
            Model::Level => {
                let newest = batch.windows.slice(s![.., base.window - 1, ..]);
                &newest - &batch.from_level + &batch.course
            }
            Model::Forecast { lags, map } => {
                let earlier = batch.clipped.slice(s![.., base.window - 1 - lags.., ..]);
                map.expect(earlier, batch.waves.view())
            }
            Model::Autoencoder(autoencoder) => {
                let mut expected = autoencoder.expect(batch);
                for (feature, mut column) in expected.axis_iter_mut(Axis(1)).enumerate() {
                    let offset = f64::from(autoencoder.offset[feature]);
                    let factor = f64::from(autoencoder.factor[feature]);
                    column.mapv_inplace(|it| (it - offset) / factor);
                }
                expected
            }
        }
    }

    /// Residuals before they are divided by their usual size, `[rows, features]`; NaN where a
    /// feature does not count or is missing.
    pub fn raw_residual(&self, base: &Base, batch: &Prepared) -> Array2<f64> {
        let last = base.window - 1;
        let residual = match &self.model {
            Model::Season => &batch.windows.slice(s![.., last, ..]) - &self.expect(base, batch),
            Model::Level => (&batch.from_level - &batch.course) / own_scale(base, batch),
            Model::Forecast { .. } => {
                &batch.clipped.slice(s![.., last, ..]) - &self.expect(base, batch)
            }
            Model::Autoencoder(autoencoder) => {
                autoencoder.observed(batch) - autoencoder.expect(batch)
            }
        };
        base.counted(residual)
    }

    /// What residuals say of each row, in the branch's own measure.
    pub fn aggregate(&self, base: &Base, batch: &Prepared) -> Aggregated {
        let mut residual = self.raw_residual(base, batch);
        for (inverse, mut column) in self.inverse.iter().zip(residual.axis_iter_mut(Axis(1))) {
            column.mapv_inplace(|it| it * f64::from(*inverse));
        }
        self.kind().aggregate().of(residual.view())
    }

    /// The branch's part of the whole for a value of its own measure.
    pub fn part(&self, value: f64) -> f64 {
        let ratio = value / f64::from(self.quantile);
        f64::from(self.weight) * self.cap.map_or(ratio, |cap| ratio.min(f64::from(cap)))
    }
}

/// The scale of each feature's departure from its level: that of training, or the entity's own
/// without the season's part where that is larger.
fn own_scale(base: &Base, batch: &Prepared) -> Array2<f64> {
    let mut scale = batch.level_scale.clone();
    let (wave, least) = (
        Array1::from(base.wave_square.clone()).mapv(f64::from),
        Array1::from(base.season_scale.clone()).mapv(f64::from),
    );
    Zip::from(scale.rows_mut()).for_each(|mut row| {
        Zip::from(&mut row).and(&wave).and(&least).for_each(|scale, wave, least| {
            *scale = (*scale * *scale - wave).max(0.0).sqrt().max(*least);
        });
    });
    scale
}
