// SPDX-License-Identifier: GPL-2.0
/*
 * Trees of processes: who is whose child, groups and sessions, zombies, what
 * processes share, and that a tree is frozen as a whole whatever it is doing.
 */
#include <linux/futex.h>
#include <linux/kcmp.h>
#include <limits.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>

#include "ckpt_image.h"
#include "ckpt_memory.h"
#include "ckpt_chain.h"
#include "ckpt_tree.h"

CKPT_TREE_FIXTURE(tree)

/* ---- what the members of a tree have in common ---- */

#define BOARD_VALUES	2048

/**
 * struct board - shared memory of a tree
 * @ready:	members that have come to the point of the checkpoint
 * @go:		they may go on
 * @value:	what they have to say
 */
struct board {
	volatile int	ready;
	volatile int	go;
	volatile long	value[BOARD_VALUES];
};

static struct board *board;

static void board_make(void)
{
	board = (void *)V_SYS(mmap(NULL, sizeof(*board), PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

static void board_release(void)
{
	board->go = 1;
	syscall(SYS_futex, &board->go, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* Sleeps, as there may be a thousand of them. */
static void member_await(void)
{
	__sync_fetch_and_add(&board->ready, 1);
	while (!board->go)
		syscall(SYS_futex, &board->go, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void members_await(int nr)
{
	V_CHECK(WAIT_FOR(board->ready == nr));
}

/* A child that does @fn and ends with what it returns. */
static pid_t member(int (*fn)(long), long arg)
{
	pid_t pid = V_SYS(fork());

	if (!pid)
		_exit(fn(arg));
	return pid;
}

static int member_status(pid_t pid)
{
	int status;

	V_EQUAL(pid, V_SYS(waitpid(pid, &status, __WALL)));
	return status;
}

/* All members are at the point of the checkpoint; after it they go on. */
static void tree_ready(int nr)
{
	members_await(nr);
	victim_ready();
	board_release();
}

/* ---- who is whose child ---- */

static int tells_its_parent(long parent)
{
	pid_t pid = getpid();

	member_await();
	return getppid() != parent || getpid() != pid || gettid() != pid;
}

TREE_SURVIVES(tree, children_keep_their_ids_and_their_parent)
{
	pid_t pid[5];
	int i;

	board_make();
	for (i = 0; i < 5; i++)
		pid[i] = member(tells_its_parent, getpid());
	tree_ready(5);
	for (i = 0; i < 5; i++)
		V_EQUAL(0, member_status(pid[i]));
	V_EQUAL(-1, wait(NULL));
	V_EQUAL(ECHILD, errno);
}

static int goes_deeper(long depth)
{
	pid_t parent = getppid(), child = 0;

	if (depth > 1)
		child = member(goes_deeper, depth - 1);
	member_await();
	if (getppid() != parent)
		return 1;
	return child ? WEXITSTATUS(member_status(child)) : 0;
}

TREE_SURVIVES(tree, a_chain_of_twenty_generations)
{
	pid_t child;

	board_make();
	child = member(goes_deeper, 20);
	tree_ready(20);
	V_EQUAL(0, member_status(child));
}

static int has_many(long nr)
{
	pid_t pid[10];
	long i, bad = 0;

	for (i = 0; i < nr; i++)
		pid[i] = member(tells_its_parent, getpid());
	member_await();
	for (i = 0; i < nr; i++)
		bad += !!member_status(pid[i]);
	return bad;
}

TREE_SURVIVES(tree, a_tree_of_a_hundred)
{
	pid_t pid[9];
	int i;

	board_make();
	for (i = 0; i < 9; i++)
		pid[i] = member(has_many, 10);
	tree_ready(99);
	for (i = 0; i < 9; i++)
		V_EQUAL(0, member_status(pid[i]));
}

static void children_list(char *text, size_t size)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/task/%d/children", gettid());
	V_CHECK(read_text(path, text, size) > 0);
}

TREE_SURVIVES(tree, siblings_keep_their_order)
{
	char before[256], after[256];
	pid_t pid[8];
	int i;

	board_make();
	for (i = 0; i < 8; i++)
		pid[i] = member(tells_its_parent, getpid());
	members_await(8);
	/* a gap */
	kill(pid[2], SIGKILL);
	member_status(pid[2]);
	children_list(before, sizeof(before));
	victim_ready();
	children_list(after, sizeof(after));
	if (strcmp(before, after))
		victim_fail(__LINE__, "%s, not %s", after, before);
	board_release();
	for (i = 0; i < 8; i++)
		if (i != 2)
			V_EQUAL(0, member_status(pid[i]));
}

static void *has_a_child(void *arg)
{
	pid_t child = member(tells_its_parent, getpid());
	int status;

	*(pid_t *)arg = child;
	while (!board->go)
		sleep_ms(1);
	/* only this thread is its parent */
	V_EQUAL(child, waitpid(child, &status, __WNOTHREAD));
	return NULL;
}

TREE_SURVIVES(tree, a_child_is_that_of_one_thread)
{
	pthread_t thread;
	pid_t child = 0;

	board_make();
	V_EQUAL(0, pthread_create(&thread, NULL, has_a_child, &child));
	members_await(1);
	victim_ready();
	V_EQUAL(-1, waitpid(child, NULL, __WNOTHREAD));
	V_EQUAL(ECHILD, errno);
	board_release();
	pthread_join(thread, NULL);
}

static int leaves_an_orphan(long reaper)
{
	board->value[0] = member(tells_its_parent, reaper);
	return 0;
}

TREE_SURVIVES(tree, a_subreaper_gets_orphans)
{
	pid_t middle;

	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	middle = member(has_many, 0);
	members_await(1);
	victim_ready();
	int set = 0;
	V_SYS(prctl(PR_GET_CHILD_SUBREAPER, &set, 0, 0, 0));
	V_EQUAL(1, set);
	board_release();
	V_EQUAL(0, member_status(middle));
	board->go = board->ready = 0;
	V_EQUAL(0, member_status(member(leaves_an_orphan, getpid())));
	members_await(1);
	board_release();
	V_EQUAL(0, member_status(board->value[0]));
}

TREE_SURVIVES(tree, an_orphan_stays_with_its_subreaper)
{
	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	V_EQUAL(0, member_status(member(leaves_an_orphan, getpid())));
	tree_ready(1);
	V_EQUAL(0, member_status(board->value[0]));
}

static int leaves_an_orphan_later(long reaper)
{
	board->value[0] = member(has_many, 0);
	member_await();
	return 0;
}

TREE_SURVIVES(tree, descendants_know_of_their_subreaper)
{
	pid_t middle;

	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	middle = member(leaves_an_orphan_later, 0);
	tree_ready(2);
	V_EQUAL(0, member_status(middle));
	V_EQUAL(0, member_status(board->value[0]));
}

static void *tells_its_parents(void *parents)
{
	long (*parent)[2] = parents;

	while (!board->go)
		sleep_ms(1);
	if (getppid() != (*parent)[0])
		return parents;
	__sync_fetch_and_add(&board->value[2], 1);
	WAIT_FOR(getppid() == (*parent)[1]);
	return getppid() == (*parent)[1] ? NULL : parents;
}

static int has_threads_that_tell(long reaper)
{
	long parents[2] = { getppid(), reaper };
	pthread_t thread[2];
	void *bad[2];
	int i;

	for (i = 0; i < 2; i++)
		if (pthread_create(&thread[i], NULL, tells_its_parents, parents))
			return 1;
	member_await();
	for (i = 0; i < 2; i++)
		pthread_join(thread[i], &bad[i]);
	return bad[0] || bad[1];
}

static int leaves_one_with_threads(long reaper)
{
	board->value[0] = member(has_threads_that_tell, reaper);
	member_await();
	return !WAIT_FOR(board->value[2] == 2);
}

TREE_SURVIVES(tree, threads_of_a_child_know_their_parent_and_who_follows_him)
{
	pid_t middle;

	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	middle = member(leaves_one_with_threads, getpid());
	tree_ready(2);
	V_EQUAL(0, member_status(middle));
	V_EQUAL(0, member_status(board->value[0]));
}

/* ---- the end of a child ---- */

static volatile sig_atomic_t signal_seen;

static void on_signal(int sig)
{
	signal_seen = sig;
}

TREE_SURVIVES(tree, the_exit_signal_stays)
{
	pid_t pid;

	board_make();
	signal(SIGUSR1, on_signal);
	pid = V_SYS(syscall(SYS_clone, SIGUSR1, 0, 0, 0, 0));
	if (!pid) {
		member_await();
		_exit(3);
	}
	tree_ready(1);
	V_CHECK(WAIT_FOR(signal_seen == SIGUSR1));
	V_EQUAL(-1, waitpid(pid, NULL, 0));
	V_EQUAL(3 << 8, member_status(pid));
}

static int ends_with(long code)
{
	return code;
}

static int dies_of(long sig)
{
	struct rlimit no = { 0, 0 };

	setrlimit(RLIMIT_CORE, &no);
	kill(getpid(), sig);
	return 99;
}

static bool is_zombie(pid_t pid)
{
	return proc_state(pid, pid) == 'Z';
}

TREE_SURVIVES(tree, zombies_keep_their_status)
{
	pid_t exited, killed, segv;
	siginfo_t info = { };
	int i;

	board_make();
	exited = member(ends_with, 42);
	killed = member(dies_of, SIGKILL);
	segv = member(dies_of, SIGSEGV);
	V_CHECK(WAIT_FOR(is_zombie(exited) && is_zombie(killed) && is_zombie(segv)));
	victim_ready();
	for (i = 0; i < 2; i++) {
		V_CHECK(is_zombie(exited));
		V_SYS(waitid(P_PID, exited, &info, WEXITED | WNOWAIT));
		V_EQUAL(exited, info.si_pid);
		V_EQUAL(42, info.si_status);
		V_EQUAL(CLD_EXITED, info.si_code);
		V_EQUAL(getuid(), info.si_uid);
	}
	V_EQUAL(42 << 8, member_status(exited));
	V_EQUAL(SIGKILL, member_status(killed));
	V_EQUAL(SIGSEGV, member_status(segv));
}

TREE_SURVIVES(tree, zombies_tell_nobody_again)
{
	pid_t pid;

	board_make();
	signal(SIGCHLD, on_signal);
	pid = member(ends_with, 1);
	V_CHECK(WAIT_FOR(signal_seen == SIGCHLD));
	signal_seen = 0;
	victim_ready();
	sleep_ms(20);
	V_EQUAL(0, signal_seen);
	V_EQUAL(1 << 8, member_status(pid));
}

static int uses_time(long ms)
{
	int64_t end = now_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000;

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
		;
	return 0;
}

TREE_SURVIVES(tree, zombies_keep_what_they_have_used)
{
	struct rusage usage;
	pid_t pid;
	int status;

	board_make();
	pid = member(uses_time, 300);
	V_CHECK(WAIT_FOR(is_zombie(pid)));
	victim_ready();
	V_EQUAL(pid, wait4(pid, &status, 0, &usage));
	long ms = (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000 +
		  (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1000;
	if (ms < 250 || ms > 3000)
		victim_fail(__LINE__, "%ld ms instead of 300", ms);
}

TREE_SURVIVES(tree, a_zombie_of_a_child_waits_for_the_child)
{
	pid_t child;

	board_make();
	child = V_SYS(fork());
	if (!child) {
		pid_t zombie = member(ends_with, 7);

		while (!is_zombie(zombie))
			sleep_ms(1);
		member_await();
		_exit(member_status(zombie) == 7 << 8 ? 0 : 1);
	}
	tree_ready(1);
	V_EQUAL(0, member_status(child));
}

TREE_SURVIVES(tree, a_wait_goes_on)
{
	pid_t pid[3];
	int i;

	board_make();
	for (i = 0; i < 3; i++) {
		pid[i] = V_SYS(fork());
		if (!pid[i]) {
			pid_t child = member(has_many, 0);
			int status = 0;

			__sync_fetch_and_add(&board->ready, 1);
			if (i == 0 && waitpid(child, &status, 0) != child)
				_exit(1);
			if (i == 1 && wait4(-1, &status, __WALL, NULL) != child)
				_exit(1);
			if (i == 2 && (waitid(P_ALL, 0, NULL, WEXITED) ||
				       waitpid(child, NULL, 0) != -1))
				_exit(1);
			_exit(status);
		}
	}
	V_CHECK(WAIT_FOR(board->ready == 6));
	sleep_ms(50);	/* they sleep in wait */
	victim_ready();
	board_release();
	for (i = 0; i < 3; i++)
		V_EQUAL(0, member_status(pid[i]));
}

static int wants_to_die_with_its_parent(long sig)
{
	prctl(PR_SET_PDEATHSIG, sig, 0, 0, 0);
	__sync_fetch_and_add(&board->ready, 1);
	while (!board->value[1])
		pause();
	return 0;
}

static int has_one_that_dies_with_it(long unused)
{
	board->value[0] = member(wants_to_die_with_its_parent, SIGUSR2);
	member_await();
	return 0;
}

TREE_SURVIVES(tree, the_parent_death_signal_comes)
{
	pid_t middle;

	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	middle = member(has_one_that_dies_with_it, 0);
	tree_ready(2);
	V_EQUAL(0, member_status(middle));
	V_EQUAL(SIGUSR2, member_status(board->value[0]));
}

/* ---- stopped children ---- */

TREE_SURVIVES(tree, a_stopped_child_stays_stopped)
{
	pid_t child;
	int status;

	board_make();
	child = member(tells_its_parent, getpid());
	members_await(1);
	signal(SIGCHLD, on_signal);
	kill(child, SIGSTOP);
	V_EQUAL(child, waitpid(child, &status, WUNTRACED));
	V_CHECK(WIFSTOPPED(status));
	V_CHECK(WAIT_FOR(signal_seen));
	signal_seen = 0;
	victim_ready();
	sleep_ms(50);
	V_EQUAL('T', proc_state(child, child));
	/* that is known already */
	V_EQUAL(0, waitpid(child, &status, WNOHANG | WUNTRACED));
	V_EQUAL(0, signal_seen);
	kill(child, SIGCONT);
	V_EQUAL(child, waitpid(child, &status, WCONTINUED));
	V_CHECK(WIFCONTINUED(status));
	board_release();
	V_EQUAL(0, member_status(child));
}

TREE_SURVIVES(tree, a_stop_can_be_waited_for)
{
	pid_t child;
	int status;

	board_make();
	child = member(tells_its_parent, getpid());
	members_await(1);
	signal(SIGCHLD, on_signal);
	kill(child, SIGTSTP);
	V_CHECK(WAIT_FOR(signal_seen));
	signal_seen = 0;
	victim_ready();
	V_EQUAL(child, waitpid(child, &status, WUNTRACED));
	V_EQUAL(SIGTSTP, WSTOPSIG(status));
	V_EQUAL(0, signal_seen);
	kill(child, SIGCONT);
	V_CHECK(WAIT_FOR(signal_seen));
	signal_seen = 0;
	victim_ready();
	V_EQUAL(child, waitpid(child, &status, WCONTINUED));
	V_EQUAL(0, signal_seen);
	V_EQUAL(0, waitpid(child, &status, WCONTINUED | WNOHANG));
	board_release();
	V_EQUAL(0, member_status(child));
}

/* ---- groups and sessions ---- */

static int is_in(long group)
{
	pid_t session = getsid(0);

	setpgid(0, group);
	if (!group)
		group = getpid();
	board->value[group % BOARD_VALUES] = 1;
	member_await();
	return getpgrp() != group || getsid(0) != session;
}

TREE_SURVIVES(tree, process_groups_stay)
{
	pid_t leader, other, own;

	board_make();
	leader = member(is_in, 0);
	members_await(1);
	other = member(is_in, leader);
	own = member(is_in, getpgrp());
	members_await(3);
	victim_ready();
	V_EQUAL(leader, getpgid(other));
	board_release();
	V_EQUAL(0, member_status(leader));
	V_EQUAL(0, member_status(other));
	V_EQUAL(0, member_status(own));
}

static int in_a_group_whose_leader_ends(long unused)
{
	pid_t leader, other;

	leader = member(is_in, 0);
	while (!board->value[leader % BOARD_VALUES])
		sleep_ms(1);
	other = member(is_in, leader);
	while (board->ready < 2)
		sleep_ms(1);
	kill(leader, SIGKILL);
	waitpid(leader, NULL, 0);
	board->value[0] = leader;
	member_await();
	if (getpgid(other) != leader || getpgid(leader) != -1)
		return 1;
	/* it can still be signalled as a group */
	if (kill(-leader, 0))
		return 2;
	return member_status(other);
}

TREE_SURVIVES(tree, a_group_without_its_leader_stays)
{
	pid_t child;

	board_make();
	child = member(in_a_group_whose_leader_ends, 0);
	tree_ready(3);
	V_EQUAL(0, member_status(child));
}

static int leads_a_session(long unused)
{
	pid_t sid = setsid(), a, b;

	a = member(is_in, getpgrp());
	b = member(is_in, 0);
	member_await();
	if (getsid(0) != sid || getsid(a) != sid || getsid(b) != sid ||
	    getpgid(a) != sid || getpgid(b) != b)
		return 1;
	/* it leads the session and the group: */
	if (setsid() != -1 || setpgid(0, b) != -1)
		return 2;
	return member_status(a) || member_status(b);
}

TREE_SURVIVES(tree, sessions_stay)
{
	pid_t child;

	board_make();
	child = member(leads_a_session, 0);
	tree_ready(3);
	V_EQUAL(0, member_status(child));
}

static int leaves_a_session(long unused)
{
	setsid();
	board->value[0] = member(is_in, 0);
	board->value[1] = getpid();
	member(is_in, getpgrp());
	while (board->ready < 2)
		sleep_ms(1);
	return 0;
}

TREE_SURVIVES(tree, a_session_without_its_leader_stays)
{
	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	V_EQUAL(0, member_status(member(leaves_a_session, 0)));
	members_await(2);
	victim_ready();
	V_EQUAL(board->value[1], getsid(board->value[0]));
	board_release();
	V_EQUAL(0, member_status(board->value[0]));
	V_CHECK(wait(NULL) > 0);
}

/* ---- what processes share ---- */

static long kcmp(pid_t a, pid_t b, int type, long x, long y)
{
	return syscall(SYS_kcmp, a, b, type, x, y);
}

TREE_SURVIVES(tree, the_offset_of_an_inherited_file_is_shared)
{
	char path[128];
	pid_t child;
	int fd;

	board_make();
	snprintf(path, sizeof(path), "%s/file", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT, 0600));
	child = V_SYS(fork());
	if (!child) {
		member_await();
		_exit(write(fd, "child", 5) != 5);
	}
	V_EQUAL(6, write(fd, "parent", 6));
	members_await(1);
	victim_ready();
	V_EQUAL(0, kcmp(getpid(), child, KCMP_FILE, fd, fd));
	board_release();
	V_EQUAL(0, member_status(child));
	V_EQUAL(11, lseek(fd, 0, SEEK_CUR));
}

TREE_SURVIVES(tree, files_opened_twice_are_not_shared)
{
	char path[128];
	pid_t child;
	int fd;

	board_make();
	snprintf(path, sizeof(path), "%s/file", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT, 0600));
	child = V_SYS(fork());
	if (!child) {
		close(fd);
		if (open(path, O_RDWR) != fd)
			_exit(9);
		member_await();
		_exit(write(fd, "child", 5) != 5);
	}
	members_await(1);
	victim_ready();
	V_CHECK(kcmp(getpid(), child, KCMP_FILE, fd, fd) > 0);
	board_release();
	V_EQUAL(0, member_status(child));
	V_EQUAL(0, lseek(fd, 0, SEEK_CUR));
}

/* A child that shares with its parent what @flags say; goes on as fork() does. */
static pid_t sharing_child(int flags)
{
	return V_SYS(syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0));
}

TREE_SURVIVES(tree, a_table_of_descriptors_is_shared)
{
	pid_t child;

	board_make();
	child = sharing_child(CLONE_FILES);
	if (!child) {
		member_await();
		_exit(dup2(0, 77) != 77);
	}
	members_await(1);
	victim_ready();
	V_EQUAL(0, kcmp(getpid(), child, KCMP_FILES, 0, 0));
	board_release();
	V_EQUAL(0, member_status(child));
	V_SYS(fcntl(77, F_GETFD));
}

TREE_SURVIVES(tree, a_working_directory_is_shared)
{
	char path[128];
	pid_t child;

	board_make();
	child = sharing_child(CLONE_FS);
	if (!child) {
		member_await();
		umask(0123);
		_exit(chdir(victim_dir));
	}
	members_await(1);
	victim_ready();
	V_EQUAL(0, kcmp(getpid(), child, KCMP_FS, 0, 0));
	board_release();
	V_EQUAL(0, member_status(child));
	V_CHECK(getcwd(path, sizeof(path)));
	V_EQUAL(0, strcmp(path, victim_dir));
	V_EQUAL(0123, umask(0));
}

/* With memory in common it needs a stack of its own. */
static int shares_memory(void *arg)
{
	__sync_fetch_and_add(&board->ready, 1);
	while (!board->go)
		syscall(SYS_sched_yield);
	*(volatile long *)arg = getpid();
	return 5;
}

static pid_t vm_child(int flags, volatile long *where)
{
	char *stack = (void *)V_SYS(mmap(NULL, 65536, PROT_READ | PROT_WRITE,
					 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

	return V_SYS(clone(shares_memory, stack + 65536, flags | CLONE_VM | SIGCHLD,
			   (void *)where));
}

TREE_SURVIVES(tree, memory_is_shared)
{
	volatile long seen = 0;
	pid_t child;

	board_make();
	child = vm_child(0, &seen);
	members_await(1);
	victim_ready();
	V_EQUAL(0, kcmp(getpid(), child, KCMP_VM, 0, 0));
	V_CHECK(kcmp(getpid(), child, KCMP_SIGHAND, 0, 0) > 0);
	V_CHECK(kcmp(getpid(), child, KCMP_FILES, 0, 0) > 0);
	board_release();
	V_EQUAL(5 << 8, member_status(child));
	V_EQUAL(child, seen);
}

TREE_SURVIVES(tree, memory_handlers_and_all_is_shared_by_three)
{
	volatile long a = 0, b = 0, c = 0;
	pid_t first, second, third;

	board_make();
	first = vm_child(CLONE_SIGHAND | CLONE_FILES | CLONE_FS, &a);
	second = vm_child(CLONE_SIGHAND, &b);
	third = vm_child(CLONE_FILES, &c);
	members_await(3);
	victim_ready();
	V_EQUAL(0, kcmp(first, second, KCMP_VM, 0, 0));
	V_EQUAL(0, kcmp(getpid(), third, KCMP_VM, 0, 0));
	V_EQUAL(0, kcmp(first, second, KCMP_SIGHAND, 0, 0));
	V_EQUAL(0, kcmp(getpid(), second, KCMP_SIGHAND, 0, 0));
	V_CHECK(kcmp(second, third, KCMP_SIGHAND, 0, 0) > 0);
	V_EQUAL(0, kcmp(first, third, KCMP_FILES, 0, 0));
	V_EQUAL(0, kcmp(getpid(), third, KCMP_FILES, 0, 0));
	V_CHECK(kcmp(second, third, KCMP_FILES, 0, 0) > 0);
	V_EQUAL(0, kcmp(getpid(), first, KCMP_FS, 0, 0));
	V_CHECK(kcmp(first, second, KCMP_FS, 0, 0) > 0);
	board_release();
	V_EQUAL(5 << 8, member_status(first));
	V_EQUAL(5 << 8, member_status(second));
	V_EQUAL(5 << 8, member_status(third));
	V_CHECK(a == first && b == second && c == third);
}

TREE_SURVIVES(tree, siblings_share_what_their_parent_does_not_have)
{
	pid_t child, other;

	board_make();
	child = V_SYS(fork());
	if (!child) {
		/* a table that the parent does not share, shared with a sibling */
		other = sharing_child(CLONE_FILES | CLONE_PARENT);
		if (other)
			board->value[0] = other;
		member_await();
		_exit(0);
	}
	members_await(2);
	victim_ready();
	other = board->value[0];
	V_EQUAL(0, kcmp(child, other, KCMP_FILES, 0, 0));
	V_CHECK(kcmp(getpid(), child, KCMP_FILES, 0, 0) > 0);
	board_release();
	V_EQUAL(0, member_status(child));
	V_EQUAL(0, member_status(other));
}

static void *unshares(void *arg)
{
	V_SYS(unshare(CLONE_FILES | CLONE_FS));
	V_SYS(dup2(0, 88));
	V_SYS(chdir(victim_dir));
	*(pid_t *)arg = gettid();
	member_await();
	V_SYS(fcntl(88, F_GETFD));
	return NULL;
}

TREE_SURVIVES(tree, a_thread_has_descriptors_of_its_own)
{
	pthread_t thread;
	char path[128];
	pid_t tid = 0;

	board_make();
	V_EQUAL(0, pthread_create(&thread, NULL, unshares, &tid));
	members_await(1);
	victim_ready();
	V_CHECK(kcmp(getpid(), tid, KCMP_FILES, 0, 0) > 0);
	V_CHECK(kcmp(getpid(), tid, KCMP_FS, 0, 0) > 0);
	V_EQUAL(-1, fcntl(88, F_GETFD));
	V_CHECK(getcwd(path, sizeof(path)));
	V_CHECK(strcmp(path, victim_dir));
	board_release();
	pthread_join(thread, NULL);
}

TREE_SURVIVES(tree, processes_wake_each_other_by_a_futex)
{
	volatile int *word;
	pid_t child;

	board_make();
	word = (volatile int *)&board->value[0];
	child = V_SYS(fork());
	if (!child) {
		__sync_fetch_and_add(&board->ready, 1);
		while (!*word)
			syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0);
		_exit(6);
	}
	members_await(1);
	V_CHECK(WAIT_FOR(proc_in_syscall(child, child, SYS_futex)));
	victim_ready();
	*word = 1;
	/* it may not be there yet, and sees the word when it is */
	V_SYS(syscall(SYS_futex, word, FUTEX_WAKE, 1, NULL, NULL, 0));
	V_EQUAL(6 << 8, member_status(child));
}

TREE_SURVIVES(tree, sealed_memory_that_two_have_mapped)
{
	long *area, *only_read;
	pid_t child;
	int fd;

	board_make();
	fd = V_SYS(memfd_create("sealed", MFD_ALLOW_SEALING));
	V_SYS(ftruncate(fd, 8192));
	area = (void *)V_SYS(mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	child = V_SYS(fork());
	if (!child) {
		member_await();
		area[1] = 2;
		_exit(0);
	}
	members_await(1);
	V_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK));
	only_read = (void *)V_SYS(mmap(NULL, 8192, PROT_READ, MAP_SHARED, fd, 0));
	area[0] = 1;
	victim_ready();
	board_release();
	V_EQUAL(0, member_status(child));
	V_EQUAL(1, only_read[0]);
	V_EQUAL(2, only_read[1]);
	V_EQUAL(F_SEAL_FUTURE_WRITE | F_SEAL_SHRINK, fcntl(fd, F_GET_SEALS));
	V_EQUAL(-1, mprotect(only_read, 8192, PROT_READ | PROT_WRITE));
}

TREE_SURVIVES(tree, each_has_its_own_memory)
{
	static volatile long private;
	pid_t pid[4];
	int i;

	board_make();
	for (i = 0; i < 4; i++) {
		private = 1000 + i;
		pid[i] = V_SYS(fork());
		if (!pid[i]) {
			private += 10;
			member_await();
			_exit(private - 1000);
		}
	}
	private = 5;
	tree_ready(4);
	for (i = 0; i < 4; i++)
		V_EQUAL((10 + i) << 8, member_status(pid[i]));
	V_EQUAL(5, private);
}

/* ---- odd ones ---- */

static void *survives_its_leader(void *arg)
{
	board->value[0] = gettid();
	member_await();
	board->value[1] = 1;
	syscall(SYS_exit_group, 11);
	return NULL;
}

static int ends_before_its_thread(long unused)
{
	pthread_t thread;

	pthread_create(&thread, NULL, survives_its_leader, NULL);
	syscall(SYS_exit, 3);
	return 0;
}

TREE_SURVIVES(tree, a_process_whose_leader_has_ended)
{
	pid_t child;

	board_make();
	child = member(ends_before_its_thread, 0);
	members_await(1);
	V_CHECK(WAIT_FOR(is_zombie(child)));
	victim_ready();
	V_EQUAL('Z', proc_state(child, child));
	V_EQUAL(0, waitpid(child, NULL, WNOHANG));
	board_release();
	V_EQUAL(11 << 8, member_status(child));
	V_EQUAL(1, board->value[1]);
}

TREE_SURVIVES(tree, vfork_goes_on)
{
	pid_t child;

	board_make();
	child = V_SYS(fork());
	if (!child) {
		static volatile int said;
		pid_t pid = vfork();

		if (!pid) {
			__sync_fetch_and_add(&board->ready, 1);
			while (!board->go)
				syscall(SYS_sched_yield);
			said = 1;
			_exit(4);
		}
		/* it was not before the child, and with the child's ID */
		if (!said || waitpid(pid, (int *)&said, 0) != pid)
			_exit(1);
		_exit(said == 4 << 8 ? 0 : 2);
	}
	members_await(1);
	victim_ready();
	sleep_ms(30);
	V_EQUAL(0, waitpid(child, NULL, WNOHANG));
	board_release();
	V_EQUAL(0, member_status(child));
}

/* CLONE_VFORK without CLONE_VM: as vfork(2), but for the memory. */
TREE_SURVIVES(tree, vfork_with_memory_of_its_own_goes_on)
{
	pid_t child, pid;

	board_make();
	child = V_SYS(fork());
	if (!child) {
		pid = syscall(SYS_clone, CLONE_VFORK | SIGCHLD, 0, 0, 0, 0);
		if (!pid) {
			member_await();
			board->value[0] = 1;
			_exit(4);
		}
		_exit(!board->value[0] || member_status(pid) != 4 << 8);
	}
	members_await(1);
	victim_ready();
	sleep_ms(30);
	V_EQUAL(0, waitpid(child, NULL, WNOHANG));
	board_release();
	V_EQUAL(0, member_status(child));
}

/* Its number in there is none of the tree. */
TREE_SURVIVES(tree, a_zombie_of_another_pid_namespace)
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(42);
	V_CHECK(pid > 0);
	V_CHECK(WAIT_FOR(is_zombie(pid)));
	victim_ready();
	V_CHECK(is_zombie(pid));
	V_EQUAL(42 << 8, member_status(pid));
}

IS_REFUSED(tree, a_zombie_of_another_user_namespace, "user", "namespace")
{
	pid_t pid = syscall(SYS_clone, CLONE_NEWUSER | SIGCHLD, 0, 0, 0, 0);

	if (!pid)
		_exit(0);
	if (pid < 0)
		victim_cannot();
	V_CHECK(WAIT_FOR(is_zombie(pid)));
	victim_ready();
	V_EQUAL(0, member_status(pid));
}

TREE_SURVIVES(tree, pending_signals_of_all)
{
	sigset_t set;
	pid_t child;

	board_make();
	child = V_SYS(fork());
	if (!child) {
		signal(SIGUSR1, on_signal);
		sigemptyset(&set);
		sigaddset(&set, SIGUSR1);
		sigprocmask(SIG_BLOCK, &set, NULL);
		member_await();
		sigprocmask(SIG_UNBLOCK, &set, NULL);
		_exit(signal_seen != SIGUSR1);
	}
	members_await(1);
	kill(child, SIGUSR1);
	victim_ready();
	board_release();
	V_EQUAL(0, member_status(child));
}

TREE_SURVIVES(tree, the_tree_again_and_again)
{
	pid_t child;
	int i;

	board_make();
	child = member(goes_deeper, 4);
	members_await(4);
	for (i = 0; i < 5; i++)
		victim_ready();
	board_release();
	V_EQUAL(0, member_status(child));
}

/* ---- as the test sees it ---- */

VICTIM(has_a_child_to_be_killed)
{
	pid_t pid;

	board_make();
	pid = member(tells_its_parent, getpid());
	members_await(1);
	vpage->word[0] = pid;
	victim_ready();
	board_release();
	vpage->word[1] = waitpid(pid, NULL, 0);
	vpage->word[2] = errno;
	victim_ready();
}

static bool exists(pid_t pid)
{
	return !kill(pid, 0) || errno != ESRCH;
}

TEST_F(tree, one_process_without_its_children)
{
	pid_t child;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_to_be_killed"));
	child = victim_word(&self->v, 0);
	/* it shares its board with the child, who is outside */
	ASSERT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, CHECKPOINT_SINGLE));
	EXPECT_NE(NULL, strstr(self->v.log, "shared memory"));
	EXPECT_NE(NULL, strstr(self->v.log, "child"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_TRUE(exists(child));
	EXPECT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_CHECK));
}

VICTIM(has_a_child_and_nothing_in_common)
{
	pid_t pid = V_SYS(fork());

	if (!pid)
		for (;;)
			pause();
	vpage->word[0] = pid;
	victim_ready();
	vpage->word[1] = waitpid(pid, NULL, WNOHANG);
	vpage->word[2] = errno;
	victim_ready();
}

TEST_F(tree, a_process_restarted_alone_has_no_children)
{
	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_and_nothing_in_common"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_SINGLE));
	ASSERT_EQ(0, kill(victim_word(&self->v, 0), SIGKILL));
	ASSERT_EQ(0, victim_kill(&self->v));
	reap_all();
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(-1, victim_word(&self->v, 1));
	EXPECT_EQ(ECHILD, victim_word(&self->v, 2));
}

/* The ID of a descendant is taken: nothing of the tree may stay. */
TEST_F(tree, a_failed_restart_leaves_no_process)
{
	pid_t child, taken;
	int i;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_to_be_killed"));
	child = victim_word(&self->v, 0);
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_KILL));
	reap_all();
	self->v.alive = false;
	taken = 0;
	for (i = 0; i < 10 && taken != child; i++) {
		struct { uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack,
			 stack_size, tls, set_tid, set_tid_size; } args = {
			.exit_signal = SIGCHLD,
			.set_tid = (uintptr_t)&child,
			.set_tid_size = 1,
		};

		taken = syscall(SYS_clone3, &args, sizeof(args));
		if (!taken)
			for (;;)
				pause();
	}
	ASSERT_EQ(child, taken);
	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	EXPECT_FALSE(exists(self->v.pid));
	ASSERT_EQ(0, kill(taken, SIGKILL));
	ASSERT_EQ(taken, waitpid(taken, NULL, 0));
	EXPECT_EQ(-1, waitpid(-1, NULL, __WALL));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(child, victim_word(&self->v, 1));
}

