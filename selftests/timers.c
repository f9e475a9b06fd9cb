// SPDX-License-Identifier: GPL-2.0
/*
 * Time: clocks that go on, waits that last as long as they would have, interval
 * timers and POSIX timers.
 *
 * A restarted process is dead for a while between its checkpoint and its restart.
 * For CLOCK_MONOTONIC and CLOCK_BOOTTIME as it sees them that while is not there;
 * CLOCK_REALTIME is the true time.
 */
#include <limits.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/ipc.h>
#include <sys/select.h>
#include <sys/sem.h>
#include <sys/time.h>

#include "ckpt_test.h"

CKPT_FIXTURE(timers)

#define MS		1000000LL
#define DEAD_MS		1000

#ifndef TIMER_ABSTIME
#define TIMER_ABSTIME	1
#endif

/* ---- clocks ---- */

/* word 0: nanoseconds of clock @victim_arg before, word 1 after */
static void watch_clock(clockid_t clock, int pause_ms)
{
	int64_t before, raw;
	struct timespec ts;

	vpage->pause_ms = pause_ms;
	before = now_ns(clock);
	vpage->word[0] = before;
	victim_ready();
	vpage->word[1] = now_ns(clock);
	V_CHECK(vpage->word[1] >= before);

	/* the vDSO and the kernel have the same idea of it */
	V_SYS(syscall(__NR_clock_gettime, clock, &ts));
	raw = ts.tv_sec * 1000000000LL + ts.tv_nsec;
	V_CHECK(raw >= vpage->word[1]);
	V_CHECK(raw < vpage->word[1] + 2000 * MS);
	victim_ready();
}

VICTIM(monotonic)
{
	watch_clock(CLOCK_MONOTONIC, 3000);
}

VICTIM(monotonic_raw)
{
	watch_clock(CLOCK_MONOTONIC_RAW, 3000);
}

VICTIM(monotonic_coarse)
{
	watch_clock(CLOCK_MONOTONIC_COARSE, 3000);
}

VICTIM(boottime)
{
	watch_clock(CLOCK_BOOTTIME, 3000);
}

VICTIM(realtime)
{
	watch_clock(CLOCK_REALTIME, 3000);
}

/* How far the clock of victim @name went over the checkpoint, in ns. */
static int64_t clock_step(struct victim *v, const char *name, bool restart)
{
	int64_t step;

	if (victim_start(v, name) || victim_cycle(v, restart) || victim_next(v))
		return -1;
	step = victim_word(v, 1) - victim_word(v, 0);
	return victim_finish(v) ? -1 : step;
}

#define EXPECT_CLOCK_GOES_ON(name)					\
	do {								\
		int64_t step = clock_step(&self->v, name, variant->restart); \
									\
		ASSERT_LE(0, step);					\
		EXPECT_GT(2000 * MS, step);				\
	} while (0)

TEST_F(timers, clock_monotonic_goes_on)
{
	EXPECT_CLOCK_GOES_ON("monotonic");
}

TEST_F(timers, clock_monotonic_raw_goes_on)
{
	EXPECT_CLOCK_GOES_ON("monotonic_raw");
}

TEST_F(timers, clock_monotonic_coarse_goes_on)
{
	EXPECT_CLOCK_GOES_ON("monotonic_coarse");
}

TEST_F(timers, clock_boottime_goes_on)
{
	EXPECT_CLOCK_GOES_ON("boottime");
}

TEST_F(timers, clock_realtime_is_the_true_time)
{
	int64_t before = now_ns(CLOCK_REALTIME), step;

	step = clock_step(&self->v, "realtime", variant->restart);
	ASSERT_LE(0, step);
	if (variant->restart && !dry_run())
		EXPECT_LE(3000 * MS, step);
	EXPECT_GE(now_ns(CLOCK_REALTIME) - before, step);
}

/* With the flag the clocks are those of the host. */
CKPT_FIXTURE_ONCE(host_clocks)

TEST_F(host_clocks, are_those_of_the_host)
{
	int64_t step;

	if (dry_run())
		SKIP(return, "about restarts only");
	self->v.restart_flags = RESTART_HOST_CLOCKS;
	step = clock_step(&self->v, "monotonic", true);
	ASSERT_LE(3000 * MS, step);
}

