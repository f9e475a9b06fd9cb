// SPDX-License-Identifier: GPL-2.0
/*
 * The system calls themselves: arguments, permissions, process IDs, flags,
 * self-checkpoints, images through pipes and sockets, time-outs, and several of
 * them at once.
 */
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <linux/sched.h>

#include "ckpt_test.h"

CKPT_FIXTURE_REAL(syscall)

/* ---- victims ---- */

VICTIM(simple)
{
	char *area = malloc(100000);

	memset(area, 'a', 100000);
	victim_ready();
	for (int i = 0; i < 100000; i++)
		V_EQUAL('a', area[i]);
}

VICTIM(megabytes)
{
	size_t len = 8 << 20, i;
	uint64_t *area = malloc(len);

	for (i = 0; i < len / 8; i++)
		area[i] = i * 0x9e3779b97f4a7c15ULL;
	victim_ready();
	for (i = 0; i < len / 8; i++)
		V_EQUAL(i * 0x9e3779b97f4a7c15ULL, area[i]);
}

static void *idle_thread(void *arg)
{
	vpage->word[0] = gettid();
	while (!victim_told(1))
		sleep_ms(1);
	return NULL;
}

VICTIM(two_threads)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, idle_thread, NULL));
	while (!vpage->word[0])
		sleep_ms(1);
	victim_ready();
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* ---- arguments of checkpoint() ---- */

#define EXPECT_CHECKPOINT(expected, pid, args) \
	EXPECT_EQ(expected, sys_checkpoint(pid, args, sizeof(*(args)))) \
		show_log(self->v.log)

TEST_F(syscall, checkpoint_rejects_unknown_flags)
{
	struct checkpoint_args args;
	int bit;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	for (bit = 3; bit < 64; bit++) {
		if (1ULL << bit == CHECKPOINT_SINGLE)
			continue;
		args = checkpoint_args(&self->v, 0);
		args.flags = 1ULL << bit;
		EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	}
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_rejects_senseless_flags)
{
	struct checkpoint_args args;
	static const uint64_t flags[] = {
		CHECKPOINT_CHECK | CHECKPOINT_KILL,
		CHECKPOINT_CHECK | CHECKPOINT_LEAVE_STOPPED,
		CHECKPOINT_KILL | CHECKPOINT_LEAVE_STOPPED,
	};
	size_t i;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		args = checkpoint_args(&self->v, flags[i]);
		EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	}
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, check_wants_no_image)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, CHECKPOINT_CHECK);
	args.image_fd = self->v.image;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args.image_fd = -1;
	EXPECT_CHECKPOINT(0, self->v.pid, &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_takes_a_longer_structure_of_zeros)
{
	struct {
		struct checkpoint_args args;
		uint64_t more[4];
	} big = {};

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	big.args = checkpoint_args(&self->v, 0);
	EXPECT_CHECKPOINT(0, self->v.pid, &big);
	big.more[3] = 1;
	EXPECT_CHECKPOINT(-E2BIG, self->v.pid, &big);
	EXPECT_EQ(-E2BIG, sys_checkpoint(self->v.pid, &big, 1 << 20));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_rejects_a_structure_that_is_too_short)
{
	struct checkpoint_args args;
	size_t size;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	for (size = 0; size < CHECKPOINT_ARGS_SIZE_VER0; size += 8)
		EXPECT_EQ(-EINVAL, sys_checkpoint(self->v.pid, &args, size));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_rejects_bad_descriptors)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	args.image_fd = -1;
	EXPECT_CHECKPOINT(-EBADF, self->v.pid, &args);
	args.image_fd = 987;
	EXPECT_CHECKPOINT(-EBADF, self->v.pid, &args);
	args.image_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	EXPECT_CHECKPOINT(-EBADF, self->v.pid, &args);
	args.image_fd = open("/tmp", O_PATH | O_CLOEXEC);
	EXPECT_CHECKPOINT(-EBADF, self->v.pid, &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

#define BAD_ADDRESS	0x1000UL
#define KERNEL_ADDRESS	0xffffffff81000000UL

TEST_F(syscall, checkpoint_rejects_bad_addresses)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	EXPECT_EQ(-EFAULT, sys_checkpoint(self->v.pid, (void *)BAD_ADDRESS, sizeof(args)));
	EXPECT_EQ(-EFAULT, sys_checkpoint(self->v.pid, (void *)KERNEL_ADDRESS, sizeof(args)));

	args = checkpoint_args(&self->v, 0);
	args.external = BAD_ADDRESS;
	args.external_nr = 1;
	EXPECT_CHECKPOINT(-EFAULT, self->v.pid, &args);

	args = checkpoint_args(&self->v, CHECKPOINT_CHECK);
	args.stats = KERNEL_ADDRESS;
	EXPECT_CHECKPOINT(-EFAULT, self->v.pid, &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_rejects_sizes_without_addresses)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	args.log = 0;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args = checkpoint_args(&self->v, 0);
	args.log_size = 0;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args = checkpoint_args(&self->v, 0);
	args.log_size = (1 << 20) + 1;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args = checkpoint_args(&self->v, 0);
	args.stats = 0;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args = checkpoint_args(&self->v, 0);
	args.stats_size = 0;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	args = checkpoint_args(&self->v, 0);
	args.external_nr = 1025;
	args.external = (uintptr_t)&args;
	EXPECT_CHECKPOINT(-EINVAL, self->v.pid, &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, checkpoint_does_without_report_and_statistics)
{
	struct checkpoint_args args = {};

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args.image_fd = self->v.image;
	EXPECT_CHECKPOINT(0, self->v.pid, &args);
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- arguments of restart() ---- */

#define EXPECT_RESTART(expected, args) \
	EXPECT_EQ(expected, sys_restart(args, sizeof(*(args)))) \
		show_log(self->v.log)

/* An image of a dead process, at its beginning. */
static int make_image(struct victim *v, const char *name)
{
	return victim_start(v, name) || victim_checkpoint(v, 0) || victim_kill(v) ||
	       lseek(v->image, 0, SEEK_SET);
}

TEST_F(syscall, restart_rejects_unknown_flags)
{
	struct restart_args args;
	int bit;

	ASSERT_EQ(0, make_image(&self->v, "simple"));
	for (bit = 2; bit < 64; bit++) {
		args = restart_args(&self->v, 1ULL << bit);
		EXPECT_RESTART(-EINVAL, &args);
	}
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_CUR));
}

