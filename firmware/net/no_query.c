#include "tinyfleet/query.h"

bool tf_query_open(tf_query_t *link, const uint8_t host[4], uint16_t port) {
    (void)link, (void)host, (void)port;
    return false;
}

void tf_query_close(tf_query_t *link) {
    (void)link;
}

bool tf_query_send(tf_query_t *link, const uint8_t *data, uint32_t size) {
    (void)link, (void)data, (void)size;
    return false;
}
