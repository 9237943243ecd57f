#!/bin/sh
# Every fuzz target takes its corpus, and mutations of it, without a crash.
# FUZZ_SECONDS=60 goes on for so long with each.
runs=${FUZZ_RUNS:-2000}
cd "$(mktemp -d)" || exit 1
TMPDIR=$PWD # what a crash leaves stays beside its input
export TMPDIR
failed=0
for source in "$top_srcdir"/tests/fuzz/fuzz_*.c; do
    name=$(basename "$source" .c)
    set -- "-runs=$runs"
    [ -n "$FUZZ_SECONDS" ] && set -- "-max_total_time=$FUZZ_SECONDS"
    # libFuzzer adds what it finds to the first folder
    cp -r "$top_srcdir/tests/fuzz/corpus/${name#fuzz_}" corpus || exit 1
    if ! "$top_builddir/tests/fuzz/$name" "$@" corpus; then
        echo "$name failed; the input is in $PWD"
        failed=1
    fi
    rm -rf corpus
done
[ $failed = 1 ] || rm -rf "$PWD"
exit $failed
