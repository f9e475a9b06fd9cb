// SPDX-License-Identifier: GPL-2.0
/*
 * epoll sets: their items, which of them are ready and in what order, what the
 * modes of an item remember, and that a wait ends when it would have ended.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "ckpt_hostile.h"

#ifndef EPIOCSPARAMS
struct busy_poll_params {
	uint32_t busy_poll_usecs;
	uint16_t busy_poll_budget;
	uint8_t prefer_busy_poll;
	uint8_t __pad;
};
#define EPIOCSPARAMS	_IOW(0x8a, 0x01, struct busy_poll_params)
#define EPIOCGPARAMS	_IOR(0x8a, 0x02, struct busy_poll_params)
#endif

#define SECOND	1000000000LL

CKPT_FIXTURE(epoll)

/* ---- helpers of the victims ---- */

static int new_set(void)
{
	return V_SYS(epoll_create1(0));
}

static int new_event(unsigned int value)
{
	return V_SYS(eventfd(value, EFD_NONBLOCK));
}

static void watch(int set, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	V_SYS(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
}

static void rewatch(int set, int fd, uint32_t events, uint64_t data)
{
	struct epoll_event event = { .events = events, .data.u64 = data };

	V_SYS(epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
}

static void add_to(int fd)
{
	uint64_t one = 1;

	V_EQUAL(8, write(fd, &one, 8));
}

static void drain(int fd)
{
	uint64_t value;

	V_EQUAL(8, read(fd, &value, 8));
}

#define MAX_SEEN 16
static struct epoll_event seen[MAX_SEEN];

/* What is ready now, into seen[]. */
static int look(int set)
{
	return V_SYS(epoll_wait(set, seen, MAX_SEEN, 0));
}

static bool polls_readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	V_SYS(poll(&p, 1, 0));
	return p.revents & POLLIN;
}

/* ---- items ---- */

SURVIVES(epoll, items_keep_events_and_data)
{
	int set = new_set(), in = new_event(1), out = new_event(1), both = new_event(0);

	watch(set, in, EPOLLIN, 0x1122334455667788);
	watch(set, out, EPOLLOUT, UINT64_MAX);
	watch(set, both, EPOLLIN | EPOLLOUT, 0);
	victim_ready();
	V_EQUAL(3, look(set));
	V_EQUAL(0x1122334455667788, seen[0].data.u64);
	V_EQUAL(EPOLLIN, seen[0].events);
	V_EQUAL(UINT64_MAX, seen[1].data.u64);
	V_EQUAL(EPOLLOUT, seen[1].events);
	V_EQUAL(0, seen[2].data.u64);
	V_EQUAL(EPOLLOUT, seen[2].events);
	add_to(both);
	drain(in);
	V_EQUAL(2, look(set));
	V_EQUAL(UINT64_MAX, seen[0].data.u64);
	V_EQUAL(EPOLLIN | EPOLLOUT, seen[1].events);
}

SURVIVES(epoll, an_empty_set_survives)
{
	int set = V_SYS(epoll_create1(EPOLL_CLOEXEC)), event = new_event(1);

	victim_ready();
	V_EQUAL(FD_CLOEXEC, fcntl(set, F_GETFD));
	V_EQUAL(O_RDWR, fcntl(set, F_GETFL));
	V_EQUAL(0, look(set));
	watch(set, event, EPOLLIN, 5);
	V_EQUAL(1, look(set));
}

SURVIVES(epoll, items_can_be_changed_and_removed_afterwards)
{
	int set = new_set(), one = new_event(1), two = new_event(1);
	struct epoll_event event = { .events = EPOLLIN };

	watch(set, one, EPOLLIN, 1);
	watch(set, two, EPOLLIN, 2);
	victim_ready();
	V_EQUAL(-1, epoll_ctl(set, EPOLL_CTL_ADD, one, &event));
	V_EQUAL(EEXIST, errno);
	rewatch(set, one, EPOLLIN, 11);
	V_SYS(epoll_ctl(set, EPOLL_CTL_DEL, two, NULL));
	V_EQUAL(1, look(set));
	V_EQUAL(11, seen[0].data.u64);
	/* an item goes with its file */
	close(one);
	V_EQUAL(0, look(set));
}

SURVIVES(epoll, many_items_survive)
{
	int set = new_set(), fd[500];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = new_event(0);
		watch(set, fd[i], EPOLLIN, i);
	}
	victim_ready();
	V_EQUAL(0, look(set));
	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		add_to(fd[i]);
		V_EQUAL(1, look(set));
		V_EQUAL(i, seen[0].data.u64);
		drain(fd[i]);
	}
}

