/* Two models side by side, as a node has them while one shadows the other. */
#ifndef TF_PAIR_H
#define TF_PAIR_H

#include "tinyfleet/runtime.h"

/* Runs a step of every golden vector of both in turns, op by op, each in its own arena: how many of the
 * vectors of both gave what they must. Those of the one that has fewer come again. */
uint32_t pair_equal(const tf_model_t models[2], uint8_t *const arenas[2]);

#endif