TEST_F(syscall, restart_takes_a_longer_structure_of_zeros)
{
	struct {
		struct restart_args args;
		uint64_t more[4];
	} big = {};

	ASSERT_EQ(0, make_image(&self->v, "simple"));
	big.args = restart_args(&self->v, 0);
	big.more[0] = 1;
	EXPECT_RESTART(-E2BIG, &big);
	big.more[0] = 0;
	EXPECT_RESTART(self->v.pid, &big);
	self->v.alive = true;
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, restart_rejects_a_structure_that_is_too_short)
{
	struct restart_args args;
	size_t size;

	ASSERT_EQ(0, make_image(&self->v, "simple"));
	args = restart_args(&self->v, 0);
	for (size = 0; size < RESTART_ARGS_SIZE_VER0; size += 8)
		EXPECT_EQ(-EINVAL, sys_restart(&args, size));
}

TEST_F(syscall, restart_rejects_bad_descriptors_and_addresses)
{
	struct restart_args args;

	ASSERT_EQ(0, make_image(&self->v, "simple"));
	EXPECT_EQ(-EFAULT, sys_restart((void *)BAD_ADDRESS, sizeof(args)));
	args = restart_args(&self->v, 0);
	args.image_fd = -1;
	EXPECT_RESTART(-EBADF, &args);
	args.image_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	EXPECT_RESTART(-EBADF, &args);
	args = restart_args(&self->v, 0);
	args.fds = BAD_ADDRESS;
	args.fds_nr = 1;
	EXPECT_RESTART(-EFAULT, &args);
	args = restart_args(&self->v, 0);
	args.log = 0;
	EXPECT_RESTART(-EINVAL, &args);
	args = restart_args(&self->v, 0);
	args.stats_size = 0;
	EXPECT_RESTART(-EINVAL, &args);
	args = restart_args(&self->v, 0);
	args.fds_nr = 1025;
	args.fds = (uintptr_t)&args;
	EXPECT_RESTART(-EINVAL, &args);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

TEST_F(syscall, restart_rejects_what_is_no_image)
{
	struct restart_args args;

	args = restart_args(&self->v, 0);
	args.image_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	EXPECT_RESTART(-ENOEXEC, &args);
	args.image_fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	EXPECT_RESTART(-ENOEXEC, &args);
	/* nothing at all is a truncated image, or none */
	long err = victim_try_restart(&self->v, 0);

	EXPECT_TRUE(err == -ENOEXEC || err == -EBADMSG);
}

/* ---- report and statistics ---- */

TEST_F(syscall, the_report_is_cut_off_at_its_size)
{
	struct checkpoint_args args;
	char buf[21];

	/* a socket, so that there is something to report */
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	self->v.stdio[1] = pair[0];
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	ASSERT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	ASSERT_LT(25UL, strlen(self->v.log));
	EXPECT_EQ(strlen(self->v.log), self->v.stats.log_bytes);

	char whole[25];

	memcpy(whole, self->v.log, sizeof(whole));
	args = checkpoint_args(&self->v, 0);
	memset(buf, 'X', sizeof(buf));
	args.log = (uintptr_t)buf;
	args.log_size = 20;
	EXPECT_CHECKPOINT(-EOPNOTSUPP, self->v.pid, &args);
	EXPECT_EQ('X', buf[20]);
	EXPECT_EQ('\0', buf[19]);
	EXPECT_EQ(0, memcmp(buf, whole, 19));
	EXPECT_LT(20ULL, self->v.stats.log_bytes);
}

TEST_F(syscall, statistics_are_filled_as_far_as_the_caller_knows_them)
{
	struct checkpoint_args args;
	uint64_t stats[14];

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	memset(stats, 0xff, sizeof(stats));
	args = checkpoint_args(&self->v, 0);
	args.stats = (uintptr_t)stats;
	args.stats_size = 3 * 8;
	ASSERT_EQ(0, sys_checkpoint(self->v.pid, &args, sizeof(args)));
	EXPECT_NE(~0ULL, stats[2]);
	EXPECT_EQ(~0ULL, stats[3]);

	/* what a newer caller knows and the kernel does not is 0 */
	ASSERT_EQ(0, ftruncate(self->v.image, 0));
	args.stats_size = sizeof(stats);
	ASSERT_EQ(0, sys_checkpoint(self->v.pid, &args, sizeof(args)));
	EXPECT_EQ(0ULL, stats[12]);
	EXPECT_EQ(0ULL, stats[13]);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, statistics_describe_the_checkpoint_and_the_restart)
{
	struct checkpoint_stats s;
	struct stat st;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	s = self->v.stats;
	ASSERT_EQ(0, fstat(self->v.image, &st));
	EXPECT_LT(0ULL, s.freeze_ns);
	EXPECT_LE(s.freeze_ns, s.total_ns);
	EXPECT_EQ((uint64_t)st.st_size, s.bytes);
	EXPECT_LT(10ULL, s.records);
	EXPECT_EQ(1ULL, s.threads);
	EXPECT_LT(10ULL, s.vmas);
	EXPECT_LE(1ULL, s.files);
	EXPECT_LE(2048ULL, s.pages_here);
	EXPECT_EQ(0ULL, s.pages_parent);
	EXPECT_LT(0ULL, s.kernel_bytes);
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(s.bytes, self->v.stats.bytes);
	EXPECT_EQ(s.records, self->v.stats.records);
	EXPECT_EQ(s.threads, self->v.stats.threads);
	EXPECT_EQ(s.vmas, self->v.stats.vmas);
	EXPECT_EQ(s.files, self->v.stats.files);
	EXPECT_EQ(s.pages_here, self->v.stats.pages_here);
	EXPECT_EQ(0ULL, self->v.stats.freeze_ns);
	EXPECT_LT(0ULL, self->v.stats.total_ns);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- which process ---- */

TEST_F(syscall, no_such_process_is_esrch)
{
	struct checkpoint_args args = checkpoint_args(&self->v, 0);
	pid_t pid = fork();

	ASSERT_LE(0, pid);
	if (!pid)
		_exit(0);
	/* a zombie is none any more */
	siginfo_t info;

	ASSERT_EQ(0, waitid(P_PID, pid, &info, WEXITED | WNOWAIT));
	EXPECT_CHECKPOINT(-ESRCH, pid, &args);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	EXPECT_CHECKPOINT(-ESRCH, pid, &args);
	EXPECT_CHECKPOINT(-ESRCH, 0x7ffffff0, &args);
	EXPECT_CHECKPOINT(-EINVAL, -1, &args);
}

TEST_F(syscall, a_thread_is_einval)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "two_threads"));
	args = checkpoint_args(&self->v, 0);
	EXPECT_CHECKPOINT(-EINVAL, victim_word(&self->v, 0), &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_kernel_thread_is_eperm)
{
	struct checkpoint_args args = checkpoint_args(&self->v, 0);
	char text[256];

	/* kthreadd */
	if (read_text("/proc/2/cmdline", text, sizeof(text)) != 0)
		SKIP(return, "process 2 is no kernel thread here");
	EXPECT_CHECKPOINT(-EPERM, 2, &args);
}

