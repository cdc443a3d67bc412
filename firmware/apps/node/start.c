/* The node as a program of its own. */
#include "tinyfleet/node_port.h"

int main(void);

int main(void) {
    tf_node_run();
}
