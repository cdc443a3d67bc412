/* MEAN. Reference: QuantizedMeanOrSum in tensorflow/lite/kernels/internal/reference/reduce.h. */
#include "../../kernel.h"
#include "../../quant.h"
#include "reduction.h"

static bool check(const tf_call_t *call) {
    const tf_mean_params_t *const p = call->params;
    return tf_check_reduction(call) && tf_is_multiplier(p->multiplier, p->shift) &&
           tf_is_activation(p->output_zero, INT8_MIN, INT8_MAX);
}

static int32_t reduce(const tf_mean_params_t *p, const int8_t *input) {
    int32_t sum = p->first;
    const int8_t *a = input;
    for (uint32_t i = 0; i < p->reduced_size[0]; i++, a += p->reduced_stride[0]) {
        const int8_t *b = a;
        for (uint32_t j = 0; j < p->reduced_size[1]; j++, b += p->reduced_stride[1]) {
            const int8_t *c = b;
            for (uint32_t k = 0; k < p->reduced_size[2]; k++, c += p->reduced_stride[2])
                sum = tf_wrap_add(sum, *c);
        }
    }
    return sum;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_mean_params_t *const p = call->params;
    const int8_t *a = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t i = 0; i < p->kept_size[0]; i++, a += p->kept_stride[0]) {
        const int8_t *b = a;
        for (uint32_t j = 0; j < p->kept_size[1]; j++, b += p->kept_stride[1]) {
            const int8_t *c = b;
            for (uint32_t k = 0; k < p->kept_size[2]; k++, c += p->kept_stride[2]) {
                const int32_t scaled = tf_rescale(reduce(p, c), p->multiplier, p->shift);
                *output++ = (int8_t)tf_clamp(tf_wrap_add(scaled, p->output_zero), INT8_MIN, INT8_MAX);
            }
        }
    }
}

const tf_kernel_t tf_kernel_mean = {
    .code = TF_OP_MEAN,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_mean_params_t),
    .check = check,
    .run = run,
};
