// SPDX-License-Identifier: GPL-2.0
/*
 * A process that is taken out of a blocking system call without a signal
 * handler to run goes on waiting as if nothing had happened: no EINTR, and the
 * time-out ends when it would have ended. With a handler it gets EINTR.
 *
 * Every test runs all calls of the table at once, each in a process of its own,
 * and for every way to interrupt them.
 */
#include <mqueue.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/personality.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <linux/aio_abi.h>
#include <linux/futex.h>

#include "ckpt_test.h"

#define WAIT_MS			(2000 * slowness())
#define SHORT_WAIT_MS		(1000 * slowness())
#define LATE_MS			(250 * slowness())
/* Socket time-outs count timer ticks, the first of which may be a short one. */
#define EARLY_MS		30
#define INTERRUPTIONS		50
#define SIGSET_SIZE		8

/* ---- the calls ---- */

/*
 * What the waiting process uses. Global, because all of this runs in a process
 * that makes only one kind of call.
 */
static int wait_ms;
static int fd, peer;
static long id;
static aio_context_t aio;
static pid_t helper;
static struct timespec *timespec;
static uint32_t futex_word;

static struct timespec after_ms(clockid_t clock, int64_t ms)
{
	int64_t ns = ms * 1000000 + (clock < 0 ? 0 : now_ns(clock));

	return (struct timespec) { ns / 1000000000, ns % 1000000000 };
}

#define RELATIVE	(-1)

static struct timespec *relative(void)
{
	static struct timespec ts;

	ts = after_ms(RELATIVE, wait_ms);
	return &ts;
}

static struct timespec *absolute(clockid_t clock)
{
	static struct timespec ts;

	ts = after_ms(clock, wait_ms);
	return &ts;
}

/* Let @action happen at the end of the wait; it may be NULL. */
static void happen(void (*action)(void))
{
	struct timespec end = after_ms(CLOCK_MONOTONIC, wait_ms);

	if (helper) {
		kill(helper, SIGKILL);
		waitpid(helper, NULL, 0);
	}
	helper = fork();
	if (helper)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &end, NULL))
		;
	if (action)
		action();
	_exit(0);
}

static long call_nanosleep(void)
{
	return syscall(__NR_nanosleep, relative(), NULL);
}

static long call_clock_nanosleep(void)
{
	return syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, relative(), NULL);
}

static long call_clock_nanosleep_abs(void)
{
	return syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME,
		       absolute(CLOCK_MONOTONIC), NULL);
}

static void make_pipe(void)
{
	int pipefd[2];

	if (pipe(pipefd))
		_exit(1);
	fd = pipefd[0];
	peer = pipefd[1];
}

static long call_poll(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return syscall(__NR_poll, &pfd, 1, wait_ms);
}

static long call_ppoll(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return syscall(__NR_ppoll, &pfd, 1, relative(), NULL, 0);
}

static void make_readonly_timespec(void)
{
	make_pipe();
	timespec = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	*timespec = *relative();
	mprotect(timespec, 4096, PROT_READ);
}

static long call_ppoll_readonly(void)
{
	struct pollfd pfd = { .fd = fd, .events = POLLIN };

	return syscall(__NR_ppoll, &pfd, 1, timespec, NULL, 0);
}

static long call_select(void)
{
	struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };
	fd_set in;

	FD_ZERO(&in);
	FD_SET(fd, &in);
	return syscall(__NR_select, fd + 1, &in, NULL, NULL, &tv);
}

static void make_sticky(void)
{
	make_pipe();
	personality(STICKY_TIMEOUTS);
}

static long call_pselect6(void)
{
	sigset_t mask;
	struct { sigset_t *mask; size_t size; } sig = { &mask, SIGSET_SIZE };
	fd_set in;

	sigemptyset(&mask);
	FD_ZERO(&in);
	FD_SET(fd, &in);
	return syscall(__NR_pselect6, fd + 1, &in, NULL, NULL, relative(), &sig);
}

static long call_futex_wait(void)
{
	return syscall(__NR_futex, &futex_word, FUTEX_WAIT, 0, relative(), NULL, 0);
}

static long call_futex_wait_abs(void)
{
	return syscall(__NR_futex, &futex_word, FUTEX_WAIT_BITSET, 0,
		       absolute(CLOCK_MONOTONIC), NULL, FUTEX_BITSET_MATCH_ANY);
}

