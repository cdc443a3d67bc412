@ Flash algorithm of the emulated mps2-* boards, whose flash is plain memory: it behaves like NOR flash on purpose, so
@ that programming what was not erased is found by the read-back instead of passing.
@ Built by tests/integration/agent; the bytes stand in chips.py.
    .syntax unified
    .cpu cortex-m0
    .thumb
    .text
init:                       @ also uninit
    movs r0, #0
    bx lr
erase_sector:               @ r0: address of 4096 bytes
    movs r3, #1
    lsls r3, r3, #12
    adds r3, r0, r3
    movs r2, #0
    mvns r2, r2
erase_word:
    stmia r0!, {r2}
    cmp r0, r3
    bne erase_word
    movs r0, #0
    bx lr
program_page:               @ r0: address, r1: bytes, a multiple of 4, r2: data
    lsrs r1, r1, #2
    beq programmed
program_word:
    ldr r3, [r0]
    ldmia r2!, {r4}
    ands r3, r4
    stmia r0!, {r3}
    subs r1, r1, #1
    bne program_word
programmed:
    movs r0, #0
    bx lr