SURVIVES(timers, clocks_go_on_over_several_generations)
{
	int64_t mono = now_ns(CLOCK_MONOTONIC), boot = now_ns(CLOCK_BOOTTIME), now;
	int i;

	vpage->pause_ms = 1500;
	for (i = 0; i < 4; i++) {
		victim_ready();
		now = now_ns(CLOCK_MONOTONIC);
		V_CHECK(now >= mono);
		V_CHECK(now < mono + 1400 * MS);
		mono = now;
		now = now_ns(CLOCK_BOOTTIME);
		V_CHECK(now >= boot);
		V_CHECK(now < boot + 1400 * MS);
		boot = now;
	}
}

/* ---- waits ---- */

/*
 * The victim waits WAIT_MS, is checkpointed when LEAD_MS of them are over, and
 * is dead for DEAD_MS.  On its own clock, it has waited WAIT_MS in the end: not
 * less, since the rest was forgotten, and not as much more as it would be if it
 * began again.
 */
#define WAIT_MS		1500
#define LEAD_MS		900
#define SLACK_MS	600

static int64_t wait_began;

static void begin_wait(int nr)
{
	vpage->pause_ms = DEAD_MS;
	wait_began = now_ns(CLOCK_MONOTONIC);
	victim_reach_in(nr);
}

static void end_wait(int line)
{
	int64_t took = (now_ns(CLOCK_MONOTONIC) - wait_began) / MS;

	if (took < WAIT_MS)
		victim_fail(line, "waited %ld ms only", took);
	if (took > WAIT_MS + SLACK_MS)
		victim_fail(line, "waited %ld ms", took);
}

static int interrupt_wait(struct victim *v, const char *name, bool restart)
{
	if (victim_start(v, name))
		return -1;
	sleep_ms(LEAD_MS);
	if (victim_cycle(v, restart))
		return -2;
	return victim_end(v);
}

/* WAITS(what) { begin_wait(system call); the call; end_wait(__LINE__); } */
#define WAITS(what)							\
	VICTIM(what);							\
	TEST_F(timers, what##_waits_as_long_as_it_would_have)		\
	{								\
		ASSERT_EQ(0, interrupt_wait(&self->v, #what, variant->restart)); \
	}								\
	static void victim_##what(void)

static struct timespec in_ms(int64_t ms)
{
	return (struct timespec) { ms / 1000, ms % 1000 * MS };
}

static struct timespec clock_plus_ms(clockid_t clock, int64_t ms)
{
	int64_t at = now_ns(clock) + ms * MS;

	return (struct timespec) { at / 1000000000, at % 1000000000 };
}

WAITS(nanosleep)
{
	struct timespec ts = in_ms(WAIT_MS);

	begin_wait(__NR_nanosleep);
	V_EQUAL(0, syscall(__NR_nanosleep, &ts, NULL));
	end_wait(__LINE__);
}

static void clock_sleep(clockid_t clock, int flags)
{
	struct timespec ts;

	begin_wait(__NR_clock_nanosleep);
	ts = flags ? clock_plus_ms(clock, WAIT_MS) : in_ms(WAIT_MS);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, clock, flags, &ts, NULL));
	if (!flags)
		end_wait(__LINE__);
	else
		V_CHECK(now_ns(CLOCK_MONOTONIC) - wait_began < (WAIT_MS + SLACK_MS) * MS);
	V_CHECK(now_ns(CLOCK_MONOTONIC) - wait_began > (WAIT_MS - 50) * MS);
}

WAITS(relative_sleep_on_monotonic)
{
	clock_sleep(CLOCK_MONOTONIC, 0);
}

WAITS(absolute_sleep_on_monotonic)
{
	clock_sleep(CLOCK_MONOTONIC, TIMER_ABSTIME);
}

WAITS(relative_sleep_on_boottime)
{
	clock_sleep(CLOCK_BOOTTIME, 0);
}

WAITS(absolute_sleep_on_boottime)
{
	clock_sleep(CLOCK_BOOTTIME, TIMER_ABSTIME);
}

WAITS(relative_sleep_on_realtime)
{
	clock_sleep(CLOCK_REALTIME, 0);
}

WAITS(poll)
{
	begin_wait(__NR_poll);
	V_EQUAL(0, syscall(__NR_poll, NULL, 0, WAIT_MS));
	end_wait(__LINE__);
}

WAITS(ppoll)
{
	struct timespec ts = in_ms(WAIT_MS);

	begin_wait(__NR_ppoll);
	V_EQUAL(0, syscall(__NR_ppoll, NULL, 0, &ts, NULL, 0));
	end_wait(__LINE__);
}

WAITS(select)
{
	struct timeval tv = { WAIT_MS / 1000, WAIT_MS % 1000 * 1000 };

	begin_wait(__NR_select);
	V_EQUAL(0, syscall(__NR_select, 0, NULL, NULL, NULL, &tv));
	end_wait(__LINE__);
}

WAITS(pselect)
{
	struct timespec ts = in_ms(WAIT_MS);

	begin_wait(__NR_pselect6);
	V_EQUAL(0, syscall(__NR_pselect6, 0, NULL, NULL, NULL, &ts, NULL));
	end_wait(__LINE__);
}

static uint32_t futex_word;

WAITS(relative_futex)
{
	struct timespec ts = in_ms(WAIT_MS);

	begin_wait(__NR_futex);
	V_EQUAL(-1, syscall(__NR_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0));
	V_EQUAL(ETIMEDOUT, errno);
	end_wait(__LINE__);
}

WAITS(absolute_futex)
{
	struct timespec ts;

	begin_wait(__NR_futex);
	ts = clock_plus_ms(CLOCK_MONOTONIC, WAIT_MS + 1);
	V_EQUAL(-1, syscall(__NR_futex, &futex_word, FUTEX_WAIT_BITSET_PRIVATE, 0, &ts, NULL, ~0));
	V_EQUAL(ETIMEDOUT, errno);
	V_CHECK(now_ns(CLOCK_MONOTONIC) >= ts.tv_sec * 1000000000LL + ts.tv_nsec);
	end_wait(__LINE__);
}

WAITS(condition_variable)
{
	pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
	pthread_condattr_t attr;
	pthread_cond_t cond;
	struct timespec ts;

	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&cond, &attr);
	pthread_mutex_lock(&mutex);
	begin_wait(__NR_futex);
	ts = clock_plus_ms(CLOCK_MONOTONIC, WAIT_MS + 1);
	V_EQUAL(ETIMEDOUT, pthread_cond_timedwait(&cond, &mutex, &ts));
	end_wait(__LINE__);
}

