/* Sums of two tensors, and pools of one (packed.h), for Armv8.1-M with MVE. */
#include "macros.inc"

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
