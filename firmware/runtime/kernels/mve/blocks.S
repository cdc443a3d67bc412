/* The inner loops of packed.h for Armv8.1-M with MVE. In assembly because each wants its registers just so:
 * eight sums in r0, r2 … r14 (vmladava takes even ones only), pointers between them, constants in q4-q7. */
    .syntax unified
    .arch armv8.1-m.main
    .arch_extension mve
    .thumb

    /* Scales the four sums in \q: the records at \at, then 16 and 32 bytes on, are bias, multiplier, shift.
     * vrshl rounds halves up; one less where the value is negative rounds them away from zero. */
    .macro scale_one q, t, at
    vldrw.32    \t, [\at]
    vadd.i32    \q, \q, \t
    vldrw.32    \t, [\at, #16]
    vqrdmulh.s32 \q, \q, \t
    vshr.s32    \t, \q, #31
    vadd.i32    \q, \q, \t
    vldrw.32    \t, [\at, #32]
    vrshl.s32   \q, \q, \t
    .endm

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

    .macro function name
    .section .text.\name, "ax", %progbits
    .balign 4
    .global \name
    .type \name, %function
    .thumb_func
\name:
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

    .macro column_step
    adds        r4, r4, r8
    add         r5, r5, r9
    add         r6, r6, r10
    add         r7, r7, r11
    vst40.8     {q0, q1, q2, q3}, [r0]
    vst41.8     {q0, q1, q2, q3}, [r0]
    vst42.8     {q0, q1, q2, q3}, [r0]
    vst43.8     {q0, q1, q2, q3}, [r0]
    add         r0, r0, r1
    .endm

    function tf_mve_columns
    push        {r4-r11, lr}
    mov         r12, r0
    ldm         r12!, {r4-r11}     /* from[4], from_step[4] */
    ldm         r12, {r0-r3, r12}  /* to, to_step, columns, channels, spread */
    vctp.8      r3
    dls         lr, r2
    cmp         r12, #0
    bne         2f
1:  vpstttt
    vldrbt.8    q0, [r4]
    vldrbt.8    q1, [r5]
    vldrbt.8    q2, [r6]
    vldrbt.8    q3, [r7]
    column_step
    le          lr, 1b
    pop         {r4-r11, pc}
2:  vpush       {d8-d9}
    vpst
    vldrbt.8    q4, [r12]
3:  vpstttt
    vldrbt.u8   q0, [r4, q4]
    vldrbt.u8   q1, [r5, q4]
    vldrbt.u8   q2, [r6, q4]
    vldrbt.u8   q3, [r7, q4]
    column_step
    le          lr, 3b
    vpop        {d8-d9}
    pop         {r4-r11, pc}
    .size tf_mve_columns, . - tf_mve_columns

    /* Addresses of a window's first words q4, record r12, output r2, steps r1 and r3, output zero r5; the
     * lower limit on the stack, for want of a register. */
    .macro depthwise_out
    vadd.i32    q4, q4, r1
    vmov        q5[2], q5[0], r4, r8
    vmov        q5[3], q5[1], r6, r10
    scale_one   q5, q6, r12
    vadd.i32    q5, q5, r5
    vldrw.32    q6, [sp]
    vmax.s32    q5, q5, q6
    vmin.s32    q5, q5, q7
    vstrb.32    q5, [r2]
    add         r2, r2, r3
    .endm

    /* On the stack, behind the lower limit. */
    .set plane, 16
    .set output, 20
    .set outputs, 24
    .set chunks, 28
    .set quads, 32
    .set depthwise_frame, 36

    function tf_mve_depthwise
    push        {r4-r11, lr}
    vpush       {d8-d15}
    sub         sp, sp, #depthwise_frame
    ldrd        r4, r2, [r0]        /* plane, output */
    ldrd        r11, r12, [r0, #8]  /* weights, records */
    ldrd        r1, r3, [r0, #16]   /* plane_step, output_step */
    ldrd        r8, r7, [r0, #24]   /* outputs, chunks */
    ldrd        r9, r5, [r0, #32]   /* quads, output_zero */
    ldrd        r6, r10, [r0, #40]  /* act_min, act_max */
    vdup.32     q0, r6
    vstrw.32    q0, [sp]
    vdup.32     q7, r10
    strd        r4, r2, [sp, #plane]
    strd        r8, r7, [sp, #outputs]
    str         r9, [sp, #quads]
1:  ldrd        r4, r2, [sp, #plane]
    ldrd        lr, r7, [sp, #outputs]
    movs        r0, #0
    vidup.u32   q4, r0, #8
    vshl.i32    q4, q4, #3
    vadd.i32    q4, q4, r4
    adds        r4, r4, #16
    adds        r0, r2, #4
    strd        r4, r0, [sp, #plane]
    dls         lr, lr
    cmp         r7, #1
    bne         3f
    vldrb.8     q0, [r11], #16
    vldrb.8     q1, [r11], #16
    vldrb.8     q2, [r11], #16
    vldrb.8     q3, [r11], #16
2:  vldrw.u32   q5, [q4]
    vmladav.s8  r4, q0, q5
    vldrw.u32   q5, [q4, #4]
    vmladav.s8  r6, q1, q5
    vldrw.u32   q5, [q4, #8]
    vmladav.s8  r8, q2, q5
    vldrw.u32   q5, [q4, #12]
    vmladav.s8  r10, q3, q5
    depthwise_out
    le          lr, 2b
    b           6f
3:  mov         r9, #256
4:  vmov        q3, q4
    mov         r0, r11
    ldr         r7, [sp, #chunks]
    movs        r4, #0
    movs        r6, #0
    mov         r8, #0
    mov         r10, #0
5:  vldrw.u32   q0, [q3]
    vldrb.8     q1, [r0], #16
    vmladava.s8 r4, q0, q1
    vldrw.u32   q0, [q3, #4]
    vldrb.8     q1, [r0], #16
    vmladava.s8 r6, q0, q1
    vldrw.u32   q0, [q3, #8]
    vldrb.8     q1, [r0], #16
    vmladava.s8 r8, q0, q1
    vldrw.u32   q0, [q3, #12]
    vldrb.8     q1, [r0], #16
    vmladava.s8 r10, q0, q1
    vadd.i32    q3, q3, r9
    subs        r7, r7, #1
    bne         5b
    depthwise_out
    le          lr, 4b
    mov         r11, r0
6:  add         r12, r12, #48
    ldr         r0, [sp, #quads]
    subs        r0, r0, #1
    str         r0, [sp, #quads]
    bne         1b
    add         sp, sp, #depthwise_frame
    vpop        {d8-d15}
    pop         {r4-r11, pc}
    .size tf_mve_depthwise, . - tf_mve_depthwise

    .macro scale_by q, t, multiplier, shift
    vqrdmulh.s32 \q, \q, \multiplier
    vshr.s32    \t, \q, #31
    vadd.i32    \q, \q, \t
    vrshl.s32   \q, \shift
    .endm

    function tf_mve_add
    push        {r4-r10, lr}
    vpush       {d8-d13}
    mov         r12, r0
    ldm         r12!, {r0-r2, lr}  /* first, second, output, count */
    ldm         r12!, {r3-r9}      /* first_offset … output_zero */
    mov         r10, #0x80000
    vdup.32     q3, r10
    ldr         r10, [r12], #4
    vdup.32     q4, r10
    ldr         r10, [r12], #4
    vdup.32     q5, r10
    ldr         r10, [r12]
    vdup.32     q6, r10
    dlstp.32    lr, lr
1:  vldrb.s32   q0, [r0], #4
    vldrb.s32   q1, [r1], #4
    vmlas.s32   q0, q3, r3
    vmlas.s32   q1, q4, r4
    scale_by    q1, q2, r5, r6
    vadd.i32    q0, q0, q1
    scale_by    q0, q2, r7, r8
    vadd.i32    q0, q0, r9
    vmax.s32    q0, q0, q5
    vmin.s32    q0, q0, q6
    vstrb.32    q0, [r2], #4
    letp        lr, 1b
    vpop        {d8-d13}
    pop         {r4-r10, pc}
    .size tf_mve_add, . - tf_mve_add

    /* All taps of a patch into q0: from r2, rows r3, row_step r4, columns r5, column_step r6. */
    .macro each_tap load, fold
    mov         r8, r2
    mov         r9, r3
2:  mov         r0, r8
    dls         lr, r5
3:  vpst
    \load       q1, [r0]
    add         r0, r0, r6
    \fold       q0, q0, q1
    le          lr, 3b
    add         r8, r8, r4
    subs        r9, r9, #1
    bne         2b
    .endm

    function tf_mve_sums
    push        {r4-r9, lr}
    ldm         r0, {r2-r7}
1:  vctp.32     r7
    vmov.i32    q0, #0
    each_tap    vldrbt.s32, vadd.i32
    vpst
    vstrwt.32   q0, [r1], #16
    adds        r2, r2, #4
    subs        r7, r7, #4
    bhi         1b
    pop         {r4-r9, pc}
    .size tf_mve_sums, . - tf_mve_sums

    function tf_mve_largest
    push        {r4-r9, lr}
    vdup.8      q2, r2
    vdup.8      q3, r3
    ldm         r0, {r2-r7}
1:  vctp.8      r7
    vmov        q0, q2
    each_tap    vldrbt.8, vmax.s8
    vmin.s8     q0, q0, q3
    vpst
    vstrbt.8    q0, [r1], #16
    adds        r2, r2, #16
    subs        r7, r7, #16
    bhi         1b
    pop         {r4-r9, pc}
    .size tf_mve_largest, . - tf_mve_largest