SURVIVES(epoll, one_file_under_two_descriptors_is_two_items)
{
	int set = new_set(), fd = new_event(1), twin = V_SYS(dup(fd));

	watch(set, fd, EPOLLIN, 1);
	watch(set, twin, EPOLLIN, 2);
	victim_ready();
	V_EQUAL(2, look(set));
	V_EQUAL(1, seen[0].data.u64);
	V_EQUAL(2, seen[1].data.u64);
	V_SYS(epoll_ctl(set, EPOLL_CTL_DEL, fd, NULL));
	V_EQUAL(1, look(set));
	V_EQUAL(2, seen[0].data.u64);
}

/* The item is not the descriptor's but the file's, which a twin keeps open. */
SURVIVES(epoll, an_item_outlives_its_descriptor)
{
	int set = new_set(), fd = new_event(0), twin = V_SYS(dup(fd)), other = new_event(0);
	int reused;

	watch(set, fd, EPOLLIN, 1);
	close(fd);
	reused = new_event(0);
	V_EQUAL(fd, reused);
	watch(set, reused, EPOLLIN, 2);
	watch(set, other, EPOLLIN, 3);
	victim_ready();
	add_to(twin);
	V_EQUAL(1, look(set));
	V_EQUAL(1, seen[0].data.u64);
	add_to(reused);
	V_EQUAL(2, look(set));
	V_SYS(epoll_ctl(set, EPOLL_CTL_DEL, reused, NULL));
	V_EQUAL(1, look(set));
	V_EQUAL(1, seen[0].data.u64);
	/* the old file comes back under its old number */
	V_EQUAL(fd, dup2(twin, fd));
	rewatch(set, fd, EPOLLIN, 4);
	V_EQUAL(1, look(set));
	V_EQUAL(4, seen[0].data.u64);
}

SURVIVES(epoll, a_set_shared_by_two_descriptors_stays_one)
{
	int set = new_set(), twin = V_SYS(dup(set)), fd = new_event(1);

	watch(set, fd, EPOLLIN, 1);
	victim_ready();
	V_EQUAL(1, look(twin));
	V_SYS(epoll_ctl(twin, EPOLL_CTL_DEL, fd, NULL));
	V_EQUAL(0, look(set));
}

/* ---- what is ready ---- */

SURVIVES(epoll, the_order_of_what_is_ready_stays)
{
	int set = new_set(), fd[8];
	static const int order[] = { 5, 0, 7, 2, 6, 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = new_event(0);
		watch(set, fd[i], EPOLLIN | (i % 2 ? EPOLLET : 0), i);
	}
	for (i = 0; i < ARRAY_SIZE(order); i++)
		add_to(fd[order[i]]);
	victim_ready();
	/* more after those that were */
	add_to(fd[4]);
	V_EQUAL(ARRAY_SIZE(order) + 1, look(set));
	for (i = 0; i < ARRAY_SIZE(order); i++)
		V_EQUAL(order[i], seen[i].data.u64);
	V_EQUAL(4, seen[i].data.u64);
}

/* epoll_wait() goes round: what it did not come to is next. */
SURVIVES(epoll, a_set_goes_on_where_the_last_wait_ended)
{
	int set = new_set(), fd[6];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(fd); i++) {
		fd[i] = new_event(1);
		watch(set, fd[i], EPOLLIN, i);
	}
	V_EQUAL(4, epoll_wait(set, seen, 4, 0));
	V_EQUAL(3, seen[3].data.u64);
	victim_ready();
	V_EQUAL(4, epoll_wait(set, seen, 4, 0));
	V_EQUAL(4, seen[0].data.u64);
	V_EQUAL(5, seen[1].data.u64);
	V_EQUAL(0, seen[2].data.u64);
	V_EQUAL(1, seen[3].data.u64);
}