TEST_F(syscall, the_process_of_another_user_is_eperm)
{
	struct checkpoint_args args;
	int status;
	pid_t pid;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		if (setresgid(1000, 1000, 1000) || setresuid(1000, 1000, 1000))
			_exit(2);
		_exit(sys_checkpoint(self->v.pid, &args, sizeof(args)) == -EPERM ? 0 : 1);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_traced_process_is_ebusy)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	ASSERT_EQ(0, ptrace(PTRACE_SEIZE, self->v.pid, 0, 0));
	EXPECT_CHECKPOINT(-EBUSY, self->v.pid, &args);
	EXPECT_NE(NULL, strstr(self->v.log, "trace"));
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	ASSERT_EQ(0, ptrace(PTRACE_INTERRUPT, self->v.pid, 0, 0));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, NULL, __WALL));
	ASSERT_EQ(0, ptrace(PTRACE_DETACH, self->v.pid, 0, 0));
	EXPECT_CHECKPOINT(0, self->v.pid, &args);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_process_id_that_is_taken_is_eexist)
{
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	char number[16];

	snprintf(number, sizeof(number), "%d", self->v.pid);
	EXPECT_NE(NULL, strstr(self->v.log, number));
	/* the process that has it is unharmed */
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_thread_id_that_is_taken_is_eexist)
{
	struct clone_args clone = { .exit_signal = SIGCHLD, .set_tid_size = 1 };
	pid_t tid, other;

	ASSERT_EQ(0, victim_start(&self->v, "two_threads"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	tid = victim_word(&self->v, 0);
	ASSERT_EQ(0, victim_kill(&self->v));
	clone.set_tid = (uintptr_t)&tid;
	other = syscall(__NR_clone3, &clone, sizeof(clone));
	ASSERT_LE(0, other);
	if (!other) {
		for (;;)
			pause();
	}
	ASSERT_EQ(tid, other);
	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	EXPECT_EQ(-1, kill(self->v.pid, 0));
	ASSERT_EQ(0, kill(other, SIGKILL));
	ASSERT_EQ(other, waitpid(other, NULL, 0));

	/* now it is free */
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- flags ---- */

TEST_F(syscall, check_writes_nothing_and_harms_nothing)
{
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_CHECK));
	EXPECT_EQ(0ULL, self->v.stats.bytes);
	EXPECT_LT(0ULL, self->v.stats.freeze_ns);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, kill_ends_the_process_after_the_checkpoint)
{
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_KILL));
	ASSERT_TRUE(WAIT_FOR(victim_reap(&self->v)));
	EXPECT_TRUE(WIFSIGNALED(self->v.status) && WTERMSIG(self->v.status) == SIGKILL);
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* It counts as fast as it can, in its memory and in a file. */
VICTIM(counter)
{
	volatile long *shared;
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/count", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT, 0644));
	V_SYS(ftruncate(fd, 4096));
	shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(shared != MAP_FAILED);
	close(fd);
	victim_reach();
	while (!victim_told(1))
		*shared = ++vpage->word[0];
}

TEST_F(syscall, a_killed_process_does_nothing_after_the_checkpoint)
{
	char path[128];
	long count = 0;
	int fd;

	ASSERT_EQ(0, victim_start(&self->v, "counter"));
	ASSERT_TRUE(WAIT_FOR(victim_word(&self->v, 0) > 10));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_KILL));
	ASSERT_TRUE(WAIT_FOR(victim_reap(&self->v)));
	snprintf(path, sizeof(path), "%s/count", self->v.dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_EQ(8, pread(fd, &count, 8, 0));
	close(fd);

	/* left stopped, the restarted one has the count of the image still */
	ASSERT_EQ(self->v.pid, victim_try_restart(&self->v, RESTART_LEAVE_STOPPED))
		show_log(self->v.log);
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	EXPECT_LT(0, count);
	EXPECT_LE(count, victim_word(&self->v, 0));
	EXPECT_GE(count + 1, victim_word(&self->v, 0));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_TRUE(WAIT_FOR(victim_word(&self->v, 0) > count + 10));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_failed_checkpoint_does_not_kill)
{
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	self->v.stdio[1] = pair[0];
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, CHECKPOINT_KILL));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, CHECKPOINT_LEAVE_STOPPED));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, leave_stopped_stops_the_original_only)
{
	int status;

	ASSERT_EQ(0, victim_start(&self->v, "two_threads"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_LEAVE_STOPPED));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, WUNTRACED));
	EXPECT_TRUE(WIFSTOPPED(status) && WSTOPSIG(status) == SIGSTOP);
	EXPECT_EQ('T', proc_state(self->v.pid, self->v.pid));
	ASSERT_EQ(0, victim_kill(&self->v));

	/* in the image it runs */
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_process_left_stopped_goes_on_with_sigcont)
{
	ASSERT_EQ(0, victim_start(&self->v, "two_threads"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, CHECKPOINT_LEAVE_STOPPED));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_end(&self->v));
}

