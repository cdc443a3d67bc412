#include "tinyfleet/comparison.h"

#include <string.h>

void tf_comparison_begin(tf_comparison_t *comparison, const uint8_t model[32]) {
    *comparison = (tf_comparison_t){.run = comparison->run + 1u};
    memcpy(comparison->model, model, sizeof comparison->model);
}

void tf_comparison_add(tf_comparison_t *comparison, uint8_t active, uint8_t challenger) {
    comparison->windows++;
    if (active == challenger) {
        comparison->agreements++;
        return;
    }
    for (uint32_t i = 0; i < comparison->pair_count; i++) {
        tf_class_pair_t *pair = &comparison->pairs[i];
        if (pair->active != active || pair->challenger != challenger) continue;
        pair->windows++;
        return;
    }
    /* First come, first kept: a pair that gave way to another could not be counted from its beginning. */
    if (comparison->pair_count == TF_COMPARISON_PAIRS_MAX) {
        comparison->rest++;
        return;
    }
    comparison->pairs[comparison->pair_count++] = (tf_class_pair_t){active, challenger, 1};
}
