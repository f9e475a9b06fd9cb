// SPDX-License-Identifier: GPL-2.0
/*
 * A checkpoint is invisible to the process: fifty of them during a wait of two
 * seconds neither end it early with EINTR nor make it longer.  Where the wait is
 * for something that cannot be checkpointed, the freeze that ends in the refusal
 * has to be just as invisible.
 *
 * Prints a table of how long each wait took.
 */
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "ckpt_test.h"

#define NR_CHECKPOINTS	50
#define WAIT_MS		2000
#define LIMIT_MS	2100
#define MS		1000000LL

FIXTURE(invisible)
{
	struct victim v;
};

FIXTURE_SETUP(invisible)
{
	REQUIRE_CHECKPOINT();
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(invisible)
{
	victim_cleanup(&self->v);
}

/* word 0: how long it took, in microseconds */
static int64_t began;

static void begin(int nr)
{
	began = now_ns(CLOCK_MONOTONIC);
	victim_reach_in(nr);
}

static void end(void)
{
	vpage->word[0] = (now_ns(CLOCK_MONOTONIC) - began) / 1000;
	victim_ready();
}

static const struct timespec wait_time = { WAIT_MS / 1000, WAIT_MS % 1000 * MS };

/* Checkpoint @name all the time while it waits; @saved: that succeeds. */
static int disturb(struct victim *v, const char *name, bool saved)
{
	int64_t start, now, next, freeze = 0;
	long ret, took;
	int i;

	if (victim_start(v, name))
		return -1;
	start = now_ns(CLOCK_MONOTONIC);
	for (i = 0; i < NR_CHECKPOINTS; i++) {
		now = now_ns(CLOCK_MONOTONIC);
		if (now - start > (WAIT_MS - 100) * MS)
			break;
		ret = victim_try_checkpoint(v, 0);
		if (!dry_run() && ret != (saved ? 0 : -EOPNOTSUPP)) {
			test_log("checkpoint %d: %ld", i, ret);
			show_log(v->log);
			return -1;
		}
		if (freeze < (int64_t)v->stats.freeze_ns)
			freeze = v->stats.freeze_ns;
		next = start + (i + 1) * (WAIT_MS - 150) * MS / NR_CHECKPOINTS;
		while (now_ns(CLOCK_MONOTONIC) < next)
			sleep_ms(1);
	}
	if (victim_wait(v) != VICTIM_IS_READY)
		return -1;
	took = victim_word(v, 0);
	test_log("%-20s %2d checkpoints%-10s  waited %ld.%03ld ms, longest freeze %ld.%03ld ms",
		 name, i, saved ? "" : " (refused)", took / 1000, took % 1000,
		 freeze / 1000000, freeze / 1000 % 1000);

	/* if the end falls into a freeze, that has to end first */
	if (took < WAIT_MS * 1000 || took > LIMIT_MS * 1000 + freeze / 1000)
		return -1;
	return i < 10 ? -1 : victim_finish(v);
}

#define INVISIBLE_TO(call, saved)					\
	VICTIM(call);							\
	TEST_F(invisible, call)						\
	{								\
		ASSERT_EQ(0, disturb(&self->v, #call, saved));		\
	}								\
	static void victim_##call(void)

INVISIBLE_TO(nanosleep, true)
{
	begin(__NR_nanosleep);
	V_SYS(syscall(__NR_nanosleep, &wait_time, NULL));
	end();
}

INVISIBLE_TO(clock_nanosleep, true)
{
	begin(__NR_clock_nanosleep);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, &wait_time, NULL));
	end();
}

INVISIBLE_TO(clock_nanosleep_abs, true)
{
	int64_t at = now_ns(CLOCK_MONOTONIC) + WAIT_MS * MS + 200000;
	struct timespec ts = { at / 1000000000, at % 1000000000 };

	begin(__NR_clock_nanosleep);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, 1, &ts, NULL));
	end();
}

INVISIBLE_TO(poll, true)
{
	struct pollfd fd = { .fd = 0 };

	begin(__NR_poll);
	V_EQUAL(0, syscall(__NR_poll, &fd, 1, WAIT_MS));
	end();
}

INVISIBLE_TO(ppoll, true)
{
	struct timespec ts = wait_time;

	begin(__NR_ppoll);
	V_EQUAL(0, syscall(__NR_ppoll, NULL, 0, &ts, NULL, 0));
	end();
}

INVISIBLE_TO(select, true)
{
	struct timeval tv = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };

	begin(__NR_select);
	V_EQUAL(0, syscall(__NR_select, 0, NULL, NULL, NULL, &tv));
	end();
}

INVISIBLE_TO(pselect, true)
{
	struct timespec ts = wait_time;

	begin(__NR_pselect6);
	V_EQUAL(0, syscall(__NR_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
	end();
}

static uint32_t word;

INVISIBLE_TO(futex, true)
{
	begin(__NR_futex);
	V_EQUAL(-1, syscall(__NR_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait_time, NULL, 0));
	V_EQUAL(ETIMEDOUT, errno);
	end();
}

INVISIBLE_TO(epoll_wait, true)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));

	begin(__NR_epoll_wait);
	V_EQUAL(0, syscall(__NR_epoll_wait, fd, &event, 1, WAIT_MS));
	end();
}

INVISIBLE_TO(epoll_pwait, true)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));
	uint64_t set = 0;

	begin(__NR_epoll_pwait);
	V_EQUAL(0, syscall(__NR_epoll_pwait, fd, &event, 1, WAIT_MS, &set, 8));
	end();
}

