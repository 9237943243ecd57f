#!/bin/bash
# libfuzzer.sh BUILD_FOLDER [KEEP_FOLDER]: runs the fuzz targets of a build made
# with --enable-fuzz, for SN_FUZZ_SECONDS each (60), SN_FUZZ_JOBS (2) at a time.
# What they find goes to scratch folders; the corpora of the sources are only
# read. An input that fails is left in KEEP_FOLDER (the present one), and named.
set -u
sources=$(cd "$(dirname "$0")" && pwd)
build=$(cd "$1" && pwd) || exit 1
keep=$(mkdir -p "${2:-.}" && cd "${2:-.}" && pwd) || exit 1
seconds=${SN_FUZZ_SECONDS:-60}
jobs=${SN_FUZZ_JOBS:-2}
scratch=$(mktemp -d) || exit 1
trap 'rm -rf "$scratch"' EXIT

# fuzz NAME: what libFuzzer says goes to NAME.log, how it ended to NAME.code
fuzz() {
    mkdir -p "$scratch/$1/found" "$scratch/$1/tmp"
    TMPDIR=$scratch/$1/tmp OMP_NUM_THREADS=1 "$build/tests/fuzz/fuzz_$1" \
        -seed=1 -max_total_time="$seconds" -rss_limit_mb=2048 -timeout=10 \
        -print_final_stats=1 -artifact_prefix="$keep/fuzz-$1-" \
        "$scratch/$1/found" "$sources/corpus/$1" >"$scratch/$1.log" 2>&1
    echo $? >"$scratch/$1.code"
}

# tell NAME: a line, or all that there is to know of a failure
tell() {
    local runs
    runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$scratch/$1.log")
    if [ "$(cat "$scratch/$1.code")" = 0 ]; then
        echo "fuzz_$1: ${runs:-0} runs, $(ls "$scratch/$1/found" | wc -l) inputs found"
        return 0
    fi
    tail -n 60 "$scratch/$1.log"
    echo "fuzz_$1: FAILED; the input:" "$keep/fuzz-$1-"*
    return 1
}

names=()
for source in "$sources"/fuzz_*.c; do
    name=$(basename "$source" .c)
    names+=("${name#fuzz_}")
done
running=0
for name in "${names[@]}"; do
    fuzz "$name" &
    running=$((running + 1))
    if [ "$running" -ge "$jobs" ]; then
        wait -n
        running=$((running - 1))
    fi
done
wait
failed=0
for name in "${names[@]}"; do
    tell "$name" || failed=1
done
exit $failed
