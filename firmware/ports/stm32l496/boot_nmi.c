/* The bootloader reads records that a power cut may have left unreadable: that must not end it. */
#include "board.h"

void boot_nmi(void);

void boot_nmi(void) {
    if (!flash_forgive()) system_reset();
}
