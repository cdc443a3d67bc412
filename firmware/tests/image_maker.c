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

static void put_header(made_t *made, uint32_t load_address, uint32_t header_bytes, uint32_t payload_bytes,
                       uint32_t protected_bytes, uint32_t flags, uint8_t build) {
    memset(made, 0, sizeof *made);
    put_number(made, TF_MCUBOOT_IMAGE_MAGIC, 4);
    put_number(made, load_address, 4);
    put_number(made, header_bytes, 2);
    put_number(made, protected_bytes, 2);
    put_number(made, payload_bytes, 4);
    put_number(made, flags, 4);
    put_number(made, 1, 1);
    put_number(made, build, 1);
    made->size = header_bytes;
}

static void put_noise(made_t *made, uint32_t bytes, uint8_t build) {
    uint32_t random = 0x9E3779B9u ^ build;
    for (uint32_t i = 0; i < bytes; i++) put_number(made, random_next(&random), 1);
}

/* What every image has behind its payload: digest, key and signature. */
static void finish(made_t *made, signer_t signer) {
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

enum { TLVS_COMMON = 4 + (4 + 4) + (4 + sizeof MAKER_DEVICE_TYPE - 1) + (4 + 1) + (4 + 2) };

static void put_common_tlvs(made_t *made, uint32_t total, uint32_t security_counter, tf_artifact_kind_t kind,
                            uint16_t abi) {
    put_number(made, TF_MCUBOOT_TLV_PROTECTED_MAGIC, 2);
    put_number(made, total, 2);
    put_number_tlv(made, TF_TLV_SEC_CNT, security_counter, 4);
    put_tlv(made, TF_TLV_DEVICE_TYPE, MAKER_DEVICE_TYPE, sizeof MAKER_DEVICE_TYPE - 1u);
    put_number_tlv(made, TF_TLV_KIND, kind, 1);
    put_number_tlv(made, TF_TLV_ABI, abi, 2);
}

void maker_model(made_t *made, const model_recipe_t *recipe) {
    const bool needs = recipe->needs_build > 0;
    const uint32_t protected_bytes = TLVS_COMMON + (4u + 1u) + (needs ? 4u + 12u : 0u);
    put_header(made, 0, TF_MCUBOOT_MODEL_HEADER_BYTES, recipe->payload_bytes, protected_bytes,
               TF_MCUBOOT_FLAG_NON_BOOTABLE, recipe->build);
    put_noise(made, recipe->payload_bytes, recipe->build);
    put_common_tlvs(made, protected_bytes, recipe->security_counter, TF_ARTIFACT_KIND_MODEL, recipe->abi);
    put_number_tlv(made, TF_TLV_CORE, CORE, 1);
    if (needs) {
        const uint8_t value[12] = {0, 0, 0, 0, 1, recipe->needs_build};
        put_tlv(made, TF_TLV_DEPENDENCY, value, sizeof value);
    }
    finish(made, recipe->signer);
}

void maker_image(made_t *made, uint32_t payload_bytes, uint8_t build, uint32_t security_counter,
                 signer_t signer) {
    const model_recipe_t recipe = {.payload_bytes = payload_bytes,
                                   .build = build,
                                   .security_counter = security_counter,
                                   .signer = signer,
                                   .abi = ABI};
    maker_model(made, &recipe);
}

void maker_firmware(made_t *made, const firmware_recipe_t *recipe) {
    static const uint8_t ops[] = {0xFF};
    const uint32_t protected_bytes = TLVS_COMMON + (4u + sizeof ops) + (4u + 1u);
    const uint32_t header_bytes = TF_MCUBOOT_FIRMWARE_HEADER_BYTES;
    uint32_t flags =
        recipe->start == TF_IMAGE_START_XIP ? TF_MCUBOOT_FLAG_ROM_FIXED : TF_MCUBOOT_FLAG_RAM_LOAD;
    put_header(made, recipe->address, header_bytes, recipe->payload_bytes, protected_bytes, flags,
               recipe->build);
    put_number(made, 0x20004000u, 4);
    put_number(made, recipe->address + header_bytes + 65u, 4);
    put_number(made, recipe->behaviour, 1);
    put_noise(made, recipe->payload_bytes - 9u, recipe->build);
    put_common_tlvs(made, protected_bytes, recipe->security_counter, TF_ARTIFACT_KIND_FIRMWARE, recipe->abi);
    put_tlv(made, TF_TLV_OPS, ops, sizeof ops);
    put_number_tlv(made, TF_TLV_CORES, 1u << CORE, 1);
    finish(made, recipe->signer);
}

void maker_manifest(made_t *made) {
    tf_image_t image;
    if (tf_image_read(made->bytes, made->size, &image) == TF_RESULT_SUCCESS)
        memcpy(made->digest, image.image, 32);
    maker_manifest_of(made, TF_ENCODING_RAW, made->size, NULL);
}

void maker_manifest_of(made_t *made, tf_encoding_t encoding, uint32_t image_bytes, const uint8_t *base) {
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
    tf_write_map(&writer, base != NULL ? 5 : 4);
    tf_write_uint(&writer, TF_MANIFEST_SIZE_BYTES);
    tf_write_uint(&writer, made->size);
    tf_write_uint(&writer, TF_MANIFEST_ENCODING);
    tf_write_uint(&writer, encoding);
    if (base != NULL) {
        tf_write_uint(&writer, TF_MANIFEST_BASE);
        tf_write_bytes(&writer, base, TF_DIGEST_BYTES);
    }
    tf_write_uint(&writer, TF_MANIFEST_IMAGE_BYTES);
    tf_write_uint(&writer, image_bytes);
    tf_write_uint(&writer, TF_MANIFEST_SECTORS);
    tf_write_bytes(&writer, hashes, sectors * TF_SECTOR_HASH_BYTES);
    made->manifest_bytes = tf_writer_end(&writer);
    CHECK(made->manifest_bytes > 0);
    tf_sha256(made->manifest, made->manifest_bytes, made->manifest_digest);
}
