// SPDX-License-Identifier: LGPL-2.1
/*
 * Checkpoints that the kernel takes by itself, and taking part in them: the kernel is
 * made up, the signals are real.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>

#include "../src/internal.h"
#include "../tool/ckpt.h"
#include "ktap.h"

/* What the next calls are to do, and what they were called with */
static struct {
	bool no_kernel;
	int take_error;
	int take_result;
	void (*while_taken)(void);
	int opt_in_error;

	unsigned int calls;	/* system calls that this file sees */
	unsigned int taken;
	unsigned long take_flags;
	unsigned long limit;
	bool opted_in;
	char set[1024];
	pid_t sent_to;
	int sent_value;
} fake;

int __wrap_prctl(int option, ...);
int __wrap_sigqueue(pid_t pid, int sig, const union sigval value);
int __real_sigqueue(pid_t pid, int sig, const union sigval value);
int __wrap_access(const char *path, int mode);
long __wrap_syscall(long number, ...);
long __real_syscall(long number, ...);

static int fail(int error)
{
	errno = error;
	return -1;
}

static int take(unsigned long flags)
{
	fake.taken++;
	fake.take_flags = flags;
	if (fake.while_taken)
		fake.while_taken();
	return fake.take_error ? fail(fake.take_error) : fake.take_result;
}

int __wrap_prctl(int option, ...)
{
	unsigned long operation, arg, arg2;
	va_list args;

	va_start(args, option);
	operation = va_arg(args, unsigned long);
	arg = va_arg(args, unsigned long);
	arg2 = va_arg(args, unsigned long);
	va_end(args);
	fake.calls++;
	if (option != PR_CHECKPOINT || fake.no_kernel)
		return fail(EINVAL);
	switch (operation) {
	case PR_CHECKPOINT_OPT_IN:
		if (fake.opt_in_error)
			return fail(fake.opt_in_error);
		fake.limit = arg;
		fake.opted_in = true;
		return 0;
	case PR_CHECKPOINT_OPT_OUT:
		fake.opted_in = false;
		return 0;
	case PR_CHECKPOINT_GET_OPT_IN:
		return fake.opted_in;
	case PR_CHECKPOINT_SET:
		snprintf(fake.set, sizeof(fake.set), "%.*s", (int)arg2, (const char *)arg);
		return strstr(fake.set, "keep=1001") ? fail(EINVAL) : 0;
	case PR_CHECKPOINT_TAKE:
		return take(arg);
	}
	return fail(EINVAL);
}

int __wrap_sigqueue(pid_t pid, int sig, const union sigval value)
{
	if (sig != SIGCKPT)
		abort();
	fake.sent_to = pid;
	fake.sent_value = value.sival_int;
	return 0;
}

int __wrap_access(const char *path, int mode)
{
	(void)mode;
	if (strcmp(path, "/proc/sys/kernel/checkpoint_pattern"))
		abort();
	return fake.no_kernel ? fail(ENOENT) : 0;
}

/* Only for futex(2) */
long __wrap_syscall(long number, ...)
{
	unsigned long arg[4];
	va_list args;
	int i;

	va_start(args, number);
	for (i = 0; i < 4; i++)
		arg[i] = va_arg(args, unsigned long);
	va_end(args);
	fake.calls++;
	return __real_syscall(number, arg[0], arg[1], arg[2], arg[3], NULL, 0);
}

/* A request, as the kernel makes one of a process that takes part */
static void request(unsigned int flags)
{
	__real_sigqueue(getpid(), SIGCKPT, (union sigval){ .sival_int = flags });
}

/* ---- text ---- */

