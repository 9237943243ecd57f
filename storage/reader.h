/* sn_reader - typed queries on a read-only connection.
 *
 * A reader is lent to a function by sn_storage_read(), on a reader thread, for
 * the time of the call: all its queries see one state of the database. Rows go
 * to a callback, which returns false to stop early (that is no error); strings
 * of a row die with the callback. A query without rows is SN_OK; the
 * single-row `_get` ones answer SN_ERR_NOTFOUND without calling back. A limit
 * of 0 or below means no limit. A callback must not start another query of
 * the same name.
 */
#ifndef SN_STORAGE_READER_H
#define SN_STORAGE_READER_H

#include "storage/records.h"

struct sn_reader;

typedef bool (*sn_job_row_fn)(void *arg, const struct sn_job *row);
typedef bool (*sn_event_row_fn)(void *arg, const struct sn_event *row);
typedef bool (*sn_point_row_fn)(void *arg, const struct sn_point *row);
typedef bool (*sn_name_row_fn)(void *arg, const char *name, int64_t count);
typedef bool (*sn_evaluation_row_fn)(void *arg,
                                     const struct sn_evaluation_record *row);
typedef bool (*sn_predictor_row_fn)(void *arg, const struct sn_predictor *row);
typedef bool (*sn_score_row_fn)(void *arg, const struct sn_score *row);
typedef bool (*sn_outcome_row_fn)(void *arg, const struct sn_outcome *row);
typedef bool (*sn_subspace_row_fn)(void *arg, const struct sn_subspace *row);
typedef bool (*sn_member_row_fn)(void *arg, const struct sn_member *row);
typedef bool (*sn_front_row_fn)(void *arg, const struct sn_front *row);
typedef bool (*sn_latency_row_fn)(void *arg,
                                  const struct sn_latency_record *row);
typedef bool (*sn_checkpoint_row_fn)(void *arg,
                                     const struct sn_checkpoint *row);
typedef bool (*sn_resource_row_fn)(void *arg, const struct sn_resource *row);

enum sn_job_sort {
    SN_JOB_SORT_NEWEST,   /* by seq, newest first */
    SN_JOB_SORT_OLDEST,   /* by seq, oldest first */
    SN_JOB_SORT_PRIORITY, /* highest first, then oldest */
    SN_JOB_SORT_NAME      /* by name, then oldest */
};

/* A page of jobs. The row to go on after is given by the sort's value and the
 * seq of the last row that the caller has: after_seq 0 starts at the top. */
struct sn_job_query {
    unsigned states;         /* bits 1 << enum sn_job_state; 0 = all */
    const char *name;        /* exactly this name, or NULL */
    const char *label_key;   /* has this label, or NULL */
    const char *label_value; /* with this value, or NULL = any */
    enum sn_job_sort sort;
    int64_t after_seq;
    int64_t after_priority; /* with SN_JOB_SORT_PRIORITY */
    const char *after_name; /* with SN_JOB_SORT_NAME */
    int64_t limit;
};
enum sn_err sn_reader_jobs(struct sn_reader *r, const struct sn_job_query *q,
                           sn_job_row_fn fn, void *arg, struct sn_error *err);
enum sn_err sn_reader_job_get(struct sn_reader *r, const char *id,
                              sn_job_row_fn fn, void *arg,
                              struct sn_error *err);

/* Events after a sequence number, oldest first; of one job (NULL: all), of
 * the given types (n_types 0: all). */
struct sn_event_query {
    const char *job;
    const char *const *types;
    size_t n_types;
    int64_t after_seq;
    int64_t limit;
};
enum sn_err sn_reader_events(struct sn_reader *r,
                             const struct sn_event_query *q, sn_event_row_fn fn,
                             void *arg, struct sn_error *err);
/* The newest sequence number ever given (0: none), and the oldest one that is
 * still stored (0: none). */
enum sn_err sn_reader_event_bounds(struct sn_reader *r, int64_t *ret_newest,
                                   int64_t *ret_oldest, struct sn_error *err);

/* Points of a curve with step > after_step, by step; after_step -1: all. */
enum sn_err sn_reader_series(struct sn_reader *r, const char *job,
                             const char *name, int64_t after_step,
                             int64_t limit, sn_point_row_fn fn, void *arg,
                             struct sn_error *err);