static void make_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };

	make_pipe();
	id = epoll_create1(0);
	epoll_ctl(id, EPOLL_CTL_ADD, fd, &event);
}

static long call_epoll_wait(void)
{
	struct epoll_event event;

	return syscall(__NR_epoll_wait, id, &event, 1, wait_ms);
}

static long call_epoll_pwait(void)
{
	struct epoll_event event;
	sigset_t mask;

	sigemptyset(&mask);
	sigaddset(&mask, SIGUSR2);
	return syscall(__NR_epoll_pwait, id, &event, 1, wait_ms, &mask, SIGSET_SIZE);
}

static long call_epoll_pwait2(void)
{
	struct epoll_event event;

	return syscall(__NR_epoll_pwait2, id, &event, 1, relative(), NULL, 0);
}

static void block_usr2(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
}

static long call_sigtimedwait(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	return syscall(__NR_rt_sigtimedwait, &set, NULL, relative(), SIGSET_SIZE);
}

static void remove_sem(void)
{
	semctl(id, 0, IPC_RMID);
}

static void make_sem(void)
{
	id = semget(IPC_PRIVATE, 1, 0600);
}

static long call_semtimedop(void)
{
	struct sembuf op = { .sem_op = -1 };

	return syscall(__NR_semtimedop, id, &op, 1, relative());
}

static void post_sem(void)
{
	struct sembuf op = { .sem_op = 1 };

	semop(id, &op, 1);
}

static long call_semop(void)
{
	struct sembuf op = { .sem_op = -1 };

	happen(post_sem);
	return syscall(__NR_semop, id, &op, 1);
}

static void set_timeout(int sock, int option)
{
	struct timeval tv = { wait_ms / 1000, wait_ms % 1000 * 1000 };

	if (setsockopt(sock, SOL_SOCKET, option, &tv, sizeof(tv)))
		_exit(1);
}

static void make_unix_stream(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		_exit(1);
	fd = pair[0];
	peer = pair[1];
	set_timeout(fd, SO_RCVTIMEO);
	set_timeout(fd, SO_SNDTIMEO);
}

static void make_unix_dgram(void)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_DGRAM, 0, pair))
		_exit(1);
	fd = pair[0];
	peer = pair[1];
	set_timeout(fd, SO_RCVTIMEO);
}

static void loopback_up(void)
{
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };
	int sock = socket(AF_INET, SOCK_DGRAM, 0);

	ioctl(sock, SIOCSIFFLAGS, &ifr);
	close(sock);
}

static struct sockaddr_in loopback = { .sin_family = AF_INET };

static int bound_socket(int type)
{
	socklen_t len = sizeof(loopback);
	int sock = socket(AF_INET, type, 0);

	loopback_up();
	loopback.sin_port = 0;
	loopback.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	if (bind(sock, (struct sockaddr *)&loopback, sizeof(loopback)) ||
	    getsockname(sock, (struct sockaddr *)&loopback, &len))
		_exit(1);
	return sock;
}

static void make_udp(void)
{
	fd = bound_socket(SOCK_DGRAM);
	set_timeout(fd, SO_RCVTIMEO);
}

static void make_listener(void)
{
	fd = bound_socket(SOCK_STREAM);
	if (listen(fd, 0))
		_exit(1);
	set_timeout(fd, SO_RCVTIMEO);
}

static void make_tcp(void)
{
	make_listener();
	peer = socket(AF_INET, SOCK_STREAM, 0);
	if (connect(peer, (struct sockaddr *)&loopback, sizeof(loopback)))
		_exit(1);
	fd = accept(fd, NULL, NULL);
	set_timeout(fd, SO_RCVTIMEO);
	set_timeout(fd, SO_SNDTIMEO);
}

static char buffer[65536];

static long call_recv(void)
{
	return syscall(__NR_recvfrom, fd, buffer, 1, 0, NULL, NULL);
}

static long call_recvmsg(void)
{
	struct iovec iov = { buffer, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return syscall(__NR_recvmsg, fd, &msg, 0);
}

static long call_recvmmsg(void)
{
	struct iovec iov = { buffer, 1 };
	struct mmsghdr msg[2] = {
		{ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } },
		{ .msg_hdr = { .msg_iov = &iov, .msg_iovlen = 1 } },
	};

	return syscall(__NR_recvmmsg, fd, msg, 2, 0, NULL);
}

