// SPDX-License-Identifier: GPL-2.0
/*
 * SIGCKPT: a signal that cannot be caught, blocked or ignored, and does no harm.
 */

#include "ckpt_auto.h"

#include <pthread.h>
#include <pwd.h>
#include <sys/ptrace.h>
#include <sys/signalfd.h>

#define NOBODY	65534

FIXTURE(sigckpt)
{
	struct victim		v;
	struct ckpt_sysctls	sysctls;
	char			image[128];
};

FIXTURE_SETUP(sigckpt)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_TRUE(have_sigckpt());
	ASSERT_EQ(0, auto_prepare(&self->v, &self->sysctls));
}

FIXTURE_TEARDOWN(sigckpt)
{
	victim_cleanup(&self->v);
	sysctls_restore(&self->sysctls);
}

static const char *the_image(struct __test_metadata *_metadata,
			     FIXTURE_DATA(sigckpt) *self)
{
	snprintf(self->image, sizeof(self->image), "%s/%d.ckpt", self->v.dir, self->v.pid);
	return self->image;
}

/* ---- what it does ---- */

VICTIM(waits)
{
	int turn = victim_reach();

	victim_await(turn);
	victim_ready();
}

TEST_F(sigckpt, makes_an_image_and_the_process_goes_on)
{
	struct stat st;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	ASSERT_EQ(0, stat(the_image(_metadata, self), &st));
	EXPECT_TRUE(S_ISREG(st.st_mode));
	EXPECT_EQ(0600, st.st_mode & 07777);
	EXPECT_EQ(getuid(), st.st_uid);
	EXPECT_EQ(st.st_size, auto_value(self->v.pid, "last_bytes"));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	EXPECT_EQ(0, auto_value(self->v.pid, "last_error"));
	EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
	ASSERT_EQ(0, victim_next(&self->v));

	/* It is the state of the moment of the signal. */
	self->v.turn = 1;
	ASSERT_EQ(0, restart_from(&self->v, self->image));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

static volatile int handled;

static void count_signal(int nr)
{
	handled++;
}

static void *block_all(void *arg)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, NULL);
	for (;;)
		pause();
	return NULL;
}

VICTIM(resists)
{
	struct sigaction act = { .sa_handler = count_signal, .sa_flags = SA_RESTART }, is;
	struct signalfd_siginfo info;
	pthread_t thread;
	sigset_t all, seen;
	int nr, fd;

	for (nr = 1; nr < NSIG; nr++)
		if (nr != SIGKILL && nr != SIGSTOP && (nr < 32 || nr >= SIGRTMIN))
			V_SYS(sigaction(nr, &act, NULL));
	V_SYS(sigaction(SIGCKPT, NULL, &is));
	V_CHECK(is.sa_handler == count_signal);
	V_EQUAL(0, pthread_create(&thread, NULL, block_all, NULL));
	sigfillset(&all);
	V_EQUAL(0, pthread_sigmask(SIG_SETMASK, &all, NULL));
	V_EQUAL(0, pthread_sigmask(SIG_SETMASK, NULL, &seen));
	V_EQUAL(1, sigismember(&seen, SIGCKPT));
	vpage->word[0] = 1;
	victim_ready();

	V_EQUAL(0, handled);
	V_SYS(sigpending(&seen));
	V_EQUAL(0, sigismember(&seen, SIGCKPT));
	sigemptyset(&all);
	sigaddset(&all, SIGCKPT);
	fd = V_SYS(signalfd(-1, &all, SFD_NONBLOCK));
	V_EQUAL(-1, read(fd, &info, sizeof(info)));
	V_EQUAL(EAGAIN, errno);
	sigfillset(&all);
	V_EQUAL(0, pthread_sigmask(SIG_UNBLOCK, &all, NULL));
	V_EQUAL(0, handled);
	close(fd);
	victim_ready();
	V_EQUAL(0, handled);

	/* Ignored, it is sent and taken all the same. */
	V_CHECK(signal(SIGCKPT, SIG_IGN) == count_signal);
	victim_ready();
	V_CHECK(signal(SIGCKPT, SIG_DFL) == SIG_IGN);
	victim_ready();
}

