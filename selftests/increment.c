// SPDX-License-Identifier: GPL-2.0
/*
 * What cannot be an increment, and what cannot be restarted together: all of it is
 * refused with the right error and does no harm, neither to the process nor to the
 * chain of its images.
 *
 * CKPT_TEST_SEED in the environment repeats a run of the random tests, and
 * CKPT_TEST_COUNT says how many changes they try.
 */
#include <sys/ioctl.h>
#include <linux/fs.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"
#include "ckpt_scan.h"
#include "ckpt_image.h"
#include "ckpt_chain.h"
#include "ckpt_leak.h"

CHAIN_FIXTURE(increment)

/* ---- what is no increment ---- */

/* What victim and test say to each other. */
enum {
	W_STOP,
	W_PID,			/* a process the victim has started */
};

#define WORKER_PAGES	128

/* Writes one page more each time it goes on, and always looks at all of them. */
VICTIM(worker)
{
	char *area = map_small(WORKER_PAGES);
	size_t i, done;

	for (i = 0; i < WORKER_PAGES; i++)
		fill(area + i * PAGE, PAGE, 0);
	for (done = 0; !vpage->word[W_STOP]; done++) {
		victim_ready();
		for (i = 0; i < WORKER_PAGES; i++)
			CHECK_FILLED(area + i * PAGE, PAGE, i && i <= done ? i : 0);
		fill(area + (done + 1) * PAGE, PAGE, done + 1);
	}
}

static int worker_start(struct victim *v)
{
	return victim_start(v, "worker");
}

static int worker_finish(struct victim *v)
{
	victim_set_word(v, W_STOP, 1);
	return victim_finish(v);
}

/* As many images as the chain is to have, with a page written before each. */
static int worker_chain(struct victim *v, struct chain *c, int nr)
{
	while (c->nr < nr)
		if (chain_step(v, c) || victim_next(v))
			return -1;
	return 0;
}

/* An image without consequences for the chain: the errno of an increment of @parent. */
static long try_increment(struct victim *v, uint32_t tracker, const uint8_t *parent)
{
	int fd = memfd_create("increment", MFD_CLOEXEC);
	long err = try_chain_image(v, fd, tracker, parent, 0);

	close(fd);
	return err;
}

/* One that is there beside @tracker. */
static uint32_t other_tracker(uint32_t tracker)
{
	return tracker == CHECKPOINT_TRACKER_NONE ? CHECKPOINT_TRACKER_WRITE_PROTECT :
						    CHECKPOINT_TRACKER_NONE;
}

TEST_F(increment, an_increment_of_an_unknown_image_is_refused)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	uint8_t uuid[CKPT_UUID_SIZE];

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	memset(uuid, 0x5a, sizeof(uuid));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
	EXPECT_NE('\0', v->log[0]);
	ASSERT_EQ(0, worker_chain(v, c, 2));
	memcpy(uuid, c->uuid, sizeof(uuid));
	uuid[15] ^= 1;
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
	EXPECT_NE('\0', v->log[0]);
	/* that did no harm */
	ASSERT_EQ(0, worker_chain(v, c, 4));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, an_increment_of_an_older_image_is_refused)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	uint8_t uuid[CKPT_UUID_SIZE];

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	memcpy(uuid, c->uuid, sizeof(uuid));
	ASSERT_EQ(0, worker_chain(v, c, 3));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
	ASSERT_EQ(0, worker_chain(v, c, 4));
	/* a full image begins another chain */
	memcpy(uuid, c->uuid, sizeof(uuid));
	chain_begin(c);
	ASSERT_EQ(0, worker_chain(v, c, 1));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, an_increment_by_another_tracker_is_refused)
{
	uint32_t other = other_tracker(variant->tracker);
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	if (!have_tracker(other))
		SKIP(return, "kernel with one tracker only");
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	EXPECT_EQ(-ESTALE, try_increment(v, other, c->uuid));
	EXPECT_NE('\0', v->log[0]);
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, two_trackers_take_turns)
{
	struct chain other = { .tracker = other_tracker(variant->tracker) };
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	uint8_t uuid[CKPT_UUID_SIZE];
	int i;

	REQUIRE_REAL_CHECKPOINT();
	if (!have_tracker(other.tracker))
		SKIP(return, "kernel with one tracker only");
	ASSERT_EQ(0, worker_start(v));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, worker_chain(v, c, 3));
		memcpy(uuid, c->uuid, sizeof(uuid));
		ASSERT_EQ(0, worker_chain(v, &other, 3));
		EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
		ASSERT_EQ(0, worker_chain(v, &other, 4));
		chain_begin(c);
		chain_begin(&other);
	}
	chain_cleanup(&other);
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, images_without_tracker_and_checks_do_not_disturb_it)
{
	struct checkpoint_args args;
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	uint8_t uuid[CKPT_UUID_SIZE];

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	ASSERT_EQ(0, victim_checkpoint(v, 0));
	image_uuid(v->image, uuid);
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, uuid));
	ASSERT_EQ(0, victim_checkpoint(v, CHECKPOINT_CHECK));

	/* a check says whether it would be possible */
	args = checkpoint_args(v, CHECKPOINT_CHECK | CHECKPOINT_INCREMENTAL);
	args.tracker = c->tracker;
	memcpy(args.parent_uuid, c->uuid, CKPT_UUID_SIZE);
	EXPECT_EQ(0, sys_checkpoint(v->pid, &args, sizeof(args)));
	memcpy(args.parent_uuid, uuid, CKPT_UUID_SIZE);
	EXPECT_EQ(-ESTALE, sys_checkpoint(v->pid, &args, sizeof(args)));

	ASSERT_EQ(0, worker_chain(v, c, 4));
	ASSERT_EQ(0, worker_finish(v));
}

