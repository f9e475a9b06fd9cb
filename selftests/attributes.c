// SPDX-License-Identifier: GPL-2.0
/*
 * Attributes of threads that few programs have, and locks that threads hold: NUMA
 * memory policy, syscall user dispatch, CPUID faulting, SCHED_DEADLINE, membarrier
 * registrations, audit login ID, futexes.
 */
#include <asm/prctl.h>
#include <cpuid.h>
#include <linux/futex.h>
#include <linux/membarrier.h>
#include <linux/mempolicy.h>
#include <linux/sched/types.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/shm.h>

#include "ckpt_hostile.h"

CKPT_FIXTURE(attributes)

/* ---- memory policy ---- */

static void expect_policy(int line, int mode, unsigned long nodes)
{
	unsigned long seen[16] = { 0 };
	int now = -1;

	if (syscall(__NR_get_mempolicy, &now, seen, 1024, 0, 0))
		victim_fail(line, "get_mempolicy: errno %d", errno);
	if (now != mode || seen[0] != nodes)
		victim_fail(line, "policy %#x of nodes %#lx", now, seen[0]);
}

#define EXPECT_POLICY(mode, nodes) expect_policy(__LINE__, mode, nodes)

static void set_policy(int mode, unsigned long nodes)
{
	unsigned long mask[16] = { nodes };

	V_SYS(syscall(__NR_set_mempolicy, mode, nodes ? mask : NULL, nodes ? 1024 : 0));
}

SURVIVES(attributes, the_memory_policy_stays)
{
	set_policy(MPOL_BIND, 1);
	victim_ready();
	EXPECT_POLICY(MPOL_BIND, 1);
	set_policy(MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, 1);
	victim_ready();
	EXPECT_POLICY(MPOL_INTERLEAVE | MPOL_F_STATIC_NODES, 1);
	set_policy(MPOL_PREFERRED, 1);
	victim_ready();
	EXPECT_POLICY(MPOL_PREFERRED, 1);
	set_policy(MPOL_LOCAL, 0);
	victim_ready();
	EXPECT_POLICY(MPOL_LOCAL, 0);
	set_policy(MPOL_DEFAULT, 0);
	victim_ready();
	EXPECT_POLICY(MPOL_DEFAULT, 0);
}

static volatile int stage;

static void *with_a_policy(void *arg)
{
	set_policy(MPOL_BIND, 1);
	stage = 1;
	while (stage != 2)
		sleep_ms(1);
	EXPECT_POLICY(MPOL_BIND, 1);
	return NULL;
}

SURVIVES(attributes, each_thread_has_its_own_memory_policy)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, with_a_policy, NULL));
	while (stage != 1)
		sleep_ms(1);
	victim_ready();
	EXPECT_POLICY(MPOL_DEFAULT, 0);
	stage = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

/*
 * With two nodes: pages that follow each other come from different ones.  Those from
 * before the checkpoint are where the restart had room for them.
 */