static long call_read(void)
{
	return syscall(__NR_read, fd, buffer, 1);
}

/* fill() - true if there was room for something. */
static bool fill(void)
{
	bool any = false;

	while (send(fd, buffer, sizeof(buffer), MSG_DONTWAIT) > 0)
		any = true;
	return any;
}

static void make_full_unix_stream(void)
{
	make_unix_stream();
	fill();
}

/*
 * The peer's window takes a while to close; and it would open again, had the peer's
 * buffer not got a size of its own: it grows under pressure otherwise.
 */
static void make_full_tcp(void)
{
	int size = sizeof(buffer);
	int64_t end;

	make_tcp();
	setsockopt(peer, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	do {
		end = now_ns(CLOCK_MONOTONIC) + 300000000;
		while (!fill() && now_ns(CLOCK_MONOTONIC) < end)
			sleep_ms(10);
	} while (now_ns(CLOCK_MONOTONIC) < end);
}

static long call_send(void)
{
	return syscall(__NR_sendto, fd, buffer, sizeof(buffer), 0, NULL, 0);
}

static long call_sendmsg(void)
{
	struct iovec iov = { buffer, sizeof(buffer) };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	return syscall(__NR_sendmsg, fd, &msg, 0);
}

static long call_write(void)
{
	return syscall(__NR_write, fd, buffer, sizeof(buffer));
}

static long call_accept(void)
{
	return syscall(__NR_accept4, fd, NULL, NULL, 0);
}

/* A listener on the same host that has no room for one more connection. */
static void make_unreachable(void)
{
	struct pollfd pfd = { .events = POLLOUT };

	make_listener();
	do {
		pfd.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
		connect(pfd.fd, (struct sockaddr *)&loopback, sizeof(loopback));
	} while (poll(&pfd, 1, 100) > 0);
}

static long call_connect(void)
{
	if (peer)
		close(peer);
	peer = socket(AF_INET, SOCK_STREAM, 0);
	set_timeout(peer, SO_SNDTIMEO);
	return syscall(__NR_connect, peer, &loopback, sizeof(loopback));
}

static struct sockaddr_un unix_name = { .sun_family = AF_UNIX };

static void make_full_unix_listener(void)
{
	int sock;

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	snprintf(unix_name.sun_path + 1, sizeof(unix_name.sun_path) - 1,
		 "wait_restart.%d", getpid());
	if (bind(fd, (struct sockaddr *)&unix_name, sizeof(unix_name)) ||
	    listen(fd, 0))
		_exit(1);
	do
		sock = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	while (!connect(sock, (struct sockaddr *)&unix_name, sizeof(unix_name)));
	peer = socket(AF_UNIX, SOCK_STREAM, 0);
	set_timeout(peer, SO_SNDTIMEO);
}

static long call_unix_connect(void)
{
	return syscall(__NR_connect, peer, &unix_name, sizeof(unix_name));
}

static void make_aio(void)
{
	if (syscall(__NR_io_setup, 1, &aio))
		_exit(1);
}

static long call_io_getevents(void)
{
	struct io_event event;

	return syscall(__NR_io_getevents, aio, 1, 1, &event, relative());
}

static long call_io_pgetevents(void)
{
	sigset_t mask;
	struct { sigset_t *mask; size_t size; } sig = { &mask, SIGSET_SIZE };
	struct io_event event;

	sigemptyset(&mask);
	return syscall(__NR_io_pgetevents, aio, 1, 1, &event, relative(), &sig);
}

static long call_wait4(void)
{
	happen(NULL);
	return syscall(__NR_wait4, helper, NULL, 0, NULL) == helper ? 0 : -1;
}

static void write_pipe(void)
{
	if (write(peer, "x", 1) != 1)
		_exit(1);
}

static long call_read_pipe(void)
{
	happen(write_pipe);
	return syscall(__NR_read, fd, buffer, 1);
}

static void make_msg(void)
{
	id = msgget(IPC_PRIVATE, 0600);
}

static void remove_msg(void)
{
	msgctl(id, IPC_RMID, NULL);
}

static void send_msg(void)
{
	struct { long type; char text[1]; } msg = { .type = 1 };

	msgsnd(id, &msg, 1, 0);
}

static long call_msgrcv(void)
{
	struct { long type; char text[1]; } msg;

	happen(send_msg);
	return syscall(__NR_msgrcv, id, &msg, 1, 0, 0);
}

static void make_mq(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 1 };
	char name[32];

	snprintf(name, sizeof(name), "wait_restart.%d", getpid());
	fd = syscall(__NR_mq_open, name, O_RDWR | O_CREAT, 0600, &attr);
	syscall(__NR_mq_unlink, name);
}

