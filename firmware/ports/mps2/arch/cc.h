/* lwIP's compiler and system port. */
#ifndef TINYFLEET_ARCH_CC_H
#define TINYFLEET_ARCH_CC_H

#include <stdint.h>

/* From the app's generator: local ports and DHCP transactions must differ from one start to the next. */
uint32_t tf_node_random(void);
void panic(const char *what) __attribute__((noreturn));

#define LWIP_RAND() tf_node_random()
#define LWIP_PLATFORM_DIAG(message)
/* Without the messages, 8 KB of text: the crash record has the place. */
#define LWIP_PLATFORM_ASSERT(message) panic("lwIP")

#endif
