// SPDX-License-Identifier: GPL-2.0
/*
 * System V IPC: a restarted process finds the objects it uses under their IDs and
 * as they were, whether they have outlived it or have to be made again.
 */
#include <sys/ipc.h>
#include <sys/sem.h>
#include <sys/msg.h>
#include <sys/shm.h>

#include "ckpt_memory.h"
#include "ckpt_chain.h"
#include "ckpt_hostile.h"

/* How a process comes back: not at all, to objects that are there, or that are not. */
enum way { CONTINUED, RESTARTED, REBOOTED };

FIXTURE(sysv) { struct victim v; };
FIXTURE_VARIANT(sysv) { enum way way; };
FIXTURE_VARIANT_ADD(sysv, continued) { .way = CONTINUED };
FIXTURE_VARIANT_ADD(sysv, restarted) { .way = RESTARTED };
FIXTURE_VARIANT_ADD(sysv, rebooted) { .way = REBOOTED };

FIXTURE_SETUP(sysv)
{
	REQUIRE_CHECKPOINT();
	victim_init(&self->v);
}

/* What the process says its objects are, so that the test can do things to them. */
#define WORD_SHM	1
#define WORD_SEM	2
#define WORD_MSG	3

static int victim_object(struct victim *v, int word)
{
	return victim_word(v, word) - 1;
}

FIXTURE_TEARDOWN(sysv)
{
	victim_cleanup(&self->v);
}

/* Checkpoint it, and as it may be kill and restart it, without its objects. */
static long cycle(struct victim *v, int way)
{
	int shm = victim_object(v, WORD_SHM);
	int sem = victim_object(v, WORD_SEM);
	int msg = victim_object(v, WORD_MSG);
	long err;

	if (dry_run())
		return 0;
	err = way == CONTINUED ? victim_checkpoint(v, 0) : victim_save(v);
	if (err || way == CONTINUED)
		return err;
	if (way == REBOOTED) {
		if (shm >= 0)
			shmctl(shm, IPC_RMID, NULL);
		if (sem >= 0)
			semctl(sem, 0, IPC_RMID);
		if (msg >= 0)
			msgctl(msg, IPC_RMID, NULL);
	}
	return victim_restart(v);
}

#define LIVES(promise)	SURVIVES_BY(sysv, promise, cycle, variant->way)

#define SHM_NEXT_ID	"/proc/sys/kernel/shm_next_id"

/* One that no other test uses. */
#define KEY(n)		(0x4c435200 + (n))

static void put_text(char *mem, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		mem[i] = i * 31 + i / PAGE + seed;
}

static bool has_text(const char *mem, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (mem[i] != (char)(i * 31 + i / PAGE + seed))
			return false;
	return true;
}

static int new_segment(key_t key, size_t size, int flags)
{
	int id = V_SYS(shmget(key, size, IPC_CREAT | IPC_EXCL | flags));

	vpage->word[WORD_SHM] = id + 1;
	return id;
}

static void *attach(int id, int flags)
{
	void *mem = shmat(id, NULL, flags);

	V_CHECK(mem != (void *)-1);
	return mem;
}

static struct shmid_ds segment(int id)
{
	struct shmid_ds ds;

	memset(&ds, 0, sizeof(ds));
	V_SYS(shmctl(id, IPC_STAT, &ds));
	return ds;
}

static void same_segment(int id, const struct shmid_ds *before)
{
	struct shmid_ds now = segment(id);

	V_EQUAL(before->shm_perm.__key, now.shm_perm.__key);
	V_EQUAL(before->shm_perm.uid, now.shm_perm.uid);
	V_EQUAL(before->shm_perm.gid, now.shm_perm.gid);
	V_EQUAL(before->shm_perm.cuid, now.shm_perm.cuid);
	V_EQUAL(before->shm_perm.cgid, now.shm_perm.cgid);
	V_EQUAL(before->shm_perm.mode, now.shm_perm.mode);
	V_EQUAL(before->shm_perm.__seq, now.shm_perm.__seq);
	V_EQUAL(before->shm_segsz, now.shm_segsz);
	V_EQUAL(before->shm_atime, now.shm_atime);
	V_EQUAL(before->shm_dtime, now.shm_dtime);
	V_EQUAL(before->shm_ctime, now.shm_ctime);
	V_EQUAL(before->shm_cpid, now.shm_cpid);
	V_EQUAL(before->shm_lpid, now.shm_lpid);
	V_EQUAL(before->shm_nattch, now.shm_nattch);
}

/* Pages 0 and 2 of four have contents, the last one is not a whole page. */
#define SEGMENT_SIZE	(3 * PAGE + 100)

static void segment_with(key_t key, int rmid)
{
	struct shmid_ds ds;
	char *mem;
	int id;

	id = new_segment(key, SEGMENT_SIZE, 0640);
	mem = attach(id, 0);
	put_text(mem, PAGE, 1);
	put_text(mem + 2 * PAGE, PAGE + 100, 2);
	if (rmid)
		V_SYS(shmctl(id, IPC_RMID, NULL));
	ds = segment(id);
	victim_ready();
	same_segment(id, &ds);
	V_CHECK(has_text(mem, PAGE, 1));
	V_CHECK(all_zero(mem + PAGE, PAGE));
	V_CHECK(has_text(mem + 2 * PAGE, PAGE + 100, 2));
	put_text(mem + PAGE, PAGE, 3);
	if (key && !rmid)
		V_EQUAL(id, shmget(key, 0, 0));
	V_SYS(shmdt(mem));
	if (rmid) {
		V_EQUAL(-1, shmctl(id, IPC_STAT, &ds));
		return;
	}
	mem = attach(id, 0);
	V_CHECK(has_text(mem + PAGE, PAGE, 3));
	V_SYS(shmctl(id, IPC_RMID, NULL));
}

LIVES(attached_segment)
{
	segment_with(IPC_PRIVATE, false);
}

LIVES(segment_with_a_key)
{
	segment_with(KEY(1), false);
}

/* It does not outlive the process. */
LIVES(segment_marked_for_removal)
{
	segment_with(IPC_PRIVATE, true);
}

LIVES(segment_with_a_key_marked_for_removal)
{
	segment_with(KEY(2), true);
}

