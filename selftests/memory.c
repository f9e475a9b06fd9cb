// SPDX-License-Identifier: GPL-2.0
/*
 * The address space: every kind of memory area with its contents and its
 * properties, and that nothing else appears in the image.
 */
#include <limits.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <linux/fs.h>
#include <linux/memfd.h>
#include <linux/mempolicy.h>

#include "ckpt_test.h"
#include "ckpt_memory.h"

#ifndef __NR_mseal
#define __NR_mseal 462
#endif

CKPT_FIXTURE(memory)

/* ---- helpers of the victims ---- */

static bool populated(const void *addr)
{
	return pagemap(addr) & (PM_PRESENT | PM_SWAPPED);
}

/* A file of @len bytes with a pattern; its descriptor is closed again. */
static void make_file(const char *name, size_t len, uint64_t seed)
{
	char *buf = map_rw(len);
	int fd;

	fill(buf, len, seed);
	fd = V_SYS(open(file_name(name), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
	V_CHECK(write(fd, buf, len) == (ssize_t)len);
	close(fd);
	munmap(buf, len);
}

static char *map_file(const char *name, size_t len, int prot, int flags, off_t offset)
{
	char *area;
	int fd;

	fd = V_SYS(open(file_name(name), flags & MAP_SHARED && prot & PROT_WRITE ?
			O_RDWR | O_CLOEXEC : O_RDONLY | O_CLOEXEC));
	area = mmap(NULL, len, prot, flags, fd, offset);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	return area;
}

/* Can one byte be read or written?  Asked of the kernel, not by trying. */
static bool readable(const void *addr)
{
	int fd = V_SYS(open("/dev/null", O_WRONLY | O_CLOEXEC));
	int p[2];
	bool ok;

	close(fd);
	V_SYS(pipe2(p, O_CLOEXEC));
	ok = write(p[1], addr, 1) == 1;
	close(p[0]);
	close(p[1]);
	return ok;
}

static bool writable(void *addr)
{
	char byte;
	int p[2];
	bool ok;

	V_SYS(pipe2(p, O_CLOEXEC));
	byte = 0;
	V_CHECK(write(p[1], &byte, 1) == 1);
	ok = read(p[0], addr, 1) == 1;
	close(p[0]);
	close(p[1]);
	return ok;
}

/* ---- anonymous memory ---- */

SURVIVES(memory, anonymous_memory_keeps_its_contents)
{
	char *small = map_rw(PAGE), *big = map_rw(8 * MB);

	fill(small, PAGE, 1);
	fill(big, 8 * MB, 2);
	victim_ready();
	CHECK_FILLED(small, PAGE, 1);
	CHECK_FILLED(big, 8 * MB, 2);
}

SURVIVES(memory, memory_is_the_same_after_several_generations)
{
	char *area = map_rw(64 * PAGE);
	int i;

	for (i = 0; i < 5; i++) {
		fill(area + i * PAGE, (64 - i) * PAGE, i);
		victim_ready();
		CHECK_FILLED(area + i * PAGE, (64 - i) * PAGE, i);
	}
}

SURVIVES(memory, memory_can_be_written_afterwards)
{
	char *area = map_rw(MB);

	fill(area, MB, 1);
	victim_ready();
	fill(area, MB, 2);
	CHECK_FILLED(area, MB, 2);
}

SURVIVES(memory, holes_stay_holes)
{
	char *area = map(16 * PAGE, PROT_READ | PROT_WRITE, 0);
	int i;

	V_SYS(madvise(area, 16 * PAGE, MADV_NOHUGEPAGE));
	for (i = 0; i < 16; i += 2)
		area[i * PAGE] = i + 1;
	for (i = 0; i < 16; i++)
		V_EQUAL(i % 2 == 0, populated(area + i * PAGE));
	victim_ready();
	for (i = 0; i < 16; i++)
		V_EQUAL(i % 2 == 0, populated(area + i * PAGE));
	for (i = 0; i < 16; i++)
		V_EQUAL(i % 2 ? 0 : i + 1, area[i * PAGE]);
}

/* 1 TB with three pages in it, more than there can ever be memory. */
SURVIVES(memory, a_huge_sparse_mapping_survives)
{
	size_t len = 1UL << 40;
	char *area = map(len, PROT_READ | PROT_WRITE, MAP_NORESERVE);

	fill(area, PAGE, 1);
	fill(area + len / 2, PAGE, 2);
	fill(area + len - PAGE, PAGE, 3);
	victim_ready();
	CHECK_FILLED(area, PAGE, 1);
	CHECK_FILLED(area + len / 2, PAGE, 2);
	CHECK_FILLED(area + len - PAGE, PAGE, 3);
	V_CHECK(!populated(area + len / 4));
	V_CHECK(all_zero(area + len / 4, PAGE));
	V_CHECK(vm_flag(area, "nr"));
}

VICTIM(zero_pages)
{
	char *area = map(2048 * PAGE, PROT_READ | PROT_WRITE, 0);
	size_t i;

	V_SYS(madvise(area, 2048 * PAGE, MADV_NOHUGEPAGE));
	/* zeros by writing, and the shared zero page by reading */
	for (i = 0; i < 1024; i++)
		((volatile char *)area)[i * PAGE] = 0;
	for (; i < 2048; i++)
		(void)((volatile char *)area)[i * PAGE];
	victim_ready();
	V_CHECK(all_zero(area, 2048 * PAGE));
	fill(area, 2048 * PAGE, 1);
	CHECK_FILLED(area, 2048 * PAGE, 1);
}

TEST_F(memory, zero_pages_are_not_stored)
{
	struct stat st;

	ASSERT_EQ(0, victim_start(&self->v, "zero_pages"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	if (!dry_run()) {
		EXPECT_LE(1024ULL, self->v.stats.pages_zero);
		ASSERT_EQ(0, fstat(self->v.image, &st));
		EXPECT_GT(1024 * 4096, st.st_size);
		EXPECT_GT(1024ULL, self->v.stats.pages_here);
	}
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* The image is about as large as what was written, and the statistics say so. */
VICTIM(sixteen_megabytes)
{
	char *area = map_rw(16 * MB);

	fill(area, 16 * MB, 7);
	victim_ready();
	CHECK_FILLED(area, 16 * MB, 7);
}

TEST_F(memory, the_image_has_the_size_of_the_contents)
{
	struct stat st;

	ASSERT_EQ(0, victim_start(&self->v, "sixteen_megabytes"));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	if (!dry_run()) {
		ASSERT_EQ(0, fstat(self->v.image, &st));
		EXPECT_EQ((uint64_t)st.st_size, self->v.stats.bytes);
		EXPECT_LE(4096ULL, self->v.stats.pages_here);
		EXPECT_GT(4096ULL + 512, self->v.stats.pages_here);
		EXPECT_GT(16 * MB + 3 * MB, (size_t)st.st_size);
		EXPECT_GT(4 * MB, self->v.stats.kernel_bytes);
	}
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- protection ---- */

SURVIVES(memory, read_only_memory_keeps_its_contents)
{
	char *area = map_rw(4 * PAGE);

	fill(area, 4 * PAGE, 1);
	V_SYS(mprotect(area, 4 * PAGE, PROT_READ));
	victim_ready();
	CHECK_FILLED(area, 4 * PAGE, 1);
	V_CHECK(!writable(area));
	V_SYS(mprotect(area, 4 * PAGE, PROT_READ | PROT_WRITE));
	fill(area, 4 * PAGE, 2);
}

SURVIVES(memory, inaccessible_memory_keeps_its_contents)
{
	char *area = map_rw(4 * PAGE);

	fill(area, 4 * PAGE, 1);
	V_SYS(mprotect(area, 4 * PAGE, PROT_NONE));
	victim_ready();
	V_CHECK(!readable(area));
	V_SYS(mprotect(area, 4 * PAGE, PROT_READ));
	CHECK_FILLED(area, 4 * PAGE, 1);
}

SURVIVES(memory, executable_memory_can_be_executed)
{
	static const unsigned char code[] = { 0xb8, 0x2a, 0, 0, 0, 0xc3 };
	char *area = map_rw(PAGE);
	int (*function)(void) = (void *)area;

	memcpy(area, code, sizeof(code));
	V_SYS(mprotect(area, PAGE, PROT_READ | PROT_EXEC));
	V_EQUAL(42, function());
	victim_ready();
	V_EQUAL(42, function());
	V_CHECK(!writable(area));
}

VICTIM(pkeys)
{
	char *area = map_rw(2 * PAGE);
	unsigned int pkru, seen;
	int key, other;

	fill(area, 2 * PAGE, 1);
	other = V_SYS(syscall(__NR_pkey_alloc, 0, 0));
	key = V_SYS(syscall(__NR_pkey_alloc, 0, 0));
	V_SYS(syscall(__NR_pkey_free, other));
	V_SYS(syscall(__NR_pkey_mprotect, area, PAGE, PROT_READ | PROT_WRITE, key));
	pkru = 3u << key * 2;
	asm volatile("wrpkru" : : "a" (pkru), "c" (0), "d" (0));
	victim_ready();
	asm volatile("rdpkru" : "=a" (seen) : "c" (0) : "edx");
	V_EQUAL(pkru, seen);
	V_EQUAL(key, smaps(area, "ProtectionKey", NULL, 0));
	V_CHECK(!readable(area));
	asm volatile("wrpkru" : : "a" (0), "c" (0), "d" (0));
	CHECK_FILLED(area, 2 * PAGE, 1);

	/* which keys are taken is known as well */
	V_EQUAL(other, V_SYS(syscall(__NR_pkey_alloc, 0, 0)));
	V_SYS(syscall(__NR_pkey_free, key));
}

TEST_F(memory, protection_keys_stay)
{
	if (syscall(__NR_pkey_alloc, 0, 0) < 0)
		SKIP(return, "CPU without protection keys");
	ASSERT_EQ(0, victim_live(&self->v, "pkeys", variant->restart));
}

VICTIM(sealed)
{
	char *area = map_rw(2 * PAGE);

	fill(area, 2 * PAGE, 1);
	V_SYS(mprotect(area, 2 * PAGE, PROT_READ));
	V_SYS(syscall(__NR_mseal, area, 2 * PAGE, 0));
	victim_ready();
	CHECK_FILLED(area, 2 * PAGE, 1);
	V_EQUAL(-1, mprotect(area, 2 * PAGE, PROT_READ | PROT_WRITE));
	V_EQUAL(EPERM, errno);
	V_EQUAL(-1, munmap(area, PAGE));
	V_EQUAL(EPERM, errno);
}

TEST_F(memory, sealed_memory_stays_sealed)
{
	if (syscall(__NR_mseal, NULL, 0, 0) && errno == ENOSYS)
		SKIP(return, "kernel without mseal()");
	ASSERT_EQ(0, victim_live(&self->v, "sealed", variant->restart));
}

/* ---- stack and heap ---- */

static int __attribute_noinline__ sum_up(int depth, volatile char *deepest)
{
	volatile char frame[1000];
	int i, sum = 0;

	for (i = 0; i < 1000; i++)
		frame[i] = depth + i;
	if (depth == 0) {
		victim_ready();
		return 0;
	}
	sum = sum_up(depth - 1, frame);
	for (i = 0; i < 1000; i++)
		if (frame[i] != (char)(depth + i))
			victim_fail(__LINE__, "frame %d, byte %d", depth, i);
	return sum + 1;
}

SURVIVES(memory, the_stack_keeps_its_contents)
{
	V_EQUAL(300, sum_up(300, NULL));
}

static void __attribute_noinline__ use_stack(size_t bytes)
{
	volatile char *low = __builtin_alloca(bytes);
	size_t i;

	for (i = bytes; i; i -= PAGE)
		low[i - 1] = i / PAGE;
	for (i = bytes; i; i -= PAGE)
		V_EQUAL((char)(i / PAGE), low[i - 1]);
}

SURVIVES(memory, the_stack_grows_afterwards)
{
	char here;

	V_CHECK(vm_flag(&here, "gd"));
	victim_ready();
	V_CHECK(vm_flag(&here, "gd"));
	use_stack(4 * MB);
}

SURVIVES(memory, a_mapping_made_to_grow_down_still_does)
{
	char *hint = map(64 * PAGE, PROT_NONE, 0), *area;

	V_SYS(munmap(hint, 64 * PAGE));
	area = mmap(hint + 32 * PAGE, PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN, -1, 0);
	V_CHECK(area != MAP_FAILED);
	fill(area, PAGE, 1);
	victim_ready();
	V_CHECK(vm_flag(area, "gd"));
	CHECK_FILLED(area, PAGE, 1);
	area[-1] = 5;
	V_EQUAL(5, area[-1]);
}

SURVIVES(memory, the_heap_grows_and_shrinks_afterwards)
{
	char *heap = sbrk(0), *old;

	V_CHECK(sbrk(64 * KB) == heap);
	heap = (char *)(((uintptr_t)heap + 7) & ~7UL);
	fill(heap, 60 * KB, 1);
	old = (char *)syscall(__NR_brk, 0);
	victim_ready();
	V_EQUAL(old, syscall(__NR_brk, 0));
	V_EQUAL(old + MB, syscall(__NR_brk, old + MB));
	memset(old, 7, MB);
	CHECK_FILLED(heap, 60 * KB, 1);
	V_EQUAL(old, syscall(__NR_brk, old));
}

SURVIVES(memory, malloc_goes_on)
{
	char *block[200];
	size_t i;

	for (i = 0; i < 200; i++) {
		block[i] = malloc(i * 100 + 8);
		memset(block[i], i, i * 100 + 8);
	}
	for (i = 0; i < 200; i += 3) {
		free(block[i]);
		block[i] = NULL;
	}
	victim_ready();
	for (i = 0; i < 200; i++) {
		if (block[i])
			V_CHECK(block[i][i * 100 + 7] == (char)i);
		free(block[i]);
		block[i] = malloc(i * 1000 + 1);
		V_CHECK(block[i]);
	}
}

/* ---- files mapped privately ---- */

VICTIM(private_file)
{
	char *area, *copy;

	make_file("data", 512 * PAGE, 1);
	area = map_file("data", 512 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	copy = map_file("data", 4 * PAGE, PROT_READ, MAP_PRIVATE, PAGE);
	CHECK_FILLED(area, 512 * PAGE, 1);
	fill(area + 8 * PAGE, 2 * PAGE, 2);
	victim_ready();
	CHECK_FILLED(area, 8 * PAGE, 1);
	CHECK_FILLED(area + 8 * PAGE, 2 * PAGE, 2);
	V_EQUAL(pattern(1, 10 * PAGE / 8), *(uint64_t *)(area + 10 * PAGE));
	V_EQUAL(pattern(1, PAGE / 8), *(uint64_t *)copy);

	/* what was not written still comes from the file */
	int fd = V_SYS(open(file_name("data"), O_RDWR | O_CLOEXEC));

	V_CHECK(pwrite(fd, "changed", 7, 400 * PAGE) == 7);
	V_EQUAL(0, memcmp(area + 400 * PAGE, "changed", 7));
	V_CHECK(pread(fd, area, 8, 8 * PAGE) == 8);
	V_EQUAL(pattern(1, 8 * PAGE / 8), *(uint64_t *)area);
}

TEST_F(memory, private_file_mappings_keep_their_changes)
{
	ASSERT_EQ(0, victim_live(&self->v, "private_file", variant->restart));
}

TEST_F(memory, unchanged_pages_of_files_are_not_stored)
{
	ASSERT_EQ(0, victim_start(&self->v, "private_file"));
	ASSERT_EQ(0, victim_cycle(&self->v, false));
	if (!dry_run())
		EXPECT_GT(300ULL, self->v.stats.pages_here);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_finish(&self->v));
}

SURVIVES(memory, a_private_mapping_beyond_the_end_of_its_file_survives)
{
	char *area;

	make_file("short", PAGE, 1);
	area = map_file("short", 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
	V_CHECK(readable(area + 100));
	V_CHECK(!readable(area + 4 * PAGE));
}

/* A page of zeros in front of a file's contents is not the same as none. */
SURVIVES(memory, zeros_written_over_a_mapped_file_stay)
{
	int fd = V_SYS(memfd_create("zeros", 0));
	char *area, *mem;

	make_file("contents", 2 * PAGE, 1);
	area = map_file("contents", 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, 0);
	memset(area, 0, PAGE);
	V_CHECK(pwrite(fd, "original", 8, 0) == 8);
	mem = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(mem != MAP_FAILED);
	memset(mem, 0, PAGE);
	victim_ready();
	V_CHECK(all_zero(area, PAGE));
	V_CHECK(!all_zero(area + PAGE, PAGE));
	V_CHECK(all_zero(mem, PAGE));
}

/* ---- shared memory ---- */

SURVIVES(memory, shared_anonymous_memory_keeps_its_contents)
{
	char *area;

	area = mmap(NULL, MB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	fill(area, MB / 2, 1);
	victim_ready();
	CHECK_FILLED(area, MB / 2, 1);
	V_CHECK(all_zero(area + MB / 2, MB / 2));
	V_CHECK(vm_flag(area, "sh"));
}

/* Two views of the same memory stay two views of the same memory. */
SURVIVES(memory, shared_anonymous_memory_stays_shared_between_mappings)
{
	char *area, *twin;

	area = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	/* old size 0 makes a second mapping of the same pages */
	twin = mremap(area, 0, 8 * PAGE, MREMAP_MAYMOVE);
	V_CHECK(twin != MAP_FAILED);
	fill(area, 8 * PAGE, 1);
	victim_ready();
	CHECK_FILLED(twin, 8 * PAGE, 1);
	fill(twin, 8 * PAGE, 2);
	CHECK_FILLED(area, 8 * PAGE, 2);
}

SURVIVES(memory, shared_file_mappings_stay_connected_to_the_file)
{
	char *area, buf[8];
	int fd;

	make_file("shared", 16 * PAGE, 1);
	area = map_file("shared", 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 0);
	fill(area + PAGE, PAGE, 2);
	victim_ready();
	CHECK_FILLED(area, PAGE, 1);
	CHECK_FILLED(area + PAGE, PAGE, 2);
	V_SYS(msync(area, 16 * PAGE, MS_SYNC));
	memcpy(area, "by-mmap", 8);
	fd = V_SYS(open(file_name("shared"), O_RDWR | O_CLOEXEC));
	V_CHECK(pread(fd, buf, 8, 0) == 8);
	V_EQUAL(0, memcmp(buf, "by-mmap", 8));
	V_CHECK(pwrite(fd, "by-file", 8, 2 * PAGE) == 8);
	V_EQUAL(0, memcmp(area + 2 * PAGE, "by-file", 8));
}

SURVIVES(memory, a_read_only_shared_file_mapping_stays_read_only)
{
	char *area;

	make_file("shared", 4 * PAGE, 1);
	area = map_file("shared", 4 * PAGE, PROT_READ, MAP_SHARED, 0);
	victim_ready();
	CHECK_FILLED(area, 4 * PAGE, 1);
	V_EQUAL(-1, mprotect(area, PAGE, PROT_READ | PROT_WRITE));
	V_EQUAL(EACCES, errno);
}

SURVIVES(memory, memfd_keeps_contents_size_and_name)
{
	char link[64], name[64] = "", byte;
	struct stat st;
	int fd;

	fd = V_SYS(memfd_create("some-name", MFD_CLOEXEC));
	V_SYS(ftruncate(fd, 100 * PAGE + 123));
	V_CHECK(pwrite(fd, "here", 4, 50 * PAGE) == 4);
	V_CHECK(lseek(fd, 77, SEEK_SET) == 77);
	victim_ready();
	V_SYS(fstat(fd, &st));
	V_EQUAL(100 * PAGE + 123, st.st_size);
	V_CHECK(st.st_blocks < 100);
	V_EQUAL(77, lseek(fd, 0, SEEK_CUR));
	V_CHECK(pread(fd, name, 4, 50 * PAGE) == 4);
	V_EQUAL(0, memcmp(name, "here", 4));
	V_CHECK(pread(fd, &byte, 1, 0) == 1);
	V_EQUAL(0, byte);
	V_EQUAL(FD_CLOEXEC, fcntl(fd, F_GETFD));
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	V_CHECK(readlink(link, name, sizeof(name)) > 0);
	V_CHECK(!strncmp(name, "/memfd:some-name", 16));
}

SURVIVES(memory, memfd_keeps_its_seals)
{
	int seals = F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_WRITE, fd;
	char *area;

	fd = V_SYS(memfd_create("sealed", MFD_ALLOW_SEALING));
	V_SYS(ftruncate(fd, 2 * PAGE));
	V_CHECK(pwrite(fd, "sealed", 6, 0) == 6);
	V_SYS(fcntl(fd, F_ADD_SEALS, seals));
	area = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	victim_ready();
	V_EQUAL(seals, fcntl(fd, F_GET_SEALS));
	V_EQUAL(-1, pwrite(fd, "x", 1, 0));
	V_EQUAL(EPERM, errno);
	V_EQUAL(0, memcmp(area, "sealed", 6));
	V_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_SEAL));
}

SURVIVES(memory, memfd_without_sealing_cannot_be_sealed)
{
	int fd = V_SYS(memfd_create("plain", 0));

	V_EQUAL(F_SEAL_SEAL, fcntl(fd, F_GET_SEALS));
	victim_ready();
	V_EQUAL(F_SEAL_SEAL, fcntl(fd, F_GET_SEALS));
	V_EQUAL(-1, fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE));
}

SURVIVES(memory, two_mappings_and_a_descriptor_of_a_memfd_stay_one_object)
{
	int fd = V_SYS(memfd_create("twice", 0));
	char *one, *two;

	V_SYS(ftruncate(fd, 4 * PAGE));
	one = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	two = mmap(NULL, 2 * PAGE, PROT_READ, MAP_SHARED, fd, 2 * PAGE);
	V_CHECK(one != MAP_FAILED && two != MAP_FAILED);
	fill(one, 4 * PAGE, 1);
	victim_ready();
	V_EQUAL(*(uint64_t *)(one + 2 * PAGE), *(uint64_t *)two);
	CHECK_FILLED(one, 4 * PAGE, 1);
	fill(one + 2 * PAGE, PAGE, 9);
	CHECK_FILLED(two, PAGE, 9);
	V_CHECK(pwrite(fd, "through the descriptor", 22, 3 * PAGE) == 22);
	V_EQUAL(0, memcmp(two + PAGE, "through the descriptor", 22));
}

SURVIVES(memory, a_memfd_mapped_privately_keeps_both_contents)
{
	int fd = V_SYS(memfd_create("private", 0));
	char *area, buf[8];

	V_SYS(ftruncate(fd, 2 * PAGE));
	V_CHECK(pwrite(fd, "original", 8, 0) == 8);
	V_CHECK(pwrite(fd, "original", 8, PAGE) == 8);
	area = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	memcpy(area, "modified", 8);
	victim_ready();
	V_EQUAL(0, memcmp(area, "modified", 8));
	V_EQUAL(0, memcmp(area + PAGE, "original", 8));
	V_CHECK(pread(fd, buf, 8, 0) == 8);
	V_EQUAL(0, memcmp(buf, "original", 8));
}

/* ---- memory in unusual places ---- */

VICTIM(swapped)
{
	size_t i, swapped = 0, len = 512 * PAGE;
	char *area = map(len, PROT_READ | PROT_WRITE, 0);

	V_SYS(madvise(area, len, MADV_NOHUGEPAGE));
	fill(area, len, 1);
	V_SYS(madvise(area, len, MADV_PAGEOUT));
	for (i = 0; i < 512; i++)
		swapped += !!(pagemap(area + i * PAGE) & PM_SWAPPED);
	V_CHECK(swapped >= 100);
	victim_ready();
	CHECK_FILLED(area, len, 1);
	fill(area, len, 2);
	CHECK_FILLED(area, len, 2);
}

TEST_F(memory, swapped_pages_survive)
{
	char device[32];

	if (dry_run() || !swap_on(device, sizeof(device)))
		SKIP(return, "no zram device to swap on");
	int ret = victim_live(&self->v, "swapped", variant->restart);

	victim_kill(&self->v);
	swap_off(device);
	ASSERT_EQ(0, ret);
}

VICTIM(ksm)
{
	size_t i, len = 256 * PAGE;
	char *area = map(len, PROT_READ | PROT_WRITE, 0);

	V_SYS(madvise(area, len, MADV_NOHUGEPAGE));
	V_SYS(madvise(area, len, MADV_MERGEABLE));
	for (i = 0; i < 256; i++)
		fill(area + i * PAGE, PAGE, i % 2);
	V_CHECK(WAIT_FOR(ksm_shared() >= 200));
	victim_ready();
	for (i = 0; i < 256; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, i % 2);
	V_CHECK(vm_flag(area, "mg"));
	for (i = 0; i < 256; i++)
		fill(area + i * PAGE, PAGE, i);
	for (i = 0; i < 256; i++)
		CHECK_FILLED(area + i * PAGE, PAGE, i);
}

static long ksm_zero_pages(void)
{
	char text[32] = "";

	read_text("/sys/kernel/mm/ksm/ksm_zero_pages", text, sizeof(text));
	return atol(text);
}

/* Zeros of the process's own, in place of what the file has */
VICTIM(ksm_zeroes)
{
	size_t len = 64 * PAGE;
	int fd = V_SYS(open(file_name("file"), O_RDWR | O_CREAT, 0600));
	char *area, *other = malloc(len);

	memset(other, 0xff, len);
	V_EQUAL((long)len, write(fd, other, len));
	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	V_SYS(madvise(area, len, MADV_MERGEABLE));
	memset(area, 0, len);
	V_CHECK(WAIT_FOR(ksm_zero_pages() >= 64));
	victim_ready();
	memset(other, 0, len);
	V_EQUAL(0, memcmp(area, other, len));
}

static int live_with_ksm(struct victim *v, const char *name, bool restart)
{
	int ret;

	write_text("/sys/kernel/mm/ksm/pages_to_scan", "1000");
	write_text("/sys/kernel/mm/ksm/sleep_millisecs", "10");
	ret = victim_live(v, name, restart);
	write_text("/sys/kernel/mm/ksm/run", "2");
	write_text("/sys/kernel/mm/ksm/run", "0");
	return ret;
}

TEST_F(memory, pages_merged_by_ksm_survive)
{
	if (write_text("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "kernel without KSM");
	ASSERT_EQ(0, live_with_ksm(&self->v, "ksm", variant->restart));
}

TEST_F(memory, zeroes_merged_by_ksm_survive)
{
	int ret;

	if (write_text("/sys/kernel/mm/ksm/use_zero_pages", "1") ||
	    write_text("/sys/kernel/mm/ksm/run", "1"))
		SKIP(return, "kernel without KSM");
	ret = live_with_ksm(&self->v, "ksm_zeroes", variant->restart);
	write_text("/sys/kernel/mm/ksm/use_zero_pages", "0");
	ASSERT_EQ(0, ret);
}

SURVIVES(memory, huge_pages_stay_huge)
{
	char *raw = map_rw(4 * HUGE), *area;
	long huge;

	area = (char *)(((uintptr_t)raw + HUGE - 1) & ~(HUGE - 1));
	V_SYS(madvise(area, 3 * HUGE, MADV_HUGEPAGE));
	fill(area, 3 * HUGE, 1);
	huge = smaps(area, "AnonHugePages", NULL, 0);
	V_CHECK(huge >= 2048);
	victim_ready();
	V_EQUAL(huge, smaps(area, "AnonHugePages", NULL, 0));
	V_CHECK(vm_flag(area, "hg"));
	CHECK_FILLED(area, 3 * HUGE, 1);
}

SURVIVES(memory, a_huge_page_with_a_hole_keeps_its_contents)
{
	char *raw = map_rw(2 * HUGE), *area;

	area = (char *)(((uintptr_t)raw + HUGE - 1) & ~(HUGE - 1));
	V_SYS(madvise(area, HUGE, MADV_HUGEPAGE));
	fill(area, HUGE, 1);
	V_SYS(madvise(area + 100 * PAGE, 50 * PAGE, MADV_DONTNEED));
	victim_ready();
	CHECK_FILLED(area, 100 * PAGE, 1);
	V_CHECK(all_zero(area + 100 * PAGE, 50 * PAGE));
	V_EQUAL(pattern(1, 150 * PAGE / 8), *(uint64_t *)(area + 150 * PAGE));
}

/* ---- NUMA policies ---- */

static int policy_of(void *addr, unsigned long *nodes)
{
	int mode = -1;

	*nodes = 0;
	V_SYS(syscall(__NR_get_mempolicy, &mode, nodes, 64, addr, MPOL_F_ADDR));
	return mode;
}

SURVIVES(memory, numa_policies_stay)
{
	char *local = map_rw(4 * PAGE), *bound = map_rw(4 * PAGE), *other = map_rw(4 * PAGE);
	unsigned long node0 = 1, nodes;
	int i;

	/* What a local policy is made of has been another before. */
	for (i = 0; i < 64; i++) {
		V_SYS(syscall(__NR_mbind, local, PAGE, MPOL_BIND, &node0, 64, 0));
		V_SYS(syscall(__NR_mbind, local, PAGE, MPOL_DEFAULT, NULL, 0, 0));
	}
	V_SYS(syscall(__NR_mbind, local, 4 * PAGE, MPOL_LOCAL, NULL, 0, 0));
	V_SYS(syscall(__NR_mbind, bound, 4 * PAGE, MPOL_BIND | MPOL_F_STATIC_NODES, &node0, 64, 0));
	V_SYS(syscall(__NR_mbind, other, 4 * PAGE, MPOL_PREFERRED, &node0, 64, 0));
	fill(local, PAGE, 1);
	victim_ready();
	CHECK_FILLED(local, PAGE, 1);
	V_EQUAL(MPOL_LOCAL, policy_of(local, &nodes));
	V_EQUAL(MPOL_BIND | MPOL_F_STATIC_NODES, policy_of(bound + 3 * PAGE, &nodes));
	V_EQUAL(1, nodes);
	V_EQUAL(MPOL_PREFERRED, policy_of(other, &nodes));
	V_EQUAL(1, nodes);
}

/* ---- memory that somebody looks at while it is restored ---- */

#define LOOKED_AT	0x40000000UL
#define LOOKED_AT_LEN	(32 * HUGE)

VICTIM(huge_pages)
{
	char *area = mmap((void *)LOOKED_AT, LOOKED_AT_LEN, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);

	V_CHECK(area == (void *)LOOKED_AT);
	V_SYS(madvise(area, LOOKED_AT_LEN, MADV_HUGEPAGE));
	fill(area, LOOKED_AT_LEN, 3);
	victim_ready();
	CHECK_FILLED(area, LOOKED_AT_LEN, 3);
	fill(area, LOOKED_AT_LEN, 4);
	CHECK_FILLED(area, LOOKED_AT_LEN, 4);
}

/* Reads the last word of every huge page; counts what is not restored yet. */
static void __noreturn look_all_the_time(struct victim *v, volatile long *early)
{
	uintptr_t addr;
	uint64_t word;

	for (;;) {
		for (addr = LOOKED_AT; addr < LOOKED_AT + LOOKED_AT_LEN; addr += HUGE)
			if (!victim_read(v, addr + HUGE - 8, &word, 8) && !word)
				++*early;
	}
}

/* What a look brings into being, pages of zeros, must give way to the image. */
TEST_F(memory, looking_at_memory_that_is_being_restored_does_no_harm)
{
	volatile long *early = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
				    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t looker;

	ASSERT_NE(MAP_FAILED, (void *)early);
	ASSERT_EQ(0, victim_start(&self->v, "huge_pages"));
	looker = fork();
	ASSERT_LE(0, looker);
	if (!looker)
		look_all_the_time(&self->v, early);
	int ret = victim_cycle(&self->v, variant->restart);

	kill(looker, SIGKILL);
	EXPECT_EQ(looker, waitpid(looker, NULL, 0));
	ASSERT_EQ(0, ret);
	if (variant->restart && !dry_run())
		EXPECT_LT(0, *early);
	EXPECT_EQ(0, munmap((void *)early, PAGE));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- properties of areas ---- */

SURVIVES(memory, locked_memory_stays_locked)
{
	char *now = map_rw(8 * PAGE), *later = map_rw(8 * PAGE);
	long locked;

	fill(now, PAGE, 1);
	V_SYS(mlock(now, 8 * PAGE));
	V_SYS(syscall(__NR_mlock2, later, 8 * PAGE, MLOCK_ONFAULT));
	locked = proc_value(getpid(), "status", "VmLck");
	V_EQUAL(64, locked);
	victim_ready();
	V_EQUAL(locked, proc_value(getpid(), "status", "VmLck"));
	V_CHECK(vm_flag(now, "lo"));
	V_CHECK(vm_flag(later, "lo"));
	V_CHECK(populated(now + 7 * PAGE));
	V_CHECK(!populated(later + 7 * PAGE));
	V_SYS(munlock(now, 8 * PAGE));
	V_EQUAL(32, proc_value(getpid(), "status", "VmLck"));
}

SURVIVES(memory, mlockall_for_the_future_stays_in_force)
{
	char *area;

	V_SYS(mlockall(MCL_FUTURE));
	victim_ready();
	area = map_rw(PAGE);
	V_CHECK(vm_flag(area, "lo"));
}

struct advice {
	int		advice;
	const char	*flag;
};

static const struct advice advices[] = {
	{ MADV_SEQUENTIAL, "sr" },
	{ MADV_RANDOM, "rr" },
	{ MADV_DONTFORK, "dc" },
	{ MADV_DONTDUMP, "dd" },
	{ MADV_WIPEONFORK, "wf" },
	{ MADV_HUGEPAGE, "hg" },
	{ MADV_NOHUGEPAGE, "nh" },
	{ MADV_MERGEABLE, "mg" },
};

SURVIVES(memory, madvise_flags_stay)
{
	char before[ARRAY_SIZE(advices)][256], after[256];
	char *area[ARRAY_SIZE(advices)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		/* apart from each other, so that they are not merged */
		area[i] = map_rw(3 * PAGE);
		V_SYS(mprotect(area[i] + 2 * PAGE, PAGE, PROT_NONE));
		if (madvise(area[i], 2 * PAGE, advices[i].advice))
			victim_fail(__LINE__, "madvise %s", advices[i].flag);
		fill(area[i], PAGE, i);
		V_CHECK(vm_flag(area[i], advices[i].flag));
		smaps(area[i], "VmFlags", before[i], sizeof(before[i]));
	}
	victim_ready();
	for (i = 0; i < ARRAY_SIZE(advices); i++) {
		smaps(area[i], "VmFlags", after, sizeof(after));
		/* soft-dirty bits are somebody else's */
		if (strcmp(before[i], after) && !strstr(before[i], " sd "))
			victim_fail(__LINE__, "%s: '%s', not '%s'", advices[i].flag, after,
				    before[i]);
		if (!vm_flag(area[i], advices[i].flag))
			victim_fail(__LINE__, "%s is gone", advices[i].flag);
		CHECK_FILLED(area[i], PAGE, i);
	}
}

SURVIVES(memory, names_of_anonymous_areas_stay)
{
	char *area = map_rw(4 * PAGE), text[4096 * 8];
	int err;

	err = prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area, 4 * PAGE, "my area");
	victim_ready();
	if (err)
		return;
	V_CHECK(read_text("/proc/self/maps", text, sizeof(text)) > 0);
	V_CHECK(strstr(text, "[anon:my area]"));
}

SURVIVES(memory, thp_disable_stays)
{
	V_SYS(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	victim_ready();
	V_EQUAL(1, prctl(PR_GET_THP_DISABLE, 0, 0, 0, 0));
}

/* ---- the process's view of itself ---- */

SURVIVES(memory, the_vdso_stays_where_it_was)
{
	unsigned long vdso = getauxval(AT_SYSINFO_EHDR);
	char text[4096 * 8], line[32];
	int64_t before, after;

	V_CHECK(vdso);
	before = now_ns(CLOCK_MONOTONIC);
	victim_ready();
	V_EQUAL(0, memcmp((void *)vdso, "\177ELF", 4));
	V_CHECK(read_text("/proc/self/maps", text, sizeof(text)) > 0);
	snprintf(line, sizeof(line), "\n%lx-", vdso);
	V_CHECK(strstr(text, line));
	V_CHECK(strstr(text, "[vdso]"));
	V_CHECK(strstr(text, "[vvar]"));

	/* and its code agrees with the kernel's */
	struct timespec ts;

	after = now_ns(CLOCK_MONOTONIC);
	V_CHECK(after >= before);
	V_SYS(syscall(__NR_clock_gettime, CLOCK_MONOTONIC, &ts));
	V_CHECK(ts.tv_sec * 1000000000LL + ts.tv_nsec >= after);
	V_CHECK(ts.tv_sec * 1000000000LL + ts.tv_nsec < after + 5000000000LL);
}

SURVIVES(memory, command_line_and_environment_stay)
{
	char before[4096], after[4096];
	ssize_t len;

	len = read_text("/proc/self/cmdline", before, sizeof(before));
	V_CHECK(len > 0);
	victim_ready();
	V_EQUAL(len, read_text("/proc/self/cmdline", after, sizeof(after)));
	V_EQUAL(0, memcmp(before, after, len));
}

SURVIVES(memory, the_initial_environment_stays)
{
	char before[8192], after[8192];
	ssize_t len;

	len = read_text("/proc/self/environ", before, sizeof(before));
	V_CHECK(len > 0);
	victim_ready();
	V_EQUAL(len, read_text("/proc/self/environ", after, sizeof(after)));
	V_EQUAL(0, memcmp(before, after, len));
}

SURVIVES(memory, the_auxiliary_vector_stays)
{
	char before[4096], after[4096];
	ssize_t len;

	len = read_text("/proc/self/auxv", before, sizeof(before));
	V_CHECK(len > 0);
	victim_ready();
	V_EQUAL(len, read_text("/proc/self/auxv", after, sizeof(after)));
	V_EQUAL(0, memcmp(before, after, len));
}

/* ---- seen from outside ---- */

/* /proc/PID/maps as it is, sizes of the areas and all. */
static char *read_maps(pid_t pid)
{
	size_t size = 8 * MB;
	char *text = malloc(size), path[32];

	snprintf(path, sizeof(path), "/proc/%d/maps", pid);
	if (read_text(path, text, size) <= 0)
		text[0] = '\0';
	return text;
}

/* Where two texts differ, for people. */
static bool same_text(const char *before, const char *after)
{
	size_t i = 0, line;

	if (!strcmp(before, after))
		return true;
	while (before[i] && before[i] == after[i])
		i++;
	for (line = i; line && before[line - 1] != '\n'; line--)
		;
	test_log("before: %.*s", (int)strcspn(before + line, "\n"), before + line);
	test_log("after:  %.*s", (int)strcspn(after + line, "\n"), after + line);
	return false;
}

VICTIM(all_kinds_of_areas)
{
	static const int prots[] = {
		PROT_NONE, PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC,
		PROT_EXEC, PROT_READ | PROT_WRITE | PROT_EXEC,
	};
	size_t i;
	int fd;

	make_file("data", 16 * PAGE, 1);
	for (i = 0; i < ARRAY_SIZE(prots); i++) {
		map(2 * PAGE, prots[i], 0);
		map_file("data", 2 * PAGE, prots[i], MAP_PRIVATE, i * PAGE);
	}
	map_file("data", 4 * PAGE, PROT_READ, MAP_SHARED, 3 * PAGE);
	map_file("data", 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, 8 * PAGE);
	fd = V_SYS(memfd_create("an area", 0));
	V_SYS(ftruncate(fd, 8 * PAGE));
	V_CHECK(mmap(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 4 * PAGE) != MAP_FAILED);
	V_CHECK(mmap(NULL, 4 * PAGE, PROT_READ, MAP_PRIVATE, fd, 0) != MAP_FAILED);
	V_CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, -1, 0) != MAP_FAILED);
	victim_ready();
}

TEST_F(memory, the_map_of_the_process_stays_the_same)
{
	char *before, *after;

	ASSERT_EQ(0, victim_start(&self->v, "all_kinds_of_areas"));
	before = read_maps(self->v.pid);
	ASSERT_NE('\0', before[0]);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	after = read_maps(self->v.pid);

	/* inode numbers of unnamed memory files are not kept */
	char *one = before, *two = after;
	char a[4096], b[4096];

	while (*one || *two) {
		char *name;

		snprintf(a, sizeof(a), "%.*s", (int)strcspn(one, "\n"), one);
		snprintf(b, sizeof(b), "%.*s", (int)strcspn(two, "\n"), two);
		one += strcspn(one, "\n") + (one[strcspn(one, "\n")] == '\n');
		two += strcspn(two, "\n") + (two[strcspn(two, "\n")] == '\n');
		name = strstr(a, "/memfd:") ?: strstr(a, "/dev/zero");
		if (name) {
			char *other = strstr(b, name);
			unsigned long skip[2];
			char perms[2][8];

			ASSERT_NE(NULL, other);
			ASSERT_EQ(2, sscanf(a, "%*s %7s %lx", perms[0], &skip[0]));
			ASSERT_EQ(2, sscanf(b, "%*s %7s %lx", perms[1], &skip[1]));
			EXPECT_STREQ(perms[0], perms[1]);
			EXPECT_EQ(skip[0], skip[1]);
			EXPECT_EQ(0, strncmp(a, b, strcspn(a, " ")));
			continue;
		}
		EXPECT_TRUE(same_text(a, b));
	}
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* As many areas as the default limit allows, none mergeable with the next. */
#define MANY_AREAS	10000

VICTIM(many_areas)
{
	char *area = map(2 * MANY_AREAS * PAGE, PROT_NONE, 0);
	size_t i;

	for (i = 0; i < MANY_AREAS; i++) {
		V_SYS(mprotect(area + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE));
		*(size_t *)(area + 2 * i * PAGE) = i;
	}
	victim_ready();
	for (i = 0; i < MANY_AREAS; i++)
		V_EQUAL(i, *(size_t *)(area + 2 * i * PAGE));
}

TEST_F(memory, ten_thousand_areas_survive)
{
	char *before, *after;

	ASSERT_EQ(0, victim_start(&self->v, "many_areas"));
	before = read_maps(self->v.pid);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	after = read_maps(self->v.pid);
	EXPECT_TRUE(same_text(before, after));
	if (!dry_run())
		EXPECT_LE(2ULL * MANY_AREAS, self->v.stats.vmas);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- memory that is never writable and executable, for the caller ---- */

#ifndef PR_SET_MDWE
#define PR_SET_MDWE			65
#define PR_GET_MDWE			66
#define PR_MDWE_REFUSE_EXEC_GAIN	1
#endif

VICTIM(asks_for_executable_memory)
{
	char *area = map(PAGE, PROT_READ | PROT_WRITE, 0);

	V_EQUAL(0, V_SYS(prctl(PR_GET_MDWE, 0, 0, 0, 0)));
	victim_ready();
	V_EQUAL(PR_MDWE_REFUSE_EXEC_GAIN, V_SYS(prctl(PR_GET_MDWE, 0, 0, 0, 0)));
	V_EQUAL(-1, mprotect(area, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC));
}

VICTIM(has_executable_memory)
{
	map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, 0);
	victim_ready();
}

TEST_F(memory, what_forbids_executable_memory_binds_the_restarted)
{
	struct victim other;

	REQUIRE_RESTART();
	victim_init(&other);
	ASSERT_EQ(0, victim_start_and_save(&self->v, "asks_for_executable_memory"));
	ASSERT_EQ(0, victim_start_and_save(&other, "has_executable_memory"));
	ASSERT_EQ(0, prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
	EXPECT_EQ(-EACCES, victim_try_restart(&other, 0));
	victim_cleanup(&other);
}

CKPT_TEST_MAIN
