// SPDX-License-Identifier: GPL-2.0
/*
 * Locks on files and leases: who has which, who waits for one, and what happens
 * when a stranger has got it by the time of the restart.
 */
#include <limits.h>
#include <pthread.h>
#include <sys/file.h>

#include "ckpt_hostile.h"

CKPT_FIXTURE(locks)

/* ---- helpers of the victims ---- */

static int open_file(const char *name, int flags)
{
	return V_SYS(open(file_name(name), flags | O_CREAT, 0644));
}

static int set_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = len };

	return fcntl(fd, cmd, &lock) ? -errno : 0;
}

/* What is in the way of a lock that somebody else wants. */
static struct flock get_lock(int fd, int cmd, short type, off_t start, off_t len)
{
	struct flock lock = { .l_type = type, .l_start = start, .l_len = len };

	V_SYS(fcntl(fd, cmd, &lock));
	return lock;
}

/* An F_OFD_GETLK through another description meets all locks but its own. */
static void expect_lock(int fd, off_t at, short type, off_t start, off_t len, pid_t pid)
{
	struct flock lock = get_lock(fd, F_OFD_GETLK, F_WRLCK, at, 1);

	V_EQUAL(type, lock.l_type);
	if (type == F_UNLCK)
		return;
	V_EQUAL(start, lock.l_start);
	V_EQUAL(len, lock.l_len);
	V_EQUAL(pid, lock.l_pid);
}

/* ---- flock(2) ---- */

SURVIVES(locks, an_exclusive_flock_is_kept)
{
	int fd = open_file("file", O_RDWR), other = open_file("file", O_RDWR);

	V_SYS(flock(fd, LOCK_EX));
	victim_ready();
	V_EQUAL(-1, flock(other, LOCK_SH | LOCK_NB));
	V_EQUAL(EWOULDBLOCK, errno);
	V_SYS(flock(fd, LOCK_UN));
	V_SYS(flock(other, LOCK_EX | LOCK_NB));
}

SURVIVES(locks, shared_flocks_are_kept)
{
	int a = open_file("file", O_RDWR), b = open_file("file", O_RDONLY);
	int c = open_file("file", O_WRONLY);

	V_SYS(flock(a, LOCK_SH));
	V_SYS(flock(b, LOCK_SH));
	victim_ready();
	V_SYS(flock(c, LOCK_SH | LOCK_NB));
	V_SYS(flock(c, LOCK_UN));
	V_EQUAL(-1, flock(c, LOCK_EX | LOCK_NB));
	V_SYS(flock(a, LOCK_UN));
	V_EQUAL(-1, flock(c, LOCK_EX | LOCK_NB));
	V_SYS(flock(b, LOCK_UN));
	V_SYS(flock(c, LOCK_EX | LOCK_NB));
}

SURVIVES(locks, a_flock_belongs_to_the_description)
{
	int fd = open_file("file", O_RDWR), other = open_file("file", O_RDWR);
	int twin = V_SYS(dup(fd));

	V_SYS(flock(fd, LOCK_EX));
	victim_ready();
	close(fd);
	V_EQUAL(-1, flock(other, LOCK_EX | LOCK_NB));
	/* It is its own. */
	V_SYS(flock(twin, LOCK_EX | LOCK_NB));
	close(twin);
	V_SYS(flock(other, LOCK_EX | LOCK_NB));
}

SURVIVES(locks, a_released_flock_stays_released)
{
	int fd = open_file("file", O_RDWR), other = open_file("file", O_RDWR);

	V_SYS(flock(fd, LOCK_EX));
	V_SYS(flock(fd, LOCK_UN));
	victim_ready();
	V_SYS(flock(other, LOCK_EX | LOCK_NB));
}

SURVIVES(locks, a_directory_can_be_locked)
{
	int fd = V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY));
	int other = V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY));

	V_SYS(flock(fd, LOCK_EX));
	victim_ready();
	V_EQUAL(-1, flock(other, LOCK_EX | LOCK_NB));
}

/* ---- record locks ---- */

