// SPDX-License-Identifier: GPL-2.0
/*
 * Open files, the descriptor table, working directory, root and executable:
 * what is kept, what is taken over from the caller of restart(), and what it
 * refuses since it is not the same any more.
 */
#include <linux/capability.h>
#include <pthread.h>
#include <limits.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/sysmacros.h>

#include "ckpt_places.h"
#include "ckpt_test.h"

CKPT_FIXTURE_EVERYWHERE(files)

/* ---- helpers of the victims ---- */

static int open_file(const char *name, int flags)
{
	return V_SYS(open(file_name(name), flags, 0644));
}

static void put(int fd, const char *text)
{
	if (write(fd, text, strlen(text)) != (ssize_t)strlen(text))
		victim_fail(__LINE__, "write to %d: errno %d", fd, errno);
}

static bool file_is(const char *name, const char *text)
{
	char buf[4096];

	return read_text(file_name(name), buf, sizeof(buf)) >= 0 && !strcmp(buf, text);
}

#define F_FLAGS	(O_ACCMODE | O_APPEND | O_NONBLOCK | O_SYNC | O_NOATIME | O_DIRECTORY | O_PATH)

/* ---- one description ---- */

SURVIVES(files, the_offset_stays)
{
	int fd = open_file("data", O_RDWR | O_CREAT);
	char buf[4];

	put(fd, "0123456789");
	V_EQUAL(4, lseek(fd, 4, SEEK_SET));
	victim_ready();
	V_EQUAL(4, lseek(fd, 0, SEEK_CUR));
	V_CHECK(read(fd, buf, 4) == 4);
	V_EQUAL(0, memcmp(buf, "4567", 4));
	put(fd, "X");
	V_CHECK(file_is("data", "01234567X9"));
}

SURVIVES(files, an_offset_beyond_the_end_and_4_gib_stays)
{
	int fd = open_file("data", O_RDWR | O_CREAT);
	off_t far = 5LL << 32 | 123;

	V_EQUAL(far, lseek(fd, far, SEEK_SET));
	victim_ready();
	V_EQUAL(far, lseek(fd, 0, SEEK_CUR));
}

SURVIVES(files, status_flags_stay)
{
	static const int flags[] = {
		O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND, O_RDONLY | O_NONBLOCK,
		O_WRONLY | O_SYNC, O_RDWR | O_DSYNC, O_RDONLY | O_NOATIME,
		O_WRONLY | O_APPEND | O_NONBLOCK,
	};
	int fd[ARRAY_SIZE(flags)], before[ARRAY_SIZE(flags)];
	size_t i;

	close(open_file("data", O_RDWR | O_CREAT));
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		fd[i] = open_file("data", flags[i]);
		before[i] = fcntl(fd[i], F_GETFL);
	}
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		V_EQUAL(before[i], fcntl(fd[i], F_GETFL));
}

/* Flags that open() had to do something about are not done a second time. */
SURVIVES(files, a_file_opened_with_truncation_is_not_truncated_again)
{
	int fd = open_file("data", O_RDWR | O_CREAT | O_TRUNC);

	put(fd, "contents");
	victim_ready();
	V_CHECK(file_is("data", "contents"));
}

SURVIVES(files, a_file_opened_exclusively_can_be_opened_again)
{
	int fd = open_file("data", O_WRONLY | O_CREAT | O_EXCL);

	put(fd, "one ");
	victim_ready();
	put(fd, "two");
	V_CHECK(file_is("data", "one two"));
}

SURVIVES(files, append_mode_writes_at_the_end)
{
	int fd = open_file("log", O_WRONLY | O_CREAT | O_APPEND);

	put(fd, "first\n");
	victim_ready();
	put(fd, "second\n");
	V_EQUAL(0, lseek(fd, 0, SEEK_SET));
	put(fd, "third\n");
	V_CHECK(file_is("log", "first\nsecond\nthird\n"));
}

SURVIVES(files, read_only_stays_read_only)
{
	char byte;
	int fd;

	put(open_file("data", O_WRONLY | O_CREAT), "x");
	fd = open_file("data", O_RDONLY);
	victim_ready();
	V_EQUAL(-1, write(fd, "x", 1));
	V_EQUAL(EBADF, errno);
	V_CHECK(read(fd, &byte, 1) == 1);
}

SURVIVES(files, write_only_stays_write_only)
{
	int fd = open_file("data", O_WRONLY | O_CREAT);
	char byte;

	victim_ready();
	V_EQUAL(-1, read(fd, &byte, 1));
	V_EQUAL(EBADF, errno);
	put(fd, "x");
}

SURVIVES(files, a_file_without_permissions_stays_open)
{
	int fd = open_file("data", O_RDWR | O_CREAT);

	put(fd, "secret");
	V_SYS(fchmod(fd, 0));
	victim_ready();
	V_CHECK(file_is("data", "secret"));
}

SURVIVES(files, a_renamed_file_is_found_under_its_new_name)
{
	int fd = open_file("old", O_RDWR | O_CREAT);
	char old[PATH_MAX];

	put(fd, "contents");
	snprintf(old, sizeof(old), "%s", file_name("old"));
	V_SYS(rename(old, file_name("new")));
	victim_ready();
	put(fd, " more");
	V_CHECK(file_is("new", "contents more"));
}

