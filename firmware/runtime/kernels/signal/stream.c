/* FRAMER, STACKER, DELAY and OVERLAP_ADD: what remembers samples from one run to the next. References:
 * signal/micro/kernels/framer.cc, stacker.cc, delay.cc, signal/src/overlap_add.cc.
 *
 * The references turn a circular buffer; here what is remembered stands in order in a state tensor and moves
 * up after each frame, which is the same sequence. An answer that is not valid yet is 0, where the references
 * leave what was in the arena. */
#include <string.h>

#include "signal.h"

static bool holds_samples(const tf_call_t *call, uint32_t i, uint64_t elements) {
    return elements <= TF_TENSOR_BYTES_MAX && tf_holds(call, i, TF_INT16, (uint32_t)elements);
}

/* Moves `samples` up by `step` and puts `fresh` behind them. */
static void shift_in(int16_t *samples, uint32_t count, const int16_t *fresh, uint32_t step) {
    if (step >= count) {
        memcpy(samples, fresh + (step - count), count * sizeof(*samples));
        return;
    }
    memmove(samples, samples + step, (count - step) * sizeof(*samples));
    memcpy(samples + (count - step), fresh, step * sizeof(*samples));
}

/* The first `count` of the samples remembered and the new ones behind them. */
static void first_of(const int16_t *kept, uint32_t kept_count, const int16_t *fresh, int16_t *output,
                     uint32_t count) {
    const uint32_t old = count < kept_count ? count : kept_count;
    memcpy(output, kept, old * sizeof(*output));
    memcpy(output + old, fresh, (count - old) * sizeof(*output));
}

/* State: what is kept of each row's samples, and the steps seen, up to `warm_up`. */
static bool check_framer(const tf_call_t *call) {
    const tf_framer_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const uint32_t row = tf_row(x);
    const uint32_t rows = tf_rows(x);
    if (p->size == 0 || p->step == 0 || row % p->step != 0 || p->warm_up == 0) return false;
    const uint64_t frames = (uint64_t)rows * (row / p->step);
    const uint64_t kept = (uint64_t)rows * p->kept;
    return p->size <= (uint64_t)p->kept + p->step && holds_samples(call, 0, (uint64_t)rows * row) &&
           holds_samples(call, 1, frames * p->size) && tf_holds(call, 2, TF_INT8, 1) &&
           holds_samples(call, 3, kept == 0 ? 1 : kept) && tf_holds(call, 4, TF_INT32, 1);
}

static void run_framer(const tf_call_t *call, uint8_t *arena) {
    const tf_framer_params_t *const p = call->params;
    const uint32_t frames = tf_row(tf_operand(call, 0)) / p->step;
    const uint32_t rows = tf_rows(tf_operand(call, 0));
    const int16_t *input = tf_read(call, 0, arena);
    int16_t *output = tf_write(call, 1, arena);
    int8_t *const valid = tf_write(call, 2, arena);
    int16_t *kept = tf_write(call, 3, arena);
    uint32_t *const seen = tf_write(call, 4, arena);
    const uint32_t before = *seen < p->warm_up ? *seen : p->warm_up;
    for (uint32_t row = 0; row < rows; row++, kept += p->kept) {
        for (uint32_t frame = 1; frame <= frames; frame++, input += p->step, output += p->size) {
            if (before + frame >= p->warm_up) {
                first_of(kept, p->kept, input, output, p->size);
            } else {
                memset(output, 0, p->size * sizeof(*output));
            }
            shift_in(kept, p->kept, input, p->step);
        }
    }
    *valid = before + 1 >= p->warm_up;
    *seen = before + frames < p->warm_up ? before + frames : p->warm_up;
}

const tf_kernel_t tf_kernel_framer = {
    .code = TF_OP_FRAMER,
    .inputs = 1,
    .outputs = 4,
    .param_bytes = sizeof(tf_framer_params_t),
    .own_dtypes = true,
    .check = check_framer,
    .run = run_framer,
};

/* State: the rows stacked so far, and 1 + how many; 0 before the first. */
static bool check_stacker(const tf_call_t *call) {
    const tf_stacker_params_t *const p = call->params;
    const uint32_t row = tf_elements(tf_operand(call, 0));
    const uint64_t stack = (uint64_t)row * p->rows;
    return p->rows != 0 && p->left < p->rows && p->step >= 1 && p->step <= p->rows &&
           holds_samples(call, 0, row) && holds_samples(call, 1, stack) && tf_holds(call, 2, TF_INT8, 1) &&
           holds_samples(call, 3, stack) && tf_holds(call, 4, TF_INT32, 1);
}

