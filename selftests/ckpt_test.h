/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Checkpoint/restart selftests: what they have in common.
 *
 * Most tests are about a victim: a process that brings itself into some state,
 * says that it is ready, is checkpointed (and, where the test says so, killed
 * and restarted) and finds out by itself whether that state is still there.
 * The victim is this very program, executed again, so that it inherits nothing
 * of the test: it has no children, no shared memory, no descriptors but 0 to 2,
 * which are /dev/null.
 *
 * Test and victim talk through one page of the victim's private memory at a
 * fixed address, which the test reads and writes from outside.  Nothing of that
 * needs more than anonymous memory to survive.
 *
 *	SURVIVES(fixture, promise)
 *	{
 *		... set up ...
 *		victim_ready();			here it is checkpointed
 *		V_CHECK(... still there ...);
 *	}
 *
 * CKPT_TEST_DRY=1 in the environment leaves out the checkpoint and the restart:
 * what a victim expects must hold on any kernel then.
 */
#ifndef CKPT_TEST_H
#define CKPT_TEST_H

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>

#include <linux/capability.h>
#include <linux/checkpoint.h>

#include "../kselftest_harness.h"

/* Its EXPECT_*() compare a literal 0 with whatever they are given. */
#pragma GCC diagnostic ignored "-Wsign-compare"
/* It calls setjmp() in functions that a test is inlined into. */
#pragma GCC diagnostic ignored "-Wclobbered"

#ifndef __aligned
#define __aligned(x)	__attribute__((aligned(x)))
#endif
#ifndef __noreturn
#define __noreturn	__attribute__((noreturn))
#endif
#ifndef __printf
#define __printf(a, b)	__attribute__((format(printf, a, b)))
#endif

/* An emulated machine with all debugging on is very slow. */
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT	300
#define WAIT_SECONDS		90

#ifndef __NR_checkpoint
#define __NR_checkpoint		548
#endif
#ifndef __NR_restart
#define __NR_restart		549
#endif

/* ---- the system calls ---- */

static inline long sys_checkpoint(pid_t pid, const void *args, size_t size)
{
	long ret = syscall(__NR_checkpoint, pid, args, size);

	return ret < 0 ? -errno : ret;
}

static inline long sys_restart(const void *args, size_t size)
{
	long ret = syscall(__NR_restart, args, size);

	return ret < 0 ? -errno : ret;
}

static inline bool dry_run(void)
{
	return getenv("CKPT_TEST_DRY");
}

/* How many times slower than usual this guest is: for the margins of times. */
static inline int slowness(void)
{
	const char *text = getenv("CKPT_TEST_SLOWNESS");

	return text ? atoi(text) : 1;
}

static inline bool have_checkpoint(void)
{
	return dry_run() || sys_checkpoint(0, NULL, 0) != -ENOSYS;
}

/* The only reason for which all tests are skipped. */
#define REQUIRE_CHECKPOINT()						\
	do {								\
		if (!have_checkpoint())					\
			SKIP(return, "kernel without CONFIG_CKPT");	\
	} while (0)

/* For tests that are about the system calls alone. */
#define REQUIRE_REAL_CHECKPOINT()					\
	do {								\
		REQUIRE_CHECKPOINT();					\
		if (dry_run())						\
			SKIP(return, "nothing to see in a dry run");	\
	} while (0)

/* ---- small helpers ---- */

