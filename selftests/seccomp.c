// SPDX-License-Identifier: GPL-2.0
/*
 * seccomp: what a process was forbidden stays forbidden, what it may do it still
 * may; filters are those of the threads that had them.
 */
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>

#include "ckpt_hostile.h"

CKPT_FIXTURE(seccomp)

#define LOAD_NR	BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr))
#define DENY(nr, error)							\
	BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, 1),			\
	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (error))
#define ALLOW	BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)

static long seccomp(unsigned int op, unsigned int flags, void *arg)
{
	return syscall(__NR_seccomp, op, flags, arg);
}

/* getppid() fails with @error, the rest is allowed. */
static long forbid(long nr, int error, unsigned int flags)
{
	struct sock_filter insns[] = { LOAD_NR, DENY(nr, error), ALLOW };
	struct sock_fprog prog = { ARRAY_SIZE(insns), insns };

	return seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog);
}

static int error_of(long nr)
{
	return syscall(nr, 0, 0, 0) < 0 ? errno : 0;
}

static long status(const char *field)
{
	return proc_value(getpid(), "status", field);
}

static void no_new_privs(void)
{
	V_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
}

SURVIVES(seccomp, what_was_forbidden_stays_forbidden)
{
	no_new_privs();
	V_SYS(forbid(__NR_getppid, 99, 0));
	victim_ready();
	V_EQUAL(99, error_of(__NR_getppid));
	V_EQUAL(0, error_of(__NR_getpid));
	V_EQUAL(SECCOMP_MODE_FILTER, prctl(PR_GET_SECCOMP));
	V_EQUAL(SECCOMP_MODE_FILTER, status("Seccomp"));
	V_EQUAL(1, status("Seccomp_filters"));
	V_EQUAL(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

SURVIVES(seccomp, filters_stay_over_several_generations)
{
	int i;

	no_new_privs();
	V_SYS(forbid(__NR_getppid, 99, 0));
	for (i = 0; i < 3; i++) {
		victim_ready();
		V_EQUAL(99, error_of(__NR_getppid));
		V_EQUAL(1, status("Seccomp_filters"));
	}
}

/* Of actions of the same kind the filter installed last decides. */
SURVIVES(seccomp, the_order_of_filters_stays)
{
	no_new_privs();
	V_SYS(forbid(__NR_getppid, 1, 0));
	V_SYS(forbid(__NR_getppid, 2, 0));
	V_SYS(forbid(__NR_getuid, 3, SECCOMP_FILTER_FLAG_LOG));
	victim_ready();
	V_EQUAL(2, error_of(__NR_getppid));
	V_EQUAL(3, error_of(__NR_getuid));
	V_EQUAL(3, status("Seccomp_filters"));
	V_SYS(forbid(__NR_getppid, 4, 0));
	V_EQUAL(4, error_of(__NR_getppid));
	V_EQUAL(4, status("Seccomp_filters"));
}

SURVIVES(seccomp, a_privileged_process_needs_no_no_new_privs)
{
	V_SYS(forbid(__NR_getppid, 99, 0));
	victim_ready();
	V_EQUAL(99, error_of(__NR_getppid));
	V_EQUAL(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

/* What the restart itself does is not forbidden to the process afterwards. */
SURVIVES(seccomp, a_filter_that_forbids_nearly_all_survives)
{
	struct sock_filter insns[] = {
		LOAD_NR,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_clock_nanosleep, 3, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_restart_syscall, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_exit_group, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_KILL_PROCESS),
		ALLOW,
	};
	struct sock_fprog prog = { ARRAY_SIZE(insns), insns };

	no_new_privs();
	V_SYS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog));
	victim_ready();
	victim_ready();
}

SURVIVES(seccomp, a_long_program_survives)
{
	static struct sock_filter insns[BPF_MAXINSNS];
	struct sock_fprog prog = { BPF_MAXINSNS, insns };
	int i;

	for (i = 0; i < BPF_MAXINSNS - 4; i++)
		insns[i] = (struct sock_filter)BPF_STMT(BPF_LD | BPF_IMM, i);
	insns[i++] = (struct sock_filter)LOAD_NR;
	insns[i++] = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1);
	insns[i++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | 99);
	insns[i++] = (struct sock_filter)ALLOW;
	no_new_privs();
	V_SYS(seccomp(SECCOMP_SET_MODE_FILTER, 0, &prog));
	victim_ready();
	V_EQUAL(99, error_of(__NR_getppid));
}

VICTIM(strict)
{
	V_SYS(prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT));
	victim_reach();
	while (!victim_told(1))
		;
	victim_reach();
	while (!victim_told(2))
		;
	if (vpage->word[0])
		syscall(__NR_getpid);
	syscall(__NR_exit, 0);
}