static bool parses_status(void)
{
	char text[] =
		"takes_part:\t1\n"
		"interval_ms:\t600000\n"
		"mtbf_s:\t0\n"
		"full_every:\t10\n"
		"keep:\t2\n"
		"tracker:\twrite-protect\n"
		"across_exec:\t1\n"
		"remove_at_exit:\t0\n"
		"pattern:\t/a\\134b/%n\\012\n"
		"state:\trunning\n"
		"interval_now_ms:\t600001\n"
		"next_ms:\t1234\n"
		"something_new:\t1\n"
		"requests:\t5\n"
		"coalesced:\t1\n"
		"images:\t18446744073709551615\n"
		"failed:\t3\n"
		"failures_in_a_row:\t2\n"
		"next_number:\t9\n"
		"images_in_chain:\t4\n"
		"bytes:\t123456\n"
		"cost_ns:\t99\n"
		"last_bytes:\t100\n"
		"last_freeze_ns:\t101\n"
		"last_total_ns:\t102\n"
		"last_time_ns:\t1700000000123456789\n"
		"last_uuid:\tf218235b-76e3-45df-99d5-719461e75751\n"
		"last_image:\t/var/x.ckpt\n"
		"last_error:\t28\n"
		"report:\tfirst: with colon\n"
		"report:\tsecond\n";
	static const uint8_t uuid[] = {
		0xf2, 0x18, 0x23, 0x5b, 0x76, 0xe3, 0x45, 0xdf,
		0x99, 0xd5, 0x71, 0x94, 0x61, 0xe7, 0x57, 0x51,
	};
	struct ckpt_auto_status s;

	lcr_auto_parse(text, &s);
	CHECK(s.takes_part == 1 && s.interval_ms == 600000 && s.mtbf_s == 0);
	CHECK(s.full_every == 10 && s.keep == 2 && s.across_exec == 1);
	CHECK(s.tracker == CKPT_TRACKER_WRITE_PROTECT && s.state == CKPT_AUTO_RUNNING);
	CHECK(!strcmp(s.pattern, "/a\\b/%n\n"), "%s", s.pattern);
	CHECK(s.interval_now_ms == 600001 && s.next_ms == 1234);
	CHECK(s.requests == 5 && s.coalesced == 1 && s.images == UINT64_MAX);
	CHECK(s.failed == 3 && s.failures_in_a_row == 2 && s.next_number == 9);
	CHECK(s.images_in_chain == 4 && s.bytes == 123456 && s.cost_ns == 99);
	CHECK(s.last_bytes == 100 && s.last_freeze_ns == 101 && s.last_total_ns == 102);
	CHECK(s.last_time_ns == 1700000000123456789 && !memcmp(s.last_uuid, uuid, 16));
	CHECK(!strcmp(s.last_image, "/var/x.ckpt") && s.last_error == 28);
	CHECK(!strcmp(s.report, "first: with colon\nsecond\n"), "%s", s.report);
	return true;
}

static bool parses_anything(void)
{
	static const char * const texts[] = {
		"", "\n", ":", "pattern:", "last_uuid:\tf2", "last_uuid:\tf218-\n",
		"last_uuid:\tf2182", "report:", "report:\n", "state:\tdancing\n",
		"tracker:\tguess\n", "pattern:\t\\1\\12\\x\\\n", "no colon at all",
	};
	struct ckpt_auto_status s;
	char text[64];
	size_t i;

	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		strcpy(text, texts[i]);
		lcr_auto_parse(text, &s);
		CHECK(s.pattern && s.last_image && s.report, "%zu", i);
		CHECK(s.next_ms == -1 && s.state == CKPT_AUTO_IDLE &&
		      s.tracker == CKPT_TRACKER_OFF, "%zu", i);
	}
	return true;
}

static bool parses_times(void)
{
	static const struct {
		const char *text;
		uint64_t ms;
	} good[] = {
		{ "10m", 600000 }, { "1.5h", 5400000 }, { "500ms", 500 }, { "30", 30000 },
		{ "30s", 30000 }, { "2d", 172800000 }, { "0.001", 1 }, { "24h", 86400000 },
	};
	static const char * const bad[] = {
		"", "m", "10x", "-1", "+1", "1e3", "0x10", "nan", "inf", "0", "0.1ms", " 1",
		"1 m", "1..2", "1.2.3", ".", "99999999999d", "10mm",
	};
	uint64_t ms;
	size_t i;

	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		ms = 0;
		CHECK(parse_duration(good[i].text, &ms) && ms == good[i].ms, "%s: %lu",
		      good[i].text, (unsigned long)ms);
	}
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		CHECK(!parse_duration(bad[i], &ms), "%s", bad[i]);
	CHECK(!strcmp(format_duration(999), "999ms") && !strcmp(format_duration(12340), "12.3s"));
	CHECK(!strcmp(format_duration(600000), "10m00s"));
	CHECK(!strcmp(format_duration(5400000), "1h30m"));
	CHECK(!strcmp(format_duration(183600000), "2d03h"));
	return true;
}

