/* Inside of boot: what the walk over an image finds. Everything points into the slot. */
#ifndef TINYFLEET_BOOT_IMAGE_PARTS_H
#define TINYFLEET_BOOT_IMAGE_PARTS_H

#include "tinyfleet/image.h"

typedef struct {
    uint32_t load_address;
    uint32_t header_bytes;
    uint32_t payload_bytes;
    uint32_t hashed_bytes; /* header, payload, protected TLVs */
    uint32_t size_bytes;   /* all */
    uint32_t flags;
    tf_image_version_t version;
    tf_image_version_t firmware; /* needed at least; 0.0.0 when not said */
    /* Data NULL: the TLV is absent. */
    tf_bytes_t digest, key, signature;
    tf_bytes_t security_counter, device_type, kind, core, abi, ops, cores;
} tf_image_parts_t;

/* NULL, or why the areas do not add up. */
const char *tf_image_parts(const uint8_t *slot, uint32_t slot_bytes, tf_image_parts_t *parts);
void tf_image_describe(const uint8_t *slot, const tf_image_parts_t *parts, tf_image_t *out);

/* Whether `signature` (DER) over the digest is of the key whose DER was given (SubjectPublicKeyInfo, P-256).
 * One source file a multiplier: m31 where 32 x 32 -> 64 is one constant-time instruction, m15 on Cortex-M0.
 */
bool tf_ecdsa_verify(const uint8_t point[65], tf_bytes_t signature, const uint8_t digest[32]);

#endif
