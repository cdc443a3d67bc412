/* Answers what comes by RTT with the other case, and counts; symbols for a debugger. Any Cortex-M.
 * The control block is laid out as SEGGER's documentation of RTT gives it. */
struct ring {
    const char *name;
    volatile char *data;
    unsigned size;
    volatile unsigned written, read, flags;
};

static struct {
    char id[16];
    int up_count, down_count;
    struct ring up, down;
} block;

/* Powers of two: a Cortex-M0 does not divide. */
static volatile char up_data[32], down_data[16];
volatile unsigned counted;
static const char id[] = "SEGGER RTT", name[] = "echo";

__attribute__((noinline)) void turn(char character) {
    unsigned next = (block.up.written + 1) & (sizeof up_data - 1);
    if (next == block.up.read) return;
    up_data[block.up.written] = (char)(character ^ 0x20);
    block.up.written = next;
    counted++;
}

__attribute__((noinline)) void look(void) {
    if (block.down.read == block.down.written) return;
    char character = down_data[block.down.read];
    block.down.read = (block.down.read + 1) & (sizeof down_data - 1);
    turn(character);
}

__attribute__((noreturn)) void start(void) {
    for (unsigned i = 0; i < sizeof block / 4; i++) ((volatile unsigned *)&block)[i] = 0;
    counted = 0;
    block.up_count = block.down_count = 1;
    block.up = (struct ring){name, up_data, sizeof up_data, 0, 0, 0};
    block.down = (struct ring){name, down_data, sizeof down_data, 0, 0, 0};
    for (unsigned i = 0; i < sizeof id; i++) ((volatile char *)block.id)[i] = id[i];
    for (;;) look();
}

__attribute__((noreturn)) void fault(void) {
    for (;;) {}
}

__attribute__((section(".vectors"), used)) static const void *const vectors[] = {
    (const void *)STACK,
    (const void *)start,
    (const void *)fault,
    (const void *)fault,
};
