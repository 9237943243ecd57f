/* Search spaces, and architectures of them without a job. */
#include <stdlib.h>
#include <string.h>

#include "api/arch_json.h"
#include "api/handlers.h"
#include "api/json.h"

static const struct sn_space *space_of_path(struct sn_request *rq)
{
    const struct sn_space *space = sn_space_find(sn_request_path(rq, 0));
    if (space == NULL)
        sn_reply_status(rq, 404, "there is no space %.64s",
                        sn_request_path(rq, 0));
    return space;
}

void sn_list_spaces(struct sn_request *rq)
{
    json_t *body = json_object(), *items = json_array();
    const struct sn_space *space;
    for (size_t i = 0; (space = sn_space_builtin(i)) != NULL; i++)
        json_array_append_new(items, sn_space_describe(space, false));
    sn_json_put(body, "items", items);
    sn_json_put(body, "next_cursor", json_null());
    sn_reply_json(rq, 200, body);
}

void sn_get_space(struct sn_request *rq)
{
    const struct sn_space *space = space_of_path(rq);
    if (space != NULL)
        sn_reply_json(rq, 200, sn_space_describe(space, true));
}

/* {"arch": id} or {"ofa": {...}}; both forms come back, with the layers. */
static bool read_arch(const struct sn_space *space, json_t *body,
                      struct sn_arch *ret, struct sn_problem *problem)
{
    static const char *const names[] = {"arch", "ofa", "channels", "classes",
                                        NULL};
    static const char *const ofa_names[] = {"ks", "e", "d", "r", NULL};
    struct sn_error err = {0};
    json_t *ofa = json_object_get(body, "ofa");
    const char *id = NULL;
    sn_json_check_members(body, "", names, problem);
    if ((ofa != NULL) == (json_object_get(body, "arch") != NULL)) {
        sn_problem_at(problem, "", "give either \"arch\" or \"ofa\"");
        return false;
    }
    if (ofa != NULL) {
        if (!json_is_object(ofa)) {
            sn_problem_at(problem, "/ofa", "must be an object");
            return false;
        }
        sn_json_check_members(ofa, "/ofa", ofa_names, problem);
        return sn_arch_from_ofa(space, ofa, "/ofa", ret, problem) &&
               problem->n == 0;
    }
    id =
        sn_json_get_string(body, "", "arch", true, SN_ARCH_ID_MAX - 1, problem);
    if (id != NULL && sn_arch_decode(space, id, ret, &err) != SN_OK)
        sn_problem_at(problem, "/arch", "%.200s", err.message);
    return problem->n == 0;
}

static int read_small(const json_t *body, const char *name, int most,
                      int otherwise, struct sn_problem *problem)
{
    const json_t *value = json_object_get(body, name);
    json_int_t number = json_integer_value(value);
    if (value == NULL)
        return otherwise;
    if (!json_is_integer(value) || number < 1 || number > most) {
        char pointer[SN_POINTER_MAX];
        sn_json_pointer_join("", name, pointer);
        sn_problem_at(problem, pointer, "must be a whole number from 1 to %d",
                      most);
        return otherwise;
    }
    return (int)number;
}

void sn_post_space_arch(struct sn_request *rq)
{
    const struct sn_space *space = space_of_path(rq);
    struct sn_problem problem = {0};
    struct sn_arch arch;
    if (space == NULL)
        return;
    json_t *body =
        sn_json_load(rq->body != NULL ? rq->body : "", rq->body_size, &problem);
    int channels =
        read_small(body, "channels", SN_MAX_IMAGE_CHANNELS, 1, &problem);
    int classes = read_small(body, "classes", SN_MAX_CLASSES, 10, &problem);
    if (body != NULL && !json_is_object(body))
        sn_problem_at(&problem, "", "the body must be a JSON object");
    if (problem.status == 0 && read_arch(space, body, &arch, &problem))
        sn_reply_json(rq, 200,
                      sn_arch_describe(space, &arch, channels, classes));
    else
        sn_reply_problem(rq, &problem);
    json_decref(body);
}
