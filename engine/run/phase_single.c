/* evaluate and search of a job of one architecture: what it counts before and
 * after it is trained, and its latency as a static network.
 *
 *   before   stage early    hold-out, test images
 *   after    stage final    hold-out
 *   measure  stage verify   the same count with the latency, test images
 *
 * Nothing is chosen here, so both times may look at the test images. */
#include "engine/device/latency.h"
#include "engine/run/job.h"
#include "engine/run/single.h"

/* Hold-out images: those that no search chose by, see single.h. */
static struct sn_evaluate_settings settings_of(const struct sn_job *job,
                                               enum sn_split split)
{
    return (struct sn_evaluate_settings){
        .calibration = (uint32_t)job->spec->search.calibration,
        .split = split,
        .count = split == SN_SPLIT_TEST
                     ? sn_view_count(job->view, SN_SPLIT_TEST)
                     : (uint32_t)job->spec->sparsenas.probe_images,
    };
}

enum sn_err sn_single_evaluate(struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    enum sn_stage_kind stage = job->phases.phase[s->phase].stage;
    const bool before = stage == SN_STAGE_EARLY;
    struct sn_measured *m = before ? s->probe : s->final;
    struct sn_evaluate_settings settings = settings_of(job, SN_SPLIT_HOLDOUT);
    uint32_t tested = 0;

    sn_single_arch(job->spec, job->space, &m->arch);
    enum sn_err rc = sn_job_measure(job, &settings, stage, m, 1,
                                    before ? &s->n_probes : &s->n_final, err);
    if (rc != SN_OK || !before)
        return rc;
    struct sn_measured test = {.arch = m->arch};
    settings = settings_of(job, SN_SPLIT_TEST);
    return sn_job_measure(job, &settings, stage, &test, 1, &tested, err);
}

static enum sn_err measure_latency(struct sn_job *job,
                                   const struct sn_arch *arch,
                                   struct sn_latency *ret, struct sn_error *err)
{
    struct sn_static *net = NULL;
    enum sn_err rc = sn_evaluator_extract(
        job->evaluator, arch, (uint32_t)job->spec->search.calibration, &net,
        err);
    if (rc == SN_OK)
        rc = sn_latency_measure(job->cx, (const struct sn_static *const *)&net,
                                1, NULL, NULL, ret, err);
    sn_static_free(net);
    return rc;
}

/* There was no target: it is answered within its own latency. */
static void answer(const struct sn_job *job, const struct sn_evaluation *best,
                   const struct sn_evaluation *tested)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    struct sn_answer a = {
        .cost = SN_COST_LATENCY,
        .bound = best->latency.measured,
        .found = true,
        .best = *best,
        .test_accuracy = tested->accuracy,
        .test_images = tested->images,
        .test_correct = tested->correct,
    };
    if (cb->answer != NULL)
        cb->answer(cb->arg, 0, 1, &a);
}

enum sn_err sn_single_measure(struct sn_job *job, struct sn_error *err)
{
    const struct sn_evaluate_settings settings =
        settings_of(job, SN_SPLIT_TEST);
    struct sn_measured tested = {.arch = job->state.final[0].arch};
    struct sn_evaluation best, last;
    struct sn_latency latency;
    enum sn_err rc;

    if (sn_job_stopping(job))
        return SN_ERR_STOPPED;
    if ((rc = measure_latency(job, &tested.arch, &latency, err)) ||
        (rc = sn_job_count(job, &settings, &tested, err)))
        return rc;
    sn_job_evaluation(job, &job->state.final[0], SN_STAGE_VERIFY,
                      SN_SPLIT_HOLDOUT, &best);
    best.latency.measured = latency.median_ns * 1e-6;
    best.latency.lo = latency.low_ns * 1e-6;
    best.latency.hi = latency.high_ns * 1e-6;
    sn_job_evaluation(job, &tested, SN_STAGE_VERIFY, SN_SPLIT_TEST, &last);
    last.latency = best.latency;
    sn_job_report_evaluation(job, &best);
    sn_job_report_evaluation(job, &last);
    if ((rc = sn_job_report_fronts(job, &best, 1, err)) != SN_OK)
        return rc;
    answer(job, &best, &last);
    return SN_OK;
}
