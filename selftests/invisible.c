// SPDX-License-Identifier: GPL-2.0
/*
 * A checkpoint is invisible to the process: fifty of them during a wait of two
 * seconds neither end it early with EINTR nor make it longer.
 *
 * So is a restart: a wait that was interrupted by the end of the world goes on, and
 * ends when it would have ended by the clock of the process, or when another
 * process of the tree does what is being waited for.
 *
 * Prints tables of how long each wait took.
 */
#include <linux/aio_abi.h>
#include <linux/futex.h>
#include <mqueue.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/un.h>

#include "ckpt_tree.h"

#define NR_CHECKPOINTS	50
#define WAIT_MS		2000
#define LIMIT_MS	2100
#define MS		1000000LL

FIXTURE(invisible) { struct victim v; };
CKPT_TREE_VICTIM(invisible, REQUIRE_CHECKPOINT)

FIXTURE(restarted) { struct victim v; };
CKPT_TREE_VICTIM(restarted, REQUIRE_CHECKPOINT)

/* word 0: how long it took, in microseconds */
static int64_t began;

/* What is going to end the wait begins now. */
static void set_clock(void)
{
	began = now_ns(CLOCK_MONOTONIC);
}

static void begin(int nr)
{
	if (!began)
		set_clock();
	victim_reach_in(nr);
}

static void end(void)
{
	vpage->word[0] = (now_ns(CLOCK_MONOTONIC) - began) / 1000;
	victim_ready();
}

static const struct timespec wait_time = { WAIT_MS / 1000, WAIT_MS % 1000 * MS };

/* Checkpoint @name all the time while it waits. */
static int disturb(struct victim *v, const char *name)
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
		if (ret && !dry_run()) {
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
	test_log("%-23s %2d checkpoints  waited %ld.%03ld ms, longest freeze %ld.%03ld ms",
		 name, i, took / 1000, took % 1000,
		 freeze / 1000000, freeze / 1000 % 1000);

	/* if the end falls into a freeze, that has to end first */
	if (took < WAIT_MS * 1000 || took > LIMIT_MS * 1000 + freeze / 1000)
		return -1;
	return i < 10 ? -1 : victim_finish(v);
}

/* Checkpoint and kill @name in the midst of its wait, and restart it later. */
static int interrupt(struct victim *v, const char *name)
{
	long took;

	if (victim_start(v, name))
		return -1;
	sleep_ms(WAIT_MS / 3);
	if (tree_cycle(v, true))
		return -1;
	if (victim_wait(v) != VICTIM_IS_READY)
		return -1;
	took = victim_word(v, 0);
	test_log("%-23s restarted       waited %ld.%03ld ms", name, took / 1000,
		 took % 1000);
	if (took < WAIT_MS * 1000 || took > LIMIT_MS * 1000)
		return -1;
	return victim_finish(v);
}

#define WAITS_IN(call)							\
	VICTIM(call);							\
	TEST_F(invisible, call)						\
	{								\
		ASSERT_EQ(0, disturb(&self->v, #call));		\
	}								\
	TEST_F(restarted, call)						\
	{								\
		ASSERT_EQ(0, interrupt(&self->v, #call));		\
	}								\
	static void victim_##call(void)

WAITS_IN(nanosleep)
{
	begin(__NR_nanosleep);
	V_SYS(syscall(__NR_nanosleep, &wait_time, NULL));
	end();
}

WAITS_IN(clock_nanosleep)
{
	begin(__NR_clock_nanosleep);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, 0, &wait_time, NULL));
	end();
}

WAITS_IN(clock_nanosleep_abs)
{
	int64_t at = now_ns(CLOCK_MONOTONIC) + WAIT_MS * MS + 200000;
	struct timespec ts = { at / 1000000000, at % 1000000000 };

	begin(__NR_clock_nanosleep);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_MONOTONIC, 1, &ts, NULL));
	end();
}

WAITS_IN(poll)
{
	struct pollfd fd = { .fd = 0 };

	begin(__NR_poll);
	V_EQUAL(0, syscall(__NR_poll, &fd, 1, WAIT_MS));
	end();
}

