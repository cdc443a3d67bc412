/* An output pixel of a convolution, or a row of a fully connected layer, over the plain layouts: sums of
 * products for all channels, scaled to int8. filter_loops.c says them in C; Armv6-M has it in assembly
 * (filter_loops_armv6m.S), as compilers do not block loops over eight registers. */
#ifndef TF_FILTERS_H
#define TF_FILTERS_H

#include <assert.h>
#include <stddef.h>

#include "../../kernel.h"

enum { TF_FILTERS_BLOCK = 4 };

/* Weights and tables of section 4 of wire/ARTIFACT.md. */
typedef struct {
    const int8_t *weights;
    const int32_t *bias;
    const int32_t *multiplier; /* one a channel; where `step` is 0 one for all, TF_FILTERS_BLOCK times */
    const int8_t *shift;
    uint32_t taps;           /* of a channel */
    uint32_t channels;       /* of output */
    uint32_t step;           /* 1 or 0 */
    int32_t zero, low, high; /* of the output */
    int32_t all_multiplier[TF_FILTERS_BLOCK];
    int8_t all_shift[TF_FILTERS_BLOCK];
} tf_filters_t;

/* The assembly has these offsets. */
static_assert(sizeof(void *) != 4 || offsetof(tf_filters_t, all_multiplier) == 40, "filter_loops_armv6m.S");

/* What the two convolutions ask of their shapes and parameters. */
bool tf_is_convolution(const tf_call_t *call);

/* The tables of an op with weights: `bytes` of them, `channels` biases and scales. */
bool tf_are_filters(const tf_call_t *call, uint32_t flags, uint64_t bytes, uint32_t channels);

/* Points at the op's tables. `f` must stay where it is; its other members are the caller's. */
void tf_open_filters(tf_filters_t *f, const tf_call_t *call, uint32_t flags);

/* Goes on to the channels behind the first `channels`. */
void tf_next_filters(tf_filters_t *f);

/* output[c] from weights [channels][taps] and `taps` values of input, for every channel. */
void tf_rows(const tf_filters_t *f, const int8_t *input, int8_t *output);

/* output[c] from weights [taps][channels] and the values at image + offsets[tap] + c, for every channel. */
void tf_columns(const tf_filters_t *f, const int8_t *image, const int32_t *offsets, int8_t *output);

#endif
