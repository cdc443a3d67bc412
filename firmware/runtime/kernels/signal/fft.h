/* Fixed-point FFT of kissfft v130, as signal/src/rfft_int16.cc and its kin use it: what the two widths share.
 */
#ifndef TF_FFT_H
#define TF_FFT_H

#include "signal.h"

/* One row of an RFFT or IRFFT. `length` real values are a spectrum of length / 2 + 1 complex ones. The tables
 * are complex: `twiddles` has length / 2, `halves` length / 4. */
typedef struct {
    const tf_fft_params_t *params;
    const void *twiddles;
    const void *halves;
} tf_fft_t;

/* `given` samples, the rest of `length` being 0, to a spectrum. */
void tf_rfft16(const tf_fft_t *fft, const int16_t *samples, uint32_t given, int16_t *spectrum);
void tf_rfft32(const tf_fft_t *fft, const int32_t *samples, uint32_t given, int32_t *spectrum);
/* A spectrum to samples. */
void tf_irfft16(const tf_fft_t *fft, const int16_t *spectrum, int16_t *samples);
void tf_irfft32(const tf_fft_t *fft, const int32_t *spectrum, int32_t *samples);

#endif
