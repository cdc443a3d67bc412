@ The boot ROM of the emulated mps3-an547: QEMU cannot write its flash (QSPI), so its DDR takes the part, and the core
@ starts in its instruction memory, which no file backs. This copies the program from flash to where it runs.
@ Without a program it sleeps, as QEMU aborts when a core locks up.
@ Built by tests/integration/agent; the bytes stand in boot_rom.py.
    .syntax unified
    .cpu cortex-m33
    .thumb
    .text
    ldr r0, =0x70000000         @ flash
    ldr r1, =0x10000000         @ instruction memory
    ldr r2, =0x0007f000         @ bytes to copy: up to this code
    ldrd r3, r4, [r0]           @ stack and entry
    lsls r5, r4, #31
    beq nothing
    subs r5, r4, r1
    cmp r5, r2
    bhs nothing
    ldr r6, =0x30000001         @ a full stack ends above data memory's first byte
    subs r5, r3, r6
    cmp r5, #0x80000
    bhs nothing
    adds r2, r2, r1
copy:
    ldmia r0!, {r5-r8}
    stmia r1!, {r5-r8}
    cmp r1, r2
    bne copy
    msr msp, r3
    dsb
    isb
    bx r4
nothing:
    wfi
    b nothing