/* ---- settings and requests ---- */

static void reset(void)
{
	memset(&fake, 0, sizeof(fake));
}

static bool writes_settings(void)
{
	struct ckpt_auto_options opts = {
		.size = sizeof(opts), .interval_ms = 600000, .full_every = 10, .keep = 2,
		.tracker = CKPT_TRACKER_SHADOW, .across_exec = 1, .pattern = "/a/%n",
	};

	reset();
	errno = 7;
	CHECK(!ckpt_auto_set(0, &opts) && errno == 7);
	CHECK(!strcmp(fake.set, "interval_ms=600000 full_every=10 keep=2 "
		      "tracker=shadow across_exec=1 remove_at_exit=0 pattern=/a/%n"), "%s", fake.set);
	opts = (struct ckpt_auto_options){ .size = sizeof(opts), .mtbf_s = 86400 };
	CHECK(!ckpt_auto_set(0, &opts));
	CHECK(!strcmp(fake.set, "mtbf_s=86400 full_every=1 keep=0 "
		      "tracker=auto across_exec=0 remove_at_exit=0 pattern="), "%s", fake.set);
	CHECK(!ckpt_auto_set(0, NULL) && !strcmp(fake.set, "off"));
	return true;
}

static bool refuses_settings(void)
{
	struct {
		struct ckpt_auto_options opts;
		uint64_t more;
	} large = { .opts.size = sizeof(large), .more = 1 };
	struct ckpt_auto_options opts = { .size = sizeof(opts), .interval_ms = 1, .mtbf_s = 1 };
	char pattern[300];

	reset();
	CHECK(ckpt_auto_set(0, &opts) && errno == EINVAL);
	opts.mtbf_s = 0;
	opts.pattern = "/a b";
	CHECK(ckpt_auto_set(0, &opts) && errno == EINVAL);
	memset(pattern, 'a', sizeof(pattern));
	pattern[256] = '\0';
	opts.pattern = pattern;
	CHECK(ckpt_auto_set(0, &opts) && errno == ENAMETOOLONG);
	pattern[255] = '\0';
	CHECK(!ckpt_auto_set(0, &opts));
	opts.tracker = 4;
	CHECK(ckpt_auto_set(0, &opts) && errno == EINVAL);
	opts.tracker = 0;
	opts.keep = 1001;	/* the kernel */
	CHECK(ckpt_auto_set(0, &opts) && errno == EINVAL);
	opts.size = 8;
	CHECK(ckpt_auto_set(0, &opts) && errno == EINVAL);
	CHECK(ckpt_auto_set(0, &large.opts) && errno == E2BIG);
	CHECK(ckpt_auto_set(-1, NULL) && errno == EINVAL);
	CHECK(!ckpt_auto_open(-1) && errno == EINVAL);
	return true;
}

static bool sends_only_what_is_known(void)
{
	reset();
	errno = 7;
	CHECK(!ckpt_request(4711, CKPT_REQUEST_FULL | CKPT_REQUEST_EXIT) && errno == 7);
	CHECK(fake.sent_to == 4711 && fake.sent_value == 5);
	CHECK(!ckpt_request(0, 0) && fake.sent_to == getpid() && fake.sent_value == 0);
	CHECK(ckpt_request(-1, 0) && errno == EINVAL);
	CHECK(!ckpt_request(1, CKPT_REQUEST_SINGLE) && fake.sent_value == 16);
	CHECK(ckpt_request(1, 32) && errno == EINVAL);
	CHECK(ckpt_request(1, CKPT_REQUEST_FULL | CKPT_REQUEST_INCREMENTAL) &&
	      errno == EINVAL);
	CHECK(ckpt_request(1, CKPT_REQUEST_TREE | CKPT_REQUEST_SINGLE) && errno == EINVAL);
	reset();
	fake.no_kernel = true;
	CHECK(ckpt_request(1, 0) && errno == ENOSYS && !fake.sent_to);
	CHECK(ckpt_auto_set(0, NULL) && errno == ENOSYS);
	CHECK(ckpt_auto_set(getpid(), NULL) && errno == ENOSYS);
	CHECK(!ckpt_auto_open(0) && errno == ENOSYS);
	CHECK(ckpt_take(0) && errno == ENOSYS);
	CHECK(ckpt_hooks_set(NULL) && errno == ENOSYS);
	CHECK(ckpt_hooks_set(&(struct ckpt_hooks){ .size = sizeof(struct ckpt_hooks) }) &&
	      errno == ENOSYS);
	return true;
}