WAITS(sigtimedwait)
{
	struct timespec ts = in_ms(WAIT_MS);
	uint64_t set = 1ULL << (SIGUSR1 - 1);

	V_SYS(syscall(__NR_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
	begin_wait(__NR_rt_sigtimedwait);
	V_EQUAL(-1, syscall(__NR_rt_sigtimedwait, &set, NULL, &ts, 8));
	V_EQUAL(EAGAIN, errno);
	end_wait(__LINE__);
}

WAITS(semtimedop)
{
	struct sembuf down = { .sem_op = -1 };
	struct timespec ts = in_ms(WAIT_MS);
	int id, err;

	id = V_SYS(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	begin_wait(__NR_semtimedop);
	err = syscall(__NR_semtimedop, id, &down, 1, &ts);
	if (err)
		err = errno;
	semctl(id, 0, IPC_RMID);
	V_EQUAL(EAGAIN, err);
	end_wait(__LINE__);
}

/* The end of a wait on CLOCK_REALTIME may have passed while it was dead. */
#define REAL_WAIT_MS	3500
#define REAL_DEAD_MS	3500

static void real_wait(bool futex)
{
	struct timespec ts = clock_plus_ms(CLOCK_REALTIME, REAL_WAIT_MS);
	int64_t end = ts.tv_sec * 1000000000LL + ts.tv_nsec, now;

	vpage->pause_ms = REAL_DEAD_MS;
	victim_reach_in(futex ? __NR_futex : __NR_clock_nanosleep);
	if (futex) {
		V_EQUAL(-1, syscall(__NR_futex, &futex_word, FUTEX_WAIT_BITSET_PRIVATE |
				    FUTEX_CLOCK_REALTIME, 0, &ts, NULL, ~0));
		V_EQUAL(ETIMEDOUT, errno);
	} else {
		V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &ts,
				   NULL));
	}
	now = now_ns(CLOCK_REALTIME);
	V_CHECK(now >= end);
	/* dead until 900 + 3500 ms; if it had counted on, it were 7000 */
	V_CHECK(now < end + 2500 * MS);
}

VICTIM(real_sleep)
{
	real_wait(false);
}

VICTIM(real_futex)
{
	real_wait(true);
}

TEST_F(timers, absolute_sleep_on_realtime_ends_at_its_time)
{
	ASSERT_EQ(0, interrupt_wait(&self->v, "real_sleep", variant->restart));
}

TEST_F(timers, futex_wait_on_realtime_ends_at_its_time)
{
	ASSERT_EQ(0, interrupt_wait(&self->v, "real_futex", variant->restart));
}

/* Sleeping on the CPU time of another thread that computes. */
static volatile bool stop_computing;

static void *compute(void *arg)
{
	while (!stop_computing)
		;
	return NULL;
}

VICTIM(cpu_sleep)
{
	int64_t end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + 800 * MS, now;
	struct timespec ts = { end / 1000000000, end % 1000000000 };
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, compute, NULL));
	victim_reach_in(__NR_clock_nanosleep);
	V_EQUAL(0, syscall(__NR_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, TIMER_ABSTIME, &ts,
			   NULL));
	now = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	stop_computing = true;
	V_CHECK(now >= end);
	V_CHECK(now < end + 600 * MS);
	V_EQUAL(0, pthread_join(thread, NULL));
}

