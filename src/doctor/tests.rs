//! The judgement, without a server.

use super::server_config::ServerConfig;
use super::*;

/// A server's answers: features have the values of those whose selectors all have series.
struct Server {
    subject: Subject,
    said: Said,
}

impl Server {
    /// With these features, of hosts by job and instance.
    fn new(features: &[(&str, &str)]) -> Self {
        let specs: Vec<FeatureSpec> =
            features.iter().map(|(name, expr)| FeatureSpec::new(*name, *expr)).collect();
        Self::of(&specs)
    }

    fn of(features: &[FeatureSpec]) -> Self {
        let entity = ["job", "instance"].map(str::to_owned);
        let subject = Subject::new("m", features, &entity).expect("good features");
        let nobody = SaidOfFeature { now: Ok(Vec::new()), last_day: Ok(Vec::new()) };
        let mut said = Said { features: vec![vec![nobody; features.len()]], ..Said::default() };
        for selector in &subject.read {
            said.series.insert(selector.clone(), Vec::new());
            said.series.extend(selector.metric_name().map(|it| (named(it), Vec::new())));
        }
        Self { subject, said }
    }

    fn hosts(list: &[&str]) -> Vec<Labels> {
        let host = |it: &&str| Labels::from_pairs([("job", "node"), ("instance", *it)]);
        list.iter().map(|it| host(it).expect("distinct")).collect()
    }

    /// These hosts have a value of a feature, now and over the day.
    fn valued(mut self, feature: usize, hosts: &[&str]) -> Self {
        let hosts = Self::hosts(hosts);
        self.said.features[0][feature] =
            SaidOfFeature { now: Ok(hosts.clone()), last_day: Ok(hosts) };
        self
    }

    /// These hosts have series of a metric, whatever is selected of it.
    fn having(mut self, metric: &str, hosts: &[&str]) -> Self {
        let of = self.said.series.iter_mut().filter(|it| it.0.metric_name() == Some(metric));
        of.for_each(|it| *it.1 = Self::hosts(hosts));
        self
    }

    fn configured(mut self, yaml: &str) -> Self {
        self.said.config = Some(ServerConfig::parse(yaml).expect("a configuration"));
        self
    }

    fn examined(&self) -> Examination {
        examine(std::slice::from_ref(&self.subject), &self.said)
    }

    #[track_caller]
    fn faults(&self, expected: &[&str]) {
        let found = self.examined();
        compare(&found.faults, expected);
    }

    #[track_caller]
    fn hints(&self, expected: &[&str]) {
        compare(&self.examined().hints, expected);
    }
}

/// Each sentence begins as expected.
#[track_caller]
fn compare(found: &[String], expected: &[&str]) {
    let fits = found.len() == expected.len()
        && found.iter().zip(expected).all(|(found, expected)| found.starts_with(expected));
    assert!(fits, "{found:#?}\nand not\n{expected:#?}");
}

/// A server whose wires are as they should be.
const WIRED: &str = "
scrape_configs:
- {job_name: node, scrape_interval: 15s}
- {job_name: portent, honor_labels: true}
remote_write: [{url: 'http://localhost:9847/api/v1/write'}]
";

#[test]
fn what_is_well_has_no_findings() {
    let server = Server::new(&[("load", "node_load1"), ("hour", "hour()")])
        .valued(0, &["a", "b"])
        .valued(1, &["a"])
        .having("node_load1", &["a", "b"])
        .configured(WIRED);
    let found = server.examined();
    assert!(found.is_well(), "{found:?}");
    assert_eq!(found.hints, [""; 0]);
    let rows = &found.subjects[0].rows;
    assert_eq!((rows[0].now, rows[1].now, found.subjects[0].hosts), (Some(2), Some(2), 2));
}

#[test]
fn a_metric_that_no_host_has_is_named_with_its_rule() {
    let server = || {
        Server::new(&[("load", "node_load1"), ("up", "up")]).valued(1, &["a"]).having("up", &["a"])
    };
    let absent = "load has no value for any host: the server does not have node_load1 and no rule";
    server().configured(WIRED).faults(&[absent]);
    let dropping = |job: &str| {
        let rules = "metric_relabel_configs: [{source_labels: [__name__], regex: node_load.+, action: \
                     drop}]";
        WIRED.replace(&format!("job_name: {job},"), &format!("job_name: {job}, {rules},"))
    };
    let dropped = "metric_relabel_configs[0] of scrape job \"node\" (action: drop, source_labels: \
                   [__name__], regex: \"node_load.+\") drops node_load1, which load of model \"m\" needs";
    server().configured(&dropping("node")).faults(&[dropped]);
    // The rule of a job that the hosts are not of takes nothing from them.
    server().configured(&dropping("portent")).faults(&[absent]);
    let mut ended = server().configured(WIRED);
    ended.said.last_day.insert("node_load1".to_owned(), true);
    ended.faults(&["load has no value for any host: node_load1 ended within the last day"]);
}

