/* What the packed kernels share (wire/ARTIFACT.md section 8). */
#ifndef TF_PACKED_H
#define TF_PACKED_H

#include "../../kernel.h"
#include "simd.h"

static inline uint32_t tf_round_up(uint32_t value, uint32_t step) {
    return (value + step - 1) / step * step;
}

/* The host has proven of each channel that nothing here overflows: |sum| < 2^30, and `round` holds rounding
 * and output zero point. Otherwise the answer is another, but still an int8. */
static inline int8_t tf_requantize(int32_t sum, const tf_channel_t *channel) {
    const int32_t sign = sum < 0 ? -1 : 0;
    const int32_t start = (int32_t)((uint32_t)channel->round + (uint32_t)sign);
    const int32_t scaled = tf_smmlar((int32_t)((uint32_t)sum << 1), channel->multiplier, start);
    return (int8_t)tf_ssat8(scaled >> channel->shift);
}

/* The tables of a packed op: `weights` bytes at one offset, `channels` records at another. */
bool tf_are_packed(const tf_model_t *model, uint32_t weights_at, uint64_t weights, uint32_t channels_at,
                   uint32_t channels);
/* What both convolutions ask of their shapes and parameters. */
bool tf_is_packed_window(const tf_call_t *call);

/* Applies an activation range that saturation to int8 does not cover. */
void tf_narrow(int8_t *values, uint32_t count, int32_t low, int32_t high);

/* Two pixels x two channels over `octets` x 8 taps. Pixels: for each 4 taps the words (0, 2), (1, 3) of the
 * first pixel, then of the second, as int16; weights: 4 taps of one channel, then of the other. Byte i of the
 * answer: channel i % 2 of pixel i / 2. */
uint32_t tf_block_2x2(const uint32_t *pixels, const int8_t *weights, uint32_t octets,
                      const tf_channel_t *channels);

/* Four channels over `quads` x 4 taps of one row: adds to `sums`. Weights: for each 4 taps, those of each
 * channel. */
void tf_dot_4(const int8_t *row, const int8_t *weights, uint32_t quads, int32_t sums[4]);

#endif
