/* MLPerf Tiny's commands, against a device that multiplies. */
#include "check.h"
#include "tinyfleet/mlperf.h"
#include "tinyfleet/wire.h"

enum { ROOM = 40 };

static char said[4096];
static uint8_t input[ROOM];
static uint32_t now, edges, infers, loads;
static int32_t value;
static tf_mlperf_t mlperf;

static void sink(const uint8_t *data, uint32_t length) {
    const size_t used = strlen(said);
    CHECK(length < sizeof said - used);
    memcpy(said + used, data, length);
    said[used + length] = 0;
}

static uint32_t now_us(void) {
    return now += 5;
}

static void edge(void) {
    edges++;
}

static const char *load(void *context, const uint8_t *bytes, uint32_t count) {
    CHECK(context == &value && bytes == input);
    loads++;
    return count == 3 ? NULL : "The input has another size";
}

static void infer(void *context) {
    CHECK(context == &value);
    infers++;
    value = input[0] * 1000 - 128;
}

static int32_t result(void *context, uint32_t i) {
    CHECK(context == &value && i < 3);
    return i == 0 ? value : i == 1 ? -value : INT32_MIN;
}

static tf_mlperf_dut_t dut = {
    .context = &value,
    .write = sink,
    .vendor = "tester",
    .input = input,
    .input_room = ROOM,
    .now_us = now_us,
    .load = load,
    .infer = infer,
    .results = 3,
    .result = result,
};

static void begin(void) {
    said[0] = 0;
    now = edges = infers = loads = 0;
    dut.model = tf_text("kws01");
    tf_mlperf_start(&mlperf, &dut);
    said[0] = 0;
}

#define ASK(text, answer)                                \
    do {                                                 \
        said[0] = 0;                                     \
        tf_mlperf_command(&mlperf, tf_text(text));       \
        if (strcmp(said, answer "m-ready\r\n") != 0) {   \
            fprintf(stderr, "%s: got %s\n", text, said); \
            exit(1);                                     \
        }                                                \
    } while (0)

static void a_board_says_that_it_is_there(void) {
    said[0] = 0;
    now = 0;
    tf_mlperf_start(&mlperf, &dut);
    CHECK(strcmp(said, "m-timestamp-mode-performance\r\nm-lap-us-5\r\nm-init-done\r\nm-ready\r\n") == 0);
    said[0] = 0;
    dut.edge = edge;
    tf_mlperf_start(&mlperf, &dut);
    dut.edge = NULL;
    CHECK(strcmp(said, "m-timestamp-mode-energy\r\nm-init-done\r\nm-ready\r\n") == 0);
    CHECK_EQUAL(edges, 1);
}

static void questions_are_answered(void) {
    begin();
    ASK("name", "m-name-dut-[tester]\r\n");
    ASK("profile", "m-profile-[ULPMark for tinyML Firmware V0.0.1]\r\nm-model-[kws01]\r\n");
    ASK("timestamp", "m-lap-us-10\r\n");
    ASK("  timestamp  ", "m-lap-us-15\r\n");
    ASK("bogus\x07", "e-[Unknown command: bogus?]\r\n");
    ASK("", "e-[Unknown command: ]\r\n");
    (void)tf_mlperf_command(&mlperf, tf_text("help"));
    CHECK(strstr(said, "infer N") != NULL);
    char longest[TF_MLPERF_COMMAND_MAX + 1];
    memset(longest, 'x', sizeof longest);
    said[0] = 0;
    (void)tf_mlperf_command(&mlperf, (tf_text_t){longest, sizeof longest});
    CHECK(strcmp(said, "e-[A command has no more than 80 characters]\r\nm-ready\r\n") == 0);
}

