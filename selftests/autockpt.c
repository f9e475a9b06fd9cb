// SPDX-License-Identifier: GPL-2.0
/*
 * Checkpoints that the kernel takes by itself: where they go, what becomes of them when
 * that goes wrong, and when they are taken.
 */

#include "ckpt_auto.h"

#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/sendfile.h>
#include <sys/statvfs.h>

#define NOBODY	65534

/* For what is to be seen often enough. */
#define TIMES	20

FIXTURE(autockpt)
{
	struct victim		v;
	struct ckpt_sysctls	sysctls;
	char			path[160];
	bool			mounted;
};

FIXTURE_SETUP(autockpt)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_TRUE(have_sigckpt());
	ASSERT_EQ(0, auto_prepare(&self->v, &self->sysctls));
}

FIXTURE_TEARDOWN(autockpt)
{
	victim_kill(&self->v);
	if (self->mounted)
		umount2(self->path, MNT_DETACH);
	victim_cleanup(&self->v);
	sysctls_restore(&self->sysctls);
}

VICTIM(waits)
{
	int turn = victim_reach();

	victim_await(turn);
	victim_ready();
}

static const char *in_dir(FIXTURE_DATA(autockpt) *self, const char *fmt, ...)
{
	size_t len = strlen(self->v.dir);
	va_list ap;

	va_start(ap, fmt);
	memcpy(self->path, self->v.dir, len);
	self->path[len++] = '/';
	vsnprintf(self->path + len, sizeof(self->path) - len, fmt, ap);
	va_end(ap);
	return self->path;
}

/* One checkpoint that succeeds, or fails with @err. */
static bool signal_and_see(struct victim *v, int err)
{
	long images = auto_value(v->pid, "images"), failed = auto_value(v->pid, "failed");

	images = images < 0 ? 0 : images;
	failed = failed < 0 ? 0 : failed;
	if (kill(v->pid, SIGCKPT))
		return false;
	if (!(err ? WAIT_FAILURES(v->pid, failed + 1) : WAIT_IMAGES(v->pid, images + 1)))
		return false;
	if (auto_value(v->pid, "last_error") == err &&
	    auto_value(v->pid, err ? "images" : "failed") == (err ? images : failed))
		return true;
	auto_show(v->pid);
	return false;
}

/* It is alive, and an earlier image of it can be restarted. */
static bool unharmed(struct victim *v, const char *image)
{
	if (victim_reap(v)) {
		test_log("the process has ended with status %#x", v->status);
		return false;
	}
	if (victim_next(v))
		return false;
	if (restart_from(v, image))
		return false;
	v->turn = 1;
	return !victim_next(v) && !victim_finish(v);
}

/* ---- patterns ---- */

TEST_F(autockpt, specifiers)
{
	char host[65], want[512];

	ASSERT_EQ(0, set_pattern("%s/%%p-%%P-%%u-%%g-%%s-%%h-%%e-%%f-%%n-%%%%-%%y-x%%", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, gethostname(host, sizeof(host)));
	snprintf(want, sizeof(want), "%s/%d-%d-0-0-16-%s-victim-autockpt-0-%%--x", self->v.dir,
		 self->v.pid, self->v.pid, host);
	EXPECT_EQ(0, access(want, F_OK)) {
		auto_show(self->v.pid);
	}
	ASSERT_EQ(0, set_pattern("%s/%%E.%%t", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "!autockpt."));
}

VICTIM(has_a_bad_name)
{
	static const char *const names[] = { "../../x", "..", ".", "a b/c" };
	unsigned int i;

	for (i = 0; i < 4; i++) {
		prctl(PR_SET_NAME, names[i]);
		victim_ready();
	}
}

TEST_F(autockpt, a_name_does_not_become_a_path)
{
	static const char *const names[] = { "..!..!x", "!.", "!", "a b!c" };
	unsigned int i;

	ASSERT_EQ(0, set_pattern("%s/%%e", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "has_a_bad_name"));
	for (i = 0; i < 4; i++) {
		ASSERT_TRUE(signal_and_see(&self->v, 0));
		EXPECT_EQ(0, access(in_dir(self, "%s", names[i]), F_OK)) {
			auto_show(self->v.pid);
		}
		ASSERT_EQ(0, victim_go(&self->v));
		if (i < 3)
			ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	}
}

TEST_F(autockpt, only_absolute_paths)
{
	char now[256], then[256];

	ASSERT_LT(0, read_text(SYSCTL_DIR "checkpoint_pattern", now, sizeof(now)));
	EXPECT_EQ(-EIO, set_pattern("core.%%p"));
	EXPECT_EQ(-EIO, set_pattern("|sh"));
	ASSERT_LT(0, read_text(SYSCTL_DIR "checkpoint_pattern", then, sizeof(then)));
	EXPECT_STREQ(now, then);
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_pattern", "\n"));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, ENOENT));
	EXPECT_TRUE(auto_reports(self->v.pid, "checkpoint_pattern is empty"));
}

TEST_F(autockpt, no_symbolic_link_is_followed)
{
	char target[160];
	struct stat st;

	ASSERT_EQ(0, mkdir(in_dir(self, "real"), 0755));
	ASSERT_EQ(0, symlink("real", in_dir(self, "link")));
	ASSERT_EQ(0, set_pattern("%s/link/x", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, ELOOP));
	EXPECT_TRUE(auto_reports(self->v.pid, "symbolic link"));

	/* One in the place of the image is what gets replaced, or not at all. */
	strcpy(target, in_dir(self, "target"));
	ASSERT_EQ(0, write_text(target, "precious"));
	ASSERT_EQ(0, symlink("target", in_dir(self, "x")));
	ASSERT_EQ(0, set_pattern("%s/x", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, EEXIST));
	ASSERT_EQ(0, stat(target, &st));
	EXPECT_EQ(8, st.st_size);
	EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
}

TEST_F(autockpt, what_is_not_a_file_stays)
{
	struct stat st;

	ASSERT_EQ(0, mkfifo(in_dir(self, "x"), 0600));
	ASSERT_EQ(0, set_pattern("%s/x", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, EEXIST));
	EXPECT_TRUE(auto_reports(self->v.pid, "not a file"));
	ASSERT_EQ(0, stat(in_dir(self, "x"), &st));
	EXPECT_TRUE(S_ISFIFO(st.st_mode));
	ASSERT_EQ(0, set_pattern("%s/", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, EISDIR));
}

/* Whose image it is, if it is complete. */
static bool image_complete(const char *path, struct ckpt_header *header)
{
	struct ckpt_trailer_end end;
	bool complete;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	off_t size;

	if (fd < 0)
		return false;
	size = lseek(fd, 0, SEEK_END);
	complete = pread(fd, header, sizeof(*header), sizeof(struct ckpt_rec)) ==
		   sizeof(*header) &&
		   pread(fd, &end, sizeof(end), size - sizeof(end)) == sizeof(end) &&
		   !memcmp(end.magic, CKPT_TRAILER_MAGIC, 8) &&
		   !memcmp(end.uuid, header->uuid, 16) && (off_t)end.image_bytes == size;
	close(fd);
	return complete;
}

TEST_F(autockpt, images_of_one_name_do_not_mix)
{
	struct ckpt_header header;
	struct victim other;
	int i;

	victim_init(&other);
	ASSERT_EQ(0, set_pattern("%s/x", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "waits_with_much"));
	ASSERT_EQ(0, victim_start(&other, "waits_with_much"));
	for (i = 1; i <= TIMES; i++) {
		ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
		ASSERT_EQ(0, kill(other.pid, SIGCKPT));
		while (auto_value(self->v.pid, "images") < i || auto_value(other.pid, "images") < i)
			if (!access(in_dir(self, "x"), F_OK))
				ASSERT_TRUE(image_complete(self->path, &header));
	}
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	EXPECT_EQ(0, auto_value(other.pid, "failed"));
	EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
	victim_cleanup(&other);
}

/* ---- whose it is ---- */

VICTIM(is_nobody)
{
	V_SYS(setresgid(NOBODY, NOBODY, NOBODY));
	V_SYS(setresuid(NOBODY, NOBODY, NOBODY));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	victim_ready();
	victim_ready();
}

TEST_F(autockpt, images_are_written_as_the_process)
{
	struct stat st;

	ASSERT_EQ(0, set_pattern("%s/x", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "is_nobody"));
	ASSERT_TRUE(signal_and_see(&self->v, EACCES));
	ASSERT_EQ(0, chown(self->v.dir, NOBODY, NOBODY));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, stat(in_dir(self, "x"), &st));
	EXPECT_EQ(NOBODY, st.st_uid);
	EXPECT_EQ(0600, st.st_mode & 07777);

	/* Somebody else's file, in a directory as /tmp is. */
	ASSERT_EQ(0, chown(self->v.dir, 0, 0));
	ASSERT_EQ(0, chmod(self->v.dir, 01777));
	ASSERT_EQ(0, chown(in_dir(self, "x"), 0, 0));
	ASSERT_TRUE(signal_and_see(&self->v, EPERM));
	EXPECT_TRUE(auto_reports(self->v.pid, "belongs to another user"));
	ASSERT_EQ(0, stat(in_dir(self, "x"), &st));
	EXPECT_EQ(0, st.st_uid);
	EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
}

