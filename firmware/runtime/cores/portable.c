/* A core without extensions: plain layouts, portable C. */
#include "../kernel.h"

const tf_core_t tf_cores[] = {{TF_RUNTIME_CORE_PORTABLE, 0}};
