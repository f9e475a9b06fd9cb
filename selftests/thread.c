// SPDX-License-Identifier: GPL-2.0
/*
 * What belongs to a thread: registers, floating point and vector state, TLS,
 * robust list, restartable sequence, scheduling, and the attributes that
 * prctl() and the like set for a thread or its process.
 */
#include <grp.h>
#include <math.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/auxv.h>
#include <sys/personality.h>
#include <sys/resource.h>
#include <sys/rseq.h>
#include <asm/prctl.h>
#include <linux/capability.h>
#include <linux/ioprio.h>
#include <linux/securebits.h>

#include "ckpt_test.h"

CKPT_FIXTURE(thread)

/* ---- registers ---- */

/*
 * A loop that needs no register but %rcx and changes no flag: it waits for
 * vpage->go with everything else holding what was put there.  vpage->word[] is
 * where the values come from (IN) and are left (OUT).
 */
enum {
	R_RAX, R_RBX, R_RDX, R_RSI, R_RDI, R_RBP, R_R8, R_R9, R_R10, R_R11, R_R12,
	R_R13, R_R14, R_R15, R_FLAGS, R_RSP, NR_REGS
};

#define OUT_WORD	32

asm(
"	.set	PAGE, 0x10000000\n"
"	.set	GO, PAGE + 4\n"
"	.set	IN, PAGE + 280\n"
"	.set	OUT, IN + 32 * 8\n"
"	.text\n"
"	.globl	spin_registers\n"
"	.type	spin_registers, @function\n"
"spin_registers:\n"
"	push	%rbx\n"
"	push	%rbp\n"
"	push	%r12\n"
"	push	%r13\n"
"	push	%r14\n"
"	push	%r15\n"
"	mov	%rsp, IN + 15 * 8\n"
"	mov	IN + 0 * 8, %rax\n"
"	mov	IN + 1 * 8, %rbx\n"
"	mov	IN + 2 * 8, %rdx\n"
"	mov	IN + 3 * 8, %rsi\n"
"	mov	IN + 4 * 8, %rdi\n"
"	mov	IN + 5 * 8, %rbp\n"
"	mov	IN + 6 * 8, %r8\n"
"	mov	IN + 7 * 8, %r9\n"
"	mov	IN + 8 * 8, %r10\n"
"	mov	IN + 9 * 8, %r11\n"
"	mov	IN + 10 * 8, %r12\n"
"	mov	IN + 11 * 8, %r13\n"
"	mov	IN + 12 * 8, %r14\n"
"	mov	IN + 13 * 8, %r15\n"
"	pushq	IN + 14 * 8\n"
"	popfq\n"
"1:	mov	GO, %ecx\n"
"	jrcxz	1b\n"
"	mov	%rax, OUT + 0 * 8\n"
"	mov	%rbx, OUT + 1 * 8\n"
"	mov	%rdx, OUT + 2 * 8\n"
"	mov	%rsi, OUT + 3 * 8\n"
"	mov	%rdi, OUT + 4 * 8\n"
"	mov	%rbp, OUT + 5 * 8\n"
"	mov	%r8, OUT + 6 * 8\n"
"	mov	%r9, OUT + 7 * 8\n"
"	mov	%r10, OUT + 8 * 8\n"
"	mov	%r11, OUT + 9 * 8\n"
"	mov	%r12, OUT + 10 * 8\n"
"	mov	%r13, OUT + 11 * 8\n"
"	mov	%r14, OUT + 12 * 8\n"
"	mov	%r15, OUT + 13 * 8\n"
"	mov	%rsp, OUT + 15 * 8\n"
"	pushfq\n"
"	popq	OUT + 14 * 8\n"
"	pushq	$2\n"
"	popfq\n"
"	pop	%r15\n"
"	pop	%r14\n"
"	pop	%r13\n"
"	pop	%r12\n"
"	pop	%rbp\n"
"	pop	%rbx\n"
"	ret\n"
"	.size	spin_registers, . - spin_registers\n"
);

extern void spin_registers(void);

_Static_assert(offsetof(struct victim_page, go) == 4, "GO");
_Static_assert(offsetof(struct victim_page, word) == 280, "IN");

#define X86_FLAG_FIXED	0x2
#define X86_FLAG_IF	0x200

