#include "daemon/spaces.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "api/space_json.h"
#include "daemon/log.h"

enum { MAX_SPACES = 256 };

enum state { ENTERING, SHOWN, LEAVING, GONE };

struct entry {
    struct entry *next; /* among all, those that are gone too */
    struct sn_space space;
    char *json; /* NULL: built in */
    enum state state;
};

struct sn_spaces {
    struct sn_storage *storage;
    struct sn_mailbox *box;
    pthread_mutex_t lock; /* the list and its states: the loop changes them */
    struct entry *first, **last;
    size_t n; /* names that are taken */
    struct sn_space_view view[MAX_SPACES];
};

static struct entry *add_entry(struct sn_spaces *s,
                               const struct sn_space *space, const char *json)
{
    struct entry *e = calloc(1, sizeof *e);
    if (e != NULL && json != NULL && (e->json = strdup(json)) == NULL) {
        free(e);
        return NULL;
    }
    if (e != NULL) {
        e->space = *space;
        pthread_mutex_lock(&s->lock);
        *s->last = e;
        s->last = &e->next;
        pthread_mutex_unlock(&s->lock);
    }
    return e;
}

static void set_state(struct sn_spaces *s, struct entry *e, enum state state)
{
    pthread_mutex_lock(&s->lock);
    e->state = state;
    pthread_mutex_unlock(&s->lock);
}

static struct entry *find(struct sn_spaces *s, const char *name)
{
    for (struct entry *e = s->first; e != NULL; e = e->next)
        if (e->state == SHOWN && strcmp(e->space.name, name) == 0)
            return e;
    return NULL;
}

const struct sn_space *sn_spaces_find(struct sn_spaces *s, const char *name)
{
    pthread_mutex_lock(&s->lock);
    const struct entry *e = find(s, name);
    pthread_mutex_unlock(&s->lock);
    return e != NULL ? &e->space : NULL;
}

size_t sn_spaces_list(struct sn_spaces *s, const struct sn_space_view **ret)
{
    size_t n = 0;
    for (struct entry *e = s->first; e != NULL && n < MAX_SPACES; e = e->next)
        if (e->state == SHOWN)
            s->view[n++] = (struct sn_space_view){&e->space, e->json};
    *ret = s->view;
    return n;
}

const struct sn_space_view *sn_spaces_get(struct sn_spaces *s, const char *name)
{
    const struct sn_space_view *list;
    size_t n = sn_spaces_list(s, &list);
    for (size_t i = 0; i < n; i++)
        if (strcmp(list[i].space->name, name) == 0)
            return &list[i];
    return NULL;
}

enum sn_err sn_spaces_resolve(struct sn_spaces *s, struct sn_spec *spec,
                              struct sn_error *err)
{
    const struct entry *e = find(s, spec->space);
    if (e == NULL)
        return sn_error_at(err, SN_ERR_NOTFOUND, "/space",
                           "there is no space '%s'", spec->space);
    spec->made_space = e->json != NULL ? &e->space : NULL;
    return SN_OK;
}

/* ---- changes ---- */

struct change {
    struct sn_spaces *s;
    struct entry *entry;
    sn_host_done done;
    void *arg;
    struct sn_error error;
};

static void on_done(void *arg)
{
    struct change *c = arg;
    bool good = c->error.code == SN_OK;
    bool entering = c->entry->state == ENTERING;
    set_state(c->s, c->entry, good == entering ? SHOWN : GONE);
    if (c->entry->state == GONE)
        c->s->n--;
    c->done(c->arg, good ? NULL : &c->error);
    free(c);
}

static void on_written(void *arg, const struct sn_written *result)
{
    struct change *c = arg;
    c->error = result->error;
    sn_mailbox_post(c->s->box, on_done, c);
}

static struct change *change_new(struct sn_spaces *s, sn_host_done done,
                                 void *arg, struct sn_error *err)
{
    struct change *c = calloc(1, sizeof *c);
    if (c == NULL)
        sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    else
        *c = (struct change){.s = s, .done = done, .arg = arg};
    return c;
}

/* From when a space is asked for until it is gone. */
static bool is_taken(const struct sn_spaces *s, const char *name)
{
    for (const struct entry *e = s->first; e != NULL; e = e->next)
        if (e->state != GONE && strcmp(e->space.name, name) == 0)
            return true;
    return false;
}