TEST_F(syscall, restart_can_leave_the_process_stopped)
{
	ASSERT_EQ(0, make_image(&self->v, "two_threads"));
	ASSERT_EQ(self->v.pid, victim_try_restart(&self->v, RESTART_LEAVE_STOPPED))
		show_log(self->v.log);
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	ASSERT_EQ(0, victim_go(&self->v));
	sleep_ms(50);
	EXPECT_FALSE(victim_reap(&self->v));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_end(&self->v));
}

TEST_F(syscall, one_image_can_be_restarted_many_times)
{
	int i;

	ASSERT_EQ(0, make_image(&self->v, "simple"));
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 1;
		ASSERT_EQ(0, victim_finish(&self->v));
	}
}

/* ---- the caller himself ---- */

/* Standard output is a pipe that the test reads the image from. */
static void check_self(int line, long ret)
{
	/* 0: the original, which says so and goes on; 1: the restarted one */
	if (ret != 0 && ret != 1)
		victim_fail(line, "self-checkpoint: %ld", ret);
	vpage->word[1] = ret;
}

static long checkpoint_self(int fd)
{
	struct checkpoint_args args = { .image_fd = fd };

	return sys_checkpoint(0, &args, sizeof(args));
}

VICTIM(self)
{
	long ret, local = 4711;

	ret = checkpoint_self(1);
	check_self(__LINE__, ret);
	victim_ready();
	V_EQUAL(4711, local);
	V_EQUAL(ret, vpage->word[1]);
}

struct copier {
	pthread_t	thread;
	int		from;
	int		to;
	ssize_t		bytes;
};

static void *copy_all(void *arg)
{
	struct copier *c = arg;
	char buf[65536];
	ssize_t got;

	while ((got = read(c->from, buf, sizeof(buf))) > 0) {
		if (write(c->to, buf, got) != got)
			break;
		c->bytes += got;
	}
	close(c->from);
	return NULL;
}

/* Copy one descriptor to another in the background, until its end. */
static int copy_start(struct copier *c, int from, int to)
{
	c->from = from;
	c->to = to;
	c->bytes = 0;
	return pthread_create(&c->thread, NULL, copy_all, c);
}

static ssize_t copy_end(struct copier *c)
{
	pthread_join(c->thread, NULL);
	return c->bytes;
}

/* Let victim @name run, whose descriptor 1 is a pipe into v->image. */
static int self_checkpoint(struct victim *v, const char *name)
{
	struct copier copier;
	int p[2], err;

	if (pipe2(p, O_CLOEXEC) || copy_start(&copier, p[0], v->image))
		return -1;
	v->stdio[1] = p[1];
	err = victim_start(v, name);
	close(p[1]);
	if (err)
		return -1;
	/* it is the original */
	if (victim_word(v, 1) != 0)
		return -2;
	if (victim_finish(v))
		return -3;
	return copy_end(&copier) > 0 ? 0 : -4;
}

TEST_F(syscall, a_self_checkpoint_returns_0_and_in_the_restarted_process_1)
{
	int i;

	ASSERT_EQ(0, self_checkpoint(&self->v, "self"));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 0;
		ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
		EXPECT_EQ(1, victim_word(&self->v, 1));
		ASSERT_EQ(0, victim_finish(&self->v));
	}
}

static volatile long beats;
static volatile bool stop_beating;

static void *beat(void *arg)
{
	while (!stop_beating) {
		beats++;
		sched_yield();
	}
	return NULL;
}

VICTIM(self_with_threads)
{
	pthread_t thread[3];
	long seen;
	int i;

	for (i = 0; i < 3; i++)
		V_EQUAL(0, pthread_create(&thread[i], NULL, beat, NULL));
	while (beats < 10)
		sched_yield();
	check_self(__LINE__, checkpoint_self(1));
	seen = beats;
	while (beats < seen + 10)
		sched_yield();
	victim_ready();
	stop_beating = true;
	for (i = 0; i < 3; i++)
		V_EQUAL(0, pthread_join(thread[i], NULL));
}

TEST_F(syscall, a_process_with_threads_can_checkpoint_itself)
{
	ASSERT_EQ(0, self_checkpoint(&self->v, "self_with_threads"));
	ASSERT_EQ(0, victim_restart(&self->v));
	self->v.turn = 0;
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(1, victim_word(&self->v, 1));
	EXPECT_EQ(4, proc_value(self->v.pid, "status", "Threads"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

static void *self_in_thread(void *arg)
{
	check_self(__LINE__, checkpoint_self(1));
	return NULL;
}

VICTIM(self_by_second_thread)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, self_in_thread, NULL));
	V_EQUAL(0, pthread_join(thread, NULL));
	victim_ready();
}

