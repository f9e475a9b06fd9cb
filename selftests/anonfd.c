// SPDX-License-Identifier: GPL-2.0
/*
 * eventfd, timerfd and signalfd: their state, and that a read() that waits for
 * them ends when it would have ended.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>

#include "ckpt_hostile.h"

#ifndef TFD_IOC_SET_TICKS
#define TFD_IOC_SET_TICKS	_IOW('T', 0, uint64_t)
#endif

#define MS	1000000LL
#define SECOND	1000000000LL

CKPT_FIXTURE(anonfd)

/* ---- helpers of the victims ---- */

static bool readable(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	V_SYS(poll(&p, 1, 0));
	return p.revents & POLLIN;
}

static uint64_t read_u64(int fd)
{
	uint64_t value;

	V_EQUAL(8, read(fd, &value, 8));
	return value;
}

static void write_u64(int fd, uint64_t value)
{
	V_EQUAL(8, write(fd, &value, 8));
}

/* A number in /proc/self/fdinfo/FD. */
static long fdinfo(int fd, const char *field)
{
	char name[32];

	snprintf(name, sizeof(name), "fdinfo/%d", fd);
	return proc_value(getpid(), name, field);
}

/* A thread that reads 8 bytes from a descriptor. */
static struct {
	int fd;
	ssize_t got;
	int error;
	uint64_t value;
	int64_t at;
	volatile int tid;
} reader;

static void *read_it(void *unused)
{
	reader.tid = gettid();
	reader.got = read(reader.fd, &reader.value, 8);
	reader.error = errno;
	reader.at = now_ns(CLOCK_MONOTONIC);
	return NULL;
}

/* Be checkpointed while a thread waits in read(); the thread. */
static pthread_t ready_in_read(int fd)
{
	pthread_t thread;

	reader.fd = fd;
	reader.tid = 0;
	V_EQUAL(0, pthread_create(&thread, NULL, read_it, NULL));
	while (!reader.tid)
		sleep_ms(1);
	victim_await(victim_reach_thread(reader.tid, __NR_read));
	return thread;
}

/* ---- eventfd ---- */

SURVIVES(anonfd, eventfd_keeps_its_counter)
{
	int fd = V_SYS(eventfd(5, EFD_NONBLOCK)), zero = V_SYS(eventfd(0, EFD_NONBLOCK));
	uint64_t value;

	write_u64(fd, 1ULL << 40);
	victim_ready();
	V_CHECK(readable(fd));
	V_CHECK(!readable(zero));
	V_EQUAL(5 + (1ULL << 40), read_u64(fd));
	V_EQUAL(-1, read(fd, &value, 8));
	V_EQUAL(EAGAIN, errno);
	V_EQUAL(-1, read(zero, &value, 8));
	V_EQUAL(EAGAIN, errno);
	write_u64(zero, 7);
	V_EQUAL(7, read_u64(zero));
}

SURVIVES(anonfd, eventfd_semaphore_stays_one)
{
	int fd = V_SYS(eventfd(3, EFD_SEMAPHORE));
	int sum = V_SYS(eventfd(3, 0));

	victim_ready();
	V_EQUAL(1, read_u64(fd));
	V_EQUAL(1, read_u64(fd));
	victim_ready();
	V_EQUAL(1, read_u64(fd));
	V_CHECK(!readable(fd));
	V_EQUAL(3, read_u64(sum));
}

SURVIVES(anonfd, eventfd_that_is_full_stays_full)
{
	int fd = V_SYS(eventfd(0, EFD_NONBLOCK));
	struct pollfd p = { .fd = fd, .events = POLLOUT };
	uint64_t one = 1;

	write_u64(fd, UINT64_MAX - 1);
	victim_ready();
	V_EQUAL(-1, write(fd, &one, 8));
	V_EQUAL(EAGAIN, errno);
	V_EQUAL(0, poll(&p, 1, 0));
	V_EQUAL(UINT64_MAX - 1, read_u64(fd));
}

SURVIVES(anonfd, eventfd_flags_and_twins_stay)
{
	int fd = V_SYS(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)), twin = V_SYS(dup(fd));
	int block = V_SYS(eventfd(0, 0));

	victim_ready();
	V_EQUAL(FD_CLOEXEC, fcntl(fd, F_GETFD));
	V_EQUAL(0, fcntl(twin, F_GETFD));
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(fd, F_GETFL));
	V_EQUAL(O_RDWR, fcntl(block, F_GETFL));
	write_u64(twin, 9);
	V_EQUAL(9, read_u64(fd));
	V_CHECK(!readable(block));
}

