#include "daemon/log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>

enum { LINE_MAX_BYTES = 4096, MAX_PAIRS = 24 };

const char *const sn_log_level_names[] = {"debug", "info", "warn", "error",
                                          NULL};
static const char *const journal_prefix[] = {"<7>", "<6>", "<4>", "<3>"};

/* Set once before threads start, read by all. */
static struct {
    enum sn_log_level level;
    bool journal;
} setup = {.level = SN_LOG_INFO};

void sn_log_init(enum sn_log_level level, bool journal)
{
    setup.level = level;
    setup.journal = journal;
}

bool sn_log_is_journal(void)
{
    /* systemd names device and inode of the stream that it connected. */
    const char *stream = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    struct stat st;
    return stream != NULL &&
           sscanf(stream, "%llu:%llu", &device, &inode) == 2 &&
           fstat(STDERR_FILENO, &st) == 0 && st.st_dev == device &&
           st.st_ino == inode;
}

/* A growing line that never overflows: what does not fit is cut. */
struct line {
    char *at;
    size_t size, n;
};

static void put(struct line *line, char c)
{
    if (line->n + 1 < line->size)
        line->at[line->n++] = c;
}

static void put_text(struct line *line, const char *text)
{
    /* A line stays one line, whatever is in a message. */
    for (; *text != '\0'; text++)
        put(line, (unsigned char)*text < ' ' ? ' ' : *text);
}

static bool is_plain(const char *value)
{
    if (*value == '\0')
        return false;
    for (; *value != '\0'; value++)
        if ((unsigned char)*value <= ' ' || *value == '"' || *value == '=' ||
            *value == '\\' || *value == 0x7f)
            return false;
    return true;
}

static void put_value(struct line *line, const char *value)
{
    if (is_plain(value)) {
        put_text(line, value);
        return;
    }
    put(line, '"');
    for (; *value != '\0'; value++) {
        char escape[5];
        if (*value == '"' || *value == '\\') {
            put(line, '\\');
            put(line, *value);
        } else if (*value == '\n') {
            put_text(line, "\\n");
        } else if ((unsigned char)*value < ' ' || *value == 0x7f) {
            snprintf(escape, sizeof escape, "\\x%02x", (unsigned char)*value);
            put_text(line, escape);
        } else {
            put(line, *value);
        }
    }
    put(line, '"');
}

size_t sn_log_format(char *ret, size_t size, const char *prefix,
                     const char *group, const char *message,
                     const char *const *pairs, size_t n_pairs)
{
    struct line line = {ret, size - 1, 0}; /* the newline always fits */
    put_text(&line, prefix);
    put_text(&line, group);
    put(&line, ' ');
    put_text(&line, message);
    for (size_t i = 0; i < n_pairs; i++) {
        const char *value = pairs[2 * i + 1];
        if (value == NULL)
            continue;
        put(&line, ' ');
        put_text(&line, pairs[2 * i]);
        put(&line, '=');
        put_value(&line, value);
    }
    ret[line.n++] = '\n';
    ret[line.n] = '\0';
    return line.n;
}

static void format_prefix(char *ret, size_t size, enum sn_log_level level)
{
    struct timespec now;
    struct tm utc;
    char seconds[32];
    clock_gettime(CLOCK_REALTIME, &now);
    gmtime_r(&now.tv_sec, &utc);
    strftime(seconds, sizeof seconds, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(ret, size, "%s.%03dZ %s ", seconds, (int)(now.tv_nsec / 1000000),
             sn_log_level_names[level]);
}

void sn_log(enum sn_log_level level, const char *group, const char *message,
            ...)
{
    if (level < setup.level)
        return;
    const char *pairs[2 * MAX_PAIRS];
    size_t n = 0;
    va_list ap;
    va_start(ap, message);
    const char *key;
    while (n < MAX_PAIRS && (key = va_arg(ap, const char *)) != NULL) {
        pairs[2 * n] = key;
        pairs[2 * n + 1] = va_arg(ap, const char *);
        n++;
    }
    va_end(ap);
    char prefix[64], text[LINE_MAX_BYTES];
    if (setup.journal)
        snprintf(prefix, sizeof prefix, "%s", journal_prefix[level]);
    else
        format_prefix(prefix, sizeof prefix, level);
    size_t length =
        sn_log_format(text, sizeof text, prefix, group, message, pairs, n);
    ssize_t written = write(STDERR_FILENO, text, length);
    (void)written; /* there is nowhere to tell of it */
}

const char *sn_log_u64(char buf[SN_LOG_NUMBER], uint64_t value)
{
    snprintf(buf, SN_LOG_NUMBER, "%llu", (unsigned long long)value);
    return buf;
}
