/* Windows times weights (packed.h), for Armv8.1-M with MVE. In assembly because it wants its registers just so:
 * eight sums in r0, r2 … r14 (vmladava takes even ones only), pointers between them, constants in q5-q7. */
#include "macros.inc"

    /* blocks of windows: windows r1 and r3, weights r5, records r9, first output r7, count r11; sums of the
     * first window in r0, r2, r4, r6, of the second in r8, r10, r12, r14. q5 output zero, q6, q7 limits. */
    .macro load_windows two
    vldrb.8     q0, [r1], #16
    .if \two
    vldrb.8     q1, [r3], #16
    .endif
    .endm

    .macro dot op, two
    vldrb.8     q2, [r5], #16
    \op\().s8   r0, q0, q2
    .if \two
    \op\().s8   r8, q1, q2
    .endif
    vldrb.8     q2, [r5], #16
    \op\().s8   r2, q0, q2
    .if \two
    \op\().s8   r10, q1, q2
    .endif
    vldrb.8     q2, [r5], #16
    \op\().s8   r4, q0, q2
    .if \two
    \op\().s8   r12, q1, q2
    .endif
    vldrb.8     q2, [r5], #16
    \op\().s8   r6, q0, q2
    .if \two
    \op\().s8   lr, q1, q2
    .endif
    .endm

    /* On the stack. */
    .set tails, 0        /* of both windows: their last taps */
    .set starts, 8
    .set vectors, 16     /* of a window before its last taps */
    .set second, 20      /* output of the second window minus that of the first */
    .set output_end, 24  /* of the first window */
    .set weights, 28
    .set records, 32
    .set count, 36       /* windows still to do */
    .set step, 40        /* from these windows to the next */
    .set output_skip, 44 /* from the end of the first window's output to the next one's start */
    .set output_step, 48
    .set frame, 52

    .macro block two
    push        {r4-r11, lr}
    vpush       {d8-d15}
    sub         sp, sp, #frame
    ldrd        r1, r12, [r0]       /* windows, window_step */
    ldrd        r7, r4, [r0, #8]    /* output, output_step */
    ldrd        r5, r9, [r0, #16]   /* weights, records */
    ldrd        r11, r6, [r0, #24]  /* taps, quads */
    ldrd        r8, r10, [r0, #32]  /* count, output_zero */
    ldrd        r2, r3, [r0, #40]   /* act_min, act_max */
    vdup.32     q5, r10
    vdup.32     q6, r2
    vdup.32     q7, r3
    lsls        r6, r6, #2
    adds        r2, r7, r6
    strd        r2, r5, [sp, #output_end]
    strd        r9, r8, [sp, #records]
    str         r4, [sp, #second]
    .if \two
    add         r3, r1, r12
    lsl         r12, r12, #1
    lsls        r4, r4, #1
    .endif
    subs        r6, r4, r6
    strd        r12, r6, [sp, #step]
    str         r4, [sp, #output_step]
    sub         r2, r11, #1
    and         r2, r2, #15
    adds        r2, r2, #1
    vctp.8      r2
    sub         r11, r11, r2
    lsrs        r2, r11, #4
    str         r2, [sp, #vectors]
    add         r4, r1, r11
    .if \two
    add         r6, r3, r11
    .endif
    strd        r4, r6, [sp, #tails]
    strd        r1, r3, [sp, #starts]
1:  ldrd        r1, r3, [sp, #tails]
    .if \two
    vpstt
    vldrbt.8    q0, [r1]
    vldrbt.8    q1, [r3]
    .else
    vpst
    vldrbt.8    q0, [r1]
    .endif
    dot         vmladav, \two
    ldrd        r1, r3, [sp, #starts]
    ldr         r11, [sp, #vectors]
    lsrs        r11, r11, #1
    bcc         2f
    load_windows \two
    dot         vmladava, \two
2:  beq         4f /* flags as after lsrs */
3:  load_windows \two
    dot         vmladava, \two
    load_windows \two
    dot         vmladava, \two
    subs        r11, r11, #1
    bne         3b
4:  vmov        q0[2], q0[0], r0, r4
    vmov        q0[3], q0[1], r2, r6
    .if \two
    vmov        q1[2], q1[0], r8, r12
    vmov        q1[3], q1[1], r10, lr
    vldrw.32    q2, [r9], #16
    vadd.i32    q0, q0, q2
    vadd.i32    q1, q1, q2
    vldrw.32    q2, [r9], #16
    vqrdmulh.s32 q0, q0, q2
    vqrdmulh.s32 q1, q1, q2
    vshr.s32    q2, q0, #31
    vshr.s32    q3, q1, #31
    vadd.i32    q0, q0, q2
    vadd.i32    q1, q1, q3
    vldrw.32    q2, [r9], #16
    vrshl.s32   q0, q0, q2
    vrshl.s32   q1, q1, q2
    vadd.i32    q1, q1, q5
    vmax.s32    q1, q1, q6
    vmin.s32    q1, q1, q7
    ldr         r0, [sp, #second]
    adds        r0, r0, r7
    vstrb.32    q1, [r0]
    .else
    scale_one   q0, q2, r9
    add         r9, r9, #48
    .endif
    vadd.i32    q0, q0, q5
    vmax.s32    q0, q0, q6
    vmin.s32    q0, q0, q7
    vstrb.32    q0, [r7], #4
    ldr         r0, [sp, #output_end]
    cmp         r0, r7
    bne         1b
    ldrd        r5, r9, [sp, #weights]
    ldrd        r8, r10, [sp, #count]
    ldrd        r11, r12, [sp, #output_skip]
    add         r7, r7, r11
    add         r0, r0, r12
    str         r0, [sp, #output_end]
    ldrd        r1, r3, [sp, #tails]
    add         r1, r1, r10
    add         r3, r3, r10
    strd        r1, r3, [sp, #tails]
    ldrd        r1, r3, [sp, #starts]
    add         r1, r1, r10
    add         r3, r3, r10
    strd        r1, r3, [sp, #starts]
    subs        r8, r8, #1 + \two
    str         r8, [sp, #count]
    bne         1b
    add         sp, sp, #frame
    vpop        {d8-d15}
    pop         {r4-r11, pc}
    .endm

    function tf_mve_block_1
    block 0
    .size tf_mve_block_1, . - tf_mve_block_1

    function tf_mve_block_2
    block 1
    .size tf_mve_block_2, . - tf_mve_block_2

    function tf_mve_copy_rows
    push        {r4-r7, lr}
    ldm         r2, {r4-r7} /* to_step, from_step, bytes, rows */
1:  mov         r2, r0
    mov         r3, r1
    dlstp.8     lr, r6
2:  vldrb.8     q0, [r3], #16
    vstrb.8     q0, [r2], #16
    letp        lr, 2b
    add         r0, r0, r4
    add         r1, r1, r5
    subs        r7, r7, #1
    bne         1b
    pop         {r4-r7, pc}
    .size tf_mve_copy_rows, . - tf_mve_copy_rows

    function tf_mve_fill
    push        {r4, lr}
    vdup.8      q0, r1
    dlstp.8     lr, r2
1:  vstrb.8     q0, [r0], #16
    letp        lr, 1b
    pop         {r4, pc}
    .size tf_mve_fill, . - tf_mve_fill