LIVES(segment_of_another_owner)
{
	struct shmid_ds ds;
	char *mem;
	int id;

	id = new_segment(IPC_PRIVATE, PAGE, 0600);
	mem = attach(id, 0);
	put_text(mem, PAGE, 1);
	ds = segment(id);
	ds.shm_perm.uid = 1234;
	ds.shm_perm.gid = 4321;
	ds.shm_perm.mode = 0664;
	V_SYS(shmctl(id, IPC_SET, &ds));
	V_SYS(shmctl(id, IPC_RMID, NULL));
	ds = segment(id);
	V_EQUAL(1234, ds.shm_perm.uid);
	victim_ready();
	same_segment(id, &ds);
	V_CHECK(has_text(mem, PAGE, 1));
}

/* The last one who attached or detached was a process that is gone. */
LIVES(segment_last_used_by_a_dead_process)
{
	struct shmid_ds ds;
	char *mem;
	pid_t child;
	int id;

	id = new_segment(IPC_PRIVATE, PAGE, 0600);
	mem = attach(id, 0);
	child = V_SYS(fork());
	if (!child)
		_exit(0);
	V_EQUAL(child, waitpid(child, NULL, 0));
	V_SYS(shmctl(id, IPC_RMID, NULL));
	ds = segment(id);
	V_EQUAL(child, ds.shm_lpid);
	victim_ready();
	same_segment(id, &ds);
	put_text(mem, PAGE, 1);
}

LIVES(locked_segment)
{
	struct shmid_ds ds;
	char *mem;
	int id;

	id = new_segment(IPC_PRIVATE, 2 * PAGE, 0600);
	mem = attach(id, 0);
	put_text(mem, 2 * PAGE, 1);
	V_SYS(shmctl(id, SHM_LOCK, NULL));
	ds = segment(id);
	V_CHECK(ds.shm_perm.mode & SHM_LOCKED);
	victim_ready();
	same_segment(id, &ds);
	V_CHECK(has_text(mem, 2 * PAGE, 1));
	V_SYS(shmctl(id, SHM_UNLOCK, NULL));
	ds = segment(id);
	V_CHECK(!(ds.shm_perm.mode & SHM_LOCKED));
	V_SYS(shmctl(id, IPC_RMID, NULL));
}

static bool writable(void *addr)
{
	char byte = 1;
	struct iovec local = { &byte, 1 }, remote = { addr, 1 };

	return process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == 1;
}

LIVES(pieces_of_an_attach)
{
	struct shmid_ds ds;
	char *mem;
	int id;

	id = new_segment(IPC_PRIVATE, 6 * PAGE, 0600);
	mem = attach(id, 0);
	put_text(mem, 6 * PAGE, 1);
	V_SYS(munmap(mem + 2 * PAGE, PAGE));
	V_SYS(mprotect(mem + 4 * PAGE, PAGE, PROT_READ));
	ds = segment(id);
	V_EQUAL(4, ds.shm_nattch);
	victim_ready();
	same_segment(id, &ds);
	V_CHECK(has_text(mem, 2 * PAGE, 1));
	V_CHECK(has_text(mem + 3 * PAGE, 3 * PAGE, 1 + 3));
	V_CHECK(!writable(mem + 2 * PAGE));
	V_CHECK(writable(mem + 3 * PAGE));
	V_CHECK(!writable(mem + 4 * PAGE));
	V_CHECK(writable(mem + 5 * PAGE));
	/* detaches all of them */
	V_SYS(shmdt(mem));
	ds = segment(id);
	V_EQUAL(0, ds.shm_nattch);
	V_CHECK(!writable(mem));
	V_CHECK(!writable(mem + 5 * PAGE));
	V_SYS(shmctl(id, IPC_RMID, NULL));
}

