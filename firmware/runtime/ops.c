/* The ops of this build, and the small questions that loading and running both ask. */
#include "kernel.h"
#include "quant.h"

static const tf_kernel_t *const kernels[] = {
    &tf_kernel_add,
    &tf_kernel_average_pool,
    &tf_kernel_conv,
    &tf_kernel_depthwise_conv,
    &tf_kernel_fully_connected,
    &tf_kernel_max_pool,
    &tf_kernel_softmax,
    &tf_kernel_mean,
    &tf_kernel_copy,
    &tf_kernel_gather,
    &tf_kernel_log_softmax,
    &tf_kernel_lstm,
    &tf_kernel_maximum,
    &tf_kernel_minimum,
    &tf_kernel_mul,
    &tf_kernel_prelu,
    &tf_kernel_quantize,
    &tf_kernel_reduce_max,
    &tf_kernel_reduce_min,
    &tf_kernel_resize_bilinear,
    &tf_kernel_squared_difference,
    &tf_kernel_sub,
    &tf_kernel_svdf,
    &tf_kernel_table,
    &tf_kernel_transpose_conv,
    &tf_kernel_arg_max,
    &tf_kernel_arg_min,
    &tf_kernel_batch_matmul,
    &tf_kernel_div,
    &tf_kernel_l2_normalization,
    0,
};

static const tf_kernel_t *find(const tf_kernel_t *const *list, uint8_t code) {
    for (; *list != 0; list++) {
        if ((*list)->code == code) return *list;
    }
    return 0;
}

const tf_kernel_t *tf_find_kernel(uint8_t code, uint8_t variant) {
    if (variant == 0) {
        const tf_kernel_t *const plain = find(kernels, code);
        return plain != 0 ? plain : find(tf_signal_kernels, code);
    }
    for (const tf_core_t *core = tf_cores; core->packed != 0; core++) {
        if (core->core == variant) return find(core->packed, code);
    }
    return 0;
}

static void mark(uint8_t bitmap[32], const tf_kernel_t *const *list) {
    for (; *list != 0; list++) {
        const uint32_t code = (*list)->code;
        bitmap[code / 8] = (uint8_t)(bitmap[code / 8] | (1u << (code % 8)));
    }
}

void tf_runtime_ops(uint8_t bitmap[32]) {
    for (uint32_t i = 0; i < 32; i++) bitmap[i] = 0;
    mark(bitmap, kernels);
    mark(bitmap, tf_signal_kernels);
}

uint8_t tf_runtime_core(void) {
    return tf_cores[0].core;
}

void tf_model_ops(const tf_model_t *model, uint8_t bitmap[32]) {
    for (uint32_t i = 0; i < 32; i++) bitmap[i] = 0;
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) {
        bitmap[call.op->code / 8] = (uint8_t)(bitmap[call.op->code / 8] | (1u << (call.op->code % 8)));
    }
}

uint8_t tf_runtime_cores(void) {
    uint32_t cores = 1u << TF_RUNTIME_CORE_PORTABLE;
    for (const tf_core_t *core = tf_cores; core->packed != 0; core++) cores |= 1u << core->core;
    return (uint8_t)cores;
}

const tf_tensor_t *tf_tensor(const tf_model_t *model, uint32_t index) {
    return (const tf_tensor_t *)(const void *)(model->payload + model->tensors_at) + index;
}

uint32_t tf_elements(const tf_tensor_t *tensor) {
    uint32_t elements = 1;
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) elements *= tensor->dims[i];
    return elements;
}

uint32_t tf_dtype_bytes(uint8_t dtype) {
    static const uint8_t bytes[] = {1, 2, 4, 1, 4, 4, 8, 8};
    return bytes[dtype];
}

uint32_t tf_tensor_bytes(const tf_tensor_t *tensor) {
    return tf_elements(tensor) * tf_dtype_bytes(tensor->dtype);
}

bool tf_has_constants(const tf_model_t *model, uint32_t offset, uint64_t bytes, uint32_t align) {
    return offset % align == 0 && offset <= model->constants_bytes &&
           bytes <= model->constants_bytes - offset;
}

bool tf_is_multiplier(int32_t multiplier, int32_t shift) {
    return multiplier >= 0 && shift >= TF_SHIFT_MIN && shift <= TF_SHIFT_MAX;
}

bool tf_are_multipliers(const tf_model_t *model, uint32_t multiplier, uint32_t shift, uint32_t count) {
    if (!tf_has_constants(model, multiplier, (uint64_t)count * 4, 4)) return false;
    if (!tf_has_constants(model, shift, count, 4)) return false;
    const int32_t *const multipliers = tf_constant(model, multiplier);
    const int8_t *const shifts = tf_constant(model, shift);
    for (uint32_t i = 0; i < count; i++) {
        if (!tf_is_multiplier(multipliers[i], shifts[i])) return false;
    }
    return true;
}

bool tf_is_activation(int32_t zero, int32_t act_min, int32_t act_max) {
    return zero >= INT8_MIN && zero <= INT8_MAX && act_min >= INT8_MIN && act_min <= act_max &&
           act_max <= INT8_MAX;
}

bool tf_same_shape(const tf_tensor_t *a, const tf_tensor_t *b) {
    for (uint32_t i = 0; i < TF_DIMS_MAX; i++) {
        if (a->dims[i] != b->dims[i]) return false;
    }
    return a->rank == b->rank;
}

bool tf_is_window(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation,
                  uint32_t pad) {
    if (kernel == 0 || stride == 0 || dilation == 0) return false;
    const uint32_t reach = (kernel - 1) * dilation + 1; /* u16 x u16: no overflow */
    const uint64_t last = (uint64_t)(out - 1) * stride;
    return reach <= UINT16_MAX && pad < reach && last < (uint64_t)in + pad;
}
