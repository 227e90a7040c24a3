#!/bin/sh
# The life of the Debian package in a root of its own, under a systemd of its own and on a network of its
# own: installed by apt, started by systemd under all of the unit's restrictions, asked, fed by a real
# Prometheus up to the first score, reloaded, upgraded, removed and purged. Prints each command and what
# came of it, and ends with 1 at the first thing that is not as it should be.
#
# usage: make deb-test        or, with everything built and fetched, as root: tests/deb.sh [PACKAGE.deb]
#
#   DEB_TEST_RELEASE   the Debian release of the root (bookworm)
#
# It takes debootstrap and systemd-nspawn (apt install debootstrap systemd-container). The root is fetched
# once into the target folder; with lintian on the system, the package has to have no errors by it.
set -eu
cd "$(dirname "$0")/.."

target=${CARGO_TARGET_DIR:-target}
release=${DEB_TEST_RELEASE:-bookworm}
base=$target/deb-test/$release
port=9847
other_port=9848
ready_seconds=60
score_seconds=240

fail() {
    echo "deb-test: $*" >&2
    exit 1
}

package=${1:-}
if [ -z "$package" ]; then
    for package in "$target"/debian/portent_*.deb; do :; done
fi
[ -f "$package" ] || fail "there is no package: run \`make deb\`"
[ "$(id -u)" = 0 ] || fail "making a root takes root"
PATH=$PATH:/usr/sbin:/sbin
command -v debootstrap >/dev/null || fail "debootstrap is missing: apt install debootstrap"
command -v systemd-nspawn >/dev/null || fail "systemd-nspawn is missing: apt install systemd-container"
command -v curl >/dev/null || fail "curl is missing"
peers=${PORTENT_PEERS:-$PWD/.peers/usr/bin}
PATH=$peers:$PATH
command -v prometheus >/dev/null || fail "prometheus is missing: run \`make peers\`"
node_exporter=$(command -v prometheus-node-exporter || command -v node_exporter) ||
    fail "node_exporter is missing: run \`make peers\`"

say() {
    printf '\n== %s\n' "$*"
}