LIVES(attach_that_was_moved)
{
	struct shmid_ds ds;
	char *mem, *moved;
	int id;

	id = new_segment(IPC_PRIVATE, 4 * PAGE, 0600);
	mem = attach(id, 0);
	put_text(mem, 4 * PAGE, 1);
	moved = mmap(NULL, 16 * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(mremap(mem, 4 * PAGE, 4 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, moved + PAGE) ==
		moved + PAGE);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	ds = segment(id);
	victim_ready();
	same_segment(id, &ds);
	V_CHECK(has_text(moved + PAGE, 4 * PAGE, 1));
}

LIVES(read_only_attach_beside_another)
{
	char *mem, *again;
	int id;

	id = new_segment(IPC_PRIVATE, 2 * PAGE, 0600);
	mem = attach(id, 0);
	again = attach(id, SHM_RDONLY);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	put_text(mem, 2 * PAGE, 1);
	victim_ready();
	V_CHECK(has_text(again, 2 * PAGE, 1));
	V_CHECK(!writable(again));
	V_EQUAL(-1, mprotect(again, PAGE, PROT_READ | PROT_WRITE));
	V_EQUAL(EACCES, errno);
	put_text(mem, 2 * PAGE, 2);
	V_CHECK(has_text(again, 2 * PAGE, 2));
	/* one of the two is as good as the other to keep it */
	V_SYS(shmdt(mem));
	V_CHECK(has_text(again, 2 * PAGE, 2));
	V_EQUAL(1, segment(id).shm_nattch);
}

LIVES(attach_at_a_rounded_address)
{
	char *room, *mem;
	int id;

	room = mmap(NULL, 8 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(room != MAP_FAILED);
	id = new_segment(IPC_PRIVATE, 100, 0600);
	mem = shmat(id, room + 2 * PAGE + 123, SHM_RND | SHM_REMAP);
	V_CHECK(mem == room + 2 * PAGE);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	put_text(mem, 100, 1);
	victim_ready();
	V_CHECK(has_text(mem, 100, 1));
	V_EQUAL(100, segment(id).shm_segsz);
	V_SYS(shmdt(mem));
	/* a hole where it was */
	V_CHECK(!writable(mem));
}

/* ---- semaphores ---- */

#ifndef SEMVMX
#define SEMVMX	32767
#endif

static int new_set(key_t key, int nsems)
{
	int id = V_SYS(semget(key, nsems, IPC_CREAT | IPC_EXCL | 0640));

	vpage->word[WORD_SEM] = id + 1;
	return id;
}

static void sem_add(int id, int nr, int op, int flags)
{
	struct sembuf sop = { .sem_num = nr, .sem_op = op, .sem_flg = flags | IPC_NOWAIT };

	V_SYS(semop(id, &sop, 1));
}

static struct semid_ds set(int id)
{
	struct semid_ds ds;

	memset(&ds, 0, sizeof(ds));
	V_SYS(semctl(id, 0, IPC_STAT, &ds));
	return ds;
}

static void same_set(int id, const struct semid_ds *before)
{
	struct semid_ds now = set(id);

	V_EQUAL(before->sem_perm.__key, now.sem_perm.__key);
	V_EQUAL(before->sem_perm.uid, now.sem_perm.uid);
	V_EQUAL(before->sem_perm.gid, now.sem_perm.gid);
	V_EQUAL(before->sem_perm.cuid, now.sem_perm.cuid);
	V_EQUAL(before->sem_perm.cgid, now.sem_perm.cgid);
	V_EQUAL(before->sem_perm.mode, now.sem_perm.mode);
	V_EQUAL(before->sem_otime, now.sem_otime);
	V_EQUAL(before->sem_ctime, now.sem_ctime);
	V_EQUAL(before->sem_nsems, now.sem_nsems);
}

LIVES(semaphores)
{
	struct semid_ds ds;
	int id = new_set(IPC_PRIVATE, 5);

	sem_add(id, 0, 3, 0);
	sem_add(id, 2, SEMVMX, 0);
	V_SYS(semctl(id, 4, SETVAL, 7));
	ds = set(id);
	victim_ready();
	same_set(id, &ds);
	V_EQUAL(3, semctl(id, 0, GETVAL));
	V_EQUAL(0, semctl(id, 1, GETVAL));
	V_EQUAL(SEMVMX, semctl(id, 2, GETVAL));
	V_EQUAL(7, semctl(id, 4, GETVAL));
	V_EQUAL(getpid(), semctl(id, 0, GETPID));
	V_EQUAL(0, semctl(id, 1, GETPID));
	V_SYS(semctl(id, 0, IPC_RMID));
}

LIVES(semaphores_never_used)
{
	struct semid_ds ds;
	int id = new_set(KEY(10), 300);

	ds = set(id);
	victim_ready();
	same_set(id, &ds);
	V_EQUAL(id, semget(KEY(10), 300, 0));
	V_EQUAL(0, semctl(id, 299, GETVAL));
	V_SYS(semctl(id, 0, IPC_RMID));
}

/* Its last user is gone; that it made the set itself is enough. */
LIVES(semaphores_used_last_by_a_dead_process)
{
	int id = new_set(IPC_PRIVATE, 2);
	pid_t child;

	child = V_SYS(fork());
	if (!child) {
		sem_add(id, 1, 4, 0);
		_exit(0);
	}
	V_EQUAL(child, waitpid(child, NULL, 0));
	victim_ready();
	V_EQUAL(4, semctl(id, 1, GETVAL));
	V_EQUAL(child, semctl(id, 1, GETPID));
	V_SYS(semctl(id, 0, IPC_RMID));
}

/* The test looks at what becomes of the values when the process has ended. */
VICTIM(adjustments_to_undo)
{
	int id = new_set(IPC_PRIVATE, 3);

	V_SYS(semctl(id, 0, SETVAL, 5));
	V_SYS(semctl(id, 1, SETVAL, 5));
	sem_add(id, 0, -2, SEM_UNDO);
	sem_add(id, 1, 3, SEM_UNDO);
	sem_add(id, 2, 1, 0);
	victim_ready();
	V_EQUAL(3, semctl(id, 0, GETVAL));
	V_EQUAL(8, semctl(id, 1, GETVAL));
	V_EQUAL(1, semctl(id, 2, GETVAL));
	sem_add(id, 0, -1, SEM_UNDO);
	V_EQUAL(2, semctl(id, 0, GETVAL));
}

TEST_F(sysv, adjustments_to_undo)
{
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "adjustments_to_undo"));
	id = victim_object(&self->v, WORD_SEM);
	ASSERT_EQ(0, cycle(&self->v, variant->way));
	EXPECT_EQ(3, semctl(id, 0, GETVAL));
	EXPECT_EQ(8, semctl(id, 1, GETVAL));
	EXPECT_EQ(0, victim_finish(&self->v));
	EXPECT_EQ(5, semctl(id, 0, GETVAL));
	EXPECT_EQ(5, semctl(id, 1, GETVAL));
	EXPECT_EQ(1, semctl(id, 2, GETVAL));
	EXPECT_EQ(0, semctl(id, 0, IPC_RMID));
}

VICTIM(waiting_for_a_semaphore)
{
	struct sembuf sop = { .sem_op = -1, .sem_flg = SEM_UNDO };
	int id = new_set(IPC_PRIVATE, 1);

	victim_reach_in(__NR_semop);
	V_EQUAL(0, syscall(__NR_semop, id, &sop, 1));
	V_EQUAL(0, semctl(id, 0, GETVAL));
	V_SYS(semctl(id, 0, IPC_RMID));
}

TEST_F(sysv, waiting_for_a_semaphore)
{
	struct sembuf up = { .sem_op = 1 };
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "waiting_for_a_semaphore"));
	id = victim_object(&self->v, WORD_SEM);
	ASSERT_EQ(0, cycle(&self->v, variant->way));
	EXPECT_TRUE(WAIT_FOR(semctl(id, 0, GETNCNT) == 1));
	ASSERT_EQ(0, semop(id, &up, 1));
	EXPECT_EQ(0, victim_end(&self->v));
}

/* ---- message queues ---- */

struct message {
	long type;
	char text[8192];
};

static int new_queue(key_t key)
{
	int id = V_SYS(msgget(key, IPC_CREAT | IPC_EXCL | 0640));

	vpage->word[WORD_MSG] = id + 1;
	return id;
}

static void send_message(int id, long type, size_t len, int seed)
{
	static struct message m;

	m.type = type;
	put_text(m.text, len, seed);
	V_SYS(msgsnd(id, &m, len, IPC_NOWAIT));
}

