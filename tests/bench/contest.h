/* bench_contest - several ways to do the same, timed in turn, so that what
 * disturbs the machine disturbs them alike; the best of the rounds counts.
 */
#ifndef BENCH_CONTEST_H
#define BENCH_CONTEST_H

struct bench_way_timed {
    void (*run)(void *arg);
    void *arg;
    double seconds; /* the answer, of one run */
    long turns;     /* runs of a round */
};

/* `round_s`: about how long each way runs in a round. One that is over
 * `hopeless` times slower than the best of the first looks gets no round. */
void bench_contest(struct bench_way_timed *way, int n, int rounds,
                   double round_s, double hopeless);

#endif
