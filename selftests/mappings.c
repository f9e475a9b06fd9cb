// SPDX-License-Identifier: GPL-2.0
/*
 * Promises about mappings that show only when they are used, or when more than one
 * process has them.  What one process sees of its own memory is in memory.c.
 */
#include "ckpt_memory.h"
#include "ckpt_tree.h"

CKPT_TREE_FIXTURE(mappings)

/* ---- memory of several processes ---- */

static volatile char *map_file(const char *name, int flags, size_t len)
{
	char *map;
	int fd;

	fd = V_SYS(open(file_name(name), O_RDWR | O_CREAT, 0600));
	V_SYS(ftruncate(fd, len));
	map = mmap(NULL, len, PROT_READ | PROT_WRITE, flags, fd, 0);
	V_CHECK(map != MAP_FAILED);
	close(fd);
	return map;
}

/* The child has mapped it by itself, elsewhere. */
TREE_SURVIVES(mappings, a_file_that_two_have_mapped_is_shared)
{
	volatile char *map = map_file("file", MAP_SHARED, 4 * PAGE);
	int status;

	map[0] = 'p';
	if (!V_SYS(fork())) {
		munmap((void *)map, 4 * PAGE);
		map_rw(PAGE);
		map = map_file("file", MAP_SHARED, 4 * PAGE);
		map[PAGE] = 'r';
		while (map[1] != 'g')
			sleep_ms(1);
		map[2] = 'c';
		_exit(map[0] != 'p');
	}
	while (map[PAGE] != 'r')
		sleep_ms(1);
	victim_ready();
	map[1] = 'g';
	V_SYS(wait(&status));
	V_EQUAL(0, status);
	V_EQUAL('c', map[2]);
}

#define MEGABYTES	16

VICTIM(shared_memory_of_a_family)
{
	volatile char *area = mmap(NULL, MEGABYTES << 20, PROT_READ | PROT_WRITE,
				   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	int status, i;

	V_CHECK(area != MAP_FAILED);
	fill((char *)area + PAGE, (MEGABYTES << 20) - PAGE, 7);
	for (i = 0; i < 4; i++)
		if (!V_SYS(fork())) {
			while (area[0] != 'g')
				sleep_ms(1);
			area[1 + i] = 'c';
			_exit(0);
		}
	victim_ready();
	area[0] = 'g';
	for (i = 0; i < 4; i++)
		V_SYS(wait(&status));
	for (i = 0; i < 4; i++)
		V_EQUAL('c', area[1 + i]);
	CHECK_FILLED((char *)area + PAGE, (MEGABYTES << 20) - PAGE, 7);
}

TEST_F(mappings, shared_memory_is_stored_once)
{
	struct victim *v = &self->v;

	if (dry_run())
		SKIP(return, "nothing to see in a dry run");
	ASSERT_EQ(0, victim_start(v, "shared_memory_of_a_family"));
	ASSERT_EQ(0, victim_checkpoint(v, variant->restart ? CHECKPOINT_KILL : 0));
	EXPECT_LT((uint64_t)MEGABYTES << 20, v->stats.bytes);
	/* What five processes have of their own is small. */
	EXPECT_GT((uint64_t)(MEGABYTES + 8) << 20, v->stats.bytes);
	if (variant->restart) {
		reap_all();
		v->alive = false;
		ASSERT_EQ(0, victim_restart(v));
	}
	EXPECT_EQ(0, victim_finish(v));
}

/* ---- advice about fork ---- */

TREE_SURVIVES(mappings, advice_about_fork_is_followed)
{
	char *kept = map_rw(PAGE), *wiped = map_rw(PAGE), *left_out = map_rw(PAGE);
	unsigned char seen;
	int status;

	V_SYS(madvise(wiped, PAGE, MADV_WIPEONFORK));
	V_SYS(madvise(left_out, PAGE, MADV_DONTFORK));
	*kept = *wiped = *left_out = 'x';
	victim_ready();
	V_EQUAL('x', *kept);
	V_EQUAL('x', *wiped);
	V_EQUAL('x', *left_out);
	if (!V_SYS(fork())) {
		if (*kept != 'x' || *wiped)
			_exit(1);
		_exit(!mincore(left_out, PAGE, &seen) || errno != ENOMEM ? 2 : 0);
	}
	V_SYS(wait(&status));
	V_EQUAL(0, status);
}

/* ---- sealed memory of all kinds ---- */

#ifndef __NR_mseal
#define __NR_mseal	462
#endif

TREE_SURVIVES(mappings, sealed_memory_of_all_kinds)
{
	char *area = map_rw(8 * PAGE), *shared;
	volatile char *file = map_file("file", MAP_PRIVATE, 2 * PAGE);

	shared = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	fill(area, 8 * PAGE, 3);
	shared[0] = 's';
	file[0] = 'f';
	V_SYS(mprotect(area + 2 * PAGE, 2 * PAGE, PROT_READ));
	V_SYS(mprotect(area + 4 * PAGE, 2 * PAGE, PROT_NONE));
	if (syscall(__NR_mseal, area + PAGE, 6 * PAGE, 0)) {
		V_EQUAL(ENOSYS, errno);
		victim_cannot();
	}
	V_SYS(syscall(__NR_mseal, shared, 2 * PAGE, 0));
	V_SYS(syscall(__NR_mseal, file, 2 * PAGE, 0));
	victim_ready();
	CHECK_FILLED(area, 4 * PAGE, 3);
	V_EQUAL('s', shared[0]);
	V_EQUAL('f', file[0]);
	area[PAGE] = shared[PAGE] = file[PAGE] = 'w';
	V_EQUAL(-1, mprotect(area + 2 * PAGE, PAGE, PROT_READ | PROT_WRITE));
	V_EQUAL(EPERM, errno);
	V_EQUAL(-1, munmap(area + 4 * PAGE, PAGE));
	V_EQUAL(-1, munmap(shared, PAGE));
	V_EQUAL(-1, munmap((void *)file, PAGE));
	V_EQUAL(-1, mprotect(area + 6 * PAGE, PAGE, PROT_NONE));
	V_SYS(munmap(area, PAGE));
	V_SYS(munmap(area + 7 * PAGE, PAGE));
}

/* ---- stacks ---- */

/* MAP_GROWSDOWN memory that has grown by faults, and goes on to. */
TREE_SURVIVES(mappings, memory_that_has_grown_down)
{
	char *area, *bottom;
	int i;

	area = mmap(NULL, 2 << 20, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_SYS(munmap(area, 2 << 20));
	bottom = area + (2 << 20) - PAGE;
	V_CHECK(mmap(bottom, PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN | MAP_FIXED_NOREPLACE,
		     -1, 0) == bottom);
	for (i = 0; i < 20; i++)
		bottom[-(i * PAGE)] = 'a' + i;
	victim_ready();
	for (i = 0; i < 20; i++)
		V_EQUAL('a' + i, bottom[-(i * PAGE)]);
	for (; i < 26; i++)
		bottom[-(i * PAGE)] = 'a' + i;
	victim_ready();
	for (i = 0; i < 26; i++)
		V_EQUAL('a' + i, bottom[-(i * PAGE)]);
}

CKPT_TEST_MAIN
