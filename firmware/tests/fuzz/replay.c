/* Runs kept inputs through a harness: each FILE, and each file of each FOLDER, in the order of their names.
 *
 * usage: replay_NAME FILE|FOLDER… */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "fuzz.h"

static unsigned long inputs;

static void run_file(const char *path) {
    FILE *const file = fopen(path, "rb");
    if (file == NULL || fseek(file, 0, SEEK_END) != 0) {
        perror(path);
        exit(2);
    }
    const size_t size = (size_t)ftell(file);
    rewind(file);
    uint8_t *const data = malloc(size ? size : 1);
    if (data == NULL || fread(data, 1, size, file) != size) exit(2);
    (void)fclose(file);
    /* Told first: a sanitizer's report does not say which input it is about. */
    (void)fprintf(stderr, "%s\n", path);
    (void)LLVMFuzzerTestOneInput(data, size);
    inputs++;
    free(data);
}

static int is_visible(const struct dirent *entry) {
    return entry->d_name[0] != '.';
}

static void run_folder(const char *path) {
    struct dirent **entries;
    const int count = scandir(path, &entries, is_visible, alphasort);
    for (int i = 0; i < count; i++) {
        char name[4096];
        struct stat status;
        (void)snprintf(name, sizeof name, "%s/%s", path, entries[i]->d_name);
        /* Folders in a folder belong to other harnesses. */
        if (stat(name, &status) == 0 && S_ISREG(status.st_mode)) run_file(name);
        free(entries[i]);
    }
    if (count >= 0) free(entries);
}

int main(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        struct stat status;
        if (stat(argv[i], &status) != 0) {
            perror(argv[i]);
            return 2;
        }
        if (S_ISDIR(status.st_mode)) {
            run_folder(argv[i]);
        } else {
            run_file(argv[i]);
        }
    }
    if (inputs == 0) {
        (void)fputs("replay: no input\n", stderr);
        return 2;
    }
    printf("fuzz: %lu inputs replayed\n", inputs);
    fuzz_report();
    return 0;
}
