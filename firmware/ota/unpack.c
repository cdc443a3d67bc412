/* detools' sequential patch (github.com/eerimoq/detools): a header byte, the size it makes, then, compressed,
 * a data format (we take none) and steps: bytes that are added to the base's, bytes as they are, and how far
 * to go in the base. */
#include "tinyfleet/unpack.h"

#include <stddef.h>

enum { PATCH_HEADER = 0x04 /* type 0 sequential, compression 4 heatshrink */, NUMBER_BYTES_MAX = 5 };
enum { IDLE_STEPS_MAX = 8 };

enum { PART_DIFF_SIZE = 0, PART_DIFF, PART_EXTRA_SIZE, PART_EXTRA, PART_SEEK };

typedef int32_t (*next_t)(void *from);

static int32_t next_of_stream(void *from) {
    return tf_heatshrink_next(from);
}

static int32_t next_of_data(void *from) {
    tf_packed_t *rest = from;
    if (rest->length == 0) return -1;
    rest->length--;
    return *rest->data++;
}

/* Sign and six bits, then seven bits a byte, low ones first. False: cut off, or above 31 bits. */
static bool read_number(next_t next, void *from, int32_t *value) {
    uint64_t magnitude = 0;
    bool negative = false;
    for (uint32_t i = 0, shift = 0; i < NUMBER_BYTES_MAX; i++) {
        int32_t byte = next(from);
        if (byte < 0) return false;
        uint32_t width = i == 0 ? 6u : 7u;
        if (i == 0) negative = (byte & 0x40) != 0;
        magnitude |= (uint64_t)((uint32_t)byte & ((1u << width) - 1u)) << shift;
        shift += width;
        if ((byte & 0x80) != 0) continue;
        if (magnitude > INT32_MAX) return false;
        *value = negative ? -(int32_t)magnitude : (int32_t)magnitude;
        return true;
    }
    return false;
}

tf_result_t tf_unpack_open(tf_unpack_t *unpack, const tf_packed_t *packed) {
    unpack->packed = *packed;
    unpack->made = unpack->left = unpack->base_at = unpack->step_at = 0;
    unpack->part = PART_DIFF_SIZE;
    unpack->idle = 0;
    unpack->broken = false;
    tf_packed_t rest = *packed;
    if (packed->encoding == TF_ENCODING_DELTA) {
        int32_t size;
        if (next_of_data(&rest) != PATCH_HEADER) return TF_RESULT_UNSUPPORTED_PROTOCOL;
        if (!read_number(next_of_data, &rest, &size)) return TF_RESULT_INTEGRITY;
        if (size < 0 || (uint32_t)size != packed->image_bytes) return TF_RESULT_INTEGRITY;
    } else if (packed->encoding != TF_ENCODING_COMPRESSED) {
        return TF_RESULT_UNSUPPORTED_PROTOCOL;
    }
    if (!tf_heatshrink_open(&unpack->stream, rest.data, rest.length)) return TF_RESULT_UNSUPPORTED_PROTOCOL;
    if (packed->encoding == TF_ENCODING_COMPRESSED) return TF_RESULT_SUCCESS;
    int32_t data_format;
    if (!read_number(next_of_stream, &unpack->stream, &data_format)) return TF_RESULT_INTEGRITY;
    return data_format == 0 ? TF_RESULT_SUCCESS : TF_RESULT_UNSUPPORTED_PROTOCOL;
}

/* A size that the image has room for, and `left` of the part after it. */
static bool read_size(tf_unpack_t *unpack, bool of_base) {
    int32_t size;
    if (!read_number(next_of_stream, &unpack->stream, &size)) return false;
    if (size < 0 || (uint32_t)size > unpack->packed.image_bytes - unpack->made) return false;
    if (of_base && (uint32_t)size > unpack->packed.base_bytes - unpack->base_at) return false;
    unpack->left = (uint32_t)size;
    unpack->part++;
    return true;
}

static bool seek(tf_unpack_t *unpack) {
    int32_t by;
    if (!read_number(next_of_stream, &unpack->stream, &by)) return false;
    int64_t at = (int64_t)unpack->base_at + by;
    if (at < 0 || at > unpack->packed.base_bytes) return false;
    unpack->base_at = (uint32_t)at;
    /* Encoders write one or two steps that only seek; a long row of them costs time for nothing. */
    unpack->idle = unpack->made == unpack->step_at ? (uint8_t)(unpack->idle + 1u) : 0;
    if (unpack->idle > IDLE_STEPS_MAX) return false;
    unpack->step_at = unpack->made;
    unpack->part = PART_DIFF_SIZE;
    return true;
}

/* The next byte of the image, or -1. Each part is left at once when it has no more bytes. */
static int32_t next_of_patch(tf_unpack_t *unpack) {
    for (;;) {
        bool good = true;
        switch (unpack->part) {
            case PART_DIFF_SIZE:
                good = read_size(unpack, true);
                break;
            case PART_EXTRA_SIZE:
                good = read_size(unpack, false);
                break;
            case PART_SEEK:
                good = seek(unpack);
                break;
            default:
                if (unpack->left == 0) {
                    unpack->part++;
                    break;
                }
                unpack->left--;
                int32_t byte = tf_heatshrink_next(&unpack->stream);
                if (byte < 0 || unpack->part == PART_EXTRA) return byte;
                return (byte + unpack->packed.base[unpack->base_at++]) & 0xFF;
        }
        if (!good) return -1;
    }
}

uint32_t tf_unpack_read(tf_unpack_t *unpack, uint8_t *out, uint32_t capacity) {
    bool delta = unpack->packed.encoding == TF_ENCODING_DELTA;
    uint32_t count = 0;
    while (!unpack->broken && count < capacity && unpack->made < unpack->packed.image_bytes) {
        int32_t byte = delta ? next_of_patch(unpack) : tf_heatshrink_next(&unpack->stream);
        if (byte < 0) {
            unpack->broken = true;
            break;
        }
        out[count++] = (uint8_t)byte;
        unpack->made++;
    }
    return count;
}
