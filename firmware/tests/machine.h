/* A node with its bootloader, over the flash of a world: what starts is what the bootloader chooses, and what
 * a firmware does then its image says (behaviour_t). A node that starts nothing ends the program: it is a
 * brick. */
#ifndef TINYFLEET_TESTS_MACHINE_H
#define TINYFLEET_TESTS_MACHINE_H

#include "tinyfleet/boot.h"
#include "world.h"

enum {
    MACHINE_BOOT_STATE = 0x3000,
    MACHINE_FIRMWARE_A = 0x80000,
    MACHINE_FIRMWARE_B = 0xA0000,
    MACHINE_FIRMWARE_BYTES = 0x20000,
    MACHINE_EXECUTION = 0x10000,
    MACHINE_FLASH_AT = 0x21000000,
};

typedef struct {
    world_t world;
    tf_boot_layout_t layout;
    tf_boot_t boot;
    tf_boot_choice_t choice; /* of the last start */
    uint32_t starts;
    uint32_t wake_bytes; /* it sleeps, and each wake may cost so much; 0: it is always online */
    bool has_want;       /* retained at the broker */
    tf_want_t want;
    void (*on_trial)(void); /* while a firmware tests itself; NULL: nothing */
    bool has_newer;         /* a want that comes while a firmware tests itself */
    tf_want_t newer;
} machine_t;

void machine_open(machine_t *machine, tf_image_start_t start);
void machine_close(machine_t *machine);
/* Address for which a firmware of this machine's slot is linked. */
uint32_t machine_address(const machine_t *machine, uint8_t slot);
/* `firmware` in slot A and `model` in its slot, before the first start. */
void machine_install(machine_t *machine, const made_t *firmware, const made_t *model);
/* Starts, and goes on over every reset that the node asks for, until its update is settled. */
void machine_live(machine_t *machine, tf_reset_t reset);
/* Whether that firmware runs, confirmed, and that model on it (NULL: none). */
bool machine_runs(const machine_t *machine, const made_t *firmware, const made_t *model);
/* The want for a firmware, a model, or both (NULL: not named). */
tf_want_t machine_want(const made_t *firmware, const made_t *model, uint32_t generation);
/* Puts it at the broker with what it names. */
void machine_offer(machine_t *machine, const made_t *firmware, const made_t *model, uint32_t generation);

#endif
