#include "tinyfleet/mlperf.h"

#include <string.h>

enum { BYTES_A_LINE = 8, DIGITS_MAX = 9, NO_DIGIT = 16, WARMUPS = 10 };

#define PROFILE "ULPMark for tinyML Firmware V0.0.1"

static void put(const tf_mlperf_t *mlperf, const char *text) {
    tf_print(mlperf->dut->write, text);
}

/* `before`, a number, `behind` and the line's end. */
static void put_line(const tf_mlperf_t *mlperf, const char *before, uint32_t number, const char *behind) {
    put(mlperf, before);
    tf_print_number(mlperf->dut->write, number);
    put(mlperf, behind);
    put(mlperf, "\r\n");
}

static void refuse(const tf_mlperf_t *mlperf, const char *why) {
    put(mlperf, "e-[");
    put(mlperf, why);
    put(mlperf, "]\r\n");
}

/* Cuts the next word off; an empty one behind the last. */
static tf_text_t next_word(tf_text_t *rest) {
    while (rest->length > 0 && rest->text[0] == ' ') {
        rest->text++;
        rest->length--;
    }
    tf_text_t word = {rest->text, 0};
    while (word.length < rest->length && word.text[word.length] != ' ') word.length++;
    rest->text += word.length;
    rest->length -= word.length;
    return word;
}

static bool is(tf_text_t word, const char *name) {
    return word.length == strlen(name) && memcmp(word.text, name, word.length) == 0;
}

static bool number_of(tf_text_t word, uint32_t *number) {
    if (word.length == 0 || word.length > DIGITS_MAX) return false;
    *number = 0;
    for (uint32_t i = 0; i < word.length; i++) {
        if (word.text[i] < '0' || word.text[i] > '9') return false;
        *number = *number * 10 + (uint32_t)(word.text[i] - '0');
    }
    return true;
}

static uint32_t hex_digit(char digit) {
    if (digit >= '0' && digit <= '9') return (uint32_t)(digit - '0');
    if (digit >= 'a' && digit <= 'f') return (uint32_t)(digit - 'a') + 10u;
    if (digit >= 'A' && digit <= 'F') return (uint32_t)(digit - 'A') + 10u;
    return NO_DIGIT;
}

static void name(tf_mlperf_t *mlperf, tf_text_t rest) {
    (void)rest;
    put(mlperf, "m-name-dut-[");
    put(mlperf, mlperf->dut->vendor);
    put(mlperf, "]\r\n");
}

static void profile(tf_mlperf_t *mlperf, tf_text_t rest) {
    (void)rest;
    put(mlperf, "m-profile-[" PROFILE "]\r\nm-model-[");
    tf_print_foreign(mlperf->dut->write, mlperf->dut->model.text, mlperf->dut->model.length);
    put(mlperf, "]\r\n");
}

static void timestamp(tf_mlperf_t *mlperf, tf_text_t rest) {
    (void)rest;
    if (mlperf->dut->edge != NULL) {
        mlperf->dut->edge();
    } else {
        put_line(mlperf, "m-lap-us-", mlperf->dut->now_us(), "");
    }
}

static void help(tf_mlperf_t *mlperf, tf_text_t rest) {
    (void)rest;
    put(mlperf, PROFILE
        "\r\n\r\n"
        "help         : this\r\n"
        "name         : the device's name\r\n"
        "profile      : firmware and model\r\n"
        "timestamp    : the time, or an edge for a meter\r\n"
        "db load N    : an input of N bytes follows\r\n"
        "db HH[HH]*   : some of them\r\n"
        "db print [N=all] [offset=0]\r\n"
        "infer N [W=10]: N inferences of the input after W to warm up\r\n"
        "results      : of the last one\r\n");
}

static void results(tf_mlperf_t *mlperf, tf_text_t rest) {
    (void)rest;
    const tf_mlperf_dut_t *const dut = mlperf->dut;
    if (!mlperf->inferred) {
        refuse(mlperf, "No inference yet");
        return;
    }
    put(mlperf, "m-results-[");
    for (uint32_t i = 0; i < dut->results; i++) {
        const int32_t value = dut->result(dut->context, i);
        if (i > 0) put(mlperf, ",");
        if (value < 0) put(mlperf, "-");
        const uint32_t size = value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
        const uint32_t part = size % 1000u;
        tf_print_number(dut->write, size / 1000u);
        put(mlperf, part < 10 ? ".00" : part < 100 ? ".0" : ".");
        tf_print_number(dut->write, part);
    }
    put(mlperf, "]\r\n");
}

static void load(tf_mlperf_t *mlperf, tf_text_t rest) {
    uint32_t bytes = 0;
    const tf_text_t word = next_word(&rest);
    if (word.length == 0) {
        refuse(mlperf, "Command 'db load' requires the # of bytes");
    } else if (!number_of(word, &bytes) || bytes == 0) {
        refuse(mlperf, "Command 'db load' must be >0 bytes");
    } else if (bytes > mlperf->dut->input_room) {
        put_line(mlperf, "e-[No more than ", mlperf->dut->input_room, " bytes fit]");
    } else {
        mlperf->expected = bytes;
        mlperf->arrived = 0;
        put_line(mlperf, "m-[Expecting ", bytes, " bytes]");
    }
}

static void print(tf_mlperf_t *mlperf, tf_text_t rest) {
    const tf_text_t how_many = next_word(&rest);
    const tf_text_t from = next_word(&rest);
    uint32_t offset = 0, count = mlperf->arrived;
    if ((how_many.length > 0 && !number_of(how_many, &count)) ||
        (from.length > 0 && !number_of(from, &offset))) {
        refuse(mlperf, "Command 'db print' takes numbers");
        return;
    }
    if (offset > mlperf->arrived) offset = mlperf->arrived;
    if (count > mlperf->arrived - offset) count = mlperf->arrived - offset;
    for (uint32_t i = 0; i < count; i++) {
        put(mlperf, i % BYTES_A_LINE == 0 ? "m-buffer-" : "-");
        tf_print_hex(mlperf->dut->write, mlperf->dut->input + offset + i, 1);
        if ((i + 1) % BYTES_A_LINE == 0 || i + 1 == count) put(mlperf, "\r\n");
    }
}

