#!/bin/sh
# The main job, end to end, as a user would do it: starts the daemon on a free
# loopback port with a fresh state folder, submits a SparseNAS job on
# Fashion-MNIST with curl, follows it, prints the best architectures for three
# latency targets with their accuracy on the test images, writes them as ONNX,
# and stops. Run by `make demo` in the build folder; leaves demo/report.json.
#
#   daemon/demo.sh SPARSENASD WEB_ROOT
#   SN_DEMO_EPOCHS=n trains longer or shorter.
set -eu

daemon=$1
web=$2
out=$PWD/demo
epochs=${SN_DEMO_EPOCHS:-24}
began=$(date +%s)

command -v curl >/dev/null || { echo "demo: curl is missing" >&2; exit 1; }
node=$(command -v node || command -v nodejs) || {
    echo "demo: node is missing (./bootstrap installs it)" >&2
    exit 1
}

# json EXPRESSION: reads JSON from standard input, prints an expression of `d`.
json() {
    "$node" -e '
        const d = JSON.parse(require("fs").readFileSync(0, "utf8"));
        const v = new Function("d", "return " + process.argv[1])(d);
        if (v !== undefined && v !== null) console.log(v);' "$1"
}

rm -rf "$out"
mkdir -p "$out"
"$daemon" --state-dir "$out/state" --listen 127.0.0.1:0 \
    --ready-file "$out/ready" --web-root "$web" >"$out/daemon.log" 2>&1 &
pid=$!
stop() {
    kill "$pid" 2>/dev/null || true
    wait "$pid" 2>/dev/null || true
}
trap 'stop; exit 130' INT TERM
trap stop EXIT

for _ in $(seq 100); do
    [ -s "$out/ready" ] && break
    kill -0 "$pid" 2>/dev/null || { cat "$out/daemon.log" >&2; exit 1; }
    sleep 0.1
done
url=$(cat "$out/ready")
api=$url/api/v1
echo "sparsenasd serves $url (the dashboard is there while this runs)"

spec='{"name":"demo","dataset":"fashion-mnist","space":"mbv3-tiny","strategy":"sparsenas","epochs":'$epochs'}'
call() { # curl, failing with the problem's own words
    curl -sS --fail-with-body "$@" || { echo >&2; exit 1; }
}
for _ in $(seq 100); do # the images are read off the loop
    [ "$(call "$api/datasets/fashion-mnist" | json d.available)" = true ] &&
        break
    sleep 0.1
done

call -X POST "$api/jobs?dry_run=true" -d "$spec" >"$out/forecast.json"
echo "budget, GFLOP by phase (2 FLOP a multiply-accumulate; a training step is 3 x forward):"
json 'Object.entries(d.forecast.phase_macs).filter(([, v]) => v > 0)
    .map(([k, v]) => "  " + k.padEnd(10) + (2e-9 * v).toFixed(0).padStart(8) +
        (100 * v / d.forecast.macs).toFixed(1).padStart(7) + "%").join("\n")' \
    <"$out/forecast.json"

id=$(call -X POST "$api/jobs" -d "$spec" | json d.id)
echo "job $id"

line='(d.state + " | " + d.phase.name).padEnd(24) + "[" +
    "#".repeat(Math.floor(24 * d.progress.fraction)).padEnd(24, ".") + "] " +
    (100 * d.progress.fraction).toFixed(0).padStart(3) + "%  " +
    (d.progress.images_per_s || 0).toFixed(0).padStart(6) + " img/s  ETA " +
    (d.progress.eta_s === null ? "?" : d.progress.eta_s.toFixed(0)) + " s"'
last=
while :; do
    call "$api/jobs/$id" >"$out/job.json"
    state=$(json d.state <"$out/job.json")
    text=$(json "$line" <"$out/job.json")
    if [ -t 1 ]; then
        printf '\r\033[K%s' "$text"
    else
        step=$(json 'd.phase.name + Math.floor(5 * d.progress.fraction)' \
            <"$out/job.json")
        [ "$step" = "$last" ] || echo "$text"
        last=$step
    fi
    case $state in
    succeeded) break ;;
    failed | cancelled | paused)
        echo
        echo "the job is $state: $(json d.reason <"$out/job.json")" >&2
        exit 1
        ;;
    esac
    sleep 1
done
[ -t 1 ] && echo

# a model for each answer
json 'd.answers.filter(a => a.found).map(a => a.best.arch).join("\n")' \
    <"$out/job.json" >"$out/archs"
while read -r arch; do
    call -o "$out/$arch.onnx" "$api/jobs/$id/architectures/$arch/model.onnx"
done <"$out/archs"

seconds=$(($(date +%s) - began))
json '((f) => {
    const targets = d.answers.filter(a => a.cost === "latency_ms").map(a => ({
        latency_ms: a.latency_ms,
        arch: a.found ? a.best.arch : null,
        test_accuracy: a.found ? a.test_accuracy.value : null,
        measured_ms: a.best.latency_ms.measured,
        macs: a.best.macs, params: a.best.params,
        onnx: a.found ? "demo/" + a.best.arch + ".onnx" : null}));
    return JSON.stringify({seconds: '"$seconds"',
        best_test_accuracy: Math.max(...targets.map(t => t.test_accuracy ?? 0)),
        targets, cost: d.cost}, null, 2);
})()' <"$out/job.json" >"$out/report.json"

echo
echo "best architectures within three latencies on this machine (batch 1, one thread):"
json '["  target ms  measured ms   test acc.    MMACs   params  architecture"]
    .concat(d.targets.map(t => "  " + t.latency_ms.toFixed(4).padStart(9) +
        t.measured_ms.toFixed(4).padStart(13) +
        (t.arch ? (100 * t.test_accuracy).toFixed(2) + "%" : "none").padStart(12) +
        (t.macs / 1e6).toFixed(2).padStart(9) + String(t.params).padStart(9) +
        "  " + (t.arch || "(nothing is as fast)"))).join("\n")' \
    <"$out/report.json"
cat <<TXT

best test accuracy $(json '(100 * d.best_test_accuracy).toFixed(2)' <"$out/report.json")% after $seconds s; report and models are in demo/
what was asked, for you to repeat against \`make run\`:
  curl -X POST $api/jobs -d '$spec'
  curl $api/jobs/$id
  curl -N '$api/events?job=$id'
  curl '$api/jobs/$id/best?latency_ms=$(json 'd.targets[1].latency_ms' <"$out/report.json")'
  curl -o model.onnx $api/jobs/$id/architectures/$(json 'd.targets[1].arch' <"$out/report.json")/model.onnx
dashboard: $url/
TXT
rm -f "$out/archs" "$out/ready"
