/* The loops of filters.h in C. */
#include "../../quant.h"
#include "filters.h"

static inline int8_t scaled(const tf_filters_t *f, uint32_t c, uint32_t sum) {
    const uint32_t at = c * f->step;
    const int32_t value = tf_rescale((int32_t)(sum + (uint32_t)f->bias[c]), f->multiplier[at], f->shift[at]);
    return (int8_t)tf_clamp(tf_wrap_add(value, f->zero), f->low, f->high);
}

/* Four channels share each value of the input. */
static void four(const tf_filters_t *f, uint32_t c, const int8_t *input, int8_t *output) {
    const int8_t *w0 = f->weights + c * f->taps;
    const int8_t *w1 = w0 + f->taps;
    const int8_t *w2 = w1 + f->taps;
    const int8_t *w3 = w2 + f->taps;
    uint32_t s0 = 0, s1 = 0, s2 = 0, s3 = 0;
    for (const int8_t *const end = input + f->taps; input != end;) {
        const int32_t value = *input++;
        s0 += (uint32_t)(value * *w0++);
        s1 += (uint32_t)(value * *w1++);
        s2 += (uint32_t)(value * *w2++);
        s3 += (uint32_t)(value * *w3++);
    }
    const uint32_t sums[] = {s0, s1, s2, s3};
    for (uint32_t i = 0; i < TF_FILTERS_BLOCK; i++) output[c + i] = scaled(f, c + i, sums[i]);
}

void tf_rows(const tf_filters_t *f, const int8_t *input, int8_t *output) {
    uint32_t c = 0;
    for (; c + TF_FILTERS_BLOCK <= f->channels; c += TF_FILTERS_BLOCK) four(f, c, input, output);
    for (; c < f->channels; c++) {
        const int8_t *const weights = f->weights + c * f->taps;
        uint32_t sum = 0;
        for (uint32_t i = 0; i < f->taps; i++) sum += (uint32_t)(input[i] * weights[i]);
        output[c] = scaled(f, c, sum);
    }
}

void tf_columns(const tf_filters_t *f, const int8_t *image, const int32_t *offsets, int8_t *output) {
    for (uint32_t c = 0; c < f->channels; c++, image++) {
        const int8_t *weight = f->weights + c;
        uint32_t sum = 0;
        for (uint32_t tap = 0; tap < f->taps; tap++, weight += f->channels) {
            sum += (uint32_t)(image[offsets[tap]] * *weight);
        }
        output[c] = scaled(f, c, sum);
    }
}