static long call_mq_timedreceive(void)
{
	return syscall(__NR_mq_timedreceive, fd, buffer, 1, NULL,
		       absolute(CLOCK_REALTIME));
}

/**
 * struct call - a blocking call
 * @name:	how to call it in a report
 * @prepare:	makes what it needs, in the waiting process
 * @wait:	blocks for wait_ms
 * @cleanup:	removes what does not go with the process
 * @ret:	what it returns at the end of its time
 * @err:	with this errno if @ret is -1
 * @sa_restart:	executed again after a handler with SA_RESTART
 * @late_restart: executed again after a handler that comes when it has been
 *		set up for that, as in every kernel
 */
static const struct call {
	const char *name;
	void (*prepare)(void);
	long (*wait)(void);
	void (*cleanup)(void);
	long ret;
	int err;
	bool sa_restart, late_restart;
} calls[] = {
	{ "nanosleep", NULL, call_nanosleep },
	{ "clock_nanosleep", NULL, call_clock_nanosleep },
	{ "clock_nanosleep absolute", NULL, call_clock_nanosleep_abs,
	  .late_restart = true },
	{ "poll", make_pipe, call_poll },
	{ "ppoll", make_pipe, call_ppoll },
	{ "ppoll with read-only time", make_readonly_timespec, call_ppoll_readonly },
	{ "select", make_pipe, call_select },
	{ "select with sticky time", make_sticky, call_select },
	{ "pselect6", make_pipe, call_pselect6 },
	{ "futex", NULL, call_futex_wait, NULL, -1, ETIMEDOUT },
	{ "futex absolute", NULL, call_futex_wait_abs, NULL, -1, ETIMEDOUT },
	{ "epoll_wait", make_epoll, call_epoll_wait },
	{ "epoll_pwait", make_epoll, call_epoll_pwait },
	{ "epoll_pwait2", make_epoll, call_epoll_pwait2 },
	{ "rt_sigtimedwait", block_usr2, call_sigtimedwait, NULL, -1, EAGAIN },
	{ "semtimedop", make_sem, call_semtimedop, remove_sem, -1, EAGAIN },
	{ "semop", make_sem, call_semop, remove_sem },
	{ "recvfrom unix stream", make_unix_stream, call_recv, NULL, -1, EAGAIN },
	{ "recvfrom unix dgram", make_unix_dgram, call_recv, NULL, -1, EAGAIN },
	{ "recvfrom udp", make_udp, call_recv, NULL, -1, EAGAIN },
	{ "recvfrom tcp", make_tcp, call_recv, NULL, -1, EAGAIN },
	{ "recvmsg udp", make_udp, call_recvmsg, NULL, -1, EAGAIN },
	{ "recvmmsg udp", make_udp, call_recvmmsg, NULL, -1, EAGAIN },
	{ "read tcp", make_tcp, call_read, NULL, -1, EAGAIN },
	{ "sendto unix stream", make_full_unix_stream, call_send, NULL, -1, EAGAIN },
	{ "sendmsg tcp", make_full_tcp, call_sendmsg, NULL, -1, EAGAIN },
	{ "write tcp", make_full_tcp, call_write, NULL, -1, EAGAIN },
	{ "accept4 tcp", make_listener, call_accept, NULL, -1, EAGAIN },
	{ "connect tcp", make_unreachable, call_connect, NULL, -1, EINPROGRESS },
	{ "connect unix", make_full_unix_listener, call_unix_connect, NULL, -1, EAGAIN },
	{ "io_getevents", make_aio, call_io_getevents },
	{ "io_pgetevents", make_aio, call_io_pgetevents },
	{ "wait4", NULL, call_wait4, .sa_restart = true },
	{ "read pipe", make_pipe, call_read_pipe, NULL, 1, .sa_restart = true },
	{ "msgrcv", make_msg, call_msgrcv, remove_msg, 1, .late_restart = true },
	{ "mq_timedreceive", make_mq, call_mq_timedreceive, NULL, -1, ETIMEDOUT,
	  .sa_restart = true },
};