/* What fcntl() allows beyond what eventfd() does. */
SURVIVES(anonfd, flags_set_later_stay)
{
	int fd = V_SYS(eventfd(0, 0)), flags = O_APPEND | O_NONBLOCK | O_NOATIME;

	V_SYS(fcntl(fd, F_SETFL, flags));
	victim_ready();
	V_EQUAL(O_RDWR | flags, fcntl(fd, F_GETFL));
}

SURVIVES(anonfd, read_of_an_eventfd_goes_on_waiting)
{
	int fd = V_SYS(eventfd(0, 0));
	pthread_t thread = ready_in_read(fd);

	sleep_ms(20);
	V_CHECK(proc_in_syscall(getpid(), reader.tid, __NR_read));
	write_u64(fd, 77);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(8, reader.got);
	V_EQUAL(77, reader.value);
}

/* ---- signalfd ---- */

static int signalfd_of(int sig, int other, int flags)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (other)
		sigaddset(&set, other);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	return V_SYS(signalfd(-1, &set, flags));
}

static int read_signal(int fd)
{
	struct signalfd_siginfo info;

	V_EQUAL(sizeof(info), read(fd, &info, sizeof(info)));
	return info.ssi_signo;
}

SURVIVES(anonfd, signalfd_takes_the_signals_it_took)
{
	int fd = signalfd_of(SIGUSR1, SIGRTMAX, SFD_NONBLOCK);
	int other = signalfd_of(SIGUSR2, 0, SFD_NONBLOCK);
	struct signalfd_siginfo info;

	V_SYS(raise(SIGUSR1));
	victim_ready();
	V_CHECK(readable(fd));
	V_CHECK(!readable(other));
	V_EQUAL(SIGUSR1, read_signal(fd));
	V_EQUAL(-1, read(fd, &info, sizeof(info)));
	V_EQUAL(EAGAIN, errno);
	V_SYS(kill(getpid(), SIGRTMAX));
	V_SYS(kill(getpid(), SIGUSR2));
	V_EQUAL(SIGRTMAX, read_signal(fd));
	V_CHECK(!readable(fd));
	V_EQUAL(SIGUSR2, read_signal(other));
}

SURVIVES(anonfd, signalfd_mask_can_be_changed_afterwards)
{
	int fd = signalfd_of(SIGUSR1, 0, 0);
	sigset_t set;

	victim_ready();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	V_EQUAL(fd, signalfd(fd, &set, 0));
	V_SYS(raise(SIGUSR1));
	V_CHECK(!readable(fd));
	V_SYS(raise(SIGUSR2));
	V_EQUAL(SIGUSR2, read_signal(fd));
}

SURVIVES(anonfd, read_of_a_signalfd_goes_on_waiting)
{
	struct signalfd_siginfo info;
	int fd = signalfd_of(SIGUSR1, 0, 0);
	int turn;

	/* the process sends it to itself, by a timer */
	timer_t timer;
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec when = { .it_value.tv_sec = 2 };

	V_SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
	V_SYS(timer_settime(timer, 0, &when, NULL));
	turn = victim_reach_in(__NR_read);
	V_EQUAL(sizeof(info), read(fd, &info, sizeof(info)));
	V_EQUAL(SIGUSR1, info.ssi_signo);
	V_EQUAL(SI_TIMER, info.ssi_code);
	victim_await(turn);
}

/* ---- timerfd ---- */

static const struct itimerspec *in_ns(int64_t first, int64_t interval)
{
	static struct itimerspec spec;

	spec.it_value.tv_sec = first / SECOND;
	spec.it_value.tv_nsec = first % SECOND;
	spec.it_interval.tv_sec = interval / SECOND;
	spec.it_interval.tv_nsec = interval % SECOND;
	return &spec;
}

static int timer_of(clockid_t clock, int flags, int64_t first, int64_t interval)
{
	int fd = V_SYS(timerfd_create(clock, 0));

	V_SYS(timerfd_settime(fd, flags, in_ns(first, interval), NULL));
	return fd;
}

static int64_t left_ns(int fd)
{
	struct itimerspec spec;

	V_SYS(timerfd_gettime(fd, &spec));
	return spec.it_value.tv_sec * SECOND + spec.it_value.tv_nsec;
}

static int64_t interval_ns(int fd)
{
	struct itimerspec spec;

	V_SYS(timerfd_gettime(fd, &spec));
	return spec.it_interval.tv_sec * SECOND + spec.it_interval.tv_nsec;
}

static const clockid_t running_clocks[] = {
	CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_REALTIME,
};

