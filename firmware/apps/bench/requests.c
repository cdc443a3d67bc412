/* Answers to frames (SPEC section 9). */
#include <string.h>

#include "bench.h"
#include "dut.h"
#include "tinyfleet/wire.h"

enum { HELLO_BYTES = 288, RESULT_HEAD_BYTES = 8, DIGEST_BYTES = 32, WORD_BYTES = 4, HALF_THE_NUMBERS = 128 };

#define OUTPUT_MAX (TF_FRAME_BODY_MAX - RESULT_HEAD_BYTES)

static tf_frame_writer_t writer;

static void reply(const bench_t *bench, uint8_t type, uint8_t seq, const void *first, uint32_t first_bytes,
                  const void *rest, uint32_t rest_bytes) {
    tf_frame_begin(&writer, bench->port->write, type, seq);
    tf_frame_put(&writer, first, first_bytes);
    tf_frame_put(&writer, rest, rest_bytes);
    tf_frame_end(&writer);
}

static void put_word(uint8_t *to, uint32_t value) {
    for (uint32_t i = 0; i < WORD_BYTES; i++) to[i] = (uint8_t)(value >> 8 * i);
}

static uint32_t word_of(const uint8_t *from) {
    return from[0] | (uint32_t)from[1] << 8 | (uint32_t)from[2] << 16 | (uint32_t)from[3] << 24;
}

static void reply_words(const bench_t *bench, const tf_frame_t *request, uint32_t first, uint32_t second,
                        uint32_t count) {
    uint8_t words[2 * WORD_BYTES];
    put_word(words, first);
    put_word(words + WORD_BYTES, second);
    reply(bench, request->type | TF_FRAME_REPLY, request->seq, words, count * WORD_BYTES, words, 0);
}

static void say_no(const bench_t *bench, const tf_frame_t *request, tf_result_t result, const char *text) {
    const uint8_t code = (uint8_t)result;
    reply(bench, TF_FRAME_TYPE_ERROR, request->seq, &code, 1, text, (uint32_t)strlen(text));
}

static void hello(bench_t *bench, const tf_frame_t *request) {
    bench->job.type = 0;
    const bool runs = bench->result == TF_RESULT_SUCCESS;
    uint8_t ops[TF_HELLO_OPS_MAX];
    tf_runtime_ops(ops);
    tf_hello_t message = {
        .app = tf_text("bench " TINYFLEET_VERSION),
        .device_type = tf_text(bench->port->device_type),
        .has_model = bench->has_image,
        .input_bytes = runs ? bench->model.input.bytes : 0,
        .output_bytes = runs ? bench->model.output_bytes : 0,
        .golden = bench->set.windows,
        .arena_bytes = bench->port->arena_bytes,
        .abi = TF_RUNTIME_ABI,
        .core = (tf_core_variant_t)tf_runtime_core(),
        .has_window_bytes = true,
        .window_bytes = bench->port->line_bytes,
        .has_golden_bytes = true,
        .golden_bytes = golden_room(bench->port->golden),
        .has_golden_set = bench->set.windows != 0,
        .has_load_bytes = true,
        .load_bytes = bench->spare_bytes,
        .has_emulated = true,
        .emulated = bench->port->emulated,
        .ops = {ops, sizeof ops},
    };
    memcpy(message.golden_set, bench->set.digest, sizeof message.golden_set);
    if (bench->has_image) {
        memcpy(message.model, bench->image, sizeof message.model);
        message.version = tf_text(bench->version);
    }
    uint8_t body[HELLO_BYTES];
    const uint32_t length = tf_encode_hello(&message, body, sizeof body);
    reply(bench, request->type | TF_FRAME_REPLY, request->seq, body, length, body, 0);
}

/* In the build for a meter an edge before and an edge behind: what lies between is the inference alone. */
static uint32_t marked_infer(const bench_t *bench, const uint8_t *window, uint32_t bytes) {
    if (dut_mode.energy) bench->port->edge();
    const uint32_t duration_us = bench_infer(bench, window, bytes);
    if (dut_mode.energy) bench->port->edge();
    return duration_us;
}

