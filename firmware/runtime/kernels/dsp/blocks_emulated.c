/* blocks.S in C, for machines without its instructions: the same layouts, the same bits. */
#include "packed.h"

uint32_t tf_block_2x2(const uint32_t *pixels, const int8_t *weights, uint32_t octets,
                      const tf_channel_t *channels) {
    int32_t sums[4] = {channels[0].bias, channels[1].bias, channels[0].bias, channels[1].bias};
    for (uint32_t quad = 0; quad < octets * 2; quad++, pixels += 4, weights += 8) {
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t word = tf_load4(weights + i % 2 * 4);
            sums[i] = tf_smlad(tf_sxtb16(word), pixels[i / 2 * 2], sums[i]);
            sums[i] = tf_smlad(tf_sxtb16_odd(word), pixels[i / 2 * 2 + 1], sums[i]);
        }
    }
    uint32_t out = 0;
    for (uint32_t i = 0; i < 4; i++)
        out |= (uint32_t)(uint8_t)tf_requantize(sums[i], &channels[i % 2]) << 8 * i;
    return out;
}

void tf_dot_4(const int8_t *row, const int8_t *weights, uint32_t quads, int32_t sums[4]) {
    for (uint32_t quad = 0; quad < quads; quad++, row += 4, weights += 16) {
        const uint32_t values = tf_load4(row);
        for (uint32_t i = 0; i < 4; i++) {
            const uint32_t word = tf_load4(weights + 4 * i);
            sums[i] = tf_smlad(tf_sxtb16(word), tf_sxtb16(values), sums[i]);
            sums[i] = tf_smlad(tf_sxtb16_odd(word), tf_sxtb16_odd(values), sums[i]);
        }
    }
}
