/* QEMU's micro:bit, an nRF51822: its flash controller, timer and UART have the nRF52840's registers, so the
 * conformance test can run that port's drivers on it. No board of a fleet: this memory map is the test's own.
 */
#ifndef TINYFLEET_NRF52840_MACHINE_H
#define TINYFLEET_NRF52840_MACHINE_H

#define BOARD_DEVICE_TYPE "nrf52840's drivers on an nrf51822"
#define MAP(field) NRF51_QEMU_##field

#define NRF51_QEMU_FLASH_BASE 0u
#define NRF51_QEMU_FLASH_BYTES 0x40000u
#define NRF51_QEMU_SECTOR_BYTES 1024u
#define NRF51_QEMU_WRITE_BYTES 4u
#define NRF51_QEMU_BOOT_A_OFFSET 0x10000u
#define NRF51_QEMU_BOOT_B_OFFSET 0x11000u
#define NRF51_QEMU_FIRMWARE_A_OFFSET 0x12000u
#define NRF51_QEMU_FIRMWARE_B_OFFSET 0x20000u
#define NRF51_QEMU_FIRMWARE_A_BYTES 0xE000u
#define NRF51_QEMU_MODEL_B_OFFSET 0x30000u

#define IRQS 32u
#define PIN_TXD 24u

#endif
