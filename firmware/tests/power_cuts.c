#include "power_cuts.h"

#include "random.h"

uint32_t cut_everywhere(const cut_play_t *play, const void *scenario, flash_cut_t cut) {
    uint32_t points = 0;
    for (uint32_t operation = 1;; operation++) {
        play->begin(scenario);
        if (!flash_sim_cut(play->flash, operation, cut, operation * 2654435761u + 1u, play->live, scenario)) {
            return points;
        }
        points++;
        play->expect_end(scenario, operation, 0, cut);
    }
}

uint32_t cut_in_pairs(const cut_play_t *play, const void *scenario, flash_cut_t one, flash_cut_t other) {
    uint32_t points = 0;
    for (uint32_t first = 1;; first++) {
        for (uint32_t again = 1;; again++) {
            play->begin(scenario);
            if (!flash_sim_cut(play->flash, first, one, first * 77u + again, play->live, scenario)) {
                return points;
            }
            if (!flash_sim_cut(play->flash, again, other, again * 91u + first, play->live, scenario)) break;
            points++;
            play->expect_end(scenario, first, again, other);
        }
    }
}

uint32_t cut_in_rows(const cut_play_t *play, const void *scenario, const cut_rows_t *rows) {
    uint32_t random = rows->seed, points = 0;
    for (uint32_t round = 0; round < rows->rounds; round++) {
        play->begin(scenario);
        for (uint32_t i = 0; i < rows->cuts; i++) {
            flash_cut_t cut = (flash_cut_t)(random_next(&random) % CUT_KINDS);
            uint32_t operation = 1 + random_next(&random) % (i == 0 ? rows->within : rows->soon);
            if (!flash_sim_cut(play->flash, operation, cut, random_next(&random), play->live, scenario))
                break;
            points++;
        }
        play->expect_end_in_the_end(scenario);
    }
    return points;
}
