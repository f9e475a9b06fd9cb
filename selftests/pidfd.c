// SPDX-License-Identifier: GPL-2.0
/*
 * pidfds: of the process itself, of its threads, of processes outside of the
 * image, and of processes that have ended.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/pidfd.h>

#include "ckpt_hostile.h"

#ifndef PIDFD_THREAD
#define PIDFD_THREAD	O_EXCL
#endif

CKPT_FIXTURE(pidfd)

/* ---- helpers of the victims ---- */

static int open_pidfd(pid_t pid, unsigned int flags)
{
	return V_SYS(syscall(__NR_pidfd_open, pid, flags));
}

static int send_to(int fd, int sig)
{
	return syscall(__NR_pidfd_send_signal, fd, sig, NULL, 0);
}

static long pid_of(int fd)
{
	char name[32];

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	return proc_value(getpid(), name, "Pid");
}

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	V_SYS(poll(&p, 1, 0));
	return p.revents;
}

static volatile int got_signal;

static void on_signal(int sig)
{
	got_signal = sig;
}

/* ---- promises ---- */

SURVIVES(pidfd, of_the_process_itself)
{
	int fd = open_pidfd(getpid(), 0), twin = V_SYS(dup(fd));

	signal(SIGUSR1, on_signal);
	victim_ready();
	V_EQUAL(getpid(), pid_of(fd));
	V_EQUAL(0, polled(fd));
	V_SYS(send_to(fd, SIGUSR1));
	V_EQUAL(SIGUSR1, got_signal);
	got_signal = 0;
	V_SYS(send_to(twin, SIGUSR1));
	V_EQUAL(SIGUSR1, got_signal);
	V_EQUAL(FD_CLOEXEC, fcntl(fd, F_GETFD));
	V_EQUAL(O_RDWR, fcntl(fd, F_GETFL) & ~O_EXCL);
}

