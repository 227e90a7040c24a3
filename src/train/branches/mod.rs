//! Branches: each is one way to say what an entity should be doing, and how far it is from that.
//!
//! In: windows of raw values, the entity's level at each. Out: a residual for each feature, in units
//! of the feature's own usual residual, and one number for all of them. Each branch has a file with how it
//! learns, its parameters, its limits, and its part of the graph, which is its arithmetic. What all
//! have in common is here: the base, and how residuals become one number.
//!
//! | branch | expects | residual in units of |
//! |---|---|---|
//! | season | the time of day's and week's usual value | the fit's residuals |
//! | level | the entity's own level, moved by the season | the fit's residuals, or the level's own scale where that is larger |
//! | forecast | what follows from the last steps of all features | all residuals of the training range |
//! | autoencoder | what it reconstructs of the window through its bottleneck | all residuals of the training range |

pub mod autoencoder;
pub mod forecast;
pub mod level;
mod linear;
pub mod season;

use ndarray::{Array2, Array3, ArrayView3, s};
use serde::{Deserialize, Serialize};

use super::data::{Scaler, Training, WindowPosition};
use autoencoder::Autoencoder;
use forecast::Forecast;
use season::Season;

/// Windows that are looked at at once, so that memory does not grow with the recording.
const CHUNK: usize = 4_096;

/// What forecast and autoencoder are fed with at most, in deviations: a value farther out says all
/// it can, and would drown all others in a linear map.
pub const INPUT_CLIP: f32 = 5.0;

/// What a branch counts for at most in an ensemble, in usual values: five times the usual is plain enough,
/// and what one branch makes of a wild value must not drown the others.
const CAP: f32 = 5.0;

/// How many of the largest residuals the season and the level look at: what is wrong with a host
/// shows in a few features, seldom in one alone.
const LARGEST: usize = 3;

/// Which branch.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BranchKind {
    /// The time of day's and week's usual value.
    Season,
    /// The entity's own level.
    Level,
    /// What follows from the last steps.
    Forecast,
    /// What a bottleneck restores.
    Autoencoder,
}

impl BranchKind {
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
pub enum Aggregate {
    /// The root of their mean square: many small departures matter.
    RootMeanSquare,
    /// The mean of so many of the largest: one large departure matters. Equal ones at the border all
    /// have their share, as comparison alone tells them apart in a graph.
    Largest(usize),
}

/// What all branches know of the features.
#[derive(Debug, Clone, PartialEq)]
pub struct Base {
    /// Raw values to deviations from the mean.
    pub scaler: Scaler,
    /// Each feature's usual course, in deviations.
    pub season: Season,
    /// Columns of the time of day and of the week.
    pub clocks: [usize; 2],
    /// Steps of a window.
    pub window: usize,
}

impl Base {
    /// Learns from windows, for a graph of windows of this length.
    pub fn learn(
        training: &Training<'_>,
        scaler: Scaler,
        places: &[WindowPosition],
        window: usize,
    ) -> Self {
        let clocks = training.clocks;
        let season = Season::learn(training.dataset, places, &scaler, clocks);
        Self { scaler, season, clocks, window }
    }

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
pub struct Branch {
    /// Its arithmetic.
    pub model: Model,
    /// One over the usual residual of each feature; 1 for the level, which finds its own.
    pub inverse: Vec<f32>,
    /// The value that few windows of an entity exceed: divided by it, branches compare.
    pub quantile: f32,
    /// What a branch counts for at most, in quantiles.
    pub cap: Option<f32>,
    /// Its part of the whole; all sum to 1.
    pub weight: f32,
}

/// The arithmetic of a branch.
#[derive(Debug, Clone, PartialEq)]
pub enum Model {
    /// See [`BranchKind::Season`].
    Season,
    /// See [`BranchKind::Level`].
    Level,
    /// See [`BranchKind::Forecast`].
    Forecast(Forecast),
    /// See [`BranchKind::Autoencoder`].
    Autoencoder(Autoencoder),
}

impl Model {
    /// Which branch it is of.
    pub fn kind(&self) -> BranchKind {
        match self {
            Self::Season => BranchKind::Season,
            Self::Level => BranchKind::Level,
            Self::Forecast(_) => BranchKind::Forecast,
            Self::Autoencoder(_) => BranchKind::Autoencoder,
        }
    }

    /// What it counts for at most beside others, in usual values.
    pub fn cap(&self) -> f32 {
        match self {
            Self::Season => season::CAP,
            Self::Level | Self::Forecast(_) | Self::Autoencoder(_) => CAP,
        }
    }

    /// The residual that counts as usual at least; none where what is usual is known from the season.
    pub fn least_residual(&self) -> Option<f64> {
        match self {
            Self::Season | Self::Level => None,
            Self::Forecast(_) => Some(forecast::LEAST_RESIDUAL),
            Self::Autoencoder(autoencoder) => Some(autoencoder.least_residual()),
        }
    }
}
