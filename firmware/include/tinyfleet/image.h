/* MCUboot images in a slot (SPEC section 7): bounds, digest, signature, and what they are for.
 *
 * Reads only inside [slot, slot + slot_bytes). Needs about 3 KiB of stack for the signature. */
#ifndef TINYFLEET_IMAGE_H
#define TINYFLEET_IMAGE_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/wire.h"

typedef struct {
    uint8_t major;
    uint8_t minor;
    uint16_t revision;
    uint32_t build;
} tf_image_version_t;

#define TF_IMAGE_VERSION_MAX 25u /* "255.255.65535+4294967295" and NUL */

/* How a firmware starts: a port says which. ANY: not looked at. */
typedef enum {
    TF_IMAGE_START_ANY = 0,
    TF_IMAGE_START_RAM_LOAD = 1, /* copied whole to `address`, and linked behind its header there */
    TF_IMAGE_START_XIP = 2,      /* linked for its slot, which stands at `address` */
} tf_image_start_t;

/* What a slot may hold. Texts and pointers must live during the call. */
typedef struct {
    tf_artifact_kind_t kind;
    tf_text_t device_type;
    uint32_t security_counter;   /* the stored one: a lower one is refused */
    uint8_t cores;               /* models: bit n set when this build runs CoreVariant n */
    uint16_t abi;                /* models */
    const tf_trust_t *trust;     /* NULL: trusts nobody */
    bool accept_unsigned;        /* bench boards only: their owner holds the SWD port */
    tf_image_version_t firmware; /* models: what runs, for their dependency */
    tf_image_start_t start;      /* firmware */
    uint32_t address;            /* firmware */
    uint32_t room_bytes;         /* firmware: for header and payload at that address */
} tf_image_policy_t;

typedef struct {
    uint8_t image[32]; /* digest, SHA-256 TLV */
    const uint8_t *payload;
    uint32_t payload_bytes;
    uint32_t size_bytes;   /* header to the end of the last TLV */
    uint32_t hashed_bytes; /* what `image` is the digest of */
    tf_image_version_t version;
    uint32_t security_counter;
    tf_artifact_kind_t kind;
    tf_core_variant_t core;
    uint16_t abi;
    tf_text_t device_type;
    uint32_t header_bytes;
    tf_image_version_t needs; /* models: firmware at least */
    tf_bytes_t ops;           /* firmware: bitmap of op codes its runtime has */
    uint8_t cores;            /* firmware: bit n set when it runs CoreVariant n */
    bool is_signed;
    const char
        *reason; /* a literal of at most 96 bytes: why it was refused, for people; "" when it was not */
} tf_image_t;

/* TF_RESULT_SUCCESS, or INTEGRITY, SIGNATURE, UNSUPPORTED_TYPE, DOWNGRADE in the order of SPEC section 7. */
tf_result_t tf_image_verify(const uint8_t *slot, uint32_t slot_bytes, const tf_image_policy_t *policy,
                            tf_image_t *out);

/* Header and TLVs only, nothing about them proven: to name what a slot seems to hold. */
tf_result_t tf_image_read(const uint8_t *slot, uint32_t slot_bytes, tf_image_t *out);

/* SHA-256 of any bytes, as the update engine needs it for manifest and sectors. */
void tf_sha256(const uint8_t *data, uint32_t length, uint8_t digest[32]);
/* In a time that does not depend on where they differ. */
bool tf_equal(const uint8_t *left, const uint8_t *right, uint32_t length);

/* Compares all four numbers, as MCUboot's downgrade check does not: builds count. */
bool tf_image_version_below(const tf_image_version_t *left, const tf_image_version_t *right);

/* "1.2.3+7" as imgtool writes it ("+0" is left out); answers the length. `out` has TF_IMAGE_VERSION_MAX
 * bytes. */
uint32_t tf_image_version_text(const tf_image_version_t *version, char *out);

#endif
