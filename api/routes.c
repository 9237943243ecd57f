/* The table of this API's calls. */
#include "api/handlers.h"
#include "api/sse.h"
#include "api/static.h"

enum { SPEC_BODY = 1 << 20, SMALL_BODY = 64 << 10 };

#define ARCH "/jobs/{job}/architectures/{arch}"
#define SUPERNET "/supernets/{name}"

static const char *const weights_types[] = {
    "application/octet-stream", "application/vnd.safetensors", NULL};

static const struct sn_route routes[] = {
    {SN_POST, SN_PLACE_API, "/jobs", sn_post_job, sn_post_job_parameters,
     SPEC_BODY, false},
    {SN_GET, SN_PLACE_API, "/jobs", sn_list_jobs, sn_list_jobs_parameters, 0,
     false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}", sn_get_job, NULL, 0, false},
    {SN_DELETE, SN_PLACE_API, "/jobs/{job}", sn_delete_job, NULL, 0, false},
    {SN_POST, SN_PLACE_API, "/jobs/{job}/pause", sn_pause_job, NULL, SMALL_BODY,
     false},
    {SN_POST, SN_PLACE_API, "/jobs/{job}/resume", sn_resume_job, NULL,
     SMALL_BODY, false},
    {SN_POST, SN_PLACE_API, "/jobs/{job}/cancel", sn_cancel_job, NULL,
     SMALL_BODY, false},

    {SN_GET, SN_PLACE_API, "/jobs/{job}/series", sn_get_series,
     sn_series_parameters, 0, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/evaluations", sn_get_evaluations,
     sn_evaluations_parameters, 0, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/predictors", sn_get_predictors,
     sn_predictors_parameters, 0, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/subspace", sn_get_subspace,
     sn_subspace_parameters, 0, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/log", sn_get_log, sn_log_parameters, 0,
     false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/front", sn_get_front,
     sn_front_parameters, 0, false},
    {SN_GET, SN_PLACE_API, "/jobs/{job}/best", sn_get_best, sn_best_parameters,
     0, false},
    {SN_GET, SN_PLACE_API, ARCH, sn_get_job_arch, NULL, 0, false},
    {SN_GET, SN_PLACE_API, ARCH "/model.onnx", sn_get_job_onnx,
     sn_job_onnx_parameters, 0, false},
    {SN_GET, SN_PLACE_API, ARCH "/weights.safetensors", sn_get_job_weights,
     NULL, 0, false},
    {SN_POST, SN_PLACE_API, ARCH "/finetune", sn_post_finetune, NULL,
     SMALL_BODY, false},
    {SN_POST, SN_PLACE_API, ARCH "/scratch", sn_post_scratch, NULL, SMALL_BODY,
     false},

    {SN_GET, SN_PLACE_API, "/events", sn_get_events, sn_events_parameters, 0,
     false},

    {SN_GET, SN_PLACE_API, "/datasets", sn_list_datasets,
     sn_list_datasets_parameters, 0, false},
    {SN_POST, SN_PLACE_API, "/datasets", sn_post_dataset,
     sn_post_dataset_parameters, SMALL_BODY, false, sn_dataset_file_types},
    {SN_GET, SN_PLACE_API, "/datasets/{name}", sn_get_dataset, NULL, 0, false},
    {SN_DELETE, SN_PLACE_API, "/datasets/{name}", sn_delete_dataset, NULL, 0,
     false},
    {SN_GET, SN_PLACE_API, "/spaces", sn_list_spaces, NULL, 0, false},
    {SN_POST, SN_PLACE_API, "/spaces", sn_post_space, NULL, SMALL_BODY, false},
    {SN_GET, SN_PLACE_API, "/spaces/{name}", sn_get_space, NULL, 0, false},
    {SN_DELETE, SN_PLACE_API, "/spaces/{name}", sn_delete_space, NULL, 0,
     false},
    {SN_POST, SN_PLACE_API, "/spaces/{name}/architectures", sn_post_space_arch,
     NULL, SMALL_BODY, false},

    {SN_GET, SN_PLACE_API, "/supernets", sn_list_supernets, NULL, 0, false},
    {SN_POST, SN_PLACE_API, "/supernets", sn_post_supernet,
     sn_post_supernet_parameters, SMALL_BODY, false, weights_types},
    {SN_GET, SN_PLACE_API, SUPERNET, sn_get_supernet, NULL, 0, false},
    {SN_DELETE, SN_PLACE_API, SUPERNET, sn_delete_supernet, NULL, 0, false},
    {SN_GET, SN_PLACE_API, SUPERNET "/weights.safetensors",
     sn_get_supernet_weights, NULL, 0, false},
    {SN_GET, SN_PLACE_API, SUPERNET "/architectures/{arch}",
     sn_get_supernet_arch, NULL, 0, false},
    {SN_GET, SN_PLACE_API, SUPERNET "/architectures/{arch}/model.onnx",
     sn_get_supernet_onnx, sn_supernet_onnx_parameters, 0, false},
    {SN_GET, SN_PLACE_API, SUPERNET "/architectures/{arch}/weights.safetensors",
     sn_get_supernet_arch_weights, sn_supernet_weights_parameters, 0, false},

    {SN_GET, SN_PLACE_API, "/version", sn_get_version, NULL, 0, true},
    {SN_GET, SN_PLACE_API, "/system", sn_get_system, NULL, 0, false},
    {SN_GET, SN_PLACE_BOTH, "/healthz", sn_get_healthz, NULL, 0, true},
    {SN_GET, SN_PLACE_BOTH, "/readyz", sn_get_readyz, NULL, 0, true},
    {SN_GET, SN_PLACE_BOTH, "/metrics", sn_get_metrics, NULL, 0, false},

    {SN_GET, SN_PLACE_FILES, "/", sn_get_file, NULL, 0, true},
};

const struct sn_route *sn_routes(size_t *ret_n)
{
    *ret_n = sizeof routes / sizeof routes[0];
    return routes;
}