static void spin_with_flags(long flags)
{
	int i;

	for (i = 0; i <= R_R15; i++)
		vpage->word[i] = 0x0123456789abcdefL * (i + 3) ^ flags << 40;
	vpage->word[R_FLAGS] = flags | X86_FLAG_FIXED;
	victim_reach();
	spin_registers();
	for (i = 0; i < NR_REGS; i++) {
		long seen = vpage->word[OUT_WORD + i];

		if (i == R_FLAGS)
			seen &= ~X86_FLAG_IF;
		if (seen != vpage->word[i])
			victim_fail(__LINE__, "register %d: %#lx, not %#lx", i, seen,
				    vpage->word[i]);
	}
}

SURVIVES(thread, general_registers_keep_their_values)
{
	spin_with_flags(0);
}

/* carry, parity, adjust, zero, sign, direction, overflow, AC, ID */
SURVIVES(thread, flags_keep_their_values)
{
	spin_with_flags(0x1 | 0x4 | 0x10 | 0x40 | 0x80 | 0x400 | 0x800 | 0x40000 | 0x200000);
}

/* ---- floating point and vectors ---- */

struct vectors {
	uint8_t zmm[32][64] __aligned(64);
	uint64_t k[8];
};

static struct vectors vec_in, vec_out;

static void fill_vectors(void)
{
	unsigned int i;
	uint8_t *byte = (uint8_t *)&vec_in;

	for (i = 0; i < sizeof(vec_in); i++)
		byte[i] = i * 37 + (i >> 8) + 11;
	memset(&vec_out, 0, sizeof(vec_out));
}

static void compare_vectors(int nr, int size, bool masks)
{
	int i;

	for (i = 0; i < nr; i++)
		if (memcmp(vec_in.zmm[i], vec_out.zmm[i], size))
			victim_fail(__LINE__, "vector register %d of %d bytes", i, size);
	for (i = 0; masks && i < 8; i++)
		if (vec_in.k[i] != vec_out.k[i])
			victim_fail(__LINE__, "mask register %d: %#lx, not %#lx", i,
				    vec_out.k[i], vec_in.k[i]);
}

#define SPIN \
	"1:	mov	" __stringify(VICTIM_PAGE_ADDR) "+ 4, %%eax\n" \
	"	test	%%eax, %%eax\n" \
	"	jz	1b\n"
#define __stringify_1(x) #x
#define __stringify(x) __stringify_1(x)

#define MOVE_16(insn, reg, op)						\
	"	.set	i, 0\n"						\
	"	.irp	n, 0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15\n"	\
	"	" op(insn, reg)						\
	"	.set	i, i + 1\n"					\
	"	.endr\n"
#define LOAD(insn, reg)	insn " i * 64(%0), %%" reg "\\n\n"
#define STORE(insn, reg)	insn " %%" reg "\\n, i * 64(%1)\n"

SURVIVES(thread, sse_registers_keep_their_values)
{
	fill_vectors();
	victim_reach();
	asm volatile(MOVE_16("movdqu", "xmm", LOAD)
		     SPIN
		     MOVE_16("movdqu", "xmm", STORE)
		     : : "r" (&vec_in), "r" (&vec_out)
		     : "eax", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		       "xmm13", "xmm14", "xmm15");
	compare_vectors(16, 16, false);
}

VICTIM(avx)
{
	fill_vectors();
	victim_reach();
	asm volatile(MOVE_16("vmovdqu", "ymm", LOAD)
		     SPIN
		     MOVE_16("vmovdqu", "ymm", STORE)
		     "	vzeroupper\n"
		     : : "r" (&vec_in), "r" (&vec_out)
		     : "eax", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		       "xmm13", "xmm14", "xmm15");
	compare_vectors(16, 32, false);
}

TEST_F(thread, avx_registers_keep_their_values)
{
	if (!__builtin_cpu_supports("avx"))
		SKIP(return, "CPU without AVX");
	ASSERT_EQ(0, victim_live(&self->v, "avx", variant->restart));
}