TEST_F(tree, all_are_left_stopped)
{
	pid_t child;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_to_be_killed"));
	child = victim_word(&self->v, 0);
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_LEAVE_STOPPED));
	EXPECT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	EXPECT_TRUE(WAIT_FOR(proc_state(child, child) == 'T'));
	if (variant->restart) {
		ASSERT_EQ(0, kill(child, SIGKILL));
		ASSERT_EQ(0, victim_kill(&self->v));
		reap_all();
		self->v.restart_flags = RESTART_LEAVE_STOPPED;
		ASSERT_EQ(0, victim_restart(&self->v));
		EXPECT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
		EXPECT_TRUE(WAIT_FOR(proc_state(child, child) == 'T'));
	}
	ASSERT_EQ(0, kill(child, SIGCONT));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(child, victim_word(&self->v, 1));
}

/* ---- a cgroup with a victim and its child ---- */

static char cgroup[64];

static int cgroup_write(const char *file, const char *text)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/%s", cgroup, file);
	return write_text(path, text);
}

static bool cgroup_is_frozen(void)
{
	char path[96], text[256];

	snprintf(path, sizeof(path), "%s/cgroup.events", cgroup);
	return read_text(path, text, sizeof(text)) > 0 && strstr(text, "frozen 1");
}

static int cgroup_make(void)
{
	snprintf(cgroup, sizeof(cgroup), "/sys/fs/cgroup/ckpt_tree.%d", getpid());
	return mkdir(cgroup, 0755) ? -errno : 0;
}