VICTIM(changes_its_root)
{
	V_SYS(chroot(victim_dir));
	V_SYS(chdir("/"));
	victim_ready();
}

TEST_F(autockpt, paths_begin_at_the_root_of_the_process)
{
	ASSERT_EQ(0, mkdir(in_dir(self, "inside"), 0755));
	ASSERT_EQ(0, mkdir(in_dir(self, "dev"), 0755));
	ASSERT_EQ(0, set_pattern("/inside/x"));
	ASSERT_EQ(0, victim_start(&self->v, "changes_its_root"));
	/* Executable and descriptors are outside of its root: that is refused. */
	ASSERT_TRUE(signal_and_see(&self->v, EOPNOTSUPP));
	EXPECT_EQ(0, count_files(in_dir(self, "inside"), ".tmp"));
	ASSERT_EQ(0, set_pattern("/outside/x"));
	ASSERT_TRUE(signal_and_see(&self->v, ENOENT));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(may_not_write_much)
{
	struct rlimit limit = { 100000, 100000 };

	V_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	victim_ready();
	limit.rlim_cur = 0;
	V_SYS(setrlimit(RLIMIT_FSIZE, &limit));
	victim_ready();
}

TEST_F(autockpt, the_limit_of_file_sizes_is_that_of_the_process)
{
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "may_not_write_much"));
	for (i = 0; i < 2; i++) {
		ASSERT_TRUE(signal_and_see(&self->v, EFBIG));
		EXPECT_TRUE(auto_reports(self->v.pid, "RLIMIT_FSIZE"));
		EXPECT_EQ(0, count_files(self->v.dir, ".tmp"));
		ASSERT_EQ(0, victim_go(&self->v));
		if (!i)
			ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	}
	ASSERT_EQ(0, victim_end(&self->v));
}

/* ---- what goes wrong ---- */

VICTIM(waits_with_much)
{
	size_t size = 8 << 20;
	char *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int turn;

	V_CHECK(p != MAP_FAILED);
	memset(p, 1, size);
	turn = victim_reach();
	victim_await(turn);
	V_EQUAL(1, p[size - 1]);
	victim_ready();
}

TEST_F(autockpt, a_full_disk)
{
	char image[192], filler[192];
	int i;

	ASSERT_EQ(0, mkdir(in_dir(self, "small"), 0777));
	ASSERT_EQ(0, mount("small", self->path, "tmpfs", 0, "size=20m"));
	self->mounted = true;
	snprintf(image, sizeof(image), "%s/x", self->path);
	snprintf(filler, sizeof(filler), "%s/filler", self->path);
	ASSERT_EQ(0, set_pattern("%s", image));
	ASSERT_EQ(0, victim_start(&self->v, "waits_with_much"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, write_text(filler, ""));
	ASSERT_EQ(0, truncate(filler, 8 << 20));
	i = open(filler, O_RDWR);
	ASSERT_EQ(0, posix_fallocate(i, 0, 8 << 20));
	close(i);
	for (i = 0; i < TIMES; i++) {
		ASSERT_TRUE(signal_and_see(&self->v, ENOSPC));
		EXPECT_TRUE(auto_reports(self->v.pid, image));
		ASSERT_EQ(0, count_files(self->path, ".tmp"));
	}
	ASSERT_EQ(0, unlink(filler));
	ASSERT_TRUE(unharmed(&self->v, image));
}

TEST_F(autockpt, a_directory_that_is_gone)
{
	char image[192], moved[192];
	int i;

	strcpy(moved, in_dir(self, "moved"));
	ASSERT_EQ(0, mkdir(in_dir(self, "there"), 0777));
	snprintf(image, sizeof(image), "%s/x", moved);
	ASSERT_EQ(0, set_pattern("%s/x", self->path));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, rename(self->path, moved));
	for (i = 0; i < TIMES; i++) {
		ASSERT_TRUE(signal_and_see(&self->v, ENOENT));
		EXPECT_TRUE(auto_reports(self->v.pid, self->path));
	}
	ASSERT_TRUE(unharmed(&self->v, image));
}

