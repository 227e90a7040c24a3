//! The profile: the features by which Portent watches a host that runs node_exporter.
//!
//! Every expression gives one value per `job` and `instance`, or one value for all hosts. Counters
//! enter as rates. Ratios and shares are preferred to raw sizes, so that hosts of different size
//! look alike. Two minutes is the shortest range that still holds two samples at the slowest
//! common scrape interval of one minute; ten minutes is a window in which an operator would say
//! "lately".
//!
//! Invariants: a value lies within its feature's domain or is absent. Both sides of a share are
//! made of the same windows of the same series, so that a scrape that failed changes neither; every
//! ratio has a floor; every join is of one value per host on both sides. What a platform does not
//! tell is absent and not zero, so that a host is judged by what it has. Exporters before 0.16 have
//! other names for nearly everything, so that their hosts get no score.
//!
//! Where `or` stands, what follows is another platform's name for the same thing; no host has both.

use super::spec::{FeatureSpec, Missing};

/// The labels that tell one host from another.
pub const PROFILE_ENTITY: [&str; 2] = ["job", "instance"];

/// Rises whenever a feature of the profile comes, goes, or means something else. A model's file
/// names the one that it was trained on; what it reads is in the file, so that older ones serve.
pub const PROFILE_VERSION: u32 = 2;

/// A feature of the profile, with what its values mean.
#[derive(Debug, Clone, PartialEq)]
pub struct ProfileFeature {
    /// What is computed.
    pub spec: FeatureSpec,
    /// What it says, in a line.
    pub meaning: &'static str,
    /// What one is.
    pub unit: &'static str,
    /// The least and the largest value; what is outside is no value.
    pub domain: [f64; 2],
    /// What is taken where the usual metrics are not there.
    pub fallback: &'static str,
}

/// The features of the profile in the order that its models expect.
#[must_use]
pub fn profile() -> Vec<FeatureSpec> {
    profile_guide().into_iter().map(|feature| feature.spec).collect()
}

/// The same with what they mean.
#[must_use]
pub fn profile_guide() -> Vec<ProfileFeature> {
    [cpu(), memory(), disks(), network(), lately(), relations(), calendar()].concat()
}

const SHARE: [f64; 2] = [0.0, 1.0];
const AMOUNT: [f64; 2] = [0.0, f64::INFINITY];
const WAVE: [f64; 2] = [-1.0, 1.0];

/// No fallback: the feature is left out of the host's error.
const NONE: &str = "none";

/// A row of the guide: name and expression, meaning, unit and domain, fallback.
fn row(
    (name, expr): (&str, impl Into<String>),
    meaning: &'static str,
    (unit, domain): (&'static str, [f64; 2]),
    fallback: &'static str,
) -> ProfileFeature {
    ProfileFeature { spec: FeatureSpec::new(name, expr), meaning, unit, domain, fallback }
}

/// The seconds a second that each CPU counts in all its modes: one, as long as it is online. Those
/// that were taken offline (without SMT, half of them) stand still.
const CPUS: &str = "sum by (job, instance, cpu) (rate(node_cpu_seconds_total[2m]))";

/// The CPUs that can be judged. The kernel now and then takes back some of a counter (iowait by
/// hundredths, idle by seconds), which is a reset to Prometheus, and then a CPU seems to live through
/// more than a second a second; scrapes that jitter by a few seconds a minute do not reach 1.2.
fn good_cpus() -> String {
    format!("0 < {CPUS} <= 1.2")
}

/// The share of the CPUs' time that was spent in a mode.
fn cpu_share(mode: &str) -> String {
    let good = good_cpus();
    format!(
        r#"sum by (job, instance) (rate(node_cpu_seconds_total{{mode="{mode}"}}[2m])
    and on (job, instance, cpu) ({good}))
  / sum by (job, instance) ({good})"#
    )
}

/// The share of all CPUs' time that was not idle. Sums of many numbers may be a hair too large.
fn cpu_busy() -> String {
    format!("clamp_min(1 - {}, 0)", cpu_share("idle"))
}

/// The number of CPUs that are online.
fn cores() -> String {
    format!("count by (job, instance) ({CPUS} > 0)")
}

/// The share of memory that cannot be had without swapping. Kernels before 3.14 do not say what
/// can be had; BSD and macOS have other names. A container may be told of more memory that is
/// available (the host's) than it has: that is no value.
const MEMORY_USED: &str = "(1 - node_memory_MemAvailable_bytes / node_memory_MemTotal_bytes
  or 1 - (node_memory_MemFree_bytes + node_memory_Buffers_bytes + node_memory_Cached_bytes)
    / node_memory_MemTotal_bytes
  or 1 - (node_memory_free_bytes + node_memory_inactive_bytes)
    / (node_memory_size_bytes or node_memory_total_bytes)) >= 0";

