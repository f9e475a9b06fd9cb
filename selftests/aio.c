// SPDX-License-Identifier: GPL-2.0
/*
 * Asynchronous I/O, io_setup(2): contexts, and requests that are on their way.
 */
#include <pthread.h>
#include <linux/aio_abi.h>
#include <sys/eventfd.h>

#include "ckpt_hostile.h"

CKPT_FIXTURE(aio)

static long io_setup(unsigned int nr, aio_context_t *ctx)
{
	return syscall(__NR_io_setup, nr, ctx);
}

static long io_destroy(aio_context_t ctx)
{
	return syscall(__NR_io_destroy, ctx);
}

static long io_submit(aio_context_t ctx, long nr, struct iocb **iocb)
{
	return syscall(__NR_io_submit, ctx, nr, iocb);
}

static long io_getevents(aio_context_t ctx, long min, long max, struct io_event *event)
{
	struct timespec limit = { WAIT_SECONDS, 0 };

	return syscall(__NR_io_getevents, ctx, min, max, event, &limit);
}

/* What stands in the ring, see fs/aio.c. */
struct ring {
	unsigned int id, nr, head, tail, magic, compat, incompat, header_length;
	struct io_event event[];
};

static aio_context_t new_context(unsigned int nr)
{
	aio_context_t ctx = 0;

	V_SYS(io_setup(nr, &ctx));
	return ctx;
}

static struct iocb request(int fd, int op, void *buf, size_t len, off_t at, uint64_t data)
{
	return (struct iocb) {
		.aio_fildes = fd,
		.aio_lio_opcode = op,
		.aio_buf = (uintptr_t)buf,
		.aio_nbytes = len,
		.aio_offset = at,
		.aio_data = data,
	};
}

static void submit(aio_context_t ctx, struct iocb *iocb)
{
	V_EQUAL(1, io_submit(ctx, 1, &iocb));
}

/* One of those on tmpfs, which come to an end before they return. */
static void write_one(aio_context_t ctx, int fd, uint64_t data)
{
	static struct iocb iocb;

	iocb = request(fd, IOCB_CMD_PWRITE, "x", 1, data % 4096, data);
	submit(ctx, &iocb);
}

static int new_file(void)
{
	return V_SYS(memfd_create("file", 0));
}

SURVIVES(aio, events_that_have_not_been_reaped)
{
	aio_context_t ctx = new_context(8);
	struct io_event event[8];
	int fd = new_file(), i;

	for (i = 0; i < 5; i++)
		write_one(ctx, fd, 100 + i);
	V_EQUAL(2, io_getevents(ctx, 2, 2, event));
	victim_ready();
	V_EQUAL(3, io_getevents(ctx, 3, 8, event));
	for (i = 0; i < 3; i++) {
		V_EQUAL(102 + i, event[i].data);
		V_EQUAL(1, event[i].res);
		V_EQUAL(0, event[i].res2);
		V_CHECK(event[i].obj);
	}
	V_EQUAL(0, syscall(__NR_io_getevents, ctx, 0, 1, event, NULL));
	/* and so on */
	write_one(ctx, fd, 4711);
	V_EQUAL(1, io_getevents(ctx, 1, 8, event));
	V_EQUAL(4711, event[0].data);
	V_SYS(io_destroy(ctx));
}

/* How many requests there is room for if nobody reaps. */
static int fill(aio_context_t ctx, int fd)
{
	static struct iocb iocb;
	struct iocb *list = &iocb;
	int nr = 0;

	iocb = request(fd, IOCB_CMD_PWRITE, "x", 1, 0, 0);
	while (io_submit(ctx, 1, &list) == 1)
		iocb.aio_data = ++nr;
	V_EQUAL(EAGAIN, errno);
	return nr;
}

static void reap(aio_context_t ctx, int nr)
{
	struct io_event event;
	int i;

	for (i = 0; i < nr; i++) {
		V_EQUAL(1, io_getevents(ctx, 1, 1, &event));
		V_EQUAL(i, event.data);
	}
	V_EQUAL(0, syscall(__NR_io_getevents, ctx, 0, 1, &event, NULL));
}

/* Batches of them lie with the CPUs, so that it is not quite the same always. */
static void expect_room(aio_context_t ctx, int fd, unsigned int max_reqs)
{
	const struct ring *ring = (struct ring *)ctx;
	int nr = fill(ctx, fd);

	V_CHECK(nr >= (int)max_reqs && nr < (int)ring->nr);
	reap(ctx, nr);
}

