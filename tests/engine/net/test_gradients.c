/* Proves that forward and backward of whole sub-networks are right: logits,
 * loss and the gradient of every weight tensor of random architectures of
 * mbv3-tiny agree with a double-precision composition of the operators'
 * references, which is itself checked by finite differences; and that what is
 * outside a sub-network gets a gradient of exactly zero. In bf16 the gradient
 * is that of f32 but for rounding noise. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>

#include "tests/engine/net/fixture.h"
#include "tests/engine/net/netref.h"

enum { IMAGES = 4, ARCHITECTURES = 22 };

static const struct sn_ref_loss ref_loss = {.n = IMAGES,
                                            .classes = 10,
                                            .smoothing = 0.1,
                                            .label_weight = 1.0,
                                            .kd_weight = 0.7};

static double loss_of(struct sn_netref *ref, const struct sn_ref_loss *loss,
                      const int32_t *labels, const double *teacher)
{
    double logits[IMAGES * 10];
    sn_netref_forward(ref, logits);
    return sn_ref_loss(loss, logits, labels, teacher, NULL);
}

static void unpad(const struct sn_fixture *f, const float *from, double *to)
{
    for (int i = 0; i < f->n; i++) {
        for (int c = 0; c < f->classes; c++) {
            to[i * f->classes + c] = (double)from[(size_t)i * f->stride + c];
        }
    }
}

/* One direction of random signs a tensor: the slope along it against the
 * gradient's share. */
static void test_reference(void **state)
{
    struct sn_fixture f;
    struct sn_arch arch;
    sn_fixture_init(&f, "mbv3-tiny", 1, 10, IMAGES, 3);
    sn_fixture_stir(&f, 4);
    sn_fixture_sample(&f, 5, &arch);

    double teacher[IMAGES * 10], logits[IMAGES * 10];
    struct sn_ref_loss loss = ref_loss;
    struct sn_netref ref = {f.net, &arch, 3, f.images64, f.weights64, 0, 0};
    loss.n = 3;
    unpad(&f, f.teacher, teacher);
    double *gradient = calloc(f.size, sizeof(double));
    unsigned char *reached = calloc(f.size, 1);
    sn_netref_backward(&ref, &loss, f.labels, teacher, logits, gradient,
                       reached);

    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f.net, &t);
    int checked = 0;
    for (size_t i = 0; i < n; i += 7) {
        double h = 1e-8, slope = 0.0, at[2];
        double *w = f.weights64 + t[i].offset;
        double *keep = calloc(t[i].count, sizeof(double));
        memcpy(keep, w, t[i].count * sizeof(double));
        for (int side = 0; side < 2; side++) {
            struct sn_rng rng = sn_rng_make(6, SN_STREAM_TEST, i);
            slope = 0.0;
            for (size_t e = 0; e < t[i].count; e++) {
                double sign = sn_rng_uniform(&rng) < 0.5 ? -1.0 : 1.0;
                w[e] = keep[e] + (side ? h : -h) * sign;
                slope += sign * gradient[t[i].offset + e];
            }
            at[side] = loss_of(&ref, &loss, f.labels, teacher);
        }
        memcpy(w, keep, t[i].count * sizeof(double));
        free(keep);
        double difference = (at[1] - at[0]) / (2 * h);
        if (fabs(difference - slope) > 1e-4 * fabs(slope) + 1e-5) {
            fail_msg("%s: slope %g, gradient %g", t[i].name, difference, slope);
        }
        checked += slope != 0.0;
    }
    assert_true(checked > 8);
    free(reached);
    free(gradient);
    sn_fixture_close(&f);
}

static double norm(const double *x, size_t n)
{
    double sum = 0.0;
    for (size_t i = 0; i < n; i++) {
        sum += x[i] * x[i];
    }
    return sqrt(sum);
}

/* The worst tensor: |g - r| over max(|r|, 1e-3 * the largest |r|). */
static double compare_gradients(const struct sn_fixture *f,
                                const double *wanted,
                                const unsigned char *reached, const char *id)
{
    const struct sn_tensor *t;
    size_t n = sn_supernet_tensors(f->net, &t);
    double largest = 0.0, worst = 0.0;
    for (size_t i = 0; i < n; i++) {
        largest = fmax(largest, norm(wanted + t[i].offset, t[i].count));
    }
    for (size_t i = 0; i < n; i++) {
        const double *r = wanted + t[i].offset;
        double square = 0.0;
        for (size_t e = 0; e < t[i].count; e++) {
            double g = (double)f->master[t[i].offset + e];
            square += (g - r[e]) * (g - r[e]);
            if (!reached[t[i].offset + e] && g != 0.0) {
                fail_msg("%s: %s[%zu] is outside and has gradient %g", id,
                         t[i].name, e, g);
            }
        }
        double scale = fmax(norm(r, t[i].count), 1e-3 * largest);
        double off = sqrt(square) / scale;
        if (!(off <= 1e-3)) {
            print_message("%s: %s is off by %g\n", id, t[i].name, off);
        }
        worst = off <= worst ? worst : off;
    }
    return worst;
}

