/* The inner loops of the depthwise convolution (packed.h), for Armv8.1-M with MVE. */
#include "macros.inc"

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