TEST_F(sigckpt, cannot_be_caught_blocked_or_ignored)
{
	int turn;

	ASSERT_EQ(0, victim_start(&self->v, "resists"));
	for (turn = 1; turn <= 4; turn++) {
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		ASSERT_TRUE(WAIT_IMAGES(self->v.pid, turn));
		ASSERT_EQ(0, victim_go(&self->v));
		if (turn < 4)
			ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	}
	ASSERT_EQ(0, victim_end(&self->v));
}

VICTIM(sleeps)
{
	struct timespec ts = { 2, 0 };
	int64_t began = now_ns(CLOCK_MONOTONIC), took;

	victim_reach_in(__NR_clock_nanosleep);
	V_EQUAL(0, nanosleep(&ts, NULL));
	took = now_ns(CLOCK_MONOTONIC) - began;
	V_CHECK(took >= 2000000000);
	V_CHECK(took < 2000000000 + slowness() * 1500000000LL);
	victim_ready();
}

TEST_F(sigckpt, a_sleeper_does_not_notice)
{
	int nr;

	ASSERT_EQ(0, victim_start(&self->v, "sleeps"));
	for (nr = 1; nr <= 3; nr++) {
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		ASSERT_TRUE(WAIT_IMAGES(self->v.pid, nr));
	}
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, a_stopped_process_stays_stopped)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	sleep_ms(50);
	EXPECT_EQ('T', proc_state(self->v.pid, self->v.pid));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_next(&self->v));

	ASSERT_EQ(0, restart_from(&self->v, the_image(_metadata, self)));
	EXPECT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	self->v.turn = 1;
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(vforks)
{
	struct timespec ts = { 1, 0 };
	pid_t child;

	victim_reach();
	child = vfork();
	if (!child) {
		nanosleep(&ts, NULL);
		_exit(0);
	}
	V_EQUAL(child, waitpid(child, NULL, 0));
	victim_ready();
}

TEST_F(sigckpt, reaches_a_process_that_waits_in_vfork)
{
	ASSERT_EQ(0, victim_start(&self->v, "vforks"));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'D'));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, a_burst_becomes_few)
{
	const int nr = 200;
	long images;
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	for (i = 0; i < nr; i++)
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IDLE(self->v.pid));
	images = auto_value(self->v.pid, "images");
	EXPECT_EQ(nr, auto_value(self->v.pid, "requests"));
	EXPECT_EQ(nr - images, auto_value(self->v.pid, "coalesced"));
	EXPECT_GE(images, 1);
	EXPECT_LT(images, nr);
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	test_log("%d signals, %ld images", nr, images);
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, signals_that_come_too_soon_wait)
{
	int64_t began, took;

	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_pause_ms", "1500"));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	began = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 2));
	took = now_ns(CLOCK_MONOTONIC) - began;
	EXPECT_GE(took, 1400000000);
}

TEST_F(sigckpt, tkill_and_timers_are_signals_too)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, syscall(SYS_tgkill, self->v.pid, self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

VICTIM(sets_a_timer)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCKPT };
	struct itimerspec every = { { 0, 200000000 }, { 0, 200000000 } };
	timer_t timer;

	V_SYS(timer_create(CLOCK_MONOTONIC, &event, &timer));
	V_SYS(timer_settime(timer, 0, &every, NULL));
	victim_ready();
	V_SYS(timer_delete(timer));
}

TEST_F(sigckpt, a_timer_of_the_process_can_send_it)
{
	ASSERT_EQ(0, victim_start(&self->v, "sets_a_timer"));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 4));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- its flags ---- */

TEST_F(sigckpt, unknown_flags_are_refused_to_the_sender)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	EXPECT_EQ(-EINVAL, send_flags(self->v.pid, CHECKPOINT_SIGNAL_SINGLE << 1));
	EXPECT_EQ(-EINVAL, send_flags(self->v.pid, -1));
	EXPECT_EQ(-EINVAL, send_flags(self->v.pid, CHECKPOINT_SIGNAL_FULL |
				      CHECKPOINT_SIGNAL_INCREMENTAL));
	sleep_ms(200);
	EXPECT_EQ(-1, auto_value(self->v.pid, "images") > 0 ? 1 : -1);
	EXPECT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_TREE));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

