// SPDX-License-Identifier: MIT
/* Command lists: fetching and carrying out invalidations. */
#include "base/le.h"
#include "model/mock/engine.h"

struct invalidation {
	uint64_t op;
	uint64_t cells;
	uint64_t whose;
};

static bool decode(const struct mock_list_command *from,
		   struct invalidation *out)
{
	uint64_t word = le64_get(from->word[0]);

	if (word & ~(MOCK_LIST_0_OP | MOCK_LIST_0_CELLS))
		return false;
	out->op = field_get(MOCK_LIST_0_OP, word);
	out->cells = field_get(MOCK_LIST_0_CELLS, word);
	out->whose = le64_get(from->word[1]);
	return true;
}

static uint32_t *cells_of(const struct mock_engine *e,
			  const struct invalidation *inv)
{
	struct mock_context *ctx;
	struct mock_cache *cache;

	switch (inv->op) {
	case MOCK_OP_CELL_INV:
		ctx = mock_find_context(e, inv->whose);
		return ctx && ctx->nested ? ctx->cells : NULL;
	case MOCK_OP_CACHE_INV:
		cache = mock_find_cache(e, inv->whose);
		return cache ? cache->cells : NULL;
	default:
		return NULL;
	}
}

/* Whose cells the commands of a list are about: one is often like the last */
struct target {
	uint64_t op;
	uint64_t whose;
	uint32_t *cells;
};

static bool aim(const struct mock_engine *e, const struct invalidation *inv,
		struct target *target)
{
	if (target->op == inv->op && target->whose == inv->whose)
		return target->cells;
	*target = (struct target){ inv->op, inv->whose, cells_of(e, inv) };
	return target->cells;
}

static bool called_illegal(struct mock_engine *e,
			   const struct invalidation *inv)
{
	const struct inject_chance chance = {
		.kinds = INJECT_SET(INJECT_ILL),
		.opcode = (uint32_t)inv->op,
		.streams = inv->op == MOCK_OP_CACHE_INV,
		.sid = (uint32_t)inv->whose,
		.sid_last = (uint32_t)inv->whose,
	};
	uint32_t delay_us;

	return inject_ask(&e->inject, &chance, &delay_us) != INJECT_NONE;
}

/* STATUS */
static uint64_t carry_out(struct mock_engine *e,
			  const struct mock_list_command *command,
			  struct target *target, bool armed)
{
	struct invalidation inv;

	if (!decode(command, &inv) || !aim(e, &inv, target))
		return MOCK_NONE;
	if (armed && called_illegal(e, &inv))
		return MOCK_ILLEGAL;
	for (; inv.cells; inv.cells &= inv.cells - 1)
		__atomic_store_n(&target->cells[__builtin_ctzll(inv.cells)], 0,
				 __ATOMIC_RELAXED);
	return MOCK_OK;
}

static uint64_t done(uint64_t count, uint64_t status)
{
	return field_prep(MOCK_DONE_COUNT, count) |
	       field_prep(MOCK_DONE_STATUS, status);
}

/* With the list's lock held: what DONE says then */
static uint64_t run(struct mock_engine *e, struct mock_list *list,
		    uint64_t count)
{
	struct mock_list_command commands[MOCK_LIST_MAX];
	struct target target = { 0 };
	bool armed = inject_armed(&e->inject);
	uint64_t status = MOCK_OK;
	uint32_t i = 0;
	int rc;

	if (count > MOCK_LIST_MAX)
		return done(0, MOCK_NO_ROOM);
	reader_enter_of(e->host.grace);
	rc = phys_read(e->host.phys, list->base, commands,
		       count * sizeof(commands[0]));
	reader_exit();
	if (rc)
		return done(0, MOCK_NONE);
	for (; i < count; i++) {
		status = carry_out(e, &commands[i], &target, armed);
		if (status != MOCK_OK)
			break;
	}
	list->commands += i;
	return done(i, status);
}

static struct mock_list *find_list(struct mock_engine *e, uint32_t offset,
				   uint32_t *reg)
{
	uint32_t n = (offset - MOCK_LIST_PAGE(0)) / MOCK_LIST_PAGE(0);

	*reg = offset % MOCK_LIST_PAGE(0);
	return n < MOCK_LISTS ? &e->lists[n] : NULL;
}

uint64_t mock_list_read(struct mock_engine *e, uint32_t offset)
{
	uint32_t reg;
	struct mock_list *list = find_list(e, offset, &reg);
	uint64_t value = 0;

	if (!list)
		return 0;
	pthread_mutex_lock(&list->lock);
	if (reg == MOCK_LIST_BASE)
		value = list->base;
	else if (reg == MOCK_LIST_DONE)
		value = list->done;
	pthread_mutex_unlock(&list->lock);
	return value;
}

void mock_list_write(struct mock_engine *e, uint32_t offset, uint64_t value)
{
	uint32_t reg;
	struct mock_list *list = find_list(e, offset, &reg);

	if (!list)
		return;
	pthread_mutex_lock(&list->lock);
	if (reg == MOCK_LIST_BASE)
		list->base = value;
	else if (reg == MOCK_LIST_RUN)
		list->done = run(e, list, value);
	pthread_mutex_unlock(&list->lock);
}

void mock_lists_init(struct mock_engine *e)
{
	for (unsigned int i = 0; i < MOCK_LISTS; i++)
		pthread_mutex_init(&e->lists[i].lock, NULL);
}

void mock_lists_fini(struct mock_engine *e)
{
	for (unsigned int i = 0; i < MOCK_LISTS; i++)
		pthread_mutex_destroy(&e->lists[i].lock);
}

void mock_lists_stop(struct mock_engine *e)
{
	for (unsigned int i = 0; i < MOCK_LISTS; i++)
		pthread_mutex_lock(&e->lists[i].lock);
}

void mock_lists_resume(struct mock_engine *e)
{
	for (unsigned int i = 0; i < MOCK_LISTS; i++)
		pthread_mutex_unlock(&e->lists[i].lock);
}

uint64_t mock_lists_commands(struct mock_engine *e)
{
	uint64_t sum = 0;

	for (unsigned int i = 0; i < MOCK_LISTS; i++) {
		pthread_mutex_lock(&e->lists[i].lock);
		sum += e->lists[i].commands;
		pthread_mutex_unlock(&e->lists[i].lock);
	}
	return sum;
}