SURVIVES(files, a_file_opened_through_a_symbolic_link_stays_open)
{
	char target[PATH_MAX];
	int fd;

	put(open_file("target", O_RDWR | O_CREAT), "contents");
	snprintf(target, sizeof(target), "%s", file_name("target"));
	V_SYS(symlink(target, file_name("link")));
	fd = open_file("link", O_RDWR | O_APPEND);
	V_SYS(unlink(file_name("link")));
	victim_ready();
	put(fd, "!");
	V_CHECK(file_is("target", "contents!"));
}

SURVIVES(files, names_with_odd_characters_survive)
{
	int one = open_file("two\nlines \\ and \t tab", O_RDWR | O_CREAT);
	int two = open_file("Zw\xc3\xb6lf \xff\xfe", O_RDWR | O_CREAT);
	int three = open_file(" (deleted)", O_RDWR | O_CREAT);

	put(one, "1");
	put(two, "2");
	put(three, "3");
	victim_ready();
	V_CHECK(file_is("two\nlines \\ and \t tab", "1"));
	V_CHECK(file_is("Zw\xc3\xb6lf \xff\xfe", "2"));
	put(one, "1");
	put(two, "2");
	put(three, "3");
	V_CHECK(file_is(" (deleted)", "33"));
}

SURVIVES(files, a_path_only_descriptor_survives)
{
	int fd, again;

	put(open_file("data", O_RDWR | O_CREAT), "x");
	fd = open_file("data", O_PATH);
	victim_ready();
	V_EQUAL(O_PATH, fcntl(fd, F_GETFL) & O_PATH);
	V_EQUAL(-1, lseek(fd, 0, SEEK_SET));

	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = V_SYS(open(path, O_RDONLY));
	close(again);
}

/* ---- the table ---- */

SURVIVES(files, close_on_exec_stays)
{
	int yes = open_file("data", O_RDWR | O_CREAT | O_CLOEXEC);
	int no = open_file("data", O_RDWR);
	int twin = V_SYS(fcntl(no, F_DUPFD_CLOEXEC, 0));

	victim_ready();
	V_EQUAL(FD_CLOEXEC, fcntl(yes, F_GETFD));
	V_EQUAL(0, fcntl(no, F_GETFD));
	V_EQUAL(FD_CLOEXEC, fcntl(twin, F_GETFD));
}

SURVIVES(files, descriptors_share_one_description_as_before)
{
	int fd = open_file("data", O_RDWR | O_CREAT);
	int twin = V_SYS(dup(fd)), high = V_SYS(dup2(fd, 300));
	int other = open_file("data", O_RDWR);

	put(fd, "0123456789");
	V_EQUAL(3, lseek(other, 3, SEEK_SET));
	victim_ready();
	V_EQUAL(10, lseek(fd, 0, SEEK_CUR));
	V_EQUAL(5, lseek(twin, 5, SEEK_SET));
	V_EQUAL(5, lseek(fd, 0, SEEK_CUR));
	V_EQUAL(5, lseek(high, 0, SEEK_CUR));
	V_EQUAL(3, lseek(other, 0, SEEK_CUR));
	V_SYS(fcntl(high, F_SETFL, O_APPEND));
	V_EQUAL(O_APPEND, fcntl(fd, F_GETFL) & O_APPEND);
	V_EQUAL(0, fcntl(other, F_GETFL) & O_APPEND);
}

SURVIVES(files, numbers_and_gaps_stay)
{
	static const int numbers[] = { 5, 63, 64, 127, 255, 256, 1000 };
	int fd = open_file("data", O_RDWR | O_CREAT), other;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		V_SYS(dup2(fd, numbers[i]));
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(numbers); i++)
		V_SYS(fcntl(numbers[i], F_GETFD));
	V_EQUAL(-1, fcntl(128, F_GETFD));
	V_EQUAL(-1, fcntl(999, F_GETFD));
	other = open_file("data", O_RDONLY);
	V_EQUAL(fd + 1, other);
}

