/* filters.h for Armv6-M (Cortex-M0, M0+): 3.6 instructions a multiply-accumulate in rows, 5.3 in columns, 43 to
 * scale a sum. Only r0-r7 can be loaded and multiplied; sums live in r8-r11, to which they can be added. */
    .syntax unified
    .arch armv6-m
    .thumb

    /* The frame begins with a copy of tf_filters_t, whose pointers move on from block to block. */
    .equ WEIGHTS, 0
    .equ BIAS, 4
    .equ MULTIPLIER, 8
    .equ SHIFT, 12
    .equ TAPS, 16
    .equ CHANNELS, 20
    .equ STEP, 24
    .equ LOW, 32
    .equ HIGH, 36
    .equ OUTPUT, 40
    .equ INPUT, 44
    .equ OFFSETS, 48
    .equ FRAME, 52

    /* Saves what is to be saved and copies the filters; r12 is the output's zero point. */
    .macro enter output
    push    {r4-r7, lr}
    mov     r4, r8
    mov     r5, r9
    mov     r6, r10
    mov     r7, r11
    push    {r4-r7}
    sub     sp, #FRAME
    str     \output, [sp, #OUTPUT]
    mov     r3, sp
    ldmia   r0!, {r4-r7}
    stmia   r3!, {r4-r7}
    ldmia   r0!, {r4-r7}
    stmia   r3!, {r4-r7}
    mov     r12, r7
    ldmia   r0!, {r4, r5}
    stmia   r3!, {r4, r5}
    .endm

    .macro leave
    add     sp, #FRAME
    pop     {r4-r7}
    mov     r8, r4
    mov     r9, r5
    mov     r10, r6
    mov     r11, r7
    pop     {r4-r7, pc}
    .endm

    /* What `scale` moves on. */
    .macro open_tables
    ldr     r5, [sp, #OUTPUT]
    ldr     r6, [sp, #MULTIPLIER]
    ldr     r7, [sp, #SHIFT]
    .endm

    .macro close_tables
    str     r5, [sp, #OUTPUT]
    ldr     r1, [sp, #STEP]
    cmp     r1, #0
    beq     9f                      /* one scale for all: the same entries again */
    str     r6, [sp, #MULTIPLIER]
    str     r7, [sp, #SHIFT]
9:
    .endm

    /* sum += one value of a x one of b */
    .macro accumulate sum, a, b, at
    ldrsb   r7, [\b, \at]
    muls    r7, r6
    add     \sum, r7
    .endm

    .section .text.tf_filters, "ax", %progbits
    .global tf_rows
    .type tf_rows, %function
    .thumb_func
tf_rows:
    enter   r2
    ldr     r5, [sp, #TAPS]
    adds    r1, r1, r5
    str     r1, [sp, #INPUT]        /* its end: taps count up to 0 */
    b       3f

    /* Four channels: ends of the input r0 and of their weights r1-r4, tap r5. */
1:  str     r2, [sp, #CHANNELS]
    ldr     r0, [sp, #BIAS]
    ldmia   r0!, {r1-r4}
    str     r0, [sp, #BIAS]
    mov     r8, r1
    mov     r9, r2
    mov     r10, r3
    mov     r11, r4
    ldr     r0, [sp, #INPUT]
    ldr     r5, [sp, #TAPS]
    ldr     r1, [sp, #WEIGHTS]
    adds    r1, r1, r5
    adds    r2, r1, r5
    adds    r3, r2, r5
    adds    r4, r3, r5
    str     r4, [sp, #WEIGHTS]
    negs    r5, r5
    movs    r6, #3                  /* the first of the rounds takes taps % 4 */
    ands    r6, r5
    movs    r7, #28
    muls    r6, r7
    add     pc, r6
    nop                             /* pc reads as the address behind this */
2:  .rept   4
    ldrsb   r6, [r0, r5]
    accumulate r8, r6, r1, r5
    accumulate r9, r6, r2, r5
    accumulate r10, r6, r3, r5
    accumulate r11, r6, r4, r5
    adds    r5, #1
    .endr
    bne     2b
    open_tables
    mov     r0, r8
    bl      scale
    mov     r0, r9
    bl      scale
    mov     r0, r10
    bl      scale
    mov     r0, r11
    bl      scale
    close_tables
3:  ldr     r2, [sp, #CHANNELS]
    subs    r2, #4
    bhs     1b

    /* The last up to three, one by one. */
    adds    r2, #4
    beq     6f
4:  str     r2, [sp, #CHANNELS]
    ldr     r3, [sp, #BIAS]
    ldmia   r3!, {r4}
    str     r3, [sp, #BIAS]
    ldr     r0, [sp, #INPUT]
    ldr     r5, [sp, #TAPS]
    ldr     r1, [sp, #WEIGHTS]
    adds    r1, r1, r5
    str     r1, [sp, #WEIGHTS]
    negs    r5, r5
5:  ldrsb   r6, [r0, r5]
    accumulate r4, r6, r1, r5
    adds    r5, #1
    bne     5b
    mov     r0, r4
    open_tables
    bl      scale
    close_tables
    ldr     r2, [sp, #CHANNELS]
    subs    r2, #1
    bne     4b
6:  leave

    /* Both images are read at one index, the address of the channel's first value: the weights' base is
     * `weights - image`. */
    .global tf_columns
    .type tf_columns, %function
    .thumb_func
tf_columns:
    enter   r3
    str     r2, [sp, #OFFSETS]
    str     r1, [sp, #INPUT]
    ldr     r0, [sp, #WEIGHTS]
    subs    r0, r0, r1
    str     r0, [sp, #WEIGHTS]
    ldr     r0, [sp, #TAPS]
    lsls    r0, r0, #2
    adds    r0, r0, r2
    str     r0, [sp, #TAPS]         /* end of the offsets */
    ldr     r0, [sp, #CHANNELS]
    mov     r11, r0
    b       3f

    /* Three channels: offsets r0, values r1, weights r2, indices r3-r5. */
1:  str     r2, [sp, #CHANNELS]
    ldr     r0, [sp, #BIAS]
    ldmia   r0!, {r1-r3}
    str     r0, [sp, #BIAS]
    mov     r8, r1
    mov     r9, r2
    mov     r10, r3
    ldr     r0, [sp, #TAPS]
    mov     lr, r0
    ldr     r0, [sp, #OFFSETS]
    ldr     r2, [sp, #WEIGHTS]
    ldr     r3, [sp, #INPUT]
    adds    r4, r3, #1
    adds    r5, r3, #2
2:  ldmia   r0!, {r1}
    ldrsb   r6, [r1, r3]
    accumulate r8, r6, r2, r3
    ldrsb   r6, [r1, r4]
    accumulate r9, r6, r2, r4
    ldrsb   r6, [r1, r5]
    accumulate r10, r6, r2, r5
    add     r2, r11
    cmp     r0, lr
    bne     2b
    adds    r3, #3
    str     r3, [sp, #INPUT]
    open_tables
    mov     r0, r8
    bl      scale
    mov     r0, r9
    bl      scale
    mov     r0, r10
    bl      scale
    close_tables
3:  ldr     r2, [sp, #CHANNELS]
    subs    r2, #3
    bhs     1b

    /* The last one or two. */
    adds    r2, #3
    beq     6f
4:  str     r2, [sp, #CHANNELS]
    ldr     r3, [sp, #BIAS]
    ldmia   r3!, {r4}
    str     r3, [sp, #BIAS]
    ldr     r0, [sp, #TAPS]
    mov     lr, r0
    ldr     r0, [sp, #OFFSETS]
    ldr     r2, [sp, #WEIGHTS]
    ldr     r3, [sp, #INPUT]
5:  ldmia   r0!, {r1}
    ldrsb   r6, [r1, r3]
    accumulate r4, r6, r2, r3
    add     r2, r11
    cmp     r0, lr
    bne     5b
    adds    r3, #1
    str     r3, [sp, #INPUT]
    mov     r0, r4
    open_tables
    bl      scale
    close_tables
    ldr     r2, [sp, #CHANNELS]
    subs    r2, #1
    bne     4b
6:  leave

    /* Scales the sum in r0 as tf_rescale does and stores it; moves on r5 (output), r6 (multipliers) and r7
     * (shifts). Uses r0-r4 and r8. */
    .type scale, %function
    .thumb_func
scale:
    ldmia   r6!, {r1}
    ldrb    r2, [r7]
    adds    r7, #1
    lsrs    r3, r2, #5
    beq     4f
    negs    r2, r2                  /* its low byte counts: 1 to 31 */
1:  mov     r8, r2
    /* Both factors in halves, low ones signed: a high one takes the carry of the shift. Of the product in 2^-16
     * bits, bit 14 rounds. */
    movs    r4, #0
    asrs    r2, r0, #16
    adcs    r2, r4
    sxth    r0, r0
    asrs    r3, r1, #16
    adcs    r3, r4
    sxth    r1, r1
    mov     r4, r0
    muls    r4, r1
    muls    r0, r3
    muls    r1, r2
    muls    r2, r3
    asrs    r4, r4, #16
    adds    r0, r0, r1
    adds    r0, r0, r4
    lsls    r2, r2, #1
    asrs    r0, r0, #15
    adcs    r0, r2
    /* Halves away from 0: a negative one counts from one less. A shift by 0 leaves that one in the carry. */
    mov     r1, r8
    asrs    r2, r0, #31
    adds    r0, r0, r2
    asrs    r0, r1
    movs    r2, #0
    adcs    r0, r2
    add     r0, r12
    ldr     r1, [sp, #LOW]
    cmp     r0, r1
    bge     2f
    mov     r0, r1
2:  ldr     r1, [sp, #HIGH]
    cmp     r0, r1
    ble     3f
    mov     r0, r1
3:  strb    r0, [r5]
    adds    r5, #1
    bx      lr
4:  lsls    r0, r2
    movs    r2, #0
    b       1b
    .size tf_columns, . - tf_columns