struct comparison {
    struct sn_fixture f;
    double *gradient;
    unsigned char *reached;
    int tries;
    double worst;
};

static void comparison_init(struct comparison *c, const char *space,
                            int in_channels)
{
    memset(c, 0, sizeof(*c));
    sn_fixture_init(&c->f, space, in_channels, 10, IMAGES, 1);
    sn_fixture_stir(&c->f, 2);
    c->gradient = calloc(c->f.size, sizeof(double));
    c->reached = calloc(c->f.size, 1);
    assert_true(c->gradient != NULL && c->reached != NULL);
}

static void comparison_close(struct comparison *c)
{
    free(c->reached);
    free(c->gradient);
    sn_fixture_close(&c->f);
}

static double compare_once(struct comparison *c, const struct sn_arch *arch,
                           const char *id)
{
    struct sn_fixture *f = &c->f;
    double wanted_logits[IMAGES * 10], logits[IMAGES * 10];
    double teacher[IMAGES * 10];
    struct sn_loss loss = {.n = IMAGES,
                           .classes = 10,
                           .smoothing = 0.1f,
                           .label_weight = 1.0f,
                           .kd_weight = 0.7f,
                           .grad_scale = 1.0f};
    unpad(f, f->teacher, teacher);
    sn_subnet_bind(f->sub, NULL, arch);
    double got = sn_fixture_step(f, &loss);

    struct sn_netref ref = {f->net,       arch, IMAGES, f->images64,
                            f->weights64, 0,    0};
    memset(c->gradient, 0, f->size * sizeof(double));
    memset(c->reached, 0, f->size);
    double want = sn_netref_backward(&ref, &ref_loss, f->labels, teacher,
                                     wanted_logits, c->gradient, c->reached);
    unpad(f, f->logits, logits);
    double off = sn_ref_distance(logits, wanted_logits, IMAGES * 10);
    if (!(off <= 1e-4)) {
        fail_msg("%s: logits are off by %g", id, off);
    }
    if (!(fabs(got - want) <= 1e-4 * fabs(want))) {
        fail_msg("%s: loss %g, reference %g", id, got, want);
    }
    return compare_gradients(f, c->gradient, c->reached, id);
}

/* The slopes of the activations jump. Where one of the hundred thousand inputs
 * is within rounding of a jump, single and double precision may stand on
 * different sides of it, and the gradients then truly differ. Other images have
 * it elsewhere: of three batches one must agree. */
static void compare(struct comparison *c, const struct sn_arch *arch)
{
    char id[SN_ARCH_ID_MAX];
    double off = INFINITY;
    sn_arch_encode(c->f.space, arch, id);
    for (int batch = 0; batch < 3 && !(off <= 1e-3); batch++) {
        off = compare_once(c, arch, id);
        c->tries++;
        if (!(off <= 1e-3)) {
            sn_fixture_draw(&c->f, (uint64_t)(1000 + c->tries));
        }
    }
    if (!(off <= 1e-3)) {
        fail_msg("%s: gradients are off by %g", id, off);
    }
    c->worst = fmax(c->worst, off);
}

static void test_random_architectures(void **state)
{
    struct comparison c;
    struct sn_arch arch;
    comparison_init(&c, "mbv3-tiny", 1);
    sn_arch_largest(c.f.space, &arch);
    compare(&c, &arch);
    sn_arch_smallest(c.f.space, &arch);
    compare(&c, &arch);
    for (uint64_t i = 2; i < ARCHITECTURES; i++) {
        sn_fixture_sample(&c.f, i, &arch);
        compare(&c, &arch);
    }
    print_message("worst tensor is off by %g\n", c.worst);
    assert_true(c.tries < ARCHITECTURES + ARCHITECTURES / 4);
    comparison_close(&c);
}

/* The 7 -> 5 -> 3 chain, three channels, another plane size. */
static void test_cifar(void **state)
{
    struct comparison c;
    struct sn_arch arch;
    comparison_init(&c, "mbv3-cifar", 3);
    sn_fixture_sample(&c.f, 0, &arch);
    compare(&c, &arch);
    comparison_close(&c);
}

