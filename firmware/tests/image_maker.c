#include "image_maker.h"

#include "bearssl.h"
#include "check.h"
#include "random.h"

enum { POINT_BYTES = 65, CORE = 0, ABI = 1 };

static const uint8_t spki_prefix[] = {
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x02, 0x01,
    0x06, 0x08, 0x2A, 0x86, 0x48, 0xCE, 0x3D, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
};

static br_ec_private_key private_key(signer_t signer, uint8_t secret[32]) {
    memset(secret, 0, 32);
    secret[31] = (uint8_t)signer;
    secret[0] = 0x42;
    return (br_ec_private_key){.curve = BR_EC_secp256r1, .x = secret, .xlen = 32};
}

static void public_der(signer_t signer, uint8_t der[TF_MCUBOOT_PUBKEY_BYTES]) {
    uint8_t secret[32];
    br_ec_private_key key = private_key(signer, secret);
    memcpy(der, spki_prefix, sizeof spki_prefix);
    CHECK_EQUAL(br_ec_compute_pub(&br_ec_p256_m31, NULL, der + sizeof spki_prefix, &key), POINT_BYTES);
}

void maker_trust(tf_trust_t *trust) {
    uint8_t der[TF_MCUBOOT_PUBKEY_BYTES];
    public_der(SIGNER_OURS, der);
    *trust = (tf_trust_t){.key_count = 1};
    tf_sha256(der, sizeof der, trust->keys[0]);
}

static void put(made_t *made, const void *data, uint32_t size) {
    CHECK(size <= MAKER_IMAGE_MAX - made->size);
    memcpy(made->bytes + made->size, data, size);
    made->size += size;
}

static void put_number(made_t *made, uint32_t value, uint32_t size) {
    uint8_t bytes[4] = {(uint8_t)value, (uint8_t)(value >> 8), (uint8_t)(value >> 16),
                        (uint8_t)(value >> 24)};
    put(made, bytes, size);
}

static void put_tlv(made_t *made, uint16_t type, const void *data, uint32_t size) {
    put_number(made, type, 2);
    put_number(made, size, 2);
    put(made, data, size);
}

static void put_number_tlv(made_t *made, uint16_t type, uint32_t value, uint32_t size) {
    put_number(made, type, 2);
    put_number(made, size, 2);
    put_number(made, value, size);
}

void maker_image(made_t *made, uint32_t payload_bytes, uint8_t build, uint32_t security_counter,
                 signer_t signer) {
    const uint32_t device_type_bytes = sizeof MAKER_DEVICE_TYPE - 1u;
    const uint32_t protected_bytes =
        4u + (4u + 4u) + (4u + device_type_bytes) + (4u + 1u) + (4u + 1u) + (4u + 2u);
    memset(made, 0, sizeof *made);
    put_number(made, TF_MCUBOOT_IMAGE_MAGIC, 4);
    put_number(made, 0, 4);
    put_number(made, TF_MCUBOOT_MODEL_HEADER_BYTES, 2);
    put_number(made, protected_bytes, 2);
    put_number(made, payload_bytes, 4);
    put_number(made, TF_MCUBOOT_FLAG_NON_BOOTABLE, 4);
    put_number(made, 1, 1);
    put_number(made, build, 1);
    made->size = TF_MCUBOOT_MODEL_HEADER_BYTES;
    uint32_t random = 0x9E3779B9u ^ build;
    for (uint32_t i = 0; i < payload_bytes; i++) put_number(made, random_next(&random), 1);
    put_number(made, TF_MCUBOOT_TLV_PROTECTED_MAGIC, 2);
    put_number(made, protected_bytes, 2);
    put_number_tlv(made, TF_TLV_SEC_CNT, security_counter, 4);
    put_tlv(made, TF_TLV_DEVICE_TYPE, MAKER_DEVICE_TYPE, device_type_bytes);
    put_number_tlv(made, TF_TLV_KIND, TF_ARTIFACT_KIND_MODEL, 1);
    put_number_tlv(made, TF_TLV_CORE, CORE, 1);
    put_number_tlv(made, TF_TLV_ABI, ABI, 2);
    uint8_t digest[32], der[TF_MCUBOOT_PUBKEY_BYTES], signature[TF_MCUBOOT_SIGNATURE_MAX_BYTES];
    tf_sha256(made->bytes, made->size, digest);
    uint32_t signature_bytes = 0;
    if (signer != SIGNER_NOBODY) {
        uint8_t secret[32];
        br_ec_private_key key = private_key(signer, secret);
        public_der(signer, der);
        signature_bytes =
            (uint32_t)br_ecdsa_i31_sign_asn1(&br_ec_p256_m31, &br_sha256_vtable, digest, &key, signature);
        CHECK(signature_bytes > 0);
    }
    put_number(made, TF_MCUBOOT_TLV_INFO_MAGIC, 2);
    put_number(made, 4u + 36u + (signature_bytes > 0 ? 4u + sizeof der + 4u + signature_bytes : 0u), 2);
    put_tlv(made, TF_TLV_SHA256, digest, sizeof digest);
    if (signature_bytes > 0) {
        put_tlv(made, TF_TLV_PUBKEY, der, sizeof der);
        put_tlv(made, TF_TLV_ECDSA_SIG, signature, signature_bytes);
    }
    maker_manifest(made);
}

void maker_manifest(made_t *made) {
    tf_image_t image;
    if (tf_image_read(made->bytes, made->size, &image) == TF_RESULT_SUCCESS)
        memcpy(made->digest, image.image, 32);
    static uint8_t hashes[TF_SECTORS_MAX * TF_SECTOR_HASH_BYTES];
    uint32_t sectors = 0;
    for (uint32_t at = 0; at < made->size; at += TF_SECTOR_BYTES) {
        uint32_t length = made->size - at < TF_SECTOR_BYTES ? made->size - at : TF_SECTOR_BYTES;
        uint8_t hash[32];
        tf_sha256(made->bytes + at, length, hash);
        memcpy(hashes + sectors * TF_SECTOR_HASH_BYTES, hash, TF_SECTOR_HASH_BYTES);
        sectors++;
    }
    tf_writer_t writer;
    tf_writer_init(&writer, made->manifest, sizeof made->manifest);
    tf_write_map(&writer, 4);
    tf_write_uint(&writer, TF_MANIFEST_SIZE_BYTES);
    tf_write_uint(&writer, made->size);
    tf_write_uint(&writer, TF_MANIFEST_ENCODING);
    tf_write_uint(&writer, TF_ENCODING_RAW);
    tf_write_uint(&writer, TF_MANIFEST_IMAGE_BYTES);
    tf_write_uint(&writer, made->size);
    tf_write_uint(&writer, TF_MANIFEST_SECTORS);
    tf_write_bytes(&writer, hashes, sectors * TF_SECTOR_HASH_BYTES);
    made->manifest_bytes = tf_writer_end(&writer);
    CHECK(made->manifest_bytes > 0);
    tf_sha256(made->manifest, made->manifest_bytes, made->manifest_digest);
}
