//! Room: what memory this process may use, and what a limit on it leaves.
//!
//! In: the files of the control groups that the process is in. Out: bytes, or nothing where there is no
//! limit. A container or a service under a limit ends as a whole when one of its processes goes beyond it,
//! so a child may take no more than what is left.
//!
//! A limit on a group holds for all groups in it: the least that any of them leaves counts. What the
//! system has cached of files and would give back first is not taken, as Kubernetes counts it
//! (`working_set_bytes`).
//!
//! Source: Linux, Documentation/admin-guide/cgroup-v2.rst ("Memory Interface Files") and
//! cgroup-v1/memory.rst; cgroups(7) for `/proc/self/cgroup`.

use std::fs;
use std::path::{Path, PathBuf};

/// Where control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// Where the machine's memory is told, see proc_meminfo(5).
const MACHINE: &str = "/proc/meminfo";

/// The names of one version: its folder below [`GROUPS`], and the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Version {
    folder: &'static str,
    limit: &'static str,
    usage: &'static str,
    /// What of `memory.stat` is given back first.
    cached: &'static str,
}

const V1: Version = Version {
    folder: "memory",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    cached: "total_inactive_file",
};

const V2: Version =
    Version { folder: "", limit: "memory.max", usage: "memory.current", cached: "inactive_file" };

/// What is left to this process; `None` without a limit, and where no such thing is known.
pub(super) fn room() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let read = |path: &Path| fs::read_to_string(path).ok();
    room_in(&groups, &read)
}

/// What this process may use at all: the least limit on its groups, or the machine's memory where that is
/// less. `None` where neither is known.
#[must_use]
pub fn memory_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
    limit_in(&groups, &|path: &Path| fs::read_to_string(path).ok())
}

fn limit_in(groups: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    let total =
        |line: &str| line.strip_prefix("MemTotal:")?.trim().strip_suffix(" kB")?.parse().ok();
    let machine = read(Path::new(MACHINE)).and_then(|text| text.lines().find_map(total));
    let machine = machine.map(|kib: u64| kib << 10);
    least(groups, read, &|limit, _| limit).into_iter().chain(machine).min()
}

/// `groups` is the text of `/proc/self/cgroup`; `read` gives the text of a file.
fn room_in(groups: &str, read: &dyn Fn(&Path) -> Option<String>) -> Option<u64> {
    least(groups, read, &|limit, taken| limit.saturating_sub(taken))
}

/// The least of what is made of the limit on a group and of what it has taken.
fn least(
    groups: &str,
    read: &dyn Fn(&Path) -> Option<String>,
    of: &dyn Fn(u64, u64) -> u64,
) -> Option<u64> {
    let found = groups.lines().filter_map(group).flat_map(|(version, group)| {
        // A container may see its own group as the root, whatever its name is outside.
        let ancestors = Path::new(group).ancestors();
        ancestors.filter_map(move |group| {
            let folder = PathBuf::from(GROUPS).join(version.folder);
            let folder = folder.join(group.strip_prefix("/").unwrap_or(group));
            let text = |name: &str| read(&folder.join(name));
            let stat = text("memory.stat").unwrap_or_default();
            let (limit, taken) =
                limited(&text(version.limit)?, &text(version.usage)?, &stat, version.cached)?;
            Some(of(limit, taken))
        })
    });
    found.min()
}

/// The version and the path of a line `ID:CONTROLLERS:PATH` that memory is about.
fn group(line: &str) -> Option<(Version, &str)> {
    let mut fields = line.splitn(3, ':');
    let (id, controllers, path) = (fields.next()?, fields.next()?, fields.next()?);
    match (id, controllers) {
        ("0", "") => Some((V2, path)),
        (_, controllers) if controllers.split(',').any(|it| it == "memory") => Some((V1, path)),
        _ => None,
    }
}

