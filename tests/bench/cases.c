#include "tests/bench/cases.h"

#include <stdio.h>
#include <stdlib.h>

static const struct {
    const char *name;
    bool moves;
    int passes; /* tensors read and written, where it moves */
} table[BENCH_OPS] = {
    [BENCH_STEM_FORWARD] = {"stem_forward", false, 0},
    [BENCH_STEM_WEIGHTS] = {"stem_weights", false, 0},
    [BENCH_CONV1_FORWARD] = {"conv1_forward", false, 0},
    [BENCH_CONV1_DATA] = {"conv1_data", false, 0},
    [BENCH_CONV1_WEIGHTS] = {"conv1_weights", false, 0},
    [BENCH_DW_FORWARD] = {"dw_forward", false, 0},
    [BENCH_DW_FORWARD_FUSED] = {"dw_forward_fused", false, 0},
    [BENCH_DW_BACKWARD] = {"dw_backward", false, 0},
    [BENCH_DW_BACKWARD_FUSED] = {"dw_backward_fused", false, 0},
    [BENCH_BN_FORWARD] = {"bn_forward", true, 3},  /* x twice, y */
    [BENCH_BN_APPLY] = {"bn_apply", true, 2},      /* x, y */
    [BENCH_BN_BACKWARD] = {"bn_backward", true, 5} /* x, dy twice; dx */
};

const char *bench_op_name(enum bench_op op)
{
    return table[op].name;
}

bool bench_op_moves(enum bench_op op)
{
    return table[op].moves;
}

int bench_case_out(const struct bench_case *c, int size)
{
    return (size + c->stride - 1) / c->stride;
}

double bench_case_work(const struct bench_case *c)
{
    const double in = (double)c->n * c->h * c->w;
    const double out =
        (double)c->n * bench_case_out(c, c->h) * bench_case_out(c, c->w);
    if (table[c->op].moves)
        return in * c->i * (double)sizeof(float) * table[c->op].passes;
    const bool depthwise = c->op >= BENCH_DW_FORWARD;
    const bool both =
        c->op == BENCH_DW_BACKWARD || c->op == BENCH_DW_BACKWARD_FUSED;
    return (both ? 4 : 2) * out * c->k * c->k * c->o * (depthwise ? 1 : c->i);
}

void bench_case_text(const struct bench_case *c, char ret[48])
{
    static const char *const act[] = {"", " relu", " hswish", " relu6"};
    const bool uses_act = c->op == BENCH_DW_FORWARD_FUSED ||
                          c->op == BENCH_DW_BACKWARD_FUSED ||
                          table[c->op].moves;
    if (c->op < BENCH_DW_FORWARD)
        snprintf(ret, 48, "%d>%d %dx%d", c->i, c->o, c->h, c->w);
    else if (table[c->op].moves)
        snprintf(ret, 48, "%d %dx%d%s", c->i, c->h, c->w, act[c->act]);
    else
        snprintf(ret, 48, "%d %dx%d k%d/%d%s", c->i, c->h, c->w, c->k,
                 c->stride, uses_act ? act[c->act] : "");
}

/* ---- a plan's cases ---- */

struct list {
    struct bench_case *at;
    int n, images;
};

static bool same(const struct bench_case *a, const struct bench_case *b)
{
    return a->op == b->op && a->i == b->i && a->o == b->o && a->h == b->h &&
           a->k == b->k && a->stride == b->stride && a->act == b->act;
}

static void add(struct list *list, struct bench_case c, int times)
{
    c.n = list->images;
    c.w = c.h;
    for (int j = 0; j < list->n; j++)
        if (same(&list->at[j], &c)) {
            list->at[j].times += times;
            return;
        }
    if (list->n == BENCH_MAX_CASES)
        abort();
    c.times = times;
    list->at[list->n++] = c;
}

