/* sn_photos - a data set of small JPEG photographs of many sizes, kept encoded:
 * for tests of what decodes. By formula, but for what cjpeg makes of it.
 *
 * Fails the test on any error. Include after cmocka.h.
 */
#ifndef SN_TEST_PHOTOS_H
#define SN_TEST_PHOTOS_H

#include <stdint.h>

#include "engine/data/data.h"

enum { SN_PHOTO_CLASSES = 3 };

struct sn_photos {
    char dir[64];
    struct sn_dataset *data;
};

/* n_train and n_test images of `channels`, named train-<i>.jpg and
 * test-<i>.jpg, of label i % SN_PHOTO_CLASSES. */
void sn_photos_init(struct sn_photos *photos, uint32_t n_train, uint32_t n_test,
                    int channels);
void sn_photos_close(struct sn_photos *photos);

/* The size of image i: between 40 and 120 pixels a side. */
void sn_photo_size(uint32_t i, int *ret_width, int *ret_height);

#endif
