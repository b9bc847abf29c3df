// SPDX-License-Identifier: MIT
/*
 * One line of the log. The first field names the event; most events look the
 * same for all architectures, and where they do not the parser for that letter
 * looks at the architecture.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "internal.h"

#define PAGE_OFFSET 0xfffu
#define PASID_MAX   0xfffffu

typedef bool (*event_parser)(struct trace_cursor *cur, enum trace_iommu iommu,
			     struct trace_event *ev);

static bool refuse(struct trace_cursor *cur, const char *what)
{
	cur->what = what;
	return false;
}

static bool take_flag(struct trace_cursor *cur, bool *flag)
{
	uint64_t v;

	if (!trace_take_hex(cur, &v))
		return false;
	if (v > 1)
		return refuse(cur, "neither 0 nor 1");
	*flag = v;
	return true;
}

/* Where an 8-byte word lies. */
static bool take_word_addr(struct trace_cursor *cur, uint64_t *addr)
{
	uint64_t v;

	if (!trace_take_hex(cur, &v))
		return false;
	if (v % 8)
		return refuse(cur, "the address is not a multiple of 8");
	*addr = v;
	return true;
}

static bool parse_numbered(struct trace_cursor *cur, enum trace_iommu iommu,
			   struct trace_event *ev)
{
	char *name;

	(void)iommu;
	if (!trace_take_dec(cur, &ev->command.index) ||
	    !trace_take_word(cur, &name))
		return false;
	ev->command.name = name;
	return true;
}

static bool parse_register(struct trace_cursor *cur, enum trace_iommu iommu,
			   struct trace_event *ev)
{
	uint64_t size;

	(void)iommu;
	if (!trace_take_hex(cur, &ev->reg.addr) ||
	    !trace_take_hex(cur, &ev->reg.value) || !trace_take_hex(cur, &size))
		return false;
	if (!size || size > 8 || (size & (size - 1)))
		return refuse(cur, "not the size of a register write");
	ev->reg.size = (uint8_t)size;
	return true;
}

static bool parse_word(struct trace_cursor *cur, enum trace_iommu iommu,
		       struct trace_event *ev)
{
	(void)iommu;
	return take_word_addr(cur, &ev->word.addr) &&
	       trace_take_hex(cur, &ev->word.value);
}

static bool parse_record(struct trace_cursor *cur, enum trace_iommu iommu,
			 struct trace_event *ev)
{
	unsigned int nr = 0;

	(void)iommu;
	if (!take_word_addr(cur, &ev->record.addr))
		return false;
	do {
		if (nr == TRACE_MAX_RECORD_WORDS)
			return refuse(cur, "the structure has too many words");
		if (!trace_take_hex(cur, &ev->record.words[nr]))
			return false;
		nr++;
	} while (!trace_at_end(cur));
	ev->record.nr = nr;
	return true;
}

static bool parse_ste(struct trace_cursor *cur, enum trace_iommu iommu,
		      struct trace_event *ev)
{
	(void)iommu;
	return trace_take_u32(cur, &ev->ste.stream) &&
	       take_word_addr(cur, &ev->ste.addr);
}

static bool parse_cd(struct trace_cursor *cur, enum trace_iommu iommu,
		     struct trace_event *ev)
{
	(void)iommu;
	return take_word_addr(cur, &ev->cd.addr);
}

static bool take_how(struct trace_cursor *cur, struct trace_translation *tr)
{
	char *how;

	if (!trace_take_word(cur, &how))
		return false;
	if (strcmp(how, "h") && strcmp(how, "w"))
		return refuse(cur, "neither h nor w");
	tr->walked = how[0] == 'w';
	tr->has_how = true;
	return true;
}

static bool take_translated(struct trace_cursor *cur,
			    struct trace_translation *tr)
{
	return trace_take_u32(cur, &tr->stream) &&
	       trace_take_hex(cur, &tr->iova) && trace_take_hex(cur, &tr->pa);
}

