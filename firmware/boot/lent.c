/* P-256 of a firmware that a bootloader starts: the bootloader's. Without it nothing verifies, and TLS cannot
 * agree on a key. */
#include <stddef.h>

#include "bearssl.h"
#include "image_parts.h"
#include "tinyfleet/boot.h"
#include "tinyfleet/node_port.h"

static const tf_boot_services_t *services(void) {
    const tf_handoff_t *handoff = tf_node_port()->handoff();
    if (handoff == NULL || handoff->services == NULL) return NULL;
    return handoff->services->version >= TF_BOOT_SERVICES ? handoff->services : NULL;
}

bool tf_ecdsa_verify(const uint8_t point[65], tf_bytes_t signature, const uint8_t digest[32]) {
    return services() != NULL && services()->ecdsa_verify(point, signature, digest);
}

static const br_ec_impl *p256(void) {
    return services() == NULL ? NULL : services()->p256;
}

static const unsigned char *generator(int curve, size_t *length) {
    *length = 0;
    return p256() == NULL ? NULL : p256()->generator(curve, length);
}

static const unsigned char *order(int curve, size_t *length) {
    *length = 0;
    return p256() == NULL ? NULL : p256()->order(curve, length);
}

static size_t xoff(int curve, size_t *length) {
    *length = 0;
    return p256() == NULL ? 0 : p256()->xoff(curve, length);
}

static uint32_t mul(unsigned char *point, size_t point_bytes, const unsigned char *x, size_t x_bytes,
                    int curve) {
    return p256() == NULL ? 0 : p256()->mul(point, point_bytes, x, x_bytes, curve);
}

static size_t mulgen(unsigned char *point, const unsigned char *x, size_t x_bytes, int curve) {
    return p256() == NULL ? 0 : p256()->mulgen(point, x, x_bytes, curve);
}

static uint32_t muladd(unsigned char *a, const unsigned char *b, size_t bytes, const unsigned char *x,
                       size_t x_bytes, const unsigned char *y, size_t y_bytes, int curve) {
    return p256() == NULL ? 0 : p256()->muladd(a, b, bytes, x, x_bytes, y, y_bytes, curve);
}

/* By BearSSL's name, so that its own is not linked. */
const br_ec_impl br_ec_p256_m31 = {
    (uint32_t)1 << BR_EC_secp256r1, generator, order, xoff, mul, mulgen, muladd};