SURVIVES(files, nothing_of_the_caller_is_left_behind)
{
	struct dirent *entry;
	int nr = 0;
	DIR *dir;

	victim_ready();
	dir = opendir("/proc/self/fd");
	V_CHECK(dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			nr++;
	closedir(dir);
	V_EQUAL(4, nr);	/* 0, 1, 2 and the directory itself */
}

SURVIVES(files, a_closed_standard_descriptor_stays_closed)
{
	close(0);
	victim_ready();
	V_EQUAL(-1, fcntl(0, F_GETFD));
	V_EQUAL(0, open_file("data", O_RDWR | O_CREAT));
}

SURVIVES(files, a_thousand_files_survive)
{
	int fd[900], i;
	char name[32];

	for (i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		fd[i] = open_file(name, O_RDWR | O_CREAT);
		put(fd[i], name);
	}
	victim_ready();
	for (i = 0; i < 900; i++) {
		snprintf(name, sizeof(name), "file-%d", i);
		V_EQUAL(strlen(name), lseek(fd[i], 0, SEEK_CUR));
		V_CHECK(file_is(name, name));
	}
}

/* ---- directories and devices ---- */

struct dirent64_record {
	uint64_t	d_ino;
	int64_t		d_off;
	unsigned short	d_reclen;
	unsigned char	d_type;
	char		d_name[];
};

#define NR_ENTRIES	200

/* Read a part of the entries and tick them off; the number of bytes got. */
static long read_entries(int fd, char *seen, size_t size)
{
	char buf[4096] __aligned(8);
	long len, pos;

	len = V_SYS(syscall(__NR_getdents64, fd, buf, size));
	for (pos = 0; pos < len;) {
		struct dirent64_record *entry = (void *)(buf + pos);

		if (!strncmp(entry->d_name, "entry-", 6))
			seen[atoi(entry->d_name + 6)]++;
		pos += entry->d_reclen;
	}
	return len;
}

SURVIVES(files, a_directory_is_read_on_where_it_was)
{
	char name[32], seen[NR_ENTRIES] = {};
	int i, fd;

	for (i = 0; i < NR_ENTRIES; i++) {
		snprintf(name, sizeof(name), "entry-%d", i);
		close(open_file(name, O_WRONLY | O_CREAT));
	}
	fd = V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY));
	for (i = 0; i < 4; i++)
		V_CHECK(read_entries(fd, seen, 1024));
	victim_ready();
	while (read_entries(fd, seen, 1024))
		;
	for (i = 0; i < NR_ENTRIES; i++)
		if (seen[i] != 1)
			victim_fail(__LINE__, "entry %d seen %d times", i, seen[i]);
}

SURVIVES(files, a_directory_descriptor_works_as_a_base)
{
	struct stat st;
	int fd;

	close(open_file("inside", O_WRONLY | O_CREAT));
	fd = V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY));
	victim_ready();
	V_SYS(fstatat(fd, "inside", &st, 0));
	V_SYS(mkdirat(fd, "new", 0755));
}

SURVIVES(files, memory_devices_survive)
{
	static const char *const names[] = {
		"/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom",
	};
	struct stat st[ARRAY_SIZE(names)], seen;
	int fd[ARRAY_SIZE(names)];
	char buf[16];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		fd[i] = V_SYS(open(names[i], O_RDWR));
		V_SYS(fstat(fd[i], &st[i]));
	}
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(names); i++) {
		V_SYS(fstat(fd[i], &seen));
		V_EQUAL(st[i].st_rdev, seen.st_rdev);
	}
	V_EQUAL(0, read(fd[0], buf, 16));
	V_EQUAL(16, write(fd[0], buf, 16));
	memset(buf, 1, 16);
	V_EQUAL(16, read(fd[1], buf, 16));
	V_EQUAL(0, buf[15]);
	V_EQUAL(-1, write(fd[2], buf, 16));
	V_EQUAL(ENOSPC, errno);
	V_EQUAL(16, read(fd[4], buf, 16));
}

/* ---- /proc ---- */

static bool says(int fd, const char *field, long value)
{
	char text[8192] = "", want[64];

	V_CHECK(pread(fd, text, sizeof(text) - 1, 0) > 0);
	snprintf(want, sizeof(want), "\n%s:\t%ld\n", field, value);
	return strstr(text, want);
}

SURVIVES(files, what_proc_says_of_the_process_can_be_read_on)
{
	int status = V_SYS(open("/proc/self/status", O_RDONLY));
	int maps = V_SYS(open("/proc/self/maps", O_RDONLY));
	int task = V_SYS(open("/proc/thread-self/comm", O_RDWR));
	char buf[512] = "", comm[16] = "";

	V_EQUAL(100, read(status, buf, 100));
	V_EQUAL(50, lseek(maps, 50, SEEK_SET));
	victim_ready();
	V_EQUAL(100, lseek(status, 0, SEEK_CUR));
	V_EQUAL(50, lseek(maps, 0, SEEK_CUR));
	V_CHECK(says(status, "Pid", getpid()));
	V_SYS(prctl(PR_SET_NAME, "another"));
	V_EQUAL(8, pread(task, comm, sizeof(comm), 0));
	V_EQUAL(0, memcmp(comm, "another\n", 8));
	V_EQUAL(3, write(task, "new", 3));
	V_SYS(prctl(PR_GET_NAME, comm));
	V_EQUAL(0, strcmp(comm, "new"));
}

SURVIVES(files, memory_can_be_read_on_by_way_of_proc)
{
	int mem = V_SYS(open("/proc/self/mem", O_RDWR));
	int pagemap = V_SYS(open("/proc/self/pagemap", O_RDONLY));
	volatile int here = 4711;
	uint64_t entry;
	int seen = 0;

	V_EQUAL((off_t)&here, lseek(mem, (off_t)&here, SEEK_SET));
	victim_ready();
	V_EQUAL(sizeof(seen), read(mem, &seen, sizeof(seen)));
	V_EQUAL(4711, seen);
	seen = 12;
	V_EQUAL(sizeof(seen), pwrite(mem, &seen, sizeof(seen), (off_t)&here));
	V_EQUAL(12, here);
	V_EQUAL(8, pread(pagemap, &entry, 8, (off_t)&here / 4096 * 8));
	V_CHECK(entry >> 63);
}