static bool translate_smmuv3(struct trace_cursor *cur,
			     struct trace_translation *tr)
{
	uint64_t perm;
	uint64_t stage;

	if (!take_translated(cur, tr) || !trace_take_hex(cur, &perm))
		return false;
	if (!perm || perm > 3)
		return refuse(cur, "not a permission");
	if (!trace_take_hex(cur, &stage))
		return false;
	if (!stage || stage > 3)
		return refuse(cur, "not a stage");
	tr->perm = (uint8_t)perm;
	tr->stage = (uint8_t)stage;
	return take_how(cur, tr);
}

/* Bus, device and function */
static bool take_source(struct trace_cursor *cur, uint32_t *stream)
{
	if (!trace_take_u32(cur, stream))
		return false;
	return *stream <= UINT16_MAX || refuse(cur, "not a source-id");
}

/* Not the recorder's: pasid=NUMBER behind all else, or nothing */
static bool take_pasid(struct trace_cursor *cur, bool *has, uint32_t *pasid)
{
	static const char mark[] = "pasid=";
	const ptrdiff_t length = sizeof(mark) - 1;

	if (trace_at_end(cur))
		return true;
	if (cur->end - cur->pos <= length || memcmp(cur->pos, mark, length)) {
		cur->field++;
		return refuse(cur, "not a PASID");
	}
	cur->pos += length;
	if (!trace_take_u32(cur, pasid))
		return false;
	*has = true;
	return *pasid <= PASID_MAX || refuse(cur, "more than 20 bits");
}

/* What passes through comes without leaf and domain. */
static bool translate_vtd(struct trace_cursor *cur,
			  struct trace_translation *tr)
{
	if (!take_source(cur, &tr->stream) || !trace_take_hex(cur, &tr->iova) ||
	    !trace_take_hex(cur, &tr->pa) || !trace_take_hex(cur, &tr->mask) ||
	    !take_how(cur, tr))
		return false;
	if (tr->mask & (tr->mask + 1))
		return refuse(cur, "not a mask");
	if (tr->mask < PAGE_OFFSET)
		return refuse(cur, "the leaf is smaller than a page");
	if (tr->pa & tr->mask)
		return refuse(cur, "not the address of a page of this size");
	if (trace_at_end(cur))
		return true;
	tr->has_leaf = true;
	if (!trace_take_hex(cur, &tr->leaf) ||
	    !trace_take_u32(cur, &tr->domain))
		return false;
	if (tr->domain > UINT16_MAX)
		return refuse(cur, "not a domain id");
	if (!(tr->leaf & 3))
		return refuse(cur, "the leaf lets nothing through");
	return take_pasid(cur, &tr->has_pasid, &tr->pasid);
}

/* Direction as the emulation prints it: letters r, w and others, any case. */
static bool translate_riscv(struct trace_cursor *cur,
			    struct trace_translation *tr)
{
	char *dir;

	if (!trace_take_u32(cur, &tr->stream) ||
	    !trace_take_u32(cur, &tr->pasid) || !trace_take_word(cur, &dir) ||
	    !trace_take_hex(cur, &tr->iova) || !trace_take_hex(cur, &tr->pa))
		return false;
	if (strpbrk(dir, "rR"))
		tr->perm |= TRACE_PERM_R;
	if (strpbrk(dir, "wW"))
		tr->perm |= TRACE_PERM_W;
	return true;
}

static bool parse_translate(struct trace_cursor *cur, enum trace_iommu iommu,
			    struct trace_event *ev)
{
	struct trace_translation *tr = &ev->translate;

	memset(tr, 0, sizeof(*tr));
	switch (iommu) {
	case TRACE_SMMUV3:
		return translate_smmuv3(cur, tr);
	case TRACE_VTD:
		return translate_vtd(cur, tr);
	case TRACE_AMDVI:
		return take_translated(cur, tr) && take_how(cur, tr);
	case TRACE_RISCV:
		return translate_riscv(cur, tr);
	}
	return refuse(cur, "not known for this IOMMU");
}