static bool takes(void)
{
	reset();
	errno = 7;
	CHECK(ckpt_take(CKPT_REQUEST_INCREMENTAL) == 0 && errno == 7 && fake.take_flags == 2);
	fake.take_result = 1;
	CHECK(ckpt_take(0) == 1 && errno == 7);
	fake.take_error = ENOSPC;
	CHECK(ckpt_take(0) == -1 && errno == ENOSPC);
	CHECK(ckpt_take(32) == -1 && errno == EINVAL && fake.taken == 3);
	return true;
}

/* ---- hooks ---- */

static char calls[256];
static int hook_result;

static void before(void *arg)
{
	strcat(calls, arg);
	strcat(calls, "B");
	errno = 99;
}

static void after(int error, void *arg)
{
	(void)arg;
	sprintf(calls + strlen(calls), "A%d ", error);
}

static void restarted(void *arg)
{
	(void)arg;
	strcat(calls, "R ");
}

static struct ckpt_hooks all_hooks = {
	.size = sizeof(all_hooks),
	.before = before,
	.after = after,
	.restarted = restarted,
	.arg = "-",
	.limit_ms = 1234,
};

static void begin_hooks(void)
{
	reset();
	calls[0] = '\0';
	if (ckpt_hooks_set(&all_hooks))
		abort();
}

static bool end_hooks(void)
{
	struct sigaction action;

	CHECK(!ckpt_hooks_set(NULL) && !fake.opted_in);
	CHECK(!sigaction(SIGCKPT, NULL, &action) && action.sa_handler == SIG_IGN);
	return true;
}

static bool calls_hooks(void)
{
	begin_hooks();
	CHECK(fake.opted_in && fake.limit == 1234);
	errno = 7;
	request(CKPT_REQUEST_FULL);
	CHECK(errno == 7 && fake.taken == 1 && fake.take_flags == CKPT_REQUEST_FULL);
	fake.take_error = ENOSPC;
	raise(SIGCKPT);
	CHECK(errno == 7 && fake.take_flags == 0);
	fake.take_error = 0;
	fake.take_result = 1;
	raise(SIGCKPT);
	CHECK(!strcmp(calls, "-BA0 -BA28 -BR "), "%s", calls);
	return end_hooks();
}

static bool hooks_are_optional(void)
{
	struct ckpt_hooks none = { .size = sizeof(none) };

	begin_hooks();
	CHECK(!ckpt_hooks_set(&none) && fake.limit == 0);
	raise(SIGCKPT);
	fake.take_result = 1;
	raise(SIGCKPT);
	CHECK(fake.taken == 2 && !*calls);
	none.flags = 1;
	CHECK(ckpt_hooks_set(&none) && errno == EINVAL && fake.opted_in);
	return end_hooks();
}

static bool failed_set_changes_nothing(void)
{
	reset();
	fake.opt_in_error = EPERM;
	CHECK(ckpt_hooks_set(&all_hooks) && errno == EPERM);
	return end_hooks();
}

static void set_in_hook(void)
{
	hook_result = ckpt_hooks_set(NULL) ? errno : 0;
}

static void request_once(void)
{
	fake.while_taken = NULL;
	request(CKPT_REQUEST_FULL);
}

static void *send_to_process(void *unused)
{
	request_once();
	return unused;
}

/* Signals are blocked in the thread that takes one, so another one handles this. */
static void request_in_thread(void)
{
	sigset_t set, old;
	pthread_t thread;

	sigfillset(&set);
	pthread_sigmask(SIG_UNBLOCK, &set, &old);
	pthread_create(&thread, NULL, send_to_process, NULL);
	pthread_join(thread, NULL);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
}

