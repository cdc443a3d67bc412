/* PROGRAM --state DIR: the node, or the conformance test, as a process. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "posix.h"

enum { EXIT_USAGE = 2, OWNER_ONLY = 0700 };

static void usage(FILE *to) {
    fprintf(to,
            "usage: tinyfleet-node --state DIR\n"
            "  DIR holds flash.bin, which `tinyfleet device provision --device-type posix` writes;\n"
            "  made, as is an empty one, when absent.\n");
}

int main(int count, char **arguments) {
    if (count == 2 && strcmp(arguments[1], "--help") == 0) {
        usage(stdout);
        return EXIT_SUCCESS;
    }
    if (count != 3 || strcmp(arguments[1], "--state") != 0) {
        usage(stderr);
        return EXIT_USAGE;
    }
    const char *folder = arguments[2];
    if (mkdir(folder, OWNER_ONLY) != 0 && errno != EEXIST) posix_fail("cannot make the state folder", folder);
    posix_crash_open(folder, arguments);
    posix_flash_open(folder);
    posix_run();
}
