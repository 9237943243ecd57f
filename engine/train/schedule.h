/* sn_schedule - the learning rate as a function of the step. Pure. */
#ifndef SN_SCHEDULE_H
#define SN_SCHEDULE_H

#include <stdint.h>

enum sn_schedule_kind {
    SN_SCHEDULE_COSINE, /* linear rise, then a cosine to zero */
    SN_SCHEDULE_COOLED, /* linear rise, hold, linear fall to zero over the last
                           fifth: probing at a constant rate ranks nothing */
    SN_SCHEDULE_LINEAR, /* linear rise, linear fall to zero */
    /* linear rise, then exponentially down to 5% of the rate, which holds from
     * 65% of the steps on (Yu et al., "BigNAS", ECCV 2020, section 3.3: 0.97
     * every 2.4 of 360 epochs, constant at 5%) */
    SN_SCHEDULE_EXPONENTIAL
};

struct sn_schedule {
    enum sn_schedule_kind kind;
    double rate;
    uint64_t steps; /* of the whole schedule */
    uint64_t rise;  /* steps until the full rate */
};

/* step from 0; the last step's rate is small but not zero. */
double sn_schedule_rate(const struct sn_schedule *schedule, uint64_t step);

#endif
