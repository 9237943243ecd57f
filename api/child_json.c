#include "api/child_json.h"

#include <stdio.h>
#include <string.h>

#include <xxhash.h>

#include "api/json.h"
#include "api/stats.h"
#include "storage/reader.h"

/* ---- what it is asked to be ---- */

/* finetune's share of a rate that was given for training from scratch, as in
 * the strategies' own. */
static const double finetune_rate = 0.3;

static json_t *member(const json_t *object, const char *name)
{
    return json_object_get(object, name);
}

static void copy_members(json_t *to, const json_t *from,
                         const char *const *names)
{
    for (; *names != NULL; names++)
        if (member(from, *names) != NULL)
            sn_json_put(to, *names, json_incref(member(from, *names)));
}

/* Every setting of training as the parent had it, but for the strategy's own
 * ones that were not given. */
static json_t *training(const json_t *resolved, const json_t *given,
                        enum sn_strategy strategy)
{
    static const char *const own[] = {"learning_rate", "weight_decay",
                                      "clip_value"};
    json_t *train = json_copy(member(resolved, "train"));
    const json_t *asked = member(given, "train");
    if (train == NULL)
        train = json_object();
    for (size_t i = 0; i < sizeof own / sizeof own[0]; i++)
        if (member(asked, own[i]) == NULL)
            json_object_del(train, own[i]);
    if (strategy == SN_STRATEGY_FINETUNE && member(train, own[0]) != NULL)
        sn_json_put(train, own[0],
                    sn_json_number(finetune_rate *
                                   json_number_value(member(train, own[0]))));
    const json_t *split = member(train, "split_seed");
    if (!json_is_integer(split) || json_integer_value(split) < 0)
        sn_json_put(train, "split_seed", json_incref(member(resolved, "seed")));
    return train;
}

/* As long as a name may be, the parent's with a word behind it. */
static json_t *name_of(const struct sn_job_view *parent, bool inherits)
{
    char name[SN_LABEL_MAX];
    int n = snprintf(name, sizeof name, "%s, %s", parent->name,
                     inherits ? "fine-tuned" : "from scratch");
    return sn_json_string((size_t)n < sizeof name ? name : parent->name);
}

static json_t *part(const json_t *resolved, const char *group,
                    const char *const *names)
{
    json_t *o = json_object();
    copy_members(o, member(resolved, group), names);
    return o;
}

json_t *sn_child_spec(const struct sn_job_view *parent,
                      enum sn_strategy strategy, const char *arch,
                      const json_t *wishes)
{
    static const char *const as_is[] = {"dataset",  "space",  "seed",
                                        "priority", "labels", NULL};
    static const char *const searched[] = {"device", "calibration", "costs",
                                           NULL};
    static const char *const held_out[] = {"probe_images", NULL};
    static const char *const wished[] = {"epochs", "seed", "name", "priority",
                                         NULL};
    const bool inherits = strategy == SN_STRATEGY_FINETUNE;
    char supernet[SN_NAME_MAX];
    json_t *resolved = sn_json_stored(parent->spec_resolved_json);
    json_t *given = sn_json_stored(parent->spec_given_json);
    json_t *o = json_object(), *train = training(resolved, given, strategy);

    copy_members(o, resolved, as_is);
    sn_json_put(o, "name", name_of(parent, inherits));
    sn_json_put(o, "strategy",
                sn_json_string(inherits ? "finetune" : "scratch"));
    sn_json_put(o, "architecture", sn_json_string(arch));
    sn_json_put(o, "parent", sn_json_string(parent->id));
    if (inherits && sn_child_supernet(parent, supernet, NULL) == SN_OK)
        sn_json_put(o, "supernet", sn_json_string(supernet));
    sn_json_put(o, "sparsenas", part(resolved, "sparsenas", held_out));
    sn_json_put(o, "search", part(resolved, "search", searched));
    copy_members(o, wishes, wished);
    if (member(wishes, "learning_rate") != NULL)
        sn_json_put(train, "learning_rate",
                    json_incref(member(wishes, "learning_rate")));
    sn_json_put(o, "train", train);
    json_decref(resolved);
    json_decref(given);
    return o;
}

char *sn_child_print(const struct sn_job_view *parent,
                     enum sn_strategy strategy, const char *arch, double epochs)
{
    json_t *wishes = json_object();
    sn_json_put(wishes, "epochs", sn_json_number(epochs));
    json_t *spec = sn_child_spec(parent, strategy, arch, wishes);
    char *text = sn_json_dump(spec);
    json_decref(wishes);
    json_decref(spec);
    return text;
}