#define NR_CLOCKS	3

/* Time stands still while the process does not exist. */
SURVIVES(anonfd, timerfd_relative_time_goes_on)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), went;
	int fd[NR_CLOCKS], i;

	for (i = 0; i < NR_CLOCKS; i++)
		fd[i] = timer_of(running_clocks[i], 0, 1000 * SECOND, 0);
	vpage->pause_ms = 1500;
	victim_ready();
	for (i = 0; i < NR_CLOCKS; i++) {
		int64_t left = left_ns(fd[i]);

		went = now_ns(CLOCK_MONOTONIC) - begin;
		V_CHECK(!readable(fd[i]));
		V_CHECK(1000 * SECOND - left <= went);
		V_CHECK(1000 * SECOND - left >= went - 300 * MS * slowness());
	}
}

SURVIVES(anonfd, timerfd_absolute_time_stays_the_same)
{
	int fd[NR_CLOCKS], i;
	int64_t at[NR_CLOCKS], off;

	for (i = 0; i < NR_CLOCKS; i++) {
		at[i] = now_ns(running_clocks[i]) + 1000 * SECOND;
		fd[i] = timer_of(running_clocks[i], TFD_TIMER_ABSTIME, at[i], 0);
	}
	vpage->pause_ms = 300;
	victim_ready();
	for (i = 0; i < NR_CLOCKS; i++) {
		int64_t before = now_ns(running_clocks[i]);
		int64_t left = left_ns(fd[i]);
		int64_t after = now_ns(running_clocks[i]);

		V_CHECK(at[i] - left >= before - MS);
		V_CHECK(at[i] - left <= after + MS);
		off = fdinfo(fd[i], "settime flags");
		V_EQUAL(TFD_TIMER_ABSTIME, off);
	}
}

SURVIVES(anonfd, timerfd_expires_at_its_time)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), took;
	int fd = timer_of(CLOCK_MONOTONIC, 0, 3 * SECOND, 0);

	victim_ready();
	V_EQUAL(1, read_u64(fd));
	took = now_ns(CLOCK_MONOTONIC) - begin;
	V_CHECK(took >= 3 * SECOND);
	V_CHECK(took <= 3 * SECOND + 300 * MS * slowness());
	V_EQUAL(0, left_ns(fd));
}

SURVIVES(anonfd, read_of_a_timerfd_ends_at_its_time)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC);
	int fd = timer_of(CLOCK_MONOTONIC, 0, 3 * SECOND, 0);
	pthread_t thread = ready_in_read(fd);

	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(8, reader.got);
	V_EQUAL(1, reader.value);
	V_CHECK(reader.at - begin >= 3 * SECOND);
	V_CHECK(reader.at - begin <= 3 * SECOND + 300 * MS * slowness());
}

SURVIVES(anonfd, timerfd_expirations_not_read_stay)
{
	int once = timer_of(CLOCK_MONOTONIC, 0, MS, 0);
	int often = timer_of(CLOCK_MONOTONIC, 0, MS, 1000 * SECOND);
	int boot = timer_of(CLOCK_BOOTTIME, 0, MS, 0);

	sleep_ms(5);
	V_CHECK(readable(once) && readable(often) && readable(boot));
	victim_ready();
	V_CHECK(readable(once) && readable(often) && readable(boot));
	V_EQUAL(1, read_u64(once));
	V_EQUAL(1, read_u64(often));
	V_EQUAL(1, read_u64(boot));
	V_CHECK(!readable(once) && !readable(often) && !readable(boot));
	V_EQUAL(0, left_ns(once));
	V_CHECK(left_ns(often) > 900 * SECOND);
}

/* What a reader gets is what has expired since the first one not read. */
SURVIVES(anonfd, timerfd_interval_keeps_its_phase)
{
	int64_t begin = now_ns(CLOCK_MONOTONIC), now, left;
	int fd = timer_of(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, begin + 100 * MS, 100 * MS);
	int read_once = timer_of(CLOCK_MONOTONIC, TFD_TIMER_ABSTIME, begin + 100 * MS, 100 * MS);
	uint64_t ticks, sum;

	sum = read_u64(read_once);
	sleep_ms(150);
	vpage->pause_ms = 500;
	victim_ready();
	V_EQUAL(100 * MS, interval_ns(fd));
	now = now_ns(CLOCK_MONOTONIC);
	ticks = read_u64(fd);
	V_CHECK(ticks >= (uint64_t)((now - begin) / (100 * MS)));
	now = now_ns(CLOCK_MONOTONIC);
	V_CHECK(ticks <= (uint64_t)((now - begin) / (100 * MS)));
	left = left_ns(fd);
	now = now_ns(CLOCK_MONOTONIC);
	/* the next one is a multiple of the interval away from the beginning */
	V_CHECK((now + left - begin) % (100 * MS) < 20 * MS * slowness());
	sum += read_u64(read_once);
	now = now_ns(CLOCK_MONOTONIC);
	V_CHECK(sum <= (uint64_t)((now - begin) / (100 * MS)));
	V_CHECK(sum + 2 >= (uint64_t)((now - begin) / (100 * MS)));
}

