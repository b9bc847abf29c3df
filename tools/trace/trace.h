/* SPDX-License-Identifier: MIT */
/*
 * Reading of recordings: a folder that holds every command a guest's IOMMU
 * driver queued, what happened in between, and pictures of its tables.
 *
 * meta.json	        what was recorded, and how much of it
 * commands.bin.xz      the commands, entry_bytes each
 * log.txt.xz	        all events in their order, one per line
 * events.bin	        event records (SMMUv3, AMD-Vi), where there were any
 * memory.{bin.xz,idx}  table pages of each snapshot
 * translations.csv.xz  every mapped leaf of each snapshot
 *
 * A recording is hostile input: sizes are bounded before memory is spent and
 * the parts are checked against each other. Functions return 0 or a negative
 * errno (-EBADMSG: the file is damaged, -EFBIG: refused for its size) and then
 * leave one line "FILE:WHERE: what" in the error. WHERE is the line of a text
 * file; in a binary file the byte offset, before decompression if the
 * compression is at fault, otherwise behind it; 0 if a thing is missing.
 */
#ifndef TOOLS_TRACE_H
#define TOOLS_TRACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define TRACE_PAGE_SIZE	       4096
#define TRACE_MAX_BYTES	       (1ULL << 30) /* of one file, decompressed */
#define TRACE_MAX_RECORD_WORDS 8

struct trace_error {
	char text[512];
};

enum trace_iommu {
	TRACE_SMMUV3,
	TRACE_VTD,
	TRACE_AMDVI,
	TRACE_RISCV,
};

/* A histogram, or a set of registers, in the order of meta.json. */
struct trace_count {
	char *name;
	uint64_t value;
};

struct trace_counts {
	struct trace_count *entries;
	size_t nr;
};

/* One structure of a snapshot's configuration, as decoded by the recorder. */
struct trace_record {
	const char *name; /* "ste", "cd", "context", "dte", ... */
	uint32_t stream;
	uint32_t id; /* substream, where the structure is one of several */
	unsigned int nr_words;
	uint64_t words[TRACE_MAX_RECORD_WORDS];
};

struct trace_snapshot {
	char *name;
	bool quiescent;
	uint64_t commands_consumed;
	uint64_t leaves;
	uint64_t pages;
	struct trace_counts registers;
	struct trace_counts reference_tlb;
	struct trace_record *records;
	size_t nr_records;
};

struct trace_meta {
	enum trace_iommu iommu;
	char *iommu_name;
	char *guest_kernel;
	char *qemu;
	char *command_line;
	char *workload;
	uint32_t entry_bytes;
	uint64_t commands;
	uint64_t translations;
	uint64_t ram_base;
	uint64_t ram_mib;
	bool complete;
	struct trace_counts opcodes;
	struct trace_counts opcodes_by_granularity;
	struct trace_counts commands_per_sync;
	struct trace_counts commands_per_doorbell;
	struct trace_counts range_invalidations;
	struct trace_counts translations_by_stream;
	struct trace_counts checks;
	char **devices;
	size_t nr_devices;
	struct trace_snapshot *snapshots;
	size_t nr_snapshots;
};

struct trace_page {
	uint64_t addr;
	const uint8_t *data; /* TRACE_PAGE_SIZE bytes */
};

struct trace_page_span {
	const struct trace_page *pages; /* by ascending address */
	size_t nr;
};

struct trace {
	char *path;
	struct trace_meta meta;
	uint8_t *commands; /* meta.commands entries of meta.entry_bytes */
	uint8_t *events;   /* nr_events records of event_bytes */
	size_t event_bytes;
	size_t nr_events;
	uint8_t *page_data;
	struct trace_page *pages;
	struct trace_page_span *spans; /* one per snapshot */
};

/**
 * trace_open() - read a recording, all but its log and its translations
 * @path: the folder
 * @out: to be given to trace_close()
 * @err: filled in on failure; may be NULL
 *
 * Return: 0, -ENOENT if a file is missing, -EBADMSG, -EFBIG, -ENOMEM, or what
 * reading gave.
 */
int trace_open(const char *path, struct trace **out, struct trace_error *err);
void trace_close(struct trace *trace);

/* Word @n of command @index, both of which must exist. */
uint64_t trace_command_word(const struct trace *trace, uint64_t index,
			    unsigned int n);

/* Word @n of event record @index, both of which must exist. */
uint64_t trace_event_word(const struct trace *trace, uint64_t index,
			  unsigned int n);

/* -ENOENT if there is no such name. */
int trace_count_get(const struct trace_counts *counts, const char *name,
		    uint64_t *value);

/* The page at @addr (aligned) in @snapshot; NULL: not listed, taken as zero. */
const uint8_t *trace_page_at(const struct trace *trace, size_t snapshot,
			     uint64_t addr);

