/* The ring of messages that wait: what goes in comes out in order, the oldest go when it is full, and no
 * power cut loses what was put before it, unless the ring says so. */
#include "check.h"
#include "flash_sim.h"
#include "random.h"
#include "tinyfleet/ring.h"

enum { SECTORS = 4, RING_AT = TF_SECTOR_BYTES, FLASH_BYTES = (SECTORS + 2) * TF_SECTOR_BYTES };
enum { MESSAGES = 150, LONG_BYTES = 700 };

static flash_sim_t flash, blank;
static tf_ring_t ring;
static const tf_ring_place_t place = {&flash.port, RING_AT, SECTORS * TF_SECTOR_BYTES};

static void begin(uint32_t write_bytes) {
    flash_sim_open(&flash, FLASH_BYTES, write_bytes);
    tf_ring_open(&ring, &place);
    CHECK_EQUAL(ring.held, 0);
    CHECK_EQUAL(ring.lost, 0);
}

static void end(void) {
    flash_sim_close(&flash);
}

/* A message says its number, and its length follows from it. */
static uint32_t make(uint32_t number, uint8_t *out) {
    uint32_t bytes = 4u + number * 37u % LONG_BYTES;
    memset(out, (int)(number & 0xFFu), bytes);
    memcpy(out, &number, 4);
    return bytes;
}

static bool put(uint32_t number) {
    uint8_t message[TF_RING_MESSAGE_MAX];
    return tf_ring_put(&ring, number % 3u == 0 ? TF_RING_EVENT : TF_RING_TELE, message,
                       make(number, message));
}

static uint32_t number_of(const tf_ring_item_t *item) {
    uint8_t expected[TF_RING_MESSAGE_MAX];
    uint32_t number;
    CHECK(item->message.length >= 4);
    memcpy(&number, item->message.data, 4);
    CHECK_EQUAL(item->message.length, make(number, expected));
    CHECK(memcmp(item->message.data, expected, item->message.length) == 0);
    CHECK_EQUAL(item->kind, number % 3u == 0 ? TF_RING_EVENT : TF_RING_TELE);
    return number;
}

/* Sends all there is, `window` at a time, each acknowledged; the first and last number and how many. */
typedef struct {
    uint32_t first, last, count;
} sent_t;

static sent_t drain(uint32_t window) {
    sent_t sent = {0};
    tf_ring_item_t item;
    for (;;) {
        uint32_t cursor = ring.acknowledged, taken = 0;
        while (taken < window && tf_ring_next(&ring, cursor, &item)) {
            uint32_t number = number_of(&item);
            if (sent.count > 0) CHECK(number > sent.last);
            if (sent.count++ == 0) sent.first = number;
            sent.last = number;
            cursor = item.sequence;
            taken++;
        }
        if (taken == 0) break;
        tf_ring_done(&ring, cursor);
    }
    tf_ring_settle(&ring);
    CHECK_EQUAL(ring.held, 0);
    return sent;
}

static void what_goes_in_comes_out(void) {
    static const uint32_t units[] = {1, 4, 8, 16, 256};
    for (uint32_t i = 0; i < sizeof units / sizeof *units; i++) {
        begin(units[i]);
        for (uint32_t number = 1; number <= 8; number++) CHECK(put(number));
        CHECK_EQUAL(ring.held, 8);
        sent_t sent = drain(1 + i);
        CHECK(sent.first == 1 && sent.last == 8 && sent.count == 8);
        CHECK(put(9));
        sent = drain(4);
        CHECK(sent.first == 9 && sent.count == 1);
        end();
    }
}

static void a_start_finds_what_waits(void) {
    begin(4);
    for (uint32_t number = 1; number <= 12; number++) {
        CHECK(put(number));
        if (number % 5u == 0) tf_ring_open(&ring, &place);
    }
    tf_ring_open(&ring, &place);
    CHECK_EQUAL(ring.held, 12);
    CHECK_EQUAL(ring.lost, 0);
    sent_t sent = drain(4);
    CHECK(sent.first == 1 && sent.last == 12 && sent.count == 12);
    /* It is on record that nothing waits. */
    tf_ring_open(&ring, &place);
    CHECK_EQUAL(ring.held, 0);
    uint32_t operations = flash.operations;
    tf_ring_settle(&ring);
    CHECK_EQUAL(flash.operations, operations);
    end();
}

