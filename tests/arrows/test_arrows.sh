#!/bin/sh
# Proves that check-arrows.sh finds each kind of wrong include, and nothing in
# a tree without one; then holds the real tree to the same rules.
set -eu
top_srcdir=${top_srcdir:-.}
check=$top_srcdir/tests/arrows/check-arrows.sh
tree=$(mktemp -d)
trap 'rm -rf "$tree"' EXIT
failed=0

fresh() {
    rm -rf "${tree:?}"/*
    for folder in daemon api storage engine/space engine/compute engine/data \
        engine/net engine/model engine/train engine/search engine/device \
        engine/run; do
        mkdir -p "$tree/$folder"
        echo '#include "engine/err.h"' >"$tree/$folder/a.c"
    done
    echo '#include <uv.h>' >"$tree/api/bridge.c"
    echo '#include "engine/space/space.h"' >"$tree/engine/engine.h"
}

# refuses FILE INCLUDE: that line in that file must be found.
refuses() {
    fresh
    printf '#include %s\n' "$2" >>"$tree/$1"
    if sh "$check" "$tree" >"$tree/out" 2>&1 ||
        ! grep -q "^$1:[0-9]*: " "$tree/out"; then
        echo "FAIL: $1 may include $2"
        failed=1
    fi
}
# allows FILE INCLUDE
allows() {
    fresh
    printf '#include %s\n' "$2" >>"$tree/$1"
    if ! sh "$check" "$tree" >"$tree/out" 2>&1; then
        echo "FAIL: $1 may not include $2:"
        cat "$tree/out"
        failed=1
    fi
}

refuses api/a.c '"daemon/loop.h"'
refuses api/a.c '"engine/run/job.h"'
refuses api/a.c '<sqlite3.h>'
refuses api/second.c '<uv.h>'
refuses storage/a.c '"engine/engine.h"'
refuses storage/a.c '<jansson.h>'
refuses daemon/a.c '"engine/net/net.h"'
refuses daemon/a.c '<microhttpd.h>'
refuses engine/space/a.c '"engine/compute/compute.h"'
refuses engine/net/a.c '"engine/data/data.h"'
refuses engine/net/a.c '<dnnl.h>'
refuses engine/train/a.c '"engine/search/pareto.h"'
refuses engine/model/a.c '"engine/run/job.h"'
refuses engine/run/a.c '"storage/storage.h"'
refuses engine/engine.h '"engine/net/net.h"'
refuses engine/space/a.c '"space.h"'
refuses engine/compute/a.c '<uv.h>'

allows daemon/a.c '"engine/engine.h"'
allows daemon/a.c '<uv.h>'
allows api/a.c '<microhttpd.h>'
allows api/a.c '"storage/storage.h"'
allows engine/compute/a.c '<dnnl_types.h>'
allows engine/search/a.c '"engine/net/net.h"'
allows engine/run/a.c '"engine/train/loop.h"'
allows engine/net/a.c '"config.h"'

sh "$check" "$top_srcdir" || failed=1
exit $failed
