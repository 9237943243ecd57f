/* oneDNN's convolutions: created once a shape, run without a lock. */
#include <dnnl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/compute/context.h"
#include "engine/compute/primitives.h"

/* INFER: forward with a bias and what `act` says. */
enum kind { FORWARD = 1, INFER, DATA, WEIGHTS };

struct key {
    enum kind kind;
    int n, i, o, h, w; /* channels rounded up; the input's plane */
    int k, stride;     /* padding is k / 2 */
    enum sn_cact act;
};

/* Shared, never changed once in the table. */
struct primitive {
    struct key key;
    dnnl_primitive_t run;
    dnnl_memory_desc_t src, weights, dst, scratch, bias;
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
    dnnl_memory_t src, weights, dst, scratch, bias;
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
    const int part[] = {(int)k->kind, k->n, k->i,      k->o,       k->h,
                        k->w,         k->k, k->stride, (int)k->act};
    uint64_t hash = 1469598103934665603u;
    for (size_t i = 0; i < sizeof(part) / sizeof(part[0]); i++)
        hash = (hash ^ (uint64_t)part[i]) * 1099511628211u;
    return (hash >> 20) % BUCKETS;
}

static bool same(const struct key *a, const struct key *b)
{
    return a->kind == b->kind && a->n == b->n && a->i == b->i && a->o == b->o &&
           a->h == b->h && a->w == b->w && a->k == b->k &&
           a->stride == b->stride && a->act == b->act;
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
    dnnl_memory_destroy(e->bias);
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

/* The descriptors of a shape's tensors, in our layouts. Only the data gradient
 * of kernels larger than one pixel has weights of its own, with the outputs
 * before the inputs in a block. */
static dnnl_status_t describe(int block, struct primitive *p)
{
    const struct key *s = &p->key;
    const dnnl_dims_t src = {s->n, s->i, s->h, s->w};
    const dnnl_dims_t weights = {s->o, s->i, s->k, s->k};
    const dnnl_dims_t bias = {s->o};
    const dnnl_dims_t dst = {s->n, s->o, (s->h + s->stride - 1) / s->stride,
                             (s->w + s->stride - 1) / s->stride};
    const bool wide = block == 16;
    const dnnl_format_tag_t plane = wide ? dnnl_nChw16c : dnnl_nChw8c;
    dnnl_format_tag_t packed = wide ? dnnl_OIhw16i16o : dnnl_OIhw8i8o;
    if (s->kind == DATA)
        packed = wide ? dnnl_OIhw16o16i : dnnl_OIhw8o8i;
    dnnl_status_t st =
        dnnl_memory_desc_init_by_tag(&p->src, 4, src, dnnl_f32, plane);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_tag(&p->weights, 4, weights, dnnl_f32,
                                          packed);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_tag(&p->bias, 1, bias, dnnl_f32, dnnl_x);
    if (st == dnnl_success)
        st = dnnl_memory_desc_init_by_tag(&p->dst, 4, dst, dnnl_f32, plane);
    return st;
}

/* A ReLU after the bias, where the key has one. */
static dnnl_status_t add_act(const struct key *key, dnnl_primitive_attr_t attr)
{
    dnnl_post_ops_t ops = NULL;
    if (key->act != SN_CACT_RELU)
        return dnnl_success;
    dnnl_status_t st = dnnl_post_ops_create(&ops);
    if (st == dnnl_success)
        st = dnnl_post_ops_append_eltwise(ops, 1.0f, dnnl_eltwise_relu, 0, 0);
    if (st == dnnl_success)
        st = dnnl_primitive_attr_set_post_ops(attr, ops);
    dnnl_post_ops_destroy(ops);
    return st;
}

/* The descriptor of a gradient. */
static dnnl_status_t backward_desc(const struct primitive *p,
                                   const dnnl_dims_t stride,
                                   const dnnl_dims_t pad,
                                   const dnnl_dims_t pad_after,
                                   dnnl_convolution_desc_t *ret)
{
    if (p->key.kind == DATA)
        return dnnl_convolution_backward_data_desc_init(
            ret, dnnl_convolution_direct, &p->src, &p->weights, &p->dst, stride,
            pad, pad_after);
    return dnnl_convolution_backward_weights_desc_init(
        ret, dnnl_convolution_direct, &p->src, &p->weights, NULL, &p->dst,
        stride, pad, pad_after);
}

/* The padding after a row: what the last window needs. */
static int64_t pad_after(int size, int k, int stride)
{
    const int out = (size + stride - 1) / stride;
    return (out - 1) * stride + k - k / 2 - size;
}

static dnnl_status_t make_desc(const struct sn_primitives *shared,
                               struct primitive *p, dnnl_primitive_attr_t attr,
                               dnnl_primitive_desc_t *ret)
{
    const struct key *s = &p->key;
    const dnnl_dims_t stride = {s->stride, s->stride},
                      pad = {s->k / 2, s->k / 2};
    const dnnl_dims_t after = {pad_after(s->h, s->k, s->stride),
                               pad_after(s->w, s->k, s->stride)};
    const bool forward = s->kind == FORWARD || s->kind == INFER;
    dnnl_memory_desc_t any = p->weights;
    dnnl_convolution_desc_t cd;
    dnnl_primitive_desc_t hint = NULL;
    dnnl_status_t st = dnnl_success;
    /* a hint need not run: its weights may be in any layout */
    if (s->kind == DATA)
        st = dnnl_memory_desc_init_by_tag(&any, 4, p->weights.dims, dnnl_f32,
                                          dnnl_format_tag_any);
    if (st == dnnl_success)
        st = dnnl_convolution_forward_desc_init(
            &cd,
            s->kind == INFER ? dnnl_forward_inference : dnnl_forward_training,
            dnnl_convolution_direct, &p->src, &any,
            s->kind == INFER ? &p->bias : NULL, &p->dst, stride, pad, after);
    if (st == dnnl_success)
        st = dnnl_primitive_desc_create(&hint, &cd, attr, shared->engine, NULL);
    if (st != dnnl_success || forward) {
        *ret = hint;
        return st;
    }
    st = backward_desc(p, stride, pad, after, &cd);
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
        st = add_act(&p->key, attr);
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
                                        &p->scratch, &p->bias};
    dnnl_memory_t *memory[] = {&e->src, &e->weights, &e->dst, &e->scratch,
                               &e->bias};
    for (int i = 0; i < 5 && rc == SN_OK; i++)
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

static struct entry *find(struct sn_cx *cx, struct key key)
{
    struct sn_primitives_cx *c = cx->primitives;
    key.i = sn_compute_padded(cx->compute, key.i);
    key.o = sn_compute_padded(cx->compute, key.o);
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

static struct key key1(enum kind kind, const struct sn_conv1 *s)
{
    return (struct key){.kind = kind,
                        .n = s->n,
                        .i = s->i,
                        .o = s->o,
                        .h = s->h,
                        .w = s->w,
                        .k = 1,
                        .stride = 1};
}

static struct key key3(enum kind kind, const struct sn_conv3 *s)
{
    return (struct key){.kind = kind,
                        .n = s->n,
                        .i = s->i,
                        .o = s->o,
                        .h = s->h,
                        .w = s->w,
                        .k = 3,
                        .stride = s->stride};
}

/* oneDNN's handles are not const; it does not write to sources. */
static void *handle(const float *p)
{
    return (void *)(uintptr_t)p;
}

/* What the three tensors of a kind are called. */
struct roles {
    int src, weights, dst;
};

static struct roles roles_of(enum kind kind)
{
    struct roles r = {DNNL_ARG_SRC, DNNL_ARG_WEIGHTS, DNNL_ARG_DST};
    if (kind == DATA || kind == WEIGHTS)
        r.dst = DNNL_ARG_DIFF_DST;
    if (kind == DATA)
        r.src = DNNL_ARG_DIFF_SRC;
    if (kind == WEIGHTS)
        r.weights = DNNL_ARG_DIFF_WEIGHTS;
    return r;
}

/* bias: NULL where the kind has none. */
static void run(struct sn_cx *cx, struct entry *e, const float *src,
                const float *weights, const float *bias, const float *dst)
{
    if (!e)
        return;
    float *scratch = sn_cx_scratch(cx, e->scratch_floats);
    if (e->scratch_floats && !scratch)
        return;
    const struct roles role = roles_of(e->key.kind);
    const dnnl_exec_arg_t args[] = {
        {role.src, e->src},       {role.weights, e->weights},
        {role.dst, e->dst},       {DNNL_ARG_SCRATCHPAD, e->scratch},
        {DNNL_ARG_BIAS, e->bias},
    };
    dnnl_status_t st = dnnl_memory_set_data_handle(e->src, handle(src));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->weights, handle(weights));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->dst, handle(dst));
    if (st == dnnl_success)
        st = dnnl_memory_set_data_handle(e->scratch, scratch);
    if (st == dnnl_success && bias)
        st = dnnl_memory_set_data_handle(e->bias, handle(bias));
    if (st == dnnl_success)
        st = dnnl_primitive_execute(e->run, cx->primitives->stream,
                                    bias ? 5 : 4, args);
    if (st == dnnl_success)
        st = dnnl_stream_wait(cx->primitives->stream);
    struct sn_error error;
    if (check(st, "running a convolution", &error) != SN_OK)
        sn_cx_fail(cx, &error);
}