TEST_F(autockpt, a_permission_that_is_lost)
{
	char image[192];
	int i;

	ASSERT_EQ(0, chown(self->v.dir, NOBODY, NOBODY));
	ASSERT_EQ(0, set_pattern("%s/x", self->v.dir));
	strcpy(image, in_dir(self, "x"));
	ASSERT_EQ(0, victim_start(&self->v, "is_nobody"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, chown(self->v.dir, 0, 0));
	for (i = 0; i < TIMES; i++) {
		ASSERT_TRUE(signal_and_see(&self->v, EACCES));
		EXPECT_TRUE(auto_reports(self->v.pid, image));
	}
	ASSERT_TRUE(unharmed(&self->v, image));
}

/* ---- helpers ---- */

static int make_helper(const char *path, const char *text)
{
	int err = write_text(path, text);

	return err ? err : chmod(path, 0755);
}

TEST_F(autockpt, a_helper_gets_the_image)
{
	char helper[192], image[192], text[512], args[512];

	strcpy(image, in_dir(self, "image"));
	strcpy(helper, in_dir(self, "helper"));
	snprintf(text, sizeof(text), "#!/bin/sh\necho \"$#:$*\" > %s/args\ncat > %s\n",
		 self->v.dir, image);
	ASSERT_EQ(0, make_helper(helper, text));
	ASSERT_EQ(0, set_pattern("|%s %%p %%e.%%n 'a b'", helper));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	snprintf(text, sizeof(text), "4:%d victim.0 'a b'\n", self->v.pid);
	ASSERT_LT(0, read_text(in_dir(self, "args"), args, sizeof(args)));
	EXPECT_STREQ(text, args);
	ASSERT_TRUE(unharmed(&self->v, image));
}

/* One that does not do its work, after one that does. */
static bool helper_fails(FIXTURE_DATA(autockpt) *self, const char *script, int err,
			 const char *says)
{
	char helper[192], image[192];
	int i;

	strcpy(image, in_dir(self, "x"));
	if (set_pattern("%s", image) || victim_start(&self->v, "waits_with_much") ||
	    !signal_and_see(&self->v, 0))
		return false;
	strcpy(helper, in_dir(self, "helper"));
	if (*script && make_helper(helper, script))
		return false;
	if (set_pattern("|%s", helper))
		return false;
	for (i = 0; i < TIMES; i++)
		if (!signal_and_see(&self->v, err) || !auto_reports(self->v.pid, says))
			return false;
	return unharmed(&self->v, image);
}

TEST_F(autockpt, a_helper_that_fails)
{
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\ncat > /dev/null\nexit 3\n", EPIPE,
				 "exited with status 3"));
}

TEST_F(autockpt, a_helper_that_is_killed)
{
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\nhead -c 100000 > /dev/null\nkill -9 $$\n",
				 EPIPE, "killed by signal 9"));
}

TEST_F(autockpt, a_helper_that_does_not_read)
{
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\nexit 0\n", EPIPE,
				 "ended before it had read the image"));
}

TEST_F(autockpt, a_helper_that_is_missing)
{
	EXPECT_TRUE(helper_fails(self, "", ENOENT, "cannot be run"));
}

TEST_F(autockpt, a_helper_that_is_no_program)
{
	EXPECT_TRUE(helper_fails(self, "rubbish", ENOEXEC, "cannot be run"));
}

TEST_F(autockpt, a_helper_that_hangs)
{
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", "500"));
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\nexec sleep 1000\n", ETIMEDOUT,
				 "does not read the image"));
}

TEST_F(autockpt, a_helper_that_hangs_at_the_end)
{
	char ms[16];

	/* Time enough to begin */
	snprintf(ms, sizeof(ms), "%d", 1500 * slowness());
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", ms));
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\ncat > /dev/null\nexec sleep 1000\n",
				 ETIMEDOUT, "has not ended"));
}

/* Its children have the pipe, too. */
TEST_F(autockpt, a_helper_that_leaves_children)
{
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", "500"));
	EXPECT_TRUE(helper_fails(self, "#!/bin/sh\nexec 3<&0\nsleep 3 <&3 &\nexit 0\n", ETIMEDOUT,
				 "does not read the image"));
}

TEST_F(autockpt, a_process_that_is_killed_meanwhile)
{
	int64_t began, took;

	ASSERT_EQ(0, make_helper(in_dir(self, "helper"), "#!/bin/sh\nexec sleep 1000\n"));
	ASSERT_EQ(0, set_pattern("|%s", self->path));
	ASSERT_EQ(0, victim_start(&self->v, "waits_with_much"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	sleep_ms(500);
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "state:\trunning"));
	began = now_ns(CLOCK_MONOTONIC);
	ASSERT_EQ(0, victim_kill(&self->v));
	took = now_ns(CLOCK_MONOTONIC) - began;
	EXPECT_LT(took, 2000000000LL * slowness());
	system("pkill -x sleep");
}

/* The frozen process is who would have to read. */
VICTIM(reads_a_fifo)
{
	static char memory[1 << 20];	/* more than fits into the FIFO */
	char buf[4096], path[128];
	int fd;

	memset(memory, 1, sizeof(memory));
	snprintf(path, sizeof(path), "%s/fifo", victim_dir);
	fd = V_SYS(open(path, O_RDWR));
	victim_reach();
	while (!victim_told(1))
		V_CHECK(read(fd, buf, sizeof(buf)) >= 0);
	victim_ready();
}

TEST_F(autockpt, a_process_that_its_image_depends_on)
{
	char text[512];

	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", "1000"));
	ASSERT_EQ(0, mkfifo(in_dir(self, "fifo"), 0600));
	snprintf(text, sizeof(text), "#!/bin/sh\nexec cat > %s\n", self->path);
	ASSERT_EQ(0, make_helper(in_dir(self, "helper"), text));
	ASSERT_EQ(0, victim_start(&self->v, "reads_a_fifo"));
	ASSERT_EQ(0, set_pattern("|%s", self->path));
	/* It does not read while it is frozen. */
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_FAILURES(self->v.pid, 1));
	EXPECT_FALSE(victim_reap(&self->v));
}

/* ---- automatic ---- */

