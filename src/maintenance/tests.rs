use proptest::prelude::*;

use super::*;
use crate::matcher::{MatchOp, Matcher};
use crate::timestamp::{format_ms, parse_ms};

const NOW_MS: i64 = 1_795_428_900_000;
const HOUR_MS: i64 = 3_600_000;
const MOST: usize = 1_000;

fn labels(pairs: &[(&str, &str)]) -> Labels {
    Labels::from_pairs(pairs.iter().copied()).expect("distinct names")
}

fn record(matchers: &[(&str, &str, bool, bool)], from_ms: i64, to_ms: i64) -> SilenceRecord {
    let matcher = |(name, value, is_regex, is_equal): &(&str, &str, bool, bool)| MatcherRecord {
        name: (*name).to_owned(),
        value: (*value).to_owned(),
        is_regex: *is_regex,
        is_equal: *is_equal,
    };
    SilenceRecord {
        id: None,
        status: None,
        updated_at: None,
        comment: "a disk is exchanged".to_owned(),
        created_by: "ops".to_owned(),
        ends_at: format_ms(to_ms),
        starts_at: format_ms(from_ms),
        matchers: matchers.iter().map(matcher).collect(),
    }
}

fn of_instance(instance: &str, from_ms: i64, to_ms: i64) -> Silence {
    record(&[("instance", instance, false, true)], from_ms, to_ms).silence().expect("good")
}

fn windows(yaml: &str) -> Result<MaintenanceWindows, MaintenanceError> {
    let windows: Vec<MaintenanceWindow> = serde_yaml::from_str(yaml).expect("YAML");
    MaintenanceWindows::read(&windows)
}

#[test]
fn a_window_holds_back_what_its_matchers_match_while_it_is_open() {
    let windows = windows(
        "- name: move\n  matchers: ['instance=~\"web-.*\"', severity=ticket]\n  \
         starts_at: 2026-11-28T20:00:00+01:00\n  ends_at: 2026-11-28T23:00:00+01:00\n\
         - name: night\n  weekly: {times: [{start_time: 22:00, end_time: 24:00}], location: Europe/Vienna}\n",
    )
    .expect("good windows");
    let maintenance = Maintenance { windows, ..Maintenance::default() };
    let web = labels(&[("instance", "web-1"), ("severity", "ticket")]);
    let database = labels(&[("instance", "db-1"), ("severity", "ticket")]);
    let check = |labels: &Labels, at: &str, expected: Option<&str>| {
        let found = maintenance.muted_by(labels, parse_ms(at).expect("a moment"));
        assert_eq!(found, expected.map(MutedBy::Window), "{at}");
    };
    check(&web, "2026-11-28T18:59:59.999Z", None);
    check(&web, "2026-11-28T19:00:00Z", Some("move"));
    check(&database, "2026-11-28T19:00:00Z", None);
    // Both are open.
    check(&web, "2026-11-28T21:59:59.999Z", Some("move"));
    check(&database, "2026-11-28T21:59:59.999Z", Some("night"));
    check(&web, "2026-11-28T22:00:00Z", Some("night"));
    check(&web, "2026-11-28T23:00:00Z", None);
    let at_ms = parse_ms("2026-11-28T21:30:00Z").expect("a moment");
    assert_eq!(maintenance.windows.open(at_ms).collect::<Vec<_>>(), ["move", "night"]);
    let muted = maintenance.muted_by(&web, at_ms).expect("held back");
    assert_eq!((muted.kind(), &*muted.to_string()), ("window", "maintenance window \"move\""));
}