static void infer(bench_t *bench, const tf_frame_t *request, const uint8_t *window, uint32_t bytes) {
    uint8_t duration[WORD_BYTES];
    put_word(duration, marked_infer(bench, window, bytes));
    reply(bench, request->type | TF_FRAME_REPLY, request->seq, duration, sizeof duration, bench_output(bench),
          bench->model.output_bytes);
}

static void answer_infer(bench_t *bench, const tf_frame_t *request) {
    if (!bench_fits(bench, request->length)) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH,
               "the window has another size than the model's input");
        return;
    }
    infer(bench, request, request->body, request->length);
}

static void answer_golden(bench_t *bench, const tf_frame_t *request) {
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
    infer(bench, request, window, bench->set.window_bytes);
}

/* Pieces come in order, or this would not be called; offset 0 begins anew. */
static void answer_load(bench_t *bench, const tf_frame_t *request) {
    const uint32_t offset = request->length > WORD_BYTES ? word_of(request->body) : UINT32_MAX;
    const uint32_t length = request->length - WORD_BYTES;
    if (offset == 0) bench->loaded = 0;
    if (offset != bench->loaded || length > bench->spare_bytes - offset) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH, "no room for these bytes, or not the next ones");
        return;
    }
    memcpy(bench->spare + offset, request->body + WORD_BYTES, length);
    bench->loaded += length;
    reply_words(bench, request, bench->loaded, 0, 1);
}

static void answer_run(bench_t *bench, const tf_frame_t *request) {
    const uint32_t runs = request->length == WORD_BYTES ? word_of(request->body) : 0;
    if (runs == 0 || !bench_fits(bench, bench->loaded)) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH,
               "RUN takes how many times (u32, not 0), of an input that was loaded whole");
        return;
    }
    bench->job = (bench_job_t){request->type, request->seq, 0, runs};
}

static void answer_sweep(bench_t *bench, const tf_frame_t *request) {
    const bool whole = request->length == 2 * WORD_BYTES;
    const uint32_t first = whole ? word_of(request->body) : 0;
    const uint32_t count = whole ? word_of(request->body + WORD_BYTES) : 0;
    if (count == 0 || count > bench->set.windows || bench_window(bench, first) == NULL ||
        first > bench->set.windows - count) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH,
               "SWEEP takes first and count (u32) of the selected set's windows that fit the model");
        return;
    }
    bench->job = (bench_job_t){request->type, request->seq, first, first + count};
}

static void answer_select(bench_t *bench, const tf_frame_t *request) {
    if (request->length != DIGEST_BYTES) {
        say_no(bench, request, TF_RESULT_INPUT_MISMATCH, "SELECT takes a digest");
        return;
    }
    golden_set_t set;
    if (golden_find(bench->port->golden, request->body, &set)) bench->set = set;
    reply_words(bench, request, set.windows, set.window_bytes, 2);
}

static void answer_stored(bench_t *bench, const tf_frame_t *request, tf_result_t result, uint32_t number) {
    if (result == TF_RESULT_SUCCESS) {
        reply_words(bench, request, number, 0, 1);
    } else if (result == TF_RESULT_NO_FLASH) {
        say_no(bench, request, result, "no room for this golden set: ERASE makes some");
    } else if (result == TF_RESULT_INTEGRITY) {
        say_no(bench, request, result, "the golden set's digest is another");
    } else if (result == TF_RESULT_INPUT_MISMATCH) {
        say_no(bench, request, result, "not the next bytes of a golden set, or of one without any");
    } else {
        say_no(bench, request, result, "the flash does not hold what was written");
    }
}

static void answer_store(bench_t *bench, const tf_frame_t *request) {
    golden_set_t set = {0};
    if (request->length == DIGEST_BYTES + 2 * WORD_BYTES) {
        memcpy(set.digest, request->body, DIGEST_BYTES);
        set.windows = word_of(request->body + DIGEST_BYTES);
        set.window_bytes = word_of(request->body + DIGEST_BYTES + WORD_BYTES);
    }
    const tf_result_t result = golden_begin(&bench->writer, bench->port->golden, &set);
    answer_stored(bench, request, result, golden_room(bench->port->golden));
}

