/* SPDX-License-Identifier: MIT */
/*
 * The protocol of NESTFD_HWPT_INVALIDATE_RING, for spin: a guest that produces
 * all the while, a VMM that hands its queue over, and the consumer, which is
 * src/core/ring.c in the same words. Laid side by side:
 *
 *	ring_pending, ring_slot, ring_advance, ring_is_sane: as there
 *	ring_open:	reads q_cons, judges the indices
 *	ring_consume:	a driver that copies CHUNK entries at a time by
 *			core_inval_copy() and executes them in order
 *	ring_close:	writes q_cons; with LOST it may not be there any more, and
 *			info is the index instead (NESTFD_ERR_CONS)
 *
 * and of src/viommu/smmuv3/ring.c, with STRETCH: host_part is hosts_prefix and
 * pays, and any number of commands, since what the opcodes look like decides
 * what is cheap and nothing else; do_few is do_here and do_or_leave, the VMM's
 * own way, which executes what it has read once, out of a copy or not;
 * atc_failed is the latch. With ATS there are an ATC_INV that no device answers
 * (ATC) and the CMD_SYNC that must say so.
 *
 * Guest and VMM are an SMMUv3's: PROD and CONS are the registers that the
 * guest sees, an error stops the queue until the guest has overwritten the
 * entry at CONS and acknowledged; commands that only the VMM can execute stop
 * the ring, not the guest.
 *
 * Each entry has a number. What is to hold:
 *  - none skipped, none twice: the entry executed is number `executed`
 *  - the consumer is never past the producer: executed < produced
 *  - full and empty are never confused: what the indices say is pending is
 *    produced - executed, nothing unread is overwritten, and nobody waits for ever
 *    (an end state that is not the end)
 *  - ATS: no SYNC completes behind an ATC that nobody has told the guest of
 *  - MAD: a guest that writes what it likes gets one queue's worth per call
 *
 * check.sh runs it, and the variants with a mistake (BROKEN_*), which must
 * show. spin is sequentially consistent: where acquire and release are needed
 * on real machines, see ring.c; BROKEN_PROD and BROKEN_CONS are what happens
 * without.
 */
#ifndef BITS
#define BITS 1
#endif
#ifndef TOTAL
#define TOTAL 9 /* entries that the guest sends: more than there are indices */
#endif
#ifndef SPECIAL
#define SPECIAL 3 /* of them, at most, are not just GOOD */
#endif
#define CHUNK 2

#if BITS == 0
#define num 1
#elif BITS == 1
#define num 2
#else
#define num 4
#endif
#ifdef BROKEN_WRAP
#define indices (num - 1)
#else
#define indices ((2 << BITS) - 1)
#endif

#define ring_pending(cons, prod) (((prod) - (cons)) & indices)
#define ring_slot(index) ((index) & (num - 1))
#define ring_advance(index, n) (((index) + (n)) & indices)
#define ring_is_sane(cons, prod) \
	(!(((cons) | (prod)) & ~indices) && ring_pending(cons, prod) <= num)

mtype = { GOOD, ILL, CFGI }; /* CFGI: only the VMM can execute it */
mtype = { ATC, SYNC };
mtype = { OK, EINVAL, EIO, EOPNOTSUPP, ETIMEDOUT, EFAULT };

typedef entry {
	mtype kind;
	byte number
};

/* The guest's memory and registers */
entry memory[num];
byte PROD;
byte CONS;
bool GERROR;

/* The VMM's */
byte q_cons;
bool atc_failed;

/* Nobody's: what is true */
byte produced;
byte executed;
bool untold; /* an ATC has not been answered, and no SYNC has failed since */

/* ---- the guest ---- */

#ifdef MAD
#define ANY_INDEX ((4 << BITS) - 1)
#define CALLS	  3

active proctype guest()
{
	byte times, value;

	do
	:: times < CALLS ->
		atomic { select(value : 0 .. ANY_INDEX); PROD = value };
		memory[ring_slot(value)].kind = (value & 1 -> CFGI : GOOD);
		times++
	:: times == CALLS ->
		break
	od
}
#else
active proctype guest()
{
	byte prod, slot, special;

end_idle:
	do
	:: atomic { GERROR -> slot = ring_slot(CONS) };
		memory[slot].kind = (memory[slot].kind == SYNC -> SYNC : GOOD);
		GERROR = false
	:: produced < TOTAL && ring_pending(CONS, prod) < num ->
		slot = ring_slot(prod);
		assert(produced - executed < num); /* it has been read */
		prod = ring_advance(prod, 1);
#ifdef BROKEN_PROD
		d_step { PROD = prod; produced++ };
#endif
		if
		:: memory[slot].kind = GOOD
		:: special < SPECIAL -> memory[slot].kind = ILL; special++
		:: special < SPECIAL -> memory[slot].kind = CFGI; special++
#ifdef ATS
		:: special < SPECIAL -> memory[slot].kind = ATC; special++
		:: memory[slot].kind = SYNC
#endif
		fi;
#ifdef BROKEN_PROD
		memory[slot].number = produced - 1
#else
		memory[slot].number = produced;
		d_step { PROD = prod; produced++ }
#endif
	od
}
#endif

/* ---- the consumer ---- */

#ifdef BROKEN_SYNC
#define FAILING ILL
#else
#define FAILING SYNC /* behind an ATC that was not answered */
#endif

