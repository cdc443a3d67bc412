/* Helium, Arm's M-profile vector extension (Cortex-M55, M85): packed layouts beside the plain ones, which
 * take what no packed kernel does (groups, scales of 1/2 and more). */
#include "../kernel.h"

static const tf_kernel_t *const packed[] = {
    &tf_mve_kernel_add,
    &tf_mve_kernel_average_pool,
    &tf_mve_kernel_conv,
    &tf_mve_kernel_depthwise_conv,
    &tf_mve_kernel_fully_connected,
    &tf_mve_kernel_max_pool,
    &tf_mve_kernel_mean,
    0,
};

const tf_core_t tf_cores[] = {{TF_RUNTIME_CORE_MVE, packed}, {0}};
