/* The reference itself: every backward agrees with central differences of its
 * forward in double, to 1e-6; inputs near a kink are drawn again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

#include "engine/rng.h"
#include "tests/engine/compute/reference.h"

#define MOST 2048
#define STEP 1e-5

static struct sn_rng rng;

static void draw(double *x, long count)
{
    assert_true(count <= MOST);
    for (long i = 0; i < count; i++)
        x[i] = sn_rng_normal(&rng);
}

/* Normal, but at least 1e-3 from the kinks at -3, 0 and 3. */
static void draw_smooth(double *x, long count)
{
    for (long i = 0; i < count; i++)
        do
            x[i] = 4 * sn_rng_normal(&rng);
        while (fabs(x[i]) < 1e-3 || fabs(fabs(x[i]) - 3) < 1e-3 ||
               fabs(x[i] - 6) < 1e-3);
}

static double dot(const double *a, const double *b, long count)
{
    double sum = 0;
    for (long i = 0; i < count; i++)
        sum += a[i] * b[i];
    return sum;
}

/* d loss / d x by differences against `analytic`. */
static void expect_gradient(double (*loss)(void *arg), void *arg, double *x,
                            const double *analytic, long count)
{
    double numeric[MOST];
    for (long i = 0; i < count; i++) {
        double keep = x[i];
        x[i] = keep + STEP;
        double up = loss(arg);
        x[i] = keep - STEP;
        double down = loss(arg);
        x[i] = keep;
        numeric[i] = (up - down) / (2 * STEP);
    }
    double off = sn_ref_distance(numeric, analytic, count);
    if (!(off <= 1e-6))
        fail_msg("the gradient is off by %g", off);
}

/* The loss of every case: dot(r, y) with r fixed and random, dy = r. */
struct data {
    struct sn_ref_conv1 conv1;
    struct sn_ref_conv conv;
    struct sn_ref_bn bn;
    struct sn_ref_window window;
    struct sn_ref_loss loss;
    enum sn_ref_act act;
    int n, c, hw;
    long x_count, w_count, y_count;
    double x[MOST], w[MOST], v[MOST], y[MOST], r[MOST];
    double dx[MOST], dw[MOST], dv[MOST];
    int32_t labels[8];
};

static double conv1_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_conv1_forward(&d->conv1, d->x, d->w, d->y);
    return dot(d->r, d->y, d->y_count);
}

static void test_conv1(void **state)
{
    static struct data d = {.conv1 = {2, 5, 4, 6}};
    draw(d.x, 2 * 5 * 6);
    draw(d.w, 5 * 4);
    draw(d.r, d.y_count = 2 * 4 * 6);
    sn_ref_conv1_backward(&d.conv1, d.x, d.w, d.r, d.dx, d.dw);
    expect_gradient(conv1_loss, &d, d.x, d.dx, 2 * 5 * 6);
    expect_gradient(conv1_loss, &d, d.w, d.dw, 5 * 4);
}

static double conv_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_conv_forward(&d->conv, d->x, d->w, d->y);
    return dot(d->r, d->y, d->y_count);
}

static void test_conv(void **state)
{
    static const struct sn_ref_conv cases[] = {
        {2, 3, 4, 5, 6, 3, 1, 0}, {2, 1, 4, 6, 5, 3, 2, 0},
        {2, 3, 3, 5, 4, 3, 1, 1}, {2, 3, 3, 6, 5, 5, 2, 1},
        {1, 2, 2, 4, 7, 7, 1, 1}, {1, 2, 2, 7, 8, 7, 2, 1},
    };
    static struct data d;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct sn_ref_conv *s = &cases[i];
        long x = (long)s->n * s->i * s->h * s->w;
        long w = (long)s->o * (s->depthwise ? 1 : s->i) * s->k * s->k;
        d.conv = *s;
        d.y_count = (long)s->n * s->o * sn_ref_out(s->h, s->stride) *
                    sn_ref_out(s->w, s->stride);
        draw(d.x, x);
        draw(d.w, w);
        draw(d.r, d.y_count);
        sn_ref_conv_backward(s, d.x, d.w, d.r, d.dx, d.dw);
        expect_gradient(conv_loss, &d, d.x, d.dx, x);
        expect_gradient(conv_loss, &d, d.w, d.dw, w);
    }
}

static double bn_loss(void *arg)
{
    struct data *d = arg;
    double mean[8], var[8];
    sn_ref_bn_statistics(&d->bn, d->x, mean, var);
    sn_ref_bn_apply(&d->bn, d->x, mean, var, d->w, d->v, d->y);
    return dot(d->r, d->y, d->y_count);
}

/* Whether the values before the activation keep away from its kinks. */
static int bn_is_smooth(struct data *d)
{
    struct sn_ref_bn plain = d->bn;
    double mean[8], var[8];
    plain.act = SN_REF_NONE;
    sn_ref_bn_statistics(&plain, d->x, mean, var);
    sn_ref_bn_apply(&plain, d->x, mean, var, d->w, d->v, d->y);
    for (long i = 0; i < d->y_count; i++)
        if (fabs(d->y[i]) < 1e-3 || fabs(fabs(d->y[i]) - 3) < 1e-3 ||
            fabs(d->y[i] - 6) < 1e-3)
            return 0;
    return 1;
}

