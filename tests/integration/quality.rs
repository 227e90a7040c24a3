//! What the bench `quality` makes up and counts: fleets, their server, and tallies of alarms.

#[path = "../benches/quality/fleet/mod.rs"]
mod fleet;
#[path = "../benches/quality/halves.rs"]
mod halves;
#[path = "../benches/quality/server.rs"]
mod server;
#[path = "../benches/quality/tally.rs"]
mod tally;

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use fleet::derived::{BASE, Minute};
use fleet::incidents::{Fault, Incident};
use fleet::{DAY, FORTNIGHT, Fleet, Host, MINUTES, START_MS, Span};
use portent::features::{PROFILE_ENTITY, profile, profile_guide};
use portent::history::{self, Exclusions, HistoryConfig, HistoryQuery};
use tally::Tally;

use crate::support::range_server;

static FLEETS: LazyLock<[Arc<Fleet>; 2]> =
    LazyLock::new(|| [0, 1].map(|it| Arc::new(Fleet::new(it))));

fn hosts() -> impl Iterator<Item = &'static Host> {
    FLEETS.iter().flat_map(|it| &it.hosts)
}

fn column(name: &str) -> usize {
    profile().iter().position(|it| it.name == name).expect("a column of the profile")
}

#[test]
fn a_seed_is_a_fleet() {
    let same = |a: &Fleet, b: &Fleet| {
        let bits = |it: &Fleet| -> Vec<u32> {
            it.hosts.iter().flat_map(|it| &it.values).map(|it| it.to_bits()).collect()
        };
        let told = |it: &Fleet| -> Vec<_> {
            it.hosts.iter().map(|it| (it.incidents.clone(), it.jobs.clone())).collect()
        };
        bits(a) == bits(b) && told(a) == told(b)
    };
    assert!(same(&Fleet::new(1), &FLEETS[1]));
    assert!(!same(&FLEETS[0], &FLEETS[1]));
}

#[test]
fn incidents_are_as_many_and_where_they_should_be() {
    for seed in 0..10 {
        let plans = fleet::plans(seed);
        let (hosts, incidents): (Vec<_>, Vec<_>) = plans.into_iter().unzip();
        let all = || incidents.iter().flatten();
        let early = all().filter(|it| it.span.to <= FORTNIGHT).count();
        let late = all().filter(|it| it.span.from >= FORTNIGHT).count();
        assert_eq!((early, early + late), (9, all().count()), "seed {seed}");
        assert!((4..=5).contains(&late), "seed {seed}: {late}");
        assert!(incidents.iter().all(|it| it.iter().any(|it| it.span.to <= FORTNIGHT)));
        let mut kinds: BTreeMap<Fault, usize> = BTreeMap::new();
        for incident in all().filter(|it| it.span.to <= FORTNIGHT) {
            let fault = incident.fault;
            // Traffic that is lost and packets that are lost are one kind.
            let kind = if fault == Fault::Traffic { Fault::Network } else { fault };
            *kinds.entry(kind).or_default() += 1;
        }
        assert!(kinds.len() == 4 && kinds.values().all(|it| *it >= 2), "seed {seed}: {kinds:?}");
        for (host, incidents) in hosts.iter().zip(&incidents) {
            assert!(incidents.iter().all(|it| (20..=240).contains(&(it.span.to - it.span.from))));
            for pair in incidents.windows(2) {
                assert!(pair[1].span.from >= pair[0].span.to + 360, "seed {seed}: {pair:?}");
            }
            let is_free = |it: &Incident| !host.jobs.iter().any(|job| job.is_near(it.span, 90));
            assert!(incidents.iter().all(is_free), "seed {seed}");
        }
    }
}

