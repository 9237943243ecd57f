/* sn_reports, inside: what reports.c, reports_post.c and reports_rows.c share.
 *
 *   conductor --- sn_rows_* / sn_post_event ---> storage's writer
 *   writer    --- done: the mail, with its event's number ---> mailbox
 *   loop      --- deliver ---> the runner's owner
 *
 * Private to these three. Everything is called on the conductor's thread but
 * for sn_post_row_written and sn_post_failed, which the writer calls too.
 */
#ifndef SN_REPORTS_INTERNAL_H
#define SN_REPORTS_INTERNAL_H

#include <pthread.h>

#include "daemon/reports.h"

enum { SN_MAX_ROUNDS = 64 };

/* Which round a predictor or sub-space is: the how-manieth of its kind, told
 * apart by step, so that a replay after a resume finds its own row again. */
struct sn_rounds {
    int64_t step[SN_MAX_ROUNDS];
    int n;
};

struct sn_reports {
    const struct sn_runner_config *config;
    struct sn_callbacks table;
    struct sn_rounds predictors[SN_STAGE_KINDS], subspaces;
    struct sn_dataset_info data;
    int phase_index;
    int64_t snapshot_ms;
    /* progress goes to the loop as it is newest; guarded by lock */
    pthread_mutex_t lock;
    pthread_cond_t written;
    struct sn_progress latest;
    bool progress_posted;
    struct sn_error failure; /* the first write that failed */
};

/* What travels with a write and then to the loop. */
struct sn_mail {
    struct sn_reports *r;
    char *type, *payload; /* of the event */
    int64_t seq, time_ms;
    bool is_evaluation;
    uint64_t step; /* of a checkpoint, else 0 */
    char xxh3[SN_XXH3_HEX];
    bool *wait; /* set when written, under the lock */
};

/* A write in the making: its event, and who is told. Takes `payload`. */
struct sn_post {
    struct sn_event event;
    struct sn_write write;
    struct sn_mail *mail;
};

int64_t sn_reports_now_ms(void);
/* Keeps the first failure, and logs it; the next checkpoint then fails. */
void sn_post_failed(struct sn_reports *r, const struct sn_error *error);
void sn_mail_free(struct sn_mail *mail);
/* Prepares a write with one event. Takes `payload` (NULL: no memory). */
bool sn_post_init(struct sn_post *post, struct sn_reports *r, const char *type,
                  char *payload);
/* The `done` of writes without an event; arg is the sn_reports. */
void sn_post_row_written(void *arg, const struct sn_written *result);
/* After a submit: whether to try again (the queue was full; it has waited). */
bool sn_post_again(struct sn_reports *r, enum sn_err code);
/* A submit that failed for good never calls `done`; post may be NULL. */
void sn_post_settle(struct sn_reports *r, struct sn_post *post,
                    enum sn_err code, const struct sn_error *err);
/* An event alone. Takes `payload`. */
void sn_post_event(struct sn_reports *r, const char *type, char *payload);

/* ---- reports that become rows: the engine's callbacks ---- */
void sn_rows_series(void *arg, const char *name, uint64_t step, double epoch,
                    double value);
void sn_rows_evaluation(void *arg, const struct sn_evaluation *e);
void sn_rows_predictor(void *arg, const struct sn_predictor_report *p);
void sn_rows_subspace(void *arg, const struct sn_subspace_report *s);
void sn_rows_outcome(void *arg, const struct sn_outcome_report *o);
void sn_rows_front(void *arg, const struct sn_front_report *f);
void sn_rows_latencies(void *arg, const char *device, const char *fingerprint,
                       const struct sn_latency_row *rows, uint32_t n);
/* Learns which rounds are stored already, on a reader's thread. */
void sn_rows_read_rounds(void *arg, struct sn_reader *reader);

#endif