TEST_F(timers, sleep_on_cpu_time_goes_on)
{
	ASSERT_EQ(0, victim_start(&self->v, "cpu_sleep"));
	sleep_ms(300);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_end(&self->v));
}

/* A signal ends the sleep; the time left is stored where it was to be stored. */
static volatile int caught;

static void note_signal(int sig)
{
	caught = sig;
}

VICTIM(remaining)
{
	struct timespec ts = in_ms(60000), left = {};
	int64_t ms;

	signal(SIGUSR1, note_signal);
	vpage->pause_ms = DEAD_MS;
	victim_reach_in(__NR_nanosleep);
	V_EQUAL(-1, syscall(__NR_nanosleep, &ts, &left));
	V_EQUAL(EINTR, errno);
	V_EQUAL(SIGUSR1, caught);
	ms = left.tv_sec * 1000 + left.tv_nsec / MS;
	V_CHECK(ms <= 60000 - LEAD_MS + 1);
	V_CHECK(ms > 60000 - LEAD_MS - 10000);
}

TEST_F(timers, a_signal_after_the_restart_leaves_the_rest_of_the_sleep)
{
	ASSERT_EQ(0, victim_start(&self->v, "remaining"));
	sleep_ms(LEAD_MS);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'S'));
	ASSERT_EQ(0, kill(self->v.pid, SIGUSR1));
	ASSERT_EQ(0, victim_end(&self->v));
}

/* Woken by its own thread in the ordinary way, before the time is over. */
static void *waker(void *arg)
{
	victim_await(1);
	futex_word = 1;
	syscall(__NR_futex, &futex_word, FUTEX_WAKE_PRIVATE, 1, NULL, NULL, 0);
	return NULL;
}

VICTIM(woken)
{
	struct timespec ts = in_ms(80000);
	pthread_t thread;
	long ret;

	V_EQUAL(0, pthread_create(&thread, NULL, waker, NULL));
	victim_reach_in(__NR_futex);
	ret = syscall(__NR_futex, &futex_word, FUTEX_WAIT_PRIVATE, 0, &ts, NULL, 0);
	/* or it found the word changed, in the moment before it slept again */
	V_CHECK(ret == 0 || errno == EAGAIN);
	V_EQUAL(0, pthread_join(thread, NULL));
}