inline execute(e)
{
#ifndef MAD
	assert(e.number == executed);
	assert(executed < produced);
	assert(!(e.kind == SYNC && untold));
	d_step {
		executed++;
		untold = untold || e.kind == ATC
	}
#else
	skip
#endif
}

/* Entries n to n + copied - 1, each once, in whatever state they are */
inline core_inval_copy()
{
	copied = 0;
	do
	:: copied < CHUNK && n + copied < count ->
		d_step {
			slot = ring_slot(cons + n + copied);
			copy[copied].kind = memory[slot].kind;
			copy[copied].number = memory[slot].number;
			copied++
		}
	:: else ->
		break
	od
}

inline execute_copied()
{
	i = 0;
	do
	:: i < copied && rc == OK ->
		if
		:: unanswered && (copy[i].kind == ILL || copy[i].kind == CFGI ||
				  copy[i].kind == FAILING) ->
			rc = ETIMEDOUT
		:: !unanswered && copy[i].kind == ILL ->
			rc = EIO
		:: !unanswered && copy[i].kind == CFGI ->
			rc = EOPNOTSUPP
		:: else ->
			execute(copy[i]);
			unanswered = unanswered || copy[i].kind == ATC;
			n++
		fi;
		i++
	:: else ->
		break
	od
}

inline ring_open()
{
	cons = q_cons;
	n = 0;
	if
#ifndef BROKEN_CHECK
	:: !ring_is_sane(cons, prod) ->
		rc = EINVAL;
		count = 0
#endif
	:: else ->
		rc = OK;
		count = ring_pending(cons, prod)
	fi
}

inline ring_consume()
{
#ifdef BROKEN_CONS
	q_cons = ring_advance(cons, count);
	CONS = q_cons;
#endif
	unanswered = false;
	do
	:: n < count && rc == OK ->
		core_inval_copy();
		execute_copied()
	:: else ->
		break
	od;
	if
	:: rc == OK && unanswered -> /* all consumed, and the next SYNC fails */
		rc = ETIMEDOUT
	:: else ->
		skip
	fi;
	assert(n <= num);
	assert(rc != EINVAL || n == 0)
}

inline ring_close()
{
	if
#ifdef LOST
	:: rc != EINVAL ->
		info = ring_advance(cons, n);
		rc = EFAULT
#endif
	:: true ->
#ifdef BROKEN_FAILING
		q_cons = (rc == OK -> ring_advance(cons, n) : cons)
#else
		q_cons = ring_advance(cons, n)
#endif
	fi
}

/* ---- the VMM ---- */

/* Any part of what is pending, but some */
inline host_part()
{
#ifdef STRETCH
	do
	:: ring_pending(q_cons, prod) > 1 ->
		prod = (prod - 1) & indices
	:: break
	od
#else
	skip
#endif
}

/* One command, read once and executed by the VMM; @copy is what it read */
inline do_few()
{
	slot = ring_slot(q_cons);
	d_step {
		copy[0].kind = memory[slot].kind;
		copy[0].number = memory[slot].number
	}
	if
	:: copy[0].kind == ILL ->
		GERROR = true
	:: copy[0].kind == SYNC && atc_failed ->
		d_step { atc_failed = false; untold = false; GERROR = true }
	:: else ->
		execute(copy[0]);
		atc_failed = atc_failed || copy[0].kind == ATC;
		q_cons = ring_advance(q_cons, 1);
		CONS = q_cons
	fi
}

active proctype vmm()
{
	byte prod, cons, n, count, copied, i, slot, calls, info;
	entry copy[CHUNK];
	mtype rc;
	bool unanswered; /* the consumer's */

end_idle:
	do
#ifdef MAD
	:: calls < CALLS ->
		calls++;
#else
	:: !GERROR && PROD != q_cons && atc_failed ->
		do_few()
#ifdef STRETCH
	:: !GERROR && PROD != q_cons && !atc_failed ->
		do_few()
#endif
	:: !GERROR && PROD != q_cons && !atc_failed ->
#endif
		prod = PROD; /* acquire */
#ifndef MAD
		host_part();
#endif
		ring_open();
		ring_consume();
		ring_close();
#ifdef LOST
		if
		:: rc == EFAULT -> /* NESTFD_ERR_CONS */
#ifndef BROKEN_INFO
			q_cons = info
#endif
		:: else ->
			skip
		fi;
#endif
#ifndef MAD
		/* The producer has gone on meanwhile, never less. */
		d_step {
			assert(ring_pending(q_cons, PROD) == produced - executed);
		}
#endif
		if
		:: rc == EOPNOTSUPP ->
			slot = ring_slot(q_cons);
			execute(memory[slot]);
			q_cons = ring_advance(q_cons, 1);
			CONS = q_cons
		:: rc == ETIMEDOUT ->
#ifndef BROKEN_LATCH
			atc_failed = true;
#endif
			CONS = q_cons
		:: rc == EIO ->
			CONS = q_cons;
			GERROR = true
		:: else ->
			CONS = q_cons
		fi
#ifdef MAD
	:: calls == CALLS ->
		break
#endif
	od
}

#ifndef MAD
/* Whoever still waits, waits for nothing: all that was sent is executed. */
active proctype rest()
{
	timeout ->
		assert(produced == TOTAL && executed == TOTAL && !GERROR)
}
#endif