VICTIM(avx512)
{
	fill_vectors();
	victim_reach();
	asm volatile(MOVE_16("vmovdqu64", "zmm", LOAD)
		     "	.irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		     "	vmovdqu64 i * 64(%0), %%zmm\\n\n"
		     "	.set i, i + 1\n"
		     "	.endr\n"
		     "	.irp n, 0,1,2,3,4,5,6,7\n"
		     "	kmovw	2048 + \\n * 8(%0), %%k\\n\n"
		     "	.endr\n"
		     SPIN
		     MOVE_16("vmovdqu64", "zmm", STORE)
		     "	.irp n, 16,17,18,19,20,21,22,23,24,25,26,27,28,29,30,31\n"
		     "	vmovdqu64 %%zmm\\n, i * 64(%1)\n"
		     "	.set i, i + 1\n"
		     "	.endr\n"
		     "	.irp n, 0,1,2,3,4,5,6,7\n"
		     "	kmovw	%%k\\n, 2048 + \\n * 8(%1)\n"
		     "	.endr\n"
		     "	vzeroupper\n"
		     : : "r" (&vec_in), "r" (&vec_out)
		     : "eax", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5",
		       "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
		       "xmm13", "xmm14", "xmm15");
	compare_vectors(32, 64, false);
	for (int i = 0; i < 8; i++)
		V_EQUAL(vec_in.k[i] & 0xffff, vec_out.k[i] & 0xffff);
}

TEST_F(thread, avx512_registers_keep_their_values)
{
	if (!__builtin_cpu_supports("avx512f"))
		SKIP(return, "CPU without AVX-512");
	ASSERT_EQ(0, victim_live(&self->v, "avx512", variant->restart));
}

/* Rounding upwards, denormals are zero, flush to zero; precision flag set. */
SURVIVES(thread, mxcsr_keeps_its_value)
{
	uint32_t want = 0x1f80 | 0x4000 | 0x40 | 0x8000 | 0x20, seen;

	asm volatile("ldmxcsr %0" : : "m" (want));
	victim_ready();
	asm volatile("stmxcsr %0" : "=m" (seen));
	V_EQUAL(want, seen);
}

SURVIVES(thread, x87_stack_keeps_its_values)
{
	/* single precision, rounding down, all exceptions masked */
	uint16_t want = 0x047f, seen;
	double out[3];

	victim_reach();
	asm volatile("	fninit\n"
		     "	fldcw	%0\n"
		     "	fldpi\n"
		     "	fldl2e\n"
		     "	fld1\n"
		     : : "m" (want));
	asm volatile(SPIN : : : "eax", "memory");
	asm volatile("	fstpl	%0\n"
		     "	fstpl	%1\n"
		     "	fstpl	%2\n"
		     "	fnstcw	%3\n"
		     "	fninit\n"
		     : "=m" (out[0]), "=m" (out[1]), "=m" (out[2]), "=m" (seen));
	V_EQUAL(want, seen);
	V_CHECK(out[0] == 1.0);
	V_CHECK(fabs(out[1] - M_LOG2E) < 1e-15);
	V_CHECK(fabs(out[2] - M_PI) < 1e-15);
}

/* ---- thread-local storage ---- */

SURVIVES(thread, segment_bases_keep_their_values)
{
	static unsigned long cell = 0xfeedface;
	unsigned long fs, gs, seen;

	V_SYS(syscall(__NR_arch_prctl, ARCH_GET_FS, &fs));
	V_SYS(syscall(__NR_arch_prctl, ARCH_SET_GS, &cell));
	victim_ready();
	V_SYS(syscall(__NR_arch_prctl, ARCH_GET_FS, &seen));
	V_EQUAL(fs, seen);
	V_SYS(syscall(__NR_arch_prctl, ARCH_GET_GS, &gs));
	V_EQUAL(&cell, gs);
	asm volatile("mov %%gs:0, %0" : "=r" (seen));
	V_EQUAL(cell, seen);
}

#define HWCAP2_X86_FSGSBASE	(1 << 1)

VICTIM(wrgsbase)
{
	unsigned long want = 0x123456789000, seen;

	asm volatile("wrgsbase %0" : : "r" (want));
	victim_ready();
	asm volatile("rdgsbase %0" : "=r" (seen));
	V_EQUAL(want, seen);
}

TEST_F(thread, segment_base_set_by_instruction_keeps_its_value)
{
	if (!(getauxval(AT_HWCAP2) & HWCAP2_X86_FSGSBASE))
		SKIP(return, "CPU without FSGSBASE");
	ASSERT_EQ(0, victim_live(&self->v, "wrgsbase", variant->restart));
}

/* ---- threads ---- */

#define MAX_THREADS	64

static __thread long tls_value;
static __thread char tls_block[5000];

struct worker {
	pthread_t	thread;
	int		nr;
	pid_t		tid;
	volatile bool	began;
	volatile long	rounds;
	double		sum;
};

