#!/bin/sh
# Shows the whole path on this machine: node_exporter, Prometheus and Portent wired together as in
# examples/prometheus.yml, and the scores as Prometheus has scraped them back. Ctrl-C ends all three.
#
# usage: make demo        or, with everything built and fetched: examples/demo.sh
#
#   PROMETHEUS_PORT (9090)  NODE_EXPORTER_PORT (9100)  PORTENT_PORT (9847)
#   DEMO_SECONDS    end by itself after so long (default: never)
#   DEMO_INTERVAL   seconds between two scrapes and between two lines (5)
#   PORTENT         the program (target/release/portent)
#   PORTENT_CONFIG  its configuration (none: what is built in)
set -eu
cd "$(dirname "$0")/.."

prometheus_port=${PROMETHEUS_PORT:-9090}
node_port=${NODE_EXPORTER_PORT:-9100}
portent_port=${PORTENT_PORT:-9847}
interval=${DEMO_INTERVAL:-5}
portent=${PORTENT:-target/release/portent}

fail() {
    echo "demo: $*" >&2
    exit 1
}

PATH=${PORTENT_PEERS:-$PWD/.peers/usr/bin}:$PATH
command -v prometheus >/dev/null || fail "prometheus is missing: run \`make peers\`"
node_exporter=$(command -v prometheus-node-exporter || command -v node_exporter) ||
    fail "node_exporter is missing: run \`make peers\`"
command -v curl >/dev/null || fail "curl is needed to ask for the scores"
[ -x "$portent" ] || fail "$portent is missing: run \`cargo build --release\`"

# taken PORT: something answers there, be it HTTP or not.
taken() {
    curl --silent --output /dev/null --max-time 2 "http://127.0.0.1:$1/"
    [ $? -ne 7 ] # 7: nobody took the connection
}
for choice in "PROMETHEUS_PORT $prometheus_port" "NODE_EXPORTER_PORT $node_port" "PORTENT_PORT $portent_port"; do
    if taken "${choice#* }"; then
        fail "port ${choice#* } is taken; choose another one by ${choice% *}"
    fi
done

work=$(mktemp -d)
pids=
finish() {
    trap '' INT TERM
    # shellcheck disable=SC2086  # a list of process ids
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    wait
    rm -rf "$work"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

sed -e "s/localhost:9847/localhost:$portent_port/" -e "s/localhost:9100/localhost:$node_port/" \
    -e "s/scrape_interval: 15s/scrape_interval: ${interval}s/" examples/prometheus.yml >"$work/prometheus.yml"
mkdir "$work/rules"
cp examples/rules/portent.yml "$work/rules/"

# start NAME COMMAND...: in the background, with a log of its own.
start() {
    name=$1
    shift
    "$@" >"$work/$name.log" 2>&1 </dev/null &
    pids="$pids $!"
}

# ready NAME URL: waits until it answers; shows the log when it does not.
ready() {
    tries=0
    until curl --silent --fail --output /dev/null --max-time 2 "$2"; do
        tries=$((tries + 1))
        running || { tail -n 5 "$work/$1.log" >&2; fail "$1 did not start"; }
        [ "$tries" -lt 150 ] || { tail -n 5 "$work/$1.log" >&2; fail "$1 does not answer at $2"; }
        sleep 0.2
    done
}

# running: all that were started still run.
running() {
    for pid in $pids; do
        kill -0 "$pid" 2>/dev/null || return 1
    done
}

# scores: one line with the score of each host, as Prometheus has them.
scores() {
    curl --silent --max-time 5 --get "http://localhost:$prometheus_port/api/v1/query" \
        --data-urlencode 'query=max by (instance) (anomaly_score)' |
        tr '{' '\n' |
        sed -n 's/.*"instance":"\([^"]*\)".*"value":\[[^,]*,"\([^"]*\)"\].*/\1 \2/p' |
        awk '{ printf "  %s %.2f", $1, $2 }'
}

start node_exporter "$node_exporter" --web.listen-address="127.0.0.1:$node_port"
if [ -n "${PORTENT_CONFIG:-}" ]; then
    start portent "$portent" serve --web.listen-address="127.0.0.1:$portent_port" --storage.path="$work/portent" --config.file="$PORTENT_CONFIG"
else
    start portent "$portent" serve --web.listen-address="127.0.0.1:$portent_port" --storage.path="$work/portent"
fi
# By default Prometheus waits a minute at its end for a receiver that is gone as well.
start prometheus prometheus --config.file="$work/prometheus.yml" --storage.tsdb.path="$work/data" \
    --storage.remote.flush-deadline=1s --web.listen-address="127.0.0.1:$prometheus_port"
ready node_exporter "http://localhost:$node_port/"
ready portent "http://localhost:$portent_port/-/healthy"
ready prometheus "http://localhost:$prometheus_port/-/ready"

echo "node_exporter  http://localhost:$node_port"
echo "Prometheus     http://localhost:$prometheus_port/graph?g0.expr=anomaly_score"
echo "Portent        http://localhost:$portent_port/metrics"
echo "Ctrl-C ends all three. The first score comes when the host has been seen for as long as the"
echo "features look back: twelve minutes for the built-in ones."

begin=$(date +%s)
while [ -z "${DEMO_SECONDS:-}" ] || [ $(($(date +%s) - begin)) -lt "$DEMO_SECONDS" ]; do
    # In the background: a shell hears a signal at once only while it waits.
    sleep "$interval" &
    wait $!
    if ! running; then
        tail -n 5 "$work"/*.log >&2
        fail "one of the three has ended"
    fi
    line=$(scores)
    echo "$(date +%H:%M:%S)${line:-  no score yet}"
done
