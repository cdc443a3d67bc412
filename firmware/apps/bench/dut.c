/* What a runner sends is coded as the reference firmwares take it: pixels as bytes, log-mel spectra as
 * floats, and the rest as the model's own input (mlcommons/tiny, benchmark/reference_submissions). */
#include "dut.h"

#include "anomaly.h"

typedef enum { CODED_AS_MODEL = 0, CODED_AS_PIXELS, CODED_AS_FLOATS } coding_t;

/* A benchmark is told by its model's shape: int8 in, int8 out. */
typedef struct {
    const char *name;
    uint32_t inputs, outputs;
    coding_t coding;
} benchmark_t;

static const benchmark_t benchmarks[] = {
    {"kws01", 490, 12, CODED_AS_MODEL},
    {"ic01", 32 * 32 * 3, 10, CODED_AS_PIXELS},
    {"vww01", 96 * 96 * 3, 2, CODED_AS_PIXELS},
    {"ad01", 640, 640, CODED_AS_FLOATS},
};

/* A scale above 2^23 or an output above 2^29 steps is no number that this protocol was made for: told as 0.
 */
enum { MANTISSA_BITS = 23, EXPONENT_OF_ONE = 127, EXPONENT_MAX = EXPONENT_OF_ONE + MANTISSA_BITS };

#define STEPS_MAX (1u << 29)
#define PIXEL_OFFSET 0x80u /* from uint8 to int8 */

static tf_mlperf_dut_t dut;
static coding_t coding;
static const uint8_t *window; /* the model's input bytes, ready for each run */
static uint32_t window_bytes;

/* Behind the input as it came: that of an anomaly is asked for again. */
static const char *prepare(const bench_t *bench, const uint8_t *input) {
    uint8_t *const ready = dut.input + dut.input_room;
    window = ready;
    window_bytes = bench->model.input.bytes;
    if (coding == CODED_AS_FLOATS) return anomaly_prepare(bench, input, ready);
    for (uint32_t i = 0; i < window_bytes; i++) ready[i] = (uint8_t)(input[i] ^ PIXEL_OFFSET);
    return NULL;
}

static const char *load(void *context, const uint8_t *input, uint32_t bytes) {
    const bench_t *const bench = context;
    if (bench->result != TF_RESULT_SUCCESS) return bench->reason;
    const uint32_t expected = bench->model.input.bytes;
    if (coding == CODED_AS_MODEL) {
        window = input;
        window_bytes = bytes;
        return bench_fits(bench, bytes) ? NULL : "The input has another size than the model's";
    }
    const uint32_t width = coding == CODED_AS_FLOATS ? (uint32_t)sizeof(float) : 1u;
    if (bytes != expected * width) return "The input has another size than the benchmark's";
    return prepare(bench, input);
}

static void infer(void *context) {
    (void)bench_infer(context, window, window_bytes);
}

/* (value - zero point) x scale in thousandths, half away from zero: the scale is a 24-bit number times a
 * power of two (IEEE 754 single). */
static int32_t thousandths(int32_t steps, uint32_t scale_bits) {
    const uint32_t exponent = scale_bits >> MANTISSA_BITS & 0xFFu;
    const uint64_t mantissa = (scale_bits & ((1u << MANTISSA_BITS) - 1u)) | 1u << MANTISSA_BITS;
    const uint32_t size = steps < 0 ? 0u - (uint32_t)steps : (uint32_t)steps;
    if (size > STEPS_MAX || exponent == 0 || exponent > EXPONENT_MAX) return 0;
    const uint32_t shift = EXPONENT_OF_ONE + MANTISSA_BITS - exponent;
    const uint64_t product = (uint64_t)size * 1000u * mantissa;
    const uint64_t rounded = shift > 63u ? 0 : (product + ((uint64_t)1 << shift >> 1)) >> shift;
    const int32_t value = rounded > INT32_MAX ? INT32_MAX : (int32_t)rounded;
    return steps < 0 ? -value : value;
}

static int32_t result(void *context, uint32_t i) {
    const bench_t *const bench = context;
    if (coding == CODED_AS_FLOATS) return anomaly_error(bench, dut.input);
    const tf_model_output_t *const spec = &bench->model.output;
    return thousandths(tf_model_value(&bench->model, bench->port->arena, i) - spec->zero_point,
                       spec->scale_bits);
}

static const benchmark_t *benchmark_of(const tf_model_t *model) {
    for (uint32_t i = 0; i < sizeof benchmarks / sizeof benchmarks[0]; i++) {
        const benchmark_t *const one = &benchmarks[i];
        if (model->input.values == one->inputs && model->output.values == one->outputs &&
            model->input.type == TF_VALUE_INT8 && model->output.type == TF_VALUE_INT8 &&
            model->state_count == 0) {
            return one;
        }
    }
    return NULL;
}

const tf_mlperf_dut_t *dut_of(bench_t *bench) {
    const tf_bench_port_t *const port = bench->port;
    dut = (tf_mlperf_dut_t){
        .context = bench,
        .write = port->write,
        .vendor = "tinyfleet",
        .model = tf_text("none"),
        .now_us = port->now_us,
        .edge = dut_mode.energy ? port->edge : NULL,
        .load = load,
        .infer = infer,
        .result = result,
    };
    if (bench->result != TF_RESULT_SUCCESS) return &dut;
    const benchmark_t *const benchmark = benchmark_of(&bench->model);
    coding = benchmark == NULL ? CODED_AS_MODEL : benchmark->coding;
    dut.model = benchmark == NULL ? bench->model.name : tf_text(benchmark->name);
    dut.results = coding == CODED_AS_FLOATS ? 1 : bench->model.output.values;
    const uint32_t ready_bytes = coding == CODED_AS_MODEL ? 0 : bench->model.input.bytes;
    dut.input = bench->spare;
    dut.input_room = bench->spare_bytes > ready_bytes ? bench->spare_bytes - ready_bytes : 0;
    return &dut;
}