TEST_F(autockpt, settings_are_read_back)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	EXPECT_EQ(0, auto_value(self->v.pid, "interval_ms"));
	EXPECT_EQ(1, auto_value(self->v.pid, "full_every"));
	ASSERT_EQ(0, auto_set(self->v.pid,
			      "interval_ms=600000 full_every=7 keep=3 tracker=none across_exec=1\npattern=/x/%%p.%%n"));
	EXPECT_EQ(600000, auto_value(self->v.pid, "interval_ms"));
	EXPECT_EQ(600000, auto_value(self->v.pid, "interval_now_ms"));
	EXPECT_EQ(7, auto_value(self->v.pid, "full_every"));
	EXPECT_EQ(3, auto_value(self->v.pid, "keep"));
	EXPECT_EQ(1, auto_value(self->v.pid, "across_exec"));
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "tracker:\tnone\n"));
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "pattern:\t/x/%p.%n\n"));
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "state:\twaiting\n"));
	EXPECT_LT(590000, auto_value(self->v.pid, "next_ms"));
	/* What is not named stays; the one interval replaces the other. */
	ASSERT_EQ(0, auto_set(self->v.pid, "mtbf_s=86400"));
	EXPECT_EQ(0, auto_value(self->v.pid, "interval_ms"));
	EXPECT_EQ(7, auto_value(self->v.pid, "full_every"));
	ASSERT_EQ(0, auto_set(self->v.pid, "off"));
	EXPECT_EQ(1, auto_value(self->v.pid, "full_every"));
	EXPECT_EQ(0, auto_value(self->v.pid, "mtbf_s"));
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "state:\tidle\n"));
}

TEST_F(autockpt, bad_settings_change_nothing)
{
	static const char *const bad[] = {
		"interval_ms", "interval_ms=", "interval_ms=-1", "interval_ms=x", "interval=3",
		"full_every=0", "full_every=70000", "keep=-1", "keep=1001", "tracker=magic",
		"across_exec=2", "remove_at_exit=3", "pattern=relative", "pattern=|/bin/cat", "on", "=",
		"full_every=2 pattern=/x/%%p", "keep=5 keep", "interval_ms=99999999999",
	};
	unsigned int i;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, auto_set(self->v.pid, "keep=4"));
	for (i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		EXPECT_EQ(-EIO, auto_set(self->v.pid, bad[i])) {
			test_log("taken: %s", bad[i]);
		}
		EXPECT_EQ(4, auto_value(self->v.pid, "keep"));
	}
}