#define NR_CALLS	((int)ARRAY_SIZE(calls))

/* ---- the waiting processes ---- */

/**
 * struct waiter - a process that waits in one of the calls
 * @pid:	its process ID
 * @waiting:	it is about to make the call for this time
 * @done:	calls that have ended
 * @start:	when the calls began
 * @end:	when they ended
 * @ret:	their results
 * @err:	and errno
 */
struct waiter {
	volatile pid_t pid;
	volatile int waiting, done;
	int64_t start[2], end[2];
	long ret[2];
	int err[2];
};

/* What a handler does when it runs in the first call. */
enum handling {
	NO_HANDLER,
	HANDLER_RETURNS,
	HANDLER_RETURNS_SA_RESTART,
	HANDLER_JUMPS,
};

static sigjmp_buf before_call;
static char cgroup_dir[64];

static void return_from_handler(int sig)
{
}

static void jump_from_handler(int sig)
{
	siglongjmp(before_call, 1);
}

static void set_handler(enum handling mode)
{
	struct sigaction action = { .sa_handler = return_from_handler };

	if (mode == NO_HANDLER)
		return;
	if (mode == HANDLER_JUMPS)
		action.sa_handler = jump_from_handler;
	if (mode == HANDLER_RETURNS_SA_RESTART)
		action.sa_flags = SA_RESTART;
	sigaction(SIGUSR1, &action, NULL);
}

/* One place for both calls: a deadline must not be found by where it was left. */
static void wait_once(const struct call *call, struct waiter *me, int turn)
{
	me->waiting = turn + 1;
	me->start[turn] = now_ns(CLOCK_MONOTONIC);
	errno = 0;
	me->ret[turn] = call->wait();
	me->err[turn] = errno;
	me->end[turn] = now_ns(CLOCK_MONOTONIC);
}

static void __attribute__((noreturn))
waiter_main(const struct call *call, struct waiter *me, enum handling mode,
	    int turns)
{
	static volatile int turn;
	char procs[96];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup_dir);
	if (cgroup_dir[0] && write_text(procs, "0"))
		_exit(1);
	if (call->prepare)
		call->prepare();
	set_handler(mode);
	for (turn = 0; turn < turns; turn++) {
		if (!sigsetjmp(before_call, 1))
			wait_once(call, me, turn);
		else
			me->end[turn] = now_ns(CLOCK_MONOTONIC);
		me->done = turn + 1;
	}
	if (helper)
		kill(helper, SIGKILL);
	if (call->cleanup)
		call->cleanup();
	_exit(0);
}

static struct waiter *waiters;

static void kill_waiters(void)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0) {
			kill(waiters[i].pid, SIGKILL);
			waitpid(waiters[i].pid, NULL, __WALL);
			waiters[i].pid = 0;
		}
}

static bool all_waiting(int turn)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0 && waiters[i].done < turn &&
		    (waiters[i].waiting < turn ||
		     proc_state(waiters[i].pid, waiters[i].pid) != 'S'))
			return false;
	return true;
}

static int start_waiters(enum handling mode, int turns)
{
	pid_t pid;
	int i;

	for (i = 0; i < NR_CALLS; i++) {
		if (mode == HANDLER_RETURNS_SA_RESTART && calls[i].sa_restart)
			continue;
		pid = fork();
		if (pid < 0)
			return -1;
		if (!pid)
			waiter_main(&calls[i], &waiters[i], mode, turns);
		waiters[i].pid = pid;
	}
	return WAIT_FOR(all_waiting(1)) ? 0 : -1;
}

static bool all_ended(void)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0 && kill(waiters[i].pid, 0) == 0 &&
		    waitpid(waiters[i].pid, NULL, WNOHANG) == 0)
			return false;
	return true;
}

/* ---- the interruptions ---- */

/**
 * struct interruption - a way to interrupt a system call without a handler
 * @setup:	prepare for it; the reason to skip it, or NULL
 * @hold:	take all waiting processes out of their calls
 * @release:	let them go on; NULL if @hold does it
 */
struct interruption {
	const char *(*setup)(void);
	void (*hold)(void);
	void (*release)(void);
};