/* A memfd that takes no more than so many bytes. */
static int small_file(size_t len)
{
	int fd = memfd_create("small", MFD_CLOEXEC | MFD_ALLOW_SEALING);

	if (ftruncate(fd, len) || fcntl(fd, F_ADD_SEALS, F_SEAL_GROW))
		return -1;
	return fd;
}

TEST_F(increment, after_a_checkpoint_that_failed_nothing_is_lost)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i, fd, stale = 0, tries = 12;
	size_t len;
	long err;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	for (i = 0; i < tries; i++) {
		ASSERT_EQ(0, chain_step(v, c));
		ASSERT_EQ(0, victim_next(v));
		/* the end of the last image is the trailer */
		len = v->stats.bytes * i / tries;
		if (i == tries - 1)
			len = v->stats.bytes - 64;
		fd = small_file(len);
		ASSERT_LE(0, fd);
		ASSERT_GT(0, try_chain_image(v, fd, c->tracker, c->uuid, 0));
		close(fd);
		/* either this is right, or a full image is needed */
		drain_lru();
		err = chain_try_image(v, c, CHECKPOINT_LEAVE_STOPPED);
		kill(v->pid, SIGCONT);
		if (err) {
			ASSERT_EQ(-ESTALE, err);
			stale++;
			chain_begin(c);
		} else {
			ASSERT_EQ(0, chain_follow(c));
			ASSERT_EQ(0, chain_step(v, c));
		}
		ASSERT_EQ(0, victim_next(v));
		ASSERT_EQ(0, worker_chain(v, c, c->nr + 2));
	}
	/* at the latest when pages had been looked at */
	EXPECT_LT(0, stale);
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, after_a_failed_write_of_pages_a_full_image_is_needed)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int fd;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 2));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_next(v));
	fd = small_file(v->stats.bytes - 64);
	ASSERT_GT(0, try_chain_image(v, fd, c->tracker, c->uuid, 0));
	close(fd);
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, c->uuid));
	EXPECT_NE('\0', v->log[0]);
	chain_begin(c);
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, full_devices_and_broken_pipes_do_no_harm)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i, fd[2];
	long err;

	REQUIRE_REAL_CHECKPOINT();
	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, worker_start(v));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, worker_chain(v, c, 3));
		if (i) {
			ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
			close(fd[0]);
		} else {
			fd[1] = open("/dev/full", O_WRONLY | O_CLOEXEC);
			ASSERT_LE(0, fd[1]);
		}
		/* the device can be written to by write(2) only */
		EXPECT_EQ(i ? -EPIPE : -EINVAL,
			  try_chain_image(v, fd[1], c->tracker, c->uuid, 0));
		close(fd[1]);
		ASSERT_EQ(0, victim_next(v));
		err = chain_try_image(v, c, 0);
		if (err) {
			ASSERT_EQ(-ESTALE, err);
			chain_begin(c);
		} else {
			ASSERT_EQ(0, chain_follow(c));
		}
		ASSERT_EQ(0, victim_next(v));
		ASSERT_EQ(0, worker_chain(v, c, c->nr + 2));
	}
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, victim_next(v));
	ASSERT_EQ(0, worker_finish(v));
}

/* Do to the victim what makes all of its pages clean for another program. */
static int take_tracker(struct victim *v, uint32_t tracker)
{
	struct pm_scan_arg scan = {
		.size = sizeof(scan),
		.flags = PM_SCAN_CLEAR_SHADOW_DIRTY,
		.end = 0x7ffffffff000,
		.category_mask = PAGE_IS_SHADOW_DIRTY,
	};
	char path[64];
	int fd, err;

	if (tracker != CHECKPOINT_TRACKER_SHADOW) {
		snprintf(path, sizeof(path), "/proc/%d/clear_refs", v->pid);
		return write_text(path, "4");
	}
	snprintf(path, sizeof(path), "/proc/%d/pagemap", v->pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	err = ioctl(fd, PAGEMAP_SCAN, &scan) < 0 ? -errno : 0;
	close(fd);
	return err;
}

TEST_F(increment, another_program_that_takes_the_tracker_is_noticed)
{
	bool takes = variant->tracker != CHECKPOINT_TRACKER_NONE;
	uint32_t other = variant->tracker == CHECKPOINT_TRACKER_SHADOW ?
			 CHECKPOINT_TRACKER_WRITE_PROTECT : CHECKPOINT_TRACKER_SHADOW;
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, take_tracker(v, c->tracker));
	EXPECT_EQ(takes ? -ESTALE : 0, try_increment(v, c->tracker, c->uuid));
	chain_begin(c);
	ASSERT_EQ(0, worker_chain(v, c, 3));
	/* it does not mind what becomes of another tracker's bits */
	if (have_tracker(other))
		ASSERT_EQ(0, take_tracker(v, other));
	ASSERT_EQ(0, worker_chain(v, c, 5));
	ASSERT_EQ(0, worker_finish(v));
}

