// The first instructions of an RTL8195A image, before any memory is initialised.
//
// The ROM switches the debug pins off before it starts what is in flash, and the vendor's image1
// switches them on again only if a bit in one-time memory allows it [ROM, PLAT]. A board whose
// image forgets this can only be reached by a debugger in the moment after a reset.
//
// The watchdog survives a reset by the debugger, so one that an earlier program has started must
// not bite this one.

    .syntax unified
    .thumb

    // Where an image1 jumps to, with interrupts as it likes them. From here on they are off, and
    // this image never turns them on.
    .section .text.start_from_flash, "ax"
    .global start_from_flash
    .type start_from_flash, %function
    .thumb_func
start_from_flash:
    cpsid i
    b Reset

    // Called by the reset handler once the stack pointer and the vector table are right.
    .section .text.pre_init, "ax"
    .global __pre_init
    .type __pre_init, %function
    .thumb_func
__pre_init:
    cpsid i
    ldr r0, =0x40000000
    ldr r1, [r0, #0x230]            // clock gates: VENDOR, which the pins and the watchdog need
    orr r1, r1, #0x000000c0
    str r1, [r0, #0x230]
    ldr r1, [r0, #0x320]            // port E is powered
    orr r1, r1, #0x00000010
    str r1, [r0, #0x320]
    ldr r1, [r0, #0x2c0]            // its pins 3 and 4 are SWDIO and SWCLK
    orr r1, r1, #0x00010000
    str r1, [r0, #0x2c0]
    ldr r0, =0x40002800             // watchdog: the byte that enables it is 0
    movs r1, #0
    str r1, [r0]
    bx lr
    .ltorg
