/* Small whole jobs through the engine's door, for tests: what they report is
 * checked as it comes and kept, and they can be stopped anywhere.
 *
 * Fails the test on any error. Include after cmocka.h.
 */
#ifndef SN_RUN_SMALL_JOB_H
#define SN_RUN_SMALL_JOB_H

#include "engine/engine.h"
#include "tests/engine/train/fixture.h"

enum { MAX_FINAL = 64, MAX_VISITS = 32, MAX_ROWS = 4096 };

extern struct sn_small_set set; /* whoever runs jobs makes and closes it */
/* As the first run measured them; later ones need not. */
struct latencies {
    char fingerprint[256];
    struct sn_latency_row rows[MAX_ROWS];
    uint32_t n;
};
extern struct latencies latencies;

enum stop_at { NEVER, AT_STEP, AT_EARLY, AT_FINAL, AT_PHASE };

/* A job's attempts and what they reported. */
struct job {
    struct sn_spec spec;
    char dir[64], checkpoint[512], xxh3[32];
    const char *weights, *keep;
    uint64_t step;
    atomic_int stop;
    enum stop_at stop_at; /* the n-th of these */
    int stop_n;
    enum sn_phase_kind stop_phase;

    enum sn_phase_kind visit[MAX_VISITS];
    int visits;
    int n_early, n_final, n_verify, n_predictor, n_subspace, n_front, n_series,
        n_checkpoint, n_answer, n_log;
    struct sn_evaluation final[MAX_FINAL];
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

/* Not resolved yet: three epochs of a job that may set more. */
void small_spec(struct sn_spec *s, enum sn_strategy strategy, int workers);
/* In three epochs. supernet: the name of weights to search, or "". */
void job_init_for(struct job *j, enum sn_strategy strategy, int workers,
                  const char *supernet);
void job_init(struct job *j, enum sn_strategy strategy, int workers);
void job_close(struct job *j);
/* From the last checkpoint if `resume`. */
enum sn_err attempt(struct job *j, bool resume, struct sn_error *err);
void run_to_end(struct job *j, bool resume);
void assert_same_end(const struct job *a, const struct job *b);

#endif
