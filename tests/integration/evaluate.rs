//! What an evaluation of a fleet tells an operator: calls, incidents by file and by query, one host of many.

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::Peers;
use crate::support::range_server::{Asked, Busy, RangeServer, Series};
use portent::model::Dim;
use portent::model::graph::Graph;
use portent::timestamp::format_ms;
use tempfile::TempDir;

/// 2026-11-23T10:15:00Z.
const START_S: i64 = 1_795_428_900;
const STEP_S: i64 = 60;
const STEPS: i64 = 180;
const HOSTS: [&str; 3] = ["db-1", "web-1", "web-2"];

/// A model expects half of each of two features, so that 4 and 0 are an error of 2 that is of the first alone.
const CONFIG: &str = "global:\n  evaluation_delay: 0s\nmodels:\n- name: fleet\n  file: m.onnx\n  \
                      entity: [job, instance]\n  step: 1m\n  threshold: 1\n  features:\n  \
                      - {name: cpu, expr: m_cpu}\n  - {name: disk, expr: m_disk}\n";

/// Steps at which a host is out of order.
fn is_out(host: &str, step: i64) -> bool {
    match host {
        "web-1" => (60..70).contains(&step),
        "web-2" => (100..103).contains(&step),
        _ => false,
    }
}

/// Alerts: the host, and when.
const ALERTS: [(&str, std::ops::Range<i64>); 3] =
    [("web-1", 62..76), ("db-1", 130..136), ("gone", 10..12)];

