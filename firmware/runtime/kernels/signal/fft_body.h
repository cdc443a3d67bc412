/* The FFT for one width of scalar. A file that includes this has defined real_t (int16_t, int32_t), wide_t
 * (twice as wide), its unsigned form bits_t, and FRACTION (15, 31): every product is taken back to a real_t
 * by one rounding, and sums wrap, exactly where kissfft rounds and wraps. kissfft recurses; this permutes
 * first and then works upwards, which does the same sums.
 *
 * Everything happens in the output: no scratch. */
#include "fft.h"

typedef struct {
    real_t r, i;
} complex_t;

static inline real_t add(real_t a, real_t b) {
    return (real_t)((uint32_t)a + (uint32_t)b);
}

static inline real_t sub(real_t a, real_t b) {
    return (real_t)((uint32_t)a - (uint32_t)b);
}

/* Wraps: a table from outside may hold what no twiddle is. */
static inline real_t rounded(bits_t x) {
    return (real_t)((wide_t)(x + ((bits_t)1 << (FRACTION - 1))) >> FRACTION);
}

static inline bits_t product(real_t a, real_t b) {
    return (bits_t)((wide_t)a * b);
}

static inline real_t mul(real_t a, real_t b) {
    return rounded(product(a, b));
}

/* Halves round down. The sum of two 16-bit values does not wrap before it is halved; that of 32-bit ones
 * does. */
static inline real_t half_sum(real_t a, real_t b) {
    return (real_t)((int32_t)((uint32_t)a + (uint32_t)b) >> 1);
}

static inline real_t half_difference(real_t a, real_t b) {
    return (real_t)((int32_t)((uint32_t)a - (uint32_t)b) >> 1);
}

static inline complex_t plus(complex_t a, complex_t b) {
    return (complex_t){add(a.r, b.r), add(a.i, b.i)};
}

static inline complex_t minus(complex_t a, complex_t b) {
    return (complex_t){sub(a.r, b.r), sub(a.i, b.i)};
}

static inline complex_t times(complex_t a, complex_t b) {
    return (complex_t){rounded(product(a.r, b.r) - product(a.i, b.i)),
                       rounded(product(a.r, b.i) + product(a.i, b.r))};
}

static inline complex_t conjugate(complex_t a) {
    return (complex_t){a.r, sub(0, a.i)};
}

static inline complex_t divided(complex_t a, int32_t by) {
    const real_t part = (real_t)((((wide_t)1 << FRACTION) - 1) / by);
    return (complex_t){mul(a.r, part), mul(a.i, part)};
}

/* A stage joins `m` values of each of its radix's parts; `step` is how far its twiddles lie apart. */
static void radix2(complex_t *x, const complex_t *twiddles, uint32_t step, uint32_t m) {
    for (uint32_t k = 0; k < m; k++) {
        const complex_t a = divided(x[k], 2);
        const complex_t b = times(divided(x[k + m], 2), twiddles[k * step]);
        x[k] = plus(a, b);
        x[k + m] = minus(a, b);
    }
}

static void radix3(complex_t *x, const complex_t *twiddles, uint32_t step, uint32_t m) {
    const real_t third = twiddles[step * m].i;
    for (uint32_t k = 0; k < m; k++) {
        const complex_t a = divided(x[k], 3);
        const complex_t b = times(divided(x[k + m], 3), twiddles[k * step]);
        const complex_t c = times(divided(x[k + 2 * m], 3), twiddles[2 * k * step]);
        const complex_t sum = plus(b, c);
        const complex_t turned = {mul(sub(b.r, c.r), third), mul(sub(b.i, c.i), third)};
        const complex_t middle = {sub(a.r, (real_t)(sum.r >> 1)), sub(a.i, (real_t)(sum.i >> 1))};
        x[k] = plus(a, sum);
        x[k + 2 * m] = (complex_t){add(middle.r, turned.i), sub(middle.i, turned.r)};
        x[k + m] = (complex_t){sub(middle.r, turned.i), add(middle.i, turned.r)};
    }
}

