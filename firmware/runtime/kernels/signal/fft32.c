/* RFFT and IRFFT of int32. */
#include <stdint.h>

typedef int32_t real_t;
typedef int64_t wide_t;
typedef uint64_t bits_t;
enum { FRACTION = 31 };

#include "fft_body.h"

void tf_rfft32(const tf_fft_t *fft, const int32_t *samples, uint32_t given, int32_t *spectrum) {
    forward(fft, samples, given, (complex_t *)(void *)spectrum);
}

void tf_irfft32(const tf_fft_t *fft, const int32_t *spectrum, int32_t *samples) {
    backward(fft, (const complex_t *)(const void *)spectrum, (complex_t *)(void *)samples);
}