SURVIVES(epoll, an_edge_that_was_reported_is_not_reported_again)
{
	int set = new_set(), reported = new_event(1), not_yet = new_event(1);

	watch(set, reported, EPOLLIN | EPOLLET, 1);
	V_EQUAL(1, look(set));
	V_EQUAL(0, look(set));
	watch(set, not_yet, EPOLLIN | EPOLLET, 2);
	victim_ready();
	V_EQUAL(1, look(set));
	V_EQUAL(2, seen[0].data.u64);
	V_EQUAL(0, look(set));
	add_to(reported);
	V_EQUAL(1, look(set));
	V_EQUAL(1, seen[0].data.u64);
	V_EQUAL(0, look(set));
}

SURVIVES(epoll, one_shot_stays_disarmed)
{
	int set = new_set(), shot = new_event(1), loaded = new_event(0);
	const uint32_t once = EPOLLIN | EPOLLONESHOT;

	watch(set, shot, once, 1);
	watch(set, loaded, once, 2);
	V_EQUAL(1, look(set));
	V_EQUAL(0, look(set));
	victim_ready();
	V_EQUAL(0, look(set));
	add_to(shot);
	V_EQUAL(0, look(set));
	add_to(loaded);
	V_EQUAL(1, look(set));
	V_EQUAL(2, seen[0].data.u64);
	V_EQUAL(0, look(set));
	rewatch(set, shot, once, 3);
	V_EQUAL(1, look(set));
	V_EQUAL(3, seen[0].data.u64);
	V_EQUAL(0, look(set));
}

/* What it waits for is registered even if it waited for nothing then. */
SURVIVES(epoll, one_shot_can_be_armed_again_for_something_else)
{
	int set = new_set(), fd = new_event(1);
	uint64_t much = UINT64_MAX - 2;

	watch(set, fd, EPOLLIN | EPOLLONESHOT, 1);
	V_EQUAL(1, look(set));
	V_EQUAL(8, write(fd, &much, 8));
	victim_ready();
	rewatch(set, fd, EPOLLOUT, 2);
	V_EQUAL(0, look(set));
	drain(fd);
	V_EQUAL(1, look(set));
	V_EQUAL(EPOLLOUT, seen[0].events);
}

SURVIVES(epoll, exclusive_stays_exclusive)
{
	int set = new_set(), fd = new_event(0);
	struct epoll_event event = { .events = EPOLLIN };

	watch(set, fd, EPOLLIN | EPOLLEXCLUSIVE, 1);
	victim_ready();
	V_EQUAL(-1, epoll_ctl(set, EPOLL_CTL_MOD, fd, &event));
	V_EQUAL(EINVAL, errno);
	add_to(fd);
	V_EQUAL(1, look(set));
	V_EQUAL(1, seen[0].data.u64);
}

/* Without the right, or suspend in the kernel, it is not even set. */
SURVIVES(epoll, wakeup_is_kept_as_far_as_there_is_any)
{
	int set = new_set(), fd = new_event(1);
	char path[64], text[1024];
	unsigned int before, after;

	watch(set, fd, EPOLLIN | EPOLLWAKEUP, 1);
	snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", set);
	V_CHECK(read_text(path, text, sizeof(text)) > 0);
	V_EQUAL(1, sscanf(strstr(text, "events:"), "events: %x", &before));
	victim_ready();
	V_CHECK(read_text(path, text, sizeof(text)) > 0);
	V_EQUAL(1, sscanf(strstr(text, "events:"), "events: %x", &after));
	V_EQUAL(before, after);
	V_EQUAL(1, look(set));
}

/* ---- sets in sets ---- */

SURVIVES(epoll, sets_in_sets_survive)
{
	int outer = new_set(), middle = new_set(), inner = new_set(), fd = new_event(0);

	/* the one that contains is not always the younger one */
	watch(inner, fd, EPOLLIN, 1);
	watch(outer, middle, EPOLLIN, 3);
	watch(middle, inner, EPOLLIN, 2);
	victim_ready();
	V_CHECK(!polls_readable(outer));
	V_EQUAL(0, look(outer));
	add_to(fd);
	V_CHECK(polls_readable(outer));
	V_EQUAL(1, look(outer));
	V_EQUAL(3, seen[0].data.u64);
	V_EQUAL(1, look(middle));
	V_EQUAL(2, seen[0].data.u64);
	V_EQUAL(1, look(inner));
	V_EQUAL(1, seen[0].data.u64);
	V_EQUAL(-1, epoll_ctl(inner, EPOLL_CTL_ADD, outer, seen));
	V_EQUAL(ELOOP, errno);
}