static void get_message(int id, long want, long type, ssize_t len, int seed)
{
	static struct message m;

	V_EQUAL(len, msgrcv(id, &m, sizeof(m.text), want, IPC_NOWAIT));
	V_EQUAL(type, m.type);
	V_CHECK(has_text(m.text, len, seed));
}

LIVES(messages)
{
	struct msqid_ds ds, now;
	int id = new_queue(IPC_PRIVATE);

	send_message(id, 5, 0, 1);
	send_message(id, 1L << 40, 1, 2);
	send_message(id, 5, 5000, 3);
	send_message(id, 3, 8192, 4);
	send_message(id, 9, 10, 5);
	get_message(id, 9, 9, 10, 5);
	V_SYS(msgctl(id, IPC_STAT, &ds));
	victim_ready();
	V_SYS(msgctl(id, IPC_STAT, &now));
	V_EQUAL(ds.msg_perm.__key, now.msg_perm.__key);
	V_EQUAL(ds.msg_perm.mode, now.msg_perm.mode);
	V_EQUAL(ds.msg_perm.cuid, now.msg_perm.cuid);
	V_EQUAL(ds.msg_stime, now.msg_stime);
	V_EQUAL(ds.msg_rtime, now.msg_rtime);
	V_EQUAL(ds.msg_ctime, now.msg_ctime);
	V_EQUAL(ds.__msg_cbytes, now.__msg_cbytes);
	V_EQUAL(ds.msg_qnum, now.msg_qnum);
	V_EQUAL(ds.msg_qbytes, now.msg_qbytes);
	V_EQUAL(ds.msg_lspid, now.msg_lspid);
	V_EQUAL(ds.msg_lrpid, now.msg_lrpid);
	get_message(id, 3, 3, 8192, 4);
	get_message(id, 0, 5, 0, 1);
	get_message(id, 0, 1L << 40, 1, 2);
	get_message(id, 0, 5, 5000, 3);
	V_EQUAL(-1, msgrcv(id, &now, 0, 0, IPC_NOWAIT));
	V_EQUAL(ENOMSG, errno);
	V_SYS(msgctl(id, IPC_RMID, NULL));
}

LIVES(empty_queue_with_a_key)
{
	struct msqid_ds ds;
	int id = new_queue(KEY(20));

	V_SYS(msgctl(id, IPC_STAT, &ds));
	ds.msg_qbytes = 100;
	ds.msg_perm.uid = 77;
	ds.msg_perm.gid = 78;
	V_SYS(msgctl(id, IPC_SET, &ds));
	victim_ready();
	V_EQUAL(id, msgget(KEY(20), 0));
	V_SYS(msgctl(id, IPC_STAT, &ds));
	V_EQUAL(100, ds.msg_qbytes);
	V_EQUAL(0, ds.msg_qnum);
	V_EQUAL(77, ds.msg_perm.uid);
	V_EQUAL(78, ds.msg_perm.gid);
	V_SYS(msgctl(id, IPC_RMID, NULL));
}

VICTIM(waiting_for_a_message)
{
	static struct message m;
	int id = new_queue(IPC_PRIVATE);

	victim_reach_in(__NR_msgrcv);
	V_EQUAL(10, syscall(__NR_msgrcv, id, &m, sizeof(m.text), 6L, 0));
	V_EQUAL(6, m.type);
	V_CHECK(has_text(m.text, 10, 5));
	V_SYS(msgctl(id, IPC_RMID, NULL));
}

TEST_F(sysv, waiting_for_a_message)
{
	struct message m = { .type = 6 };
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "waiting_for_a_message"));
	id = victim_object(&self->v, WORD_MSG);
	ASSERT_EQ(0, cycle(&self->v, variant->way));
	put_text(m.text, 10, 5);
	ASSERT_EQ(0, msgsnd(id, &m, 10, 0));
	EXPECT_EQ(0, victim_end(&self->v));
}

VICTIM(waiting_for_room)
{
	static struct message m = { .type = 2 };
	int id = new_queue(IPC_PRIVATE);

	send_message(id, 1, 8192, 1);
	send_message(id, 1, 8000, 2);
	victim_reach_in(__NR_msgsnd);
	V_EQUAL(0, syscall(__NR_msgsnd, id, &m, 1000L, 0));
	get_message(id, 0, 1, 8000, 2);
	V_EQUAL(1000, msgrcv(id, &m, sizeof(m.text), 2, IPC_NOWAIT));
	V_SYS(msgctl(id, IPC_RMID, NULL));
}

TEST_F(sysv, waiting_for_room)
{
	struct message m;
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "waiting_for_room"));
	id = victim_object(&self->v, WORD_MSG);
	ASSERT_EQ(0, cycle(&self->v, variant->way));
	ASSERT_EQ(8192, msgrcv(id, &m, sizeof(m.text), 0, IPC_NOWAIT));
	EXPECT_TRUE(has_text(m.text, 8192, 1));
	EXPECT_EQ(0, victim_end(&self->v));
}

/* ---- objects that have outlived the process, or have not ---- */

FIXTURE(sysv_object)
{
	struct victim v;
	int id, key;
	int other;
};

FIXTURE_SETUP(sysv_object)
{
	REQUIRE_REAL_CHECKPOINT();
	victim_init(&self->v);
	self->id = -1;
	self->other = -1;
}

FIXTURE_TEARDOWN(sysv_object)
{
	victim_cleanup(&self->v);
	if (self->id >= 0)
		shmctl(self->id, IPC_RMID, NULL);
	if (self->other >= 0)
		shmctl(self->other, IPC_RMID, NULL);
}

/* Comes to turn 1 with contents 1, to turn 2 with contents 2. */
VICTIM(segment_owner)
{
	char *mem;
	int id;

	id = new_segment(*victim_arg ? KEY(3) : IPC_PRIVATE, 4 * PAGE, 0600);
	mem = attach(id, 0);
	put_text(mem, 2 * PAGE, 1);
	victim_ready();
	V_CHECK(has_text(mem, 2 * PAGE, 1));
	V_CHECK(all_zero(mem + 2 * PAGE, 2 * PAGE));
	put_text(mem, 4 * PAGE, 2);
	victim_ready();
	V_CHECK(has_text(mem, 4 * PAGE, 2));
	V_SYS(shmctl(id, IPC_RMID, NULL));
}