TEST_F(syscall, any_thread_can_checkpoint_its_process)
{
	ASSERT_EQ(0, self_checkpoint(&self->v, "self_by_second_thread"));
	ASSERT_EQ(0, victim_restart(&self->v));
	self->v.turn = 0;
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(1, victim_word(&self->v, 1));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* With its own pid in place of 0, and into a file of its own. */
VICTIM(self_into_file)
{
	struct checkpoint_args args = {};
	char path[128];
	long ret;

	snprintf(path, sizeof(path), "%s/image", victim_dir);
	args.image_fd = V_SYS(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));
	ret = sys_checkpoint(getpid(), &args, sizeof(args));
	check_self(__LINE__, ret);
	V_SYS(close(args.image_fd));
	victim_ready();
}

TEST_F(syscall, an_image_written_by_its_own_process_survives_its_restart)
{
	char path[128];
	struct stat before, after;
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "self_into_file"));
	ASSERT_EQ(0, victim_finish(&self->v));
	close(self->v.image);
	snprintf(path, sizeof(path), "%s/image", self->v.dir);
	self->v.image = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, self->v.image);
	ASSERT_EQ(0, fstat(self->v.image, &before));
	ASSERT_LT(0, before.st_size);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 0;
		ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
		EXPECT_EQ(1, victim_word(&self->v, 1));
		ASSERT_EQ(0, victim_finish(&self->v));
		ASSERT_EQ(0, fstat(self->v.image, &after));
		EXPECT_EQ(before.st_size, after.st_size);
	}
}

VICTIM(self_flags)
{
	static const uint64_t flags[] = { CHECKPOINT_KILL, CHECKPOINT_LEAVE_STOPPED };
	struct checkpoint_args args = { .image_fd = 1 };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		args.flags = flags[i];
		V_EQUAL(-EINVAL, sys_checkpoint(0, &args, sizeof(args)));
	}
	args.flags = CHECKPOINT_CHECK;
	args.image_fd = -1;
	V_EQUAL(0, sys_checkpoint(0, &args, sizeof(args)));
	victim_ready();
}

TEST_F(syscall, a_process_cannot_kill_or_stop_itself_by_a_checkpoint)
{
	ASSERT_EQ(0, victim_start(&self->v, "self_flags"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- where the image goes ---- */

TEST_F(syscall, an_image_begins_where_the_file_stands)
{
	struct restart_args args;
	const off_t begin = 12345;
	struct stat st;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));

	struct checkpoint_args cargs = checkpoint_args(&self->v, 0);

	ASSERT_EQ(begin, lseek(self->v.image, begin, SEEK_SET));
	ASSERT_EQ(0, sys_checkpoint(self->v.pid, &cargs, sizeof(cargs)))
		show_log(self->v.log);
	ASSERT_EQ(0, fstat(self->v.image, &st));
	EXPECT_EQ((uint64_t)st.st_size, begin + self->v.stats.bytes);
	EXPECT_EQ(st.st_size, lseek(self->v.image, 0, SEEK_CUR));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(begin, lseek(self->v.image, begin, SEEK_SET));
	args = restart_args(&self->v, 0);
	ASSERT_EQ(self->v.pid, sys_restart(&args, sizeof(args)))
		show_log(self->v.log);
	self->v.alive = true;
	EXPECT_EQ(st.st_size, lseek(self->v.image, 0, SEEK_CUR));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* Two images in one file, one after the other. */
TEST_F(syscall, what_follows_an_image_is_left_alone)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	args = checkpoint_args(&self->v, 0);
	ASSERT_EQ(0, sys_checkpoint(self->v.pid, &args, sizeof(args)));
	ASSERT_EQ(0, sys_checkpoint(self->v.pid, &args, sizeof(args)));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));

	struct restart_args rargs = restart_args(&self->v, 0);
	long ret = sys_restart(&rargs, sizeof(rargs));

	/* a reader may insist on the end of the file; it may not be confused */
	if (ret == self->v.pid) {
		self->v.alive = true;
		ASSERT_EQ(0, victim_finish(&self->v));
	} else {
		EXPECT_EQ(-EBADMSG, ret);
	}
}

static long checkpoint_to(struct victim *v, int fd)
{
	struct checkpoint_args args = checkpoint_args(v, 0);

	args.image_fd = fd;
	return sys_checkpoint(v->pid, &args, sizeof(args));
}

static long restart_from(struct victim *v, int fd)
{
	struct restart_args args = restart_args(v, 0);
	long ret;

	args.image_fd = fd;
	ret = sys_restart(&args, sizeof(args));
	if (ret == v->pid)
		v->alive = true;
	return ret;
}

TEST_F(syscall, an_image_goes_through_a_pipe)
{
	struct copier copier;
	int p[2];

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, copy_start(&copier, p[0], self->v.image));
	ASSERT_EQ(0, checkpoint_to(&self->v, p[1]))
		show_log(self->v.log);
	close(p[1]);
	EXPECT_EQ(copy_end(&copier), (ssize_t)self->v.stats.bytes);
	ASSERT_EQ(0, victim_kill(&self->v));

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));

	/* the copier closes what it reads from, not what it writes to */
	int in = dup(self->v.image);

	ASSERT_EQ(0, copy_start(&copier, in, p[1]));
	ASSERT_EQ(self->v.pid, restart_from(&self->v, p[0]))
		show_log(self->v.log);
	copy_end(&copier);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, an_image_goes_through_a_socket)
{
	struct copier copier;
	int s[2];

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	ASSERT_EQ(0, copy_start(&copier, s[0], self->v.image));
	ASSERT_EQ(0, checkpoint_to(&self->v, s[1]))
		show_log(self->v.log);
	close(s[1]);
	EXPECT_EQ(copy_end(&copier), (ssize_t)self->v.stats.bytes);
	ASSERT_EQ(0, victim_kill(&self->v));

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, s));
	ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));

	int in = dup(self->v.image);

	ASSERT_EQ(0, copy_start(&copier, in, s[1]));
	ASSERT_EQ(self->v.pid, restart_from(&self->v, s[0]))
		show_log(self->v.log);
	copy_end(&copier);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* A pipe that ends too early: nothing is left, nobody waits for ever. */
