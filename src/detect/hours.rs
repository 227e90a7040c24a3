//! The threshold in force: how far an entity's own recent hours raise the score above which it is
//! anomalous.
//!
//! In: scores, smoothed and divided by the trained threshold, one a tick and entity. Out: for each
//! entity the score above which it is anomalous, computed again at each full hour: the largest of
//!
//! - 1,
//! - **usual hours**: the value that the largest scores of a week's hours exceed in no more hours than may be
//!   in alarm. A restless entity is anomalous when it is more so than in its usual hours,
//! - **the same hour**: a quarter more than what that hour of the day, with the one before and after,
//!   reached on five of seven days. A nightly job is new for five nights,
//! - **what stays**: the smaller of the last two hours' largest scores. What began two hours ago and continues
//!   unchanged is not new; its state is *lasting*.
//!
//! Hours are those of the clock, in UTC. Let `h` be the largest score of each and `k` the current one:
//! usual hours are `h[k-169]..h[k-2]`, so that what is going on now does not excuse itself; a missing hour
//! does not count.
//!
//! An entity that the model's file remembers begins with its last week of training, moved by whole days so
//! that it ends before its first score: its nightly job is not new. Only hours that were seen live count for
//! what stays, as nobody was told of the others.
//!
//! Invariants: a score never enters the threshold that it is judged by (its hour is not over); a slot
//! that was not seen for longer than the ring lasts is reset.
//!
//! Memory: 720 bytes an entity, and 8 for each hour and entity that the file remembers. Cost: one comparison
//! per tick and entity; at each full hour a sort of 168 numbers.

use super::memory::HoursMemory;
use crate::duration::HOUR_MS;
use crate::model::{AdaptiveThreshold, HourlyMaxima};

/// The hours that are kept: the current one, and so many before it that a week of days has its
/// neighbours.
const HOURS: usize = 170;

/// The current hour and the one before say nothing of what is usual.
const RECENT: i64 = 2;

/// The hours of a week, which are looked at for what is usual.
const WEEK: i64 = 168;

/// With fewer hours nothing is usual yet: an entity that has just started must not make its trouble its
/// standard.
pub const LEAST_HOURS: usize = 24;

/// The days of which the same hour is looked at, and on how many of them it has to have been so.
const DAYS: i64 = 7;
const LEAST_DAYS: usize = 5;

/// What has been so at an hour may be so much more at the next: jobs grow, and clocks of jobs drift.
const ROOM: f32 = 1.25;

/// Whether an entity is as it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AnomalyState {
    /// Its score is not above the threshold in force.
    #[default]
    Normal,
    /// It is: nothing excuses it.
    New,
    /// Its score is no larger than it was for the last two hours, which alone keeps it from being above
    /// the threshold in force.
    Lasting,
}

impl AnomalyState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Normal, Self::New, Self::Lasting];

    /// Its name on pages.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Normal => "normal",
            Self::New => "new",
            Self::Lasting => "lasting",
        }
    }
}

/// The recent hours of all entities, by slot.
#[derive(Debug, Clone)]
pub(super) struct Hours {
    spec: AdaptiveThreshold,
    /// What the model's file remembers of entities, by place less 1.
    remembered: Vec<Option<HourlyMaxima>>,
    slots: Vec<Slot>,
    /// The largest score by slot and hour; NaN where there was none.
    largest: Vec<f32>,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    /// The current hour. `None` before the first score.
    hour: Option<i64>,
    /// The hour of the first score; those before are of training.
    since: i64,
    /// The place of its entity among those that are remembered, from 1 on; 0 where it is not.
    place: u32,
    /// The score above which it is anomalous.
    threshold: f32,
    /// The same but for what stays.
    usual: f32,
}

const FRESH: Slot = Slot { hour: None, since: 0, place: 0, threshold: 1.0, usual: 1.0 };

impl Hours {
    /// Without slots; with what the file remembers of entities, by place less 1.
    pub fn new(spec: AdaptiveThreshold, remembered: Vec<Option<HourlyMaxima>>) -> Self {
        Self { spec, remembered, slots: Vec::new(), largest: Vec::new() }
    }