static int cgroup_add(pid_t pid)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", pid);
	return cgroup_write("cgroup.procs", text);
}

static void cgroup_remove(void)
{
	cgroup_write("cgroup.freeze", "0");
	WAIT_FOR(!rmdir(cgroup));
}

/* It stays frozen; a restart is into the cgroup of its caller, which is not. */
TEST_F(tree, a_tree_that_its_cgroup_has_frozen)
{
	pid_t child;

	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_to_be_killed"));
	child = victim_word(&self->v, 0);
	ASSERT_EQ(0, cgroup_make());
	ASSERT_EQ(0, cgroup_add(self->v.pid));
	ASSERT_EQ(0, cgroup_add(child));
	ASSERT_EQ(0, cgroup_write("cgroup.freeze", "1"));
	ASSERT_TRUE(WAIT_FOR(cgroup_is_frozen()));
	EXPECT_EQ(0, tree_cycle(&self->v, variant->restart));
	if (!variant->restart || dry_run()) {
		EXPECT_TRUE(WAIT_FOR(cgroup_is_frozen()));
		EXPECT_EQ(0, victim_go(&self->v));
		sleep_ms(200);
		EXPECT_EQ(0, victim_word(&self->v, 1));
		EXPECT_EQ(0, cgroup_write("cgroup.freeze", "0"));
		EXPECT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	} else {
		EXPECT_EQ(0, victim_next(&self->v));
	}
	EXPECT_EQ(child, victim_word(&self->v, 1));
	EXPECT_EQ(0, victim_finish(&self->v));
	cgroup_remove();
}

