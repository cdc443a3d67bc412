/* Flash: erased to 0xFF by sectors, written once by units, nothing else touched. */
#include <string.h>

#include "conformance.h"
#include "tinyfleet/wire_keys.h"

#define UNITS 4u
#define UNIT_MOST 64u
#define PATTERN 0x5Au

/* The second sector of the scratch is erased at the start of each check, the third must not change. */
static uint32_t second(const tf_conformance_port_t *port) {
    return port->scratch_offset + TF_SECTOR_BYTES;
}

static const uint8_t *at(const tf_conformance_port_t *port, uint32_t offset, uint32_t size) {
    const tf_flash_t *flash = port->node->flash();
    return flash->map(flash->context, offset, size);
}

static int erase(const tf_conformance_port_t *port, uint32_t offset, uint32_t size) {
    const tf_flash_t *flash = port->node->flash();
    return flash->erase(flash->context, offset, size);
}

static int write(const tf_conformance_port_t *port, uint32_t offset, const void *data, uint32_t size) {
    const tf_flash_t *flash = port->node->flash();
    return flash->write(flash->context, offset, data, size);
}

static bool holds(const uint8_t *bytes, uint8_t value, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) {
        if (bytes == NULL || bytes[i] != value) return false;
    }
    return true;
}

static void fill(uint8_t *bytes, uint32_t size) {
    for (uint32_t i = 0; i < size; i++) bytes[i] = (uint8_t)(PATTERN + i * 7u);
}

answer_t check_geometry(const tf_conformance_port_t *port) {
    const tf_flash_t *flash = port->node->flash();
    EXPECT(flash->sector_bytes > 0 && TF_SECTOR_BYTES % flash->sector_bytes == 0,
           "sector_bytes does not divide 4096");
    EXPECT(flash->write_bytes > 0 && flash->write_bytes <= UNIT_MOST && 128u % flash->write_bytes == 0,
           "write_bytes does not divide a boot record's 128");
    EXPECT(port->scratch_offset % TF_SECTOR_BYTES == 0, "the scratch does not begin with a sector");
    EXPECT(at(port, port->scratch_offset, 4 * TF_SECTOR_BYTES) != NULL, "the scratch is not in the flash");
    EXPECT((uintptr_t)at(port, second(port), 1) % 4u == 0, "flash is not mapped at words");
    return PASSED;
}

answer_t check_erase(const tf_conformance_port_t *port) {
    uint8_t units[UNIT_MOST];
    const uint32_t unit = port->node->flash()->write_bytes, behind = second(port) + TF_SECTOR_BYTES;
    fill(units, unit);
    EXPECT(erase(port, second(port), 2 * TF_SECTOR_BYTES) == 0, "two sectors cannot be erased");
    EXPECT(holds(at(port, second(port), 2 * TF_SECTOR_BYTES), 0xFF, 2 * TF_SECTOR_BYTES),
           "erased is not 0xFF");
    EXPECT(write(port, behind - unit, units, unit) == 0, "a sector's last unit cannot be written");
    EXPECT(write(port, behind, units, unit) == 0, "a sector's first unit cannot be written");
    EXPECT(erase(port, second(port), TF_SECTOR_BYTES) == 0, "a sector cannot be erased");
    EXPECT(holds(at(port, second(port), TF_SECTOR_BYTES), 0xFF, TF_SECTOR_BYTES), "erased is not 0xFF");
    EXPECT(memcmp(at(port, behind, unit), units, unit) == 0, "the next sector was erased, too");
    return PASSED;
}

answer_t check_write(const tf_conformance_port_t *port) {
    uint8_t bytes[UNITS * UNIT_MOST + 1];
    const uint32_t unit = port->node->flash()->write_bytes, size = UNITS * unit;
    fill(bytes, sizeof bytes);
    EXPECT(erase(port, second(port), TF_SECTOR_BYTES) == 0, "a sector cannot be erased");
    /* From an odd address of the caller's. */
    EXPECT(write(port, second(port) + unit, bytes + 1, size) == 0, "units cannot be written");
    EXPECT(memcmp(at(port, second(port) + unit, size), bytes + 1, size) == 0, "another value is read");
    EXPECT(holds(at(port, second(port), unit), 0xFF, unit), "the unit before was written, too");
    EXPECT(holds(at(port, second(port) + unit + size, unit), 0xFF, unit), "the unit behind was written, too");
    return PASSED;
}

/* Not even to clear more bits, nor with the same value: flash with a checksum of each unit forbids it. */
answer_t check_once(const tf_conformance_port_t *port) {
    uint8_t bytes[2 * UNIT_MOST];
    const uint32_t unit = port->node->flash()->write_bytes;
    fill(bytes, sizeof bytes);
    EXPECT(erase(port, second(port), TF_SECTOR_BYTES) == 0, "a sector cannot be erased");
    EXPECT(write(port, second(port) + unit, bytes, unit) == 0, "a unit cannot be written");
    EXPECT(write(port, second(port) + unit, bytes, unit) != 0, "the same value was written again");
    EXPECT(write(port, second(port), bytes, 2 * unit) != 0, "a write over a written unit was taken");
    EXPECT(holds(at(port, second(port), unit), 0xFF, unit), "half of a refused write was done");
    EXPECT(memcmp(at(port, second(port) + unit, unit), bytes, unit) == 0,
           "a refused write changed the flash");
    EXPECT(erase(port, second(port), TF_SECTOR_BYTES) == 0, "a written sector cannot be erased");
    EXPECT(write(port, second(port) + unit, bytes, unit) == 0, "an erased unit cannot be written again");
    return PASSED;
}

answer_t check_bounds(const tf_conformance_port_t *port) {
    uint8_t bytes[UNIT_MOST] = {0};
    const tf_flash_t *flash = port->node->flash();
    const uint32_t unit = flash->write_bytes, end = flash->size_bytes;
    EXPECT(erase(port, end, flash->sector_bytes) != 0, "a sector behind the end was erased");
    EXPECT(erase(port, end - flash->sector_bytes, 2 * flash->sector_bytes) != 0,
           "an erase over the end was taken");
    EXPECT(write(port, end, bytes, unit) != 0, "a unit behind the end was written");
    EXPECT(write(port, UINT32_MAX / unit * unit, bytes, unit) != 0, "a write at the last address was taken");
    EXPECT(at(port, end - 4, 4) != NULL && at(port, end - 4, 5) == NULL, "the map goes over the end");
    EXPECT(at(port, 4, UINT32_MAX) == NULL, "a map of everything was given");
    return PASSED;
}

answer_t check_alignment(const tf_conformance_port_t *port) {
    uint8_t bytes[UNIT_MOST] = {0};
    const tf_flash_t *flash = port->node->flash();
    const uint32_t unit = flash->write_bytes;
    EXPECT(erase(port, second(port), TF_SECTOR_BYTES) == 0, "a sector cannot be erased");
    EXPECT(erase(port, second(port) + unit, flash->sector_bytes) != 0, "an erase between sectors was taken");
    EXPECT(erase(port, second(port), flash->sector_bytes - unit) != 0, "an erase of half a sector was taken");
    if (unit == 1) return SKIPPED("a unit is a byte");
    EXPECT(write(port, second(port) + 1, bytes, unit) != 0, "a write between units was taken");
    EXPECT(write(port, second(port), bytes, unit - 1) != 0, "a write of half a unit was taken");
    EXPECT(holds(at(port, second(port), 2 * unit), 0xFF, 2 * unit), "a refused write changed the flash");
    return PASSED;
}