#[test]
fn of_several_ways_that_is_told_of_which_most_is_there() {
    let memory = "1 - available / total or 1 - (free + cached) / total";
    let server = Server::new(&[("memory", memory), ("up", "up")])
        .valued(1, &["a"])
        .having("up", &["a"])
        .having("total", &["a"])
        .configured(WIRED);
    server.faults(&["memory has no value for any host: the server does not have available and no"]);
}

#[test]
fn one_host_that_lacks_a_feature_is_a_hint() {
    let server = Server::new(&[("swap", "swap_used / swap_size"), ("up", "up")])
        .valued(0, &["a"])
        .valued(1, &["a", "b"])
        .having("up", &["a", "b"])
        .having("swap_used", &["a"])
        .having("swap_size", &["a", "b"])
        .configured(WIRED);
    server.faults(&[]);
    server.hints(&["swap has no value for node/b: the server does not have of it swap_used: see"]);
    assert!(server.examined().is_well());
    assert_eq!(server.examined().subjects[0].rows[0].lacking, ["node/b"]);
}

/// A host without swap, and one whose series are young.
#[test]
fn a_feature_without_a_value_though_its_metrics_are_there() {
    let well = |missing: Option<&str>| {
        let mut swap = FeatureSpec::new("swap", "used / (size > 0) + 0 * delta(used[12m])");
        swap.missing = missing.map_or(swap.missing, |it| it.parse().expect("a policy"));
        Server::of(&[swap, FeatureSpec::new("up", "up")])
            .valued(1, &["a"])
            .having("up", &["a"])
            .having("used", &["a"])
            .having("size", &["a"])
            .configured(WIRED)
    };
    let there = "swap has no value for any host though its metrics are there";
    let strict = well(None);
    strict.faults(&[&format!(
        "{there}: look at its expression in the server's own page, or wait if its series are younger than 12m"
    )]);
    strict.hints(&[]);
    for (missing, is) in [("fill 0", "0"), ("fill median", "its median in training")] {
        let filled = well(Some(missing));
        filled.faults(&[]);
        filled.hints(&[&format!("{there}, and is {is} then: nothing to do")]);
    }
}

/// The last day is looked at once an hour, which a young host is not seen at.
#[test]
fn who_has_a_value_now_had_one_within_the_last_day() {
    let mut server = Server::new(&[("up", "up")]).valued(0, &["a", "b"]).having("up", &["a", "b"]);
    server.said.features[0][0].last_day = Ok(Server::hosts(&["b", "c"]));
    let row = &server.examined().subjects[0].rows[0];
    assert_eq!((row.now, row.last_day), (Some(2), Some(3)));
}

#[test]
fn a_selector_that_finds_nothing_of_what_is_there_is_told() {
    let mut server = Server::new(&[("cpu", "node_cpu{mode=\"steal\"}"), ("up", "up")])
        .valued(1, &["a"])
        .having("up", &["a"])
        .configured(WIRED);
    server.said.series.insert(named("node_cpu"), Server::hosts(&["a"]));
    server.faults(&["cpu has no value for any host: the server has node_cpu, and none as in \
                     node_cpu{mode=\"steal\"}: change"]);
}

