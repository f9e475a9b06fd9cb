// SPDX-License-Identifier: GPL-2.0
/*
 * Huge pages of hugetlbfs: mmap(MAP_HUGETLB) and memfd_create(MFD_HUGETLB).
 */
#include <linux/memfd.h>
#include <sys/shm.h>

#include "ckpt_memory.h"
#include "ckpt_hostile.h"
#include "ckpt_chain.h"
#include "ckpt_tree.h"

#define PAGES	12

#define NR_HUGE	"/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages"
#define RESERVED "/sys/kernel/mm/hugepages/hugepages-2048kB/resv_hugepages"
#define FREE	"/sys/kernel/mm/hugepages/hugepages-2048kB/free_hugepages"

static long number(const char *path)
{
	char text[32];

	return read_text(path, text, sizeof(text)) > 0 ? atol(text) : -1;
}

static bool want_pages(int nr)
{
	char text[16];

	snprintf(text, sizeof(text), "%d", nr);
	return !write_text(NR_HUGE, text) && number(NR_HUGE) == nr;
}

#define REQUIRE_PAGES()							\
	do {								\
		if (!want_pages(PAGES))					\
			SKIP(return, "no huge pages to be had");	\
	} while (0)

FIXTURE(hugetlb) { struct victim v; };
CKPT_TWICE(hugetlb);
FIXTURE_SETUP(hugetlb)
{
	REQUIRE_CHECKPOINT();
	REQUIRE_PAGES();
	victim_init(&self->v);
}

/* Nothing may be left reserved or in use. */
FIXTURE_TEARDOWN(hugetlb)
{
	victim_cleanup(&self->v);
	EXPECT_TRUE(WAIT_FOR(number(FREE) == PAGES));
	EXPECT_EQ(0, number(RESERVED));
	want_pages(0);
}

static char *map_hugetlb(int flags, size_t len)
{
	char *area = mmap(NULL, len, PROT_READ | PROT_WRITE,
			  MAP_ANONYMOUS | MAP_HUGETLB | flags, -1, 0);

	V_CHECK(area != MAP_FAILED);
	return area;
}

/* Whether it has huge pages, as smaps tells of the mapping at @area. */
static long smaps_of(const void *area, const char *field)
{
	char line[512], start[32];
	bool here = false;
	long value = -1;
	FILE *in = fopen("/proc/self/smaps", "re");

	snprintf(start, sizeof(start), "%lx-", (long)area);
	while (in && fgets(line, sizeof(line), in)) {
		if (!strncmp(line, start, strlen(start)))
			here = true;
		if (here && !strncmp(line, field, strlen(field))) {
			value = atol(strchr(line, ':') + 1);
			break;
		}
	}
	if (in)
		fclose(in);
	return value;
}

/* A page with contents, one with a single byte, one of zeros, one never touched. */
static void scribble(char *area)
{
	long *word = (long *)area;
	size_t i;

	for (i = 0; i < HUGE / sizeof(long); i++)
		word[i] = i * 0x9e3779b97f4a7c15;
	area[HUGE + 4096 * 300 + 17] = 'x';
	area[2 * HUGE] = 0;
}

static void check_scribble(const char *area)
{
	const long *word = (long *)area;
	size_t i;

	for (i = 0; i < HUGE / sizeof(long); i++)
		V_EQUAL(i * 0x9e3779b97f4a7c15, word[i]);
	for (i = HUGE; i < 2 * HUGE; i++)
		V_EQUAL(i == HUGE + 4096 * 300 + 17 ? 'x' : 0, area[i]);
	for (i = 2 * HUGE; i < 4 * HUGE; i += 512)
		V_EQUAL(0, area[i]);
}

SURVIVES(hugetlb, private_memory_keeps_its_contents_and_its_pages)
{
	char *area = map_hugetlb(MAP_PRIVATE, 4 * HUGE);

	scribble(area);
	victim_ready();
	V_EQUAL(2048, smaps_of(area, "KernelPageSize"));
	check_scribble(area);
	area[3 * HUGE] = 'y';
	victim_ready();
	V_EQUAL('y', area[3 * HUGE]);
	area[3 * HUGE] = 0;
	check_scribble(area);
	V_SYS(munmap(area, 4 * HUGE));
}

SURVIVES(hugetlb, shared_memory_keeps_its_contents)
{
	char *area = map_hugetlb(MAP_SHARED, 4 * HUGE);

	scribble(area);
	victim_ready();
	V_EQUAL(2048, smaps_of(area, "KernelPageSize"));
	check_scribble(area);
}