static inline void __printf(1, 2)
test_log(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs("# ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
	va_end(ap);
}

static inline int64_t now_ns(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return ts.tv_sec * 1000000000LL + ts.tv_nsec;
}

static inline void sleep_ns(int64_t ns)
{
	struct timespec ts = { ns / 1000000000, ns % 1000000000 };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

static inline void sleep_ms(int64_t ms)
{
	sleep_ns(ms * 1000000);
}

/* Evaluate @cond until it is true, at most WAIT_SECONDS. */
#define WAIT_FOR(cond)							\
	({								\
		int64_t __end = now_ns(CLOCK_MONOTONIC) +		\
				WAIT_SECONDS * 1000000000LL;		\
		bool __true;						\
									\
		while (!(__true = (cond)) &&				\
		       now_ns(CLOCK_MONOTONIC) < __end)			\
			sleep_ms(1);					\
		__true;							\
	})

/* A file's contents as a string; its length or -errno. */
static inline ssize_t read_text(const char *path, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t got;
	int fd;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((got = read(fd, buf + len, size - 1 - len)) > 0)
		len += got;
	close(fd);
	buf[len] = '\0';
	return len;
}

static inline int write_text(const char *path, const char *text)
{
	ssize_t len = strlen(text), done;
	int fd;

	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	done = write(fd, text, len);
	close(fd);
	return done == len ? 0 : -EIO;
}

/* One field of /proc/PID/status and the like as a number, or -1. */
static inline long proc_value(pid_t pid, const char *file, const char *field)
{
	char path[64], line[512];
	size_t len = strlen(field);
	long value = -1;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, file);
	in = fopen(path, "re");
	while (in && fgets(line, sizeof(line), in))
		if (!strncmp(line, field, len) && line[len] == ':') {
			value = strtol(line + len + 1, NULL, 0);
			break;
		}
	if (in)
		fclose(in);
	return value;
}

/* The state letter of /proc/PID/task/TID/stat, or 0. */
static inline char proc_state(pid_t pid, pid_t tid)
{
	char path[64], text[512], *end;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/stat", pid, tid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return 0;
	end = strrchr(text, ')');
	return end && end[1] == ' ' ? end[2] : 0;
}

/* Is it asleep in system call @nr (or goes on with it as restart_syscall)? */
static inline bool proc_in_syscall(pid_t pid, pid_t tid, long nr)
{
	char path[64], text[512], *end;
	long now;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/syscall", pid, tid);
	if (read_text(path, text, sizeof(text)) <= 0)
		return false;
	now = strtol(text, &end, 10);
	return end != text && (now == nr || now == __NR_restart_syscall);
}

/* Random tests: what repeats a run of one, and how much of it there is to be. */
static inline unsigned int the_seed(void)
{
	const char *text = getenv("CKPT_TEST_SEED");
	unsigned int seed = text ? strtoul(text, NULL, 0) : (unsigned long)now_ns(CLOCK_REALTIME);

	test_log("CKPT_TEST_SEED=%u", seed);
	return seed;
}

static inline int the_count(int count)
{
	const char *text = getenv("CKPT_TEST_COUNT");

	return text ? atoi(text) : count;
}

/* How long tests go on that could go on for ever. */
static inline int the_seconds(int seconds)
{
	const char *text = getenv("CKPT_TEST_SECONDS");

	return text ? atoi(text) : seconds;
}

/* Only in this process: it may not do any more what capability @nr lets one do. */
static inline int drop_capability(int nr)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct data[2];

	if (syscall(__NR_capget, &head, data))
		return -errno;
	data[nr / 32].effective &= ~(1U << nr % 32);
	return syscall(__NR_capset, &head, data) ? -errno : 0;
}

static inline int remove_one(const char *path, const struct stat *st, int flag,
			     struct FTW *ftw)
{
	remove(path);
	return 0;
}

/* ---- the page that test and victim share ---- */

/* Below 2 GiB, so that code without a free register can name it. */
#define VICTIM_PAGE_ADDR	0x10000000
#define VICTIM_PAGE_SIZE	4096
#define VICTIM_WORDS		400

/**
 * struct victim_page - what the victim says and what it is told
 * @ready:	how often it has said that it is ready
 * @go:		how often it has been told to go on
 * @failed:	line of the check that failed; then it waits to be killed
 * @asleep_in:	it is ready once its thread @asleep_tid sleeps in this system
 *		call, -1 for none
 * @asleep_tid:	that thread
 * @pause_ms:	the test waits so long between killing and restarting it
 * @why:	the check that failed
 * @word:	whatever else test and victim have to say to each other
 */
struct victim_page {
	volatile int	ready;
	volatile int	go;
	volatile int	failed;
	volatile int	asleep_in;
	volatile int	asleep_tid;
	volatile int	pause_ms;
	char		why[256];
	volatile long	word[VICTIM_WORDS];
};

#define vpage	((struct victim_page *)VICTIM_PAGE_ADDR)

/* ---- the victim's side ---- */

struct victim_program {
	const char		*name;
	void			(*run)(void);
	struct victim_program	*next;
};

