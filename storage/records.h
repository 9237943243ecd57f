/* The rows of the database as plain structs, used for writing and reading.
 *
 * Strings are borrowed: a write copies them before it returns, a query's row
 * is valid only inside the row callback. NULL strings count as "". JSON is
 * opaque text here, made and read by others. Times are milliseconds since
 * 1970; a time of 0 in a write means "now", in a row "not yet". Accuracies are
 * fractions 0-1, latencies milliseconds, memory bytes. A double that is not
 * known is NAN, a count that is not known is -1. The engine has structs of its
 * own for evaluations and latencies: those here are called *_record.
 */
#ifndef SN_STORAGE_RECORDS_H
#define SN_STORAGE_RECORDS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "storage/job_state.h"

enum {
    SN_ID_MAX = 64,  /* bytes of a job id or resource name, with its NUL */
    SN_XXH3_HEX = 17 /* 16 hex digits and the NUL */
};

enum sn_paused_by { SN_PAUSED_BY_NONE, SN_PAUSED_BY_USER, SN_PAUSED_BY_DISK };
const char *sn_paused_by_name(enum sn_paused_by by); /* "", "user", "disk" */

struct sn_job {
    const char *id;            /* [A-Za-z0-9_-]{1,63}: also a folder's name */
    int64_t seq;               /* order of submission; given by the database */
    int64_t revision;          /* grows with every change: for an ETag */
    const char *name;          /* for people, need not be unique */
    const char *spec_given;    /* JSON */
    const char *spec_resolved; /* JSON */
    const char *labels;        /* JSON object of strings, "{}" when NULL */
    enum sn_job_state state;
    enum sn_job_state stop_for; /* only in `stopping`: the state to go to */
    enum sn_paused_by paused_by;
    const char *reason; /* why it failed, is paused, ... for people */
    int64_t priority;   /* higher first */
    int64_t created_ms, started_ms, ended_ms;
    int64_t attempts;     /* how often it became running */
    const char *phase;    /* JSON */
    const char *progress; /* JSON */
    const char *cost;     /* JSON */
    int64_t supernet_step;
    const char *supernet_xxh3; /* 16 hex digits or "" */
    /* Only in rows of list and get: the best accuracy at the newest step of
     * final and verify evaluations on split "holdout" (NAN: none), and how
     * many evaluations there are. */
    double best_accuracy;
    int64_t n_evaluations;
};

/* A change of state; refused (SN_ERR_CONFLICT) unless sn_job_state_can().
 * To running: attempts grows by one, started_ms is set the first time. To an
 * end: ended_ms is set. Leaving paused clears paused_by. */
struct sn_job_change {
    const char *id;
    enum sn_job_state to;
    enum sn_job_state stop_for;  /* with to == stopping */
    enum sn_paused_by paused_by; /* with to == paused */
    const char *reason;
    int64_t time_ms;
};

/* What a running job reports; a NULL string, or a step of -1, leaves the
 * stored value as it is. */
struct sn_job_snapshot {
    const char *id;
    const char *phase, *progress, *cost;
    int64_t supernet_step;
    const char *supernet_xxh3;
};

/* One line of the event log. `job` is "" for events of no job. */
struct sn_event {
    int64_t seq; /* the SSE id; grows for ever, also over restarts */
    const char *job;
    const char *type;
    const char *payload; /* JSON */
    int64_t time_ms;
};

/* One point of a curve; (job, name, step) is unique, the last write wins. */
struct sn_point {
    const char *job;
    const char *name; /* "train.loss", ... */
    int64_t step;
    double value;
    double epoch; /* or NAN */
    int64_t time_ms;
};

enum sn_eval_stage { SN_EVAL_EARLY, SN_EVAL_FINAL, SN_EVAL_VERIFY };
const char *sn_eval_stage_name(enum sn_eval_stage stage);
enum sn_err sn_eval_stage_parse(const char *name, enum sn_eval_stage *ret,
                                struct sn_error *err);

/* The latency of an architecture on a device under a runtime, as one job
 * knows it. */
struct sn_arch_latency {
    const char *device;  /* "host"; "" = no latency in this record */
    const char *runtime; /* "sparsenas", ... */
    double predicted_ms, measured_ms, ci_low_ms, ci_high_ms;
};