SURVIVES(hugetlb, what_is_reserved_stays_reserved)
{
	char *area = map_hugetlb(MAP_PRIVATE, 3 * HUGE);
	char *other = map_hugetlb(MAP_SHARED, 3 * HUGE);
	char *none = map_hugetlb(MAP_PRIVATE | MAP_NORESERVE, 3 * HUGE);

	area[0] = other[0] = 'x';
	V_EQUAL(4, number(RESERVED));
	victim_ready();
	V_EQUAL(4, number(RESERVED));
	V_EQUAL('x', area[0]);
	V_EQUAL('x', other[0]);
	V_EQUAL(10, number(FREE));
	area[HUGE] = other[HUGE] = none[HUGE] = 'y';
	V_EQUAL(2, number(RESERVED));
}

SURVIVES(hugetlb, parts_of_a_mapping_stay)
{
	char *area = map_hugetlb(MAP_PRIVATE, 4 * HUGE);
	char *other = map_hugetlb(MAP_SHARED, 4 * HUGE);

	memset(area, 'a', 4 * HUGE);
	memset(other, 'b', 4 * HUGE);
	V_SYS(munmap(area + HUGE, HUGE));
	V_SYS(munmap(other, HUGE));
	V_SYS(mprotect(other + 2 * HUGE, HUGE, PROT_READ));
	V_SYS(madvise(other + 3 * HUGE, HUGE, MADV_DONTFORK));
	victim_ready();
	V_EQUAL('a', area[HUGE - 1]);
	V_EQUAL('a', area[2 * HUGE]);
	V_EQUAL('a', area[4 * HUGE - 1]);
	V_EQUAL('b', other[HUGE]);
	V_EQUAL('b', other[3 * HUGE - 1]);
	V_EQUAL('b', other[4 * HUGE - 1]);
	V_CHECK(mmap(area + HUGE, HUGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS |
		     MAP_FIXED_NOREPLACE, -1, 0) == area + HUGE);
}

SURVIVES(hugetlb, a_memfd_keeps_contents_size_and_seals)
{
	int fd = V_SYS(memfd_create("huge", MFD_HUGETLB | MFD_HUGE_2MB | MFD_ALLOW_SEALING));
	char *area, *again;
	struct stat st;

	V_SYS(ftruncate(fd, 4 * HUGE));
	V_SYS(fchmod(fd, 0640));
	area = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	scribble(area);
	V_SYS(fcntl(fd, F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK));
	victim_ready();
	check_scribble(area);
	V_EQUAL(F_SEAL_GROW | F_SEAL_SHRINK, fcntl(fd, F_GET_SEALS));
	V_SYS(fstat(fd, &st));
	V_EQUAL(4 * HUGE, st.st_size);
	V_EQUAL(HUGE, st.st_blksize);
	V_EQUAL(0640, st.st_mode & 07777);
	again = mmap(NULL, HUGE, PROT_READ, MAP_SHARED, fd, 0);
	V_CHECK(again != MAP_FAILED);
	area[5] = 'z';
	V_EQUAL('z', again[5]);
}