TEST_F(seccomp, strict_mode_stays)
{
	ASSERT_EQ(0, victim_start(&self->v, "strict"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(SECCOMP_MODE_STRICT, proc_value(self->v.pid, "status", "Seccomp"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(seccomp, strict_mode_still_kills)
{
	ASSERT_EQ(0, victim_start(&self->v, "strict"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_set_word(&self->v, 0, 1));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_TRUE(WAIT_FOR(victim_reap(&self->v)));
	EXPECT_TRUE(WIFSIGNALED(self->v.status) && WTERMSIG(self->v.status) == SIGKILL);
}

/* ---- threads ---- */

static volatile int turn;
static volatile int seen[2];

static void *asks_twice(void *arg)
{
	int i;

	if (arg)
		V_SYS(forbid(__NR_getuid, 55, 0));
	turn = 1;
	for (i = 0; i < 2; i++) {
		while (turn != 2 + i)
			sleep_ms(1);
		seen[i] = error_of(i ? __NR_getuid : __NR_getppid);
		turn = 10 + i;
		while (turn == 10 + i)
			sleep_ms(1);
	}
	return NULL;
}

static void ask(pthread_t *thread, int which)
{
	turn = 2 + which;
	while (turn != 10 + which)
		sleep_ms(1);
	turn = 0;
}

SURVIVES(seccomp, filters_of_one_thread_stay_its_own)
{
	pthread_t thread;

	no_new_privs();
	V_EQUAL(0, pthread_create(&thread, NULL, asks_twice, (void *)1));
	while (turn != 1)
		sleep_ms(1);
	V_SYS(forbid(__NR_getppid, 44, 0));
	victim_ready();
	ask(&thread, 0);
	ask(&thread, 1);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(0, seen[0]);
	V_EQUAL(55, seen[1]);
	V_EQUAL(44, error_of(__NR_getppid));
	V_EQUAL(0, error_of(__NR_getuid));
}

/*
 * Inherited filters are the same, not only equal: TSYNC works only where the one
 * thread's filters are an ancestor of the other's.
 */
SURVIVES(seccomp, inherited_filters_stay_shared)
{
	pthread_t thread;

	no_new_privs();
	V_SYS(forbid(__NR_getgid, 33, 0));
	V_EQUAL(0, pthread_create(&thread, NULL, asks_twice, NULL));
	while (turn != 1)
		sleep_ms(1);
	victim_ready();
	V_EQUAL(0, forbid(__NR_getppid, 44, SECCOMP_FILTER_FLAG_TSYNC));
	ask(&thread, 0);
	ask(&thread, 1);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(44, seen[0]);
	V_EQUAL(0, seen[1]);
	V_EQUAL(33, error_of(__NR_getgid));
}

SURVIVES(seccomp, filters_set_for_all_threads_stay_shared)
{
	pthread_t thread;

	no_new_privs();
	V_EQUAL(0, pthread_create(&thread, NULL, asks_twice, NULL));
	while (turn != 1)
		sleep_ms(1);
	V_EQUAL(0, forbid(__NR_getppid, 44, SECCOMP_FILTER_FLAG_TSYNC));
	victim_ready();
	ask(&thread, 0);
	V_EQUAL(44, seen[0]);
	V_EQUAL(0, forbid(__NR_getuid, 45, SECCOMP_FILTER_FLAG_TSYNC));
	ask(&thread, 1);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(45, seen[1]);
}

/* Threads that have different filters stay so. */
SURVIVES(seccomp, filters_that_differ_cannot_be_set_for_all_threads)
{
	pthread_t thread;

	no_new_privs();
	V_EQUAL(0, pthread_create(&thread, NULL, asks_twice, (void *)1));
	while (turn != 1)
		sleep_ms(1);
	victim_ready();
	V_CHECK(forbid(__NR_getppid, 44, SECCOMP_FILTER_FLAG_TSYNC) > 0);
	ask(&thread, 0);
	ask(&thread, 1);
	V_EQUAL(0, pthread_join(thread, NULL));
	V_EQUAL(0, seen[0]);
}

/* ---- what is asked of the restarter, and refused ---- */

CKPT_FIXTURE_REAL(limits)

VICTIM(filtered)
{
	no_new_privs();
	V_SYS(forbid(__NR_getppid, 99, 0));
	victim_ready();
	V_EQUAL(99, error_of(__NR_getppid));
	vpage->word[0] = status("Seccomp_filters");
	victim_ready();
}

/* As a container has it: the restarter is under the filters that are in the image. */
TEST_F(limits, filters_of_the_restarter_are_not_added_again)
{
	int i, state;
	pid_t child;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		/* the victim inherits this */
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || forbid(__NR_getuid, 0, 0))
			_exit(1);
		if (victim_start(&self->v, "filtered"))
			_exit(2);
		for (i = 0; i < 3; i++)
			if (victim_cycle(&self->v, true))
				_exit(3);
		if (victim_next(&self->v))
			_exit(4);
		if (victim_word(&self->v, 0) != 2) {
			test_log("%ld filters", victim_word(&self->v, 0));
			_exit(5);
		}
		_exit(victim_finish(&self->v) ? 6 : 0);
	}
	ASSERT_EQ(child, waitpid(child, &state, 0));
	EXPECT_EQ(0, state);
}

VICTIM(notified)
{
	struct sock_filter insns[] = {
		LOAD_NR,
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, __NR_getppid, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
		ALLOW,
	};
	struct sock_fprog prog = { ARRAY_SIZE(insns), insns };
	int fd;

	no_new_privs();
	fd = V_SYS(seccomp(SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &prog));
	victim_ready();
	close(fd);
	victim_ready();
	V_EQUAL(ENOSYS, error_of(__NR_getppid));
}

TEST_F(limits, a_filter_with_a_notifier_is_refused)
{
	ASSERT_EQ(0, victim_start(&self->v, "notified"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "notifier"))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_go(&self->v));
	/* without it there is nothing to refuse */
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* A filter without no_new_privs is what only CAP_SYS_ADMIN may have. */
VICTIM(privileged)
{
	V_SYS(forbid(__NR_getppid, 99, 0));
	victim_ready();
}

TEST_F(limits, a_filter_needs_no_new_privs_or_privilege)
{
	int state;
	pid_t child;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "privileged"));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (drop_capability(CAP_SYS_ADMIN))
			_exit(2);
		/* a time namespace would need it as well */
		if (victim_try_restart(&self->v, RESTART_HOST_CLOCKS) != -EACCES)
			_exit(3);
		_exit(strstr(self->v.log, "CAP_SYS_ADMIN") ? 0 : 4);
	}
	ASSERT_EQ(child, waitpid(child, &state, 0));
	EXPECT_EQ(0, state);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

/* Right checksums, insane values; see image.c. */
#define HOSTILE(name, change)					\
	TEST_F(limits, hostile_##name)					\
	{								\
		struct ckpt_seccomp_filter *filter;			\
		struct ckpt_seccomp *state;				\
		struct image img;					\
									\
		ASSERT_EQ(0, victim_image(&self->v, "filtered", &img));	\
		filter = find(&img, CKPT_REC_SECCOMP_FILTER, 0);	\
		state = find(&img, CKPT_REC_SECCOMP, 0);		\
		ASSERT_NE(NULL, filter);				\
		ASSERT_NE(NULL, state);					\
		ASSERT_TRUE(image_is_good(&self->v, &img));		\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
		free(img.data);						\
	}

HOSTILE(previous_is_itself, filter->prev = rec_at(&img, find_rec(&img,
	CKPT_REC_SECCOMP_FILTER, 0))->objref)
HOSTILE(previous_is_the_thread, filter->prev = rec_at(&img, find_rec(&img,
	CKPT_REC_THREAD, 0))->objref)
HOSTILE(no_instructions, filter->nr_insns = 0)
HOSTILE(more_instructions_than_there_are, filter->nr_insns = 4096)
HOSTILE(too_many_instructions, filter->nr_insns = 0x20000001)
HOSTILE(jump_out_of_the_program, filter->insns[1].jt = 200)
HOSTILE(unknown_instruction, filter->insns[0].code = 0xffff)
HOSTILE(load_beyond_the_data, filter->insns[0].k = 4096)
HOSTILE(load_of_a_packet, filter->insns[0].code = BPF_LD | BPF_B | BPF_IND)
HOSTILE(end_without_return, filter->insns[3].code = BPF_LD | BPF_IMM)
HOSTILE(unknown_flags, filter->flags = 0x80)
HOSTILE(filter_of_no_thread, state->filter = 0xffffff)
HOSTILE(filter_is_the_thread, state->filter = rec_at(&img, find_rec(&img,
	CKPT_REC_THREAD, 0))->objref)
HOSTILE(unknown_mode, state->mode = 3)
HOSTILE(strict_with_a_filter, state->mode = SECCOMP_MODE_STRICT)
HOSTILE(filters_without_a_filter, state->filter = 0)

/* Nothing is added to what the restarter is under, as in containers. */
TEST_F(limits, the_filter_of_the_restarter_needs_no_privilege)
{
	int state;
	pid_t child;

	ASSERT_EQ(0, victim_start_and_save(&self->v, "privileged"));
	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (forbid(__NR_getppid, 99, 0) || drop_capability(CAP_SYS_ADMIN))
			_exit(2);
		if (victim_try_restart(&self->v, RESTART_HOST_CLOCKS) != self->v.pid) {
			show_log(self->v.log);
			_exit(3);
		}
		_exit(victim_finish(&self->v) ? 4 : 0);
	}
	ASSERT_EQ(child, waitpid(child, &state, 0));
	EXPECT_EQ(0, state);
	if (state)
		kill(self->v.pid, SIGKILL);
}

CKPT_TEST_MAIN
