#include "tests/bench/output.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void make_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path)
        return;
    snprintf(folder, sizeof folder, "%.*s", (int)(slash - path), path);
    (void)mkdir(folder, 0777); /* opening the file says what is wrong */
}

int bench_output_write(json_t *root, const char *path)
{
    char temporary[PATH_MAX];
    make_folder(path);
    snprintf(temporary, sizeof temporary, "%.4000s.%ld", path, (long)getpid());
    FILE *f = fopen(temporary, "w");
    int bad = !f;
    if (f) {
        bad |= json_dumpf(root, f, JSON_INDENT(2) | JSON_REAL_PRECISION(6));
        bad |= fputc('\n', f) == EOF;
        bad |= fclose(f) != 0;
        bad = bad || rename(temporary, path) != 0;
    }
    if (bad) {
        fprintf(stderr, "%s: not written: %s\n", path, strerror(errno));
        if (f)
            (void)unlink(temporary);
    }
    json_decref(root);
    return bad ? -1 : 0;
}
