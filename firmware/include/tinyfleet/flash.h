/* Flash as a port of functions. Offsets are relative to the region's start. All return 0 or a negative error.
 */
#ifndef TINYFLEET_FLASH_H
#define TINYFLEET_FLASH_H

#include <stdint.h>

typedef struct tf_flash {
    void *context;
    uint32_t size_bytes;
    uint32_t sector_bytes; /* smallest erase */
    uint32_t write_bytes;  /* smallest write and its alignment; a unit is written once between erases */
    int (*erase)(void *context, uint32_t offset, uint32_t size);
    int (*write)(void *context, uint32_t offset, const void *data, uint32_t size);
    /* Flash is memory-mapped on every port: reading is a pointer. */
    const uint8_t *(*map)(void *context, uint32_t offset, uint32_t size);
} tf_flash_t;

#endif