TEST_F(autockpt, who_may_not_trace_may_not_set)
{
	int status;
	pid_t child;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	child = fork();
	if (!child) {
		if (setresgid(NOBODY, NOBODY, NOBODY) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(9);
		_exit(auto_set(self->v.pid, "keep=4") == -EACCES &&
		      auto_value(self->v.pid, "keep") == -1 ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* The memory changes all the time. */
VICTIM(counts)
{
	volatile long *page = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int turn = victim_reach();

	while (!victim_told(turn)) {
		page[(*page & 127) * 1024 + 1] = *page;
		++*page;
		vpage->word[0] = *page;
		sleep_ms(1);
	}
}

TEST_F(autockpt, chains_at_regular_intervals)
{
	struct ckpt_header h;
	int full = 0, i;
	long images;

	ASSERT_EQ(0, victim_start(&self->v, "counts"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=200 full_every=4 keep=2 pattern=%s/%%n",
			      self->v.dir));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 14));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=0"));
	ASSERT_TRUE(WAIT_IDLE(self->v.pid));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	images = auto_value(self->v.pid, "images");
	EXPECT_EQ(images, auto_value(self->v.pid, "next_number"));
	/* The last two chains are there, and nothing else. */
	for (i = 0; i < images; i++) {
		bool kept = i / 4 + 2 > (images - 1) / 4;

		EXPECT_EQ(kept ? 0 : -ENOENT, image_header(in_dir(self, "%d", i), &h)) {
			test_log("image %d of %ld", i, images);
		}
		if (kept) {
			EXPECT_EQ(i % 4, h.sequence);
			full += !h.sequence;
		}
	}
	EXPECT_EQ(2, full);
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(exits)
{
	victim_ready();
	_exit(atoi(victim_arg));
}

/*
 * What is left of two images of a process that exits with this, or is killed.  It does
 * not wait for the removal.
 */
static int left_at_exit(FIXTURE_DATA(autockpt) *self, int remove, const char *status,
			int expected)
{
	if (victim_start_with(&self->v, "exits", *status ? status : "0") ||
	    auto_set(self->v.pid, "remove_at_exit=%d pattern=%s/%%n.img", remove, self->v.dir) ||
	    !signal_and_see(&self->v, 0) || !signal_and_see(&self->v, 0) ||
	    count_files(self->v.dir, ".img") < 1)
		return -1;
	if (!*status)
		kill(self->v.pid, SIGKILL);
	else if (victim_go(&self->v))
		return -1;
	waitpid(self->v.pid, &self->v.status, 0);
	self->v.alive = false;
	if (expected)
		sleep_ms(300);
	else
		WAIT_FOR(!count_files(self->v.dir, ".img"));
	return count_files(self->v.dir, ".img");
}

TEST_F(autockpt, images_are_removed_at_exit_if_asked)
{
	EXPECT_EQ(0, left_at_exit(self, 1, "0", 0));
	EXPECT_EQ(0, left_at_exit(self, 2, "7", 0));
	EXPECT_EQ(0, left_at_exit(self, 2, "", 0));
	EXPECT_EQ(2, left_at_exit(self, 0, "0", 2));
	EXPECT_EQ(2, left_at_exit(self, 1, "7", 2));
	EXPECT_EQ(2, left_at_exit(self, 1, "", 2));
}

TEST_F(autockpt, what_became_of_it_can_be_read_afterwards)
{
	char path[64], text[8192];
	ssize_t len;
	int fd;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", self->v.pid);
	ASSERT_EQ(0, auto_set(self->v.pid, "keep=3"));
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &self->v.status, 0));
	self->v.alive = false;
	/* The agent ends after the process. */
	EXPECT_TRUE(WAIT_FOR((len = pread(fd, text, sizeof(text) - 1, 0)) > 0 &&
			     (text[len] = '\0', strstr(text, "state:\tended\n"))));
	EXPECT_NE(NULL, strstr(text, "images:\t1\n"));
	close(fd);
}

/* A process that has ended is not tried for ever, whoever sets it up. */
TEST_F(autockpt, a_zombie_has_no_checkpoints)
{
	char path[64], text[8192];
	ssize_t len;
	pid_t pid;
	int fd;

	pid = fork();
	if (!pid)
		_exit(0);
	ASSERT_TRUE(WAIT_FOR(proc_state(pid, pid) == 'Z'));
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", pid);
	fd = open(path, O_RDWR | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	ASSERT_EQ(13, write(fd, "interval_ms=5", 13));
	sleep_ms(300);
	ASSERT_EQ(pid, waitpid(pid, NULL, 0));
	len = pread(fd, text, sizeof(text) - 1, 0);
	ASSERT_GT(len, 0);
	text[len] = '\0';
	EXPECT_NE(NULL, strstr(text, "state:\tended\n"));
	EXPECT_NE(NULL, strstr(text, "failed:\t0\n"));
	close(fd);
}

TEST_F(autockpt, a_kernel_thread_has_no_settings)
{
	EXPECT_EQ(-EIO, auto_set(2, "interval_ms=1000"));
	EXPECT_GE(0, auto_value(2, "interval_ms"));
}

/* One that is handed to a program that does not know what it is. */
TEST_F(autockpt, the_file_works_for_who_opened_it)
{
	char path[64];
	int fd, status;
	pid_t child;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", self->v.pid);
	fd = open(path, O_WRONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);
	child = fork();
	if (!child) {
		if (prctl(PR_SET_KEEPCAPS, 1) || setresuid(NOBODY, NOBODY, NOBODY))
			_exit(9);
		_exit(write(fd, "keep=4", 6) == -1 && errno == EPERM ? 0 : 1);
	}
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
	EXPECT_EQ(0, auto_value(self->v.pid, "keep"));
	close(fd);
}

/* Increments that nobody could restart are worth nothing. */
TEST_F(autockpt, a_chain_with_a_hole_is_not_continued)
{
	struct ckpt_header h;

	ASSERT_EQ(0, victim_start(&self->v, "counts"));
	ASSERT_EQ(0, auto_set(self->v.pid, "full_every=100 pattern=%s/%%n", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, image_header(in_dir(self, "2"), &h));
	EXPECT_EQ(2, h.sequence);
	ASSERT_EQ(0, unlink(in_dir(self, "0")));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, image_header(in_dir(self, "3"), &h));
	EXPECT_EQ(0, h.sequence);
	/* Somebody else's checkpoint ends it as well. */
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, image_header(in_dir(self, "4"), &h));
	EXPECT_EQ(1, h.sequence);
}

/* What is there under the name of an old image, but is another one, stays. */
TEST_F(autockpt, only_its_own_images_are_removed)
{
	char text[32];
	int i;

	ASSERT_EQ(0, victim_start(&self->v, "counts"));
	ASSERT_EQ(0, auto_set(self->v.pid, "full_every=1 keep=1 pattern=%s/%%n", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, write_text(in_dir(self, "0"), "precious"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	sleep_ms(100);
	ASSERT_EQ(8, read_text(in_dir(self, "0"), text, sizeof(text)));
	for (i = 0; i < 3; i++)
		ASSERT_TRUE(signal_and_see(&self->v, 0));
	EXPECT_TRUE(WAIT_FOR(access(in_dir(self, "3"), F_OK)));
	EXPECT_EQ(0, access(in_dir(self, "4"), F_OK));
}

TEST_F(autockpt, failures_are_put_off)
{
	long failed;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=100 pattern=/nowhere/%%n"));
	sleep_ms(3000);
	failed = auto_value(self->v.pid, "failed");
	EXPECT_LT(3, failed);
	EXPECT_GT(9, failed);
	EXPECT_LE(failed, auto_value(self->v.pid, "failures_in_a_row"));
	/* At the beginning of a pause, three times as long as the interval. */
	EXPECT_TRUE(WAIT_FOR(auto_value(self->v.pid, "next_ms") > 300));
	/* The place is there again. */
	ASSERT_EQ(0, auto_set(self->v.pid, "pattern=%s/%%n", self->v.dir));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	EXPECT_EQ(0, auto_value(self->v.pid, "failures_in_a_row"));
}

TEST_F(autockpt, the_interval_follows_the_cost)
{
	double cost, daly;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, auto_set(self->v.pid, "mtbf_s=86400"));
	EXPECT_EQ(10000, auto_value(self->v.pid, "interval_now_ms"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	cost = auto_value(self->v.pid, "cost_ns") / 1e9;
	/* sqrt(2 d M), what the rest of it adds being less than a hundredth. */
	daly = auto_value(self->v.pid, "interval_now_ms") / 1e3;
	daly *= daly;
	EXPECT_LT(daly, 1.03 * 2 * cost * 86400);
	EXPECT_GT(daly, 0.97 * 2 * cost * 86400);
}

TEST_F(autockpt, poll_tells_of_changes)
{
	struct pollfd p = { .events = POLLPRI };
	char path[64];

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", self->v.pid);
	p.fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(p.fd, 0);
	EXPECT_EQ(0, poll(&p, 1, 100));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	EXPECT_EQ(1, poll(&p, 1, 60000));
	EXPECT_EQ(1, auto_value(self->v.pid, "images"));
	EXPECT_EQ(0, poll(&p, 1, 100));
	ASSERT_EQ(0, victim_kill(&self->v));
	EXPECT_EQ(1, poll(&p, 1, 60000));
	close(p.fd);
}

VICTIM(executes)
{
	char *const argv[] = { "victim", "--victim", "waits", (char *)victim_dir, "", NULL };

	victim_ready();
	execv("/proc/self/exe", argv);
	abort();
}

static void across_exec(struct __test_metadata *_metadata, FIXTURE_DATA(autockpt) *self,
			bool kept)
{
	struct ckpt_header h;

	ASSERT_EQ(0, victim_start(&self->v, "executes"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=600000 full_every=10 across_exec=%d pattern=%s/%%n",
			      kept, self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, victim_go(&self->v));
	self->v.turn = 0;
	ASSERT_TRUE(WAIT_FOR(victim_word(&self->v, 5) == 0 &&
			     auto_value(self->v.pid, "interval_ms") == (kept ? 600000 : 0)));
	ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
	EXPECT_EQ(kept ? 600000 : 0, auto_value(self->v.pid, "interval_ms"));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	if (kept) {
		/* Another address space: not an increment. */
		ASSERT_EQ(0, image_header(in_dir(self, "1"), &h));
		EXPECT_EQ(0, h.sequence);
	}
}

TEST_F(autockpt, kept_across_exec_if_asked)
{
	across_exec(_metadata, self, true);
}

TEST_F(autockpt, not_kept_across_exec_if_not)
{
	across_exec(_metadata, self, false);
}

/* A restarted process goes on with its automatic checkpoints. */
TEST_F(autockpt, a_restarted_process_goes_on_with_them)
{
	struct ckpt_header h;

	ASSERT_EQ(0, victim_start(&self->v, "counts"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=300 full_every=3 keep=2 pattern=%s/%%n",
			      self->v.dir));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 4));
	ASSERT_EQ(0, image_header(in_dir(self, "3"), &h));
	ASSERT_EQ(0, h.sequence);
	ASSERT_EQ(0, restart_from(&self->v, in_dir(self, "3")));
	EXPECT_EQ(300, auto_value(self->v.pid, "interval_ms"));
	EXPECT_EQ(3, auto_value(self->v.pid, "full_every"));
	EXPECT_EQ(2, auto_value(self->v.pid, "keep"));
	EXPECT_LE(4, auto_value(self->v.pid, "next_number"));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 4));
	ASSERT_EQ(0, image_header(in_dir(self, "4"), &h));
	EXPECT_EQ(0, h.sequence);
	/* It knows what was taken before. */
	EXPECT_TRUE(WAIT_FOR(access(in_dir(self, "0"), F_OK)));
	ASSERT_EQ(0, auto_set(self->v.pid, "off"));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- programs with other rights ---- */

/* Not where the images go: set-user-ID programs have no effect there. */
#define PRIVILEGED_DIR	"/var/tmp"
#define PRIVILEGED	PRIVILEGED_DIR "/linux-cr.privileged"
#define SUID_DUMPABLE	"/proc/sys/fs/suid_dumpable"

/* This program, as DIR/privileged, with the rights of root. */
static int make_privileged(FIXTURE_DATA(autockpt) *self)
{
	struct statvfs fs;
	struct stat st;
	int from, to, err = -EIO;

	if (chown(self->v.dir, NOBODY, NOBODY) || statvfs(PRIVILEGED_DIR, &fs))
		return -errno;
	if (fs.f_flag & ST_NOSUID)
		return -EPERM;
	from = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	to = open(PRIVILEGED, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
	if (from >= 0 && to >= 0 && !fstat(from, &st) &&
	    sendfile(to, from, NULL, st.st_size) == st.st_size && !fchmod(to, 04755) &&
	    !symlink(PRIVILEGED, in_dir(self, "privileged")))
		err = 0;
	close(from);
	close(to);
	return err;
}

static bool is_privileged(pid_t pid)
{
	char path[64], comm[32] = "";

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	return read_text(path, comm, sizeof(comm)) > 0 && !strcmp(comm, "privileged\n");
}

VICTIM(gets_rights)
{
	char *const argv[] = { "victim", "--victim", "waits", (char *)victim_dir, "", NULL };
	char words[256];

	V_SYS(setresgid(NOBODY, NOBODY, NOBODY));
	V_SYS(setresuid(NOBODY, NOBODY, NOBODY));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	snprintf(words, sizeof(words), "pattern=%s/%%n.img", victim_dir);
	V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, words, strlen(words), 0));
	victim_ready();
	if (!strcmp(victim_arg, "signal"))
		V_SYS(kill(getpid(), SIGCKPT));
	V_SYS(execv(file_name("privileged"), argv));
}

static bool get_rights(struct victim *v)
{
	if (victim_go(v) || !WAIT_FOR(is_privileged(v->pid)))
		return false;
	v->turn = 0;
	return victim_wait(v) == VICTIM_IS_READY;
}

/* Files of root's whose name a user has chosen. */
static int images_of_root(const char *dir)
{
	struct dirent *entry;
	DIR *d = opendir(dir);
	struct stat st;
	int nr = 0;

	while (d && (entry = readdir(d)))
		nr += strstr(entry->d_name, ".img") &&
		      !fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		      !st.st_uid;
	if (d)
		closedir(d);
	return nr;
}

/* What a user has asked for is not done with the rights of the program he executes. */
TEST_F(autockpt, rights_got_meanwhile_are_not_used)
{
	char before[16] = "";
	int err, i;

	err = make_privileged(self);
	if (err == -EPERM)
		SKIP(return, "set-user-ID programs have no effect there");
	ASSERT_EQ(0, err);
	read_text(SUID_DUMPABLE, before, sizeof(before));
	ASSERT_EQ(0, write_text(SUID_DUMPABLE, "1"));
	for (i = 0; i < TIMES; i++) {
		EXPECT_EQ(0, victim_start_with(&self->v, "gets_rights", "signal"));
		EXPECT_TRUE(get_rights(&self->v));
		EXPECT_TRUE(WAIT_IDLE(self->v.pid));
		EXPECT_EQ(0, images_of_root(self->v.dir))
			auto_show(self->v.pid);
		victim_kill(&self->v);
	}
	write_text(SUID_DUMPABLE, before);
	unlink(PRIVILEGED);
}

/* Nor are the user's images removed with them, nor may who saw his see the others. */
TEST_F(autockpt, images_of_the_program_before_are_forgotten)
{
	char before[16] = "", path[64], text[8192];
	int err, fd;

	err = make_privileged(self);
	if (err == -EPERM)
		SKIP(return, "set-user-ID programs have no effect there");
	ASSERT_EQ(0, err);
	read_text(SUID_DUMPABLE, before, sizeof(before));
	ASSERT_EQ(0, victim_start_with(&self->v, "gets_rights", ""));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, access(in_dir(self, "0.img"), F_OK));
	snprintf(path, sizeof(path), "/proc/%d/checkpoint", self->v.pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_GE(fd, 0);

	EXPECT_EQ(0, write_text(SUID_DUMPABLE, "1"));
	EXPECT_TRUE(get_rights(&self->v));
	EXPECT_EQ(0, auto_set(self->v.pid, "keep=1 remove_at_exit=2 pattern=%s/%%n.img",
			      self->v.dir));
	EXPECT_TRUE(signal_and_see(&self->v, 0));
	EXPECT_TRUE(signal_and_see(&self->v, 0));
	EXPECT_LT(0, pread(fd, text, sizeof(text), 0));
	EXPECT_EQ(0, victim_kill(&self->v));
	write_text(SUID_DUMPABLE, before);
	unlink(PRIVILEGED);
	EXPECT_EQ(0, access(in_dir(self, "0.img"), F_OK));
	EXPECT_TRUE(WAIT_FOR(count_files(self->v.dir, ".img") == 1));
	EXPECT_EQ(-1, pread(fd, text, sizeof(text), 0));
	EXPECT_EQ(EACCES, errno);
	close(fd);
}

/* A directory that has been replaced by a symbolic link is not the one of the image. */
TEST_F(autockpt, images_are_not_removed_through_symbolic_links)
{
	char sub[160], elsewhere[160], image[192];

	strcpy(sub, in_dir(self, "sub"));
	strcpy(elsewhere, in_dir(self, "elsewhere"));
	ASSERT_EQ(0, mkdir(sub, 0755));
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, auto_set(self->v.pid, "remove_at_exit=2 pattern=%s/%%n", sub));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, rename(sub, elsewhere));
	ASSERT_EQ(0, symlink("elsewhere", sub));
	ASSERT_EQ(0, victim_kill(&self->v));
	snprintf(image, sizeof(image), "%s/0", elsewhere);
	sleep_ms(300);
	EXPECT_EQ(0, access(image, F_OK));
}