WAITS_IN(ppoll)
{
	struct timespec ts = wait_time;

	begin(__NR_ppoll);
	V_EQUAL(0, syscall(__NR_ppoll, NULL, 0, &ts, NULL, 0));
	end();
}

WAITS_IN(select)
{
	struct timeval tv = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };

	begin(__NR_select);
	V_EQUAL(0, syscall(__NR_select, 0, NULL, NULL, NULL, &tv));
	end();
}

WAITS_IN(pselect)
{
	struct timespec ts = wait_time;

	begin(__NR_pselect6);
	V_EQUAL(0, syscall(__NR_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
	end();
}

static uint32_t word;

WAITS_IN(futex)
{
	begin(__NR_futex);
	V_EQUAL(-1, syscall(__NR_futex, &word, FUTEX_WAIT_PRIVATE, 0, &wait_time, NULL, 0));
	V_EQUAL(ETIMEDOUT, errno);
	end();
}

WAITS_IN(epoll_wait)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));

	begin(__NR_epoll_wait);
	V_EQUAL(0, syscall(__NR_epoll_wait, fd, &event, 1, WAIT_MS));
	end();
}

WAITS_IN(epoll_pwait)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));
	uint64_t set = 0;

	begin(__NR_epoll_pwait);
	V_EQUAL(0, syscall(__NR_epoll_pwait, fd, &event, 1, WAIT_MS, &set, 8));
	end();
}

WAITS_IN(epoll_pwait2)
{
	struct epoll_event event;
	int fd = V_SYS(epoll_create1(0));

	begin(__NR_epoll_pwait2);
	V_EQUAL(0, syscall(__NR_epoll_pwait2, fd, &event, 1, &wait_time, NULL, 0));
	end();
}

