#include "engine/device/host.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/utsname.h>

static void cpu_model(char *ret, size_t size)
{
    char line[256];
    struct utsname u;
    FILE *f = fopen("/proc/cpuinfo", "re");

    ret[0] = '\0';
    while (f != NULL && ret[0] == '\0' && fgets(line, sizeof line, f)) {
        char *colon = strchr(line, ':');
        if (strncmp(line, "model name", 10) != 0 || colon == NULL)
            continue;
        char *text = colon + 1 + strspn(colon + 1, " \t");
        text[strcspn(text, "\n|")] = '\0';
        snprintf(ret, size, "%.*s", (int)size - 1, text);
    }
    if (f != NULL)
        fclose(f);
    if (ret[0] == '\0')
        snprintf(ret, size, "%.*s", (int)size - 1,
                 uname(&u) == 0 ? u.machine : "unknown");
}

void sn_host_read(const struct sn_compute *compute, struct sn_host *ret)
{
    cpu_set_t set;
    memset(ret, 0, sizeof *ret);
    cpu_model(ret->cpu, sizeof ret->cpu);
    snprintf(ret->isa, sizeof ret->isa, "%s", sn_compute_isa(compute));
    ret->cpus = 1;
    if (sched_getaffinity(0, sizeof set, &set) == 0)
        ret->cpus = CPU_COUNT(&set);
    ret->threads = 1;
    snprintf(ret->runtime, sizeof ret->runtime, "%s",
             sn_compute_runtime(compute));
}

void sn_host_fingerprint(const struct sn_host *host,
                         char ret[SN_FINGERPRINT_MAX])
{
    snprintf(ret, SN_FINGERPRINT_MAX, "%s | %s | %d cpus | %d thread | %s",
             host->cpu, host->isa, host->cpus, host->threads, host->runtime);
}

bool sn_host_stale(const struct sn_host *host, const char *fingerprint)
{
    char now[SN_FINGERPRINT_MAX];
    if (fingerprint == NULL)
        return true;
    sn_host_fingerprint(host, now);
    return strcmp(now, fingerprint) != 0;
}