SURVIVES(locks, record_locks_keep_ranges_and_types)
{
	int fd = open_file("file", O_RDWR), look = open_file("file", O_RDWR);

	V_EQUAL(0, set_lock(fd, F_SETLK, F_WRLCK, 10, 20));
	V_EQUAL(0, set_lock(fd, F_SETLK, F_RDLCK, 30, 5));
	V_EQUAL(0, set_lock(fd, F_SETLK, F_WRLCK, 100, 1));
	V_EQUAL(0, set_lock(fd, F_SETLK, F_RDLCK, 1LL << 40, 0));
	victim_ready();
	expect_lock(look, 9, F_UNLCK, 0, 0, 0);
	expect_lock(look, 10, F_WRLCK, 10, 20, getpid());
	expect_lock(look, 29, F_WRLCK, 10, 20, getpid());
	expect_lock(look, 30, F_RDLCK, 30, 5, getpid());
	expect_lock(look, 35, F_UNLCK, 0, 0, 0);
	expect_lock(look, 100, F_WRLCK, 100, 1, getpid());
	expect_lock(look, 101, F_UNLCK, 0, 0, 0);
	expect_lock(look, 1LL << 50, F_RDLCK, 1LL << 40, 0, getpid());
	V_EQUAL(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	expect_lock(look, 10, F_UNLCK, 0, 0, 0);
}

SURVIVES(locks, a_record_lock_ends_with_any_descriptor_of_the_file)
{
	int fd = open_file("file", O_RDWR), look = open_file("file", O_RDWR);
	int third = open_file("file", O_RDONLY);

	V_EQUAL(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	victim_ready();
	expect_lock(look, 5, F_WRLCK, 0, 0, getpid());
	close(third);
	expect_lock(look, 5, F_UNLCK, 0, 0, 0);
}

SURVIVES(locks, a_record_lock_does_not_keep_its_owner_out)
{
	int fd = open_file("file", O_RDWR), other = open_file("file", O_RDWR);
	pid_t pid;
	int status;

	V_EQUAL(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 10));
	victim_ready();
	V_EQUAL(0, set_lock(other, F_SETLK, F_WRLCK, 0, 10));
	pid = V_SYS(fork());
	if (!pid)
		_exit(set_lock(other, F_SETLK, F_RDLCK, 0, 1) == -EAGAIN ? 7 : 1);
	V_EQUAL(pid, waitpid(pid, &status, 0));
	V_EQUAL(7 << 8, status);
}

#define MANY	500

SURVIVES(locks, many_record_locks_are_kept)
{
	int fd = open_file("file", O_RDWR), look = open_file("file", O_RDWR);
	int twin = V_SYS(dup(fd)), i;

	for (i = 0; i < MANY; i++)
		V_EQUAL(0, set_lock(i % 2 ? fd : twin, F_SETLK, i % 3 ? F_WRLCK : F_RDLCK,
				    i * 10, 5));
	victim_ready();
	for (i = 0; i < MANY; i++) {
		expect_lock(look, i * 10 + 4, i % 3 ? F_WRLCK : F_RDLCK, i * 10, 5,
			    getpid());
		expect_lock(look, i * 10 + 5, F_UNLCK, 0, 0, 0);
	}
}

SURVIVES(locks, locks_of_descriptions_are_kept)
{
	int a = open_file("file", O_RDWR), b = open_file("file", O_RDWR);
	int look = open_file("file", O_RDWR), twin = V_SYS(dup(a));

	V_EQUAL(0, set_lock(a, F_OFD_SETLK, F_WRLCK, 0, 10));
	V_EQUAL(0, set_lock(b, F_OFD_SETLK, F_RDLCK, 10, 10));
	V_EQUAL(0, set_lock(b, F_SETLK, F_WRLCK, 50, 10));
	victim_ready();
	expect_lock(look, 0, F_WRLCK, 0, 10, -1);
	expect_lock(look, 10, F_RDLCK, 10, 10, -1);
	expect_lock(look, 50, F_WRLCK, 50, 10, getpid());
	V_EQUAL(-EAGAIN, set_lock(b, F_OFD_SETLK, F_RDLCK, 0, 1));
	close(a);
	expect_lock(look, 0, F_WRLCK, 0, 10, -1);
	/* Any descriptor ended what the process itself owned, not what they own. */
	expect_lock(look, 50, F_UNLCK, 0, 0, 0);
	V_EQUAL(0, set_lock(twin, F_OFD_SETLK, F_UNLCK, 0, 0));
	expect_lock(look, 0, F_UNLCK, 0, 0, 0);
}

/* ---- who waits ---- */

static int waiter_fd;

static void *wait_for_flock(void *arg)
{
	vpage->word[1] = gettid();
	vpage->word[2] = flock(waiter_fd, LOCK_EX) ? errno : -1;
	return NULL;
}

static void *wait_for_record(void *arg)
{
	vpage->word[1] = gettid();
	vpage->word[2] = set_lock(waiter_fd, F_OFD_SETLKW, F_WRLCK, 0, 10) ?: -1;
	return NULL;
}

/* The checkpoint comes while a thread waits for what this one has. */
static void waits_on(void *(*waiter)(void *), int nr)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, waiter, NULL));
	V_CHECK(WAIT_FOR(vpage->word[1] && proc_in_syscall(getpid(), vpage->word[1], nr)));
	victim_ready();
	sleep_ms(50);
	V_EQUAL(0, vpage->word[2]);
	V_CHECK(proc_in_syscall(getpid(), vpage->word[1], nr));
}

