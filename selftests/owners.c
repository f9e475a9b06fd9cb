// SPDX-License-Identifier: GPL-2.0
/*
 * Who gets the signals of a file: F_SETOWN, F_SETOWN_EX, F_SETSIG and O_ASYNC.
 */
#include <limits.h>
#include <pthread.h>

#include "ckpt_hostile.h"

CKPT_FIXTURE(owners)

static int open_file(const char *name)
{
	return V_SYS(open(file_name(name), O_RDWR | O_CREAT, 0644));
}

static struct f_owner_ex owner_of(int fd)
{
	struct f_owner_ex owner = { .type = -1, .pid = -1 };

	V_SYS(fcntl(fd, F_GETOWN_EX, &owner));
	return owner;
}

static void set_owner(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = { .type = type, .pid = pid };

	V_SYS(fcntl(fd, F_SETOWN_EX, &owner));
}

static void expect_owner(int fd, int type, pid_t pid)
{
	struct f_owner_ex owner = owner_of(fd);

	V_EQUAL(type, owner.type);
	V_EQUAL(pid, owner.pid);
}

SURVIVES(owners, a_process_stays_the_owner)
{
	int fd = open_file("file"), none = open_file("file");

	V_SYS(fcntl(fd, F_SETOWN, getpid()));
	victim_ready();
	V_EQUAL(getpid(), fcntl(fd, F_GETOWN));
	expect_owner(fd, F_OWNER_PID, getpid());
	V_EQUAL(0, fcntl(none, F_GETOWN));
	expect_owner(none, F_OWNER_TID, 0);
}

SURVIVES(owners, an_owner_that_was_taken_back_stays_so)
{
	int fd = open_file("file");

	V_SYS(fcntl(fd, F_SETOWN, getpid()));
	V_SYS(fcntl(fd, F_SETOWN, 0));
	victim_ready();
	expect_owner(fd, F_OWNER_PID, 0);
}

SURVIVES(owners, a_signal_stays_set)
{
	int fd = open_file("file"), other = open_file("file");

	V_SYS(fcntl(fd, F_SETSIG, SIGRTMIN + 3));
	V_SYS(fcntl(other, F_SETOWN, getpid()));
	victim_ready();
	V_EQUAL(SIGRTMIN + 3, fcntl(fd, F_GETSIG));
	V_EQUAL(0, fcntl(fd, F_GETOWN));
	V_EQUAL(0, fcntl(other, F_GETSIG));
}

SURVIVES(owners, all_descriptors_of_a_description_have_one_owner)
{
	int fd = open_file("file"), twin = V_SYS(dup(fd));

	V_SYS(fcntl(fd, F_SETOWN, getpid()));
	V_SYS(fcntl(twin, F_SETSIG, SIGUSR2));
	victim_ready();
	V_EQUAL(getpid(), fcntl(twin, F_GETOWN));
	V_EQUAL(SIGUSR2, fcntl(fd, F_GETSIG));
}

static void *sleep_long(void *arg)
{
	vpage->word[1] = gettid();
	for (;;)
		pause();
	return NULL;
}

SURVIVES(owners, a_thread_stays_the_owner)
{
	int fd = open_file("file");
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, sleep_long, NULL));
	V_CHECK(WAIT_FOR(vpage->word[1]));
	set_owner(fd, F_OWNER_TID, vpage->word[1]);
	victim_ready();
	expect_owner(fd, F_OWNER_TID, vpage->word[1]);
}

SURVIVES(owners, a_group_that_the_process_leads_stays_the_owner)
{
	int fd = open_file("file");

	V_SYS(setpgid(0, 0));
	V_SYS(fcntl(fd, F_SETOWN, -getpid()));
	victim_ready();
	expect_owner(fd, F_OWNER_PGRP, getpid());
	V_EQUAL(-getpid(), fcntl(fd, F_GETOWN));
}

/* Which may have another number after a restart. */
SURVIVES(owners, the_own_group_stays_the_owner)
{
	int fd = open_file("file");

	V_CHECK(getpgrp() != getpid());
	set_owner(fd, F_OWNER_PGRP, getpgrp());
	victim_ready();
	expect_owner(fd, F_OWNER_PGRP, getpgrp());
}

SURVIVES(owners, a_process_outside_stays_the_owner)
{
	int fd = open_file("file");

	set_owner(fd, F_OWNER_PID, getppid());
	victim_ready();
	expect_owner(fd, F_OWNER_PID, getppid());
}

