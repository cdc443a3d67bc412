/* SNTP: the table, pair by pair; what counts as an answer; tries, pauses and a clock that wraps. */
#include <string.h>

#include "../net/sntp_table.h"
#include "check.h"

enum { NOW_S = 1893456000 }; /* 2030-01-01 */

static tf_sntp_t sntp;
static uint8_t request[TF_SNTP_BYTES], answer[TF_SNTP_BYTES];
static const uint8_t nonce[TF_SNTP_NONCE_BYTES] = {1, 2, 3, 4, 5, 6, 7, 8};
static uint64_t unix_ms;

static void store_u32(uint8_t *at, uint32_t value) {
    for (uint32_t i = 0; i < 4; i++) at[i] = (uint8_t)(value >> (24 - 8 * i));
}

static void make_answer(uint64_t ntp_s) {
    memset(answer, 0, sizeof answer);
    answer[0] = 0x24;
    answer[1] = 2;
    memcpy(answer + 24, nonce, sizeof nonce);
    store_u32(answer + 40, (uint32_t)ntp_s);
    store_u32(answer + 44, 0x80000000u);
}

static void begin(uint32_t now_ms) {
    memset(&sntp, 0, sizeof sntp);
    CHECK(!tf_sntp_poll(&sntp, now_ms, nonce, request));
    tf_sntp_start(&sntp, true);
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, now_ms), 0);
    CHECK(tf_sntp_poll(&sntp, now_ms, nonce, request));
    make_answer(NOW_S + 2208988800u);
}

static bool takes(uint32_t size) {
    return tf_sntp_answer(&sntp, answer, size, 100, &unix_ms);
}

static void every_cell_was_written(void) {
    for (uint32_t state = 0; state < TF_SNTP_STATES; state++) {
        for (uint32_t event = 0; event < SNTP_EVENTS; event++) {
            const sntp_cell_t *cell = &tf_sntp_table[state][event];
            CHECK(cell->known && cell->next < TF_SNTP_STATES);
            /* Only a request that is out is answered. */
            if (cell->action == SNTP_SETTLE) CHECK_EQUAL(state, TF_SNTP_ASKING);
            /* Nothing is asked without end: tries begin anew after a rest or for another server only. */
            if (cell->action == SNTP_FIRST) CHECK(event == SNTP_START || state == TF_SNTP_RESTING);
            if (event == SNTP_STOP) CHECK_EQUAL(cell->next, TF_SNTP_OFF);
            if (event == SNTP_START) CHECK_EQUAL(cell->next, TF_SNTP_DUE);
        }
    }
    CHECK_EQUAL(tf_sntp_table[TF_SNTP_ASKING][SNTP_SPENT].next, TF_SNTP_RESTING);
}

static void an_answer_tells_the_time(void) {
    begin(0);
    CHECK(request[0] == 0x23 && memcmp(request + 40, nonce, sizeof nonce) == 0);
    CHECK(takes(TF_SNTP_BYTES));
    CHECK_EQUAL(unix_ms, (uint64_t)NOW_S * 1000u + 500u + 50u);
    CHECK(!takes(TF_SNTP_BYTES)); /* once */
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, 100), TF_SNTP_AGAIN_MS);
}

static void the_count_of_seconds_goes_on_after_2036(void) {
    begin(0);
    make_answer((uint64_t)2208988800u + 2147483648u + 86400u * 365u);
    CHECK(takes(TF_SNTP_BYTES));
    CHECK_EQUAL(unix_ms / 1000u, 2147483648u + 86400u * 365u);
}

static void what_is_no_answer_changes_nothing(void) {
    static const struct {
        uint32_t at;
        uint8_t value;
    } spoilt[] = {{0, 0x23}, {0, 0x26}, {0, 0x14}, {0, 0x2C}, {0, 0xE4},
                  {1, 16},   {24, 9},   {31, 9},   {40, 0xDC}};
    for (uint32_t i = 0; i < sizeof spoilt / sizeof *spoilt; i++) {
        begin(0);
        answer[spoilt[i].at] = spoilt[i].value;
        CHECK(!takes(TF_SNTP_BYTES));
        CHECK_EQUAL(sntp.state, TF_SNTP_ASKING);
        make_answer(NOW_S + 2208988800u);
        CHECK(takes(TF_SNTP_BYTES));
    }
    for (uint32_t size = 0; size < TF_SNTP_BYTES; size++) {
        begin(0);
        uint8_t *piece = malloc(size > 0 ? size : 1);
        memcpy(piece, answer, size);
        CHECK(!tf_sntp_answer(&sntp, piece, size, 100, &unix_ms));
        free(piece);
    }
    begin(0);
    memset(answer + 40, 0, 8);
    CHECK(!takes(TF_SNTP_BYTES));
}

static void a_server_that_asks_for_peace_gets_it(void) {
    begin(0);
    answer[1] = 0;
    CHECK(!takes(TF_SNTP_BYTES));
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, 100), TF_SNTP_AGAIN_MS);
}

static void tries_are_counted_and_wait_longer(void) {
    uint32_t now_ms = UINT32_MAX - 5000; /* wraps on the way */
    begin(now_ms);
    uint32_t sent = 1, wait_ms = TF_SNTP_TIMEOUT_MS;
    for (;;) {
        CHECK_EQUAL(tf_sntp_wait_ms(&sntp, now_ms), wait_ms);
        CHECK(!tf_sntp_poll(&sntp, now_ms + wait_ms - 1, nonce, request));
        now_ms += wait_ms;
        if (!tf_sntp_poll(&sntp, now_ms, nonce, request)) break;
        sent++;
        wait_ms *= 2;
    }
    CHECK_EQUAL(sent, TF_SNTP_TRIES);
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, now_ms), TF_SNTP_RETRY_MS);
    CHECK(tf_sntp_poll(&sntp, now_ms + TF_SNTP_RETRY_MS, nonce, request));
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, now_ms + TF_SNTP_RETRY_MS), TF_SNTP_TIMEOUT_MS);
    tf_sntp_start(&sntp, false);
    CHECK_EQUAL(tf_sntp_wait_ms(&sntp, now_ms), UINT32_MAX);
}

int main(void) {
    RUN(every_cell_was_written);
    RUN(an_answer_tells_the_time);
    RUN(the_count_of_seconds_goes_on_after_2036);
    RUN(what_is_no_answer_changes_nothing);
    RUN(a_server_that_asks_for_peace_gets_it);
    RUN(tries_are_counted_and_wait_longer);
    printf("%d pairs\n", TF_SNTP_STATES * SNTP_EVENTS);
    return 0;
}
