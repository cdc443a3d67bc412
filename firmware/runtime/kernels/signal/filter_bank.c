/* FILTER_BANK and SQUARE_ROOT. References: signal/src/filter_bank.cc, square_root_32.cc, square_root_64.cc.
 */
#include "signal.h"

static bool check_filter_bank(const tf_call_t *call) {
    const tf_filter_bank_params_t *const p = call->params;
    const uint32_t energies = tf_elements(tf_operand(call, 0));
    const uint32_t channels = tf_elements(tf_operand(call, 1));
    if (!tf_holds(call, 0, TF_UINT32, energies) || !tf_holds(call, 1, TF_UINT64, channels)) return false;
    const uint64_t bands_bytes = ((uint64_t)channels + 1) * sizeof(tf_band_t);
    if (!tf_has_constants(call->model, p->bands, bands_bytes, 4)) return false;
    const tf_band_t *const bands = tf_constant(call->model, p->bands);
    uint64_t shares = 0;
    for (uint32_t i = 0; i <= channels; i++) {
        if ((uint32_t)bands[i].first + bands[i].count > energies) return false;
        shares += bands[i].count;
    }
    return tf_has_constants(call->model, p->shares, shares * sizeof(tf_share_t), 4);
}

/* An energy counts for the rising side of one channel and for the falling side of the one before; band 0 has
 * only what falls, towards the first channel. */
static void run_filter_bank(const tf_call_t *call, uint8_t *arena) {
    const tf_filter_bank_params_t *const p = call->params;
    const tf_band_t *const bands = tf_constant(call->model, p->bands);
    const tf_share_t *share = tf_constant(call->model, p->shares);
    const uint32_t *const energies = tf_read(call, 0, arena);
    uint64_t *const output = tf_write(call, 1, arena);
    const uint32_t channels = tf_elements(tf_operand(call, 1));
    uint64_t falling = 0;
    for (uint32_t band = 0; band <= channels; band++) {
        uint64_t sum = falling;
        falling = 0;
        const uint32_t *energy = energies + bands[band].first;
        for (uint32_t i = 0; i < bands[band].count; i++, energy++, share++) {
            sum += (uint64_t)share->rising * *energy;
            falling += (uint64_t)share->falling * *energy;
        }
        if (band > 0) output[band - 1] = sum;
    }
}

const tf_kernel_t tf_kernel_filter_bank = {
    .code = TF_OP_FILTER_BANK,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_filter_bank_params_t),
    .own_dtypes = true,
    .check = check_filter_bank,
    .run = run_filter_bank,
};

static bool check_square_root(const tf_call_t *call) {
    const uint32_t values = tf_elements(tf_operand(call, 0));
    return tf_holds(call, 0, TF_UINT64, values) && tf_holds(call, 1, TF_INT32, 1) &&
           tf_holds(call, 2, TF_UINT32, values);
}

/* To the nearest; the reference's two widths differ in the largest value that they round up to. */
static uint32_t square_root32(uint32_t x) {
    if (x == 0) return 0;
    uint32_t root = 0;
    for (uint32_t bit = 1u << ((tf_top_bit(x) - 1) & ~1u); bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return x > root && root != UINT16_MAX ? root + 1 : root;
}

static uint32_t square_root(uint64_t x) {
    if (x >> 32 == 0) return square_root32((uint32_t)x);
    uint64_t root = 0;
    for (uint64_t bit = (uint64_t)1 << ((tf_top_bit((uint32_t)(x >> 32)) + 31) & ~1u); bit != 0; bit >>= 2) {
        if (x >= root + bit) {
            x -= root + bit;
            root = (root >> 1) + bit;
        } else {
            root >>= 1;
        }
    }
    return (uint32_t)(x > root && root != UINT32_MAX ? root + 1 : root);
}

static void run_square_root(const tf_call_t *call, uint8_t *arena) {
    const uint64_t *const input = tf_read(call, 0, arena);
    const uint32_t *const scale_bits = tf_read(call, 1, arena);
    uint32_t *const output = tf_write(call, 2, arena);
    const uint32_t shift = *scale_bits & 31;
    const uint32_t count = tf_elements(tf_operand(call, 2));
    for (uint32_t i = 0; i < count; i++) output[i] = square_root(input[i]) >> shift;
}

const tf_kernel_t tf_kernel_square_root = {
    .code = TF_OP_SQUARE_ROOT,
    .inputs = 2,
    .outputs = 1,
    .own_dtypes = true,
    .check = check_square_root,
    .run = run_square_root,
};
