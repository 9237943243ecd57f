/* sn_engine - the engine's only door: what a job is, how one is run, and what
 * can be asked of its weights afterwards.
 *
 * A job is a resolved spec, an open data set, a folder for checkpoints and a
 * table of callbacks. sn_engine_run() is its conductor: it blocks for minutes
 * to days on a thread of the caller's, keeps its own workers, and calls back on
 * that same thread. Nothing here knows HTTP, SQL or the loop.
 *
 *   daemon: job runner --- sn_engine_run(spec, data, dir, resume, stop) --->
 *      <- phase, progress, series, evaluation, predictor, subspace, front,
 *         latencies, checkpoint, log          (on the conductor's thread)
 *      <- SN_OK | SN_ERR_STOPPED (a checkpoint holds all) | what went wrong
 */
#ifndef SN_ENGINE_H
#define SN_ENGINE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/data/data.h"
#include "engine/err.h"
#include "engine/model/supernet_info.h"
#include "engine/search/quality.h"
#include "engine/space/plan.h"
#include "engine/space/space.h"

/* ---- the spec ---- */

enum sn_strategy {
    SN_STRATEGY_SPARSENAS,
    SN_STRATEGY_OFA,
    SN_STRATEGY_COMPOFA,
    SN_STRATEGY_BIGNAS,
    SN_STRATEGY_ALPHANET,
    SN_STRATEGY_ATTENTIVENAS,
    SN_STRATEGY_SPOS,
    SN_STRATEGY_FAIRNAS,
    SN_STRATEGY_FINETUNE, /* one architecture, from a supernet's weights */
    SN_STRATEGY_SCRATCH   /* one architecture, from none */
};
enum sn_trainer_kind {
    SN_TRAINER_PATH,
    SN_TRAINER_SANDWICH,
    SN_TRAINER_TEACHER /* a teacher first, then paths that learn from it */
};
enum sn_keep {
    SN_KEEP_PREDICTED, /* what the early predictor ranks best in each band */
    SN_KEEP_RANDOM,    /* as many of each band at random: a control */
    SN_KEEP_NONE       /* training is not narrowed */
};
enum sn_kernels { SN_KERNELS_FIXED, SN_KERNELS_ELASTIC };
enum sn_sampling { SN_SAMPLING_BEST_UP, SN_SAMPLING_WORST_UP };
enum sn_jitter { SN_JITTER_AUTO, SN_JITTER_OFF, SN_JITTER_ON };
enum sn_precision { SN_PRECISION_AUTO, SN_PRECISION_F32, SN_PRECISION_BF16 };

enum { SN_MAX_TARGETS = 8, SN_LABEL_MAX = 128, SN_MAX_VETO = 64 };
/* Targets of all costs together: latencies and MACs. */
enum { SN_MAX_ANSWERS = 2 * SN_MAX_TARGETS };

/* Architectures by their ids; ids beyond n are zero. */
struct sn_arch_list {
    int32_t n;
    char id[SN_MAX_VETO][SN_ARCH_ID_MAX];
};

/* Bounds of a cost that the search answers: `n` of them, or so many and such as
 * the engine takes from the space's ends. */
struct sn_targets {
    bool automatic;
    int32_t n;
    double bound[SN_MAX_TARGETS];
};

