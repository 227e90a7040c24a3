# For fit.sh and judge.sh, which read it in: what made-up hosts said, in a real Prometheus that is asked.
#
# The caller says `name`, what it is for in messages; `dir`, for what comes between; `port`.

fail() {
    echo "$name: $*" >&2
    exit 1
}

PATH=${PORTENT_PEERS:-$PWD/.peers/usr/bin}:$PATH
command -v prometheus >/dev/null && command -v promtool >/dev/null ||
    fail "prometheus or promtool is missing: run \`make peers\`"

# Puts the texts of the folder into a Prometheus and waits until it answers; it ends with the script.
serve_history() {
    for text in "$dir"/*.om; do
        promtool tsdb create-blocks-from openmetrics -q "$text" "$dir/data"
        rm "$text"
    done
    echo 'global: {}' >"$dir/prometheus.yml"
    # However long ago all that was.
    prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
        --storage.tsdb.retention.time=100y --web.listen-address=127.0.0.1:"$port" >"$dir/prometheus.log" 2>&1 &
    server=$!
    trap stop_history EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    waited=0
    until grep -qs 'ready to receive web requests' "$dir/prometheus.log"; do
        kill -0 "$server" 2>/dev/null && [ "$waited" -lt 60 ] ||
            fail "Prometheus did not start, see $dir/prometheus.log"
        waited=$((waited + 1))
        sleep 1
    done
}

stop_history() {
    kill "$server" 2>/dev/null || true
    wait
}
