/* Answers to frames (SPEC section 9). */
#include <string.h>

#include "bench.h"
#include "tinyfleet/wire.h"

enum { HELLO_BYTES = 192 };

static tf_frame_writer_t writer;

static void reply(const bench_t *bench, uint8_t type, uint8_t seq, const void *first, uint32_t first_bytes,
                  const void *rest, uint32_t rest_bytes) {
    tf_frame_begin(&writer, bench->port->write, type, seq);
    tf_frame_put(&writer, first, first_bytes);
    tf_frame_put(&writer, rest, rest_bytes);
    tf_frame_end(&writer);
}

static void say_no(const bench_t *bench, const tf_frame_t *request, tf_result_t result, const char *text) {
    const uint8_t code = (uint8_t)result;
    reply(bench, TF_FRAME_TYPE_ERROR, request->seq, &code, 1, text, (uint32_t)strlen(text));
}

static void hello(const bench_t *bench, const tf_frame_t *request) {
    const bool runs = bench->result == TF_RESULT_SUCCESS;
    tf_hello_t message = {
        .app = tf_text("bench " TINYFLEET_VERSION),
        .device_type = tf_text(bench->port->device_type),
        .has_model = bench->has_image,
        .input_bytes = runs ? bench->model.input.bytes : 0,
        .output_bytes = runs ? bench->model.output_bytes : 0,
        .golden = bench->window_count,
        .arena_bytes = bench->port->arena_bytes,
        .abi = TF_RUNTIME_ABI,
        .core = (tf_core_variant_t)tf_runtime_core(),
    };
    if (bench->has_image) {
        memcpy(message.model, bench->image, sizeof message.model);
        message.version = tf_text(bench->version);
    }
    uint8_t body[HELLO_BYTES];
    const uint32_t length = tf_encode_hello(&message, body, sizeof body);
    reply(bench, TF_FRAME_TYPE_HELLO | TF_FRAME_REPLY, request->seq, body, length, body, 0);
}

static void infer(const bench_t *bench, const tf_frame_t *request, const uint8_t *window, uint32_t bytes) {
    const uint32_t us = bench_infer(bench, window, bytes);
    const uint8_t duration[4] = {(uint8_t)us, (uint8_t)(us >> 8), (uint8_t)(us >> 16), (uint8_t)(us >> 24)};
    reply(bench, request->type | TF_FRAME_REPLY, request->seq, duration, sizeof duration, bench_output(bench),
          bench->model.output_bytes);
}

static void answer_infer(const bench_t *bench, const tf_frame_t *request) {
    if (!bench_fits(bench, request->length)) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH,
               "the window has another size than the model's input");
        return;
    }
    infer(bench, request, request->body, request->length);
}

static void answer_golden(const bench_t *bench, const tf_frame_t *request) {
    if (request->length != 2) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH, "GOLDEN takes an index of two bytes");
        return;
    }
    const uint32_t index = request->body[0] | (uint32_t)request->body[1] << 8;
    const uint8_t *const window = bench_window(bench, index);
    if (window == NULL) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH, "no stored window with that index fits the model");
        return;
    }
    infer(bench, request, window, bench->window_bytes);
}

void bench_answer(const bench_t *bench, const tf_frame_t *request) {
    if (request->type == TF_FRAME_TYPE_HELLO) {
        hello(bench, request);
    } else if (request->type != TF_FRAME_TYPE_INFER && request->type != TF_FRAME_TYPE_GOLDEN) {
        say_no(bench, request, TF_RESULT_UNSUPPORTED_PROTOCOL, "no such request");
    } else if (bench->result != TF_RESULT_SUCCESS) {
        say_no(bench, request, bench->result, bench->reason);
    } else if (request->type == TF_FRAME_TYPE_INFER) {
        answer_infer(bench, request);
    } else {
        answer_golden(bench, request);
    }
}