INVISIBLE_TO(epoll_pwait2, true)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));

	begin(__NR_epoll_pwait2);
	V_EQUAL(0, syscall(__NR_epoll_pwait2, fd, &event, 1, &wait_time, NULL, 0));
	end();
}

INVISIBLE_TO(sigtimedwait, true)
{
	uint64_t set = 1 << (SIGUSR1 - 1);

	V_SYS(syscall(__NR_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	begin(__NR_rt_sigtimedwait);
	V_EQUAL(-1, syscall(__NR_rt_sigtimedwait, &set, NULL, &wait_time, 8));
	V_EQUAL(EAGAIN, errno);
	end();
}

INVISIBLE_TO(semtimedop, true)
{
	struct sembuf down = { .sem_op = -1 };
	int id, err = 0;

	id = V_SYS(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	begin(__NR_semtimedop);
	if (syscall(__NR_semtimedop, id, &down, 1, &wait_time))
		err = errno;
	semctl(id, 0, IPC_RMID);
	V_EQUAL(EAGAIN, err);
	end();
}

INVISIBLE_TO(recv_with_timeout, true)
{
	struct timeval tv = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };
	char byte;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V_SYS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	begin(__NR_recvfrom);
	V_EQUAL(-1, recv(s[0], &byte, 1, 0));
	V_EQUAL(EAGAIN, errno);
	end();
}

INVISIBLE_TO(recvmsg_with_timeout, true)
{
	struct timeval tv = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };
	struct msghdr msg = {};
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_DGRAM, 0, s));
	V_SYS(setsockopt(s[0], SOL_SOCKET, SO_RCVTIMEO, &tv, sizeof(tv)));
	begin(__NR_recvmsg);
	V_EQUAL(-1, recvmsg(s[0], &msg, 0));
	V_EQUAL(EAGAIN, errno);
	end();
}

VICTIM(io_getevents)
{
	struct timespec ts = wait_time;
	struct io_event event;
	aio_context_t ctx = 0;

	V_SYS(syscall(__NR_io_setup, 4, &ctx));
	begin(__NR_io_getevents);
	V_EQUAL(0, syscall(__NR_io_getevents, ctx, 1, 1, &event, &ts));
	end();
}

TEST_F(invisible, io_getevents)
{
	aio_context_t ctx = 0;

	if (syscall(__NR_io_setup, 1, &ctx) && errno == ENOSYS)
		SKIP(return, "kernel without AIO");
	syscall(__NR_io_destroy, ctx);
	ASSERT_EQ(0, disturb(&self->v, "io_getevents", false));
}

/* The waits without a time-out are ended after two seconds by somebody else. */
INVISIBLE_TO(wait4, true)
{
	int status;
	pid_t pid;

	pid = V_SYS(fork());
	if (!pid) {
		sleep_ms(WAIT_MS + 2);
		_exit(6);
	}
	begin(__NR_wait4);
	V_EQUAL(pid, syscall(__NR_wait4, pid, &status, 0, NULL));
	V_EQUAL(6, WEXITSTATUS(status));
	end();
}

INVISIBLE_TO(waitid, true)
{
	siginfo_t info = {};
	pid_t pid;

	pid = V_SYS(fork());
	if (!pid) {
		sleep_ms(WAIT_MS + 2);
		_exit(6);
	}
	begin(__NR_waitid);
	V_EQUAL(0, syscall(__NR_waitid, P_PID, pid, &info, WEXITED, NULL));
	V_EQUAL(6, info.si_status);
	end();
}

static int pipe_fd[2];

static void *write_later(void *arg)
{
	sleep_ms(WAIT_MS + 2);
	if (write(pipe_fd[1], "x", 1) != 1)
		victim_fail(__LINE__, "write: errno %d", errno);
	return NULL;
}

INVISIBLE_TO(read_from_pipe, true)
{
	pthread_t thread;
	char byte;

	V_SYS(pipe(pipe_fd));
	V_EQUAL(0, pthread_create(&thread, NULL, write_later, NULL));
	begin(__NR_read);
	V_EQUAL(1, read(pipe_fd[0], &byte, 1));
	end();
}

static void *unlock_later(void *arg)
{
	sleep_ms(WAIT_MS + 2);
	flock(*(int *)arg, LOCK_UN);
	return NULL;
}

INVISIBLE_TO(flock, false)
{
	static int holder;
	pthread_t thread;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", victim_dir);
	holder = V_SYS(open(path, O_RDWR | O_CREAT, 0644));
	fd = V_SYS(open(path, O_RDWR));
	V_SYS(flock(holder, LOCK_EX));
	V_EQUAL(0, pthread_create(&thread, NULL, unlock_later, &holder));
	begin(__NR_flock);
	V_SYS(syscall(__NR_flock, fd, LOCK_EX));
	end();
}

/* Nothing but computing: as many rounds and the same result. */
VICTIM(computing)
{
	double x = 1, sum = 0;
	long i;

	victim_reach();
	for (i = 0; !victim_told(1); i++) {
		x = x * 1.0000001 + 1e-9;
		if (x > 2)
			x -= 1;
		sum += x;
	}

	double y = 1, again = 0;

	for (; i; i--) {
		y = y * 1.0000001 + 1e-9;
		if (y > 2)
			y -= 1;
		again += y;
	}
	V_CHECK(sum == again);
}

TEST_F(invisible, computing)
{
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "computing"));
	for (i = 0; i < NR_CHECKPOINTS; i++)
		ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