/* Of a drain that was cut off, what was acknowledged may come again: it is not lost, and the order holds. */
static void an_acknowledgement_is_told_by_the_next_record(void) {
    begin(4);
    for (uint32_t number = 1; number <= 6; number++) CHECK(put(number));
    tf_ring_item_t item;
    CHECK(tf_ring_next(&ring, ring.acknowledged, &item));
    tf_ring_done(&ring, item.sequence);
    CHECK_EQUAL(ring.held, 5);
    CHECK(put(7));
    tf_ring_open(&ring, &place);
    CHECK_EQUAL(ring.held, 6);
    CHECK(tf_ring_next(&ring, ring.acknowledged, &item));
    CHECK_EQUAL(number_of(&item), 2);
    end();
}

static void a_full_ring_drops_the_oldest_and_counts_them(void) {
    begin(4);
    for (uint32_t number = 1; number <= MESSAGES; number++) {
        CHECK(put(number));
        CHECK_EQUAL(ring.held + ring.lost, number);
    }
    CHECK(ring.lost > 0);
    /* All but the sector that was opened last is there. */
    CHECK(ring.held * (4 + LONG_BYTES / 2) > (SECTORS - 2) * TF_SECTOR_BYTES);
    uint32_t lost = ring.lost;
    tf_ring_open(&ring, &place);
    CHECK_EQUAL(ring.lost, lost);
    sent_t sent = drain(4);
    CHECK(sent.first == lost + 1 && sent.last == MESSAGES && sent.count == MESSAGES - lost);
    end();
}

/* Messages under way are dropped, too; their acknowledgement comes too late to touch what stands there now.
 */
static void an_acknowledgement_of_what_was_dropped_changes_nothing(void) {
    begin(4);
    for (uint32_t number = 1; number <= 10; number++) CHECK(put(number));
    tf_ring_item_t item;
    CHECK(tf_ring_next(&ring, ring.acknowledged, &item));
    uint32_t under_way = item.sequence;
    for (uint32_t number = 11; number <= MESSAGES; number++) CHECK(put(number));
    uint32_t held = ring.held, lost = ring.lost;
    tf_ring_done(&ring, under_way);
    CHECK_EQUAL(ring.held, held);
    CHECK_EQUAL(ring.lost, lost);
    sent_t sent = drain(3);
    CHECK(sent.first == lost + 1 && sent.count == held);
    end();
}

static void sequence_numbers_wrap(void) {
    begin(4);
    ring.sequence = ring.acknowledged = ring.written = UINT32_MAX - 5;
    for (uint32_t number = 1; number <= 12; number++) CHECK(put(number));
    tf_ring_open(&ring, &place);
    sent_t sent = drain(4);
    CHECK(sent.first == 1 && sent.count == 12);
    end();
}

static void a_failing_flash_is_counted(void) {
    begin(4);
    CHECK(put(1));
    flash.fail_at = flash.operations + 1;
    CHECK(!put(2));
    CHECK_EQUAL(ring.lost, 1);
    flash.fail_at = 0;
    CHECK(put(3));
    flash.lose_from = 0;
    CHECK(!put(4));
    flash.lose_from = UINT32_MAX;
    CHECK(put(5));
    CHECK_EQUAL(ring.lost, 2);
    uint8_t message[TF_RING_MESSAGE_MAX + 1] = {0};
    CHECK(!tf_ring_put(&ring, TF_RING_TELE, message, 0));
    CHECK(!tf_ring_put(&ring, TF_RING_TELE, message, sizeof message));
    sent_t sent = drain(4);
    CHECK(sent.first == 1 && sent.last == 5 && sent.count == 3);
    end();
}

static void the_largest_message_fits(void) {
    begin(256);
    uint8_t message[TF_RING_MESSAGE_MAX];
    memset(message, 7, sizeof message);
    ring.sequence = ring.acknowledged = ring.lost = UINT32_MAX - 100;
    for (uint32_t i = 0; i < 20; i++) CHECK(tf_ring_put(&ring, TF_RING_EVENT, message, sizeof message));
    CHECK_EQUAL(ring.held + ring.lost + 101, 20);
    end();
}

/* ---- power cuts ---- */

enum { NUMBERS = 1000 };
static uint32_t promised,
    accepted;                  /* the last number that was to be put, and the last that was acknowledged */
static bool doubtful[NUMBERS]; /* power went while it was put: it may be there or not */

/* A life in which so many messages come, and some of them are sent. */
static void live(const void *puts) {
    tf_ring_open(&ring, &place);
    for (uint32_t i = 0; i < *(const uint32_t *)puts; i++) {
        promised++;
        CHECK(promised < NUMBERS);
        doubtful[promised] = true;
        CHECK(put(promised));
        doubtful[promised] = false;
        tf_ring_item_t item;
        if (i % 7u != 3u || !tf_ring_next(&ring, ring.acknowledged, &item)) continue;
        uint32_t number = number_of(&item);
        if (number > accepted) accepted = number;
        tf_ring_done(&ring, item.sequence);
        if (ring.held == 0) tf_ring_settle(&ring);
    }
}