SURVIVES(locks, who_waits_for_a_flock_gets_it_later)
{
	int fd = open_file("file", O_RDWR);

	waiter_fd = open_file("file", O_RDWR);
	V_SYS(flock(fd, LOCK_EX));
	waits_on(wait_for_flock, __NR_flock);
	V_SYS(flock(fd, LOCK_UN));
	V_CHECK(WAIT_FOR(vpage->word[2]));
	V_EQUAL(-1, vpage->word[2]);
	V_EQUAL(-1, flock(fd, LOCK_SH | LOCK_NB));
}

SURVIVES(locks, who_waits_for_a_record_lock_gets_it_later)
{
	int fd = open_file("file", O_RDWR);

	waiter_fd = open_file("file", O_RDWR);
	V_EQUAL(0, set_lock(fd, F_SETLK, F_WRLCK, 5, 1));
	waits_on(wait_for_record, __NR_fcntl);
	V_EQUAL(0, set_lock(fd, F_SETLK, F_UNLCK, 0, 0));
	V_CHECK(WAIT_FOR(vpage->word[2]));
	V_EQUAL(-1, vpage->word[2]);
}

/* ---- leases ---- */

static volatile sig_atomic_t lease_fd, lease_signals;

static void on_lease(int sig, siginfo_t *info, void *context)
{
	lease_fd = info->si_fd;
	lease_signals++;
}

/* Another process opens the file, and has to wait. */
static void break_lease(int fd, const char *name, int flags)
{
	int status;
	pid_t pid;

	pid = V_SYS(fork());
	if (!pid)
		_exit(open(file_name(name), flags) < 0);
	V_CHECK(WAIT_FOR(lease_signals));
	V_SYS(fcntl(fd, F_SETLEASE, F_UNLCK));
	V_EQUAL(pid, waitpid(pid, &status, 0));
	V_EQUAL(0, status);
}

static void catch_lease(int fd, int sig)
{
	struct sigaction action = { .sa_sigaction = on_lease, .sa_flags = SA_SIGINFO };

	V_SYS(sigaction(sig, &action, NULL));
	V_SYS(fcntl(fd, F_SETSIG, sig));
}

SURVIVES(locks, a_read_lease_is_kept_and_broken)
{
	int fd;

	close(open_file("file", O_WRONLY));
	fd = open_file("file", O_RDONLY);
	catch_lease(fd, SIGRTMIN);
	V_SYS(fcntl(fd, F_SETLEASE, F_RDLCK));
	victim_ready();
	V_EQUAL(F_RDLCK, fcntl(fd, F_GETLEASE));
	V_EQUAL(getpid(), fcntl(fd, F_GETOWN));
	V_EQUAL(0, lease_signals);
	break_lease(fd, "file", O_WRONLY);
	V_EQUAL(1, lease_signals);
	V_EQUAL(fd, lease_fd);
	V_EQUAL(F_UNLCK, fcntl(fd, F_GETLEASE));
}