static struct worker workers[MAX_THREADS];
static volatile bool workers_stop;

/* Something in every register, on the stack and in TLS, all the time. */
static void *work(void *arg)
{
	struct worker *me = arg;
	double sum = 0;
	long i;

	tls_value = me->nr * 1000003L;
	memset(tls_block, me->nr, sizeof(tls_block));
	me->tid = gettid();
	me->began = true;
	for (i = 0; !workers_stop; i++) {
		sum += sqrt(i % 1000 + me->nr) * (tls_value - me->nr * 1000003L + 1);
		if (i % 1000 == 999) {
			me->sum = sum;
			sum = 0;
			me->rounds++;
			sched_yield();
		}
	}
	if (tls_value != me->nr * 1000003L)
		victim_fail(__LINE__, "TLS of thread %d", me->nr);
	for (i = 0; i < (long)sizeof(tls_block); i++)
		if (tls_block[i] != (char)me->nr)
			victim_fail(__LINE__, "TLS block of thread %d", me->nr);
	if (gettid() != me->tid)
		victim_fail(__LINE__, "thread %d has another thread id", me->nr);
	return me;
}

static double expected_sum(int nr)
{
	double sum = 0;
	long i;

	for (i = 0; i < 1000; i++)
		sum += sqrt(i % 1000 + nr);
	return sum;
}

static void run_threads(int nr)
{
	long before[MAX_THREADS];
	void *ret;
	int i;

	for (i = 0; i < nr; i++) {
		workers[i].nr = i + 1;
		V_EQUAL(0, pthread_create(&workers[i].thread, NULL, work, &workers[i]));
	}
	for (i = 0; i < nr; i++)
		while (!workers[i].began || !workers[i].rounds)
			sched_yield();
	victim_ready();
	for (i = 0; i < nr; i++)
		before[i] = workers[i].rounds;
	for (i = 0; i < nr; i++)
		while (workers[i].rounds < before[i] + 2)
			sched_yield();
	workers_stop = true;
	for (i = 0; i < nr; i++) {
		V_EQUAL(0, pthread_join(workers[i].thread, &ret));
		V_CHECK(ret == &workers[i]);
		V_CHECK(workers[i].sum == expected_sum(i + 1));
	}
}

SURVIVES(thread, one_more_thread_goes_on)
{
	run_threads(1);
}

SURVIVES(thread, four_threads_go_on)
{
	run_threads(4);
}

SURVIVES(thread, sixty_four_threads_go_on)
{
	run_threads(64);
}

static volatile int helper_state;

static void *sleeping_thread(void *arg)
{
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	return arg;
}

/* The kernel clears the thread ID and wakes whoever waits in pthread_join(). */
SURVIVES(thread, pthread_join_sees_a_thread_end)
{
	static int token;
	pthread_t thread;
	void *ret;

	V_EQUAL(0, pthread_create(&thread, NULL, sleeping_thread, &token));
	while (!helper_state)
		sched_yield();
	victim_ready();
	V_EQUAL(EBUSY, pthread_tryjoin_np(thread, &ret));
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, &ret));
	V_CHECK(ret == &token);
}

static void *counting_thread(void *arg)
{
	++*(int *)arg;
	return arg;
}

SURVIVES(thread, new_threads_can_be_made)
{
	static int count;
	pthread_t thread;
	int i;

	victim_ready();
	for (i = 0; i < 10; i++) {
		V_EQUAL(0, pthread_create(&thread, NULL, counting_thread, &count));
		V_EQUAL(0, pthread_join(thread, NULL));
	}
	V_EQUAL(10, count);
}

static void *named_thread(void *arg)
{
	char name[16];

	prctl(PR_SET_NAME, "second (thread)");
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	prctl(PR_GET_NAME, name);
	if (strcmp(name, "second (thread)"))
		victim_fail(__LINE__, "name of the second thread: %s", name);
	return NULL;
}