SURVIVES(owners, a_dead_owner_stays_dead)
{
	int fd = open_file("file");
	pid_t pid = V_SYS(fork());

	if (!pid)
		_exit(0);
	set_owner(fd, F_OWNER_PID, pid);
	V_EQUAL(pid, waitpid(pid, NULL, 0));
	victim_ready();
	expect_owner(fd, F_OWNER_PID, 0);
}

static volatile sig_atomic_t signals, signal_fd;

static void on_signal(int sig, siginfo_t *info, void *context)
{
	signal_fd = info->si_fd;
	signals++;
}

/* The random device has an O_ASYNC that can be waited for only at boot. */
SURVIVES(owners, o_async_stays_set)
{
	struct sigaction action = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };
	int fd = V_SYS(open("/dev/urandom", O_RDONLY));
	int off = V_SYS(open("/dev/urandom", O_RDONLY));

	V_SYS(sigaction(SIGIO, &action, NULL));
	V_SYS(fcntl(fd, F_SETFL, O_ASYNC));
	V_SYS(fcntl(off, F_SETOWN, getpid()));
	victim_ready();
	V_EQUAL(O_ASYNC, fcntl(fd, F_GETFL) & O_ASYNC);
	V_EQUAL(0, fcntl(fd, F_GETOWN));
	V_EQUAL(0, fcntl(off, F_GETFL) & O_ASYNC);
	V_SYS(fcntl(fd, F_SETFL, 0));
	V_EQUAL(0, fcntl(fd, F_GETFL) & O_ASYNC);
	V_EQUAL(0, signals);
}

#ifndef F_GETOWNER_UIDS
#define F_GETOWNER_UIDS	17
#endif

/* Set with other user IDs than the process has now. */
SURVIVES(owners, user_ids_of_the_signals_stay)
{
	int fd = open_file("file");
	uid_t uids[2] = { -1, -1 };

	V_SYS(setresuid(1234, 5678, 0));
	V_SYS(fcntl(fd, F_SETOWN, getpid()));
	V_SYS(setresuid(-1, 0, -1));
	V_SYS(setresuid(0, 0, 0));
	victim_ready();
	if (fcntl(fd, F_GETOWNER_UIDS, uids) && errno == EINVAL)
		return;
	V_EQUAL(1234, uids[0]);
	V_EQUAL(5678, uids[1]);
}

/* ---- what cannot be ---- */

VICTIM(owned_by_another)
{
	int fd = open_file("file");

	set_owner(fd, F_OWNER_PID, atoi(victim_arg));
	victim_ready();
}

TEST_F(owners, an_owner_that_is_gone_is_named)
{
	char arg[16], says[32];
	pid_t pid;

	REQUIRE_REAL_CHECKPOINT();
	pid = fork();
	if (!pid) {
		pause();
		_exit(0);
	}
	snprintf(arg, sizeof(arg), "%d", pid);
	snprintf(says, sizeof(says), "group %d", pid);
	ASSERT_EQ(0, victim_start_with(&self->v, "owned_by_another", arg));
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, kill(pid, SIGKILL));
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_EQ(-ESRCH, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, says)) show_log(self->v.log);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

VICTIM(one_owner)
{
	V_SYS(fcntl(open_file("file"), F_SETOWN, getpid()));
	victim_ready();
}

CKPT_IMAGE_FIXTURE(hostile, one_owner)

TEST_F(hostile, owners_are_refused)
{
	int nr = find_rec(&self->img, CKPT_REC_FILE_OWNER, 0);
	struct ckpt_file_owner *owner;
	struct ckpt_rec *rec;

	ASSERT_LT(0, nr);
	rec = rec_at(&self->img, nr);
	owner = payload_at(&self->img, nr);
	EXPECT_EQ(F_OWNER_PID, owner->type);
	EXPECT_EQ(self->v.pid, owner->pid);
	EXPECT_REFUSED(-EBADMSG, nr, owner->type = 3);
	EXPECT_REFUSED(-EBADMSG, nr, owner->pid = -1);
	EXPECT_REFUSED(-EBADMSG, nr, owner->signum = 65);
	EXPECT_REFUSED(-EBADMSG, nr, owner->flags = 2);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = 0);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = self->img.nr + 1000);
	EXPECT_REFUSED(-EPERM, nr, owner->uid = -1);
	EXPECT_REFUSED(-EPERM, nr, owner->euid = -1);
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

CKPT_TEST_MAIN