const SWAP_USED: &str = "(1 - node_memory_SwapFree_bytes / (node_memory_SwapTotal_bytes > 0)
  or node_memory_swap_used_bytes
    / ((node_memory_swap_size_bytes or node_memory_swap_total_bytes) > 0)) >= 0";

/// Disks that are made of others, whose traffic is counted there, or of memory.
const REAL_DISK: &str =
    r#"device!~"(dm-|md|loop|ram|zram|zd|bcache|drbd|sr|fd)[0-9]+|nvme[0-9]+c[0-9]+n[0-9]+""#;

/// Network devices whose traffic goes through others as well, or nowhere: loops, bonds, bridges,
/// VLANs, tunnels, and the host's ends of containers and virtual machines.
const REAL_NETWORK: &str = r#"device!~"(lo|bond|team|lagg|trunk|aggr|br|bridge|tun|utun|vlan|macvlan|macvtap|ipvlan|geneve|dummy|ifb|gre|gretap|erspan|sit|stf|gif|wg|tunl|ip6tnl|ipip|vnet|vmnet|vboxnet|vether|enc|pflog|pfsync|carp|nlmon|usbus|awdl|llw|anpi)[0-9]*|(br-|brq|qbr|qvb|qvo|qr-|qg-|docker|virbr|vmbr|fwbr|fwpr|fwln|veth|tap|epair|vxlan|cali|cilium_|cni|flannel|weave|kube-|nodelocaldns|ovs-|lxc|lxd|podman|tailscale|zt|XHC).*|[^.]+[.][0-9]+""#;

/// File systems that live in memory, only show part of another one, or are full by nature.
const REAL_FILE_SYSTEM: &str = r#"fstype!~"tmpfs|ramfs|mfs|devtmpfs|devfs|overlay|aufs|nullfs|autofs|squashfs|erofs|cramfs|romfs|iso9660|cd9660|udf|nsfs|efivarfs|lxcfs|fdescfs|procfs|kernfs|ptyfs|linprocfs|linsysfs|fuse|fuse[.].*|fusefs.*""#;

/// The sum over a host's disks, or over those that FreeBSD's devstat knows.
fn disk_bytes(metric: &str, devstat: &str) -> String {
    format!(
        r#"sum by (job, instance) (rate({metric}{{{REAL_DISK}}}[2m]))
  or sum by (job, instance) (rate(node_devstat_bytes_total{{type="{devstat}"}}[2m]))"#
    )
}

/// The busiest disk's share of time with requests under way. A counter that went back would read as
/// many seconds a second.
fn disk_busy() -> String {
    format!(
        "clamp_max(
  max by (job, instance) (rate(node_disk_io_time_seconds_total{{{REAL_DISK}}}[2m]) <= 1.2)
  or max by (job, instance) (rate(node_devstat_busy_time_seconds_total[2m]) <= 1.2), 1)"
    )
}

/// The fullest file system that can be written to. What is reserved for the administrator counts as
/// used; where that is in use too, what is left is below zero: some platforms say so, and where the
/// number has no sign it seems more than the whole. Configuration drives are small and full.
fn filesystem_used() -> String {
    let free = format!(
        "node_filesystem_avail_bytes{{{REAL_FILE_SYSTEM}}} / (node_filesystem_size_bytes{{{REAL_FILE_SYSTEM}}} > 67108864)"
    );
    format!(
        "clamp_max(max by (job, instance) (
  1 - ({free}) * ({free} <= bool 1)
  unless node_filesystem_readonly{{{REAL_FILE_SYSTEM}}} == 1), 1)"
    )
}

/// The sum over a host's network devices.
fn network_sum(direction: &str, what: &str) -> String {
    format!(
        "sum by (job, instance) (rate(node_network_{direction}_{what}_total{{{REAL_NETWORK}}}[2m]))"
    )
}