/* Every default is in sn_spec_fields(); doubles count epochs or rates. */
struct sn_spec {
    char name[SN_LABEL_MAX];
    char dataset[SN_NAME_MAX];
    char space[SN_NAME_MAX];
    /* A user's space of that name, borrowed; NULL: it is built in. No setting:
     * whoever reads a spec finds the space. */
    const struct sn_space *made_space;
    /* Weights to search as they are, or for finetune to start from; "": none.
     */
    char supernet[SN_NAME_MAX];
    /* Of finetune and scratch, else "": which one, and the job that it is of
     * (or ""). */
    char architecture[SN_ARCH_ID_MAX], parent[SN_NAME_MAX];
    int32_t strategy; /* enum sn_strategy */
    double epochs;    /* passes over the training images, all phases */
    int64_t seed;
    int32_t priority;
    struct {
        int32_t batch_size, shard_size, workers;
        int32_t precision; /* enum sn_precision */
        double learning_rate, momentum, weight_decay, label_smoothing;
        bool recompute;
        double clip_norm, clip_value; /* of gradients; 0: none */
        double warmup_share; /* of a phase's steps, linear to the rate */
        double kd_ratio;     /* weight of distillation from the largest */
        int32_t crop_padding;
        bool flip;
        int32_t crop;          /* enum sn_crop */
        int32_t interpolation; /* enum sn_filter */
        int32_t cutout;        /* pixels a side */
        int32_t color_jitter;  /* enum sn_jitter */
        double brightness, saturation;
        int32_t decoders;             /* threads; 0: as many as workers */
        int32_t cache_mb;             /* of decoded images for evaluations */
        int32_t holdout, train_limit; /* images; limit 0: all */
        int64_t split_seed;  /* which are held out; -1: as `seed` has it */
        double checkpoint_s; /* seconds between checkpoints */
    } train;
    struct {
        double warmup_epochs;            /* 0: 15% of epochs */
        int32_t warmup_trainer, trainer; /* enum sn_trainer_kind */
        int32_t probes, probe_images, probe_calibration;
        int32_t predictor;     /* enum sn_predictor_choice */
        int32_t filter;        /* enum sn_keep */
        int32_t subspace_size; /* 0 with a keep_fraction */
        double keep_fraction;  /* of each band of what was scored; 0: by size */
        int32_t bands;
        struct sn_arch_list veto; /* never kept, never answered */
        int32_t recheck;          /* probes measured again at the end */
        double min_tau;
        int32_t max_retries; /* longer warm-ups before training unfiltered */
        int32_t rounds;
        double exploration; /* share of paths drawn from the whole space */
    } sparsenas;
    struct {
        int32_t kernels; /* enum sn_kernels */
    } compofa;
    struct {
        double clip; /* of importance weights */
    } alphanet;
    struct {
        int32_t sampling; /* enum sn_sampling */
        int32_t candidates, bands;
    } attentivenas;
    struct {
        char device[SN_NAME_MAX];
        int32_t evaluations, images, calibration; /* final evaluations */
        int32_t population, generations;
        struct sn_targets latency_ms, macs;
        int32_t costs; /* bit i: enum sn_cost_kind i */
    } search;
    /* What the caller runs after a search, for each architecture that it found
     * an answer in: no part of this run. */
    struct {
        double epochs; /* 0: nothing */
        bool scratch;  /* the same from scratch, too */
    } finetune;
    uint64_t given[2]; /* bit i: field i of the table was given, see below */
};

enum sn_cost_kind {
    SN_COST_LATENCY,
    SN_COST_MACS,
    SN_COST_PARAMS,
    SN_COST_PEAK_MEMORY,
    SN_COST_KINDS
};
extern const char *const sn_cost_names[SN_COST_KINDS]; /* "latency_ms", ... */
extern const char *const sn_strategy_names[]; /* "sparsenas", ...; NULL ends */
extern const char *const sn_keep_names[]; /* "predicted", ...; NULL ends it */

/* The table of settings: how JSON, defaults, ranges and documentation know the
 * spec. Nested objects are one level deep: "/train/batch_size". */
