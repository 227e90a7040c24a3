//! Courses: how demand rises and falls, and noise that remembers.

use std::f64::consts::TAU;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::{DAY, MINUTES, Span};

/// A number of the standard normal distribution (Box and Muller).
pub fn normal(rng: &mut ChaCha8Rng) -> f64 {
    let radius = (-2.0 * (1.0 - rng.random::<f64>()).ln()).sqrt();
    radius * (TAU * rng.random::<f64>()).cos()
}

/// Noise that is correlated over some minutes: autoregressive, of order one.
#[derive(Debug)]
pub struct Walk {
    value: f64,
    keeps: f64,
    deviation: f64,
}

impl Walk {
    /// With the minutes after which a third of it is left, and its standard deviation.
    pub fn new(minutes: f64, deviation: f64, rng: &mut ChaCha8Rng) -> Self {
        Self { value: deviation * normal(rng), keeps: (-1.0 / minutes).exp(), deviation }
    }

    /// The next minute's value.
    pub fn step(&mut self, rng: &mut ChaCha8Rng) -> f64 {
        let fresh = (1.0 - self.keeps * self.keeps).sqrt() * self.deviation;
        self.value = self.keeps * self.value + fresh * normal(rng);
        self.value
    }
}

/// Hours before and after midnight in which one day becomes the next: nobody's demand leaps then.
const BLENDED: f64 = 3.0;

/// The shape of a day.
#[derive(Debug, Clone, Copy)]
pub struct Course {
    /// The busiest hour.
    pub peak: f64,
    /// What is left in the calmest one, of 1 in the busiest.
    pub low: f64,
    /// Larger for a narrower day: the exponent of a raised cosine.
    pub narrow: f64,
    /// What is left of it on Saturdays and Sundays.
    pub weekend: f64,
}

impl Course {
    /// The share of the busiest demand at a minute of days that are as busy as these.
    pub fn at(&self, minute: usize, day: impl Fn(usize) -> f64) -> f64 {
        let hour = (minute % DAY) as f64 / 60.0;
        let wave = (0.5 + 0.5 * (TAU * (hour - self.peak) / 24.0).cos()).powf(self.narrow);
        (self.low + (1.0 - self.low) * wave) * blended(minute, day)
    }

    /// How busy a day is for what it is, of 1 on a working day.
    pub fn of_day(&self, day: usize) -> f64 {
        if day % 7 >= 5 { self.weekend } else { 1.0 }
    }
}

/// A day's own number; around midnight what lies between those of two days.
fn blended(minute: usize, day: impl Fn(usize) -> f64) -> f64 {
    let (today, hour) = (minute / DAY, (minute % DAY) as f64 / 60.0);
    let share = |hours: f64| ((BLENDED - hours) / (2.0 * BLENDED)).max(0.0);
    let (before, after) = (share(hour), share(24.0 - hour));
    let other = if before > 0.0 { today.saturating_sub(1) } else { today + 1 };
    day(today) + (before + after) * (day(other) - day(today))
}

/// How much of something there is at a minute that comes and goes within so many: 0 to 1.
pub fn share(span: Span, minute: usize, ramp: f64) -> f64 {
    if !span.contains(minute) {
        return 0.0;
    }
    let inside = (minute - span.from + 1).min(span.to - minute) as f64;
    (inside / ramp).min(1.0)
}

/// What comes so often a day, from some minutes to some more, not two at a time.
pub fn at_random(a_day: f64, minutes: [usize; 2], rng: &mut ChaCha8Rng) -> Vec<Span> {
    let mut spans = Vec::new();
    let mut minute = 0;
    loop {
        // Exponential pauses.
        minute += (-(1.0 - rng.random::<f64>()).ln() * DAY as f64 / a_day) as usize + 1;
        if minute >= MINUTES {
            return spans;
        }
        let to = minute + rng.random_range(minutes[0]..=minutes[1]);
        spans.push(Span { from: minute, to: to.min(MINUTES) });
        minute = to;
    }
}
