/* The host runs every core's plans, with C where a core has instructions of its own. */
#include "../kernel.h"

static const tf_kernel_t *const packed_dsp[] = {
    &tf_packed_conv,
    &tf_packed_depthwise_conv,
    &tf_packed_fully_connected,
    0,
};

static const tf_kernel_t *const packed_mve[] = {
    &tf_mve_kernel_add,
    &tf_mve_kernel_average_pool,
    &tf_mve_kernel_conv,
    &tf_mve_kernel_depthwise_conv,
    &tf_mve_kernel_fully_connected,
    &tf_mve_kernel_max_pool,
    &tf_mve_kernel_mean,
    0,
};

const tf_core_t tf_cores[] = {
    {TF_RUNTIME_CORE_DSP, packed_dsp},
    {TF_RUNTIME_CORE_MVE, packed_mve},
    {0},
};
