/* The daemon's parts in one struct, for daemon.c, host.c and stop.c alone. */
#ifndef SN_DAEMON_STATE_H
#define SN_DAEMON_STATE_H

#include <uv.h>

#include "api/api.h"
#include "daemon/config.h"
#include "daemon/exports.h"
#include "daemon/lifecycle.h"
#include "daemon/listen.h"
#include "daemon/spaces.h"
#include "daemon/supernets.h"

enum { SN_N_SIGNALS = 3 };

struct sn_daemon {
    const struct sn_config *config;
    uv_loop_t loop;
    struct sn_mailbox box;
    struct sn_storage *storage;
    struct sn_listener listener;
    struct sn_offload *files, *sets, *models;
    struct sn_datasets *datasets;
    struct sn_spaces *spaces;
    struct sn_supernets *supernets;
    struct sn_exports_config exports;
    struct sn_lifecycle *life;
    struct sn_host host;
    struct sn_api *api;
    char token[512];

    uv_signal_t signals[SN_N_SIGNALS];
    uv_timer_t tick, watchdog;
    bool looking_at_disk;
    struct sn_error room; /* of the last look */

    bool stopping, closing, closed, ready_written;
    uint64_t stop_began; /* ms of the loop's clock */
    int status;
};

/* host.c: fills d->host. */
void sn_daemon_fill_host(struct sn_daemon *d);

/* room.c: looks at the disk on the file thread; answers to d->life. */
void sn_daemon_look_at_disk(struct sn_daemon *d);

#endif
