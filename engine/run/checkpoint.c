/* A run's state as one safetensors file.
 *
 *   supernet tensors by name | momentum | teacher? | state.* | metadata
 *
 * What can be computed again from these is not stored.
 */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "engine/model/safetensors.h"
#include "engine/run/ids.h"
#include "engine/run/job.h"

#define FORMAT "sparsenas.checkpoint.1"

enum { MAX_STATE = 24, MAX_NOTES = 24, BAND_NUMBERS = 5 };

/* ---- writing ---- */

/* What a file is assembled from; owns the temporary buffers. */
struct draft {
    struct sn_st_tensor *tensor;
    size_t n;
    struct sn_note note[MAX_NOTES];
    char text[MAX_NOTES][96];
    size_t n_notes;
    void *owned[MAX_STATE];
    size_t n_owned;
    bool failed;
};

static void draft_free(struct draft *d)
{
    for (size_t i = 0; i < d->n_owned; i++)
        free(d->owned[i]);
    free(d->tensor);
}

static void *own(struct draft *d, void *memory)
{
    if (memory == NULL)
        d->failed = true;
    else
        d->owned[d->n_owned++] = memory;
    return memory;
}

static void put(struct draft *d, const char *name, enum sn_st_dtype dtype,
                size_t count, const void *data)
{
    if (data != NULL)
        d->tensor[d->n++] = sn_st_vector(name, dtype, count, data);
}

static void put_ids(struct draft *d, const char *name,
                    const struct sn_space *space, const void *list,
                    size_t stride, uint32_t n)
{
    char *text = own(d, sn_ids_join(space, list, stride, n));
    if (text != NULL)
        put(d, name, SN_ST_U8, strlen(text), text);
}

static void note(struct draft *d, const char *key, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));
static void note(struct draft *d, const char *key, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(d->text[d->n_notes], sizeof d->text[0], fmt, ap);
    va_end(ap);
    d->note[d->n_notes] = (struct sn_note){key, d->text[d->n_notes]};
    d->n_notes++;
}

static void put_measured(struct draft *d, const char *ids, const char *counts,
                         const struct sn_job *job,
                         const struct sn_measured *list, uint32_t n)
{
    if (n == 0)
        return;
    put_ids(d, ids, job->space, list, sizeof list[0], n);
    uint32_t *c = own(d, malloc((size_t)n * 4 * sizeof c[0]));
    for (uint32_t i = 0; c != NULL && i < n; i++) {
        memcpy(c + 4 * i, list[i].halves.correct, 2 * sizeof c[0]);
        memcpy(c + 4 * i + 2, list[i].halves.images, 2 * sizeof c[0]);
    }
    put(d, counts, SN_ST_U32, (size_t)n * 4, c);
}

static void put_subspace(struct draft *d, const struct sn_job *job)
{
    const struct sn_subspace *sub = job->state.subspace;
    if (sub == NULL)
        return;
    put_ids(d, "state.subspace.ids", job->space, sub->arch, sizeof sub->arch[0],
            sub->n);
    put(d, "state.subspace.scores", SN_ST_F64, sub->n, sub->score);
    double *b = own(d, malloc(sub->n_bands * BAND_NUMBERS * sizeof b[0] + 1));
    for (uint32_t i = 0; b != NULL && i < sub->n_bands; i++) {
        double *at = b + BAND_NUMBERS * i;
        at[0] = sub->band[i].macs_lo;
        at[1] = sub->band[i].macs_hi;
        at[2] = sub->band[i].threshold;
        at[3] = sub->band[i].scored;
        at[4] = sub->band[i].kept;
    }
    put(d, "state.subspace.bands", SN_ST_F64,
        (size_t)sub->n_bands * BAND_NUMBERS, b);
    note(d, "subspace_size", "%u", sub->n);
    note(d, "subspace_scored", "%u", sub->scored);
    note(d, "subspace_bands", "%u", sub->n_bands);
}

static void put_predictor(struct draft *d, const struct sn_job *job)
{
    const struct sn_predictor *p = job->state.predictor;
    if (p == NULL)
        return;
    size_t n = sn_predictor_size(p);
    double *w = own(d, malloc(n * sizeof w[0]));
    if (w == NULL)
        return;
    sn_predictor_get(p, w);
    put(d, "state.predictor", SN_ST_F64, n, w);
    note(d, "predictor_kind", "%s", sn_predictor_names[sn_predictor_kind(p)]);
}

