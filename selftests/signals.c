// SPDX-License-Identifier: GPL-2.0
/*
 * Signals: masks, queues, handlers, alternate stacks, temporary masks, and
 * processes that are stopped.
 */
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/ucontext.h>

#include "ckpt_test.h"

CKPT_FIXTURE(signals)

#define NR_SIGNALS 64

/* Signals of the kernel's own, as the kernel sees them. */
typedef uint64_t kernel_sigset_t;

struct kernel_sigaction {
	void		*handler;
	unsigned long	flags;
	void		*restorer;
	kernel_sigset_t	mask;
};

static kernel_sigset_t blocked_now(void)
{
	kernel_sigset_t set = 0;

	V_SYS(syscall(__NR_rt_sigprocmask, SIG_BLOCK, NULL, &set, 8));
	return set;
}

static kernel_sigset_t pending_now(void)
{
	kernel_sigset_t set = 0;

	V_SYS(syscall(__NR_rt_sigpending, &set, 8));
	return set;
}

#define BIT(sig) (1ULL << ((sig) - 1))

static void block_raw(kernel_sigset_t set)
{
	V_SYS(syscall(__NR_rt_sigprocmask, SIG_SETMASK, &set, NULL, 8));
}

/* ---- masks ---- */

SURVIVES(signals, the_mask_stays)
{
	kernel_sigset_t set = BIT(SIGUSR1) | BIT(SIGINT) | BIT(SIGALRM) | BIT(33) | BIT(64);

	block_raw(set);
	V_EQUAL(set, blocked_now());
	victim_ready();
	V_EQUAL(set, blocked_now());
}

static volatile int helper_state;

static void *masked_thread(void *arg)
{
	block_raw(BIT(SIGUSR2) | BIT(40));
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	V_EQUAL(BIT(SIGUSR2) | BIT(40), blocked_now());
	return NULL;
}

SURVIVES(signals, masks_of_threads_stay_apart)
{
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, masked_thread, NULL));
	while (!helper_state)
		sched_yield();
	block_raw(BIT(SIGTERM));
	victim_ready();
	V_EQUAL(BIT(SIGTERM), blocked_now());
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

/* A checkpoint itself sends no signal, whatever is blocked. */
SURVIVES(signals, everything_blocked_is_no_obstacle)
{
	block_raw(~0ULL);
	victim_ready();
	V_EQUAL(~0ULL & ~(BIT(SIGKILL) | BIT(SIGSTOP)), blocked_now());
	V_EQUAL(0, pending_now());
}

/* ---- queues ---- */

static void queue(pid_t tid, int sig, int value)
{
	siginfo_t info = {
		.si_signo = sig,
		.si_code = SI_QUEUE,
		.si_pid = 4321,
		.si_uid = 1234,
	};

	info.si_value.sival_ptr = (void *)(0x1122334400000000L + value);
	if (tid)
		V_SYS(syscall(__NR_rt_tgsigqueueinfo, getpid(), tid, sig, &info));
	else
		V_SYS(syscall(__NR_rt_sigqueueinfo, getpid(), sig, &info));
}

/* The next of these signals, without waiting. */
static siginfo_t take(kernel_sigset_t set)
{
	struct timespec now = {};
	siginfo_t info = {};

	if (syscall(__NR_rt_sigtimedwait, &set, &info, &now, 8) < 0)
		victim_fail(__LINE__, "no signal of %#lx is pending", set);
	return info;
}

static void check_queued(int line, siginfo_t info, int sig, int value)
{
	if (info.si_signo != sig || info.si_code != SI_QUEUE || info.si_pid != 4321 ||
	    info.si_uid != 1234 ||
	    info.si_value.sival_ptr != (void *)(0x1122334400000000L + value))
		victim_fail(line, "signal %d code %d pid %d uid %d value %p, not %d with %d",
			    info.si_signo, info.si_code, info.si_pid, info.si_uid,
			    info.si_value.sival_ptr, sig, value);
}

