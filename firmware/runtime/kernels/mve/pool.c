/* AVERAGE_POOL_2D, MAX_POOL_2D and MEAN, many channels at a time. */
#include "../../quant.h"
#include "../portable/window.h"
#include "packed.h"

enum { CHANNELS = 32 /* whose sums are held at once */ };

static bool check_average(const tf_call_t *call) {
    return tf_kernel_average_pool.check(call);
}

static bool check_max(const tf_call_t *call) {
    return tf_kernel_max_pool.check(call);
}

/* What is kept innermost lies in one piece. */
static bool check_mean(const tf_call_t *call) {
    const tf_mean_params_t *const p = call->params;
    return tf_kernel_mean.check(call) && p->kept_stride[2] == 1 && p->reduced_size[0] == 1;
}

static void average(tf_mve_patch_t patch, int8_t *output, const tf_pool_params_t *p) {
    const int32_t count = (int32_t)(patch.rows * patch.columns);
    const int32_t half = count / 2;
    int32_t sums[CHANNELS];
    for (uint32_t left = patch.channels; left != 0; left -= patch.channels) {
        patch.channels = left < CHANNELS ? left : CHANNELS;
        tf_mve_sums(&patch, sums);
        for (uint32_t c = 0; c < patch.channels; c++) {
            const int32_t rounded = tf_wrap_add(sums[c], sums[c] > 0 ? half : -half) / count;
            *output++ = (int8_t)tf_clamp(rounded, p->act_min, p->act_max);
        }
        patch.from += patch.channels;
    }
}

static void largest(tf_mve_patch_t patch, int8_t *output, const tf_pool_params_t *p) {
    tf_mve_largest(&patch, output, p->act_min, p->act_max);
}

static void pool(const tf_call_t *call, uint8_t *arena,
                 void (*reduce)(tf_mve_patch_t, int8_t *, const tf_pool_params_t *)) {
    const tf_pool_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const uint32_t channels = x->dims[3];
    const int8_t *image = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    tf_mve_patch_t patch = {
        .row_step = x->dims[2] * channels,
        .column_step = channels,
        .channels = channels,
    };
    for (uint32_t n = 0; n < x->dims[0]; n++, image += x->dims[1] * patch.row_step) {
        int32_t top = -(int32_t)p->pad_top;
        for (uint32_t oy = 0; oy < y->dims[1]; oy++, top += p->stride_h) {
            const tf_taps_t rows = tf_taps(top, x->dims[1], p->kernel_h, 1);
            const int8_t *const row = image + (uint32_t)(top + (int32_t)rows.first) * patch.row_step;
            patch.rows = rows.end - rows.first;
            int32_t left = -(int32_t)p->pad_left;
            for (uint32_t ox = 0; ox < y->dims[2]; ox++, left += p->stride_w, output += channels) {
                const tf_taps_t columns = tf_taps(left, x->dims[2], p->kernel_w, 1);
                patch.from = row + (uint32_t)(left + (int32_t)columns.first) * channels;
                patch.columns = columns.end - columns.first;
                reduce(patch, output, p);
            }
        }
    }
}

static void run_average(const tf_call_t *call, uint8_t *arena) {
    pool(call, arena, average);
}

static void run_max(const tf_call_t *call, uint8_t *arena) {
    pool(call, arena, largest);
}

static void run_mean(const tf_call_t *call, uint8_t *arena) {
    const tf_mean_params_t *const p = call->params;
    const int8_t *a = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    int32_t sums[CHANNELS];
    tf_mve_patch_t patch = {
        .rows = p->reduced_size[1],
        .row_step = p->reduced_stride[1],
        .columns = p->reduced_size[2],
        .column_step = p->reduced_stride[2],
    };
    for (uint32_t i = 0; i < p->kept_size[0]; i++, a += p->kept_stride[0]) {
        const int8_t *b = a;
        for (uint32_t j = 0; j < p->kept_size[1]; j++, b += p->kept_stride[1]) {
            patch.from = b;
            for (uint32_t left = p->kept_size[2]; left != 0; left -= patch.channels) {
                patch.channels = left < CHANNELS ? left : CHANNELS;
                tf_mve_sums(&patch, sums);
                patch.from += patch.channels;
                for (uint32_t c = 0; c < patch.channels; c++) {
                    const int32_t sum = tf_wrap_add(sums[c], p->first);
                    const int32_t value =
                        tf_wrap_add(tf_rescale(sum, p->multiplier, p->shift), p->output_zero);
                    *output++ = (int8_t)tf_clamp(value, INT8_MIN, INT8_MAX);
                }
            }
        }
    }
}

const tf_kernel_t tf_mve_kernel_average_pool = {
    .code = TF_OP_AVERAGE_POOL_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_pool_params_t),
    .check = check_average,
    .run = run_average,
};

const tf_kernel_t tf_mve_kernel_max_pool = {
    .code = TF_OP_MAX_POOL_2D,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_pool_params_t),
    .check = check_max,
    .run = run_max,
};

const tf_kernel_t tf_mve_kernel_mean = {
    .code = TF_OP_MEAN,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_mean_params_t),
    .check = check_mean,
    .run = run_mean,
};
