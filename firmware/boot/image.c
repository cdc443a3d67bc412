/* MCUboot image: header and TLV areas, every bound checked before use. Source: SPEC section 7; MCUboot
 * docs/design.md. */
#include "image_parts.h"

#include <string.h>

static uint16_t load_u16(const uint8_t *at) {
    return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t load_u32(const uint8_t *at) {
    return (uint32_t)load_u16(at) | (uint32_t)load_u16(at + 2) << 16;
}

/* Offsets in the header. */
enum {
    MAGIC = 0,
    LOAD_ADDRESS = 4,
    HEADER_SIZE = 8,
    PROTECTED_SIZE = 10,
    IMAGE_SIZE = 12,
    FLAGS = 16,
    MAJOR = 20,
    MINOR = 21,
    REVISION = 22,
    BUILD = 24
};
enum { TLV_INFO_BYTES = 4, TLV_HEAD_BYTES = 4, DEPENDENCY_BYTES = 12 };

static tf_image_version_t load_version(const uint8_t *at) {
    return (tf_image_version_t){
        .major = at[0], .minor = at[1], .revision = load_u16(at + 2), .build = load_u32(at + 4)};
}

static bool is_protected(uint16_t type) {
    return type == TF_TLV_SEC_CNT || type == TF_TLV_DEPENDENCY ||
           (type >= TF_TLV_DEVICE_TYPE && type <= TF_TLV_CORES);
}

/* Where a known TLV's value goes and how long it may be; NULL for one we do not know. A key or signature of a
 * wrong length is not malformed, only never trusted. */
static tf_bytes_t *place(tf_image_parts_t *parts, uint16_t type, uint32_t *min, uint32_t *max) {
    *min = 0;
    *max = UINT16_MAX;
    switch (type) {
        case TF_TLV_SHA256:
            *min = *max = TF_DIGEST_BYTES;
            return &parts->digest;
        case TF_TLV_PUBKEY:
            return &parts->key;
        case TF_TLV_ECDSA_SIG:
            return &parts->signature;
        case TF_TLV_SEC_CNT:
            *min = *max = 4;
            return &parts->security_counter;
        case TF_TLV_DEVICE_TYPE:
            *max = TF_MCUBOOT_DEVICE_TYPE_MAX;
            return &parts->device_type;
        case TF_TLV_KIND:
            *min = *max = 1;
            return &parts->kind;
        case TF_TLV_CORE:
            *min = *max = 1;
            return &parts->core;
        case TF_TLV_ABI:
            *min = *max = 2;
            return &parts->abi;
        case TF_TLV_OPS:
            *max = TF_MCUBOOT_OPS_MAX;
            return &parts->ops;
        case TF_TLV_CORES:
            *min = *max = 1;
            return &parts->cores;
        default:
            return NULL;
    }
}

/* An image may name several others; only the firmware (image 0) concerns a model, and the highest need
 * counts. */
static bool take_dependency(tf_image_parts_t *parts, const uint8_t *value, uint32_t length) {
    if (length != DEPENDENCY_BYTES) return false;
    tf_image_version_t version = load_version(value + 4);
    if (value[0] == 0 && tf_image_version_below(&parts->firmware, &version)) parts->firmware = version;
    return true;
}

/* Walks the area [at, at + total) whose info header was checked. */
static bool walk(tf_image_parts_t *parts, const uint8_t *at, uint32_t total, bool protected_area) {
    const uint8_t *end = at + total;
    at += TLV_INFO_BYTES;
    while (at < end) {
        if (end - at < TLV_HEAD_BYTES) return false;
        uint16_t type = load_u16(at);
        uint32_t length = load_u16(at + 2);
        at += TLV_HEAD_BYTES;
        if (length > (uint32_t)(end - at)) return false;
        /* In the other area a type means nothing: outside, nobody signed it. */
        if (is_protected(type) == protected_area) {
            uint32_t min, max;
            tf_bytes_t *value = place(parts, type, &min, &max);
            if (value != NULL) {
                if (value->data != NULL || length < min || length > max) return false;
                *value = (tf_bytes_t){.data = at, .length = length};
            } else if (type == TF_TLV_DEPENDENCY && !take_dependency(parts, at, length)) {
                return false;
            }
        }
        at += length;
    }
    return true;
}

/* Length of the area at `offset`, or 0 when it is none or passes the slot. */
static uint32_t area_bytes(const uint8_t *slot, uint32_t slot_bytes, uint32_t offset, uint16_t magic) {
    if (offset > slot_bytes || slot_bytes - offset < TLV_INFO_BYTES || load_u16(slot + offset) != magic)
        return 0;
    uint32_t total = load_u16(slot + offset + 2);
    return total >= TLV_INFO_BYTES && total <= slot_bytes - offset ? total : 0;
}

const char *tf_image_parts(const uint8_t *slot, uint32_t slot_bytes, tf_image_parts_t *parts) {
    *parts = (tf_image_parts_t){0};
    if (slot_bytes < TF_MCUBOOT_HEADER_BYTES || load_u32(slot + MAGIC) != TF_MCUBOOT_IMAGE_MAGIC) {
        return "no image: another magic";
    }
    uint32_t header = load_u16(slot + HEADER_SIZE), protected_bytes = load_u16(slot + PROTECTED_SIZE);
    if (header < TF_MCUBOOT_HEADER_BYTES) return "image header shorter than 32 bytes";
    uint64_t hashed = (uint64_t)header + load_u32(slot + IMAGE_SIZE) + protected_bytes;
    if (hashed > slot_bytes) return "image larger than its slot";
    parts->load_address = load_u32(slot + LOAD_ADDRESS);
    parts->header_bytes = header;
    parts->payload_bytes = load_u32(slot + IMAGE_SIZE);
    parts->hashed_bytes = (uint32_t)hashed;
    parts->flags = load_u32(slot + FLAGS);
    parts->version = load_version(slot + MAJOR);
    if (protected_bytes > 0) {
        uint32_t offset = parts->hashed_bytes - protected_bytes;
        if (area_bytes(slot, slot_bytes, offset, TF_MCUBOOT_TLV_PROTECTED_MAGIC) != protected_bytes ||
            !walk(parts, slot + offset, protected_bytes, true)) {
            return "protected TLVs do not add up";
        }
    }
    uint32_t total = area_bytes(slot, slot_bytes, parts->hashed_bytes, TF_MCUBOOT_TLV_INFO_MAGIC);
    if (total == 0 || !walk(parts, slot + parts->hashed_bytes, total, false)) return "TLVs do not add up";
    parts->size_bytes = parts->hashed_bytes + total;
    return NULL;
}

bool tf_image_version_below(const tf_image_version_t *left, const tf_image_version_t *right) {
    if (left->major != right->major) return left->major < right->major;
    if (left->minor != right->minor) return left->minor < right->minor;
    if (left->revision != right->revision) return left->revision < right->revision;
    return left->build < right->build;
}

/* What the parts say, for tf_image_t; nothing is proven. Absent values are zero. */
void tf_image_describe(const uint8_t *slot, const tf_image_parts_t *parts, tf_image_t *out) {
    *out = (tf_image_t){.payload = slot + parts->header_bytes,
                        .payload_bytes = parts->payload_bytes,
                        .size_bytes = parts->size_bytes,
                        .hashed_bytes = parts->hashed_bytes,
                        .version = parts->version,
                        .header_bytes = parts->header_bytes,
                        .needs = parts->firmware,
                        .ops = parts->ops,
                        .is_signed = parts->key.data != NULL || parts->signature.data != NULL,
                        .reason = ""};
    if (parts->digest.data != NULL) memcpy(out->image, parts->digest.data, TF_DIGEST_BYTES);
    if (parts->security_counter.data != NULL) out->security_counter = load_u32(parts->security_counter.data);
    if (parts->kind.data != NULL) out->kind = (tf_artifact_kind_t)parts->kind.data[0];
    if (parts->core.data != NULL) out->core = (tf_core_variant_t)parts->core.data[0];
    if (parts->cores.data != NULL) out->cores = parts->cores.data[0];
    if (parts->abi.data != NULL) out->abi = load_u16(parts->abi.data);
    out->device_type =
        (tf_text_t){.text = (const char *)parts->device_type.data, .length = parts->device_type.length};
}

tf_result_t tf_image_read(const uint8_t *slot, uint32_t slot_bytes, tf_image_t *out) {
    tf_image_parts_t parts;
    const char *reason = tf_image_parts(slot, slot_bytes, &parts);
    if (reason != NULL) {
        *out = (tf_image_t){.reason = reason};
        return TF_RESULT_INTEGRITY;
    }
    tf_image_describe(slot, &parts, out);
    return TF_RESULT_SUCCESS;
}

static uint32_t put_number(char *out, uint32_t number) {
    char digits[10];
    uint32_t at = sizeof digits;
    do {
        digits[--at] = (char)('0' + number % 10u);
        number /= 10u;
    } while (number > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return (uint32_t)sizeof digits - at;
}

uint32_t tf_image_version_text(const tf_image_version_t *version, char *out) {
    uint32_t at = put_number(out, version->major);
    out[at++] = '.';
    at += put_number(out + at, version->minor);
    out[at++] = '.';
    at += put_number(out + at, version->revision);
    if (version->build != 0) {
        out[at++] = '+';
        at += put_number(out + at, version->build);
    }
    out[at] = '\0';
    return at;
}
