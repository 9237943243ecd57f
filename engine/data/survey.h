/* sn_survey - looks at every image of a list, once: which ones can be decoded,
 * whether all are of one size and small enough to stay decoded, and what
 * normalises them.
 *
 *   listed items --> threads decode --> all of one size, in memory: train, test
 *                         |        \--> else: stay encoded, items
 *                         `--> damaged ones: left out, named
 *
 * Results do not depend on the number of threads: what a thread finds of an
 * image is kept by the image's number and summed in that order.
 */
#ifndef SN_SURVEY_H
#define SN_SURVEY_H

#include "engine/data/format.h"

/* Fills data->info but for classes, mean and std of decoded images and their
 * checksum; data->items becomes NULL when they are decoded. SN_ERR_CORRUPT when
 * more than source->options.corrupt_share are damaged, naming some. */
enum sn_err sn_survey(const struct sn_dataset_source *source,
                      struct sn_dataset *data, struct sn_error *err);

#endif
