/* RFFT and IRFFT, of int16 or int32. The tables and the order of the stages are the host's work. */
#include "fft.h"

static bool check(const tf_call_t *call, uint32_t real_row, uint32_t spectrum_row) {
    const tf_fft_params_t *const p = call->params;
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_tensor_t *const y = tf_operand(call, 1);
    if ((x->dtype != TF_INT16 && x->dtype != TF_INT32) || x->dtype != y->dtype) return false;
    if (tf_rows(x) != tf_rows(y)) return false;
    if (p->length < 4 || p->length > TF_FFT_LENGTH_MAX || p->length % 2 != 0) return false;
    uint32_t product = 1;
    uint32_t stages = 0;
    for (; stages < TF_FFT_STAGES && p->radix[stages] != 0; stages++) {
        if (p->radix[stages] < 2 || p->radix[stages] > 5) return false;
        product *= p->radix[stages];
        if (product > p->length / 2) return false;
    }
    for (uint32_t i = stages; i < TF_FFT_STAGES; i++) {
        if (p->radix[i] != 0) return false;
    }
    const uint32_t complex_bytes = x->dtype == TF_INT16 ? 4 : 8;
    return product == p->length / 2 && spectrum_row == p->length + 2 && real_row <= p->length &&
           tf_has_constants(call->model, p->twiddles, (uint64_t)complex_bytes * (p->length / 2), 4) &&
           tf_has_constants(call->model, p->halves, (uint64_t)complex_bytes * (p->length / 4), 4);
}

static tf_fft_t tables(const tf_call_t *call) {
    const tf_fft_params_t *const p = call->params;
    return (tf_fft_t){p, tf_constant(call->model, p->twiddles), tf_constant(call->model, p->halves)};
}

static bool check_rfft(const tf_call_t *call) {
    return check(call, tf_row(tf_operand(call, 0)), tf_row(tf_operand(call, 1)));
}

static void run_rfft(const tf_call_t *call, uint8_t *arena) {
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_fft_t fft = tables(call);
    const uint32_t given = tf_row(x);
    const uint32_t made = fft.params->length + 2;
    const void *const input = tf_read(call, 0, arena);
    void *const output = tf_write(call, 1, arena);
    const uint32_t rows = tf_rows(x);
    for (uint32_t row = 0; row < rows; row++) {
        if (x->dtype == TF_INT16) {
            tf_rfft16(&fft, (const int16_t *)input + row * given, given, (int16_t *)output + row * made);
        } else {
            tf_rfft32(&fft, (const int32_t *)input + row * given, given, (int32_t *)output + row * made);
        }
    }
}

const tf_kernel_t tf_kernel_rfft = {
    .code = TF_OP_RFFT,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fft_params_t),
    .own_dtypes = true,
    .check = check_rfft,
    .run = run_rfft,
};

static bool check_irfft(const tf_call_t *call) {
    const tf_fft_params_t *const p = call->params;
    const uint32_t row = tf_row(tf_operand(call, 1));
    return row == p->length && check(call, row, tf_row(tf_operand(call, 0)));
}

static void run_irfft(const tf_call_t *call, uint8_t *arena) {
    const tf_tensor_t *const x = tf_operand(call, 0);
    const tf_fft_t fft = tables(call);
    const uint32_t given = fft.params->length + 2;
    const uint32_t made = fft.params->length;
    const void *const input = tf_read(call, 0, arena);
    void *const output = tf_write(call, 1, arena);
    const uint32_t rows = tf_rows(x);
    for (uint32_t row = 0; row < rows; row++) {
        if (x->dtype == TF_INT16) {
            tf_irfft16(&fft, (const int16_t *)input + row * given, (int16_t *)output + row * made);
        } else {
            tf_irfft32(&fft, (const int32_t *)input + row * given, (int32_t *)output + row * made);
        }
    }
}

const tf_kernel_t tf_kernel_irfft = {
    .code = TF_OP_IRFFT,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_fft_params_t),
    .own_dtypes = true,
    .check = check_irfft,
    .run = run_irfft,
};
