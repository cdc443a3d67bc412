/* Firmware images are run where they stand. */
#include "board.h"

const tf_boot_layout_t *boot_layout(void) {
    static tf_boot_layout_t layout;
    layout = (tf_boot_layout_t){
        .flash = flash_port(),
        .state_offset = {MAP(BOOT_A_OFFSET), MAP(BOOT_B_OFFSET)},
        .slot_offset = {MAP(FIRMWARE_A_OFFSET), MAP(FIRMWARE_B_OFFSET)},
        .slot_bytes = MAP(FIRMWARE_A_BYTES),
        .start = TF_IMAGE_START_XIP,
        .address = FLASH_BASE,
        .room_bytes = 0,
    };
    return &layout;
}
