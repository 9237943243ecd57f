/* sn_child - jobs that come after a search: each trains one architecture of
 * another job, its parent, from the parent's weights or from scratch.
 *
 * Pure but for what is read; any thread. `json_t` values returned are owned
 * references.
 */
#ifndef SN_CHILD_JSON_H
#define SN_CHILD_JSON_H

#include "api/host.h"

struct json_t;
struct sn_reader;

/* The body of POST /jobs that makes such a job: the parent's data set, space,
 * labels and settings of training, but for those that the child's strategy has
 * its own of, unless they were given (then finetune takes 0.3 of the rate).
 * It holds out the parent's images, whatever its seed. `wishes` is an object of
 * any of epochs, learning_rate, seed, name and priority, put in as they are.
 * NULL: out of memory. */
struct json_t *sn_child_spec(const struct sn_job_view *parent,
                             enum sn_strategy strategy, const char *arch,
                             const struct json_t *wishes);

/* The weights that a child of this job starts from: those that it left, or the
 * ones that it searched. SN_ERR_CONFLICT when it leaves none. */
enum sn_err sn_child_supernet(const struct sn_job_view *parent,
                              char ret[SN_NAME_MAX], struct sn_error *err);

/* The same as owned text, wishing for `epochs` alone. */
char *sn_child_print(const struct sn_job_view *parent,
                     enum sn_strategy strategy, const char *arch,
                     double epochs);

/* The id of the one child of its kind that the daemon makes by itself. */
void sn_child_id(const char *parent, const char *arch,
                 enum sn_strategy strategy, char ret[SN_ID_MAX]);

/* The payload of the parent's event that tells of a child, as owned text; and
 * the child's id read back: false when it is no such payload. */
char *sn_child_event(const char *id, const struct sn_spec *spec);
bool sn_child_read_event(const char *payload, char ret_id[SN_ID_MAX]);
/* Of an answer's payload: its target (under SN_MAX_ANSWERS), and the
 * architecture that was found, "" for none; false when it is no answer's. */
bool sn_child_read_answer(const char *payload, uint32_t *ret_index,
                          char ret_arch[SN_ARCH_ID_MAX]);

/* Puts "after" and, of finetune, "before" into an object: {"holdout", "test"}
 * with value, interval and images, null while they are not known. */
enum sn_err sn_child_put_results(struct json_t *o, struct sn_reader *reader,
                                 const char *job, const char *arch,
                                 bool inherits, struct sn_error *err);

#endif
