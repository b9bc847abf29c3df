/* SPDX-License-Identifier: MIT */
/* SMMUv3 commands, events and configuration structures, for people. */
#ifndef TOOLS_TRACE_SMMUV3_H
#define TOOLS_TRACE_SMMUV3_H

#include <stddef.h>
#include <stdint.h>

/*
 * Each writes one line without its end: the name, then fields as Name=value,
 * and "other=" with the bits that belong to no field, word by word, if any is
 * set. The text is cut off if @size does not suffice.
 */
void smmuv3_text_command(const uint64_t words[2], char *text, size_t size);
void smmuv3_text_event(const uint64_t words[4], char *text, size_t size);
void smmuv3_text_ste(const uint64_t words[8], char *text, size_t size);
void smmuv3_text_cd(const uint64_t words[8], char *text, size_t size);

#endif
