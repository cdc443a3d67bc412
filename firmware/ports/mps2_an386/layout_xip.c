/* Firmware images are run where they stand. */
#include "board.h"

const tf_boot_layout_t *boot_layout(void) {
    static tf_boot_layout_t layout;
    layout = (tf_boot_layout_t){
        .flash = flash_port(),
        .state_offset = {TF_MPS2_AN386_BOOT_A_OFFSET, TF_MPS2_AN386_BOOT_B_OFFSET},
        .slot_offset = {TF_MPS2_AN386_FIRMWARE_A_OFFSET, TF_MPS2_AN386_FIRMWARE_B_OFFSET},
        .slot_bytes = TF_MPS2_AN386_FIRMWARE_A_BYTES,
        .start = TF_IMAGE_START_XIP,
        .address = FLASH_BASE,
        .room_bytes = 0,
    };
    return &layout;
}