fn answer(asked: &Asked) -> anyhow::Result<Vec<Series>> {
    let step = |at_ms: &i64| (at_ms / 1_000 - START_S).div_euclid(STEP_S);
    let points = |value: &dyn Fn(i64) -> Option<f64>| -> Vec<(i64, f64)> {
        asked.times_ms.iter().filter_map(|at| Some((*at, value(step(at))?))).collect()
    };
    if asked.query.contains("ALERTS") {
        let alerts = ALERTS.iter().map(|(host, steps)| Series {
            labels: format!(r#""__name__":"ALERTS","alertname":"Down","instance":"{host}""#),
            // One evaluation is missed.
            points: points(&|at| (steps.contains(&at) && at != steps.start + 1).then_some(1.0)),
        });
        let alerts: Vec<Series> = alerts.filter(|it| !it.points.is_empty()).collect();
        return Ok(if asked.query.contains("none") { Vec::new() } else { alerts });
    }
    let hosts = HOSTS.iter().map(|host| Series {
        labels: format!(r#""job":"node","instance":"{host}""#),
        points: match asked.query.contains("timestamp(") {
            true => asked.times_ms.iter().map(|at| (*at, *at as f64 / 1_000.0)).collect(),
            false if asked.query.contains("m_disk") => points(&|_| Some(0.0)),
            false => points(&|at| Some(if is_out(host, at) { 4.0 } else { 0.2 })),
        },
    });
    Ok(hosts.collect())
}

/// A folder with the model, its configuration and a file of labels; and the server.
struct World {
    folder: TempDir,
    server: RangeServer,
}

/// What came of a command.
struct Said {
    code: Option<i32>,
    out: String,
    err: String,
}

impl World {
    fn new(labels: &str) -> Self {
        Self::of(RangeServer::start(answer).expect("a port"), labels)
    }

    fn of(server: RangeServer, labels: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let rows = [Dim::Dynamic("N".to_owned()), Dim::Fixed(2)];
        let mut graph = Graph::new("half");
        graph.input("x", &rows).constant("half", &[], &[0.5]);
        graph.node("Mul", &["x", "half"], "reconstruction").output("reconstruction", &rows);
        let world = Self { folder, server };
        fs::write(world.folder.path().join("m.onnx"), graph.encode(Vec::new())).expect("written");
        world.write("portent.yml", CONFIG);
        world.write("labels.csv", labels);
        world
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("written");
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.folder.path().join(name)).expect(name)
    }

    fn evaluate(&self, arguments: &[&str]) -> Said {
        let end_s = START_S + STEP_S * (STEPS - 1);
        let output = Command::new(env!("CARGO_BIN_EXE_portent"))
            .args(["evaluate", "--model=m.onnx", "--config.file=portent.yml"])
            .arg(format!("--prometheus.url={}", self.server.url()))
            .args([format!("--start={START_S}"), format!("--end={end_s}")])
            .args(arguments)
            .current_dir(self.folder.path())
            .output()
            .expect("portent is built");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Said { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The account, up to the first empty line.
    #[track_caller]
    fn check(&self, arguments: &[&str], account: &str) {
        let said = self.evaluate(arguments);
        assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
        let found = said.out.split_once("\n\n").map(|it| it.0);
        assert_eq!(found, Some(account.trim_end()), "{}{}", said.out, said.err);
    }

    #[track_caller]
    fn check_error(&self, arguments: &[&str], code: i32, sentence: &str) {
        let said = self.evaluate(arguments);
        assert_eq!(said.code, Some(code), "{}{}", said.out, said.err);
        assert!(said.err.contains(sentence), "{}", said.err);
        assert_eq!(said.out, "");
    }
}

/// The begin of an account that labels belong to: the first call is of an incident, the second as given.
fn calls(second: &str) -> String {
    format!(
        "\
would have called 2 times, for 2 of 3 hosts: 37.33 episodes per host and week
  2026-11-23T11:15:00Z  {{instance=\"web-1\", job=\"node\"}}  10m  2.00  cpu 100 %  incident
  2026-11-23T11:55:00Z  {{instance=\"web-2\", job=\"node\"}}  3m   2.00  cpu 100 %  {second}
"
    )
}

#[test]
fn an_account_begins_with_the_calls() {
    let world = World::new("");
    let account = "\
would have called 2 times, for 2 of 3 hosts: 37.33 episodes per host and week
  2026-11-23T11:15:00Z  {instance=\"web-1\", job=\"node\"}  10m  2.00  cpu 100 %
  2026-11-23T11:55:00Z  {instance=\"web-2\", job=\"node\"}  3m   2.00  cpu 100 %
";
    world.check(&[], account);
    let said = world.evaluate(&["--report=page.html"]);
    let host = "{instance=\"db-1\", job=\"node\"}: 180 of 180 steps scored, 0 above the threshold, episodes: 0,";
    assert!(said.out.contains(host), "{}", said.out);
    let page = world.read("page.html");
    let [calls, scores] = [">Calls<", ">Scores<"].map(|it| page.find(it).expect(it));
    assert!(calls < scores, "calls come first");
    assert!(page.contains("Would have called 2 times, for 2 of 3 hosts: 37.33"), "{page}");
    let range = "\n\nrange          2026-11-23T10:15:00Z to 2026-11-23T13:14:00Z\n";
    assert!(said.out.contains(range), "{}", said.out);
}

#[test]
fn each_range_of_two_is_told_by_itself() {
    let world = World::new("");
    let (start, end) = (START_S + STEP_S * 400, START_S + STEP_S * 460);
    let said = world.evaluate(&[&format!("--start={start}"), &format!("--end={end}")]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let ranges = "\n\nrange          2026-11-23T10:15:00Z to 2026-11-23T13:14:00Z\n\
                  range          2026-11-23T16:55:00Z to 2026-11-23T17:55:00Z\n";
    assert!(said.out.contains(ranges), "{}", said.out);
}

#[test]
fn a_busy_server_is_waited_for_and_that_is_told_once() {
    let is_first = AtomicBool::new(true);
    let server = RangeServer::start(move |asked| match is_first.swap(false, Ordering::Relaxed) {
        true => Err(Busy.into()),
        false => answer(asked),
    });
    let said = World::of(server.expect("a port"), "").evaluate(&[]);
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.err);
    let lines = said.err.lines().filter(|it| it.contains("the server does not answer"));
    let [line] = lines.collect::<Vec<_>>()[..] else { panic!("not one line: {}", said.err) };
    // Waits of 1, 2, 4 and so on up to 32 s; the first is longer by up to a quarter.
    for part in ["status 503: busy", "attempt=\"1 of 6\"", "wait=1s", "goes_on_for=6"] {
        assert!(line.contains(part), "{part}: {line}");
    }
}

#[test]
fn incidents_of_a_file_are_found_or_missed() {
    let world = World::new(
        "title,start,end,instance\n\
         web is slow,2026-11-23 11:10,2026-11-23 11:30,web-1\n\
         database,2026-11-23T12:25:00Z,1795437000,db-1\n\
         router,2026-11-23 11:56:20,2026-11-23 11:56:50,\n\
         old,2026-11-20 10:00,2026-11-20 11:00,\n\
         other,2026-11-23 11:10,2026-11-23 11:30,gone\n",
    );
    let account = calls("incident") + "\
found 2 of 3 incidents, half of them 1m50s after their start or earlier
  missed  2026-11-23T12:25:00Z  {instance=\"db-1\"}   5m
  found   2026-11-23T11:10:00Z  {instance=\"web-1\"}  20m  5m after its start
  found   2026-11-23T11:56:20Z  every host          30s  1m20s before its start, for {instance=\"web-2\", job=\"node\"}
0 of 2 calls were false: 0.00 false episodes per host and week
the file has 5 incidents, by its columns start, end, instance
columns that are no label of the model's hosts are not looked at: \"title\"
the times have no zone: they are taken as UTC
left out: 1 of 4 incidents (the first is at 2026-11-20T10:00:00Z, for 1h), outside of the history from 2026-11-23T10:15:00Z to 2026-11-23T13:14:00Z
between two steps of the history: 1 of 4 incidents (the first is at 2026-11-23T11:56:20Z, for 30s); each is taken as the nearest step, that at 2026-11-23T11:56:20Z as 2026-11-23T11:56:00Z
left out: incidents of hosts that the history does not have: {instance=\"gone\"}
";
    world.check(&["--labels=labels.csv", "--report=page.html"], &account);
    let said = world.evaluate(&["--labels=labels.csv"]);
    // The incident of every host is one of each of three.
    assert!(said.out.contains("detection rate 40.00 %, 2 of 5 events"), "{}", said.out);
    assert!(said.out.contains("These figures treat 3 hosts as one"), "{}", said.out);
    let page = world.read("page.html");
    assert!(page.contains("Found 2 of 3 incidents"), "{page}");
    assert!(page.contains("<td>every host</td>"), "{page}");
}

#[test]
fn a_file_of_steps_may_be_of_many_hosts() {
    let line = |host: &str, at: i64| {
        let time = format_ms(1_000 * (START_S + STEP_S * at));
        format!("{time},{host},{}\n", u8::from(host == "web-1" && (65..75).contains(&at)))
    };
    let lines = (50..110).flat_map(|at| ["web-1", "web-2"].map(|host| line(host, at)));
    let world = World::new(&format!("time,instance,label\n{}", lines.collect::<String>()));
    let account = calls("false")
        + "\
found 1 of 1 incident, half of them 5m before their start or earlier
  found  2026-11-23T11:20:00Z  {instance=\"web-1\"}  9m  5m before its start
1 of 2 calls were false: 18.67 false episodes per host and week
the file has a label for each of 120 steps, by its columns time, instance, label
left out: 420 of 540 steps, without a label
";
    world.check(&["--labels=labels.csv"], &account);
}

#[test]
fn alerts_of_the_server_are_incidents() {
    let world = World::new("");
    let account = calls("false")
        + "\
found 1 of 2 incidents, half of them 2m before their start or earlier
  missed  2026-11-23T12:25:00Z  {instance=\"db-1\"}   5m
  found   2026-11-23T11:17:00Z  {instance=\"web-1\"}  13m  2m before its start
1 of 2 calls were false: 18.67 false episodes per host and week
ALERTS{alertname=\"Down\"} has 3 incidents in the history
left out: incidents of hosts that the history does not have: {instance=\"gone\"}
";
    world.check(&["--labels-query=ALERTS{alertname=\"Down\"}"], &account);
    let none = world.evaluate(&["--labels-query=ALERTS{alertname=\"none\"}"]);
    assert_eq!(none.code, Some(0), "{}", none.err);
    for line in [
        "found 0 of 0 incidents\n",
        "2 of 2 calls were false: 37.33 false episodes per host and week\n",
        "ALERTS{alertname=\"none\"} has 0 incidents in the history\n",
        "the labels mark nothing as anomalous here: there is nothing to find, and every call is a false one\n",
    ] {
        assert!(none.out.contains(line), "{}", none.out);
    }
}

#[test]
fn one_host_of_many_is_evaluated_alone() {
    let world =
        World::new("start,end,instance\n1795432800,1795433400,db-1\n1795432200,1795433400,web-1\n");
    let account = "\
would have called 1 time: 56.00 episodes per host and week
  2026-11-23T11:15:00Z  {instance=\"web-1\", job=\"node\"}  10m  2.00  cpu 100 %  incident
found 1 of 1 incident, half of them 5m after their start or earlier
  found  2026-11-23T11:10:00Z  {instance=\"web-1\"}  20m  5m after its start
0 of 1 call was false: 0.00 false episodes per host and week
the file has 2 incidents, by its columns start, end, instance
";
    world.check(&["--labels=labels.csv", "--entity=instance=\"web-1\""], account);
    let web = world.evaluate(&["--entity={instance=~\"web-.*\",job=\"node\"}"]);
    assert!(
        web.out.starts_with("would have called 2 times, for 2 of 2 hosts: 56.00"),
        "{}",
        web.out
    );
    world.check_error(
        &["--entity=instance=\"web-9\""],
        1,
        "--entity {instance=\"web-9\"} matches no host of the history; it has {instance=\"db-1\", job=\"node\"}, ",
    );
    world.check_error(&["--entity=web-1"], 2, "--entity web-1: write matchers as in 'instance=");
}

#[test]
fn promtool_makes_blocks_of_a_backfill() {
    let world = World::new("");
    let said = world.evaluate(&["--backfill=scores.txt"]);
    assert_eq!(said.code, Some(0), "{}", said.err);
    let text = world.read("scores.txt");
    let first = format!(
        "anomaly_score{{instance=\"web-1\",job=\"node\",model=\"fleet\"}} 2 {}.000\n",
        START_S + 3_600
    );
    assert!(text.contains(&first) && text.ends_with("\n# EOF\n"), "{text}");
    let promtool = |arguments: &[&str]| {
        let output = Command::new(Peers::find().promtool)
            .args(arguments)
            .current_dir(world.folder.path())
            .output()
            .expect("promtool runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    promtool(&["tsdb", "create-blocks-from", "openmetrics", "scores.txt", "blocks"]);
    // A server's folder has this beside its blocks.
    fs::create_dir(world.folder.path().join("blocks/wal")).expect("a folder");
    let dump = promtool(&["tsdb", "dump", "blocks"]);
    assert_eq!(dump.lines().filter(|it| it.contains("anomaly_score")).count(), 540, "{dump}");
    let spike =
        dump.lines().filter(|it| it.contains("instance=\"web-2\"") && it.contains("} 2 ")).count();
    assert_eq!(spike, 3, "{dump}");
}

#[test]
fn labels_that_fit_nothing_are_refused() {
    for (labels, sentence) in [
        (
            "start,end\n1795432200,soon\n",
            "labels.csv, line 2: column \"end\": \"soon\" is not a time; write RFC 3339",
        ),
        (
            "start,finish\n1795432200,5\n",
            "labels.csv, line 1: column \"start\" is of incidents, and no column is named \"end\"",
        ),
        (
            "start,end\n5,9\n",
            "labels.csv: no incident lies within the history, which is from 2026-11-23T10:15:00Z",
        ),
        (
            "start,end,instance\n1795432200,1795433400,gone\n",
            "labels.csv: the labels are of hosts that the history does not have: {instance=\"gone\"}; it has {instance=\"db-1\"",
        ),
    ] {
        World::new(labels).check_error(&["--labels=labels.csv"], 1, sentence);
    }
    let world = World::new("start,end\n");
    world.check_error(&["--labels=labels.csv", "--labels-query=ALERTS"], 2, "cannot be used with");
}