static int waits_in_vfork(long arg)
{
	pid_t pid = vfork();

	if (!pid) {
		member_await();
		_exit(0);
	}
	return member_status(pid);
}

VICTIM(has_a_child_in_vfork)
{
	pid_t child;

	board_make();
	child = member(waits_in_vfork, 0);
	members_await(1);
	vpage->word[0] = child;
	victim_ready();
	board_release();
	V_EQUAL(0, member_status(child));
}

/* Who waits in vfork counts as frozen, as it did before. */
TEST_F(tree, a_cgroup_freezes_who_waits_in_vfork)
{
	char path[64], text[32] = "";
	pid_t child;

	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_in_vfork"));
	ASSERT_EQ(0, tree_cycle(&self->v, variant->restart));
	child = victim_word(&self->v, 0);
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", child, child);
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	ASSERT_EQ(0, cgroup_make());
	EXPECT_EQ(0, cgroup_add(child));
	EXPECT_EQ(0, cgroup_add(atoi(text)));
	EXPECT_EQ(0, cgroup_write("cgroup.freeze", "1"));
	EXPECT_TRUE(WAIT_FOR(cgroup_is_frozen()));
	EXPECT_EQ(0, cgroup_write("cgroup.freeze", "0"));
	EXPECT_EQ(0, victim_finish(&self->v));
	cgroup_remove();
}

