/* A signed image with any byte changed, or cut anywhere, is never taken. Vectors show the reasons; this shows
 * that there is no byte without one. */
#include "check.h"
#include "image_maker.h"

static made_t made;
static tf_trust_t trust;

static tf_image_policy_t policy(void) {
    return (tf_image_policy_t){.kind = TF_ARTIFACT_KIND_MODEL,
                               .device_type = tf_text(MAKER_DEVICE_TYPE),
                               .security_counter = 3,
                               .cores = 1,
                               .abi = 1,
                               .trust = &trust};
}

static tf_result_t verify(const uint8_t *bytes, uint32_t size) {
    tf_image_policy_t accepts = policy();
    tf_image_t image;
    return tf_image_verify(bytes, size, &accepts, &image);
}

static void a_good_image_is_described(void) {
    tf_image_policy_t accepts = policy();
    tf_image_t image;
    maker_image(&made, 500, 7, 3, SIGNER_OURS);
    CHECK_EQUAL(tf_image_verify(made.bytes, sizeof made.bytes, &accepts, &image), TF_RESULT_SUCCESS);
    CHECK_EQUAL(image.size_bytes, made.size);
    CHECK_EQUAL(image.payload_bytes, 500);
    CHECK(image.payload == made.bytes + TF_MCUBOOT_MODEL_HEADER_BYTES);
    CHECK_EQUAL(image.security_counter, 3);
    CHECK(image.is_signed);
    char version[TF_IMAGE_VERSION_MAX];
    CHECK_EQUAL(tf_image_version_text(&image.version, version), 5);
    CHECK(strcmp(version, "1.7.0") == 0);
    tf_image_version_t largest = {255, 255, 65535, UINT32_MAX};
    CHECK_EQUAL(tf_image_version_text(&largest, version), TF_IMAGE_VERSION_MAX - 1u);
}

static void no_byte_may_change(void) {
    maker_image(&made, 200, 1, 3, SIGNER_OURS);
    uint8_t *copy = malloc(made.size);
    CHECK(copy != NULL);
    uint32_t header_pad = TF_MCUBOOT_MODEL_HEADER_BYTES;
    CHECK(made.size > header_pad);
    for (uint32_t at = 0; at < made.size; at++) {
        memcpy(copy, made.bytes, made.size);
        copy[at] ^= (uint8_t)(1u << at % 8u);
        CHECK(verify(copy, made.size) != TF_RESULT_SUCCESS);
    }
    free(copy);
}

static void no_byte_may_be_missing(void) {
    maker_image(&made, 200, 1, 3, SIGNER_OURS);
    for (uint32_t size = 0; size < made.size; size++) {
        uint8_t *copy = malloc(size > 0 ? size : 1);
        CHECK(copy != NULL);
        memcpy(copy, made.bytes, size);
        CHECK_EQUAL(verify(copy, size), TF_RESULT_INTEGRITY);
        free(copy);
    }
}

static void only_the_trusted_sign(void) {
    maker_image(&made, 200, 1, 3, SIGNER_FOREIGN);
    CHECK_EQUAL(verify(made.bytes, made.size), TF_RESULT_SIGNATURE);
    maker_image(&made, 200, 1, 3, SIGNER_NOBODY);
    CHECK_EQUAL(verify(made.bytes, made.size), TF_RESULT_SIGNATURE);
    tf_image_policy_t bench = policy();
    tf_image_t image;
    bench.accept_unsigned = true;
    CHECK_EQUAL(tf_image_verify(made.bytes, made.size, &bench, &image), TF_RESULT_SUCCESS);
    CHECK(!image.is_signed);
    bench.accept_unsigned = false;
    bench.trust = NULL;
    maker_image(&made, 200, 1, 3, SIGNER_OURS);
    CHECK_EQUAL(tf_image_verify(made.bytes, made.size, &bench, &image), TF_RESULT_SIGNATURE);
}

/* A trusted hash is not enough: what is under it must be a P-256 key in its one form. */
static void a_trusted_key_of_another_kind_is_refused(void) {
    maker_image(&made, 200, 1, 3, SIGNER_OURS);
    uint32_t key_at = 0;
    for (uint32_t at = 0; at + TF_MCUBOOT_PUBKEY_BYTES < made.size; at++) {
        if (memcmp(made.bytes + at, "\x30\x59\x30\x13", 4) == 0) key_at = at;
    }
    CHECK(key_at > 0);
    tf_trust_t ours = trust;
    for (uint32_t at = 0; at < TF_MCUBOOT_PUBKEY_BYTES - 64u; at++) {
        made.bytes[key_at + at] ^= 1u;
        tf_sha256(made.bytes + key_at, TF_MCUBOOT_PUBKEY_BYTES, trust.keys[0]);
        CHECK_EQUAL(verify(made.bytes, made.size), TF_RESULT_SIGNATURE);
        made.bytes[key_at + at] ^= 1u;
    }
    trust = ours;
    CHECK_EQUAL(verify(made.bytes, made.size), TF_RESULT_SUCCESS);
}

static void the_counter_never_goes_down(void) {
    maker_image(&made, 200, 1, 2, SIGNER_OURS);
    CHECK_EQUAL(verify(made.bytes, made.size), TF_RESULT_DOWNGRADE);
}

int main(void) {
    maker_trust(&trust);
    RUN(a_good_image_is_described);
    RUN(no_byte_may_change);
    RUN(no_byte_may_be_missing);
    RUN(only_the_trusted_sign);
    RUN(a_trusted_key_of_another_kind_is_refused);
    RUN(the_counter_never_goes_down);
    return 0;
}
