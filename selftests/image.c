// SPDX-License-Identifier: GPL-2.0
/*
 * The image: that it is what <linux/checkpoint_image.h> says, and that every
 * damaged, truncated, foreign or hostile one is refused without leaving anything
 * behind.
 *
 * CKPT_TEST_SEED in the environment repeats a run of the random tests, and
 * CKPT_TEST_COUNT says how many changes they try.
 */
#include <elf.h>
#include <pthread.h>
#include <sys/time.h>
#include <sys/user.h>
#include <linux/checkpoint_image.h>

#include "ckpt_test.h"
#include "ckpt_hostile.h"
#include "ckpt_leak.h"

#define KERNEL_ADDRESS	0xffffffff81000000UL

/* ---- a process with something of everything ---- */

#define PATTERN_ADDR	0x20000000UL
#define PATTERN_PAGES	5
/* memory that is never touched, below all that has contents */
#define EMPTY_ADDR	0x1000000UL
#define EMPTY_PAGES	1024

static uint64_t pattern(size_t i)
{
	return i * 0x9e3779b97f4a7c15ULL + 1;
}

static void *second_thread(void *arg)
{
	struct timespec ts = { 1000, 0 };

	vpage->word[0] = gettid();
	nanosleep(&ts, NULL);
	return NULL;
}

VICTIM(rich)
{
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1 };
	struct itimerspec posix = { .it_value.tv_sec = 1000, .it_interval.tv_sec = 1 };
	struct itimerval it = { .it_value.tv_sec = 1000, .it_interval.tv_sec = 7 };
	char path[128], stack[8192];
	uint64_t *area, *empty, all = ~0ULL;
	stack_t alt = { .ss_sp = stack, .ss_size = sizeof(stack) };
	pthread_t thread;
	int fd, id;
	size_t i;

	area = mmap((void *)PATTERN_ADDR, PATTERN_PAGES * PAGE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	V_CHECK((uintptr_t)area == PATTERN_ADDR);
	for (i = 0; i < PATTERN_PAGES * PAGE / 8; i++)
		area[i] = pattern(i);
	empty = mmap((void *)EMPTY_ADDR, EMPTY_PAGES * PAGE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	V_CHECK((uintptr_t)empty == EMPTY_ADDR);
	snprintf(path, sizeof(path), "%s/file", victim_dir);
	fd = V_SYS(open(path, O_RDWR | O_CREAT, 0644));
	V_CHECK(write(fd, "contents", 8) == 8);
	V_SYS(dup(fd));
	V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY));
	fd = V_SYS(memfd_create("memory", MFD_ALLOW_SEALING));
	V_SYS(ftruncate(fd, 3 * PAGE));
	V_CHECK(pwrite(fd, "shared", 6, PAGE) == 6);
	V_CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, PAGE) != MAP_FAILED);
	V_SYS(prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, area, PAGE, "named") && 0);
	V_SYS(sigaltstack(&alt, NULL));
	V_SYS(syscall(__NR_rt_sigprocmask, SIG_SETMASK, &all, NULL, 8));
	V_EQUAL(0, pthread_create(&thread, NULL, second_thread, NULL));
	while (!proc_in_syscall(getpid(), vpage->word[0], __NR_clock_nanosleep))
		sleep_ms(1);
	V_SYS(sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 1 }));
	V_SYS(sigqueue(getpid(), SIGRTMIN, (union sigval) { .sival_int = 2 }));
	V_EQUAL(0, pthread_kill(pthread_self(), SIGUSR2));
	V_SYS(syscall(__NR_timer_create, CLOCK_MONOTONIC, &event, &id));
	V_SYS(syscall(__NR_timer_settime, id, 0, &posix, NULL));
	V_SYS(setitimer(ITIMER_REAL, &it, NULL));
	victim_ready();
	for (i = 0; i < PATTERN_PAGES * PAGE / 8; i++)
		V_EQUAL(pattern(i), area[i]);
	for (i = 0; i < EMPTY_PAGES * PAGE / 8; i++)
		V_EQUAL(0, empty[i]);
}

/* ---- fixture: the image of a dead process ---- */

CKPT_IMAGE_FIXTURE(image, rich)

/* ---- structure ---- */

TEST_F(image, records_fill_the_image_and_have_right_checksums)
{
	struct image *img = &self->img;
	int i;

	ASSERT_LT(20, img->nr);
	for (i = 0; i < img->nr; i++) {
		struct ckpt_rec *rec = rec_at(img, i);

		EXPECT_EQ(0, img->off[i] % 8);
		EXPECT_EQ(0, rec->length % 8);
		EXPECT_EQ(1, rec->version);
		EXPECT_EQ(0, rec->flags & ~CKPT_REC_F_OPTIONAL);
		EXPECT_EQ(rec_crc(rec), rec->crc);
		if (rec->type != CKPT_REC_PAGES && rec->type != CKPT_REC_TRAILER)
			EXPECT_GE(CKPT_REC_MAX_LENGTH, rec->length);
		EXPECT_EQ(i == 0, rec->type == CKPT_REC_HEADER);
		EXPECT_EQ(i == img->nr - 1, rec->type == CKPT_REC_TRAILER);
	}
	EXPECT_EQ(img->len, self->v.stats.bytes);
	EXPECT_EQ((uint64_t)img->nr, self->v.stats.records);
}