/* Begin the next image of the chain: it waits for someone to read from @pipe. */
static pid_t begin_image(struct victim *v, struct chain *c, int *pipe)
{
	int fd[2], bytes;
	pid_t pid;

	if (pipe2(fd, O_CLOEXEC) || fcntl(fd[1], F_SETPIPE_SZ, PAGE) < 0)
		return -1;
	pid = fork();
	if (!pid) {
		close(fd[0]);
		_exit(-try_chain_image(v, fd[1], c->tracker, c->nr ? c->uuid : NULL,
				       CHECKPOINT_LEAVE_STOPPED));
	}
	close(fd[1]);
	*pipe = fd[0];
	if (!WAIT_FOR(!ioctl(fd[0], FIONREAD, &bytes) && bytes && proc_state(pid, pid) == 'S'))
		return -1;
	return pid;
}

/* Read at least @bytes of it, or to its end. */
static int go_on_with_image(int from, int file, size_t bytes)
{
	static char buf[65536];
	size_t done = 0;
	ssize_t n;

	while (done < bytes) {
		n = read(from, buf, sizeof(buf));
		if (n <= 0)
			return n;
		if (write(file, buf, n) != n)
			return -1;
		done += n;
	}
	return 0;
}

/* All of it: 0 if it is the chain's, or its errno. */
static int end_image(struct chain *c, pid_t pid, int from, int file)
{
	int status;

	if (go_on_with_image(from, file, SIZE_MAX) || waitpid(pid, &status, 0) != pid ||
	    !WIFEXITED(status))
		return -1;
	close(from);
	if (WEXITSTATUS(status)) {
		close(file);
		return WEXITSTATUS(status);
	}
	image_uuid(file, c->uuid);
	c->fd[c->nr++] = file;
	return 0;
}

/*
 * The same while the checkpoint waits in the middle of the metadata: it fails, or what
 * it has written is right all the same.
 */
TEST_F(increment, another_program_that_takes_the_tracker_meanwhile_is_noticed)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int from, file, err;
	pid_t pid;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 3));
	file = memfd_create("chain", MFD_CLOEXEC);
	pid = begin_image(v, c, &from);
	ASSERT_LT(0, pid);
	ASSERT_EQ(0, take_tracker(v, c->tracker));
	err = end_image(c, pid, from, file);
	if (err) {
		ASSERT_EQ(ESTALE, err);
		chain_begin(c);
	} else {
		EXPECT_EQ(0, chain_compare(v, c));
		if (c->tracker != CHECKPOINT_TRACKER_NONE) {
			EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, c->uuid));
			chain_begin(c);
		}
	}
	ASSERT_EQ(0, victim_next(v));
	ASSERT_EQ(0, worker_chain(v, c, c->nr + 2));
	ASSERT_EQ(0, worker_finish(v));
}

/* Written after the pages were looked at, by someone who is not stopped. */
TEST_F(increment, what_others_write_meanwhile_is_in_the_next_image)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int i, from, file;
	size_t bytes;
	pid_t pid;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	for (i = 0; i < 4; i++) {
		file = memfd_create("chain", MFD_CLOEXEC);
		pid = begin_image(v, c, &from);
		ASSERT_LT(0, pid);
		/* the page shared with the test is the first there is */
		bytes = i ? v->stats.bytes - 4 * PAGE : 300000;
		ASSERT_EQ(0, go_on_with_image(from, file, bytes));
		ASSERT_EQ(0, victim_set_word(v, W_PID, i + 1));
		ASSERT_EQ(0, end_image(c, pid, from, file));
		ASSERT_EQ(0, chain_follow(c));
		kill(v->pid, SIGCONT);
		ASSERT_EQ(0, victim_next(v));
		ASSERT_EQ(0, chain_step(v, c));
		ASSERT_EQ(0, victim_next(v));
	}
	ASSERT_EQ(0, worker_finish(v));
}

/* Begins again as a worker when it goes on. */
VICTIM(execs)
{
	char *const argv[] = {
		"victim", "--victim", "worker", (char *)victim_dir, "", NULL,
	};

	victim_ready();
	V_SYS(execv("/proc/self/exe", argv));
}

TEST_F(increment, after_exec_a_full_image_is_needed)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(v, "execs"));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_go(v));
	ASSERT_TRUE(WAIT_FOR(victim_read(v, PAGE_FIELD(go), &v->turn, sizeof(v->turn)) == 0 &&
			     v->turn == 0));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(v));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, c->uuid));
	chain_begin(c);
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, worker_finish(v));
}

/* Has a child with a copy of its memory for a while. */
VICTIM(forks)
{
	char *area = map_small(64);
	pid_t child;

	fill(area, 64 * PAGE, 1);
	victim_ready();
	child = V_SYS(fork());
	if (!child) {
		fill(area, PAGE, 2);
		for (;;)
			pause();
	}
	vpage->word[W_PID] = child;
	victim_ready();
	V_CHECK(waitpid(child, NULL, 0) == child);
	CHECK_FILLED(area, 64 * PAGE, 1);
	fill(area + 8 * PAGE, PAGE, 3);
	victim_ready();
	CHECK_FILLED(area + 8 * PAGE, PAGE, 3);
}

