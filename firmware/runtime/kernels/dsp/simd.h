/* Arm's DSP instructions by their names. Other machines compute the same bits in C, so that the host runs the
 * packed layouts and their arithmetic too. */
#ifndef TF_SIMD_H
#define TF_SIMD_H

#include <stdint.h>
#include <string.h>

/* Four bytes from any address: the core does unaligned words. */
static inline uint32_t tf_load4(const void *from) {
    uint32_t word;
    memcpy(&word, from, sizeof(word));
    return word;
}

#ifdef __ARM_FEATURE_DSP

/* Bytes 0 and 2 as two int16. */
static inline uint32_t tf_sxtb16(uint32_t x) {
    uint32_t out;
    __asm("sxtb16 %0, %1" : "=r"(out) : "r"(x));
    return out;
}

/* Bytes 1 and 3 as two int16. */
static inline uint32_t tf_sxtb16_odd(uint32_t x) {
    uint32_t out;
    __asm("sxtb16 %0, %1, ror #8" : "=r"(out) : "r"(x));
    return out;
}

/* sum + low a x low b + high a x high b, modulo 2^32. */
static inline int32_t tf_smlad(uint32_t a, uint32_t b, int32_t sum) {
    __asm("smlad %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* sum + low a x high b. */
static inline int32_t tf_smlabt(uint32_t a, uint32_t b, int32_t sum) {
    __asm("smlabt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

/* sum + (a x b + 2^31) / 2^32, rounded down. */
static inline int32_t tf_smmlar(int32_t a, int32_t b, int32_t sum) {
    __asm("smmlar %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline int32_t tf_ssat8(int32_t x) {
    __asm("ssat %0, #8, %0" : "+r"(x));
    return x;
}

#else

static inline uint32_t tf_sxtb16(uint32_t x) {
    return (uint32_t)(uint16_t)(int8_t)x | (uint32_t)(uint16_t)(int8_t)(x >> 16) << 16;
}

static inline uint32_t tf_sxtb16_odd(uint32_t x) {
    return tf_sxtb16(x >> 8);
}

static inline int32_t tf_smlad(uint32_t a, uint32_t b, int32_t sum) {
    const int32_t low = (int16_t)a * (int16_t)b;
    const int32_t high = (int16_t)(a >> 16) * (int16_t)(b >> 16);
    return (int32_t)((uint32_t)sum + (uint32_t)low + (uint32_t)high);
}

static inline int32_t tf_smlabt(uint32_t a, uint32_t b, int32_t sum) {
    return (int32_t)((uint32_t)sum + (uint32_t)((int16_t)a * (int16_t)(b >> 16)));
}

static inline int32_t tf_smmlar(int32_t a, int32_t b, int32_t sum) {
    const int64_t rounded = (int64_t)a * b + ((int64_t)1 << 31);
    return (int32_t)((uint32_t)sum + (uint32_t)(uint64_t)(rounded >> 32));
}

static inline int32_t tf_ssat8(int32_t x) {
    return x < INT8_MIN ? INT8_MIN : (x > INT8_MAX ? INT8_MAX : x);
}

#endif

#endif
