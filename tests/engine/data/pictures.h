/* sn_pictures - JPEG and PNG files for tests, made by others than what the
 * engine reads them by: JPEG by the program cjpeg, PNG by a few lines over
 * zlib.
 *
 * Every function ends the test where it fails. What is returned is owned.
 */
#ifndef SN_TEST_PICTURES_H
#define SN_TEST_PICTURES_H

#include <stddef.h>
#include <stdint.h>

struct sn_picture {
    uint8_t *bytes;
    size_t n;
};

/* options: of cjpeg, like "-quality 95 -progressive". pixels: [h][w][channels],
 * 1 or 3 channels. */
struct sn_picture sn_picture_jpeg(const char *options, int width, int height,
                                  int channels, const uint8_t *pixels);

/* rows: packed as PNG has them, `height` times row_bytes without filter bytes;
 * kind: PNG's colour type. palette: 256 times RGB for kind 3, else NULL. */
struct sn_picture sn_picture_png(int width, int height, int depth, int kind,
                                 const uint8_t *rows, size_t row_bytes,
                                 const uint8_t *palette);

/* Appends PNG chunk to a file that is being made. */
void sn_picture_chunk(struct sn_picture *png, const char *type,
                      const uint8_t *data, size_t n);

/* Writes bytes as a file, making the folders of its path. */
void sn_picture_put(const char *path, const uint8_t *bytes, size_t n);

/* A file that is all one colour, RGB or grey; PNG unless the name says .jpg. */
void sn_picture_flat(const char *path, int width, int height, int r, int g,
                     int b);

/* Removes a folder that a test has made, with all that is in it. */
void sn_picture_remove_tree(const char *dir);

#endif
