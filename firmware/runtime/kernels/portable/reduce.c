/* REDUCE_MAX and REDUCE_MIN. Reference: ReduceGeneric in tensorflow/lite/kernels/internal/reference/reduce.h.
 */
#include "../../kernel.h"
#include "reduction.h"

/* The largest of the values, each with its bits flipped by `mirror`: 0, or -1 to find the smallest. */
static int8_t extreme(const tf_mean_params_t *p, const int8_t *input, int32_t mirror) {
    int32_t best = INT8_MIN;
    for (uint32_t i = 0; i < p->reduced_size[0]; i++, input += p->reduced_stride[0]) {
        const int8_t *b = input;
        for (uint32_t j = 0; j < p->reduced_size[1]; j++, b += p->reduced_stride[1]) {
            const int8_t *c = b;
            for (uint32_t k = 0; k < p->reduced_size[2]; k++, c += p->reduced_stride[2]) {
                const int32_t value = *c ^ mirror;
                best = value > best ? value : best;
            }
        }
    }
    return (int8_t)(best ^ mirror);
}

static void reduce(const tf_call_t *call, uint8_t *arena, int32_t mirror) {
    const tf_mean_params_t *const p = call->params;
    const int8_t *a = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    for (uint32_t i = 0; i < p->kept_size[0]; i++, a += p->kept_stride[0]) {
        const int8_t *b = a;
        for (uint32_t j = 0; j < p->kept_size[1]; j++, b += p->kept_stride[1]) {
            const int8_t *c = b;
            for (uint32_t k = 0; k < p->kept_size[2]; k++, c += p->kept_stride[2]) {
                *output++ = extreme(p, c, mirror);
            }
        }
    }
}

static void run_max(const tf_call_t *call, uint8_t *arena) {
    reduce(call, arena, 0);
}

static void run_min(const tf_call_t *call, uint8_t *arena) {
    reduce(call, arena, -1);
}

const tf_kernel_t tf_kernel_reduce_max = {
    .code = TF_OP_REDUCE_MAX,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_mean_params_t),
    .check = tf_check_reduction,
    .run = run_max,
};

const tf_kernel_t tf_kernel_reduce_min = {
    .code = TF_OP_REDUCE_MIN,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_mean_params_t),
    .check = tf_check_reduction,
    .run = run_min,
};
