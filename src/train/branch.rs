//! A branch: one way to say what an entity should be doing, and how far it is from that.
//!
//! In: windows of raw values, the entity's level at each. Out: a residual for each feature, in units
//! of the feature's own usual residual, and one number for all of them. What is here are the numbers
//! that a branch is made of; the graph that `export` writes of them is the arithmetic.
//!
//! | branch | expects | residual in units of |
//! |---|---|---|
//! | season | the time of day's and week's usual value | the fit's residuals |
//! | level | the entity's own level, moved by the season | the fit's residuals, or the level's own scale where that is larger |
//! | forecast | what follows from the last steps of all features | all residuals of the training range |
//! | autoencoder | what its bottleneck restores of the window | all residuals of the training range |

use ndarray::{Array2, Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::autoencoder::Autoencoder;
use super::forecast::Forecast;
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

/// How the residuals of a row become one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Aggregate {
    /// The root of their mean square: many small departures matter.
    RootMeanSquare,
    /// The mean of so many of the largest: one large departure matters. Equal ones at the border all
    /// have their share, as comparison alone tells them apart in a graph.
    Largest(usize),
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

impl Base {
    /// What a map can be learnt from: windows in deviations, clipped, NaN where a value is missing,
    /// and sines and cosines of their newest steps.
    ///
    /// # Shapes
    /// Raw windows `[rows, window, features]`.
    pub fn inputs(&self, raw: ArrayView3<'_, f32>) -> (Array3<f64>, Array2<f64>) {
        let (rows, window, features) = raw.dim();
        let flat = raw.to_shape((rows * window, features)).expect("the same values");
        let clip = f64::from(INPUT_CLIP);
        let clipped = |it: f32| f64::from(it).clamp(-clip, clip);
        let clipped = self.scaler.scale(flat.view()).mapv(clipped);
        let clipped = clipped.into_shape_with_order((rows, window, features)).expect("as many");
        let newest = raw.slice(s![.., window - 1, ..]);
        let [day, week] = self.clocks.map(|column| newest.column(column).mapv(f64::from));
        (clipped, self.season.harmonics.of(day.view(), week.view()))
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
}