SURVIVES(files, the_directory_of_descriptors_shows_those_of_the_process)
{
	int fd = V_SYS(open("/proc/self/fd", O_RDONLY | O_DIRECTORY));
	char link[PATH_MAX] = "";

	close(open_file("data", O_RDWR | O_CREAT));
	V_EQUAL(77, dup2(open_file("data", O_RDWR), 77));
	victim_ready();
	V_CHECK(readlinkat(fd, "77", link, sizeof(link) - 1) > 0);
	V_EQUAL(0, strcmp(link, file_name("data")));
}

SURVIVES(files, what_proc_says_of_the_machine_can_be_read_on)
{
	int meminfo = V_SYS(open("/proc/meminfo", O_RDONLY));
	int stat = V_SYS(open("/proc/stat", O_RDONLY));
	int setting = V_SYS(open("/proc/sys/kernel/cap_last_cap", O_RDONLY));
	char buf[64] = "";

	V_EQUAL(10, read(meminfo, buf, 10));
	victim_ready();
	V_EQUAL(10, lseek(meminfo, 0, SEEK_CUR));
	V_EQUAL(9, pread(meminfo, buf, 9, 0));
	V_EQUAL(0, memcmp(buf, "MemTotal:", 9));
	V_EQUAL(4, read(stat, buf, 4));
	V_EQUAL(0, memcmp(buf, "cpu ", 4));
	V_EQUAL(3, read(setting, buf, sizeof(buf)));
	V_EQUAL(CAP_LAST_CAP, atoi(buf));
}

/* ---- working directory and the like ---- */

SURVIVES(files, the_working_directory_stays)
{
	char cwd[PATH_MAX], seen[PATH_MAX];

	V_SYS(mkdir(file_name("sub"), 0755));
	V_SYS(chdir(file_name("sub")));
	V_CHECK(getcwd(cwd, sizeof(cwd)));
	victim_ready();
	V_CHECK(getcwd(seen, sizeof(seen)));
	V_EQUAL(0, strcmp(cwd, seen));
	V_SYS(mkdir("relative", 0755));
	V_SYS(rmdir(file_name("sub/relative")));
}

VICTIM(chrooted)
{
	struct stat before, after;
	int fd = open_file("data", O_RDWR | O_CREAT);

	V_SYS(stat("/", &before));
	put(fd, "one");
	victim_ready();
	V_SYS(stat("/", &after));
	V_EQUAL(before.st_ino, after.st_ino);
	put(fd, "two");
	V_CHECK(file_is("data", "onetwo"));
}

/* A root directory of its own, with all of this system in it. */
static int make_root(const char *root)
{
	static const char *const parts[] = {
		"/usr", "/bin", "/lib", "/lib64", "/mnt", "/tmp", "/var", "/proc", "/dev", "/root",
	};
	char path[256], link[64];
	struct stat st;
	size_t i;

	if (mkdir(root, 0755) || mount("root", root, "tmpfs", 0, NULL))
		return -1;
	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		snprintf(path, sizeof(path), "%s%s", root, parts[i]);
		if (lstat(parts[i], &st))
			continue;
		if (S_ISLNK(st.st_mode)) {
			memset(link, 0, sizeof(link));
			if (readlink(parts[i], link, sizeof(link) - 1) < 0 || symlink(link, path))
				return -1;
		} else if (mkdir(path, 0755) || mount(parts[i], path, NULL, MS_BIND, NULL)) {
			return -1;
		}
	}
	/* file systems of their own, in the guest */
	snprintf(path, sizeof(path), "%s/usr/local", root);
	mount("/usr/local", path, NULL, MS_BIND, NULL);
	snprintf(path, sizeof(path), "%s/mnt/share", root);
	mount("/mnt/share", path, NULL, MS_BIND, NULL);
	return 0;
}

/* Not a part of the image: the caller has to have the same root. */
TEST_F(files, another_root_directory_works_for_a_caller_with_the_same)
{
	char root[128], exe[PATH_MAX] = "";
	int old, err, end = 0, other = 0;

	if (!variant->parent)
		SKIP(return, "the other root does not have this file system");
	snprintf(root, sizeof(root), "%s/root", self->v.dir);
	ASSERT_LT(0, readlink("/proc/self/exe", exe, sizeof(exe) - 1));
	old = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ASSERT_LE(0, old);
	ASSERT_EQ(0, make_root(root));
	ASSERT_EQ(0, chroot(root));
	ASSERT_EQ(0, chdir("/"));
	self->v.exe = exe;

	err = victim_start(&self->v, "chrooted") || victim_cycle(&self->v, variant->restart);
	if (!err)
		end = victim_finish(&self->v);

	EXPECT_EQ(0, fchdir(old));
	EXPECT_EQ(0, chroot("."));
	if (!err && variant->restart && !dry_run())
		other = victim_try_restart(&self->v, 0) + ESTALE;
	EXPECT_EQ(0, umount2(root, MNT_DETACH));
	EXPECT_EQ(0, err);
	EXPECT_EQ(0, end);
	EXPECT_EQ(0, other);
}

