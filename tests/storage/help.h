/* What the storage tests share: a folder of their own, and writes that wait. */
#ifndef SN_TEST_STORAGE_HELP_H
#define SN_TEST_STORAGE_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "storage/storage.h"

/* cmocka setup and teardown: *state is a path in which nothing exists yet,
 * inside a new temporary folder that teardown removes. */
int help_setup(void **state);
int help_teardown(void **state);

struct sn_storage *help_open(const char *dir);

/* A `struct sn_write` whose end can be waited for; one use each. */
struct help_wait;
struct help_wait *help_wait_new(void);
struct sn_write help_write(struct help_wait *wait,
                           const struct sn_event *events, size_t n);
struct sn_written help_wait_end(struct help_wait *wait); /* frees */

/* Inserts a queued job and waits; gives the result's code. */
enum sn_err help_insert(struct sn_storage *st, const char *id);
/* Moves a job to a state and waits. */
enum sn_err help_move(struct sn_storage *st, const char *id,
                      enum sn_job_state to);
void help_flush(struct sn_storage *st);

#endif
