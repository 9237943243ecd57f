/* sn_space_json - a space as a user writes it, to and from struct sn_space.
 *
 *   {"name": "small", "resolutions": [24, 28, 32], "bn_epsilon": 1e-5,
 *    "stem": {"width": 16, "stride": 1, "activation": "hswish"},
 *    "first": {"width": 16, "stride": 1, "activation": "relu"},
 *    "stages": [{"width": 24, "stride": 2, "activation": "relu", "se": false,
 *                "depth": [1, 2], "kernel": [3, 5], "expand": [3, 6],
 *                "coupling": {"expand": [3, 6], "kernel": 3}}],
 *    "head": {"width": 128, "features": 128, "activation": "hswish"},
 *    "strides": [{"below": 28, "stem": 1, "first": 1, "stages": [1]}],
 *    "coupling": "optional"}
 *
 *   {"name": "bottlenecks", "family": "resnet", "resolutions": [24, 28, 32],
 *    "stem": {"width": 32, "stride": 1, "residual": "optional"},
 *    "width_ratios": [0.65, 0.8, 1], "expand_ratios": [0.2, 0.25, 0.35],
 *    "stages": [{"width": 64, "stride": 1, "depth": [1, 2],
 *                "expand": [0.2, 0.35], "coupling": {"expand": [0.2, 0.35]}}],
 *    "strides": [{"below": 28, "stem": 1, "stages": [1]}]}
 *
 * Optional: bn_epsilon, strides and coupling as a whole; a stage's se and
 * coupling (without it, as in CompOFA: the i-th depth has the i-th expand, the
 * kernel is near that of the stage's place); activations (relu in first and
 * stages, hswish elsewhere); features (0: none); a ResNet's residual, and a
 * stage's expand (all of expand_ratios). Pure; any thread.
 */
#ifndef SN_SPACE_JSON_H
#define SN_SPACE_JSON_H

#include <jansson.h>

#include "api/problem.h"
#include "engine/engine.h"

/* False with each place at fault in the problem. What is read has been through
 * sn_space_check. Unknown members are refused. */
bool sn_space_from_json(const json_t *body, struct sn_space *ret,
                        struct sn_problem *problem);
/* The same from stored text. */
bool sn_space_parse(const char *text, size_t size, struct sn_space *ret,
                    struct sn_problem *problem);
/* Everything, so that reading it back gives the same space. */
json_t *sn_space_to_json(const struct sn_space *space);

const char *sn_act_name(enum sn_act act); /* "relu", "none", ... */
const char *sn_family_name(enum sn_family family);
/* Lists as users write them: thousandths as ratios; a stage's expands. */
json_t *sn_space_ratios(size_t n, const uint16_t *thousandths);
json_t *sn_stage_expands(const struct sn_space *space, size_t n,
                         const uint8_t *expand);

#endif