#[test]
fn a_range_wants_two_scrapes_and_better_four() {
    let server = |interval: &str| {
        Server::new(&[("cpu", "rate(node_cpu[2m])"), ("up", "up")])
            .valued(0, &["a"])
            .valued(1, &["a"])
            .having("node_cpu", &["a"])
            .having("up", &["a"])
            .configured(&WIRED.replace("15s", interval))
    };
    server("30s").hints(&[]);
    let text = "job \"node\" is scraped every 2m, and a range of 2m, which cpu of model \"m\" reads, is sure \
                of 1 of its scrapes, which needs two, so that there is no value: set its scrape_interval to \
                30s or less, or train with features of your own that read 8m";
    server("2m").faults(&[text]);
    let few = server("1m");
    few.faults(&[]);
    few.hints(&[
        "job \"node\" is scraped every 1m, and a range of 2m, which cpu of model \"m\" reads, is \
                 sure of 2 of its scrapes, so that a late or lost one leaves no value: set its",
    ]);
    // What a target says of itself goes before what its job says.
    let mut told = server("2m");
    let target = |health: &str| Target {
        labels: [("job", "node"), ("instance", "a")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        scrape_interval: "15s".to_owned(),
        health: health.to_owned(),
        last_error: "connection refused".to_owned(),
    };
    told.said.targets = Some(vec![target("up")]);
    told.faults(&[]);
    told.said.targets = Some(vec![target("down")]);
    told.faults(&["target a of job \"node\" cannot be scraped (connection refused): fix"]);
}

#[test]
fn wires_are_looked_at() {
    let server = |yaml: &str| {
        Server::new(&[("up", "up")]).valued(0, &["a"]).having("up", &["a"]).configured(yaml)
    };
    server(&WIRED.replace("honor_labels: true", "honor_labels: false")).faults(&[
        "scrape job \"portent\", which is Portent's, lacks honor_labels, so that scores would",
    ]);
    let mut back = server(WIRED);
    back.said.exported = vec!["portent".to_owned()];
    back.faults(&[
        "scrape job \"portent\", which is Portent's, lacks honor_labels, so that scores come",
    ]);
    let jobs = "scrape_configs: [{job_name: node}]\n";
    compare(
        &server(jobs).examined().open,
        &["whether Portent is written to, as this server does not show"],
    );
    let none = server(&format!("global: {{evaluation_interval: 1m}}\n{jobs}"));
    none.faults(&[
        "the server has no remote_write: add one with url: http://HOST:9847/api/v1/write",
    ]);
    none.hints(&["no scrape job of the server seems to be Portent's"]);
    let other = format!("{jobs}remote_write: [{{url: 'http://mimir/api/v1/push'}}]");
    server(&other)
        .faults(&["no remote_write of the server seems to point to Portent (there are http"]);
    // Where another scrapes the hosts and pushes them here, that one has to push them there.
    let elsewhere = server("scrape_configs: [{job_name: portent, honor_labels: true}]");
    elsewhere.faults(&[]);
    compare(&elsewhere.examined().open, &["whether Portent is written to"]);
    let mut scraped = server(&other.replace("mimir", "u:xxxxx@h:1"));
    scraped.said.portents =
        vec![Labels::from_pairs([("job", "p"), ("instance", "h:1")]).expect("distinct")];
    scraped.faults(&[]);
}

#[test]
fn what_is_kept_back_from_portent_is_told_where_no_other_way_is_left() {
    let server = |regex: &str| {
        let rule = format!(
            "remote_write: [{{write_relabel_configs: [{{source_labels: [__name__, job], regex: '{regex}', \
             action: keep}}],"
        );
        Server::new(&[("used", "a / b or c / b")])
            .valued(0, &["a"])
            .having("a", &["a"])
            .having("b", &["a"])
            .having("c", &["a"])
            .configured(&WIRED.replace("remote_write: [{", &rule))
    };
    server("(b|c);node").faults(&[]);
    server("b;node").faults(&["write_relabel_configs[0] of remote_write[0] to http://localhost:9847/api/v1/\
                               write (action: keep, source_labels: [__name__, job], regex: \"b;node\") \
                               drops a, which used of model \"m\" needs: let it keep that; `portent check"]);
}

#[test]
fn results_that_are_nobodys_or_several_are_told() {
    let mut server = Server::new(&[("up", "up"), ("b", "b")])
        .valued(1, &["a", "a"])
        .having("up", &["a"])
        .configured(WIRED);
    let labels = vec![Labels::from_pairs([("pod", "x")]).expect("distinct")];
    server.said.features[0][0].now = Ok(labels);
    server.faults(&[
        "no result of up has the labels job, instance that name a host, for example {pod=\"x\"}: keep",
        "b has several results for node/a: aggregate",
    ]);
}

#[test]
fn what_is_not_told_is_open_and_no_fault() {
    let mut server =
        Server::new(&[("up", "up"), ("load", "load")]).valued(0, &["a"]).valued(1, &["a"]);
    server.said.series.clear();
    server.said.open.push("the server's configuration (status 404)".to_owned());
    server.said.features[0][1].last_day = Err("status 422: too much".to_owned());
    let found = server.examined();
    assert!(found.is_well(), "{found:?}");
    let open =
        ["the server's configuration (status 404)", "who has load over the last day (status 422"];
    compare(&found.open, &open);
    server.said.features[0][1].now = Err("status 422: clash".to_owned());
    assert!(!server.examined().is_well());
}