static void section_in_hook(void)
{
	request_in_thread();
	ckpt_critical_begin();
	ckpt_critical_end();
}

static bool hooks_may_do_little(void)
{
	begin_hooks();
	fake.while_taken = set_in_hook;
	raise(SIGCKPT);
	CHECK(hook_result == EDEADLK && fake.opted_in);
	fake.while_taken = section_in_hook;
	raise(SIGCKPT);
	CHECK(fake.taken == 3 && !strcmp(calls, "-BA0 -BA0 -BA0 "), "%s", calls);
	return end_hooks();
}

static bool request_during_checkpoint_is_the_next(void)
{
	begin_hooks();
	fake.while_taken = request_in_thread;
	raise(SIGCKPT);
	CHECK(fake.taken == 2 && fake.take_flags == CKPT_REQUEST_FULL);
	/* In the image it is an answer to that as well. */
	fake.while_taken = request_in_thread;
	fake.take_result = 1;
	raise(SIGCKPT);
	CHECK(fake.taken == 3);
	CHECK(!strcmp(calls, "-BA0 -BA0 -BR "), "%s", calls);
	return end_hooks();
}

/* ---- critical sections ---- */

static bool section_puts_off(void)
{
	begin_hooks();
	ckpt_critical_begin();
	ckpt_critical_begin();
	request(CKPT_REQUEST_INCREMENTAL);
	request(CKPT_REQUEST_EXIT);
	ckpt_critical_end();
	CHECK(!fake.taken);
	errno = 7;
	ckpt_critical_end();
	CHECK(errno == 7 && fake.taken == 1 && !strcmp(calls, "-BA0 "), "%s", calls);
	CHECK(fake.take_flags == (CKPT_REQUEST_INCREMENTAL | CKPT_REQUEST_EXIT));
	ckpt_critical_begin();
	request(CKPT_REQUEST_INCREMENTAL);
	request(CKPT_REQUEST_FULL);
	ckpt_critical_end();
	CHECK(fake.taken == 2 && fake.take_flags == CKPT_REQUEST_FULL);
	return end_hooks();
}

static bool section_costs_no_system_call(void)
{
	begin_hooks();
	fake.calls = 0;
	ckpt_critical_begin();
	ckpt_critical_begin();
	ckpt_critical_end();
	ckpt_critical_end();
	CHECK(!fake.calls && !fake.taken);
	return end_hooks();
}

static bool section_outlives_hooks(void)
{
	begin_hooks();
	ckpt_critical_begin();
	raise(SIGCKPT);
	CHECK(!ckpt_hooks_set(NULL) && !fake.taken);
	ckpt_critical_end();
	CHECK(fake.taken == 1 && !*calls);
	return true;
}

static int to_thread[2], from_thread[2];	/* pipes */

static void tell(int fd)
{
	if (write(fd, "", 1) != 1)
		abort();
}

static void hear(int fd)
{
	char c;

	if (read(fd, &c, 1) != 1)
		abort();
}

static void *hold_section(void *unused)
{
	ckpt_critical_begin();
	tell(from_thread[1]);
	hear(to_thread[0]);
	ckpt_critical_end();
	return unused;
}

static pthread_t start_holder(void)
{
	sigset_t set, old;
	pthread_t thread;

	/* Signals are for the thread that is not in a section. */
	sigfillset(&set);
	pthread_sigmask(SIG_BLOCK, &set, &old);
	if (pipe(to_thread) || pipe(from_thread) ||
	    pthread_create(&thread, NULL, hold_section, NULL))
		abort();
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	return thread;
}

static void end_holder(pthread_t thread)
{
	pthread_join(thread, NULL);
	close(to_thread[0]);
	close(to_thread[1]);
	close(from_thread[0]);
	close(from_thread[1]);
}

static bool section_of_another_thread(void)
{
	pthread_t thread;

	begin_hooks();
	thread = start_holder();
	hear(from_thread[0]);
	raise(SIGCKPT);
	ckpt_critical_begin();
	ckpt_critical_end();
	CHECK(!fake.taken);
	tell(to_thread[1]);
	end_holder(thread);
	CHECK(fake.taken == 1);
	return end_hooks();
}

static pthread_t late;
static bool entered;

