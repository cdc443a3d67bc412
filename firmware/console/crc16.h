/* Inside of console: CRC-16 of SMP lines (polynomial 0x1021, from 0), a bit at a time as the frames' CRC-32.
 */
#ifndef TINYFLEET_CONSOLE_CRC16_H
#define TINYFLEET_CONSOLE_CRC16_H

#include <stdint.h>

static inline uint16_t crc16_add(uint16_t crc, uint8_t byte) {
    uint32_t value = crc ^ (uint32_t)byte << 8;
    for (int i = 0; i < 8; i++) value = value << 1 ^ ((value & 0x8000u) != 0 ? 0x1021u : 0u);
    return (uint16_t)value;
}

#endif