#define START(arg)							\
	do {								\
		ASSERT_EQ(0, victim_start_with(&self->v, "segment_owner", arg)); \
		self->id = victim_object(&self->v, WORD_SHM);		\
	} while (0)

/* Lets a restarted victim check that it is what it was in turn 1, then end. */
static int victim_satisfied(struct victim *v)
{
	return victim_next(v) ? -1 : victim_finish(v);
}

TEST_F(sysv_object, that_is_gone_is_made_again)
{
	int i;

	START("key");
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));
	/* as after a reboot, other IDs are the next ones */
	for (i = 0; i < 3; i++)
		shmctl(shmget(IPC_PRIVATE, PAGE, 0600), IPC_RMID, NULL);
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 1;
		EXPECT_EQ(self->id, shmget(KEY(3), 0, 0));
		EXPECT_EQ(0, victim_satisfied(&self->v));
		EXPECT_EQ(-1, shmget(KEY(3), 0, 0));
	}
}

TEST_F(sysv_object, that_is_there_gets_its_contents_back)
{
	int i;

	START(NULL);
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, victim_next(&self->v));
		ASSERT_EQ(0, victim_kill(&self->v));
		ASSERT_EQ(0, victim_restart(&self->v));
		self->v.turn = 1;
	}
	EXPECT_EQ(0, victim_satisfied(&self->v));
}

TEST_F(sysv_object, whose_id_is_taken_is_not_replaced)
{
	char text[32];

	START(NULL);
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));
	snprintf(text, sizeof(text), "%d", self->id);
	ASSERT_EQ(0, write_text(SHM_NEXT_ID, text));
	self->other = shmget(IPC_PRIVATE, 4 * PAGE, 0600);
	ASSERT_EQ(self->id, self->other);

	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "System V shared memory"));
	EXPECT_NE(NULL, strstr(self->v.log, text));
	ASSERT_EQ(0, shmctl(self->other, IPC_RMID, NULL));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_satisfied(&self->v));
}

TEST_F(sysv_object, whose_key_is_taken_is_not_made)
{
	START("key");
	ASSERT_EQ(0, victim_save(&self->v));
	self->other = shmget(IPC_PRIVATE, PAGE, 0600);
	ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));
	shmctl(self->other, IPC_RMID, NULL);
	self->other = shmget(IPC_PRIVATE, PAGE, 0600);
	ASSERT_LE(0, self->other);
	shmctl(self->other, IPC_RMID, NULL);
	self->other = shmget(KEY(3), PAGE, IPC_CREAT | 0600);
	ASSERT_LE(0, self->other);

	EXPECT_EQ(-EEXIST, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "System V shared memory"));
	EXPECT_NE(NULL, strstr(self->v.log, "key"));
	shmctl(self->other, IPC_RMID, NULL);
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_satisfied(&self->v));
}

TEST_F(sysv_object, that_another_process_has_is_refused)
{
	void *mem;

	START(NULL);
	mem = shmat(self->id, NULL, SHM_RDONLY);
	ASSERT_NE((void *)-1, mem);
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "SYSV"));
	EXPECT_NE(NULL, strstr(self->v.log, "outside"));
	EXPECT_EQ(0, shmdt(mem));
	EXPECT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_EQ(0, victim_satisfied(&self->v));
}

TEST_F(sysv_object, that_another_process_has_is_left_alone)
{
	char *mem;

	START(NULL);
	ASSERT_EQ(0, victim_save(&self->v));
	mem = shmat(self->id, NULL, 0);
	ASSERT_NE((void *)-1, mem);
	put_text(mem, 4 * PAGE, 7);
	EXPECT_EQ(-EBUSY, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "System V shared memory"));
	EXPECT_TRUE(has_text(mem, 4 * PAGE, 7));
	EXPECT_EQ(0, shmdt(mem));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_satisfied(&self->v));
}

/* Killed, it changes values which the restart has to set back. */
VICTIM(value_set_back)
{
	int id = new_set(IPC_PRIVATE, 2);

	V_SYS(semctl(id, 0, SETVAL, 1));
	sem_add(id, 0, -1, SEM_UNDO);
	sem_add(id, 1, 5, 0);
	victim_ready();
	V_EQUAL(0, semctl(id, 0, GETVAL));
	V_EQUAL(5, semctl(id, 1, GETVAL));
	sem_add(id, 1, 9, 0);
	victim_ready();
	V_SYS(semctl(id, 0, IPC_RMID));
}

static void values_set_back(struct __test_metadata *_metadata, struct victim *v, bool remove)
{
	ASSERT_EQ(0, victim_start(v, "value_set_back"));
	ASSERT_EQ(0, victim_checkpoint(v, 0));
	ASSERT_EQ(0, victim_next(v));
	if (remove)
		semctl(victim_object(v, WORD_SEM), 0, IPC_RMID);
	ASSERT_EQ(0, victim_kill(v));
	ASSERT_EQ(0, victim_restart(v));
	v->turn = 1;
	ASSERT_EQ(0, victim_next(v));
	EXPECT_EQ(0, victim_finish(v));
}

TEST_F(sysv_object, values_are_set_back)
{
	values_set_back(_metadata, &self->v, false);
}

TEST_F(sysv_object, values_are_made_again)
{
	values_set_back(_metadata, &self->v, true);
}

/* What others do with a queue in the meantime is gone. */
TEST_F(sysv_object, messages_of_the_time_between)
{
	struct message m = { .type = 6 };
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "messages"));
	id = victim_object(&self->v, WORD_MSG);
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_LE(0, msgrcv(id, &m, sizeof(m.text), 3, IPC_NOWAIT));
	ASSERT_EQ(0, msgsnd(id, &m, 8, 0));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- those used by others, too ---- */

VICTIM(owner_of_all)
{
	int sem = new_set(IPC_PRIVATE, 1), msg = new_queue(IPC_PRIVATE);

	victim_ready();
	V_SYS(semctl(sem, 0, IPC_RMID));
	V_SYS(msgctl(msg, IPC_RMID, NULL));
}

