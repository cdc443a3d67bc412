#include "pair.h"

#include "kernel.h"

/* One run of both, an op of the one and then an op of the other. */
static void run_in_turns(const tf_model_t models[2], uint8_t *const arenas[2]) {
    uint32_t at[2] = {0, 0};
    tf_call_t call;
    bool more = true;
    while (more) {
        more = false;
        for (uint32_t k = 0; k < 2; k++) {
            if (!tf_next_op(&models[k], &at[k], &call)) continue;
            tf_run_op(&call, arenas[k]);
            more = true;
        }
    }
}

uint32_t pair_equal(const tf_model_t models[2], uint8_t *const arenas[2]) {
    uint32_t equal = 0;
    const uint32_t a = models[0].vector_count, b = models[1].vector_count;
    for (uint32_t i = 0; a != 0 && b != 0 && i < (a > b ? a : b); i++) {
        const uint32_t vector[2] = {i % a, i % b};
        bool passes[2] = {true, true};
        for (uint32_t step = 0; step < models[0].vector_steps && step < models[1].vector_steps; step++) {
            for (uint32_t k = 0; k < 2; k++)
                (void)tf_model_begin_step(&models[k], arenas[k], vector[k], step);
            run_in_turns(models, arenas);
            for (uint32_t k = 0; k < 2; k++) {
                passes[k] = passes[k] && tf_model_step_passes(&models[k], arenas[k], vector[k], step);
            }
        }
        equal += (uint32_t)passes[0] + passes[1];
    }
    return equal;
}
