/* fuzz_folder - a folder for targets whose readers want paths: made once a
 * process, removed at its end. Its files are memory behind links, so that
 * thousands of inputs a second touch no disk.
 */
#ifndef SN_FUZZ_FOLDER_H
#define SN_FUZZ_FOLDER_H

#include "engine/data/format.h"

const char *fuzz_folder(void);

/* All of these names (NULL ends the list) become one file of these bytes. The
 * names of a first call stay the folder's: `slot`, 0 or 1, tells files apart.
 */
void fuzz_folder_put(int slot, const char *const *names, const uint8_t *bytes,
                     size_t size);

/* Two files in one input: the length of the first in two bytes, low byte
 * first, then both. Where that is more than there is, the first is all. */
void fuzz_folder_put_two(const char *const *first, const char *const *second,
                         const uint8_t *bytes, size_t size);

/* Reads the folder by a format. What is taken is whole: every pixel and label
 * can be read, labels are below the number of classes, and the data set says
 * the same of itself; what is not says what is wrong. */
void fuzz_folder_read(const struct sn_format *format);

#endif
