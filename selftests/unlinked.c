// SPDX-License-Identifier: GPL-2.0
/*
 * Files and directories without a name: deleted while they are open, mapped,
 * executed or worked in, and files of O_TMPFILE.
 */
#include <limits.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mount.h>
#include <sys/xattr.h>

#include "ckpt_memory.h"
#include "ckpt_chain.h"
#include "ckpt_hostile.h"
#include "ckpt_places.h"

CKPT_FIXTURE_EVERYWHERE(unlinked)

/* ---- helpers of the victims ---- */

static int open_file(const char *name, int flags)
{
	return V_SYS(open(file_name(name), flags | O_CREAT, 0644));
}

static int open_unlinked(const char *name, int flags)
{
	int fd = open_file(name, flags);

	V_SYS(unlink(file_name(name)));
	return fd;
}

static void put(int fd, const char *text)
{
	V_EQUAL(strlen(text), write(fd, text, strlen(text)));
}

static bool holds(int fd, const char *text)
{
	char buf[256] = "";

	return pread(fd, buf, sizeof(buf) - 1, 0) == (ssize_t)strlen(text) &&
	       !strcmp(buf, text);
}

static int count_entries(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int nr = 0;

	V_CHECK(dir);
	while ((entry = readdir(dir)))
		nr += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(dir);
	return nr;
}

static struct stat stat_of(int fd)
{
	struct stat st;

	V_SYS(fstat(fd, &st));
	return st;
}

/* A byte that tells where it stands. */
static unsigned char byte_at(uint64_t pos, int seed)
{
	return (pos * 0x9e3779b97f4a7c15ULL >> 56) + seed + 1;
}

static void fill_file(int fd, off_t from, size_t len, int seed)
{
	unsigned char *buf = malloc(len);
	size_t i;

	for (i = 0; i < len; i++)
		buf[i] = byte_at(from + i, seed);
	V_EQUAL(len, pwrite(fd, buf, len, from));
	free(buf);
}

static void expect_filled(int fd, off_t from, size_t len, int seed)
{
	unsigned char *buf = malloc(len);
	size_t i;

	V_EQUAL(len, pread(fd, buf, len, from));
	for (i = 0; i < len; i++)
		if (buf[i] != byte_at(from + i, seed))
			victim_fail(__LINE__, "byte %lld: %#x", (long long)(from + i), buf[i]);
	free(buf);
}

static void expect_zero(int fd, off_t from, size_t len)
{
	unsigned char *buf = malloc(len);
	size_t i;

	V_EQUAL(len, pread(fd, buf, len, from));
	for (i = 0; i < len; i++)
		if (buf[i])
			victim_fail(__LINE__, "byte %lld: %#x", (long long)(from + i), buf[i]);
	free(buf);
}

/* ---- files ---- */

SURVIVES(unlinked, a_deleted_file_keeps_contents_and_position)
{
	int fd = open_unlinked("file", O_RDWR);

	put(fd, "0123456789");
	V_EQUAL(4, lseek(fd, 4, SEEK_SET));
	victim_ready();
	V_EQUAL(4, lseek(fd, 0, SEEK_CUR));
	V_CHECK(holds(fd, "0123456789"));
	put(fd, "X");
	V_CHECK(holds(fd, "0123X56789"));
	V_EQUAL(0, stat_of(fd).st_nlink);
	/* Nothing is left where it was made again. */
	V_EQUAL(0, count_entries(victim_dir));
}

SURVIVES(unlinked, an_empty_one_stays_empty)
{
	int fd = open_unlinked("file", O_RDWR);

	victim_ready();
	V_EQUAL(0, stat_of(fd).st_size);
	put(fd, "now not");
	V_CHECK(holds(fd, "now not"));
}