TEST_F(sigckpt, exit_after_success)
{
	char image[128];

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	strcpy(image, the_image(_metadata, self));
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &self->v.status, 0));
	self->v.alive = false;
	EXPECT_TRUE(WIFSIGNALED(self->v.status) && WTERMSIG(self->v.status) == SIGKILL);
	ASSERT_EQ(0, use_image(&self->v, image));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, no_exit_after_a_failure)
{
	ASSERT_EQ(0, set_pattern("/nowhere/%%p"));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_TRUE(WAIT_FAILURES(self->v.pid, 1));
	EXPECT_EQ(ENOENT, auto_value(self->v.pid, "last_error"));
	EXPECT_TRUE(auto_reports(self->v.pid, "/nowhere"));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, increments_form_a_chain)
{
	struct ckpt_header h[4];
	char path[160];
	int i;

	ASSERT_EQ(0, set_pattern("%s/%%n", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	for (i = 0; i < 4; i++) {
		ASSERT_EQ(0, send_flags(self->v.pid, i == 3 ? CHECKPOINT_SIGNAL_FULL :
					CHECKPOINT_SIGNAL_INCREMENTAL));
		ASSERT_TRUE(WAIT_IMAGES(self->v.pid, i + 1));
		snprintf(path, sizeof(path), "%s/%d", self->v.dir, i);
		ASSERT_EQ(0, image_header(path, &h[i]));
	}
	EXPECT_EQ(0, h[0].sequence);
	EXPECT_EQ(1, h[1].sequence);
	EXPECT_EQ(2, h[2].sequence);
	EXPECT_EQ(0, h[3].sequence);
	EXPECT_EQ(0, memcmp(h[1].parent_uuid, h[0].uuid, 16));
	EXPECT_EQ(0, memcmp(h[2].parent_uuid, h[1].uuid, 16));
}

TEST_F(sigckpt, an_increment_does_not_take_the_place_of_its_parent)
{
	struct ckpt_header h;
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	for (i = 1; i <= 2; i++) {
		ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_INCREMENTAL));
		ASSERT_TRUE(WAIT_IMAGES(self->v.pid, i));
		ASSERT_EQ(0, image_header(the_image(_metadata, self), &h));
		EXPECT_EQ(0, h.sequence);
	}
}

/* ---- who may ---- */

static int kill_as(uid_t uid, pid_t pid)
{
	int status;
	pid_t child = fork();

	if (!child) {
		if (setresgid(uid, uid, uid) || setresuid(uid, uid, uid))
			_exit(100);
		_exit(kill(pid, SIGCKPT) ? errno : 0);
	}
	if (waitpid(child, &status, 0) != child || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

TEST_F(sigckpt, permission_is_that_of_any_signal)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	EXPECT_EQ(EPERM, kill_as(NOBODY, self->v.pid));
	sleep_ms(200);
	EXPECT_GT(1, auto_value(self->v.pid, "images"));
}

VICTIM(becomes_nobody)
{
	V_SYS(setresgid(NOBODY, NOBODY, NOBODY));
	V_SYS(setresuid(NOBODY, NOBODY, NOBODY));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	victim_ready();
}

TEST_F(sigckpt, the_administrator_can_restrict_it)
{
	/* Where nobody can write. */
	ASSERT_EQ(0, chown(self->v.dir, NOBODY, NOBODY));
	ASSERT_EQ(0, victim_start(&self->v, "becomes_nobody"));
	ASSERT_EQ(0, kill_as(NOBODY, self->v.pid));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));

	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "1"));
	EXPECT_EQ(EPERM, kill_as(NOBODY, self->v.pid));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 2));

	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "0"));
	EXPECT_EQ(EPERM, kill_as(NOBODY, self->v.pid));
	EXPECT_EQ(-1, kill(self->v.pid, SIGCKPT));
	EXPECT_EQ(EPERM, errno);
	sleep_ms(200);
	EXPECT_EQ(2, auto_value(self->v.pid, "images"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(is_not_dumpable)
{
	V_SYS(prctl(PR_SET_DUMPABLE, 0));
	victim_ready();
}

TEST_F(sigckpt, who_may_not_be_dumped_is_not)
{
	ASSERT_EQ(0, victim_start(&self->v, "is_not_dumpable"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_FAILURES(self->v.pid, 1));
	EXPECT_EQ(EPERM, auto_value(self->v.pid, "last_error"));
	EXPECT_TRUE(auto_reports(self->v.pid, "may not be dumped"));
	EXPECT_EQ(0, count_files(self->v.dir, "ckpt"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, a_traced_process_is_busy)
{
	int status;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->v.pid, 0, 0));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "last_error") == EBUSY));
	EXPECT_TRUE(auto_reports(self->v.pid, "is being traced"));
	/* Tried again until nobody traces it any more. */
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->v.pid, 0, 0));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, __WALL));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->v.pid, 0, 0));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