SURVIVES(locks, a_write_lease_is_kept_and_broken)
{
	int fd = open_file("file", O_RDWR);

	catch_lease(fd, SIGIO);
	V_SYS(fcntl(fd, F_SETLEASE, F_WRLCK));
	victim_ready();
	V_EQUAL(F_WRLCK, fcntl(fd, F_GETLEASE));
	break_lease(fd, "file", O_RDONLY);
	V_EQUAL(1, lease_signals);
}

SURVIVES(locks, a_lease_names_the_descriptor_it_was_set_with)
{
	int fd, twin;

	close(open_file("file", O_WRONLY));
	fd = open_file("file", O_RDONLY);
	twin = V_SYS(fcntl(fd, F_DUPFD, 500));
	catch_lease(fd, SIGRTMIN);
	V_SYS(fcntl(twin, F_SETLEASE, F_RDLCK));
	victim_ready();
	break_lease(fd, "file", O_WRONLY);
	V_EQUAL(twin, lease_fd);
}

/* What the process wrote after the checkpoint is cut off in spite of its lease. */
VICTIM(grows_under_a_lease)
{
	int fd = open_file("file", O_RDWR);

	V_EQUAL(3, write(fd, "old", 3));
	V_SYS(fcntl(fd, F_SETLEASE, F_WRLCK));
	victim_ready();
	V_EQUAL(3, lseek(fd, 0, SEEK_END));
	V_EQUAL(F_WRLCK, fcntl(fd, F_GETLEASE));
	V_EQUAL(3, write(fd, "new", 3));
	victim_ready();
}

TEST_F(locks, a_leased_file_is_cut_back_without_breaking_the_lease)
{
	REQUIRE_REAL_CHECKPOINT();
	if (!variant->restart)
		SKIP(return, "about a restart");
	ASSERT_EQ(0, victim_start(&self->v, "grows_under_a_lease"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	self->v.turn = 1;
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
}

VICTIM(lease_being_broken)
{
	int fd = open_file("file", O_RDWR);

	signal(SIGIO, SIG_IGN);
	V_SYS(fcntl(fd, F_SETLEASE, F_WRLCK));
	victim_ready();
	V_SYS(fcntl(fd, F_SETLEASE, F_UNLCK));
}

TEST_F(locks, a_lease_that_is_being_broken_is_refused)
{
	char path[PATH_MAX];
	int status;
	pid_t pid;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "lease_being_broken"));
	snprintf(path, sizeof(path), "%s/file", self->v.dir);
	pid = fork();
	if (!pid)
		_exit(open(path, O_RDONLY) < 0);
	ASSERT_TRUE(WAIT_FOR(proc_in_syscall(pid, pid, __NR_openat)));
	ASSERT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "lease")) show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* ---- a stranger has it ---- */

FIXTURE(stranger)
{
	struct victim v;
	char path[PATH_MAX];
};

FIXTURE_VARIANT(stranger)
{
	const char *name;
	const char *says;
};

#define STRANGER(_name, _says)						\
	FIXTURE_VARIANT_ADD(stranger, _name) { .name = #_name, .says = _says };	\
	VICTIM(_name)

STRANGER(holds_a_flock, "flock")
{
	V_SYS(flock(open_file("file", O_RDWR), LOCK_EX));
	victim_ready();
}

STRANGER(holds_a_record_lock, "F_SETLK")
{
	V_EQUAL(0, set_lock(open_file("file", O_RDWR), F_SETLK, F_WRLCK, 0, 10));
	victim_ready();
}

STRANGER(holds_a_lock_of_a_description, "F_OFD_SETLK")
{
	V_EQUAL(0, set_lock(open_file("file", O_RDWR), F_OFD_SETLK, F_WRLCK, 0, 10));
	victim_ready();
}

STRANGER(holds_a_lease, "F_SETLEASE")
{
	V_SYS(fcntl(open_file("file", O_RDWR), F_SETLEASE, F_WRLCK));
	victim_ready();
}

FIXTURE_SETUP(stranger)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	snprintf(self->path, sizeof(self->path), "%s/file", self->v.dir);
	ASSERT_EQ(0, victim_start_and_save(&self->v, variant->name));
}

FIXTURE_TEARDOWN(stranger)
{
	victim_cleanup(&self->v);
}

