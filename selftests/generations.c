// SPDX-License-Identifier: GPL-2.0
/*
 * A program of four threads that verifies itself, through many generations of
 * checkpoint, kill and restart, each at some moment of its work.  Its result has
 * to be that of an undisturbed run, bit by bit, and the kernel must not have lost
 * memory.
 *
 * CKPT_TEST_GENERATIONS in the environment says how many generations, 20 if it
 * says nothing.
 */
#include <math.h>
#include <pthread.h>

#include "ckpt_test.h"
#include "ckpt_leak.h"

CKPT_FIXTURE_ONCE(generations)

/*
 * What test and program tell each other.  The work comes in portions, so that a
 * fast machine is not ready long before the last generation; LIMIT is how many
 * portions may be done until further notice.
 */
enum { W_LIMIT, W_TOTAL, W_FLOAT, W_INTEGER, W_PING, W_TICKS, W_DONE };

#define PORTION 3000

/* Wait until portion @nr may be worked on; false if that was the last one. */
static bool portion(long nr)
{
	while (nr >= vpage->word[W_LIMIT])
		sched_yield();
	return nr < vpage->word[W_TOTAL];
}

/* Thread-local state of two random number generators. */
static __thread uint64_t tls_state;
static __thread double tls_sum;

static uint64_t xorshift(void)
{
	tls_state ^= tls_state << 13;
	tls_state ^= tls_state >> 7;
	tls_state ^= tls_state << 17;
	return tls_state;
}

/* Thread 1: a chaotic map, where a single wrong bit makes another result. */
static void *compute_floats(void *arg)
{
	double x = 0.3, y = 0.7, sum;
	long nr;
	int i;

	tls_sum = 0;
	for (nr = 0; portion(nr); nr++)
		for (i = 0; i < PORTION; i++) {
			x = 3.9 * x * (1 - x);
			y = sqrt(y + x) / 1.5;
			sum = tls_sum + x * y;
			tls_sum = sum - floor(sum);
		}
	memcpy((void *)&vpage->word[W_FLOAT], &tls_sum, sizeof(double));
	return NULL;
}

/* Thread 2: integers, with everything written to memory and read again. */
static void *compute_integers(void *arg)
{
	static uint64_t table[4096];
	uint64_t sum = 0;
	long nr;
	int i;

	tls_state = 88172645463325252ULL;
	for (nr = 0; portion(nr); nr++)
		for (i = 0; i < PORTION; i++) {
			uint64_t value = xorshift();

			sum = sum * 31 + table[value % 4096];
			table[value % 4096] = value ^ sum;
		}
	vpage->word[W_INTEGER] = sum;
	return NULL;
}

/* Threads 3 and 4 hand a number to and fro. */
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static uint64_t ball;
static long ball_turn;

static void *play(void *arg)
{
	long me = (long)arg, nr;
	int i;

	for (nr = 0; portion(nr); nr++)
		for (i = 0; i < 20; i++) {
			struct timespec soon;

			pthread_mutex_lock(&mutex);
			while (ball_turn % 2 != me) {
				/* with a time-out now and then, which is no harm */
				clock_gettime(CLOCK_REALTIME, &soon);
				soon.tv_sec += 1;
				pthread_cond_timedwait(&changed, &mutex, &soon);
			}
			ball = ball * 6364136223846793005ULL + me + 1;
			ball_turn++;
			pthread_cond_signal(&changed);
			pthread_mutex_unlock(&mutex);
		}
	return NULL;
}

/*
 * The signal of a timer, all the time, in any thread; the clock never goes back for
 * one of them.
 */
static volatile long ticks;

static void tick(int sig)
{
	static __thread int64_t last;
	int64_t now = now_ns(CLOCK_MONOTONIC);

	if (now < last)
		victim_fail(__LINE__, "CLOCK_MONOTONIC went back by %ld ns", last - now);
	last = now;
	ticks++;
}

