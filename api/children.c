/* What comes after a search: one architecture of a job trained further, or
 * alone from scratch, as a job of its own. */
#include <string.h>

#include "api/child_json.h"
#include "api/handlers.h"
#include "api/json.h"
#include "api/submit.h"

static const char *const wishes[] = {"epochs", "learning_rate", "seed",
                                     "name",   "priority",      NULL};

/* The client gave wishes, not the spec made of them: what is wrong with the
 * rest of it is a state of the parent that he cannot change here. */
static void reword(struct sn_problem *problem)
{
    static const char rate[] = "/train/learning_rate";
    for (size_t i = 0; i < problem->n; i++) {
        struct sn_problem_item *item = &problem->item[i];
        bool ours = false;
        if (strcmp(item->where, rate) == 0)
            strcpy(item->where, "/learning_rate");
        for (size_t k = 0; wishes[k] != NULL; k++)
            ours |= strcmp(item->where + 1, wishes[k]) == 0;
        if (ours || problem->status != 400)
            continue;
        struct sn_problem_item other = *item;
        memset(problem, 0, sizeof *problem);
        sn_problem_set(problem, 409, "the job's %s cannot be used again: %s",
                       other.where, other.detail);
    }
}

/* NULL after a reply. Owned. */
static json_t *read_wishes(struct sn_request *rq)
{
    struct sn_problem problem = {0};
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    else if (body != NULL)
        sn_json_check_members(body, "", wishes, &problem);
    if (json_is_object(body) && json_object_get(body, "epochs") == NULL)
        sn_problem_at(&problem, "/epochs", "is required");
    if (body != NULL && problem.n == 0)
        return body;
    json_decref(body);
    sn_reply_problem(rq, &problem);
    return NULL;
}

/* The weights to start from are there; false after a reply. */
static bool has_weights(struct sn_request *rq, const struct sn_job_view *job)
{
    const struct sn_host *host = rq->api->host;
    char name[SN_NAME_MAX];
    struct sn_error err = {0};
    if (sn_child_supernet(job, name, &err) != SN_OK) {
        sn_reply_error(rq, &err);
        return false;
    }
    const struct sn_supernet_view *s = host->supernet_get(host->self, name);
    if (s != NULL && s->available)
        return true;
    sn_reply_status(rq, 409, "the job's weights are not there: %s: %s", name,
                    s == NULL ? "there is no such supernet" : s->problem);
    return false;
}

static void post_child(struct sn_request *rq, enum sn_strategy strategy)
{
    const struct sn_job_view *job = sn_request_job(rq);
    const char *id = sn_request_path(rq, 1);
    const struct sn_space *space;
    struct sn_spec spec;
    struct sn_arch arch;
    if (job == NULL || !sn_request_arch(rq, job, id, &spec, &space, &arch) ||
        (strategy == SN_STRATEGY_FINETUNE && !has_weights(rq, job)))
        return;
    json_t *given = read_wishes(rq);
    if (given == NULL)
        return;
    json_t *body = sn_child_spec(job, strategy, id, given);
    json_decref(given);
    sn_submit(rq, body, false, reword);
    json_decref(body);
}

void sn_post_finetune(struct sn_request *rq)
{
    post_child(rq, SN_STRATEGY_FINETUNE);
}

void sn_post_scratch(struct sn_request *rq)
{
    post_child(rq, SN_STRATEGY_SCRATCH);
}