#[test]
fn a_window_that_cannot_work_is_named_by_its_key() {
    let once = "starts_at: 2026-11-28T20:00:00Z, ends_at: 2026-11-28T23:00:00Z";
    for (window, expected) in [
        (
            "{name: '', weekly: {weekdays: [monday]}}".to_owned(),
            "maintenance_windows[0].name: must not be empty",
        ),
        ("{name: a}".to_owned(), "maintenance_windows[0]: needs starts_at and ends_at, or weekly"),
        (
            format!("{{name: a, {once}, weekly: {{weekdays: [monday]}}}}"),
            "maintenance_windows[0]: has weekly together with starts_at or ends_at",
        ),
        (
            "{name: a, starts_at: 2026-11-28T20:00:00Z}".to_owned(),
            "maintenance_windows[0].ends_at: is missing",
        ),
        (
            "{name: a, ends_at: 2026-11-28T20:00:00Z}".to_owned(),
            "maintenance_windows[0].starts_at: is missing",
        ),
        (
            "{name: a, starts_at: 2026-11-28T20:00:00Z, ends_at: 2026-11-28T20:00:00Z}".to_owned(),
            "maintenance_windows[0].ends_at: must be after starts_at",
        ),
        (
            "{name: a, starts_at: tomorrow, ends_at: 2026-11-28T20:00:00Z}".to_owned(),
            "maintenance_windows[0].starts_at: \"tomorrow\" is not a time",
        ),
        (
            format!("{{name: a, matchers: [a=b, 'c=~('], {once}}}"),
            "maintenance_windows[0].matchers[1]: error parsing regexp",
        ),
        (
            "{name: a, weekly: {weekdays: [monday], location: Mars/Base}}".to_owned(),
            "maintenance_windows[0].weekly.location: \"Mars/Base\" is not a time zone",
        ),
        (
            "{name: a, weekly: {}}".to_owned(),
            "maintenance_windows[0].weekly: needs weekdays, times or both",
        ),
        (
            format!("{{name: a, {once}}}\n- {{name: a, {once}}}"),
            "maintenance_windows[1].name: \"a\" is there twice",
        ),
    ] {
        let error = windows(&format!("- {window}\n")).expect_err(expected).to_string();
        assert!(error.starts_with(expected), "{error}");
    }
}

#[test]
fn an_id_is_a_uuid_of_version_4() {
    assert_eq!(random_id([0; 16]), "00000000-0000-4000-8000-000000000000");
    assert_eq!(random_id([0xff; 16]), "ffffffff-ffff-4fff-bfff-ffffffffffff");
}

#[test]
fn a_silence_holds_back_until_its_end_or_until_it_is_ended() {
    let mut maintenance = Maintenance::default();
    let silences = &mut maintenance.silences;
    let set = |silences: &mut Silences, silence, id: &str| {
        silences.set(silence, id.to_owned(), NOW_MS, MOST).expect("set")
    };
    assert_eq!(set(silences, of_instance("a", NOW_MS - 5, NOW_MS + HOUR_MS), "1"), "1");
    set(silences, of_instance("b", NOW_MS + HOUR_MS, NOW_MS + 2 * HOUR_MS), "2");
    let (a, b) = (labels(&[("instance", "a")]), labels(&[("instance", "b")]));
    let muted = |maintenance: &Maintenance, labels, at_ms| {
        maintenance.muted_by(labels, at_ms).map(|it| it.to_string())
    };
    // It does not begin before it was set.
    assert_eq!(muted(&maintenance, &a, NOW_MS - 1), None);
    assert_eq!(muted(&maintenance, &a, NOW_MS).as_deref(), Some("silence 1"));
    assert_eq!(muted(&maintenance, &a, NOW_MS + HOUR_MS - 1).as_deref(), Some("silence 1"));
    assert_eq!(muted(&maintenance, &a, NOW_MS + HOUR_MS), None);
    assert_eq!(muted(&maintenance, &b, NOW_MS), None);
    assert_eq!(muted(&maintenance, &b, NOW_MS + HOUR_MS).as_deref(), Some("silence 2"));
    let counts = |active, pending, expired| StateCounts { active, pending, expired };
    assert_eq!(maintenance.silences.counts(NOW_MS), counts(1, 1, 0));
    for id in ["1", "2", "1"] {
        maintenance.silences.expire(id, NOW_MS + 10).expect("it is there");
    }
    assert_eq!(maintenance.silences.counts(NOW_MS + 10), counts(0, 0, 2));
    assert_eq!(muted(&maintenance, &b, NOW_MS + HOUR_MS), None);
    // What it did is not told otherwise.
    let first = maintenance.silences.get("1").expect("remembered");
    assert_eq!((first.starts_at_ms, first.ends_at_ms), (NOW_MS, NOW_MS + 10));
    let unknown = maintenance.silences.expire("3", NOW_MS).expect_err("none").to_string();
    assert_eq!(unknown, "there is no silence \"3\"");
    assert!(!maintenance.silences.forget_ended(NOW_MS + 120 * HOUR_MS));
    assert!(maintenance.silences.forget_ended(NOW_MS + 120 * HOUR_MS + 10));
    assert_eq!(maintenance.silences.iter().count(), 0);
}