static void radix4(complex_t *x, const complex_t *twiddles, uint32_t step, uint32_t m, bool inverse) {
    for (uint32_t k = 0; k < m; k++) {
        const complex_t a = divided(x[k], 4);
        const complex_t b = times(divided(x[k + m], 4), twiddles[k * step]);
        const complex_t c = times(divided(x[k + 2 * m], 4), twiddles[2 * k * step]);
        const complex_t d = times(divided(x[k + 3 * m], 4), twiddles[3 * k * step]);
        const complex_t even = plus(a, c);
        const complex_t odd = plus(b, d);
        const complex_t e = minus(a, c);
        const complex_t o = minus(b, d);
        const complex_t left = {add(e.r, o.i), sub(e.i, o.r)};
        const complex_t right = {sub(e.r, o.i), add(e.i, o.r)};
        x[k] = plus(even, odd);
        x[k + 2 * m] = minus(even, odd);
        x[k + m] = inverse ? right : left;
        x[k + 3 * m] = inverse ? left : right;
    }
}

static void radix5(complex_t *x, const complex_t *twiddles, uint32_t step, uint32_t m) {
    const complex_t ya = twiddles[step * m];
    const complex_t yb = twiddles[2 * step * m];
    for (uint32_t k = 0; k < m; k++) {
        const complex_t a = divided(x[k], 5);
        const complex_t b = times(divided(x[k + m], 5), twiddles[k * step]);
        const complex_t c = times(divided(x[k + 2 * m], 5), twiddles[2 * k * step]);
        const complex_t d = times(divided(x[k + 3 * m], 5), twiddles[3 * k * step]);
        const complex_t e = times(divided(x[k + 4 * m], 5), twiddles[4 * k * step]);
        const complex_t outer = plus(b, e);
        const complex_t outer_gap = minus(b, e);
        const complex_t inner = plus(c, d);
        const complex_t inner_gap = minus(c, d);
        const complex_t p = {add(a.r, add(mul(outer.r, ya.r), mul(inner.r, yb.r))),
                             add(a.i, add(mul(outer.i, ya.r), mul(inner.i, yb.r)))};
        const complex_t q = {add(mul(outer_gap.i, ya.i), mul(inner_gap.i, yb.i)),
                             sub(sub(0, mul(outer_gap.r, ya.i)), mul(inner_gap.r, yb.i))};
        const complex_t s = {add(a.r, add(mul(outer.r, yb.r), mul(inner.r, ya.r))),
                             add(a.i, add(mul(outer.i, yb.r), mul(inner.i, ya.r)))};
        const complex_t t = {sub(mul(inner_gap.i, ya.i), mul(outer_gap.i, yb.i)),
                             sub(mul(outer_gap.r, yb.i), mul(inner_gap.r, ya.i))};
        x[k] = plus(a, plus(outer, inner));
        x[k + m] = minus(p, q);
        x[k + 2 * m] = plus(s, t);
        x[k + 3 * m] = minus(s, t);
        x[k + 4 * m] = plus(p, q);
    }
}

/* All stages over values that stand in permuted order. */
static void transform(const tf_fft_t *fft, complex_t *x, bool inverse) {
    const complex_t *const twiddles = fft->twiddles;
    const uint32_t size = fft->params->length / 2;
    uint32_t stages = 0;
    while (stages < TF_FFT_STAGES && fft->params->radix[stages] != 0) stages++;
    for (uint32_t m = 1; stages-- > 0;) {
        const uint32_t radix = fft->params->radix[stages];
        const uint32_t step = size / (m * radix);
        for (uint32_t block = 0; block < size; block += m * radix) {
            if (radix == 4) {
                radix4(x + block, twiddles, step, m, inverse);
            } else if (radix == 2) {
                radix2(x + block, twiddles, step, m);
            } else if (radix == 3) {
                radix3(x + block, twiddles, step, m);
            } else {
                radix5(x + block, twiddles, step, m);
            }
        }
        m *= radix;
    }
}

