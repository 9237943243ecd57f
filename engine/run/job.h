/* sn_job - a run in flight: everything that its phases share.
 *
 * Visible inside engine/run/ only. Lives on the conductor's thread; workers see
 * parts of it through the trainer and the evaluator alone.
 *
 *   run.c         makes it, walks the phases, closes it
 *   checkpoint.c  its state to a file and back
 *   report.c      progress, series and evaluations to the callbacks
 *   phase_*.c     one file a phase or a few that belong together; the ends of a
 *                 job of one architecture are in phase_single.c
 */
#ifndef SN_JOB_H
#define SN_JOB_H

#include "engine/device/host.h"
#include "engine/device/table.h"
#include "engine/engine.h"
#include "engine/run/budget.h"
#include "engine/run/strategy.h"
#include "engine/search/predictor.h"
#include "engine/search/quality.h"
#include "engine/search/subspace.h"
#include "engine/train/evaluate.h"
#include "engine/train/trainer.h"

/* An architecture measured in this job: what is kept of it. */
struct sn_measured {
    struct sn_arch arch; /* first: see sn_job_order() */
    struct sn_halves halves;
};

/* The part that a checkpoint holds, beside weights and momentum. */
struct sn_job_state {
    uint32_t phase;                   /* index into the list of phases */
    uint64_t in_phase;                /* training steps done of it */
    uint64_t step;                    /* training steps done in all */
    uint32_t n_retries, retry_at[16]; /* filters that were not trusted */
    struct sn_measured *probe;        /* of the present probing */
    uint32_t n_probes;
    double *predicted; /* of each probe, out of fold; filled by the fit */
    struct sn_measured *final;
    uint32_t n_final;
    struct sn_measured *recheck; /* probes, measured again at the end */
    uint32_t n_recheck;
    struct sn_predictor *predictor; /* the early one, NULL before the first */
    struct sn_subspace *subspace;   /* NULL: the whole space */
    bool filter_trusted;            /* what the last fit said */
    bool has_teacher;
    struct sn_phase_cost cost[SN_PHASE_KINDS];
};

struct sn_job {
    const struct sn_run *run;
    const struct sn_spec *spec;
    const struct sn_space *space;
    struct sn_dataset_info info;
    struct sn_target target;
    struct sn_bands bands;
    struct sn_arch veto[SN_MAX_VETO]; /* never drawn, never answered */
    uint32_t n_veto;

    struct sn_compute *compute;
    struct sn_cx *cx; /* the conductor's own */
    struct sn_pool *pool;
    struct sn_view *view;
    struct sn_supernet *net;
    struct sn_trainer *trainer;
    struct sn_evaluator *evaluator;
    struct sn_table *table; /* latencies on this host */

    struct sn_strategy_phases phases;
    double phase_macs[SN_MAX_PHASES]; /* forecast, for the progress bar */
    double total_macs;
    struct sn_job_state state;

    /* bookkeeping of this attempt */
    double started, start_fraction; /* seconds (monotonic); work done before */
    double last_progress, last_checkpoint;
    double phase_wall, phase_cpu; /* when its cost was last taken */
    double phase_done;            /* share of a phase that does not train */
    double list_from, list_share; /* the part of it that a list makes up */
    double rate_images, rate_time, images_per_s;
    struct {
        double loss, accuracy, waited_s;
        uint32_t n;
    } window; /* of training steps since the last point of the series */
};

/* ---- checkpoint.c ---- */
/* Writes the state to a new file and reports it. */
enum sn_err sn_job_checkpoint(struct sn_job *job, struct sn_error *err);
/* Fills state, weights and momentum from job->run->resume. */
enum sn_err sn_job_restore(struct sn_job *job, struct sn_error *err);
bool sn_is_checkpoint(const char *path);
/* Reads only the weights of a checkpoint into `net`. */
enum sn_err sn_checkpoint_weights(const char *path, struct sn_supernet *net,
                                  struct sn_error *err);

/* ---- supernet.c ---- */
/* The names of the classes, one a line; NULL where the data set has none. Owned
 * by the caller. */