TEST_F(sigckpt, a_debugger_can_send_it)
{
	int status;

	ASSERT_EQ(0, victim_start(&self->v, "resists"));
	ASSERT_EQ(0, ptrace(PTRACE_ATTACH, self->v.pid, 0, 0));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, __WALL));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->v.pid, 0, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

/* ---- taking part ---- */

VICTIM(takes_part)
{
	struct sigaction act = { .sa_handler = count_signal };
	sigset_t set, seen;

	V_EQUAL(0, prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0, 0, 0));
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, CHECKPOINT_NO_LIMIT, 0, 0));
	V_EQUAL(1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0, 0, 0));
	V_SYS(sigaction(SIGCKPT, &act, NULL));

	/* caught, once, and it interrupts */
	victim_reach_in(__NR_pause);
	V_EQUAL(-1, pause());
	V_EQUAL(EINTR, errno);
	V_EQUAL(1, handled);

	/* blocked */
	sigemptyset(&set);
	sigaddset(&set, SIGCKPT);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	victim_ready();
	V_EQUAL(1, handled);
	V_SYS(sigpending(&seen));
	V_EQUAL(1, sigismember(&seen, SIGCKPT));
	V_EQUAL(SIGCKPT, sigwaitinfo(&set, NULL));
	V_SYS(sigprocmask(SIG_UNBLOCK, &set, NULL));
	V_EQUAL(1, handled);

	/* ignored */
	signal(SIGCKPT, SIG_IGN);
	victim_ready();
	V_SYS(sigpending(&seen));
	V_EQUAL(0, sigismember(&seen, SIGCKPT));
	vpage->word[1] = 1;

	/* left to the kernel */
	signal(SIGCKPT, SIG_DFL);
	victim_ready();

	/* left to the kernel, but later */
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	victim_ready();
	V_SYS(sigpending(&seen));
	V_EQUAL(1, sigismember(&seen, SIGCKPT));
	V_SYS(sigprocmask(SIG_UNBLOCK, &set, NULL));
	victim_ready();

	/* a signal that nobody takes becomes one when it is over */
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	V_SYS(sigaction(SIGCKPT, &act, NULL));
	victim_ready();
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_OUT, 0, 0, 0));
	V_EQUAL(0, prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0, 0, 0));
	V_SYS(sigpending(&seen));
	V_EQUAL(0, sigismember(&seen, SIGCKPT));
	victim_ready();
	V_EQUAL(1, handled);
}

TEST_F(sigckpt, who_takes_part_has_an_ordinary_signal)
{
	pid_t pid;

	ASSERT_EQ(0, victim_start(&self->v, "takes_part"));
	pid = self->v.pid;
	EXPECT_EQ(1, auto_value(pid, "takes_part"));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* caught */
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* blocked */
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* ignored */
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_GE(0, auto_value(pid, "images"));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* default */
	ASSERT_TRUE(WAIT_IMAGES(pid, 1));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* default, blocked */
	sleep_ms(200);
	EXPECT_EQ(1, auto_value(pid, "images"));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_TRUE(WAIT_IMAGES(pid, 2));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, kill(pid, SIGCKPT));		/* pending at the opt-out */
	sleep_ms(200);
	EXPECT_EQ(2, auto_value(pid, "images"));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_TRUE(WAIT_IMAGES(pid, 3));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(0, auto_value(pid, "takes_part"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(does_not_answer)
{
	struct sigaction act = { .sa_handler = count_signal, .sa_flags = SA_RESTART };

	V_SYS(sigaction(SIGCKPT, &act, NULL));
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, 700, 0, 0));
	victim_ready();
	V_EQUAL(1, handled);
}