static struct victim_program *victim_programs;
static const char *victim_dir;		/* an empty directory for its files */
static const char *victim_arg;		/* one argument of the test's choice */

/* The code between VICTIM(name) and its closing brace runs in the victim. */
#define VICTIM(_name)							\
	static void victim_##_name(void);				\
	static struct victim_program victim_program_##_name = {		\
		.name = #_name,						\
		.run = victim_##_name,					\
	};								\
	static void __attribute__((constructor))			\
	victim_register_##_name(void)					\
	{								\
		victim_program_##_name.next = victim_programs;		\
		victim_programs = &victim_program_##_name;		\
	}								\
	static void victim_##_name(void)

static inline void __noreturn
victim_fail(int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	/* a test that uses what is made for victims */
	if (!victim_dir) {
		fprintf(stderr, "# line %d: ", line);
		vfprintf(stderr, fmt, ap);
		fputc('\n', stderr);
		abort();
	}
	vsnprintf(vpage->why, sizeof(vpage->why), fmt, ap);
	va_end(ap);
	__sync_synchronize();
	vpage->failed = line;
	for (;;)
		pause();
}

#define V_CHECK(cond)							\
	do {								\
		if (!(cond))						\
			victim_fail(__LINE__, "%s (errno %d)", #cond,	\
				    errno);				\
	} while (0)