/* One architecture measured at one weights version. (job, arch, stage, split,
 * step) is unique: writing it again updates the row and keeps its seq, so a
 * replay after a resume makes no second row. */
struct sn_evaluation_record {
    int64_t seq;
    const char *job;
    const char *space; /* the space's name: arch ids are unique within it */
    const char *arch;  /* canonical text id */
    enum sn_eval_stage stage;
    const char *split; /* "holdout", "test", ... */
    int64_t step;      /* the weights version */
    int64_t phase_index;
    int64_t correct, images;
    double accuracy;  /* -1 or NAN in a write: correct / images */
    double predicted; /* by the predictor, or NAN */
    int64_t macs, params, peak_memory;
    struct sn_arch_latency latency;
    bool selected; /* it was chosen by this very accuracy */
    int64_t time_ms;
};

/* A fitted predictor. (job, stage, round) is unique; writing again replaces
 * it and its scores. */
struct sn_predictor {
    int64_t id;
    const char *job;
    enum sn_eval_stage stage; /* of the evaluations it was fitted on */
    int64_t round;
    int64_t step;
    const char *kind; /* "ridge", "mlp", ... */
    bool used;        /* whether the filter or search relied on it */
    double tau, tau_low, tau_high, spearman, mae;
    const char *quality; /* JSON: by band, signal, intervals, ... */
    int64_t n_scores;    /* in rows: how many pairs there are */
    int64_t time_ms;
};

/* How early held at the end of a job: one a job, written again it replaces. */
struct sn_outcome {
    const char *job;
    int64_t step;
    const char *body; /* JSON */
    int64_t time_ms;
};

/* An out-of-fold pair. */
struct sn_score {
    const char *arch;
    double predicted, measured;
    double cost; /* what the bands are over, or NAN */
};

/* What the filter kept. (job, round) is unique; writing again replaces it. */
struct sn_subspace {
    int64_t id;
    const char *job;
    int64_t round;
    int64_t step;
    int64_t n_scored;  /* how many the predictor looked at */
    int64_t n_members; /* in rows: how many are kept */
    const char *rule;  /* JSON: how and why */
    int64_t time_ms;
};

struct sn_member {
    int64_t position; /* from 0, the order in which they were written */
    const char *arch;
    double score;
    double cost; /* or NAN */
    int64_t band;
};

/* A block's latency, measured (or uploaded) for a device. (device, runtime,
 * fingerprint, key) is unique, the last write wins. */
struct sn_latency_record {
    const char *device;
    const char *runtime;
    const char *fingerprint; /* CPU, ISA, threads, library: a stale one is
                                simply another */
    const char *key;         /* the block and its shape */
    double median_ns, spread_ns;
    int64_t samples;
    int64_t time_ms;
};

/* A Pareto front at one weights version. */
struct sn_front {
    const char *job;
    const char *cost;   /* "latency_ms", "macs", ... */
    const char *device; /* "" for costs of no device */
    int64_t version;    /* in a write: 0 = the next; grows by one */
    int64_t as_of_step;
    const char *items; /* JSON */
    int64_t time_ms;
};

/* A checkpoint file that is in place, in the job's checkpoint folder. */
struct sn_checkpoint {
    const char *job;
    int64_t step;
    const char *phase; /* JSON or any text of the engine's */
    const char *file;  /* name within the folder, no slash */
    const char *xxh3;  /* 16 hex digits */
    int64_t bytes;
    int64_t time_ms;
};

/* Things that jobs name: one shape for four tables. */
enum sn_resource_kind {
    SN_RESOURCE_DATASET,
    SN_RESOURCE_SPACE,
    SN_RESOURCE_DEVICE,
    SN_RESOURCE_SUPERNET,
    SN_RESOURCE_KIND_COUNT
};

struct sn_resource {
    enum sn_resource_kind kind;
    const char *name; /* unique within the kind */
    const char *body; /* JSON */
    const char *path; /* file or folder, or "" */
    int64_t bytes;    /* of the file or folder, or 0 */
    const char *xxh3; /* of the file, or "" */
    int64_t time_ms;
};

#endif
