/* oneDNN's 1x1 convolutions: created once a shape, run without a lock. */
#include <dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compute/context.h"
#include "engine/compute/primitives.h"

enum kind { FORWARD = 1, WEIGHTS };

struct key {
    enum kind kind;
    struct sn_conv1 s; /* channels rounded up */
};

/* Shared, never changed once in the table. */
struct primitive {
    struct key key;
    dnnl_primitive_t run;
    dnnl_memory_desc_t src, weights, dst, scratch;
    struct primitive *next; /* in its bucket */
};

#define BUCKETS 1024

struct sn_primitives {
    int block;
    dnnl_engine_t engine;
    pthread_mutex_t lock;
    struct primitive *bucket[BUCKETS];
    size_t count;
};

/* A cx's own memories for one primitive. */
struct entry {
    struct key key;
    dnnl_primitive_t run; /* borrowed */
    dnnl_memory_t src, weights, dst, scratch;
    size_t scratch_floats;
    struct entry *next;
};

struct sn_primitives_cx {
    struct sn_primitives *shared; /* borrowed */
    dnnl_stream_t stream;
    struct entry *bucket[BUCKETS];
};

static enum sn_err check(dnnl_status_t status, const char *doing,
                         struct sn_error *err)
{
    if (status == dnnl_success)
        return SN_OK;
    if (status == dnnl_out_of_memory)
        return sn_error_set(err, SN_ERR_NOMEM, "oneDNN: no memory %s", doing);
    return sn_error_set(err, SN_ERR_INTERNAL, "oneDNN: status %d %s",
                        (int)status, doing);
}

static size_t bucket_of(const struct key *k)
{
    const int part[] = {(int)k->kind, k->s.n, k->s.i, k->s.o, k->s.h, k->s.w};
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
        hash = (hash ^ (uint64_t)part[i]) * 1099511628211u;
    return (hash >> 20) % BUCKETS;
}

static bool same(const struct key *a, const struct key *b)
{
    return a->kind == b->kind && a->s.n == b->s.n && a->s.i == b->s.i &&
           a->s.o == b->s.o && a->s.h == b->s.h && a->s.w == b->s.w;
}

enum sn_err sn_primitives_new(int block, const char *isa,
                              struct sn_primitives **ret, struct sn_error *err)
{
    struct sn_primitives *p = calloc(1, sizeof(*p));
    if (!p)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for primitives");
    /* oneDNN takes this before its first primitive only; its answer does not
     * matter, since an 8-block layout has AVX2 code on any wider CPU. */
    if (strcmp(isa, "avx2") == 0 && getenv("SPARSENAS_ISA"))
        (void)dnnl_set_max_cpu_isa(dnnl_cpu_isa_avx2);
    p->block = block;
    enum sn_err rc = check(dnnl_engine_create(&p->engine, dnnl_cpu, 0),
                           "creating an engine", err);
    if (rc != SN_OK) {
        free(p);
        return rc;
    }
    pthread_mutex_init(&p->lock, NULL);
    *ret = p;
    return SN_OK;
}