SURVIVES(aio, room_for_as_many_requests)
{
	static const unsigned int sizes[] = { 1, 127, 2000 };
	aio_context_t ctx[3];
	unsigned int nr[3];
	int fd = new_file(), i;

	for (i = 0; i < 3; i++) {
		ctx[i] = new_context(sizes[i]);
		nr[i] = ((struct ring *)ctx[i])->nr;
		expect_room(ctx[i], fd, sizes[i]);
	}
	victim_ready();
	for (i = 0; i < 3; i++) {
		V_EQUAL(nr[i], ((struct ring *)ctx[i])->nr);
		expect_room(ctx[i], fd, sizes[i]);
		expect_room(ctx[i], fd, sizes[i]);
	}
}

SURVIVES(aio, a_full_ring_that_wraps_around)
{
	aio_context_t ctx = new_context(200);
	int fd = new_file(), nr;

	reap(ctx, fill(ctx, fd));
	nr = fill(ctx, fd);
	victim_ready();
	reap(ctx, nr);
	expect_room(ctx, fd, 200);
}

/* As libaio does it: from the ring, without a system call. */
SURVIVES(aio, events_are_reaped_by_the_program_itself)
{
	aio_context_t ctx = new_context(16);
	struct ring *ring = (struct ring *)ctx;
	int fd = new_file(), i;

	for (i = 0; i < 10; i++)
		write_one(ctx, fd, i);
	for (i = 0; i < 4; i++)
		V_EQUAL(i, ring->event[ring->head++].data);
	victim_ready();
	V_EQUAL(4, ring->head);
	V_EQUAL(10, ring->tail);
	for (i = 4; i < 10; i++) {
		V_EQUAL(i, ring->event[ring->head].data);
		V_EQUAL(1, ring->event[ring->head++].res);
	}
	expect_room(ctx, fd, 16);
}

SURVIVES(aio, several_contexts_with_a_gap)
{
	aio_context_t ctx[12];
	struct io_event event;
	int fd = new_file(), i;

	for (i = 0; i < 12; i++)
		ctx[i] = new_context(1 + i);
	V_SYS(io_destroy(ctx[0]));
	V_SYS(io_destroy(ctx[5]));
	for (i = 1; i < 12; i++)
		if (i != 5)
			write_one(ctx[i], fd, i);
	victim_ready();
	for (i = 1; i < 12; i++) {
		if (i == 5)
			continue;
		V_EQUAL(1, io_getevents(ctx[i], 1, 1, &event));
		V_EQUAL(i, event.data);
		V_SYS(io_destroy(ctx[i]));
	}
	V_EQUAL(-1, io_destroy(ctx[5]));
	V_SYS(io_destroy(new_context(1)));
}

