/* sn_err - the error vocabulary: one enum of codes and a bounded message.
 *
 * This header, with err.c, is the only piece that every folder may include; it
 * includes nothing of the project. Functions that can fail return an `enum
 * sn_err` and take a `struct sn_error *` last, which may be NULL. Outputs named
 * `ret_*` are untouched on failure. No function here allocates; all are
 * thread-safe as long as two threads do not share one `struct sn_error`.
 */
#ifndef SN_ERR_H
#define SN_ERR_H

/* code, name in logs and JSON, default sentence */
#define SN_ERR_MAP(X)                                                   \
    X(SN_OK, "ok", "no error")                                          \
    X(SN_ERR_NOMEM, "no_memory", "out of memory")                       \
    X(SN_ERR_INVALID, "invalid", "a value is not acceptable")           \
    X(SN_ERR_RANGE, "out_of_range", "a value is out of its range")      \
    X(SN_ERR_NOTFOUND, "not_found", "there is no such thing")           \
    X(SN_ERR_CONFLICT, "conflict", "not possible in the present state") \
    X(SN_ERR_TOOLARGE, "too_large", "over a size limit")                \
    X(SN_ERR_IO, "io", "input or output failed")                        \
    X(SN_ERR_DISKFULL, "disk_full", "no room on the disk")              \
    X(SN_ERR_CORRUPT, "corrupt", "stored data is damaged")              \
    X(SN_ERR_UNSUPPORTED, "unsupported", "not supported here")          \
    X(SN_ERR_BUSY, "busy", "in use by another process")                 \
    X(SN_ERR_STOPPED, "stopped", "stopped on request")                  \
    X(SN_ERR_INTERNAL, "internal", "an internal error")

enum sn_err {
#define X(code, name, text) code,
    SN_ERR_MAP(X)
#undef X
        SN_ERR_COUNT
};

struct sn_error {
    enum sn_err code;
    char message[384]; /* one sentence for a person, no newline */
    char pointer[128]; /* JSON pointer of the field at fault, or "" */
};

/* The stable short name ("not_found") and the default sentence of a code. */
const char *sn_err_name(enum sn_err code);
const char *sn_err_text(enum sn_err code);

/* Fills `err` (when not NULL), clears its pointer, and returns `code`. */
enum sn_err sn_error_set(struct sn_error *err, enum sn_err code,
                         const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, naming the field at fault: pointer is like "/train/batch_size". */
enum sn_err sn_error_at(struct sn_error *err, enum sn_err code,
                        const char *pointer, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Puts "prefix: " before the message that is there; returns err's code. */
enum sn_err sn_error_wrap(struct sn_error *err, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

/* Fills `err` from errno: "doing: strerror"; ENOSPC and EDQUOT become
 * SN_ERR_DISKFULL, ENOMEM SN_ERR_NOMEM, the rest SN_ERR_IO. */
enum sn_err sn_error_errno(struct sn_error *err, int saved_errno,
                           const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

#endif
