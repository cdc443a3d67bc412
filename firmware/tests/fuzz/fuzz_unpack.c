/* Transported bytes of any kind, over a base of any kind. First six bytes: mode (bit 0: a delta; bit 1: what
 * follows is the stream before its compression, so that the search gets at the numbers of a patch), bytes of
 * a piece, length of the base and size of the image (little-endian). The base follows, then the input.
 *
 * However it is pulled the same image comes out, no longer than asked for. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tinyfleet/unpack.h"

enum { HEAD_BYTES = 6, DELTA = 1, PLAIN = 2, PARAMETERS = 0x44 };

static unsigned long opened, whole, broken;
static uint8_t out[2][UINT16_MAX + 1];

/* Each byte as a literal: a one and its bits. */
static uint32_t as_literals(const uint8_t *bytes, uint32_t count, uint8_t *to) {
    uint32_t size = 1, held = 0, bits = 0;
    to[0] = PARAMETERS;
    for (uint32_t i = 0; i < count; i++) {
        held = held << 9 | 0x100u | bytes[i];
        for (bits += 9; bits >= 8; bits -= 8) to[size++] = (uint8_t)(held >> (bits - 8u));
    }
    if (bits > 0) to[size++] = (uint8_t)(held << (8u - bits));
    return size;
}

/* detools' header byte and size, six bits and then seven a byte. */
static uint32_t put_patch_head(uint8_t *to, uint32_t image_bytes) {
    to[0] = 0x04;
    to[1] = (uint8_t)(0x80u | (image_bytes & 0x3Fu));
    to[2] = (uint8_t)(0x80u | (image_bytes >> 6 & 0x7Fu));
    to[3] = (uint8_t)(image_bytes >> 13);
    return 4;
}

static uint32_t pull(const tf_packed_t *packed, uint32_t piece, uint8_t *to) {
    tf_unpack_t *const unpack = malloc(sizeof *unpack);
    if (unpack == NULL) abort();
    uint32_t made = 0;
    if (tf_unpack_open(unpack, packed) == TF_RESULT_SUCCESS) {
        opened++;
        for (;;) {
            const uint32_t got = tf_unpack_read(unpack, to + made, piece);
            if (got > piece || got > packed->image_bytes - made) abort();
            made += got;
            if (got < piece) break;
        }
        if (tf_unpack_read(unpack, to + made, 1) != 0) abort();
    }
    free(unpack);
    return made;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < HEAD_BYTES) return 0;
    const uint32_t piece = data[1] + 1u, image_bytes = data[4] | (uint32_t)data[5] << 8;
    uint32_t base_bytes = data[2] | (uint32_t)data[3] << 8, left = (uint32_t)size - HEAD_BYTES;
    if (base_bytes > left) base_bytes = left;
    left -= base_bytes;
    uint8_t *const base = malloc(base_bytes ? base_bytes : 1), *const input = malloc(left * 2u + 8u);
    if (base == NULL || input == NULL || image_bytes == 0) {
        free(base);
        free(input);
        return 0;
    }
    memcpy(base, data + HEAD_BYTES, base_bytes);
    const uint8_t *const content = data + HEAD_BYTES + base_bytes;
    const bool delta = (data[0] & DELTA) != 0;
    uint32_t length = 0;
    if ((data[0] & PLAIN) != 0) {
        if (delta) length = put_patch_head(input, image_bytes);
        length += as_literals(content, left, input + length);
    } else {
        memcpy(input, content, left);
        length = left;
    }
    uint8_t *const exact = malloc(length ? length : 1);
    if (exact == NULL) abort();
    memcpy(exact, input, length);
    const tf_packed_t packed = {.encoding = delta ? TF_ENCODING_DELTA : TF_ENCODING_COMPRESSED,
                                .data = exact,
                                .length = length,
                                .base = base,
                                .base_bytes = base_bytes,
                                .image_bytes = image_bytes};
    const uint32_t made = pull(&packed, UINT16_MAX, out[0]);
    if (pull(&packed, piece, out[1]) != made || memcmp(out[0], out[1], made) != 0) abort();
    if (made == image_bytes)
        whole++;
    else
        broken++;
    free(exact);
    free(input);
    free(base);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: encodings opened %lu, images whole %lu, broken %lu\n", opened, whole, broken);
}
