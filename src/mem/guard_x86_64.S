// SPDX-License-Identifier: MIT
/*
 * The accesses of guard.h for x86-64. Every instruction between guard_begin
 * and guard_end may fault: the handler then continues at guard_fault, which
 * returns -EFAULT. So nothing here may touch the stack or a saved register.
 * Aligned loads have acquire, stores release order by the architecture.
 */
#define EFAULT 14
#define EAGAIN 11

#define FUNCTION(name)		\
	.globl name;		\
	.hidden name;		\
	.type name, @function;	\
	.balign 16;		\
name:				\
	.cfi_startproc;		\
	endbr64

#define END(name)		\
	.cfi_endproc;		\
	.size name, . - name

	.text
	.globl guard_begin
	.hidden guard_begin
guard_begin:

/* int (rdi dst, rsi src, rdx len); loads precede the stores they may overlap */
FUNCTION(guard_read)
	cmp	$16, %rdx
	jb	.Lbelow16
	cmp	$32, %rdx
	ja	.Labove32
	movups	(%rsi), %xmm0
	movups	-16(%rsi, %rdx), %xmm1
	movups	%xmm0, (%rdi)
	movups	%xmm1, -16(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Labove32:
	cmp	$64, %rdx
	ja	.Labove64
	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	-32(%rsi, %rdx), %xmm2
	movups	-16(%rsi, %rdx), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	movups	%xmm2, -32(%rdi, %rdx)
	movups	%xmm3, -16(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Labove64:
	cmp	$512, %rdx
	ja	.Lbytes
.Lblock:
	movups	(%rsi), %xmm0
	movups	16(%rsi), %xmm1
	movups	32(%rsi), %xmm2
	movups	48(%rsi), %xmm3
	movups	%xmm0, (%rdi)
	movups	%xmm1, 16(%rdi)
	movups	%xmm2, 32(%rdi)
	movups	%xmm3, 48(%rdi)
	add	$64, %rsi
	add	$64, %rdi
	sub	$64, %rdx
	cmp	$64, %rdx
	ja	.Lblock
	/* 1..64 are left, and at least 64 lie before the end */
	movups	-64(%rsi, %rdx), %xmm0
	movups	-48(%rsi, %rdx), %xmm1
	movups	-32(%rsi, %rdx), %xmm2
	movups	-16(%rsi, %rdx), %xmm3
	movups	%xmm0, -64(%rdi, %rdx)
	movups	%xmm1, -48(%rdi, %rdx)
	movups	%xmm2, -32(%rdi, %rdx)
	movups	%xmm3, -16(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Lbytes:
	mov	%rdx, %rcx
	rep movsb
	xor	%eax, %eax
	ret
.Lbelow16:
	cmp	$8, %edx
	jb	.Lbelow8
	mov	(%rsi), %rax
	mov	-8(%rsi, %rdx), %rcx
	mov	%rax, (%rdi)
	mov	%rcx, -8(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Lbelow8:
	cmp	$4, %edx
	jb	.Lbelow4
	mov	(%rsi), %eax
	mov	-4(%rsi, %rdx), %ecx
	mov	%eax, (%rdi)
	mov	%ecx, -4(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Lbelow4:
	test	%edx, %edx
	jz	.Lnone
	movzbl	(%rsi), %eax
	cmp	$1, %edx
	je	.Lone
	movzwl	-2(%rsi, %rdx), %ecx
	mov	%al, (%rdi)
	mov	%cx, -2(%rdi, %rdx)
	xor	%eax, %eax
	ret
.Lone:
	mov	%al, (%rdi)
.Lnone:
	xor	%eax, %eax
	ret
END(guard_read)

	.globl guard_write
	.hidden guard_write
	.type guard_write, @function
	.set guard_write, guard_read

/* int (rdi dst, esi byte, rdx len) */
FUNCTION(guard_fill)
	mov	%esi, %eax
	mov	%rdx, %rcx
	rep stosb
	xor	%eax, %eax
	ret
END(guard_fill)

/* int (rdi src, rsi value) */
FUNCTION(guard_load32)
	test	$3, %dil
	jnz	guard_fault
	mov	(%rdi), %eax
	mov	%eax, (%rsi)
	xor	%eax, %eax
	ret
END(guard_load32)

FUNCTION(guard_load64)
	test	$7, %dil
	jnz	guard_fault
	mov	(%rdi), %rax
	mov	%rax, (%rsi)
	xor	%eax, %eax
	ret
END(guard_load64)

/* int (rdi dst, rsi value) */
FUNCTION(guard_store32)
	test	$3, %dil
	jnz	guard_fault
	mov	%esi, (%rdi)
	xor	%eax, %eax
	ret
END(guard_store32)

FUNCTION(guard_store64)
	test	$7, %dil
	jnz	guard_fault
	mov	%rsi, (%rdi)
	xor	%eax, %eax
	ret
END(guard_store64)

/* int (rdi dst, rsi expected, rdx desired) */
FUNCTION(guard_cas64)
	test	$7, %dil
	jnz	guard_fault
	mov	(%rsi), %rax
	lock cmpxchg %rdx, (%rdi)
	jne	.Ldiffers
	xor	%eax, %eax
	ret
.Ldiffers:
	mov	%rax, (%rsi)
	mov	$-EAGAIN, %eax
	ret
END(guard_cas64)

	.globl guard_end
	.hidden guard_end
guard_end:

FUNCTION(guard_fault)
	mov	$-EFAULT, %eax
	ret
END(guard_fault)

	.section .note.GNU-stack, "", @progbits