static void begin_late(void)
{
	late = start_holder();
	usleep(50000);
	fcntl(from_thread[0], F_SETFL, O_NONBLOCK);
	entered = read(from_thread[0], &(char){ 0 }, 1) == 1;
	fcntl(from_thread[0], F_SETFL, 0);
}

static bool section_waits_for_checkpoint(void)
{
	begin_hooks();
	fake.while_taken = begin_late;
	raise(SIGCKPT);
	CHECK(!entered && fake.taken == 1);
	hear(from_thread[0]);
	tell(to_thread[1]);
	end_holder(late);
	return end_hooks();
}

/* The child has one thread, and it is not in a section; nobody asked it for anything. */
static bool fork_leaves_sections_behind(void)
{
	pthread_t thread;
	int status;
	pid_t pid;

	begin_hooks();
	thread = start_holder();
	hear(from_thread[0]);
	raise(SIGCKPT);
	pid = fork();
	if (!pid) {
		int wrong = fake.taken;

		ckpt_critical_begin();
		raise(SIGCKPT);
		wrong += fake.taken;
		ckpt_critical_end();
		wrong += fake.taken != 1;
		raise(SIGCKPT);
		_exit(wrong + (fake.taken != 2));
	}
	CHECK(waitpid(pid, &status, 0) == pid && status == 0, "%x", status);
	tell(to_thread[1]);
	end_holder(thread);
	CHECK(fake.taken == 1);
	return end_hooks();
}

#define NR_THREADS	4
#define NR_ROUNDS	20000

static _Atomic unsigned int inside, violations;
static _Atomic bool done;

static void nobody_inside(void)
{
	violations += inside;
}

static void *enter_and_leave(void *unused)
{
	int i;

	for (i = 0; i < NR_ROUNDS; i++) {
		ckpt_critical_begin();
		inside++;
		if (i % 64 == 0)
			raise(SIGCKPT);
		inside--;
		ckpt_critical_end();
	}
	return unused;
}

static void *ask_all_the_time(void *unused)
{
	while (!done) {
		kill(getpid(), SIGCKPT);
		usleep(100);
	}
	return unused;
}

static bool no_checkpoint_in_any_section(void)
{
	pthread_t threads[NR_THREADS], asker;
	int i;

	reset();
	all_hooks.before = NULL;
	all_hooks.after = NULL;
	CHECK(!ckpt_hooks_set(&all_hooks));
	fake.while_taken = nobody_inside;
	pthread_create(&asker, NULL, ask_all_the_time, NULL);
	for (i = 0; i < NR_THREADS; i++)
		pthread_create(&threads[i], NULL, enter_and_leave, NULL);
	for (i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);
	done = true;
	pthread_join(asker, NULL);
	CHECK(!violations, "%u", violations);
	CHECK(fake.taken > 10, "%u", fake.taken);
	return end_hooks();
}

static const struct test tests[] = {
	{ "status: every line is understood", parses_status },
	{ "status: other text does no harm", parses_anything },
	{ "times have units", parses_times },
	{ "settings are written as the kernel reads them", writes_settings },
	{ "settings that cannot be are refused", refuses_settings },
	{ "SIGCKPT is sent only to a kernel that has it", sends_only_what_is_known },
	{ "take returns 0, 1 or fails", takes },
	{ "hooks are called around a checkpoint", calls_hooks },
	{ "hooks may be missing", hooks_are_optional },
	{ "hooks that cannot be set change nothing", failed_set_changes_nothing },
	{ "hooks cannot change hooks, and may begin sections", hooks_may_do_little },
	{ "a request during a checkpoint is the next one", request_during_checkpoint_is_the_next },
	{ "a section puts a checkpoint off", section_puts_off },
	{ "a section costs no system call", section_costs_no_system_call },
	{ "a checkpoint put off survives the hooks", section_outlives_hooks },
	{ "a section of another thread puts it off too", section_of_another_thread },
	{ "a section waits for a checkpoint", section_waits_for_checkpoint },
	{ "sections of other threads are not a child's", fork_leaves_sections_behind },
	{ "no checkpoint is taken in any section", no_checkpoint_in_any_section },
};

int main(void)
{
	/* What is there before, and after */
	signal(SIGCKPT, SIG_IGN);
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
