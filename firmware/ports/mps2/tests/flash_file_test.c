/* The driver must refuse what flash would not do; the update code relies on being told. */
#define _DEFAULT_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "board.h"

#define SECTOR 4096u

#define CHECK(condition)                                                              \
    do {                                                                              \
        if (!(condition)) {                                                           \
            fprintf(stderr, "%s:%d: not true: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                                  \
        }                                                                             \
    } while (0)

static uint8_t *place_memory(void) {
    void *wanted = (void *)(uintptr_t)FLASH_BASE;
    void *memory = mmap(wanted, FLASH_SIZE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
    if (memory != wanted) {
        perror("no memory at the board's flash address");
        exit(1);
    }
    return memory;
}

int main(void) {
    static const uint32_t words[] = {0x11223344u, 0x55667788u, 0xFFFFFFFFu};
    uint8_t *memory = place_memory();
    const tf_flash_t *flash = flash_port();
    CHECK(flash->size_bytes == FLASH_SIZE && flash->sector_bytes == SECTOR && flash->write_bytes == 4);

    /* Zeros are written bytes: nothing can be written before an erase. */
    CHECK(flash->write(NULL, 0, words, 4) != 0);
    CHECK(memory[0] == 0);
    CHECK(flash->erase(NULL, SECTOR, SECTOR) == 0);
    CHECK(memory[SECTOR] == 0xFF && memory[2 * SECTOR - 1] == 0xFF);
    CHECK(memory[SECTOR - 1] == 0 && memory[2 * SECTOR] == 0);

    CHECK(flash->write(NULL, SECTOR + 4, words, 12) == 0);
    CHECK(memcmp(memory + SECTOR + 4, words, 12) == 0);
    CHECK(memory[SECTOR + 3] == 0xFF && memory[SECTOR + 16] == 0xFF);
    /* Once between erases, even with the same value; and then nothing of the call is written. */
    CHECK(flash->write(NULL, SECTOR + 4, words, 4) != 0);
    CHECK(flash->write(NULL, SECTOR, words, 8) != 0);
    CHECK(memory[SECTOR] == 0xFF);
    CHECK(flash->erase(NULL, SECTOR, SECTOR) == 0);
    CHECK(flash->write(NULL, SECTOR + 4, words, 4) == 0);

    /* From an odd address of the caller's. */
    const uint8_t bytes[] = {0, 1, 2, 3, 4};
    CHECK(flash->write(NULL, SECTOR + 8, bytes + 1, 4) == 0);
    CHECK(memcmp(memory + SECTOR + 8, bytes + 1, 4) == 0);

    CHECK(flash->write(NULL, SECTOR + 18, words, 4) != 0);
    CHECK(flash->write(NULL, SECTOR + 20, words, 3) != 0);
    CHECK(flash->erase(NULL, SECTOR + 4, SECTOR) != 0);
    CHECK(flash->erase(NULL, SECTOR, SECTOR - 4) != 0);

    CHECK(flash->erase(NULL, FLASH_SIZE, SECTOR) != 0);
    CHECK(flash->erase(NULL, FLASH_SIZE - SECTOR, 2 * SECTOR) != 0);
    CHECK(flash->erase(NULL, FLASH_SIZE - SECTOR, SECTOR) == 0);
    CHECK(flash->write(NULL, FLASH_SIZE - 4, words, 8) != 0);
    CHECK(flash->write(NULL, FLASH_SIZE - 4, words, 4) == 0);
    CHECK(flash->write(NULL, UINT32_MAX - 3, words, 8) != 0);
    CHECK(flash->map(NULL, FLASH_SIZE - 4, 4) == memory + FLASH_SIZE - 4);
    CHECK(flash->map(NULL, FLASH_SIZE - 4, 5) == NULL);
    CHECK(flash->map(NULL, 4, UINT32_MAX) == NULL);
    puts("flash: ok");
    return 0;
}