static void put_weights(struct draft *d, struct sn_supernet *net)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(net, &t);
    for (size_t i = 0; i < n; i++) {
        struct sn_st_tensor *o = &d->tensor[d->n++];
        o->name = t[i].name;
        o->dtype = SN_ST_F32;
        o->ndim = t[i].ndim;
        memcpy(o->shape, t[i].shape, sizeof t[i].shape);
        o->data = sn_supernet_weights(net) + t[i].offset;
    }
}

static void put_notes(struct draft *d, const struct sn_job *job)
{
    const struct sn_job_state *s = &job->state;
    char retries[96] = "";
    size_t at = 0;
    for (uint32_t i = 0; i < s->n_retries; i++)
        at += (size_t)snprintf(retries + at, sizeof retries - at, "%u,",
                               s->retry_at[i]);
    note(d, "format", "%s", FORMAT);
    note(d, "space", "%s", job->space->name);
    note(d, "dataset_checksum", "%s", job->info.checksum);
    note(d, "phase", "%u", s->phase);
    note(d, "in_phase", "%llu", (unsigned long long)s->in_phase);
    note(d, "step", "%llu", (unsigned long long)s->step);
    note(d, "retries", "%s", retries);
    note(d, "probes", "%u", s->n_probes);
    note(d, "final", "%u", s->n_final);
    note(d, "recheck", "%u", s->n_recheck);
    note(d, "filter_trusted", "%d", s->filter_trusted);
}

static enum sn_err assemble(struct sn_job *job, struct draft *d,
                            struct sn_error *err)
{
    const struct sn_tensor *tensors;
    size_t size = sn_supernet_size(job->net);

    d->tensor = calloc(sn_supernet_tensors(job->net, &tensors) + MAX_STATE,
                       sizeof d->tensor[0]);
    if (d->tensor == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a checkpoint");
    put_weights(d, job->net);
    if (job->trainer != NULL) {
        put(d, "state.momentum", SN_ST_F32, size,
            sn_trainer_momentum(job->trainer));
        put(d, "state.teacher", SN_ST_F32, size,
            sn_trainer_teacher(job->trainer));
    }
    put(d, "state.cost", SN_ST_F64, SN_PHASE_KINDS * 4, job->state.cost);
    put_measured(d, "state.probe.ids", "state.probe.counts", job,
                 job->state.probe, job->state.n_probes);
    put(d, "state.probe.predicted", SN_ST_F64, job->state.n_probes,
        job->state.n_probes > 0 ? job->state.predicted : NULL);
    put_measured(d, "state.recheck.ids", "state.recheck.counts", job,
                 job->state.recheck, job->state.n_recheck);
    put_measured(d, "state.final.ids", "state.final.counts", job,
                 job->state.final, job->state.n_final);
    put_predictor(d, job);
    put_subspace(d, job);
    put_notes(d, job);
    return d->failed
               ? sn_error_set(err, SN_ERR_NOMEM, "no memory for a checkpoint")
               : SN_OK;
}

static enum sn_err hash_file(const char *path, char ret_hex[17],
                             uint64_t *ret_bytes, struct sn_error *err)
{
    struct stat st;
    enum sn_err rc = SN_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = sn_error_errno(err, errno, "reading back %s", path);
        goto out;
    }
    void *map = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
    if (map == MAP_FAILED) {
        rc = sn_error_errno(err, errno, "reading back %s", path);
        goto out;
    }
    snprintf(ret_hex, 17, "%016llx",
             (unsigned long long)XXH3_64bits(map, (size_t)st.st_size));
    *ret_bytes = (uint64_t)st.st_size;
    munmap(map, (size_t)st.st_size);
out:
    if (fd >= 0)
        close(fd);
    return rc;
}

