/* Text lines for people. */
#include "bench.h"
#include "tinyfleet/print.h"

static const tf_bench_port_t *out;

static void put(const char *text) {
    tf_print(out->write, text);
}

static void put_number(uint32_t value) {
    tf_print_number(out->write, value);
}

/* Nobody may take an emulator's figures for a chip's. */
static const char *timing(const bench_t *bench) {
    return bench->port->emulated ? "emulated, instruction-timed" : "wall time";
}

void say(const bench_t *bench, const char *text) {
    out = bench->port;
    put(text);
    put("\n");
}

static void say_model(const bench_t *bench) {
    put("model ");
    tf_print_foreign(out->write, bench->model.name.text, bench->model.name.length);
    put(" ");
    put(bench->version);
    put(", image ");
    tf_print_hex(out->write, bench->image, 8);
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
    put_number(bench->set.windows);
    put(" windows of ");
    put_number(bench->set.window_bytes);
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
        tf_print_foreign(out->write, label, length);
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