static void run_stacker(const tf_call_t *call, uint8_t *arena) {
    const tf_stacker_params_t *const p = call->params;
    const uint32_t row = tf_elements(tf_operand(call, 0));
    const int16_t *const input = tf_read(call, 0, arena);
    int16_t *const output = tf_write(call, 1, arena);
    int8_t *const valid = tf_write(call, 2, arena);
    int16_t *const stack = tf_write(call, 3, arena);
    uint32_t *const level = tf_write(call, 4, arena);
    uint32_t copies = *level == 0 ? 1 + p->left : 1;
    uint32_t rows = *level == 0 || *level > p->rows ? 0 : *level - 1;
    for (; copies > 0 && rows < p->rows; copies--, rows++) {
        memcpy(stack + rows * row, input, row * sizeof(*stack));
    }
    *valid = rows == p->rows;
    if (*valid) {
        memcpy(output, stack, rows * row * sizeof(*stack));
        rows -= p->step;
        memmove(stack, stack + p->step * row, rows * row * sizeof(*stack));
    } else {
        memset(output, 0, tf_tensor_bytes(tf_operand(call, 1)));
    }
    *level = rows + 1;
}

const tf_kernel_t tf_kernel_stacker = {
    .code = TF_OP_STACKER,
    .inputs = 1,
    .outputs = 4,
    .param_bytes = sizeof(tf_stacker_params_t),
    .own_dtypes = true,
    .check = check_stacker,
    .run = run_stacker,
};

/* State: the last `length` samples of each row. */
static bool check_delay(const tf_call_t *call) {
    const tf_delay_params_t *const p = call->params;
    const uint32_t elements = tf_elements(tf_operand(call, 0));
    const uint64_t rows = tf_rows(tf_operand(call, 0));
    return p->length != 0 && holds_samples(call, 0, elements) && holds_samples(call, 1, elements) &&
           holds_samples(call, 2, rows * p->length);
}

static void run_delay(const tf_call_t *call, uint8_t *arena) {
    const tf_delay_params_t *const p = call->params;
    const uint32_t row = tf_row(tf_operand(call, 0));
    const int16_t *input = tf_read(call, 0, arena);
    int16_t *output = tf_write(call, 1, arena);
    int16_t *kept = tf_write(call, 2, arena);
    for (uint32_t rows = tf_rows(tf_operand(call, 0)); rows > 0; rows--) {
        first_of(kept, p->length, input, output, row);
        shift_in(kept, p->length, input, row);
        input += row;
        output += row;
        kept += p->length;
    }
}

const tf_kernel_t tf_kernel_delay = {
    .code = TF_OP_DELAY,
    .inputs = 1,
    .outputs = 2,
    .param_bytes = sizeof(tf_delay_params_t),
    .own_dtypes = true,
    .check = check_delay,
    .run = run_delay,
};

/* State: the sum of what frames so far have laid over the next one, for each row. */
static bool check_overlap_add(const tf_call_t *call) {
    const tf_overlap_add_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const uint32_t size = tf_row(x);
    const uint32_t all = tf_rows(x);
    return p->step != 0 && p->step <= size && p->frames != 0 && all % p->frames == 0 &&
           holds_samples(call, 0, (uint64_t)all * size) && holds_samples(call, 1, (uint64_t)all * p->step) &&
           holds_samples(call, 2, (uint64_t)(all / p->frames) * size);
}

static void run_overlap_add(const tf_call_t *call, uint8_t *arena) {
    const tf_overlap_add_params_t *const p = call->params;
    const uint32_t size = tf_row(tf_operand(call, 0));
    const uint32_t rest = size - p->step;
    const int16_t *input = tf_read(call, 0, arena);
    int16_t *output = tf_write(call, 1, arena);
    int16_t *sum = tf_write(call, 2, arena);
    for (uint32_t rows = tf_rows(tf_operand(call, 0)) / p->frames; rows > 0; rows--, sum += size) {
        for (uint32_t frame = 0; frame < p->frames; frame++, output += p->step) {
            for (uint32_t i = 0; i < size; i++) sum[i] = tf_clamp16((int32_t)sum[i] + *input++);
            memcpy(output, sum, p->step * sizeof(*sum));
            memmove(sum, sum + p->step, rest * sizeof(*sum));
            memset(sum + rest, 0, p->step * sizeof(*sum));
        }
    }
}

const tf_kernel_t tf_kernel_overlap_add = {
    .code = TF_OP_OVERLAP_ADD,
    .inputs = 1,
    .outputs = 2,
    .param_bytes = sizeof(tf_overlap_add_params_t),
    .own_dtypes = true,
    .check = check_overlap_add,
    .run = run_overlap_add,
};
