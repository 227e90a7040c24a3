#!/bin/sh
# Makes models/machine.om.gz, the recorded machine that models/fit.sh trains on beside the made-up
# fleet: this one, under models/load.py, as a real Prometheus and node_exporter see it.
#
# usage: models/record.sh            (make recording)
#
#   RECORD_MINUTES   how long to record (50): the first twelve fill the longest window of the profile
#   RECORD_SEED      seed of the load (1)
#   RECORD_DIR       where Prometheus keeps the recording (target/recording)
#   RECORD_PORT      Prometheus's port (9390); node_exporter takes the next one
#   RECORD_OUTPUT    the recording (models/machine.om.gz)
set -eu
cd "$(dirname "$0")/.."

minutes=${RECORD_MINUTES:-50}
seed=${RECORD_SEED:-1}
dir=${RECORD_DIR:-target/recording}
port=${RECORD_PORT:-9390}
node_port=$((port + 1))
output=${RECORD_OUTPUT:-models/machine.om.gz}
warmup=12 # minutes; the longest range in the profile, of rates over two
# What the profile reads on Linux.
series='{__name__=~"node_(cpu_seconds_total|load1|procs_(running|blocked)|context_switches_total|memory_(MemTotal|MemAvailable|MemFree|Buffers|Cached|SwapTotal|SwapFree)_bytes|vmstat_(pswpin|pswpout|pgmajfault)|disk_(read_bytes|written_bytes|io_time_seconds)_total|filesystem_(avail_bytes|size_bytes|readonly)|network_(receive|transmit)_(bytes|errs|drop)_total|sockstat_TCP_inuse|netstat_Tcp_RetransSegs)"}'

fail() {
    echo "record: $*" >&2
    exit 1
}

[ "$minutes" -gt "$warmup" ] || fail "RECORD_MINUTES must be more than $warmup"
PATH=${PORTENT_PEERS:-$PWD/.peers/usr/bin}:$PATH
command -v prometheus >/dev/null || fail "prometheus is missing: run \`make peers\`"
node_exporter=$(command -v prometheus-node-exporter || command -v node_exporter) ||
    fail "node_exporter is missing: run \`make peers\`"

rm -rf "$dir"
mkdir -p "$dir"
cat >"$dir/prometheus.yml" <<YAML
global:
  scrape_interval: 15s
scrape_configs:
  - job_name: node
    static_configs:
      - targets: [localhost:$node_port]
YAML

pids=
stop() {
    # shellcheck disable=SC2086  # a list of process ids
    [ -z "$pids" ] || kill $pids 2>/dev/null || true
    wait
}
trap stop EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

"$node_exporter" --web.listen-address=127.0.0.1:$node_port >"$dir/node_exporter.log" 2>&1 &
pids=$!
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
    --web.listen-address=127.0.0.1:"$port" >"$dir/prometheus.log" 2>&1 &
pids="$pids $!"

sleep 3
# shellcheck disable=SC2086
kill -0 $pids 2>/dev/null || fail "a server did not start, see $dir/*.log"
# Its disk traffic goes beside the recording. In the background, because a shell that waits for a
# command in front hears no signal.
python3 models/load.py --minutes "$minutes" --seed "$seed" --dir "$dir" &
load=$!
pids="$pids $load"
wait "$load"
stop
pids=
promtool tsdb dump-openmetrics --match "$series" "$dir/data" | gzip -9n >"$output"