#[test]
fn three_hosts_have_a_nightly_job_of_about_the_same_time() {
    for host in hosts().filter(|it| !it.jobs.is_empty()) {
        assert_eq!(host.jobs.len(), MINUTES / DAY);
        let begins: Vec<usize> = host.jobs.iter().map(|it| it.from % DAY).collect();
        let (first, last) = (begins.iter().min(), begins.iter().max());
        let spread = last.expect("jobs") - first.expect("jobs");
        assert!((3..=24).contains(&spread), "{spread}");
        assert!(host.jobs.iter().all(|it| (30..=60).contains(&(it.to - it.from))));
        // It is seen where it should be.
        let busy = host.values.column(column("disk_busy"));
        for job in &host.jobs {
            let middle = busy[(job.from + job.to) / 2];
            assert!(middle.is_nan() || middle > busy[job.from - 30] + 0.2, "{middle}");
        }
    }
    assert_eq!(hosts().filter(|it| it.jobs.is_empty()).count(), 6);
}

#[test]
fn demand_does_not_leap() {
    for (plan, _) in fleet::plans(0) {
        for minute in 1..MINUTES {
            let (before, now) = (plan.expected(minute - 1), plan.expected(minute));
            assert!((now / before - 1.0).abs() < 0.02, "{minute}: {before}, {now}");
        }
        let calm = plan.expected(5 * DAY + 720) / plan.expected(4 * DAY + 720);
        assert!((0.4..0.95).contains(&calm), "a weekend's share is {calm}");
    }
}

/// Whatever the generator makes has to be what an exporter could say.
#[test]
fn values_are_within_their_domains() {
    for (place, feature) in profile_guide().iter().enumerate() {
        let [least, most] = feature.domain.map(|it| it as f32);
        let all = hosts().flat_map(|it| it.values.column(place).into_iter().copied());
        let known: Vec<f32> = all.filter(|it| !it.is_nan()).collect();
        let wrong = known.iter().find(|it| !(least..=most).contains(*it));
        assert_eq!(wrong, None, "{}", feature.spec.name);
        let first = known[0];
        assert!(known.iter().any(|it| *it != first), "{} never changes", feature.spec.name);
    }
    assert!(BASE.iter().all(|(name, _)| profile().iter().any(|it| it.name == *name)));
}

#[test]
fn a_few_rows_are_missing_and_missing_whole() {
    // At the very first minute no change is known either.
    let known_first = profile().iter().filter(|it| !it.name.ends_with("_change")).count();
    for host in hosts() {
        let known =
            |row: &ndarray::ArrayView1<'_, f32>| row.iter().filter(|it| !it.is_nan()).count();
        let mut counts = host.values.rows().into_iter().map(|it| known(&it));
        assert_eq!(counts.next(), Some(known_first));
        let (mut missing, mut others) = (0, 0);
        for count in counts {
            missing += usize::from(count == 4);
            others += usize::from(![4, profile().len()].contains(&count));
        }
        assert!((5..200).contains(&missing) && others == 0, "{missing}, {others}");
    }
}

/// Each incident moves a column of its own by far more than such hours differ otherwise.
#[test]
fn a_person_would_see_each_incident() {
    for host in hosts() {
        for incident in &host.incidents {
            let name = match incident.fault {
                Fault::Memory => "memory_used",
                Fault::Cpu => "load_per_core",
                Fault::Disk => "disk_busy",
                Fault::Network => "tcp_retransmits",
                Fault::Traffic => "network_transmit_bytes",
            };
            let values = host.values.column(column(name));
            let Span { from, to } = incident.span;
            let mean = |from: usize, to: usize| {
                let known = values.slice(ndarray::s![from..to]);
                let known: Vec<f32> = known.iter().copied().filter(|it| !it.is_nan()).collect();
                f64::from(known.iter().sum::<f32>()) / known.len() as f64
            };
            // The second half of it, and of as many minutes on the same days of other weeks.
            let here = mean((from + to) / 2, to);
            let away = |week: &usize| {
                let shift = |it: usize| (it % (7 * DAY)) + week * 7 * DAY;
                let (from, to) = (shift((from + to) / 2), shift((from + to) / 2) + (to - from) / 2);
                let is_own = |it: &Incident| it.span.is_near(Span { from, to }, 0);
                (to <= MINUTES && !host.incidents.iter().any(is_own)).then(|| mean(from, to))
            };
            let others: Vec<f64> = [0, 1, 2].iter().filter_map(away).collect();
            let usual = others.iter().sum::<f64>() / others.len() as f64;
            let is_clear = match incident.fault {
                Fault::Traffic => here < 0.6 * usual,
                Fault::Memory => here > usual + 0.6 * (0.97 - usual),
                _ => here > 1.5 * usual || here > usual + 0.4,
            };
            assert!(is_clear, "{incident:?}: {here} beside {usual} of {name}");
        }
    }
}

