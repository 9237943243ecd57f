/* The inside of struct sn_api, for this folder alone. Loop thread. */
#ifndef SN_API_CONTEXT_H
#define SN_API_CONTEXT_H

#include "api/api.h"
#include "api/server.h"

struct sn_request;
struct sn_link;
struct sn_stream;
struct sn_files;

struct sn_api {
    const struct sn_host *host;
    struct sn_server *server;
    struct sn_api_limits limits;
    char *address, *web_root, *token, *version;
    uint16_t port;
    int listen_fd;
    bool check_host;     /* on loopback: the Host must be this machine's */
    uint64_t started_ms; /* wall clock; makes ETags differ between runs */

    struct sn_request *requests; /* from their first line to their end */
    struct sn_link *links;       /* connections */
    struct sn_stream *streams;
    unsigned n_streams;
    unsigned n_reads;       /* queries under way on reader threads */
    uint64_t n_requests;    /* ever answered */
    int64_t newest_event;   /* seq of the newest event published */
    struct sn_files *files; /* the dashboard */
    struct sn_uploads *uploads;

    bool started, closing;
    uint64_t close_soft, close_hard; /* when closing: deadlines */
    sn_api_closed closed;
    void *closed_arg;
};

#endif
