#include "entropy.h"

#include "bearssl_hash.h"
#include "bearssl_rand.h"

/* lwIP asks through a plain function (arch/cc.h), so the generator is the file's own. */
static br_hmac_drbg_context generator;

uint32_t tf_node_random(void);

void entropy_start(const uint8_t seed[32], uint32_t boot) {
    const uint8_t count[] = {(uint8_t)(boot >> 24), (uint8_t)(boot >> 16), (uint8_t)(boot >> 8),
                             (uint8_t)boot};
    br_hmac_drbg_init(&generator, &br_sha256_vtable, seed, 32);
    br_hmac_drbg_update(&generator, count, sizeof count);
}

uint32_t entropy_next(void) {
    uint32_t value;
    br_hmac_drbg_generate(&generator, &value, sizeof value);
    return value;
}

uint32_t tf_node_random(void) {
    return entropy_next();
}