static bool parse_access(struct trace_cursor *cur, enum trace_iommu iommu,
			 struct trace_event *ev)
{
	ev->access.write = false;
	if (iommu == TRACE_VTD)
		return take_source(cur, &ev->access.stream) &&
		       trace_take_hex(cur, &ev->access.iova);
	return trace_take_u32(cur, &ev->access.stream) &&
	       trace_take_hex(cur, &ev->access.iova) &&
	       take_flag(cur, &ev->access.write);
}

/* Two numbers are a page fault, anything else is a message. */
static bool fault_amdvi(struct trace_cursor *cur, struct trace_event *ev)
{
	struct trace_cursor start = *cur;

	if (trace_take_u32(cur, &ev->fault.stream) &&
	    trace_take_hex(cur, &ev->fault.addr) && trace_at_end(cur)) {
		ev->fault.has_stream = true;
		ev->fault.has_addr = true;
		return true;
	}
	*cur = start;
	ev->fault.stream = 0;
	ev->fault.addr = 0;
	return trace_take_rest(cur, &ev->fault.text);
}

/* The reason is in decimal. */
static bool fault_vtd(struct trace_cursor *cur, struct trace_event *ev)
{
	ev->fault.has_stream = true;
	ev->fault.has_addr = true;
	if (!take_source(cur, &ev->fault.stream) ||
	    !trace_take_dec(cur, &ev->fault.reason))
		return false;
	if (!ev->fault.reason || ev->fault.reason > UINT8_MAX)
		return refuse(cur, "not a fault reason");
	return trace_take_hex(cur, &ev->fault.addr) &&
	       take_flag(cur, &ev->fault.write) &&
	       take_pasid(cur, &ev->fault.has_pasid, &ev->fault.pasid);
}

static bool parse_fault(struct trace_cursor *cur, enum trace_iommu iommu,
			struct trace_event *ev)
{
	char *name;

	memset(&ev->fault, 0, sizeof(ev->fault));
	switch (iommu) {
	case TRACE_SMMUV3:
		if (!trace_take_word(cur, &name))
			return false;
		ev->fault.text = name;
		ev->fault.has_stream = true;
		return trace_take_u32(cur, &ev->fault.stream);
	case TRACE_VTD:
		return fault_vtd(cur, ev);
	case TRACE_AMDVI:
		return fault_amdvi(cur, ev);
	case TRACE_RISCV:
		return trace_take_rest(cur, &ev->fault.text);
	}
	return refuse(cur, "not known for this IOMMU");
}

static bool parse_irq(struct trace_cursor *cur, enum trace_iommu iommu,
		      struct trace_event *ev)
{
	(void)iommu;
	return trace_take_hex(cur, &ev->irq.number);
}

static bool parse_gerror(struct trace_cursor *cur, enum trace_iommu iommu,
			 struct trace_event *ev)
{
	(void)iommu;
	return trace_take_hex(cur, &ev->gerror.toggled) &&
	       trace_take_hex(cur, &ev->gerror.now);
}

static bool parse_note(struct trace_cursor *cur, enum trace_iommu iommu,
		       struct trace_event *ev)
{
	(void)iommu;
	return trace_take_rest(cur, &ev->note.text);
}

static bool parse_base(struct trace_cursor *cur, enum trace_iommu iommu,
		       struct trace_event *ev)
{
	(void)iommu;
	return trace_take_hex(cur, &ev->base.addr) &&
	       trace_take_hex(cur, &ev->base.arg);
}

static bool parse_enable(struct trace_cursor *cur, enum trace_iommu iommu,
			 struct trace_event *ev)
{
	(void)iommu;
	return take_flag(cur, &ev->enable.on);
}

