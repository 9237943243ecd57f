/* Calls an HTTP server at a rate, for bench_serve.mjs: a client that itself
 * takes next to nothing of the cores that it shares with the server.
 *
 *   bench_load ADDRESS PORT RATE SECONDS PATH...
 *
 * GETs the paths in turn, RATE a second in all, over CONNECTIONS kept
 * connections that each have one call at a time; replies need a
 * Content-Length. Prints {"served", "failed", "p50_ms", "p99_ms", "cpu_s"}. */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { CONNECTIONS = 8, HEAD_MAX = 4096 };

struct connection {
    int fd;
    bool busy;
    double sent;
    char head[HEAD_MAX + 1];
    size_t n;     /* bytes of the reply so far; the first are in head */
    size_t whole; /* what it will have, 0 while that is not known */
};

struct load {
    const char *host;
    struct connection at[CONNECTIONS];
    double *ms;
    size_t served, failed, room;
};

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static bool open_connection(struct connection *c,
                            const struct sockaddr_in *server)
{
    const int one = 1;
    c->fd = socket(AF_INET, SOCK_STREAM, 0);
    return c->fd >= 0 &&
           connect(c->fd, (const struct sockaddr *)server, sizeof *server) ==
               0 &&
           setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0;
}

static bool call(struct load *load, struct connection *c, const char *path)
{
    char text[1024];
    int n = snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n",
                     path, load->host);
    c->busy = true;
    c->sent = now();
    c->n = c->whole = 0;
    return n < (int)sizeof text && write(c->fd, text, (size_t)n) == n;
}

static void end_call(struct load *load, struct connection *c)
{
    c->busy = false;
    if (strncmp(c->head, "HTTP/1.1 200", 12) != 0)
        load->failed++;
    if (load->served < load->room)
        load->ms[load->served++] = 1e3 * (now() - c->sent);
}

/* false when the connection has ended. */
static bool receive(struct load *load, struct connection *c)
{
    char rest[16384];
    bool in_head = c->whole == 0;
    ssize_t n = in_head ? read(c->fd, c->head + c->n, HEAD_MAX - c->n)
                        : read(c->fd, rest, sizeof rest);
    if (n <= 0)
        return n < 0 && errno == EINTR;
    c->n += (size_t)n;
    if (in_head) {
        c->head[c->n] = '\0';
        const char *body = strstr(c->head, "\r\n\r\n");
        const char *length = strcasestr(c->head, "\r\ncontent-length:");
        if (body != NULL && length != NULL)
            c->whole =
                (size_t)(body + 4 - c->head) + strtoul(length + 17, NULL, 10);
        else if (c->n == HEAD_MAX)
            return false;
    }
    if (c->whole > 0 && c->n >= c->whole)
        end_call(load, c);
    return true;
}

static bool wait_for_replies(struct load *load, double until)
{
    struct pollfd fds[CONNECTIONS];
    double left = until - now();
    for (int i = 0; i < CONNECTIONS; i++)
        fds[i] = (struct pollfd){.fd = load->at[i].fd, .events = POLLIN};
    if (poll(fds, CONNECTIONS, left > 0 ? (int)(1e3 * left) + 1 : 0) < 0)
        return errno == EINTR;
    for (int i = 0; i < CONNECTIONS; i++)
        if (fds[i].revents != 0 && !receive(load, &load->at[i]))
            return false;
    return true;
}

static bool run(struct load *load, double rate, double seconds, char **paths,
                int n_paths)
{
    const double began = now();
    size_t sent = 0;
    while (now() - began < seconds) {
        for (int i = 0; i < CONNECTIONS; i++) {
            struct connection *c = &load->at[i];
            if (c->busy || (double)sent > rate * (now() - began))
                continue;
            if (!call(load, c, paths[sent++ % (size_t)n_paths]))
                return false;
        }
        if (!wait_for_replies(load, began + (double)sent / rate))
            return false;
    }
    return true;
}

static int by_value(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static void report(struct load *load)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    double cpu = (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 1e-6 * (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec);
    qsort(load->ms, load->served, sizeof load->ms[0], by_value);
    printf("{\"served\": %zu, \"failed\": %zu, \"p50_ms\": %.3f, "
           "\"p99_ms\": %.3f, \"cpu_s\": %.3f}\n",
           load->served, load->failed,
           load->served > 0 ? load->ms[load->served / 2] : 0,
           load->served > 0 ? load->ms[load->served * 99 / 100] : 0, cpu);
}

int main(int argc, char **argv)
{
    struct load load = {0};
    struct sockaddr_in server = {.sin_family = AF_INET};
    char host[64];
    if (argc < 6 || inet_pton(AF_INET, argv[1], &server.sin_addr) != 1) {
        fprintf(stderr,
                "usage: bench_load ADDRESS PORT RATE SECONDS PATH...\n");
        return 2;
    }
    const double rate = strtod(argv[3], NULL), seconds = strtod(argv[4], NULL);
    server.sin_port = htons((uint16_t)atoi(argv[2]));
    snprintf(host, sizeof host, "%s:%s", argv[1], argv[2]);
    load.host = host;
    load.room = (size_t)(rate * seconds) + CONNECTIONS;
    load.ms = calloc(load.room, sizeof load.ms[0]);
    bool ok = load.ms != NULL;
    for (int i = 0; ok && i < CONNECTIONS; i++)
        ok = open_connection(&load.at[i], &server);
    if (!ok || !run(&load, rate, seconds, argv + 5, argc - 5)) {
        fprintf(stderr, "bench_load: the server at %s does not answer\n", host);
        return 1;
    }
    report(&load);
    free(load.ms);
    return 0;
}
