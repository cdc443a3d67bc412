/* Any bytes as a plan: it is refused, or it loads and all that a node does with a model stays inside payload
 * and arena. The sanitizers see what does not. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <sanitizer/asan_interface.h>

#include "kernel.h"
#include "tinyfleet/runtime.h"

enum {
    PAYLOAD_MAX = 1 << 16,
    ARENA_MAX = 1 << 16,
    RUNS = 2,
    VECTORS = 2, /* of those a plan has */
    STEPS_MAX = 16,
};

/* A plan may ask for more work than a fuzzer has time for: on a node the watchdog ends its trial. Only
 * windows may multiply work; all other ops are bound to their tensors' elements, and a time-out is a finding.
 */
#define MACS_MAX (1u << 22)

static unsigned long tried, loaded, heavy;
static unsigned long ran[256][2]; /* by op code; plain, packed */

/* Of the exact size and on its own, so that one byte beyond is seen. */
static void *room(size_t bytes) {
    void *start = NULL;
    if (posix_memalign(&start, TF_PLAN_ALIGN, bytes ? bytes : 1) != 0) abort();
    return start;
}

static uint64_t macs_of(const tf_call_t *call) {
    const uint64_t outputs = tf_elements(tf_operand(call, call->op->inputs));
    const tf_tensor_t *const x = tf_operand(call, 0);
    switch (call->op->code) {
        case TF_OP_CONV_2D:
        case TF_OP_DEPTHWISE_CONV_2D: {
            const tf_conv_params_t *const p = call->params;
            return outputs * p->kernel_h * p->kernel_w * p->depth;
        }
        case TF_OP_TRANSPOSE_CONV: {
            const tf_conv_params_t *const p = call->params;
            const tf_tensor_t *const y = tf_operand(call, call->op->inputs);
            return (uint64_t)tf_elements(x) * p->kernel_h * p->kernel_w * y->dims[3];
        }
        case TF_OP_FULLY_CONNECTED: {
            const tf_fully_connected_params_t *const p = call->params;
            return outputs * p->depth;
        }
        case TF_OP_BATCH_MATMUL: {
            const tf_matmul_params_t *const p = call->params;
            return outputs * p->depth;
        }
        case TF_OP_AVERAGE_POOL_2D:
        case TF_OP_MAX_POOL_2D: {
            const tf_pool_params_t *const p = call->params;
            return outputs * p->kernel_h * p->kernel_w;
        }
        default:
            return 0;
    }
}

/* Whether one run of it is small enough to be tried. */
static bool is_light(const tf_model_t *model) {
    uint64_t macs = 0;
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) macs += macs_of(&call);
    return model->arena_bytes <= ARENA_MAX && macs <= MACS_MAX;
}

static void count_ops(const tf_model_t *model) {
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) ran[call.op->code][call.op->variant != 0]++;
}

static void read_texts(const tf_model_t *model) {
    const char *text;
    uint32_t length;
    if (tf_model_name(model, &text, &length)) fuzz_touch(text, length);
    fuzz_touch(model->version.text, model->version.length);
    fuzz_touch(model->sensor.text, model->sensor.length);
    fuzz_touch(model->unit.text, model->unit.length);
    for (uint32_t i = 0; i < tf_model_label_count(model); i++) {
        if (!tf_model_label(model, i, &text, &length)) abort();
        fuzz_touch(text, length);
    }
}

static void write_inputs(const tf_model_t *model, uint8_t *arena, uint8_t first) {
    uint8_t *input;
    uint32_t bytes;
    for (uint32_t i = 0; (input = tf_model_input_at(model, arena, i, &bytes)) != NULL; i++) {
        for (uint32_t k = 0; k < bytes; k++) input[k] = (uint8_t)(first + k * 37);
    }
}