/* Whoever changes one setting does not undo what another changes at that moment. */
TEST_F(autockpt, settings_are_changed_one_after_the_other)
{
	int status, i;
	pid_t child;

	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	child = fork();
	ASSERT_LE(0, child);
	for (i = 0; i < 2000; i++) {
		const char *name = child ? "keep" : "full_every";

		if (auto_set(self->v.pid, "%s=%d", name, i % 900 + 1) ||
		    auto_value(self->v.pid, name) != i % 900 + 1)
			break;
	}
	if (!child)
		_exit(i != 2000);
	EXPECT_EQ(2000, i);
	ASSERT_EQ(child, waitpid(child, &status, 0));
	EXPECT_EQ(0, status);
}

/* ---- agents ---- */

static int set_agents(const char *nr)
{
	return write_text(SYSCTL_AGENTS, nr);
}

/* A checkpoint for which there is no kernel thread is put off, and that is said. */
TEST_F(autockpt, a_checkpoint_waits_for_an_agent)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, kill(self->v.pid, SIGCKPT));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "last_error") == EAGAIN));
	EXPECT_TRUE(auto_reports(self->v.pid, "max_checkpoint_agents"));
	sleep_ms(1500);
	EXPECT_EQ(0, auto_value(self->v.pid, "images"));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	EXPECT_EQ(1, auto_value(self->v.pid, "requests"));
	EXPECT_TRUE(WAIT_FOR(strstr(auto_text(self->v.pid), "state:\trequested")));
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	ASSERT_TRUE(WAIT_IMAGES(self->v.pid, 1));
	EXPECT_EQ(0, auto_value(self->v.pid, "last_error"));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	EXPECT_TRUE(unharmed(&self->v, in_dir(self, "%d.ckpt", self->v.pid)));
}