/* A child that waits for it, or 0 once it does. */
static pid_t waiter(int id, bool sem)
{
	pid_t pid = fork();

	if (!pid) {
		struct sembuf down = { .sem_op = -1 };
		struct message m;

		if (sem)
			semop(id, &down, 1);
		else
			msgrcv(id, &m, sizeof(m.text), 0, 0);
		_exit(0);
	}
	WAIT_FOR(proc_in_syscall(pid, pid, sem ? __NR_semtimedop : __NR_msgrcv));
	return pid;
}

static void end(pid_t pid)
{
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
}

static void others_wait(struct __test_metadata *_metadata, struct victim *v, bool sem,
			const char *name)
{
	int id;
	pid_t pid;

	ASSERT_EQ(0, victim_start(v, "owner_of_all"));
	id = victim_object(v, sem ? WORD_SEM : WORD_MSG);
	pid = waiter(id, sem);
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(v, 0));
	EXPECT_NE(NULL, strstr(v->log, name));
	end(pid);

	ASSERT_EQ(0, victim_save(v));
	pid = waiter(id, sem);
	EXPECT_EQ(-EBUSY, victim_try_restart(v, 0));
	EXPECT_NE(NULL, strstr(v->log, name));
	end(pid);
	ASSERT_EQ(0, victim_restart(v));
	EXPECT_EQ(0, victim_finish(v));
}

TEST_F(sysv_object, semaphores_others_wait_for)
{
	others_wait(_metadata, &self->v, true, "System V semaphores");
}

TEST_F(sysv_object, queue_others_wait_for)
{
	others_wait(_metadata, &self->v, false, "System V message queue");
}

TEST_F(sysv_object, semaphores_others_have_adjustments_in)
{
	struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };
	int id;

	ASSERT_EQ(0, victim_start(&self->v, "owner_of_all"));
	id = victim_object(&self->v, WORD_SEM);
	ASSERT_EQ(0, semop(id, &up, 1));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "SEM_UNDO"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

static int segments_in_use(void)
{
	struct shm_info info;

	return shmctl(0, SHM_INFO, (struct shmid_ds *)&info) < 0 ? -1 : info.used_ids;
}

/* One bit of the contents is wrong, which shows late. */
static int damage(struct victim *v)
{
	struct image img;
	struct ckpt_pages *pages;
	uint8_t byte;
	off_t at;
	int i;

	if (load_image(&img, v->image))
		return -1;
	for (i = img.nr - 1; rec_at(&img, i)->type != CKPT_REC_PAGES; i--)
		;
	pages = payload_at(&img, i);
	at = img.off[i] + sizeof(struct ckpt_rec) + pages->data_offset;
	byte = img.data[at] ^ 1;
	free(img.data);
	return pwrite(v->image, &byte, 1, at) == 1 ? 0 : -1;
}

TEST_F(sysv_object, is_not_left_behind_by_a_failed_restart)
{
	int before;

	START("key");
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, damage(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));
	before = segments_in_use();
	EXPECT_EQ(-EBADMSG, victim_try_restart(&self->v, 0));
	EXPECT_EQ(before, segments_in_use());
	EXPECT_EQ(-1, shmget(KEY(3), 0, 0));
}

TEST_F(sysv_object, is_left_as_it_was_by_a_failed_restart)
{
	struct shmid_ds before, after;
	char *mem;

	START(NULL);
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, damage(&self->v));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, shmctl(self->id, SHM_LOCK, NULL));
	ASSERT_EQ(0, shmctl(self->id, IPC_STAT, &before));
	EXPECT_EQ(-EBADMSG, victim_try_restart(&self->v, 0));
	ASSERT_EQ(0, shmctl(self->id, IPC_STAT, &after));
	EXPECT_EQ(0, after.shm_nattch);
	EXPECT_EQ(before.shm_perm.mode, after.shm_perm.mode);
	EXPECT_EQ(before.shm_ctime, after.shm_ctime);
	mem = shmat(self->id, NULL, SHM_RDONLY);
	ASSERT_NE((void *)-1, mem);
	EXPECT_TRUE(has_text(mem, 4 * PAGE, 2));
	EXPECT_EQ(0, shmdt(mem));
}

/* What the end of the failed process does to a set is not its doing. */
TEST_F(sysv_object, with_values_is_left_as_it_was_by_a_failed_restart)
{
	int sem, msg;

	ASSERT_EQ(0, victim_start(&self->v, "owner_of_contents"));
	sem = victim_object(&self->v, WORD_SEM);
	msg = victim_object(&self->v, WORD_MSG);
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	ASSERT_EQ(0, damage(&self->v));
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, semctl(sem, 0, GETVAL));
	ASSERT_EQ(0, semctl(sem, 0, SETVAL, 11));
	ASSERT_EQ(-1, msgrcv(msg, NULL, 0, 0, IPC_NOWAIT));
	EXPECT_EQ(-EBADMSG, victim_try_restart(&self->v, 0));
	EXPECT_EQ(11, semctl(sem, 0, GETVAL));
	EXPECT_EQ(0, semctl(sem, 0, IPC_RMID));
	EXPECT_EQ(0, msgctl(msg, IPC_RMID, NULL));
}

/* Increments have the pages that were written to, and no others. */
TEST_F(sysv_object, is_saved_incrementally)
{
	struct chain c = { .tracker = CHECKPOINT_TRACKER_SHADOW };

	if (!have_tracker(c.tracker))
		SKIP(return, "kernel without CONFIG_SHADOW_DIRTY");
	START(NULL);
	ASSERT_EQ(0, chain_image(&self->v, &c, 0));
	ASSERT_EQ(0, chain_image(&self->v, &c, 0));
	EXPECT_LE(2, self->v.stats.pages_parent);
	ASSERT_EQ(0, victim_kill(&self->v));
	ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));
	ASSERT_EQ(0, chain_restart(&self->v, &c));
	EXPECT_EQ(0, victim_satisfied(&self->v));
	chain_cleanup(&c);
}

/* ---- images that lie ---- */