work=$(mktemp -d)
root=$(mktemp -d "$(mkdir -p "$target/deb-test" && cd "$target/deb-test" && pwd)/root-XXXXXX")
nspawn=
init=
pids=
finish() {
    trap '' INT TERM
    # shellcheck disable=SC2086  # a list of process ids
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    [ -z "$init" ] || kill -s RTMIN+4 "$init" 2>/dev/null || true # to systemd: power off
    wait
    rm -rf "$work" "$root"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# inside COMMAND...: in the root, under its systemd.
inside() {
    nsenter --target "$init" --mount --uts --ipc --net --pid --cgroup env --chdir=/ "$@"
}

# on_network COMMAND...: a program of this system on the root's network.
on_network() {
    nsenter --target "$init" --net "$@"
}

# run COMMAND...: shown, then done in the root.
run() {
    echo "# $*"
    inside env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@" 2>&1
}

# until_true SECONDS WHAT COMMAND...
until_true() {
    left=$(($1 * 5))
    what=$2
    shift 2
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || {
            tail -n 5 "$work"/*.log >&2
            [ -z "$init" ] || inside journalctl --no-pager --unit=portent --lines=20 >&2 || true
            fail "$what"
        }
        sleep 0.2
    done
}

# there FILE...: they are in the root.
there() {
    for file in "$@"; do
        [ -e "$root$file" ] || [ -L "$root$file" ] || fail "$file is not there"
    done
}

# gone FILE...: they are not.
gone() {
    for file in "$@"; do
        [ ! -e "$root$file" ] && [ ! -L "$root$file" ] || fail "$file is still there"
    done
}

# answers PORT PATH
answers() {
    on_network curl --silent --fail --output /dev/null --max-time 2 "http://localhost:$1$2"
}

# refuses PORT: nobody takes a connection.
refuses() {
    on_network curl --silent --output /dev/null --max-time 2 "http://localhost:$1/" || [ $? -eq 7 ]
}

main_pid() {
    inside systemctl show --property=MainPID --value portent
}

install_package() {
    cp "$1" "$root/root/portent.deb"
    run apt-get install --yes --quiet=2 --no-install-recommends -o Dpkg::Use-Pty=0 \
        -o Dpkg::Options::=--force-confold /root/portent.deb
}

# paths: every path of the root that is not a matter of a moment or of dpkg's and apt's own books.
paths() {
    (cd "$root" && find . -xdev \( -path ./proc -o -path ./sys -o -path ./run -o -path ./tmp -o -path ./dev \
        -o -path ./root -o -path ./var/log -o -path ./var/tmp -o -path ./var/cache -o -path ./var/lib/apt \
        -o -path ./var/lib/dpkg -o -path ./var/lib/systemd \) -prune -o -print | sort)
}

say "the package"
dpkg-deb --info "$package" | sed -n '/^ Package:/,$p'
dpkg-deb --contents "$package" | awk '$1 !~ /^d/ { print $1, $2, $3, $6 }'
if command -v lintian >/dev/null; then
    lintian --fail-on error --allow-root "$package" || fail "lintian finds errors"
else
    echo "note: no lintian here"
fi

say "a root with Debian $release"
if [ ! -e "$base/.whole" ]; then
    rm -rf "$base"
    debootstrap --variant=minbase --include=systemd,procps "$release" "$base" >"$work/debootstrap.log" 2>&1 || {
        tail -n 5 "$work/debootstrap.log" >&2
        fail "debootstrap cannot fetch $release"
    }
    touch "$base/.whole"
fi
cp -a "$base/." "$root/"
systemd-nspawn --quiet --directory="$root" --machine=portent-deb-test --private-network --register=no \
    --keep-unit --boot --console=pipe </dev/null >"$work/nspawn.log" 2>&1 &
nspawn=$!
has_init() {
    init=$(pgrep --parent "$nspawn" --exact systemd) && inside systemctl is-system-running >"$work/state" 2>&1
    grep --quiet --extended-regexp '^(running|degraded)$' "$work/state" 2>/dev/null
}
until_true $ready_seconds "systemd does not start" has_init
echo "systemd is $(cat "$work/state")"
# Later runs of systemd's own timers are nobody's leftovers.
paths >"$work/before"

say "installed and started"
install_package "$package"
there /usr/bin/portent /usr/share/man/man1/portent.1.gz /usr/share/man/man1/portent-serve.1.gz \
    /usr/share/bash-completion/completions/portent /usr/share/zsh/vendor-completions/_portent \
    /usr/share/fish/vendor_completions.d/portent.fish /usr/share/doc/portent/copyright \
    /usr/share/doc/portent/ThirdPartyNotices.txt.gz
run dpkg --verify portent
run systemctl is-enabled portent
until_true $ready_seconds "Portent is not ready" answers $port /-/ready
run systemctl is-active portent
run ps -o user,args -p "$(main_pid)"
[ "$(inside ps -o user= -p "$(main_pid)")" = portent ] || fail "it does not run as portent"
run stat -c '%U:%G %a %F' /var/lib/portent | tee "$work/said"
grep --quiet '^portent:portent 755 directory$' "$work/said" || fail "/var/lib/portent is not its own"
inside grep --only-matching --max-count=1 '/usr/lib/portent/libonnxruntime.*' "/proc/$(main_pid)/maps" ||
    fail "it has loaded another ONNX Runtime"
run systemd-analyze security --no-pager portent | tail -n 1

say "asked"
run portent --version
run portent check config /etc/portent/portent.yml
run bash -c '. /usr/share/bash-completion/completions/portent && complete -p portent'

say "a score: a model with a short memory in the configuration, node_exporter and Prometheus beside it"
install -m 644 examples/bring-your-own-model/autoencoder.onnx "$root/var/lib/portent/"
sed -e 's#file: autoencoder#file: /var/lib/portent/autoencoder#' -e 's/\[2m\]/[20s]/' -e 's/step: 1m/step: 5s/' \
    examples/bring-your-own-model/portent.yml >"$root/etc/portent/portent.yml"
run portent check config /etc/portent/portent.yml
run systemctl reload portent
mkdir "$work/rules"
cp examples/rules/portent.yml "$work/rules/"
sed -e 's/scrape_interval: 15s/scrape_interval: 1s/' examples/prometheus.yml >"$work/prometheus.yml"
on_network "$node_exporter" --web.listen-address=127.0.0.1:9100 >"$work/node_exporter.log" 2>&1 </dev/null &
pids="$pids $!"
on_network prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --storage.remote.flush-deadline=1s --web.listen-address=127.0.0.1:9090 >"$work/prometheus.log" 2>&1 </dev/null &
pids="$pids $!"
scored() {
    on_network curl --silent --max-time 5 --get http://localhost:9090/api/v1/query \
        --data-urlencode 'query=anomaly_score' >"$work/score" && grep --quiet '"value":' "$work/score"
}
begin=$(date +%s)
until_true $score_seconds "Prometheus has no score" scored
echo "# curl 'localhost:9090/api/v1/query?query=anomaly_score'     ($(($(date +%s) - begin)) s after their start)"
cat "$work/score"
echo

say "another port, by /etc/default/portent"
sed -i "s/^ARGS=.*/ARGS=\"--web.listen-address=127.0.0.1:$other_port\"/" "$root/etc/default/portent"
run systemctl restart portent
until_true $ready_seconds "it does not listen on $other_port" answers $other_port /-/ready
refuses $port || fail "it still listens on $port"

say "upgraded: a second version with other words in both configuration files"
dpkg-deb --raw-extract "$package" "$work/second"
sed -i 's/^Version: .*/&+second/' "$work/second/DEBIAN/control"
for file in etc/portent/portent.yml etc/default/portent; do
    echo "# Of the second version." >>"$work/second/$file"
done
(cd "$work/second" && find . -type f ! -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum >DEBIAN/md5sums)
dpkg-deb --build --root-owner-group -Zgzip -z1 "$work/second" "$work/second.deb" >/dev/null
cp "$root/etc/portent/portent.yml" "$work/kept.yml"
cp "$root/etc/default/portent" "$work/kept"
first=$(main_pid)
install_package "$work/second.deb"
run dpkg-query --show portent
until_true $ready_seconds "the second version is not ready" answers $other_port /-/ready
[ "$(main_pid)" != "$first" ] || fail "the first version still runs"
cmp "$work/kept.yml" "$root/etc/portent/portent.yml" || fail "the configuration was not kept"
cmp "$work/kept" "$root/etc/default/portent" || fail "the flags were not kept"
there /etc/portent/portent.yml.dpkg-dist /etc/default/portent.dpkg-dist /var/lib/portent/autoencoder.onnx

say "removed"
run apt-get remove --yes --quiet=2 -o Dpkg::Use-Pty=0 portent
refuses $other_port || fail "it still runs"
gone /usr/bin/portent /usr/lib/portent /usr/lib/systemd/system/portent.service /usr/share/doc/portent
there /etc/portent/portent.yml /etc/default/portent /var/lib/portent/autoencoder.onnx

say "purged: what somebody put into /var/lib/portent stays"
run dpkg --purge portent | tee "$work/said"
grep --quiet 'is not empty and stays' "$work/said" || fail "nothing was said of /var/lib/portent"
gone /etc/portent /etc/default/portent /etc/default/portent.dpkg-dist
there /var/lib/portent/autoencoder.onnx
rm "$root/var/lib/portent/autoencoder.onnx"

say "installed again, and purged at once"
install_package "$package"
until_true $ready_seconds "Portent is not ready" answers $port /-/ready
run apt-get purge --yes --quiet=2 -o Dpkg::Use-Pty=0 portent
refuses $port || fail "it still runs"
paths >"$work/after"
# The user stays, as Debian has it: so do the books of users, with the copies of before.
diff "$work/before" "$work/after" | grep '^[<>]' | grep -v -E '^> \./etc/(passwd|shadow|group|gshadow)-$|/etc/\.pwd\.lock$' >"$work/left" || true
[ ! -s "$work/left" ] || fail "purging leaves $(cat "$work/left")"
run getent passwd portent
echo "nothing is left but the user"
echo "deb-test: passed"
