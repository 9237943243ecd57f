/* sn_small_set - a synthetic data set for tests of training and of whole runs:
 * 28x28 grey images in IDX files, four classes that a small network learns in a
 * few dozen steps (a bright blob in the class's quarter, noise everywhere).
 *
 * By formula, so the same on every machine. Fails the test on any error.
 * Include after cmocka.h.
 */
#ifndef SN_TRAIN_FIXTURE_H
#define SN_TRAIN_FIXTURE_H

#include <stdint.h>

#include "engine/data/data.h"

enum { SN_SMALL_SIDE = 28, SN_SMALL_CLASSES = 4 };

struct sn_small_set {
    char dir[64]; /* in the temporary folder */
    struct sn_dataset *data;
};

/* Makes a folder, writes the four files and opens them. */
void sn_small_set_init(struct sn_small_set *set, uint32_t train, uint32_t test);
/* Closes it and removes the folder with all files in it. */
void sn_small_set_close(struct sn_small_set *set);

#endif