TEST_F(syscall, an_image_cut_off_in_a_pipe_is_refused)
{
	static const int parts[] = { 0, 10, 50, 90, 99 };
	struct copier copier;
	int p[2];
	off_t size;
	size_t i;

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, make_image(&self->v, "megabytes"));
	size = lseek(self->v.image, 0, SEEK_END);
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		int part = memfd_create("part", MFD_CLOEXEC);
		off_t len = size / 100 * parts[i];

		ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));
		while (len) {
			char buf[4096];
			ssize_t n = read(self->v.image, buf, len < 4096 ? len : 4096);

			ASSERT_LT(0, n);
			ASSERT_EQ(n, write(part, buf, n));
			len -= n;
		}
		ASSERT_EQ(0, lseek(part, 0, SEEK_SET));
		ASSERT_EQ(0, pipe2(p, O_CLOEXEC));

		pid_t pid = fork();

		ASSERT_LE(0, pid);
		if (!pid) {
			close(p[1]);
			_exit(-restart_from(&self->v, p[0]));
		}
		close(p[0]);
		ASSERT_EQ(0, copy_start(&copier, part, p[1]));
		copy_end(&copier);
		close(p[1]);

		int status;

		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		ASSERT_TRUE(WIFEXITED(status));
		EXPECT_EQ(parts[i] ? EBADMSG : WEXITSTATUS(status), WEXITSTATUS(status));
		EXPECT_NE(0, WEXITSTATUS(status));
		EXPECT_EQ(-1, kill(self->v.pid, 0));
	}
}

TEST_F(syscall, a_disk_that_becomes_full_is_enospc_and_harms_nothing)
{
	char path[128];
	int fd;

	if (mount("small", self->v.dir, "tmpfs", 0, "size=1m"))
		SKIP(return, "no right to mount");
	snprintf(path, sizeof(path), "%s/image", self->v.dir);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	EXPECT_LE(0, fd);
	int err = victim_start(&self->v, "megabytes");
	long ret = checkpoint_to(&self->v, fd);

	close(fd);
	umount2(self->v.dir, MNT_DETACH);
	ASSERT_EQ(0, err);
	EXPECT_EQ(-ENOSPC, ret);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_file_size_limit_is_efbig_and_harms_nothing)
{
	struct rlimit old;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	signal(SIGXFSZ, SIG_IGN);
	ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &old));

	struct rlimit small = { 1 << 20, old.rlim_max };

	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &small));
	EXPECT_EQ(-EFBIG, checkpoint_to(&self->v, self->v.image));
	ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &old));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_pipe_without_reader_is_epipe_and_harms_nothing)
{
	int p[2];

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, victim_start(&self->v, "simple"));
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	close(p[0]);
	EXPECT_EQ(-EPIPE, checkpoint_to(&self->v, p[1]));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- a checkpoint that hangs in the middle ---- */

/*
 * A process of its own checkpoints the victim into a pipe that nobody reads
 * until the test wants it to.
 */
struct hanging {
	pid_t	pid;
	int	pipe[2];
	long	*result;	/* what checkpoint() returned */
};

static void interrupted(int sig)
{
}

static int hang(struct hanging *h, struct victim *v, uint64_t flags)
{
	struct sigaction act = { .sa_handler = interrupted };

	h->result = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	*h->result = 1000;
	if (pipe2(h->pipe, O_CLOEXEC) || fcntl(h->pipe[1], F_SETPIPE_SZ, 4096) < 0)
		return -1;
	h->pid = fork();
	if (h->pid < 0)
		return -1;
	if (!h->pid) {
		struct checkpoint_args args = checkpoint_args(v, flags);

		sigaction(SIGUSR1, &act, NULL);
		close(h->pipe[0]);
		args.image_fd = h->pipe[1];
		*h->result = sys_checkpoint(v->pid, &args, sizeof(args));
		_exit(0);
	}
	close(h->pipe[1]);

	/* the first bytes are there, and it sleeps: the pipe is full, the process frozen */
	int bytes = 0;

	return WAIT_FOR(!ioctl(h->pipe[0], FIONREAD, &bytes) && bytes > 0 &&
			proc_in_syscall(h->pid, h->pid, __NR_checkpoint)) ? 0 : -1;
}

static long hang_end(struct hanging *h)
{
	int status;

	if (waitpid(h->pid, &status, 0) != h->pid)
		return -1000;
	return WIFSIGNALED(status) ? -2000 : *h->result;
}

TEST_F(syscall, a_second_checkpoint_at_the_same_time_is_ebusy)
{
	struct copier copier;
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));
	EXPECT_EQ(-EBUSY, victim_try_checkpoint(&self->v, 0));
	EXPECT_EQ(-EBUSY, victim_try_checkpoint(&self->v, CHECKPOINT_CHECK));

	/* the first one is not disturbed */
	ASSERT_EQ(0, ftruncate(self->v.image, 0));
	ASSERT_EQ(0, lseek(self->v.image, 0, SEEK_SET));
	ASSERT_EQ(0, copy_start(&copier, h.pipe[0], self->v.image));
	EXPECT_EQ(0, hang_end(&h));
	copy_end(&copier);
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_process_killed_during_its_checkpoint_is_esrch)
{
	struct copier copier;
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));

	/* it is gone at once, not when the checkpoint ends */
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, copy_start(&copier, h.pipe[0], self->v.image));
	EXPECT_EQ(-ESRCH, hang_end(&h));
	copy_end(&copier);

	/* what was written so far is no image */
	EXPECT_EQ(-EBADMSG, victim_try_restart(&self->v, 0));
}