/* The master gradient of one step, and its loss. */
static double gradient_of(struct sn_fixture *f, double *ret)
{
    const struct sn_loss loss = {.n = f->n,
                                 .classes = 10,
                                 .smoothing = 0.1f,
                                 .label_weight = 1.0f,
                                 .grad_scale = 1.0f};
    const double total = sn_fixture_step(f, &loss);
    for (size_t i = 0; i < f->size; i++) {
        ret[i] = (double)f->master[i];
    }
    return total;
}

struct likeness {
    double angle, length; /* radians; b's over a's */
};

static struct likeness likeness_of(const double *a, const double *b, size_t n)
{
    double dot = 0, aa = 0, bb = 0;
    for (size_t i = 0; i < n; i++) {
        dot += a[i] * b[i];
        aa += a[i] * a[i];
        bb += b[i] * b[i];
    }
    return (struct likeness){acos(dot / sqrt(aa * bb)), sqrt(bb / aa)};
}

static void round_images(struct sn_fixture *f)
{
    for (size_t i = 0; i < (size_t)f->n * f->image_floats; i++) {
        uint32_t bits;
        memcpy(&bits, &f->images[i], sizeof bits);
        bits = (bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000;
        memcpy(&f->images[i], &bits, sizeof bits);
    }
}

/* In bf16 (where the CPU has it) the gradient of a whole network is that of f32
 * but for noise: no longer, no shorter, and turned by no more than a few times
 * what it turns in f32 when the images alone are rounded to bf16. (That is much
 * already: some activations change sides of their kinks.) */
static void bf16_like_f32(struct sn_fixture *f, const struct sn_arch *arch,
                          double *of[3])
{
    struct sn_workspace *plain = f->ws;
    struct sn_error err;
    sn_subnet_bind(f->sub, NULL, arch);
    const double want = gradient_of(f, of[0]);
    assert_int_equal(
        sn_workspace_new(f->net, f->n, 0, SN_STORE_BF16, &f->ws, &err), SN_OK);
    const double got = gradient_of(f, of[1]);
    sn_workspace_free(f->ws);
    f->ws = plain;
    round_images(f);
    gradient_of(f, of[2]);
    const struct likeness like = likeness_of(of[0], of[1], f->size);
    const struct likeness least = likeness_of(of[0], of[2], f->size);
    print_message("bf16: length %.3f, turned by %.3f; images rounded: %.3f\n",
                  like.length, like.angle, least.angle);
    if (!(fabs(got - want) <= 5e-3 * want) || !(fabs(like.length - 1) <= 0.1) ||
        !(like.angle <= 4 * least.angle)) {
        fail_msg("bf16: loss %g for %g, or the gradient", got, want);
    }
}

/* Images that differ in more than noise, of which poolings leave nothing: each
 * is of squares of one brightness. */
static void draw_squares(struct sn_fixture *f, int channels)
{
    enum { SQUARE = 7 };
    const int side = f->space->resolution;
    float *x = f->images;
    for (int plane = 0; plane < f->n * channels; plane++, x += side * side) {
        for (int i = 0; i < side * side; i++) {
            int row = i / side, column = i % side;
            x[i] = x[row / SQUARE * SQUARE * side + column / SQUARE * SQUARE];
        }
    }
}

static void test_bf16(void **state)
{
    static const struct {
        const char *space;
        int channels;
    } of[] = {{"mbv3-tiny", 1}, {"mbv3-cifar", 3}};
    if (!sn_compute_cpu_stores(SN_STORE_BF16)) {
        skip();
    }
    for (size_t s = 0; s < sizeof of / sizeof of[0]; s++) {
        struct sn_fixture f;
        struct sn_arch arch;
        double *gradient[3];
        sn_fixture_init(&f, of[s].space, of[s].channels, 10, 32, 1);
        for (int i = 0; i < 3; i++) {
            gradient[i] = calloc(f.size, sizeof(double));
            assert_non_null(gradient[i]);
        }
        for (uint64_t i = 0; i < 4; i++) {
            if (i == 0) {
                sn_arch_largest(f.space, &arch);
            } else {
                sn_fixture_sample(&f, i, &arch);
            }
            sn_fixture_draw(&f, i);
            draw_squares(&f, of[s].channels);
            bf16_like_f32(&f, &arch, gradient);
        }
        for (int i = 0; i < 3; i++) {
            free(gradient[i]);
        }
        sn_fixture_close(&f);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference),
        cmocka_unit_test(test_random_architectures),
        cmocka_unit_test(test_cifar),
        cmocka_unit_test(test_bf16),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