static const char *freezer_setup(void)
{
	char freeze[96];

	snprintf(cgroup_dir, sizeof(cgroup_dir), "/sys/fs/cgroup/wait_restart.%d",
		 getpid());
	mkdir(cgroup_dir, 0755);
	snprintf(freeze, sizeof(freeze), "%s/cgroup.freeze", cgroup_dir);
	if (!access(freeze, W_OK))
		return NULL;
	rmdir(cgroup_dir);
	cgroup_dir[0] = '\0';
	return "no freezer of cgroup v2 in /sys/fs/cgroup";
}

static bool cgroup_is_frozen(void)
{
	char path[96], text[256];

	snprintf(path, sizeof(path), "%s/cgroup.events", cgroup_dir);
	return read_text(path, text, sizeof(text)) > 0 && strstr(text, "frozen 1");
}

static void freezer_set(const char *state)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/cgroup.freeze", cgroup_dir);
	write_text(path, state);
}

static void freezer_hold(void)
{
	freezer_set("1");
	WAIT_FOR(cgroup_is_frozen());
}

static void freezer_release(void)
{
	freezer_set("0");
}

static const char *job_control_setup(void)
{
	return NULL;
}

static bool all_in_state(char state)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0 &&
		    !strchr((char []){ state, 'Z', 'X', 0 },
			    proc_state(waiters[i].pid, waiters[i].pid)))
			return false;
	return true;
}

static void signal_waiters(int sig)
{
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0)
			kill(waiters[i].pid, sig);
}

static void job_control_hold(void)
{
	signal_waiters(SIGSTOP);
	WAIT_FOR(all_in_state('T'));
}

static void job_control_release(void)
{
	signal_waiters(SIGCONT);
}

static const char *checkpoint_setup(void)
{
	if (sys_checkpoint(0, NULL, 0) == -ENOSYS)
		return "kernel without CONFIG_CKPT";
	return NULL;
}

/* Whether a checkpoint would be possible is not the question here. */
static void checkpoint_hold(void)
{
	struct checkpoint_args args = { .flags = CHECKPOINT_CHECK, .image_fd = -1 };
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0)
			sys_checkpoint(waiters[i].pid, &args, sizeof(args));
}

static const struct interruption freezer = {
	freezer_setup, freezer_hold, freezer_release
};

static const struct interruption job_control = {
	job_control_setup, job_control_hold, job_control_release
};

static const struct interruption checkpoint = {
	checkpoint_setup, checkpoint_hold
};

static void interrupt(const struct interruption *how)
{
	how->hold();
	if (how->release) {
		sleep_ms(1);
		how->release();
	}
}

/* ---- the tests ---- */

FIXTURE(wait) { };

FIXTURE_VARIANT(wait) { const struct interruption *how; };

FIXTURE_VARIANT_ADD(wait, frozen) { .how = &freezer };
FIXTURE_VARIANT_ADD(wait, stopped) { .how = &job_control };
FIXTURE_VARIANT_ADD(wait, checkpointed) { .how = &checkpoint };

FIXTURE_SETUP(wait)
{
	const char *reason = variant->how->setup();

	if (reason)
		SKIP(return, "%s", reason);
	wait_ms = WAIT_MS;
	waiters = mmap(NULL, NR_CALLS * sizeof(*waiters), PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, waiters);
}

FIXTURE_TEARDOWN(wait)
{
	if (waiters) {
		if (variant->how->release)
			variant->how->release();
		kill_waiters();
	}
	if (cgroup_dir[0])
		WAIT_FOR(!rmdir(cgroup_dir));
}

/* Did call @i, in its @turn, end by itself when it should? */
static bool ended_in_time(int i, int turn)
{
	const struct waiter *w = &waiters[i];
	int64_t ms = (w->end[turn] - w->start[turn]) / 1000000;

	if (w->done > turn && w->ret[turn] == calls[i].ret &&
	    (w->ret[turn] != -1 || w->err[turn] == calls[i].err) &&
	    ms >= wait_ms - EARLY_MS && ms <= wait_ms + LATE_MS)
		return true;
	test_log("%s: %ld (%s) after %lld ms of %d", calls[i].name, w->ret[turn],
		 w->ret[turn] == -1 ? strerror(w->err[turn]) : "-",
		 (long long)ms, wait_ms);
	return false;
}

static bool was_interrupted(int i)
{
	const struct waiter *w = &waiters[i];
	int64_t ms = (w->end[0] - w->start[0]) / 1000000;

	if (w->done && w->ret[0] == -1 && w->err[0] == EINTR && ms < wait_ms)
		return true;
	test_log("%s: %ld (%s) after %lld ms of %d, not EINTR", calls[i].name,
		 w->ret[0], w->ret[0] == -1 ? strerror(w->err[0]) : "-",
		 (long long)ms, wait_ms);
	return false;
}