/* ---- what the caller of restart(2) keeps ---- */

VICTIM(has_a_zombie_of_another_user)
{
	pid_t pid = V_SYS(fork());

	if (!pid)
		_exit(setresuid(1234, 1234, 1234) ? 1 : 42);
	V_CHECK(WAIT_FOR(is_zombie(pid)));
	victim_ready();
	V_EQUAL(42 << 8, member_status(pid));
}

TEST_F(tree, a_zombie_leaves_the_memory_of_the_caller_alone)
{
	REQUIRE_RESTART();
	ASSERT_EQ(0, prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	ASSERT_EQ(0, victim_start(&self->v, "has_a_zombie_of_another_user"));
	ASSERT_EQ(0, tree_cycle(&self->v, true));
	EXPECT_EQ(1, prctl(PR_GET_DUMPABLE, 0, 0, 0, 0));
	EXPECT_EQ(0, victim_finish(&self->v));
}

static volatile int ticks;

static void tick(int sig)
{
	ticks++;
}

TEST_F(tree, signals_to_the_caller_do_not_make_a_restart_fail)
{
	struct sigaction action = { .sa_handler = tick, .sa_flags = SA_RESTART };
	struct itimerval timer = { .it_value.tv_usec = 500, .it_interval.tv_usec = 500 };
	int turn;

	REQUIRE_RESTART();
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_to_be_killed"));
	ASSERT_EQ(0, sigaction(SIGALRM, &action, NULL));
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	for (turn = 0; turn < 10; turn++)
		ASSERT_EQ(0, tree_cycle(&self->v, true));
	timer.it_value.tv_usec = 0;
	ASSERT_EQ(0, setitimer(ITIMER_REAL, &timer, NULL));
	EXPECT_LT(turn, ticks);
	EXPECT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* The error of a restart by who has unshared a namespace for his children. */
static long restart_after_unshare(struct victim *v, int flag)
{
	int status = 0;
	pid_t pid;
	long ret;

	pid = fork();
	if (!pid) {
		ret = unshare(flag) ? -ENOSYS : victim_try_restart(v, 0);
		_exit(ret != -EINVAL || !strstr(v->log, "fork first"));
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* Numbers in the image would be looked up among the processes of another namespace. */
TEST_F(tree, who_has_unshared_a_namespace_for_children_may_not_restart)
{
	REQUIRE_RESTART();
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_zombie_of_another_user"));
	reap_all();
	EXPECT_EQ(0, restart_after_unshare(&self->v, CLONE_NEWPID));
	EXPECT_EQ(0, restart_after_unshare(&self->v, CLONE_NEWTIME));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* A descendant that another user owns: nobody is even stopped. */
VICTIM(has_a_child_of_another_user)
{
	pid_t pid;

	board_make();
	pid = V_SYS(fork());
	if (!pid) {
		V_SYS(setresuid(1234, 1234, 1234));
		member_await();
		_exit(0);
	}
	members_await(1);
	V_SYS(setresuid(1235, 1235, 1235));
	V_SYS(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
	vpage->word[0] = pid;
	victim_ready();
	board_release();
	V_EQUAL(0, member_status(pid));
}

TEST_F(tree, rights_over_every_member_are_needed)
{
	struct checkpoint_args args;
	int status;
	pid_t pid;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_of_another_user"));
	pid = fork();
	if (!pid) {
		args = checkpoint_args(&self->v, 0);
		if (setresgid(0, 0, 0) || setresuid(1235, 1235, 1235))
			_exit(1);
		_exit(sys_checkpoint(self->v.pid, &args, sizeof(args)) == -EPERM &&
		      strstr(self->v.log, "permission") ? 0 : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- increments ---- */

#define CHAIN_PAGES	64

VICTIM(grows)
{
	char *area = (void *)V_SYS(mmap(NULL, CHAIN_PAGES * 4096, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
	pid_t pid[4];
	int i, j;

	board_make();
	memset(area, 1, CHAIN_PAGES * 4096);
	/* Each time a child more, that changes a page of its own of what it inherits. */
	for (i = 0; i < 4; i++) {
		pid[i] = V_SYS(fork());
		if (!pid[i]) {
			area[i * 4096] = 100 + i;
			member_await();
			for (j = 0; j < CHAIN_PAGES; j++)
				if (area[j * 4096] != (j == i ? 100 + i : j < i ? 50 : 1))
					_exit(j + 1);
			_exit(0);
		}
		members_await(i + 1);
		area[i * 4096] = 50;
		victim_ready();
	}
	board_release();
	for (i = 0; i < 4; i++)
		V_EQUAL(0, member_status(pid[i]));
}

TEST_F(tree, increments_of_a_tree_that_grows)
{
	static const uint32_t trackers[] = {
		CHECKPOINT_TRACKER_SHADOW, CHECKPOINT_TRACKER_WRITE_PROTECT,
		CHECKPOINT_TRACKER_NONE,
	};
	size_t i;
	int turn;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	for (i = 0; i < ARRAY_SIZE(trackers); i++) {
		struct chain c = { .tracker = trackers[i] };

		if (!have_tracker(trackers[i]))
			continue;
		ASSERT_EQ(0, victim_start(&self->v, "grows"));
		for (turn = 0; turn < 4; turn++) {
			ASSERT_EQ(0, chain_image(&self->v, &c, 0));
			if (turn && trackers[i] != CHECKPOINT_TRACKER_NONE)
				EXPECT_LT(CHAIN_PAGES, self->v.stats.pages_parent);
			if (turn == 3)
				break;
			ASSERT_EQ(0, victim_next(&self->v));
		}
		if (variant->restart) {
			tree_kill(&self->v);
			self->v.alive = false;
			ASSERT_EQ(self->v.pid, chain_try_restart(&self->v, &c, 0));
		}
		ASSERT_EQ(0, victim_finish(&self->v));
		chain_cleanup(&c);
	}
}

/* ---- what crosses the border ---- */

/* A descriptor that only the child has; word 0 says who that is. */
VICTIM(a_child_talks_to_a_stranger)
{
	int ready[2], status;
	char buf[8];
	pid_t child;

	V_SYS(pipe(ready));
	child = V_SYS(fork());
	if (!child) {
		V_EQUAL(5, dup2(1, 5));
		close(1);
		V_EQUAL(1, write(ready[1], "x", 1));
		close(ready[0]);
		close(ready[1]);
		V_EQUAL(3, read(5, buf, sizeof(buf)));
		V_EQUAL(4, write(5, "five", 4));
		_exit(0);
	}
	close(1);
	V_EQUAL(1, read(ready[0], buf, 1));
	close(ready[0]);
	close(ready[1]);
	vpage->word[0] = child;
	victim_ready();
	V_EQUAL(child, waitpid(child, &status, 0));
	V_EQUAL(0, status);
}

static long checkpoint_external(struct victim *v, uint64_t flags, pid_t pid, int fd)
{
	struct checkpoint_args args = checkpoint_args(v, flags);
	struct checkpoint_fd external = { .pid = pid, .fd = fd };

	args.external = (uintptr_t)&external;
	args.external_nr = 1;
	if (ftruncate(v->image, 0) || lseek(v->image, 0, SEEK_SET))
		return -errno;
	return sys_checkpoint(v->pid, &args, sizeof(args));
}

static long restart_with(struct victim *v, pid_t pid, int fd, int own)
{
	struct restart_args args = restart_args(v, 0);
	struct restart_fd map = { .image_pid = pid, .image_fd = fd, .caller_fd = own };
	long ret;

	args.fds = (uintptr_t)&map;
	args.fds_nr = 1;
	lseek(v->image, 0, SEEK_SET);
	ret = sys_restart(&args, sizeof(args));
	v->alive = ret == v->pid;
	return ret;
}

TEST_F(tree, an_external_descriptor_of_a_descendant)
{
	char buf[8], words[40];
	int before[2], pair[2];
	pid_t child;

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, before));
	memcpy(pair, before, sizeof(pair));
	self->v.stdio[1] = before[1];
	ASSERT_EQ(0, victim_start(&self->v, "a_child_talks_to_a_stranger"));
	child = victim_word(&self->v, 0);
	if (!dry_run()) {
		EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
		EXPECT_EQ(-EINVAL, checkpoint_external(&self->v, 0, 0, 5));
		EXPECT_EQ(-EINVAL, checkpoint_external(&self->v, 0, child, 6));
		EXPECT_EQ(-EINVAL, checkpoint_external(&self->v, 0, getpid(), 0));
		ASSERT_EQ(0, checkpoint_external(&self->v, variant->restart ?
						 CHECKPOINT_KILL : 0, child, 5))
			show_log(self->v.log);
	}
	if (variant->restart && !dry_run()) {
		reap_all();
		self->v.alive = false;
		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
		EXPECT_EQ(-EBADF, victim_try_restart(&self->v, 0));
		snprintf(words, sizeof(words), "--inherit-fd %d/5:N", child);
		EXPECT_NE(NULL, strstr(self->v.log, words))
			show_log(self->v.log);
		EXPECT_EQ(-EINVAL, restart_with(&self->v, 0, 5, pair[1]));
		EXPECT_EQ(-EINVAL, restart_with(&self->v, child, 6, pair[1]));
		EXPECT_EQ(-EINVAL, restart_with(&self->v, getpid(), 5, pair[1]));
		ASSERT_EQ(self->v.pid, restart_with(&self->v, child, 5, pair[1]))
			show_log(self->v.log);
	}
	ASSERT_EQ(3, write(pair[0], "six", 3));
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(4, read(pair[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "five", 4));
	self->v.stdio[1] = -1;
	close(before[0]);
	close(before[1]);
}

/* ---- storms ---- */

/* Forks, execs, threads and ends, as fast as it can; all of it has to be right. */
static void *storm_thread(void *arg)
{
	return arg;
}

static int storm(long nr)
{
	static char *const argv[] = { "true", NULL };
	pthread_t thread;
	void *result;
	int status;
	long i;
	pid_t pid;

	for (i = 1; !board->go; i++) {
		pid = fork();
		if (pid < 0)
			return 1;
		if (!pid) {
			if (i % 3 == 0)
				execv("/bin/true", argv);
			if (i % 3 == 1 && fork() == 0)
				_exit(0);
			_exit(i % 3 == 0 ? 9 : 0);
		}
		if (pthread_create(&thread, NULL, storm_thread, (void *)i))
			return 2;
		if (waitpid(pid, &status, 0) != pid || status)
			return 3;
		if (pthread_join(thread, &result) || result != (void *)i)
			return 4;
		board->value[nr]++;
	}
	return 0;
}

VICTIM(storms)
{
	pid_t pid[3];
	int i, turn;

	board_make();
	V_SYS(prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0));
	for (i = 0; i < 3; i++)
		pid[i] = member(storm, i);
	for (turn = 0; turn < 10; turn++) {
		victim_ready();
		/* all of them go on */
		for (i = 0; i < 3; i++) {
			long before = board->value[i];

			V_CHECK(WAIT_FOR(board->value[i] > before + 1));
		}
	}
	board_release();
	for (i = 0; i < 3; i++)
		V_EQUAL(0, member_status(pid[i]));
}

/* What others do to a victim while it is checkpointed. */
static struct victim *pestered;
static volatile bool pestering_over;

static void *pester(void *arg)
{
	while (!pestering_over) {
		cgroup_add(pestered->pid);
		cgroup_write("cgroup.freeze", "1");
		kill(pestered->pid, SIGSTOP);
		sleep_ms(1);
		cgroup_write("cgroup.freeze", "0");
		sleep_ms(1);
		kill(pestered->pid, SIGCONT);
		sleep_ms(5);
	}
	return NULL;
}

static void storm_test(struct __test_metadata *_metadata, struct victim *v, bool restart)
{
	int busy = 0, turn, event;
	long err;

	for (turn = 0; (event = victim_wait(v)) == VICTIM_IS_READY; turn++) {
		err = dry_run() ? 0 : victim_try_checkpoint(v, restart ? CHECKPOINT_KILL : 0);
		/* something that is over the next moment, an exec say */
		if (err == -EBUSY || err == -ESRCH || err == -ETIMEDOUT) {
			busy++;
		} else {
			if (err)
				show_log(v->log);
			ASSERT_EQ(0, err);
			if (restart && !dry_run()) {
				reap_all();
				v->alive = false;
				ASSERT_EQ(0, victim_restart(v));
			}
		}
		ASSERT_EQ(0, victim_go(v));
	}
	ASSERT_EQ(VICTIM_ENDED, event);
	test_log("%d of %d times busy", busy, turn);
	ASSERT_GE(5, busy);
}

TEST_F(tree, a_storm_of_forks_execs_and_ends)
{
	ASSERT_EQ(0, victim_spawn(&self->v, "storms", NULL));
	storm_test(_metadata, &self->v, variant->restart);
}

TEST_F(tree, a_storm_that_is_stopped_and_frozen_by_others)
{
	pthread_t thread;

	ASSERT_EQ(0, cgroup_make());
	ASSERT_EQ(0, victim_spawn(&self->v, "storms", NULL));
	pestered = &self->v;
	pestering_over = false;
	ASSERT_EQ(0, pthread_create(&thread, NULL, pester, NULL));
	storm_test(_metadata, &self->v, variant->restart);
	pestering_over = true;
	EXPECT_EQ(0, pthread_join(thread, NULL));
	cgroup_remove();
}

VICTIM(many)
{
	int nr = atoi(victim_arg), i;

	board_make();
	for (i = 0; i < nr; i++)
		member(tells_its_parent, getpid());
	members_await(nr);
	victim_ready();
	board_release();
	for (i = 0; i < nr; i++) {
		int status;

		V_CHECK(wait(&status) > 0);
		V_EQUAL(0, status);
	}
	V_EQUAL(-1, wait(NULL));
}

/* Fewer in a slow guest */
TEST_F(tree, a_thousand_processes)
{
	int64_t began, took[2];
	char number[16];

	snprintf(number, sizeof(number), "%d", 1000 / slowness());
	ASSERT_EQ(0, victim_start_with(&self->v, "many", number));
	if (!dry_run()) {
		began = now_ns(CLOCK_MONOTONIC);
		ASSERT_EQ(0, victim_checkpoint(&self->v, variant->restart ?
					       CHECKPOINT_KILL : 0));
		took[0] = now_ns(CLOCK_MONOTONIC) - began;
		if (variant->restart) {
			reap_all();
			self->v.alive = false;
			began = now_ns(CLOCK_MONOTONIC);
			ASSERT_EQ(0, victim_restart(&self->v));
			took[1] = now_ns(CLOCK_MONOTONIC) - began;
			test_log("restart: %lld ms", (long long)took[1] / 1000000);
		}
		test_log("checkpoint: %lld ms", (long long)took[0] / 1000000);
	}
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- who is killed by others while he is restarted ---- */

/**
 * struct halfway - a restart by another thread, which the test can keep waiting
 * @v:		the root of the tree
 * @img:	its image
 * @thread:	the one that restarts it
 * @pipe:	through which it gets the image
 * @sent:	bytes of it that it was given
 * @ret:	what it has returned
 */
FIXTURE(halfway)
{
	struct victim v;
	struct image img;
	pthread_t thread;
	int pipe[2];
	size_t sent;
	long ret;
};

FIXTURE_SETUP(halfway)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, tree_adopt());
	signal(SIGPIPE, SIG_IGN);
	victim_init(&self->v);
	self->img.data = NULL;
}

FIXTURE_TEARDOWN(halfway)
{
	tree_kill(&self->v);
	free(self->img.data);
	victim_cleanup(&self->v);
}

/* Of victim @name, which is gone then; @pid: what it has in its first @nr words. */
static int halfway_image(FIXTURE_DATA(halfway) *h, const char *name, pid_t *pid, int nr)
{
	int i;

	if (victim_start(&h->v, name))
		return -1;
	for (i = 0; i < nr; i++)
		pid[i] = victim_word(&h->v, i);
	if (victim_checkpoint(&h->v, CHECKPOINT_KILL))
		return -1;
	reap_all();
	h->v.alive = false;
	return load_image(&h->img, h->v.image);
}

static long halfway_restart(FIXTURE_DATA(halfway) *h)
{
	struct restart_args args = restart_args(&h->v, 0);

	args.image_fd = h->pipe[0];
	return sys_restart(&args, sizeof(args));
}

static void *halfway_thread(void *arg)
{
	FIXTURE_DATA(halfway) *h = arg;

	h->ret = halfway_restart(h);
	close(h->pipe[0]);
	return NULL;
}

/* False if nobody wants to have it. */
static bool halfway_send(FIXTURE_DATA(halfway) *h, size_t len)
{
	ssize_t done;

	for (; len; len -= done, h->sent += done) {
		done = write(h->pipe[1], h->img.data + h->sent, len);
		if (done <= 0)
			return false;
	}
	return true;
}

static int halfway_pipe(FIXTURE_DATA(halfway) *h)
{
	h->sent = 0;
	if (pipe2(h->pipe, O_CLOEXEC))
		return -1;
	return fcntl(h->pipe[1], F_SETPIPE_SZ, PAGE) == PAGE ? 0 : -1;
}

/*
 * All that comes before the contents of the memory, and more of these than fit into the
 * pipe: when it is sent all processes have been made and wait.
 */
static bool halfway_send_half(FIXTURE_DATA(halfway) *h)
{
	return halfway_send(h, h->img.off[find_rec(&h->img, CKPT_REC_PAGES, 0)] + 3 * PAGE);
}

static int halfway_begin(FIXTURE_DATA(halfway) *h)
{
	if (halfway_pipe(h) || pthread_create(&h->thread, NULL, halfway_thread, h))
		return -1;
	return halfway_send_half(h) ? 0 : -1;
}

static long halfway_end(FIXTURE_DATA(halfway) *h)
{
	halfway_send(h, h->img.len - h->sent);
	close(h->pipe[1]);
	pthread_join(h->thread, NULL);
	return h->ret;
}

static bool nobody_is_left(void)
{
	return waitpid(-1, NULL, __WALL | WNOHANG) == -1 && errno == ECHILD;
}

static void kill_and_reap(pid_t pid)
{
	V_EQUAL(0, kill(pid, SIGKILL));
	V_EQUAL(pid, waitpid(pid, NULL, __WALL));
}

#define GROUP_WORDS	3

/* Words: the root; a zombie, which leads a group; who is in that. */
VICTIM(group_of_a_zombie)
{
	pid_t zombie, other;

	board_make();
	zombie = member(ends_with, 7);
	V_SYS(setpgid(zombie, zombie));
	other = member(has_many, 0);
	V_SYS(setpgid(other, zombie));
	V_CHECK(WAIT_FOR(is_zombie(zombie)));
	members_await(1);
	vpage->word[0] = getpid();
	vpage->word[1] = zombie;
	vpage->word[2] = other;
	victim_ready();
	V_EQUAL(zombie, V_SYS(getpgid(other)));
	V_EQUAL(7 << 8, member_status(zombie));
	board_release();
	V_EQUAL(0, member_status(other));
}

TEST_F(halfway, who_is_killed_and_reaped_fails_the_restart)
{
	pid_t pid[GROUP_WORDS];
	int i;

	ASSERT_EQ(0, halfway_image(self, "group_of_a_zombie", pid, GROUP_WORDS));
	for (i = 0; i < GROUP_WORDS; i++) {
		ASSERT_EQ(0, halfway_begin(self));
		kill_and_reap(pid[i]);
		EXPECT_EQ(-EINTR, halfway_end(self)) test_log("process %d", i);
		EXPECT_NE(NULL, strstr(self->v.log, "killed")) show_log(self->v.log);
		EXPECT_TRUE(nobody_is_left());
		tree_kill(&self->v);
	}
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

TEST_F(halfway, a_zombie_that_is_killed_keeps_its_status)
{
	pid_t pid[GROUP_WORDS];

	ASSERT_EQ(0, halfway_image(self, "group_of_a_zombie", pid, GROUP_WORDS));
	ASSERT_EQ(0, halfway_begin(self));
	ASSERT_EQ(0, kill(pid[1], SIGKILL));
	ASSERT_TRUE(WAIT_FOR(is_zombie(pid[1])));
	ASSERT_EQ(self->v.pid, halfway_end(self)) show_log(self->v.log);
	self->v.alive = true;
	EXPECT_EQ(0, victim_finish(&self->v));
}

static void *idles(void *arg)
{
	for (;;)
		pause();
	return arg;
}

VICTIM(forty_threads)
{
	pthread_t thread;
	int i;

	for (i = 0; i < 40; i++)
		V_EQUAL(0, pthread_create(&thread, NULL, idles, NULL));
	victim_ready();
}

/* The stacks, with the registers that are to be set, of all its threads are gone. */
TEST_F(halfway, who_has_ended_fails_the_restart)
{
	ASSERT_EQ(0, halfway_image(self, "forty_threads", NULL, 0));
	ASSERT_EQ(0, halfway_begin(self));
	ASSERT_EQ(0, kill(self->v.pid, SIGKILL));
	ASSERT_TRUE(WAIT_FOR(is_zombie(self->v.pid)));
	sleep_ms(200 * slowness());
	EXPECT_EQ(-EINTR, halfway_end(self));
	EXPECT_TRUE(nobody_is_left());
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/**
 * struct outside - what threads that end write to, in a file
 * @lock:	a robust lock, held
 * @tid:	what set_tid_address(2) was given
 */
struct outside {
	uint32_t	lock;
	uint32_t	tid;
};

VICTIM(ends_write_to_a_file)
{
	static struct robust_list entry;
	static struct robust_list_head head = { .list.next = &entry };
	struct outside *outside;
	char path[PATH_MAX];
	int fd;

	board_make();
	vpage->word[0] = member(has_many, 0);
	members_await(1);
	snprintf(path, sizeof(path), "%s/outside", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT, 0600));
	V_SYS(ftruncate(fd, PAGE));
	outside = (void *)V_SYS(mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0));
	close(fd);
	outside->lock = outside->tid = gettid();
	entry.next = &head.list;
	head.futex_offset = (char *)&outside->lock - (char *)&entry;
	V_SYS(syscall(SYS_set_robust_list, &head, sizeof(head)));
	syscall(SYS_set_tid_address, &outside->tid);
	victim_ready();
}

TEST_F(halfway, a_failed_restart_leaves_shared_files_alone)
{
	struct outside outside, seen;
	char path[PATH_MAX];
	pid_t member;
	int fd;

	ASSERT_EQ(0, halfway_image(self, "ends_write_to_a_file", &member, 1));
	snprintf(path, sizeof(path), "%s/outside", self->v.dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, fd);
	/* That end was a real one. */
	ASSERT_EQ(sizeof(seen), pread(fd, &seen, sizeof(seen), 0));
	EXPECT_EQ(FUTEX_OWNER_DIED, seen.lock);
	outside.lock = outside.tid = self->v.pid;
	ASSERT_EQ(sizeof(outside), pwrite(fd, &outside, sizeof(outside), 0));

	ASSERT_EQ(0, halfway_begin(self));
	kill_and_reap(member);
	EXPECT_EQ(-EINTR, halfway_end(self)) show_log(self->v.log);
	ASSERT_EQ(sizeof(seen), pread(fd, &seen, sizeof(seen), 0));
	EXPECT_EQ(outside.lock, seen.lock);
	EXPECT_EQ(outside.tid, seen.tid);
	close(fd);
}

TEST_F(halfway, a_zombie_that_does_not_end_does_not_keep_the_caller_from_being_killed)
{
	pid_t caller, zombie, pid[GROUP_WORDS];
	int64_t end;

	ASSERT_EQ(0, halfway_image(self, "group_of_a_zombie", pid, GROUP_WORDS));
	zombie = pid[1];
	ASSERT_EQ(0, halfway_pipe(self));
	caller = fork();
	ASSERT_LE(0, caller);
	if (!caller) {
		close(self->pipe[1]);
		_exit(halfway_restart(self) <= 0);
	}
	close(self->pipe[0]);
	ASSERT_TRUE(halfway_send_half(self));
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, zombie, 0, PTRACE_O_TRACEEXIT));
	halfway_send(self, self->img.len - self->sent);
	close(self->pipe[1]);
	ASSERT_TRUE(WAIT_FOR(proc_state(zombie, zombie) == 't'));
	sleep_ms(50);
	ASSERT_EQ(0, kill(caller, SIGKILL));
	end = now_ns(CLOCK_MONOTONIC) + 5000000000LL * slowness();
	while (proc_state(caller, caller) != 'Z' && now_ns(CLOCK_MONOTONIC) < end)
		sleep_ms(1);
	EXPECT_EQ('Z', proc_state(caller, caller));
	EXPECT_EQ(zombie, waitpid(zombie, NULL, __WALL));
	EXPECT_EQ(0, ptrace(PTRACE_DETACH, zombie, 0, 0));
	EXPECT_EQ(caller, waitpid(caller, NULL, 0));
}

/* As many threads as are to be woken; each looks at what is its own. */
#define CHOIR		100

static __thread long own_value;
static pthread_barrier_t choir_gathers, choir_goes;

static void *choir_thread(void *nr)
{
	own_value = (long)nr;
	pthread_barrier_wait(&choir_gathers);
	pthread_barrier_wait(&choir_goes);
	return own_value == (long)nr ? nr : NULL;
}

VICTIM(choir)
{
	pthread_t thread[CHOIR];
	void *result;
	long i;

	V_EQUAL(0, pthread_barrier_init(&choir_gathers, NULL, CHOIR + 1));
	V_EQUAL(0, pthread_barrier_init(&choir_goes, NULL, CHOIR + 1));
	for (i = 0; i < CHOIR; i++)
		V_EQUAL(0, pthread_create(&thread[i], NULL, choir_thread, (void *)(i + 1)));
	pthread_barrier_wait(&choir_gathers);
	victim_ready();
	pthread_barrier_wait(&choir_goes);
	for (i = 0; i < CHOIR; i++) {
		V_EQUAL(0, pthread_join(thread[i], &result));
		V_CHECK(result == (void *)(i + 1));
	}
}

/* The end of a freeze wakes every thread of the cgroup, wherever it sleeps. */
static void *thaw_all_the_time(void *arg)
{
	while (!pestering_over) {
		cgroup_write("cgroup.freeze", "1");
		cgroup_write("cgroup.freeze", "0");
	}
	return NULL;
}

/* Who is on a CPU when he gets his registers must not lose those it saves for him. */
TEST_F(halfway, who_is_woken_gets_his_registers)
{
	pthread_t thread;
	int turn;

	ASSERT_EQ(0, cgroup_make());
	ASSERT_EQ(0, halfway_image(self, "choir", NULL, 0));
	for (turn = 0; turn < 10; turn++) {
		ASSERT_EQ(0, halfway_begin(self));
		ASSERT_EQ(0, cgroup_add(self->v.pid));
		pestering_over = false;
		ASSERT_EQ(0, pthread_create(&thread, NULL, thaw_all_the_time, NULL));
		EXPECT_EQ(self->v.pid, halfway_end(self)) show_log(self->v.log);
		pestering_over = true;
		EXPECT_EQ(0, pthread_join(thread, NULL));
		self->v.alive = true;
		ASSERT_EQ(0, victim_finish(&self->v)) test_log("turn %d", turn);
	}
	cgroup_remove();
}

#define CROWD		6

/* Each waits, with all others, for the signals of the first one. */
VICTIM(crowd)
{
	struct epoll_event event = { .events = EPOLLIN };
	int epoll, fd, i;
	sigset_t set;

	board_make();
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	V_SYS(sigprocmask(SIG_BLOCK, &set, NULL));
	for (i = 1; i < CROWD; i++) {
		epoll = V_SYS(epoll_create1(0));
		fd = V_SYS(signalfd(-1, &set, 0));
		V_SYS(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
		vpage->word[i] = member(has_many, 0);
		V_SYS(setpgid(vpage->word[i], vpage->word[1]));
	}
	vpage->word[0] = getpid();
	members_await(CROWD - 1);
	victim_ready();
}

/* By a thread that gets all of the image at once. */
static int halfway_from_file(FIXTURE_DATA(halfway) *h)
{
	h->pipe[0] = dup(h->v.image);
	if (h->pipe[0] < 0 || lseek(h->pipe[0], 0, SEEK_SET))
		return -1;
	return pthread_create(&h->thread, NULL, halfway_thread, h);
}

/* Sometimes near the end, when all are there, sometimes while they are being made. */
static void halfway_kill(FIXTURE_DATA(halfway) *h, pid_t pid)
{
	bool late = random() % 2;
	int i;

	V_EQUAL(0, late ? halfway_begin(h) : halfway_from_file(h));
	if (late)
		halfway_send(h, h->img.len - h->sent);
	else
		sleep_ns(random() % 5000000);
	for (i = random() % 5000; i; i--)
		__asm__ volatile("pause");
	if (!kill(pid, SIGKILL))
		waitpid(pid, NULL, __WALL);
	if (late)
		close(h->pipe[1]);
	pthread_join(h->thread, NULL);
}

TEST_F(halfway, anybody_may_be_killed_and_it_is_all_or_nothing)
{
	int count = the_count(100), all = 0, i;
	pid_t pid[CROWD];

	srandom(the_seed());
	ASSERT_EQ(0, halfway_image(self, "crowd", pid, CROWD));
	for (i = 0; i < count; i++) {
		halfway_kill(self, pid[random() % CROWD]);
		if (self->ret < 0) {
			EXPECT_TRUE(nobody_is_left());
		} else {
			EXPECT_EQ(self->v.pid, self->ret);
			all++;
		}
		tree_kill(&self->v);
	}
	test_log("%d times all, %d times nothing", all, count - all);
}

struct waiter {
	pthread_t thread;
	pid_t pid;
	int err;
};

static void *waits_for(void *arg)
{
	struct waiter *w = arg;

	w->err = waitpid(w->pid, NULL, __WALL) < 0 ? errno : 0;
	return NULL;
}

/* Who waits for a process while it is restarted learns that it is somebody else's child. */
TEST_F(halfway, a_wait_for_what_gets_another_parent_ends)
{
	struct waiter waiter;
	pid_t pid[CROWD];

	ASSERT_EQ(0, halfway_image(self, "crowd", pid, CROWD));
	ASSERT_EQ(0, halfway_begin(self));
	waiter.pid = pid[1];
	ASSERT_EQ(0, pthread_create(&waiter.thread, NULL, waits_for, &waiter));
	sleep_ms(100 * slowness());
	ASSERT_EQ(self->v.pid, halfway_end(self)) show_log(self->v.log);
	EXPECT_TRUE(WAIT_FOR(!pthread_tryjoin_np(waiter.thread, NULL)));
	EXPECT_EQ(ECHILD, waiter.err);
}

#define MANY_LIES	(30000 / slowness())

/*
 * So many processes, each the child of the one before it, and the last thread is none.
 * It must not take long to find that out, at least not as long as nobody can stop it.
 */
TEST_F(halfway, many_processes_are_looked_at_in_no_time)
{
	size_t one = 2 * sizeof(struct ckpt_rec) + sizeof(struct ckpt_process) +
		     sizeof(struct ckpt_rec_thread);
	struct ckpt_header *header;
	struct ckpt_process *p;
	struct ckpt_rec_thread *t;
	struct ckpt_rec *rec;
	uint8_t *data, *at;
	uint32_t base, parent;
	size_t before;
	int64_t began;
	int i;

	ASSERT_EQ(0, halfway_image(self, "forty_threads", NULL, 0));
	header = payload_at(&self->img, 0);
	header->nr_tasks += MANY_LIES;
	seal(&self->img);
	before = self->img.off[find_rec(&self->img, CKPT_REC_PAGES, 0)];
	data = malloc(self->img.len + MANY_LIES * one);
	ASSERT_NE(NULL, data);
	memcpy(data, self->img.data, before);
	at = data + before;
	memset(at, 0, MANY_LIES * one);
	parent = header->root;
	base = 1 << 24;
	for (i = 0; i < MANY_LIES; i++) {
		rec = (void *)at;
		*rec = *rec_at(&self->img, find_rec(&self->img, CKPT_REC_PROCESS, 0));
		rec->length = sizeof(*p);
		rec->objref = base + 2 * i;
		p = (void *)(rec + 1);
		p->pid = p->pgid = p->sid = 100000 + i;
		p->parent = parent;
		p->nr_threads = 1;
		parent = rec->objref;
		rec->crc = rec_crc(rec);

		rec = (void *)(p + 1);
		*rec = *rec_at(&self->img, find_rec(&self->img, CKPT_REC_THREAD, 0));
		rec->length = sizeof(*t);
		rec->objref = base + 2 * i + 1;
		t = (void *)(rec + 1);
		t->process = parent;
		t->tid = i < MANY_LIES - 1 ? 100000 + i : 0;
		rec->crc = rec_crc(rec);
		at = (void *)(t + 1);
	}
	memcpy(at, self->img.data + before, self->img.len - before);
	at += self->img.len - before;
	free(self->img.data);
	self->img.data = data;
	self->img.len = at - data;

	/* It is not read to its end. */
	ASSERT_EQ(0, halfway_pipe(self));
	ASSERT_LT(0, fcntl(self->pipe[1], F_SETPIPE_SZ, 1 << 20));
	began = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, pthread_create(&self->thread, NULL, halfway_thread, self));
	EXPECT_EQ(-EBADMSG, halfway_end(self));
	EXPECT_NE(NULL, strstr(self->v.log, "bad thread")) show_log(self->v.log);
	began = now_ns(CLOCK_MONOTONIC) - began;
	test_log("%d processes: %lld ms", MANY_LIES, (long long)began / 1000000);
	EXPECT_GT(10000LL * slowness(), began / 1000000);
}

CKPT_TEST_MAIN
