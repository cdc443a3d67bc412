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

/* `build` makes images of one size differ. */
void maker_image(made_t *made, uint32_t payload_bytes, uint8_t build, uint32_t security_counter,
                 signer_t signer);
/* The manifest and digests of bytes that are already there. */
void maker_manifest(made_t *made);
/* Trusts SIGNER_OURS alone. */
void maker_trust(tf_trust_t *trust);

#endif
