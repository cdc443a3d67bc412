/* Verification in the order of SPEC section 7: nothing is used before what proves it. */
#include <string.h>

#include "bearssl.h"
#include "image_parts.h"

enum {
    POINT_BYTES = 65,
    VECTORS_BYTES = 16 * 4, /* those of the processor itself */
};

/* SubjectPublicKeyInfo of a P-256 key up to its point (RFC 5480): any other curve or form is no key of ours.
 */
static const uint8_t spki_prefix[TF_MCUBOOT_PUBKEY_BYTES - POINT_BYTES] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
    0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

void tf_sha256(const uint8_t *data, uint32_t length, uint8_t digest[32]) {
    br_sha256_context context;
    br_sha256_init(&context);
    br_sha256_update(&context, data, length);
    br_sha256_out(&context, digest);
}

bool tf_equal(const uint8_t *left, const uint8_t *right, uint32_t length) {
    uint8_t difference = 0;
    for (uint32_t i = 0; i < length; i++) difference |= left[i] ^ right[i];
    return difference == 0;
}

static bool is_trusted(const tf_trust_t *trust, tf_bytes_t key) {
    if (trust == NULL) return false;
    uint8_t hash[32];
    tf_sha256(key.data, key.length, hash);
    bool found = false;
    for (uint32_t i = 0; i < trust->key_count && i < TF_TRUST_KEYS_MAX; i++) {
        found |= tf_equal(hash, trust->keys[i], sizeof hash);
    }
    return found;
}

/* NULL, or why the signer is not to be trusted. */
static const char *check_signer(const tf_image_parts_t *parts, const tf_image_policy_t *policy,
                                const uint8_t digest[32]) {
    if (policy->accept_unsigned && parts->key.data == NULL && parts->signature.data == NULL) return NULL;
    if (parts->key.data == NULL) return "not signed: no public key";
    if (!is_trusted(policy->trust, parts->key)) return "signed by a key that is not in the trust record";
    if (parts->key.length != TF_MCUBOOT_PUBKEY_BYTES ||
        memcmp(parts->key.data, spki_prefix, sizeof spki_prefix) != 0) {
        return "the public key is no P-256 key";
    }
    if (parts->signature.length == 0) return "not signed: no signature";
    if (parts->signature.length > TF_MCUBOOT_SIGNATURE_MAX_BYTES) return "the signature is too long";
    if (!tf_ecdsa_verify(parts->key.data + sizeof spki_prefix, parts->signature, digest)) {
        return "the signature is not over this image";
    }
    return NULL;
}

static tf_result_t refuse(tf_image_t *out, tf_result_t result, const char *reason) {
    out->reason = reason;
    return result;
}

/* Whether a firmware can start where it stands: flags, address and the first instruction. */
static bool is_startable(const tf_image_parts_t *parts, const tf_image_policy_t *policy,
                         const tf_image_t *image) {
    const uint32_t start_flags = TF_MCUBOOT_FLAG_RAM_LOAD | TF_MCUBOOT_FLAG_ROM_FIXED;
    if ((parts->flags & TF_MCUBOOT_FLAG_NON_BOOTABLE) != 0) return false;
    if (policy->start == TF_IMAGE_START_ANY) return true;
    uint32_t flags =
        policy->start == TF_IMAGE_START_XIP ? TF_MCUBOOT_FLAG_ROM_FIXED : TF_MCUBOOT_FLAG_RAM_LOAD;
    if ((parts->flags & start_flags) != flags || parts->load_address != policy->address) return false;
    /* Both were bounded by the slot, so this cannot wrap. */
    if (image->header_bytes + image->payload_bytes > policy->room_bytes) return false;
    if (image->payload_bytes < VECTORS_BYTES) return false;
    const uint8_t *at = image->payload + 4;
    uint32_t entry = at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
    uint32_t first = policy->address + image->header_bytes;
    return (entry & 1u) != 0 && entry > first && entry - first < image->payload_bytes;
}

/* Kind, device type, counter, core and ABI. */
static tf_result_t check_fit(const tf_image_parts_t *parts, const tf_image_policy_t *policy,
                             tf_image_t *out) {
    bool model = policy->kind == TF_ARTIFACT_KIND_MODEL;
    if (parts->kind.data == NULL || parts->kind.data[0] != policy->kind) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "another kind of artifact");
    }
    if (model && (parts->header_bytes != TF_MCUBOOT_MODEL_HEADER_BYTES ||
                  (parts->flags & TF_MCUBOOT_FLAG_NON_BOOTABLE) == 0)) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "no header of a model");
    }
    if (out->device_type.text == NULL || out->device_type.length != policy->device_type.length ||
        memcmp(out->device_type.text, policy->device_type.text, out->device_type.length) != 0) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "built for another device type");
    }
    if (parts->security_counter.data == NULL) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "no security counter");
    }
    if (out->security_counter < policy->security_counter) {
        return refuse(out, TF_RESULT_DOWNGRADE, "security counter below the stored one");
    }
    if (!model) {
        return is_startable(parts, policy, out)
                   ? TF_RESULT_SUCCESS
                   : refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "linked for another place than this slot's");
    }
    if (parts->core.data == NULL || out->core >= 8u || (policy->cores >> out->core & 1u) == 0) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "packed for another core");
    }
    if (parts->abi.data == NULL || out->abi != policy->abi) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "built for another runtime ABI");
    }
    if (tf_image_version_below(&policy->firmware, &parts->firmware)) {
        return refuse(out, TF_RESULT_UNSUPPORTED_TYPE, "needs a newer firmware");
    }
    return TF_RESULT_SUCCESS;
}

tf_result_t tf_image_verify(const uint8_t *slot, uint32_t slot_bytes, const tf_image_policy_t *policy,
                            tf_image_t *out) {
    tf_image_parts_t parts;
    const char *reason = tf_image_parts(slot, slot_bytes, &parts);
    if (reason != NULL) {
        *out = (tf_image_t){.reason = reason};
        return TF_RESULT_INTEGRITY;
    }
    tf_image_describe(slot, &parts, out);
    if (parts.digest.data == NULL) return refuse(out, TF_RESULT_INTEGRITY, "no digest");
    uint8_t digest[32];
    tf_sha256(slot, parts.hashed_bytes, digest);
    if (!tf_equal(digest, parts.digest.data, sizeof digest)) {
        return refuse(out, TF_RESULT_INTEGRITY, "the digest is not of this image");
    }
    reason = check_signer(&parts, policy, digest);
    if (reason != NULL) return refuse(out, TF_RESULT_SIGNATURE, reason);
    return check_fit(&parts, policy, out);
}
