/* TABLE: any function of one int8 value, as 256 answers that the host has worked out. */
#include "../../kernel.h"

enum { ENTRIES = 256 };

static bool check(const tf_call_t *call) {
    const tf_table_params_t *const p = call->params;
    return tf_has_constants(call->model, p->table, ENTRIES, 4) &&
           tf_elements(tf_operand(call, 0)) == tf_elements(tf_operand(call, 1));
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_table_params_t *const p = call->params;
    const int8_t *const zero = (const int8_t *)tf_constant(call->model, p->table) - INT8_MIN;
    const int8_t *input = tf_read(call, 0, arena);
    int8_t *output = tf_write(call, 1, arena);
    const int8_t *const end = input + tf_elements(tf_operand(call, 0));
    while (input != end) *output++ = zero[*input++];
}

const tf_kernel_t tf_kernel_table = {
    .code = TF_OP_TABLE,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_table_params_t),
    .check = check,
    .in_place = in_place,
    .run = run,
};