SURVIVES(files, the_umask_stays)
{
	umask(0135);
	victim_ready();
	V_EQUAL(0135, umask(0));
}

SURVIVES(files, the_link_to_the_executable_stays)
{
	char before[PATH_MAX] = "", after[PATH_MAX] = "";

	V_CHECK(readlink("/proc/self/exe", before, sizeof(before) - 1) > 0);
	victim_ready();
	V_CHECK(readlink("/proc/self/exe", after, sizeof(after) - 1) > 0);
	V_EQUAL(0, strcmp(before, after));
}

/* ---- files that changed in the meantime ---- */

VICTIM(log_writer)
{
	int log = open_file("log", O_RDWR | O_CREAT | O_APPEND);

	put(log, "before\n");
	victim_ready();
	put(log, "after\n");
	victim_ready();
}

/* What was written after the checkpoint is written again, not twice. */
TEST_F(files, a_log_is_rolled_back_to_the_checkpoint)
{
	char path[PATH_MAX], text[256];

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "log_writer"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_next(&self->v));
	if (variant->restart) {
		ASSERT_EQ(0, victim_kill(&self->v));
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 1;
		ASSERT_EQ(0, victim_next(&self->v));
	}
	snprintf(path, sizeof(path), "%s/log", self->v.dir);
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_STREQ("before\nafter\n", text);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* Somebody else who writes to it may have written what is new. */
TEST_F(files, a_log_that_others_write_to_is_left_alone)
{
	char path[PATH_MAX], text[256];
	int fd;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "log_writer"));
	snprintf(path, sizeof(path), "%s/log", self->v.dir);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(6, write(fd, "other\n", 6));
	if (variant->restart) {
		ASSERT_EQ(0, victim_kill(&self->v));
		ASSERT_EQ(0, victim_restart(&self->v));
		EXPECT_NE(NULL, strstr(self->v.log, path));
	}
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_STREQ("before\nother\nafter\n", text);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* The rest is about restarts that fail. */
FIXTURE(changed)
{
	struct victim v;
	char path[PATH_MAX];
};
CKPT_VICTIM_IN(changed, "/tmp", REQUIRE_REAL_CHECKPOINT)

VICTIM(file_user)
{
	int fd = open_file("data", O_RDWR | O_CREAT);
	char buf[8];

	put(fd, "contents");
	victim_ready();
	V_CHECK(pread(fd, buf, 8, 0) == 8);
	V_EQUAL(0, memcmp(buf, "contents", 8));
}

VICTIM(mapping_user)
{
	char *area;
	int fd = open_file("data", O_RDWR | O_CREAT);

	put(fd, "contents");
	close(fd);
	fd = open_file("data", O_RDONLY);
	area = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	victim_ready();
	V_EQUAL(0, memcmp(area, "contents", 8));
}

VICTIM(log_and_data)
{
	int log = open_file("log", O_WRONLY | O_CREAT | O_APPEND);
	int fd = open_file("data", O_RDWR | O_CREAT);

	put(log, "before");
	put(fd, "contents");
	victim_ready();
}

static int start_and_kill(struct victim *v, const char *name, char *path, size_t size)
{
	snprintf(path, size, "%s/data", v->dir);
	return victim_start_and_save(v, name);
}

/* Failed, said which file, and nothing came into being. */
#define ASSERT_REFUSED(err, what)						\
	do {								\
		ASSERT_EQ(-(err), victim_try_restart(&self->v, 0))	\
			show_log(self->v.log);				\
		EXPECT_NE(NULL, strstr(self->v.log, what))		\
			show_log(self->v.log);				\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	} while (0)

TEST_F(changed, a_missing_file_is_named)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_REFUSED(ENOENT, self->path);
}

TEST_F(changed, a_missing_mapped_file_is_named)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "mapping_user", self->path, PATH_MAX));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_REFUSED(ENOENT, self->path);
}

TEST_F(changed, a_replaced_file_is_stale)
{
	char other[PATH_MAX + 8];

	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	snprintf(other, sizeof(other), "%s.new", self->path);
	ASSERT_EQ(0, write_text(other, "contents"));
	ASSERT_EQ(0, rename(other, self->path));
	ASSERT_REFUSED(ESTALE, self->path);
}

TEST_F(changed, a_replaced_mapped_file_is_stale)
{
	char other[PATH_MAX + 8];

	ASSERT_EQ(0, start_and_kill(&self->v, "mapping_user", self->path, PATH_MAX));
	snprintf(other, sizeof(other), "%s.new", self->path);
	ASSERT_EQ(0, write_text(other, "contents"));
	ASSERT_EQ(0, rename(other, self->path));
	ASSERT_REFUSED(ESTALE, self->path);
}

TEST_F(changed, a_written_file_that_became_shorter_is_stale)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	ASSERT_EQ(0, truncate(self->path, 3));
	ASSERT_REFUSED(ESTALE, self->path);
}

