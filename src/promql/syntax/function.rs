//! A function by its name alone: of the samples in a range, of one element, of a histogram. How each
//! is called stands here once; what it takes stands in `call`, what it computes in
//! [`crate::promql::operators`].

/// A function of the samples in a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum RangeFunction {
    Rate,
    Increase,
    Delta,
    Irate,
    Idelta,
    Deriv,
    PredictLinear,
    Changes,
    Resets,
    AvgOverTime,
    MinOverTime,
    MaxOverTime,
    SumOverTime,
    CountOverTime,
    StddevOverTime,
    StdvarOverTime,
    LastOverTime,
    PresentOverTime,
    QuantileOverTime,
}

/// What the functions are called.
const RANGE_FUNCTIONS: [(&str, RangeFunction); 19] = [
    ("rate", RangeFunction::Rate),
    ("increase", RangeFunction::Increase),
    ("delta", RangeFunction::Delta),
    ("irate", RangeFunction::Irate),
    ("idelta", RangeFunction::Idelta),
    ("deriv", RangeFunction::Deriv),
    ("predict_linear", RangeFunction::PredictLinear),
    ("changes", RangeFunction::Changes),
    ("resets", RangeFunction::Resets),
    ("avg_over_time", RangeFunction::AvgOverTime),
    ("min_over_time", RangeFunction::MinOverTime),
    ("max_over_time", RangeFunction::MaxOverTime),
    ("sum_over_time", RangeFunction::SumOverTime),
    ("count_over_time", RangeFunction::CountOverTime),
    ("stddev_over_time", RangeFunction::StddevOverTime),
    ("stdvar_over_time", RangeFunction::StdvarOverTime),
    ("last_over_time", RangeFunction::LastOverTime),
    ("present_over_time", RangeFunction::PresentOverTime),
    ("quantile_over_time", RangeFunction::QuantileOverTime),
];

impl RangeFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        RANGE_FUNCTIONS.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    /// What it is called.
    pub(crate) fn name(self) -> &'static str {
        let found = RANGE_FUNCTIONS.iter().find(|(_, function)| *function == self);
        found.map(|(name, _)| *name).expect("all are in the table")
    }

    /// Whether it compares samples with one another, so that it makes nothing of a single one.
    pub(crate) fn compares(self) -> bool {
        matches!(
            self,
            Self::Rate
                | Self::Increase
                | Self::Delta
                | Self::Irate
                | Self::Idelta
                | Self::Deriv
                | Self::PredictLinear
        )
    }

    /// `last_over_time` is a selection; the others change what the value means.
    pub(crate) fn keeps_name(self) -> bool {
        self == Self::LastOverTime
    }
}

/// A function of one element, and of scalars.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum MapFunction {
    Negate,
    Abs,
    Ceil,
    Floor,
    Round,
    Sgn,
    Sqrt,
    Exp,
    Ln,
    Log2,
    Log10,
    Sin,
    Cos,
    Tan,
    Asin,
    Acos,
    Atan,
    Sinh,
    Cosh,
    Tanh,
    Asinh,
    Acosh,
    Atanh,
    Deg,
    Rad,
    Clamp,
    ClampMin,
    ClampMax,
    /// `timestamp` of anything but a selector.
    EvalTime,
    /// Of native histograms: a number is none, so nothing is left of it.
    OfHistogram(HistogramFigure),
    Calendar(CalendarField),
}

/// What the functions of numbers are called.
const MAP_FUNCTIONS: [(&str, MapFunction); 32] = [
    ("abs", MapFunction::Abs),
    ("ceil", MapFunction::Ceil),
    ("floor", MapFunction::Floor),
    ("round", MapFunction::Round),
    ("sgn", MapFunction::Sgn),
    ("sqrt", MapFunction::Sqrt),
    ("exp", MapFunction::Exp),
    ("ln", MapFunction::Ln),
    ("log2", MapFunction::Log2),
    ("log10", MapFunction::Log10),
    ("sin", MapFunction::Sin),
    ("cos", MapFunction::Cos),
    ("tan", MapFunction::Tan),
    ("asin", MapFunction::Asin),
    ("acos", MapFunction::Acos),
    ("atan", MapFunction::Atan),
    ("sinh", MapFunction::Sinh),
    ("cosh", MapFunction::Cosh),
    ("tanh", MapFunction::Tanh),
    ("asinh", MapFunction::Asinh),
    ("acosh", MapFunction::Acosh),
    ("atanh", MapFunction::Atanh),
    ("deg", MapFunction::Deg),
    ("rad", MapFunction::Rad),
    ("clamp", MapFunction::Clamp),
    ("clamp_min", MapFunction::ClampMin),
    ("clamp_max", MapFunction::ClampMax),
    ("histogram_count", MapFunction::OfHistogram(HistogramFigure::Count)),
    ("histogram_sum", MapFunction::OfHistogram(HistogramFigure::Sum)),
    ("histogram_avg", MapFunction::OfHistogram(HistogramFigure::Avg)),
    ("histogram_stddev", MapFunction::OfHistogram(HistogramFigure::Stddev)),
    ("histogram_stdvar", MapFunction::OfHistogram(HistogramFigure::Stdvar)),
];

impl MapFunction {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        match MAP_FUNCTIONS.iter().find(|(known, _)| *known == name) {
            Some((_, function)) => Some(*function),
            None => CalendarField::from_name(name).map(Self::Calendar),
        }
    }

    /// What it is called; none of a sign.
    pub(crate) fn name(self) -> Option<&'static str> {
        match self {
            Self::Calendar(field) => Some(field.name()),
            Self::EvalTime => Some("timestamp"),
            _ => MAP_FUNCTIONS.iter().find(|(_, it)| *it == self).map(|(name, _)| *name),
        }
    }
}

/// What is asked of a native histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum HistogramFigure {
    Count,
    Sum,
    Avg,
    Stddev,
    Stdvar,
}

/// What is asked of a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub(crate) enum CalendarField {
    Minute,
    Hour,
    DayOfWeek,
    DayOfMonth,
    DayOfYear,
    DaysInMonth,
    Month,
    Year,
}

/// What the functions are called.
const CALENDAR_FIELDS: [(&str, CalendarField); 8] = [
    ("minute", CalendarField::Minute),
    ("hour", CalendarField::Hour),
    ("day_of_week", CalendarField::DayOfWeek),
    ("day_of_month", CalendarField::DayOfMonth),
    ("day_of_year", CalendarField::DayOfYear),
    ("days_in_month", CalendarField::DaysInMonth),
    ("month", CalendarField::Month),
    ("year", CalendarField::Year),
];

impl CalendarField {
    pub(crate) fn from_name(name: &str) -> Option<Self> {
        CALENDAR_FIELDS.iter().find(|(known, _)| *known == name).map(|(_, field)| *field)
    }

    /// What its function is called.
    pub(crate) fn name(self) -> &'static str {
        let found = CALENDAR_FIELDS.iter().find(|(_, field)| *field == self);
        found.map(|(name, _)| *name).expect("all are in the table")
    }
}

/// What is asked of a histogram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum HistogramFunction {
    /// `histogram_quantile`
    Quantile,
    /// `histogram_fraction`: the share between two values.
    Fraction,
}
