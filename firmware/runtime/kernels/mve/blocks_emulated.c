/* windows.S, columns.S and elements.S in C, for machines without its instructions: the same layouts, the same
 * bits. */
#include <string.h>

#include "../../quant.h"
#include "packed.h"

static int8_t scale(int32_t sum, const tf_quad_t *record, uint32_t i, int32_t output_zero, int32_t act_min,
                    int32_t act_max) {
    const int32_t x = tf_high_mul(tf_wrap_add(sum, record->bias[i]), record->multiplier[i]);
    const int64_t nudged = (int64_t)x - (x < 0) + ((int64_t)1 << (-record->shift[i] - 1));
    const int32_t scaled = (int32_t)(nudged >> -record->shift[i]);
    return (int8_t)tf_clamp(tf_wrap_add(scaled, output_zero), act_min, act_max);
}

static int32_t dot(int32_t sum, const int8_t *values, const int8_t *weights, uint32_t count) {
    uint32_t total = (uint32_t)sum;
    for (uint32_t i = 0; i < count; i++) total += (uint32_t)(values[i] * weights[i]);
    return (int32_t)total;
}

static void window(const tf_mve_block_t *b, const int8_t *from, int8_t *output) {
    const uint32_t head = (b->taps - 1) % TF_MVE_BYTES + 1;
    const int8_t *weights = b->weights;
    for (uint32_t quad = 0; quad < b->quads; quad++, output += TF_MVE_QUAD) {
        int32_t sums[TF_MVE_QUAD] = {0};
        const int8_t *values = from + b->taps - head;
        uint32_t count = head;
        for (uint32_t done = 0; done < b->taps; done += count, count = TF_MVE_BYTES) {
            for (uint32_t i = 0; i < TF_MVE_QUAD; i++, weights += TF_MVE_BYTES) {
                sums[i] = dot(sums[i], values, weights, count);
            }
            values = done == 0 ? from : values + TF_MVE_BYTES;
        }
        for (uint32_t i = 0; i < TF_MVE_QUAD; i++) {
            output[i] = scale(sums[i], &b->records[quad], i, b->output_zero, b->act_min, b->act_max);
        }
    }
}

void tf_mve_block_1(const tf_mve_block_t *block) {
    for (uint32_t i = 0; i < block->count; i++) {
        window(block, block->windows + i * block->window_step, block->output + i * block->output_step);
    }
}

void tf_mve_block_2(const tf_mve_block_t *block) {
    tf_mve_block_1(block);
}

void tf_mve_copy_rows(int8_t *to, const int8_t *from, const tf_mve_rows_t *shape) {
    for (uint32_t i = 0; i < shape->rows; i++, to += shape->to_step, from += shape->from_step) {
        memcpy(to, from, shape->bytes);
    }
}

void tf_mve_fill(int8_t *to, int32_t value, uint32_t bytes) {
    memset(to, value, bytes);
}

void tf_mve_columns(const tf_mve_columns_t *c) {
    for (uint32_t x = 0; x < c->columns; x++) {
        int8_t *const to = c->to + x * c->to_step;
        for (uint32_t k = 0; k < 4; k++) {
            const int8_t *const from = c->from[k] + x * c->from_step[k];
            for (uint32_t i = 0; i < TF_MVE_BYTES; i++) {
                const uint32_t at = c->spread != 0 && i < c->channels ? c->spread[i] : i;
                to[4 * i + k] = i < c->channels ? from[at] : 0;
            }
        }
    }
}

void tf_mve_depthwise(const tf_mve_depthwise_t *run) {
    for (uint32_t x = 0; x < run->outputs; x++) {
        for (uint32_t i = 0; i < run->quads * TF_MVE_QUAD; i++) {
            const uint32_t quad = i / TF_MVE_QUAD;
            const int8_t *column = run->plane + x * run->plane_step + 4 * i;
            const int8_t *weights =
                run->weights + (quad * run->chunks * TF_MVE_QUAD + i % TF_MVE_QUAD) * TF_MVE_BYTES;
            int32_t sum = 0;
            for (uint32_t chunk = 0; chunk < run->chunks; chunk++, weights += TF_MVE_BYTES * TF_MVE_QUAD) {
                for (uint32_t word = 0; word < 4; word++, column += TF_MVE_COLUMN) {
                    sum = dot(sum, column, weights + 4 * word, 4);
                }
            }
            run->output[x * run->output_step + i] = scale(sum, &run->records[quad], i % TF_MVE_QUAD,
                                                          run->output_zero, run->act_min, run->act_max);
        }
    }
}

static int32_t scaled(int32_t x, int32_t multiplier, int32_t shift) {
    return tf_round_shift(tf_high_mul(x, multiplier), -shift);
}

void tf_mve_add(const tf_mve_add_t *add) {
    for (uint32_t i = 0; i < add->count; i++) {
        const int32_t first = tf_wrap_add(tf_wrap_mul(add->first[i], 1 << 19), add->first_offset);
        const int32_t second =
            tf_wrap_add(tf_wrap_mul(add->second[i], add->second_scale), add->second_offset);
        const int32_t sum = tf_wrap_add(first, scaled(second, add->multiplier, add->shift));
        const int32_t value = scaled(sum, add->output_multiplier, add->output_shift);
        add->output[i] = (int8_t)tf_clamp(tf_wrap_add(value, add->output_zero), add->act_min, add->act_max);
    }
}

void tf_mve_sums(const tf_mve_patch_t *patch, int32_t *sums) {
    for (uint32_t c = 0; c < patch->channels; c++) {
        int32_t sum = 0;
        for (uint32_t y = 0; y < patch->rows; y++) {
            for (uint32_t x = 0; x < patch->columns; x++) {
                sum = tf_wrap_add(sum, patch->from[y * patch->row_step + x * patch->column_step + c]);
            }
        }
        sums[c] = sum;
    }
}

void tf_mve_largest(const tf_mve_patch_t *patch, int8_t *output, int32_t act_min, int32_t act_max) {
    for (uint32_t c = 0; c < patch->channels; c++) {
        int32_t best = act_min;
        for (uint32_t y = 0; y < patch->rows; y++) {
            for (uint32_t x = 0; x < patch->columns; x++) {
                const int32_t value = patch->from[y * patch->row_step + x * patch->column_step + c];
                best = value > best ? value : best;
            }
        }
        output[c] = (int8_t)(best < act_max ? best : act_max);
    }
}
