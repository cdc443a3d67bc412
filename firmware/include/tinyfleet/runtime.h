/* Runtime of compiled models: loads a plan, checks every offset once, runs it in a caller's arena.
 *
 * No allocation, no recursion, no globals: two models can live side by side. The payload stays where it is
 * (flash) and must outlive the model. Format: wire/ARTIFACT.md. */
#ifndef TINYFLEET_RUNTIME_H
#define TINYFLEET_RUNTIME_H

#include <stdbool.h>
#include <stdint.h>

#include "tinyfleet/text.h"

#define TF_RUNTIME_ABI 2u

/* Why a plan was refused or a run stopped; `where` in tf_model says the byte offset or the op index. */
typedef enum {
    TF_MODEL_OK = 0,
    TF_MODEL_MALFORMED = 1, /* an offset, size, shape or table does not add up; where: byte offset */
    TF_MODEL_ABI = 2,       /* another runtime ABI; where: byte offset */
    TF_MODEL_CORE = 3,      /* packed for a core this build cannot run; where: byte offset */
    TF_MODEL_OP = 4,        /* an op this build does not have; where: op index */
    TF_MODEL_ARENA = 5,     /* the caller's arena is smaller than the plan needs, or not 16-byte aligned */
} tf_model_status_t;

/* Type of the values of an input or output. */
typedef enum { TF_VALUE_INT8 = 0, TF_VALUE_INT16 = 1, TF_VALUE_INT32 = 2 } tf_value_type_t;

/* Input as the plan describes it. A raw sensor value r becomes
 * zero_point + multiply_by_quantized_multiplier(r, raw_multiplier, raw_shift), clamped to the input's type.
 */
typedef struct {
    uint32_t bytes;
    uint32_t values;
    uint8_t type; /* tf_value_type_t */
    int32_t zero_point;
    int32_t raw_multiplier; /* 0: the model takes no raw sensor values */
    int32_t raw_shift;
    uint32_t rate_mhz; /* sample rate in millihertz */
    uint32_t samples;  /* a window */
    uint16_t channels;
    uint32_t scale_bits; /* real value of a step, an IEEE 754 single; 0: not said */
} tf_model_input_t;

/* What an output value means: real value = (value - zero_point) x scale; tf_model_score gives it in 1/256. */
typedef enum {
    TF_OUTPUT_CLASSES = 0,
    TF_OUTPUT_SCORE = 1,
    TF_OUTPUT_VALUE = 2,
    TF_OUTPUT_DETECTIONS = 3,
    TF_OUTPUT_RAW = 4,
} tf_output_kind_t;

typedef struct {
    int32_t zero_point;
    int32_t score_multiplier;
    int32_t score_shift;
    uint8_t kind; /* tf_output_kind_t */
    uint8_t type; /* tf_value_type_t */
    uint32_t values;
    uint32_t scale_bits; /* as of the input */
} tf_model_output_t;

/* What tf_model_load found; all but `where` is valid only after TF_MODEL_OK. */
typedef struct tf_model {
    const uint8_t *payload;
    uint32_t size;
    uint32_t where;
    uint32_t arena_bytes;
    uint32_t op_count;
    tf_model_input_t input; /* the first of each; they are what metadata and scores are about */
    tf_model_output_t output;
    uint32_t output_bytes;
    uint32_t input_count, output_count;
    uint32_t all_input_bytes, all_output_bytes;
    uint32_t vector_count; /* golden vectors stored in the plan */
    uint32_t vector_steps; /* runs of each, from reset */
    uint32_t state_count;  /* tensors that keep their values between runs */
    tf_text_t name, version, sensor, unit;

    /* Byte offsets into the payload, for the runtime's own use. */
    uint32_t labels_at, label_count;
    uint32_t tensors_at, tensor_count;
    uint32_t ops_at, ops_bytes;
    uint32_t constants_at, constants_bytes;
    uint32_t vectors_at;
    uint32_t states_at;
    uint32_t inputs_at, outputs_at;
} tf_model_t;

/* Checks the whole plan; afterwards running it reads nothing outside payload and arena. The payload is
 * 16-byte aligned. */
tf_model_status_t tf_model_load(tf_model_t *model, const uint8_t *payload, uint32_t size);

/* Puts the state of a streaming model to its beginning: before the first run in an arena, and wherever the
 * stream begins anew. A model without state needs none. The arena has at least arena_bytes and is 16-byte
 * aligned. */
void tf_model_reset(const tf_model_t *model, uint8_t *arena);

/* Runs one inference. The input must have been written to tf_model_input() since the last run, which reuses
 * its memory; arena is 16-byte aligned. What the model remembers between two runs stays in the arena. */
tf_model_status_t tf_model_run(const tf_model_t *model, uint8_t *arena, uint32_t arena_bytes);

/* Where the values of the first input and output are, of the types the model says. */
void *tf_model_input(const tf_model_t *model, uint8_t *arena);
const void *tf_model_output(const tf_model_t *model, const uint8_t *arena);

/* Input or output i of a model that has several, and its bytes; NULL behind the last. */
void *tf_model_input_at(const tf_model_t *model, uint8_t *arena, uint32_t i, uint32_t *bytes);
const void *tf_model_output_at(const tf_model_t *model, const uint8_t *arena, uint32_t i, uint32_t *bytes);

/* Quantises a raw sensor window (i16, as many values as the input has) into the input tensor. */
void tf_model_quantize(const tf_model_t *model, const int16_t *raw, void *input);

/* Value i of the first output, below output.values; whichever is the greatest, the first of equals, among the
 * first `count` (at least 1, at most output.values). */
int32_t tf_model_value(const tf_model_t *model, const uint8_t *arena, uint32_t i);
uint32_t tf_model_greatest(const tf_model_t *model, const uint8_t *arena, uint32_t count);

/* Real value of an output value in 1/256, 0..255: what telemetry calls the score. */
uint8_t tf_model_score(const tf_model_t *model, int32_t output);

/* Step `step` of golden vector i: input bytes and the output they must give, of all inputs and outputs, one
 * behind the other. False behind the last. */
bool tf_model_vector(const tf_model_t *model, uint32_t i, uint32_t step, const uint8_t **input,
                     const uint8_t **output);

/* Writes a step of golden vector i into the inputs, its first after a reset; after a run, whether every
 * output is as it must be. False without such a step. */
bool tf_model_begin_step(const tf_model_t *model, uint8_t *arena, uint32_t i, uint32_t step);
bool tf_model_step_passes(const tf_model_t *model, const uint8_t *arena, uint32_t i, uint32_t step);

/* Runs all steps of golden vector i: whether all pass. None does in an arena that is too small. */
bool tf_model_vector_passes(const tf_model_t *model, uint8_t *arena, uint32_t arena_bytes, uint32_t i);

/* Human name from the metadata; length out, not NUL-terminated. Label i likewise. */
bool tf_model_name(const tf_model_t *model, const char **text, uint32_t *length);
bool tf_model_label(const tf_model_t *model, uint32_t i, const char **text, uint32_t *length);
uint32_t tf_model_label_count(const tf_model_t *model);

/* Bitmap of the op codes this build runs (32 bytes), as birth reports it, its CoreVariant (SPEC section 4),
 * and bit n for each CoreVariant n whose plans it runs. */
void tf_runtime_ops(uint8_t bitmap[32]);
/* The op codes that a loaded plan uses, likewise. */
void tf_model_ops(const tf_model_t *model, uint8_t bitmap[32]);
uint8_t tf_runtime_core(void);
uint8_t tf_runtime_cores(void);

#endif