enum sn_field_type {
    SN_FIELD_STRING,  /* char[size] */
    SN_FIELD_INT,     /* int32_t */
    SN_FIELD_INT64,   /* int64_t */
    SN_FIELD_DOUBLE,  /* double */
    SN_FIELD_BOOL,    /* bool */
    SN_FIELD_ENUM,    /* int32_t, names in `choices` */
    SN_FIELD_COSTS,   /* int32_t bits; JSON: list of sn_cost_names */
    SN_FIELD_TARGETS, /* struct sn_targets; JSON: "auto" or a list */
    SN_FIELD_ARCHS    /* struct sn_arch_list; JSON: list of ids */
};
struct sn_field {
    const char *pointer; /* "/epochs", "/train/workers" */
    enum sn_field_type type;
    size_t offset, size;
    double min, max, initial;   /* numbers, bools and enums */
    const char *initial_text;   /* strings */
    const char *const *choices; /* NULL-terminated, for enums */
    bool required;
    const char *help; /* one line */
    bool trains;      /* of training alone: contradicts a job without any */
};
const struct sn_field *sn_spec_fields(size_t *ret_n);
/* What a user gave is kept; of the rest a strategy may set its own. */
void sn_spec_give(struct sn_spec *spec, size_t field);
bool sn_spec_is_given(const struct sn_spec *spec, size_t field);
/* All defaults; "workers" as many as the process may use. */
void sn_spec_defaults(struct sn_spec *ret);
/* It trains one architecture: finetune and scratch. */
bool sn_spec_is_single(const struct sn_spec *spec);
/* It trains: not where a supernet's weights are searched as they are. */
bool sn_spec_trains(const struct sn_spec *spec);
/* The space of a spec, NULL if there is none of its name. */
const struct sn_space *sn_spec_space(const struct sn_spec *spec);
/* Fills what depends on other fields (warmup_epochs, probes, subspace_size at
 * most half the space, hold-out for small sets ...) and refuses what cannot
 * run, naming the field (err->pointer). */
enum sn_err sn_spec_resolve(struct sn_spec *spec,
                            const struct sn_dataset_info *data,
                            struct sn_error *err);

enum sn_phase_kind {
    SN_PHASE_PREPARE,
    SN_PHASE_WARMUP,
    SN_PHASE_PROBE,
    SN_PHASE_FIT,
    SN_PHASE_FILTER,
    SN_PHASE_TRAIN,
    SN_PHASE_EVALUATE,
    SN_PHASE_SEARCH,
    SN_PHASE_KINDS
};
extern const char *const sn_phase_names[SN_PHASE_KINDS]; /* "prepare", ... */

/* What a job will take, from the resolved spec. */
struct sn_forecast {
    double memory_bytes, disk_bytes, macs, images, seconds;
    double phase_macs[SN_PHASE_KINDS]; /* a training step is 3 x forward */
    /* the field that drives most of the memory: "/train/batch_size", ... */
    const char *memory_field;
};
enum sn_err sn_spec_forecast(const struct sn_spec *spec,
                             const struct sn_dataset_info *data,
                             struct sn_forecast *ret, struct sn_error *err);

/* ---- what a run reports ---- */

struct sn_phase_report {
    enum sn_phase_kind kind;
    char name[SN_NAME_MAX]; /* "warmup", "elastic depth {2,3}", ... */
    int index, of;
};

/* Cost of a phase, summed over its visits. macs: multiply-accumulates done,
 * a training step counted as 3 x forward. */
struct sn_phase_cost {
    double wall_s, cpu_s, images, macs;
};

struct sn_progress {
    struct sn_phase_report phase;
    double fraction;       /* of the whole job, 0..1 */
    double phase_fraction; /* of this phase */
    double eta_s;          /* NAN while unknown */
    double images_per_s;
    double epoch;
    uint64_t step; /* optimizer steps done: the weights version */
    struct sn_phase_cost cost[SN_PHASE_KINDS];
};

enum sn_stage_kind {
    SN_STAGE_EARLY,
    SN_STAGE_FINAL,
    SN_STAGE_VERIFY,
    SN_STAGE_KINDS
};
extern const char *const sn_stage_names[SN_STAGE_KINDS];
extern const char *const sn_split_names[3]; /* "train", "holdout", "test" */

/* Latency in ms; NAN where not known. */
struct sn_latency_ms {
    double predicted, measured, lo, hi;
};

struct sn_evaluation {
    char arch[SN_ARCH_ID_MAX];
    enum sn_stage_kind stage;
    enum sn_split split;
    uint64_t step;
    uint32_t images, correct;
    double accuracy;  /* correct / images */
    double predicted; /* the predictor's, NAN if none */
    struct sn_cost cost;
    struct sn_latency_ms latency;
    bool selected; /* chosen by this very number */
};