static bool was_interrupted_late(int i)
{
	return calls[i].late_restart || was_interrupted(i);
}

static int count_failed(bool (*good)(int i))
{
	int i, failed = 0;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0)
			failed += !good(i);
	return failed;
}

static bool first_in_time(int i)
{
	return ended_in_time(i, 0);
}

static bool second_in_time(int i)
{
	return ended_in_time(i, 1);
}

/* Everything has begun to wait when the last process has. */
static int64_t first_start(void)
{
	int64_t start = INT64_MAX;
	int i;

	for (i = 0; i < NR_CALLS; i++)
		if (waiters[i].pid > 0 && waiters[i].start[0] < start)
			start = waiters[i].start[0];
	return start;
}

/*
 * Begins to wait, interrupts that and sends a signal.  Interrupting all may take a busy
 * machine so long that they are not waiting any more, which says nothing: then once more,
 * with longer waits.
 */
#define INTERRUPT_AND_SIGNAL(mode, turns, pause_ms)			\
	do {								\
		ASSERT_EQ(0, start_waiters(mode, turns));		\
		interrupt(variant->how);				\
		sleep_ms((pause_ms) * slowness());			\
		if (now_ns(CLOCK_MONOTONIC) <				\
		    first_start() + (wait_ms - LATE_MS) * 1000000LL)	\
			break;						\
		kill_waiters();						\
		memset(waiters, 0, NR_CALLS * sizeof(*waiters));	\
		wait_ms *= 2;						\
		test_log("once more, for %d ms", wait_ms);		\
	} while (wait_ms < 16 * WAIT_MS);				\
	ASSERT_GT(16 * WAIT_MS, wait_ms);				\
	signal_waiters(SIGUSR1)

TEST_F(wait, ends_at_its_deadline)
{
	int64_t end;
	int nr;

	ASSERT_EQ(0, start_waiters(NO_HANDLER, 1));
	end = first_start() + (WAIT_MS - LATE_MS) * 1000000LL;
	for (nr = 0; nr < INTERRUPTIONS && now_ns(CLOCK_MONOTONIC) < end; nr++) {
		interrupt(variant->how);
		sleep_ms(20);
	}
	if (nr < INTERRUPTIONS)
		test_log("only %d interruptions on this slow machine", nr);
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(first_in_time));
}

TEST_F(wait, ends_while_interrupted)
{
	if (!variant->how->release)
		SKIP(return, "cannot be held");
	ASSERT_EQ(0, start_waiters(NO_HANDLER, 1));
	sleep_ms(WAIT_MS / 2);
	variant->how->hold();
	sleep_ns(first_start() + (WAIT_MS + LATE_MS / 10) * 1000000LL -
		 now_ns(CLOCK_MONOTONIC));
	variant->how->release();
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(first_in_time));
}

TEST_F(wait, is_interrupted_by_a_handler)
{
	INTERRUPT_AND_SIGNAL(HANDLER_RETURNS, 1, 100);
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(was_interrupted));
}

TEST_F(wait, is_interrupted_by_a_handler_with_sa_restart)
{
	INTERRUPT_AND_SIGNAL(HANDLER_RETURNS_SA_RESTART, 1, 100);
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(was_interrupted));
}

TEST_F(wait, is_interrupted_by_a_handler_that_comes_meanwhile)
{
	if (!variant->how->release)
		SKIP(return, "cannot be held");
	ASSERT_EQ(0, start_waiters(HANDLER_RETURNS_SA_RESTART, 1));
	variant->how->hold();
	signal_waiters(SIGUSR1);
	sleep_ms(10);
	variant->how->release();
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(was_interrupted));
}

/*
 * Signals right behind an interruption meet the call at every stage of its
 * restart.
 */
TEST_F(wait, is_interrupted_by_a_handler_right_behind)
{
	int turn;

	for (turn = 0; turn < 20; turn++) {
		memset(waiters, 0, NR_CALLS * sizeof(*waiters));
		ASSERT_EQ(0, start_waiters(HANDLER_RETURNS_SA_RESTART, 1));
		variant->how->hold();
		if (variant->how->release)
			variant->how->release();
		signal_waiters(SIGUSR1);
		ASSERT_TRUE(WAIT_FOR(all_ended()));
		ASSERT_EQ(0, count_failed(was_interrupted_late));
	}
}