#[test]
fn a_silence_that_cannot_be_meant_is_refused() {
    let mut silences = Silences::default();
    let mut check = |matchers: &[(&str, &str, bool, bool)], (from_ms, to_ms), reason: &str| {
        let silence = record(matchers, NOW_MS + from_ms, NOW_MS + to_ms).silence();
        let set = silence.map_err(|error| error.to_string()).and_then(|it| {
            silences.set(it, "x".to_owned(), NOW_MS, MOST).map_err(|error| error.to_string())
        });
        let error = set.expect_err(reason);
        assert!(error.starts_with(reason), "{error}");
    };
    let good = ("a", "b", false, true);
    check(&[], (0, 10), "matchers: there must be at least one");
    check(&[("", "b", false, true)], (0, 10), "matchers[0]: name must not be empty");
    check(&[good, ("a", "(", true, true)], (0, 10), "matchers[1]: error parsing regexp");
    let everything = "at least one matcher must not match the empty string";
    check(&[("a", "", false, true)], (0, 10), everything);
    check(&[("a", ".*", true, true), ("b", "x", false, false)], (0, 10), everything);
    check(&[good], (10, 10), "startsAt must be before endsAt");
    check(&[good], (-10, 0), "endsAt must not be in the past");
    let mut record = record(&[good], NOW_MS, NOW_MS + 1);
    record.ends_at = "tomorrow".to_owned();
    let error = record.silence().expect_err("no time").to_string();
    assert!(error.starts_with("endsAt: \"tomorrow\" is not a time"), "{error}");
    let mut other = of_instance("a", NOW_MS, NOW_MS + 1);
    other.id = "gone".to_owned();
    let unknown = Silences::default().set(other, "x".to_owned(), NOW_MS, MOST);
    assert_eq!(unknown, Err(SilenceError::Unknown("gone".to_owned())));
}

