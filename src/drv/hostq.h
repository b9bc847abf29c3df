/* SPDX-License-Identifier: MIT */
/*
 * A queue of commands from driver to hardware, and what the architectures'
 * queues have in common. A *batch* is a run of commands with a *sync* behind
 * it, a command that completes when all before it are complete; who issues a
 * batch waits for that. Batches of different threads follow each other and
 * never mix, so that an error belongs to the batch that is waiting.
 *
 * A *timeout* is a device that has not answered an invalidation of its TLB:
 * while it lasted, nobody's commands were executed. A batch has at most one:
 * what stands behind is not executed. Behind it everybody who is waiting for
 * the queue has his turn, and who *pays* for it (drv/devices.h) has opened a
 * window: until that ends, a batch that asks one of his devices is *held*.
 *
 * A *section* ends at a sync behind something that a device answers, or at the
 * batch's own. They are handed to hardware one by one, so that a batch whose
 * devices answer *late* ends at the next of these syncs: it keeps the queue for
 * HOSTDEVS_SLOW_MS and one answer at most. Who pays does so for that as well.
 *
 * Commands are runs of doublewords in CPU order.
 */
#ifndef DRV_HOSTQ_H
#define DRV_HOSTQ_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/log.h"
#include "core/driver.h"
#include "core/hwport.h"
#include "drv/devices.h"

#define HOSTQ_BATCH_MAX	 1024
#define HOSTQ_CMD_MAX	 4 /* doublewords */
#define HOSTQ_NO_SID	 UINT64_MAX
#define HOSTQ_ERROR_ROOM 64

/*
 * How long the queue may stand still while a device has not answered. PCIe
 * (6.1, 10.3.1, an implementation note) says that a device should answer within
 * a minute, + 50 %. When hardware gives up is its own affair; it says so then.
 */
#define HOSTQ_ANSWER_MS 90000u

/* How often what nobody but the driver can have got wrong is tried again, at
 * one place, before the unit is dead */
#define HOSTQ_RETRIES 7

struct hostq;

/* Whose invalidations they are: who pays for timeouts, and how */
struct hostq_payer {
	struct hostdevs *devs;
	struct budget *guest; /* NULL: who pays for each device anyhow */
	bool host;    /* the host's own: no second chance, no one over budget */
	bool patient; /* may wait: holds no lock that others need */
	bool urgent;  /* now or never: pauses for late answers do not count */
};

/* One batch on its way. Indices count from its first command. */
struct hostq_batch {
	const struct hostq_payer *payer; /* NULL: nobody */
	const uint64_t *cmds;
	uint32_t n;
	uint32_t seq;	/* no other batch has it for a long time */
	uint32_t first; /* queue index, with wrap bit if there is one */
	uint32_t limit; /* the first command not executed, or n */
	bool illegal;	/* because it was called illegal */
	bool failed;	/* some device has not answered */
	bool refused;	/* or has answered what it must not */
	bool over;	/* the sync will not come: it was aborted */
	bool late;	/* devices kept the queue too long: charged */
	uint32_t start; /* the section on its way */
	uint32_t end;	/* its sync; n: the last */
	uint32_t nth;	/* how many syncs of ops->sync() are in front of that */
	bool asks;	/* the section: hardware waits for devices */
	uint64_t took_ms; /* all sections that ask so far */
	uint64_t last_ms; /* the last of them */
	uint32_t syncs;	  /* made by ops->sync() in it: its own is the next */
	uint64_t named;	  /* by hardware: whose fault; or HOSTQ_NO_SID */
	uint32_t errors;
	uint32_t tried; /* at which index the last error was tried again */
	uint32_t tries; /* how often there */
};

struct hostq_ops {
	const char *name; /* of the architecture */
	/* What hardware has consumed: an index below q->indices */
	uint32_t (*consumed)(struct hostq *q);
	/* q->prod to the hardware; what is in memory is visible to it */
	void (*doorbell)(struct hostq *q);
	/* True if there was an error, which has been dealt with */
	bool (*error)(struct hostq *q, struct hostq_batch *b);
	/* All is consumed: is @b's section complete? NULL: it is */
	bool (*complete)(struct hostq *q, struct hostq_batch *b);
	/* The @nth sync of @b */
	void (*sync)(const struct hostq *q, const struct hostq_batch *b,
		     uint32_t nth, uint64_t *cmd);
	/* A command that does nothing */
	void (*nothing)(uint64_t *cmd);
	bool (*is_sync)(const uint64_t *cmd);
	/* An invalidation that a device answers: which */
	bool (*asks)(const uint64_t *cmd, uint32_t *sid);
	/* The unit is dead: no DMA any more */
	void (*stop)(struct hostq *q);
	/* What else hostq_kick() was for; with the lock held. May be NULL */
	void (*chores)(struct hostq *q);
	/* After a timeout it is not known which of the commands behind the
	 * first invalidation of a device's TLB were executed */
	bool unsure;
};

struct hostq {
	const struct hostq_ops *ops;
	const struct core_hwport *port;
	const struct logger *logger;
	unsigned int timeout_ms;
	unsigned int answer_ms; /* HOSTQ_ANSWER_MS, but for tests */
	unsigned int turn_ms;	/* how long others may take for their turns */
	unsigned int dwords;	/* of a command in the queue */
	unsigned int stride;	/* of one as given, at least that */
	uint32_t slots;		/* a power of two */
	uint32_t indices;	/* mask: slots, and the wrap bit if any */
	uint32_t room;		/* that may be used at once */
	struct core_dma_mem mem;

