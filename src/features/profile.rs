//! The profile: the features by which Portent watches a host that runs node_exporter.
//!
//! Every expression gives one value per `job` and `instance`, or one value for all hosts. Counters
//! enter as rates. Ratios and shares are preferred to raw sizes, so that hosts of different size
//! look alike. Two minutes is the shortest range that still holds two samples at the slowest
//! common scrape interval of one minute; ten minutes is a window in which an operator would say
//! "lately".

use super::spec::{FeatureSpec, Missing};

/// The labels that tell one host from another.
pub const PROFILE_ENTITY: [&str; 2] = ["job", "instance"];

/// File systems that live in memory or only show part of another one.
const NO_DISK: &str = r#"fstype!~"tmpfs|ramfs|overlay|squashfs|iso9660|nsfs|fuse.*""#;

/// The share of all CPUs' time that was not idle, averaged over two minutes.
const CPU_BUSY: &str =
    r#"(1 - avg by (job, instance) (rate(node_cpu_seconds_total{mode="idle"}[2m])))"#;

/// The same as it is looked at within a longer range. The measure is the time that the first CPU
/// counted in all its modes, which is a second a second where no scrape is missing: two minutes that
/// lack one must not read as load there, where nobody sees that they do.
const CPU_BUSY_WITHIN: &str = r#"(1 - avg by (job, instance) (rate(node_cpu_seconds_total{mode="idle"}[2m]))
  / on (job, instance) sum by (job, instance) (rate(node_cpu_seconds_total{cpu="0"}[2m])))"#;

/// The share of memory that cannot be had without swapping.
const MEMORY_USED: &str = "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes)";

/// The busiest disk's share of time with requests under way.
const DISK_BUSY: &str = "max by (job, instance) (rate(node_disk_io_time_seconds_total[2m]))";

/// The features of the profile in the order that its models expect.
#[must_use]
pub fn profile() -> Vec<FeatureSpec> {
    let mut features = cpu_and_memory();
    features.extend(disks_and_network());
    features.extend(engineered());
    features
}

