#include "daemon/mailbox.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

struct sn_mail {
    struct sn_mail *next;
    sn_mail_fn fn;
    void *arg;
};

static void on_wake(uv_async_t *async)
{
    sn_mailbox_drain(async->data);
}

enum sn_err sn_mailbox_init(struct sn_mailbox *box, uv_loop_t *loop,
                            struct sn_error *err)
{
    memset(box, 0, sizeof *box);
    box->last = &box->first;
    int rc = uv_async_init(loop, &box->async, on_wake);
    if (rc < 0)
        return sn_error_set(err, SN_ERR_INTERNAL, "waking the loop: %s",
                            uv_strerror(rc));
    box->async.data = box;
    pthread_mutex_init(&box->lock, NULL);
    return SN_OK;
}

void sn_mailbox_post(struct sn_mailbox *box, sn_mail_fn fn, void *arg)
{
    struct sn_mail *mail = malloc(sizeof *mail);
    if (mail == NULL) {
        sn_log(SN_LOG_ERROR, "daemon", "out of memory", NULL);
        abort();
    }
    *mail = (struct sn_mail){NULL, fn, arg};
    pthread_mutex_lock(&box->lock);
    *box->last = mail;
    box->last = &mail->next;
    /* Under the lock, so that close cannot come between. */
    uv_async_send(&box->async);
    pthread_mutex_unlock(&box->lock);
}

static struct sn_mail *take_all(struct sn_mailbox *box)
{
    pthread_mutex_lock(&box->lock);
    struct sn_mail *mail = box->first;
    box->first = NULL;
    box->last = &box->first;
    pthread_mutex_unlock(&box->lock);
    return mail;
}

bool sn_mailbox_drain(struct sn_mailbox *box)
{
    struct sn_mail *mail = take_all(box);
    bool any = mail != NULL;
    while (mail != NULL) {
        struct sn_mail *next = mail->next;
        mail->fn(mail->arg);
        free(mail);
        mail = next;
    }
    return any;
}

void sn_mailbox_close(struct sn_mailbox *box)
{
    while (sn_mailbox_drain(box))
        ;
    uv_close((uv_handle_t *)&box->async, NULL);
    pthread_mutex_destroy(&box->lock);
}