TEST_F(timers, a_futex_waiter_is_woken_after_the_restart)
{
	ASSERT_EQ(0, victim_start(&self->v, "woken"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'S'));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(forever)
{
	long ret;

	victim_reach_in(__NR_poll);
	signal(SIGUSR1, note_signal);
	ret = syscall(__NR_poll, NULL, 0, -1);
	V_EQUAL(-1, ret);
	V_EQUAL(EINTR, errno);
}

TEST_F(timers, a_wait_without_end_stays_without_end)
{
	ASSERT_EQ(0, victim_start(&self->v, "forever"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	sleep_ms(200);
	EXPECT_FALSE(victim_reap(&self->v));
	ASSERT_EQ(0, kill(self->v.pid, SIGUSR1));
	ASSERT_EQ(0, victim_end(&self->v));
}

/* ---- interval timers ---- */

static volatile int alarms;
static volatile int64_t alarm_at;

static void note_alarm(int sig)
{
	alarm_at = now_ns(CLOCK_MONOTONIC);
	alarms++;
}

static struct itimerval timer_ms(int ms, int interval_ms)
{
	return (struct itimerval) {
		.it_value = { ms / 1000, ms % 1000 * 1000 },
		.it_interval = { interval_ms / 1000, interval_ms % 1000 * 1000 },
	};
}

static int64_t timeval_ms(struct timeval tv)
{
	return tv.tv_sec * 1000 + tv.tv_usec / 1000;
}

SURVIVES(timers, itimer_real_expires_when_it_should)
{
	struct itimerval it = timer_ms(WAIT_MS, 0), left;

	signal(SIGALRM, note_alarm);
	vpage->pause_ms = DEAD_MS * 2;
	V_SYS(setitimer(ITIMER_REAL, &it, NULL));
	wait_began = now_ns(CLOCK_MONOTONIC);
	sleep_ms(500);
	victim_ready();
	V_SYS(getitimer(ITIMER_REAL, &left));
	V_CHECK(timeval_ms(left.it_value) <= WAIT_MS - 500 + 1);
	while (!alarms)
		sleep_ms(1);
	V_CHECK(alarm_at - wait_began >= (WAIT_MS - 1) * MS);
	V_CHECK(alarm_at - wait_began < (WAIT_MS + SLACK_MS) * MS);
}

SURVIVES(timers, itimer_real_goes_on_periodically)
{
	struct itimerval it = timer_ms(100, 100), left;
	int64_t began;
	int count;

	signal(SIGALRM, note_alarm);
	vpage->pause_ms = DEAD_MS;
	V_SYS(setitimer(ITIMER_REAL, &it, NULL));
	while (alarms < 3)
		sleep_ms(1);
	victim_ready();
	count = alarms;
	began = now_ns(CLOCK_MONOTONIC);
	while (alarms < count + 5)
		sleep_ms(1);
	/* not all of what was missed at once */
	V_CHECK(now_ns(CLOCK_MONOTONIC) - began >= 300 * MS);
	V_SYS(getitimer(ITIMER_REAL, &left));
	V_EQUAL(100, timeval_ms(left.it_interval));
}

static void cpu_timer(int which, int sig)
{
	struct itimerval it = timer_ms(600, 0);
	int64_t before, left, began, used;

	signal(sig, note_alarm);
	V_SYS(setitimer(which, &it, NULL));
	do {
		for (volatile int i = 0; i < 100000; i++)
			;
		V_SYS(getitimer(which, &it));
		before = timeval_ms(it.it_value);
	} while (before > 300);
	V_EQUAL(0, alarms);
	victim_ready();
	V_SYS(getitimer(which, &it));
	left = timeval_ms(it.it_value);
	V_CHECK(left <= before);
	V_CHECK(left > 0 || alarms);
	began = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	while (!alarms)
		;
	/* counted in ticks, some of which hit the kernel */
	used = (now_ns(CLOCK_PROCESS_CPUTIME_ID) - began) / MS;
	V_CHECK(used >= left - 100);
	V_CHECK(used < left + 800);
}

SURVIVES(timers, itimer_virtual_goes_on)
{
	cpu_timer(ITIMER_VIRTUAL, SIGVTALRM);
}

SURVIVES(timers, itimer_prof_goes_on)
{
	cpu_timer(ITIMER_PROF, SIGPROF);
}

SURVIVES(timers, no_timer_stays_no_timer)
{
	struct itimerval left;
	int i;

	victim_ready();
	for (i = ITIMER_REAL; i <= ITIMER_PROF; i++) {
		V_SYS(getitimer(i, &left));
		V_EQUAL(0, timeval_ms(left.it_value));
		V_EQUAL(0, timeval_ms(left.it_interval));
	}
}

/* ---- POSIX timers, with the kernel's own timer IDs ---- */

static int make_timer(clockid_t clock, int notify, int sig, int value)
{
	struct sigevent event = {
		.sigev_notify = notify,
		.sigev_signo = sig,
		.sigev_value.sival_int = value,
	};
	int id;

	event._sigev_un._tid = gettid();
	V_SYS(syscall(__NR_timer_create, clock, &event, &id));
	return id;
}

static void set_timer(int id, int flags, struct timespec value, int64_t interval_ms)
{
	struct itimerspec it = { .it_value = value, .it_interval = in_ms(interval_ms) };

	V_SYS(syscall(__NR_timer_settime, id, flags, &it, NULL));
}

static int64_t timer_left_ms(int id)
{
	struct itimerspec it;

	V_SYS(syscall(__NR_timer_gettime, id, &it));
	return it.it_value.tv_sec * 1000 + it.it_value.tv_nsec / MS;
}

static void block(int sig)
{
	uint64_t set = 1ULL << (sig - 1);

	V_SYS(syscall(__NR_rt_sigprocmask, SIG_BLOCK, &set, NULL, 8));
}

/* The next such signal, waited for up to @ms. */
static siginfo_t take(int sig, int ms)
{
	uint64_t set = 1ULL << (sig - 1);
	struct timespec ts = in_ms(ms);
	siginfo_t info = {};

	if (syscall(__NR_rt_sigtimedwait, &set, &info, &ts, 8) != sig)
		victim_fail(__LINE__, "signal %d does not come", sig);
	return info;
}

static const clockid_t timer_clocks[] = {
	CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI,
	CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID,
};

SURVIVES(timers, posix_timers_of_all_clocks_keep_their_ids_and_time)
{
	int id[2 * ARRAY_SIZE(timer_clocks)], created;
	struct itimerspec it;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(id); i++) {
		id[i] = make_timer(timer_clocks[i / 2], SIGEV_SIGNAL, SIGUSR1, i);
		set_timer(id[i], 0, in_ms(1000000), 5000 + i);
	}
	/* gaps */
	for (i = 0; i < ARRAY_SIZE(id); i += 2)
		V_SYS(syscall(__NR_timer_delete, id[i]));
	vpage->pause_ms = 3000;
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(id); i++) {
		if (i % 2 == 0) {
			V_EQUAL(-1, syscall(__NR_timer_gettime, id[i], &it));
			V_EQUAL(EINVAL, errno);
			continue;
		}
		V_SYS(syscall(__NR_timer_gettime, id[i], &it));
		V_EQUAL((5000 + i) * MS, it.it_interval.tv_sec * 1000000000LL +
			it.it_interval.tv_nsec);
		V_CHECK(timer_left_ms(id[i]) <= 1000000);
		/* a timer on CLOCK_TAI is one for a point in true time */
		if (timer_clocks[i / 2] == CLOCK_TAI)
			V_CHECK(timer_left_ms(id[i]) > 980000);
		else
			V_CHECK(timer_left_ms(id[i]) > 998000);
	}
	created = make_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
	for (i = 1; i < ARRAY_SIZE(id); i += 2)
		V_CHECK(created != id[i]);
}

SURVIVES(timers, posix_timer_expires_when_it_should)
{
	siginfo_t info;
	int id;

	block(SIGRTMIN + 1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGRTMIN + 1, 4711);
	wait_began = now_ns(CLOCK_MONOTONIC);
	set_timer(id, 0, in_ms(WAIT_MS), 0);
	vpage->pause_ms = DEAD_MS * 2;
	sleep_ms(300);
	victim_ready();
	info = take(SIGRTMIN + 1, 20000);
	V_EQUAL(SI_TIMER, info.si_code);
	V_EQUAL(4711, info.si_value.sival_int);
	V_EQUAL(id, info.si_timerid);
	end_wait(__LINE__);
}

SURVIVES(timers, absolute_posix_timer_expires_when_it_should)
{
	int id;

	block(SIGUSR1);
	id = make_timer(CLOCK_BOOTTIME, SIGEV_SIGNAL, SIGUSR1, 1);
	wait_began = now_ns(CLOCK_MONOTONIC);
	set_timer(id, TIMER_ABSTIME, clock_plus_ms(CLOCK_BOOTTIME, WAIT_MS + 1), 0);
	vpage->pause_ms = DEAD_MS * 2;
	sleep_ms(300);
	victim_ready();
	take(SIGUSR1, 20000);
	end_wait(__LINE__);
}

SURVIVES(timers, periodic_posix_timer_goes_on)
{
	int id, i;

	block(SIGUSR1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
	set_timer(id, 0, in_ms(50), 50);
	for (i = 0; i < 3; i++)
		take(SIGUSR1, 20000);
	victim_ready();
	for (i = 0; i < 5; i++)
		take(SIGUSR1, 20000);
	V_SYS(syscall(__NR_timer_delete, id));
}

SURVIVES(timers, pending_posix_timer_signal_counts_its_overruns)
{
	int64_t began, expected;
	siginfo_t info;
	int id;

	block(SIGUSR1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 815);
	began = now_ns(CLOCK_MONOTONIC);
	set_timer(id, 0, in_ms(20), 20);
	sleep_ms(300);
	vpage->pause_ms = 3000;
	victim_ready();
	info = take(SIGUSR1, 1);
	expected = (now_ns(CLOCK_MONOTONIC) - began) / (20 * MS);
	V_EQUAL(815, info.si_value.sival_int);
	V_EQUAL(id, info.si_timerid);
	V_EQUAL(info.si_overrun, syscall(__NR_timer_getoverrun, id));
	V_CHECK(info.si_overrun >= 12);
	V_CHECK(info.si_overrun <= expected);
	/* taking it starts the timer again */
	take(SIGUSR1, 20000);
	take(SIGUSR1, 20000);
}

SURVIVES(timers, overrun_of_the_last_signal_stays_known)
{
	int id;
	long before;

	block(SIGUSR1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
	set_timer(id, 0, in_ms(1), 1000000);
	take(SIGUSR1, 20000);
	before = syscall(__NR_timer_getoverrun, id);
	victim_ready();
	V_EQUAL(before, syscall(__NR_timer_getoverrun, id));
}

SURVIVES(timers, expired_posix_timer_stays_expired)
{
	int id;

	block(SIGUSR1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, 1);
	set_timer(id, 0, in_ms(1), 0);
	take(SIGUSR1, 20000);
	V_EQUAL(0, timer_left_ms(id));
	victim_ready();
	V_EQUAL(0, timer_left_ms(id));
	set_timer(id, 0, in_ms(1), 0);
	take(SIGUSR1, 20000);
}

SURVIVES(timers, posix_timer_without_notification_stays)
{
	int id;

	id = make_timer(CLOCK_MONOTONIC, SIGEV_NONE, 0, 0);
	set_timer(id, 0, in_ms(100000), 0);
	victim_ready();
	V_CHECK(timer_left_ms(id) > 90000);
}

static volatile int thread_timer, thread_done;

static void *timer_thread(void *arg)
{
	siginfo_t info;
	int id;

	block(SIGUSR1);
	id = make_timer(CLOCK_MONOTONIC, SIGEV_THREAD_ID, SIGUSR1, 99);
	thread_timer = id + 1;
	while (thread_done < 1)
		sleep_ms(1);
	set_timer(id, 0, in_ms(10), 0);
	info = take(SIGUSR1, 20000);
	V_EQUAL(99, info.si_value.sival_int);
	V_EQUAL(id, info.si_timerid);
	return NULL;
}

SURVIVES(timers, posix_timer_for_a_thread_notifies_that_thread)
{
	pthread_t thread;

	block(SIGUSR1);
	V_EQUAL(0, pthread_create(&thread, NULL, timer_thread, NULL));
	while (!thread_timer)
		sleep_ms(1);
	victim_ready();
	thread_done = 1;
	V_EQUAL(0, pthread_join(thread, NULL));
}

SURVIVES(timers, posix_timer_on_cpu_time_goes_on)
{
	uint64_t set = 0;
	int64_t used;
	int id;

	block(SIGUSR1);
	id = make_timer(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, SIGUSR1, 1);
	used = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	set_timer(id, 0, in_ms(500), 0);
	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < used + 200 * MS)
		;
	victim_ready();
	V_CHECK(timer_left_ms(id) <= 300);
	V_CHECK(timer_left_ms(id) > 0);
	do
		V_SYS(syscall(__NR_rt_sigpending, &set, 8));
	while (!set);
	take(SIGUSR1, 1);
	V_CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) >= used + 500 * MS);
	V_CHECK(now_ns(CLOCK_PROCESS_CPUTIME_ID) < used + 1500 * MS);
}

/* One hundred timers, so that none of the above was chance. */
SURVIVES(timers, a_hundred_posix_timers_survive)
{
	int id[100], i;

	for (i = 0; i < 100; i++) {
		id[i] = make_timer(CLOCK_MONOTONIC, SIGEV_SIGNAL, SIGUSR1, i);
		set_timer(id[i], 0, in_ms(100000 + i * 100), 0);
	}
	victim_ready();
	for (i = 0; i < 100; i++) {
		V_CHECK(timer_left_ms(id[i]) <= 100000 + i * 100);
		V_CHECK(timer_left_ms(id[i]) > 90000 + i * 100);
	}
}

CKPT_TEST_MAIN
