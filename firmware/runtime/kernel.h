/* What an op brings: a check, run once when a plan is loaded, and the code that runs it afterwards. */
#ifndef TF_KERNEL_H
#define TF_KERNEL_H

#include <stdbool.h>
#include <stdint.h>

#include "plan.h"
#include "tinyfleet/runtime.h"

/* One op of a loaded plan. Tensors: inputs, outputs, temps, in that order. */
typedef struct {
    const tf_model_t *model;
    const tf_op_t *op;
    const uint16_t *tensors;
    const void *params;
} tf_call_t;

typedef struct {
    uint8_t code;
    uint8_t inputs;
    uint8_t outputs;
    uint8_t temps;
    uint16_t param_bytes;
    /* `check` looks at the tensors' types; else all of them are INT8. */
    bool own_dtypes;
    /* Everything `run` relies on; tensors themselves have been checked (place, size, rank, INT8). A tensor
     * that keeps state is an output that `run` reads, too. */
    bool (*check)(const tf_call_t *call);
    /* Whether output 0 may start where input i starts; NULL: never. */
    bool (*in_place)(const tf_call_t *call, uint32_t input);
    /* Where it may, the two may overlap in any way. */
    bool overlaps;
    void (*run)(const tf_call_t *call, uint8_t *arena);
} tf_kernel_t;

/* CoreVariant of SPEC section 4. */
#define TF_RUNTIME_CORE_PORTABLE 0u
#define TF_RUNTIME_CORE_DSP 1u
#define TF_RUNTIME_CORE_MVE 2u

/* The signal ops and plain integer arithmetic, in builds that have them (signal/with.c, signal/without.c);
 * NULL ends the list. */
extern const tf_kernel_t *const tf_signal_kernels[];

/* A core that this build runs packed plans of. */
typedef struct {
    uint8_t core;                     /* an op's variant in such a plan */
    const tf_kernel_t *const *packed; /* NULL ends the list */
} tf_core_t;

/* The build's own core first; one without packed kernels ends the list. */
extern const tf_core_t tf_cores[];

/* NULL when this build has no such op in this variant. */
const tf_kernel_t *tf_find_kernel(uint8_t code, uint8_t variant);

const tf_tensor_t *tf_tensor(const tf_model_t *model, uint32_t index);
uint32_t tf_elements(const tf_tensor_t *tensor);
uint32_t tf_dtype_bytes(uint8_t dtype);
uint32_t tf_tensor_bytes(const tf_tensor_t *tensor);

/* Walks the op records: NULL after the last. The caller has checked them (tf_model_load). */
bool tf_next_op(const tf_model_t *model, uint32_t *at, tf_call_t *call);

/* Runs one op of a loaded plan; tf_model_run is this in a loop. */
void tf_run_op(const tf_call_t *call, uint8_t *arena);

static inline const tf_tensor_t *tf_operand(const tf_call_t *call, uint32_t i) {
    return tf_tensor(call->model, call->tensors[i]);
}

const void *tf_read(const tf_call_t *call, uint32_t i, const uint8_t *arena);
void *tf_write(const tf_call_t *call, uint32_t i, uint8_t *arena);

static inline const void *tf_constant(const tf_model_t *model, uint32_t offset) {
    return model->payload + model->constants_at + offset;
}

/* Parts of checks that several ops share. */
bool tf_has_constants(const tf_model_t *model, uint32_t offset, uint64_t bytes, uint32_t align);
bool tf_are_multipliers(const tf_model_t *model, uint32_t multiplier, uint32_t shift, uint32_t count);
bool tf_is_multiplier(int32_t multiplier, int32_t shift);
bool tf_is_activation(int32_t zero, int32_t act_min, int32_t act_max);
bool tf_same_shape(const tf_tensor_t *a, const tf_tensor_t *b);
/* One axis of a sliding window: every window starts before the input's end and no window lies in the padding
 * alone. */
bool tf_is_window(uint32_t in, uint32_t out, uint32_t kernel, uint32_t stride, uint32_t dilation,
                  uint32_t pad);

extern const tf_kernel_t tf_kernel_add;
extern const tf_kernel_t tf_kernel_arg_max;
extern const tf_kernel_t tf_kernel_arg_min;
extern const tf_kernel_t tf_kernel_arithmetic;
extern const tf_kernel_t tf_kernel_auto_scale;
extern const tf_kernel_t tf_kernel_average_pool;
extern const tf_kernel_t tf_kernel_batch_matmul;
extern const tf_kernel_t tf_kernel_cast;
extern const tf_kernel_t tf_kernel_conv;
extern const tf_kernel_t tf_kernel_copy;
extern const tf_kernel_t tf_kernel_delay;
extern const tf_kernel_t tf_kernel_depthwise_conv;
extern const tf_kernel_t tf_kernel_div;
extern const tf_kernel_t tf_kernel_energy;
extern const tf_kernel_t tf_kernel_filter_bank;
extern const tf_kernel_t tf_kernel_framer;
extern const tf_kernel_t tf_kernel_fully_connected;
extern const tf_kernel_t tf_kernel_gather;
extern const tf_kernel_t tf_kernel_irfft;
extern const tf_kernel_t tf_kernel_l2_normalization;
extern const tf_kernel_t tf_kernel_log;
extern const tf_kernel_t tf_kernel_log_softmax;
extern const tf_kernel_t tf_kernel_lstm;
extern const tf_kernel_t tf_kernel_max_pool;
extern const tf_kernel_t tf_kernel_maximum;
extern const tf_kernel_t tf_kernel_mean;
extern const tf_kernel_t tf_kernel_minimum;
extern const tf_kernel_t tf_kernel_mul;
extern const tf_kernel_t tf_kernel_overlap_add;
extern const tf_kernel_t tf_kernel_pcan;
extern const tf_kernel_t tf_kernel_prelu;
extern const tf_kernel_t tf_kernel_quantize;
extern const tf_kernel_t tf_kernel_reduce_max;
extern const tf_kernel_t tf_kernel_reduce_min;
extern const tf_kernel_t tf_kernel_resize_bilinear;
extern const tf_kernel_t tf_kernel_rfft;
extern const tf_kernel_t tf_kernel_softmax;
extern const tf_kernel_t tf_kernel_spectral_subtraction;
extern const tf_kernel_t tf_kernel_square_root;
extern const tf_kernel_t tf_kernel_squared_difference;
extern const tf_kernel_t tf_kernel_stacker;
extern const tf_kernel_t tf_kernel_sub;
extern const tf_kernel_t tf_kernel_svdf;
extern const tf_kernel_t tf_kernel_table;
extern const tf_kernel_t tf_kernel_transpose_conv;
extern const tf_kernel_t tf_kernel_window;
extern const tf_kernel_t tf_packed_conv;
extern const tf_kernel_t tf_packed_depthwise_conv;
extern const tf_kernel_t tf_packed_fully_connected;
extern const tf_kernel_t tf_mve_kernel_add;
extern const tf_kernel_t tf_mve_kernel_average_pool;
extern const tf_kernel_t tf_mve_kernel_conv;
extern const tf_kernel_t tf_mve_kernel_depthwise_conv;
extern const tf_kernel_t tf_mve_kernel_fully_connected;
extern const tf_kernel_t tf_mve_kernel_max_pool;
extern const tf_kernel_t tf_mve_kernel_mean;

#endif