enum trace_event_type {
	TRACE_EV_SNAPSHOT,     /* N */
	TRACE_EV_REGISTER,     /* W */
	TRACE_EV_COMMAND,      /* C */
	TRACE_EV_WORD,	       /* P */
	TRACE_EV_RECORD,       /* R */
	TRACE_EV_STE,	       /* S */
	TRACE_EV_CD,	       /* D */
	TRACE_EV_TRANSLATE,    /* T */
	TRACE_EV_BYPASS,       /* B */
	TRACE_EV_DISABLED,     /* O */
	TRACE_EV_ABORT,	       /* A */
	TRACE_EV_FAULT,	       /* F */
	TRACE_EV_IRQ,	       /* Q */
	TRACE_EV_GERROR,       /* G */
	TRACE_EV_ERROR,	       /* E */
	TRACE_EV_QUEUE,	       /* QS */
	TRACE_EV_QUEUE_ENABLE, /* QE */
	TRACE_EV_ROOT,	       /* ROOT */
	TRACE_EV_ENABLE,       /* TE */
	TRACE_EV_FAULT_RECORD, /* FR */
	TRACE_EV_IRTE,	       /* IR */
	TRACE_EV_DROP,	       /* Z */
};

#define TRACE_PERM_R 1
#define TRACE_PERM_W 2

/*
 * What one architecture does not record is 0; the flags say so where 0 is a
 * value too.
 */
struct trace_translation {
	uint32_t stream;
	uint32_t pasid; /* RISC-V; VT-d, with has_pasid */
	bool has_pasid; /* VT-d: a request with PASID */
	uint64_t iova;
	uint64_t pa;   /* of iova; AMD-Vi, VT-d: of the leaf or page */
	uint8_t perm;  /* TRACE_PERM_*: SMMUv3, RISC-V */
	uint8_t stage; /* SMMUv3: 1, 2 or 3 for nested */
	bool walked;   /* 'w'; 'h' is false */
	bool has_how;  /* h or w was recorded (all but RISC-V) */
	bool has_leaf; /* VT-d: leaf and domain are valid; else passed through
			*/
	uint64_t mask; /* VT-d: size of the leaf minus one */
	uint64_t leaf;
	uint32_t domain;
};

struct trace_event {
	enum trace_event_type type;
	uint64_t line;
	union {
		struct {
			uint64_t index;
			const char *name;
		} snapshot, command;
		struct {
			uint64_t addr;
			uint64_t value;
			uint8_t size;
		} reg;
		struct {
			uint64_t addr;
			uint64_t value;
		} word;
		struct {
			uint64_t addr;
			unsigned int nr;
			uint64_t words[TRACE_MAX_RECORD_WORDS];
		} record;
		struct {
			uint32_t stream;
			uint64_t addr;
		} ste;
		struct {
			uint64_t addr;
		} cd;
		struct trace_translation translate;
		struct {
			uint32_t stream;
			uint64_t iova;
			bool write;
		} access; /* BYPASS (VT-d: write not known), DISABLED, ABORT */
		struct {
			const char *text; /* SMMUv3: name; else NULL or free */
			uint32_t stream;
			uint64_t reason; /* VT-d */
			uint64_t addr;	 /* VT-d, AMD-Vi */
			bool has_stream;
			bool has_addr;
			bool write; /* VT-d */
			bool has_pasid;
			uint32_t pasid; /* VT-d, with has_pasid */
		} fault;
		struct {
			uint64_t number;
		} irq;
		struct {
			uint64_t toggled;
			uint64_t now;
		} gerror;
		struct {
			const char *text;
		} note; /* ERROR, DROP */
		struct {
			uint64_t addr;
			uint64_t arg; /* QUEUE: entries, ROOT: scalable mode */
		} base;
		struct {
			bool on;
		} enable; /* QUEUE_ENABLE, ENABLE */
		struct {
			uint64_t index;
			uint64_t lo;
			uint64_t hi;
		} entry; /* FAULT_RECORD, IRTE */
	};
};

struct trace_log;

/**
 * trace_log_open() - start at the first event of a recording
 * @err: written by this and by trace_log_next(); must live as long as the log
 */
int trace_log_open(const struct trace *trace, struct trace_log **out,
		   struct trace_error *err);

/**
 * trace_log_next() - the next event
 * @ev: out; its strings are valid until the next call
 *
 * Commands and snapshots come in ascending order without gaps, each command
 * index is below meta.commands, and at the end all counts agree with meta.json;
 * anything else is an error.
 *
 * Return: 1 with an event, 0 at the end, -EBADMSG or another error.
 */
int trace_log_next(struct trace_log *log, struct trace_event *ev);
void trace_log_close(struct trace_log *log);

#define TRACE_ROW_R	1
#define TRACE_ROW_W	2
#define TRACE_ROW_USER	4
#define TRACE_ROW_NO_AF 8

struct trace_row {
	uint64_t snapshot;
	uint32_t stream;
	uint32_t substream;
	bool rid; /* VT-d scalable mode: requests without PASID */
	uint64_t iova;
	uint64_t pa;
	uint64_t size;
	uint8_t perms; /* TRACE_ROW_* */
	uint64_t descriptor;
};

struct trace_rows;

/* Start at the first leaf of @snapshot; @err as in trace_log_open(). */
int trace_rows_open(const struct trace *trace, size_t snapshot,
		    struct trace_rows **out, struct trace_error *err);

/* Return: 1 with a row, 0 behind the snapshot's last one, or an error. */
int trace_rows_next(struct trace_rows *rows, struct trace_row *row);
void trace_rows_close(struct trace_rows *rows);

#endif
