/* One axis of a sliding window: which of its taps lie inside the input. No division: windows move by
 * additions. */
#ifndef TF_WINDOW_H
#define TF_WINDOW_H

#include <stdint.h>

typedef struct {
    int32_t start;  /* input coordinate of tap 0, negative in the padding */
    uint32_t first; /* taps first..end-1 are inside */
    uint32_t end;
} tf_taps_t;

static inline tf_taps_t tf_taps(int32_t start, uint32_t in, uint32_t kernel, uint32_t dilation) {
    tf_taps_t taps = {start, 0, kernel};
    int32_t at = start;
    while (at < 0 && taps.first < kernel) {
        at += (int32_t)dilation;
        taps.first++;
    }
    int32_t last = start + (int32_t)((kernel - 1) * dilation);
    while (last >= (int32_t)in && taps.end > taps.first) {
        last -= (int32_t)dilation;
        taps.end--;
    }
    return taps;
}

#endif