/* What a predictor is worth, out of fold, and what there was to predict. */
struct sn_predictor_report {
    enum sn_predictor_kind kind;
    enum sn_stage_kind stage;
    uint64_t step;
    uint32_t n;
    struct sn_quality quality;
    uint32_t n_bands;
    const struct sn_quality_band {
        double macs_lo, macs_hi;
        struct sn_quality quality;
    } * bands;
    struct sn_signal signal;
    struct sn_contest contest;
    bool used;         /* a filter stands on it */
    char why[192];     /* this kind, in words */
    char verdict[256]; /* on it, in words */
    /* n probes: id, measured, out-of-fold prediction, MACs */
    const struct sn_predictor_point {
        char arch[SN_ARCH_ID_MAX];
        double measured, predicted, macs;
    } * points;
};

/* Whether early held: probes measured again at the end. Kendall's tau with
 * their final accuracies, overall and inside cost bands, of what was measured
 * early and of what was predicted then, out of fold. */
struct sn_outcome_report {
    uint64_t step;
    uint32_t n;
    double measured_tau, measured_tau_within;
    double predicted_tau, predicted_tau_within;
    bool filtered;     /* by the predictor: then these say something */
    uint32_t kept;     /* of n, those over their band's threshold */
    uint32_t top;      /* a fifth: the best at the end against their bands */
    uint32_t top_kept; /* of these */
    char verdict[320]; /* in words */
};

struct sn_subspace_report {
    uint64_t step;
    enum sn_keep filter;
    uint32_t scored, size;
    double space_size, density;
    uint32_t n_bands;
    const struct sn_band_report {
        double macs_lo, macs_hi, threshold;
        uint32_t scored, kept;
    } * bands;
    const struct sn_arch *members; /* size of them */
    const double *scores;          /* of each member */
};

struct sn_front_report {
    enum sn_cost_kind cost;
    char device[SN_NAME_MAX];
    uint64_t as_of_step;
    uint32_t n;
    const struct sn_evaluation *items; /* by rising cost */
};

struct sn_latency_row {
    char key[SN_ARCH_ID_MAX + 16];
    double median_ns, spread_ns;
    uint32_t samples;
};

/* What the search says at its end: one for each target. */
struct sn_answer {
    enum sn_cost_kind cost;    /* what is bounded: latency or MACs ... */
    double bound;              /* ... and by what */
    bool found;                /* false: `best` is the nearest that misses it */
    struct sn_evaluation best; /* on the hold-out */
    double test_accuracy;      /* NAN when not found */
    uint32_t test_images, test_correct;
};

enum sn_log_level { SN_LOG_DEBUG, SN_LOG_INFO, SN_LOG_WARN, SN_LOG_ERROR };

/* All on the conductor's thread; arguments are borrowed for the call. Any may
 * be NULL. */
struct sn_callbacks {
    void *arg;
    void (*phase)(void *arg, const struct sn_phase_report *phase);
    void (*progress)(void *arg, const struct sn_progress *progress);
    void (*series)(void *arg, const char *name, uint64_t step, double epoch,
                   double value); /* loss, accuracy, learning_rate,
                                     images_per_s, hypervolume; stall_ms: what a
                     step waited for images that were not decoded yet */
    void (*evaluation)(void *arg, const struct sn_evaluation *evaluation);
    void (*predictor)(void *arg, const struct sn_predictor_report *report);
    void (*subspace)(void *arg, const struct sn_subspace_report *report);
    void (*outcome)(void *arg, const struct sn_outcome_report *report);
    void (*front)(void *arg, const struct sn_front_report *front);
    void (*latencies)(void *arg, const char *device, const char *fingerprint,
                      const struct sn_latency_row *rows, uint32_t n);
    void (*answer)(void *arg, uint32_t i, uint32_t of,
                   const struct sn_answer *answer);
    /* A checkpoint is whole on disk at `path`. The callee records it durably
     * and may remove older ones (it keeps two); its error ends the run. xxh3 is
     * of the supernet's weights alone (16 hex digits), file_xxh3 of the file.
     */
    enum sn_err (*checkpoint)(void *arg, const char *path, uint64_t step,
                              const char *phase, const char *xxh3,
                              const char *file_xxh3, uint64_t bytes,
                              struct sn_error *err);
    void (*log)(void *arg, enum sn_log_level level, const char *text);
};

