#!/bin/sh
# Makes models/node.onnx: records a host under models/load.py with a real Prometheus and
# node_exporter, one scrape a second, and trains on the recording.
#
# usage: models/record.sh            (make model)
#
#   RECORD_MINUTES   how long to record (50): the first ten fill the longest window of the profile
#                    and are not trained on
#   RECORD_SEED      seed of the load (1)
#   RECORD_DIR       where Prometheus keeps the recording (target/recording)
#   RECORD_PORT      Prometheus's port (9390); node_exporter takes the next one
#   RECORD_CONFIG    Portent's configuration: how the model is trained (models/node.yml)
#   RECORD_OUTPUT    the model's file (models/node.onnx)
set -eu
cd "$(dirname "$0")/.."

minutes=${RECORD_MINUTES:-50}
seed=${RECORD_SEED:-1}
dir=${RECORD_DIR:-target/recording}
port=${RECORD_PORT:-9390}
node_port=$((port + 1))
config=${RECORD_CONFIG:-models/node.yml}
output=${RECORD_OUTPUT:-models/node.onnx}
warmup=600 # seconds; the longest range in the profile

fail() {
    echo "record: $*" >&2
    exit 1
}

[ "$minutes" -gt $((warmup / 60)) ] || fail "RECORD_MINUTES must be more than $((warmup / 60))"
PATH=${PORTENT_PEERS:-$PWD/.peers/usr/bin}:$PATH
command -v prometheus >/dev/null || fail "prometheus is missing: run \`make peers\`"
node_exporter=$(command -v prometheus-node-exporter || command -v node_exporter) ||
    fail "node_exporter is missing: run \`make peers\`"

mkdir -p "$dir"
cat >"$dir/prometheus.yml" <<YAML
global:
  scrape_interval: 1s
  scrape_timeout: 1s
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
start=$(($(date +%s) + warmup))
# Its disk traffic goes beside the recording. In the background, because a shell that waits for a
# command in front hears no signal.
python3 models/load.py --minutes "$minutes" --seed "$seed" --dir "$dir" &
load=$!
pids="$pids $load"
wait "$load"
end=$(date +%s)

cargo run --release --quiet -- train --config.file "$config" \
    --prometheus.url "http://127.0.0.1:$port" --start "$start" --end "$end" --step 1s \
    --output "$output"