SURVIVES(signals, queued_signals_stay_in_order_with_their_values)
{
	int rt = SIGRTMIN + 2, i;

	block_raw(~0ULL);
	for (i = 0; i < 20; i++)
		queue(0, rt, i);
	queue(0, rt + 1, 77);
	queue(0, SIGUSR2, 88);
	queue(0, SIGUSR2, 89);	/* an ordinary signal is pending once only */
	victim_ready();
	V_EQUAL(BIT(rt) | BIT(rt + 1) | BIT(SIGUSR2), pending_now());
	for (i = 0; i < 20; i++)
		check_queued(__LINE__, take(BIT(rt)), rt, i);
	check_queued(__LINE__, take(BIT(rt + 1)), rt + 1, 77);
	check_queued(__LINE__, take(BIT(SIGUSR2)), SIGUSR2, 88);
	V_EQUAL(0, pending_now());
}

struct receiver {
	pthread_t	thread;
	pid_t		tid;
	int		value;
};

static volatile int receivers_ready, receivers_go;

static void *receive(void *arg)
{
	struct receiver *me = arg;

	block_raw(~0ULL);
	me->tid = gettid();
	__sync_fetch_and_add(&receivers_ready, 1);
	while (!receivers_go)
		sleep_ms(1);
	V_EQUAL(BIT(SIGUSR1) | BIT(45), pending_now());
	check_queued(__LINE__, take(BIT(45)), 45, me->value);
	check_queued(__LINE__, take(BIT(SIGUSR1)), SIGUSR1, me->value + 1);
	V_EQUAL(0, pending_now());
	return NULL;
}

SURVIVES(signals, signals_of_a_thread_stay_with_that_thread)
{
	struct receiver receiver[3];
	int i;

	block_raw(~0ULL);
	for (i = 0; i < 3; i++) {
		receiver[i].value = 100 * i;
		V_EQUAL(0, pthread_create(&receiver[i].thread, NULL, receive, &receiver[i]));
	}
	while (receivers_ready < 3)
		sched_yield();
	for (i = 0; i < 3; i++) {
		queue(receiver[i].tid, 45, receiver[i].value);
		queue(receiver[i].tid, SIGUSR1, receiver[i].value + 1);
	}
	victim_ready();
	V_EQUAL(0, pending_now());
	receivers_go = 1;
	for (i = 0; i < 3; i++)
		V_EQUAL(0, pthread_join(receiver[i].thread, NULL));
}

SURVIVES(signals, the_sender_of_a_signal_stays_known)
{
	siginfo_t info;

	block_raw(~0ULL);
	V_SYS(kill(getpid(), SIGHUP));
	V_SYS(syscall(__NR_tgkill, getpid(), gettid(), SIGQUIT));
	victim_ready();
	info = take(BIT(SIGHUP));
	V_EQUAL(SI_USER, info.si_code);
	V_EQUAL(getpid(), info.si_pid);
	V_EQUAL(getuid(), info.si_uid);
	info = take(BIT(SIGQUIT));
	V_EQUAL(SI_TKILL, info.si_code);
	V_EQUAL(getpid(), info.si_pid);
}

SURVIVES(signals, nothing_becomes_pending_by_a_checkpoint)
{
	int i;

	block_raw(~0ULL);
	for (i = 0; i < 3; i++) {
		victim_ready();
		V_EQUAL(0, pending_now());
	}
}

/* ---- handlers ---- */

static struct {
	volatile int	count;
	int		sig, code, value;
	void		*stack;
	kernel_sigset_t	mask;
} handled;

static void handler(int sig, siginfo_t *info, void *context)
{
	handled.sig = sig;
	handled.code = info->si_code;
	handled.value = info->si_value.sival_int;
	handled.stack = __builtin_frame_address(0);
	handled.mask = blocked_now();
	handled.count++;
}

static void catch_signal(int sig, int flags)
{
	struct sigaction act = { .sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags };

	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGWINCH);
	V_SYS(sigaction(sig, &act, NULL));
}

