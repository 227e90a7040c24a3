#!/bin/sh
# Puts the real programs that the tests start into .peers/usr/bin:
#
#   prometheus (3 or newer), promtool, prometheus-node-exporter, prometheus-alertmanager, amtool,
#   vmagent, victoria-metrics, nginx
#
# Where apt knows a Debian archive, the packages of Debian unstable are unpacked there, and nginx of
# this system's own release, whose libraries it needs; apt's own state and the system stay as they are,
# and no root is needed. Elsewhere the programs that are on PATH serve. Safe to repeat; prints one line.
#
# usage: tests/peers.sh
set -eu
cd "$(dirname "$0")/.."

into=.peers
bin=$into/usr/bin
texts=$into/usr/share/alertmanager
packages="prometheus promtool prometheus-node-exporter prometheus-alertmanager victoria-metrics"
programs="prometheus promtool prometheus-node-exporter prometheus-alertmanager amtool vmagent victoria-metrics"
oldest_major=3 # Prometheus 3 made ranges left-open; Portent computes what 3 computes.

fail() {
    echo "peers: $*" >&2
    exit 1
}

# major PROGRAM: the major version of a prometheus.
major() {
    "$1" --version 2>&1 | sed -n 's/^prometheus, version \([0-9][0-9]*\)\..*/\1/p'
}

# version PROGRAM: its whole version, for the eye.
version() {
    "$1" --version 2>&1 | sed -n 's/^prometheus, version \([^ ]*\).*/\1/p'
}

# new_enough PROGRAM
new_enough() {
    found=$(major "$1")
    [ -n "$found" ] && [ "$found" -ge "$oldest_major" ]
}

# has_all FOLDER: all programs are there, and its prometheus runs. Debian's names and those of the
# projects themselves will do.
has_all() {
    [ -x "$1/promtool" ] && [ -x "$1/amtool" ] && new_enough "$1/prometheus" 2>/dev/null &&
        { [ -x "$1/prometheus-node-exporter" ] || [ -x "$1/node_exporter" ]; } &&
        { [ -x "$1/prometheus-alertmanager" ] || [ -x "$1/alertmanager" ]; } &&
        [ -x "$1/vmagent" ] && [ -x "$1/victoria-metrics" ] && "$1/nginx" -v 2>/dev/null
}

# on_path PROGRAM...: one of them is on PATH.
on_path() {
    for name in "$@"; do
        command -v "$name" >/dev/null 2>&1 && return
    done
    return 1
}

# archive: the first Debian archive among apt's sources, in either of their two formats.
archive() {
    cat /etc/apt/sources.list.d/*.sources /etc/apt/sources.list /etc/apt/sources.list.d/*.list 2>/dev/null |
        sed -n -e 's/^URIs:[[:space:]]*\([^[:space:]]*\).*/\1/p' \
            -e 's/^deb[[:space:]]\{1,\}\(\[[^]]*\][[:space:]]*\)\{0,1\}\([^[:space:]]*\).*/\2/p' |
        sed -n '/\/debian\/*$/{p;q;}'
}

# from_apt: unpacks the packages; fails when there is no apt, no Debian archive or no network.
from_apt() {
    command -v apt-get >/dev/null 2>&1 && command -v dpkg >/dev/null 2>&1 || return 1
    keyring=/usr/share/keyrings/debian-archive-keyring.gpg
    url=$(archive)
    release=$(sed -n 's/^VERSION_CODENAME=//p' /etc/os-release 2>/dev/null)
    [ -n "$url" ] && [ -r "$keyring" ] && [ -n "$release" ] || return 1

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 1' INT TERM
    chmod 755 "$work" # apt reads it as another user
    mkdir -p "$work/lists/partial" "$work/cache/archives/partial" "$work/tree"
    for suite in sid "$release"; do
        echo "deb [signed-by=$keyring] $url $suite main"
    done >"$work/sources.list"
    apt() {
        apt-get -qq -o Dir::Etc::sourcelist="$work/sources.list" -o Dir::Etc::sourceparts=/dev/null \
            -o Dir::State::lists="$work/lists" -o Dir::Cache="$work/cache" "$@"
    }
    # All at once: apt reads its lists anew each time that it is called.
    wanted=nginx/$release
    for package in $packages; do
        wanted="$wanted $package/sid"
    done
    # shellcheck disable=SC2086  # $wanted is a list
    if ! (apt update && cd "$work" && apt download $wanted) >"$work/log" 2>&1; then
        echo "peers: apt could not fetch the packages of Debian unstable and nginx of $release:" >&2
        tail -n 3 "$work/log" >&2
        return 1
    fi
    for package in "$work"/*.deb; do
        dpkg -x "$package" "$work/tree" || return 1
    done
    # Debian's Alertmanager reads the texts of its messages from a folder of the system. Another path of
    # the same length, from the root of the repository, where tests start it, has them here.
    LC_ALL=C sed -i 's#/usr/share/prometheus/alertmanager#.peers/usr/share/././/alertmanager#g' \
        "$work/tree/usr/bin/prometheus-alertmanager" || return 1
    mkdir -p "$texts"
    cp "$work/tree/usr/share/prometheus/alertmanager"/*.tmpl "$texts/" || return 1
    # Only the programs: the packages' services and documentation are of no use to a test.
    # Each takes its place at once, as tests of another checkout may be starting the one before.
    mkdir -p "$bin"
    mv -f "$work/tree/usr/sbin/nginx" "$work/tree/usr/bin/nginx" || return 1
    for program in $programs nginx; do
        mv -f "$work/tree/usr/bin/$program" "$bin/.$program.new" &&
            mv -f "$bin/.$program.new" "$bin/$program" || return 1
    done
}

if [ -n "${PORTENT_PEERS:-}" ]; then
    has_all "$PORTENT_PEERS" ||
        fail "PORTENT_PEERS is $PORTENT_PEERS, which lacks prometheus (>= $oldest_major), promtool, node_exporter, alertmanager, amtool, vmagent, victoria-metrics or nginx"
    echo "peers: Prometheus $(version "$PORTENT_PEERS/prometheus") from PORTENT_PEERS"
elif has_all "$bin"; then
    echo "peers: Prometheus $(version "$bin/prometheus") is already in $bin"
elif from_apt && has_all "$bin"; then
    echo "peers: Prometheus $(version "$bin/prometheus") is now in $bin"
elif on_path prometheus && ! new_enough prometheus; then
    fail "the prometheus on PATH is $(version prometheus); the tests need $oldest_major.0 or newer"
elif on_path prometheus && on_path promtool && on_path node_exporter prometheus-node-exporter &&
    on_path alertmanager prometheus-alertmanager && on_path amtool && on_path vmagent &&
    on_path victoria-metrics && on_path nginx; then
    echo "peers: Prometheus $(version prometheus) from PATH"
else
    fail "install prometheus $oldest_major or newer (with promtool), node_exporter, alertmanager (with amtool), vmagent, victoria-metrics and nginx, and put them on PATH"
fi
