/* The bootloader: decides, loads, starts. It has no network and no console input, and writes only its record.
 */
#include <string.h>

#include "tinyfleet/boot_port.h"

enum { LINE_BYTES = 120 };

static void add(char *line, const char *text) {
    uint32_t at = (uint32_t)strlen(line);
    for (; *text != 0 && at < LINE_BYTES - 1u; text++) line[at++] = *text;
    line[at] = 0;
}

static void say_refused(const tf_boot_port_t *port, const tf_boot_choice_t *choice) {
    for (uint8_t slot = 0; slot < TF_BOOT_SLOTS; slot++) {
        if (choice->reason[slot] == NULL) continue;
        char line[LINE_BYTES] = "boot: slot ";
        add(line, slot == 0 ? "A: " : "B: ");
        add(line, choice->reason[slot]);
        port->say(line);
    }
}

static void say_start(const tf_boot_port_t *port, const tf_boot_choice_t *choice) {
    char line[LINE_BYTES] = "boot: ", version[TF_IMAGE_VERSION_MAX];
    (void)tf_image_version_text(&choice->image.version, version);
    add(line, version);
    add(line, choice->slot == 0 ? " from slot A" : " from slot B");
    if (choice->trial) add(line, ", on trial");
    port->say(line);
}

static tf_reset_t reset_reason(const tf_handoff_t *handoff) {
    return tf_handoff_is_whole(handoff) ? (tf_reset_t)handoff->ending : TF_RESET_POWER;
}

static void start(const tf_boot_port_t *port, const tf_boot_choice_t *choice, tf_reset_t reset) {
    const tf_boot_layout_t *layout = port->layout;
    const tf_image_t *image = &choice->image;
    const uint8_t *slot = tf_boot_slot(layout, choice->slot);
    uint32_t at = layout->address;
    if (layout->start == TF_IMAGE_START_RAM_LOAD) {
        port->load(slot, image->header_bytes + image->payload_bytes);
    } else {
        at += layout->slot_offset[choice->slot];
    }
    /* Whoever says nothing before the next start has hung. */
    *port->handoff = (tf_handoff_t){.reset = reset,
                                    .slot = choice->slot,
                                    .trial = choice->trial,
                                    .ending = TF_RESET_WATCHDOG,
                                    .services = port->services};
    tf_handoff_seal(port->handoff);
    port->watchdog_start();
    port->start(at + image->header_bytes);
}

int main(void) {
    const tf_boot_port_t *port = tf_boot_port();
    const tf_flash_t *flash = port->layout->flash;
    const tf_reset_t reset = reset_reason(port->handoff);
    tf_trust_t trust;
    const uint8_t *area = flash->map(flash->context, port->trust_offset, port->trust_bytes);
    if (area == NULL || tf_record_trust(area, port->trust_bytes, &trust) != TF_WIRE_OK) {
        port->say("boot: stopped: no trust record, so no firmware can be verified; provision the board");
        port->rest();
    }
    const tf_image_policy_t base = {.device_type = tf_text(port->device_type), .trust = &trust};
    tf_boot_t boot;
    tf_boot_choice_t choice;
    tf_boot_open(&boot, port->layout);
    tf_boot_choose(&boot, &base, reset, &choice);
    say_refused(port, &choice);
    if (choice.slot == TF_BOOT_NO_SLOT) {
        port->say("boot: stopped: no firmware that may start; provision the board");
        port->rest();
    }
    say_start(port, &choice);
    start(port, &choice, reset);
    return 0;
}