SURVIVES(unlinked, all_descriptions_are_of_one_file)
{
	int a = open_file("file", O_RDWR), b = open_file("file", O_RDONLY);
	int c = open_file("file", O_WRONLY | O_APPEND), twin = V_SYS(dup(a));
	int other = open_unlinked("other", O_RDWR);

	V_SYS(unlink(file_name("file")));
	put(a, "one");
	put(other, "another");
	V_EQUAL(1, lseek(b, 1, SEEK_SET));
	victim_ready();
	V_EQUAL(3, lseek(twin, 0, SEEK_CUR));
	V_EQUAL(1, lseek(b, 0, SEEK_CUR));
	put(c, " two");
	V_EQUAL(1, lseek(twin, 1, SEEK_SET));
	put(a, "N");
	V_CHECK(holds(b, "oNe two"));
	V_EQUAL(-1, write(b, "x", 1));
	V_EQUAL(O_WRONLY | O_APPEND, fcntl(c, F_GETFL) & (O_ACCMODE | O_APPEND));
	V_CHECK(holds(other, "another"));
	V_EQUAL(stat_of(a).st_ino, stat_of(b).st_ino);
	V_CHECK(stat_of(a).st_ino != stat_of(other).st_ino);
}

SURVIVES(unlinked, a_file_that_is_only_written_keeps_its_contents)
{
	int fd = open_unlinked("file", O_WRONLY), again;
	char path[64];

	put(fd, "contents");
	victim_ready();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	again = V_SYS(open(path, O_RDONLY));
	V_CHECK(holds(again, "contents"));
}