    /// Forgets all slots.
    pub fn clear(&mut self) {
        (self.slots, self.largest) = (Vec::new(), Vec::new());
    }

    /// Makes room for so many slots. New ones are of entities that are not remembered.
    pub fn resize(&mut self, slots: usize) {
        self.slots.resize(slots, FRESH);
        self.largest.resize(slots * HOURS, f32::NAN);
    }

    /// Forgets a slot's past: another entity has it now. Its place counts from 1 among those that are
    /// remembered; 0 and places beyond those there are stand for another one.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn reset(&mut self, slot: usize, place: usize) {
        self.slots[slot] = Slot { place: u32::try_from(place).unwrap_or(0), ..FRESH };
        self.largest[slot * HOURS..][..HOURS].fill(f32::NAN);
    }

    /// Takes the score of a tick, and gives the threshold that it is judged by and what it makes of the
    /// entity.
    ///
    /// A clock that was set back by more than an hour resets the slot.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn judge(&mut self, slot: usize, now_ms: i64, score: f64) -> (f64, AnomalyState) {
        let now = now_ms.div_euclid(HOUR_MS);
        match self.slots[slot].hour {
            Some(hour) if now > hour => self.turn(slot, hour, now),
            // The correction of a clock, by a second at a full hour, costs no week of memory.
            Some(hour) if now + 1 >= hour => {}
            _ => self.begin(slot, now),
        }
        let Slot { hour, threshold, usual, .. } = self.slots[slot];
        let place = place(slot, hour.unwrap_or(now));
        self.largest[place] = self.largest[place].max(score as f32);
        let (threshold, usual) = (f64::from(threshold), f64::from(usual));
        let state = match score {
            _ if score > threshold => AnomalyState::New,
            _ if score > usual => AnomalyState::Lasting,
            _ => AnomalyState::Normal,
        };
        (threshold, state)
    }

    /// The recent hours of a slot, for another that goes on with them; nothing before the first score.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn memory(&self, slot: usize) -> Option<HoursMemory> {
        let Slot { hour, since, .. } = self.slots[slot];
        let hour = hour?;
        let kept = hour - HOURS as i64 + 1..=hour;
        Some(HoursMemory {
            hour,
            since,
            largest: kept.map(|it| self.largest[place(slot, it)]).collect(),
        })
    }

    /// Gives a slot the hours that another had; what is no such ring leaves it as it is.
    ///
    /// # Panics
    /// Beyond the slots there are.
    pub fn restore(&mut self, slot: usize, memory: &HoursMemory) {
        let HoursMemory { hour, since, largest } = memory;
        if largest.len() != HOURS || largest.iter().any(|it| it.is_infinite()) {
            return;
        }
        for (hour, largest) in (hour - HOURS as i64 + 1..=*hour).zip(largest) {
            self.largest[place(slot, hour)] = *largest;
        }
        self.slots[slot].since = *since;
        self.find(slot, *hour);
    }

    /// Bytes held.
    pub fn bytes(&self) -> usize {
        let scores = self.remembered.iter().flatten().map(|it| it.scores.capacity());
        self.slots.capacity() * size_of::<Slot>()
            + self.largest.capacity() * size_of::<f32>()
            + self.remembered.capacity() * size_of::<Option<HourlyMaxima>>()
            + scores.sum::<usize>() * size_of::<Option<f32>>()
    }

    /// The first score, in this hour: before it there is what the file remembers.
    fn begin(&mut self, slot: usize, now: i64) {
        let at = self.slots[slot].place as usize;
        self.slots[slot] = Slot { since: now, place: at as u32, ..FRESH };
        self.largest[slot * HOURS..][..HOURS].fill(f32::NAN);
        let remembered = at.checked_sub(1).and_then(|at| self.remembered.get(at)?.as_ref());
        let hours = remembered.into_iter().flat_map(|it| it.before(now));
        // Moved by as much as a day they may reach farther back than the ring does.
        for (hour, largest) in hours.take_while(|(hour, _)| *hour > now - HOURS as i64) {
            self.largest[place(slot, hour)] = largest;
        }
        self.find(slot, now);
    }

    /// The hour is another one: clears what has passed without a score, and finds the thresholds.
    fn turn(&mut self, slot: usize, hour: i64, now: i64) {
        for passed in now - (now - hour).min(HOURS as i64) + 1..=now {
            self.largest[place(slot, passed)] = f32::NAN;
        }
        self.find(slot, now);
    }

    /// Finds the thresholds of this hour.
    fn find(&mut self, slot: usize, now: i64) {
        let usual = self.usual_hours(slot, now).max(self.same_hour(slot, now)).max(1.0);
        let state = &mut self.slots[slot];
        let was_there = now - RECENT >= state.since;
        (state.hour, state.usual) = (Some(now), usual);
        let [last, before] = [1, 2].map(|ago| self.largest[place(slot, now - ago)]);
        // NaN is not larger than anything.
        let stays = if last.is_nan() || before.is_nan() { f32::NAN } else { last.min(before) };
        self.slots[slot].threshold = if was_there { usual.max(stays) } else { usual };
    }

    /// The score that no more of a week's hours exceed than may be in alarm; NaN where too few are known.
    fn usual_hours(&self, slot: usize, now: i64) -> f32 {
        let hours = now - RECENT - WEEK + 1..=now - RECENT;
        let mut known: Vec<f32> =
            hours.map(|hour| self.largest[place(slot, hour)]).filter(|it| !it.is_nan()).collect();
        if known.len() < LEAST_HOURS {
            return f32::NAN;
        }
        // Of a whole week so many; of a part of one as large a part, rounded down.
        let rank = (self.spec.hours_per_week as usize + 1) * known.len() - 1;
        let allowed = rank / WEEK as usize;
        *known.select_nth_unstable_by(allowed, |a, b| b.total_cmp(a)).1
    }

    /// What the same hour reached on most days, and some more; NaN where too few are known.
    fn same_hour(&self, slot: usize, now: i64) -> f32 {
        let of_day = |day: i64| {
            let around = [-1, 0, 1].map(|aside| now - 24 * day + aside);
            around.iter().fold(f32::NAN, |most, hour| most.max(self.largest[place(slot, *hour)]))
        };
        let mut days: Vec<f32> = (1..=DAYS).map(of_day).filter(|it| !it.is_nan()).collect();
        if !self.spec.same_hour || days.len() < LEAST_DAYS {
            return f32::NAN;
        }
        ROOM * *days.select_nth_unstable_by(LEAST_DAYS - 1, |a, b| b.total_cmp(a)).1
    }
}

