# Makes the C table of migrations from the .sql files, which are given in
# order. Lines become C strings, one each: compilers limit a string's length.
function name_of(path) { sub(/.*\//, "", path); sub(/\.sql$/, "", path); return path }
BEGIN { print "/* Made from storage/migrations by storage/migrations.awk. */"
        print "#include \"storage/migrate.h\"\n\n#include <stddef.h>" }
FNR == 1 {
    if (n++) print "    NULL,\n};"
    name[n] = name_of(FILENAME)
    printf "\nstatic const char *const lines_%d[] = {\n", n
}
{ gsub(/\\/, "\\\\"); gsub(/"/, "\\\""); printf "    \"%s\\n\",\n", $0 }
END {
    print "    NULL,\n};\n\nconst struct sn_migration sn_migrations[] = {"
    for (i = 1; i <= n; i++) {
        if (name[i] + 0 != i) { print "migration " name[i] " is not number " i > "/dev/stderr"; exit 1 }
        printf "    {%d, \"%s\", lines_%d},\n", i, name[i], i
    }
    print "    {0, NULL, NULL},\n};"
}