SURVIVES(signals, handlers_masks_and_flags_stay)
{
	static const int flags[] = {
		SA_SIGINFO, SA_RESTART, SA_NODEFER, SA_ONSTACK, SA_RESETHAND,
		SA_NOCLDSTOP, SA_NOCLDWAIT, SA_RESTART | SA_SIGINFO,
	};
	struct kernel_sigaction before[NR_SIGNALS + 1], after;
	int sig;

	for (sig = 1; sig <= NR_SIGNALS; sig++) {
		struct sigaction act = {
			.sa_handler = sig % 3 == 0 ? SIG_IGN :
				      sig % 3 == 1 ? (void *)handler : SIG_DFL,
			.sa_flags = flags[sig % ARRAY_SIZE(flags)],
		};

		if (sig == SIGKILL || sig == SIGSTOP || sig == 32 || sig == 33)
			continue;
		sigaddset(&act.sa_mask, sig % 31 + 1);
		sigaddset(&act.sa_mask, 63 - sig % 29);
		V_SYS(sigaction(sig, &act, NULL));
	}
	for (sig = 1; sig <= NR_SIGNALS; sig++)
		V_SYS(syscall(__NR_rt_sigaction, sig, NULL, &before[sig], 8));
	victim_ready();
	for (sig = 1; sig <= NR_SIGNALS; sig++) {
		V_SYS(syscall(__NR_rt_sigaction, sig, NULL, &after, 8));
		if (memcmp(&before[sig], &after, sizeof(after)))
			victim_fail(__LINE__, "signal %d: handler %p flags %#lx mask %#lx", sig,
				    after.handler, after.flags, after.mask);
	}
}

SURVIVES(signals, handlers_run_afterwards)
{
	catch_signal(SIGUSR1, 0);
	victim_ready();
	V_SYS(sigqueue(getpid(), SIGUSR1, (union sigval) { .sival_int = 42 }));
	V_EQUAL(1, handled.count);
	V_EQUAL(SIGUSR1, handled.sig);
	V_EQUAL(SI_QUEUE, handled.code);
	V_EQUAL(42, handled.value);
	V_EQUAL(BIT(SIGUSR1) | BIT(SIGWINCH), handled.mask);
	V_EQUAL(0, blocked_now());
}

SURVIVES(signals, a_pending_signal_is_delivered_when_unblocked)
{
	catch_signal(SIGUSR1, 0);
	block_raw(BIT(SIGUSR1));
	V_SYS(sigqueue(getpid(), SIGUSR1, (union sigval) { .sival_int = 7 }));
	victim_ready();
	V_EQUAL(0, handled.count);
	block_raw(0);
	V_EQUAL(1, handled.count);
	V_EQUAL(7, handled.value);
}

/* A signal that comes while the process is frozen is delivered afterwards. */
static void slow_handler(int sig, siginfo_t *info, void *context)
{
	victim_ready();
	handled.count++;
}

SURVIVES(signals, a_handler_that_is_running_goes_on_and_returns)
{
	struct sigaction act = { .sa_sigaction = slow_handler, .sa_flags = SA_SIGINFO };
	volatile int before = 1234;

	sigemptyset(&act.sa_mask);
	sigaddset(&act.sa_mask, SIGUSR2);
	V_SYS(sigaction(SIGUSR1, &act, NULL));
	V_SYS(raise(SIGUSR1));
	V_EQUAL(1, handled.count);
	V_EQUAL(1234, before);
	V_EQUAL(0, blocked_now());
}

static char alt_stack[65536] __aligned(16);
static char other_stack[65536] __aligned(16);

static bool on(const char *stack)
{
	return (char *)handled.stack >= stack && (char *)handled.stack < stack + 65536;
}

static void *stack_thread(void *arg)
{
	stack_t stack = { .ss_sp = other_stack, .ss_size = sizeof(other_stack) }, seen;

	V_SYS(sigaltstack(&stack, NULL));
	helper_state = 1;
	while (helper_state < 2)
		sleep_ms(1);
	V_SYS(sigaltstack(NULL, &seen));
	V_EQUAL(stack.ss_sp, seen.ss_sp);
	V_EQUAL(stack.ss_size, seen.ss_size);
	V_SYS(pthread_kill(pthread_self(), SIGUSR1));
	V_CHECK(on(other_stack));
	return NULL;
}

SURVIVES(signals, alternate_stacks_of_threads_stay)
{
	stack_t stack = { .ss_sp = alt_stack, .ss_size = sizeof(alt_stack) }, seen;
	pthread_t thread;

	catch_signal(SIGUSR1, SA_ONSTACK);
	V_SYS(sigaltstack(&stack, NULL));
	V_EQUAL(0, pthread_create(&thread, NULL, stack_thread, NULL));
	while (!helper_state)
		sched_yield();
	victim_ready();
	V_SYS(sigaltstack(NULL, &seen));
	V_EQUAL(stack.ss_sp, seen.ss_sp);
	V_EQUAL(stack.ss_size, seen.ss_size);
	V_EQUAL(0, seen.ss_flags);
	V_SYS(raise(SIGUSR1));
	V_CHECK(on(alt_stack));
	helper_state = 2;
	V_EQUAL(0, pthread_join(thread, NULL));
}

