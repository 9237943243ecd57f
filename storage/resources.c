/* Datasets, spaces, devices, supernets: four tables of one shape. */
#include "storage/internal.h"

static const char *const kind_names[SN_RESOURCE_KIND_COUNT] = {
    [SN_RESOURCE_DATASET] = "data set",
    [SN_RESOURCE_SPACE] = "space",
    [SN_RESOURCE_DEVICE] = "device",
    [SN_RESOURCE_SUPERNET] = "supernet",
};

static enum sn_err check(enum sn_resource_kind kind, const char *name,
                         struct sn_error *err)
{
    if ((unsigned)kind >= SN_RESOURCE_KIND_COUNT || name == NULL ||
        name[0] == '\0')
        return sn_error_set(err, SN_ERR_INVALID,
                            "a resource needs a kind and a name");
    return SN_OK;
}

static enum sn_err not_found(enum sn_resource_kind kind, const char *name,
                             struct sn_error *err)
{
    return sn_error_set(err, SN_ERR_NOTFOUND, "there is no %s \"%.100s\"",
                        kind_names[kind], name);
}

static enum sn_err apply_put(struct sn_db *db, struct sn_item *item)
{
    const struct sn_resource *r = item->body;
    struct sn_query q = sn_query_start(db, SN_SQL_RESOURCE_PUT + (int)r->kind);
    sn_bind_text(&q, r->name);
    sn_bind_text(&q, r->body);
    sn_bind_text(&q, r->path);
    sn_bind_int(&q, r->bytes);
    sn_bind_text(&q, r->xxh3);
    sn_bind_int(&q, sn_time_or_now(r->time_ms));
    return sn_query_run(&q, &item->result.error);
}

enum sn_err sn_storage_put_resource(struct sn_storage *st,
                                    const struct sn_resource *resource,
                                    const struct sn_write *w,
                                    struct sn_error *err)
{
    enum sn_err code = check(resource->kind, resource->name, err);
    if (code != SN_OK)
        return code;
    struct sn_item *item = sn_item_new(sizeof *resource, w);
    if (item != NULL) {
        struct sn_resource *body = item->body;
        item->apply = apply_put;
        *body = *resource;
        body->name = sn_item_text(item, resource->name);
        body->body = sn_item_text(item, resource->body);
        body->path = sn_item_text(item, resource->path);
        body->xxh3 = sn_item_text(item, resource->xxh3);
    }
    return sn_writer_submit(st, item, err);
}

static enum sn_err apply_delete(struct sn_db *db, struct sn_item *item)
{
    const struct sn_resource *r = item->body;
    struct sn_error *err = &item->result.error;
    struct sn_query q =
        sn_query_start(db, SN_SQL_RESOURCE_DELETE + (int)r->kind);
    sn_bind_text(&q, r->name);
    enum sn_err code = sn_query_run(&q, err);
    if (code == SN_OK && sqlite3_changes(db->handle) == 0)
        code = not_found(r->kind, r->name, err);
    return code;
}

enum sn_err sn_storage_delete_resource(struct sn_storage *st,
                                       enum sn_resource_kind kind,
                                       const char *name,
                                       const struct sn_write *w,
                                       struct sn_error *err)
{
    enum sn_err code = check(kind, name, err);
    if (code != SN_OK)
        return code;
    struct sn_item *item = sn_item_new(sizeof(struct sn_resource), w);
    if (item != NULL) {
        struct sn_resource *body = item->body;
        item->apply = apply_delete;
        body->kind = kind;
        body->name = sn_item_text(item, name);
    }
    return sn_writer_submit(st, item, err);
}

static void read_row(struct sn_query *q, enum sn_resource_kind kind,
                     struct sn_resource *row)
{
    row->kind = kind;
    row->name = sn_column_text(q);
    row->body = sn_column_text(q);
    row->path = sn_column_text(q);
    row->bytes = sn_column_int(q);
    row->xxh3 = sn_column_text(q);
    row->time_ms = sn_column_int(q);
}

enum sn_err sn_reader_resources(struct sn_reader *r, enum sn_resource_kind kind,
                                const char *after_name, int64_t limit,
                                sn_resource_row_fn fn, void *arg,
                                struct sn_error *err)
{
    enum sn_err code = check(kind, "any", err);
    if (code != SN_OK)
        return code;
    struct sn_query q = sn_query_start(&r->db, SN_SQL_RESOURCES + (int)kind);
    sn_bind_text_or_null(&q, after_name);
    sn_bind_int(&q, limit > 0 ? limit : -1);
    struct sn_resource row;
    while (sn_query_row(&q)) {
        read_row(&q, kind, &row);
        if (!fn(arg, &row))
            break;
    }
    return sn_query_end(&q, err);
}

enum sn_err sn_reader_resource_get(struct sn_reader *r,
                                   enum sn_resource_kind kind, const char *name,
                                   sn_resource_row_fn fn, void *arg,
                                   struct sn_error *err)
{
    enum sn_err code = check(kind, name, err);
    if (code != SN_OK)
        return code;
    struct sn_query q = sn_query_start(&r->db, SN_SQL_RESOURCE_GET + (int)kind);
    sn_bind_text(&q, name);
    bool found = sn_query_row(&q);
    if (found) {
        struct sn_resource row;
        read_row(&q, kind, &row);
        fn(arg, &row);
    }
    code = sn_query_end(&q, err);
    if (code == SN_OK && !found)
        code = not_found(kind, name, err);
    return code;
}