#[test]
fn derived_columns_are_what_the_profile_says() {
    // A minute is missing, and everything moves.
    let minutes: Vec<Option<Minute>> = (0..40)
        .map(|at| {
            let wave = f64::from(at * at % 17) / 40.0;
            let minute = Minute {
                cpu_user: wave,
                cpu_system: 0.1,
                cpu_iowait: 0.02,
                cpu_steal: 0.01,
                cpu_other: 0.03,
                memory_used: 0.3 + wave / 2.0,
                disk_busy: wave / 3.0,
                filesystem_used: 0.5 + f64::from(at) / 1_000.0,
                ..Minute::default()
            };
            (at != 23).then_some(minute)
        })
        .collect();
    let column = |name: &str| fleet::derived::column(name, &minutes);
    let near = |name: &str, at: usize, expected: f64| {
        let found = column(name)[at];
        assert!((found - expected).abs() < 1e-9, "{name} at {at}: {found}, {expected}");
    };
    for at in [2, 9, 22, 24, 32, 33, 39] {
        let now = minutes[at].expect("it is there");
        let busy = |it: &Minute| it.cpu_user + 0.16;
        let known = (at.saturating_sub(9)..=at).filter_map(|at| Some((at as f64, minutes[at]?)));
        let known: Vec<(f64, Minute)> = known.collect();
        let count = known.len() as f64;
        assert_eq!(known.len(), if (23..33).contains(&at) { 9 } else { 10.min(at + 1) });
        type Of<'a> = &'a dyn Fn(&Minute) -> f64;
        let mean = |of: Of<'_>| known.iter().map(|(_, it)| of(it)).sum::<f64>() / count;
        let square = |of: Of<'_>| known.iter().map(|(_, it)| of(it) * of(it)).sum::<f64>() / count;
        // Covariance by variance of the time, in minutes.
        let slope = |of: Of<'_>| {
            let together = known.iter().map(|(at, it)| at * of(it)).sum::<f64>() / count;
            let time = known.iter().map(|(at, _)| at).sum::<f64>() / count;
            let times = known.iter().map(|(at, _)| at * at).sum::<f64>() / count;
            (together - time * mean(of)) / (times - time * time)
        };
        let memory: Of<'_> = &|it| it.memory_used;
        near("cpu_busy_mean", at, mean(&busy));
        near("cpu_busy_stddev", at, (square(&busy) - mean(&busy).powi(2)).sqrt());
        near("cpu_busy_change", at, 10.0 * slope(&busy));
        near("memory_used_mean", at, mean(memory));
        near("memory_used_stddev", at, (square(memory) - mean(memory).powi(2)).sqrt());
        near("memory_used_change", at, 10.0 * slope(memory));
        near("filesystem_used_change", at, 0.01);
        near("cpu_per_memory", at, busy(&now) / now.memory_used);
        near("disk_per_cpu", at, now.disk_busy / busy(&now));
        near("cpu_user", at, now.cpu_user);
    }
    assert!(column("cpu_busy_mean")[23].is_nan() && column("disk_busy")[23].is_nan());
    assert!(column("cpu_busy_change")[0].is_nan());
    // Monday, a quarter past six in the morning; Sunday at noon.
    let calendar =
        |name: &str, minute| fleet::derived::calendar(name, minute).expect("a calendar column");
    let turn = |share: f64| (std::f64::consts::TAU * share).sin_cos();
    let (sin, cos) = turn(6.25 / 24.0);
    assert!(
        (calendar("hour_sin", 375) - sin).abs() + (calendar("hour_cos", 375) - cos).abs() < 1e-9
    );
    let (sin, cos) = turn(1.0 / 7.0);
    assert!(
        (calendar("weekday_sin", 375) - sin).abs() + (calendar("weekday_cos", 375) - cos).abs()
            < 1e-9
    );
    assert_eq!((calendar("weekday_sin", 6 * DAY + 720), calendar("time_of_day", 720)), (0.0, 0.5));
}