SURVIVES(epoll, as_many_levels_as_there_may_be)
{
	int set[5], fd = new_event(1), i;

	set[0] = new_set();
	watch(set[0], fd, EPOLLIN, 100);
	for (i = 1; i < 5; i++) {
		struct epoll_event event = { .events = EPOLLIN, .data.u64 = i };

		set[i] = new_set();
		if (epoll_ctl(set[i], EPOLL_CTL_ADD, set[i - 1], &event))
			break;
	}
	V_CHECK(i >= 4);
	victim_ready();
	while (--i) {
		V_EQUAL(1, look(set[i]));
		V_EQUAL(i, seen[0].data.u64);
	}
	drain(fd);
	V_CHECK(!polls_readable(set[3]));
}

SURVIVES(epoll, an_edge_of_a_set_in_a_set_is_not_reported_again)
{
	int outer = new_set(), inner = new_set(), fd = new_event(1);

	watch(outer, inner, EPOLLIN | EPOLLET, 2);
	watch(inner, fd, EPOLLIN, 1);
	V_EQUAL(1, look(outer));
	V_EQUAL(0, look(outer));
	victim_ready();
	V_EQUAL(0, look(outer));
	V_EQUAL(1, look(inner));
	add_to(fd);
	V_EQUAL(1, look(outer));
}

SURVIVES(epoll, two_sets_may_have_one_set_in_common)
{
	int a = new_set(), b = new_set(), common = new_set(), fd = new_event(0);

	watch(a, common, EPOLLIN, 1);
	watch(b, common, EPOLLIN, 2);
	watch(common, fd, EPOLLIN, 3);
	victim_ready();
	add_to(fd);
	V_EQUAL(1, look(a));
	V_EQUAL(1, look(b));
}

/* ---- other kinds of files ---- */

SURVIVES(epoll, a_timer_wakes_up_the_set_at_its_time)
{
	int set = new_set(), fd = V_SYS(timerfd_create(CLOCK_MONOTONIC, 0));
	struct itimerspec in_3_s = { .it_value.tv_sec = 3 };
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	int turn;

	watch(set, fd, EPOLLIN | EPOLLET, 1);
	V_SYS(timerfd_settime(fd, 0, &in_3_s, NULL));
	turn = victim_reach_in(__NR_epoll_wait);
	V_EQUAL(1, syscall(__NR_epoll_wait, set, seen, MAX_SEEN, -1));
	took = now_ns(CLOCK_MONOTONIC) - begin;
	V_CHECK(took >= 3 * SECOND);
	V_CHECK(took < 3 * SECOND + 300000000LL * slowness());
	victim_await(turn);
}

SURVIVES(epoll, a_wait_ends_at_its_time)
{
	int set = new_set(), fd = new_event(0);
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	int turn;

	watch(set, fd, EPOLLIN, 1);
	turn = victim_reach_in(__NR_epoll_wait);
	V_EQUAL(0, syscall(__NR_epoll_wait, set, seen, MAX_SEEN, 3000));
	took = now_ns(CLOCK_MONOTONIC) - begin;
	V_CHECK(took >= 3 * SECOND);
	V_CHECK(took < 3 * SECOND + 300000000LL * slowness());
	victim_await(turn);
}

static int waited_for;
static volatile int waiter_tid;

static void *wait_for_it(void *unused)
{
	waiter_tid = gettid();
	return (void *)(long)syscall(__NR_epoll_wait, waited_for, seen, MAX_SEEN, -1);
}

SURVIVES(epoll, a_wait_goes_on_until_something_happens)
{
	int set = new_set(), fd = new_event(0);
	pthread_t thread;
	void *result;

	watch(set, fd, EPOLLIN, 9);
	waited_for = set;
	V_EQUAL(0, pthread_create(&thread, NULL, wait_for_it, NULL));
	while (!waiter_tid)
		sleep_ms(1);
	victim_await(victim_reach_thread(waiter_tid, __NR_epoll_wait));
	sleep_ms(20);
	V_CHECK(proc_in_syscall(getpid(), waiter_tid, __NR_epoll_wait));
	add_to(fd);
	V_EQUAL(0, pthread_join(thread, &result));
	V_EQUAL(1, (long)result);
	V_EQUAL(9, seen[0].data.u64);
}

