// SPDX-License-Identifier: MIT
/*
 * A DMA that is stuck in client memory (a page fault that the client's own
 * userfaultfd(2) does not answer) holds up an invalidation for about a second,
 * not for ever; then its device is failed, and everybody else goes on. A call
 * that is stuck so is the client's own affair: closing waits for it.
 */
#include "kit.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "base/reader.h"
#include "guest.h"
#include "lib/machine.h"

#define X     0x7654000ULL
#define EXTRA 0x200000000ULL

static double seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* -1 where the system does not let us */
static int open_uffd(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	int fd;

	fd = (int)syscall(SYS_userfaultfd,
			  O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (fd >= 0 && ioctl(fd, UFFDIO_API, &api)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

struct stuck {
	struct host host;
	struct guest guest;
	struct guest other;
	char *page; /* faults, until release() */
	int uffd;
	pthread_t thread;
	int rc;
	bool ended;
};

static void *get_stuck(void *arg)
{
	struct stuck *s = arg;
	uint64_t word;

	s->rc = kit_read(s->guest.dev, X, &word);
	__atomic_store_n(&s->ended, true, __ATOMIC_RELEASE);
	return NULL;
}

static void start(struct stuck *s, enum nestfd_arch arch,
		  enum nestfd_cache cache, bool ats)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	struct pollfd pfd = { .events = POLLIN };

	*s = (struct stuck){
		.host = { .arch = arch,
			  .cache = cache,
			  .guests = 2,
			  .ats = ats },
	};
	s->uffd = open_uffd();
	if (s->uffd < 0) {
		print_message("userfaultfd(2) is not permitted here: %s\n",
			      strerror(errno));
		skip();
	}
	assert_int_equal(host_start(&s->host), 0);
	assert_int_equal(guest_start(&s->guest, &s->host, 0, 1), 0);
	assert_int_equal(guest_start(&s->other, &s->host, 1, 1), 0);
	guest_map(&s->guest, X, EXTRA);
	guest_map(&s->other, X, guest_page(&s->other, 0));
	s->page = kit_pages(1);
	reg.range.start = (uintptr_t)s->page;
	reg.range.len = PAGE;
	assert_int_equal(ioctl(s->uffd, UFFDIO_REGISTER, &reg), 0);
	assert_int_equal(
		kit_map(s->host.ctx, s->host.ioas, EXTRA, s->page, PAGE), 0);
	assert_int_equal(pthread_create(&s->thread, NULL, get_stuck, s), 0);
	pfd.fd = s->uffd;
	assert_int_equal(poll(&pfd, 1, 10000), 1); /* it faults by now */
}

static void release(struct stuck *s)
{
	struct uffdio_zeropage zero = { 0 };

	assert_false(__atomic_load_n(&s->ended, __ATOMIC_ACQUIRE));
	zero.range.start = (uintptr_t)s->page;
	zero.range.len = PAGE;
	assert_int_equal(ioctl(s->uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(s->thread, NULL);
	close(s->uffd);
}

static void stop(struct stuck *s)
{
	guest_stop(&s->other);
	guest_stop(&s->guest);
	host_stop(&s->host);
	kit_pages_free(s->page, 1);
}

/* The other guest has its memory, and its invalidations */
static void expect_others_unharmed(struct stuck *s)
{
	uint64_t word = 0;

	for (unsigned int page = 0; page < 2; page++) {
		guest_put(&s->other, guest_page(&s->other, page), 7 + page);
		guest_map(&s->other, X, guest_page(&s->other, page));
		guest_invalidate(&s->other, X);
		assert_true(guest_is_done(&s->other));
		assert_int_equal(kit_read(s->other.dev, X, &word), 0);
		assert_int_equal(word, 7 + page);
	}
	assert_true(host_is_clean(&s->host));
}

static void a_guests_sync_ends_and_the_device_is_failed(void **state)
{
	static const enum nestfd_cache policies[] = { NESTFD_CACHE_FAST,
						      NESTFD_CACHE_HOSTILE };

	for (int i = 0; i < 2; i++) {
		double begun;
		struct stuck s;
		uint64_t word;

		start(&s, kit_arch(state), policies[i], false);
		begun = seconds();
		guest_invalidate(&s.guest, X);
		assert_true(seconds() - begun > 0.5); /* it was given time */
		assert_true(guest_is_done(&s.guest));
		assert_int_equal(kit_read(s.guest.dev, X, &word), -ENODEV);
		assert_int_equal(kit_write(s.guest.dev, X, 1), -ENODEV);
		release(&s);
		expect_others_unharmed(&s);
		assert_int_equal(kit_read(s.guest.dev, X, &word), -ENODEV);
		stop(&s);
	}
}

static void the_host_gets_its_memory_back(void **state)
{
	struct stuck s;
	uint64_t word;

	start(&s, kit_arch(state), NESTFD_CACHE_HOSTILE, false);
	assert_int_equal(kit_unmap(s.host.ctx, s.host.ioas, EXTRA, PAGE), 0);
	assert_int_equal(kit_read(s.guest.dev, X, &word), -ENODEV);
	expect_others_unharmed(&s); /* while it is still stuck */
	release(&s);
	expect_others_unharmed(&s);
	stop(&s);
}

/* CERROR_ATC_INV_SYNC at the CMD_SYNC */
static void expect_atc_inv_sync(struct guest *g)
{
	assert_int_equal(guest_read(g, 0x9c, 4) >> 24 & 0x7f, 3);
	assert_int_equal((guest_read(g, 0x60, 4) ^ guest_read(g, 0x64, 4)) & 1,
			 1);
}

/* ITE, and its source-id in IQERCD */
static void expect_ite(struct guest *g)
{
	assert_int_equal(guest_read(g, 0x34, 4) & 0x70, 0x40);
	assert_int_equal(guest_read(g, 0xb0, 8) >> 32 & 0xffff, g->vsid);
}

/* Told at the wait that it aborts; acknowledged, that completes. */
static void a_device_with_ats_does_not_answer_then(void **state)
{
	struct guest *g;
	struct stuck s;

	start(&s, kit_arch(state), NESTFD_CACHE_FAST, true);
	g = &s.guest;
	guest_invalidate(g, X); /* fails the device */
	release(&s);
	guest_invalidate_ats(g, X);
	assert_int_equal(guest_head(g), g->prod - 1);
	if (kit_arch(state) == NESTFD_ARCH_VTD)
		expect_ite(g);
	else
		expect_atc_inv_sync(g);
	assert_true(guest_acknowledge(g));
	assert_true(guest_is_done(g));
	expect_others_unharmed(&s);
	stop(&s);
}

static void a_stuck_device_can_be_removed(void **state)
{
	struct stuck s;

	start(&s, kit_arch(state), NESTFD_CACHE_FAST, false);
	guest_stop(&s.guest);
	release(&s);
	expect_others_unharmed(&s);
	guest_stop(&s.other);
	host_stop(&s.host);
	kit_pages_free(s.page, 1);
}

struct reading {
	struct nestfd_machine *machine;
	struct nestfd *ctx;
	struct nestfd_device *dev;
	char *page; /* faults */
	int uffd;
	int fd;
	ssize_t got;
	bool closed;
};

/* One event waits: a CD of zeros is C_BAD_CD */
static void start_reading(struct reading *r)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	uint32_t dev_id, ioas, parent, viommu, queue, vdevice, nested;
	static _Alignas(4096) char zeros[PAGE];
	uint64_t word;

	*r = (struct reading){ .uffd = open_uffd() };
	if (r->uffd < 0)
		skip();
	assert_int_equal(kit_machine(NESTFD_CACHE_FAST, &r->machine), 0);
	assert_int_equal(nestfd_open(r->machine, &r->ctx), 0);
	assert_int_equal(kit_device(r->machine, 1, &r->dev), 0);
	assert_int_equal(nestfd_bind(r->ctx, r->dev, &dev_id), 0);
	assert_int_equal(kit_ioas(r->ctx, &ioas), 0);
	assert_int_equal(kit_map(r->ctx, ioas, 0, zeros, PAGE), 0);
	assert_int_equal(kit_hwpt(r->ctx, dev_id, ioas, 1, &parent), 0);
	assert_int_equal(kit_viommu(r->ctx, dev_id, parent, &viommu), 0);
	assert_int_equal(kit_veventq(r->ctx, viommu, &queue, &r->fd), 0);
	assert_int_equal(kit_vdevice(r->ctx, viommu, dev_id, 1, &vdevice), 0);
	assert_int_equal(kit_nested(r->ctx, dev_id, viommu, 0xb, 0, &nested),
			 0);
	assert_int_equal(kit_attach(r->dev, nested), 0);
	assert_int_equal(kit_read(r->dev, X, &word), -EIO);
	r->page = kit_pages(1);
	reg.range.start = (uintptr_t)r->page;
	reg.range.len = PAGE;
	assert_int_equal(ioctl(r->uffd, UFFDIO_REGISTER, &reg), 0);
}

static void *read_event(void *arg)
{
	struct reading *r = arg;

	r->got = nestfd_read(r->ctx, r->fd, r->page, PAGE);
	return NULL;
}

static void *close_context(void *arg)
{
	struct reading *r = arg;

	nestfd_close(r->ctx);
	__atomic_store_n(&r->closed, true, __ATOMIC_RELEASE);
	return NULL;
}

static void closing_waits_for_a_read(void **state)
{
	struct uffdio_zeropage zero = { 0 };
	struct pollfd pfd = { .events = POLLIN };
	pthread_t reader, closer;
	struct reading r;

	(void)state;
	start_reading(&r);
	pfd.fd = r.uffd;
	assert_int_equal(pthread_create(&reader, NULL, read_event, &r), 0);
	assert_int_equal(poll(&pfd, 1, 10000), 1);
	assert_int_equal(pthread_create(&closer, NULL, close_context, &r), 0);
	usleep(200000);
	assert_false(__atomic_load_n(&r.closed, __ATOMIC_ACQUIRE));
	zero.range.start = (uintptr_t)r.page;
	zero.range.len = PAGE;
	assert_int_equal(ioctl(r.uffd, UFFDIO_ZEROPAGE, &zero), 0);
	pthread_join(reader, NULL);
	pthread_join(closer, NULL);
	assert_int_equal(r.got, 40);
	assert_int_equal(r.page[8], 0x0a);
	close(r.uffd);
	kit_pages_free(r.page, 1);
	nestfd_machine_destroy(r.machine);
}

/*
 * What a sync waits for, without the sync: that would wait for a second, which
 * is not to be told from a machine that is busy.
 */
static void another_machine_does_not_wait_for_it(void **state)
{
	struct host host = { .arch = kit_arch(state), .guests = 1 };
	struct guest guest;
	struct stuck s;
	uint64_t word;

	start(&s, kit_arch(state), NESTFD_CACHE_FAST, false);
	assert_int_equal(host_start(&host), 0);
	assert_int_equal(guest_start(&guest, &host, 0, 1), 0);
	guest_map(&guest, X, guest_page(&guest, 0));
	assert_int_equal(kit_read(guest.dev, X, &word), 0);
	guest_invalidate(&guest, X);
	for (int i = 0; i < 10; i++)
		assert_int_equal(grace_wait(host.machine->grace, 60000000000),
				 0);
	assert_int_equal(grace_wait(s.host.machine->grace, 1000000),
			 -ETIMEDOUT);
	release(&s);
	assert_int_equal(s.rc, 0);
	guest_stop(&guest);
	host_stop(&host);
	stop(&s);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		EACH_ARCH(a_guests_sync_ends_and_the_device_is_failed),
		EACH_ARCH(the_host_gets_its_memory_back),
		EACH_ARCH(a_device_with_ats_does_not_answer_then),
		EACH_ARCH(a_stuck_device_can_be_removed),
		ON_ARCH(closing_waits_for_a_read, SMMUV3),
		EACH_ARCH(another_machine_does_not_wait_for_it),
	};

	return RUN(tests, argc, argv);
}