SURVIVES(hugetlb, a_memfd_that_is_not_mapped_keeps_its_contents)
{
	int fd = V_SYS(memfd_create("huge", MFD_HUGETLB));
	char *area;

	V_SYS(ftruncate(fd, 4 * HUGE));
	area = mmap(NULL, 4 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	scribble(area);
	V_SYS(munmap(area, 4 * HUGE));
	victim_ready();
	area = mmap(NULL, 4 * HUGE, PROT_READ, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	check_scribble(area);
}

SURVIVES(hugetlb, a_private_mapping_of_a_memfd_keeps_both_contents)
{
	int fd = V_SYS(memfd_create("huge", MFD_HUGETLB));
	char *shared, *private;

	V_SYS(ftruncate(fd, 2 * HUGE));
	shared = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	private = mmap(NULL, 2 * HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	V_CHECK(shared != MAP_FAILED && private != MAP_FAILED);
	shared[0] = shared[HUGE] = 's';
	private[0] = 'p';
	V_EQUAL('s', private[HUGE]);
	victim_ready();
	V_EQUAL('s', shared[0]);
	V_EQUAL('p', private[0]);
	V_EQUAL('s', private[HUGE]);
}

SURVIVES(hugetlb, a_segment_keeps_its_contents)
{
	int id = V_SYS(shmget(0x4711, 2 * HUGE, IPC_CREAT | IPC_EXCL | SHM_HUGETLB | 0600));
	char *area = shmat(id, NULL, 0), *again;
	struct shmid_ds ds;

	V_CHECK(area != (void *)-1);
	fill(area, HUGE, 5);
	V_EQUAL(1, number(RESERVED));
	victim_ready();
	V_EQUAL(2048, smaps_of(area, "KernelPageSize"));
	CHECK_FILLED(area, HUGE, 5);
	V_CHECK(all_zero(area + HUGE, HUGE));
	V_EQUAL(id, shmget(0x4711, 0, 0));
	V_SYS(shmctl(id, IPC_STAT, &ds));
	V_EQUAL(1, ds.shm_nattch);
	V_EQUAL(2 * HUGE, ds.shm_segsz);
	again = shmat(id, NULL, 0);
	V_CHECK(again != (void *)-1);
	again[HUGE] = 'x';
	V_EQUAL('x', area[HUGE]);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	/* which is gone now, if the process is killed */
	victim_ready();
	CHECK_FILLED(again, HUGE, 5);
	V_EQUAL('x', again[HUGE]);
	again[0] = 'y';
	V_EQUAL('y', area[0]);
	V_SYS(shmdt(area));
	V_SYS(shmdt(again));
	V_EQUAL(-1, shmctl(id, IPC_STAT, &ds));
}

FIXTURE(hugetlb_one) { struct victim v; };
FIXTURE_SETUP(hugetlb_one)
{
	REQUIRE_REAL_CHECKPOINT();
	REQUIRE_PAGES();
	ASSERT_EQ(0, tree_adopt());
	victim_init(&self->v);
}

FIXTURE_TEARDOWN(hugetlb_one)
{
	victim_cleanup(&self->v);
	EXPECT_TRUE(WAIT_FOR(number(FREE) == number(NR_HUGE)));
	want_pages(0);
}

VICTIM(shares_huge_pages_with_a_child)
{
	volatile char *area = map_hugetlb(MAP_SHARED, HUGE);
	int status;

	area[0] = 'p';
	if (!V_SYS(fork())) {
		while (area[1] != 'g')
			sleep_ms(1);
		area[2] = 'c';
		_exit(area[0] != 'p');
	}
	victim_ready();
	area[1] = 'g';
	V_SYS(wait(&status));
	V_EQUAL(0, status);
	V_EQUAL('c', area[2]);
}

/* Stored once, too. */
TEST_F(hugetlb_one, parent_and_child_go_on_sharing)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, victim_start(v, "shares_huge_pages_with_a_child"));
	ASSERT_EQ(0, victim_checkpoint(v, CHECKPOINT_KILL));
	while (waitpid(-1, NULL, 0) > 0)
		;
	v->alive = false;
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(0, victim_finish(v));
}

VICTIM(has_huge_pages)
{
	char *area = map_hugetlb(MAP_PRIVATE, 3 * HUGE);
	char *other = map_hugetlb(MAP_SHARED, 3 * HUGE);

	memset(area, 'a', 3 * HUGE);
	memset(other, 'b', 3 * HUGE);
	victim_ready();
	V_EQUAL('a', area[3 * HUGE - 1]);
	V_EQUAL('b', other[3 * HUGE - 1]);
}

TEST_F(hugetlb_one, a_restart_says_how_many_pages_are_missing)
{
	struct victim *v = &self->v;

	ASSERT_EQ(0, victim_start_and_save(v, "has_huge_pages"));
	ASSERT_TRUE(WAIT_FOR(want_pages(5)));
	EXPECT_EQ(-ENOMEM, victim_try_restart(v, 0));
	EXPECT_NE(NULL, strstr(v->log, "3 huge pages of 2048 kB are needed here and 2 are free"));
	EXPECT_NE(NULL, strstr(v->log, "nr_hugepages by 1"));
	EXPECT_TRUE(WAIT_FOR(number(FREE) == 5));
	ASSERT_TRUE(want_pages(6));
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(0, number(FREE));
	EXPECT_EQ(0, victim_finish(v));
}

VICTIM(writes_to_huge_pages)
{
	char *area = map_hugetlb(MAP_PRIVATE, 3 * HUGE);
	char *other = map_hugetlb(MAP_SHARED, 3 * HUGE);
	int i;

	memset(area, 'a', HUGE);
	memset(other, 'b', 2 * HUGE);
	victim_ready();
	for (i = 0; i < 4; i++) {
		area[i * 4096 + 1] = '0' + i;
		other[HUGE + i * 4096 + 1] = '0' + i;
		area[2 * HUGE + i] = 'n';
		victim_ready();
	}
	for (i = 0; i < 4; i++) {
		V_EQUAL('a', area[i * 4096]);
		V_EQUAL('0' + i, area[i * 4096 + 1]);
		V_EQUAL('b', other[HUGE + i * 4096]);
		V_EQUAL('0' + i, other[HUGE + i * 4096 + 1]);
		V_EQUAL('n', area[2 * HUGE + i]);
	}
	V_EQUAL('a', area[HUGE - 1]);
	V_EQUAL('b', other[2 * HUGE - 1]);
	V_EQUAL(0, area[HUGE]);
	V_EQUAL(0, other[2 * HUGE]);
}

static const uint32_t trackers[] = {
	CHECKPOINT_TRACKER_SHADOW, CHECKPOINT_TRACKER_WRITE_PROTECT, CHECKPOINT_TRACKER_NONE,
};

TEST_F(hugetlb_one, increments_have_them)
{
	struct victim *v = &self->v;
	unsigned int nr, i;

	for (nr = 0; nr < sizeof(trackers) / sizeof(trackers[0]); nr++) {
		struct chain c = { .tracker = trackers[nr] };

		if (!have_tracker(c.tracker))
			continue;
		ASSERT_EQ(0, victim_start(v, "writes_to_huge_pages"));
		for (i = 0; i < 4; i++) {
			ASSERT_EQ(0, chain_image(v, &c, 0));
			ASSERT_EQ(0, victim_next(v));
		}
		ASSERT_EQ(0, chain_image(v, &c, 0));
		ASSERT_EQ(0, victim_kill(v));
		ASSERT_EQ(0, chain_restart(v, &c));
		EXPECT_EQ(0, victim_finish(v));
	}
}

#define HOSTILE(name, change)						\
	TEST_F(hugetlb_one, hostile_##name)				\
	{								\
		struct ckpt_shmem *shmem;				\
		struct ckpt_vma *vma;					\
		struct image img;					\
									\
		ASSERT_EQ(0, victim_image(&self->v, "has_huge_pages", &img)); \
		shmem = find(&img, CKPT_REC_SHMEM, 0);			\
		ASSERT_NE(NULL, shmem);					\
		vma = find_huge(&img, shmem);				\
		ASSERT_NE(NULL, vma);					\
		ASSERT_TRUE(image_is_good(&self->v, &img));		\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
		free(img.data);						\
	}

/* The mapping of the first object. */
static struct ckpt_vma *find_huge(struct image *img, struct ckpt_shmem *shmem)
{
	uint32_t file = ((struct ckpt_rec *)shmem)[-1].objref;
	struct ckpt_file_shmem *f;
	struct ckpt_vma *vma;
	int i;

	for (i = 0; i < img->nr; i++)
		if (rec_at(img, i)->type == CKPT_REC_FILE) {
			struct ckpt_file *head = payload_at(img, i);

			f = (void *)(head + 1);
			if (!strcmp((char *)head->type, "shmem") && f->shmem == file) {
				file = rec_at(img, i)->objref;
				break;
			}
		}
	for (i = 0; (vma = find(img, CKPT_REC_VMA, i)); i++)
		if (vma->file == file)
			return vma;
	return NULL;
}

#define LOG(n)	((shmem->flags & ~CKPT_SHMEM_HUGE_MASK) | (uint32_t)(n) << CKPT_SHMEM_HUGE_SHIFT)

HOSTILE(pages_of_no_size, shmem->flags = LOG(1))
HOSTILE(pages_of_the_usual_size, shmem->flags = LOG(12))
HOSTILE(pages_of_all_memory, shmem->flags = LOG(63))
HOSTILE(pages_not_huge, shmem->flags = LOG(0))
HOSTILE(half_a_page, shmem->size -= HUGE / 2)
HOSTILE(larger_than_all_files, shmem->size = 1ULL << 63)
HOSTILE(segment, shmem->flags |= CKPT_SHMEM_SYSV)
HOSTILE(name, shmem->name[0] = 'x')
HOSTILE(mapping_of_half_a_page, vma->end -= HUGE / 2)
HOSTILE(mapping_of_nearly_a_page, vma->start += 4096)
HOSTILE(crooked_offset, vma->offset = 4096)

CKPT_TEST_MAIN