SURVIVES(epoll, a_signal_wakes_up_the_set)
{
	int set = new_set(), fd;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR1);
	V_SYS(sigprocmask(SIG_BLOCK, &mask, NULL));
	fd = V_SYS(signalfd(-1, &mask, 0));
	watch(set, fd, EPOLLIN | EPOLLET, 6);
	victim_ready();
	V_EQUAL(0, look(set));
	V_SYS(raise(SIGUSR1));
	/* an edge: only who was woken up knows of it */
	V_EQUAL(1, look(set));
	V_EQUAL(6, seen[0].data.u64);
	V_EQUAL(0, look(set));
}

SURVIVES(epoll, parameters_of_busy_polling_stay)
{
	struct busy_poll_params params = { 100, 8, 1 }, now = {};
	int set = new_set(), err;

	err = ioctl(set, EPIOCSPARAMS, &params);
	victim_ready();
	if (!err) {
		V_SYS(ioctl(set, EPIOCGPARAMS, &now));
		V_EQUAL(0, memcmp(&params, &now, sizeof(now)));
	}
}

/* ---- descriptors that come from the restarter ---- */

VICTIM(watches_stdin)
{
	int set = new_set(), turn;
	char byte;

	watch(set, 0, EPOLLIN | (*victim_arg ? EPOLLET : 0), 1);
	V_EQUAL(0, look(set));
	turn = victim_reach();
	victim_await(turn);
	V_EQUAL(1, V_SYS(epoll_wait(set, seen, MAX_SEEN, -1)));
	V_EQUAL(1, read(0, &byte, 1));
	V_EQUAL('x', byte);
	rewatch(set, 0, EPOLLIN, 2);
	V_SYS(epoll_ctl(set, EPOLL_CTL_DEL, 0, NULL));
}

static void stdin_test(struct __test_metadata *_metadata, struct victim *v, bool restart,
		       const char *arg)
{
	int pipe_fd[2];

	ASSERT_EQ(0, pipe2(pipe_fd, O_CLOEXEC));
	v->stdio[0] = pipe_fd[0];
	ASSERT_EQ(0, victim_start_with(v, "watches_stdin", arg));
	if (!dry_run()) {
		ASSERT_EQ(0, victim_checkpoint(v, 0));
		if (restart) {
			int saved = dup(0);

			ASSERT_EQ(0, victim_kill(v));
			ASSERT_EQ(1, write(pipe_fd[1], "x", 1));
			ASSERT_EQ(0, dup2(pipe_fd[0], 0));
			EXPECT_EQ(0, victim_restart(v));
			dup2(saved, 0);
			close(saved);
		}
	}
	if (dry_run() || !restart)
		ASSERT_EQ(1, write(pipe_fd[1], "x", 1));
	EXPECT_EQ(0, victim_finish(v));
	close(pipe_fd[0]);
	close(pipe_fd[1]);
}

TEST_F(epoll, the_restarters_stdin_is_watched)
{
	stdin_test(_metadata, &self->v, variant->restart, NULL);
}

/* What is in the other pipe is new, whatever has been reported of the old one. */
TEST_F(epoll, the_restarters_stdin_is_an_edge)
{
	stdin_test(_metadata, &self->v, variant->restart, "edge");
}

TEST_F(epoll, a_stdin_that_cannot_be_watched_is_refused_at_the_restart)
{
	int pipe_fd[2];

	REQUIRE_RESTART();
	ASSERT_EQ(0, pipe2(pipe_fd, O_CLOEXEC));
	self->v.stdio[0] = pipe_fd[0];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "watches_stdin"));

	int saved = dup(0), null = open("/dev/null", O_RDONLY);

	dup2(null, 0);
	EXPECT_EQ(-EPERM, victim_try_restart(&self->v, 0));
	dup2(saved, 0);
	EXPECT_NE(NULL, strstr(self->v.log, "fd 0"))
		show_log(self->v.log);
}

/* ---- what is refused ---- */

