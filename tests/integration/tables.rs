//! Tables as people export them, end to end: what `portent train` and `portent evaluate` make of each, in
//! which words, and with which exit code.

use std::path::Path;
use std::process::Command;

/// Lines of every table here.
const LINES: usize = 300;
/// The time of the first line.
const FIRST_S: i64 = 1_795_428_900;

/// A level alone, which is learnt in no time.
const CONFIG: &str = "train:\n  model: level\n";

/// What came of a command.
struct Said {
    code: Option<i32>,
    all: String,
}

fn portent(folder: &Path, arguments: &[&str]) -> Said {
    let output = Command::new(env!("CARGO_BIN_EXE_portent"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("portent starts");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    // A log line quotes its message.
    let all = text(&output.stdout) + &text(&output.stderr).replace("\\\"", "\"");
    Said { code: output.status.code(), all }
}

/// A folder with this table and the configuration.
fn folder(table: &[u8]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a directory");
    std::fs::write(folder.path().join("in.csv"), table).expect("written");
    std::fs::write(folder.path().join("portent.yml"), CONFIG).expect("written");
    folder
}

const TRAIN: [&str; 5] =
    ["train", "--config.file=portent.yml", "--input=in.csv", "--output=m.onnx", "--seed=1"];

/// A table of which the header and each line, given the number and two cells, are as they are told.
fn table(header: &str, line: impl Fn(i64, &str, &str) -> String) -> String {
    let mut text = format!("{header}\n");
    for i in 0..LINES as i64 {
        let load = 0.5 + 0.3 * (i as f64 / 23.0).sin();
        let noise =
            |of: f64| 0.02 * ((i as f64 * 78.233 + of * 12.9898).sin() * 43_758.545).fract();
        let [cpu, memory] = [1.0, 2.0].map(|of| format!("{:.6}", load + noise(of)));
        text.push_str(&line(i, &cpu, &memory));
        text.push('\n');
    }
    text
}

fn plain() -> String {
    table("timestamp,cpu,mem", |i, cpu, mem| format!("{},{cpu},{mem}", FIRST_S + 60 * i))
}

/// The summary without what differs from run to run.
fn figures(said: &Said) -> Vec<&str> {
    said.all.lines().filter(|it| it.starts_with("threshold ") || it.starts_with("steps ")).collect()
}

/// The table trains the very model that the plain one does, and this is said of it.
#[track_caller]
fn check_same(name: &str, table: impl AsRef<[u8]>, sentence: &str) {
    let expected = portent(folder(plain().as_bytes()).path(), &TRAIN);
    let said = portent(folder(table.as_ref()).path(), &TRAIN);
    assert_eq!(said.code, Some(0), "{name}: {}", said.all);
    assert_eq!(figures(&said), figures(&expected), "{name}");
    assert!(figures(&said).contains(&"steps          300 used, 0 dropped"), "{name}: {}", said.all);
    assert!(said.all.contains(sentence), "{name}: {}", said.all);
}

#[test]
fn a_table_is_the_same_in_every_form() {
    let at = |i: i64| FIRST_S + 60 * i;
    let comma = |cell: &str| cell.replace('.', ",");
    let sorted = plain();
    let mut swapped: Vec<&str> = sorted.lines().collect();
    swapped.swap(101, 102);
    let mut newest_first: Vec<&str> = sorted.lines().collect();
    newest_first[1..].reverse();
    let utf16 = |text: &str| -> Vec<u8> {
        format!("\u{feff}{text}").encode_utf16().flat_map(u16::to_le_bytes).collect()
    };
    let jitter = |i: i64| ["0.703", "0.703", "0.702", "0.703", "0.704"][i as usize % 5];
    let text = |it: &str| it.as_bytes().to_vec();
    for (name, table, sentence) in [
        ("semicolons", text(&plain().replace(',', ";")), ""),
        ("tabs", text(&plain().replace(',', "\t")), ""),
        ("a told separator", text(&format!("sep=;\r\n{}", plain().replace(',', ";"))), ""),
        (
            "decimal commas",
            text(&table("time;cpu;mem", |i, a, b| format!("{};{};{}", at(i), comma(a), comma(b)))),
            "",
        ),
        ("UTF-16", utf16(&plain()), ""),
        ("a mark of byte order", text(&format!("\u{feff}{}", plain())), ""),
        ("a comma at the end", text(&plain().replace('\n', ",\n")), ""),
        ("newest first", text(&newest_first.join("\n")), "not in order of time: they are sorted"),
        ("out of order", text(&swapped.join("\n")), "not in order of time: they are sorted"),
        (
            "a row index before the times",
            text(&table(",timestamp,cpu,mem", |i, a, b| format!("{i},{},{a},{b}", at(i)))),
            "the first column has no name and is not the times: it is left out",
        ),
        (
            "the times at the end",
            text(&table("cpu,mem,Date/Time", |i, a, b| format!("{a},{b},{}", at(i)))),
            "",
        ),
        (
            "scrape stamps",
            text(&table("ds,cpu,mem", |i, a, b| format!("{}{},{a},{b}", at(i), &jitter(i)[1..]))),
            "120 of 300 lines are up to 1ms off the steps of 1m: they are taken as the nearest step",
        ),
        (
            "a clock of its own",
            text(&table("time,cpu,mem,time_of_day", |i, a, b| format!("{},{a},{b},7", at(i)))),
            "column \"time_of_day\" is left out: every model computes it from the times",
        ),
        (
            "selectors",
            text(&table("time;node_load1{mode=\"idle\"};mem", |i, a, b| {
                format!("{};{a};{b}", at(i))
            })),
            "",
        ),
        (
            "no name for a metric",
            text(&table("time,cpu load,mem", |i, a, b| format!("{},{a},{b}", at(i)))),
            "nothing live can feed column \"cpu load\"",
        ),
        (
            "Latin-1",
            {
                let text = table("time,Ger#t,mem", |i, a, b| format!("{},{a},{b}", at(i)));
                text.bytes().map(|byte| if byte == b'#' { 0xe4 } else { byte }).collect()
            },
            "it is taken as Windows-1252 (Latin-1)",
        ),
    ] {
        check_same(name, table, sentence);
    }
}

#[test]
fn what_is_no_table_is_refused_in_one_sentence() {
    let time = |second: i64| portent::timestamp::format_ms(1_000 * second).replace('Z', "");
    let summer = |i: i64| FIRST_S + 60 * i + if i < 150 { 3_600 } else { 0 };
    for (table, sentence) in [
        (
            table(",cpu,mem", |i, a, b| format!("{i},{a},{b}")),
            "column \"\" holds \"0\", which looks like the number of a row",
        ),
        (
            table("timestamp,cpu,mem", |i, a, b| format!("{i},{a},{b}")),
            "column \"timestamp\" holds \"0\", which looks like the number of a row",
        ),
        (
            table("Date,cpu,mem", |i, a, b| {
                format!("{:.6},{a},{b}", 45_000.5 + i as f64 / 1_440.0)
            }),
            "column \"Date\" holds \"45000.500000\", which looks like a spreadsheet's number of days",
        ),
        (
            table("Time,cpu,mem", |i, a, b| format!("{},{a},{b}", time(summer(i)))),
            "in.csv, line 152: the time goes back to 2026-11-23T12:45:00 and an hour comes again",
        ),
        (
            table("Time,cpu,mem", |i, a, b| format!("{},{a};{b}", time(summer(i)))),
            "in.csv, line 2: 2 columns, the header has 3",
        ),
    ] {
        let said = portent(folder(table.as_bytes()).path(), &TRAIN);
        assert_eq!(said.code, Some(1), "{}", said.all);
        assert!(said.all.contains(sentence), "{}", said.all);
        assert_eq!(said.all.trim_end().lines().count(), 1, "{}", said.all);
    }
}

#[test]
fn times_are_of_the_zone_that_is_named() {
    let time = |second: i64| portent::timestamp::format_ms(1_000 * second).replace(['T', 'Z'], " ");
    // A minute in Berlin; the clock is set back after 120 of them.
    let berlin = |i: i64| {
        let minute_s = 1_792_882_800 + 60 * i;
        let offset = if i < 120 { "+02:00" } else { "+01:00" };
        (time(minute_s + if i < 120 { 7_200 } else { 3_600 }).trim_end().to_owned(), offset)
    };
    let plain = table("Time,cpu,mem", |i, a, b| format!("{},{a},{b}", berlin(i).0));
    let with_offset = table("Time,cpu,mem", |i, a, b| {
        let (clock, offset) = berlin(i);
        format!("{clock}{offset},{a},{b}")
    });
    let label = |i: i64| format!("{},{}\n", berlin(i).0, u8::from(i % 100 == 50));
    let labels = format!("time,label\n{}", (0..300).map(label).collect::<String>());
    let folder = folder(plain.as_bytes());
    std::fs::write(folder.path().join("offsets.csv"), with_offset).expect("written");
    std::fs::write(folder.path().join("labels.csv"), labels).expect("written");
    let train = |arguments: &[&str]| portent(folder.path(), &[&TRAIN, arguments].concat());

    let said = train(&[]);
    assert_eq!(said.code, Some(1), "{}", said.all);
    assert!(said.all.contains("in.csv, line 122: the time goes back to"), "{}", said.all);
    assert!(said.all.contains("(--timezone Europe/Berlin)"), "{}", said.all);

    let zoned = train(&["--timezone=Europe/Berlin"]);
    assert_eq!(zoned.code, Some(0), "{}", zoned.all);
    assert!(figures(&zoned).contains(&"steps          300 used, 0 dropped"), "{}", zoned.all);
    assert!(!zoned.all.contains("UTC"), "{}", zoned.all);
    // What says its zone ignores the flag, and is the same.
    let offsets = ["train", "--config.file=portent.yml", "--input=offsets.csv", "--output=m.onnx"];
    for zone in ["Europe/Berlin", "Asia/Tokyo"] {
        let zone = format!("--timezone={zone}");
        let said = portent(folder.path(), &[&offsets[..], &["--seed=1", &zone]].concat());
        assert_eq!(figures(&said), figures(&zoned), "{}", said.all);
    }

    for (arguments, code, sentence) in [
        (&["--labels=labels.csv", "--timezone=Europe/Berlin"][..], 0, "of 3 events"),
        (&["--labels=labels.csv"], 1, "and an hour comes again"),
        (
            &["--timezone=Mars/Base"],
            2,
            "\"Mars/Base\" is not a time zone; write its name in the IANA database",
        ),
    ] {
        let evaluate = ["evaluate", "--model=m.onnx", "--input=in.csv"];
        let said = portent(folder.path(), &[&evaluate, arguments].concat());
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.all);
        assert!(said.all.contains(sentence), "{arguments:?}: {}", said.all);
    }
    for server in [&["train", "--output=m.onnx"][..], &["evaluate", "--model=m.onnx"]] {
        let asked = ["--prometheus.url=http://127.0.0.1:1", "--start=-1h", "--timezone=UTC"];
        let said = portent(folder.path(), &[server, &asked].concat());
        assert_eq!(said.code, Some(2), "{}", said.all);
        assert!(said.all.contains("--timezone is for times in a CSV file"), "{}", said.all);
    }
}

#[test]
fn a_table_has_its_own_step() {
    let folder = folder(plain().as_bytes());
    let with_step = format!("models:\n  - name: own\n    step: 30s\n{CONFIG}");
    std::fs::write(folder.path().join("step.yml"), with_step).expect("written");
    let refused = "the table has steps of 1m, and a step of 30s is asked for";
    for (arguments, code, sentence) in [
        (&["train", "--config.file=portent.yml", "--step=30s", "--output=m.onnx"][..], 1, refused),
        (&["train", "--config.file=step.yml", "--output=m.onnx"], 1, refused),
        (&["train", "--config.file=step.yml", "--step=1m", "--output=m.onnx"], 0, "step 1m"),
        (&["train", "--config.file=portent.yml", "--step=1m", "--output=m.onnx"], 0, "step 1m"),
        (
            &["evaluate", "--model=m.onnx", "--step=30s"],
            1,
            "the table has steps of 1m, and --step asks for 30s: leave out --step",
        ),
        (&["evaluate", "--model=m.onnx", "--step=1m"], 0, "of 300 steps scored,"),
    ] {
        let said = portent(folder.path(), &[arguments, &["--input=in.csv"]].concat());
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.all);
        assert!(said.all.contains(sentence), "{arguments:?}: {}", said.all);
    }
}

