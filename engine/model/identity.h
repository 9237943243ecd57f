/* sn_identity - what a model file says of itself: plain data shared by every
 * file format here.
 *
 * All strings are borrowed for the call. NULL or "" leaves a field out.
 */
#ifndef SN_IDENTITY_H
#define SN_IDENTITY_H

#include <stddef.h>

struct sn_note {
    const char *key, *value; /* UTF-8; e.g. "test_accuracy", "0.9134" */
};

struct sn_identity {
    const char *arch;             /* text id of the architecture */
    const char *space;            /* name of its space */
    const char *dataset_checksum; /* of the images it was trained on */
    const char *producer;         /* NULL: "sparsenas" */
    const char *version;          /* of the producer */
    const struct sn_note *notes;  /* further pairs, written as they are */
    size_t n_notes;
};

#endif