static bool live_until_cut(uint32_t cut_at, flash_cut_t cut, uint32_t random, uint32_t puts) {
    return flash_sim_cut(&flash, cut_at, cut, random, live, &puts);
}

static void begin_cut(uint32_t before) {
    flash_sim_copy(&flash, &blank);
    promised = accepted = 0;
    memset(doubtful, 0, sizeof doubtful);
    live(&before);
}

/* After any cut: what was put comes out in order, once; what does not was acknowledged, counted as lost, or
 * is the one that the cut hit. */
static void expect_all(void) {
    static bool seen[NUMBERS];
    memset(seen, 0, sizeof seen);
    tf_ring_open(&ring, &place);
    promised++;
    CHECK(put(promised));
    sent_t sent = {0};
    tf_ring_item_t item;
    for (uint32_t cursor = ring.acknowledged; tf_ring_next(&ring, cursor, &item); cursor = item.sequence) {
        uint32_t number = number_of(&item);
        CHECK(number <= promised && number > sent.last);
        seen[number] = true;
        sent.last = number;
    }
    CHECK_EQUAL(sent.last, promised);
    uint32_t missing = 0;
    for (uint32_t number = accepted + 1u; number <= promised; number++) {
        missing += !seen[number] && !doubtful[number];
    }
    CHECK(missing <= ring.lost);
    drain(4);
    tf_ring_open(&ring, &place);
    drain(4);
}

typedef struct {
    const char *name;
    uint32_t before, puts; /* before the cut, and in the life that is cut */
} scene_t;

static const scene_t scenes[] = {{"first records", 0, 12}, {"log wrap", 60, 40}, {"full ring", 200, 40}};

static uint32_t cut_once(const scene_t *scene) {
    uint32_t points = 0;
    for (uint32_t cut = 0; cut < CUT_KINDS; cut++) {
        for (uint32_t at = 1;; at++, points++) {
            begin_cut(scene->before);
            if (!live_until_cut(at, (flash_cut_t)cut, at * 77u + cut + 1u, scene->puts)) break;
            expect_all();
        }
    }
    return points;
}

static uint32_t cut_in_pairs(const scene_t *scene, flash_cut_t cut) {
    uint32_t points = 0;
    for (uint32_t at = 1;; at++) {
        for (uint32_t again = 1; again <= 8; again++) {
            begin_cut(scene->before);
            if (!live_until_cut(at, cut, at * 31u + again, scene->puts)) return points;
            if (!live_until_cut(again, cut, again * 91u + at, scene->puts)) break;
            points += 2;
            expect_all();
        }
    }
}

static uint32_t cut_in_triples(const scene_t *scene, uint32_t rounds) {
    uint32_t points = 0, random = 7;
    for (uint32_t round = 0; round < rounds; round++) {
        begin_cut(scene->before);
        for (uint32_t i = 0; i < 3; i++) {
            flash_cut_t cut = (flash_cut_t)(random_next(&random) % CUT_KINDS);
            uint32_t at = 1u + random_next(&random) % scene->puts;
            points += live_until_cut(at, cut, random_next(&random), scene->puts);
        }
        expect_all();
    }
    return points;
}

static void no_cut_loses_what_was_put(void) {
    flash_sim_open(&blank, FLASH_BYTES, 4);
    flash_sim_open(&flash, FLASH_BYTES, 4);
    for (uint32_t i = 0; i < sizeof scenes / sizeof *scenes; i++) {
        const scene_t *scene = &scenes[i];
        uint32_t single = cut_once(scene), pairs = 0;
        pairs += cut_in_pairs(scene, CUT_TORN) + cut_in_pairs(scene, CUT_WEAK);
        uint32_t triples = cut_in_triples(scene, 150);
        printf("%s: %u cut points, %u cuts in pairs, %u in threes\n", scene->name, single, pairs, triples);
        CHECK(single >= 12u * CUT_KINDS);
    }
    flash_sim_close(&flash);
    flash_sim_close(&blank);
}

int main(void) {
    RUN(what_goes_in_comes_out);
    RUN(a_start_finds_what_waits);
    RUN(an_acknowledgement_is_told_by_the_next_record);
    RUN(a_full_ring_drops_the_oldest_and_counts_them);
    RUN(an_acknowledgement_of_what_was_dropped_changes_nothing);
    RUN(sequence_numbers_wrap);
    RUN(a_failing_flash_is_counted);
    RUN(the_largest_message_fits);
    RUN(no_cut_loses_what_was_put);
    return 0;
}