static void ready_on_stack(int sig, siginfo_t *info, void *context)
{
	stack_t stack;

	victim_ready();
	V_SYS(sigaltstack(NULL, &stack));
	V_EQUAL(SS_ONSTACK, stack.ss_flags);
	handled.stack = __builtin_frame_address(0);
	handled.count++;
}

SURVIVES(signals, a_handler_on_the_alternate_stack_returns)
{
	stack_t stack = { .ss_sp = alt_stack, .ss_size = sizeof(alt_stack) };
	struct sigaction act = {
		.sa_sigaction = ready_on_stack,
		.sa_flags = SA_SIGINFO | SA_ONSTACK,
	};

	V_SYS(sigaltstack(&stack, NULL));
	V_SYS(sigaction(SIGUSR1, &act, NULL));
	V_SYS(raise(SIGUSR1));
	V_EQUAL(1, handled.count);
	V_CHECK(on(alt_stack));
	V_SYS(sigaltstack(NULL, &stack));
	V_EQUAL(0, stack.ss_flags);
}

/* The kernel's frame holds floating-point state that sigreturn puts back. */
SURVIVES(signals, registers_of_the_interrupted_code_come_back_from_a_handler)
{
	struct sigaction act = { .sa_sigaction = slow_handler, .sa_flags = SA_SIGINFO };
	uint64_t want = 0x123456789abcdef0, seen;
	long ret;

	V_SYS(sigaction(SIGUSR1, &act, NULL));
	asm volatile("	movq	%[want], %%xmm9\n"
		     "	syscall\n"
		     "	movq	%%xmm9, %[seen]\n"
		     : "=a" (ret), [seen] "=&r" (seen)
		     : [want] "r" (want), "a" (__NR_kill), "D" ((long)getpid()),
		       "S" ((long)SIGUSR1)
		     : "rcx", "r11", "memory", "xmm9");
	V_EQUAL(0, ret);
	V_EQUAL(1, handled.count);
	V_EQUAL(want, seen);
}

#ifdef __x86_64__

/* What a frame said of an exception: its address, number and error code */
static volatile greg_t fault[3];
static char *fault_page;

static void note_fault(int sig, siginfo_t *info, void *ucontext)
{
	const greg_t *regs = ((ucontext_t *)ucontext)->uc_mcontext.gregs;

	fault[0] = regs[REG_CR2];
	fault[1] = regs[REG_TRAPNO];
	fault[2] = regs[REG_ERR];
	if (sig == SIGSEGV)
		mprotect(fault_page, 4096, PROT_READ | PROT_WRITE);
}

/*
 * It stands in the frame of every signal after it.  That of the exception itself is
 * one if the checkpoint came between the two.
 */
SURVIVES(signals, the_last_exception_stays_known)
{
	struct sigaction act = { .sa_sigaction = note_fault, .sa_flags = SA_SIGINFO };

	fault_page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(fault_page != MAP_FAILED);
	V_SYS(sigaction(SIGSEGV, &act, NULL));
	V_SYS(sigaction(SIGUSR1, &act, NULL));
	((volatile char *)fault_page)[100] = 'x';
	V_EQUAL(fault_page + 100, fault[0]);
	/* A page fault; by a write from user mode */
	V_EQUAL(14, fault[1]);
	V_EQUAL(6, fault[2] & 6);

	victim_ready();
	memset((void *)fault, 0, sizeof(fault));
	V_SYS(raise(SIGUSR1));
	V_EQUAL(fault_page + 100, fault[0]);
	V_EQUAL(14, fault[1]);
	V_EQUAL(6, fault[2] & 6);
}

#endif

/* ---- a mask for the time of a system call ---- */

/*
 * The victim sleeps in a call with SIGUSR1 let through, is checkpointed there,
 * and the test sends SIGUSR1 afterwards: the handler runs, the call ends, and
 * the mask from before is back.
 */
static void begin_masked(void)
{
	catch_signal(SIGUSR1, 0);
	block_raw(BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(50));
}

