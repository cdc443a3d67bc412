#include "packer.h"

#include "check.h"

enum { WINDOW_BITS = 8, LOOKAHEAD_BITS = 4, PARAMETERS = (WINDOW_BITS - 4) << 4 | (LOOKAHEAD_BITS - 3) };
enum { COPY_MAX = 1 << LOOKAHEAD_BITS, COPY_MIN = 2, STEP_BYTES = 700, PATCH_MAX = 2 * MAKER_IMAGE_MAX };

void packer_bits(packer_t *packer, uint32_t value, uint32_t count) {
    for (uint32_t i = count; i-- > 0;) {
        packer->held = packer->held << 1 | (value >> i & 1u);
        if (++packer->bits < 8) continue;
        CHECK(packer->size < packer->capacity);
        packer->out[packer->size++] = (uint8_t)packer->held;
        packer->bits = 0;
    }
}

void packer_flush(packer_t *packer) {
    while (packer->bits != 0) packer_bits(packer, 0, 1);
}

static uint32_t match(const uint8_t *bytes, uint32_t at, uint32_t count, uint32_t distance) {
    uint32_t length = 0;
    while (length < COPY_MAX && at + length < count && bytes[at + length] == bytes[at + length - distance]) {
        length++;
    }
    return length;
}

uint32_t packer_stream(uint8_t *out, uint32_t capacity, const uint8_t *bytes, uint32_t count) {
    packer_t packer = {.out = out, .capacity = capacity};
    packer_bits(&packer, PARAMETERS, 8);
    for (uint32_t at = 0; at < count;) {
        uint32_t best = 0, distance = 0;
        for (uint32_t back = 1; back <= at && back <= 1u << WINDOW_BITS; back++) {
            uint32_t length = match(bytes, at, count, back);
            if (length > best) best = length, distance = back;
        }
        if (best < COPY_MIN) {
            packer_bits(&packer, 1, 1);
            packer_bits(&packer, bytes[at++], 8);
            continue;
        }
        packer_bits(&packer, 0, 1);
        packer_bits(&packer, distance - 1u, WINDOW_BITS);
        packer_bits(&packer, best - 1u, LOOKAHEAD_BITS);
        at += best;
    }
    packer_flush(&packer);
    return packer.size;
}

uint32_t packer_number(uint8_t *out, int32_t value) {
    uint32_t rest = (uint32_t)(value < 0 ? -value : value), size = 1;
    out[0] = (uint8_t)((value < 0 ? 0x40u : 0u) | (rest & 0x3Fu));
    for (rest >>= 6; rest > 0; rest >>= 7) {
        out[size - 1u] |= 0x80u;
        out[size++] = (uint8_t)(rest & 0x7Fu);
    }
    return size;
}

void packer_compress(made_t *air, const made_t *image) {
    *air = *image;
    air->size = packer_stream(air->bytes, sizeof air->bytes, image->bytes, image->size);
    maker_manifest_of(air, TF_ENCODING_COMPRESSED, image->size, NULL);
}

static uint32_t least(uint32_t left, uint32_t right) {
    return left < right ? left : right;
}

void packer_delta(made_t *air, const made_t *image, const made_t *base) {
    static uint8_t patch[PATCH_MAX];
    tf_image_t of_base;
    CHECK_EQUAL(tf_image_read(base->bytes, base->size, &of_base), TF_RESULT_SUCCESS);
    uint32_t size = 0, base_at = 0;
    patch[size++] = 0; /* no data format */
    for (uint32_t at = 0; at < image->size;) {
        uint32_t diff = least(least(STEP_BYTES, image->size - at), of_base.hashed_bytes - base_at);
        CHECK(size + 3u * 5u + 2u * STEP_BYTES <= sizeof patch);
        size += packer_number(patch + size, (int32_t)diff);
        for (uint32_t i = 0; i < diff; i++) {
            patch[size++] = (uint8_t)(image->bytes[at++] - base->bytes[base_at++]);
        }
        uint32_t extra = least(STEP_BYTES / 2u, image->size - at);
        size += packer_number(patch + size, (int32_t)extra);
        memcpy(patch + size, image->bytes + at, extra);
        size += extra;
        at += extra;
        /* On by what was not taken from the base, and back to its start at its end. */
        int32_t by = of_base.hashed_bytes - base_at > extra ? (int32_t)extra : -(int32_t)base_at;
        size += packer_number(patch + size, by);
        base_at = (uint32_t)((int32_t)base_at + by);
    }
    *air = *image;
    air->bytes[0] = 0x04;
    uint32_t head = 1u + packer_number(air->bytes + 1, (int32_t)image->size);
    air->size = head + packer_stream(air->bytes + head, (uint32_t)sizeof air->bytes - head, patch, size);
    maker_manifest_of(air, TF_ENCODING_DELTA, image->size, base->digest);
}
