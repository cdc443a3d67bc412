/* COPY: moves bytes from strides to strides, of tensors of any type. Slices, splits, pads, packs, transposes
 * and concatenations are all one or several of these. */
#include <string.h>

#include "../../kernel.h"
#include "../../strides.h"

static bool check(const tf_call_t *call) {
    const tf_copy_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    const uint32_t bytes = tf_walk_elements(p->size);
    return x->dtype == y->dtype && bytes != 0 && bytes <= tf_tensor_bytes(y) && p->flags <= TF_FLAG_FILL &&
           p->fill >= INT8_MIN && p->fill <= INT8_MAX &&
           tf_walk_stays_inside(p->size, p->input_stride, p->input_first, tf_tensor_bytes(x)) &&
           tf_walk_stays_inside(p->size, p->output_stride, p->output_first, tf_tensor_bytes(y));
}

/* One piece is moved at once, wherever it lies. */
static bool in_place(const tf_call_t *call, uint32_t input) {
    const tf_copy_params_t *const p = call->params;
    (void)input;
    for (uint32_t i = 0; i < TF_LAST_AXIS; i++) {
        if (p->size[i] != 1) return false;
    }
    return p->flags == 0 && p->input_stride[TF_LAST_AXIS] == 1 && p->output_stride[TF_LAST_AXIS] == 1;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_copy_params_t *const p = call->params;
    const int8_t *const input = tf_read(call, 0, arena);
    int8_t *const output = tf_write(call, 1, arena);
    const uint32_t count = p->size[TF_LAST_AXIS];
    const uint32_t from_step = p->input_stride[TF_LAST_AXIS];
    const uint32_t to_step = p->output_stride[TF_LAST_AXIS];
    if (p->flags & TF_FLAG_FILL) memset(output, p->fill, tf_tensor_bytes(tf_operand(call, 1)));
    tf_walk_t walk = {p->size, p->input_stride, p->output_stride, p->input_first, p->output_first, {0}};
    do {
        if (from_step == 1 && to_step == 1) {
            memmove(output + walk.y, input + walk.x, count);
            continue;
        }
        uint32_t from = walk.x;
        uint32_t to = walk.y;
        for (uint32_t i = 0; i < count; i++, from += from_step, to += to_step) output[to] = input[from];
    } while (tf_walk_on(&walk));
}

const tf_kernel_t tf_kernel_copy = {
    .code = TF_OP_COPY,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_copy_params_t),
    .own_dtypes = true,
    .check = check,
    .in_place = in_place,
    .overlaps = true,
    .run = run,
};