VICTIM(four_threads)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec it = {
		.it_value.tv_nsec = 5000000,
		.it_interval.tv_nsec = 5000000,
	};
	void *(*const work[])(void *) = { compute_floats, compute_integers, play, play };
	struct sigaction act = { .sa_handler = tick, .sa_flags = SA_RESTART };
	pthread_t thread[4];
	timer_t timer;
	long before;
	int i;

	/* word W_TOTAL comes first */
	victim_ready();
	V_SYS(sigaction(SIGUSR1, &act, NULL));
	V_SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
	V_SYS(timer_settime(timer, 0, &it, NULL));
	for (i = 0; i < 4; i++)
		V_EQUAL(0, pthread_create(&thread[i], NULL, work[i], (void *)(long)(i - 2)));
	for (i = 0; i < 4; i++)
		V_EQUAL(0, pthread_join(thread[i], NULL));
	V_EQUAL(40 * vpage->word[W_TOTAL], ball_turn);
	vpage->word[W_PING] = ball;

	/* the timer still runs */
	before = ticks;
	V_CHECK(WAIT_FOR(ticks > before + 2));
	vpage->word[W_TICKS] = ticks;
	V_SYS(timer_delete(timer));
	victim_ready();
}

struct result {
	long	floats;
	long	integers;
	long	ping;
};

/* Run it with a total of @portions; @nr generations, or 0 for an undisturbed run. */
static int run(struct victim *v, long portions, int nr, struct memory_use *use, struct result *r)
{
	int i;

	if (victim_start(v, "four_threads") || victim_set_word(v, W_TOTAL, portions) ||
	    victim_set_word(v, W_LIMIT, nr ? 0 : portions + 1) || victim_go(v))
		return -1;
	for (i = 0; i < nr; i++) {
		/* warm-up before objects are counted */
		if (use && i == 5)
			read_memory_use(use);
		if (victim_set_word(v, W_LIMIT, i + 1))
			return -2;
		sleep_ns(random() % 8000000);
		if (victim_cycle(v, true)) {
			test_log("generation %d", i);
			return -3;
		}
	}
	if (victim_set_word(v, W_LIMIT, portions + 1))
		return -4;
	if (victim_wait(v) != VICTIM_IS_READY)
		return -5;
	r->floats = victim_word(v, W_FLOAT);
	r->integers = victim_word(v, W_INTEGER);
	r->ping = victim_word(v, W_PING);
	test_log("%d generations: floats %#lx, integers %#lx, exchange %#lx, %ld ticks", nr,
		 r->floats, r->integers, r->ping, victim_word(v, W_TICKS));
	return victim_finish(v);
}

TEST_F_TIMEOUT(generations, end_with_the_result_of_an_undisturbed_run, 3600)
{
	const char *text = getenv("CKPT_TEST_GENERATIONS");
	int nr = text ? atoi(text) : 20;
	struct result expected, seen;
	struct memory_use before;

	srandom(1);
	ASSERT_EQ(0, run(&self->v, nr + 5, 0, NULL, &expected));
	ASSERT_EQ(0, run(&self->v, nr + 5, nr, &before, &seen));
	EXPECT_EQ(expected.floats, seen.floats);
	EXPECT_EQ(expected.integers, seen.integers);
	EXPECT_EQ(expected.ping, seen.ping);

	/* five threads each: even one object for each generation would show */
	if (nr >= 20 && !dry_run())
		EXPECT_TRUE(nothing_left(&before, nr >= 100 ? (nr - 5) * 8 / 10 : 40));
}

TEST_F(generations, of_checkpoints_alone_do_not_disturb_it)
{
	struct result expected, seen;
	struct victim *v = &self->v;
	int i;

	ASSERT_EQ(0, run(v, 60, 0, NULL, &expected));
	ASSERT_EQ(0, victim_start(v, "four_threads"));
	ASSERT_EQ(0, victim_set_word(v, W_TOTAL, 60));
	ASSERT_EQ(0, victim_go(v));
	for (i = 0; i < 50; i++) {
		ASSERT_EQ(0, victim_set_word(v, W_LIMIT, i + 1));
		ASSERT_EQ(0, victim_cycle(v, false));
	}
	ASSERT_EQ(0, victim_set_word(v, W_LIMIT, 61));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(v));
	seen.floats = victim_word(v, W_FLOAT);
	seen.integers = victim_word(v, W_INTEGER);
	seen.ping = victim_word(v, W_PING);
	ASSERT_EQ(0, victim_finish(v));
	EXPECT_EQ(0, memcmp(&expected, &seen, sizeof(seen)));
}

CKPT_TEST_MAIN