static uint32_t read_outputs(const tf_model_t *model, const uint8_t *arena) {
    const uint8_t *output;
    uint32_t bytes;
    uint32_t sum = 2166136261u;
    for (uint32_t i = 0; (output = tf_model_output_at(model, arena, i, &bytes)) != NULL; i++) {
        for (uint32_t k = 0; k < bytes; k++) sum = (sum ^ output[k]) * 16777619u;
    }
    const uint32_t best = tf_model_greatest(model, arena, model->output.values);
    sum += tf_model_score(model, tf_model_value(model, arena, best));
    for (int32_t q = INT8_MIN; q <= INT8_MAX; q += 17) sum += tf_model_score(model, q * 8388607);
    return sum;
}

static void run(const tf_model_t *model, uint8_t *arena) {
    if (tf_model_run(model, arena, model->arena_bytes) != TF_MODEL_OK) abort();
}

/* As tf_model_run, with all of the arena out of bounds but the tensors of the op that runs. */
static void run_guarded(const tf_model_t *model, uint8_t *arena) {
    tf_call_t call;
    for (uint32_t at = 0; tf_next_op(model, &at, &call);) {
        ASAN_POISON_MEMORY_REGION(arena, model->arena_bytes);
        const uint32_t operands = (uint32_t)call.op->inputs + call.op->outputs + call.op->temps;
        for (uint32_t i = 0; i < operands; i++) {
            const tf_tensor_t *const t = tf_operand(&call, i);
            if (t->place != TF_PLACE_CONSTANT) {
                ASAN_UNPOISON_MEMORY_REGION(arena + t->offset, tf_tensor_bytes(t));
            }
        }
        tf_run_op(&call, arena);
        ASAN_UNPOISON_MEMORY_REGION(arena, model->arena_bytes);
    }
}

/* A model is a function of its plan, its arena and its inputs: nothing is kept anywhere else. */
static uint32_t answers(const tf_model_t *model, uint8_t *arena) {
    memset(arena, 0x55, model->arena_bytes);
    tf_model_reset(model, arena);
    uint32_t sum = 0;
    for (uint8_t i = 0; i < RUNS; i++) {
        write_inputs(model, arena, i);
        run_guarded(model, arena);
        sum = sum * 31 + read_outputs(model, arena);
    }
    return sum;
}

static void use(const tf_model_t *model) {
    uint8_t *const arena = room(model->arena_bytes);
    if (answers(model, arena) != answers(model, arena)) abort();
    int16_t *const raw = room(model->input.values * sizeof(int16_t));
    for (uint32_t i = 0; i < model->input.values; i++) raw[i] = (int16_t)(i * 2749);
    tf_model_quantize(model, raw, tf_model_input(model, arena));
    free(raw);
    run(model, arena);
    for (uint32_t i = 0; i < VECTORS; i++) {
        const uint8_t *input, *output;
        for (uint32_t step = 0; tf_model_vector(model, i, step, &input, &output); step++) {
            fuzz_touch(input, model->all_input_bytes);
            fuzz_touch(output, model->all_output_bytes);
        }
        if (model->vector_steps > STEPS_MAX) continue;
        (void)tf_model_vector_passes(model, arena, model->arena_bytes, i);
        for (uint32_t step = 0; tf_model_begin_step(model, arena, i, step); step++) {
            run(model, arena);
            (void)tf_model_step_passes(model, arena, i, step);
        }
    }
    count_ops(model);
    free(arena);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size > PAYLOAD_MAX) return 0;
    uint8_t *const payload = room(size);
    memcpy(payload, data, size);
    tf_model_t model;
    tried++;
    if (tf_model_load(&model, payload, (uint32_t)size) == TF_MODEL_OK) {
        loaded++;
        read_texts(&model);
        if (is_light(&model)) {
            use(&model);
        } else {
            heavy++;
        }
    }
    if (memcmp(payload, data, size) != 0) abort(); /* it is in flash */
    free(payload);
    return 0;
}

void fuzz_report(void) {
    printf("fuzz: plans tried %lu, loaded %lu, too heavy to run %lu; ops run (packed):", tried, loaded,
           heavy);
    for (uint32_t code = 0; code < 256; code++) {
        if (ran[code][0] + ran[code][1] == 0) continue;
        printf(" %u:%lu", (unsigned)code, ran[code][0]);
        if (ran[code][1] != 0) printf("(%lu)", ran[code][1]);
    }
    printf("\n");
}