TEST_F(increment, a_child_needs_a_full_image)
{
	struct chain of_child = { .tracker = variant->tracker };
	struct victim *v = &self->v, child;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(v, "forks"));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_next(v));

	child = *v;
	child.pid = victim_word(v, W_PID);
	child.image = memfd_create("image", MFD_CLOEXEC);
	EXPECT_EQ(-ESTALE, try_increment(&child, c->tracker, c->uuid));
	EXPECT_EQ(0, chain_step(&child, &of_child));
	EXPECT_EQ(0, chain_step(&child, &of_child));
	close(child.image);
	chain_cleanup(&of_child);
	kill(child.pid, SIGKILL);

	ASSERT_EQ(0, victim_next(v));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, victim_finish(v));
}

TEST_F(increment, after_a_restart_a_full_image_is_needed)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, chain_restart(v, c));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, c->uuid));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, an_increment_may_be_the_last_image)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 3));
	ASSERT_EQ(0, chain_image(v, c, CHECKPOINT_KILL));
	ASSERT_TRUE(WAIT_FOR(victim_reap(v)));
	ASSERT_EQ(0, chain_restart(v, c));
	ASSERT_EQ(0, worker_finish(v));
}

TEST_F(increment, invalid_arguments_of_checkpoint)
{
	struct victim *v = &self->v;
	struct checkpoint_args args, ok;
	struct chain *c = &self->c;
	int fd = memfd_create("image", MFD_CLOEXEC);

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, 1));
	ok = checkpoint_args(v, CHECKPOINT_INCREMENTAL);
	ok.tracker = c->tracker;
	ok.image_fd = fd;
	memcpy(ok.parent_uuid, c->uuid, CKPT_UUID_SIZE);

#define INVALID(change)							\
	do {								\
		args = ok;						\
		change;							\
		EXPECT_EQ(-EINVAL, sys_checkpoint(v->pid, &args, sizeof(args))) \
			test_log("%s", #change);			\
	} while (0)
	INVALID(args.reserved = 1);
	INVALID(args.tracker = CHECKPOINT_TRACKER_WRITE_PROTECT + 1);
	INVALID(args.tracker = ~0U);
	INVALID(args.tracker = CHECKPOINT_TRACKER_OFF);
	INVALID(memset(args.parent_uuid, 0, CKPT_UUID_SIZE));
	INVALID(args.flags = 0);
	INVALID(args.flags |= CHECKPOINT_SINGLE << 1);
	INVALID(args.flags |= CHECKPOINT_KILL | CHECKPOINT_LEAVE_STOPPED);
#undef INVALID
	/* as an older program has it: without the new fields there is no parent */
	EXPECT_EQ(-EINVAL, sys_checkpoint(v->pid, &ok, CHECKPOINT_ARGS_SIZE_VER0));
	EXPECT_EQ(0, lseek(fd, 0, SEEK_CUR));
	EXPECT_EQ(0, sys_checkpoint(v->pid, &ok, sizeof(ok)));
	close(fd);
	ASSERT_EQ(0, worker_finish(v));
}

/* ---- images that go through pipes ---- */

/* Someone who copies what comes out of @from to @to, without @other. */
static pid_t copier(int from, int to, int other)
{
	char buf[65536];
	pid_t pid = fork();
	ssize_t n;

	if (pid)
		return pid;
	close(other);
	while ((n = read(from, buf, sizeof(buf))) > 0)
		if (write(to, buf, n) != n)
			_exit(1);
	_exit(n ? 1 : 0);
}

TEST_F(increment, increments_can_be_written_to_and_read_from_pipes)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int fd[2], file, i, nr, status, parents[MAX_CHAIN];
	pid_t pid;
	long ret;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, worker_start(v));
	for (i = 0; i < 3; i++) {
		file = memfd_create("chain", MFD_CLOEXEC);
		ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
		pid = copier(fd[0], file, fd[1]);
		close(fd[0]);
		EXPECT_EQ(0, try_chain_image(v, fd[1], c->tracker, i ? c->uuid : NULL, 0))
			show_log(v->log);
		close(fd[1]);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_EQ(0, status);
		image_uuid(file, c->uuid);
		c->fd[c->nr++] = file;
		ASSERT_EQ(0, chain_follow(c));
		ASSERT_EQ(0, victim_next(v));
	}
	ASSERT_EQ(0, victim_kill(v));

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	nr = chain_parents(c, parents);
	lseek(c->fd[nr], 0, SEEK_SET);
	pid = copier(c->fd[nr], fd[1], fd[0]);
	close(fd[1]);
	for (i = 0; i < nr; i++)
		lseek(parents[i], 0, SEEK_SET);
	ret = try_chain_restart(v, fd[0], parents, nr, 0);
	ASSERT_EQ(v->pid, ret)
		show_log(v->log);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	close(fd[0]);
	ASSERT_EQ(0, worker_finish(v));
}

/* ---- restarts with wrong parents ---- */

#define CHAIN_LENGTH	4

FIXTURE(parents)
{
	struct victim v;
	struct chain c;
	int fd[MAX_CHAIN];
	int nr;
	int image;
};

/* A chain of a process that is dead; the tracker does not matter for its restart. */
FIXTURE_SETUP(parents)
{
	struct victim *v = &self->v;
	struct chain *c = &self->c;

	REQUIRE_REAL_CHECKPOINT();
	c->tracker = CHECKPOINT_TRACKER_SHADOW;
	if (!have_tracker(c->tracker))
		c->tracker = CHECKPOINT_TRACKER_WRITE_PROTECT;
	if (!have_tracker(c->tracker))
		SKIP(return, "kernel without trackers");
	victim_init(v);
	ASSERT_EQ(0, worker_start(v));
	ASSERT_EQ(0, worker_chain(v, c, CHAIN_LENGTH - 1));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_kill(v));
	self->nr = chain_parents(c, self->fd);
	self->image = c->fd[self->nr];
	ASSERT_EQ(CHAIN_LENGTH - 1, self->nr);
}