SURVIVES(anonfd, timerfd_that_does_not_run_does_not_begin_to)
{
	int never = V_SYS(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC));
	int disarmed = timer_of(CLOCK_REALTIME, 0, 1000 * SECOND, 7 * SECOND);
	int over = timer_of(CLOCK_MONOTONIC, 0, MS, 0);
	uint64_t value;

	V_SYS(timerfd_settime(disarmed, 0, in_ns(0, 0), NULL));
	V_EQUAL(1, read_u64(over));
	victim_ready();
	V_EQUAL(O_RDWR | O_NONBLOCK, fcntl(never, F_GETFL));
	V_EQUAL(FD_CLOEXEC, fcntl(never, F_GETFD));
	V_EQUAL(0, left_ns(never));
	V_EQUAL(0, left_ns(disarmed));
	V_EQUAL(0, left_ns(over));
	V_EQUAL(-1, read(never, &value, 8));
	V_EQUAL(EAGAIN, errno);
	V_CHECK(!readable(disarmed) && !readable(over));
	V_SYS(timerfd_settime(never, 0, in_ns(MS, 0), NULL));
	sleep_ms(5);
	V_EQUAL(1, read_u64(never));
	V_SYS(timerfd_settime(over, 0, in_ns(MS, 0), NULL));
	V_EQUAL(1, read_u64(over));
}

SURVIVES(anonfd, timerfd_to_wake_up_the_system_stays)
{
	int real = timerfd_create(CLOCK_REALTIME_ALARM, 0);
	int boot = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
	int over = timerfd_create(CLOCK_BOOTTIME_ALARM, 0);
	int64_t begin = now_ns(CLOCK_REALTIME), at, left;

	V_CHECK(real >= 0 && boot >= 0 && over >= 0);
	at = begin + 3 * SECOND;
	V_SYS(timerfd_settime(real, TFD_TIMER_ABSTIME, in_ns(at, 0), NULL));
	V_SYS(timerfd_settime(boot, 0, in_ns(1000 * SECOND, 5 * SECOND), NULL));
	V_SYS(timerfd_settime(over, 0, in_ns(MS, 1000 * SECOND), NULL));
	sleep_ms(20);
	V_CHECK(readable(over));
	victim_ready();
	left = left_ns(boot);
	V_CHECK(left <= 1000 * SECOND);
	V_CHECK(left > 900 * SECOND);
	V_EQUAL(5 * SECOND, interval_ns(boot));
	V_EQUAL(1, read_u64(over));
	V_CHECK(left_ns(over) > 900 * SECOND);
	V_EQUAL(1, read_u64(real));
	V_CHECK(now_ns(CLOCK_REALTIME) >= at);
	V_CHECK(now_ns(CLOCK_REALTIME) < at + 60 * SECOND);
}

/* Set the clock, to what it is. */
static bool set_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return !clock_settime(CLOCK_REALTIME, &ts);
}

SURVIVES(anonfd, timerfd_goes_on_watching_the_clock)
{
	int64_t at = now_ns(CLOCK_REALTIME) + 1000 * SECOND;
	const int flags = TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET;
	int fd = timer_of(CLOCK_REALTIME, flags, at, 0);
	int deaf = timer_of(CLOCK_REALTIME, TFD_TIMER_ABSTIME, at, 0);
	uint64_t value;

	victim_ready();
	V_CHECK(!readable(fd));
	V_CHECK(set_clock());
	V_CHECK(readable(fd));
	V_EQUAL(-1, read(fd, &value, 8));
	V_EQUAL(ECANCELED, errno);
	V_CHECK(!readable(fd));
	V_CHECK(!readable(deaf));
}

SURVIVES(anonfd, timerfd_reports_that_the_clock_was_set_before)
{
	int64_t at = now_ns(CLOCK_REALTIME) + 1000 * SECOND;
	int fd = timer_of(CLOCK_REALTIME, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, at, 0);
	uint64_t value;

	V_CHECK(set_clock());
	V_CHECK(readable(fd));
	victim_ready();
	V_CHECK(readable(fd));
	V_EQUAL(-1, read(fd, &value, 8));
	V_EQUAL(ECANCELED, errno);
	V_CHECK(!readable(fd));
}