static void end_masked(int line, long ret, int err)
{
	if (ret != -1 || err != EINTR)
		victim_fail(line, "returned %ld, errno %d", ret, err);
	if (handled.count != 1 || handled.sig != SIGUSR1)
		victim_fail(line, "handler ran %d times", handled.count);
	V_EQUAL(BIT(SIGUSR1) | BIT(SIGUSR2) | BIT(50), blocked_now());
	V_EQUAL(BIT(SIGUSR2) | BIT(SIGUSR1), handled.mask & ~BIT(50) & ~BIT(SIGWINCH));
}

#define SIGUSR2_AND_50 (BIT(SIGUSR2) | BIT(50))

VICTIM(in_sigsuspend)
{
	kernel_sigset_t set = SIGUSR2_AND_50;
	long ret;

	begin_masked();
	victim_reach_in(__NR_rt_sigsuspend);
	ret = syscall(__NR_rt_sigsuspend, &set, 8);
	end_masked(__LINE__, ret, errno);
}

VICTIM(in_ppoll)
{
	kernel_sigset_t set = SIGUSR2_AND_50;
	long ret;

	begin_masked();
	victim_reach_in(__NR_ppoll);
	ret = syscall(__NR_ppoll, NULL, 0, NULL, &set, 8);
	end_masked(__LINE__, ret, errno);
}

VICTIM(in_pselect)
{
	kernel_sigset_t set = SIGUSR2_AND_50;
	struct {
		void	*set;
		size_t	len;
	} arg = { &set, 8 };
	struct timespec timeout = { 1000, 0 };
	long ret;

	begin_masked();
	victim_reach_in(__NR_pselect6);
	ret = syscall(__NR_pselect6, 0, NULL, NULL, NULL, &timeout, &arg);
	end_masked(__LINE__, ret, errno);
}

static int interrupted_call(struct victim *v, const char *name, bool restart)
{
	if (victim_start(v, name) || victim_cycle(v, restart))
		return -1;
	/* still asleep with nothing done */
	if (!WAIT_FOR(proc_state(v->pid, v->pid) == 'S'))
		return -1;
	/* a signal that stays blocked does not end it */
	if (kill(v->pid, SIGUSR2) || kill(v->pid, SIGUSR1))
		return -1;
	return victim_end(v);
}

TEST_F(signals, sigsuspend_keeps_its_temporary_mask)
{
	ASSERT_EQ(0, interrupted_call(&self->v, "in_sigsuspend", variant->restart));
}

TEST_F(signals, ppoll_keeps_its_temporary_mask)
{
	ASSERT_EQ(0, interrupted_call(&self->v, "in_ppoll", variant->restart));
}

TEST_F(signals, pselect_keeps_its_temporary_mask)
{
	ASSERT_EQ(0, interrupted_call(&self->v, "in_pselect", variant->restart));
}

VICTIM(in_pause)
{
	long ret;

	catch_signal(SIGUSR1, SA_RESTART);
	victim_reach_in(__NR_pause);
	ret = syscall(__NR_pause);
	V_EQUAL(-1, ret);
	V_EQUAL(EINTR, errno);
	V_EQUAL(1, handled.count);
}

TEST_F(signals, pause_ends_with_a_signal_only)
{
	ASSERT_EQ(0, victim_start(&self->v, "in_pause"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'S'));
	ASSERT_EQ(0, kill(self->v.pid, SIGUSR1));
	ASSERT_EQ(0, victim_end(&self->v));
}

VICTIM(in_sigwait)
{
	kernel_sigset_t set = BIT(SIGUSR1) | BIT(50);
	siginfo_t info = {};
	long ret;

	block_raw(BIT(SIGUSR1) | BIT(50));
	victim_reach_in(__NR_rt_sigtimedwait);
	ret = syscall(__NR_rt_sigtimedwait, &set, &info, NULL, 8);
	V_EQUAL(SIGUSR1, ret);
	V_EQUAL(SI_USER, info.si_code);
	V_EQUAL(set, blocked_now());
}

