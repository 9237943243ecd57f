/* warmup and train: a phase's steps over the one training loop. */
#include <math.h>
#include <string.h>

#include "engine/run/job.h"
#include "engine/train/schedule.h"

static const enum sn_sampler_kind sampler_of[] = {
    [SN_DRAW_LARGEST] = SN_SAMPLE_LARGEST,
    [SN_DRAW_PATHS] = SN_SAMPLE_PATHS,
    [SN_DRAW_SANDWICH] = SN_SAMPLE_SANDWICH,
    [SN_DRAW_ATTENTIVE] = SN_SAMPLE_SANDWICH,
    [SN_DRAW_COUPLED] = SN_SAMPLE_COUPLED,
    [SN_DRAW_FAIR] = SN_SAMPLE_FAIR,
    [SN_DRAW_FIXED] = SN_SAMPLE_FIXED,
};
static const enum sn_trainer_teach teach_of[] = {
    [SN_TEACH_NONE] = SN_TRAINER_TEACH_NONE,
    [SN_TEACH_LARGEST] = SN_TRAINER_TEACH_LARGEST,
    [SN_TEACH_LARGEST_ALPHA] = SN_TRAINER_TEACH_LARGEST,
    [SN_TEACH_FIXED] = SN_TRAINER_TEACH_FIXED,
};
static const enum sn_schedule_kind schedule_of[] = {
    [SN_RATE_COSINE] = SN_SCHEDULE_COSINE,
    [SN_RATE_COOLED] = SN_SCHEDULE_COOLED,
    [SN_RATE_LINEAR] = SN_SCHEDULE_LINEAR,
    [SN_RATE_EXPONENTIAL] = SN_SCHEDULE_EXPONENTIAL,
};

/* The largest and the smallest kept are the sandwich's ends, all at one
 * resolution: that is the step's. */
static void narrow(const struct sn_job *job, struct sn_sampler *sampler)
{
    const struct sn_subspace *sub = job->state.subspace;
    double lo = INFINITY, hi = -INFINITY;

    sampler->members = sub->arch;
    sampler->n_members = sub->n;
    sampler->exploration = job->spec->sparsenas.exploration;
    for (uint32_t i = 0; i < sub->n; i++) {
        struct sn_arch arch = sub->arch[i];
        arch.resolution = job->space->resolution;
        double macs = sn_target_macs(&job->target, &arch);
        if (macs < lo) {
            lo = macs;
            sampler->smallest = sub->arch[i];
        }
        if (macs > hi) {
            hi = macs;
            sampler->largest = sub->arch[i];
        }
    }
}

static void make_sampler(const struct sn_job *job,
                         const struct sn_strategy_phase *p,
                         struct sn_sampler *ret)
{
    sn_sampler_init(ret, job->space, sampler_of[p->draw], p->subnets,
                    &p->limits);
    ret->elastic_kernels = p->elastic_kernels;
    ret->fixed = p->fixed;
    if (p->candidates > 0) {
        ret->candidates = p->candidates;
        ret->bands = p->bands;
    }
    if (p->in_subspace && job->state.subspace != NULL)
        narrow(job, ret);
}

static void sort_channels(struct sn_job *job, const struct sn_strategy_phase *p)
{
    float *also[2] = {sn_trainer_momentum(job->trainer),
                      sn_trainer_teacher(job->trainer)};
    sn_supernet_sort_channels(job->net, &p->sort_bands, also,
                              also[1] != NULL ? 2 : 1);
    sn_trainer_teacher_changed(job->trainer);
}

/* Steps between two points of the series: about fifty an epoch. */
static uint64_t series_stride(const struct sn_job *job)
{
    uint64_t n = sn_trainer_epoch_steps(job->trainer) / 50;
    return n < 1 ? 1 : n;
}

static void follow(struct sn_job *job, const struct sn_trainer_result *r,
                   double rate)
{
    job->window.loss += r->loss;
    job->window.accuracy += r->accuracy;
    job->window.waited_s += r->waited_s;
    job->window.n++;
    sn_job_spend(job, r->images, r->macs);
    if (job->state.step % series_stride(job) == 0) {
        sn_job_series(job, "loss", job->window.loss / job->window.n);
        sn_job_series(job, "accuracy", job->window.accuracy / job->window.n);
        sn_job_series(job, "learning_rate", rate);
        if (job->info.variable)
            sn_job_series(job, "stall_ms",
                          1e3 * job->window.waited_s / job->window.n);
        if (job->images_per_s > 0)
            sn_job_series(job, "images_per_s", job->images_per_s);
        memset(&job->window, 0, sizeof job->window);
    }
    sn_job_progress(job, false);
}

static enum sn_err one_step(struct sn_job *job,
                            const struct sn_strategy_phase *p,
                            const struct sn_sampler *sampler,
                            struct sn_error *err)
{
    struct sn_schedule schedule = {
        .kind = schedule_of[p->rate],
        .rate = p->rate_scale * job->spec->train.learning_rate,
        .steps = p->steps,
        .rise = (uint64_t)(job->spec->train.warmup_share * (double)p->steps),
    };
    struct sn_trainer_step step = {
        .sampler = sampler,
        .teach = teach_of[p->teach],
        .kd_ratio = job->spec->train.kd_ratio,
        .alpha_clip = p->alpha_clip,
        .worst = p->worst,
        .rate = sn_schedule_rate(&schedule, job->state.in_phase),
        .step = job->state.step,
    };
    struct sn_trainer_result result;
    enum sn_err rc = sn_trainer_step(job->trainer, &step, &result, err);
    if (rc != SN_OK)
        return rc;
    job->state.step++;
    job->state.in_phase++;
    follow(job, &result, step.rate);
    return SN_OK;
}

enum sn_err sn_phase_train(struct sn_job *job, struct sn_error *err)
{
    const struct sn_strategy_phase *p = &job->phases.phase[job->state.phase];
    struct sn_sampler sampler;
    enum sn_err rc;

    if (p->sort && job->state.in_phase == 0)
        sort_channels(job, p);
    make_sampler(job, p, &sampler);
    while (job->state.in_phase < p->steps) {
        if (sn_job_stopping(job))
            return SN_ERR_STOPPED;
        if ((rc = one_step(job, p, &sampler, err)) != SN_OK)
            return rc;
        if (sn_job_now() - job->last_checkpoint >
            job->spec->train.checkpoint_s) {
            if ((rc = sn_job_checkpoint(job, err)) != SN_OK)
                return rc;
        }
    }
    if (p->keep_teacher)
        return sn_trainer_keep_teacher(job->trainer, NULL, err);
    return SN_OK;
}
