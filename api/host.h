/* sn_host - what the API asks of the daemon: a table of functions that the
 * daemon fills, so that api/ needs nothing of daemon/.
 *
 * All are called on the loop thread and return at once; what takes time answers
 * by a callback, on the loop thread too. Pointers to views are valid until the
 * handler returns to the loop.
 */
#ifndef SN_HOST_H
#define SN_HOST_H

#include "engine/engine.h"
#include "storage/job_state.h"
#include "storage/storage.h"

/* A job as the loop's table knows it. Texts are JSON where named so. */
struct sn_job_view {
    const char *id, *name;
    uint64_t seq; /* order of submission */
    enum sn_job_state state;
    const char *reason;    /* why it failed or was stopped, or NULL */
    const char *paused_by; /* "user", "disk" or NULL */
    int priority;
    const char *spec_given_json, *spec_resolved_json, *labels_json;
    const struct sn_spec *spec;     /* resolved */
    double created, started, ended; /* Unix seconds, NAN if not yet */
    struct sn_progress progress;
    double best_accuracy;     /* NAN until there is one */
    uint64_t evaluations;     /* counted so far */
    uint64_t checkpoint_step; /* 0: none yet */
    char xxh3[17];            /* of the supernet's weights at that step */
    uint64_t revision;        /* grows with each change: ETag */
};

enum sn_dataset_state {
    SN_DATASET_READY,
    SN_DATASET_READING, /* not yet, or not again, looked at */
    SN_DATASET_FAILED   /* `problem` says why */
};

struct sn_dataset_view {
    const char *name, *path;
    const char *format; /* a name of sn_dataset_format_at() */
    struct sn_dataset_info info;
    bool builtin, available;
    const char *problem; /* when not available */
    enum sn_dataset_state state;
    bool uploaded; /* its files are the daemon's own */
    bool images;   /* made of JPEGs and PNGs: the options count */
    struct sn_dataset_options options;
    uint64_t done, all; /* images looked at, while reading; 0: not known */
    const char *const *classes; /* [info.classes], or NULL: no names */
    const char *const *corrupt; /* [info.corrupt] */
};

/* Borrowed for the call. */
struct sn_dataset_request {
    const char *name, *format;
    const char *path;   /* of a folder or archive, absolute, or NULL: */
    const char *upload; /* an archive; the callee has to remove the file */
    struct sn_dataset_options options;
};

struct sn_space_view {
    const struct sn_space *space;
    const char *json; /* what it was made from; NULL: built in */
};

#define SN_SUPERNET_OF_JOB "job-" /* begins the name of what a job left */

struct sn_supernet_view {
    const char *name, *space;
    const char *job;  /* that left it, or NULL: imported */
    const char *path; /* of its file, as GET .../weights.safetensors gives it */
    struct sn_supernet_info info;
    int64_t bytes;
    const char *xxh3; /* of the file */
    double created;   /* Unix seconds */
    bool available;
    const char *problem; /* when not available */
};

struct sn_supernet_import {
    const char *name;
    const char *space; /* "": the file names it */
    const char *path;
    bool take; /* it is the host's from now on, who removes it */
};

struct sn_supernet_model {
    const struct sn_supernet_view *supernet;
    struct sn_arch arch;
    const struct sn_dataset_view *calibration; /* NULL: what is held */
    enum sn_export_format format;
    bool plain_input; /* see sn_export */
};

struct sn_submission {
    const struct sn_spec *spec; /* resolved */
    const char *spec_given_json, *spec_resolved_json, *labels_json;
    const char *idempotency_key; /* NULL if none */
    const char *body_xxh3;       /* to tell a reused key from a repeat */
    /* The job's id where the daemon derives one, then no queue is too long for
     * it; NULL: a new one. */
    const char *id;
};

enum sn_job_action {
    SN_JOB_PAUSE,
    SN_JOB_RESUME,
    SN_JOB_CANCEL,
    SN_JOB_DELETE
};

/* `id` is of the job concerned; repeated: an earlier request with that key. */
typedef void (*sn_job_done)(void *arg, const struct sn_error *err,
                            const char *id, bool repeated);
typedef void (*sn_path_done)(void *arg, const struct sn_error *err,
                             const char *path);
typedef void (*sn_host_done)(void *arg, const struct sn_error *err);

struct sn_host {
    void *self;
    struct sn_storage *storage; /* borrowed */

    const struct sn_job_view *(*job_get)(void *self, const char *id);
    /* All jobs by seq; returns their number, *ret an array of pointers. */
    size_t (*job_list)(void *self, const struct sn_job_view *const **ret);
    /* done after the commit */
    void (*job_submit)(void *self, const struct sn_submission *submission,
                       sn_job_done done, void *arg);
    void (*job_control)(void *self, const char *id, enum sn_job_action action,
                        sn_job_done done, void *arg);

    size_t (*dataset_list)(void *self, const struct sn_dataset_view **ret);
    const struct sn_dataset_view *(*dataset_get)(void *self, const char *name);
    /* done when it is ready or refused; or, where that takes long, early with
     * the data set still being read. */
    void (*dataset_register)(void *self,
                             const struct sn_dataset_request *request,
                             sn_host_done done, void *arg);
    void (*dataset_delete)(void *self, const char *name, sn_host_done done,
                           void *arg);

    size_t (*space_list)(void *self, const struct sn_space_view **ret);
    const struct sn_space_view *(*space_get)(void *self, const char *name);
    /* The space has been checked; `json` is what it was made from. */
    void (*space_add)(void *self, const struct sn_space *space,
                      const char *json, sn_host_done done, void *arg);
    void (*space_delete)(void *self, const char *name, sn_host_done done,
                         void *arg);

    /* The path of a model of the job's newest weights, made if need be. */
    void (*model_export)(void *self, const char *id, const struct sn_arch *arch,
                         enum sn_export_format format, bool plain_input,
                         sn_path_done done, void *arg);

    size_t (*supernet_list)(void *self, const struct sn_supernet_view **ret);
    const struct sn_supernet_view *(*supernet_get)(void *self,
                                                   const char *name);
    void (*supernet_import)(void *self, const struct sn_supernet_import *order,
                            sn_host_done done, void *arg);
    /* SN_ERR_CONFLICT while a job that has not ended names it. */
    void (*supernet_delete)(void *self, const char *name, sn_host_done done,
                            void *arg);
    /* As model_export. */
    void (*supernet_export)(void *self, const struct sn_supernet_model *what,
                            sn_path_done done, void *arg);

    /* true when it can take and run jobs; else *ret_problem says why not. */
    bool (*ready)(void *self, const char **ret_problem);

    double job_memory; /* bytes: a job that will need more is refused */
};

/* The other direction: the daemon tells the API that an event is committed
 * (loop thread), see api/api.h. */

#endif