FIXTURE_TEARDOWN(parents)
{
	victim_cleanup(&self->v);
	chain_cleanup(&self->c);
}

/* It has to fail with this, say why, and leave nothing behind. */
#define REFUSED(error, image, parents, nr)				\
	do {								\
		long __ret = try_chain_restart(&self->v, image, parents, nr, \
					       RESTART_LEAVE_STOPPED);	\
									\
		end_restarted(&self->v, __ret);				\
		EXPECT_EQ(-(error), __ret)				\
			show_log(self->v.log);				\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	} while (0)

/* After whatever was tried, the right ones do. */
#define STILL_RESTARTS()						\
	do {								\
		ASSERT_EQ(0, chain_restart(&self->v, &self->c));	\
		ASSERT_EQ(0, worker_finish(&self->v));			\
	} while (0)

TEST_F(parents, too_few_or_too_many_are_refused)
{
	int *fd = self->fd, nr = self->nr;

	REFUSED(EINVAL, self->image, fd, 0);
	REFUSED(EINVAL, self->image, fd, nr - 1);
	fd[nr] = fd[nr - 1];
	REFUSED(EINVAL, self->image, fd, nr + 1);
	/* a full image has none */
	REFUSED(EINVAL, fd[nr - 1], fd, 1);
	STILL_RESTARTS();
}

TEST_F(parents, in_the_wrong_order_are_refused)
{
	int *fd = self->fd, first = fd[0];

	fd[0] = fd[1];
	fd[1] = first;
	REFUSED(ESTALE, self->image, fd, self->nr);
	fd[0] = first;
	fd[1] = first;
	REFUSED(ESTALE, self->image, fd, self->nr);
	fd[0] = self->image;
	REFUSED(ESTALE, self->image, fd, self->nr);
	fd[0] = first;
	fd[1] = fd[2];
	REFUSED(ESTALE, self->image, fd, self->nr);
	STILL_RESTARTS();
}

TEST_F(parents, of_another_chain_are_refused)
{
	struct chain other = { .tracker = self->c.tracker };
	struct victim v;
	int i, *fd = self->fd;

	victim_init(&v);
	ASSERT_EQ(0, worker_start(&v));
	ASSERT_EQ(0, worker_chain(&v, &other, CHAIN_LENGTH));
	for (i = 0; i < self->nr; i++) {
		int saved = fd[i];

		fd[i] = other.fd[CHAIN_LENGTH - 2 - i];
		REFUSED(ESTALE, self->image, fd, self->nr);
		fd[i] = saved;
	}
	victim_cleanup(&v);
	chain_cleanup(&other);
	STILL_RESTARTS();
}

