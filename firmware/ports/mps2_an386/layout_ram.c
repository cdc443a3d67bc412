/* Firmware images are copied to the execution area. */
#include "board.h"

const tf_boot_layout_t *boot_layout(void) {
    static tf_boot_layout_t layout;
    layout = (tf_boot_layout_t){
        .flash = flash_port(),
        .state_offset = {TF_MPS2_AN386_BOOT_A_OFFSET, TF_MPS2_AN386_BOOT_B_OFFSET},
        .slot_offset = {TF_MPS2_AN386_FIRMWARE_A_OFFSET, TF_MPS2_AN386_FIRMWARE_B_OFFSET},
        .slot_bytes = TF_MPS2_AN386_FIRMWARE_A_BYTES,
        .start = TF_IMAGE_START_RAM_LOAD,
        .address = EXECUTION_BASE,
        .room_bytes = EXECUTION_BYTES,
    };
    return &layout;
}
