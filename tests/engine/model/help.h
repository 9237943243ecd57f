/* sn_help - what the tests of engine/model share: a scratch folder, a small
 * plan that holds every kind of layer, and folded networks with weights by
 * formula. Fails the test on any error. Include after cmocka.h.
 */
#ifndef SN_MODEL_HELP_H
#define SN_MODEL_HELP_H

#include "engine/net/static.h"

enum { SN_HELP_PATH = 256 };

/* A folder that sn_help_remove empties and removes. */
void sn_help_folder(char ret[SN_HELP_PATH]);
void sn_help_remove(const char *folder);
/* How many files it holds. */
int sn_help_files(const char *folder);
void sn_help_path(const char *folder, const char *name, char ret[SN_HELP_PATH]);
/* A whole file; owned by the caller. */
unsigned char *sn_help_read(const char *path, size_t *ret_size);
void sn_help_write(const char *path, const void *bytes, size_t size);

/* 3 x 8 x 8 images, 5 classes: a fixed block (ReLU, residual, no expansion) and
 * one with expansion, 5x5 at stride 2, SE and h-swish. */
void sn_help_plan(struct sn_plan *ret);
/* Weights by formula in one block, which is returned and owned by the caller.
 */
float *sn_help_fill(const struct sn_plan *plan, struct sn_folded_net *ret);

#endif
