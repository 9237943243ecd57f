/* sn_host - what this machine is, as far as latencies depend on it.
 *
 * The fingerprint is one line of text; latencies measured under another one are
 * stale. Thread-safe.
 */
#ifndef SN_HOST_H
#define SN_HOST_H

#include <stdbool.h>

#include "engine/compute/compute.h"

enum { SN_FINGERPRINT_MAX = 256 };

struct sn_host {
    char cpu[96];     /* model name, or the machine's kind */
    char isa[16];     /* of the kernels in use */
    int cpus;         /* that this process may run on */
    int threads;      /* that a latency is measured with: 1 */
    char runtime[48]; /* e.g. "oneDNN 2.6.3" */
};

void sn_host_read(const struct sn_compute *compute, struct sn_host *ret);
/* "AMD EPYC ... | avx512 | 2 cpus | 1 thread | oneDNN 2.6.3" */
void sn_host_fingerprint(const struct sn_host *host,
                         char ret[SN_FINGERPRINT_MAX]);
/* Whether what was measured under `fingerprint` (may be NULL) is stale here. */
bool sn_host_stale(const struct sn_host *host, const char *fingerprint);

#endif