enum sn_err sn_job_checkpoint(struct sn_job *job, struct sn_error *err)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    struct draft draft = {0};
    char path[4096], file_hex[17], weights_hex[17];
    uint64_t bytes = 0;

    int len = snprintf(path, sizeof path,
                       "%s/checkpoint-%09llu-%02u.safetensors", job->run->dir,
                       (unsigned long long)job->state.step, job->state.phase);
    if (len < 0 || (size_t)len >= sizeof path)
        return sn_error_set(err, SN_ERR_INVALID,
                            "the state folder's path is "
                            "too long");
    sn_job_spend(job, 0, 0);
    enum sn_err rc = assemble(job, &draft, err);
    if (rc == SN_OK)
        rc = sn_safetensors_write(path, draft.tensor, draft.n, draft.note,
                                  draft.n_notes, err);
    draft_free(&draft);
    if (rc == SN_OK)
        rc = hash_file(path, file_hex, &bytes, err);
    if (rc != SN_OK)
        return rc;
    snprintf(weights_hex, sizeof weights_hex, "%016llx",
             (unsigned long long)XXH3_64bits(sn_supernet_weights(job->net),
                                             sn_supernet_size(job->net) *
                                                 sizeof(float)));
    job->last_checkpoint = sn_job_now();
    if (cb->checkpoint == NULL)
        return SN_OK;
    return cb->checkpoint(cb->arg, path, job->state.step,
                          job->phases.phase[job->state.phase].name, weights_hex,
                          file_hex, bytes, err);
}

/* ---- reading ---- */

static enum sn_err get_weights(const struct sn_safetensors *file,
                               struct sn_supernet *net, struct sn_error *err)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(net, &t);
    for (size_t i = 0; i < n; i++) {
        const void *data;
        enum sn_err rc = sn_safetensors_get(file, t[i].name, SN_ST_F32,
                                            t[i].count, &data, err);
        if (rc != SN_OK)
            return rc;
        memcpy(sn_supernet_weights(net) + t[i].offset, data,
               t[i].count * sizeof(float));
    }
    return SN_OK;
}

static enum sn_err get_measured(const struct sn_safetensors *file,
                                const char *ids, const char *counts,
                                const struct sn_space *space,
                                struct sn_measured *list, uint32_t n,
                                struct sn_error *err)
{
    const void *data;
    if (n == 0)
        return SN_OK;
    enum sn_err rc =
        sn_ids_split(file, ids, space, list, sizeof list[0], n, err);
    if (rc == SN_OK)
        rc = sn_safetensors_get(file, counts, SN_ST_U32, (size_t)n * 4, &data,
                                err);
    if (rc != SN_OK)
        return rc;
    const uint32_t *c = data;
    for (uint32_t i = 0; i < n; i++) {
        memcpy(list[i].halves.correct, c + 4 * i, 2 * sizeof c[0]);
        memcpy(list[i].halves.images, c + 4 * i + 2, 2 * sizeof c[0]);
    }
    return SN_OK;
}

static enum sn_err get_number(const struct sn_safetensors *file,
                              const char *key, uint64_t max, uint64_t *ret,
                              struct sn_error *err)
{
    uint64_t v;
    enum sn_err rc = sn_safetensors_note_u64(file, key, &v, err);
    if (rc == SN_OK && v > max)
        rc = sn_error_set(err, SN_ERR_CORRUPT, "%s is out of range", key);
    if (rc == SN_OK)
        *ret = v;
    return rc;
}

static enum sn_err get_predictor(const struct sn_safetensors *file,
                                 struct sn_job *job, struct sn_error *err)
{
    const void *data;
    /* ridge is all that checkpoints without a kind knew */
    const char *name = sn_safetensors_note(file, "predictor_kind");
    enum sn_predictor_kind kind = SN_PREDICTOR_RIDGE;
    if (name != NULL && strcmp(name, sn_predictor_names[SN_PREDICTOR_MLP]) == 0)
        kind = SN_PREDICTOR_MLP;
    size_t n = sn_predictor_numbers(job->space, kind);
    if (sn_safetensors_find(file, "state.predictor") == NULL)
        return SN_OK;
    enum sn_err rc =
        sn_safetensors_get(file, "state.predictor", SN_ST_F64, n, &data, err);
    if (rc != SN_OK)
        return rc;
    return sn_predictor_from(job->space, kind, data, n, &job->state.predictor,
                             err);
}

static enum sn_err get_subspace(const struct sn_safetensors *file,
                                struct sn_job *job, struct sn_error *err)
{
    uint64_t n, scored, bands;
    const void *scores, *numbers;
    struct sn_subspace_band band[SN_MAX_BANDS];
    struct sn_arch *members = NULL;
    enum sn_err rc;

