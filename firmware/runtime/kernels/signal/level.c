/* What follows the filter bank: SPECTRAL_SUBTRACTION, PCAN, LOG. References: signal/src/
 * filter_bank_spectral_subtraction.cc, pcan_argc_fixed.cc, log.cc, filter_bank_log.cc. */
#include "../../quant.h"
#include "signal.h"

static bool check_subtraction(const tf_call_t *call) {
    const tf_subtraction_params_t *const p = call->params;
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    return tf_holds(call, 0, TF_UINT32, channels) && tf_holds(call, 1, TF_UINT32, channels) &&
           tf_holds(call, 2, TF_UINT32, channels) && p->smoothing_bits <= 31 && p->bits <= 63 &&
           p->clamping <= 1 && p->reserved == 0;
}

static bool in_place(const tf_call_t *call, uint32_t input) {
    (void)call;
    return input == 0;
}

/* The noise estimate, output 1, is state: it is read before it is written. */
static void run_subtraction(const tf_call_t *call, uint8_t *arena) {
    const tf_subtraction_params_t *const p = call->params;
    const uint32_t *const input = tf_read(call, 0, arena);
    uint32_t *const output = tf_write(call, 1, arena);
    uint32_t *const noise = tf_write(call, 2, arena);
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    for (uint32_t i = 0; i < channels; i++) {
        const uint32_t signal = input[i];
        const uint32_t scaled = signal << p->smoothing_bits;
        const uint64_t smoothed =
            (uint64_t)scaled * p->smoothing[i & 1] + (uint64_t)noise[i] * p->one_minus_smoothing[i & 1];
        uint32_t estimate = (uint32_t)(smoothed >> p->bits);
        noise[i] = estimate;
        if (estimate > scaled) {
            estimate = scaled;
            if (p->clamping) noise[i] = estimate;
        }
        const uint32_t floor = (uint32_t)(((uint64_t)signal * p->min_signal_remaining) >> p->bits);
        const uint32_t subtracted = (scaled - estimate) >> p->smoothing_bits;
        output[i] = subtracted > floor ? subtracted : floor;
    }
}

const tf_kernel_t tf_kernel_spectral_subtraction = {
    .code = TF_OP_SPECTRAL_SUBTRACTION,
    .inputs = 1,
    .outputs = 2,
    .param_bytes = sizeof(tf_subtraction_params_t),
    .own_dtypes = true,
    .check = check_subtraction,
    .in_place = in_place,
    .run = run_subtraction,
};

static bool check_pcan(const tf_call_t *call) {
    const tf_pcan_params_t *const p = call->params;
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    return tf_holds(call, 0, TF_UINT32, channels) && tf_holds(call, 1, TF_UINT32, channels) &&
           tf_holds(call, 2, TF_UINT32, channels) && p->snr_shift <= 63 &&
           tf_has_constants(call->model, p->gains, TF_PCAN_GAINS * sizeof(int16_t), 4);
}

enum { SNR_BITS = 12, OUTPUT_BITS = 6 };

/* The gain for a noise level: a parabola for each power of two. */
static uint32_t gain_of(uint32_t noise, const int16_t *gains) {
    if (noise <= 2) return (uint32_t)gains[noise];
    const uint32_t top = tf_top_bit(noise);
    const int16_t *const curve = gains + 4 * top - 6;
    const int32_t fraction = (int32_t)((top < 11 ? noise << (11 - top) : noise >> (top - 11)) & 0x3FF);
    const int32_t slope =
        tf_wrap_add((curve[2] * fraction) >> 5, (int32_t)((uint32_t)(int32_t)curve[1] << 5));
    const int32_t rise = tf_wrap_add(tf_wrap_mul(slope, fraction), 1 << 14) >> 15;
    return (uint32_t)(int16_t)tf_wrap_add(rise, curve[0]);
}

/* x^2 / 4 below 2, x - 1 from there. */
static uint32_t shrink(uint32_t snr) {
    if (snr < 2u << SNR_BITS) return (snr * snr) >> (2 + 2 * SNR_BITS - OUTPUT_BITS);
    return (snr >> (SNR_BITS - OUTPUT_BITS)) - (1u << OUTPUT_BITS);
}

static void run_pcan(const tf_call_t *call, uint8_t *arena) {
    const tf_pcan_params_t *const p = call->params;
    const int16_t *const gains = tf_constant(call->model, p->gains);
    const uint32_t *const input = tf_read(call, 0, arena);
    const uint32_t *const noise = tf_read(call, 1, arena);
    uint32_t *const output = tf_write(call, 2, arena);
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    for (uint32_t i = 0; i < channels; i++) {
        output[i] = shrink((uint32_t)(((uint64_t)input[i] * gain_of(noise[i], gains)) >> p->snr_shift));
    }
}

const tf_kernel_t tf_kernel_pcan = {
    .code = TF_OP_PCAN,
    .inputs = 2,
    .outputs = 1,
    .param_bytes = sizeof(tf_pcan_params_t),
    .own_dtypes = true,
    .check = check_pcan,
    .in_place = in_place,
    .run = run_pcan,
};

static bool check_log(const tf_call_t *call) {
    const tf_log_params_t *const p = call->params;
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    return tf_holds(call, 0, TF_UINT32, channels) && tf_holds(call, 1, TF_INT16, channels) &&
           p->correction_bits <= 31 &&
           tf_has_constants(call->model, p->bends, TF_LOG_BENDS * sizeof(uint16_t), 4);
}

enum { SCALE_BITS = 16, SEGMENT_BITS = 7, LN_2 = 45426 };

/* ln(x) x scale, rounded; x >= 2. `bends`: how far log2(1 + i / 128) is above its chord, in 1/65536. */
static uint32_t scaled_log(uint32_t x, uint32_t scale, const uint16_t *bends) {
    const uint32_t whole = tf_top_bit(x) - 1;
    const uint32_t above = x - (1u << whole);
    const uint32_t fraction =
        whole < SCALE_BITS ? above << (SCALE_BITS - whole) : above >> (whole - SCALE_BITS);
    const uint32_t segment = fraction >> (SCALE_BITS - SEGMENT_BITS);
    const int32_t into = (int32_t)(fraction - (segment << (SCALE_BITS - SEGMENT_BITS)));
    const int32_t bend = bends[segment] + (((bends[segment + 1] - bends[segment]) * into) >> SCALE_BITS);
    const uint32_t log2 = (whole << SCALE_BITS) + fraction + (uint32_t)bend;
    const uint32_t half = 1u << (SCALE_BITS - 1);
    const uint32_t natural = (uint32_t)(((uint64_t)LN_2 * log2 + half) >> SCALE_BITS);
    return (scale * natural + half) >> SCALE_BITS;
}

static void run_log(const tf_call_t *call, uint8_t *arena) {
    const tf_log_params_t *const p = call->params;
    const uint16_t *const bends = tf_constant(call->model, p->bends);
    const uint32_t *const input = tf_read(call, 0, arena);
    int16_t *const output = tf_write(call, 1, arena);
    const uint32_t channels = tf_elements(tf_operand(call, 0));
    for (uint32_t i = 0; i < channels; i++) {
        const uint32_t x = input[i] << p->correction_bits;
        const uint32_t value = x > 1 ? scaled_log(x, p->scale, bends) : 0;
        output[i] = (int16_t)(value < INT16_MAX ? value : INT16_MAX);
    }
}

const tf_kernel_t tf_kernel_log = {
    .code = TF_OP_LOG,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_log_params_t),
    .own_dtypes = true,
    .check = check_log,
    .run = run_log,
};