SURVIVES(pidfd, that_does_not_block_stays_so)
{
	int fd = open_pidfd(getpid(), PIDFD_NONBLOCK);

	victim_ready();
	V_EQUAL(O_NONBLOCK, fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static volatile pid_t thread_tid;
static volatile bool thread_ends;

static void *be_a_thread(void *unused)
{
	thread_tid = gettid();
	while (!thread_ends)
		sleep_ms(1);
	return NULL;
}

SURVIVES(pidfd, of_a_thread)
{
	pthread_t thread;
	int fd, error;

	V_EQUAL(0, pthread_create(&thread, NULL, be_a_thread, NULL));
	while (!thread_tid)
		sleep_ms(1);
	fd = syscall(__NR_pidfd_open, thread_tid, PIDFD_THREAD);
	error = errno;
	victim_ready();
	thread_ends = true;
	V_EQUAL(0, pthread_join(thread, NULL));
	if (fd < 0) {
		V_EQUAL(EINVAL, error);
		return;
	}
	while (!(polled(fd) & POLLIN))
		sleep_ms(1);
	V_EQUAL(-1, send_to(fd, 0));
	V_EQUAL(ESRCH, errno);
}

SURVIVES(pidfd, of_a_process_that_has_ended)
{
	pid_t pid = V_SYS(fork());
	int fd;

	if (!pid)
		_exit(0);
	fd = open_pidfd(pid, 0);
	V_EQUAL(pid, waitpid(pid, NULL, 0));
	victim_ready();
	V_EQUAL(-1, send_to(fd, 0));
	V_EQUAL(ESRCH, errno);
	V_EQUAL(POLLIN | POLLHUP, polled(fd));
	V_EQUAL(-1, pid_of(fd));
}

/* Of one number there may be several, each with its own gap. */
SURVIVES(pidfd, keeps_its_number)
{
	int fd = open_pidfd(getpid(), 0);

	V_EQUAL(200, dup2(fd, 200));
	close(fd);
	victim_ready();
	V_EQUAL(-1, fcntl(fd, F_GETFD));
	V_EQUAL(getpid(), pid_of(200));
}

SURVIVES(pidfd, is_watched_by_epoll)
{
	struct epoll_event event = { .events = EPOLLIN, .data.u64 = 5 };
	pid_t pid = V_SYS(fork());
	int set = V_SYS(epoll_create1(0)), self, ended;

	if (!pid)
		_exit(0);
	ended = open_pidfd(pid, 0);
	V_EQUAL(pid, waitpid(pid, NULL, 0));
	self = open_pidfd(getpid(), 0);
	V_SYS(epoll_ctl(set, EPOLL_CTL_ADD, self, &event));
	event.data.u64 = 6;
	V_SYS(epoll_ctl(set, EPOLL_CTL_ADD, ended, &event));
	victim_ready();
	V_EQUAL(1, epoll_wait(set, &event, 1, 0));
	V_EQUAL(6, event.data.u64);
}

/* ---- processes outside ---- */

VICTIM(refers_to_another)
{
	pid_t pid = atoi(victim_arg);
	int fd = open_pidfd(pid, 0);

	V_EQUAL(77, dup2(fd, 77));
	close(fd);
	victim_ready();
	V_EQUAL(pid, pid_of(77));
	V_SYS(send_to(77, SIGTERM));
}

static pid_t start_other(void)
{
	pid_t pid = fork();

	if (!pid)
		for (;;)
			pause();
	return pid;
}

TEST_F(pidfd, of_a_process_outside_is_found_again)
{
	pid_t other = start_other();
	char arg[16];
	int status;

	snprintf(arg, sizeof(arg), "%d", other);
	ASSERT_EQ(0, victim_start_with(&self->v, "refers_to_another", arg));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	EXPECT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(other, waitpid(other, &status, 0));
	EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGTERM);
}

TEST_F(pidfd, of_a_process_outside_that_has_ended_is_refused)
{
	char arg[16];
	pid_t other;

	REQUIRE_RESTART();
	other = start_other();
	snprintf(arg, sizeof(arg), "%d", other);
	ASSERT_EQ(0, victim_start_with(&self->v, "refers_to_another", arg));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "fd 77"));
	EXPECT_NE(NULL, strstr(self->v.log, arg));
	ASSERT_EQ(0, victim_kill(&self->v));
	kill(other, SIGKILL);
	ASSERT_EQ(other, waitpid(other, NULL, 0));
	EXPECT_EQ(-ESRCH, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, arg))
		show_log(self->v.log);
}

/* ---- images that are not what they should be ---- */

VICTIM(refers_to_itself)
{
	open_pidfd(getpid(), 0);
	victim_ready();
}

#define HOSTILE(name, change, expected)					\
	TEST_F(pidfd, hostile_##name)					\
	{								\
		struct ckpt_file_pidfd *f;				\
		struct image img;					\
									\
		REQUIRE_RESTART();					\
		ASSERT_EQ(0, victim_image(&self->v, "refers_to_itself", &img)); \
		f = find_file(&img, "pidfd", 0);			\
		ASSERT_NE(NULL, f);					\
		do { change; } while (0);				\
		EXPECT_EQ((expected) ?: self->v.pid,			\
			  try_changed(&self->v, &img, RESTART_LEAVE_STOPPED)) \
			show_log(self->v.log);				\
		free(img.data);						\
	}

HOSTILE(kind, f->kind = 4, -EBADMSG)
HOSTILE(flags, f->flags = 2, -EBADMSG)
HOSTILE(reserved, f->reserved = 1, -EBADMSG)
HOSTILE(pid_0, f->pid = 0, -EBADMSG)
HOSTILE(pid_negative, f->pid = ~0U, -EBADMSG)
HOSTILE(pid_of_nobody, f->pid = 0x7ffffffe, -ESRCH)
HOSTILE(ended_with_a_pid, f->kind = CKPT_PIDFD_ENDED, -EBADMSG)
HOSTILE(ended, { f->kind = CKPT_PIDFD_ENDED; f->pid = 0; }, 0)
HOSTILE(another_process_with_that_id, { f->kind = CKPT_PIDFD_OUTSIDE; f->pid = 1;
	f->start_ns = 1; }, -ESRCH)

CKPT_TEST_MAIN