#[test]
fn a_server_gives_the_fleet_back() {
    let fleet = &FLEETS[0];
    let server = server::Server::start(Arc::clone(fleet)).expect("a server");
    let minutes = Span { from: 2 * DAY, to: 3 * DAY };
    let history = history::read(&HistoryQuery {
        source: server.source(minutes),
        features: profile(),
        entity: PROFILE_ENTITY.map(str::to_owned).to_vec(),
        exclude: Exclusions::default(),
        config: HistoryConfig::default(),
        zone: None,
    });
    let recording = history.expect("history").recording;
    assert_eq!(recording.times_ms.len(), DAY);
    assert_eq!(recording.times_ms[0], START_MS + 2 * 86_400_000);
    assert_eq!(recording.entities.len(), fleet.hosts.len());
    let sightings = recording.sightings.as_ref().expect("times of samples");
    let mut holes = 0;
    for (host, found) in fleet.hosts.iter().zip(&recording.entities) {
        assert_eq!(found.labels, host.labels);
        for (at, row) in found.values.rows().into_iter().enumerate() {
            let expected = host.values.row(minutes.from + at);
            let is_same = |(a, b): (&f32, &f32)| a == b || (a.is_nan() && b.is_nan());
            assert!(row.iter().zip(expected).all(is_same), "{row} is not {expected}");
            let time_ms = recording.times_ms[at];
            let seen = sightings.instants_ms.binary_search(&time_ms).expect("an instant");
            let is_hole = expected[0].is_nan();
            holes += usize::from(is_hole);
            assert_eq!(found.newest_ms[seen] == time_ms, !is_hole, "{time_ms}");
        }
    }
    assert!(holes > 0, "no row of this day is missing: take another day");
}

#[test]
fn halves_have_a_header_each_and_all_rows_between_them() {
    let folder = tempfile::tempdir().expect("a folder");
    let [table, first, second] = ["table", "first", "second"].map(|it| folder.path().join(it));
    std::fs::write(&table, "time,a\n1,2\n2,3\n3,4\n").expect("written");
    let halves = [first, second];
    halves::split(&table, &halves).expect("two halves");
    let texts = halves.map(|it| std::fs::read_to_string(it).expect("a half"));
    assert_eq!(texts, ["time,a\n1,2\n", "time,a\n2,3\n3,4\n"]);
}

/// A minute a step, from the first on: `#` above the threshold, `.` below it, ` ` without a score.
#[track_caller]
fn tallied(course: &str, incidents: &[[i64; 2]], jobs: &[[i64; 2]]) -> Tally {
    let times_ms: Vec<i64> = (0..course.len() as i64).map(|it| it * 60_000).collect();
    let is = |at: usize, what: u8| course.as_bytes()[at] == what;
    let in_ms = |all: &[[i64; 2]]| -> Vec<[i64; 2]> {
        all.iter().map(|it| it.map(|it| it * 60_000)).collect()
    };
    let periods = [&in_ms(incidents)[..], &in_ms(jobs)[..]];
    Tally::of((&times_ms, 60_000), |at| !is(at, b' '), |at| is(at, b'#'), periods)
}

/// Calm, then alarms from a minute to another one, then calm.
fn alarms(minutes: usize, alarms: &[[usize; 2]]) -> String {
    let is_alarm = |at: &usize| alarms.iter().any(|it| (it[0]..=it[1]).contains(at));
    (0..minutes).map(|at| if is_alarm(&at) { '#' } else { '.' }).collect()
}

#[test]
fn an_incident_is_found_until_ten_minutes_after_it() {
    let found = |first, last| tallied(&alarms(200, &[[first, last]]), &[[50, 80]], &[]).found;
    assert_eq!([found(40, 49), found(40, 50), found(80, 80)], [0, 1, 1]);
    assert_eq!([found(90, 90), found(91, 99), found(91, 150)], [1, 0, 0]);
    let two = tallied(&alarms(200, &[[60, 110]]), &[[50, 80], [100, 120], [150, 160]], &[]);
    assert_eq!((two.found, two.incidents), (2, 3));
}

