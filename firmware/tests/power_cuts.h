/* Where power is cut in a play: at each operation on its flash, at each pair of them, at some in a row. What
 * a play does is its test's; that it ends well, too: a play that does not ends the program. */
#ifndef TINYFLEET_TESTS_POWER_CUTS_H
#define TINYFLEET_TESTS_POWER_CUTS_H

#include "flash_sim.h"

/* `scenario` is handed on. `begin` puts the flash back to where the scenario starts, `live` goes on from a
 * start until nothing is left to do; what it changes is static, as flash_sim_cut asks. */
typedef struct {
    flash_sim_t *flash;
    void (*begin)(const void *scenario);
    void (*live)(const void *scenario);
    /* With power that stays; then it must have ended as it should. The cuts, for who reads that it did not.
     */
    void (*expect_end)(const void *scenario, uint32_t first, uint32_t second, flash_cut_t cut);
    /* The same after cuts in a row, which may be too many for what was tried. */
    void (*expect_end_in_the_end)(const void *scenario);
} cut_play_t;

/* Each returns how many times it cut: in a pair two count as one. */
uint32_t cut_everywhere(const cut_play_t *play, const void *scenario, flash_cut_t cut);
/* The second comes while what was cut off first recovers. */
uint32_t cut_in_pairs(const cut_play_t *play, const void *scenario, flash_cut_t one, flash_cut_t other);

typedef struct {
    uint32_t rounds, cuts; /* so many in a row */
    uint32_t within, soon; /* the first within so many operations, the others within `soon` more */
    uint32_t seed;
} cut_rows_t;

uint32_t cut_in_rows(const cut_play_t *play, const void *scenario, const cut_rows_t *rows);

#endif