VICTIM(takes_one_that_fails)
{
	victim_ready();
	V_EQUAL(-1, prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 0, 0, 0));
	V_EQUAL(EAGAIN, errno);
	victim_ready();
}

TEST_F(autockpt, who_waits_for_it_is_told_that_there_is_no_agent)
{
	ASSERT_EQ(0, victim_start(&self->v, "takes_one_that_fails"));
	ASSERT_EQ(0, set_agents("0"));
	EXPECT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(1, auto_value(self->v.pid, "failed"));
	EXPECT_TRUE(auto_reports(self->v.pid, "max_checkpoint_agents"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

#define MANY	20

/* As by pkill -CKPT: each is taken, some later. */
TEST_F(autockpt, many_processes_have_few_agents)
{
	struct victim *v = calloc(MANY, sizeof(*v));
	int i;

	ASSERT_NE(NULL, v);
	ASSERT_EQ(0, set_pattern("%s/%%p.img", self->v.dir));
	ASSERT_EQ(0, set_agents("2"));
	for (i = 0; i < MANY; i++) {
		victim_init(&v[i]);
		ASSERT_EQ(0, victim_start(&v[i], "waits"));
	}
	for (i = 0; i < MANY; i++)
		ASSERT_EQ(0, kill(v[i].pid, SIGCKPT));
	EXPECT_TRUE(WAIT_FOR(count_files(self->v.dir, ".img") == MANY));
	for (i = 0; i < MANY; i++) {
		EXPECT_EQ(0, auto_value(v[i].pid, "failed"))
			auto_show(v[i].pid);
		victim_kill(&v[i]);
		victim_cleanup(&v[i]);
	}
	free(v);
}

static bool lets_one_at_exit(FIXTURE_DATA(autockpt) *self)
{
	return !victim_start(&self->v, "waits") &&
	       !auto_set(self->v.pid, "remove_at_exit=2 pattern=%s/%%n.img", self->v.dir) &&
	       signal_and_see(&self->v, 0);
}

TEST_F(autockpt, the_removal_of_images_waits_for_an_agent)
{
	ASSERT_TRUE(lets_one_at_exit(self));
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, victim_kill(&self->v));
	sleep_ms(500);
	EXPECT_EQ(1, count_files(self->v.dir, ".img"));
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	EXPECT_TRUE(WAIT_FOR(!count_files(self->v.dir, ".img")));
}

TEST_F(autockpt, the_removal_of_images_is_given_up)
{
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", "100"));
	ASSERT_TRUE(lets_one_at_exit(self));
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, victim_kill(&self->v));
	sleep_ms(2500);
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	sleep_ms(1500);
	EXPECT_EQ(1, count_files(self->v.dir, ".img"));
}

/* Memory whose first access waits until somebody gives the page. */
static int make_slow_page(char **page)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC);

	*page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	reg.range.start = (uintptr_t)*page;
	reg.range.len = 4096;
	if (fd < 0 || *page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &reg))
		return -1;
	return fd;
}

/* Somebody who reads a directory into it, so that nothing can be removed from that. */
struct slow_reader {
	int		dir;
	int		uffd;
	char		*page;
	pthread_t	thread;
};

static void *read_slowly(void *arg)
{
	struct slow_reader *r = arg;

	return (void *)syscall(__NR_getdents64, r->dir, r->page, 4096);
}

static bool slow_reader_begin(struct slow_reader *r, const char *dir)
{
	struct pollfd wait = { .events = POLLIN };

	r->uffd = wait.fd = make_slow_page(&r->page);
	r->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return r->uffd >= 0 && r->dir >= 0 &&
	       !pthread_create(&r->thread, NULL, read_slowly, r) &&
	       poll(&wait, 1, WAIT_SECONDS * 1000) == 1;
}

static bool slow_reader_end(struct slow_reader *r)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)r->page, 4096 } };
	bool good = !ioctl(r->uffd, UFFDIO_ZEROPAGE, &zero) &&
		    !pthread_join(r->thread, NULL);

	close(r->dir);
	close(r->uffd);
	return good;
}

TEST_F(autockpt, a_process_ends_without_waiting_for_a_file_system)
{
	struct slow_reader reader;
	bool ended;

	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "kernel without userfaultfd(2)");
	ASSERT_TRUE(lets_one_at_exit(self));
	ASSERT_TRUE(slow_reader_begin(&reader, self->v.dir));

	kill(self->v.pid, SIGKILL);
	ended = WAIT_FOR(waitpid(self->v.pid, &self->v.status, WNOHANG) == self->v.pid);
	EXPECT_TRUE(ended);
	/* The directory itself cannot be read now either. */
	EXPECT_EQ(0, access(in_dir(self, "0.img"), F_OK));
	ASSERT_TRUE(slow_reader_end(&reader));
	EXPECT_TRUE(WAIT_FOR(access(in_dir(self, "0.img"), F_OK)));
	if (!ended)
		waitpid(self->v.pid, &self->v.status, 0);
	self->v.alive = false;
}

VICTIM(has_a_lock)
{
	V_SYS(flock(open(file_name("locked"), O_RDWR | O_CREAT, 0600), LOCK_EX));
	victim_ready();
	victim_ready();
}

