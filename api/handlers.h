/* The handlers of the API's calls, one file a resource; api/routes.c says which
 * call is whose. Each replies, now or later (see api/request.h). Loop thread.
 */
#ifndef SN_HANDLERS_H
#define SN_HANDLERS_H

#include "api/request.h"

/* jobs.c, submit.c */
void sn_post_job(struct sn_request *rq);
void sn_list_jobs(struct sn_request *rq);
void sn_get_job(struct sn_request *rq);
void sn_pause_job(struct sn_request *rq);
void sn_resume_job(struct sn_request *rq);
void sn_cancel_job(struct sn_request *rq);
void sn_delete_job(struct sn_request *rq);
extern const struct sn_parameter sn_post_job_parameters[];
extern const struct sn_parameter sn_list_jobs_parameters[];

/* job_results.c */
void sn_get_series(struct sn_request *rq);
void sn_get_evaluations(struct sn_request *rq);
void sn_get_predictors(struct sn_request *rq);
void sn_get_subspace(struct sn_request *rq);
void sn_get_log(struct sn_request *rq);
extern const struct sn_parameter sn_series_parameters[];
extern const struct sn_parameter sn_evaluations_parameters[];
extern const struct sn_parameter sn_predictors_parameters[];
extern const struct sn_parameter sn_subspace_parameters[];
extern const struct sn_parameter sn_log_parameters[];

/* answers.c */
void sn_get_front(struct sn_request *rq);
void sn_get_best(struct sn_request *rq);
extern const struct sn_parameter sn_front_parameters[];
extern const struct sn_parameter sn_best_parameters[];

/* architectures.c */
void sn_get_job_arch(struct sn_request *rq);
void sn_get_job_onnx(struct sn_request *rq);
void sn_get_job_weights(struct sn_request *rq);
extern const struct sn_parameter sn_job_onnx_parameters[];

/* children.c */
void sn_post_finetune(struct sn_request *rq);
void sn_post_scratch(struct sn_request *rq);

/* supernets.c */
void sn_list_supernets(struct sn_request *rq);
void sn_post_supernet(struct sn_request *rq);
void sn_get_supernet(struct sn_request *rq);
void sn_delete_supernet(struct sn_request *rq);
void sn_get_supernet_weights(struct sn_request *rq);
void sn_get_supernet_arch(struct sn_request *rq);
void sn_get_supernet_onnx(struct sn_request *rq);
void sn_get_supernet_arch_weights(struct sn_request *rq);
extern const struct sn_parameter sn_post_supernet_parameters[];
extern const struct sn_parameter sn_supernet_onnx_parameters[];
extern const struct sn_parameter sn_supernet_weights_parameters[];

/* datasets.c */
extern const struct sn_parameter sn_list_datasets_parameters[];
extern const struct sn_parameter sn_post_dataset_parameters[];
extern const char *const sn_dataset_file_types[];
void sn_list_datasets(struct sn_request *rq);
void sn_get_dataset(struct sn_request *rq);
void sn_post_dataset(struct sn_request *rq);
void sn_delete_dataset(struct sn_request *rq);

/* spaces.c */
void sn_list_spaces(struct sn_request *rq);
void sn_get_space(struct sn_request *rq);
void sn_post_space(struct sn_request *rq);
void sn_delete_space(struct sn_request *rq);
void sn_post_space_arch(struct sn_request *rq);

/* meta.c */
void sn_get_version(struct sn_request *rq);
void sn_get_healthz(struct sn_request *rq);
void sn_get_readyz(struct sn_request *rq);
void sn_get_system(struct sn_request *rq);
void sn_get_metrics(struct sn_request *rq);

#endif