char *sn_class_labels(const struct sn_dataset *data);
/* The weights of job->run->weights instead of new ones. */
enum sn_err sn_job_take_weights(struct sn_job *job, struct sn_error *err);
/* Leaves the trained ones at job->run->keep. */
enum sn_err sn_job_keep_weights(struct sn_job *job, struct sn_error *err);

/* ---- report.c ---- */
double sn_job_now(void); /* seconds, monotonic */
void sn_job_log(const struct sn_job *job, enum sn_log_level level,
                const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void sn_job_series(const struct sn_job *job, const char *name, double value);
/* Counts work into the present phase's cost. */
void sn_job_spend(struct sn_job *job, double images, double macs);
/* Reports progress, at most four times a second unless `always`. */
void sn_job_progress(struct sn_job *job, bool always);
/* Fills in costs and predicted latency. */
void sn_job_evaluation(const struct sn_job *job, const struct sn_measured *m,
                       enum sn_stage_kind stage, enum sn_split split,
                       struct sn_evaluation *ret);
void sn_job_report_evaluation(const struct sn_job *job,
                              const struct sn_evaluation *evaluation);
/* The fronts of these evaluations, one for each cost of the spec, and their
 * hypervolume as a series. */
enum sn_err sn_job_report_fronts(struct sn_job *job,
                                 const struct sn_evaluation *items, uint32_t n,
                                 struct sn_error *err);
bool sn_job_stopping(const struct sn_job *job);
double sn_measured_accuracy(const struct sn_measured *m);
/* The predicted latency in ms. */
double sn_job_latency_ms(const struct sn_job *job, const struct sn_arch *arch);

/* ---- phases: SN_OK when done, SN_ERR_STOPPED when stopped in between ---- */
enum sn_err sn_phase_prepare(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_train(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_probe(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_fit(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_filter(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_evaluate(struct sn_job *job, struct sn_error *err);
enum sn_err sn_phase_search(struct sn_job *job, struct sn_error *err);

struct sn_veto sn_job_veto(const struct sn_job *job);
/* What the filter and the choice of candidates score: a large sample of the
 * space, or what an earlier round kept. */
void sn_job_filter_params(const struct sn_job *job,
                          struct sn_filter_params *ret);
/* evaluate and search of a job of one architecture. */
enum sn_err sn_single_evaluate(struct sn_job *job, struct sn_error *err);
enum sn_err sn_single_measure(struct sn_job *job, struct sn_error *err);

/* Sorts architectures, or what begins with one, by resolution, so that images
 * are decoded and resized once for all that take them alike. */
void sn_job_order(const struct sn_job *job, void *list, uint32_t n,
                  size_t size);
/* Measures list[*n_done..n) in small groups, reporting each; a stop in between
 * leaves *n_done where it got. Shared by probe and evaluate. */
enum sn_err sn_job_measure(struct sn_job *job,
                           const struct sn_evaluate_settings *settings,
                           enum sn_stage_kind stage, struct sn_measured *list,
                           uint32_t n, uint32_t *n_done, struct sn_error *err);
/* Measures some of the last probes again and reports how early held. */
enum sn_err sn_job_recheck(struct sn_job *job,
                           const struct sn_evaluate_settings *settings,
                           struct sn_error *err);
/* How many the present probing takes. */
uint32_t sn_job_probes(const struct sn_job *job);
/* A fitted predictor, and what was found with it. */
struct sn_fit {
    struct sn_predictor *predictor; /* owned by the caller */
    struct sn_signal signal;
    bool trusted; /* a filter may stand on it */
};
/* One architecture, its cost counted, without a report of it. */
enum sn_err sn_job_count(struct sn_job *job,
                         const struct sn_evaluate_settings *settings,
                         struct sn_measured *m, struct sn_error *err);
/* Fits a predictor on measured architectures and reports its quality.
 * ret_predicted [n], or NULL: the predictions out of fold. */
enum sn_err sn_job_fit(struct sn_job *job, enum sn_stage_kind stage,
                       const struct sn_measured *list, uint32_t n,
                       struct sn_fit *ret, double *ret_predicted,
                       struct sn_error *err);

#endif