/* The test has the other end of a socket, and gets the file through it. */
VICTIM(watches_a_file_of_somebody_else)
{
	union {
		struct cmsghdr head;
		char space[CMSG_SPACE(sizeof(int))];
	} control = {};
	char byte = 0;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
	};
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int s = V_SYS(socket(AF_UNIX, SOCK_STREAM, 0)), set = new_set(), fd = new_event(3);

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", victim_dir);
	V_SYS(connect(s, (struct sockaddr *)&name, sizeof(name)));
	watch(set, fd, EPOLLIN, 1);
	control.head.cmsg_len = CMSG_LEN(sizeof(int));
	control.head.cmsg_level = SOL_SOCKET;
	control.head.cmsg_type = SCM_RIGHTS;
	memcpy(CMSG_DATA(&control.head), &fd, sizeof(fd));
	V_EQUAL(1, sendmsg(s, &msg, 0));
	close(s);
	vpage->word[1] = fd;
	V_EQUAL(77, dup2(set, 77));
	close(set);
	close(fd);
	victim_ready();
	V_EQUAL(1, look(77));
	V_EQUAL(1, seen[0].data.u64);
}

TEST_F(epoll, an_item_on_a_file_that_only_others_have_is_refused)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	char control[CMSG_SPACE(sizeof(int))], byte;
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control,
		.msg_controllen = sizeof(control),
	};
	int listener, s;

	REQUIRE_REAL_CHECKPOINT();
	listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", self->v.dir);
	ASSERT_EQ(0, bind(listener, (struct sockaddr *)&name, sizeof(name)));
	ASSERT_EQ(0, listen(listener, 1));
	ASSERT_EQ(0, victim_start(&self->v, "watches_a_file_of_somebody_else"));
	s = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ASSERT_EQ(1, recvmsg(s, &msg, MSG_CMSG_CLOEXEC));

	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "fd 77"));
	EXPECT_NE(NULL, strstr(self->v.log, "[eventfd]"));
	EXPECT_NE(NULL, strstr(self->v.log, "not in the image"))
		show_log(self->v.log);
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- images that are not what they should be ---- */

VICTIM(two_sets)
{
	int outer = new_set(), inner = new_set(), fd = new_event(1), other = new_event(0);

	V_EQUAL(3, outer);
	V_EQUAL(4, inner);
	watch(outer, inner, EPOLLIN, 1);
	watch(inner, fd, EPOLLIN, 2);
	watch(inner, other, EPOLLIN, 3);
	victim_ready();
}

static struct ckpt_fd *fd_of(struct image *img, uint32_t number)
{
	struct ckpt_fd *fd;
	int i;

	for (i = 0; (fd = find(img, CKPT_REC_FD, i)); i++)
		if (fd->fd == number)
			break;
	return fd;
}

static uint32_t file_of(struct image *img, uint32_t number)
{
	return fd_of(img, number)->file;
}

/* The nth item of the set that is descriptor @set. */
static struct ckpt_epoll_item *item_of(struct image *img, uint32_t set, int nth)
{
	uint32_t objref = file_of(img, set);
	int i;

	for (i = 0; i < img->nr; i++)
		if (rec_at(img, i)->type == CKPT_REC_EPOLL_ITEM &&
		    rec_at(img, i)->objref == objref && !nth--)
			return payload_at(img, i);
	return NULL;
}

