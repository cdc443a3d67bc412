/* Encodes images for tests as the manager does (SPEC section 5), though not as well: what decoders must read,
 * any encoder may write. That they read what the manager's libraries write is shown by wire/vectors. */
#ifndef TINYFLEET_TESTS_PACKER_H
#define TINYFLEET_TESTS_PACKER_H

#include "image_maker.h"

/* A stream of bytes as a node unpacks it; `air` may be larger than what goes in. */
void packer_compress(made_t *air, const made_t *image);
/* A patch of many steps, some of them going back in the base. */
void packer_delta(made_t *air, const made_t *image, const made_t *base);

/* For what no encoder would write. */
typedef struct {
    uint8_t *out;
    uint32_t capacity;
    uint32_t size;
    uint32_t held;
    uint32_t bits;
} packer_t;

void packer_bits(packer_t *packer, uint32_t value, uint32_t count);
void packer_flush(packer_t *packer);
/* detools' numbers; answers their length, at most 5. */
uint32_t packer_number(uint8_t *out, int32_t value);
/* All of `bytes` as one stream, parameters first; its length. */
uint32_t packer_stream(uint8_t *out, uint32_t capacity, const uint8_t *bytes, uint32_t count);

#endif