	pthread_mutex_t lock;	       /* what follows */
	uint32_t prod;		       /* an index */
	uint32_t cons;		       /* last known */
	uint32_t waiting[2];	       /* who found it taken: came, got it */
	struct core_iommu_stats stats; /* written under @lock, read by any */
	bool dead;    /* likewise; hardware does no DMA any more */
	uint32_t seq; /* atomic */
	/* While there is no batch: what is posted has errors as well */
	struct hostq_batch none;

	/* work that interrupt handlers leave for the holder of @lock */
	pthread_mutex_t posted_lock;
	uint64_t (*posted)[HOSTQ_CMD_MAX];
	uint32_t posted_n;
	uint32_t posted_room;
	uint32_t held;	  /* hostq_hold(); atomic, as the next */
	uint32_t pending; /* 1: there is some */
};

enum hostq_code {
	HOSTQ_FINE,
	HOSTQ_ILLEGAL,	  /* -EIO; nothing behind it was executed */
	HOSTQ_NO_ANSWER,  /* -ETIMEDOUT */
	HOSTQ_BAD_ANSWER, /* -EIO; all of the call up to @next is complete */
	HOSTQ_DEAD,	  /* -EIO */
	HOSTQ_HELD,	  /* -EAGAIN: not issued, see @until_ms */
};

struct hostq_result {
	uint32_t done; /* commands behind which a completed sync stands */
	enum hostq_code code; /* of command @done */
	/* NO_ANSWER: the first command that was not executed, or @n. It is the
	 * sync that failed, if that was one of the caller's. */
	uint32_t next;
	uint32_t timeouts; /* waited for, and charged; late answers as well */
	/* HELD: by when; HOSTDEVS_NEVER: the device is in quarantine, or who
	 * pays is over his budget */
	uint64_t until_ms;
	uint32_t changes; /* devs->changes before that was found out */
};

/*
 * 2^@lg2 commands of q->dwords doublewords, which with ops, port, logger,
 * timeout_ms and stride are set; all else is 0. @wraps: indices have a wrap
 * bit, without which one place stays free. The registers are the caller's.
 */
int hostq_init(struct hostq *q, unsigned int lg2, bool wraps);
void hostq_fini(struct hostq *q);

/* Commands that fit into one batch */
uint32_t hostq_capacity(const struct hostq *q);

static inline bool hostq_is_dead(const struct hostq *q)
{
	return __atomic_load_n(&q->dead, __ATOMIC_ACQUIRE);
}

void hostq_read_stats(const struct hostq *q, struct core_iommu_stats *stats);

/*
 * Executes any number of commands in order and waits until they are complete.
 * Syncs among them are allowed if the architecture's need no number. On
 * failure @res says what happened.
 *
 * An invalidation that is answered when the device is asked again has not
 * failed; one that alone can be at fault is not asked again. Of the host's own
 * none is, if it is known which device has not answered: @done is then the
 * first that asked it.
 *
 * @payer NULL: nobody pays, nothing is held. Only a search waits for a window
 * in here, and only if @payer is patient.
 */
int hostq_issue(struct hostq *q, const uint64_t *cmds, uint32_t n,
		const struct hostq_payer *payer, struct hostq_result *res);
/* HELD: until it may be tried again, or is worth another look */
void hostq_pause(struct hostq *q, const struct hostq_payer *payer,
		 const struct hostq_result *res);

/*
 * Adds a command that needs no sync. Never waits: may be called by an
 * interrupt handler, whatever the interrupted thread holds. Dropped with a
 * message without memory for it, or when hardware calls it illegal again and
 * again.
 */
void hostq_post(struct hostq *q, const uint64_t *cmd);

/*
 * Until the release nothing that is posted rings the doorbell, which may run
 * handlers in this thread: for who holds locks that handlers take.
 */
void hostq_hold(struct hostq *q);
void hostq_release(struct hostq *q);

/* The unit is dead: see hostq_kill(). */
void hostq_give_up(struct hostq *q, const char *why);

/*
 * The queue is to be looked at: for errors that nobody waits for, and
 * ops->chores(). Like hostq_post(). For each error of the queue.
 */
void hostq_kick(struct hostq *q);

/* ---- for ops ---- */

static inline uint32_t hostq_sub(const struct hostq *q, uint32_t a, uint32_t b)
{
	return (a - b) & q->indices;
}

static inline void hostq_count(uint64_t *counter)
{
	__atomic_store_n(counter, *counter + 1, __ATOMIC_RELAXED);
}

/*
 * The queue cannot be trusted any more, so nothing can be invalidated: stop
 * all translation, so that no promise about old pages is broken.
 */
void hostq_kill(struct hostq *q, const char *why);
/* Hardware gets a few more tries at one command. */
void hostq_try_again(struct hostq *q, struct hostq_batch *b, uint32_t at,
		     const char *why);
/* What is from @at on is not to be executed. */
void hostq_cut(struct hostq *q, struct hostq_batch *b, uint32_t at);
/* Command @at (n: the sync, above: a posted one) is called illegal. */
void hostq_refused(struct hostq *q, struct hostq_batch *b, uint32_t at);
/* A device has not answered; the queue has stopped at @at. */
void hostq_timeout(struct hostq *q, struct hostq_batch *b, uint32_t at);

/* Runs one batch by itself; -EIO: the unit is dead; -EAGAIN: it is held. */
int hostq_run(struct hostq *q, struct hostq_batch *b);

/* search.c: @b has failed: because of whom, or HOSTQ_NO_SID */
uint64_t hostq_culprit_sid(const struct hostq *q, const struct hostq_batch *b);
/* The first command that is held, or @b->n; by when */
uint32_t hostq_first_held(const struct hostq *q, const struct hostq_batch *b,
			  uint64_t *until_ms);
/* One batch; 0 with @res->done < @b->n: to be continued there. */
int hostq_judge(struct hostq *q, struct hostq_batch *b,
		struct hostq_result *res);

#endif