#define HOSTILE(name, type, change)					\
	TEST_F(sysv_object, hostile_##name)				\
	{								\
		int before = segments_in_use();				\
		struct image img;					\
		union {							\
			void *any;					\
			struct ckpt_shmem *shmem;			\
			struct ckpt_sysv_shm *shm;			\
			struct ckpt_file *file;				\
		} p;							\
									\
		START(NULL);						\
		ASSERT_EQ(0, victim_save(&self->v));			\
		ASSERT_EQ(0, load_image(&img, self->v.image));		\
		ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));		\
		ASSERT_TRUE(image_is_good(&self->v, &img));		\
		ASSERT_EQ(0, shmctl(self->id, IPC_RMID, NULL));		\
		p.any = find(&img, type, 0);				\
		ASSERT_NE(NULL, p.any);					\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(before, segments_in_use());			\
		free(img.data);						\
	}

HOSTILE(negative_id, CKPT_REC_SYSV_SHM, p.shm->ipc.id = -1)
HOSTILE(mode, CKPT_REC_SYSV_SHM, p.shm->ipc.mode |= 0x10000)
HOSTILE(removed_with_a_key, CKPT_REC_SYSV_SHM, p.shm->ipc.mode |= SHM_DEST; p.shm->ipc.key = 5)
HOSTILE(owner_that_cannot_be, CKPT_REC_SYSV_SHM, p.shm->ipc.uid = -1)
HOSTILE(creator, CKPT_REC_SYSV_SHM, p.shm->ipc.creator = -1)
HOSTILE(never_made, CKPT_REC_SYSV_SHM, p.shm->ipc.created_ns = 0)
HOSTILE(size, CKPT_REC_SHMEM, p.shmem->size = 1ULL << 60)
HOSTILE(empty, CKPT_REC_SHMEM, p.shmem->size = 0)
HOSTILE(too_small, CKPT_REC_SHMEM, p.shmem->size = 1)
HOSTILE(segment_that_is_a_memfd, CKPT_REC_SHMEM, p.shmem->flags &= ~CKPT_SHMEM_SYSV)
HOSTILE(memfd_that_is_a_segment, CKPT_REC_SHMEM,
	p.shmem->flags |= CKPT_SHMEM_ANON | CKPT_SHMEM_NORESERVE)
HOSTILE(descriptor_of_an_attach, CKPT_REC_FD,
	int nr = find_file_rec(&img, "sysvshm", 0);
	ASSERT_LE(0, nr);
	((struct ckpt_fd *)p.any)->file = rec_at(&img, nr)->objref)

/* A set with adjustments, and a queue with a message. */
VICTIM(owner_of_contents)
{
	int sem = new_set(IPC_PRIVATE, 2), msg = new_queue(IPC_PRIVATE);

	sem_add(sem, 0, 3, SEM_UNDO);
	send_message(msg, 2, 30, 1);
	victim_ready();
	V_SYS(semctl(sem, 0, IPC_RMID));
	V_SYS(msgctl(msg, IPC_RMID, NULL));
}

static int sets_in_use(void)
{
	struct seminfo info;

	return semctl(0, 0, SEM_INFO, &info) < 0 ? -1 : info.semusz;
}

static int queues_in_use(void)
{
	struct msginfo info;

	return msgctl(0, MSG_INFO, (struct msqid_ds *)&info) < 0 ? -1 : info.msgpool;
}

#define HOSTILE_CONTENTS(name, rec_type, change)			\
	TEST_F(sysv_object, hostile_##name)				\
	{								\
		int sets = sets_in_use(), queues = queues_in_use(), sem, msg; \
		struct image img;					\
		union {							\
			void *any;					\
			struct ckpt_sysv_sem *sem;			\
			struct ckpt_sem_undo *undo;			\
			struct ckpt_sysv_msgq *queue;			\
			struct ckpt_msg *msg;				\
		} p;							\
									\
		ASSERT_EQ(0, victim_start(&self->v, "owner_of_contents")); \
		sem = victim_object(&self->v, WORD_SEM);		\
		msg = victim_object(&self->v, WORD_MSG);		\
		ASSERT_EQ(0, victim_save(&self->v));			\
		ASSERT_EQ(0, load_image(&img, self->v.image));		\
		ASSERT_EQ(0, semctl(sem, 0, IPC_RMID));			\
		ASSERT_EQ(0, msgctl(msg, IPC_RMID, NULL));		\
		p.any = find(&img, rec_type, 0);			\
		ASSERT_NE(NULL, p.any);					\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &img, 0));		\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(sets, sets_in_use());				\
		EXPECT_EQ(queues, queues_in_use());			\
		free(img.data);						\
	}

HOSTILE_CONTENTS(set_of_none, CKPT_REC_SYSV_SEM, p.sem->nsems = 0)
HOSTILE_CONTENTS(set_longer_than_its_record, CKPT_REC_SYSV_SEM, p.sem->nsems = 3)
HOSTILE_CONTENTS(endless_set, CKPT_REC_SYSV_SEM, p.sem->nsems = ~0U)
HOSTILE_CONTENTS(value, CKPT_REC_SYSV_SEM, p.sem->sems[0].value = SEMVMX + 1)
HOSTILE_CONTENTS(negative_pid, CKPT_REC_SYSV_SEM, p.sem->sems[0].pid = -5)
HOSTILE_CONTENTS(set_with_flags, CKPT_REC_SYSV_SEM, p.sem->ipc.mode |= 01000)
HOSTILE_CONTENTS(adjustments_of_no_set, CKPT_REC_SEM_UNDO, p.undo->semid++)
HOSTILE_CONTENTS(too_many_adjustments, CKPT_REC_SEM_UNDO, p.undo->nsems = 4)
HOSTILE_CONTENTS(queue_without_bounds, CKPT_REC_SYSV_MSGQ, p.queue->qbytes = ~0ULL)
HOSTILE_CONTENTS(queue_that_overflows, CKPT_REC_SYSV_MSGQ, p.queue->qbytes = 29)
HOSTILE_CONTENTS(missing_messages, CKPT_REC_SYSV_MSGQ, p.queue->nr_messages = 9)
HOSTILE_CONTENTS(message_type, CKPT_REC_MSG, p.msg->type = 0)
HOSTILE_CONTENTS(message_size, CKPT_REC_MSG, p.msg->size = 1ULL << 63)
HOSTILE_CONTENTS(message_longer_than_its_record, CKPT_REC_MSG, p.msg->size = 1000)