/* What it was made from, and with which it may be tried again, stays. */
TEST_F(autockpt, a_restart_that_fails_removes_no_images)
{
	int lock;

	ASSERT_EQ(0, victim_start(&self->v, "has_a_lock"));
	ASSERT_EQ(0, auto_set(self->v.pid, "remove_at_exit=2 pattern=%s/%%n.img", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, auto_set(self->v.pid, "remove_at_exit=0"));
	ASSERT_EQ(0, victim_kill(&self->v));
	lock = open(in_dir(self, "locked"), O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, lock);
	ASSERT_EQ(0, flock(lock, LOCK_SH));
	ASSERT_EQ(0, use_image(&self->v, in_dir(self, "1.img")));
	EXPECT_EQ(-EAGAIN, victim_try_restart(&self->v, 0));
	sleep_ms(300);
	EXPECT_EQ(2, count_files(self->v.dir, ".img"));

	/* If it succeeds, they do go at the end. */
	ASSERT_EQ(0, flock(lock, LOCK_UN));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	EXPECT_TRUE(WAIT_FOR(!count_files(self->v.dir, ".img")));
	close(lock);
}

/* ---- what is put off, and what is kept ---- */

/* It can go on from them. */
TEST_F(autockpt, who_is_killed_by_a_checkpoint_keeps_its_images)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, auto_set(self->v.pid, "remove_at_exit=2 pattern=%s/%%n.img", self->v.dir));
	ASSERT_TRUE(signal_and_see(&self->v, 0));
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &self->v.status, 0));
	self->v.alive = false;
	sleep_ms(500);
	EXPECT_EQ(2, count_files(self->v.dir, ".img"));
	ASSERT_EQ(0, use_image(&self->v, in_dir(self, "1.img")));
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	/* When it does end it needs none of them any more. */
	ASSERT_EQ(0, victim_kill(&self->v));
	EXPECT_TRUE(WAIT_FOR(!count_files(self->v.dir, ".img")));
}

VICTIM(has_a_child_with_images)
{
	char words[256];
	sigset_t set;
	pid_t child;
	int sig;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child = V_SYS(fork());
	if (!child) {
		snprintf(words, sizeof(words), "remove_at_exit=2 pattern=%s/%%n.img", victim_dir);
		V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_SET, words, strlen(words), 0));
		V_SYS(prctl(PR_CHECKPOINT, PR_CHECKPOINT_TAKE, 0, 0, 0));
		V_SYS(kill(getppid(), SIGUSR1));
		pause();
	}
	sigwait(&set, &sig);
	victim_reach();
	pause();
}

TEST_F(autockpt, descendants_that_are_killed_with_it_keep_theirs)
{
	ASSERT_EQ(0, victim_start(&self->v, "has_a_child_with_images"));
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &self->v.status, 0));
	self->v.alive = false;
	sleep_ms(500);
	EXPECT_EQ(1, count_files(self->v.dir, ".img"));
}

/* That another thread does not get its checkpoint takes nothing from who has asked by signal. */
TEST_F(autockpt, who_does_not_wait_gets_a_checkpoint_later)
{
	ASSERT_EQ(0, set_pattern("%s/%%n.img", self->v.dir));
	ASSERT_EQ(0, victim_start(&self->v, "takes_one_that_fails"));
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, send_flags(self->v.pid, CHECKPOINT_SIGNAL_EXIT));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "last_error") == EAGAIN));
	EXPECT_EQ(0, victim_next(&self->v));
	EXPECT_TRUE(WAIT_FOR(strstr(auto_text(self->v.pid), "state:\trequested")));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	ASSERT_TRUE(WAIT_FOR(waitpid(self->v.pid, &self->v.status, WNOHANG) == self->v.pid));
	self->v.alive = false;
	EXPECT_TRUE(WIFSIGNALED(self->v.status) && WTERMSIG(self->v.status) == SIGKILL);
	EXPECT_EQ(1, count_files(self->v.dir, ".img"));
}

/* What is put off is over when automatic checkpoints are. */
TEST_F(autockpt, an_automatic_checkpoint_is_not_put_off_beyond_its_settings)
{
	ASSERT_EQ(0, victim_start(&self->v, "waits"));
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=100"));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "last_error") == EAGAIN));
	ASSERT_EQ(0, auto_set(self->v.pid, "off"));
	EXPECT_TRUE(WAIT_IDLE(self->v.pid));
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	sleep_ms(1500);
	EXPECT_EQ(0, auto_value(self->v.pid, "images"));
	EXPECT_EQ(0, auto_value(self->v.pid, "failed"));

	/* While they are wanted it is tried again, long before the next is due. */
	ASSERT_EQ(0, set_agents("0"));
	ASSERT_EQ(0, auto_set(self->v.pid, "interval_ms=5000"));
	ASSERT_TRUE(WAIT_FOR(auto_value(self->v.pid, "next_ms") <= 1000));
	sleep_ms(1500);
	EXPECT_GT(2000, auto_value(self->v.pid, "next_ms"));
	ASSERT_EQ(0, set_agents(self->sysctls.agents));
	EXPECT_TRUE(WAIT_IMAGES(self->v.pid, 1));
}

/*
 * The agent of a process hangs, in removing an old image, for longer than who is to remove
 * the others looks for an agent.
 */
TEST_F(autockpt, the_removal_of_images_begins_when_the_agent_has_ended)
{
	struct slow_reader reader;
	char other[192];

	if (access("/proc/sys/vm/unprivileged_userfaultfd", F_OK))
		SKIP(return, "kernel without userfaultfd(2)");
	ASSERT_EQ(0, write_text(SYSCTL_DIR "checkpoint_timeout_ms", "3000"));
	ASSERT_TRUE(lets_one_at_exit(self));
	strcpy(other, in_dir(self, "other"));
	ASSERT_EQ(0, mkdir(other, 0777));
	ASSERT_EQ(0, auto_set(self->v.pid, "keep=1 pattern=%s/%%n.img", other));
	ASSERT_TRUE(slow_reader_begin(&reader, self->v.dir));

	EXPECT_TRUE(signal_and_see(&self->v, 0));
	sleep_ms(500);
	/* One agent at a time works for a process, whatever it is at. */
	EXPECT_NE(NULL, strstr(auto_text(self->v.pid), "state:\trunning\n"));
	kill(self->v.pid, SIGKILL);
	EXPECT_TRUE(WAIT_FOR(waitpid(self->v.pid, &self->v.status, WNOHANG) == self->v.pid));
	self->v.alive = false;
	sleep_ms(4000);
	EXPECT_EQ(1, count_files(other, ".img"));
	EXPECT_EQ(0, set_agents("0"));
	ASSERT_TRUE(slow_reader_end(&reader));
	sleep_ms(500);
	EXPECT_EQ(1, count_files(other, ".img"));
	EXPECT_EQ(0, set_agents(self->sysctls.agents));
	EXPECT_TRUE(WAIT_FOR(!count_files(other, ".img")));
}

CKPT_TEST_MAIN
