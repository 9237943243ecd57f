/* bench_output - a benchmark's figures as a JSON file. */
#ifndef BENCH_OUTPUT_H
#define BENCH_OUTPUT_H

#include <jansson.h>

/* Writes `root` to `path`, whole or not at all (a temporary name, then a
 * rename); makes the folder where it lacks. Takes root. -1, with a message on
 * stderr, when it fails. */
int bench_output_write(json_t *root, const char *path);

#endif