static bool parse_entry(struct trace_cursor *cur, enum trace_iommu iommu,
			struct trace_event *ev)
{
	(void)iommu;
	return trace_take_hex(cur, &ev->entry.index) &&
	       trace_take_hex(cur, &ev->entry.lo) &&
	       trace_take_hex(cur, &ev->entry.hi);
}

#define BY(iommu) (1u << (iommu))
#define ALL	  (~0u)

/* The frequent ones first. */
static const struct event_format {
	char tag[5];
	enum trace_event_type type;
	event_parser parse;
	unsigned int iommus;
} formats[] = {
	{ "T", TRACE_EV_TRANSLATE, parse_translate, ALL },
	{ "C", TRACE_EV_COMMAND, parse_numbered, ALL },
	{ "P", TRACE_EV_WORD, parse_word, ALL },
	{ "W", TRACE_EV_REGISTER, parse_register, ALL },
	{ "B", TRACE_EV_BYPASS, parse_access,
	  BY(TRACE_SMMUV3) | BY(TRACE_VTD) },
	{ "F", TRACE_EV_FAULT, parse_fault, ALL },
	{ "Q", TRACE_EV_IRQ, parse_irq, BY(TRACE_SMMUV3) },
	{ "R", TRACE_EV_RECORD, parse_record, ALL },
	{ "N", TRACE_EV_SNAPSHOT, parse_numbered, ALL },
	{ "S", TRACE_EV_STE, parse_ste, BY(TRACE_SMMUV3) },
	{ "D", TRACE_EV_CD, parse_cd, BY(TRACE_SMMUV3) },
	{ "O", TRACE_EV_DISABLED, parse_access, BY(TRACE_SMMUV3) },
	{ "A", TRACE_EV_ABORT, parse_access, BY(TRACE_SMMUV3) },
	{ "G", TRACE_EV_GERROR, parse_gerror, BY(TRACE_SMMUV3) },
	{ "E", TRACE_EV_ERROR, parse_note, BY(TRACE_SMMUV3) },
	{ "Z", TRACE_EV_DROP, parse_note, BY(TRACE_VTD) | BY(TRACE_AMDVI) },
	{ "QS", TRACE_EV_QUEUE, parse_base, BY(TRACE_VTD) },
	{ "QE", TRACE_EV_QUEUE_ENABLE, parse_enable, BY(TRACE_VTD) },
	{ "ROOT", TRACE_EV_ROOT, parse_base, BY(TRACE_VTD) },
	{ "TE", TRACE_EV_ENABLE, parse_enable, BY(TRACE_VTD) },
	{ "FR", TRACE_EV_FAULT_RECORD, parse_entry, BY(TRACE_VTD) },
	{ "IR", TRACE_EV_IRTE, parse_entry, BY(TRACE_VTD) },
};

static const struct event_format *find_format(enum trace_iommu iommu,
					      const char *tag)
{
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++)
		if (formats[i].iommus & BY(iommu) &&
		    !strcmp(formats[i].tag, tag))
			return &formats[i];
	return NULL;
}

int trace_parse_event(enum trace_iommu iommu, char *line, size_t len,
		      struct trace_event *ev, struct trace_cursor *cur)
{
	const struct event_format *format;
	struct trace_event out;
	char *tag;

	trace_cursor_init(cur, line, len, ' ');
	if (!trace_take_word(cur, &tag))
		return -EBADMSG;
	format = find_format(iommu, tag);
	if (!format) {
		cur->what = "unknown event";
		return -EBADMSG;
	}
	out.type = format->type;
	out.line = 0;
	if (!format->parse(cur, iommu, &out) || !trace_expect_end(cur))
		return -EBADMSG;
	*ev = out;
	return 0;
}

int trace_fail_line(struct trace_error *err, const char *file, uint64_t line,
		    const struct trace_cursor *cur)
{
	return trace_fail(err, -EBADMSG, file, line, "field %u: %s", cur->field,
			  cur->what);
}