void sn_primitives_free(struct sn_primitives *p)
{
    if (!p)
        return;
    for (int b = 0; b < BUCKETS; b++)
        for (struct primitive *q = p->bucket[b], *next; q; q = next) {
            next = q->next;
            dnnl_primitive_destroy(q->run);
            free(q);
        }
    dnnl_engine_destroy(p->engine);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

size_t sn_primitives_count(struct sn_primitives *p)
{
    pthread_mutex_lock(&p->lock);
    const size_t count = p->count;
    pthread_mutex_unlock(&p->lock);
    return count;
}

enum sn_err sn_primitives_cx_new(struct sn_primitives *p,
                                 struct sn_primitives_cx **ret,
                                 struct sn_error *err)
{
    struct sn_primitives_cx *c = calloc(1, sizeof(*c));
    if (!c)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for primitives");
    c->shared = p;
    enum sn_err rc = check(
        dnnl_stream_create(&c->stream, p->engine, dnnl_stream_default_flags),
        "creating a stream", err);
    if (rc != SN_OK) {
        free(c);
        return rc;
    }
    *ret = c;
    return SN_OK;
}

static void entry_free(struct entry *e)
{
    if (!e)
        return;
    dnnl_memory_destroy(e->src);
    dnnl_memory_destroy(e->weights);
    dnnl_memory_destroy(e->dst);
    dnnl_memory_destroy(e->scratch);
    free(e);
}

void sn_primitives_cx_free(struct sn_primitives_cx *c)
{
    if (!c)
        return;
    for (int b = 0; b < BUCKETS; b++)
        for (struct entry *e = c->bucket[b], *next; e; e = next) {
            next = e->next;
            entry_free(e);
        }
    dnnl_stream_destroy(c->stream);
    free(c);
}

/* The descriptors of a shape's three tensors, in our layouts. */
static dnnl_status_t describe(int block, struct primitive *p)
{
    const struct sn_conv1 *s = &p->key.s;
    const dnnl_dims_t src = {s->n, s->i, s->h, s->w};
    const dnnl_dims_t weights = {s->o, s->i, 1, 1};
    const dnnl_dims_t dst = {s->n, s->o, s->h, s->w};
    const bool wide = block == 16;
    const dnnl_format_tag_t plane = wide ? dnnl_nChw16c : dnnl_nChw8c;
    const dnnl_format_tag_t packed = wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;
    dnnl_status_t st =
        dnnl_memory_desc_init_by_tag(&p->src, 4, src, dnnl_f32, plane);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_tag(&p->weights, 4, weights, dnnl_f32,
                                          packed);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_tag(&p->dst, 4, dst, dnnl_f32, plane);
    return st;
}

static dnnl_status_t make_desc(const struct sn_primitives *shared,
                               struct primitive *p, dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *ret)
{
    const dnnl_dims_t stride = {1, 1}, pad = {0, 0};
    dnnl_convolution_desc_t cd;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t st = dnnl_convolution_forward_desc_init(
        &cd, dnnl_forward_training, dnnl_convolution_direct, &p->src,
        &p->weights, NULL, &p->dst, stride, pad, pad);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(&hint, &cd, attr, shared->engine, NULL);
    if (st != dnnl_success || p->key.kind == FORWARD) {
        *ret = hint;
        return st;
    }
    st = dnnl_convolution_backward_weights_desc_init(
        &cd, dnnl_convolution_direct, &p->src, &p->weights, NULL, &p->dst,
        stride, pad, pad);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(ret, &cd, attr, shared->engine, hint);
    dnnl_primitive_desc_destroy(hint);
    return st;
}

static dnnl_status_t make(const struct sn_primitives *shared,
                          struct primitive *p)
{
    dnnl_primitive_attr_t attr = NULL;
    dnnl_primitive_desc_t pd = NULL;
    dnnl_status_t st = describe(shared->block, p);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_create(&attr);
    if (st != dnnl_success)
        return st;
    st = dnnl_primitive_attr_set_scratchpad_mode(attr,
                                                 dnnl_scratchpad_mode_user);
    if (st == dnnl_success)
        st = make_desc(shared, p, attr, &pd);
    if (st == dnnl_success) {
        p->scratch =
            *dnnl_primitive_desc_query_md(pd, dnnl_query_scratchpad_md, 0);
        st = dnnl_primitive_create(&p->run, pd);
        dnnl_primitive_desc_destroy(pd);
    }
    dnnl_primitive_attr_destroy(attr);
    return st;
}

/* The shared primitive of a key, created when there is none. */
static enum sn_err find_shared(struct sn_primitives *shared,
                               const struct key *key,
                               const struct primitive **ret,
                               struct sn_error *err)
{
    const size_t b = bucket_of(key);
    enum sn_err rc = SN_OK;
    pthread_mutex_lock(&shared->lock);
    struct primitive *p = shared->bucket[b];
    while (p && !same(&p->key, key))
        p = p->next;
    if (!p && !(p = calloc(1, sizeof(*p)))) {
        rc = sn_error_set(err, SN_ERR_NOMEM, "no memory for a primitive");
    } else if (!p->run) {
        p->key = *key;
        rc = check(make(shared, p), "creating a convolution", err);
        if (rc == SN_OK) {
            p->next = shared->bucket[b];
            shared->bucket[b] = p;
            shared->count++;
        } else {
            free(p);
        }
    }
    pthread_mutex_unlock(&shared->lock);
    if (rc == SN_OK)
        *ret = p;
    return rc;
}

static enum sn_err make_entry(struct sn_primitives_cx *c, const struct key *key,
                              struct entry **ret, struct sn_error *err)
{
    const struct primitive *p;
    enum sn_err rc = find_shared(c->shared, key, &p, err);
    if (rc != SN_OK)
        return rc;
    struct entry *e = calloc(1, sizeof(*e));
    if (!e)
        return sn_error_set(err, SN_ERR_NOMEM, "no memory for a primitive");
    const dnnl_memory_desc_t *desc[] = {&p->src, &p->weights, &p->dst,
                                        &p->scratch};
    dnnl_memory_t *memory[] = {&e->src, &e->weights, &e->dst, &e->scratch};
    for (int i = 0; i < 4 && rc == SN_OK; i++)
        rc = check(dnnl_memory_create(memory[i], desc[i], c->shared->engine,
                                      DNNL_MEMORY_NONE),
                   "creating a memory", err);
    if (rc != SN_OK) {
        entry_free(e);
        return rc;
    }
    e->key = *key;
    e->run = p->run;
    e->scratch_floats = dnnl_memory_desc_get_size(&p->scratch) / sizeof(float);
    e->next = c->bucket[bucket_of(key)];
    c->bucket[bucket_of(key)] = e;
    *ret = e;
    return SN_OK;
}

static struct entry *find(struct sn_cx *cx, enum kind kind,
                          const struct sn_conv1 *s)
{
    struct sn_primitives_cx *c = cx->primitives;
    struct key key = {.kind = kind, .s = *s};
    key.s.i = sn_compute_padded(cx->compute, s->i);
    key.s.o = sn_compute_padded(cx->compute, s->o);
    struct entry *e = c->bucket[bucket_of(&key)];
    while (e && !same(&e->key, &key))
        e = e->next;
    struct sn_error error;
    if (!e && make_entry(c, &key, &e, &error) != SN_OK) {
        sn_cx_fail(cx, &error);
        return NULL;
    }
    return e;
}

/* oneDNN's handles are not const; it does not write to sources. */
static void *handle(const float *p)
{
    return (void *)(uintptr_t)p;
}

static void run(struct sn_cx *cx, struct entry *e, const float *src,
                const float *weights, const float *dst, bool forward)
{
    if (!e)
        return;
    float *scratch = sn_cx_scratch(cx, e->scratch_floats);
    if (e->scratch_floats && !scratch)
        return;
    const dnnl_exec_arg_t args[] = {
        {DNNL_ARG_SRC, e->src},
        {forward ? DNNL_ARG_WEIGHTS : DNNL_ARG_DIFF_WEIGHTS, e->weights},
        {forward ? DNNL_ARG_DST : DNNL_ARG_DIFF_DST, e->dst},
        {DNNL_ARG_SCRATCHPAD, e->scratch},
    };
    dnnl_status_t st = dnnl_memory_set_data_handle(e->src, handle(src));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->weights, handle(weights));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->dst, handle(dst));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->scratch, scratch);
    if (st == dnnl_success)
        st = dnnl_primitive_execute(e->run, cx->primitives->stream, 4, args);
    if (st == dnnl_success)
        st = dnnl_stream_wait(cx->primitives->stream);
    struct sn_error error;
    if (check(st, "running a convolution", &error) != SN_OK)
        sn_cx_fail(cx, &error);
}

void sn_primitives_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *w, float *y)
{
    run(cx, find(cx, FORWARD, s), x, w, y, true);
}

void sn_primitives_weights(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *dy, float *dw)
{
    run(cx, find(cx, WEIGHTS, s), x, dw, dy, false);
}

void sn_primitives_runtime(char ret[SN_RUNTIME_TEXT])
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(ret, SN_RUNTIME_TEXT, "oneDNN %d.%d.%d", v->major, v->minor,
             v->patch);
}