TEST_F(sigckpt, who_does_not_answer_in_time_is_not_asked_again)
{
	int64_t began, took;

	ASSERT_EQ(0, victim_start(&self->v, "does_not_answer"));
	began = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	took = now_ns(CLOCK_MONOTONIC) - began;
	EXPECT_GE(took, 600000000);
	ASSERT_EQ(0, victim_finish(&self->v));
}

static volatile int taken = -1;

static void take_it(int nr)
{
	taken = prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 0, 0, 0);
}

VICTIM(takes_it_itself)
{
	struct sigaction act = { .sa_handler = take_it, .sa_flags = SA_RESTART };

	V_SYS(sigaction(SIGCKPT, &act, NULL));
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, CHECKPOINT_NO_LIMIT, 0, 0));
	victim_ready();
	vpage->word[0] = taken;
	victim_ready();
}

TEST_F(sigckpt, a_handler_can_take_the_checkpoint)
{
	ASSERT_EQ(0, victim_start(&self->v, "takes_it_itself"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, victim_word(&self->v, 0));

	self->v.turn = 1;
	ASSERT_EQ(0, restart_from(&self->v, the_image(_metadata, self)));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(1, victim_word(&self->v, 0));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(takes_one)
{
	vpage->word[0] = -1;
	victim_reach();
	vpage->word[0] = prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 0, 0, 0);
	vpage->word[1] = errno;
	victim_ready();
}

TEST_F(sigckpt, a_process_can_ask_for_itself)
{
	ASSERT_EQ(0, victim_start(&self->v, "takes_one"));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(0, victim_word(&self->v, 0));
	self->v.turn = 1;
	ASSERT_EQ(0, restart_from(&self->v, the_image(_metadata, self)));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(1, victim_word(&self->v, 0));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(sigckpt, and_is_told_why_not)
{
	ASSERT_EQ(0, set_pattern("/nowhere/%%p"));
	ASSERT_EQ(0, victim_start(&self->v, "takes_one"));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(-1, victim_word(&self->v, 0));
	EXPECT_EQ(ENOENT, victim_word(&self->v, 1));
	ASSERT_EQ(0, victim_finish(&self->v));
}

static void *take_often(void *arg)
{
	int i, *nr = arg;

	for (i = 0; i < 20; i++)
		if (!prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 0, 0, 0))
			++*nr;
	return NULL;
}

VICTIM(threads_take_it)
{
	pthread_t thread[4];
	int nr[4] = {}, i;

	victim_reach();
	for (i = 0; i < 4; i++)
		V_EQUAL(0, pthread_create(&thread[i], NULL, take_often, &nr[i]));
	for (i = 0; i < 4; i++) {
		V_EQUAL(0, pthread_join(thread[i], NULL));
		V_EQUAL(20, nr[i]);
	}
	victim_ready();
}

/* And a checkpointer from outside, and signals, at the same time. */
TEST_F(sigckpt, threads_that_ask_at_once_all_get_one)
{
	long ret;
	int ok = 0;

	ASSERT_EQ(0, victim_start(&self->v, "threads_take_it"));
	while (victim_word(&self->v, 0) == 0 && auto_value(self->v.pid, "images") < 70) {
		ret = victim_try_checkpoint(&self->v, 0);
		ok += !ret;
		ASSERT_TRUE(!ret || ret == -EBUSY);
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		sleep_ms(10);
	}
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	test_log("%d from outside, %ld by the kernel", ok, auto_value(self->v.pid, "images"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(bad_prctl)
{
	V_EQUAL(-1, prctl(PR_CHECKPOINT, 0, 0, 0, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, 77, 0, 0, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, 1ULL << 32, 0, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, 1, 1, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_OUT, 1, 0, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0, 0, 1));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 1 << 5, 0, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, 1, 10, 0));
	V_EQUAL(EFAULT, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, "keep", 4, 0));
	V_EQUAL(EINVAL, errno);
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, "keep=3", 5000, 0));
	V_EQUAL(EINVAL, errno);
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, "keep=3", 6, 0));
	victim_ready();
}

