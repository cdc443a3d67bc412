/* ENERGY: squared magnitudes of a spectrum. Reference: signal/src/energy.cc, which leaves the values outside
 * start..end as they were; here they are 0, so that an answer never depends on what was in the arena. */
#include <string.h>

#include "signal.h"

static bool check(const tf_call_t *call) {
    const tf_energy_params_t *const p = call->params;
    const uint32_t values = tf_elements(tf_operand(call, 0));
    const uint32_t energies = tf_elements(tf_operand(call, 1));
    return tf_holds(call, 0, TF_INT16, values) && tf_holds(call, 1, TF_UINT32, energies) &&
           p->start <= p->end && p->end <= values / 2 && p->end <= energies;
}

static void run(const tf_call_t *call, uint8_t *arena) {
    const tf_energy_params_t *const p = call->params;
    const int16_t *const spectrum = tf_read(call, 0, arena);
    uint32_t *const output = tf_write(call, 1, arena);
    memset(output, 0, tf_tensor_bytes(tf_operand(call, 1)));
    for (uint32_t i = p->start; i < p->end; i++) {
        const int32_t real = spectrum[2 * i];
        const int32_t imaginary = spectrum[2 * i + 1];
        output[i] = (uint32_t)(real * real) + (uint32_t)(imaginary * imaginary);
    }
}

const tf_kernel_t tf_kernel_energy = {
    .code = TF_OP_ENERGY,
    .inputs = 1,
    .outputs = 1,
    .param_bytes = sizeof(tf_energy_params_t),
    .own_dtypes = true,
    .check = check,
    .run = run,
};