/// A limit and what is taken of it; nothing where the text is no number, such as `max`. Without a limit,
/// version 1 has a number beyond all memory, which does no harm.
fn limited(limit: &str, usage: &str, stat: &str, cached: &str) -> Option<(u64, u64)> {
    let limit: u64 = limit.trim().parse().ok()?;
    let usage: u64 = usage.trim().parse().ok()?;
    let value = |line: &str| line.strip_prefix(cached)?.strip_prefix(' ')?.trim().parse().ok();
    let cached = stat.lines().find_map(value).unwrap_or(0);
    Some((limit, usage.saturating_sub(cached)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that there are, and what they leave.
    #[track_caller]
    fn check(groups: &str, files: &[(&str, &str)], expected: Option<u64>) {
        let read = |path: &Path| {
            let found = files.iter().find(|(name, _)| path == Path::new(GROUPS).join(name));
            found.map(|(_, text)| (*text).to_owned())
        };
        assert_eq!(room_in(groups, &read), expected, "{groups}");
    }

    #[test]
    fn what_a_limit_leaves_is_known() {
        let stat = "anon 5\ninactive_file 100\nactive_file 50\n";
        check("", &[], None);
        check("0::/\n", &[], None);
        check("0::/\n", &[("memory.max", "max\n"), ("memory.current", "7\n")], None);
        check("0::/\n", &[("memory.max", "1000\n"), ("memory.current", "700\n")], Some(300));
        let cached = [("memory.max", "1000\n"), ("memory.current", "700\n"), ("memory.stat", stat)];
        check("0::/\n", &cached, Some(400));
        check("0::/\n", &[("memory.max", "1000\n"), ("memory.current", "1700\n")], Some(0));
        check("0::/\n", &[("memory.max", "1000\n"), ("memory.current", "?")], None);
    }

    #[test]
    fn what_may_be_used_is_the_limit_or_the_machine() {
        let check = |files: &[(&str, &str)], expected| {
            let read = |path: &Path| {
                let found = files.iter().find(|(name, _)| path.ends_with(name));
                found.map(|(_, text)| (*text).to_owned())
            };
            assert_eq!(limit_in("0::/a\n", &read), expected, "{files:?}");
        };
        let machine = ("proc/meminfo", "MemTotal:       2 kB\nMemFree:        1 kB\n");
        check(&[], None);
        check(&[machine], Some(2_048));
        check(&[machine, ("a/memory.max", "1000"), ("a/memory.current", "900")], Some(1_000));
        check(&[machine, ("a/memory.max", "3000"), ("a/memory.current", "900")], Some(2_048));
        check(&[("a/memory.max", "3000"), ("a/memory.current", "900")], Some(3_000));
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let files = [
            ("a.slice/b.service/memory.max", "max"),
            ("a.slice/b.service/memory.current", "10"),
            ("a.slice/memory.max", "500"),
            ("a.slice/memory.current", "100"),
        ];
        check("0::/a.slice/b.service\n", &files, Some(400));
        let both =
            [&files[2..], &[("a.slice/b/memory.max", "50"), ("a.slice/b/memory.current", "0")]];
        check("0::/a.slice/b\n", &both.concat(), Some(50));
        check("0::/other\n", &files, None);
    }

    #[test]
    fn the_first_version_is_read_as_well() {
        let groups = "5:cpu,cpuacct:/docker/1\n4:memory:/docker/1\n0::/\n";
        // As a container sees it, whose own group is the root.
        let files = [
            ("memory/memory.limit_in_bytes", "1000\n"),
            ("memory/memory.usage_in_bytes", "900\n"),
            ("memory/memory.stat", "inactive_file 1\ntotal_inactive_file 300\n"),
        ];
        check(groups, &files, Some(400));
        let none = [
            ("memory/docker/1/memory.limit_in_bytes", "9223372036854771712\n"),
            ("memory/docker/1/memory.usage_in_bytes", "900\n"),
        ];
        check(groups, &none, Some(9_223_372_036_854_770_812));
        check("4:memory\n", &files, None);
    }
}