static void test_bn(void **state)
{
    static struct data d;
    for (int act = SN_REF_NONE; act <= SN_REF_RELU6; act++) {
        d.bn = (struct sn_ref_bn){3, 4, 5, 1e-5, (enum sn_ref_act)act};
        d.y_count = 3 * 4 * 5;
        do {
            draw(d.x, d.y_count);
            draw(d.w, 4);
            draw(d.v, 4);
        } while (!bn_is_smooth(&d));
        draw(d.r, d.y_count);
        sn_ref_bn_backward(&d.bn, d.x, d.w, d.v, d.r, d.dx, d.dw, d.dv);
        expect_gradient(bn_loss, &d, d.x, d.dx, d.y_count);
        expect_gradient(bn_loss, &d, d.w, d.dw, 4);
        expect_gradient(bn_loss, &d, d.v, d.dv, 4);
    }
}

static double pool_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_pool_forward(2, 3, 7, d->x, d->y);
    return dot(d->r, d->y, 2 * 3);
}

static double gate_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_gate_forward(2, 3, 7, d->x, d->w, d->y);
    return dot(d->r, d->y, 2 * 3 * 7);
}

static void test_pool_and_gate(void **state)
{
    static struct data d;
    draw(d.x, 2 * 3 * 7);
    draw(d.w, 2 * 3);
    draw(d.r, 2 * 3 * 7);
    sn_ref_pool_backward(2, 3, 7, d.r, d.dx);
    expect_gradient(pool_loss, &d, d.x, d.dx, 2 * 3 * 7);
    sn_ref_gate_backward(2, 3, 7, d.x, d.w, d.r, d.dx, d.dw);
    expect_gradient(gate_loss, &d, d.x, d.dx, 2 * 3 * 7);
    expect_gradient(gate_loss, &d, d.w, d.dw, 2 * 3);
}

static double bias_act_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_bias_act_forward(4, 6, d->x, d->w, d->act, d->y);
    return dot(d->r, d->y, 4 * 6);
}

static void test_bias_act(void **state)
{
    static struct data d;
    for (int act = SN_REF_NONE; act <= SN_REF_RELU6; act++) {
        d.act = (enum sn_ref_act)act;
        draw(d.w, 6);
        draw_smooth(d.x, 4 * 6);
        for (int i = 0; i < 4 * 6; i++)
            d.x[i] -= d.w[i % 6];
        draw(d.r, 4 * 6);
        sn_ref_bias_act_backward(4, 6, d.x, d.w, d.act, d.r, d.dx, d.dw);
        expect_gradient(bias_act_loss, &d, d.x, d.dx, 4 * 6);
        expect_gradient(bias_act_loss, &d, d.w, d.dw, 6);
    }
}

static double window_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_window_forward(&d->window, d->x, d->y);
    return dot(d->r, d->y, d->y_count);
}

static double sum_relu_loss(void *arg)
{
    struct data *d = arg;
    sn_ref_sum_relu_forward(d->y_count, d->x, d->w, d->y);
    return dot(d->r, d->y, d->y_count);
}

static void test_windows_and_sum(void **state)
{
    static struct data d;
    for (int side = 2; side <= 3; side++)
        for (int h = 1; h <= 5; h++) {
            d.window = (struct sn_ref_window){2, 3, h, 6 - h, side};
            long count = 2L * 3 * h * (6 - h);
            draw(d.x, count);
            d.y_count = 2L * 3 * sn_ref_out(h, 2) * sn_ref_out(6 - h, 2);
            draw(d.r, d.y_count);
            sn_ref_window_backward(&d.window, d.x, d.r, d.dx);
            expect_gradient(window_loss, &d, d.x, d.dx, count);
        }
    d.y_count = 60;
    draw_smooth(d.x, 60);
    draw(d.r, 60);
    for (int i = 0; i < 60; i++)
        d.w[i] = i % 3 ? d.x[i] : -0.5 * d.x[i]; /* no sum near the kink */
    sn_ref_sum_relu_forward(60, d.x, d.w, d.y);
    sn_ref_sum_relu_backward(60, d.y, d.r, d.dx);
    expect_gradient(sum_relu_loss, &d, d.x, d.dx, 60);
    expect_gradient(sum_relu_loss, &d, d.w, d.dx, 60);
}

static double softmax_loss(void *arg)
{
    struct data *d = arg;
    return sn_ref_loss(&d->loss, d->x, d->labels,
                       d->loss.kd_weight != 0 ? d->w : NULL, NULL);
}

static void test_loss(void **state)
{
    static const double weight[][3] = {
        {0, 1, 0}, {0.1, 1, 0}, {0.1, 0.7, 1.5}, {0, 0, 1}};
    static struct data d = {.labels = {0, 4, 2}};
    for (int i = 0; i < 4; i++) {
        d.loss = (struct sn_ref_loss){3, 5, weight[i][0], weight[i][1],
                                      weight[i][2]};
        draw(d.x, 3 * 5);
        draw(d.w, 3 * 5);
        sn_ref_loss(&d.loss, d.x, d.labels, d.loss.kd_weight != 0 ? d.w : NULL,
                    d.dx);
        expect_gradient(softmax_loss, &d, d.x, d.dx, 3 * 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_conv1),
        cmocka_unit_test(test_conv),
        cmocka_unit_test(test_bn),
        cmocka_unit_test(test_pool_and_gate),
        cmocka_unit_test(test_bias_act),
        cmocka_unit_test(test_loss),
        cmocka_unit_test(test_windows_and_sum),
    };
    rng = sn_rng_make(3, SN_STREAM_TEST, 0);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