#define HOSTILE(name, change, expected)					\
	TEST_F(epoll, hostile_##name)					\
	{								\
		struct ckpt_epoll_item *outer, *inner, *other;		\
		struct ckpt_file_epoll *head;				\
		struct image image, *img = &image;			\
									\
		REQUIRE_RESTART();					\
		ASSERT_EQ(0, victim_image(&self->v, "two_sets", img));	\
		outer = item_of(img, 3, 0);				\
		inner = item_of(img, 4, 0);				\
		other = item_of(img, 4, 1);				\
		head = find_file(img, "epoll", 0);			\
		ASSERT_NE(NULL, outer);					\
		ASSERT_NE(NULL, inner);					\
		ASSERT_NE(NULL, other);					\
		ASSERT_NE(NULL, head);					\
		do { change; } while (0);				\
		EXPECT_EQ((expected) ?: self->v.pid,			\
			  try_changed(&self->v, img, RESTART_LEAVE_STOPPED)) \
			show_log(self->v.log);				\
		free(img->data);					\
	}

HOSTILE(set_in_itself, inner->file = file_of(img, 4), -EBADMSG)
HOSTILE(sets_in_each_other, inner->file = file_of(img, 3), -EBADMSG)
HOSTILE(sets_in_each_other_later, other->file = file_of(img, 3), -EBADMSG)
HOSTILE(item_twice, { other->file = inner->file; other->fd = inner->fd; }, -EBADMSG)
HOSTILE(no_such_file, inner->file = 999999, -EBADMSG)
HOSTILE(not_a_file, inner->file = rec_at(img, find_rec(img, CKPT_REC_MM, 0))->objref, -EBADMSG)
HOSTILE(file_in_no_table, fd_of(img, 5)->file = file_of(img, 6), 0)
HOSTILE(set_in_no_table, fd_of(img, 4)->file = file_of(img, 6), 0)
HOSTILE(descriptor, inner->fd = 1U << 31, -EBADMSG)
HOSTILE(flags, inner->flags = 2, -EBADMSG)
HOSTILE(reserved, inner->reserved = 1, -EBADMSG)
HOSTILE(no_handlers, inner->sighand = file_of(img, 3), -EBADMSG)
HOSTILE(handlers_of_no_signalfd,
	inner->sighand = rec_at(img, find_rec(img, CKPT_REC_SIGHAND, 0))->objref, -EBADMSG)
HOSTILE(without_error_and_hangup, inner->events = EPOLLIN, -EBADMSG)
HOSTILE(reported_but_not_one_shot, inner->events = EPOLLET, -EBADMSG)
HOSTILE(exclusive_one_shot,
	inner->events |= EPOLLEXCLUSIVE | EPOLLONESHOT, -EBADMSG)
HOSTILE(exclusive_set_in_set, outer->events |= EPOLLEXCLUSIVE, -EBADMSG)
HOSTILE(ready_but_it_is_not, other->flags = CKPT_EPOLL_READY, 0)
HOSTILE(number_of_items_more, head->nr_items++, -EBADMSG)
HOSTILE(number_of_items_less, head->nr_items = 0, -EBADMSG)
HOSTILE(busy_poll, head->busy_poll_usecs = ~0U, -EBADMSG)
HOSTILE(prefer_busy_poll, head->prefer_busy_poll = 2, -EBADMSG)

/* ---- edges that come between checkpoint and restart ---- */

CKPT_FIXTURE_REAL(epoll_edge)

VICTIM(watches_a_process)
{
	int set = new_set(), fd = V_SYS(syscall(__NR_pidfd_open, atoi(victim_arg), 0));

	watch(set, fd, EPOLLIN | EPOLLET, 5);
	V_EQUAL(0, look(set));
	victim_ready();
	V_EQUAL(1, look(set));
	V_EQUAL(5, seen[0].data.u64);
	V_EQUAL(0, look(set));
}

TEST_F(epoll_edge, that_a_process_has_ended_is_not_lost)
{
	siginfo_t info;
	char arg[16];
	pid_t pid;

	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(arg, sizeof(arg), "%d", pid);
	ASSERT_EQ(0, victim_start_with(&self->v, "watches_a_process", arg));
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	/* it is there still */
	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
	waitpid(pid, NULL, 0);
}

/* Nobody can tell what came before the checkpoint from what came during the restart. */
VICTIM(watches_a_named_socket)
{
	struct sockaddr_un name = { .sun_family = AF_UNIX };
	int set = new_set(), fd = V_SYS(socket(AF_UNIX, SOCK_DGRAM, 0));

	snprintf(name.sun_path, sizeof(name.sun_path), "%s/socket", victim_dir);
	V_SYS(bind(fd, (struct sockaddr *)&name, sizeof(name)));
	watch(set, fd, EPOLLIN | EPOLLET, 6);
	V_EQUAL(1, sendto(fd, "x", 1, 0, (struct sockaddr *)&name, sizeof(name)));
	V_EQUAL(1, look(set));
	V_EQUAL(0, look(set));
	victim_ready();
	V_EQUAL(1, look(set));
	V_EQUAL(6, seen[0].data.u64);
	V_EQUAL(0, look(set));
}

TEST_F(epoll_edge, what_others_may_have_sent_is_reported)
{
	ASSERT_EQ(0, victim_start_and_save(&self->v, "watches_a_named_socket"));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
