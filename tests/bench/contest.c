#include "tests/bench/contest.h"

#include "tests/bench/timing.h"

enum { LOOKS = 3 };

static double time_of(struct bench_way_timed *way, long turns)
{
    const double from = bench_now();
    for (long t = 0; t < turns; t++)
        way->run(way->arg);
    return (bench_now() - from) / (double)turns;
}

void bench_contest(struct bench_way_timed *way, int n, int rounds,
                   double round_s, double hopeless)
{
    double best = 0;
    for (int j = 0; j < n; j++) {
        (void)time_of(&way[j], 1);
        way[j].seconds = time_of(&way[j], 1);
        for (int look = 1; look < LOOKS; look++) {
            const double s = time_of(&way[j], 1);
            if (s < way[j].seconds)
                way[j].seconds = s;
        }
        way[j].turns = (long)(round_s / (way[j].seconds + 1e-9)) + 1;
        if (j == 0 || way[j].seconds < best)
            best = way[j].seconds;
    }
    for (int r = 0; r < rounds; r++)
        for (int j = 0; j < n; j++) {
            if (way[j].seconds > hopeless * best)
                continue;
            const double s = time_of(&way[j], way[j].turns);
            if (s < way[j].seconds)
                way[j].seconds = s;
            if (s < best)
                best = s;
        }
}