/// As Alertmanager does it (`silence.go`, `canUpdate`).
#[test]
fn a_silence_is_changed_under_its_id_where_its_past_stays_true() {
    let mut silences = Silences::default();
    let original = of_instance("a", NOW_MS, NOW_MS + HOUR_MS);
    silences.set(original.clone(), "1".to_owned(), NOW_MS, MOST).expect("set");
    let changed = |id: &str, instance: &str, from_ms: i64, to_ms: i64| {
        let mut it = of_instance(instance, NOW_MS + from_ms, NOW_MS + to_ms);
        it.id = id.to_owned();
        it.comment = "longer".to_owned();
        it
    };
    let mut set = |silence, new_id: &str, most| {
        let id = silences.set(silence, new_id.to_owned(), NOW_MS + 5_000, most);
        let states: Vec<_> = (silences.iter())
            .map(|it| (it.id.clone(), it.state(NOW_MS + 5_000).name(), it.comment.clone()))
            .collect();
        (id, states)
    };
    let (id, states) = set(changed("1", "a", 0, 2 * HOUR_MS), "2", 1);
    assert_eq!(id.as_deref(), Ok("1"));
    assert_eq!(states, [("1".to_owned(), "active", "longer".to_owned())]);
    // Other alerts: another silence. Where the limit is reached, it takes the place that becomes free.
    let (id, states) = set(changed("1", "b", 0, HOUR_MS), "2", 1);
    assert_eq!(id.as_deref(), Ok("2"));
    assert_eq!(states, [("2".to_owned(), "active", "longer".to_owned())]);
    // Later: the one before ends.
    let (id, states) = set(changed("2", "b", HOUR_MS, 2 * HOUR_MS), "3", 2);
    assert_eq!(id.as_deref(), Ok("3"));
    let state = |(id, state, _): &(String, &'static str, String)| (id.clone(), *state);
    let states: Vec<_> = states.iter().map(state).collect();
    assert_eq!(states, [("2".to_owned(), "expired"), ("3".to_owned(), "pending")]);
    // One that is over is set again.
    let (id, states) = set(changed("2", "b", 0, HOUR_MS), "4", 9);
    assert_eq!((id.as_deref(), states.len()), (Ok("4"), 3));
}

#[test]
fn there_are_no_more_than_may_be_and_what_is_over_makes_way() {
    let mut silences = Silences::default();
    let mut set = |i: i64, to_ms| {
        let now_ms = NOW_MS + i;
        silences
            .set(of_instance("a", now_ms, to_ms), i.to_string(), now_ms, 3)
            .map(|_| silences.iter().map(|it| it.id.clone()).collect::<Vec<_>>().join(" "))
    };
    assert_eq!(set(1, NOW_MS + 10).as_deref(), Ok("1"));
    assert_eq!(set(2, NOW_MS + HOUR_MS).as_deref(), Ok("1 2"));
    assert_eq!(set(3, NOW_MS + HOUR_MS).as_deref(), Ok("1 2 3"));
    assert_eq!(set(4, NOW_MS + HOUR_MS), Err(SilenceError::TooMany(3)));
    // The first is over.
    assert_eq!(set(11, NOW_MS + HOUR_MS).as_deref(), Ok("2 3 11"));
    assert_eq!(set(12, NOW_MS + HOUR_MS), Err(SilenceError::TooMany(3)));
    let said = SilenceError::TooMany(3).to_string();
    assert_eq!(
        said,
        "there are 3 silences already, as many as alerting.max_silences allows; expire some"
    );
}

#[test]
fn a_record_has_alertmanager_s_keys() {
    let text = r#"{"matchers": [{"name": "instance", "value": "web-.*", "isRegex": true}],
        "startsAt": "2026-11-23T11:15:00.000+01:00", "endsAt": "2026-11-23T12:15:00Z",
        "createdBy": "ops", "comment": "why", "id": "", "annotations": {"x": "y"}}"#;
    let record: SilenceRecord = serde_json::from_str(text).expect("a record");
    let mut silence = record.silence().expect("a silence");
    silence.id = "7".to_owned();
    let json = serde_json::to_value(SilenceRecord::of(&silence, NOW_MS)).expect("JSON");
    assert_eq!(
        json,
        serde_json::json!({
            "id": "7", "status": {"state": "active"}, "updatedAt": "1970-01-01T00:00:00Z",
            "comment": "why", "createdBy": "ops",
            "startsAt": "2026-11-23T10:15:00Z", "endsAt": "2026-11-23T12:15:00Z",
            "matchers": [{"name": "instance", "value": "web-.*", "isRegex": true, "isEqual": true}],
        })
    );
}

/// Every alert of a large fleet is asked of as many silences as may be set. Patterns were compiled before.
#[test]
fn ten_thousand_alerts_are_asked_of_a_thousand_silences() {
    let mut silences = Silences::default();
    for i in 0..MOST {
        let is_regex = i % 2 == 0;
        let value = if is_regex { format!("host-{i}(:[0-9]+)?") } else { format!("host-{i}:9100") };
        let matchers = [("severity", "ticket", false, true), ("instance", &*value, is_regex, true)];
        let silence = record(&matchers, NOW_MS, NOW_MS + HOUR_MS).silence().expect("good");
        silences.set(silence, i.to_string(), NOW_MS, MOST).expect("set");
    }
    let maintenance = Maintenance { silences, ..Maintenance::default() };
    let alerts: Vec<Labels> = (0..10_000)
        .map(|i| format!("host-{i}:9100"))
        .map(|it| labels(&[("alertname", "A"), ("instance", &it), ("severity", "ticket")]))
        .collect();
    let muted = alerts.iter().filter(|it| maintenance.muted_by(it, NOW_MS).is_some()).count();
    assert_eq!(muted, MOST);
}