#define V_EQUAL(expected, seen)						\
	do {								\
		long long __want = (long long)(expected);		\
		long long __got = (long long)(seen);			\
									\
		if (__want != __got)					\
			victim_fail(__LINE__, "%s: %lld (%#llx), not %lld (%#llx)", \
				    #seen, __got, __got, __want, __want); \
	} while (0)

/* For a system call that has to succeed. */
#define V_SYS(call)							\
	({								\
		long __ret = (long)(call);				\
									\
		if (__ret == -1)					\
			victim_fail(__LINE__, "%s: %s", #call,		\
				    strerror(errno));			\
		__ret;							\
	})

/* Say that it is ready for the next checkpoint; does not wait for it. */
static inline int victim_reach(void)
{
	vpage->asleep_in = -1;
	__sync_synchronize();
	return ++vpage->ready;
}

/* The same, for a checkpoint to come while thread @tid sleeps in @nr. */
static inline int victim_reach_thread(pid_t tid, int nr)
{
	vpage->asleep_tid = tid;
	vpage->asleep_in = nr;
	__sync_synchronize();
	return ++vpage->ready;
}

/* ... while the caller does */
static inline int victim_reach_in(int nr)
{
	return victim_reach_thread(gettid(), nr);
}

static inline bool victim_told(int turn)
{
	return vpage->go >= turn;
}

/* Wait for the checkpoint (and restart) to be over. */
static inline void victim_await(int turn)
{
	while (!victim_told(turn))
		sleep_ms(1);
}

/* Before it is ready: what the test is about cannot be had on this machine. */
static inline void victim_cannot(void)
{
	_exit(KSFT_SKIP);
}

static inline void victim_ready(void)
{
	victim_await(victim_reach());
}

/* A file of the victim's, until the next call. */
static inline const char *file_name(const char *name)
{
	static char path[PATH_MAX];

	snprintf(path, sizeof(path), "%s/%s", victim_dir, name);
	return path;
}

/* What the victim has been given as its standard input is descriptor @fd from now on. */
static inline void move_stdin(int fd)
{
	V_EQUAL(fd, dup2(0, fd));
	close(0);
	V_EQUAL(0, open("/dev/null", O_RDONLY));
}

/* The harness keeps what it knows of each test in shared memory. */
static inline void forget_tests(void)
{
	struct __fixture_metadata *f;
	struct __test_metadata *t, *next;

	for (f = __fixture_list; f; f = f->next) {
		for (t = f->tests; t; t = next) {
			next = t->next;
			munmap(t, sizeof(*t));
		}
		f->tests = NULL;
	}
}

/* As main() of every test program has it. */
static inline int victim_main(int argc, char **argv)
{
	struct victim_program *program;
	const char *name = argv[2];

	forget_tests();

	victim_dir = argv[3];
	victim_arg = argv[4];
	prctl(PR_SET_NAME, "victim");
	if (mmap(vpage, VICTIM_PAGE_SIZE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) != vpage)
		return 125;
	for (program = victim_programs; program; program = program->next)
		if (!strcmp(program->name, name)) {
			program->run();
			_exit(0);
		}
	return 126;
}

#define CKPT_TEST_MAIN							\
	int main(int argc, char **argv)					\
	{								\
		if (argc == 5 && !strcmp(argv[1], "--victim"))		\
			return victim_main(argc, argv);			\
		return test_harness_run(argc, argv);			\
	}

/* ---- the test's side ---- */

#define LOG_SIZE	16384

/**
 * struct victim - a victim as the test sees it
 * @pid:	its process ID, also while it is dead
 * @tid:	a thread of it that is alive, if the first one is not
 * @alive:	it has not been reaped
 * @status:	wait status, once reaped
 * @turn:	how often it was ready so far
 * @image:	a memfd for the image
 * @stdio:	descriptors it gets as 0, 1 and 2, -1: /dev/null
 * @exe:	the program, if it is not this one
 * @dir:	a directory for its files
 * @log:	report of the last call
 * @stats:	statistics of the last call
 * @restart_flags: for victim_restart()
 */
struct victim {
	pid_t			pid;
	pid_t			tid;
	bool			alive;
	int			status;
	int			turn;
	int			image;
	int			stdio[3];
	const char		*exe;
	char			dir[64];
	char			log[LOG_SIZE];
	struct checkpoint_stats	stats;
	uint64_t		restart_flags;
};

static inline void victim_init_in(struct victim *v, const char *parent)
{
	memset(v, 0, sizeof(*v));
	memset(v->stdio, 0xff, sizeof(v->stdio));
	v->exe = "/proc/self/exe";
	v->image = memfd_create("image", MFD_CLOEXEC);
	snprintf(v->dir, sizeof(v->dir), "%s/ckpt_test.XXXXXX", parent);
	if (!mkdtemp(v->dir))
		v->dir[0] = '\0';
	else
		chmod(v->dir, 0755);
}

static inline void victim_init(struct victim *v)
{
	victim_init_in(v, "/tmp");
}

/* End it and take it off; 0 if it was alive until now. */
static inline int victim_kill(struct victim *v)
{
	if (!v->alive)
		return -1;
	kill(v->pid, SIGKILL);
	if (waitpid(v->pid, &v->status, 0) != v->pid)
		return -1;
	v->alive = false;
	return WIFSIGNALED(v->status) && WTERMSIG(v->status) == SIGKILL ? 0 : -1;
}

static inline void victim_cleanup(struct victim *v)
{
	victim_kill(v);
	close(v->image);
	if (v->dir[0])
		nftw(v->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static inline void show_log(const char *log)
{
	const char *end;

	for (; *log; log = *end ? end + 1 : end) {
		end = strchrnul(log, '\n');
		test_log("report: %.*s", (int)(end - log), log);
	}
}

static inline int victim_read(struct victim *v, uintptr_t addr, void *buf, size_t len)
{
	struct iovec local = { buf, len }, remote = { (void *)addr, len };

	if (process_vm_readv(v->tid ?: v->pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
		return -1;
	return 0;
}

static inline int victim_write(struct victim *v, uintptr_t addr, const void *buf, size_t len)
{
	struct iovec local = { (void *)buf, len }, remote = { (void *)addr, len };

	if (process_vm_writev(v->tid ?: v->pid, &local, 1, &remote, 1, 0) != (ssize_t)len)
		return -1;
	return 0;
}

#define PAGE_FIELD(field) \
	(VICTIM_PAGE_ADDR + offsetof(struct victim_page, field))

/* What the victim wrote into vpage->word[@nr]. */
static inline long victim_word(struct victim *v, int nr)
{
	long word = 0;

	victim_read(v, PAGE_FIELD(word[nr]), &word, sizeof(word));
	return word;
}

static inline int victim_set_word(struct victim *v, int nr, long word)
{
	return victim_write(v, PAGE_FIELD(word[nr]), &word, sizeof(word));
}

enum victim_event { VICTIM_IS_READY, VICTIM_ENDED, VICTIM_FAILED, VICTIM_CANNOT };

static inline bool victim_reap(struct victim *v)
{
	if (v->alive && waitpid(v->pid, &v->status, WNOHANG) == v->pid)
		v->alive = false;
	return !v->alive;
}

/* Wait until it is ready for the next turn or has come to an end. */
static inline int victim_wait(struct victim *v)
{
	int64_t end = now_ns(CLOCK_MONOTONIC) + WAIT_SECONDS * 1000000000LL;
	struct victim_page seen;

	for (;; sleep_ms(1)) {
		if (victim_reap(v)) {
			if (WIFEXITED(v->status) && !WEXITSTATUS(v->status))
				return VICTIM_ENDED;
			if (WIFEXITED(v->status) && WEXITSTATUS(v->status) == KSFT_SKIP)
				return VICTIM_CANNOT;
			test_log("victim %d ended with status %#x in turn %d", v->pid,
			       v->status, v->turn);
			return VICTIM_FAILED;
		}
		if (now_ns(CLOCK_MONOTONIC) > end) {
			test_log("victim %d does not come to turn %d (state %c)", v->pid,
			       v->turn + 1, proc_state(v->pid, v->pid));
			return VICTIM_FAILED;
		}
		if (victim_read(v, VICTIM_PAGE_ADDR, &seen, sizeof(seen)))
			continue;
		if (seen.failed) {
			test_log("victim %d, line %d, turn %d: %s", v->pid, seen.failed,
			       v->turn, seen.why);
			return VICTIM_FAILED;
		}
		if (seen.ready <= v->turn)
			continue;
		if (seen.asleep_in >= 0 &&
		    !proc_in_syscall(v->pid, seen.asleep_tid, seen.asleep_in))
			continue;
		v->turn++;
		return VICTIM_IS_READY;
	}
}

/* Let it begin; does not wait for it to become ready. */
static inline int victim_spawn(struct victim *v, const char *name, const char *arg)
{
	char *const argv[] = { "victim", "--victim", (char *)name, v->dir,
			       (char *)(arg ? arg : ""), NULL };

	v->turn = 0;
	v->pid = fork();
	if (v->pid < 0)
		return -errno;
	if (!v->pid) {
		int fd[3] = { open("/dev/null", O_RDONLY), open("/dev/null", O_WRONLY) };
		int i;

		fd[2] = fd[1];
		for (i = 0; i < 3; i++)
			if (dup2(v->stdio[i] >= 0 ? v->stdio[i] : fd[i], i) != i)
				_exit(124);
		close_range(3, ~0U, 0);
		if (!chdir("/"))
			execv(v->exe, argv);
		_exit(124);
	}
	v->alive = true;
	return 0;
}

static inline int victim_start_with(struct victim *v, const char *name, const char *arg)
{
	int err = victim_spawn(v, name, arg);

	if (err)
		return err;
	return victim_wait(v) == VICTIM_IS_READY ? 0 : -1;
}

/* Let it begin and wait until it is ready. */
static inline int victim_start(struct victim *v, const char *name)
{
	return victim_start_with(v, name, NULL);
}

static inline struct checkpoint_args checkpoint_args(struct victim *v, uint64_t flags)
{
	memset(v->log, 0, sizeof(v->log));
	memset(&v->stats, 0, sizeof(v->stats));
	return (struct checkpoint_args) {
		.flags = flags,
		.image_fd = flags & CHECKPOINT_CHECK ? -1 : v->image,
		.log = (uintptr_t)v->log,
		.log_size = sizeof(v->log),
		.stats = (uintptr_t)&v->stats,
		.stats_size = sizeof(v->stats),
	};
}

static inline struct restart_args restart_args(struct victim *v, uint64_t flags)
{
	memset(v->log, 0, sizeof(v->log));
	memset(&v->stats, 0, sizeof(v->stats));
	return (struct restart_args) {
		.flags = flags,
		.image_fd = v->image,
		.log = (uintptr_t)v->log,
		.log_size = sizeof(v->log),
		.stats = (uintptr_t)&v->stats,
		.stats_size = sizeof(v->stats),
	};
}

/* Checkpoint into v->image, from its beginning; says nothing on failure. */
static inline long victim_try_checkpoint(struct victim *v, uint64_t flags)
{
	struct checkpoint_args args = checkpoint_args(v, flags);

	if (dry_run())
		return 0;
	if (ftruncate(v->image, 0) || lseek(v->image, 0, SEEK_SET))
		return -errno;
	return sys_checkpoint(v->pid, &args, sizeof(args));
}

/* The same for a checkpoint that is expected to succeed. */
static inline long victim_checkpoint(struct victim *v, uint64_t flags)
{
	long ret = victim_try_checkpoint(v, flags);

	if (ret) {
		test_log("checkpoint of %d: %s", v->pid, strerror(-ret));
		show_log(v->log);
	}
	return ret;
}

static inline long victim_try_restart(struct victim *v, uint64_t flags)
{
	struct restart_args args = restart_args(v, flags);
	long ret;

	if (lseek(v->image, 0, SEEK_SET))
		return -errno;
	ret = sys_restart(&args, sizeof(args));
	if (ret == v->pid)
		v->alive = true;
	return ret;
}

/* Restart it from v->image: 0, or an error if it is not the old PID again. */
static inline long victim_restart(struct victim *v)
{
	long ret = victim_try_restart(v, v->restart_flags);

	if (ret == v->pid)
		return 0;
	test_log("restart of %d: %ld (%s)", v->pid, ret, ret < 0 ? strerror(-ret) : "another pid");
	show_log(v->log);
	return ret < 0 ? ret : -ECHILD;
}

/* Checkpoint it, and end it: all there is of it then is the image. */
static inline long victim_save(struct victim *v)
{
	long err = victim_checkpoint(v, 0);

	if (err)
		return err;
	if (victim_kill(v)) {
		test_log("victim %d was dead after the checkpoint, status %#x", v->pid, v->status);
		return -ESRCH;
	}
	return 0;
}

static inline long victim_start_and_save(struct victim *v, const char *name)
{
	return victim_start(v, name) ? -1 : victim_save(v);
}

/* The error of a restart whose caller lacks a capability; 0 if there is none. */
static inline long restart_without(struct victim *v, int capability)
{
	int status = 0;
	pid_t pid;
	long ret;

	pid = fork();
	if (!pid) {
		ret = drop_capability(capability) ? 0 : victim_try_restart(v, 0);
		_exit(ret < 0 ? -ret : 0);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return -WEXITSTATUS(status);
}

/* Is a checkpoint refused, and do the report's words say @where and why? */
static inline bool refuses(struct victim *v, const char *where, const char *why)
{
	long ret = victim_try_checkpoint(v, 0);

	if (ret == -EOPNOTSUPP && strstr(v->log, where) && strstr(v->log, why))
		return true;
	test_log("checkpoint of %d: %ld, instead of a refusal with \"%s\", \"%s\"", v->pid, ret,
		 where, why);
	show_log(v->log);
	return false;
}

/* Checkpoint it; if @restart kill and restart it too. */
static inline long victim_cycle(struct victim *v, int restart)
{
	int pause_ms = 0;
	long err;

	if (dry_run())
		return 0;
	victim_read(v, PAGE_FIELD(pause_ms), &pause_ms, sizeof(pause_ms));
	err = restart ? victim_save(v) : victim_checkpoint(v, 0);
	if (err || !restart)
		return err;
	sleep_ms(pause_ms);
	return victim_restart(v);
}

/* Let a victim that waits in victim_ready() go on. */
static inline int victim_go(struct victim *v)
{
	return victim_write(v, PAGE_FIELD(go), &v->turn, sizeof(v->turn));
}

/* The same, and wait until it is ready again. */
static inline int victim_next(struct victim *v)
{
	return victim_go(v) || victim_wait(v) != VICTIM_IS_READY ? -1 : 0;
}

/* It has to end by itself, contented. */
static inline int victim_end(struct victim *v)
{
	int event = victim_wait(v);

	if (event == VICTIM_IS_READY)
		test_log("victim %d is ready once more than expected", v->pid);
	return event == VICTIM_ENDED ? 0 : -1;
}

/* Let it go on, and to its end. */
static inline int victim_finish(struct victim *v)
{
	if (victim_go(v)) {
		victim_wait(v);
		return -1;
	}
	return victim_end(v);
}

#define LIFE_CANNOT_BE	1	/* see victim_cannot() */

/*
 * The whole life of victim @name: whenever it is ready, @cycle takes a checkpoint and does
 * with the victim what is to be done @how.
 */
static inline int victim_live_by(struct victim *v, const char *name,
				 long (*cycle)(struct victim *v, int how), int how)
{
	int event;
	long err;

	err = victim_spawn(v, name, NULL);
	if (err)
		return err;
	while ((event = victim_wait(v)) == VICTIM_IS_READY) {
		err = cycle(v, how);
		if (err)
			return err;
		if (victim_go(v) && !victim_reap(v))
			return -EFAULT;
	}
	if (event == VICTIM_CANNOT)
		return LIFE_CANNOT_BE;
	if (event == VICTIM_ENDED && !v->turn) {
		test_log("victim %s ended without a checkpoint", name);
		return -1;
	}
	return event == VICTIM_ENDED ? 0 : -1;
}

static inline int victim_live(struct victim *v, const char *name, bool restart)
{
	return victim_live_by(v, name, victim_cycle, restart);
}

/*
 * A promise about what the process itself can see, whatever @cycle does with it whenever
 * it is ready; see victim_live_by().
 */
#define SURVIVES_BY(fixture, promise, cycle, how)			\
	VICTIM(promise);						\
	TEST_F(fixture, promise)					\
	{								\
		int __ret = victim_live_by(&self->v, #promise, cycle, how); \
									\
		if (__ret == LIFE_CANNOT_BE)				\
			SKIP(return, "what it is about cannot be had here"); \
		ASSERT_EQ(0, __ret);					\
	}								\
	static void victim_##promise(void)

#define SURVIVES(fixture, promise)					\
	SURVIVES_BY(fixture, promise, victim_cycle, variant->restart)

/* What is refused, as the report says by @where and @why; the victim goes on unharmed. */
#define IS_REFUSED(fixture, what, where, why)				\
	VICTIM(what);							\
	TEST_F(fixture, what)						\
	{								\
		ASSERT_EQ(0, victim_start(&self->v, #what));		\
		EXPECT_TRUE(refuses(&self->v, where, why));		\
		EXPECT_EQ(0, victim_finish(&self->v));			\
	}								\
	static void victim_##what(void)

/* ---- fixtures ---- */

/*
 * Every test twice, with the process going on after its checkpoint and with a restarted
 * one.  For fixtures whose setup is another than that of CKPT_FIXTURE().
 */
#define CKPT_TWICE(name)						\
	FIXTURE_VARIANT(name) { bool restart; };			\
	FIXTURE_VARIANT_ADD(name, continued) { .restart = false };	\
	FIXTURE_VARIANT_ADD(name, restarted) { .restart = true }

/* A test of such a fixture that is about the restart alone. */
#define REQUIRE_RESTART()						\
	do {								\
		if (!variant->restart)					\
			SKIP(return, "the restart is what it is about"); \
		REQUIRE_REAL_CHECKPOINT();				\
	} while (0)

/* A victim with its files in directory @parent; @require() skips what cannot be. */
#define CKPT_VICTIM_IN(name, parent, require)				\
	FIXTURE_SETUP(name)						\
	{								\
		require();						\
		victim_init_in(&self->v, parent);			\
	}								\
	FIXTURE_TEARDOWN(name)						\
	{								\
		victim_cleanup(&self->v);				\
	}

/* The fixture of a file: a victim, and every test twice. */
#define CKPT_FIXTURE_IN(name, parent)					\
	FIXTURE(name) { struct victim v; };				\
	CKPT_TWICE(name);						\
	CKPT_VICTIM_IN(name, parent, REQUIRE_CHECKPOINT)

#define CKPT_FIXTURE(name)						\
	CKPT_FIXTURE_IN(name, "/tmp")

/* A victim, and every test once; the test itself says what is done with it. */
#define CKPT_FIXTURE_ONCE(name)						\
	FIXTURE(name) { struct victim v; };				\
	CKPT_VICTIM_IN(name, "/tmp", REQUIRE_CHECKPOINT)

/* The same for tests that mean nothing in a dry run. */
#define CKPT_FIXTURE_REAL(name)						\
	FIXTURE(name) { struct victim v; };				\
	CKPT_VICTIM_IN(name, "/tmp", REQUIRE_REAL_CHECKPOINT)

#endif /* CKPT_TEST_H */