SURVIVES(thread, names_of_threads_stay)
{
	pthread_t thread;
	char name[16];

	prctl(PR_SET_NAME, "first 0123456789");
	V_EQUAL(0, pthread_create(&thread, NULL, named_thread, NULL));
	while (!helper_state)
		sched_yield();
	victim_ready();
	prctl(PR_GET_NAME, name);
	if (strcmp(name, "first 012345678"))
		victim_fail(__LINE__, "name of the first thread: %s", name);
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

SURVIVES(thread, names_in_proc_stay)
{
	char text[64];

	V_EQUAL(0, write_text("/proc/self/comm", "renamed"));
	victim_ready();
	V_CHECK(read_text("/proc/self/comm", text, sizeof(text)) > 0);
	V_EQUAL(0, strcmp(text, "renamed\n"));
}

SURVIVES(thread, process_and_parent_ids_stay)
{
	pid_t pid = getpid(), tid = gettid(), parent = getppid();

	victim_ready();
	V_EQUAL(pid, syscall(__NR_getpid));
	V_EQUAL(tid, syscall(__NR_gettid));
	V_EQUAL(parent, getppid());
}

SURVIVES(thread, a_session_leader_leads_its_session_again)
{
	V_SYS(setsid());
	victim_ready();
	V_EQUAL(getpid(), getsid(0));
	V_EQUAL(getpid(), getpgid(0));
}

SURVIVES(thread, a_process_group_leader_leads_its_group_again)
{
	pid_t session = getsid(0);

	V_SYS(setpgid(0, 0));
	victim_ready();
	V_EQUAL(getpid(), getpgid(0));
	V_EQUAL(session, getsid(0));
}

SURVIVES(thread, a_member_of_its_parents_group_stays_one)
{
	pid_t group = getpgid(0);

	victim_ready();
	V_EQUAL(group, getpgid(0));
}

/* ---- what libc registers with the kernel ---- */

SURVIVES(thread, robust_list_stays_registered)
{
	void *head, *seen;
	size_t len, seen_len;

	V_SYS(syscall(__NR_get_robust_list, 0, &head, &len));
	V_CHECK(head);
	victim_ready();
	V_SYS(syscall(__NR_get_robust_list, 0, &seen, &seen_len));
	V_EQUAL(head, seen);
	V_EQUAL(len, seen_len);
}

static pthread_mutex_t robust_mutex;

static void *robust_owner(void *arg)
{
	pthread_mutex_lock(&robust_mutex);
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	return NULL;	/* without unlocking */
}

SURVIVES(thread, robust_mutex_reports_a_dead_owner)
{
	pthread_mutexattr_t attr;
	pthread_t thread;

	pthread_mutexattr_init(&attr);
	pthread_mutexattr_setrobust(&attr, PTHREAD_MUTEX_ROBUST);
	V_EQUAL(0, pthread_mutex_init(&robust_mutex, &attr));
	V_EQUAL(0, pthread_create(&thread, NULL, robust_owner, NULL));
	while (!helper_state)
		sched_yield();
	victim_ready();
	V_EQUAL(EBUSY, pthread_mutex_trylock(&robust_mutex));
	helper_state = 2;
	V_EQUAL(EOWNERDEAD, pthread_mutex_lock(&robust_mutex));
	V_EQUAL(0, pthread_mutex_consistent(&robust_mutex));
	V_EQUAL(0, pthread_mutex_unlock(&robust_mutex));
	V_EQUAL(0, pthread_join(thread, NULL));
}

SURVIVES(thread, rseq_stays_registered)
{
	struct rseq *rseq = (void *)((char *)__builtin_thread_pointer() + __rseq_offset);
	int cpu, nr = sysconf(_SC_NPROCESSORS_ONLN);
	cpu_set_t set;

	V_CHECK(__rseq_size);
	victim_ready();

	/* EBUSY: exactly this is registered already */
	V_EQUAL(-1, syscall(__NR_rseq, rseq, sizeof(struct rseq), 0, RSEQ_SIG));
	V_EQUAL(EBUSY, errno);
	for (cpu = 0; cpu < nr; cpu++) {
		CPU_ZERO(&set);
		CPU_SET(cpu, &set);
		V_SYS(sched_setaffinity(0, sizeof(set), &set));
		sched_yield();
		V_EQUAL(cpu, *(volatile uint32_t *)&rseq->cpu_id);
	}
}

/* ---- scheduling ---- */

static void *nice_thread(void *arg)
{
	if (setpriority(PRIO_PROCESS, gettid(), 11))
		victim_fail(__LINE__, "setpriority");
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	if (getpriority(PRIO_PROCESS, gettid()) != 11)
		victim_fail(__LINE__, "nice value of the second thread: %d",
			    getpriority(PRIO_PROCESS, gettid()));
	return NULL;
}

SURVIVES(thread, nice_values_stay)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, nice_thread, NULL));
	while (!helper_state)
		sched_yield();
	V_SYS(setpriority(PRIO_PROCESS, 0, -7));
	victim_ready();
	V_EQUAL(-7, getpriority(PRIO_PROCESS, 0));
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