    if (sn_safetensors_find(file, "state.subspace.scores") == NULL)
        return SN_OK;
    if ((rc = get_number(file, "subspace_size", 1u << 24, &n, err)) ||
        (rc = get_number(file, "subspace_scored", UINT32_MAX, &scored, err)) ||
        (rc = get_number(file, "subspace_bands", SN_MAX_BANDS, &bands, err)) ||
        (rc = sn_safetensors_get(file, "state.subspace.scores", SN_ST_F64, n,
                                 &scores, err)) ||
        (rc = sn_safetensors_get(file, "state.subspace.bands", SN_ST_F64,
                                 bands * BAND_NUMBERS, &numbers, err)))
        return rc;
    members = calloc(n, sizeof members[0]);
    if (members == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for the sub-space");
    for (uint64_t i = 0; i < bands; i++) {
        const double *at = (const double *)numbers + BAND_NUMBERS * i;
        band[i] = (struct sn_subspace_band){at[0], at[1], at[2],
                                            (uint32_t)at[3], (uint32_t)at[4]};
    }
    rc = sn_ids_split(file, "state.subspace.ids", job->space, members,
                      sizeof members[0], (uint32_t)n, err);
    if (rc == SN_OK)
        rc = sn_subspace_from(job->space, members, scores, (uint32_t)n,
                              (uint32_t)scored, band, (uint32_t)bands,
                              &job->state.subspace, err);
    free(members);
    return rc;
}

static enum sn_err get_retries(const struct sn_safetensors *file,
                               struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    const char *text = sn_safetensors_note(file, "retries");
    s->n_retries = 0;
    for (const char *at = text; at != NULL && *at != '\0';) {
        char *end;
        unsigned long where = strtoul(at, &end, 10);
        if (end == at || *end != ',' || s->n_retries == 16 ||
            where >= (unsigned long)job->phases.n ||
            job->phases.phase[where].kind != SN_PHASE_FILTER ||
            !sn_strategy_insert_retry(&job->phases, (int)where))
            return sn_error_set(err, SN_ERR_CORRUPT, "'retries' is damaged");
        s->retry_at[s->n_retries++] = (uint32_t)where;
        at = end + 1;
    }
    return SN_OK;
}

static uint64_t most_probes(const struct sn_job *job)
{
    return (uint64_t)sn_budget_probes(
        job->spec, job->space, &job->info,
        (uint32_t)job->spec->sparsenas.max_retries);
}

static enum sn_err get_numbers(const struct sn_safetensors *file,
                               struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    uint64_t phase, probes, finals, trusted, rechecked = 0;
    enum sn_err rc;
    if ((rc = get_number(file, "phase", (uint64_t)job->phases.n - 1, &phase,
                         err)) ||
        (rc = get_number(file, "in_phase", job->phases.phase[phase].steps,
                         &s->in_phase, err)) ||
        (rc = get_number(file, "step", UINT64_MAX, &s->step, err)) ||
        (rc = get_number(file, "probes", most_probes(job), &probes, err)) ||
        (rc = get_number(file, "final", (uint64_t)job->spec->search.evaluations,
                         &finals, err)) ||
        (rc = get_number(file, "filter_trusted", 1, &trusted, err)))
        return rc;
    if (sn_safetensors_note(file, "recheck") != NULL &&
        (rc =
             get_number(file, "recheck", (uint64_t)job->spec->sparsenas.recheck,
                        &rechecked, err)) != SN_OK)
        return rc;
    s->n_recheck = (uint32_t)rechecked;
    s->phase = (uint32_t)phase;
    s->n_probes = (uint32_t)probes;
    s->n_final = (uint32_t)finals;
    s->filter_trusted = trusted != 0;
    return SN_OK;
}

static enum sn_err get_training(const struct sn_safetensors *file,
                                struct sn_job *job, struct sn_error *err)
{
    size_t size = sn_supernet_size(job->net);
    const void *data;
    enum sn_err rc =
        sn_safetensors_get(file, "state.momentum", SN_ST_F32, size, &data, err);
    if (rc != SN_OK)
        return rc;
    memcpy(sn_trainer_momentum(job->trainer), data, size * sizeof(float));
    if (sn_safetensors_find(file, "state.teacher") == NULL)
        return SN_OK;
    rc = sn_safetensors_get(file, "state.teacher", SN_ST_F32, size, &data, err);
    return rc != SN_OK ? rc : sn_trainer_keep_teacher(job->trainer, data, err);
}

/* A checkpoint that did not keep them forgot probes when they were fitted. */
static enum sn_err get_predicted(const struct sn_safetensors *file,
                                 struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    enum sn_phase_kind kind = job->phases.phase[s->phase].kind;
    const void *data;
    if (sn_safetensors_find(file, "state.probe.predicted") == NULL) {
        if (kind != SN_PHASE_PROBE && kind != SN_PHASE_FIT)
            s->n_probes = 0;
        return SN_OK;
    }
    enum sn_err rc = sn_safetensors_get(file, "state.probe.predicted",
                                        SN_ST_F64, s->n_probes, &data, err);
    if (rc == SN_OK)
        memcpy(s->predicted, data, s->n_probes * sizeof s->predicted[0]);
    return rc;
}

static enum sn_err get_arrays(const struct sn_safetensors *file,
                              struct sn_job *job, struct sn_error *err)
{
    struct sn_job_state *s = &job->state;
    const void *data;
    enum sn_err rc = SN_OK;