TEST_F(image, header_describes_the_process_and_the_machine)
{
	struct ckpt_header *h = find(&self->img, CKPT_REC_HEADER, 0);
	static const uint8_t zero[CKPT_UUID_SIZE];
	int64_t now = now_ns(CLOCK_REALTIME);

	ASSERT_NE(NULL, h);
	EXPECT_EQ(0, memcmp(h->magic, CKPT_IMAGE_MAGIC, 8));
	EXPECT_EQ(CKPT_IMAGE_VERSION, h->version);
	EXPECT_EQ(EM_X86_64, h->arch);
	EXPECT_EQ(PAGE, h->page_size);
	EXPECT_EQ(0, h->flags);
	EXPECT_NE(0, memcmp(h->uuid, zero, sizeof(zero)));
	EXPECT_EQ(0, memcmp(h->parent_uuid, zero, sizeof(zero)));
	EXPECT_EQ(0, h->sequence);
	EXPECT_GE(now, (int64_t)h->time_ns);
	EXPECT_LT(now - 100000000000LL, (int64_t)h->time_ns);
	EXPECT_GE(now_ns(CLOCK_MONOTONIC), (int64_t)h->monotonic_ns);
	EXPECT_GE(now_ns(CLOCK_BOOTTIME), (int64_t)h->boottime_ns);
	EXPECT_LE(h->monotonic_ns, h->boottime_ns);
	EXPECT_LE(PAGE, h->vdso_size);
	EXPECT_EQ(2, h->nr_tasks);
	EXPECT_NE(0, h->root);
	EXPECT_NE('\0', h->release[0]);
	EXPECT_NE(NULL, memchr(h->release, 0, sizeof(h->release)));
	EXPECT_NE(NULL, memchr(h->hostname, 0, sizeof(h->hostname)));
	EXPECT_STREQ("victim", (char *)h->comm);
}

TEST_F(image, two_images_have_different_uuids)
{
	struct ckpt_header *h = find(&self->img, CKPT_REC_HEADER, 0), *other;
	struct image img;

	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, load_image(&img, self->v.image));
	other = find(&img, CKPT_REC_HEADER, 0);
	EXPECT_NE(0, memcmp(h->uuid, other->uuid, CKPT_UUID_SIZE));
}

TEST_F(image, trailer_indexes_the_pages)
{
	struct image *img = &self->img;
	struct ckpt_trailer *t = payload_at(img, img->nr - 1);
	struct ckpt_trailer_end *end = trailer_end(img);
	struct ckpt_header *h = payload_at(img, 0);
	size_t n = 0;
	int i;

	ASSERT_EQ(rec_at(img, img->nr - 1)->length,
		  sizeof(*t) + t->nr_index * sizeof(t->index[0]) + sizeof(*end));
	for (i = 0; i < img->nr; i++) {
		struct ckpt_rec *rec = rec_at(img, i);
		struct ckpt_pages *pages = payload_at(img, i);
		struct ckpt_run *last;

		if (rec->type != CKPT_REC_PAGES)
			continue;
		ASSERT_LT(n, t->nr_index);
		last = &pages->runs[pages->nr_runs - 1];
		EXPECT_EQ(img->off[i], t->index[n].offset);
		EXPECT_EQ(rec->objref, t->index[n].objref);
		EXPECT_EQ(pages->nr_pages, t->index[n].nr_pages);
		EXPECT_EQ(pages->runs[0].addr, t->index[n].first);
		EXPECT_EQ(last->addr + (last->nr_pages - 1) * PAGE, t->index[n].last);
		n++;
	}
	EXPECT_EQ(n, t->nr_index);
	EXPECT_EQ(0, memcmp(end->magic, CKPT_TRAILER_MAGIC, 8));
	EXPECT_EQ(0, memcmp(end->uuid, h->uuid, CKPT_UUID_SIZE));
	EXPECT_EQ((uint64_t)img->nr, end->nr_records);
	EXPECT_EQ(img->len, end->image_bytes);
	EXPECT_EQ(img->off[img->nr - 1], end->trailer_offset);
	EXPECT_EQ(chain_crc(img), end->crc);
}

TEST_F(image, pages_are_aligned_in_order_and_complete)
{
	struct image *img = &self->img;
	bool pages_began = false;
	uint64_t found = 0;
	int i;

	for (i = 0; i < img->nr - 1; i++) {
		struct ckpt_rec *rec = rec_at(img, i);
		struct ckpt_pages *pages = payload_at(img, i);
		const uint8_t *data = (uint8_t *)pages + pages->data_offset;
		uint64_t end = 0, sum = 0;
		unsigned int j;

		if (rec->type != CKPT_REC_PAGES) {
			EXPECT_FALSE(pages_began);
			continue;
		}
		pages_began = true;
		ASSERT_LT(0, pages->nr_runs);
		ASSERT_GE(CKPT_PAGES_MAX_RUNS, pages->nr_runs);
		ASSERT_GE(CKPT_PAGES_MAX_PAGES, pages->nr_pages);
		EXPECT_EQ(0, (data - img->data) % PAGE);
		EXPECT_EQ(rec->length, pages->data_offset + pages->nr_pages * PAGE);
		for (j = 0; j < pages->nr_runs; j++) {
			struct ckpt_run *run = &pages->runs[j];
			size_t k, len = run->nr_pages * PAGE;

			EXPECT_EQ(0, run->addr % PAGE);
			EXPECT_LE(end, run->addr);
			EXPECT_LT(0, run->nr_pages);
			EXPECT_EQ(0, run->reserved);
			end = run->addr + len;
			if (run->kind == CKPT_RUN_ZERO) {
				EXPECT_EQ(0, run->hash);
				continue;
			}
			EXPECT_EQ(CKPT_RUN_DATA, run->kind);
			EXPECT_GE(CKPT_RUN_MAX_PAGES, run->nr_pages);
			EXPECT_EQ(XXH64(data, len, 0), run->hash);
			sum += run->nr_pages;
			/* the contents the victim put there */
			for (k = 0; k < len; k += 8) {
				uint64_t addr = run->addr + k - PATTERN_ADDR;

				if (addr >= PATTERN_PAGES * PAGE)
					continue;
				ASSERT_EQ(pattern(addr / 8), *(uint64_t *)(data + k));
				found++;
			}
			data += len;
		}
		EXPECT_EQ(sum, pages->nr_pages);
	}
	EXPECT_EQ(PATTERN_PAGES * PAGE / 8, found);
}