static void keep_policy(int policy, int priority)
{
	struct sched_param param = { .sched_priority = priority };

	V_SYS(sched_setscheduler(0, policy, &param));
	victim_ready();
	V_EQUAL(policy, sched_getscheduler(0));
	V_SYS(sched_getparam(0, &param));
	V_EQUAL(priority, param.sched_priority);
}

SURVIVES(thread, sched_fifo_stays)
{
	keep_policy(SCHED_FIFO, 21);
}

SURVIVES(thread, sched_rr_stays)
{
	keep_policy(SCHED_RR | SCHED_RESET_ON_FORK, 3);
}

SURVIVES(thread, sched_batch_stays)
{
	V_SYS(setpriority(PRIO_PROCESS, 0, 4));
	keep_policy(SCHED_BATCH, 0);
	V_EQUAL(4, getpriority(PRIO_PROCESS, 0));
}

SURVIVES(thread, sched_idle_stays)
{
	keep_policy(SCHED_IDLE, 0);
}

VICTIM(affinity)
{
	cpu_set_t set, seen;

	CPU_ZERO(&set);
	CPU_SET(1, &set);
	V_SYS(sched_setaffinity(0, sizeof(set), &set));
	victim_ready();
	V_SYS(sched_getaffinity(0, sizeof(seen), &seen));
	V_CHECK(CPU_EQUAL(&set, &seen));
	V_EQUAL(1, sched_getcpu());
}

TEST_F(thread, affinity_stays)
{
	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one processor only");
	ASSERT_EQ(0, victim_live(&self->v, "affinity", variant->restart));
}

/* The checkpointer's own affinity is not to be taken over. */
TEST_F(thread, affinity_of_the_caller_is_not_inherited)
{
	cpu_set_t all, one, seen;

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		SKIP(return, "one processor only");
	ASSERT_EQ(0, sched_getaffinity(0, sizeof(all), &all));
	ASSERT_EQ(0, victim_start(&self->v, "personality_stays"));
	CPU_ZERO(&one);
	CPU_SET(1, &one);
	ASSERT_EQ(0, sched_setaffinity(0, sizeof(one), &one));
	ASSERT_EQ(0, setpriority(PRIO_PROCESS, 0, 9));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, sched_getaffinity(self->v.pid, sizeof(seen), &seen));
	EXPECT_TRUE(CPU_EQUAL(&all, &seen));
	EXPECT_EQ(0, getpriority(PRIO_PROCESS, self->v.pid));
	ASSERT_EQ(0, victim_finish(&self->v));
}

static void *slack_thread(void *arg)
{
	prctl(PR_SET_TIMERSLACK, 777777);
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	if (prctl(PR_GET_TIMERSLACK) != 777777)
		victim_fail(__LINE__, "timer slack %d", prctl(PR_GET_TIMERSLACK));
	return NULL;
}

SURVIVES(thread, faults_on_reading_the_time_stamp_counter_stay)
{
	int mode = 0;

	V_SYS(prctl(PR_SET_TSC, PR_TSC_SIGSEGV));
	victim_ready();
	V_SYS(prctl(PR_GET_TSC, &mode));
	V_EQUAL(PR_TSC_SIGSEGV, mode);
	V_SYS(prctl(PR_SET_TSC, PR_TSC_ENABLE));
}

SURVIVES(thread, timer_slack_stays)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, slack_thread, NULL));
	while (!helper_state)
		sched_yield();
	V_SYS(prctl(PR_SET_TIMERSLACK, 123456));
	victim_ready();
	V_EQUAL(123456, prctl(PR_GET_TIMERSLACK));
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

#define IOPRIO_BE_6	IOPRIO_PRIO_VALUE(IOPRIO_CLASS_BE, 6)

SURVIVES(thread, io_priority_stays)
{
	V_SYS(syscall(__NR_ioprio_set, IOPRIO_WHO_PROCESS, 0, IOPRIO_BE_6));
	victim_ready();
	V_EQUAL(IOPRIO_BE_6, syscall(__NR_ioprio_get, IOPRIO_WHO_PROCESS, 0));
}

/* ---- attributes of the process ---- */

