/* WINDOW and AUTO_SCALE: what happens to a frame of samples before its FFT. References:
 * signal/src/window.cc, fft_auto_scale.cc, max_abs.cc. */
#include "signal.h"

static bool check_window(const tf_call_t *call) {
    const tf_window_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const uint32_t elements = tf_elements(x);
    return p->size != 0 && elements % p->size == 0 && p->shift <= 31 &&
           tf_holds(call, 0, TF_INT16, elements) && tf_holds(call, 1, TF_INT16, p->size) &&
           tf_holds(call, 2, TF_INT16, elements);
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

static void run_window(const tf_call_t *call, uint8_t *arena) {
    const tf_window_params_t *const p = call->params;
    const int16_t *input = tf_read(call, 0, arena);
    const int16_t *const weights = tf_read(call, 1, arena);
    int16_t *output = tf_write(call, 2, arena);
    for (uint32_t left = tf_elements(tf_operand(call, 0)); left != 0; left -= p->size) {
        for (uint32_t i = 0; i < p->size; i++) {
            *output++ = tf_clamp16(((int32_t)*input++ * weights[i]) >> p->shift);
        }
    }
}

const tf_kernel_t tf_kernel_window = {
    .code = TF_OP_WINDOW,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_window_params_t),
    .own_dtypes = true,
    .check = check_window,
    .in_place = in_place,
    .run = run_window,
};

static bool check_auto_scale(const tf_call_t *call) {
    const uint32_t elements = tf_elements(tf_operand(call, 0));
    return tf_holds(call, 0, TF_INT16, elements) && tf_holds(call, 1, TF_INT16, elements) &&
           tf_holds(call, 2, TF_INT32, 1);
}

/* The largest size, as the reference finds it: -32768 has none in 16 bits and stays negative, so that any
 * later sample takes its place. */
static int16_t largest(const int16_t *samples, uint32_t count) {
    int16_t most = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (samples[i] > most) {
            most = samples[i];
        } else if (-samples[i] > most) {
            most = (int16_t)-samples[i];
        }
    }
    return most;
}

static void run_auto_scale(const tf_call_t *call, uint8_t *arena) {
    const uint32_t count = tf_elements(tf_operand(call, 0));
    const int16_t *const input = tf_read(call, 0, arena);
    int16_t *const output = tf_write(call, 1, arena);
    int32_t *const scale_bits = tf_write(call, 2, arena);
    const uint32_t bits = tf_top_bit((uint32_t)largest(input, count));
    const uint32_t shift = bits < 15 ? 15 - bits : 0;
    for (uint32_t i = 0; i < count; i++) output[i] = (int16_t)((uint32_t)input[i] << shift);
    *scale_bits = (int32_t)shift;
}

const tf_kernel_t tf_kernel_auto_scale = {
    .code = TF_OP_AUTO_SCALE,
    .inputs = 1,
    .outputs = 2,
    .own_dtypes = true,
    .check = check_auto_scale,
    .in_place = in_place,
    .run = run_auto_scale,
};