TEST_F(image, every_kind_of_record_is_there)
{
	static const uint32_t types[] = {
		CKPT_REC_PROCESS, CKPT_REC_THREAD, CKPT_REC_REGSET, CKPT_REC_CREDS,
		CKPT_REC_SCHED, CKPT_REC_RLIMITS, CKPT_REC_USAGE, CKPT_REC_SIGHAND,
		CKPT_REC_SIGNALS, CKPT_REC_SIGQUEUE, CKPT_REC_RESTART_BLOCK,
		CKPT_REC_ITIMERS, CKPT_REC_POSIX_TIMER, CKPT_REC_MM, CKPT_REC_VMA,
		CKPT_REC_SHMEM, CKPT_REC_FILES, CKPT_REC_FD, CKPT_REC_FILE, CKPT_REC_FS,
		CKPT_REC_PATH,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_LE(0, find_rec(&self->img, types[i], 0))
			test_log("no record of type %#x", types[i]);
	EXPECT_LE(0, find_rec(&self->img, CKPT_REC_THREAD, 1));
	EXPECT_EQ(-1, find_rec(&self->img, CKPT_REC_THREAD, 2));
}

/* The kernel's and this program's idea of checksums are the same. */
TEST_F(image, an_image_sealed_again_is_the_same_and_restarts)
{
	uint8_t *copy = malloc(self->img.len);

	memcpy(copy, self->img.data, self->img.len);
	seal(&self->img);
	ASSERT_EQ(0, memcmp(copy, self->img.data, self->img.len));
	ASSERT_EQ(self->v.pid, try_image(&self->v, &self->img, 0))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(image, a_long_run_of_zeros_is_restored)
{
	struct ckpt_run run = {
		.addr = EMPTY_ADDR,
		.nr_pages = EMPTY_PAGES,
		.kind = CKPT_RUN_ZERO,
	};

	insert_first_run(&self->img, &run);
	ASSERT_EQ(self->v.pid, try_image(&self->v, &self->img, 0))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- damaged images ---- */

TEST_F(image, every_truncation_is_refused)
{
	struct image *img = &self->img;
	struct memory_use before;
	static const int around[] = { -8, -1, 0, 1, 8, 24, 100 };
	int tried = 0;
	size_t j;
	long ret;
	int i;

	read_memory_use(&before);
	for (i = 0; i < img->nr; i++)
		for (j = 0; j < ARRAY_SIZE(around); j++) {
			ssize_t len = (ssize_t)img->off[i] + around[j];

			if (len < 0 || len >= (ssize_t)img->len)
				continue;
			ret = try_bytes(&self->v, img->data, len, RESTART_LEAVE_STOPPED);
			end_restarted(&self->v, ret);
			ASSERT_TRUE(ret == -EBADMSG || ret == -ENOEXEC)
				test_log("%zd of %zu bytes: %ld", len, img->len, ret);
			ASSERT_NE('\0', self->v.log[0]);
			tried++;
		}
	ret = try_bytes(&self->v, img->data, img->len - 1, RESTART_LEAVE_STOPPED);
	EXPECT_EQ(-EBADMSG, ret);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
	EXPECT_TRUE(nothing_left(&before, tried * 8 / 10));
	test_log("%d truncations at the boundaries of %d records", tried, img->nr);
}

TEST_F(image, a_thousand_random_bit_flips_are_refused)
{
	int i, count = the_count(1000), bit;
	struct image *img = &self->img;
	struct memory_use before;
	size_t byte;
	long ret;

	srandom(the_seed());
	for (i = 0; i < count + 20; i++) {
		if (i == 20)
			read_memory_use(&before);
		/* most of the image is page contents: half of them elsewhere */
		byte = random() % (i % 2 ? img->len : img->off[find_rec(img, CKPT_REC_PAGES, 0)]);
		bit = random() % 8;
		img->data[byte] ^= 1 << bit;
		ret = try_image(&self->v, img, RESTART_LEAVE_STOPPED);
		img->data[byte] ^= 1 << bit;
		end_restarted(&self->v, ret);
		ASSERT_TRUE(is_refusal(ret))
			test_log("bit %d of byte %zu: %ld", bit, byte, ret);
		ASSERT_EQ(-1, kill(self->v.pid, 0));
	}
	EXPECT_TRUE(nothing_left(&before, count * 8 / 10));

	/* and the kernel is still able to restart it */
	ASSERT_EQ(self->v.pid, try_image(&self->v, img, 0))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* An image whose end is that of another one. */
TEST_F(image, a_mixture_of_two_images_is_refused)
{
	struct image *img = &self->img, other;
	size_t len;

	ASSERT_EQ(0, victim_restart(&self->v));
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, load_image(&other, self->v.image));
	len = img->off[find_rec(img, CKPT_REC_PAGES, 0)];
	if (len > other.len)
		len = other.len / 2;
	memcpy(other.data, img->data, len);
	EXPECT_TRUE(is_refusal(try_image(&self->v, &other, 0)))
		show_log(self->v.log);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

TEST_F(image, records_that_are_missing_or_doubled_are_refused)
{
	struct image *img = &self->img;
	int i, ok = 0;
	long ret;

	/* a record made unknown and optional is as good as missing */
	for (i = 1; i < img->nr; i++) {
		struct ckpt_rec *rec = rec_at(img, i), saved = *rec;

		if (rec->type == CKPT_REC_PAGES)
			break;
		rec->type = 0x7eee;
		rec->flags |= CKPT_REC_F_OPTIONAL;
		seal(img);
		ret = try_image(&self->v, img, RESTART_LEAVE_STOPPED);
		*rec = saved;
		end_restarted(&self->v, ret);
		/* of some there may be any number */
		if (ret == self->v.pid) {
			ok++;
			switch (saved.type) {
			case CKPT_REC_SIGQUEUE:
			case CKPT_REC_RESTART_BLOCK:
			case CKPT_REC_POSIX_TIMER:
			case CKPT_REC_ITIMERS:
			case CKPT_REC_SHMEM:
				continue;
			}
		}
		EXPECT_GT(0, ret)
			test_log("without record %d of type %#x: %ld", i, saved.type, ret);
		EXPECT_EQ(-1, kill(self->v.pid, 0));
	}
	EXPECT_GT(20, ok);
}

/* ---- images of other kernels and machines ---- */

/* Change something, make the checksums right, expect an error. */
#define FOREIGN(name, error, change)					\
	TEST_F(image, name)						\
	{								\
		struct image *img = &self->img;				\
		struct ckpt_header *h = payload_at(img, 0);		\
		struct ckpt_rec *rec = rec_at(img, 1);			\
									\
		(void)h;						\
		(void)rec;						\
		change;							\
		EXPECT_EQ(-(error), try_changed(&self->v, img,		\
						RESTART_LEAVE_STOPPED))	\
			show_log(self->v.log);				\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	}

FOREIGN(another_magic_is_enoexec, ENOEXEC, h->magic[7] = '\r')
FOREIGN(a_later_format_is_enoexec, ENOEXEC, h->version = CKPT_IMAGE_VERSION + 1)
FOREIGN(another_architecture_is_enoexec, ENOEXEC, h->arch = EM_AARCH64)
FOREIGN(another_page_size_is_enoexec, ENOEXEC, h->page_size = 16384)
FOREIGN(another_vdso_is_enoexec, ENOEXEC, h->vdso_crc ^= 1)
FOREIGN(a_vdso_of_another_size_is_enoexec, ENOEXEC, h->vdso_size += PAGE)
FOREIGN(unknown_cpu_features_are_enoexec, ENOEXEC, h->xfeatures |= 1ULL << 61)
FOREIGN(an_increment_without_its_parent_is_refused, EINVAL,
	(h->parent_uuid[3] = 1, h->sequence = 1))
FOREIGN(a_parent_of_a_full_image_is_refused, EBADMSG, h->parent_uuid[3] = 1)
FOREIGN(unknown_header_flags_are_refused, EOPNOTSUPP, h->flags = 1)
FOREIGN(a_later_version_of_a_record_is_refused, EOPNOTSUPP, rec->version = 2)
FOREIGN(unknown_record_flags_are_refused, EBADMSG, rec->flags = 0x8000)

TEST_F(image, an_unknown_mandatory_record_is_refused_by_its_number)
{
	insert_record(&self->img, 0x7abc, 1, 0);
	EXPECT_EQ(-EOPNOTSUPP, try_image(&self->v, &self->img, 0));
	EXPECT_NE(NULL, strcasestr(self->v.log, "7abc"))
		show_log(self->v.log);
	EXPECT_EQ(-1, kill(self->v.pid, 0));
}

TEST_F(image, an_unknown_optional_record_is_skipped)
{
	insert_record(&self->img, 0x7abc, 1, CKPT_REC_F_OPTIONAL);
	ASSERT_EQ(self->v.pid, try_image(&self->v, &self->img, 0))
		show_log(self->v.log);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- images made to do harm ---- */

/*
 * Right checksums, insane values.  @must_fail: there has to be an error; else a
 * process may come into being that has the value and bears the consequences
 * itself.  In no case may the kernel suffer: whoever runs this looks at its log.
 */
#define HOSTILE(name, must_fail, type, nth, change)			\
	TEST_F(image, hostile_##name)					\
	{								\
		struct image *img = &self->img;				\
		int nr = find_rec(img, type, nth);			\
		struct ckpt_rec *rec;					\
		union {							\
			void *any;					\
			struct ckpt_process *process;			\
			struct ckpt_rec_thread *thread;			\
			struct ckpt_creds *creds;			\
			struct ckpt_sched *sched;			\
			struct ckpt_rlimits *rlimits;			\
			struct ckpt_usage *usage;			\
			struct ckpt_sighand *sighand;			\
			struct ckpt_signals *signals;			\
			struct ckpt_sigqueue *sigqueue;			\
			struct ckpt_restart_block *block;		\
			struct ckpt_itimers *itimers;			\
			struct ckpt_posix_timer *timer;			\
			struct ckpt_mm *mm;				\
			struct ckpt_vma *vma;				\
			struct ckpt_shmem *shmem;			\
			struct ckpt_files *files;			\
			struct ckpt_fd *fd;				\
			struct ckpt_file *file;				\
			struct ckpt_fs *fs;				\
			struct ckpt_path *path;				\
			struct ckpt_pages *pages;			\
			struct ckpt_regset *regset;			\
		} p;							\
		long ret;						\
									\
		ASSERT_LE(0, nr);					\
		rec = rec_at(img, nr);					\
		p.any = payload_at(img, nr);				\
		(void)rec;						\
		(void)p;						\
		change;							\
		ret = try_changed(&self->v, img, must_fail ?		\
				  RESTART_LEAVE_STOPPED : 0);		\
		if (must_fail) {					\
			EXPECT_GT(0, ret);				\
			EXPECT_NE('\0', self->v.log[0]);		\
		}							\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	}

#define DANGLING 0x00ffffff

/* references */
HOSTILE(mm_reference_dangling, true, CKPT_REC_PROCESS, 0, p.process->mm = DANGLING)
HOSTILE(mm_reference_none, true, CKPT_REC_PROCESS, 0, p.process->mm = 0)
HOSTILE(mm_reference_to_files, true, CKPT_REC_PROCESS, 0, p.process->mm = p.process->files)
HOSTILE(files_reference_to_mm, true, CKPT_REC_PROCESS, 0, p.process->files = p.process->mm)
HOSTILE(fs_reference_to_mm, true, CKPT_REC_PROCESS, 0, p.process->fs = p.process->mm)
HOSTILE(sighand_reference_dangling, true, CKPT_REC_PROCESS, 0, p.process->sighand = DANGLING)
HOSTILE(process_reference_to_thread, true, CKPT_REC_THREAD, 1, p.thread->process = rec->objref)
HOSTILE(process_refers_to_itself, true, CKPT_REC_PROCESS, 0,
	p.process->mm = p.process->files = p.process->fs = p.process->sighand = rec->objref)
HOSTILE(object_defined_twice, true, CKPT_REC_THREAD, 1,
	rec->objref = rec_at(img, find_rec(img, CKPT_REC_THREAD, 0))->objref)
HOSTILE(fd_refers_to_its_table, true, CKPT_REC_FD, 0, p.fd->file = rec->objref)
HOSTILE(vma_file_dangling, true, CKPT_REC_VMA, 0,
	p.vma->type = CKPT_VMA_FILE; p.vma->file = DANGLING)
HOSTILE(vma_file_is_the_mm, true, CKPT_REC_VMA, 0,
	p.vma->type = CKPT_VMA_FILE; p.vma->file = rec->objref)
HOSTILE(exe_is_no_file, true, CKPT_REC_MM, 0, p.mm->exe = rec->objref)
HOSTILE(root_directory_is_a_table, true, CKPT_REC_FS, 0, p.fs->root = rec->objref)
HOSTILE(working_directory_dangling, true, CKPT_REC_FS, 0, p.fs->pwd = DANGLING)

/* process and thread IDs */
HOSTILE(pid_zero, true, CKPT_REC_PROCESS, 0, p.process->pid = 0)
HOSTILE(pid_negative, true, CKPT_REC_PROCESS, 0, p.process->pid = -5)
HOSTILE(pid_of_init, true, CKPT_REC_PROCESS, 0, p.process->pid = 1)
HOSTILE(tid_zero, true, CKPT_REC_THREAD, 1, p.thread->tid = 0)
HOSTILE(tid_huge, true, CKPT_REC_THREAD, 1, p.thread->tid = 0x7fffffff)
HOSTILE(tid_twice, true, CKPT_REC_THREAD, 1,
	p.thread->tid = ((struct ckpt_rec_thread *)find(img, CKPT_REC_THREAD, 0))->tid)
HOSTILE(thread_count, true, CKPT_REC_PROCESS, 0, p.process->nr_threads = 1000000)

/* addresses that the kernel reads or writes on behalf of the thread */
HOSTILE(rseq_in_the_kernel, true, CKPT_REC_THREAD, 0, p.thread->rseq = KERNEL_ADDRESS)
HOSTILE(rseq_misaligned, true, CKPT_REC_THREAD, 0, p.thread->rseq += 1)
HOSTILE(rseq_length, true, CKPT_REC_THREAD, 0, p.thread->rseq_len = 8)
HOSTILE(clear_child_tid_in_the_kernel, false, CKPT_REC_THREAD, 1,
	p.thread->clear_child_tid = KERNEL_ADDRESS)
HOSTILE(robust_list_in_the_kernel, false, CKPT_REC_THREAD, 1,
	p.thread->robust_list = KERNEL_ADDRESS)
HOSTILE(death_signal, true, CKPT_REC_THREAD, 0, p.thread->pdeath_signal = 1000)
HOSTILE(thread_flags, true, CKPT_REC_THREAD, 0, p.thread->flags = 0xffff0000)

/* registers */
#define USER_REGS(p) ((struct user_regs_struct *)((char *)(p).any + (p).regset->data_offset))
#define NTH_REGS 0

HOSTILE(instruction_pointer_in_the_kernel, false, CKPT_REC_REGSET, NTH_REGS,
	ASSERT_EQ(NT_PRSTATUS, p.regset->note); USER_REGS(p)->rip = KERNEL_ADDRESS)
HOSTILE(instruction_pointer_not_canonical, false, CKPT_REC_REGSET, NTH_REGS,
	USER_REGS(p)->rip = 0x8000000000000000)
HOSTILE(stack_pointer_in_the_kernel, false, CKPT_REC_REGSET, NTH_REGS,
	USER_REGS(p)->rsp = KERNEL_ADDRESS)
HOSTILE(stack_pointer_not_canonical, false, CKPT_REC_REGSET, NTH_REGS,
	USER_REGS(p)->rsp = 0x7fffffffffffffff)
HOSTILE(kernel_code_segment, true, CKPT_REC_REGSET, NTH_REGS, USER_REGS(p)->cs = 0x10)
HOSTILE(kernel_stack_segment, true, CKPT_REC_REGSET, NTH_REGS, USER_REGS(p)->ss = 0x18)
HOSTILE(other_segments, false, CKPT_REC_REGSET, NTH_REGS, USER_REGS(p)->ds = 0xfff3)
HOSTILE(privileged_flags, false, CKPT_REC_REGSET, NTH_REGS, USER_REGS(p)->eflags = ~0ULL)
HOSTILE(fs_base_in_the_kernel, true, CKPT_REC_REGSET, NTH_REGS,
	USER_REGS(p)->fs_base = KERNEL_ADDRESS)
HOSTILE(gs_base_in_the_kernel, true, CKPT_REC_REGSET, NTH_REGS,
	USER_REGS(p)->gs_base = KERNEL_ADDRESS)
HOSTILE(system_call_number, false, CKPT_REC_REGSET, NTH_REGS, USER_REGS(p)->orig_rax = 1L << 40)
HOSTILE(register_set_too_short, true, CKPT_REC_REGSET, 0, p.regset->size = 8)
HOSTILE(register_set_outside, true, CKPT_REC_REGSET, 0, p.regset->data_offset = 0x7ffffff8)
HOSTILE(register_set_unknown, true, CKPT_REC_REGSET, 0, p.regset->note = 0x777)
HOSTILE(extended_state_components, true, CKPT_REC_REGSET, 1,
	p.regset->nr_components = 0x10000000)
HOSTILE(extended_state_offset, true, CKPT_REC_REGSET, 1,
	ASSERT_LT(0, p.regset->nr_components); p.regset->components[0].offset = 0xfffffff0)
/* reserved bits of MXCSR fault when they are loaded */
HOSTILE(mxcsr, true, CKPT_REC_REGSET, 1,
	*(uint32_t *)((char *)p.any + p.regset->data_offset + 24) = ~0)
HOSTILE(xsave_header, true, CKPT_REC_REGSET, 1,
	memset((char *)p.any + p.regset->data_offset + 512 + 8, 0xff, 56))

/* address space */

/* The number of the first record of a mapping of a file. */
static int file_vma(struct image *img)
{
	struct ckpt_vma *vma;
	int nth;

	for (nth = 0; (vma = find(img, CKPT_REC_VMA, nth)); nth++)
		if (vma->type == CKPT_VMA_FILE)
			return nth;
	return 0;
}

/* The number of the first record of a shared mapping. */
static int shared_vma(struct image *img)
{
	struct ckpt_vma *vma;
	int nth;

	for (nth = 0; (vma = find(img, CKPT_REC_VMA, nth)); nth++)
		if (vma->flags & CKPT_VMA_F_SHARED)
			return nth;
	return 0;
}

HOSTILE(area_ends_before_it_begins, true, CKPT_REC_VMA, 2,
	uint64_t start = p.vma->start; p.vma->start = p.vma->end; p.vma->end = start)
HOSTILE(area_is_empty, true, CKPT_REC_VMA, 2, p.vma->end = p.vma->start)
HOSTILE(area_not_aligned, true, CKPT_REC_VMA, 2, p.vma->start += 1)
HOSTILE(areas_overlap, true, CKPT_REC_VMA, 2,
	p.vma->start = ((struct ckpt_vma *)find(img, CKPT_REC_VMA, 1))->start)
HOSTILE(areas_out_of_order, true, CKPT_REC_VMA, 2, p.vma->start = PAGE * 16; p.vma->end = PAGE * 17)
HOSTILE(area_in_the_kernel, true, CKPT_REC_VMA, 2, p.vma->start = KERNEL_ADDRESS;
	p.vma->end = KERNEL_ADDRESS + PAGE)
HOSTILE(area_over_everything, true, CKPT_REC_VMA, 2, p.vma->end = 0x7ffffffff000)
HOSTILE(area_shared_but_kept_out_of_checkpoints, true, CKPT_REC_VMA, shared_vma(img),
	p.vma->flags |= CKPT_VMA_F_DONTCKPT)
HOSTILE(area_of_unknown_type, true, CKPT_REC_VMA, 2, p.vma->type = 77)
HOSTILE(area_with_unknown_protection, true, CKPT_REC_VMA, 2, p.vma->prot = 0xffff)
HOSTILE(area_with_unknown_flags, true, CKPT_REC_VMA, 2, p.vma->flags = 0xfff00000)
HOSTILE(area_with_unknown_key, true, CKPT_REC_VMA, 2, p.vma->pkey = 99)
HOSTILE(area_with_endless_name, true, CKPT_REC_VMA, 2, p.vma->name_len = 0xffffffff)
HOSTILE(area_with_misaligned_offset, true, CKPT_REC_VMA, file_vma(img),
	ASSERT_EQ(CKPT_VMA_FILE, p.vma->type); p.vma->offset += 1)
HOSTILE(area_with_huge_offset, true, CKPT_REC_VMA, file_vma(img),
	ASSERT_EQ(CKPT_VMA_FILE, p.vma->type); p.vma->offset = 0xfffffffffffff000)
HOSTILE(two_vdsos, true, CKPT_REC_VMA, 2, p.vma->type = CKPT_VMA_VDSO)
HOSTILE(area_count, true, CKPT_REC_MM, 0, p.mm->nr_vmas = 0xffffffff)
HOSTILE(vdso_in_the_kernel, true, CKPT_REC_MM, 0, p.mm->vdso = KERNEL_ADDRESS)
HOSTILE(heap_in_the_kernel, true, CKPT_REC_MM, 0, p.mm->brk = p.mm->start_brk = KERNEL_ADDRESS)
HOSTILE(arguments_in_the_kernel, true, CKPT_REC_MM, 0,
	p.mm->arg_start = KERNEL_ADDRESS; p.mm->arg_end = KERNEL_ADDRESS + 100)
HOSTILE(search_base_in_the_kernel, true, CKPT_REC_MM, 0, p.mm->mmap_base = KERNEL_ADDRESS)
HOSTILE(auxiliary_vector_endless, true, CKPT_REC_MM, 0, p.mm->nr_auxv = 0x7ffffffe)
HOSTILE(dumpable_out_of_range, true, CKPT_REC_MM, 0, p.mm->dumpable = 77)
HOSTILE(keys_without_key_0, true, CKPT_REC_MM, 0, p.mm->pkeys = 0xfffe0000)
HOSTILE(address_space_flags, true, CKPT_REC_MM, 0, p.mm->flags = 0xffff0000)

/* page contents */
HOSTILE(pages_outside_of_areas, true, CKPT_REC_PAGES, 0, p.pages->runs[0].addr = PAGE)
HOSTILE(pages_in_the_kernel, true, CKPT_REC_PAGES, 0,
	p.pages->runs[p.pages->nr_runs - 1].addr = KERNEL_ADDRESS)
HOSTILE(pages_of_nothing, true, CKPT_REC_PAGES, 0, rec->objref = DANGLING)
HOSTILE(pages_of_the_process, true, CKPT_REC_PAGES, 0,
	rec->objref = rec_at(img, find_rec(img, CKPT_REC_PROCESS, 0))->objref)
HOSTILE(pages_in_no_run, true, CKPT_REC_PAGES, 0, p.pages->nr_runs = 0)
HOSTILE(pages_in_too_many_runs, true, CKPT_REC_PAGES, 0, p.pages->nr_runs = 0xffffffff)
HOSTILE(pages_without_end, true, CKPT_REC_PAGES, 0,
	p.pages->runs[0].nr_pages = p.pages->nr_pages = 0x7fffffff)
HOSTILE(pages_of_unknown_kind, true, CKPT_REC_PAGES, 0, p.pages->runs[0].kind = 77)
HOSTILE(pages_with_reserved_field, true, CKPT_REC_PAGES, 0, p.pages->runs[0].reserved = 1)
HOSTILE(pages_whose_data_are_elsewhere, true, CKPT_REC_PAGES, 0, p.pages->data_offset += PAGE)

/* Runs without contents: what is wrong with one of zeros that is all right else. */
#define HOSTILE_RUN(name, text, change)					\
	TEST_F(image, hostile_run_##name)				\
	{								\
		struct ckpt_run run = {					\
			.addr = EMPTY_ADDR,				\
			.nr_pages = EMPTY_PAGES,			\
			.kind = CKPT_RUN_ZERO,				\
		};							\
									\
		change;							\
		insert_first_run(&self->img, &run);				\
		EXPECT_EQ(-EBADMSG, try_changed(&self->v, &self->img,	\
						RESTART_LEAVE_STOPPED)); \
		EXPECT_NE(NULL, strstr(self->v.log, text))		\
			show_log(self->v.log);				\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	}

HOSTILE_RUN(of_no_kind, "bad page table", run.kind = 0)
HOSTILE_RUN(of_unknown_kind, "bad page table", run.kind = CKPT_RUN_PARENT + 1)
HOSTILE_RUN(of_a_parent_in_a_full_image, "bad page table", run.kind = CKPT_RUN_PARENT)
HOSTILE_RUN(with_reserved_field, "bad page table", run.reserved = 1)
HOSTILE_RUN(of_zeros_with_a_checksum, "bad page table", run.hash = 1)
HOSTILE_RUN(of_no_pages, "bad page table", run.nr_pages = 0)
HOSTILE_RUN(beyond_the_last_address, "bad page table", run.addr = -PAGE)
HOSTILE_RUN(in_no_mapping, "where there is no private memory", run.addr -= PAGE)
HOSTILE_RUN(longer_than_its_mapping, "where there is no private memory", run.nr_pages++)
HOSTILE_RUN(over_everything, "where there is no private memory", run.nr_pages = 0xffffffff)
HOSTILE_RUN(in_the_kernel, "where there is no private memory",
	    run.addr = KERNEL_ADDRESS; run.nr_pages = 1)

/* shared memory */
HOSTILE(shared_memory_without_end, false, CKPT_REC_SHMEM, 0, p.shmem->size = 1ULL << 62)
HOSTILE(shared_memory_of_negative_size, true, CKPT_REC_SHMEM, 0, p.shmem->size = -PAGE)
HOSTILE(shared_memory_with_unknown_seals, true, CKPT_REC_SHMEM, 0, p.shmem->seals = 0xffff0000)
HOSTILE(shared_memory_with_endless_name, true, CKPT_REC_SHMEM, 0, p.shmem->name_len = 0x7fffffff)
HOSTILE(shared_memory_too_small_for_its_pages, true, CKPT_REC_SHMEM, 0, p.shmem->size = 8)

/* files */
HOSTILE(fd_negative, true, CKPT_REC_FD, 2, p.fd->fd = -1)
HOSTILE(fd_huge, true, CKPT_REC_FD, 2, p.fd->fd = 0x3fffffff)
HOSTILE(fd_twice, true, CKPT_REC_FD, 2, p.fd->fd = 0)
HOSTILE(fd_flags, true, CKPT_REC_FD, 2, p.fd->flags = 0xfffe)
HOSTILE(fd_count, true, CKPT_REC_FILES, 0, p.files->nr_fds = 0xffffffff)
HOSTILE(file_of_unknown_kind, true, CKPT_REC_FILE, 0, p.file->type[0] = '?')
HOSTILE(file_kind_without_end, true, CKPT_REC_FILE, 0, memset(p.file->type, 'x', 32))
HOSTILE(file_flags, true, CKPT_REC_FILE, 0, p.file->flags = ~0U)
HOSTILE(file_attributes, true, CKPT_REC_FILE, 0, p.file->attrs = 0xffff0000)
HOSTILE(path_without_end, true, CKPT_REC_PATH, 0,
	p.path->path[p.path->path_len - 1] = 'x')
HOSTILE(path_length, true, CKPT_REC_PATH, 0, p.path->path_len = 0xffffffff)
HOSTILE(path_empty, true, CKPT_REC_PATH, 0, p.path->path_len = 0)
HOSTILE(path_relative, true, CKPT_REC_PATH, 0, p.path->path[0] = 'x')
HOSTILE(umask, true, CKPT_REC_FS, 0, p.fs->umask = 0xffffffff)

/* signals and timers */
HOSTILE(handler_flags, true, CKPT_REC_SIGHAND, 0, p.sighand->action[9].flags = 1ULL << 50)
HOSTILE(handler_of_sigkill, true, CKPT_REC_SIGHAND, 0,
	p.sighand->action[SIGKILL - 1].handler = 0x1234)
HOSTILE(handler_in_the_kernel, false, CKPT_REC_SIGHAND, 0,
	p.sighand->action[SIGUSR1 - 1].handler = KERNEL_ADDRESS)
HOSTILE(alternate_stack_flags, true, CKPT_REC_SIGNALS, 0, p.signals->altstack_flags = 0x7777)
HOSTILE(alternate_stack_in_the_kernel, false, CKPT_REC_SIGNALS, 0,
	p.signals->altstack_sp = KERNEL_ADDRESS)
HOSTILE(signal_flags, true, CKPT_REC_SIGNALS, 0, p.signals->flags = 0x70000000)
HOSTILE(queue_count, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->nr = 0xffffffff)
HOSTILE(queue_empty, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->nr = 0)
HOSTILE(queued_signal_0, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->info[0].signo = 0)
HOSTILE(queued_signal_65, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->info[0].signo = 65)
HOSTILE(queued_signal_negative, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->info[0].signo = -1)
HOSTILE(queued_sigkill, true, CKPT_REC_SIGQUEUE, 0, p.sigqueue->info[0].signo = SIGKILL)
HOSTILE(interval_negative, true, CKPT_REC_ITIMERS, 0, p.itimers->real_interval = -1)
HOSTILE(interval_timer_flags, true, CKPT_REC_ITIMERS, 0, p.itimers->flags = 0x70000000)
HOSTILE(next_timer_id, true, CKPT_REC_ITIMERS, 0, p.itimers->next_timer_id = 0x80000000)
HOSTILE(timer_id_negative, true, CKPT_REC_POSIX_TIMER, 0, p.timer->id = -1)
HOSTILE(timer_clock, true, CKPT_REC_POSIX_TIMER, 0, p.timer->clock = 99)
HOSTILE(timer_notification, true, CKPT_REC_POSIX_TIMER, 0, p.timer->notify = 77)
HOSTILE(timer_signal, true, CKPT_REC_POSIX_TIMER, 0, p.timer->signo = 1000)
HOSTILE(timer_interval_negative, true, CKPT_REC_POSIX_TIMER, 0, p.timer->interval = -1)
HOSTILE(timer_flags, true, CKPT_REC_POSIX_TIMER, 0, p.timer->flags = 0x70000000)
HOSTILE(timer_deadline_far_away, false, CKPT_REC_POSIX_TIMER, 0, p.timer->deadline = INT64_MAX)
HOSTILE(restart_block_kind, true, CKPT_REC_RESTART_BLOCK, 0, p.block->kind = 99)
HOSTILE(restart_block_clock, true, CKPT_REC_RESTART_BLOCK, 0, p.block->clock = 1234567)
HOSTILE(restart_block_address, false, CKPT_REC_RESTART_BLOCK, 0, p.block->addr = KERNEL_ADDRESS)
HOSTILE(restart_block_deadline, false, CKPT_REC_RESTART_BLOCK, 0, p.block->deadline = INT64_MIN)

/* limits and scheduling */
HOSTILE(limit_above_its_maximum, true, CKPT_REC_RLIMITS, 0,
	p.rlimits->limits[3].max = 100; p.rlimits->limits[3].cur = 200)
HOSTILE(scheduling_policy, true, CKPT_REC_SCHED, 0, p.sched->policy = 99)
HOSTILE(nice_value, true, CKPT_REC_SCHED, 0, p.sched->nice = 100)
HOSTILE(real_time_priority, true, CKPT_REC_SCHED, 0,
	p.sched->policy = SCHED_FIFO; p.sched->priority = 1000)
HOSTILE(processor_count, true, CKPT_REC_SCHED, 0, p.sched->nr_cpus = 0xffffffff)
HOSTILE(io_priority, true, CKPT_REC_SCHED, 0, p.sched->ioprio = 0xffff)
HOSTILE(group_count, true, CKPT_REC_CREDS, 0, p.creds->nr_groups = 0x7fffffff)
HOSTILE(effective_beyond_permitted, true, CKPT_REC_CREDS, 0,
	p.creds->cap_permitted = 0; p.creds->cap_effective = 1)
HOSTILE(ambient_beyond_permitted, true, CKPT_REC_CREDS, 0,
	p.creds->cap_permitted = p.creds->cap_effective = 0; p.creds->cap_ambient = 1)
HOSTILE(cpu_time_without_end, true, CKPT_REC_USAGE, 0, p.usage->utime = ~0ULL)
HOSTILE(oom_adjustment, true, CKPT_REC_PROCESS, 0, p.process->oom_score_adj = 5000)

/* clocks */
TEST_F(image, hostile_clocks)
{
	const uint64_t late = 1000000000000000000ULL;
	const uint64_t values[] = { 0, INT64_MAX, 1ULL << 63, ~0ULL, late };
	struct ckpt_header *h = payload_at(&self->img, 0);
	size_t i;
	long ret;

	for (i = 0; i < ARRAY_SIZE(values); i++) {
		h->monotonic_ns = h->boottime_ns = h->monotonic_raw_ns = values[i];
		ret = try_changed(&self->v, &self->img, 0);
		/* at 0, before its threads began, or when the kernel cannot count so far */
		EXPECT_EQ(values[i] == late ? self->v.pid : -EBADMSG, ret)
			test_log("%#llx", (unsigned long long)values[i]);
	}
}

/*
 * Every word of the metadata set to the values that hurt most, some of the
 * possibilities at random.  Anything may come out of it, also a process, which is
 * ended before it does anything.
 */
TEST_F_TIMEOUT(image, random_insane_values_do_no_harm, 900)
{
	static const uint64_t values[] = {
		0, 1, 0x7fffffff, 0x80000000, 0xffffffff, 0x7fffffffffffffff,
		0x8000000000000000, ~0ULL, KERNEL_ADDRESS, 0x7ffffffff000, 0x1000,
		0xdeadbeefdeadbeef,
	};
	int i, count = the_count(1000), nr, first, refused = 0;
	struct image *img = &self->img;
	struct memory_use before;
	char path[128], text[64];
	ssize_t len;

	srandom(the_seed());
	first = find_rec(img, CKPT_REC_PAGES, 0);
	snprintf(path, sizeof(path), "%s/file", self->v.dir);
	len = read_text(path, text, sizeof(text));
	ASSERT_LT(0, len);
	for (i = 0; i < count + 20; i++) {
		struct ckpt_rec *rec;
		uint64_t *word, saved, value;

		if (i == 20)
			read_memory_use(&before);
		nr = 1 + random() % (first - 1);
		rec = rec_at(img, nr);
		word = (uint64_t *)payload_at(img, nr) + random() % (rec->length / 8);
		saved = *word;
		value = values[random() % ARRAY_SIZE(values)];
		/* the whole of it, or one half */
		switch (random() % 3) {
		case 0:
			*word = value;
			break;
		case 1:
			*word = (saved & ~0xffffffffULL) | (uint32_t)value;
			break;
		case 2:
			*word = (saved & 0xffffffffULL) | value << 32;
			break;
		}
		if (try_changed(&self->v, img, RESTART_LEAVE_STOPPED) <= 0)
			refused++;
		*word = saved;
	}
	seal(img);
	test_log("%d changes, %d refused", i, refused);
	EXPECT_TRUE(nothing_left(&before, count * 8 / 10));
	/* An image may say that the file was shorter, to which a restart goes back. */
	ASSERT_EQ(0, write_text(path, text));
	ASSERT_EQ(0, finish_from(&self->v, img));
}

/* Good restarts do not leak either. */
TEST_F(image, two_hundred_restarts_leave_nothing_behind)
{
	struct memory_use before;
	int i;

	for (i = 0; i < 220; i++) {
		if (i == 20)
			read_memory_use(&before);
		ASSERT_EQ(0, victim_restart(&self->v));
		ASSERT_EQ(0, victim_kill(&self->v));
	}
	EXPECT_TRUE(nothing_left(&before, 160));
}

CKPT_TEST_MAIN
