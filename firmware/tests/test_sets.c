/* Golden sets in flash: found by digest, stored one behind the other, and none of it half. */
#include "../apps/bench/sets.h"

#include "check.h"
#include "flash_sim.h"
#include "tinyfleet/image.h"

enum { SECTOR = 4096, REGION = 8 * SECTOR, WINDOW = 52 };

static flash_sim_t sim;
static uint8_t windows[REGION];

static golden_set_t a_set(uint8_t seed, uint32_t count) {
    golden_set_t set = {.windows = count, .window_bytes = WINDOW};
    for (uint32_t i = 0; i < count * WINDOW; i++) windows[i] = (uint8_t)(seed + i * 7u);
    tf_sha256(windows, count * WINDOW, set.digest);
    return set;
}

static tf_result_t put_all(set_writer_t *writer, uint32_t piece) {
    const uint32_t bytes = writer->set.windows * writer->set.window_bytes;
    for (uint32_t at = 0; at < bytes; at += piece) {
        const uint32_t length = bytes - at < piece ? bytes - at : piece;
        const tf_result_t result = golden_put(writer, &sim.port, at, windows + at, length);
        if (result != TF_RESULT_SUCCESS) return result;
    }
    return TF_RESULT_SUCCESS;
}

static tf_result_t store(const golden_set_t *set, uint32_t piece) {
    set_writer_t writer;
    const tf_result_t result = golden_begin(&writer, &sim.port, set);
    return result == TF_RESULT_SUCCESS ? put_all(&writer, piece) : result;
}

static void open_flash(void) {
    flash_sim_open(&sim, REGION, 4);
    CHECK_EQUAL(golden_erase(&sim.port), TF_RESULT_SUCCESS);
}

static void sets_are_found_by_their_digest(void) {
    open_flash();
    golden_set_t got;
    const golden_set_t first = a_set(1, 90), second = a_set(2, 3);
    CHECK(!golden_find(&sim.port, NULL, &got));
    CHECK_EQUAL(golden_room(&sim.port), REGION - TF_GOLDEN_DATA_OFFSET);
    (void)a_set(1, 90);
    CHECK_EQUAL(store(&first, 1000), TF_RESULT_SUCCESS);
    CHECK_EQUAL(golden_room(&sim.port), REGION - 2 * SECTOR - TF_GOLDEN_DATA_OFFSET);
    (void)a_set(2, 3);
    CHECK_EQUAL(store(&second, 1000), TF_RESULT_SUCCESS);
    CHECK(golden_find(&sim.port, NULL, &got) && got.windows == 90);
    CHECK(golden_find(&sim.port, second.digest, &got) && got.windows == 3 && got.window_bytes == WINDOW);
    CHECK(memcmp(got.data, windows, 3 * WINDOW) == 0);
    CHECK(golden_find(&sim.port, first.digest, &got) && got.windows == 90);
    const golden_set_t other = a_set(3, 3);
    CHECK(!golden_find(&sim.port, other.digest, &got) && got.windows == 0);
    CHECK_EQUAL(golden_erase(&sim.port), TF_RESULT_SUCCESS);
    CHECK(!golden_find(&sim.port, first.digest, &got));
    flash_sim_close(&sim);
}

static void what_does_not_fit_or_add_up_is_refused(void) {
    open_flash();
    set_writer_t writer;
    golden_set_t set = a_set(1, 10);
    set.windows = 0;
    CHECK_EQUAL(golden_begin(&writer, &sim.port, &set), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 4), TF_RESULT_INPUT_MISMATCH);
    set.windows = REGION / WINDOW;
    CHECK_EQUAL(golden_begin(&writer, &sim.port, &set), TF_RESULT_NO_FLASH);
    set.windows = 1u << 31;
    set.window_bytes = 1u << 31;
    CHECK_EQUAL(golden_begin(&writer, &sim.port, &set), TF_RESULT_NO_FLASH);

    set = a_set(1, 10);
    CHECK_EQUAL(golden_begin(&writer, &sim.port, &set), TF_RESULT_SUCCESS);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 4, windows, 4), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 0), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 3), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 10 * WINDOW + 4), TF_RESULT_INPUT_MISMATCH);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 4), TF_RESULT_SUCCESS);
    CHECK_EQUAL(golden_put(&writer, &sim.port, 0, windows, 4), TF_RESULT_INPUT_MISMATCH);
    golden_set_t got;
    CHECK(!golden_find(&sim.port, NULL, &got));
    flash_sim_close(&sim);
}

static void other_windows_than_the_digest_says_are_no_set(void) {
    open_flash();
    golden_set_t got, set = a_set(1, 10);
    set.digest[31] ^= 1;
    CHECK_EQUAL(store(&set, 100), TF_RESULT_INTEGRITY);
    CHECK(!golden_find(&sim.port, NULL, &got));
    set = a_set(1, 10);
    CHECK_EQUAL(store(&set, 8), TF_RESULT_SUCCESS);
    sim.bytes[TF_GOLDEN_DATA_OFFSET + 9] ^= 4;
    CHECK(!golden_find(&sim.port, set.digest, &got));
    flash_sim_close(&sim);
}

static void windows_of_odd_sizes_end_within_a_write_unit(void) {
    open_flash();
    golden_set_t got, set = {.windows = 3, .window_bytes = 7};
    for (uint32_t i = 0; i < 21; i++) windows[i] = (uint8_t)i;
    tf_sha256(windows, 21, set.digest);
    CHECK_EQUAL(store(&set, 12), TF_RESULT_SUCCESS);
    CHECK(golden_find(&sim.port, set.digest, &got) && memcmp(got.data, windows, 21) == 0);
    flash_sim_close(&sim);
}

/* At every operation, in every way: afterwards the set is there whole or it is not there, and can be stored.
 */
static void a_cut_of_power_leaves_a_whole_set_or_none(void) {
    open_flash();
    const golden_set_t set = a_set(5, 100);
    flash_sim_t whole;
    flash_sim_open(&whole, REGION, 4);
    flash_sim_copy(&whole, &sim);
    CHECK_EQUAL(store(&set, 1000), TF_RESULT_SUCCESS);
    const uint32_t operations = sim.operations - whole.operations;
    for (uint32_t at = 1; at <= operations; at++) {
        for (flash_cut_t cut = CUT_BEFORE; cut < CUT_KINDS; cut++) {
            flash_sim_copy(&sim, &whole);
            sim.cut_at = sim.operations + at;
            sim.cut = cut;
            if (setjmp(sim.out) == 0) (void)store(&set, 1000);
            sim.cut_at = 0;
            golden_set_t got;
            if (golden_find(&sim.port, set.digest, &got)) {
                CHECK(memcmp(got.data, windows, 100 * WINDOW) == 0);
                continue;
            }
            CHECK_EQUAL(store(&set, 1000), TF_RESULT_SUCCESS);
            CHECK(golden_find(&sim.port, set.digest, &got));
        }
    }
    flash_sim_close(&whole);
    flash_sim_close(&sim);
}

int main(void) {
    RUN(sets_are_found_by_their_digest);
    RUN(what_does_not_fit_or_add_up_is_refused);
    RUN(other_windows_than_the_digest_says_are_no_set);
    RUN(windows_of_odd_sizes_end_within_a_write_unit);
    RUN(a_cut_of_power_leaves_a_whole_set_or_none);
    return 0;
}
