// SPDX-License-Identifier: MIT
/*
 * The accesses of guard.h for AArch64. Every instruction between guard_begin
 * and guard_end may fault: the handler then continues at guard_fault, which
 * returns -EFAULT. So nothing here may touch the stack or a saved register.
 */
#define EFAULT 14
#define EAGAIN 11
#define CAS_TRIES 0x10000

#define FUNCTION(name)		\
	.globl name;		\
	.hidden name;		\
	.type name, %function;	\
	.balign 16;		\
name:				\
	.cfi_startproc;		\
	hint	#34 /* bti c */

#define END(name)		\
	.cfi_endproc;		\
	.size name, . - name

	.text
	.globl guard_begin
	.hidden guard_begin
guard_begin:

/* int (x0 dst, x1 src, x2 len); loads precede the stores they may overlap */
FUNCTION(guard_read)
	cmp	x2, #16
	b.lo	.Lbelow16
	cmp	x2, #32
	b.hi	.Labove32
	add	x5, x1, x2
	add	x6, x0, x2
	ldp	x7, x8, [x1]
	ldp	x9, x10, [x5, #-16]
	stp	x7, x8, [x0]
	stp	x9, x10, [x6, #-16]
	mov	w0, #0
	ret
.Labove32:
	add	x5, x1, x2
	add	x6, x0, x2
.Lblock:
	ldp	x7, x8, [x1]
	ldp	x9, x10, [x1, #16]
	stp	x7, x8, [x0]
	stp	x9, x10, [x0, #16]
	add	x1, x1, #32
	add	x0, x0, #32
	sub	x2, x2, #32
	cmp	x2, #32
	b.hi	.Lblock
	/* 1..32 are left, and at least 32 lie before the end */
	ldp	x7, x8, [x5, #-32]
	ldp	x9, x10, [x5, #-16]
	stp	x7, x8, [x6, #-32]
	stp	x9, x10, [x6, #-16]
	mov	w0, #0
	ret
.Lbelow16:
	add	x5, x1, x2
	add	x6, x0, x2
	cmp	x2, #8
	b.lo	.Lbelow8
	ldr	x7, [x1]
	ldur	x8, [x5, #-8]
	str	x7, [x0]
	stur	x8, [x6, #-8]
	mov	w0, #0
	ret
.Lbelow8:
	cmp	x2, #4
	b.lo	.Lbelow4
	ldr	w7, [x1]
	ldur	w8, [x5, #-4]
	str	w7, [x0]
	stur	w8, [x6, #-4]
	mov	w0, #0
	ret
.Lbelow4:
	cbz	x2, .Lnone
	ldrb	w7, [x1], #1
	strb	w7, [x0], #1
	sub	x2, x2, #1
	b	.Lbelow4
.Lnone:
	mov	w0, #0
	ret
END(guard_read)

	.globl guard_write
	.hidden guard_write
	.type guard_write, %function
	.set guard_write, guard_read

/* int (x0 dst, w1 byte, x2 len) */
FUNCTION(guard_fill)
	cbz	x2, .Lfilled
	strb	w1, [x0], #1
	sub	x2, x2, #1
	b	guard_fill + 4
.Lfilled:
	mov	w0, #0
	ret
END(guard_fill)

/* int (x0 src, x1 value) */
FUNCTION(guard_load32)
	tst	x0, #3
	b.ne	guard_fault
	ldar	w2, [x0]
	str	w2, [x1]
	mov	w0, #0
	ret
END(guard_load32)

FUNCTION(guard_load64)
	tst	x0, #7
	b.ne	guard_fault
	ldar	x2, [x0]
	str	x2, [x1]
	mov	w0, #0
	ret
END(guard_load64)

/* int (x0 dst, x1 value) */
FUNCTION(guard_store32)
	tst	x0, #3
	b.ne	guard_fault
	stlr	w1, [x0]
	mov	w0, #0
	ret
END(guard_store32)

FUNCTION(guard_store64)
	tst	x0, #7
	b.ne	guard_fault
	stlr	x1, [x0]
	mov	w0, #0
	ret
END(guard_store64)

/* int (x0 dst, x1 expected, x2 desired); gives up if never left alone */
FUNCTION(guard_cas64)
	tst	x0, #7
	b.ne	guard_fault
	ldr	x3, [x1]
	mov	w6, #CAS_TRIES
.Ltry:
	ldaxr	x4, [x0]
	cmp	x4, x3
	b.ne	.Ldiffers
	stlxr	w5, x2, [x0]
	cbz	w5, .Lswapped
	subs	w6, w6, #1
	b.ne	.Ltry
.Ldiffers:
	clrex
	str	x4, [x1]
	mov	w0, #-EAGAIN
	ret
.Lswapped:
	mov	w0, #0
	ret
END(guard_cas64)

	.globl guard_end
	.hidden guard_end
guard_end:

FUNCTION(guard_fault)
	mov	w0, #-EFAULT
	ret
END(guard_fault)

	.section .note.GNU-stack, "", %progbits