/* ---- what others do while a restart waits for the rest of its image ---- */

/* A restart from a pipe, by a child: 0 if it goes well, 2 if contents could not be set back. */
static pid_t restart_from_pipe(struct victim *v, int *to)
{
	struct restart_args args = restart_args(v, RESTART_LEAVE_STOPPED);
	int pipe_fd[2];
	pid_t pid;
	long ret;

	if (pipe2(pipe_fd, O_CLOEXEC))
		return -1;
	pid = fork();
	if (!pid) {
		close(pipe_fd[1]);
		args.image_fd = pipe_fd[0];
		ret = sys_restart(&args, sizeof(args));
		end_restarted(v, ret);
		if (ret == v->pid)
			_exit(0);
		_exit(strstr(v->log, "contents could not be set back") ? 2 : 1);
	}
	close(pipe_fd[0]);
	*to = pipe_fd[1];
	return pid;
}

static int result_of(pid_t pid)
{
	int status;

	return waitpid(pid, &status, 0) == pid && WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

/* So much of it is not needed to make objects and processes. */
#define LAST_BYTES	4096

VICTIM(owner_of_a_small_set)
{
	int sem = new_set(IPC_PRIVATE, 2);

	sem_add(sem, 0, 3, 0);
	victim_ready();
	V_SYS(semctl(sem, 0, IPC_RMID));
}

VICTIM(owner_of_a_large_set)
{
	int sem = new_set(IPC_PRIVATE, 1000);

	sem_add(sem, 0, 7, 0);
	sem_add(sem, 999, 7, 0);
	victim_ready();
	V_SYS(semctl(sem, 0, IPC_RMID));
}

/* It has the ID and the time of creation of the one that the first restart has made. */
TEST_F(sysv_object, a_set_of_another_restart_is_left_alone)
{
	struct image img, large;
	struct ckpt_sysv_sem *was, *is;
	struct victim other;
	int sem, large_sem, to;
	size_t part;
	pid_t pid;

	victim_init(&other);
	ASSERT_EQ(0, victim_start(&self->v, "owner_of_a_small_set"));
	sem = victim_object(&self->v, WORD_SEM);
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, semctl(sem, 0, IPC_RMID));
	ASSERT_EQ(0, load_image(&img, self->v.image));
	ASSERT_EQ(0, victim_start(&other, "owner_of_a_large_set"));
	large_sem = victim_object(&other, WORD_SEM);
	ASSERT_EQ(0, victim_save(&other));
	ASSERT_EQ(0, semctl(large_sem, 0, IPC_RMID));
	ASSERT_EQ(0, load_image(&large, other.image));
	was = find(&img, CKPT_REC_SYSV_SEM, 0);
	is = find(&large, CKPT_REC_SYSV_SEM, 0);
	ASSERT_TRUE(was && is);
	is->ipc.id = was->ipc.id;
	is->ipc.created_ns = was->ipc.created_ns;
	seal(&large);

	pid = restart_from_pipe(&self->v, &to);
	part = img.len - LAST_BYTES;
	ASSERT_EQ(part, write(to, img.data, part));
	ASSERT_TRUE(WAIT_FOR(semctl(sem, 1, GETVAL) == 0));
	ASSERT_EQ(0, semctl(sem, 0, IPC_RMID));
	ASSERT_EQ(other.pid, try_image(&other, &large, RESTART_LEAVE_STOPPED))
		show_log(other.log);
	EXPECT_EQ(7, semctl(sem, 0, GETVAL));
	ASSERT_EQ(LAST_BYTES, write(to, img.data + part, LAST_BYTES));
	close(to);
	EXPECT_EQ(0, result_of(pid));
	EXPECT_EQ(7, semctl(sem, 0, GETVAL));
	EXPECT_EQ(0, semctl(sem, 1, GETVAL));
	EXPECT_EQ(7, semctl(sem, 999, GETVAL));
	victim_cleanup(&other);
	semctl(sem, 0, IPC_RMID);
	free(img.data);
	free(large.data);
}

/* The end of the image is damaged; the result of the restart. */
static int fail_while_attached(struct victim *v, int id, int ms)
{
	struct shmid_ds ds;
	struct image img;
	size_t part;
	pid_t pid;
	char *mem;
	int to;

	if (load_image(&img, v->image))
		return -1;
	part = img.len - LAST_BYTES;
	memset(img.data + part, 0xee, LAST_BYTES);
	pid = restart_from_pipe(v, &to);
	if (write(to, img.data, part) != (ssize_t)part ||
	    !WAIT_FOR(!shmctl(id, IPC_STAT, &ds) && ds.shm_nattch))
		return -1;
	mem = shmat(id, NULL, 0);
	if (mem == (void *)-1 || write(to, img.data + part, LAST_BYTES) != LAST_BYTES)
		return -1;
	close(to);
	free(img.data);
	if (ms)
		sleep_ms(ms);
	else
		ms = result_of(pid);
	shmdt(mem);
	return ms == 1 || ms == 2 ? ms : result_of(pid);
}

TEST_F(sysv_object, has_its_contents_back_when_others_have_let_go)
{
	char *mem;

	START(NULL);
	ASSERT_EQ(0, victim_save(&self->v));
	mem = shmat(self->id, NULL, 0);
	ASSERT_NE((void *)-1, mem);
	put_text(mem, PAGE, 99);
	shmdt(mem);
	EXPECT_EQ(1, fail_while_attached(&self->v, self->id, 200));
	mem = shmat(self->id, NULL, 0);
	ASSERT_NE((void *)-1, mem);
	EXPECT_TRUE(has_text(mem, PAGE, 99));
	shmdt(mem);
}

TEST_F(sysv_object, is_named_if_its_contents_cannot_be_set_back)
{
	START(NULL);
	ASSERT_EQ(0, victim_save(&self->v));
	EXPECT_EQ(2, fail_while_attached(&self->v, self->id, 0));
}

CKPT_TEST_MAIN
