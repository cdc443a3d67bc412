/* What an active model and its challenger said of the same windows (SPEC section 3, comparison). Counters are
 * cumulative and wrap; of the pairs of classes that differ the first TF_COMPARISON_PAIRS_MAX are told apart.
 */
#ifndef TINYFLEET_COMPARISON_H
#define TINYFLEET_COMPARISON_H

#include "tinyfleet/wire.h"

/* A new run: all counters zero. Zero the struct once at boot. */
void tf_comparison_begin(tf_comparison_t *comparison, const uint8_t model[32]);
void tf_comparison_add(tf_comparison_t *comparison, uint8_t active, uint8_t challenger);

#endif