void sn_child_id(const char *parent, const char *arch,
                 enum sn_strategy strategy, char ret[SN_ID_MAX])
{
    static const char alphabet[] = "0123456789abcdefghjkmnpqrstvwxyz";
    char text[SN_ID_MAX + SN_ARCH_ID_MAX + 16];
    int n =
        snprintf(text, sizeof text, "%s %s %d", parent, arch, (int)strategy);
    XXH128_hash_t hash = XXH3_128bits(text, (size_t)n);
    uint64_t half[2] = {hash.low64, hash.high64};
    for (int i = 0; i < 16; i++) {
        ret[i] = alphabet[half[i / 8] & 31];
        half[i / 8] >>= 5;
    }
    ret[16] = '\0';
}

enum sn_err sn_child_supernet(const struct sn_job_view *parent,
                              char ret[SN_NAME_MAX], struct sn_error *err)
{
    const struct sn_spec *spec = parent->spec;
    if (sn_spec_is_single(spec))
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "a job that trains one architecture leaves no "
                            "weights for others to start from");
    if (spec->supernet[0] != '\0') {
        snprintf(ret, SN_NAME_MAX, "%s", spec->supernet);
        return SN_OK;
    }
    if (parent->state != SN_JOB_SUCCEEDED)
        return sn_error_set(err, SN_ERR_CONFLICT,
                            "the job has no finished weights: it %s %s",
                            parent->state == SN_JOB_FAILED ? "has" : "is",
                            sn_job_state_name(parent->state));
    snprintf(ret, SN_NAME_MAX, SN_SUPERNET_OF_JOB "%.50s", parent->id);
    return SN_OK;
}

char *sn_child_event(const char *id, const struct sn_spec *spec)
{
    json_t *o = json_object();
    sn_json_put(o, "job", sn_json_string(id));
    sn_json_put(o, "architecture", sn_json_string(spec->architecture));
    sn_json_put(o, "strategy",
                sn_json_string(spec->strategy == SN_STRATEGY_FINETUNE
                                   ? "finetune"
                                   : "scratch"));
    char *text = sn_json_dump(o);
    json_decref(o);
    return text;
}

bool sn_child_read_event(const char *payload, char ret_id[SN_ID_MAX])
{
    json_t *o = sn_json_stored(payload);
    const char *id = json_string_value(member(o, "job"));
    const bool good = id != NULL && strlen(id) < SN_ID_MAX;
    if (good)
        strcpy(ret_id, id);
    json_decref(o);
    return good;
}

bool sn_child_read_answer(const char *payload, uint32_t *ret_index,
                          char ret_arch[SN_ARCH_ID_MAX])
{
    json_t *o = sn_json_stored(payload);
    json_int_t i = json_integer_value(member(o, "index"));
    const char *arch = json_string_value(member(member(o, "best"), "arch"));
    const bool found = json_is_true(member(o, "found"));
    const bool good =
        json_is_object(o) && i >= 0 && i < SN_MAX_ANSWERS &&
        (!found || (arch != NULL && strlen(arch) < SN_ARCH_ID_MAX));
    if (good) {
        *ret_index = (uint32_t)i;
        strcpy(ret_arch, found ? arch : "");
    }
    json_decref(o);
    return good;
}

/* ---- what it says of itself ---- */

static bool add_result(void *arg, const struct sn_evaluation_record *row)
{
    json_t *o = arg;
    json_t *when = member(o, row->stage == SN_EVAL_EARLY ? "before" : "after");
    if (json_object_get(when, row->split) != NULL)
        sn_json_put(when, row->split,
                    sn_json_proportion(row->correct, row->images));
    return true;
}

static json_t *nothing_yet(void)
{
    json_t *o = json_object();
    sn_json_put(o, "holdout", json_null());
    sn_json_put(o, "test", json_null());
    return o;
}

enum sn_err sn_child_put_results(json_t *o, struct sn_reader *reader,
                                 const char *job, const char *arch,
                                 bool inherits, struct sn_error *err)
{
    struct sn_eval_query query = {.job = job, .arch = arch};
    if (inherits)
        sn_json_put(o, "before", nothing_yet());
    sn_json_put(o, "after", nothing_yet());
    return sn_reader_evaluations(reader, &query, add_result, o, err);
}
