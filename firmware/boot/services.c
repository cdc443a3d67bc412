/* What the bootloader lends. */
#include "bearssl.h"
#include "image_parts.h"
#include "tinyfleet/boot.h"

const tf_boot_services_t *tf_boot_services(void) {
    static const tf_boot_services_t services = {TF_BOOT_SERVICES, &br_ec_p256_m31, tf_ecdsa_verify};
    return &services;
}
