/* prepare: what latencies are on this machine, from rows that are still valid
 * or measured now. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/run/job.h"

/* Where a row's key and the door's are not of one length, the shorter must
 * hold. */
_Static_assert(sizeof((struct sn_latency_row *)0)->key >= SN_TABLE_KEY_MAX,
               "the door's keys hold the table's");

static bool table_from_rows(struct sn_job *job)
{
    const struct sn_run *run = job->run;
    struct sn_error why;
    struct sn_table_row *row = calloc(run->n_latency_rows, sizeof row[0]);
    if (row == NULL)
        return false;
    for (uint32_t i = 0; i < run->n_latency_rows; i++) {
        snprintf(row[i].key, sizeof row[i].key, "%.*s",
                 (int)sizeof row[i].key - 1, run->latency_rows[i].key);
        row[i].median_ns = run->latency_rows[i].median_ns;
        row[i].spread_ns = run->latency_rows[i].spread_ns;
        row[i].samples = run->latency_rows[i].samples;
    }
    enum sn_err rc =
        sn_table_from_rows(job->space, job->info.channels, job->info.classes,
                           row, run->n_latency_rows, &job->table, &why);
    free(row);
    if (rc != SN_OK)
        sn_job_log(job, SN_LOG_INFO, "stored latencies are not used: %s",
                   why.message);
    return rc == SN_OK;
}

static void report_rows(const struct sn_job *job, const char *fingerprint)
{
    const struct sn_callbacks *cb = job->run->callbacks;
    const struct sn_table_row *row;
    uint32_t n = (uint32_t)sn_table_rows(job->table, &row);
    if (cb->latencies == NULL)
        return;
    struct sn_latency_row *out = calloc(n, sizeof out[0]);
    if (out == NULL)
        return; /* they are measured again next time */
    for (uint32_t i = 0; i < n; i++) {
        snprintf(out[i].key, sizeof out[i].key, "%s", row[i].key);
        out[i].median_ns = row[i].median_ns;
        out[i].spread_ns = row[i].spread_ns;
        out[i].samples = row[i].samples;
    }
    cb->latencies(cb->arg, job->spec->search.device, fingerprint, out, n);
    free(out);
}

enum sn_err sn_phase_prepare(struct sn_job *job, struct sn_error *err)
{
    struct sn_host host;
    char fingerprint[SN_FINGERPRINT_MAX];
    struct sn_table_fit fit;

    if (job->table != NULL)
        return SN_OK;
    sn_host_read(job->compute, &host);
    sn_host_fingerprint(&host, fingerprint);
    if (job->run->n_latency_rows > 0 &&
        !sn_host_stale(&host, job->run->latency_fingerprint) &&
        table_from_rows(job))
        return SN_OK;
    struct sn_table_budget budget = {.seconds = 3};
    enum sn_err rc = sn_table_measure(
        job->cx, job->space, job->info.channels, job->info.classes,
        (uint64_t)job->spec->seed, &budget, NULL, &job->table, err);
    if (rc != SN_OK)
        return rc;
    sn_table_fit(job->table, &fit);
    sn_job_log(job, SN_LOG_INFO,
               "latencies of this host measured; estimates are within %.1f%% "
               "(RMS, left one out, %u architectures)",
               100 * fit.relative_error, fit.architectures);
    report_rows(job, fingerprint);
    return SN_OK;
}