/* Digits behind the last byte count as said: they are disregarded. */
static void digits(tf_mlperf_t *mlperf, tf_text_t word) {
    if (word.length % 2 != 0) {
        refuse(mlperf, "Insufficent number of hex digits");
        return;
    }
    if (mlperf->expected == 0) {
        refuse(mlperf, "No 'db load' before");
        return;
    }
    for (uint32_t i = 0; i < word.length && mlperf->arrived < mlperf->expected; i += 2) {
        const uint32_t high = hex_digit(word.text[i]), low = hex_digit(word.text[i + 1]);
        if (high == NO_DIGIT || low == NO_DIGIT) {
            put(mlperf, "e-[Invalid hex digit '");
            tf_print_foreign(mlperf->dut->write, word.text + i, 2);
            put(mlperf, "']\r\n");
            return;
        }
        mlperf->dut->input[mlperf->arrived++] = (uint8_t)(high << 4 | low);
        if (mlperf->arrived == mlperf->expected) put(mlperf, "m-load-done\r\n");
    }
}

static void db(tf_mlperf_t *mlperf, tf_text_t rest) {
    const tf_text_t word = next_word(&rest);
    if (word.length == 0) {
        refuse(mlperf, "Command 'db' requires a subcommand");
    } else if (is(word, "load")) {
        load(mlperf, rest);
    } else if (is(word, "print")) {
        print(mlperf, rest);
    } else {
        digits(mlperf, word);
    }
}

/* One clock reading, or edge, on each side of the inferences and nothing else between them. */
static void measure(tf_mlperf_t *mlperf, uint32_t runs, uint32_t warmups) {
    const tf_mlperf_dut_t *const dut = mlperf->dut;
    put_line(mlperf, "m-warmup-start-", warmups, "");
    for (uint32_t i = 0; i < warmups; i++) dut->infer(dut->context);
    put(mlperf, "m-warmup-done\r\n");
    put_line(mlperf, "m-infer-start-", runs, "");
    timestamp(mlperf, (tf_text_t){0, 0});
    for (uint32_t i = 0; i < runs; i++) dut->infer(dut->context);
    timestamp(mlperf, (tf_text_t){0, 0});
    put(mlperf, "m-infer-done\r\n");
    mlperf->inferred = true;
    results(mlperf, (tf_text_t){0, 0});
}

static void infer(tf_mlperf_t *mlperf, tf_text_t rest) {
    const tf_text_t how_many = next_word(&rest);
    const tf_text_t before = next_word(&rest);
    uint32_t runs = 1, warmups = WARMUPS;
    if (how_many.length > 0 && (!number_of(how_many, &runs) || runs == 0)) {
        refuse(mlperf, "Inference iterations must be >0");
        return;
    }
    if (before.length > 0 && !number_of(before, &warmups)) {
        refuse(mlperf, "Inference warmup must be >=0");
        return;
    }
    if (runs > TF_MLPERF_RUNS_MAX || warmups > TF_MLPERF_RUNS_MAX) {
        put_line(mlperf, "e-[No more than ", TF_MLPERF_RUNS_MAX, " inferences at once]");
        return;
    }
    const char *const why = mlperf->dut->load(mlperf->dut->context, mlperf->dut->input, mlperf->arrived);
    if (why != NULL) {
        refuse(mlperf, why);
        return;
    }
    measure(mlperf, runs, warmups);
}

static const struct {
    const char *name;
    void (*answer)(tf_mlperf_t *mlperf, tf_text_t rest);
} commands[] = {
    {"db", db},           {"infer", infer},         {"results", results}, {"name", name},
    {"profile", profile}, {"timestamp", timestamp}, {"help", help},
};

static bool answer(tf_mlperf_t *mlperf, tf_text_t command) {
    tf_text_t rest = command;
    const tf_text_t word = next_word(&rest);
    for (uint32_t i = 0; i < sizeof commands / sizeof commands[0]; i++) {
        if (!is(word, commands[i].name)) continue;
        commands[i].answer(mlperf, rest);
        return true;
    }
    put(mlperf, "e-[Unknown command: ");
    tf_print_foreign(mlperf->dut->write, word.text, word.length);
    put(mlperf, "]\r\n");
    return false;
}

bool tf_mlperf_command(tf_mlperf_t *mlperf, tf_text_t command) {
    bool known = false;
    if (command.length > TF_MLPERF_COMMAND_MAX) {
        put_line(mlperf, "e-[A command has no more than ", TF_MLPERF_COMMAND_MAX, " characters]");
    } else {
        known = answer(mlperf, command);
    }
    put(mlperf, "m-ready\r\n");
    return known;
}

void tf_mlperf_start(tf_mlperf_t *mlperf, const tf_mlperf_dut_t *dut) {
    *mlperf = (tf_mlperf_t){.dut = dut};
    put(mlperf, dut->edge != NULL ? "m-timestamp-mode-energy\r\n" : "m-timestamp-mode-performance\r\n");
    timestamp(mlperf, (tf_text_t){0, 0});
    put(mlperf, "m-init-done\r\nm-ready\r\n");
}

void tf_mlperf_forget(tf_mlperf_t *mlperf) {
    mlperf->expected = 0;
    mlperf->arrived = 0;
    mlperf->inferred = false;
}