/// What each of an entity's scores would have made of it, in order of time, were it unknown at the first.
/// Scores are in units of the trained threshold; there is nothing for one that is NaN.
pub fn states(
    spec: AdaptiveThreshold,
    scores: impl IntoIterator<Item = (i64, f64)>,
) -> impl Iterator<Item = Option<AnomalyState>> {
    let mut hours = Hours::new(spec, Vec::new());
    hours.resize(1);
    let state = move |(now_ms, score): (i64, f64)| {
        (!score.is_nan()).then(|| hours.judge(0, now_ms, score).1)
    };
    scores.into_iter().map(state)
}

/// Where the largest score of an hour is kept.
fn place(slot: usize, hour: i64) -> usize {
    slot * HOURS + hour.rem_euclid(HOURS as i64) as usize
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Some hour of some day.
    const FIRST: i64 = 480_000;

    fn hours() -> Hours {
        Hours::new(AdaptiveThreshold::default(), Vec::new()).sized()
    }

    impl Hours {
        fn sized(mut self) -> Self {
            self.resize(2);
            self
        }
    }

    /// A slot of an entity of whom the file remembers these hours, which end with this one.
    fn remembering(last_hour: i64, largest: &[f32]) -> Hours {
        let scores = largest.iter().map(|it| it.is_finite().then_some(*it)).collect();
        let remembered = vec![None, Some(HourlyMaxima { last_hour, scores })];
        let mut hours = Hours::new(AdaptiveThreshold::default(), remembered).sized();
        hours.reset(1, 2);
        hours
    }

    /// A week with a job at an hour of the day; the last hour is this one.
    fn nightly(last_hour: i64, at: i64) -> Vec<f32> {
        let is_at = |hour: i64| hour.rem_euclid(24) == at;
        (last_hour - 167..=last_hour).map(|hour| if is_at(hour) { 3.0 } else { 0.5 }).collect()
    }

    /// The threshold of the hour after these, which begin at the first; one score an hour, NaN for none.
    fn after(largest: &[f64]) -> f64 {
        let mut hours = hours();
        let mut judge =
            |hour: usize, score: f64| hours.judge(1, (FIRST + hour as i64) * HOUR_MS, score).0;
        for (hour, score) in largest.iter().enumerate().filter(|(_, it)| !it.is_nan()) {
            judge(hour, *score);
        }
        judge(largest.len(), 0.0)
    }

    /// By its definition, from all that ever was.
    fn defined(largest: &[f64]) -> f64 {
        let k = largest.len() as i64;
        let h = |hour: i64| match usize::try_from(hour) {
            Ok(hour) => largest.get(hour).copied().unwrap_or(f64::NAN),
            Err(_) => f64::NAN,
        };
        let sorted = |values: Vec<f64>| {
            let mut values: Vec<f64> = values.into_iter().filter(|it| !it.is_nan()).collect();
            values.sort_unstable_by(|a, b| b.total_cmp(a));
            values
        };
        let mut threshold = 1.0_f64;
        let week = sorted((k - 169..=k - 2).map(h).collect());
        if week.len() >= 24 {
            threshold = threshold.max(week[(12 * week.len() - 1) / 168]);
        }
        let day = |j: i64| {
            [-1, 0, 1].map(|it| h(k - 24 * j + it)).iter().fold(f64::NAN, |a, b| a.max(*b))
        };
        let days = sorted((1..=7).map(day).collect());
        if days.len() >= 5 {
            threshold = threshold.max(1.25 * days[4]);
        }
        let first = (0..k).find(|hour| !h(*hour).is_nan()).unwrap_or(k);
        let (last, before) = (h(k - 1), h(k - 2));
        if k - 2 >= first && !last.is_nan() && !before.is_nan() {
            threshold = threshold.max(last.min(before));
        }
        threshold
    }

    proptest! {
        #[test]
        fn a_threshold_is_what_its_definition_says(
            largest in prop::collection::vec(prop_oneof![
                5 => 0.0_f64..1.0,
                2 => 1.0_f64..9.0,
                1 => Just(f64::NAN),
            ], 0..400),
        ) {
            let (found, expected) = (after(&largest), defined(&largest));
            prop_assert!((found - expected).abs() <= 1e-6 * expected, "{found} for {expected}");
        }
    }

    #[test]
    fn who_is_calm_is_judged_as_trained() {
        for hours in [0, 1, 5, 30, 400] {
            assert_eq!(after(&vec![0.8; hours]), 1.0);
        }
    }

    #[test]
    fn a_nightly_peak_is_news_for_five_nights() {
        let nights = |count: usize| -> Vec<f64> {
            (0..24 * count).map(|hour| if hour % 24 == 2 { 3.0 } else { 0.5 }).collect()
        };
        for night in 0..8 {
            let mut before = nights(night);
            before.extend([0.5; 2]);
            let threshold = after(&before);
            assert_eq!(threshold > 3.0, night >= 5, "night {night}: {threshold}");
        }
    }

    #[test]
    fn what_stays_is_said_for_two_turns_of_the_hour_at_most() {
        let mut hours = hours();
        let mut states = Vec::new();
        for step in 0..8 * 4 {
            let score = if step < 10 { 0.5 } else { 3.0 };
            let (threshold, state) = hours.judge(0, FIRST * HOUR_MS + step * HOUR_MS / 4, score);
            // A threshold of its own is never below the trained one.
            assert!(threshold >= 1.0);
            states.push(state);
        }
        let first = |wanted| states.iter().position(|it| *it == wanted);
        assert_eq!(first(AnomalyState::New), Some(10));
        // It began in the third hour; the fifth is the first after two whole ones.
        assert_eq!(first(AnomalyState::Lasting), Some(16));
        assert!(states[16..].iter().all(|it| *it == AnomalyState::Lasting), "{states:?}");
        // When it grows it is news again, and when it is over all is well.
        let now_ms = (FIRST + 8) * HOUR_MS;
        assert_eq!(hours.judge(0, now_ms, 3.5).1, AnomalyState::New);
        assert_eq!(hours.judge(0, now_ms, 0.9), (3.0, AnomalyState::Normal));
    }

    #[test]
    fn eleven_lone_hours_a_week_are_in_alarm_and_the_twelfth_is_usual() {
        let week = |peaks: usize| -> Vec<f64> {
            // Thirteen hours apart, so that no hour of the day recurs.
            let is_peak = |hour: usize| hour % 13 == 7 && hour / 13 < peaks;
            let peak = |hour: usize| 2.0 + hour as f64 / 1_000.0;
            (0..170).map(|hour| if is_peak(hour) { peak(hour) } else { 0.5 }).collect()
        };
        assert_eq!(after(&week(11)), 1.0);
        // The lowest of them.
        assert!((after(&week(12)) - 2.007).abs() < 1e-6, "{}", after(&week(12)));
    }

    #[test]
    fn a_clock_that_is_set_back_far_begins_anew() {
        let mut hours = hours();
        let mut judge = |now_ms: i64, score: f64| hours.judge(0, now_ms, score).0;
        for hour in 0..40 {
            judge((FIRST + hour) * HOUR_MS, 3.0);
        }
        let now_ms = (FIRST + 40) * HOUR_MS;
        assert_eq!(judge(now_ms, 3.0), 3.0);
        assert_eq!(judge(now_ms - 1_000, 3.0), 3.0);
        assert_eq!(judge(now_ms - 30 * HOUR_MS, 3.0), 1.0);
        for time_ms in [i64::MIN, i64::MAX, i64::MIN, 0] {
            assert_eq!(judge(time_ms, 1.5), 1.0);
        }
        // Longer than the ring.
        for hour in 0..40 {
            judge((FIRST + hour) * HOUR_MS, 3.0);
        }
        assert_eq!(judge((FIRST + 40 + HOURS as i64) * HOUR_MS, 3.0), 1.0);
    }

    #[test]
    fn a_reset_slot_knows_nothing_and_ten_thousand_are_small() {
        let mut hours = hours();
        for hour in 0..40 {
            hours.judge(0, (FIRST + hour) * HOUR_MS, 3.0);
        }
        hours.reset(0, 0);
        assert_eq!(hours.judge(0, (FIRST + 40) * HOUR_MS, 3.0), (1.0, AnomalyState::New));
        hours.resize(10_000);
        assert!(hours.bytes() <= 10_000 * 720, "{}", hours.bytes());
    }

    /// In every clock hour, from whichever it begins.
    #[test]
    fn a_nightly_job_of_training_is_none_in_the_first_live_night() {
        let last_hour = FIRST + 5;
        for begins in 1..=24 {
            let mut known = remembering(last_hour, &nightly(last_hour, 2));
            let mut unknown = hours();
            let mut called = [Vec::new(), Vec::new()];
            for hour in last_hour + begins..last_hour + begins + 8 * 24 {
                let score = if hour % 24 == 2 { 3.0 } else { 0.5 };
                for (hours, called) in [&mut known, &mut unknown].into_iter().zip(&mut called) {
                    let (_, state) = hours.judge(1, hour * HOUR_MS, score);
                    called.extend((state == AnomalyState::New).then_some(hour));
                }
            }
            assert_eq!([called[0].len(), called[1].len()], [0, 5], "begun {begins} hours later");
        }
    }

    #[test]
    fn hours_that_were_remembered_long_ago_stay_those_of_the_day() {
        for days in [-9_000, -1, 0, 1, 35, 4_000] {
            let last_hour = FIRST + 24 * days;
            let first = |at: i64| {
                let mut hours = remembering(last_hour, &nightly(last_hour, at));
                hours.judge(1, (FIRST + 7) * HOUR_MS, 0.5).0
            };
            let now = (FIRST + 7) % 24;
            // With the hours beside it.
            let found: Vec<bool> = (0..24).map(|at| first(at) > 3.0).collect();
            let expected: Vec<bool> = (0..24).map(|at| (at - now).abs() <= 1).collect();
            assert_eq!(found, expected, "{days} days");
        }
    }

    /// The first score has the threshold that it would have, had the week been live.
    #[test]
    fn a_week_that_is_remembered_counts_as_if_it_had_been_live() {
        let week: Vec<f32> = (0..168).map(|i| (i * 37 % 101) as f32 / 40.0).collect();
        let mut live = hours();
        for (hour, score) in (FIRST - 168..).zip(&week) {
            live.judge(1, hour * HOUR_MS, f64::from(*score));
        }
        let mut known = remembering(FIRST - 1, &week);
        let [live, known] = [&mut live, &mut known].map(|it| {
            it.judge(1, FIRST * HOUR_MS, 0.5);
            it.slots[1].usual
        });
        assert!(live > 1.0, "{live}");
        assert_eq!(live, known);
        // A day later the oldest of its hours are out of reach, and none is where it should not be.
        let mut later = remembering(FIRST - 24, &week);
        later.judge(1, FIRST * HOUR_MS, 0.5);
        let found: Vec<f32> = (FIRST - 169..FIRST).map(|it| later.largest[place(1, it)]).collect();
        let gap = [f32::NAN; 23];
        let expected = [&week[22..], &gap].concat();
        let same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
        assert!(
            found.len() == expected.len() && found.iter().zip(&expected).all(same),
            "{found:?}"
        );
    }

    #[test]
    fn what_stayed_in_training_is_said_again() {
        // Two hours of what began at the end of training: not usual, and nobody was told.
        let mut week = nightly(FIRST - 1, 2);
        week[166..].fill(9.0);
        let mut hours = remembering(FIRST - 1, &week);
        let mut judge = |hour: i64| hours.judge(1, (FIRST + hour) * HOUR_MS, 9.0).1;
        let states: Vec<AnomalyState> = (0..4).map(&mut judge).collect();
        let (new, lasting) = (AnomalyState::New, AnomalyState::Lasting);
        assert_eq!(states, [new, new, lasting, lasting]);
    }

    #[test]
    fn who_begins_again_begins_from_the_file_again() {
        let mut hours = remembering(FIRST - 1, &[2.0; 168]);
        let now_ms = FIRST * HOUR_MS;
        let first = hours.judge(1, now_ms, 0.5).0;
        assert!(first > 2.0, "{first}");
        hours.reset(1, 0);
        assert_eq!(hours.judge(1, now_ms, 0.5).0, 1.0, "another entity");
        hours.reset(1, 2);
        assert_eq!(hours.judge(1, now_ms, 0.5).0, first);
        // A clock that was set back, too.
        assert_eq!(hours.judge(1, now_ms - 50 * HOUR_MS, 0.5).0, first);
        // Of others nothing is remembered: of one without hours, of a place that no file could name.
        for place in [0, 1, 3, usize::MAX] {
            hours.reset(1, place);
            assert_eq!(hours.judge(1, now_ms, 0.5).0, 1.0, "{place}");
        }
        // Whatever a file and a clock say.
        for last_hour in [i64::MIN, i64::MAX] {
            let mut hours = remembering(last_hour, &[2.0; 168]);
            for now_ms in [i64::MIN, i64::MAX, i64::MIN, 0] {
                assert!(hours.judge(1, now_ms, 0.5).0 >= 1.0);
            }
        }
    }

    #[test]
    fn what_the_file_remembers_is_counted() {
        let with = remembering(FIRST, &[2.0; 168]).bytes();
        let without = remembering(FIRST, &[]).bytes();
        assert_eq!(with - without, 168 * 8);
    }
}
