/* RFFT and IRFFT of int16. */
#include <stdint.h>

typedef int16_t real_t;
typedef int32_t wide_t;
typedef uint32_t bits_t;
enum { FRACTION = 15 };

#include "fft_body.h"

void tf_rfft16(const tf_fft_t *fft, const int16_t *samples, uint32_t given, int16_t *spectrum) {
    forward(fft, samples, given, (complex_t *)(void *)spectrum);
}

void tf_irfft16(const tf_fft_t *fft, const int16_t *spectrum, int16_t *samples) {
    backward(fft, (const complex_t *)(const void *)spectrum, (complex_t *)(void *)samples);
}