fn cpu() -> Vec<ProfileFeature> {
    let cores = cores();
    let load = format!("max by (job, instance) (node_load1)\n  / {cores}");
    let running =
        format!("max by (job, instance) (avg_over_time(node_procs_running[2m]))\n  / {cores}");
    let switches = format!(
        "max by (job, instance) (rate(node_context_switches_total[2m])
    or rate(node_exec_context_switches_total[2m]))\n  / {cores}"
    );
    let share = ("share of CPU time", SHARE);
    vec![
        row(("cpu_user", cpu_share("user")), "programs at normal priority", share, NONE),
        row(("cpu_system", cpu_share("system")), "the kernel on behalf of programs", share, NONE),
        row(
            ("cpu_iowait", cpu_share("iowait")),
            "idle while requests of programs to disks are under way",
            share,
            "none: Linux alone counts it",
        ),
        row(
            ("cpu_steal", cpu_share("steal")),
            "wanted, and given to others by the hypervisor",
            share,
            "none: Linux alone counts it",
        ),
        row(
            ("load_per_core", load),
            "load average of a minute",
            ("tasks per online CPU", AMOUNT),
            NONE,
        ),
        row(
            ("procs_running_per_core", running),
            "tasks that run or could",
            ("tasks per online CPU", AMOUNT),
            NONE,
        ),
        row(
            ("procs_blocked", "avg_over_time(node_procs_blocked[2m])"),
            "tasks that wait for a disk",
            ("tasks", AMOUNT),
            NONE,
        ),
        row(
            ("context_switches_per_core", switches),
            "changes from one task to another",
            ("per second and online CPU", AMOUNT),
            "FreeBSD's node_exec_context_switches_total",
        ),
    ]
}

fn memory() -> Vec<ProfileFeature> {
    let paging = "rate(node_vmstat_pswpin[2m]) + rate(node_vmstat_pswpout[2m])";
    let mut swap = row(
        ("swap_used", SWAP_USED),
        "swap in use",
        ("share of swap", SHARE),
        "used / size of BSD, used / total of macOS; a host without swap has nothing to use: 0",
    );
    swap.spec.missing = Missing::Fill(0.0);
    vec![
        row(
            ("memory_used", MEMORY_USED),
            "memory that cannot be had without swapping",
            ("share of memory", SHARE),
            "free, buffers and cached before Linux 3.14; free and inactive of BSD and macOS",
        ),
        swap,
        row(("paging", paging), "pages from and to swap", ("pages per second", AMOUNT), NONE),
        row(
            ("major_faults", "rate(node_vmstat_pgmajfault[2m])"),
            "pages that a program had to wait for",
            ("per second", AMOUNT),
            NONE,
        ),
    ]
}

fn disks() -> Vec<ProfileFeature> {
    let bytes = ("bytes per second", AMOUNT);
    let devstat = "FreeBSD's node_devstat_bytes_total";
    vec![
        row(
            ("disk_read_bytes", disk_bytes("node_disk_read_bytes_total", "read")),
            "read from all disks",
            bytes,
            devstat,
        ),
        row(
            ("disk_written_bytes", disk_bytes("node_disk_written_bytes_total", "write")),
            "written to all disks",
            bytes,
            devstat,
        ),
        row(
            ("disk_busy", disk_busy()),
            "the busiest disk with requests under way",
            ("share of time", SHARE),
            "FreeBSD's node_devstat_busy_time_seconds_total; macOS does not tell",
        ),
        row(
            ("filesystem_used", filesystem_used()),
            "the fullest file system that can be written to",
            ("share of its size", SHARE),
            NONE,
        ),
    ]
}

fn network() -> Vec<ProfileFeature> {
    let both =
        |what| format!("{}\n  + {}", network_sum("receive", what), network_sum("transmit", what));
    let bytes = ("bytes per second", AMOUNT);
    let packets = ("packets per second", AMOUNT);
    vec![
        row(("network_receive_bytes", network_sum("receive", "bytes")), "received", bytes, NONE),
        row(("network_transmit_bytes", network_sum("transmit", "bytes")), "sent", bytes, NONE),
        row(("network_errors", both("errs")), "broken in either direction", packets, NONE),
        row(("network_drops", both("drop")), "dropped in either direction", packets, NONE),
        row(("tcp_sockets", "node_sockstat_TCP_inuse"), "in use", ("TCP sockets", AMOUNT), NONE),
        row(
            ("tcp_retransmits", "rate(node_netstat_Tcp_RetransSegs[2m])"),
            "sent again",
            ("TCP segments per second", AMOUNT),
            NONE,
        ),
    ]
}

