#include "engine/train/trainer_parts.h"

static void task_candidate(void *arg, uint32_t task, int worker,
                           struct sn_cx *cx)
{
    struct sn_trainer *t = arg;
    struct sn_loss loss = sn_trainer_labels_loss(t);
    struct sn_trainer_pair *p = &t->pair[task];
    struct sn_trainer_shard *shard = &t->shard[(int)task % t->n_now];

    sn_subnet_forward(t->sub[t->first_sub + (int)task / t->n_now], cx,
                      t->ws[worker], shard->images, loss.n, p->logits);
    sn_loss_softmax(cx, &loss, p->logits, shard->labels, NULL, NULL, &p->loss,
                    &p->correct);
}

/* Which of the n candidates whose losses are in the pairs is taken. */
static int taken_candidate(const struct sn_trainer *t, int n)
{
    double best = 0;
    int taken = 0;
    for (int k = 0; k < n; k++) {
        double loss = 0;
        for (int s = 0; s < t->n_now; s++)
            loss += t->pair[k * t->n_now + s].loss;
        if (k == 0 || (t->now.worst ? loss > best : loss < best)) {
            best = loss;
            taken = k;
        }
    }
    return taken;
}

/* The candidates of each place behind the sandwich's ends lie side by side; the
 * taken ones move up to the front. A place they leave is behind theirs always:
 *
 *   largest smallest | a0 a1 a2 | b0 b1 b2   ->   largest smallest a1 b0 ...
 */
enum sn_err sn_trainer_take_candidates(struct sn_trainer *t,
                                       struct sn_error *err)
{
    const int n = t->now.sampler->candidates, ends = 2;
    struct sn_cost cost;
    enum sn_err rc = SN_OK;

    t->n_subs = ends;
    for (int at = ends; at + n <= t->n_drawn && rc == SN_OK; at += n) {
        t->first_sub = at;
        rc = sn_pool_run(t->pool, (uint32_t)(n * t->n_now), task_candidate, t,
                         err);
        for (int k = 0; k < n; k++) {
            sn_plan_cost(sn_subnet_plan(t->sub[at + k]), &cost);
            t->candidate_macs += cost.macs * t->n_now * t->set.shard_size;
        }
        int taken = at + taken_candidate(t, n);
        struct sn_subnet *sub = t->sub[taken];
        t->sub[taken] = t->sub[t->n_subs];
        t->sub[t->n_subs++] = sub;
    }
    return rc;
}