fn cpu_and_memory() -> Vec<FeatureSpec> {
    let mode = |mode: &str| {
        format!(r#"avg by (job, instance) (rate(node_cpu_seconds_total{{mode="{mode}"}}[2m]))"#)
    };
    let running = r#"avg_over_time(node_procs_running[2m])
  / on (job, instance) count by (job, instance) (node_cpu_seconds_total{mode="idle"})"#;
    let load = r#"node_load1
  / on (job, instance) count by (job, instance) (node_cpu_seconds_total{mode="idle"})"#;
    let swap_used = "1 - node_memory_SwapFree_bytes / (node_memory_SwapTotal_bytes > 0)";
    vec![
        FeatureSpec::new("cpu_user", mode("user")),
        FeatureSpec::new("cpu_system", mode("system")),
        // Not every kernel and platform counts these two.
        FeatureSpec::new("cpu_iowait", mode("iowait")).or(Missing::Fill(0.0)),
        FeatureSpec::new("cpu_steal", mode("steal")).or(Missing::Fill(0.0)),
        FeatureSpec::new("load_per_core", load),
        FeatureSpec::new("procs_running_per_core", running),
        FeatureSpec::new("procs_blocked", "avg_over_time(node_procs_blocked[2m])"),
        FeatureSpec::new("context_switches", "rate(node_context_switches_total[2m])"),
        FeatureSpec::new("memory_used", MEMORY_USED),
        // A host without swap has nothing to use.
        FeatureSpec::new("swap_used", swap_used).or(Missing::Fill(0.0)),
        FeatureSpec::new("paging", "rate(node_vmstat_pswpin[2m]) + rate(node_vmstat_pswpout[2m])"),
        FeatureSpec::new("major_faults", "rate(node_vmstat_pgmajfault[2m])"),
    ]
}

fn disks_and_network() -> Vec<FeatureSpec> {
    let disks = |metric: &str| format!("sum by (job, instance) (rate({metric}[2m]))");
    let network = |direction: &str, what: &str| {
        format!(
            r#"sum by (job, instance) (rate(node_network_{direction}_{what}_total{{device!="lo"}}[2m]))"#
        )
    };
    let both = |what| format!("{}\n  + {}", network("receive", what), network("transmit", what));
    let filesystem = format!(
        "max by (job, instance) (1 - node_filesystem_avail_bytes{{{NO_DISK}}} / \
         node_filesystem_size_bytes{{{NO_DISK}}})"
    );
    let or_none = Missing::Fill(0.0);
    vec![
        // Hosts without a disk or a network card of their own exist: containers, appliances.
        FeatureSpec::new("disk_read_bytes", disks("node_disk_read_bytes_total")).or(or_none),
        FeatureSpec::new("disk_written_bytes", disks("node_disk_written_bytes_total")).or(or_none),
        FeatureSpec::new("disk_busy", DISK_BUSY).or(or_none),
        FeatureSpec::new("filesystem_used", filesystem).or(or_none),
        FeatureSpec::new("network_receive_bytes", network("receive", "bytes")).or(or_none),
        FeatureSpec::new("network_transmit_bytes", network("transmit", "bytes")).or(or_none),
        FeatureSpec::new("network_errors", both("errs")).or(or_none),
        FeatureSpec::new("network_drops", both("drop")).or(or_none),
        FeatureSpec::new("tcp_sockets", "node_sockstat_TCP_inuse").or(or_none),
        FeatureSpec::new("tcp_retransmits", "rate(node_netstat_Tcp_RetransSegs[2m])").or(or_none),
    ]
}

/// What the features above do over time and to one another.
fn engineered() -> Vec<FeatureSpec> {
    let over = |function: &str, expr: &str| format!("{function}({expr}[10m:30s])");
    // In units of the feature itself: how much it would change over the ten minutes.
    let change = |expr: &str| format!("600 * {}", over("deriv", expr));
    // An idle host must not divide by nothing: one percent of the CPUs is the least that counts.
    let disk_per_cpu = format!("{DISK_BUSY}\n  / clamp_min({CPU_BUSY}, 0.01)");
    vec![
        FeatureSpec::new("cpu_busy_mean", over("avg_over_time", CPU_BUSY_WITHIN)),
        FeatureSpec::new("cpu_busy_stddev", over("stddev_over_time", CPU_BUSY_WITHIN)),
        FeatureSpec::new("cpu_busy_change", change(CPU_BUSY_WITHIN)),
        FeatureSpec::new("memory_used_mean", over("avg_over_time", MEMORY_USED)),
        FeatureSpec::new("memory_used_stddev", over("stddev_over_time", MEMORY_USED)),
        FeatureSpec::new("memory_used_change", change(MEMORY_USED)),
        FeatureSpec::new(
            "cpu_per_memory",
            format!("{CPU_BUSY}\n  / on (job, instance) {MEMORY_USED}"),
        ),
        FeatureSpec::new("disk_per_cpu", disk_per_cpu).or(Missing::Fill(0.0)),
        // Sine and cosine, so that 23:59 lies beside 00:00 and Saturday beside Sunday.
        FeatureSpec::new("hour_sin", "sin(2 * pi() * (hour() + minute() / 60) / 24)"),
        FeatureSpec::new("hour_cos", "cos(2 * pi() * (hour() + minute() / 60) / 24)"),
        FeatureSpec::new("weekday_sin", "sin(2 * pi() * day_of_week() / 7)"),
        FeatureSpec::new("weekday_cos", "cos(2 * pi() * day_of_week() / 7)"),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<String> = profile().into_iter().map(|spec| spec.name).collect();
        let count = names.len();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    /// Rates, or how many there are: never the running total.
    #[test]
    fn counters_enter_as_rates() {
        for spec in profile() {
            for (at, _) in spec.expr.match_indices("_total") {
                let start = spec.expr[..at].rfind(|c: char| !c.is_alphanumeric() && c != '_');
                let before = &spec.expr[..start.map_or(0, |start| start + 1)];
                let good = ["rate(", "count by (job, instance) ("];
                assert!(good.iter().any(|end| before.ends_with(end)), "{}", spec.expr);
            }
        }
    }

    /// A server that fails where label sets clash is asked by another text, whatever a feature is
    /// made of.
    #[test]
    fn every_expression_can_be_written_back() {
        for spec in profile() {
            let text = format!("x / on (job, instance) ({}\n)", spec.expr);
            let expr = crate::promql::Expr::parse(&text).expect("a good expression");
            let vector = format!("x / on (job, instance) (sum by (a) ({}\n))", spec.expr);
            let vector = crate::promql::Expr::parse(&vector).expect("a good expression");
            assert!(vector.lenient_text().is_some(), "{text}");
            let is_clock = crate::promql::Expr::parse(&spec.expr).expect("good").is_calendar();
            assert!(expr.lenient_text().is_some() || is_clock, "{text}");
        }
    }
}