SURVIVES(thread, personality_stays)
{
	int want = ADDR_NO_RANDOMIZE | STICKY_TIMEOUTS | UNAME26;

	V_SYS(personality(want));
	victim_ready();
	V_EQUAL(want, personality(0xffffffff));
}

SURVIVES(thread, no_new_privs_stays_set)
{
	V_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	victim_ready();
	V_EQUAL(1, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

SURVIVES(thread, no_new_privs_stays_clear)
{
	V_EQUAL(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
	victim_ready();
	V_EQUAL(0, prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0));
}

SURVIVES(thread, undumpable_stays_undumpable)
{
	V_SYS(prctl(PR_SET_DUMPABLE, 0));
	victim_ready();
	V_EQUAL(0, prctl(PR_GET_DUMPABLE));
}

SURVIVES(thread, dumpable_stays_dumpable)
{
	V_EQUAL(1, prctl(PR_GET_DUMPABLE));
	victim_ready();
	V_EQUAL(1, prctl(PR_GET_DUMPABLE));
}

SURVIVES(thread, parent_death_signal_stays)
{
	int sig = 0;

	V_SYS(prctl(PR_SET_PDEATHSIG, SIGUSR2));
	victim_ready();
	V_SYS(prctl(PR_GET_PDEATHSIG, &sig));
	V_EQUAL(SIGUSR2, sig);
}

SURVIVES(thread, resource_limits_stay)
{
	struct rlimit want[RLIM_NLIMITS], seen;
	int i;

	V_SYS(setrlimit(RLIMIT_CPU, &(struct rlimit){ 5000, 6000 }));
	V_SYS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 77, 99 }));
	V_SYS(setrlimit(RLIMIT_CORE, &(struct rlimit){ 0, 12345 }));
	V_SYS(setrlimit(RLIMIT_STACK, &(struct rlimit){ 6 << 20, RLIM_INFINITY }));
	for (i = 0; i < RLIM_NLIMITS; i++)
		V_SYS(getrlimit(i, &want[i]));
	victim_ready();
	for (i = 0; i < RLIM_NLIMITS; i++) {
		V_SYS(getrlimit(i, &seen));
		if (seen.rlim_cur != want[i].rlim_cur || seen.rlim_max != want[i].rlim_max)
			victim_fail(__LINE__, "limit %d: %lu/%lu, not %lu/%lu", i,
				    seen.rlim_cur, seen.rlim_max, want[i].rlim_cur,
				    want[i].rlim_max);
	}
}

struct caps {
	struct __user_cap_data_struct set[2];
};

static void get_caps(struct caps *caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };

	V_SYS(syscall(__NR_capget, &head, caps->set));
}

SURVIVES(thread, credentials_stay)
{
	gid_t groups[] = { 100, 2000, 70000 }, gids[3], seen[8];
	struct caps before, after;
	uid_t uids[3];
	int bits;

	V_SYS(prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT));
	V_SYS(prctl(PR_SET_SECUREBITS, SECBIT_KEEP_CAPS | SECBIT_NO_CAP_AMBIENT_RAISE));
	V_SYS(setgroups(3, groups));
	V_SYS(setresgid(1001, 1002, 1003));
	V_SYS(setresuid(2001, 2002, 2003));
	get_caps(&before);
	bits = prctl(PR_GET_SECUREBITS);
	victim_ready();

	V_SYS(getresuid(&uids[0], &uids[1], &uids[2]));
	V_SYS(getresgid(&gids[0], &gids[1], &gids[2]));
	V_EQUAL(2001, uids[0]);
	V_EQUAL(2002, uids[1]);
	V_EQUAL(2003, uids[2]);
	V_EQUAL(1001, gids[0]);
	V_EQUAL(1002, gids[1]);
	V_EQUAL(1003, gids[2]);
	V_EQUAL(3, getgroups(8, seen));
	V_EQUAL(0, memcmp(groups, seen, sizeof(groups)));
	get_caps(&after);
	V_EQUAL(0, memcmp(&before, &after, sizeof(after)));
	V_EQUAL(bits, prctl(PR_GET_SECUREBITS));
	V_EQUAL(0, prctl(PR_CAPBSET_READ, CAP_SYS_BOOT));
	V_EQUAL(1, prctl(PR_CAPBSET_READ, CAP_CHOWN));
}

