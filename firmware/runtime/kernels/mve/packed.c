#include "packed.h"

#include <string.h>

bool tf_mve_are_packed(const tf_model_t *model, uint32_t weights_at, uint64_t weights, uint32_t records_at,
                       uint32_t channels) {
    const uint32_t quads = tf_mve_round_up(channels, TF_MVE_QUAD) / TF_MVE_QUAD;
    if (!tf_has_constants(model, weights_at, weights, 16)) return false;
    if (!tf_has_constants(model, records_at, (uint64_t)quads * sizeof(tf_quad_t), 4)) return false;
    const tf_quad_t *const records = tf_constant(model, records_at);
    for (uint32_t i = 0; i < quads; i++) {
        for (uint32_t k = 0; k < TF_MVE_QUAD; k++) {
            if (records[i].shift[k] < -31 || records[i].shift[k] > -1) return false;
            /* Of two INT32_MIN machines make different products: some saturate. */
            if (records[i].multiplier[k] < 0) return false;
        }
    }
    return true;
}

static void all_windows(tf_mve_block_t block, uint32_t count) {
    block.count = count & ~1u;
    if (block.count != 0) tf_mve_block_2(&block);
    if (count % 2 == 0) return;
    block.windows += block.count * block.window_step;
    block.output += block.count * block.output_step;
    block.count = 1;
    tf_mve_block_1(&block);
}

void tf_mve_windows(tf_mve_block_t *block, uint32_t count, uint32_t oc) {
    block->quads = oc / TF_MVE_QUAD;
    if (block->quads != 0) all_windows(*block, count);
    const uint32_t rest = oc % TF_MVE_QUAD;
    if (rest == 0) return;
    /* The last channels, fewer than four: their fillers have no place in the output. */
    int8_t some[2 * TF_MVE_QUAD];
    tf_mve_block_t last = *block;
    int8_t *to = block->output + (oc - rest);
    last.weights += (oc - rest) * tf_mve_round_up(last.taps, TF_MVE_BYTES);
    last.records += block->quads;
    last.quads = 1;
    last.output = some;
    last.output_step = TF_MVE_QUAD;
    while (count != 0) {
        const uint32_t now = count > 1 ? 2 : 1;
        all_windows(last, now);
        last.windows += now * last.window_step;
        for (uint32_t i = 0; i < now; i++, to += block->output_step) {
            memcpy(to, some + i * TF_MVE_QUAD, rest);
        }
        count -= now;
    }
}