SURVIVES(attributes, interleaving_goes_on)
{
	const size_t page = 4096;
	int i, node, last = -1;
	char *area;

	area = mmap(NULL, 64 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	madvise(area, 64 * page, MADV_NOHUGEPAGE);
	if (access("/sys/devices/system/node/node1", F_OK))
		victim_cannot();
	set_policy(MPOL_INTERLEAVE, 3);
	for (i = 0; i < 5; i++)
		area[i * page] = 1;
	victim_ready();
	for (; i < 20; i++)
		area[i * page] = 1;
	set_policy(MPOL_DEFAULT, 0);
	for (i = 5; i < 20; i++, last = node) {
		V_SYS(syscall(__NR_get_mempolicy, &node, NULL, 0, area + i * page,
			      MPOL_F_NODE | MPOL_F_ADDR));
		V_CHECK(node != last);
	}
}

/* ---- syscall user dispatch ---- */

static char selector;
static volatile int dispatched;

static void on_dispatch(int sig, siginfo_t *info, void *context)
{
	selector = SYSCALL_DISPATCH_FILTER_ALLOW;
	dispatched = info->si_syscall;
}

SURVIVES(attributes, syscall_user_dispatch_stays)
{
	struct sigaction act = { .sa_sigaction = on_dispatch, .sa_flags = SA_SIGINFO };
	int i;

	V_SYS(sigaction(SIGSYS, &act, NULL));
	V_SYS(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	for (i = 0; i < 2; i++) {
		victim_ready();
		dispatched = 0;
		selector = SYSCALL_DISPATCH_FILTER_BLOCK;
		syscall(__NR_getppid);
		V_EQUAL(__NR_getppid, dispatched);
		dispatched = 0;
		syscall(__NR_getppid);
		V_EQUAL(0, dispatched);
	}
	V_SYS(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_OFF, 0, 0, 0));
	victim_ready();
	selector = SYSCALL_DISPATCH_FILTER_BLOCK;
	V_CHECK(syscall(__NR_getppid) >= 0);
	V_EQUAL(0, dispatched);
}

/* ---- CPUID ---- */

static sigjmp_buf from_fault;

static void on_fault(int sig)
{
	siglongjmp(from_fault, 1);
}

SURVIVES(attributes, faults_on_cpuid_stay)
{
	volatile bool faulted = false, lacks;
	unsigned int a, b, c, d;

	signal(SIGSEGV, on_fault);
	lacks = syscall(__NR_arch_prctl, ARCH_SET_CPUID, 0);
	victim_ready();
	if (!lacks)
		V_EQUAL(0, syscall(__NR_arch_prctl, ARCH_GET_CPUID, 0));
	if (sigsetjmp(from_fault, 1))
		faulted = true;
	else
		__cpuid(0, a, b, c, d);
	V_EQUAL(!lacks, faulted);
}

/* ---- scheduling ---- */

struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

SURVIVES(attributes, sched_deadline_stays)
{
	struct attr set = {
		.size = sizeof(set), .policy = 6, .flags = 2, .runtime = 5000000,
		.deadline = 50000000, .period = 100000000,
	}, now = { 0 };

	V_SYS(syscall(__NR_sched_setattr, 0, &set, 0));
	victim_ready();
	V_SYS(syscall(__NR_sched_getattr, 0, &now, sizeof(now), 0));
	V_EQUAL(6, now.policy);
	V_EQUAL(2, now.flags);
	V_EQUAL(5000000, now.runtime);
	V_EQUAL(50000000, now.deadline);
	V_EQUAL(100000000, now.period);
}

SURVIVES(attributes, reset_on_fork_stays)
{
	struct sched_param param = { .sched_priority = 7 };

	V_SYS(sched_setscheduler(0, SCHED_FIFO | SCHED_RESET_ON_FORK, &param));
	victim_ready();
	V_EQUAL(SCHED_FIFO | SCHED_RESET_ON_FORK, sched_getscheduler(0));
}

/* ---- the process ---- */

SURVIVES(attributes, membarrier_registrations_stay)
{
	const int all = MEMBARRIER_CMD_PRIVATE_EXPEDITED |
			MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE |
			MEMBARRIER_CMD_GLOBAL_EXPEDITED;
	int seen;

	V_SYS(syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0));
	V_SYS(syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
	V_SYS(syscall(__NR_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0));
	victim_ready();
	V_SYS(syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	V_SYS(syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED_SYNC_CORE, 0, 0));
	seen = syscall(__NR_membarrier, MEMBARRIER_CMD_GET_REGISTRATIONS, 0, 0);
	V_CHECK(seen > 0);
	V_CHECK(!(seen & (MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED_RSEQ)));
	V_CHECK(all);
}

SURVIVES(attributes, an_unregistered_membarrier_stays_so)
{
	victim_ready();
	V_EQUAL(-1, syscall(__NR_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0));
	V_EQUAL(EPERM, errno);
}

/* It cannot be chosen; that it is the caller's is said. */
VICTIM(with_a_login)
{
	char text[32];

	if (read_text("/proc/self/loginuid", text, sizeof(text)) < 0)
		vpage->word[0] = 1;
	victim_ready();
}

TEST_F(attributes, a_login_id_that_changes_is_reported)
{
	pid_t child;
	int state;

	child = fork();
	ASSERT_LE(0, child);
	if (!child) {
		if (write_text("/proc/self/loginuid", "4321"))
			_exit(77);
		if (victim_start(&self->v, "with_a_login") || victim_checkpoint(&self->v, 0) ||
		    victim_kill(&self->v))
			_exit(1);
		_exit(0);
	}
	ASSERT_EQ(child, waitpid(child, &state, 0));
	if (WIFEXITED(state) && WEXITSTATUS(state) == 77)
		SKIP(return, "kernel without audit, or a login ID that cannot be changed");
	ASSERT_EQ(0, state);
}

/* ---- locks ---- */

static pthread_mutex_t lock;
static volatile int got;

static void make_lock(int protocol, int robust)
{
	pthread_mutexattr_t attr;

	V_EQUAL(0, pthread_mutexattr_init(&attr));
	V_EQUAL(0, pthread_mutexattr_setprotocol(&attr, protocol));
	V_EQUAL(0, pthread_mutexattr_setrobust(&attr, robust));
	V_EQUAL(0, pthread_mutex_init(&lock, &attr));
}

static void *waits_for_lock(void *arg)
{
	*(volatile pid_t *)arg = gettid();
	V_EQUAL(0, pthread_mutex_lock(&lock));
	got++;
	V_EQUAL(0, pthread_mutex_unlock(&lock));
	return NULL;
}

/* Two threads wait in the kernel for a lock that the main thread holds. */
static void hold_while_others_wait(void)
{
	volatile pid_t tid[2] = { 0, 0 };
	pthread_t thread[2];
	int i;

	V_EQUAL(0, pthread_mutex_lock(&lock));
	for (i = 0; i < 2; i++) {
		V_EQUAL(0, pthread_create(&thread[i], NULL, waits_for_lock, (void *)&tid[i]));
		V_CHECK(WAIT_FOR(tid[i] && proc_in_syscall(getpid(), tid[i], __NR_futex)));
	}
	victim_ready();
	V_EQUAL(EBUSY, pthread_mutex_trylock(&lock));
	for (i = 0; i < 2; i++)
		V_CHECK(WAIT_FOR(proc_in_syscall(getpid(), tid[i], __NR_futex)));
	victim_ready();
	V_EQUAL(0, got);
	V_EQUAL(0, pthread_mutex_unlock(&lock));
	for (i = 0; i < 2; i++)
		V_EQUAL(0, pthread_join(thread[i], NULL));
	V_EQUAL(2, got);
}

SURVIVES(attributes, a_priority_inheriting_lock_stays_held)
{
	make_lock(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_STALLED);
	hold_while_others_wait();
}

SURVIVES(attributes, a_robust_priority_inheriting_lock_stays_held)
{
	make_lock(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST);
	hold_while_others_wait();
}

SURVIVES(attributes, an_ordinary_lock_stays_held)
{
	make_lock(PTHREAD_PRIO_NONE, PTHREAD_MUTEX_STALLED);
	hold_while_others_wait();
}

static void *takes_and_dies(void *arg)
{
	V_EQUAL(0, pthread_mutex_lock(&lock));
	stage = 1;
	while (stage != 2)
		sleep_ms(1);
	return NULL;
}

/* The one that waits is told that the owner, another thread, has died. */
static void *takes_over(void *arg)
{
	*(volatile pid_t *)arg = gettid();
	V_EQUAL(EOWNERDEAD, pthread_mutex_lock(&lock));
	V_EQUAL(0, pthread_mutex_consistent(&lock));
	V_EQUAL(0, pthread_mutex_unlock(&lock));
	return NULL;
}

SURVIVES(attributes, a_robust_priority_inheriting_lock_of_a_dead_owner)
{
	pthread_t owner, waiter;
	volatile pid_t tid = 0;

	make_lock(PTHREAD_PRIO_INHERIT, PTHREAD_MUTEX_ROBUST);
	V_EQUAL(0, pthread_create(&owner, NULL, takes_and_dies, NULL));
	while (stage != 1)
		sleep_ms(1);
	V_EQUAL(0, pthread_create(&waiter, NULL, takes_over, (void *)&tid));
	V_CHECK(WAIT_FOR(tid && proc_in_syscall(getpid(), tid, __NR_futex)));
	victim_ready();
	stage = 2;
	V_EQUAL(0, pthread_join(owner, NULL));
	V_EQUAL(0, pthread_join(waiter, NULL));
}

/* ---- mapped files that are replaced ---- */

VICTIM(maps_a_library)
{
	char path[128], *area;
	int fd;

	snprintf(path, sizeof(path), "%s/library", victim_dir);
	V_EQUAL(0, write_text(path, "version 1"));
	fd = V_SYS(open(path, O_RDONLY));
	area = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	victim_ready();
	V_EQUAL(0, strcmp("version 1", area));
}

TEST_F(attributes, a_mapped_file_that_was_replaced_since_is_refused_by_name)
{
	char path[128], new[128];

	if (dry_run())
		return;
	if (!variant->restart)
		SKIP(return, "about a restart");
	ASSERT_EQ(0, victim_start(&self->v, "maps_a_library"));
	snprintf(path, sizeof(path), "%s/library", self->v.dir);
	snprintf(new, sizeof(new), "%s/library.new", self->v.dir);
	ASSERT_EQ(0, write_text(new, "version 2"));
	ASSERT_EQ(0, victim_save(&self->v));
	ASSERT_EQ(0, rename(new, path));
	EXPECT_EQ(-ESTALE, victim_try_restart(&self->v, 0));
	EXPECT_NE(NULL, strstr(self->v.log, "library"));
}

/* ---- hostile images ---- */

VICTIM(has_all)
{
	set_policy(MPOL_BIND, 1);
	V_SYS(prctl(PR_SET_SYSCALL_USER_DISPATCH, PR_SYS_DISPATCH_ON, 0, 0, &selector));
	victim_ready();
}

CKPT_IMAGE_FIXTURE(lies, has_all)

#define HOSTILE(name, record, type, change)				\
	TEST_F(lies, hostile_##name)					\
	{								\
		struct type *p = find(&self->img, record, 0);		\
									\
		ASSERT_NE(NULL, p);					\
		ASSERT_TRUE(image_is_good(&self->v, &self->img));	\
		change;							\
		EXPECT_GT(0, try_changed(&self->v, &self->img, 0));	\
		EXPECT_NE('\0', self->v.log[0]);			\
		EXPECT_EQ(-1, kill(self->v.pid, 0));			\
	}

HOSTILE(policy_mode, CKPT_REC_TASK_MEMPOLICY, ckpt_task_mempolicy, p->mode = 77)
HOSTILE(policy_mode_negative, CKPT_REC_TASK_MEMPOLICY, ckpt_task_mempolicy, p->mode = -1)
HOSTILE(policy_node, CKPT_REC_TASK_MEMPOLICY, ckpt_task_mempolicy, p->nodes[15] = ~0ULL;
	p->nodes[0] = 0)
HOSTILE(policy_interleave, CKPT_REC_TASK_MEMPOLICY, ckpt_task_mempolicy, p->il_prev = 0x10000)
HOSTILE(selector_in_the_kernel, CKPT_REC_SYSCALL_DISPATCH, ckpt_syscall_dispatch,
	p->selector = 0xffffffff81000000)
HOSTILE(dispatch_range, CKPT_REC_SYSCALL_DISPATCH, ckpt_syscall_dispatch,
	p->offset = 4096; p->len = -1)

CKPT_TEST_MAIN