WAITS_IN(sigtimedwait)
{
	uint64_t set = 1 << (SIGUSR1 - 1);

	V_SYS(syscall(__NR_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	begin(__NR_rt_sigtimedwait);
	V_EQUAL(-1, syscall(__NR_rt_sigtimedwait, &set, NULL, &wait_time, 8));
	V_EQUAL(EAGAIN, errno);
	end();
}

WAITS_IN(semtimedop)
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

WAITS_IN(recv_with_timeout)
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

WAITS_IN(recvmsg_with_timeout)
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

WAITS_IN(io_getevents)
{
	struct timespec ts = wait_time;
	struct io_event event;
	aio_context_t ctx = 0;

	V_SYS(syscall(__NR_io_setup, 4, &ctx));
	begin(__NR_io_getevents);
	V_EQUAL(0, syscall(__NR_io_getevents, ctx, 1, 1, &event, &ts));
	end();
}

/* The waits without a time-out are ended after two seconds by somebody else. */
WAITS_IN(wait4)
{
	int status;
	pid_t pid;

	set_clock();
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

WAITS_IN(waitid)
{
	siginfo_t info = {};
	pid_t pid;

	set_clock();
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

WAITS_IN(read_from_pipe)
{
	pthread_t thread;
	char byte;

	V_SYS(pipe(pipe_fd));
	set_clock();
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

WAITS_IN(flock)
{
	static int holder;
	pthread_t thread;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/lock", victim_dir);
	holder = V_SYS(open(path, O_RDWR | O_CREAT, 0644));
	fd = V_SYS(open(path, O_RDWR));
	V_SYS(flock(holder, LOCK_EX));
	set_clock();
	V_EQUAL(0, pthread_create(&thread, NULL, unlock_later, &holder));
	begin(__NR_flock);
	V_SYS(syscall(__NR_flock, fd, LOCK_EX));
	end();
}

/* ---- files ---- */

/* When the wait is to end a child does @action. */
static void later(void (*action)(void))
{
	set_clock();
	if (V_SYS(fork()))
		return;
	sleep_ms(WAIT_MS + 2);
	action();
	_exit(0);
}

static int fd, other_fd;

static void write_byte(void)
{
	V_EQUAL(1, write(other_fd, "x", 1));
}

static void read_all(void)
{
	char buf[4096];

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	while (read(fd, buf, sizeof(buf)) > 0)
		;
}

static void fill(int to)
{
	char buf[4096] = "";

	fcntl(to, F_SETFL, O_NONBLOCK);
	while (write(to, buf, sizeof(buf)) > 0)
		;
	fcntl(to, F_SETFL, 0);
}

static void make_pipe(void)
{
	int p[2];

	V_SYS(pipe(p));
	fd = p[0];
	other_fd = p[1];
}

static void make_pair(int type)
{
	int s[2];

	V_SYS(socketpair(AF_UNIX, type, 0, s));
	fd = s[0];
	other_fd = s[1];
}

static const char *wait_path(const char *name)
{
	static char path[128];

	snprintf(path, sizeof(path), "%s/%s", victim_dir, name);
	return path;
}

WAITS_IN(write_to_full_pipe)
{
	make_pipe();
	fill(other_fd);
	later(read_all);
	begin(__NR_write);
	V_EQUAL(1, write(other_fd, "x", 1));
	end();
}

WAITS_IN(splice_from_pipe)
{
	int to[2];

	make_pipe();
	V_SYS(pipe(to));
	later(write_byte);
	begin(__NR_splice);
	V_EQUAL(1, splice(fd, NULL, to[1], NULL, 1, 0));
	end();
}

static void open_other_end(void)
{
	V_SYS(open(wait_path("fifo"), O_WRONLY));
}

WAITS_IN(open_fifo)
{
	V_SYS(mkfifo(wait_path("fifo"), 0600));
	later(open_other_end);
	begin(__NR_openat);
	V_SYS(openat(AT_FDCWD, wait_path("fifo"), O_RDONLY));
	end();
}

static void signal_event(void)
{
	uint64_t one = 1;

	V_EQUAL(8, write(fd, &one, 8));
}

WAITS_IN(read_eventfd)
{
	uint64_t value;

	fd = V_SYS(eventfd(0, 0));
	later(signal_event);
	begin(__NR_read);
	V_EQUAL(8, read(fd, &value, 8));
	V_EQUAL(1, value);
	end();
}

WAITS_IN(epoll_for_ever)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll = V_SYS(epoll_create1(0));

	fd = V_SYS(eventfd(0, 0));
	V_SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
	later(signal_event);
	begin(__NR_epoll_wait);
	V_EQUAL(1, syscall(__NR_epoll_wait, epoll, &event, 1, -1));
	end();
}

WAITS_IN(read_timerfd)
{
	struct itimerspec its = { .it_value = wait_time };
	uint64_t value;

	fd = V_SYS(timerfd_create(CLOCK_MONOTONIC, 0));
	set_clock();
	V_SYS(timerfd_settime(fd, 0, &its, NULL));
	begin(__NR_read);
	V_EQUAL(8, read(fd, &value, 8));
	V_EQUAL(1, value);
	end();
}

static void signal_parent(void)
{
	V_SYS(kill(getppid(), SIGUSR1));
}

WAITS_IN(read_signalfd)
{
	struct signalfd_siginfo info;
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	fd = V_SYS(signalfd(-1, &set, 0));
	later(signal_parent);
	begin(__NR_read);
	V_EQUAL(sizeof(info), read(fd, &info, sizeof(info)));
	V_EQUAL(SIGUSR1, info.ssi_signo);
	end();
}

static void make_file(void)
{
	V_SYS(open(wait_path("new"), O_CREAT | O_WRONLY, 0600));
}

WAITS_IN(read_inotify)
{
	char buf[4096];

	fd = V_SYS(inotify_init());
	V_SYS(inotify_add_watch(fd, victim_dir, IN_CREATE));
	later(make_file);
	begin(__NR_read);
	V_CHECK(read(fd, buf, sizeof(buf)) > 0);
	end();
}

WAITS_IN(poll_pidfd)
{
	struct pollfd pfd = { .events = POLLIN };
	pid_t pid;

	set_clock();
	pid = V_SYS(fork());
	if (!pid) {
		sleep_ms(WAIT_MS + 2);
		_exit(0);
	}
	pfd.fd = V_SYS(syscall(__NR_pidfd_open, pid, 0));
	begin(__NR_poll);
	V_EQUAL(1, syscall(__NR_poll, &pfd, 1, -1));
	end();
}

static void end_line(void)
{
	V_EQUAL(1, write(other_fd, "\n", 1));
}

WAITS_IN(read_terminal)
{
	char byte;

	other_fd = V_SYS(posix_openpt(O_RDWR | O_NOCTTY));
	V_SYS(unlockpt(other_fd));
	fd = V_SYS(open(ptsname(other_fd), O_RDWR | O_NOCTTY));
	later(end_line);
	begin(__NR_read);
	V_EQUAL(1, read(fd, &byte, 1));
	end();
}

/* ---- sockets ---- */

static struct sockaddr_un wait_address(void)
{
	struct sockaddr_un addr = { .sun_family = AF_UNIX };

	snprintf(addr.sun_path, sizeof(addr.sun_path), "%s/socket", victim_dir);
	return addr;
}

static void listen_here(int backlog)
{
	struct sockaddr_un addr = wait_address();

	fd = V_SYS(socket(AF_UNIX, SOCK_STREAM, 0));
	V_SYS(bind(fd, (struct sockaddr *)&addr, sizeof(addr)));
	V_SYS(listen(fd, backlog));
}

static int connect_there(int sock)
{
	struct sockaddr_un addr = wait_address();

	return connect(sock, (struct sockaddr *)&addr, sizeof(addr));
}

static void connect_later(void)
{
	V_SYS(connect_there(V_SYS(socket(AF_UNIX, SOCK_STREAM, 0))));
}

WAITS_IN(accept)
{
	listen_here(1);
	later(connect_later);
	begin(__NR_accept);
	V_SYS(accept(fd, NULL, NULL));
	end();
}

static void accept_one(void)
{
	V_SYS(accept(fd, NULL, NULL));
}

WAITS_IN(connect_to_full_backlog)
{
	int s = V_SYS(socket(AF_UNIX, SOCK_STREAM, 0));

	listen_here(0);
	V_SYS(connect_there(V_SYS(socket(AF_UNIX, SOCK_STREAM, 0))));
	later(accept_one);
	begin(__NR_connect);
	V_SYS(connect_there(s));
	end();
}

WAITS_IN(recv)
{
	char byte;

	make_pair(SOCK_SEQPACKET);
	later(write_byte);
	begin(__NR_recvfrom);
	V_EQUAL(1, recv(fd, &byte, 1, 0));
	end();
}

WAITS_IN(send_to_full_socket)
{
	make_pair(SOCK_STREAM);
	fill(other_fd);
	later(read_all);
	begin(__NR_sendto);
	V_EQUAL(1, send(other_fd, "x", 1, 0));
	end();
}

/* ---- locks ---- */

static const struct flock whole_file = { .l_type = F_WRLCK };

/* A child takes the lock and gives it up by its end. */
static void lock_until_later(int cmd)
{
	int ready[2];
	char byte;

	V_SYS(pipe(ready));
	if (!V_SYS(fork())) {
		V_SYS(fcntl(V_SYS(open(wait_path("lock"), O_RDWR)), cmd, &whole_file));
		V_EQUAL(1, write(ready[1], "x", 1));
		sleep_ms(WAIT_MS + 2);
		_exit(0);
	}
	V_EQUAL(1, read(ready[0], &byte, 1));
}

WAITS_IN(record_lock)
{
	fd = V_SYS(open(wait_path("lock"), O_RDWR | O_CREAT, 0600));
	lock_until_later(F_SETLK);
	begin(__NR_fcntl);
	V_SYS(fcntl(fd, F_SETLKW, &whole_file));
	end();
}

WAITS_IN(record_lock_of_a_file)
{
	fd = V_SYS(open(wait_path("lock"), O_RDWR | O_CREAT, 0600));
	lock_until_later(F_OFD_SETLK);
	begin(__NR_fcntl);
	V_SYS(fcntl(fd, F_OFD_SETLKW, &whole_file));
	end();
}

/* ---- IPC ---- */

static struct { long type; char text[64]; } message = { .type = 1 };

static void send_message(void)
{
	V_SYS(msgsnd(fd, &message, sizeof(message.text), 0));
}

static void get_message(void)
{
	V_SYS(msgrcv(fd, &message, sizeof(message.text), 0, 0));
}

WAITS_IN(msgrcv)
{
	fd = V_SYS(msgget(IPC_PRIVATE, 0600));
	later(send_message);
	begin(__NR_msgrcv);
	V_EQUAL(64, msgrcv(fd, &message, sizeof(message.text), 0, 0));
	msgctl(fd, IPC_RMID, NULL);
	end();
}

WAITS_IN(msgsnd_to_full_queue)
{
	fd = V_SYS(msgget(IPC_PRIVATE, 0600));
	while (!msgsnd(fd, &message, sizeof(message.text), IPC_NOWAIT))
		;
	later(get_message);
	begin(__NR_msgsnd);
	V_SYS(msgsnd(fd, &message, sizeof(message.text), 0));
	msgctl(fd, IPC_RMID, NULL);
	end();
}

static void semaphore_up(void)
{
	struct sembuf up = { .sem_op = 1 };

	V_SYS(semop(fd, &up, 1));
}

WAITS_IN(semop)
{
	struct sembuf down = { .sem_op = -1 };

	fd = V_SYS(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	later(semaphore_up);
	begin(__NR_semop);
	V_SYS(syscall(__NR_semop, fd, &down, 1));
	semctl(fd, 0, IPC_RMID);
	end();
}

static void open_queue(void)
{
	struct mq_attr attr = { .mq_maxmsg = 1, .mq_msgsize = 8 };

	mq_unlink("/ckpt_invisible");
	fd = V_SYS(mq_open("/ckpt_invisible", O_RDWR | O_CREAT | O_EXCL, 0600, &attr));
}

static void queue_send(void)
{
	V_SYS(mq_send(fd, "x", 1, 0));
}

static void queue_receive(void)
{
	char buf[8];

	V_EQUAL(1, mq_receive(fd, buf, sizeof(buf), NULL));
}

WAITS_IN(mq_receive)
{
	open_queue();
	later(queue_send);
	begin(__NR_mq_timedreceive);
	queue_receive();
	mq_unlink("/ckpt_invisible");
	end();
}

WAITS_IN(mq_send_to_full_queue)
{
	open_queue();
	queue_send();
	later(queue_receive);
	begin(__NR_mq_timedsend);
	queue_send();
	mq_unlink("/ckpt_invisible");
	end();
}

/* ---- processes ---- */

static uint32_t *shared_word;

static void wake_word(void)
{
	*shared_word = 1;
	V_EQUAL(1, syscall(__NR_futex, shared_word, FUTEX_WAKE, 1, NULL, NULL, 0));
}

WAITS_IN(futex_in_shared_memory)
{
	shared_word = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(shared_word != MAP_FAILED);
	later(wake_word);
	begin(__NR_futex);
	V_SYS(syscall(__NR_futex, shared_word, FUTEX_WAIT, 0, NULL, NULL, 0));
	end();
}

static void ignore(int sig)
{
}

WAITS_IN(pause)
{
	signal(SIGUSR1, ignore);
	later(signal_parent);
	begin(__NR_pause);
	V_EQUAL(-1, syscall(__NR_pause));
	V_EQUAL(EINTR, errno);
	end();
}

WAITS_IN(sigsuspend)
{
	uint64_t none = 0;

	signal(SIGUSR1, ignore);
	later(signal_parent);
	begin(__NR_rt_sigsuspend);
	V_EQUAL(-1, syscall(__NR_rt_sigsuspend, &none, 8));
	V_EQUAL(EINTR, errno);
	end();
}

WAITS_IN(vfork)
{
	begin(__NR_vfork);
	if (!vfork()) {
		sleep_ms(WAIT_MS + 2);
		_exit(0);
	}
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