SURVIVES(unlinked, attributes_stay)
{
	static const struct timespec times[2] = {
		{ 1234567890, 123456789 }, { -1000, 5 },
	};
	int fd = open_unlinked("file", O_RDWR);
	struct stat before, after;

	put(fd, "contents");
	V_SYS(fchown(fd, 1000, 2000));
	V_SYS(fchmod(fd, 06750));
	V_SYS(futimens(fd, times));
	before = stat_of(fd);
	victim_ready();
	after = stat_of(fd);
	V_EQUAL(06750 | S_IFREG, after.st_mode);
	V_EQUAL(1000, after.st_uid);
	V_EQUAL(2000, after.st_gid);
	V_EQUAL(8, after.st_size);
	V_EQUAL(before.st_atim.tv_sec, after.st_atim.tv_sec);
	V_EQUAL(before.st_atim.tv_nsec, after.st_atim.tv_nsec);
	V_EQUAL(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	V_EQUAL(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

SURVIVES(unlinked, extended_attributes_stay)
{
	int fd = open_unlinked("file", O_RDWR);
	char value[16] = "", list[256];

	if (fsetxattr(fd, "user.one", "first", 5, 0)) {
		V_EQUAL(EOPNOTSUPP, errno);
		victim_cannot();
	}
	V_SYS(fsetxattr(fd, "user.empty", "", 0, 0));
	V_SYS(fsetxattr(fd, "user.gone", "x", 1, 0));
	V_SYS(fremovexattr(fd, "user.gone"));
	victim_ready();
	V_EQUAL(5, fgetxattr(fd, "user.one", value, sizeof(value)));
	V_EQUAL(0, strcmp(value, "first"));
	V_EQUAL(0, fgetxattr(fd, "user.empty", value, sizeof(value)));
	V_EQUAL(9 + 11, flistxattr(fd, list, sizeof(list)));
}

SURVIVES(unlinked, holes_stay_holes)
{
	int fd = open_unlinked("file", O_RDWR);
	const off_t far = 5LL << 30;

	fill_file(fd, 0, 5000, 1);
	fill_file(fd, 1 << 20, 100, 2);
	fill_file(fd, far, 12345, 3);
	V_SYS(ftruncate(fd, far + (1 << 20) + 7));
	victim_ready();
	V_EQUAL(far + (1 << 20) + 7, stat_of(fd).st_size);
	V_CHECK(stat_of(fd).st_blocks < 1000);
	expect_filled(fd, 0, 5000, 1);
	expect_zero(fd, 5000, 10000);
	expect_filled(fd, 1 << 20, 100, 2);
	expect_zero(fd, (1 << 20) + 100, 4096);
	expect_filled(fd, far, 12345, 3);
	expect_zero(fd, far + 12345, 100000);
}

SURVIVES(unlinked, a_large_file_is_complete)
{
	int fd = open_unlinked("file", O_RDWR);
	int i;

	for (i = 0; i < 24; i++)
		fill_file(fd, i << 20, (1 << 20) - i % 2, i);
	fill_file(fd, 24 << 20, 777, 99);
	victim_ready();
	V_EQUAL((24 << 20) + 777, stat_of(fd).st_size);
	for (i = 0; i < 24; i++)
		expect_filled(fd, i << 20, (1 << 20) - i % 2, i);
	expect_filled(fd, 24 << 20, 777, 99);
}

/* ---- files that never had a name ---- */

SURVIVES(unlinked, a_tmpfile_can_be_given_a_name_later)
{
	int fd = open(victim_dir, O_RDWR | O_TMPFILE, 0600);
	char path[64], text[16];

	if (fd < 0) {
		V_EQUAL(EOPNOTSUPP, errno);
		victim_cannot();
	}
	put(fd, "contents");
	victim_ready();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	V_SYS(linkat(AT_FDCWD, path, AT_FDCWD, file_name("name"), AT_SYMLINK_FOLLOW));
	V_EQUAL(8, read_text(file_name("name"), text, sizeof(text)));
	V_EQUAL(0, strcmp(text, "contents"));
	V_EQUAL(1, stat_of(fd).st_nlink);
}

SURVIVES(unlinked, a_deleted_file_cannot_be_given_a_name)
{
	int fd = open_unlinked("file", O_RDWR);
	int tmp = open(victim_dir, O_RDWR | O_TMPFILE | O_EXCL, 0600);
	char path[64];

	victim_ready();
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	V_EQUAL(-1, linkat(AT_FDCWD, path, AT_FDCWD, file_name("name"), AT_SYMLINK_FOLLOW));
	V_EQUAL(ENOENT, errno);
	if (tmp < 0)
		return;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", tmp);
	V_EQUAL(-1, linkat(AT_FDCWD, path, AT_FDCWD, file_name("name"), AT_SYMLINK_FOLLOW));
	V_EQUAL(ENOENT, errno);
}

/* ---- files with another name ---- */

SURVIVES(unlinked, another_name_that_is_known_is_used)
{
	int fd = open_file("one", O_RDWR);
	char one[PATH_MAX], text[32];

	put(fd, "contents");
	snprintf(one, sizeof(one), "%s", file_name("one"));
	V_SYS(link(one, file_name("two")));
	V_SYS(unlink(one));
	V_SYS(access(file_name("two"), F_OK));
	victim_ready();
	V_EQUAL(1, stat_of(fd).st_nlink);
	put(fd, " more");
	V_EQUAL(13, read_text(file_name("two"), text, sizeof(text)));
}

/* ---- directories that are gone, too ---- */

SURVIVES(unlinked, the_directory_may_be_gone_as_well)
{
	int fd;

	V_SYS(mkdir(file_name("sub"), 0755));
	V_SYS(mkdir(file_name("sub/sub"), 0755));
	fd = open_unlinked("sub/sub/file", O_RDWR);
	put(fd, "contents");
	V_SYS(rmdir(file_name("sub/sub")));
	V_SYS(rmdir(file_name("sub")));
	victim_ready();
	V_CHECK(holds(fd, "contents"));
	V_EQUAL(0, count_entries(victim_dir));
}

SURVIVES(unlinked, a_deleted_directory_stays_open)
{
	struct stat before, after;
	int fd, other;
	char buf[256];

	V_SYS(mkdir(file_name("dir"), 0755));
	fd = V_SYS(open(file_name("dir"), O_RDONLY | O_DIRECTORY));
	other = V_SYS(open(file_name("dir"), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	V_SYS(fchmod(fd, 01750));
	V_SYS(fchown(fd, 3, 4));
	V_SYS(rmdir(file_name("dir")));
	before = stat_of(fd);
	victim_ready();
	after = stat_of(fd);
	V_EQUAL(before.st_mode, after.st_mode);
	V_EQUAL(before.st_nlink, after.st_nlink);
	V_EQUAL(before.st_uid, after.st_uid);
	V_EQUAL(before.st_gid, after.st_gid);
	V_EQUAL(before.st_mtim.tv_sec, after.st_mtim.tv_sec);
	V_EQUAL(after.st_ino, stat_of(other).st_ino);
	V_EQUAL(-1, openat(fd, "x", O_RDWR | O_CREAT, 0600));
	V_EQUAL(ENOENT, errno);
	V_CHECK(syscall(__NR_getdents64, fd, buf, sizeof(buf)) <= 64);
	V_EQUAL(0, count_entries(victim_dir));
}

SURVIVES(unlinked, a_deleted_working_directory_stays)
{
	char path[PATH_MAX];
	struct stat here;
	int fd;

	V_SYS(mkdir(file_name("dir"), 0700));
	V_SYS(chdir(file_name("dir")));
	fd = V_SYS(open(".", O_RDONLY | O_DIRECTORY));
	V_SYS(rmdir(file_name("dir")));
	victim_ready();
	V_EQUAL(NULL, getcwd(path, sizeof(path)));
	V_EQUAL(ENOENT, errno);
	V_SYS(stat(".", &here));
	V_EQUAL(stat_of(fd).st_ino, here.st_ino);
	V_EQUAL(-1, mkdir("x", 0700));
	V_EQUAL(ENOENT, errno);
	V_SYS(chdir("/"));
}

/* ---- overlayfs ---- */

VICTIM(has_a_lower_file)
{
	int fd = V_SYS(open(victim_arg, O_RDONLY));
	char *map;

	map = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	V_CHECK(map != MAP_FAILED);
	V_EQUAL(3, lseek(fd, 3, SEEK_SET));
	victim_ready();
	V_EQUAL(3, lseek(fd, 0, SEEK_CUR));
	V_CHECK(holds(fd, "below"));
	V_EQUAL(0, strcmp(map, "below"));
	V_SYS(unlink(victim_arg));
	victim_ready();
	V_EQUAL(3, lseek(fd, 0, SEEK_CUR));
	V_CHECK(holds(fd, "below"));
	V_EQUAL(0, strcmp(map, "below"));
}

TEST_F(unlinked, a_file_of_a_lower_layer_is_found_and_restored)
{
	char path[PATH_MAX];

	if (!variant->fs || strcmp(variant->fs, "overlay"))
		SKIP(return, "about overlayfs");
	snprintf(path, sizeof(path), "%s/lower/file", self->place.dir);
	ASSERT_EQ(0, write_text(path, "below"));
	snprintf(path, sizeof(path), "%s/file", self->place.root);
	ASSERT_EQ(0, victim_start_with(&self->v, "has_a_lower_file", path));
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- mappings ---- */

#define PAGES	20

SURVIVES(unlinked, a_shared_mapping_and_the_file_are_one)
{
	int fd = open_file("file", O_RDWR), i;
	char *map, text[8];

	V_SYS(ftruncate(fd, PAGES * PAGE));
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(map != MAP_FAILED);
	V_SYS(unlink(file_name("file")));
	for (i = 0; i < PAGES; i += 2)
		snprintf(map + i * PAGE, PAGE, "page %d", i);
	victim_ready();
	for (i = 0; i < PAGES; i++) {
		char want[16] = "";

		if (i % 2 == 0)
			snprintf(want, sizeof(want), "page %d", i);
		V_EQUAL(0, strcmp(map + i * PAGE, want));
	}
	strcpy(map + PAGE, "new");
	V_EQUAL(4, pread(fd, text, 4, PAGE));
	V_EQUAL(0, strcmp(text, "new"));
	V_EQUAL(4, pwrite(fd, "old", 4, 3 * PAGE));
	V_EQUAL(0, strcmp(map + 3 * PAGE, "old"));
}

SURVIVES(unlinked, a_mapping_without_a_descriptor_stays)
{
	int fd = open_file("file", O_RDWR), i;
	unsigned char *shared, *private;

	fill_file(fd, 0, PAGES * PAGE, 7);
	shared = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	V_SYS(unlink(file_name("file")));
	close(fd);
	private[5 * PAGE] = 'p';
	shared[6 * PAGE] = 's';
	victim_ready();
	for (i = 0; i < PAGES * (int)PAGE; i++) {
		unsigned char want = byte_at(i, 7);

		V_EQUAL(i == 6 * (int)PAGE ? 's' : want, shared[i]);
		V_EQUAL(i == 5 * (int)PAGE ? 'p' : i == 6 * (int)PAGE ? 's' : want,
			private[i]);
	}
	shared[7 * PAGE] = 'x';
	V_EQUAL('x', private[7 * PAGE]);
}

SURVIVES(unlinked, a_locked_private_mapping_stays)
{
	int fd = open_file("file", O_RDWR);
	unsigned char *map, in_core[PAGES];
	int i;

	fill_file(fd, 0, PAGES * PAGE, 9);
	map = mmap(NULL, PAGES * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	V_CHECK(map != MAP_FAILED);
	V_SYS(mlock(map, PAGES * PAGE));
	V_SYS(mprotect(map, PAGES * PAGE, PROT_READ | PROT_WRITE));
	V_SYS(unlink(file_name("file")));
	close(fd);
	victim_ready();
	V_SYS(mincore(map, PAGES * PAGE, in_core));
	for (i = 0; i < PAGES; i++)
		V_CHECK(in_core[i] & 1);
	for (i = 0; i < PAGES * (int)PAGE; i++)
		V_EQUAL(byte_at(i, 9), map[i]);
}

SURVIVES(unlinked, a_replaced_library_stays_mapped)
{
	int fd = open_file("lib.so", O_RDWR), look;
	unsigned char *map;
	int i;

	fill_file(fd, 0, PAGES * PAGE, 3);
	V_SYS(fchmod(fd, 0755));
	close(fd);
	fd = V_SYS(open(file_name("lib.so"), O_RDONLY));
	map = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_EXEC, MAP_PRIVATE, fd, 0);
	V_CHECK(map != MAP_FAILED);
	close(fd);
	fd = open_file("lib.so.new", O_RDWR);
	put(fd, "a new version");
	close(fd);
	char new[PATH_MAX];

	snprintf(new, sizeof(new), "%s", file_name("lib.so.new"));
	V_SYS(rename(new, file_name("lib.so")));
	victim_ready();
	for (i = 0; i < PAGES * (int)PAGE; i++)
		V_EQUAL(byte_at(i, 3), map[i]);
	look = V_SYS(open(file_name("lib.so"), O_RDONLY));
	V_CHECK(holds(look, "a new version"));
}

/* ---- the program itself ---- */

VICTIM(deleted_program)
{
	char exe[PATH_MAX];
	struct stat st;
	ssize_t len;
	int fd;

	V_SYS(unlink(victim_arg));
	victim_ready();
	len = readlink("/proc/self/exe", exe, sizeof(exe));
	V_CHECK(len > 10);
	V_EQUAL(0, memcmp(exe + len - 10, " (deleted)", 10));
	V_SYS(stat("/proc/self/exe", &st));
	V_EQUAL(0, st.st_nlink);
	V_EQUAL(vpage->word[5], st.st_size);
	V_EQUAL(0755 | S_IFREG, st.st_mode);
	/* It is being executed. */
	fd = open("/proc/self/exe", O_RDWR);
	V_EQUAL(-1, fd);
	V_EQUAL(ETXTBSY, errno);
	victim_ready();
}

static int copy_file(const char *from, const char *to)
{
	char buf[65536];
	int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT | O_EXCL, 0755);
	ssize_t n;

	while ((n = read(in, buf, sizeof(buf))) > 0)
		if (write(out, buf, n) != n)
			return -1;
	close(in);
	return n < 0 ? -1 : close(out);
}

TEST_F(unlinked, a_deleted_program_goes_on)
{
	char path[PATH_MAX];
	struct stat st;

	snprintf(path, sizeof(path), "%s/program", self->v.dir);
	ASSERT_EQ(0, copy_file("/proc/self/exe", path));
	ASSERT_EQ(0, stat(path, &st));
	self->v.exe = path;
	ASSERT_EQ(0, victim_start_with(&self->v, "deleted_program", path));
	ASSERT_EQ(0, victim_set_word(&self->v, 5, st.st_size));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_next(&self->v));
	/* and once more, with what was made then */
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- what cannot be seen ---- */

/* The checkpoint reads the file without a trace. */
SURVIVES(unlinked, reading_it_leaves_no_trace)
{
	static const struct timespec old[2] = { { 1000, 1 }, { 2000, 2 } };
	int fd = open_unlinked("file", O_RDWR);

	put(fd, "contents");
	V_SYS(futimens(fd, old));
	victim_ready();
	V_EQUAL(1000, stat_of(fd).st_atim.tv_sec);
	V_EQUAL(2000, stat_of(fd).st_mtim.tv_sec);
}

SURVIVES(unlinked, locks_on_it_stay)
{
	int fd = open_file("file", O_RDWR), other = open_file("file", O_RDWR);

	V_SYS(unlink(file_name("file")));
	V_SYS(flock(fd, LOCK_EX));
	victim_ready();
	V_EQUAL(-1, flock(other, LOCK_EX | LOCK_NB));
	V_EQUAL(EWOULDBLOCK, errno);
}

/* ---- what is refused, and what fails ---- */

VICTIM(shares_a_deleted_file)
{
	int fd = open_unlinked("file", O_RDWR);

	vpage->word[1] = fd;
	put(fd, "contents");
	victim_ready();
	V_CHECK(holds(fd, "contents"));
}

TEST_F(unlinked, a_file_that_others_write_to_is_refused)
{
	char path[64];
	int fd;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "shares_a_deleted_file"));
	snprintf(path, sizeof(path), "/proc/%d/fd/%ld", self->v.pid, victim_word(&self->v, 1));
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "outside")) show_log(self->v.log);
	close(fd);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

VICTIM(has_a_nameless_file)
{
	open_unlinked("file", O_RDWR);
	victim_ready();
}

TEST_F(unlinked, a_missing_directory_is_named)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_nameless_file"));
	ASSERT_EQ(0, rmdir(self->v.dir));
	EXPECT_EQ(-ENOENT, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, self->v.dir)) show_log(self->v.log);
	/* Another one will do. */
	ASSERT_EQ(0, mkdir(self->v.dir, 0755));
	EXPECT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- chains ---- */

VICTIM(writes_on)
{
	int fd = open_unlinked("file", O_RDWR), i;

	for (i = 0; i < 3; i++) {
		fill_file(fd, i * 100000, 100000, i);
		victim_ready();
	}
	for (i = 0; i < 3; i++)
		expect_filled(fd, i * 100000, 100000, i);
	V_EQUAL(300000, stat_of(fd).st_size);
}

/* All of it is in every image, also in those that leave memory to their parents. */
TEST_F(unlinked, increments_have_all_of_it)
{
	struct chain c = { .tracker = CHECKPOINT_TRACKER_SHADOW };
	uint64_t pages = 0;
	struct image img;
	int i, nth;

	REQUIRE_REAL_CHECKPOINT();
	if (!have_tracker(c.tracker))
		SKIP(return, "kernel without shadow dirty bits");
	ASSERT_EQ(0, victim_spawn(&self->v, "writes_on", NULL));
	for (i = 0; i < 3; i++) {
		ASSERT_EQ(VICTIM_IS_READY, victim_wait(&self->v));
		ASSERT_EQ(0, chain_image(&self->v, &c, 0));
		if (i < 2)
			ASSERT_EQ(0, victim_go(&self->v));
	}
	ASSERT_EQ(0, load_image(&img, c.fd[2]));
	nth = find_rec(&img, CKPT_REC_UNLINKED, 0);
	ASSERT_LT(0, nth);
	for (i = 0; i < img.nr; i++)
		if (rec_at(&img, i)->type == CKPT_REC_PAGES &&
		    rec_at(&img, i)->objref == rec_at(&img, nth)->objref)
			pages += ((struct ckpt_pages *)payload_at(&img, i))->nr_pages;
	EXPECT_EQ((300000 + PAGE - 1) / PAGE, pages);
	free(img.data);
	if (variant->restart) {
		ASSERT_EQ(0, victim_kill(&self->v));
		ASSERT_EQ(0, chain_restart(&self->v, &c));
	}
	ASSERT_EQ(0, victim_finish(&self->v));
	chain_cleanup(&c);
}

/* ---- what an image may not say ---- */

VICTIM(nameless)
{
	int fd = open_unlinked("file", O_RDWR), dir;

	fill_file(fd, 0, 3 * PAGE, 1);
	V_SYS(mkdir(file_name("dir"), 0755));
	dir = V_SYS(open(file_name("dir"), O_RDONLY | O_DIRECTORY));
	V_SYS(rmdir(file_name("dir")));
	fsetxattr(fd, "user.x", "value", 5, 0);
	victim_ready();
	expect_filled(fd, 0, 3 * PAGE, 1);
	V_CHECK(S_ISDIR(stat_of(dir).st_mode));
}

CKPT_IMAGE_FIXTURE(hostile, nameless)

static bool is_empty(const char *path)
{
	struct dirent *entry;
	DIR *dir = opendir(path);
	int nr = 0;

	while (dir && (entry = readdir(dir)))
		nr++;
	if (dir)
		closedir(dir);
	return nr == 2;
}

#define BAD(err, change)						\
	do {								\
		EXPECT_REFUSED(err, nr, change);			\
		EXPECT_TRUE(is_empty(self->v.dir));			\
	} while (0)

TEST_F(hostile, files_are_refused)
{
	int fd = find_rec(&self->img, CKPT_REC_FD, 0), nr, i;
	struct ckpt_xattr *x = find(&self->img, CKPT_REC_XATTR, 0);
	struct ckpt_unlinked *u;

	for (nr = 0; nr < self->img.nr; nr++) {
		u = payload_at(&self->img, nr);
		if (rec_at(&self->img, nr)->type == CKPT_REC_UNLINKED && S_ISREG(u->mode))
			break;
	}
	ASSERT_GT(self->img.nr, nr);
	EXPECT_EQ(3 * PAGE, u->size);
	EXPECT_EQ(0, strcmp((char *)u->name, "file"));
	ASSERT_LT(0, fd);
	BAD(-EBADMSG, u->mode = S_IFCHR | 0600);
	BAD(-EBADMSG, u->mode = S_IFLNK | 0600);
	BAD(-EBADMSG, u->mode = 0600);
	BAD(-EBADMSG, u->mode |= 1 << 20);
	BAD(-EBADMSG, u->mode = S_IFDIR | 0700);
	BAD(-EBADMSG, u->size = ~0ULL);
	/* its pages reach beyond its end */
	BAD(-EBADMSG, u->size = PAGE);
	BAD(-EBADMSG, u->size = 0);
	BAD(-EBADMSG, u->mtime_nsec = 1000000000);
	BAD(-EBADMSG, u->atime_nsec = -1);
	BAD(-EBADMSG, u->flags = 2);
	BAD(-EBADMSG, u->dir = 0);
	BAD(-EBADMSG, u->dir = self->img.nr + 1000);
	BAD(-EBADMSG, u->name_len = 100);
	BAD(-EBADMSG, u->name_len = -1);
	BAD(-EPERM, u->uid = -1);
	BAD(-EPERM, u->gid = -1);
	if (x) {
		struct ckpt_xattr good = *x;

		BAD(-EBADMSG, x->name_len = 3);
		*x = good;
		BAD(-EBADMSG, x->name_len = -1);
		*x = good;
		BAD(-EBADMSG, x->value_len = -1);
		*x = good;
		BAD(-EBADMSG, x->value_len = 1000);
		*x = good;
		BAD(-EBADMSG, memcpy(x->data, "usex.", 5));
		memcpy(x->data, "user.", 5);
	}
	/* the wrong kind of object for a working directory */
	for (i = 0; i < self->img.nr; i++) {
		struct ckpt_fs *fs = payload_at(&self->img, i);
		uint32_t pwd;

		if (rec_at(&self->img, i)->type != CKPT_REC_FS)
			continue;
		pwd = fs->pwd;
		BAD(-EBADMSG, fs->pwd = rec_at(&self->img, nr)->objref);
		fs->pwd = pwd;
	}
	/* a descriptor of the bare object */
	for (i = 0; (fd = find_rec(&self->img, CKPT_REC_FD, i)) >= 0; i++) {
		struct ckpt_fd *f = payload_at(&self->img, fd);
		uint32_t file = f->file;

		if (f->fd <= 2)
			continue;
		BAD(-EBADMSG, f->file = rec_at(&self->img, nr)->objref);
		f->file = file;
	}
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
}

/* ---- more than one name ---- */

VICTIM(shares_a_file_that_had_two_names)
{
	int fd = open_file("file", O_RDWR);
	char other[PATH_MAX];

	put(fd, "contents");
	strcpy(other, file_name("other"));
	V_SYS(link(file_name("file"), other));
	victim_ready();
	V_SYS(unlink(file_name("file")));
	V_SYS(unlink(other));
	victim_ready();
	V_CHECK(holds(fd, "contents"));
}

TEST_F(unlinked, a_file_that_others_have_by_another_name_is_refused)
{
	char path[128];
	int fd;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "shares_a_file_that_had_two_names"));
	snprintf(path, sizeof(path), "%s/other", self->v.dir);
	fd = open(path, O_RDWR);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "outside")) show_log(self->v.log);
	close(fd);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* Of the process itself, by either name. */
