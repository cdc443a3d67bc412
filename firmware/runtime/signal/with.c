/* A build with the signal ops and plain integer arithmetic. */
#include "../kernel.h"

const tf_kernel_t *const tf_signal_kernels[] = {
    &tf_kernel_window,
    &tf_kernel_auto_scale,
    &tf_kernel_rfft,
    &tf_kernel_irfft,
    &tf_kernel_energy,
    &tf_kernel_filter_bank,
    &tf_kernel_square_root,
    &tf_kernel_spectral_subtraction,
    &tf_kernel_pcan,
    &tf_kernel_log,
    &tf_kernel_framer,
    &tf_kernel_stacker,
    &tf_kernel_delay,
    &tf_kernel_overlap_add,
    &tf_kernel_arithmetic,
    &tf_kernel_cast,
    0,
};
