/* The test as a program of its own. */
#include "tinyfleet/conformance_port.h"

int main(void);

int main(void) {
    tf_conformance_run();
}