void sn_primitives_forward(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *w, float *y)
{
    run(cx, find(cx, key1(FORWARD, s)), x, w, NULL, y);
}

void sn_primitives_weights(struct sn_cx *cx, const struct sn_conv1 *s,
                           const float *x, const float *dy, float *dw)
{
    run(cx, find(cx, key1(WEIGHTS, s)), x, dw, NULL, dy);
}

void sn_primitives_forward3(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *x, const float *w, float *y)
{
    run(cx, find(cx, key3(FORWARD, s)), x, w, NULL, y);
}

void sn_primitives_infer3(struct sn_cx *cx, const struct sn_conv3 *s,
                          const float *x, const float *w, const float *bias,
                          bool relu, float *y)
{
    struct key key = key3(INFER, s);
    key.act = relu ? SN_CACT_RELU : SN_CACT_NONE;
    run(cx, find(cx, key), x, w, bias, y);
}

void sn_primitives_data3(struct sn_cx *cx, const struct sn_conv3 *s,
                         const float *dy, const float *w, float *dx)
{
    run(cx, find(cx, key3(DATA, s)), dx, w, NULL, dy);
}

void sn_primitives_weights3(struct sn_cx *cx, const struct sn_conv3 *s,
                            const float *x, const float *dy, float *dw)
{
    run(cx, find(cx, key3(WEIGHTS, s)), x, dw, NULL, dy);
}

void sn_primitives_runtime(char ret[SN_RUNTIME_TEXT])
{
    const dnnl_version_t *v = dnnl_version();
    snprintf(ret, SN_RUNTIME_TEXT, "oneDNN %d.%d.%d", v->major, v->minor,
             v->patch);
}