/* mremap(2) gives a context another number. */
SURVIVES(aio, a_context_that_has_been_moved)
{
	aio_context_t ctx = new_context(4);
	struct io_event event;
	int fd = new_file();
	void *to;

	to = mmap(NULL, 65536, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	write_one(ctx, fd, 7);
	to = mremap((void *)ctx, (((struct ring *)ctx)->nr + 1) * 32,
		    (((struct ring *)ctx)->nr + 1) * 32, MREMAP_MAYMOVE | MREMAP_FIXED, to);
	V_CHECK(to != MAP_FAILED);
	victim_ready();
	V_EQUAL(1, io_getevents((aio_context_t)to, 1, 1, &event));
	V_EQUAL(7, event.data);
}

/* ---- a thread that waits ---- */

static aio_context_t waiting_on;
static struct io_event waited_for;
static volatile long waiter_tid, waited;

static void *wait_for_event(void *unused)
{
	waiter_tid = gettid();
	waited = syscall(__NR_io_getevents, waiting_on, 1, 1, &waited_for, NULL);
	if (waited < 0)
		waited = -errno;
	return NULL;
}

SURVIVES(aio, a_thread_that_waits_for_an_event)
{
	pthread_t thread;
	int fd = new_file();

	waiting_on = new_context(4);
	V_EQUAL(0, pthread_create(&thread, NULL, wait_for_event, NULL));
	V_CHECK(WAIT_FOR(waiter_tid));
	victim_await(victim_reach_thread(waiter_tid, __NR_io_getevents));
	write_one(waiting_on, fd, 42);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(1, waited);
	V_EQUAL(42, waited_for.data);
}

/* ---- requests on their way ---- */

CKPT_FIXTURE_IN(aio_disk, "/var/tmp")

#define REQUESTS	64
#define CHUNK		(256 << 10)

SURVIVES(aio_disk, requests_in_flight_come_to_an_end)
{
	static struct iocb iocb[REQUESTS], *list[REQUESTS];
	static struct io_event event[REQUESTS];
	static bool seen[REQUESTS];
	int fd = V_SYS(open(file_name("data"), O_RDWR | O_CREAT | O_DIRECT, 0600));
	int note = V_SYS(eventfd(0, EFD_NONBLOCK)), i, turn;
	aio_context_t ctx = new_context(REQUESTS);
	uint64_t count;
	char *buf;

	buf = mmap(NULL, REQUESTS * CHUNK, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (i = 0; i < REQUESTS; i++) {
		memset(buf + i * CHUNK, 'a' + i % 26, CHUNK);
		V_EQUAL(CHUNK, pwrite(fd, buf + i * CHUNK, CHUNK, i * CHUNK));
	}
	memset(buf, 0, REQUESTS * CHUNK);
	for (i = 0; i < REQUESTS; i++) {
		iocb[i] = request(fd, IOCB_CMD_PREAD, buf + i * CHUNK, CHUNK, i * CHUNK, i);
		iocb[i].aio_flags = IOCB_FLAG_RESFD;
		iocb[i].aio_resfd = note;
		list[i] = &iocb[i];
	}
	turn = victim_reach();
	do
		V_EQUAL(REQUESTS, io_submit(ctx, REQUESTS, list));
	while (!victim_told(turn) && io_getevents(ctx, REQUESTS, REQUESTS, event) == REQUESTS &&
	       read(note, &count, sizeof(count)) == sizeof(count) && count == REQUESTS);
	V_EQUAL(REQUESTS, io_getevents(ctx, REQUESTS, REQUESTS, event));
	for (i = 0; i < REQUESTS; i++) {
		V_EQUAL(CHUNK, event[i].res);
		V_CHECK(!seen[event[i].data]);
		seen[event[i].data] = true;
		V_EQUAL('a' + i % 26, buf[i * CHUNK]);
		V_EQUAL('a' + i % 26, buf[(i + 1) * CHUNK - 1]);
	}
	V_EQUAL(sizeof(count), read(note, &count, sizeof(count)));
	V_EQUAL(REQUESTS, count);
	V_SYS(io_destroy(ctx));
	/* nobody but us has it any more */
	victim_ready();
}

SURVIVES(aio_disk, synchronizing_in_the_background)
{
	struct iocb iocb = {};
	int fd = V_SYS(open(file_name("data"), O_RDWR | O_CREAT, 0600));
	aio_context_t ctx = new_context(4);
	struct io_event event;

	V_EQUAL(6, write(fd, "synced", 6));
	iocb = request(fd, IOCB_CMD_FSYNC, NULL, 0, 0, 5);
	submit(ctx, &iocb);
	victim_ready();
	V_EQUAL(1, io_getevents(ctx, 1, 1, &event));
	V_EQUAL(5, event.data);
	V_EQUAL(0, event.res);
}

/* ---- what is refused ---- */

CKPT_FIXTURE_REAL(aio_one)

#define REFUSED(what, words)	IS_REFUSED(aio_one, what, "[aio]: ", words)

REFUSED(a_request_that_polls_is_refused, "IOCB_CMD_POLL")
{
	aio_context_t ctx = new_context(4);
	struct io_event event;
	struct iocb iocb;
	int pipe[2];

	V_SYS(pipe2(pipe, 0));
	iocb = request(pipe[0], IOCB_CMD_POLL, (void *)1 /* POLLIN */, 0, 0, 3);
	submit(ctx, &iocb);
	victim_ready();
	V_EQUAL(1, write(pipe[1], "x", 1));
	V_EQUAL(1, io_getevents(ctx, 1, 1, &event));
	V_CHECK(event.res & 1);
}

REFUSED(a_ring_that_a_child_has_too_is_refused, "fork")
{
	aio_context_t ctx = new_context(4);
	struct io_event event;
	int fd = new_file(), go[2];
	char byte;

	V_SYS(pipe2(go, O_CLOEXEC));
	if (!V_SYS(fork())) {
		close(go[1]);
		_exit(read(go[0], &byte, 1));
	}
	victim_ready();
	write_one(ctx, fd, 1);
	V_EQUAL(1, io_getevents(ctx, 1, 1, &event));
	close(go[1]);
	wait(NULL);
}

REFUSED(a_ring_that_is_not_mapped_is_refused, "unmapped")
{
	aio_context_t ctx = new_context(4);

	munmap((void *)ctx, (((struct ring *)ctx)->nr + 1) * 32);
	victim_ready();
}

REFUSED(a_ring_with_another_protection_is_refused, "protection")
{
	aio_context_t ctx = new_context(4);

	V_SYS(mprotect((void *)ctx, 4096, PROT_READ));
	victim_ready();
}

REFUSED(a_ring_with_a_spoilt_header_is_refused, "header")
{
	aio_context_t ctx = new_context(4);

	((struct ring *)ctx)->head = 1 << 30;
	victim_ready();
}

/* ---- restarts that fail ---- */

VICTIM(has_events)
{
	aio_context_t ctx = new_context(100);
	struct io_event event[3];
	int fd = new_file(), i;

	for (i = 0; i < 3; i++)
		write_one(ctx, fd, i);
	victim_ready();
	V_EQUAL(3, io_getevents(ctx, 3, 3, event));
}

static long aio_nr(void)
{
	char text[32];

	return read_text("/proc/sys/fs/aio-nr", text, sizeof(text)) > 0 ? atol(text) : -1;
}

TEST_F(aio_one, the_limit_of_the_system_holds)
{
	char limit[32];

	if (geteuid())
		SKIP(return, "only root sets fs.aio-max-nr");
	ASSERT_LT(0, read_text("/proc/sys/fs/aio-max-nr", limit, sizeof(limit)));
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_events"));
	EXPECT_TRUE(WAIT_FOR(!aio_nr()));
	ASSERT_EQ(0, write_text("/proc/sys/fs/aio-max-nr", "99"));
	EXPECT_EQ(-EAGAIN, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "aio-max-nr"));
	ASSERT_EQ(0, write_text("/proc/sys/fs/aio-max-nr", limit));
	EXPECT_EQ(0, aio_nr());
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(100, aio_nr());
	EXPECT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(WAIT_FOR(!aio_nr()));
}

#define HOSTILE(name, change)						\
	TEST_F(aio_one, hostile_##name)					\
	{								\
		struct ckpt_aio *aio;					\
		struct image img;					\
									\
		ASSERT_EQ(0, victim_image(&self->v, "has_events", &img)); \
		aio = find(&img, CKPT_REC_AIO_CONTEXT, 0);		\
		ASSERT_NE(NULL, aio);					\
		ASSERT_TRUE(image_is_good(&self->v, &img));		\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE(NULL, strstr(self->v.log, "I/O") ?:		\
				strstr(self->v.log, "[aio]"));		\
		EXPECT_TRUE(WAIT_FOR(!aio_nr()));			\
		free(img.data);						\
	}

HOSTILE(no_address, aio->start = 0)
HOSTILE(crooked_address, aio->start += 8)
HOSTILE(address_of_the_kernel, aio->start = 0xffff888000000000)
HOSTILE(address_of_something_else, aio->start = VICTIM_PAGE_ADDR)
HOSTILE(no_requests, aio->max_reqs = 0)
HOSTILE(many_requests, aio->max_reqs = 0xffffffff)
HOSTILE(small_ring, aio->ring_events = 127; aio->size = 4096)
HOSTILE(no_ring, aio->ring_events = 0; aio->nr_events = 0)
HOSTILE(large_ring, aio->ring_events = (1 << 27) - 1; aio->size = 1ULL << 32)
HOSTILE(ring_of_another_size, aio->size += 4096)
HOSTILE(ring_that_ends_within_a_page, aio->ring_events--)
HOSTILE(head_out_of_the_ring, aio->head = aio->ring_events)
HOSTILE(more_events_than_room, aio->nr_events = aio->ring_events)
HOSTILE(more_events_than_there_are, aio->nr_events = 4)

/* ---- a ring from a machine with more CPUs ---- */

VICTIM(has_a_context_for_one)
{
	new_context(1);
	victim_ready();
}

/* It is larger than io_setup() would make it here: who has it pays for it. */
TEST_F(aio_one, a_larger_ring_counts_against_the_limit)
{
	struct image img, again;
	struct ckpt_aio *aio;
	long ret;

	if (sysconf(_SC_NPROCESSORS_CONF) >= 16)
		SKIP(return, "io_setup() makes as large a ring here");
	ASSERT_EQ(0, victim_image(&self->v, "has_a_context_for_one", &img));
	EXPECT_TRUE(WAIT_FOR(!aio_nr()));
	aio = find(&img, CKPT_REC_AIO_CONTEXT, 0);
	ASSERT_NE(NULL, aio);
	ASSERT_EQ(1, aio->max_reqs);
	aio->ring_events = 255;
	aio->size = 255 * 32 + 32;
	/* below it there is room */
	aio->start -= 4096;
	seal(&img);
	ret = try_image(&self->v, &img, 0);
	if (ret == -EINVAL)
		SKIP(return, "the kernel is for few CPUs");
	ASSERT_EQ(self->v.pid, ret)
		show_log(self->v.log);
	EXPECT_EQ(126, aio_nr());
	/* what was asked for stays what it was */
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, load_image(&again, self->v.image));
	aio = find(&again, CKPT_REC_AIO_CONTEXT, 0);
	ASSERT_NE(NULL, aio);
	EXPECT_EQ(1, aio->max_reqs);
	EXPECT_EQ(255, aio->ring_events);
	end_restarted(&self->v, ret);
	EXPECT_TRUE(WAIT_FOR(!aio_nr()));
	free(again.data);
	free(img.data);
}

CKPT_TEST_MAIN
