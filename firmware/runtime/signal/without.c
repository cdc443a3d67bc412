/* A build without the signal ops: its birth does not name them, and plans that have them are refused. */
#include "../kernel.h"

const tf_kernel_t *const tf_signal_kernels[] = {0};