SURVIVES(unlinked, a_file_that_had_two_names)
{
	char other[PATH_MAX];
	int a = open_file("file", O_RDWR), b;

	strcpy(other, file_name("other"));
	V_SYS(link(file_name("file"), other));
	b = V_SYS(open(other, O_RDWR));
	V_SYS(unlink(file_name("file")));
	V_SYS(unlink(other));
	put(a, "contents");
	victim_ready();
	V_CHECK(holds(b, "contents"));
}

/* ---- extended attributes and access control lists ---- */

VICTIM(has_an_attribute_that_is_not_preserved)
{
	int fd = open_unlinked("file", O_RDWR);

	if (fsetxattr(fd, "trusted.x", "value", 5, 0))
		victim_cannot();
	victim_ready();
	V_SYS(fremovexattr(fd, "trusted.x"));
	victim_ready();
}

TEST_F(unlinked, an_attribute_that_is_not_preserved_is_refused)
{
	int event;

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_spawn(&self->v, "has_an_attribute_that_is_not_preserved", NULL));
	event = victim_wait(&self->v);
	if (event == VICTIM_CANNOT)
		SKIP(return, "no trusted attributes on this file system");
	ASSERT_EQ(VICTIM_IS_READY, event);
	EXPECT_TRUE(refuses(&self->v, "deleted", "trusted.x"));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, victim_cycle(&self->v, variant->restart));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* The new file gets no access control list, nor by that more access than it had. */
