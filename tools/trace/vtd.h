/* SPDX-License-Identifier: MIT */
/* VT-d descriptors, fault records and structures in memory, for people. */
#ifndef TOOLS_TRACE_VTD_H
#define TOOLS_TRACE_VTD_H

#include <stddef.h>
#include <stdint.h>

/*
 * Each writes one line without its end: the name, then fields as Name=value,
 * and "other=" with the bits that belong to no field, word by word, if any is
 * set. The text is cut off if @size does not suffice.
 */

/* 128 bits wide: words 2 and 3 are zero */
void vtd_text_command(const uint64_t words[4], char *text, size_t size);
void vtd_text_fault(const uint64_t words[2], char *text, size_t size);
void vtd_text_root(const uint64_t words[2], char *text, size_t size);
void vtd_text_context(const uint64_t words[2], char *text, size_t size);
/* Scalable mode */
void vtd_text_sm_root(const uint64_t words[2], char *text, size_t size);
void vtd_text_sm_context(const uint64_t words[4], char *text, size_t size);
void vtd_text_directory(const uint64_t words[1], char *text, size_t size);
void vtd_text_pasid(const uint64_t words[8], char *text, size_t size);
/* Paging entries */
void vtd_text_first(const uint64_t words[1], char *text, size_t size);
void vtd_text_second(const uint64_t words[1], char *text, size_t size);

/* A name for bits 3:0 and 11:9 of a descriptor's word 0; NULL: there is none */
const char *vtd_command_name(unsigned int type);

/* The condition that a fault reason stands for; NULL for a reserved one */
const char *vtd_reason_name(unsigned int reason);

/* Bits 11:9 and 3:0 of word 0 */
static inline unsigned int vtd_command_type(uint64_t word0)
{
	return (unsigned int)((word0 & 0xf) | (word0 >> 5 & 0x70));
}

#endif