TEST_F(sigckpt, prctl_refuses_what_it_does_not_know)
{
	ASSERT_EQ(0, victim_start(&self->v, "bad_prctl"));
	EXPECT_EQ(3, auto_value(self->v.pid, "keep"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- fork, exec ---- */

VICTIM(forks_and_executes)
{
	char *const argv[] = { "victim", "--victim", "waits", (char *)victim_dir, "", NULL };
	int status;
	pid_t child;

	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, 0, 0, 0));
	child = V_SYS(fork());
	if (!child)
		_exit(prctl(PR_CHECKPOINT, PR_CHECKPOINT_GET_OPT_IN, 0, 0, 0));
	V_EQUAL(child, waitpid(child, &status, 0));
	V_EQUAL(1 << 8, status);
	victim_ready();
	execv("/proc/self/exe", argv);
	V_CHECK(false);
}

TEST_F(sigckpt, a_child_takes_part_a_new_program_does_not)
{
	ASSERT_EQ(0, victim_start(&self->v, "forks_and_executes"));
	EXPECT_EQ(1, auto_value(self->v.pid, "takes_part"));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "takes_part") == 0));
	self->v.turn = 0;
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

static void *exec_again(void *arg)
{
	char count[16], *const argv[] = { "victim", "--victim", "executes",
					  (char *)victim_dir, count, NULL };
	struct timespec ts = { 0, 2000000 };

	nanosleep(&ts, NULL);
	snprintf(count, sizeof(count), "%d", atoi(victim_arg) - 1);
	execv("/proc/self/exe", argv);
	abort();
}

VICTIM(executes)
{
	pthread_t thread;

	victim_reach();
	if (!atoi(victim_arg)) {
		victim_await(1);
		return;
	}
	V_EQUAL(0, pthread_create(&thread, NULL, exec_again, NULL));
	for (;;)
		pause();
}

/* Each exec by a thread that is not the leader replaces the leader. */
TEST_F(sigckpt, races_with_exec_are_survived)
{
	int n = the_count(60);
	char count[16];
	long images;

	snprintf(count, sizeof(count), "%d", n);
	ASSERT_EQ(0, victim_start_with(&self->v, "executes", count));
	for (; n; n--) {
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		sleep_ms(15);
	}
	ASSERT_TRUE(WAIT_IDLE(self->v.pid));
	images = auto_value(self->v.pid, "images");
	EXPECT_GE(images, 1);
	test_log("%ld images, %ld failed", images, auto_value(self->v.pid, "failed"));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
}

VICTIM(is_a_storm)
{
	pid_t child;

	victim_reach();
	for (;;) {
		child = V_SYS(fork());
		if (!child)
			_exit(0);
		V_EQUAL(child, waitpid(child, NULL, 0));
	}
}

/* Refused while there is a child, never harmed. */
TEST_F(sigckpt, a_process_that_forks_all_the_time_is_not_harmed)
{
	int n = the_count(100), i;

	ASSERT_EQ(0, victim_start(&self->v, "is_a_storm"));
	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		sleep_ms(5);
	}
	ASSERT_TRUE(WAIT_IDLE(self->v.pid));
	EXPECT_GT(auto_value(self->v.pid, "images") + auto_value(self->v.pid, "failed"), 0);
	EXPECT_EQ(0, kill(self->v.pid, 0));
	EXPECT_FALSE(victim_reap(&self->v));
}

TEST_F(sigckpt, a_dying_process_leaves_nothing)
{
	int n = the_count(60), i;

	for (i = 0; i < n; i++) {
		ASSERT_EQ(0, victim_start(&self->v, "waits"));
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		sleep_ns(i * 100000);
		ASSERT_EQ(0, victim_kill(&self->v));
	}
	sleep_ms(300);
	EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
}