void sn_spaces_add(struct sn_spaces *s, const struct sn_space *space,
                   const char *json, sn_host_done done, void *arg)
{
    struct sn_error err = {0};
    struct change *c = NULL;
    if (is_taken(s, space->name))
        sn_error_at(&err, SN_ERR_CONFLICT, "/name",
                    "there is a space \"%s\" already", space->name);
    else if (s->n == MAX_SPACES)
        sn_error_set(&err, SN_ERR_CONFLICT,
                     "there are %d spaces: delete one first", MAX_SPACES);
    else
        c = change_new(s, done, arg, &err);
    if (c != NULL) {
        c->entry = add_entry(s, space, json);
        if (c->entry == NULL)
            sn_error_set(&err, SN_ERR_NOMEM, "out of memory");
    }
    if (err.code == SN_OK) {
        const struct sn_resource row = {.kind = SN_RESOURCE_SPACE,
                                        .name = c->entry->space.name,
                                        .body = c->entry->json,
                                        .path = "",
                                        .xxh3 = ""};
        struct sn_write write = {.done = on_written, .arg = c};
        s->n++;
        if (sn_storage_put_resource(s->storage, &row, &write, &err) != SN_OK) {
            set_state(s, c->entry, GONE);
            s->n--;
        }
    }
    if (err.code != SN_OK) {
        free(c);
        done(arg, &err);
    }
}

void sn_spaces_delete(struct sn_spaces *s, const char *name, sn_host_done done,
                      void *arg)
{
    struct entry *e = find(s, name);
    struct sn_error err = {0};
    struct change *c = NULL;
    if (e == NULL)
        sn_error_set(&err, SN_ERR_NOTFOUND, "there is no space \"%.60s\"",
                     name);
    else if (e->json == NULL)
        sn_error_set(&err, SN_ERR_CONFLICT,
                     "%s is built in and cannot be deleted", name);
    else
        c = change_new(s, done, arg, &err);
    if (c != NULL) {
        struct sn_write write = {.done = on_written, .arg = c};
        c->entry = e;
        set_state(s, e, LEAVING); /* no job can take it from now on */
        if (sn_storage_delete_resource(s->storage, SN_RESOURCE_SPACE,
                                       e->space.name, &write, &err) != SN_OK)
            set_state(s, e, SHOWN);
    }
    if (err.code != SN_OK) {
        free(c);
        done(arg, &err);
    }
}

/* ---- start and end ---- */

static bool on_row(void *arg, const struct sn_resource *row)
{
    struct sn_spaces *s = arg;
    struct sn_problem problem = {0};
    struct sn_space space;
    if (!sn_space_parse(row->body, strlen(row->body), &space, &problem) ||
        strcmp(space.name, row->name) != 0) {
        sn_log(SN_LOG_ERROR, "spaces", "a stored space cannot be used", "name",
               row->name, "problem",
               problem.n > 0 ? problem.item[0].detail : problem.detail, NULL);
        return true;
    }
    struct entry *e =
        s->n < MAX_SPACES ? add_entry(s, &space, row->body) : NULL;
    if (e != NULL) {
        set_state(s, e, SHOWN);
        s->n++;
    }
    return e != NULL;
}

struct reading {
    struct sn_spaces *s;
    struct sn_error error;
};

static void read_rows(void *arg, struct sn_reader *reader)
{
    struct reading *r = arg;
    sn_reader_resources(reader, SN_RESOURCE_SPACE, NULL, 0, on_row, r->s,
                        &r->error);
}

enum sn_err sn_spaces_new(struct sn_storage *storage, struct sn_mailbox *box,
                          struct sn_spaces **ret, struct sn_error *err)
{
    struct sn_spaces *s = calloc(1, sizeof *s);
    const struct sn_space *builtin;
    if (s == NULL)
        return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
    s->storage = storage;
    s->box = box;
    s->last = &s->first;
    pthread_mutex_init(&s->lock, NULL);
    for (size_t i = 0; (builtin = sn_space_builtin(i)) != NULL; i++) {
        struct entry *e = add_entry(s, builtin, NULL);
        if (e == NULL) {
            sn_spaces_free(s);
            return sn_error_set(err, SN_ERR_NOMEM, "out of memory");
        }
        set_state(s, e, SHOWN);
        s->n++;
    }
    struct reading reading = {.s = s};
    enum sn_err code = sn_storage_read_wait(storage, read_rows, &reading, err);
    if (code == SN_OK && reading.error.code != SN_OK) {
        *err = reading.error;
        code = err->code;
    }
    if (code != SN_OK) {
        sn_spaces_free(s);
        return code;
    }
    *ret = s;
    return SN_OK;
}

void sn_spaces_free(struct sn_spaces *s)
{
    if (s == NULL)
        return;
    while (s->first != NULL) {
        struct entry *next = s->first->next;
        free(s->first->json);
        free(s->first);
        s->first = next;
    }
    pthread_mutex_destroy(&s->lock);
    free(s);
}