/* A failed restart changes nothing, not even what it would have cut back. */
TEST_F(changed, a_failed_restart_does_not_cut_a_log_back)
{
	char log[128], text[64];

	ASSERT_EQ(0, victim_start_and_save(&self->v, "log_and_data"));
	snprintf(log, sizeof(log), "%s/log", self->v.dir);
	snprintf(self->path, sizeof(self->path), "%s/data", self->v.dir);
	ASSERT_EQ(0, write_text(log, "before and after"));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_REFUSED(ENOENT, self->path);
	ASSERT_LT(0, read_text(log, text, sizeof(text)));
	EXPECT_STREQ("before and after", text);
}

TEST_F(changed, a_mapped_file_with_other_contents_is_stale)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "mapping_user", self->path, PATH_MAX));
	sleep_ms(20);	/* coarse time stamps */
	ASSERT_EQ(0, write_text(self->path, "CONTENTS"));
	ASSERT_REFUSED(ESTALE, self->path);
}

TEST_F(changed, a_directory_in_place_of_a_file_is_stale)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, mkdir(self->path, 0755));
	long err = victim_try_restart(&self->v, 0);

	EXPECT_TRUE(err == -ESTALE || err == -EISDIR);
	EXPECT_NE(NULL, strstr(self->v.log, self->path));
}

/* Opening it would hang, or have effects, before the identity is looked at. */
TEST_F(changed, a_fifo_in_place_of_a_file_does_not_hang)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, mkfifo(self->path, 0644));
	ASSERT_REFUSED(ESTALE, self->path);
}

TEST_F(changed, a_symbolic_link_in_place_of_a_file_is_refused)
{
	char other[PATH_MAX + 8];

	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));
	snprintf(other, sizeof(other), "%s.new", self->path);
	ASSERT_EQ(0, write_text(other, "contents"));
	ASSERT_EQ(0, unlink(self->path));
	ASSERT_EQ(0, symlink(other, self->path));
	long err = victim_try_restart(&self->v, 0);

	EXPECT_TRUE(err == -ESTALE || err == -ELOOP);
	EXPECT_NE(NULL, strstr(self->v.log, self->path));
}

VICTIM(cwd_user)
{
	V_SYS(mkdir(file_name("data"), 0755));
	V_SYS(chdir(file_name("data")));
	victim_ready();
}

TEST_F(changed, a_missing_working_directory_is_named)
{
	ASSERT_EQ(0, start_and_kill(&self->v, "cwd_user", self->path, PATH_MAX));
	ASSERT_EQ(0, rmdir(self->path));
	ASSERT_REFUSED(ENOENT, self->path);
}

static int copy_file(const char *from, const char *to)
{
	int in = open(from, O_RDONLY | O_CLOEXEC);
	int out = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0755);
	ssize_t done = -1;
	struct stat st;

	if (in >= 0 && out >= 0 && !fstat(in, &st))
		done = sendfile(out, in, NULL, st.st_size);
	close(in);
	close(out);
	return done > 0 && done == st.st_size ? 0 : -1;
}

TEST_F(changed, a_replaced_executable_is_stale)
{
	char path[128], other[128];

	snprintf(path, sizeof(path), "%s/program", self->v.dir);
	snprintf(other, sizeof(other), "%s/program.new", self->v.dir);
	ASSERT_EQ(0, copy_file("/proc/self/exe", path));
	ASSERT_EQ(0, copy_file("/proc/self/exe", other));
	self->v.exe = path;
	ASSERT_EQ(0, start_and_kill(&self->v, "file_user", self->path, PATH_MAX));

	/* with the right one it works */
	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, rename(other, path));
	ASSERT_REFUSED(ESTALE, path);
	ASSERT_EQ(0, unlink(path));
	ASSERT_REFUSED(ENOENT, path);
}

/* ---- descriptors that the caller of restart() provides ---- */

FIXTURE(handed)
{
	struct victim v;
	int old[2];		/* a pipe for before */
	int new[2];		/* and one for after */
};

FIXTURE_SETUP(handed)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	ASSERT_EQ(0, pipe2(self->old, O_CLOEXEC));
	ASSERT_EQ(0, pipe2(self->new, O_CLOEXEC));
}

FIXTURE_TEARDOWN(handed)
{
	victim_cleanup(&self->v);
}

VICTIM(talker)
{
	put(1, "before");
	victim_ready();
	put(1, "after");
}

static long restart_with(struct victim *v, struct restart_fd *fds, int nr)
{
	struct restart_args args = restart_args(v, 0);
	long ret;

	args.fds = (uintptr_t)fds;
	args.fds_nr = nr;
	lseek(v->image, 0, SEEK_SET);
	ret = sys_restart(&args, sizeof(args));
	if (ret == v->pid)
		v->alive = true;
	return ret;
}

static bool pipe_has(int fd, const char *text)
{
	char buf[64] = "";
	ssize_t got;

	fcntl(fd, F_SETFL, O_NONBLOCK);
	got = read(fd, buf, sizeof(buf) - 1);
	if (got < 0)
		test_log("read: %s", strerror(errno));
	return got >= 0 && !strcmp(buf, text);
}