/// What CPU, memory and the fullest file system did over ten minutes.
fn lately() -> Vec<ProfileFeature> {
    let over = |function: &str, expr: &str| format!("{function}(({expr})[10m:30s])");
    // In units of the feature itself: how much it would change over the ten minutes. A line through
    // values from 0 to 1 rises by at most one and a half over them.
    let change = |expr: &str| format!("600 * {}", over("deriv", expr));
    let busy = &cpu_busy();
    let (cpu, memory) = ("share of CPU time", "share of memory");
    let (spread, slope) = ([0.0, 0.5], [-2.0, 2.0]);
    let as_memory = "as memory_used";
    vec![
        row(
            ("cpu_busy_mean", over("avg_over_time", busy)),
            "not idle, on average",
            (cpu, SHARE),
            NONE,
        ),
        row(
            ("cpu_busy_stddev", over("stddev_over_time", busy)),
            "how far that wandered from its mean",
            (cpu, spread),
            NONE,
        ),
        row(("cpu_busy_change", change(busy)), "how far that rose or fell", (cpu, slope), NONE),
        row(
            ("memory_used_mean", over("avg_over_time", MEMORY_USED)),
            "memory_used on average",
            (memory, SHARE),
            as_memory,
        ),
        row(
            ("memory_used_stddev", over("stddev_over_time", MEMORY_USED)),
            "how far that wandered from its mean",
            (memory, spread),
            as_memory,
        ),
        row(
            ("memory_used_change", change(MEMORY_USED)),
            "how far that rose or fell",
            (memory, slope),
            as_memory,
        ),
        row(
            ("filesystem_used_change", change(&filesystem_used())),
            "how far filesystem_used rose or fell",
            ("share of its size", slope),
            NONE,
        ),
    ]
}

/// What they are to one another. An idle host must not divide by nothing: a twentieth is the least
/// that counts.
fn relations() -> Vec<ProfileFeature> {
    let (busy, disk) = (cpu_busy(), disk_busy());
    let memory = format!("clamp_min(max by (job, instance) ({MEMORY_USED}), 0.05)");
    let ratio = ("ratio", [0.0, 20.0]);
    vec![
        row(
            ("cpu_per_memory", format!("{busy}\n  / {memory}")),
            "busy CPUs to used memory",
            ratio,
            "as memory_used",
        ),
        row(
            ("disk_per_cpu", format!("{disk}\n  / clamp_min({busy}, 0.05)")),
            "busy disk to busy CPUs",
            ratio,
            "as disk_busy",
        ),
    ]
}

/// Sine and cosine, so that 23:59 lies beside 00:00 and Saturday beside Sunday.
fn calendar() -> Vec<ProfileFeature> {
    let (day, week) = (("sine of the day's turn", WAVE), ("sine of the week's turn", WAVE));
    let (across_day, across_week) =
        (("cosine of the day's turn", WAVE), ("cosine of the week's turn", WAVE));
    vec![
        row(
            ("hour_sin", "sin(2 * pi() * (hour() + minute() / 60) / 24)"),
            "time of day",
            day,
            NONE,
        ),
        row(
            ("hour_cos", "cos(2 * pi() * (hour() + minute() / 60) / 24)"),
            "time of day",
            across_day,
            NONE,
        ),
        row(("weekday_sin", "sin(2 * pi() * day_of_week() / 7)"), "day of the week", week, NONE),
        row(
            ("weekday_cos", "cos(2 * pi() * day_of_week() / 7)"),
            "day of the week",
            across_week,
            NONE,
        ),
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

    /// Rates: never the running total.
    #[test]
    fn counters_enter_as_rates() {
        for spec in profile() {
            for (at, total) in spec.expr.match_indices("_total") {
                let is_gauge = spec.expr[at + total.len()..].starts_with('_');
                let start = spec.expr[..at].rfind(|c: char| !c.is_alphanumeric() && c != '_');
                let before = &spec.expr[..start.map_or(0, |start| start + 1)];
                let is_memory = spec.expr[..at].ends_with("node_memory");
                assert!(is_gauge || is_memory || before.ends_with("rate("), "{}", spec.expr);
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

    /// The guide says of every feature what it means.
    #[test]
    fn every_feature_has_a_meaning_a_unit_and_a_domain() {
        for feature in profile_guide() {
            let texts = [feature.meaning, feature.unit, feature.fallback];
            assert!(texts.iter().all(|it| !it.is_empty()), "{feature:?}");
            assert!(feature.domain[0] < feature.domain[1], "{feature:?}");
            let is_filled = matches!(feature.spec.missing, Missing::Fill(_));
            assert_eq!(is_filled, feature.spec.name == "swap_used", "{feature:?}");
        }
    }
}
