/* A core without extensions: plain layouts, portable C. */
#include "../kernel.h"

const tf_kernel_t *const tf_packed_kernels[] = {0};

uint8_t tf_runtime_core(void) {
    return TF_RUNTIME_CORE_PORTABLE;
}
