/* The inner loops of packed.h for Armv7E-M. Every register is in use, which compilers do not manage: 0.94
 * instructions a multiply-accumulate in the 2 x 2 block, 1.3 in the row of four. */
    .syntax unified
    .arch armv7e-m
    .thumb

    /* One quad of taps: pixels r8-r11, weights r3 and r12, sums r4-r7. */
    .macro quad_2x2
    ldm     r0!, {r8-r11}
    ldrd    r3, r12, [r1], #8
    sxtb16  lr, r3
    smlad   r4, lr, r8, r4
    smlad   r6, lr, r10, r6
    sxtb16  lr, r3, ror #8
    smlad   r4, lr, r9, r4
    smlad   r6, lr, r11, r6
    sxtb16  lr, r12
    smlad   r5, lr, r8, r5
    smlad   r7, lr, r10, r7
    sxtb16  lr, r12, ror #8
    smlad   r5, lr, r9, r5
    smlad   r7, lr, r11, r7
    .endm

    /* tf_requantize: multiplier r9, round r10, shift r11. */
    .macro requantize sum
    add     r0, r10, \sum, asr #31
    lsls    \sum, \sum, #1
    smmlar  \sum, \sum, r9, r0
    asrs    \sum, \sum, r11
    ssat    \sum, #8, \sum
    .endm

    .section .text.tf_block_2x2, "ax", %progbits
    .global tf_block_2x2
    .type tf_block_2x2, %function
    .thumb_func
tf_block_2x2:
    push    {r3-r11, lr}
    ldr     r4, [r3]
    ldr     r5, [r3, #16]
    mov     r6, r4
    mov     r7, r5
    cbz     r2, 2f
1:  quad_2x2
    quad_2x2
    subs    r2, r2, #1
    bne     1b
2:  pop     {r3}
    ldm     r3!, {r8-r11}
    requantize r4
    requantize r6
    ldm     r3!, {r8-r11}
    requantize r5
    requantize r7
    mov     r0, r4
    bfi     r0, r5, #8, #24
    bfi     r0, r6, #16, #16
    bfi     r0, r7, #24, #8
    pop     {r4-r11, pc}
    .size tf_block_2x2, . - tf_block_2x2

    /* One quad of taps: values r3 and r12, weights r8-r11, sums r4-r7. */
    .macro quad_4
    ldr     r3, [r0], #4
    ldm     r1!, {r8-r11}
    sxtb16  r12, r3, ror #8
    sxtb16  r3, r3
    sxtb16  lr, r8
    smlad   r4, lr, r3, r4
    sxtb16  lr, r8, ror #8
    smlad   r4, lr, r12, r4
    sxtb16  lr, r9
    smlad   r5, lr, r3, r5
    sxtb16  lr, r9, ror #8
    smlad   r5, lr, r12, r5
    sxtb16  lr, r10
    smlad   r6, lr, r3, r6
    sxtb16  lr, r10, ror #8
    smlad   r6, lr, r12, r6
    sxtb16  lr, r11
    smlad   r7, lr, r3, r7
    sxtb16  lr, r11, ror #8
    smlad   r7, lr, r12, r7
    .endm

    .section .text.tf_dot_4, "ax", %progbits
    .global tf_dot_4
    .type tf_dot_4, %function
    .thumb_func
tf_dot_4:
    push    {r3-r11, lr}
    ldm     r3, {r4-r7}
    lsrs    r2, r2, #1
    bcc     1f
    quad_4
1:  cmp     r2, #0
    beq     3f
2:  quad_4
    quad_4
    subs    r2, r2, #1
    bne     2b
3:  pop     {r3}
    stm     r3, {r4-r7}
    pop     {r4-r11, pc}
    .size tf_dot_4, . - tf_dot_4