#[test]
fn an_episode_has_a_cause_or_is_false() {
    let told = |first, last| {
        let tally = tallied(&alarms(400, &[[first, last]]), &[[50, 80]], &[[250, 280]]);
        (tally.false_episodes, tally.nightly)
    };
    // Before the incident, into it, in the hour after it, later.
    assert_eq!([told(30, 49), told(30, 50), told(140, 145)], [(1, 0), (0, 0), (0, 0)]);
    assert_eq!([told(141, 145), told(200, 249)], [(1, 0), (1, 0)]);
    // The nightly job, and both.
    assert_eq!([told(240, 250), told(290, 295), told(291, 295)], [(0, 1), (0, 1), (1, 0)]);
    assert_eq!(told(140, 260), (0, 0));
    // A pause within the reach of an episode makes no second one.
    let two = tallied(&alarms(400, &[[300, 300], [310, 310], [321, 321]]), &[], &[]);
    assert_eq!(two.false_episodes, 2);
}

#[test]
fn normal_time_is_what_is_scored_outside_of_incidents_and_the_hour_after() {
    let mut course = "  ".to_owned() + &alarms(198, &[[8, 17], [48, 57], [148, 151]]);
    course.replace_range(199..200, " ");
    let tally = tallied(&course, &[[50, 80]], &[]);
    assert_eq!(tally.normal, 197 - 91);
    // 10 before it, none within it or in the hour after it, 4 later.
    assert_eq!(tally.above, 14);
    assert!((tally.normal_in_alarm() - 14.0 / 106.0).abs() < 1e-12);
    assert_eq!(Tally::default().normal_in_alarm(), 0.0);
}

#[test]
fn tallies_add_up() {
    let one = tallied(&alarms(10_080, &[[3, 4], [50, 60]]), &[[50, 80]], &[]);
    assert_eq!((one.host_weeks, one.false_a_week()), (1.0, 1.0));
    let two = one.and(tallied(&alarms(10_080, &[]), &[[50, 80]], &[]));
    assert_eq!((two.found, two.incidents, two.host_weeks), (1, 2, 2.0));
    assert_eq!((two.false_episodes, two.false_a_week(), two.nightly), (1, 0.5, 0));
}

#[test]
fn the_best_constant_finds_most_for_no_more_calls() {
    let of = |found, false_episodes, nightly| Tally {
        found,
        false_episodes,
        nightly,
        ..Tally::default()
    };
    let best = |others: &[Tally]| of(5, 2, 1).best_within(others.iter().copied());
    assert_eq!(best(&[of(9, 4, 0), of(9, 0, 4), of(6, 3, 0), of(7, 1, 2)]), Some(of(7, 1, 2)));
    assert_eq!(best(&[of(6, 3, 0), of(6, 0, 0), of(6, 0, 1)]), Some(of(6, 0, 0)));
    assert_eq!(best(&[of(9, 4, 0)]), None);
}

#[test]
fn incidents_can_be_excluded_host_by_host() {
    let fleet = &FLEETS[0];
    let server = server::Server::start(Arc::clone(fleet)).expect("a server");
    let queries = vec![server::INCIDENT.to_owned()];
    let history = history::read(&HistoryQuery {
        source: server.source(Span { from: 0, to: FORTNIGHT }),
        features: profile()[..1].to_vec(),
        entity: PROFILE_ENTITY.map(str::to_owned).to_vec(),
        exclude: Exclusions { queries, ..Exclusions::default() },
        config: HistoryConfig::default(),
        zone: None,
    });
    let entities = history.expect("history").recording.entities;
    assert_eq!(entities.len(), fleet.hosts.len());
    for (host, found) in fleet.hosts.iter().zip(&entities) {
        let excluded: Vec<usize> = (0..FORTNIGHT).filter(|it| found.is_excluded(*it)).collect();
        let expected: Vec<usize> = (0..FORTNIGHT).filter(|it| host.is_in_incident(*it)).collect();
        assert!(!expected.is_empty() && excluded == expected, "{}", host.labels);
    }
}