TEST_F(handed, a_pipe_on_stdout_goes_on_after_a_checkpoint)
{
	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start(&self->v, "talker"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(pipe_has(self->old[0], "beforeafter"));
}

TEST_F(handed, a_pipe_on_stdout_is_taken_from_the_caller)
{
	int saved = dup(1);

	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	ASSERT_EQ(1, dup2(self->new[1], 1));
	long err = victim_restart(&self->v);

	ASSERT_EQ(1, dup2(saved, 1));
	ASSERT_EQ(0, err);
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(pipe_has(self->old[0], "before"));
	EXPECT_TRUE(pipe_has(self->new[0], "after"));
}

TEST_F(handed, a_pipe_on_stdout_is_replaced_by_a_named_descriptor)
{
	struct restart_fd fds[] = { { .image_fd = 1, .caller_fd = self->new[1] } };

	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	ASSERT_EQ(self->v.pid, restart_with(&self->v, fds, 1))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(pipe_has(self->new[0], "after"));
}

TEST_F(handed, dev_null_on_stdout_can_be_replaced)
{
	struct restart_fd fds[] = { { .image_fd = 1, .caller_fd = self->new[1] } };

	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	ASSERT_EQ(self->v.pid, restart_with(&self->v, fds, 1))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(pipe_has(self->new[0], "after"));
}

TEST_F(handed, a_terminal_is_replaced_by_a_terminal)
{
	struct restart_fd fds[3];
	int i, master[2], slave[2];
	char buf[32] = "";

	for (i = 0; i < 2; i++) {
		master[i] = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
		ASSERT_LE(0, master[i]);
		ASSERT_EQ(0, grantpt(master[i]));
		ASSERT_EQ(0, unlockpt(master[i]));
		slave[i] = open(ptsname(master[i]), O_RDWR | O_NOCTTY | O_CLOEXEC);
		ASSERT_LE(0, slave[i]);
	}
	for (i = 0; i < 3; i++) {
		self->v.stdio[i] = slave[0];
		fds[i] = (struct restart_fd) { .image_fd = i, .caller_fd = slave[1] };
	}
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	ASSERT_EQ(self->v.pid, restart_with(&self->v, fds, 3))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(5, read(master[1], buf, sizeof(buf)));
	EXPECT_STREQ("after", buf);
}

TEST_F(handed, a_regular_file_on_stdout_is_not_taken_from_the_caller)
{
	char path[128], text[64];

	snprintf(path, sizeof(path), "%s/out", self->v.dir);
	self->v.stdio[1] = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0644);
	ASSERT_LE(0, self->v.stdio[1]);
	ASSERT_EQ(0, victim_start(&self->v, "talker"));
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_LT(0, read_text(path, text, sizeof(text)));
	EXPECT_STREQ("beforeafter", text);
}

TEST_F(handed, a_descriptor_in_the_wrong_mode_is_ebadf)
{
	struct restart_fd fds[] = { { .image_fd = 1, .caller_fd = self->new[0] } };

	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	EXPECT_EQ(-EBADF, restart_with(&self->v, fds, 1));
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

TEST_F(handed, a_descriptor_that_is_not_open_is_ebadf)
{
	struct restart_fd fds[] = { { .image_fd = 1, .caller_fd = 999 } };

	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	EXPECT_EQ(-EBADF, restart_with(&self->v, fds, 1));
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

/* A socket at 5 and 6, the same description, and a file in between. */
VICTIM(socket_user)
{
	char buf[8];
	int fd;

	fd = V_SYS(dup2(1, 5));
	V_SYS(dup2(1, 6));
	fd = V_SYS(open("/dev/null", O_WRONLY));
	V_SYS(dup2(fd, 1));
	close(fd);
	victim_ready();
	put(5, "five");
	V_CHECK(read(6, buf, sizeof(buf)) == 3);
	V_EQUAL(0, memcmp(buf, "six", 3));
}

static long checkpoint_external(struct victim *v, struct checkpoint_fd *fds, int nr)
{
	struct checkpoint_args args = checkpoint_args(v, 0);

	args.external = (uintptr_t)fds;
	args.external_nr = nr;
	if (ftruncate(v->image, 0) || lseek(v->image, 0, SEEK_SET))
		return -errno;
	return sys_checkpoint(v->pid, &args, sizeof(args));
}

TEST_F(handed, an_external_descriptor_is_provided_at_restart)
{
	struct checkpoint_fd external[] = { { .fd = 5 }, { .fd = 6 } };
	int pair[2], other[2];
	char buf[8];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, other));
	self->v.stdio[1] = pair[1];
	ASSERT_EQ(0, victim_start(&self->v, "socket_user"));
	ASSERT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	ASSERT_EQ(0, checkpoint_external(&self->v, external, 2))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_kill(&self->v));

	struct restart_fd fds[] = {
		{ .image_fd = 5, .caller_fd = other[1] },
		{ .image_fd = 6, .caller_fd = other[1] },
	};
	ASSERT_EQ(self->v.pid, restart_with(&self->v, fds, 2))
		show_log(self->v.log);
	ASSERT_EQ(3, write(other[0], "six", 3));
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(4, read(other[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "five", 4));
}