    if (job->trainer != NULL && (rc = get_training(file, job, err)) != SN_OK)
        return rc;
    rc = sn_safetensors_get(file, "state.cost", SN_ST_F64, SN_PHASE_KINDS * 4,
                            &data, err);
    if (rc != SN_OK)
        return rc;
    memcpy(s->cost, data, sizeof s->cost);
    if ((rc = get_measured(file, "state.probe.ids", "state.probe.counts",
                           job->space, s->probe, s->n_probes, err)) ||
        (rc = get_measured(file, "state.final.ids", "state.final.counts",
                           job->space, s->final, s->n_final, err)) ||
        (rc = get_measured(file, "state.recheck.ids", "state.recheck.counts",
                           job->space, s->recheck, s->n_recheck, err)))
        return rc;
    return get_predicted(file, job, err);
}

static enum sn_err open_checkpoint(const char *path, const char *space,
                                   struct sn_safetensors **ret,
                                   struct sn_error *err)
{
    struct sn_safetensors *file;
    enum sn_err rc = sn_safetensors_open(path, &file, err);
    if (rc != SN_OK)
        return rc;
    const char *format = sn_safetensors_note(file, "format");
    const char *has = sn_safetensors_note(file, "space");
    if (format == NULL || strcmp(format, FORMAT) != 0)
        rc = sn_error_set(err, SN_ERR_CORRUPT, "%s is no checkpoint", path);
    else if (has == NULL || strcmp(has, space) != 0)
        rc = sn_error_set(err, SN_ERR_CONFLICT,
                          "%s belongs to another space than %s", path, space);
    if (rc != SN_OK) {
        sn_safetensors_free(file);
        return rc;
    }
    *ret = file;
    return SN_OK;
}

enum sn_err sn_job_restore(struct sn_job *job, struct sn_error *err)
{
    struct sn_safetensors *file = NULL;
    const char *path = job->run->resume;
    enum sn_err rc = open_checkpoint(path, job->space->name, &file, err);
    if (rc != SN_OK)
        return rc;
    const char *sum = sn_safetensors_note(file, "dataset_checksum");
    if (sum == NULL || strcmp(sum, job->info.checksum) != 0)
        rc = sn_error_set(err, SN_ERR_CONFLICT,
                          "the data set has changed since the checkpoint");
    if (rc == SN_OK)
        rc = get_retries(file, job, err);
    if (rc == SN_OK)
        rc = get_numbers(file, job, err);
    if (rc == SN_OK)
        rc = get_weights(file, job->net, err);
    if (rc == SN_OK)
        rc = get_arrays(file, job, err);
    if (rc == SN_OK)
        rc = get_predictor(file, job, err);
    if (rc == SN_OK)
        rc = get_subspace(file, job, err);
    if (rc != SN_OK)
        sn_error_wrap(err, "resuming from %s", path);
    sn_safetensors_free(file);
    return rc;
}

bool sn_is_checkpoint(const char *path)
{
    struct sn_safetensors *file = NULL;
    if (sn_safetensors_open(path, &file, NULL) != SN_OK)
        return false;
    const char *format = sn_safetensors_note(file, "format");
    bool is = format != NULL && strcmp(format, FORMAT) == 0;
    sn_safetensors_free(file);
    return is;
}

enum sn_err sn_checkpoint_weights(const char *path, struct sn_supernet *net,
                                  struct sn_error *err)
{
    struct sn_safetensors *file = NULL;
    enum sn_err rc =
        open_checkpoint(path, sn_supernet_space(net)->name, &file, err);
    if (rc == SN_OK)
        rc = get_weights(file, net, err);
    sn_safetensors_free(file);
    return rc;
}