static void an_input_comes_in_pieces(void) {
    begin();
    ASK("db", "e-[Command 'db' requires a subcommand]\r\n");
    ASK("db 00", "e-[No 'db load' before]\r\n");
    ASK("db load", "e-[Command 'db load' requires the # of bytes]\r\n");
    ASK("db load 0", "e-[Command 'db load' must be >0 bytes]\r\n");
    ASK("db load -1", "e-[Command 'db load' must be >0 bytes]\r\n");
    ASK("db load 4294967297", "e-[Command 'db load' must be >0 bytes]\r\n");
    ASK("db load 41", "e-[No more than 40 bytes fit]\r\n");
    ASK("db load 10", "m-[Expecting 10 bytes]\r\n");
    ASK("db 0", "e-[Insufficent number of hex digits]\r\n");
    ASK("db 0g", "e-[Invalid hex digit '0g']\r\n");
    ASK("db 000102AbCd", "");
    ASK("db 0506070809fffe", "m-load-done\r\n");
    ASK("db ff", "");
    ASK("db print", "m-buffer-00-01-02-ab-cd-05-06-07\r\nm-buffer-08-09\r\n");
    ASK("db print 2 7", "m-buffer-07-08\r\n");
    ASK("db print 100 9", "m-buffer-09\r\n");
    ASK("db print 1 10", "");
    ASK("db print x", "e-[Command 'db print' takes numbers]\r\n");
    for (uint32_t i = 10; i < ROOM; i++) CHECK_EQUAL(input[i], 0);
    tf_mlperf_forget(&mlperf);
    ASK("db 00", "e-[No 'db load' before]\r\n");
}

static void inferences_are_measured(void) {
    begin();
    ASK("results", "e-[No inference yet]\r\n");
    ASK("infer 1 0", "e-[The input has another size]\r\n");
    CHECK_EQUAL(infers, 0);
    ASK("db load 3", "m-[Expecting 3 bytes]\r\n");
    ASK("db 020304", "m-load-done\r\n");
    ASK("infer 0", "e-[Inference iterations must be >0]\r\n");
    ASK("infer x", "e-[Inference iterations must be >0]\r\n");
    ASK("infer 1 -1", "e-[Inference warmup must be >=0]\r\n");
    ASK("infer 1000001", "e-[No more than 1000000 inferences at once]\r\n");
    loads = 0;
    ASK("infer 4 3",
        "m-warmup-start-3\r\nm-warmup-done\r\nm-infer-start-4\r\nm-lap-us-10\r\nm-lap-us-15\r\nm-infer-"
        "done\r\n"
        "m-results-[1.872,-1.872,-2147483.648]\r\n");
    CHECK_EQUAL(infers, 7);
    CHECK_EQUAL(loads, 1);
    ASK("results", "m-results-[1.872,-1.872,-2147483.648]\r\n");
    tf_mlperf_forget(&mlperf);
    ASK("results", "e-[No inference yet]\r\n");
    ASK("db load 3", "m-[Expecting 3 bytes]\r\n");
    ASK("db 020304", "m-load-done\r\n");
    input[0] = 0;
    ASK("infer",
        "m-warmup-start-10\r\nm-warmup-done\r\nm-infer-start-1\r\nm-lap-us-20\r\nm-lap-us-25\r\nm-infer-"
        "done\r\n"
        "m-results-[-0.128,0.128,-2147483.648]\r\n");
}

static void energy_has_edges_and_no_times(void) {
    begin();
    dut.edge = edge;
    ASK("db load 3", "m-[Expecting 3 bytes]\r\n");
    ASK("db 010000", "m-load-done\r\n");
    ASK("timestamp", "");
    CHECK_EQUAL(edges, 1);
    ASK("infer 2 0",
        "m-warmup-start-0\r\nm-warmup-done\r\nm-infer-start-2\r\nm-infer-done\r\n"
        "m-results-[0.872,-0.872,-2147483.648]\r\n");
    CHECK_EQUAL(edges, 3);
    dut.edge = NULL;
}

int main(void) {
    RUN(a_board_says_that_it_is_there);
    RUN(questions_are_answered);
    RUN(an_input_comes_in_pieces);
    RUN(inferences_are_measured);
    RUN(energy_has_edges_and_no_times);
    return 0;
}