SURVIVES(thread, ambient_capabilities_stay)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct caps caps;

	get_caps(&caps);
	caps.set[0].inheritable = 1 << CAP_NET_RAW;
	V_SYS(syscall(__NR_capset, &head, caps.set));
	V_SYS(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_RAW, 0, 0));
	victim_ready();
	V_EQUAL(1, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_NET_RAW, 0, 0));
	V_EQUAL(0, prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, CAP_CHOWN, 0, 0));
}

SURVIVES(thread, oom_score_adjustment_stays)
{
	char text[32];

	V_EQUAL(0, write_text("/proc/self/oom_score_adj", "321"));
	victim_ready();
	V_CHECK(read_text("/proc/self/oom_score_adj", text, sizeof(text)) > 0);
	V_EQUAL(321, atoi(text));
}

/* Written the old way it may be below the least that the process may choose. */
SURVIVES(thread, oom_score_adjustment_by_the_old_name_stays)
{
	char text[32];
	int adj;

	if (write_text("/proc/self/oom_adj", "-5"))
		victim_cannot();
	V_CHECK(read_text("/proc/self/oom_score_adj", text, sizeof(text)) > 0);
	adj = atoi(text);
	V_CHECK(adj < 0);
	victim_ready();
	V_CHECK(read_text("/proc/self/oom_score_adj", text, sizeof(text)) > 0);
	V_EQUAL(adj, atoi(text));
}

/* ---- resource usage ---- */

SURVIVES(thread, cpu_time_goes_on)
{
	int64_t before, after;
	struct rusage usage;

	while (now_ns(CLOCK_PROCESS_CPUTIME_ID) < 300000000)
		;
	before = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	victim_ready();
	after = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	V_CHECK(after >= before);
	V_CHECK(after < before + 20000000000);
	V_SYS(getrusage(RUSAGE_SELF, &usage));
	V_CHECK(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec +
		usage.ru_stime.tv_sec * 1000000 + usage.ru_stime.tv_usec >= 280000);
}

SURVIVES(thread, thread_cpu_time_goes_on)
{
	int64_t before, after;

	while (now_ns(CLOCK_THREAD_CPUTIME_ID) < 200000000)
		;
	before = now_ns(CLOCK_THREAD_CPUTIME_ID);
	victim_ready();
	after = now_ns(CLOCK_THREAD_CPUTIME_ID);
	V_CHECK(after >= before);
	V_CHECK(after < before + 20000000000);
}

SURVIVES(thread, fault_and_switch_counts_go_on)
{
	struct rusage before, after;
	size_t len = 300 * 4096, i;
	char *area;

	area = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	V_SYS(madvise(area, len, MADV_NOHUGEPAGE));
	for (i = 0; i < len; i += 4096)
		area[i] = 1;
	for (i = 0; i < 20; i++)
		sleep_ms(1);
	V_SYS(getrusage(RUSAGE_SELF, &before));
	victim_ready();
	V_SYS(getrusage(RUSAGE_SELF, &after));
	V_CHECK(after.ru_minflt >= before.ru_minflt);
	V_CHECK(after.ru_nvcsw >= before.ru_nvcsw);
	V_CHECK(after.ru_maxrss >= before.ru_maxrss / 2);
}

/* ---- what others see ---- */

TEST_F(thread, thread_ids_stay)
{
	char path[64];
	int i, nr = 0;

	ASSERT_EQ(0, victim_start(&self->v, "four_threads_go_on"));
	snprintf(path, sizeof(path), "/proc/%d/task", self->v.pid);

	pid_t tids[8] = {};
	struct dirent *entry;
	DIR *dir = opendir(path);

	ASSERT_NE(NULL, dir);
	while ((entry = readdir(dir)))
		if (entry->d_name[0] != '.' && nr < 8)
			tids[nr++] = atoi(entry->d_name);
	closedir(dir);
	ASSERT_EQ(5, nr);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(nr, proc_value(self->v.pid, "status", "Threads"));
	for (i = 0; i < nr; i++) {
		snprintf(path, sizeof(path), "/proc/%d/task/%d", self->v.pid, tids[i]);
		EXPECT_EQ(0, access(path, F_OK));
	}
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(thread, statistics_count_the_threads)
{
	ASSERT_EQ(0, victim_start(&self->v, "four_threads_go_on"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	if (!dry_run())
		EXPECT_EQ(5ULL, self->v.stats.threads);
	ASSERT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
