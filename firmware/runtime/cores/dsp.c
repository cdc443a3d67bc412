/* Arm's DSP extension (Cortex-M4, M7, M33): packed layouts beside the plain ones, which take what no packed
 * kernel does (dilation, groups, scales of 1/2 and more). */
#include "../kernel.h"

static const tf_kernel_t *const packed[] = {
    &tf_packed_conv,
    &tf_packed_depthwise_conv,
    &tf_packed_fully_connected,
    0,
};

const tf_core_t tf_cores[] = {{TF_RUNTIME_CORE_DSP, packed}, {0}};