struct sn_run {
    const struct sn_spec *spec; /* resolved */
    const struct sn_dataset *data;
    const char *dir;    /* for checkpoint-<step>.safetensors; exists */
    const char *resume; /* a checkpoint's path, or NULL */
    atomic_int *stop;   /* non-zero: write a checkpoint and return STOPPED;
                           2: return at once */
    const struct sn_callbacks *callbacks;
    /* Latencies stored earlier for `fingerprint`, or NULL. */
    const struct sn_latency_row *latency_rows;
    uint32_t n_latency_rows;
    const char *latency_fingerprint;
    /* The file of spec->supernet, as sn_engine_import left it: searched as it
     * is, or what finetune starts from. NULL: the job trains its own. */
    const char *weights;
    /* Where the trained supernet goes at the end, with the statistics of its
     * largest network; NULL: nowhere. Not with `weights`, and not for a job of
     * one architecture, whose other weights mean nothing. */
    const char *keep;
};
enum sn_err sn_engine_run(const struct sn_run *run, struct sn_error *err);

/* ---- weights of a checkpoint, without a run ---- */

enum sn_export_format { SN_EXPORT_ONNX, SN_EXPORT_SAFETENSORS };

/* What a model is made from; all is borrowed. */
struct sn_export {
    const struct sn_space *space;
    const char *weights; /* a job's checkpoint (then with data), or a
                            supernet's file */
    /* BN is re-calibrated on its training images, and its mean and std
     * normalise. NULL: the statistics and the normalisation that the file
     * holds; without any SN_ERR_CONFLICT. */
    const struct sn_dataset *data;
    /* With data, resolved: how the images are cut into splits and read, and
     * search.calibration of them (at most what there is). */
    const struct sn_spec *spec;
    enum sn_export_format format;
    bool plain_input; /* ONNX: the graph takes normalised images; false: pixels
                         in 0..1, which it normalises itself */
};
/* Writes the architecture's model to `path` (atomically), read back and
 * checked. Seconds; any thread. */
enum sn_err sn_engine_export(const struct sn_export *from,
                             const struct sn_arch *arch, const char *path,
                             struct sn_error *err);

/* ---- supernets, without a run ---- */

/* The space that a file of weights names itself; "" when it does not. */
enum sn_err sn_engine_supernet_space(const char *path, char ret[SN_NAME_MAX],
                                     struct sn_error *err);
/* Reads a supernet's safetensors file of any origin (the names that Once-for-
 * All's state dicts have and had), checks all of it and writes it to `path` in
 * the form that is kept. SN_ERR_INVALID and SN_ERR_CORRUPT name what is wrong
 * with it. Weights of three channels that do not say how they are normalised
 * get ImageNet's mean and std, with which the published ones were trained. */
enum sn_err sn_engine_import(const char *from, const struct sn_space *space,
                             const char *path, struct sn_supernet_info *ret,
                             struct sn_error *err);
/* What a kept file says; checks its names and shapes, not its values. */
enum sn_err sn_engine_supernet_info(const char *path,
                                    const struct sn_space *space,
                                    struct sn_supernet_info *ret,
                                    struct sn_error *err);

/* What the engine computes with here: "oneDNN 2.6.3, avx512" (for /version and
 * logs; looks at the CPU anew each time, so keep the answer). */
enum { SN_RUNTIME_MAX = 64 };
void sn_engine_runtime(char ret[SN_RUNTIME_MAX]);

#endif
