#!/bin/sh
# Judges models/node.onnx by made-up hosts that it has never seen: how many steps of calm it calls, and
# how much of nine kinds of trouble it finds. The figures of README.md.
#
# usage: models/judge.sh
#
#   JUDGE_SEED       seed of the calm hosts; the next one makes those in trouble (27)
#   JUDGE_MODEL      the model's file (models/node.onnx)
#   JUDGE_DIR        for what comes between (target/judge)
#   JUDGE_PORT       Prometheus's port (9390)
#   PORTENT          the program (cargo run --release --quiet --)
set -eu
cd "$(dirname "$0")/.."

seed=${JUDGE_SEED:-27}
dir=${JUDGE_DIR:-target/judge}
port=${JUDGE_PORT:-9390}
end=1795600800
kinds=idle,web,database,batch,build,cache,storage,router,container,mail,desktop,monitor

name=judge
. models/history.sh

rm -rf "$dir"
mkdir -p "$dir"
python3 models/fleet.py --end $end --minutes 90 --seed "$seed" --hosts 96 --kinds $kinds >"$dir/calm.om"
python3 models/fleet.py --end $end --minutes 45 --seed $((seed + 1)) --hosts 108 --kinds $kinds --trouble \
    >"$dir/trouble.om"
serve_history
${PORTENT:-cargo run --release --quiet --} evaluate --model "${JUDGE_MODEL:-models/node.onnx}" \
    --prometheus.url "http://127.0.0.1:$port" --start $((end - 5400)) --end $end --step 60s \
    --scores "$dir/scores.csv" >"$dir/evaluate.log"
python3 - "$dir/scores.csv" $((end - 900)) <<'PYTHON'
import collections, csv, sys

sys.path.insert(0, "models")
from fleet import TROUBLES

begins = float(sys.argv[2])
calm, trouble = [], collections.defaultdict(lambda: collections.defaultdict(list))
for row in csv.DictReader(open(sys.argv[1])):
    if row["score"]:
        time, score, host = float(row["timestamp"]), float(row["score"]), row["instance"]
        kind = next((it for it in TROUBLES if host.startswith(it + "-")), None)
        if kind and time > begins:
            trouble[kind][host].append(((time - begins) / 60, score))
        else:
            calm.append((score, host))
calm.sort()
print(f"calm: {len(calm)} steps of {len({host for _, host in calm})} hosts, {sum(it[0] > 1 for it in calm)} above 1, "
      f"median {calm[len(calm) // 2][0]:.2f}, largest {calm[-1][0]:.2f} ({calm[-1][1]})")  # fmt: skip
for kind in TROUBLES:
    hosts = trouble[kind].values()
    firsts = sorted(min((at for at, score in it if score > 1), default=99) for it in hosts)
    tops = [max(score for _, score in it) for it in hosts]
    when = f", after {firsts[len(firsts) // 2]:.0f} min" if firsts[len(firsts) // 2] < 99 else ""
    print(f"{kind:<16} {sum(it < 99 for it in firsts)} of {len(firsts)}, largest {min(tops):.1f} to {max(tops):.1f}{when}")
PYTHON