TEST_F(unlinked, a_default_access_control_list_is_not_inherited)
{
	static const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entry[5];
	} acl = { 2, { { 1, 7, -1 }, { 2, 7, 1234 }, { 4, 5, -1 }, { 16, 7, -1 }, { 32, 5, -1 } } };

	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start_and_save(&self->v, "has_a_nameless_file"));
	if (setxattr(self->v.dir, "system.posix_acl_default", &acl, sizeof(acl), 0))
		SKIP(return, "no access control lists on this file system");
	ASSERT_EQ(0, victim_restart(&self->v));
	/* else it would be refused for its list */
	EXPECT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- where it is made ---- */

/* While it has its name, and the directory is locked, nobody is asked or told. */
TEST_F(hostile, a_directory_is_opened_unseen)
{
	int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC), seen = 0;
	char buf[4096] __attribute__((aligned(8)));
	struct inotify_event *e;
	bool gone = false;
	ssize_t len;
	char *at;

	ASSERT_LE(0, inotify_add_watch(events, self->v.dir, IN_CREATE | IN_OPEN | IN_DELETE));
	EXPECT_EQ(0, finish_from(&self->v, &self->img));
	while ((len = read(events, buf, sizeof(buf))) > 0)
		for (at = buf; at < buf + len; at += sizeof(*e) + e->len) {
			e = (struct inotify_event *)at;
			if (!e->len || strncmp(e->name, ".restart-", 9))
				continue;
			if (e->mask & IN_CREATE) {
				gone = false;
				seen++;
			}
			if (e->mask & IN_DELETE)
				gone = true;
			if (e->mask & IN_OPEN)
				EXPECT_TRUE(gone);
		}
	EXPECT_LE(1, seen);
	close(events);
}

CKPT_TEST_MAIN