static int in_pid_namespace(void *arg)
{
	int *fd = arg;
	char c;

	/* An init does not get signals it has no handler for, this one neither. */
	kill(1, SIGCKPT);
	if (write(fd[1], "x", 1) != 1 || read(fd[2], &c, 1) != 1)
		return 1;
	return 0;
}

TEST_F(sigckpt, an_init_process_is_not_reached_from_inside)
{
	static char stack[65536] __aligned(16);
	int pipes[4], status;
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(pipes));
	ASSERT_EQ(0, pipe(pipes + 2));
	pid = clone(in_pid_namespace, stack + sizeof(stack), CLONE_NEWPID | SIGCHLD, pipes);
	ASSERT_GT(pid, 0);
	ASSERT_EQ(1, read(pipes[0], &c, 1));
	sleep_ms(200);
	EXPECT_GE(0, auto_value(pid, "requests"));
	/* From outside it is, and refused by name. */
	ASSERT_EQ(0, kill(pid, SIGCKPT));
	ASSERT_TRUE(WAIT_FAILURES(pid, 1));
	EXPECT_TRUE(auto_reports(pid, "init process of its pid namespace"));
	ASSERT_EQ(1, write(pipes[3], "x", 1));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* A kernel thread does not care. */
TEST_F(sigckpt, kernel_threads_ignore_it)
{
	EXPECT_EQ(0, kill(2, SIGCKPT));
	EXPECT_EQ(0, kill(2, 0));
}

/* ---- what the administrator forbids to those who take part ---- */

static void count_on_page(int nr)
{
	vpage->word[0]++;
}

VICTIM(takes_part_as_nobody)
{
	struct sigaction act = { .sa_handler = count_on_page, .sa_flags = SA_RESTART };
	sigset_t set;

	V_SYS(setresgid(NOBODY, NOBODY, NOBODY));
	V_SYS(setresuid(NOBODY, NOBODY, NOBODY));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	V_SYS(sigaction(SIGCKPT, &act, NULL));
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_IN, CHECKPOINT_NO_LIMIT, 0, 0));
	victim_ready();

	/* left to the kernel, but later */
	sigemptyset(&set);
	sigaddset(&set, SIGCKPT);
	signal(SIGCKPT, SIG_DFL);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	victim_ready();
	V_SYS(sigprocmask(SIG_UNBLOCK, &set, NULL));
	victim_ready();

	/* pending when it does not take part any more */
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	victim_ready();
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_OPT_OUT, 0, 0, 0));
	victim_ready();
}

TEST_F(sigckpt, who_takes_part_is_protected_as_well)
{
	pid_t pid;

	ASSERT_EQ(0, chown(self->v.dir, NOBODY, NOBODY));
	ASSERT_EQ(0, victim_start(&self->v, "takes_part_as_nobody"));
	pid = self->v.pid;
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "1"));
	EXPECT_EQ(EPERM, kill_as(NOBODY, pid));
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "0"));
	EXPECT_EQ(-1, kill(pid, SIGCKPT));
	EXPECT_EQ(EPERM, errno);
	sleep_ms(100);
	EXPECT_EQ(0, victim_word(&self->v, 0));
	/* Its own checkpoints it has asked for itself. */
	ASSERT_EQ(0, auto_set(pid, "interval_ms=100"));
	EXPECT_TRUE(WAIT_FOR(victim_word(&self->v, 0) > 0));
	ASSERT_EQ(0, auto_set(pid, "interval_ms=0"));

	ASSERT_EQ(0, victim_next(&self->v));		/* default, blocked */
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "2"));
	ASSERT_EQ(0, kill(pid, SIGCKPT));
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "0"));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));		/* blocked again */
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "2"));
	ASSERT_EQ(0, kill(pid, SIGCKPT));
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_signal", "0"));
	ASSERT_EQ(0, victim_next(&self->v));
	sleep_ms(300);
	EXPECT_EQ(0, auto_value(pid, "images"));
	EXPECT_EQ(0, auto_value(pid, "failed"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