TEST_F(handed, an_external_descriptor_that_is_not_provided_is_ebadf)
{
	struct checkpoint_fd external[] = { { .fd = 5 }, { .fd = 6 } };
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	self->v.stdio[1] = pair[1];
	ASSERT_EQ(0, victim_start(&self->v, "socket_user"));
	ASSERT_EQ(0, checkpoint_external(&self->v, external, 2))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_kill(&self->v));

	EXPECT_EQ(-EBADF, restart_with(&self->v, NULL, 0));
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

/* What shared a description before shares that of the lowest number again. */
TEST_F(handed, one_descriptor_does_for_all_that_shared_it)
{
	struct checkpoint_fd external[] = { { .fd = 5 }, { .fd = 6 } };
	int pair[2];
	char buf[8];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	self->v.stdio[1] = pair[1];
	ASSERT_EQ(0, victim_start(&self->v, "socket_user"));
	ASSERT_EQ(0, checkpoint_external(&self->v, external, 2))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_kill(&self->v));

	struct restart_fd fds[] = { { .image_fd = 5, .caller_fd = pair[1] } };

	ASSERT_EQ(self->v.pid, restart_with(&self->v, fds, 1))
		show_log(self->v.log);
	ASSERT_EQ(3, write(pair[0], "six", 3));
	ASSERT_EQ(0, victim_finish(&self->v));
	ASSERT_EQ(4, read(pair[0], buf, sizeof(buf)));
	EXPECT_EQ(0, memcmp(buf, "five", 4));
}

TEST_F(handed, an_external_descriptor_that_is_not_open_is_einval)
{
	struct checkpoint_fd external[] = { { .fd = 5 } };

	ASSERT_EQ(0, victim_start(&self->v, "talker"));
	EXPECT_EQ(-EINVAL, checkpoint_external(&self->v, external, 1));
	EXPECT_EQ(0, lseek(self->v.image, 0, SEEK_END));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(handed, a_descriptor_named_twice_is_einval)
{
	struct restart_fd fds[] = {
		{ .image_fd = 1, .caller_fd = self->new[1] },
		{ .image_fd = 1, .caller_fd = self->new[1] },
	};

	self->v.stdio[1] = self->old[1];
	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	EXPECT_EQ(-EINVAL, restart_with(&self->v, fds, 2));
}

TEST_F(handed, a_descriptor_the_image_does_not_ask_for_is_einval)
{
	struct restart_fd fds[] = { { .image_fd = 77, .caller_fd = self->new[1] } };

	ASSERT_EQ(0, victim_start_and_save(&self->v, "talker"));
	EXPECT_EQ(-EINVAL, restart_with(&self->v, fds, 1));
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

/* ---- files in /proc that are about what has been ---- */

VICTIM(goes_on_without_its_memory)
{
	victim_ready();
}

VICTIM(forgets_its_memory)
{
	V_SYS(open(victim_arg, O_RDONLY));
	execl("/proc/self/exe", "victim", "--victim", "goes_on_without_its_memory", victim_dir,
	      "", NULL);
	V_CHECK(false);
}

/* Opened again they would be about other memory, perhaps of a program with more rights. */
TEST_F(handed, memory_given_up_by_execve_is_refused)
{
	static const char *const names[] = {
		"/proc/self/mem", "/proc/self/maps", "/proc/self/smaps", "/proc/self/pagemap",
		"/proc/self/environ", "/proc/self/auxv", "/proc/thread-self/mem",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(names); i++) {
		ASSERT_EQ(0, victim_start_with(&self->v, "forgets_its_memory", names[i]));
		EXPECT_TRUE(refuses(&self->v, "fd 3", "execve"));
		ASSERT_EQ(0, victim_finish(&self->v));
	}
}

static void *goes_on(void *arg)
{
	for (;;)
		pause();
	return arg;
}

/* A child whose first thread has ended has the socket. */
VICTIM(child_of_other_threads)
{
	pthread_t thread;
	pid_t child;
	int fd;

	fd = V_SYS(dup2(1, 5));
	fd = V_SYS(open("/dev/null", O_WRONLY));
	V_SYS(dup2(fd, 1));
	close(fd);
	child = V_SYS(fork());
	if (!child) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		pthread_create(&thread, NULL, goes_on, NULL);
		pthread_exit(NULL);
	}
	close(5);
	while (proc_state(child, child) != 'Z')
		sleep_ms(1);
	vpage->word[1] = child;
	victim_ready();
	V_SYS(kill(child, SIGKILL));
	V_EQUAL(child, waitpid(child, NULL, 0));
}

TEST_F(handed, an_external_descriptor_of_a_process_whose_leader_has_ended)
{
	struct checkpoint_fd external = { .fd = 5 };
	int pair[2];

	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	self->v.stdio[1] = pair[1];
	ASSERT_EQ(0, victim_start(&self->v, "child_of_other_threads"));
	external.pid = victim_word(&self->v, 1);
	EXPECT_EQ(0, checkpoint_external(&self->v, &external, 1))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
	close(pair[0]);
	close(pair[1]);
}

CKPT_TEST_MAIN