TEST_F(syscall, a_killed_checkpointer_lets_the_process_go_on)
{
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));
	ASSERT_EQ(0, kill(h.pid, SIGKILL));
	EXPECT_EQ(-2000, hang_end(&h));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_signal_to_the_checkpointer_is_eintr_and_harms_nothing)
{
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, CHECKPOINT_KILL));
	ASSERT_EQ(0, kill(h.pid, SIGUSR1));
	EXPECT_EQ(-EINTR, hang_end(&h));
	/* a checkpoint that failed does not kill */
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_reader_that_goes_away_is_epipe_and_harms_nothing)
{
	struct hanging h;

	signal(SIGPIPE, SIG_IGN);
	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));
	close(h.pipe[0]);
	EXPECT_EQ(-EPIPE, hang_end(&h));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_frozen_process_takes_signals_afterwards)
{
	struct copier copier;
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));
	ASSERT_EQ(0, kill(self->v.pid, SIGTERM));
	sleep_ms(50);
	EXPECT_FALSE(victim_reap(&self->v));
	ASSERT_EQ(0, copy_start(&copier, h.pipe[0], self->v.image));
	EXPECT_EQ(0, hang_end(&h));
	copy_end(&copier);
	ASSERT_TRUE(WAIT_FOR(victim_reap(&self->v)));
	EXPECT_TRUE(WIFSIGNALED(self->v.status) && WTERMSIG(self->v.status) == SIGTERM);

	/* sent after the checkpoint, it is not in the image */
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(syscall, a_stop_signal_during_a_checkpoint_takes_effect_afterwards)
{
	struct copier copier;
	struct hanging h;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	ASSERT_EQ(0, hang(&h, &self->v, 0));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_EQ(0, copy_start(&copier, h.pipe[0], self->v.image));
	EXPECT_EQ(0, hang_end(&h));
	copy_end(&copier);
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'T'));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* The image would go into a pipe that the frozen process has to empty. */
VICTIM(reads_its_own_image)
{
	victim_ready();
}

TEST_F(syscall, a_pipe_read_by_the_process_itself_is_edeadlk)
{
	int p[2];

	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	self->v.stdio[0] = p[0];
	ASSERT_EQ(0, victim_start(&self->v, "reads_its_own_image"));
	EXPECT_EQ(-EDEADLK, checkpoint_to(&self->v, p[1]));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- a process that cannot be frozen ---- */

/* Asks a file system for something that never answers. */
VICTIM(hangs_in_stat)
{
	struct stat st;

	victim_reach();
	stat(victim_dir, &st);
}

static int mount_dead_fs(const char *dir)
{
	char data[128];
	int fd = open("/dev/fuse", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -1;
	snprintf(data, sizeof(data), "fd=%d,rootmode=40000,user_id=0,group_id=0", fd);
	if (mount("dead", dir, "fuse", 0, data)) {
		close(fd);
		return -1;
	}
	return fd;
}

TEST_F(syscall, a_thread_that_does_not_come_to_user_mode_is_etimedout)
{
	struct checkpoint_args args;
	int64_t begin, took;
	char number[16];
	int fd;

	fd = mount_dead_fs(self->v.dir);
	if (fd < 0)
		SKIP(return, "no FUSE");
	int err = victim_start(&self->v, "hangs_in_stat");
	bool asleep = WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'D');

	args = checkpoint_args(&self->v, 0);
	args.timeout_ns = 300000000;
	begin = now_ns(CLOCK_MONOTONIC);
	long ret = sys_checkpoint(self->v.pid, &args, sizeof(args));

	took = now_ns(CLOCK_MONOTONIC) - begin;
	/* the file system goes away, and the process goes on */
	close(fd);
	int end = victim_end(&self->v);

	umount2(self->v.dir, MNT_DETACH);
	ASSERT_EQ(0, err);
	ASSERT_TRUE(asleep);
	EXPECT_EQ(-ETIMEDOUT, ret);
	EXPECT_LE(300000000, took);
	EXPECT_GT(5000000000, took);
	snprintf(number, sizeof(number), "%d", self->v.pid);
	EXPECT_NE(NULL, strstr(self->v.log, number));
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	EXPECT_EQ(0, end);
}

VICTIM(in_vfork)
{
	pid_t pid;

	victim_reach();
	pid = vfork();
	if (!pid) {
		while (!victim_told(1))
			sleep_ms(1);
		_exit(7);
	}
	V_CHECK(pid > 0);

	int status;

	V_EQUAL(pid, waitpid(pid, &status, 0));
	V_EQUAL(7, WEXITSTATUS(status));
}

/* With its child it could be, see tree.c. */
TEST_F(syscall, a_thread_in_vfork_without_the_child_is_ebusy)
{
	struct checkpoint_args args;

	ASSERT_EQ(0, victim_start(&self->v, "in_vfork"));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'D'));
	args = checkpoint_args(&self->v, CHECKPOINT_SINGLE);
	args.timeout_ns = 200000000;
	EXPECT_CHECKPOINT(-EBUSY, self->v.pid, &args);
	EXPECT_NE(NULL, strstr(self->v.log, "vfork"));
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- several at once ---- */

/* Checkpoints another process, again and again, into nothing. */
VICTIM(checkpointer)
{
	struct checkpoint_args args = {};
	long done = 0, busy = 0, ret;
	int i;

	args.image_fd = V_SYS(open("/dev/null", O_WRONLY));
	victim_ready();
	for (i = 0; i < 100; i++) {
		ret = sys_checkpoint(vpage->word[0], &args, sizeof(args));
		if (ret == 0)
			done++;
		else if (ret == -EBUSY)
			busy++;
		else if (ret != -ESRCH || done < 1)
			victim_fail(__LINE__, "checkpoint of %ld: %ld", vpage->word[0], ret);
	}
	vpage->word[1] = done;
	vpage->word[2] = busy;
	victim_ready();
}