/* Which value comes where before the first stage: mixed-radix digits, read backwards. */
typedef struct {
    const uint8_t *radix;
    uint32_t digit[TF_FFT_STAGES], stride[TF_FFT_STAGES];
    uint32_t stages;
    uint32_t from;
} order_t;

static void begin(order_t *order, const tf_fft_params_t *params) {
    order->radix = params->radix;
    order->stages = 0;
    order->from = 0;
    for (uint32_t stride = 1; order->stages < TF_FFT_STAGES && params->radix[order->stages] != 0;) {
        order->digit[order->stages] = 0;
        order->stride[order->stages] = stride;
        stride *= params->radix[order->stages++];
    }
}

static void advance(order_t *order) {
    for (uint32_t s = order->stages; s-- > 0;) {
        order->from += order->stride[s];
        if (++order->digit[s] < order->radix[s]) return;
        order->digit[s] = 0;
        order->from -= order->stride[s] * order->radix[s];
    }
}

/* The spectrum of real values from that of half as many complex ones, in place. */
static void untangle(const tf_fft_t *fft, complex_t *x) {
    const complex_t *const halves = fft->halves;
    const uint32_t size = fft->params->length / 2;
    const complex_t dc = divided(x[0], 2);
    x[0] = (complex_t){add(dc.r, dc.i), 0};
    x[size] = (complex_t){sub(dc.r, dc.i), 0};
    for (uint32_t k = 1; k <= size / 2; k++) {
        const complex_t a = divided(x[k], 2);
        const complex_t b = divided(conjugate(x[size - k]), 2);
        const complex_t sum = plus(a, b);
        const complex_t turned = times(minus(a, b), halves[k - 1]);
        x[k] = (complex_t){half_sum(sum.r, turned.r), half_sum(sum.i, turned.i)};
        x[size - k] = (complex_t){half_difference(sum.r, turned.r), half_difference(turned.i, sum.i)};
    }
}

/* Value k of the complex spectrum that `untangle` would have made this one of. */
static complex_t tangled(const tf_fft_t *fft, const complex_t *spectrum, uint32_t k) {
    const uint32_t size = fft->params->length / 2;
    if (k == 0) {
        const complex_t dc = {add(spectrum[0].r, spectrum[size].r), sub(spectrum[0].r, spectrum[size].r)};
        return divided(dc, 2);
    }
    const bool upper = k >= size - k;
    const uint32_t low = upper ? size - k : k;
    const complex_t a = divided(spectrum[low], 2);
    const complex_t b = divided(conjugate(spectrum[size - low]), 2);
    const complex_t turned = times(minus(a, b), ((const complex_t *)fft->halves)[low - 1]);
    return upper ? conjugate(minus(plus(a, b), turned)) : plus(plus(a, b), turned);
}

static void forward(const tf_fft_t *fft, const real_t *samples, uint32_t given, complex_t *x) {
    const uint32_t size = fft->params->length / 2;
    order_t order;
    begin(&order, fft->params);
    for (uint32_t i = 0; i < size; i++, advance(&order)) {
        const uint32_t at = 2 * order.from;
        x[i].r = at < given ? samples[at] : 0;
        x[i].i = at + 1 < given ? samples[at + 1] : 0;
    }
    transform(fft, x, false);
    untangle(fft, x);
}

static void backward(const tf_fft_t *fft, const complex_t *spectrum, complex_t *x) {
    const uint32_t size = fft->params->length / 2;
    order_t order;
    begin(&order, fft->params);
    for (uint32_t i = 0; i < size; i++, advance(&order)) x[i] = tangled(fft, spectrum, order.from);
    transform(fft, x, true);
}
