/* The inside of sn_datasets, for datasets.c (the list, opening), register.c
 * (registering, deleting) and datasets_start.c (what is there at the start).
 */
#ifndef SN_DAEMON_DATASETS_INTERNAL_H
#define SN_DAEMON_DATASETS_INTERNAL_H

#include <limits.h>
#include <pthread.h>

#include "api/dataset_json.h"
#include "daemon/datasets.h"

enum { SN_MAX_SETS = 256 };

struct sn_registration;

struct sn_set {
    struct sn_dataset_view view; /* what the loop shows */
    char name[SN_NAME_MAX], path[PATH_MAX], problem[256];
    bool gone;   /* deleted, still open or being read */
    bool stored; /* it has a row */
    bool known;  /* known_info and corrupt are of when it was registered, and
                    stay as they are */
    struct sn_dataset_info known_info;
    struct sn_texts classes, corrupt;
    struct sn_dataset_watch watch;        /* of being read */
    struct sn_registration *registration; /* under way, or NULL; the loop's */
    /* under the lock */
    struct sn_dataset *open;
    int refs; /* of `open`, and of who is opening it */
};

struct sn_datasets {
    struct sn_storage *storage;
    struct sn_offload *files, *looking;
    bool stopped; /* neither these nor storage are used any more */
    struct sn_mailbox *box;
    char *allowed;
    char state_dir[PATH_MAX]; /* absolute */
    uint64_t upload_bytes;    /* all uploaded sets may take */
    pthread_mutex_t lock;     /* the list, open, refs */
    pthread_mutex_t opening;  /* one set is opened at a time */
    pthread_mutex_t storing;  /* one archive is unpacked at a time, so that
                                 they share upload_bytes */
    struct sn_set *sets[SN_MAX_SETS];
    size_t n;
    struct sn_dataset_view shown[SN_MAX_SETS];
};

/* Any thread that may not see the list change, so under the lock but on the
 * loop, which alone changes it. */
struct sn_set *sn_datasets_find(struct sn_datasets *d, const char *name);

/* format: of the engine's table, or another text that stays. */
struct sn_set *sn_set_new(const char *name, const char *path,
                          const char *format);
void sn_set_free(struct sn_set *set); /* NULL is fine */

/* Takes the set, on failure as well. */
enum sn_err sn_datasets_append(struct sn_datasets *d, struct sn_set *set,
                               struct sn_error *err);

/* Frees deleted sets that nobody uses any more. Loop thread. */
void sn_datasets_sweep(struct sn_datasets *d);

/* Shows what looking at the set has found; takes the texts, which become those
 * of the set where it is available. Loop thread. */
struct sn_found {
    struct sn_dataset_info info;
    struct sn_texts classes, corrupt;
    struct sn_error error;
};
void sn_set_show(struct sn_set *set, struct sn_found *found);
/* Takes out of an opened set what is shown of it. */
void sn_found_take(struct sn_found *found, const struct sn_dataset *data);
void sn_found_close(struct sn_found *found);

/* Reads the rows and has them looked at. */
enum sn_err sn_datasets_start(struct sn_datasets *d, const char *fashion_mnist,
                              struct sn_error *err);

#endif
