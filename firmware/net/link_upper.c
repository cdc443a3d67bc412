#include "link_upper.h"

static void opened(void *context, uint32_t now_ms) {
    tf_mqtt_opened(context, now_ms);
}

static void writable(void *context, uint32_t now_ms) {
    tf_mqtt_writable(context, now_ms);
}

static void input(void *context, const uint8_t *data, uint32_t size, uint32_t now_ms) {
    tf_mqtt_input(context, data, size, now_ms);
}

static void lost(void *context) {
    tf_mqtt_lost(context);
}

tf_link_upper_t link_upper_of(tf_mqtt_t *client) {
    return (tf_link_upper_t){client, opened, writable, input, lost};
}

void tf_link_hand_to(tf_link_t *link, const tf_link_upper_t *upper) {
    link->upper = *upper;
}
