/* Signed model images and their manifests for tests: what imgtool and the manager make, made here so that
 * tests can ask for any size, counter or signer. That our verifier takes what imgtool makes is shown by
 * wire/vectors. */
#ifndef TINYFLEET_TESTS_IMAGE_MAKER_H
#define TINYFLEET_TESTS_IMAGE_MAKER_H

#include "tinyfleet/image.h"

#define MAKER_DEVICE_TYPE "test-board"
#define MAKER_IMAGE_MAX (160u * 1024u)

typedef enum { SIGNER_OURS = 1, SIGNER_FOREIGN = 2, SIGNER_NOBODY = 0 } signer_t;

typedef struct {
    uint32_t size;
    uint8_t bytes[MAKER_IMAGE_MAX];
    uint8_t digest[32];
    uint32_t manifest_bytes;
    uint8_t manifest[TF_MANIFEST_MAX_BYTES];
    uint8_t manifest_digest[32];
} made_t;

/* What a firmware of the tests does once it was started; the byte behind its first two vectors. */
typedef enum {
    BEHAVES = 0,
    FAILS_SELF_TEST = 1,
    HANGS = 2,   /* before it looks at any record: the watchdog ends it */
    CRASHES = 3, /* likewise, by a fault */
} behaviour_t;

enum { BEHAVIOUR_AT = TF_MCUBOOT_FIRMWARE_HEADER_BYTES + 8 };

/* Versions are 1.`build`.0; `needs_build` 0: any firmware. */
typedef struct {
    uint32_t payload_bytes;
    uint8_t build;
    uint32_t security_counter;
    signer_t signer;
    uint16_t abi;
    uint8_t needs_build;
} model_recipe_t;

typedef struct {
    uint32_t payload_bytes;
    uint8_t build;
    uint32_t security_counter;
    signer_t signer;
    uint16_t abi;
    tf_image_start_t start;
    uint32_t address;
    behaviour_t behaviour;
} firmware_recipe_t;

void maker_model(made_t *made, const model_recipe_t *recipe);
void maker_firmware(made_t *made, const firmware_recipe_t *recipe);
/* A model of ABI 1 that any firmware runs. `build` makes images of one size differ. */
void maker_image(made_t *made, uint32_t payload_bytes, uint8_t build, uint32_t security_counter,
                 signer_t signer);
/* The manifest and digests of bytes that are already there. */
void maker_manifest(made_t *made);
/* Likewise of bytes that make an image; `made->digest` stays. `base` NULL: no delta. */
void maker_manifest_of(made_t *made, tf_encoding_t encoding, uint32_t image_bytes, const uint8_t *base);
/* Trusts SIGNER_OURS alone. */
void maker_trust(tf_trust_t *trust);

#endif
