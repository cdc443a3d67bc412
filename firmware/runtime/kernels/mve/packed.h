/* What the kernels for Helium share: layouts of wire/ARTIFACT.md section 10, and their inner loops: *.S on a
 * board, which knows where the fields of these structures are, blocks_emulated.c elsewhere. */
#ifndef TF_MVE_PACKED_H
#define TF_MVE_PACKED_H

#include "../../kernel.h"

enum {
    TF_MVE_BYTES = 16, /* of a vector */
    TF_MVE_QUAD = 4,   /* output channels that are scaled at once */
    TF_MVE_COLUMN = TF_MVE_BYTES * 4,
};

static inline uint32_t tf_mve_round_up(uint32_t value, uint32_t step) {
    return (value + step - 1) / step * step;
}

/* Windows of `taps` values each, times the weights of `quads` x 4 channels. Weights of a quad: 16 taps of
 * each channel, then the next 16; the first 16 are the window's last ((taps - 1) % 16 + 1, filled with
 * zeros), so that no window is read beyond its end. */
typedef struct {
    const int8_t *windows;
    uint32_t window_step;
    int8_t *output;
    uint32_t output_step;
    const int8_t *weights;
    const tf_quad_t *records;
    uint32_t taps;
    uint32_t quads;
    uint32_t count; /* of windows */
    int32_t output_zero, act_min, act_max;
} tf_mve_block_t;

void tf_mve_block_1(const tf_mve_block_t *block); /* count > 0 */
void tf_mve_block_2(const tf_mve_block_t *block); /* count even, > 0: two windows share each weight */

/* Rows from one place to another; at least one row of at least one byte. */
typedef struct {
    uint32_t to_step, from_step, bytes, rows;
} tf_mve_rows_t;

void tf_mve_copy_rows(int8_t *to, const int8_t *from, const tf_mve_rows_t *shape);
void tf_mve_fill(int8_t *to, int32_t value, uint32_t bytes);

/* Four rows of up to 16 channels become columns: 64 bytes each, four taps of the first channel, then of the
 * next. `spread`: the input channel of each output channel, counted from the row's pointer; NULL: its own. */
typedef struct {
    const int8_t *from[4];
    uint32_t from_step[4];
    int8_t *to;
    uint32_t to_step;
    uint32_t columns; /* at least one */
    uint32_t channels;
    const uint8_t *spread;
} tf_mve_columns_t;

void tf_mve_columns(const tf_mve_columns_t *columns);

/* `quads` x 4 channels, at most 16, along a run of outputs. A chunk of weights is 16 taps of each of four
 * channels: four taps in each of four columns, 64 bytes apart. */
typedef struct {
    const int8_t *plane;
    int8_t *output;
    const int8_t *weights;
    const tf_quad_t *records;
    uint32_t plane_step, output_step; /* from one output to the next */
    uint32_t outputs, chunks, quads;  /* at least one each */
    int32_t output_zero, act_min, act_max;
} tf_mve_depthwise_t;

void tf_mve_depthwise(const tf_mve_depthwise_t *run);

/* Elements of two tensors, one whose scale only halves it and another: output = clamp(zero + rescaled(first x
 * 2^19 + first_offset + rescaled(second x second_scale + second_offset))). Shifts -31..-1. */
typedef struct {
    const int8_t *first, *second;
    int8_t *output;
    uint32_t count; /* at least one */
    int32_t first_offset, second_offset;
    int32_t multiplier, shift; /* of the second */
    int32_t output_multiplier, output_shift, output_zero;
    int32_t second_scale, act_min, act_max;
} tf_mve_add_t;

void tf_mve_add(const tf_mve_add_t *add);

/* Values of `channels` under a window, row_step and column_step bytes apart. */
typedef struct {
    const int8_t *from;
    uint32_t rows, row_step, columns, column_step; /* at least one of each */
    uint32_t channels;                             /* at least one */
} tf_mve_patch_t;

void tf_mve_sums(const tf_mve_patch_t *patch, int32_t *sums);
void tf_mve_largest(const tf_mve_patch_t *patch, int8_t *output, int32_t act_min, int32_t act_max);

/* `block` over oc channels and count windows, numbers that need not be multiples of anything. */
void tf_mve_windows(tf_mve_block_t *block, uint32_t count, uint32_t oc);

/* The tables of a packed op: `weights` bytes at one offset, records for `channels` at another. */
bool tf_mve_are_packed(const tf_model_t *model, uint32_t weights_at, uint64_t weights, uint32_t records_at,
                       uint32_t channels);

#endif