TEST_F(wait, is_full_after_a_handler)
{
	wait_ms = SHORT_WAIT_MS;
	INTERRUPT_AND_SIGNAL(HANDLER_RETURNS, 2, 300);
	ASSERT_TRUE(WAIT_FOR(all_waiting(2)));
	interrupt(variant->how);
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(was_interrupted));
	EXPECT_EQ(0, count_failed(second_in_time));
}

TEST_F(wait, is_full_after_a_handler_that_jumps)
{
	wait_ms = SHORT_WAIT_MS;
	INTERRUPT_AND_SIGNAL(HANDLER_JUMPS, 2, 300);
	ASSERT_TRUE(WAIT_FOR(all_waiting(2)));
	interrupt(variant->how);
	ASSERT_TRUE(WAIT_FOR(all_ended()));
	EXPECT_EQ(0, count_failed(second_in_time));
}

/**
 * struct closer - what the test says to a process that closes descriptors
 * @go:		close it now
 * @done:	done
 */
struct closer {
	volatile int go, done;
};

/*
 * A process that has the descriptors of the waiting one, and is not interrupted
 * with it.
 */
static void __attribute__((noreturn)) closer_main(struct closer *closer)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	while (!closer->go)
		sleep_ms(1);
	close(fd);
	closer->done = 1;
	_exit(0);
}

static void __attribute__((noreturn))
closed_waiter_main(struct waiter *me, struct closer *closer)
{
	static const struct call recv = { .wait = call_recv };
	char procs[96];
	int other;

	make_udp();
	other = dup(fd);
	if (!syscall(__NR_clone, CLONE_FILES | SIGCHLD, 0, 0, 0, 0))
		closer_main(closer);
	snprintf(procs, sizeof(procs), "%s/cgroup.procs", cgroup_dir);
	if (cgroup_dir[0] && write_text(procs, "0"))
		_exit(1);
	wait_once(&recv, me, 0);
	me->done = 1;
	fd = other;
	wait_once(&recv, me, 1);
	me->done = 2;
	_exit(0);
}

TEST_F(wait, is_full_after_a_restart_that_fails)
{
	struct waiter *w = &waiters[0];
	struct closer *closer = (struct closer *)waiters[1].ret;
	pid_t pid;

	if (!variant->how->release)
		SKIP(return, "cannot be held");
	wait_ms = SHORT_WAIT_MS;
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid)
		closed_waiter_main(w, closer);
	w->pid = pid;
	ASSERT_TRUE(WAIT_FOR(w->waiting && proc_state(w->pid, w->pid) == 'S'));
	sleep_ms(300 * slowness());
	variant->how->hold();
	closer->go = 1;
	ASSERT_TRUE(WAIT_FOR(closer->done));
	variant->how->release();
	ASSERT_TRUE(WAIT_FOR(w->done == 2));
	EXPECT_EQ(-1, w->ret[0]);
	EXPECT_EQ(EBADF, w->err[0]);
	EXPECT_EQ(-1, w->ret[1]);
	EXPECT_EQ(EAGAIN, w->err[1]);
	EXPECT_LE((SHORT_WAIT_MS - EARLY_MS) * 1000000LL, w->end[1] - w->start[1]);
}

TEST(remaining_time_is_reported)
{
	struct timespec ts = { WAIT_MS / 1000, 0 };
	struct timeval tv = { WAIT_MS / 1000, 0 };
	struct itimerval alarm = { .it_value.tv_usec = 300000 };
	struct sigaction action = { .sa_handler = return_from_handler };

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &alarm, NULL);
	EXPECT_EQ(-1, syscall(__NR_ppoll, NULL, 0, &ts, NULL, 0));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(WAIT_MS / 1000 - 1, ts.tv_sec);
	EXPECT_GT(700000001, ts.tv_nsec);

	setitimer(ITIMER_REAL, &alarm, NULL);
	EXPECT_EQ(-1, syscall(__NR_select, 0, NULL, NULL, NULL, &tv));
	EXPECT_EQ(EINTR, errno);
	EXPECT_EQ(WAIT_MS / 1000 - 1, tv.tv_sec);
	EXPECT_GT(700001, tv.tv_usec);
}

TEST_HARNESS_MAIN