TEST_F(stranger, has_the_lock_and_the_restart_fails)
{
	char pid[32];
	int fd;

	fd = open(self->path, O_RDWR);
	ASSERT_LE(0, fd);
	if (!strcmp(variant->name, "holds_a_flock")) {
		ASSERT_EQ(0, flock(fd, LOCK_SH));
	} else if (strcmp(variant->name, "holds_a_lease")) {
		ASSERT_EQ(0, set_lock(fd, F_SETLK, F_RDLCK, 3, 1));
	}
	EXPECT_EQ(-EAGAIN, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, variant->says)) show_log(self->v.log);
	if (strstr(variant->says, "SETLK")) {
		snprintf(pid, sizeof(pid), "process %d", getpid());
		EXPECT_NE(NULL, strstr(self->v.log, pid)) show_log(self->v.log);
	}
	EXPECT_EQ(-1, kill(self->v.pid, 0));
	/* Nothing of it is left. */
	if (!strcmp(variant->name, "holds_a_flock")) {
		EXPECT_EQ(0, flock(fd, LOCK_EX | LOCK_NB));
	} else {
		EXPECT_EQ(0, set_lock(fd, F_SETLK, F_WRLCK, 0, 0));
	}
	close(fd);
	EXPECT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- what an image may not say ---- */

VICTIM(one_lock)
{
	int fd = open_file("file", O_RDONLY);

	V_EQUAL(0, set_lock(fd, F_SETLK, F_RDLCK, 5, 10));
	victim_ready();
}

CKPT_IMAGE_FIXTURE(hostile, one_lock)

TEST_F(hostile, locks_are_refused)
{
	int nr = find_rec(&self->img, CKPT_REC_FILE_LOCK, 0);
	struct ckpt_file_lock *lock;
	struct ckpt_rec *rec;

	ASSERT_LT(0, nr);
	ASSERT_EQ(-1, find_rec(&self->img, CKPT_REC_FILE_LOCK, 1));
	rec = rec_at(&self->img, nr);
	lock = payload_at(&self->img, nr);
	EXPECT_EQ(CKPT_LOCK_POSIX, lock->kind);
	EXPECT_EQ(F_RDLCK, lock->type);
	EXPECT_EQ(5, lock->start);
	EXPECT_EQ(14, lock->end);
	EXPECT_REFUSED(-EBADMSG, nr, lock->kind = 0);
	EXPECT_REFUSED(-EBADMSG, nr, lock->kind = 5);
	EXPECT_REFUSED(-EBADMSG, nr, lock->kind = CKPT_LOCK_FLOCK);
	EXPECT_REFUSED(-EBADMSG, nr, lock->kind = CKPT_LOCK_OFD);
	EXPECT_REFUSED(-EBADMSG, nr, lock->type = F_UNLCK);
	EXPECT_REFUSED(-EBADMSG, nr, lock->type = 77);
	EXPECT_REFUSED(-EBADMSG, nr, lock->start = 20);
	EXPECT_REFUSED(-EBADMSG, nr, lock->end = 1ULL << 63);
	EXPECT_REFUSED(-EBADMSG, nr, lock->start = lock->end = ~0ULL);
	EXPECT_REFUSED(-EBADMSG, nr, lock->fd = 3);
	EXPECT_REFUSED(-EBADMSG, nr, lock->table = 0);
	/* not open for writing */
	EXPECT_REFUSED(-EBADMSG, nr, lock->type = F_WRLCK);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = 0);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = self->img.nr + 1000);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = lock->table);
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

/* With no descriptor there is nothing that would ever end it: here of the executable. */
TEST_F(hostile, a_lock_of_a_file_that_is_not_in_the_table_is_refused)
{
	int nr = find_rec(&self->img, CKPT_REC_FILE_LOCK, 0);
	struct ckpt_mm *mm = find(&self->img, CKPT_REC_MM, 0);
	struct ckpt_rec *rec;

	ASSERT_LT(0, nr);
	ASSERT_NE(0, mm->exe);
	rec = rec_at(&self->img, nr);
	EXPECT_REFUSED(-EBADMSG, nr, rec->objref = mm->exe);
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

CKPT_TEST_MAIN
