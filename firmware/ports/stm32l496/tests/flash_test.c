/* The driver of the STM32L496's flash, which has run on no chip, against a controller as the manual describes
 * it: the checks of the conformance test, errors of the chip, and double words that ECC cannot mend. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "board.h"
#include "conformance.h"
#include "flash_controller.h"

#define BOUNDARY 0x80000u /* where the second bank begins */

#define EXPECT_TRUE(condition)                                                      \
    do {                                                                            \
        if (!(condition)) {                                                         \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                \
        }                                                                           \
    } while (0)

static const tf_node_port_t node = {.flash = flash_port};

static void conforms(uint32_t scratch_offset) {
    static answer_t (*const checks[])(const tf_conformance_port_t *port) = {
        check_geometry, check_erase, check_write, check_once, check_bounds, check_alignment};
    const tf_conformance_port_t port = {.node = &node, .scratch_offset = scratch_offset};
    for (uint32_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        answer_t answer = checks[i](&port);
        if (answer.why != NULL) fprintf(stderr, "check %u: %s\n", i + 1, answer.why);
        EXPECT_TRUE(answer.outcome == PASS && controller_rests());
    }
}

static void a_chip_that_says_no_is_heard(void) {
    const tf_flash_t *flash = flash_port();
    const uint8_t bytes[16] = {1, 2, 3};
    controller_fail_next();
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY, 2048) != 0 && controller_rests());
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY, 2048) == 0 && controller_rests());
    controller_fail_next();
    EXPECT_TRUE(flash->write(NULL, BOUNDARY, bytes, sizeof bytes) != 0 && controller_rests());
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY, 2048) == 0);
    EXPECT_TRUE(flash->write(NULL, BOUNDARY, bytes, sizeof bytes) == 0 && controller_rests());
}

static void only_the_pages_asked_for_are_erased(void) {
    const tf_flash_t *flash = flash_port();
    const uint8_t *memory = flash->map(NULL, 0, flash->size_bytes);
    uint8_t bytes[8];
    memset(bytes, 0x11, sizeof bytes);
    EXPECT_TRUE(flash->erase(NULL, 0, flash->size_bytes) == 0);
    for (uint32_t at = 0; at < flash->size_bytes; at += 2048) {
        EXPECT_TRUE(flash->write(NULL, at, bytes, sizeof bytes) == 0);
    }
    uint32_t before = controller_counts.erased_pages;
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY - 2048, 3 * 2048) == 0);
    EXPECT_TRUE(controller_counts.erased_pages == before + 3);
    for (uint32_t at = 0; at < flash->size_bytes; at += 2048) {
        bool erased = at >= BOUNDARY - 2048 && at < BOUNDARY + 2 * 2048;
        EXPECT_TRUE(memory[at] == (erased ? 0xFF : 0x11));
    }
}

/* What a cut left may raise NMI at every read: it is forgiven, nothing is written over it, an erase ends it.
 */
static void a_torn_double_word_harms_nobody(void) {
    const tf_flash_t *flash = flash_port();
    uint8_t bytes[8];
    memset(bytes, 0x11, sizeof bytes);
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY, 2048) == 0);
    controller_tear(BOUNDARY + 64);
    uint32_t before = controller_counts.unmendable_reads;
    EXPECT_TRUE(flash->write(NULL, BOUNDARY + 64, bytes, sizeof bytes) != 0);
    EXPECT_TRUE(controller_counts.unmendable_reads > before && controller_rests());
    EXPECT_TRUE(flash->write(NULL, BOUNDARY + 72, bytes, sizeof bytes) == 0);
    EXPECT_TRUE(flash->erase(NULL, BOUNDARY, 2048) == 0);
    EXPECT_TRUE(flash->write(NULL, BOUNDARY + 64, bytes, sizeof bytes) == 0);
    EXPECT_TRUE(!flash_forgive());
}

int main(void) {
    controller_open();
    conforms(MAP(MODEL_B_OFFSET));
    conforms(BOUNDARY - 2 * TF_SECTOR_BYTES);
    a_chip_that_says_no_is_heard();
    only_the_pages_asked_for_are_erased();
    a_torn_double_word_harms_nobody();
    printf("%u pages erased, %u double words programmed: ok\n", controller_counts.erased_pages,
           controller_counts.programmed);
    return 0;
}
