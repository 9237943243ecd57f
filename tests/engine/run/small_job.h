/* sn_small_job - small whole jobs through the engine's door, for tests: what
 * they report is checked as it comes and kept, and they can be stopped
 * anywhere.
 *
 * Fails the test on any error. Include after cmocka.h.
 */
#ifndef SN_RUN_SMALL_JOB_H
#define SN_RUN_SMALL_JOB_H

#include "engine/engine.h"
#include "tests/engine/train/fixture.h"

enum { SN_SMALL_JOB_FINAL = 64, SN_SMALL_JOB_VISITS = 32 };

enum sn_small_stop {
    SN_STOP_NEVER,
    SN_STOP_AT_STEP,
    SN_STOP_AT_EARLY,
    SN_STOP_AT_FINAL,
    SN_STOP_AT_PHASE
};

/* A job's attempts and what they reported. */
struct sn_small_job {
    struct sn_spec spec;
    const struct sn_dataset *data; /* borrowed */
    char dir[64], checkpoint[512], xxh3[32];
    const char *weights, *keep;
    uint64_t step;
    atomic_int stop;
    enum sn_small_stop stop_at; /* the n-th of these */
    int stop_n;
    enum sn_phase_kind stop_phase;

    enum sn_phase_kind visit[SN_SMALL_JOB_VISITS];
    int visits;
    int n_early, n_final, n_verify, n_predictor, n_subspace, n_front, n_series,
        n_checkpoint, n_answer, n_found, n_log;
    uint32_t n_latencies; /* of a program's first; later ones take its */
    struct sn_evaluation final[SN_SMALL_JOB_FINAL];
    struct sn_evaluation early; /* the last */
    struct sn_outcome_report outcome;
    int n_outcome;
    bool unfiltered; /* it said so */
    struct sn_subspace_report subspace;
    struct sn_arch *members; /* of it */
    char verdict[256];
    bool used;
    struct sn_evaluation last[SN_STAGE_KINDS][3]; /* of a stage and split */
    double fraction;
};

/* Three epochs; not resolved, so that a job may set more. */
void sn_small_job_spec(struct sn_spec *s, enum sn_strategy strategy,
                       int workers);
/* supernet: the name of weights to search, or "". */
void sn_small_job_init_for(struct sn_small_job *j,
                           const struct sn_dataset *data,
                           enum sn_strategy strategy, int workers,
                           const char *supernet);
void sn_small_job_init(struct sn_small_job *j, const struct sn_dataset *data,
                       enum sn_strategy strategy, int workers);
/* Of a spec that is set and the rest zero: resolves it and makes a folder. */
void sn_small_job_begin(struct sn_small_job *j, const struct sn_dataset *data);
void sn_small_job_close(struct sn_small_job *j);
/* From the last checkpoint if `resume`. */
enum sn_err sn_small_job_attempt(struct sn_small_job *j, bool resume,
                                 struct sn_error *err);
/* Whether a latency was measured whose key begins so. */
bool sn_small_job_has_latency(const char *prefix);
/* An attempt that nothing stops. */
void sn_small_job_run(struct sn_small_job *j, bool resume);
void sn_small_job_assert_same_end(const struct sn_small_job *a,
                                  const struct sn_small_job *b);

#endif
