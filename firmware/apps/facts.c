/* What this firmware is and has, at a fixed place of its binary, for whoever signs it: the image then says so
 * to a node before it is started (SPEC section 7, ABI, OPS and CORES). */
#include <stddef.h>

#include "kernel.h"
#include "tinyfleet/image.h"
#include "tinyfleet/runtime.h"

enum { FACTS_FORMAT = 1 };
#define FACTS_MAGIC 0x57464654u /* "TFFW" */

extern const uint8_t link_vectors[], link_kernels[], link_kernels_end[];

typedef struct {
    uint32_t magic;
    uint16_t format;
    uint16_t abi;
    const uint8_t *origin; /* of the binary's first byte */
    /* The runtime's kernels, one behind the other; each has its op code at `code_at`. */
    const uint8_t *kernels, *kernels_end;
    uint16_t kernel_bytes;
    uint16_t code_at;
    uint8_t major, minor;
    uint16_t patch;
    char device_type[TF_MCUBOOT_DEVICE_TYPE_MAX];
    uint8_t cores;
} facts_t;

__attribute__((section(".facts"), used)) static const facts_t facts = {
    .magic = FACTS_MAGIC,
    .format = FACTS_FORMAT,
    .abi = TF_RUNTIME_ABI,
    .origin = link_vectors,
    .kernels = link_kernels,
    .kernels_end = link_kernels_end,
    .kernel_bytes = sizeof(tf_kernel_t),
    .code_at = offsetof(tf_kernel_t, code),
    .major = TINYFLEET_VERSION_MAJOR,
    .minor = TINYFLEET_VERSION_MINOR,
    .patch = TINYFLEET_VERSION_PATCH,
    .device_type = TINYFLEET_DEVICE_TYPE,
    .cores = TINYFLEET_CORES,
};
