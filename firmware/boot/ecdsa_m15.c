#include "bearssl.h"
#include "image_parts.h"

bool tf_ecdsa_verify(const uint8_t point[65], tf_bytes_t signature, const uint8_t digest[32]) {
    /* BearSSL's structure is not const, but the verifier only reads it. */
    uint8_t copy[65];
    for (uint32_t i = 0; i < sizeof copy; i++) copy[i] = point[i];
    br_ec_public_key key = {.curve = BR_EC_secp256r1, .q = copy, .qlen = sizeof copy};
    return br_ecdsa_i15_vrfy_asn1(&br_ec_p256_m15, digest, 32, &key, signature.data, signature.length) == 1;
}
