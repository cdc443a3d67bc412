/* Firmware images are copied to the execution area. */
#include "board.h"

const tf_boot_layout_t *boot_layout(void) {
    static tf_boot_layout_t layout;
    layout = (tf_boot_layout_t){
        .flash = flash_port(),
        .state_offset = {MAP(BOOT_A_OFFSET), MAP(BOOT_B_OFFSET)},
        .slot_offset = {MAP(FIRMWARE_A_OFFSET), MAP(FIRMWARE_B_OFFSET)},
        .slot_bytes = MAP(FIRMWARE_A_BYTES),
        .start = TF_IMAGE_START_RAM_LOAD,
        .address = EXECUTION_BASE,
        .room_bytes = EXECUTION_BYTES,
    };
    return &layout;
}