static void add_conv1(struct list *list, int i, int o, int size)
{
    for (int op = BENCH_CONV1_FORWARD; op <= BENCH_CONV1_WEIGHTS; op++)
        add(list,
            (struct bench_case){
                .op = op, .i = i, .o = o, .h = size, .k = 1, .stride = 1},
            1);
}

static void add_depthwise(struct list *list, const struct sn_block_plan *b,
                          int k)
{
    for (int op = BENCH_DW_FORWARD; op <= BENCH_DW_BACKWARD_FUSED; op++) {
        const bool fused =
            op == BENCH_DW_FORWARD_FUSED || op == BENCH_DW_BACKWARD_FUSED;
        add(list,
            (struct bench_case){.op = op,
                                .i = b->mid,
                                .o = b->mid,
                                .h = b->in_size,
                                .k = k,
                                .stride = b->stride,
                                .act = fused ? b->act : SN_ACT_NONE},
            k == b->kernel);
    }
}

static void add_bn(struct list *list, int c, int size, enum sn_act act)
{
    for (int op = BENCH_BN_FORWARD; op <= BENCH_BN_BACKWARD; op++)
        add(list,
            (struct bench_case){.op = op,
                                .i = c,
                                .o = c,
                                .h = size,
                                .k = 1,
                                .stride = 1,
                                .act = act},
            1);
}

static void add_block(struct list *list, const struct sn_block_plan *b,
                      const int *kernels)
{
    if (b->expands) {
        add_conv1(list, b->in, b->mid, b->in_size);
        add_bn(list, b->mid, b->in_size, b->act);
    }
    add_depthwise(list, b, b->kernel);
    for (int j = 0; kernels && kernels[j]; j++)
        if (kernels[j] != b->kernel)
            add_depthwise(list, b, kernels[j]);
    add_bn(list, b->mid, b->out_size, b->act);
    if (b->se_mid > 0) {
        add_conv1(list, b->mid, b->se_mid, 1);
        add_conv1(list, b->se_mid, b->mid, 1);
    }
    add_conv1(list, b->mid, b->out, b->out_size);
    add_bn(list, b->out, b->out_size, SN_ACT_NONE);
}

static int by_op(const void *a, const void *b)
{
    const struct bench_case *x = a, *y = b;
    if (x->op != y->op)
        return x->op < y->op ? -1 : 1;
    if (x->h != y->h)
        return x->h > y->h ? -1 : 1;
    if (x->i != y->i)
        return x->i < y->i ? -1 : 1;
    if (x->o != y->o)
        return x->o < y->o ? -1 : 1;
    if (x->stride != y->stride)
        return x->stride < y->stride ? -1 : 1;
    if (x->k != y->k)
        return x->k < y->k ? -1 : 1;
    return (int)x->act - (int)y->act;
}

int bench_cases_make(const struct sn_plan *plan, int n, const int *kernels,
                     struct bench_case ret[BENCH_MAX_CASES])
{
    struct list list = {.at = ret, .images = n};
    for (int op = BENCH_STEM_FORWARD; op <= BENCH_STEM_WEIGHTS; op++)
        add(&list,
            (struct bench_case){.op = op,
                                .i = plan->in_channels,
                                .o = plan->stem_out,
                                .h = plan->resolution,
                                .k = 3,
                                .stride = plan->stem_stride},
            1);
    add_bn(&list, plan->stem_out, plan->stem_size, plan->stem_act);
    for (int j = 0; j < plan->n_blocks; j++)
        add_block(&list, &plan->block[j], kernels);
    add_conv1(&list, plan->head_in, plan->head_out, plan->head_size);
    add_bn(&list, plan->head_out, plan->head_size, plan->head_act);
    if (plan->feature_out > 0)
        add_conv1(&list, plan->head_out, plan->feature_out, 1);
    add_conv1(&list, sn_plan_features(plan), plan->classes, 1);
    qsort(ret, (size_t)list.n, sizeof ret[0], by_op);
    return list.n;
}
