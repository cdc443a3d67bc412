/* Parameter records of the signal ops and of plain integer arithmetic (wire/ARTIFACT.md, section 4). */
#ifndef TF_PLAN_SIGNAL_H
#define TF_PLAN_SIGNAL_H

#include "plan.h"

#define TF_FFT_LENGTH_MAX 32768u
#define TF_FFT_STAGES 16u
#define TF_PCAN_GAINS 125u
#define TF_LOG_BENDS 129u

typedef struct {
    uint32_t size; /* of a window */
    uint32_t shift;
} tf_window_params_t;

typedef struct {
    uint32_t length;           /* real values */
    uint32_t twiddles, halves; /* offsets of complex tables: length / 2 and length / 4 */
    uint8_t radix[TF_FFT_STAGES];
} tf_fft_params_t;

typedef struct {
    uint32_t start, end;
} tf_energy_params_t;

/* Energies that a channel shares with the one before it. */
typedef struct {
    uint16_t first, count;
} tf_band_t;

/* What of an energy counts for its band's channel, and for the next. */
typedef struct {
    int16_t rising, falling;
} tf_share_t;

typedef struct {
    uint32_t bands, shares; /* offsets of tables */
} tf_filter_bank_params_t;

typedef struct {
    uint32_t smoothing[2], one_minus_smoothing[2]; /* of even and odd channels, in 1 / 2^bits */
    uint32_t min_signal_remaining;
    uint8_t smoothing_bits;
    uint8_t bits;
    uint8_t clamping;
    uint8_t reserved;
} tf_subtraction_params_t;

typedef struct {
    uint32_t gains; /* offset of TF_PCAN_GAINS i16 */
    uint32_t snr_shift;
} tf_pcan_params_t;

typedef struct {
    uint32_t bends; /* offset of TF_LOG_BENDS u16 */
    uint32_t scale;
    uint32_t correction_bits;
} tf_log_params_t;

typedef struct {
    uint32_t size, step, kept;
    uint32_t warm_up; /* steps until the first frame is whole */
} tf_framer_params_t;

typedef struct {
    uint32_t rows;
    uint32_t left; /* how often the first row is repeated */
    uint32_t step;
} tf_stacker_params_t;

typedef struct {
    uint32_t length;
} tf_delay_params_t;

typedef struct {
    uint32_t step, frames;
} tf_overlap_add_params_t;

typedef enum {
    TF_SUM = 0,
    TF_DIFFERENCE = 1,
    TF_PRODUCT = 2,
    TF_QUOTIENT = 3,
    TF_MINIMUM = 4,
    TF_MAXIMUM = 5,
} tf_arithmetic_t;

typedef struct {
    uint32_t size[TF_DIMS_MAX], a_stride[TF_DIMS_MAX], b_stride[TF_DIMS_MAX];
    int32_t act_min, act_max;
    uint32_t kind; /* tf_arithmetic_t */
} tf_arithmetic_params_t;

static_assert(sizeof(tf_fft_params_t) == 28, "ARTIFACT.md section 4");
static_assert(sizeof(tf_subtraction_params_t) == 24, "ARTIFACT.md section 4");
static_assert(sizeof(tf_arithmetic_params_t) == 84, "ARTIFACT.md section 4");

#endif
