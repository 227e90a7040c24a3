//! Tests of whole pages: what is in them, what must not be, and that odd input breaks nothing.

use super::*;

/// 2026-11-23T00:00:00Z.
const START_MS: i64 = 1_795_392_000_000;

/// A number from 0 to 1 that looks random and is the same on every machine.
fn noise(i: usize) -> f64 {
    let mixed = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let mixed = (mixed ^ (mixed >> 29)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    ((mixed ^ (mixed >> 32)) >> 11) as f64 / (1u64 << 53) as f64
}

fn losses() -> Plot {
    let fall = |floor: f64, seed: usize| -> Vec<(f64, f64)> {
        let loss = |i: usize| floor + (-(i as f64) / 9.0).exp() * (1.0 + 0.2 * noise(i + seed));
        (1..=60).map(|i| (i as f64, loss(i))).collect()
    };
    Plot::Lines(Lines {
        title: "Loss by epoch".into(),
        x_label: "epoch".into(),
        y_label: "mean squared error".into(),
        series: vec![
            Series { name: "training".into(), points: fall(0.012, 0) },
            Series { name: "validation".into(), points: fall(0.021, 500) },
        ],
        log_y: true,
        markers: vec![Marker { at: 47.0, label: "kept: epoch 47".into() }],
        ..Lines::default()
    })
}

/// Two weeks of scores in steps of 15 seconds, with one peak of a single sample.
fn scores() -> Plot {
    let value = |i: usize| match i {
        20_000..24_000 => f64::NAN,
        50_000..50_300 => 0.6 + 1.4 * noise(i),
        70_000 => 6.5,
        _ => 0.25 + 0.1 * (i as f64 / 900.0).sin() + 0.3 * noise(i) * noise(i + 7),
    };
    let at = |i: usize| START_MS - 14 * 86_400_000 + i as i64 * 15_000;
    let event = |from: usize, to: usize, label: &str| Event {
        from_ms: at(from),
        to_ms: at(to),
        label: label.into(),
    };
    Plot::TimeSeries(TimeSeries {
        title: "anomaly_score of db-1.example:9100".into(),
        y_label: "anomaly_score".into(),
        series: vec![TimedSeries {
            name: "instance=\"db-1.example:9100\"".into(),
            points: (0..80_640).map(|i| (at(i), value(i))).collect(),
        }],
        thresholds: vec![
            Threshold { value: 1.0, label: "anomalous above".into() },
            Threshold { value: 0.9, label: "ends below".into() },
        ],
        events: vec![
            event(20_000, 24_000, "no data"),
            event(50_000, 50_300, "disk <full> & \"slow\""),
            event(70_000, 70_004, "reboot"),
        ],
        events_label: "recorded incidents".into(),
        log_y: false,
    })
}

fn histogram() -> Plot {
    let value = |i: usize| 0.002 * (-(1.0 - noise(i)).ln()).powf(1.7) + 1e-4;
    let marker = |at: f64, label: &str| Marker { at, label: label.into() };
    Plot::Histogram(Histogram {
        title: "Reconstruction error on validation data".into(),
        x_label: "reconstruction error".into(),
        values: (0..40_000).map(value).chain([f64::NAN]).collect(),
        log_x: true,
        log_counts: true,
        markers: vec![
            marker(0.031, "0.999 quantile"),
            marker(0.038, "extreme values (0.038)"),
            marker(0.040, "budget: 1 episode a week"),
            marker(0.042, "chosen"),
        ],
        ..Histogram::default()
    })
}

fn bars() -> Plot {
    let names = ["cpu_busy", "memory_used", "disk_io_time", "network_receive_bytes"];
    let long = "filesystem_free_of_a_mountpoint_with_quite_a_long_name_on_data_volume";
    let bar = |(i, name): (usize, &str)| Bar { label: name.into(), value: 41.0 / (i + 1) as f64 };
    let mut bars: Vec<Bar> = names.into_iter().chain([long]).enumerate().map(bar).collect();
    bars.push(Bar { label: "load_per_core".into(), value: f64::NAN });
    Plot::Bars(Bars {
        title: "Share of the error by feature".into(),
        x_label: "share of the reconstruction error".into(),
        unit: "%".into(),
        bars,
    })
}

fn comparison() -> Plot {
    let daily = |i: usize| 0.4 + 0.2 * (i as f64 / 40.0).sin();
    let panel = |name: &str, scale: f64, jump: f64| Panel {
        label: name.into(),
        actual: (0..240)
            .map(|i| {
                let jump = if (120..150).contains(&i) { jump } else { 0.0 };
                scale * (daily(i) + 0.05 * noise(i) + jump)
            })
            .collect(),
        expected: (0..240).map(|i| scale * daily(i)).collect(),
    };
    Plot::Compare(Compare {
        title: "Actual and expected around the strongest anomaly".into(),
        times_ms: (0..240).map(|i| START_MS + i * 60_000).collect(),
        moment_ms: Some(START_MS + 120 * 60_000),
        moment_label: "score 2.1".into(),
        panels: vec![
            panel("cpu_busy (share)", 1.0, 0.4),
            panel("network_receive (bytes per second)", 3e6, 0.0),
            panel("disk_io_time (share)", 0.3, 0.9),
            panel("memory_used (bytes)", 6.4e10, 0.02),
        ],
    })
}

fn table() -> Table {
    let rows = [
        ["autoencoder", "0.87", "0.3", "yes"],
        ["ensemble", "0.91", "0.2", "no"],
        ["forecast", "0.74", "11.5", "–"],
    ];
    Table {
        columns: ["model", "height", "alerts a week", "guarded"].map(String::from).to_vec(),
        rows: rows.iter().map(|row| row.map(String::from).to_vec()).collect(),
        emphasis: Some(1),
    }
}

fn page() -> String {
    let mut page = Page::new("Training of node & co");
    page.lead(
        "The ensemble was chosen. It found 9 of 10 recorded incidents.\n\nTrained on six weeks.",
    );
    page.section("Candidates", "Each was judged on the last two weeks.").table(&table());
    page.section("Fit", "");
    page.plot(&losses(), "Both fall together: no overfitting.");
    page.section("Scores", "One host of forty.");
    page.plot(&scores(), "Above 1 is anomalous; each pixel shows its highest value.");
    page.plot(&histogram(), "Right of the line is anomalous. Bars are logarithmic.");
    page.plot(&bars(), "Longer contributes more.");
    page.plot(&comparison(), "Where the lines part, the feature was unexpected.");
    page.code("model:\n  kind: <ensemble>\n");
    page.render()
}

/// The SVGs of a page, each as its own document.
fn svgs(page: &str) -> Vec<&str> {
    let starts = page.match_indices("<svg ").map(|(at, _)| at);
    starts.map(|at| &page[at..at + page[at..].find("</svg>").expect("an end") + 6]).collect()
}

/// The SVGs of one plot: wide, narrow.
fn drawn(plot: &Plot) -> Vec<String> {
    let figure = plot.figure();
    figure.parts.into_iter().map(|part| part.svg).collect()
}

/// The points of all lines in the ink of the first series.
fn points(svg: &str) -> Vec<Vec<(f64, f64)>> {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let lines = document.descendants().filter(|node| node.attribute("class") == Some("s0"));
    let number = |text: &str| text.parse::<f64>().expect("a coordinate");
    let pair = |text: &str| text.split_once(',').map(|(x, y)| (number(x), number(y)));
    let points = lines.filter_map(|line| line.attribute("points"));
    points.map(|text| text.split_whitespace().filter_map(pair).collect()).collect()
}

fn texts(svg: &str) -> Vec<String> {
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let texts = document
        .descendants()
        .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")));
    texts.filter_map(|node| node.text()).map(|text| text.trim().to_owned()).collect()
}

#[test]
fn a_page_needs_nothing_but_itself() {
    let page = page();
    let without_xmlns = page.replace("xmlns=\"http://www.w3.org/2000/svg\"", "");
    for word in ["http:", "https:", "<script", "<link", "<img", "@import", "url(", "src="] {
        assert!(!without_xmlns.contains(word), "{word}");
    }
    assert_eq!(page, self::page(), "the same input gives the same bytes");
    // The example for the eye: a build's folder is where tests may write.
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target");
    std::fs::create_dir_all(&folder).expect("a folder of builds");
    let file = folder.join("report-example.html");
    std::fs::write(file, &page).expect("the example can be written");
}

#[test]
fn every_svg_is_well_formed_and_described() {
    let page = page();
    let svgs = svgs(&page);
    // Four plots for two sizes of pages, and four panels.
    assert_eq!(svgs.len(), 4 * 2 + 4);
    for svg in svgs {
        let document = roxmltree::Document::parse(svg).expect("well-formed");
        let root = document.root_element();
        assert!(root.attribute("viewBox").is_some());
        assert!(root.attribute("aria-label").is_some_and(|label| !label.is_empty()));
        for node in document.descendants() {
            for paint in ["fill", "stroke", "style"] {
                assert_eq!(node.attribute(paint), None, "colours are those of the style sheet");
            }
        }
    }
}

#[test]
fn text_is_escaped() {
    let page = page();
    assert!(page.contains("<h1>Training of node &amp; co</h1>"));
    assert!(page.contains("kind: &lt;ensemble&gt;"));
    assert!(!page.contains("<full>") && !page.contains("<ensemble>"));
    assert!(texts(&drawn(&scores())[0]).contains(&"disk <full> & \"slow\"".to_owned()));
}

#[test]
fn a_short_line_has_all_its_points() {
    for svg in drawn(&losses()) {
        assert_eq!(points(&svg).iter().map(Vec::len).collect::<Vec<_>>(), [60]);
        assert!(texts(&svg).contains(&"kept: epoch 47".to_owned()));
    }
}

#[test]
fn a_single_peak_among_many_points_is_drawn() {
    let mut values: Vec<(i64, f64)> = (0..100_000).map(|i| (START_MS + i * 1_000, 1.0)).collect();
    values[77_777].1 = 50.0;
    let series = vec![TimedSeries { name: "s".into(), points: values }];
    for svg in drawn(&Plot::TimeSeries(TimeSeries { series, ..TimeSeries::default() })) {
        let points: Vec<(f64, f64)> = points(&svg).concat();
        assert!(points.len() < 4_000, "{}", points.len());
        let highest = points.iter().map(|(_, y)| *y).fold(f64::INFINITY, f64::min);
        assert_eq!(points.iter().filter(|(_, y)| *y == highest).count(), 1);
        let others = points.iter().filter(|(_, y)| *y > highest + 150.0).count();
        assert_eq!(others, points.len() - 1, "the peak stands far above all others");
    }
}

#[test]
fn a_gap_parts_the_line() {
    assert_eq!(points(&drawn(&scores())[0]).len(), 2);
}

#[test]
fn limits_markers_and_bars_are_labelled() {
    for svg in drawn(&scores()) {
        let texts = texts(&svg);
        for label in ["no data", "reboot"] {
            assert!(texts.iter().any(|text| text == label), "{label}: {texts:?}");
        }
    }
    for limit in ["anomalous above 1", "ends below 0.9"] {
        let key = format!("<li><span class=\"key mark\"></span>{limit}</li>");
        assert!(page().contains(&key), "{key}");
    }
    for svg in drawn(&histogram()) {
        let texts = texts(&svg);
        for label in
            ["0.999 quantile", "extreme values (0.038)", "chosen", "budget: 1 episode a week"]
        {
            assert!(texts.iter().any(|text| text == label), "{label}: {texts:?}");
        }
    }
    let texts = texts(&drawn(&bars())[0]);
    for label in ["cpu_busy", "41.0%", "20.5%", "load_per_core", "no value"] {
        assert!(texts.iter().any(|text| text == label), "{label}: {texts:?}");
    }
    assert!(page().contains("1 of 40001 values are not numbers."));
}

#[test]
fn bars_are_as_long_as_their_values() {
    let svg = &drawn(&bars())[0];
    let document = roxmltree::Document::parse(svg).expect("well-formed");
    let bars = document.descendants().filter(|node| node.attribute("class") == Some("bar"));
    let widths: Vec<f64> = bars.filter_map(|bar| bar.attribute("width")?.parse().ok()).collect();
    assert_eq!(widths.len(), 5, "a value that is not finite has no bar");
    assert!((widths[0] / widths[1] - 2.0).abs() < 0.01, "{widths:?}");
    assert!((widths[0] / widths[3] - 4.0).abs() < 0.05, "{widths:?}");
}

#[test]
fn tables_align_numbers_and_show_the_chosen_row() {
    let page = page();
    assert!(
        page.contains("<tr class=\"emphasis\"><td>ensemble</td><td class=\"number\">0.91</td>")
    );
    assert!(page.contains("<th>guarded</th>"));
    assert!(page.contains("<td class=\"number\">11.5</td>"));
}

#[test]
fn odd_input_breaks_nothing() {
    let odd = [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MAX, f64::MIN, 0.0, -0.0, 5e-324];
    let inputs: Vec<Vec<f64>> = (0..odd.len())
        .map(|i| vec![odd[i]])
        .chain([Vec::new(), odd.to_vec(), vec![1e16, 1e16 + 2.0]])
        .collect();
    for values in inputs {
        for log in [false, true] {
            check_odd(&values, log);
        }
    }
}

/// Draws every kind of plot with these values in every place.
#[track_caller]
fn check_odd(values: &[f64], log: bool) {
    let label = || "\0]]><".to_owned();
    let place = |i: usize| values.get(i).copied().unwrap_or(f64::NAN);
    let markers = || vec![Marker { at: place(0), label: label() }];
    let thresholds = || vec![Threshold { value: place(0), label: label() }];
    let ms = |i: usize| [0, i64::MAX, i64::MIN, START_MS][i % 4];
    let points = values.iter().enumerate().map(|(i, v)| (ms(i), *v)).collect();
    let event = Event { from_ms: i64::MAX, to_ms: i64::MIN, label: label() };
    let bars = values.iter().map(|v| Bar { label: label(), value: *v }).collect();
    let plots = [
        Plot::Lines(Lines {
            series: vec![Series {
                name: label(),
                points: values.iter().map(|v| (*v, *v)).collect(),
            }],
            log_y: log,
            thresholds: thresholds(),
            markers: markers(),
            ..Lines::default()
        }),
        Plot::TimeSeries(TimeSeries {
            series: vec![TimedSeries { name: label(), points }],
            thresholds: thresholds(),
            events: vec![event],
            log_y: log,
            ..TimeSeries::default()
        }),
        Plot::Histogram(Histogram {
            values: values.to_vec(),
            log_x: log,
            log_counts: log,
            markers: markers(),
            ..Histogram::default()
        }),
        Plot::Bars(Bars { bars, ..Bars::default() }),
        Plot::Compare(Compare {
            times_ms: (0..values.len()).map(ms).collect(),
            moment_ms: Some(i64::MIN),
            panels: vec![Panel { label: label(), actual: values.to_vec(), expected: Vec::new() }],
            ..Compare::default()
        }),
    ];
    for plot in plots {
        for svg in drawn(&plot) {
            let parsed = roxmltree::Document::parse(&svg);
            assert!(parsed.is_ok(), "{values:?}: {parsed:?}");
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{values:?}");
        }
    }
}
