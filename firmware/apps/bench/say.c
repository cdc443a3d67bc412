/* Text lines for people. No printf: it would take a fifth of the flash and too much of the stack. */
#include <string.h>

#include "bench.h"

static const tf_bench_port_t *out;

static void put(const char *text) {
    out->write((const uint8_t *)text, (uint32_t)strlen(text));
}

static void put_number(uint32_t value) {
    char digits[11];
    char *at = digits + sizeof digits - 1;
    *at = 0;
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    put(at);
}

static void put_hex(const uint8_t *data, uint32_t length) {
    static const char digits[] = "0123456789abcdef";
    for (uint32_t i = 0; i < length; i++) {
        const char pair[3] = {digits[data[i] >> 4], digits[data[i] & 15], 0};
        put(pair);
    }
}

/* Text from a model: what a terminal could take for a command is shown as '?'. */
static void put_foreign(const char *text, uint32_t length) {
    for (uint32_t i = 0; i < length; i++) {
        const uint8_t byte = (uint8_t)text[i];
        const uint8_t shown = byte < 0x20 || byte == 0x7F ? (uint8_t)'?' : byte;
        out->write(&shown, 1);
    }
}

/* Nobody may take an emulator's figures for a chip's. */
static const char *timing(const bench_t *bench) {
    return bench->port->emulated ? "emulated, instruction-timed" : "wall time";
}

void say(const char *text) {
    out = tf_bench_port();
    put(text);
    put("\n");
}

static void say_model(const bench_t *bench) {
    put("model ");
    put_foreign(bench->model.name.text, bench->model.name.length);
    put(" ");
    put(bench->version);
    put(", image ");
    put_hex(bench->image, 8);
    put(", arena ");
    put_number(bench->model.arena_bytes);
    put(" of ");
    put_number(bench->port->arena_bytes);
    put(" bytes, golden vectors: ");
    put_number(bench->model.vector_count);
    put(" right\n");
}

void say_start(const bench_t *bench) {
    out = bench->port;
    put("\ntinyfleet bench " TINYFLEET_VERSION " on ");
    put(out->device_type);
    put(", ");
    put(timing(bench));
    put("\n");
    if (bench->result == TF_RESULT_SUCCESS) {
        say_model(bench);
    } else {
        put("no model: ");
        put(bench->reason);
        put(" (result ");
        put_number((uint32_t)bench->result);
        put(")\n");
    }
    put("golden set: ");
    put_number(bench->window_count);
    put(" windows of ");
    put_number(bench->window_bytes);
    put(" bytes\nready\n");
}

void say_inference(const bench_t *bench, uint32_t window, uint32_t duration_us) {
    out = bench->port;
    const tf_model_t *const model = &bench->model;
    const uint32_t top = tf_model_greatest(model, out->arena, model->output.values);
    const char *label;
    uint32_t length;
    put("window ");
    put_number(window);
    put(": class ");
    if (tf_model_label(model, top, &label, &length)) {
        put_foreign(label, length);
    } else {
        put_number(top);
    }
    put(", score ");
    put_number((tf_model_score(model, tf_model_value(model, out->arena, top)) * 100u + 128u) / 256u);
    put(" %, ");
    put_number(duration_us);
    put(" us (");
    put(timing(bench));
    put(")\n");
}
