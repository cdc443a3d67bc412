/* Flash as a file: erased bytes are 0xFF, whole sectors are erased, a unit is written once between erases.
 * Each operation has reached the disk when it returns. Reading is through a map of the file, which Linux
 * keeps equal to what is written to it. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"
#include "posix.h"

#define SIZE MAP(FLASH_BYTES)
#define SECTOR MAP(SECTOR_BYTES)
#define UNIT MAP(WRITE_BYTES)

enum { PATH_BYTES = 4096, OWNER_ONLY = 0600 };
enum { FLASH_ERR_RANGE = -1, FLASH_ERR_ALIGN = -2, FLASH_ERR_WRITTEN = -3, FLASH_ERR_DISK = -4 };

static int file = -1;
static const uint8_t *memory;

static int check(uint32_t offset, uint32_t size, uint32_t unit) {
    if (offset > SIZE || size > SIZE - offset) return FLASH_ERR_RANGE;
    if (offset % unit != 0 || size % unit != 0) return FLASH_ERR_ALIGN;
    return 0;
}

static bool put(uint32_t offset, const uint8_t *data, uint32_t size) {
    while (size > 0) {
        ssize_t done = pwrite(file, data, size, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return false;
        data += done;
        offset += (uint32_t)done;
        size -= (uint32_t)done;
    }
    return true;
}

static bool put_erased(uint32_t offset, uint32_t size) {
    uint8_t sector[SECTOR];
    memset(sector, MAP(ERASED), sizeof sector);
    for (uint32_t at = 0; at < size; at += SECTOR) {
        if (!put(offset + at, sector, SECTOR)) return false;
    }
    return true;
}

static int erase(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    int error = check(offset, size, SECTOR);
    if (error != 0) return error;
    return put_erased(offset, size) && fdatasync(file) == 0 ? 0 : FLASH_ERR_DISK;
}

static int write_units(void *context, uint32_t offset, const void *data, uint32_t size) {
    (void)context;
    int error = check(offset, size, UNIT);
    if (error != 0) return error;
    for (uint32_t i = 0; i < size; i++) {
        if (memory[offset + i] != MAP(ERASED)) return FLASH_ERR_WRITTEN;
    }
    return put(offset, data, size) && fdatasync(file) == 0 ? 0 : FLASH_ERR_DISK;
}

static const uint8_t *map(void *context, uint32_t offset, uint32_t size) {
    (void)context;
    return check(offset, size, 1) == 0 ? memory + offset : NULL;
}

void posix_flash_open(const char *folder) {
    static char path[PATH_BYTES];
    int length = snprintf(path, sizeof path, "%s/flash.bin", folder);
    if (length < 0 || (size_t)length >= sizeof path)
        posix_fail("the state folder's path is too long", folder);
    /* It holds the node's password and key. */
    file = open(path, O_RDWR | O_CREAT | O_CLOEXEC, OWNER_ONLY);
    if (file < 0) posix_fail("cannot open the flash", path);
    if (flock(file, LOCK_EX | LOCK_NB) != 0) posix_fail("another process uses the flash", path);
    struct stat status;
    if (fstat(file, &status) != 0) posix_fail("cannot examine the flash", path);
    if (status.st_size == 0 && (!put_erased(0, SIZE) || fsync(file) != 0))
        posix_fail("cannot make the flash", path);
    if (status.st_size != 0 && status.st_size != (off_t)SIZE) {
        errno = 0;
        posix_fail("remove it and provision again, for it has another size than this node's flash:", path);
    }
    void *mapped = mmap(NULL, SIZE, PROT_READ, MAP_SHARED, file, 0);
    if (mapped == MAP_FAILED) posix_fail("cannot map the flash", path);
    memory = mapped;
}

const tf_flash_t *posix_flash(void) {
    static const tf_flash_t flash = {
        .size_bytes = SIZE,
        .sector_bytes = SECTOR,
        .write_bytes = UNIT,
        .erase = erase,
        .write = write_units,
        .map = map,
    };
    return &flash;
}
