#include "posix.h"

void posix_run(void) {
    tf_node_run();
}