/* The names of a job's curves, and how many points each has. */
enum sn_err sn_reader_series_names(struct sn_reader *r, const char *job,
                                   sn_name_row_fn fn, void *arg,
                                   struct sn_error *err);

enum sn_eval_sort {
    SN_EVAL_SORT_SEQ,      /* oldest first */
    SN_EVAL_SORT_ACCURACY, /* best first, then least MACs, then arch id */
    SN_EVAL_SORT_MACS,     /* least first */
    SN_EVAL_SORT_LATENCY   /* least first (measured, else predicted); rows
                              without come last */
};

/* Evaluations of a job. Bounds are inclusive; 0 = none; a row without the
 * value does not pass a bound on it. With `newest` only rows of the highest
 * step among those of the same job, stages and split (the query behind
 * /best: newest, sorted by accuracy, bounds, limit k). */
struct sn_eval_query {
    const char *job;
    unsigned stages;   /* bits 1 << enum sn_eval_stage; 0 = all */
    const char *split; /* or NULL = all */
    const char *arch;  /* one architecture, or NULL */
    bool newest;
    const char *device;  /* whose latency; NULL = "host" */
    const char *runtime; /* NULL = "sparsenas" */
    double max_latency_ms;
    int64_t max_macs, max_params, max_peak_memory;
    enum sn_eval_sort sort;
    int64_t after_seq; /* rows with a higher seq only */
    int64_t limit;
};
enum sn_err sn_reader_evaluations(struct sn_reader *r,
                                  const struct sn_eval_query *q,
                                  sn_evaluation_row_fn fn, void *arg,
                                  struct sn_error *err);
/* How many rows a query would give without its limit. */
enum sn_err sn_reader_evaluation_count(struct sn_reader *r,
                                       const struct sn_eval_query *q,
                                       int64_t *ret, struct sn_error *err);

/* The newest front of a job for a cost and device. */
enum sn_err sn_reader_front_get(struct sn_reader *r, const char *job,
                                const char *cost, const char *device,
                                sn_front_row_fn fn, void *arg,
                                struct sn_error *err);
/* All its versions after one, oldest first. */
enum sn_err sn_reader_fronts(struct sn_reader *r, const char *job,
                             const char *cost, const char *device,
                             int64_t after_version, int64_t limit,
                             sn_front_row_fn fn, void *arg,
                             struct sn_error *err);

/* A job's predictors, oldest first; a predictor's pairs in written order. */
enum sn_err sn_reader_predictors(struct sn_reader *r, const char *job,
                                 sn_predictor_row_fn fn, void *arg,
                                 struct sn_error *err);
/* None or one. */
enum sn_err sn_reader_outcome(struct sn_reader *r, const char *job,
                              sn_outcome_row_fn fn, void *arg,
                              struct sn_error *err);
enum sn_err sn_reader_scores(struct sn_reader *r, int64_t predictor,
                             int64_t limit, sn_score_row_fn fn, void *arg,
                             struct sn_error *err);

/* A job's sub-spaces, by round; a page of one's members, by position.
 * after_position -1 starts at the top. */
enum sn_err sn_reader_subspaces(struct sn_reader *r, const char *job,
                                sn_subspace_row_fn fn, void *arg,
                                struct sn_error *err);
enum sn_err sn_reader_members(struct sn_reader *r, int64_t subspace,
                              int64_t after_position, int64_t limit,
                              sn_member_row_fn fn, void *arg,
                              struct sn_error *err);

/* A job's checkpoints, newest first. */
enum sn_err sn_reader_checkpoints(struct sn_reader *r, const char *job,
                                  sn_checkpoint_row_fn fn, void *arg,
                                  struct sn_error *err);

/* Block latencies of a device; fingerprint NULL: of every one. */
enum sn_err sn_reader_latencies(struct sn_reader *r, const char *device,
                                const char *runtime, const char *fingerprint,
                                sn_latency_row_fn fn, void *arg,
                                struct sn_error *err);

/* Resources of a kind by name, after a name (NULL: from the start). */
enum sn_err sn_reader_resources(struct sn_reader *r, enum sn_resource_kind kind,
                                const char *after_name, int64_t limit,
                                sn_resource_row_fn fn, void *arg,
                                struct sn_error *err);
enum sn_err sn_reader_resource_get(struct sn_reader *r,
                                   enum sn_resource_kind kind, const char *name,
                                   sn_resource_row_fn fn, void *arg,
                                   struct sn_error *err);

#endif
