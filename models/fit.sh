#!/bin/sh
# Makes models/node.onnx: a fleet of made-up hosts (fleet.py), and a machine that was recorded
# (machine.om.gz, which `make recording` makes) where there is one, put into a real Prometheus and
# trained on.
#
# usage: models/fit.sh            (make model)
#
#   MODEL_HOSTS      how many hosts are made up (144)
#   MODEL_SEED       their seed (1)
#   MODEL_MINUTES    how long they are seen (120)
#   MODEL_DIR        for what comes between (target/model)
#   MODEL_PORT       Prometheus's port (9390)
#   MODEL_CONFIG     how the model is trained (models/node.yml)
#   MODEL_OUTPUT     the model's file (models/node.onnx)
#   PORTENT          the program (cargo run --release --quiet --)
set -eu
cd "$(dirname "$0")/.."

hosts=${MODEL_HOSTS:-144}
seed=${MODEL_SEED:-1}
minutes=${MODEL_MINUTES:-120}
dir=${MODEL_DIR:-target/model}
port=${MODEL_PORT:-9390}
config=${MODEL_CONFIG:-models/node.yml}
output=${MODEL_OUTPUT:-models/node.onnx}
warmup=720 # seconds: the longest range in the profile, of rates over two minutes

name=model
. models/history.sh

rm -rf "$dir"
mkdir -p "$dir"
end=1795600800 # whenever it is run: the same files give the same model
if [ -f models/machine.om.gz ]; then
    gunzip -c models/machine.om.gz >"$dir/machine.om"
    # The fleet is seen around the recording and half an hour longer: the latest tenth of the time decides
    # when learning ends, and the recorded machine is to be learnt from.
    last=$(awk '$NF + 0 > last { last = $NF + 0 } END { printf "%d", last }' "$dir/machine.om")
    end=$(((last + 1800) / 60 * 60))
fi
echo "model: $hosts hosts, seed $seed, $minutes minutes" >&2
# Half as large again as the hosts that the model is judged by: it shall know what is beyond them.
python3 models/fleet.py --hosts "$hosts" --seed "$seed" --minutes "$minutes" --width 1.5 --end "$end" \
    >"$dir/fleet.om"
serve_history

# More than three tasks for two CPUs is no calm: such minutes of a recording are left out.
overload='node_load1 > on (job, instance) 1.5 * count by (job, instance) (node_cpu_seconds_total{mode="idle"})'
${PORTENT:-cargo run --release --quiet --} train --config.file "$config" --prometheus.url "http://127.0.0.1:$port" \
    --start $((end - minutes * 60 + warmup)) --end "$end" --step 60s \
    --exclude-query "$overload" --output "$output"
