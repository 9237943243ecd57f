#!/bin/sh
# check-arrows.sh [TOP] - which folder may include what, held by looking at the
# #include lines of every .c and .h below TOP's four source folders.
#
#   daemon --> api ----> storage --> engine/err.h
#      \         \
#       `---------`--> engine/engine.h      (run > model train search device
#                                                > net > space compute data)
#
# Prints file:line for each line against the rules; exit code 1 if there is one.
set -eu
cd "${1:-${top_srcdir:-.}}"

find daemon api storage engine -name '*.[ch]' ! -name '*.pb-c.[ch]' | sort |
    xargs awk '
# own(FOLDER, MAY): files below FOLDER may include what starts with one of MAY.
# The longest FOLDER that fits a file counts.
function own(folder, may) { rule[folder] = may }
# only(HEADER, WHERE): the system header is for files below WHERE alone.
function only(header, where) { home[header] = where }

BEGIN {
    base = "engine/err.h engine/rng.h"
    core = "engine/space/ engine/compute/ engine/data/ engine/net/ " base
    own("daemon/", "daemon/ api/ storage/ engine/engine.h engine/err.h")
    own("api/", "api/ storage/ engine/engine.h engine/err.h")
    own("storage/", "storage/ engine/err.h")
    own("engine/", base)
    own("engine/engine.h", "engine/space/ engine/data/data.h " \
        "engine/model/supernet_info.h engine/search/quality.h engine/err.h")
    own("engine/space/", "engine/space/ " base)
    own("engine/compute/", "engine/compute/ " base)
    own("engine/data/", "engine/data/ " base)
    own("engine/net/", "engine/net/ engine/space/ engine/compute/ " base)
    own("engine/model/", "engine/model/ " core)
    own("engine/train/", "engine/train/ " core)
    own("engine/search/", "engine/search/ " core)
    own("engine/device/", "engine/device/ " core)
    own("engine/run/", "engine/")

    only("microhttpd.h", "api/")
    only("jansson.h", "api/")
    only("sqlite3.h", "storage/")
    only("dnnl", "engine/compute/")
    only("uv.h", "daemon/ api/")
}

function starts_with_one(text, list,    part, n, i) {
    n = split(list, part, " ")
    for (i = 1; i <= n; i++)
        if (index(text, part[i]) == 1) return 1
    return 0
}

function bad(why) {
    printf "%s:%d: %s\n", FILENAME, FNR, why
    wrong++
}

FNR == 1 {
    files++
    mine = ""
    for (folder in rule)
        if (index(FILENAME, folder) == 1 && length(folder) > length(mine))
            mine = folder
}

match($0, /^[ \t]*#[ \t]*include[ \t]*["<]/) {
    quoted = substr($0, RLENGTH, 1) == "\""
    header = substr($0, RLENGTH + 1)
    sub(/[">].*/, "", header)
    includes++
    if (quoted) {
        if (header == "config.h") next
        if (index(header, "/") == 0)
            bad("\"" header "\" is not named from the top")
        else if (!starts_with_one(header, rule[mine]))
            bad(mine " may not include " header " (only " rule[mine] ")")
        next
    }
    for (system_header in home)
        if (index(header, system_header) == 1 &&
            !starts_with_one(FILENAME, home[system_header]))
            bad("<" header "> is for " home[system_header] " alone")
    if (header == "uv.h" && index(FILENAME, "api/") == 1) {
        if (bridge != "" && bridge != FILENAME)
            bad("api/ has one bridge to libuv already: " bridge)
        bridge = FILENAME
    }
}

END {
    printf "arrows: %d files, %d includes, %d against the rules\n",
        files, includes, wrong
    exit wrong > 0 || files == 0
}'