static void answer_put(bench_t *bench, const tf_frame_t *request) {
    tf_result_t result = TF_RESULT_INPUT_MISMATCH;
    if (request->length > WORD_BYTES) {
        result = golden_put(&bench->writer, bench->port->golden, word_of(request->body),
                            request->body + WORD_BYTES, request->length - WORD_BYTES);
    }
    answer_stored(bench, request, result, bench->writer.arrived);
}

static void answer_erase(bench_t *bench, const tf_frame_t *request) {
    bench->set = (golden_set_t){0};
    bench->writer.set.windows = 0;
    answer_stored(bench, request, golden_erase(bench->port->golden), golden_room(bench->port->golden));
}

static const struct {
    uint8_t type;
    bool needs_model;
    void (*answer)(bench_t *bench, const tf_frame_t *request);
} answers[] = {
    {TF_FRAME_TYPE_HELLO, false, hello},          {TF_FRAME_TYPE_INFER, true, answer_infer},
    {TF_FRAME_TYPE_GOLDEN, true, answer_golden},  {TF_FRAME_TYPE_LOAD, true, answer_load},
    {TF_FRAME_TYPE_RUN, true, answer_run},        {TF_FRAME_TYPE_SWEEP, true, answer_sweep},
    {TF_FRAME_TYPE_SELECT, false, answer_select}, {TF_FRAME_TYPE_STORE, false, answer_store},
    {TF_FRAME_TYPE_PUT, false, answer_put},       {TF_FRAME_TYPE_ERASE, false, answer_erase},
};

/* A request whose number is not the next one is not carried out: what is missing would come after it. The
 * host is told with the first of those that come behind a gap, which is the first again where its number is
 * not above the last one's; and each time for one that was carried out before: it was the answer that got
 * lost. */
static bool in_order(bench_t *bench, const tf_frame_t *request) {
    if (request->type == TF_FRAME_TYPE_HELLO || !bench->numbered || request->seq == bench->expected) {
        bench->numbered = true;
        bench->expected = (uint8_t)(request->seq + 1u);
        bench->behind = HALF_THE_NUMBERS;
        return true;
    }
    const uint8_t ahead = (uint8_t)(request->seq - bench->expected);
    if (ahead >= HALF_THE_NUMBERS || ahead <= bench->behind) {
        reply(bench, TF_FRAME_TYPE_EXPECT | TF_FRAME_REPLY, request->seq, &bench->expected, 1,
              &bench->expected, 0);
    }
    if (ahead < HALF_THE_NUMBERS) bench->behind = ahead;
    return false;
}

void bench_answer(bench_t *bench, const tf_frame_t *request) {
    if (!in_order(bench, request)) return;
    for (uint32_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        if (answers[i].type != request->type) continue;
        if (answers[i].needs_model && bench->result != TF_RESULT_SUCCESS) {
            say_no(bench, request, bench->result, bench->reason);
        } else if (answers[i].needs_model && bench->model.output_bytes > OUTPUT_MAX) {
            say_no(bench, request, TF_RESULT_UNSUPPORTED_TYPE, "the model's output is larger than a frame");
        } else {
            answers[i].answer(bench, request);
        }
        return;
    }
    say_no(bench, request, TF_RESULT_UNSUPPORTED_PROTOCOL, "no such request");
}

void bench_work(bench_t *bench) {
    bench_job_t *const job = &bench->job;
    if (job->type == 0) return;
    const bool swept = job->type == TF_FRAME_TYPE_SWEEP;
    const uint8_t *const window = swept ? bench_window(bench, job->next) : bench->spare;
    const uint32_t bytes = swept ? bench->set.window_bytes : bench->loaded;
    uint8_t head[RESULT_HEAD_BYTES];
    put_word(head, job->next);
    put_word(head + WORD_BYTES, marked_infer(bench, window, bytes));
    reply(bench, job->type | TF_FRAME_REPLY, job->seq, head, sizeof head, bench_output(bench),
          bench->model.output_bytes);
    if (++job->next == job->end) job->type = 0;
}