/* ---- images that are not what they should be ---- */

VICTIM(all_of_them)
{
	V_EQUAL(3, eventfd(5, 0));
	V_EQUAL(4, timer_of(CLOCK_MONOTONIC, 0, 1000 * SECOND, SECOND));
	V_EQUAL(5, signalfd_of(SIGUSR1, 0, 0));
	victim_ready();
	V_EQUAL(5, read_u64(3));
}

/*
 * Change a field of a kind's own part: the restart fails, or what it makes comes
 * to its end when it is killed.
 */
#define HOSTILE(name, kind, structure, change, expected)		\
	TEST_F(anonfd, hostile_##name)					\
	{								\
		struct structure *f;					\
		struct image img;					\
									\
		REQUIRE_RESTART();					\
		ASSERT_EQ(0, victim_image(&self->v, "all_of_them", &img)); \
		f = find_file(&img, kind, 0);				\
		ASSERT_NE(NULL, f);					\
		do { change; } while (0);				\
		EXPECT_EQ((expected) ?: self->v.pid,			\
			  try_changed(&self->v, &img, RESTART_LEAVE_STOPPED)) \
			show_log(self->v.log);				\
		free(img.data);						\
	}

HOSTILE(eventfd_flags, "eventfd", ckpt_file_eventfd, f->flags = 2, -EBADMSG)
HOSTILE(eventfd_reserved, "eventfd", ckpt_file_eventfd, f->reserved = 1, -EBADMSG)
HOSTILE(eventfd_count, "eventfd", ckpt_file_eventfd, f->count = ~0ULL, 0)
HOSTILE(timerfd_clock, "timerfd", ckpt_file_timerfd, f->clock = CLOCK_TAI, -EBADMSG)
HOSTILE(timerfd_cpu_clock, "timerfd", ckpt_file_timerfd, f->clock = -2, -EBADMSG)
HOSTILE(timerfd_flags, "timerfd", ckpt_file_timerfd, f->flags = 1 << 5, -EBADMSG)
HOSTILE(timerfd_date_of_a_clock_without, "timerfd", ckpt_file_timerfd,
	f->flags |= CKPT_TIMERFD_ABSOLUTE, -EBADMSG)
HOSTILE(timerfd_cancel, "timerfd", ckpt_file_timerfd,
	f->flags |= CKPT_TIMERFD_MAY_CANCEL, -EBADMSG)
HOSTILE(timerfd_canceled, "timerfd", ckpt_file_timerfd,
	{ f->clock = CLOCK_REALTIME; f->flags |= CKPT_TIMERFD_CANCELED; }, -EBADMSG)
HOSTILE(timerfd_armed_and_expired, "timerfd", ckpt_file_timerfd,
	{ f->flags |= CKPT_TIMERFD_EXPIRED; f->ticks = 1; }, -EBADMSG)
HOSTILE(timerfd_expired_without_ticks, "timerfd", ckpt_file_timerfd,
	{ f->flags = CKPT_TIMERFD_EXPIRED; f->deadline = -1; }, -EBADMSG)
HOSTILE(timerfd_expired_in_the_future, "timerfd", ckpt_file_timerfd,
	{ f->flags = CKPT_TIMERFD_EXPIRED; f->ticks = 1; f->deadline = 1; }, -EBADMSG)
HOSTILE(timerfd_interval, "timerfd", ckpt_file_timerfd, f->interval = -1, -EBADMSG)
HOSTILE(timerfd_date_before_1970, "timerfd", ckpt_file_timerfd,
	{ f->clock = CLOCK_REALTIME; f->flags |= CKPT_TIMERFD_ABSOLUTE; f->deadline = -1; },
	-EBADMSG)
HOSTILE(timerfd_long_ago, "timerfd", ckpt_file_timerfd,
	{ f->deadline = INT64_MIN; f->interval = 1; }, 0)
HOSTILE(timerfd_in_all_eternity, "timerfd", ckpt_file_timerfd,
	{ f->deadline = INT64_MAX; f->interval = INT64_MAX; f->ticks = ~0ULL; }, 0)
HOSTILE(signalfd_for_sigkill, "signalfd", ckpt_file_signalfd,
	f->mask |= 1ULL << (SIGKILL - 1), -EBADMSG)

CKPT_TEST_MAIN