fn matcher() -> impl Strategy<Value = MatcherRecord> {
    let name = "[a-z_.]{1,4}";
    (name, "[a-z\\\\\"\n\\.\\*]{0,5}", any::<bool>(), any::<bool>()).prop_map(
        |(name, value, is_regex, is_equal)| {
            let is_regex = is_regex && Matcher::new("a", MatchOp::Regex, &*value).is_ok();
            MatcherRecord { name, value, is_regex, is_equal }
        },
    )
}

proptest! {
    /// What is written to the disk is what is read from it.
    #[test]
    fn a_silence_outlives_its_record(
        matchers in proptest::collection::vec(matcher(), 1..4),
        comment in ".{0,20}",
        (from_ms, to_ms, updated_ms) in (0..NOW_MS, 0..NOW_MS, 0..NOW_MS),
    ) {
        let mut record = record(&[], from_ms, to_ms);
        record.id = Some("7".to_owned());
        record.updated_at = Some(format_ms(updated_ms));
        record.matchers = matchers;
        record.comment = comment;
        let silence = record.silence().expect("good");
        prop_assert_eq!((silence.starts_at_ms, silence.ends_at_ms), (from_ms, to_ms));
        let text = serde_json::to_string(&SilenceRecord::of(&silence, NOW_MS)).expect("JSON");
        let read: SilenceRecord = serde_json::from_str(&text).expect("our own words");
        prop_assert_eq!(read.silence().expect("good"), silence);
    }

    /// A matcher's own text, where Alertmanager writes it as PromQL does, is read as that matcher.
    #[test]
    fn any_text_is_a_matcher_or_a_reason(text in "[a\"\\\\=~!n .]{0,10}") {
        if let Ok(matcher) = parse_matcher(&text) {
            prop_assert!(!matcher.name().is_empty());
        }
        let quoted = format!("a={:?}", text);
        let matcher = parse_matcher(&quoted).expect("in quotes everything is a value");
        prop_assert_eq!(matcher.value(), text);
    }

    /// One that is set, changed or ended holds back only while it is active, and never more than may be.
    #[test]
    fn silences_are_never_more_than_may_be(
        steps in proptest::collection::vec((0..3_u8, 0..6_usize, 0..4_i64, 1..9_i64), 1..40)
    ) {
        const FEW: usize = 4;
        let mut silences = Silences::default();
        for (i, (kind, which, from, length)) in steps.into_iter().enumerate() {
            let now_ms = NOW_MS + 1_000 * i as i64;
            let id = silences.iter().nth(which).map(|it| it.id.clone()).unwrap_or_default();
            if kind == 0 {
                let known = silences.get(&id).is_some();
                prop_assert_eq!(silences.expire(&id, now_ms).is_ok(), known);
            } else {
                let from_ms = now_ms + 1_000 * from;
                let mut silence = of_instance("a", from_ms, from_ms + 1_000 * length);
                silence.id = if kind == 1 { id } else { String::new() };
                let live = |it: &Silences| {
                    let counts = it.counts(now_ms);
                    counts.active + counts.pending
                };
                let (before, set) =
                    (live(&silences), silences.set(silence, format!("new-{i}"), now_ms, FEW));
                match set {
                    Ok(id) => prop_assert!(silences.get(&id).is_some_and(|it| it.ends_at_ms > now_ms)),
                    Err(error) => prop_assert_eq!((error, before), (SilenceError::TooMany(FEW), FEW)),
                }
            }
            prop_assert!(silences.iter().count() <= FEW);
            let active = silences.counts(now_ms).active;
            let muting = silences.muting(&labels(&[("instance", "a")]), now_ms);
            prop_assert_eq!(muting.is_some(), active > 0);
        }
    }
}