TEST_F(syscall, two_processes_that_checkpoint_each_other_do_not_hang)
{
	struct victim other;
	int i;

	victim_init(&other);
	ASSERT_EQ(0, victim_start(&self->v, "checkpointer"));
	ASSERT_EQ(0, victim_start(&other, "checkpointer"));
	ASSERT_EQ(0, victim_set_word(&self->v, 0, other.pid));
	ASSERT_EQ(0, victim_set_word(&other, 0, self->v.pid));
	ASSERT_EQ(0, victim_go(&self->v));
	ASSERT_EQ(0, victim_go(&other));
	for (i = 0; i < 2; i++) {
		struct victim *v = i ? &other : &self->v;

		EXPECT_EQ(VICTIM_IS_READY, victim_wait(v));
		EXPECT_LT(0, victim_word(v, 1));
		test_log("%ld checkpoints, %ld times busy", victim_word(v, 1), victim_word(v, 2));
	}
	EXPECT_EQ(0, victim_finish(&self->v));
	EXPECT_EQ(0, victim_finish(&other));
	victim_cleanup(&other);
}

TEST_F(syscall, many_checkpoints_of_one_process_at_a_time_do_not_disturb_it)
{
	struct victim *other[8];
	long done = 0, busy = 0;
	size_t i;

	ASSERT_EQ(0, victim_start(&self->v, "megabytes"));
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		other[i] = malloc(sizeof(*other[i]));
		victim_init(other[i]);
		ASSERT_EQ(0, victim_start(other[i], "checkpointer"));
		ASSERT_EQ(0, victim_set_word(other[i], 0, self->v.pid));
	}
	for (i = 0; i < ARRAY_SIZE(other); i++)
		ASSERT_EQ(0, victim_go(other[i]));
	for (i = 0; i < ARRAY_SIZE(other); i++) {
		EXPECT_EQ(VICTIM_IS_READY, victim_wait(other[i]));
		done += victim_word(other[i], 1);
		busy += victim_word(other[i], 2);
		EXPECT_EQ(0, victim_finish(other[i]));
		victim_cleanup(other[i]);
	}
	EXPECT_EQ(100 * (long)ARRAY_SIZE(other), done + busy);
	EXPECT_LT(0, done);
	ASSERT_EQ(0, victim_finish(&self->v));
}

static volatile long threads_made;

static void *short_thread(void *arg)
{
	__sync_fetch_and_add(&threads_made, 1);
	return NULL;
}

/* Threads come and go all the time. */
VICTIM(thread_storm)
{
	pthread_t thread[4];
	long rounds = 0;
	int i;

	victim_reach();
	while (!victim_told(1)) {
		for (i = 0; i < 4; i++)
			V_EQUAL(0, pthread_create(&thread[i], NULL, short_thread, NULL));
		for (i = 0; i < 4; i++)
			V_EQUAL(0, pthread_join(thread[i], NULL));
		rounds++;
	}
	V_EQUAL(4 * rounds, threads_made);
}

TEST_F(syscall, a_process_that_makes_threads_all_the_time_can_be_checkpointed)
{
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "thread_storm"));
	for (i = 0; i < 50; i++)
		ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	for (i = 0; i < 10; i++) {
		ASSERT_EQ(0, victim_save(&self->v));
		ASSERT_EQ(0, victim_restart(&self->v));
	}
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* Children come and go: it is refused or not, but never harmed. */
VICTIM(fork_storm)
{
	int status;
	pid_t pid;

	victim_reach();
	while (!victim_told(1)) {
		pid = fork();
		if (!pid)
			_exit(3);
		V_CHECK(pid > 0);
		V_EQUAL(pid, waitpid(pid, &status, 0));
		V_EQUAL(3, WEXITSTATUS(status));
	}
}

TEST_F(syscall, a_process_that_forks_all_the_time_is_refused_or_not_but_unharmed)
{
	int i, done = 0, refused = 0;

	ASSERT_EQ(0, victim_start(&self->v, "fork_storm"));
	for (i = 0; i < 100; i++) {
		long ret = victim_try_checkpoint(&self->v, 0);

		done += ret == 0;
		refused += ret == -EOPNOTSUPP;
	}
	EXPECT_EQ(100, done + refused);
	test_log("%d checkpoints, %d refused", done, refused);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* It executes itself again and again, from the first and from another thread. */
static void *exec_thread(void *arg)
{
	char *const argv[] = { "victim", "--victim", "exec_storm", (char *)victim_dir,
			       (char *)arg, NULL };

	execv("/proc/self/exe", argv);
	_exit(99);
}

VICTIM(exec_storm)
{
	int count = atoi(victim_arg);
	pthread_t thread;
	char next[16];

	vpage->word[5] = count;
	if (count == 200) {
		victim_ready();
		return;
	}
	snprintf(next, sizeof(next), "%d", count + 1);
	if (count % 2) {
		pthread_create(&thread, NULL, exec_thread, next);
		for (;;)
			pause();
	}
	exec_thread(next);
}

TEST_F(syscall, a_process_that_calls_exec_all_the_time_can_be_checkpointed)
{
	int done = 0, tries = 0;

	ASSERT_EQ(0, victim_spawn(&self->v, "exec_storm", "0"));
	/* it is no copy of this process any more */
	ASSERT_TRUE(WAIT_FOR(victim_word(&self->v, 5) > 0));
	/* until it says so, the page comes and goes with each exec */
	while (victim_word(&self->v, 5) != 200 && tries++ < 100000) {
		int64_t begin = now_ns(CLOCK_MONOTONIC);
		long ret = victim_try_checkpoint(&self->v, 0);

		/* before its first exec it shares the harness's memory */
		if (ret == -EOPNOTSUPP && !done && !victim_word(&self->v, 5))
			continue;
		if (ret && ret != -EBUSY)
			ASSERT_EQ(0, ret)
				show_log(self->v.log);
		done += !ret;
		/* frozen all the time it would not get to its next exec */
		sleep_ms(1 + 3 * (now_ns(CLOCK_MONOTONIC) - begin) / 1000000);
	}
	EXPECT_LT(0, done);
	test_log("%d checkpoints during 200 execs", done);
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	ASSERT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
