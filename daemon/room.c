/* Whether there is room on the disk: asked every few seconds on the file
 * thread, and by a small write when storage's last write found none. */
#include <string.h>

#include "daemon/state.h"
#include "storage/files.h"

static void answer(struct sn_daemon *d, bool room)
{
    d->looking_at_disk = false;
    if (!d->stopping)
        sn_lifecycle_set_room(d->life, room);
}

static void on_probed(void *arg)
{
    struct sn_daemon *d = arg;
    answer(d, d->room.code == SN_OK);
}

/* On the writer's thread. */
static void on_probe_written(void *arg, const struct sn_written *result)
{
    struct sn_daemon *d = arg;
    d->room = result->error;
    sn_mailbox_post(&d->box, on_probed, d);
}

static void look(void *arg)
{
    struct sn_daemon *d = arg;
    int64_t bytes = 0;
    memset(&d->room, 0, sizeof d->room);
    if (sn_files_room(sn_storage_dir(d->storage), &bytes, &d->room) != SN_OK)
        return;
    /* To go on takes a quarter more than what it stops at, so that jobs do
     * not flutter. */
    double least = d->config->min_free_mib * 1048576.0;
    if (sn_storage_disk_full(d->storage) || !sn_lifecycle_has_room(d->life))
        least *= 1.25;
    if ((double)bytes < least)
        sn_error_set(&d->room, SN_ERR_DISKFULL, "%.0f MiB are left",
                     (double)bytes / 1048576.0);
}

static void on_looked(void *arg)
{
    struct sn_daemon *d = arg;
    struct sn_write write = {.done = on_probe_written, .arg = d};
    if (!d->stopping && d->room.code == SN_OK &&
        sn_storage_disk_full(d->storage) &&
        sn_storage_probe(d->storage, &write, NULL) == SN_OK)
        return;
    answer(d, d->room.code == SN_OK);
}

void sn_daemon_look_at_disk(struct sn_daemon *d)
{
    if (d->looking_at_disk)
        return;
    d->looking_at_disk = true;
    if (sn_offload_submit(d->files, look, on_looked, d, NULL) != SN_OK)
        d->looking_at_disk = false;
}