#[test]
fn an_evaluation_says_what_it_leaves_out() {
    let folder = folder(plain().as_bytes());
    assert_eq!(portent(folder.path(), &TRAIN).code, Some(0));
    let write = |name: &str, lines: std::ops::Range<i64>, late: f64| {
        let line =
            |i| format!("{},{}\n", (FIRST_S + 60 * i) as f64 + late, u8::from(i % 100 == 50));
        let text = format!("timestamp,label\n{}", lines.map(line).collect::<String>());
        std::fs::write(folder.path().join(name), text).expect("written");
    };
    write("longer.csv", 0..400, 0.0);
    write("shorter.csv", 40..60, 0.25);
    write("elsewhere.csv", 400..500, 0.0);
    let at = |line: i64| portent::timestamp::format_ms(1_000 * (FIRST_S + 60 * line));
    let exclude = |from, to| format!("--exclude={}..{}", at(from), at(to));
    let (ten, labelled) = (exclude(100, 109), exclude(40, 60));
    let plain = portent(folder.path(), &["evaluate", "--model=m.onnx", "--input=in.csv"]);
    let first = plain.all.lines().next().expect("an account");
    let calls = plain.all.lines().filter(|it| it.starts_with("  2026-11-23T")).count();
    let rate = format!("would have called {calls} time");
    assert!(first.starts_with(&rate) && first.ends_with(" per host and week"), "{}", plain.all);
    let scored = plain.all.lines().find_map(|it| it.split_once(" of 300 steps scored, "));
    let scored: usize = scored.and_then(|it| it.0.parse().ok()).expect("a count");
    let fewer = format!("{} of 300 steps scored (10 excluded),", scored - 10);
    for (arguments, code, sentence) in [
        (&[ten.as_str()][..], 0, fewer.as_str()),
        (
            &["--labels=longer.csv"],
            0,
            "left out: 100 of 400 labels, whose times are not steps of the history (the first is \
             at \
             2026-11-23T15:15:00Z, and 2026-11-23T15:14:00Z is the nearest step)",
        ),
        (&["--labels=shorter.csv"], 0, "left out: 280 of 300 steps, without a label"),
        (
            &["--labels=elsewhere.csv"],
            1,
            "elsewhere.csv: no label has the time of any step of the history (the first is at \
             2026-11-23T16:55:00Z, and 2026-11-23T15:14:00Z is the nearest step)",
        ),
        (&["--labels=shorter.csv", &labelled], 1, "every step with a label is excluded"),
    ] {
        let evaluate = ["evaluate", "--model=m.onnx", "--input=in.csv"];
        let said = portent(folder.path(), &[&evaluate, arguments].concat());
        assert_eq!(said.code, Some(code), "{arguments:?}: {}", said.all);
        assert!(said.all.contains(sentence), "{arguments:?}: {}", said.all);
    }
    // Events beyond the history are none that could have been found.
    let said = portent(
        folder.path(),
        &["evaluate", "--model=m.onnx", "--input=in.csv", "--labels=longer.csv"],
    );
    assert!(said.all.contains("of 3 events"), "{}", said.all);
}
