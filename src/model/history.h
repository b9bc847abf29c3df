/* SPDX-License-Identifier: MIT */
/*
 * The last commands, and why none of them removed something that was found
 * stale (policy hostile). What a command lacked is judged by the architecture,
 * command by command; here they are kept, and the nearest of them told.
 */
#ifndef MODEL_HISTORY_H
#define MODEL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "iotlb/iotlb.h"

/* Bytes of a decoded command, at most */
#define HISTORY_COMMAND 80

/* The nearer a command came, the higher; what is not told at all is 0. */
enum nearness {
	NEAR_NOT,
	NEAR_KIND, /* an invalidation of something else */
	NEAR_ADDRESS,
	NEAR_TAG,  /* the right address */
	NEAR_MISS, /* address and tags: only a hint is wrong */
	NEAR_COVERS,
};

struct near {
	enum nearness how;
	char reason[96];
	uint64_t serial;
	_Alignas(8) unsigned char cmd[HISTORY_COMMAND];
};

/* near->reason in words; returns @how. */
enum nearness __attribute__((format(printf, 3, 4)))
because(struct near *near, enum nearness how, const char *format, ...);

struct history;

/* -ENOMEM */
int history_create(size_t command_size, struct history **out);
void history_destroy(struct history *h);
void history_add(struct history *h, const void *cmd);

struct history_judge {
	/* @near->cmd against what was found stale */
	enum nearness (*judge)(void *ctx, struct near *near);
	/* The command in words, without what it lacked */
	void (*tell)(void *ctx, const void *cmd, char *text, size_t size);
	void *ctx;
};

/*
 * Appends to @text, of which @at bytes are in use, how many commands have come
 * since @serial and how the nearest of them missed. @h may be NULL.
 */
void history_why(struct history *h, uint64_t serial,
		 const struct history_judge *judge, char *text, size_t size,
		 int at);

/* Appends, like snprintf(); returns the new end, or beyond @size */
int __attribute__((format(printf, 4, 5)))
words(char *text, size_t size, int at, const char *format, ...);

/* The nearest of @n scopes, each judged by @judge against what is stale */
enum nearness
history_nearest(const struct iotlb_inval *inval, unsigned int n,
		enum nearness (*judge)(void *ctx, const struct iotlb_inval *i,
				       struct near *near),
		void *ctx, struct near *near);

/* What an invalidation of a device's own cache names */
struct history_atc {
	uint32_t sid;
	uint64_t first;
	uint64_t last;
	uint32_t pasid;
	bool with;	    /* a PASID */
	bool global;	    /* any */
	const char *stream; /* what @sid is called */
};

/* What @a lacks to remove @e of the device @sid */
enum nearness history_atc(const struct history_atc *a, uint32_t sid,
			  const struct iotlb_entry *e, struct near *near);

/* What the tags of cache entries are called */
struct history_words {
	const char *vmid;
	const char *asid;
};

/*
 * What the tags and addresses of @i lack to remove @e: NEAR_COVERS if nothing.
 * Regimes are the caller's to compare.
 */
enum nearness history_scope(const struct iotlb_inval *i,
			    const struct iotlb_entry *e,
			    const struct history_words *names,
			    struct near *near);

#endif