TEST_F(signals, sigwaitinfo_goes_on_waiting)
{
	ASSERT_EQ(0, victim_start(&self->v, "in_sigwait"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_TRUE(WAIT_FOR(proc_state(self->v.pid, self->v.pid) == 'S'));
	ASSERT_EQ(0, kill(self->v.pid, SIGUSR1));
	ASSERT_EQ(0, victim_end(&self->v));
}

/* ---- while it is frozen, and after ---- */

VICTIM(counts_signals)
{
	int turn;

	catch_signal(SIGUSR1, SA_RESTART);
	catch_signal(SIGRTMIN, SA_RESTART);
	turn = victim_reach();
	victim_await(turn);
	V_EQUAL(vpage->word[0], handled.count);
}

/*
 * Signals sent while checkpoints go on all arrive, neither lost nor doubled.
 * They are real-time signals, which queue.
 */
TEST_F(signals, signals_sent_during_checkpoints_are_not_lost)
{
	int i, ret, sent = 0;
	pid_t sender;

	ASSERT_EQ(0, victim_start(&self->v, "counts_signals"));
	sender = fork();
	ASSERT_LE(0, sender);
	if (!sender) {
		for (i = 0; i < 200; i++)
			sent += !sigqueue(self->v.pid, SIGRTMIN, (union sigval) {});
		_exit(sent == 200 ? 0 : 1);
	}
	for (i = 0; i < 20; i++)
		ASSERT_EQ(0, victim_cycle(&self->v, false));
	ASSERT_EQ(sender, waitpid(sender, &ret, 0));
	ASSERT_EQ(0, ret);
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_set_word(&self->v, 0, 200));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(signals, signals_arrive_after_a_restart)
{
	ASSERT_EQ(0, victim_start(&self->v, "counts_signals"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, kill(self->v.pid, SIGUSR1));
	ASSERT_EQ(0, victim_set_word(&self->v, 0, 1));
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- stopped processes ---- */

VICTIM(stoppable)
{
	victim_ready();
}

static bool is_stopped(struct victim *v)
{
	return proc_state(v->pid, v->pid) == 'T';
}

TEST_F(signals, a_stopped_process_stays_stopped)
{
	int status;

	ASSERT_EQ(0, victim_start(&self->v, "stoppable"));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, victim_checkpoint(&self->v, 0));
	EXPECT_TRUE(is_stopped(&self->v));
	if (variant->restart && !dry_run()) {
		ASSERT_EQ(0, victim_kill(&self->v));
		ASSERT_EQ(0, victim_restart(&self->v));
		EXPECT_TRUE(WAIT_FOR(is_stopped(&self->v)));
	}
	/* it does nothing, though it might */
	ASSERT_EQ(0, victim_go(&self->v));
	sleep_ms(50);
	EXPECT_TRUE(is_stopped(&self->v));
	EXPECT_FALSE(victim_reap(&self->v));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_end(&self->v));
}

TEST_F(signals, a_stopped_process_with_threads_stays_stopped)
{
	ASSERT_EQ(0, victim_start(&self->v, "masks_of_threads_stay_apart"));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_TRUE(WAIT_FOR(is_stopped(&self->v)));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_TRUE(WAIT_FOR(is_stopped(&self->v)));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(0, victim_finish(&self->v));
}

TEST_F(signals, a_stopped_process_can_be_killed_afterwards)
{
	ASSERT_EQ(0, victim_start(&self->v, "stoppable"));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_TRUE(WAIT_FOR(is_stopped(&self->v)));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, victim_kill(&self->v));
}

/* The parent can wait for a restarted child like for any other. */
TEST_F(signals, the_parent_is_told_of_stops)
{
	int status;

	ASSERT_EQ(0, victim_start(&self->v, "stoppable"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	ASSERT_EQ(0, kill(self->v.pid, SIGSTOP));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, WUNTRACED));
	ASSERT_TRUE(WIFSTOPPED(status));
	ASSERT_EQ(0, kill(self->v.pid, SIGCONT));
	ASSERT_EQ(self->v.pid, waitpid(self->v.pid, &status, WCONTINUED));
	ASSERT_TRUE(WIFCONTINUED(status));
	ASSERT_EQ(0, victim_finish(&self->v));
}

static volatile int got_sigchld;

static void note_sigchld(int sig)
{
	got_sigchld = 1;
}

TEST_F(signals, the_parent_is_told_of_the_end)
{
	ASSERT_EQ(0, victim_start(&self->v, "stoppable"));
	ASSERT_EQ(0, victim_cycle(&self->v, variant->restart));
	got_sigchld = 0;
	signal(SIGCHLD, note_sigchld);
	ASSERT_EQ(0, victim_finish(&self->v));
	EXPECT_TRUE(WAIT_FOR(got_sigchld));
	signal(SIGCHLD, SIG_DFL);
}

CKPT_TEST_MAIN