TEST_F(parents, that_are_not_images_are_refused)
{
	int fd[2], saved = self->fd[1], file = memfd_create("text", MFD_CLOEXEC);
	char text[8192];

	memset(text, 'x', sizeof(text));
	ASSERT_EQ(sizeof(text), write(file, text, sizeof(text)));
	self->fd[1] = file;
	ASSERT_TRUE(is_refusal(try_chain_restart(&self->v, self->image, self->fd, self->nr, 0)))
		show_log(self->v.log);
	ASSERT_EQ(-1, kill(self->v.pid, 0));
	close(file);
	/* directories, pipes, what cannot be read */
	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	self->fd[1] = fd[0];
	REFUSED(EBADF, self->image, self->fd, self->nr);
	close(fd[0]);
	close(fd[1]);
	self->fd[1] = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	REFUSED(EBADF, self->image, self->fd, self->nr);
	close(self->fd[1]);
	self->fd[1] = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	REFUSED(EBADF, self->image, self->fd, self->nr);
	close(self->fd[1]);
	self->fd[1] = open("/tmp", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
	REFUSED(EBADF, self->image, self->fd, self->nr);
	close(self->fd[1]);
	EXPECT_EQ(-EBADF, try_chain_restart(&self->v, self->image, self->fd, self->nr, 0));
	self->fd[1] = saved;
	STILL_RESTARTS();
}

TEST_F(parents, invalid_arguments_of_restart)
{
	struct restart_args args, ok;
	int i;

	for (i = 0; i < self->nr; i++)
		lseek(self->fd[i], 0, SEEK_SET);
	lseek(self->image, 0, SEEK_SET);
	ok = restart_args(&self->v, 0);
	ok.image_fd = self->image;
	ok.parents = (uintptr_t)self->fd;
	ok.parents_nr = self->nr;

#define INVALID(error, change)						\
	do {								\
		args = ok;						\
		change;							\
		EXPECT_EQ(-(error), sys_restart(&args, sizeof(args)))	\
			test_log("%s", #change);			\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	} while (0)
	INVALID(EINVAL, args.reserved = 1);
	INVALID(EINVAL, args.parents = 0);
	INVALID(EINVAL, args.parents_nr = 0);
	INVALID(EINVAL, args.parents_nr = 65537);
	INVALID(EINVAL, args.parents_nr = ~0U);
	INVALID(EFAULT, args.parents = 8);
	INVALID(EFAULT, args.parents = -PAGE);
#undef INVALID
	/* as an older program has it */
	EXPECT_EQ(-EINVAL, sys_restart(&ok, RESTART_ARGS_SIZE_VER0));
	STILL_RESTARTS();
}

/* An image somewhere in a file; nobody's file position changes. */
TEST_F(parents, are_read_where_their_descriptors_are)
{
	static const char front[] = "something else";
	struct restart_args args;
	int i;

	for (i = 0; i < self->nr; i++) {
		int to = memfd_create("parent", MFD_CLOEXEC);
		struct image img;

		ASSERT_EQ(0, load_image(&img, self->fd[i]));
		ASSERT_EQ(sizeof(front), pwrite(to, front, sizeof(front), 0));
		ASSERT_EQ(img.len, pwrite(to, img.data, img.len, sizeof(front)));
		lseek(to, sizeof(front), SEEK_SET);
		free(img.data);
		self->fd[i] = to;
	}
	lseek(self->image, 0, SEEK_SET);
	args = restart_args(&self->v, 0);
	args.image_fd = self->image;
	args.parents = (uintptr_t)self->fd;
	args.parents_nr = self->nr;
	ASSERT_EQ(self->v.pid, sys_restart(&args, sizeof(args)))
		show_log(self->v.log);
	self->v.alive = true;
	for (i = 0; i < self->nr; i++) {
		EXPECT_EQ(sizeof(front), lseek(self->fd[i], 0, SEEK_CUR));
		close(self->fd[i]);
	}
	ASSERT_EQ(0, worker_finish(&self->v));
}

/* A changed copy of an image. */
static int changed_image(const struct image *img, size_t len)
{
	int fd = memfd_create("changed", MFD_CLOEXEC);

	if (pwrite(fd, img->data, len, 0) != (ssize_t)len)
		return -1;
	return fd;
}

TEST_F(parents, that_are_truncated_are_refused)
{
	struct image *img = malloc(sizeof(*img));
	int i, j, saved;

	for (i = 0; i < self->nr; i++) {
		saved = self->fd[i];
		ASSERT_EQ(0, load_image(img, saved));
		for (j = 0; j < img->nr; j += j < 4 || j > img->nr - 4 ? 1 : img->nr / 10) {
			self->fd[i] = changed_image(img, img->off[j] + (j ? j % 3 : 0));
			ASSERT_LE(0, self->fd[i]);
			REFUSED(EBADMSG, self->image, self->fd, self->nr);
			close(self->fd[i]);
		}
		self->fd[i] = changed_image(img, img->len - 1);
		REFUSED(EBADMSG, self->image, self->fd, self->nr);
		close(self->fd[i]);
		self->fd[i] = saved;
		free(img->data);
	}
	free(img);
	STILL_RESTARTS();
}

/* It may not be in a page that is wanted; then the process is all right. */
TEST_F(parents, with_a_bit_flipped_are_refused_or_do_no_harm)
{
	int i, count = the_count(200), bit, nr, saved, refused = 0;
	struct image *img = calloc(CHAIN_LENGTH, sizeof(*img));
	struct memory_use before;
	size_t byte;
	long ret;

	srandom(the_seed());
	for (i = 0; i < self->nr; i++) {
		ASSERT_EQ(0, load_image(&img[i], self->fd[i]));
	}
	for (i = 0; i < count + 20; i++) {
		if (i == 20)
			read_memory_use(&before);
		nr = random() % self->nr;
		byte = random() % (i % 2 ? img[nr].len :
				   img[nr].off[find_rec(&img[nr], CKPT_REC_PAGES, 0)]);
		bit = random() % 8;
		img[nr].data[byte] ^= 1 << bit;
		saved = self->fd[nr];
		self->fd[nr] = changed_image(&img[nr], img[nr].len);
		ret = try_chain_restart(&self->v, self->image, self->fd, self->nr, 0);
		close(self->fd[nr]);
		self->fd[nr] = saved;
		img[nr].data[byte] ^= 1 << bit;
		if (ret == self->v.pid) {
			ASSERT_EQ(0, worker_finish(&self->v))
				test_log("bit %d of byte %zu of parent %d", bit, byte, nr);
			continue;
		}
		end_restarted(&self->v, ret);
		ASSERT_TRUE(is_refusal(ret))
			test_log("bit %d of byte %zu of parent %d: %ld", bit, byte, nr, ret);
		ASSERT_EQ(-1, kill(self->v.pid, 0));
		refused++;
	}
	test_log("%d of %d changes refused", refused, i);
	EXPECT_LE(count / 2, refused);
	EXPECT_TRUE(nothing_left(&before, count * 8 / 10));
	for (i = 0; i < self->nr; i++)
		free(img[i].data);
	free(img);
	STILL_RESTARTS();
}

static struct image *load_changeable(int fd)
{
	struct image *img = malloc(sizeof(*img));

	return load_image(img, fd) ? NULL : img;
}

static uint64_t first_run_addr(struct image *img)
{
	struct ckpt_pages *pages = find(img, CKPT_REC_PAGES, 0);

	return pages->runs[0].addr;
}

/* Change something in image @which, 0 being the newest, make the checksums right again. */
#define HOSTILE(name, which, text, change)				\
	TEST_F(parents, hostile_##name)					\
	{								\
		int *fd = which ? &self->fd[which - 1] : &self->image; \
		struct image *img = load_changeable(*fd);		\
		struct ckpt_header *h = payload_at(img, 0);		\
		struct ckpt_mm *mm = find(img, CKPT_REC_MM, 0);		\
		struct ckpt_run run = {					\
			.addr = 0x7ffffffef000,				\
			.nr_pages = 2,					\
			.kind = CKPT_RUN_PARENT,			\
		};							\
									\
		(void)h;						\
		(void)mm;						\
		(void)run;						\
		change;							\
		seal(img);						\
		*fd = changed_image(img, img->len);			\
		REFUSED(EBADMSG, self->image, self->fd, self->nr);	\
		EXPECT_NE(NULL, strstr(self->v.log, text))		\
			show_log(self->v.log);				\
		close(*fd);						\
		free(img->data);					\
		free(img);						\
		STILL_RESTARTS();					\
	}

HOSTILE(number_in_the_chain, 1, "number", h->sequence++)
HOSTILE(number_in_the_chain_of_a_grandparent, 2, "number", h->sequence += 0x100000000)
HOSTILE(number_without_parent, 3, "bad header", h->sequence = 1)
HOSTILE(parent_without_number, 3, "bad header", h->parent_uuid[3] = 1)
HOSTILE(number_0_of_an_increment, 1, "bad header", h->sequence = 0)
HOSTILE(other_address_space, 0, "address space", mm->id++)
HOSTILE(other_address_space_of_the_parent, 1, "address space", mm->id++)
HOSTILE(no_address_space_id, 0, "", mm->id = 0)
HOSTILE(page_the_parent_does_not_have, 0, "nothing for the pages", insert_last_run(img, &run))
HOSTILE(pages_of_the_whole_address_space, 0, "than there is memory",
	run.nr_pages = 0xffffffff; insert_last_run(img, &run))
HOSTILE(pages_beyond_the_last_address, 0, "", run.addr = -PAGE; insert_last_run(img, &run))
HOSTILE(pages_out_of_order, 0, "out of order", run.addr = PAGE; insert_last_run(img, &run))
HOSTILE(pages_of_a_parent_out_of_order, 1, "out of order",
	run.kind = CKPT_RUN_ZERO; run.addr = first_run_addr(img); insert_last_run(img, &run))
HOSTILE(pages_of_a_parent_in_a_full_image, 3, "", insert_last_run(img, &run))

/* All leave a page to their parents, and the last one does not have it. */
TEST_F(parents, hostile_page_that_no_image_has)
{
	struct ckpt_run run = {
		.addr = 0x7ffffffef000, .nr_pages = 1, .kind = CKPT_RUN_PARENT,
	};
	struct image *img;
	int i, *fd;

	for (i = 0; i < CHAIN_LENGTH - 1; i++) {
		fd = i ? &self->fd[i - 1] : &self->image;
		img = load_changeable(*fd);
		ASSERT_NE(NULL, img);
		insert_last_run(img, &run);
		*fd = changed_image(img, img->len);
		free(img->data);
		free(img);
	}
	REFUSED(EBADMSG, self->image, self->fd, self->nr);
	EXPECT_NE(NULL, strstr(self->v.log, "nothing for the pages"))
		show_log(self->v.log);
	for (i = 0; i < CHAIN_LENGTH - 1; i++)
		close(i ? self->fd[i - 1] : self->image);
	STILL_RESTARTS();
}

TEST_F(parents, random_insane_values_do_no_harm)
{
	static const uint64_t values[] = {
		0, 1, 2, 3, PAGE, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
		0x8000000000000000, ~0ULL, 0xffffffff81000000, 0x7ffffffff000,
	};
	struct image *img = calloc(CHAIN_LENGTH, sizeof(*img));
	int i, count = the_count(300), nr, rec, refused = 0;
	struct memory_use before;

	srandom(the_seed());
	for (i = 0; i < CHAIN_LENGTH; i++) {
		ASSERT_EQ(0, load_image(&img[i], i ? self->fd[i - 1] : self->image));
	}
	for (i = 0; i < count + 20; i++) {
		uint64_t *word, saved;
		int old, *fd;
		long ret;

		if (i == 20)
			read_memory_use(&before);
		nr = random() % CHAIN_LENGTH;
		/* half of them in the tables of pages */
		rec = find_rec(&img[nr], CKPT_REC_PAGES, 0);
		rec = i % 2 ? rec + random() % (img[nr].nr - rec) : random() % rec;
		word = (uint64_t *)payload_at(&img[nr], rec) +
			random() % (covered(rec_at(&img[nr], rec)) / 8);
		saved = *word;
		if (random() % 2)
			*word = (saved & ~0xffffffffULL) |
				(uint32_t)values[random() % ARRAY_SIZE(values)];
		else
			*word = values[random() % ARRAY_SIZE(values)];
		seal(&img[nr]);
		fd = nr ? &self->fd[nr - 1] : &self->image;
		old = *fd;
		*fd = changed_image(&img[nr], img[nr].len);
		ret = try_chain_restart(&self->v, self->image, self->fd, self->nr,
					RESTART_LEAVE_STOPPED);
		if (ret > 0)
			end_restarted(&self->v, ret);
		else
			refused++;
		close(*fd);
		*fd = old;
		*word = saved;
		seal(&img[nr]);
	}
	test_log("%d of %d changes refused", refused, i);
	EXPECT_TRUE(nothing_left(&before, count * 8 / 10));
	for (i = 0; i < CHAIN_LENGTH; i++)
		free(img[i].data);
	free(img);
	STILL_RESTARTS();
}

TEST_F(parents, a_hundred_restarts_leave_nothing_behind)
{
	struct memory_use before;
	int i;

	for (i = 0; i < 120; i++) {
		if (i == 20)
			read_memory_use(&before);
		ASSERT_EQ(0, chain_restart(&self->v, &self->c));
		ASSERT_EQ(0, victim_kill(&self->v));
	}
	EXPECT_TRUE(nothing_left(&before, 80));
}

/* ---- while a large image is being written ---- */

#define BIG_PAGES	8192UL
#define BIG_AGAIN	16		/* the first of the pages written again and again */
#define BIG_NR_AGAIN	32UL

enum { W_AREA = W_PID + 1 };

VICTIM(big)
{
	char *area = map_small(BIG_PAGES);
	size_t i;

	for (i = 0; i < BIG_PAGES; i++)
		fill(area + i * PAGE, PAGE, i);
	vpage->word[W_AREA] = (uintptr_t)area;
	while (!vpage->word[W_STOP]) {
		victim_ready();
		for (i = 0; i < BIG_NR_AGAIN; i++)
			area[(BIG_AGAIN + i) * PAGE]++;
	}
}

/* Of its first image a quarter is there, and half has not been looked at. */
static pid_t begin_big_image(struct victim *v, struct chain *c, int *from, int *file)
{
	pid_t pid;

	if (victim_start(v, "big"))
		return -1;
	*file = memfd_create("chain", MFD_CLOEXEC);
	pid = begin_image(v, c, from);
	if (pid <= 0 || go_on_with_image(*from, *file, BIG_PAGES / 4 * PAGE))
		return -1;
	return pid;
}

/* What he clears and what is written from then on is his. */
TEST_F(increment, who_takes_the_tracker_of_a_full_image_keeps_it)
{
	uint64_t category = variant->tracker == CHECKPOINT_TRACKER_SHADOW ?
			    PAGE_IS_SHADOW_DIRTY : PAGE_IS_SOFT_DIRTY;
	struct victim *v = &self->v;
	struct chain *c = &self->c;
	int from, file, pages;
	char *area, *last;
	pid_t pid;

	REQUIRE_REAL_CHECKPOINT();
	if (variant->tracker == CHECKPOINT_TRACKER_NONE)
		SKIP(return, "nothing that could be taken");
	pid = begin_big_image(v, c, &from, &file);
	ASSERT_LT(0, pid);
	area = (char *)victim_word(v, W_AREA);
	last = area + (BIG_PAGES - 1) * PAGE;
	ASSERT_EQ(0, take_tracker(v, c->tracker));
	ASSERT_EQ(0, victim_write(v, (uintptr_t)last, "new", 3));
	ASSERT_EQ(0, end_image(c, pid, from, file));
	pages = open_pagemap(v->pid);
	EXPECT_EQ(1, scan_pages(pages, last, 1, 0, category, NULL));
	EXPECT_EQ(0, scan_pages(pages, last - 64 * PAGE, 32, 0, category, NULL));
	close(pages);
	/* the image is right all the same */
	EXPECT_EQ(0, chain_compare(v, c));
	EXPECT_EQ(-ESTALE, try_increment(v, c->tracker, c->uuid));
	chain_begin(c);
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, victim_next(v));
	ASSERT_EQ(0, chain_step(v, c));
	ASSERT_EQ(0, worker_finish(v));
}

/* Have the pages swapped out, whatever their process does. */
static bool page_out(struct victim *v, char *addr, size_t nr)
{
	struct iovec range = { addr, nr * PAGE };
	int fd = syscall(__NR_pidfd_open, v->pid, 0), pages = open_pagemap(v->pid);
	bool out;

	out = WAIT_FOR(syscall(__NR_process_madvise, fd, &range, 1, MADV_PAGEOUT, 0) > 0 &&
		       scan_pages(pages, addr, nr, 0, PAGE_IS_SWAPPED, NULL) == (long)nr);
	close(pages);
	close(fd);
	return out;
}

static int read_from_swap_meanwhile(struct victim *v, struct chain *c)
{
	static char buf[BIG_NR_AGAIN * 4096];
	int from, file;
	char *again;
	pid_t pid;

	pid = begin_big_image(v, c, &from, &file);
	if (pid <= 0)
		return -__LINE__;
	again = (char *)victim_word(v, W_AREA) + BIG_AGAIN * PAGE;
	if (!page_out(v, again, BIG_NR_AGAIN) ||
	    victim_read(v, (uintptr_t)again, buf, sizeof(buf)))
		return -__LINE__;
	if (end_image(c, pid, from, file) || chain_follow(c))
		return -__LINE__;
	kill(v->pid, SIGCONT);
	if (victim_next(v) || chain_step(v, c))
		return -__LINE__;
	return state_count(&c->state, ADDRESS_SPACE, (uintptr_t)again, BIG_NR_AGAIN,
			   CKPT_RUN_DATA) == BIG_NR_AGAIN ? worker_finish(v) : -__LINE__;
}

/* By others, which maps them again for the process to write to later. */
TEST_F(increment, pages_read_from_swap_meanwhile_are_tracked)
{
	char device[32];
	int ret;

	REQUIRE_REAL_CHECKPOINT();
	if (!swap_on(device, sizeof(device)))
		SKIP(return, "no zram device to swap on");
	ret = read_from_swap_meanwhile(&self->v, &self->c);
	victim_kill(&self->v);
	swap_off(device);
	ASSERT_EQ(0, ret);
}

CKPT_TEST_MAIN
