// SPDX-License-Identifier: LGPL-2.1
/*
 * Taking part in the checkpoints of the process: hooks, and critical sections.
 *
 * All is in one word, so that to begin and to end a section costs an atomic operation,
 * and can be done in a signal handler: how many sections there are, in all threads;
 * whether a checkpoint is wanted, with its flags; and whether somebody takes one,
 * the owner. Who asks for a checkpoint, or ends the last section while one is wanted,
 * becomes the owner if there is none. He takes checkpoints until none is wanted or
 * somebody is in a section. As long as there is an owner, sections do not begin.
 *
 * An owner has all signals blocked: the handler of one of them may begin a section.
 *
 * The word is in the image as it was. In the restarted process the owner goes on.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>
#include <linux/futex.h>
#include <sys/syscall.h>

#include "internal.h"

#define SECTIONS	0x00ffffffU	/* how many there are */
#define FLAGS_SHIFT	24
#define FLAGS		(CHECKPOINT_SIGNAL_FLAGS << FLAGS_SHIFT)
#define OWNED		(1U << 30)
#define WANTED		(1U << 31)

_Static_assert(!(FLAGS & (SECTIONS | OWNED | WANTED)), "bits");
_Static_assert(CKPT_NO_LIMIT == CHECKPOINT_NO_LIMIT, "limit");

#define HOOKS_SIZE_VER0	48

_Static_assert(sizeof(struct ckpt_hooks) == HOOKS_SIZE_VER0, "size");

static _Atomic uint32_t word;
static struct ckpt_hooks hooks;		/* the owner's */
static struct sigaction old_action;	/* likewise */
static bool handled;			/* likewise: it is ours */

/*
 * Initial-exec: memory for them must not be allocated in a signal handler.
 *
 * Of what is in @word, the part of this thread, for a child that has no other
 */
static __thread uint32_t my_sections __attribute__((tls_model("initial-exec")));
static __thread bool i_am_owner __attribute__((tls_model("initial-exec")));

static void futex(int operation, uint32_t value)
{
	syscall(SYS_futex, &word, operation | FUTEX_PRIVATE_FLAG, value, NULL, NULL, 0);
}

static void run_hooks(unsigned int flags)
{
	int ret;

	if (hooks.before)
		hooks.before(hooks.arg);
	ret = lcr_prctl(PR_CHECKPOINT_TAKE, flags, 0);
	if (ret == 1) {
		/* The image is an answer to all that were wanted before. */
		atomic_fetch_and(&word, ~(WANTED | FLAGS));
		if (hooks.restarted)
			hooks.restarted(hooks.arg);
	} else if (hooks.after) {
		hooks.after(ret ? errno : 0, hooks.arg);
	}
}

static unsigned int flags_of(uint32_t value)
{
	unsigned int flags = (value & FLAGS) >> FLAGS_SHIFT;

	/* Of two requests that became one */
	if (flags & CHECKPOINT_SIGNAL_FULL)
		flags &= ~CHECKPOINT_SIGNAL_INCREMENTAL;
	if (flags & CHECKPOINT_SIGNAL_TREE)
		flags &= ~(CHECKPOINT_SIGNAL_TREE | CHECKPOINT_SIGNAL_SINGLE);
	return flags;
}

/* The owner's work, and the end of it */
static void own(void)
{
	uint32_t old = atomic_load(&word);
	bool take;

	i_am_owner = true;
	do {
		take = (old & WANTED) && !(old & SECTIONS);
		if (!atomic_compare_exchange_weak(&word, &old, take ?
						  old & ~(WANTED | FLAGS) : old & ~OWNED)) {
			take = true;	/* look again */
		} else if (take) {
			run_hooks(flags_of(old));
			old = atomic_load(&word);
		}
	} while (take);
	i_am_owner = false;
	futex(FUTEX_WAKE, INT_MAX);
}

static void block_signals(sigset_t *old)
{
	sigset_t all;

	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, old);
}

static void handle_signal(int sig, siginfo_t *info, void *context)
{
	uint32_t flags = info->si_code == SI_QUEUE ? info->si_value.sival_int : 0;
	uint32_t old = atomic_load(&word), new;
	int saved_errno = errno;

	(void)sig;
	(void)context;
	/* So that one who wants the process alone does not speak for the others */
	if (!(flags & CHECKPOINT_SIGNAL_SINGLE))
		flags |= CHECKPOINT_SIGNAL_TREE;
	do {
		new = old | WANTED | (flags << FLAGS_SHIFT & FLAGS);
		if (!(old & (SECTIONS | OWNED)))
			new |= OWNED;
	} while (!atomic_compare_exchange_weak(&word, &old, new));
	if (!(old & (SECTIONS | OWNED)))
		own();
	errno = saved_errno;
}

void ckpt_critical_begin(void)
{
	uint32_t old = atomic_load(&word);

	for (;;) {
		/* Who is in a section gets into another one, and so do hooks. */
		if ((old & OWNED) && !my_sections && !i_am_owner) {
			int saved_errno = errno;

			futex(FUTEX_WAIT, old);
			errno = saved_errno;
			old = atomic_load(&word);
		} else if (atomic_compare_exchange_weak(&word, &old, old + 1)) {
			break;
		}
	}
	my_sections++;
}

void ckpt_critical_end(void)
{
	uint32_t old = atomic_load(&word), new;
	bool owner, blocked = false;
	int saved_errno = errno;
	sigset_t signals;

	/* First this: the handler of a signal must not take the section for its own. */
	my_sections--;
	do {
		new = old - 1;
		owner = (old & WANTED) && !(new & SECTIONS) && !(old & OWNED);
		if (owner)
			new |= OWNED;
		if (owner && !blocked) {
			block_signals(&signals);
			blocked = true;
		}
	} while (!atomic_compare_exchange_weak(&word, &old, new));
	if (owner)
		own();
	if (blocked)
		pthread_sigmask(SIG_SETMASK, &signals, NULL);
	errno = saved_errno;
}

/* Other threads are not there any more, and requests were the parent's. */
static void forked(void)
{
	atomic_store(&word, my_sections | (i_am_owner ? OWNED : 0));
}

__attribute__((constructor))
static void prepare_fork(void)
{
	pthread_atfork(NULL, NULL, forked);
}

/* Become the owner, after whoever it is. */
static void become_owner(void)
{
	uint32_t old = atomic_load(&word);

	for (;;) {
		if (old & OWNED) {
			futex(FUTEX_WAIT, old);
			old = atomic_load(&word);
		} else if (atomic_compare_exchange_weak(&word, &old, old | OWNED)) {
			return;
		}
	}
}

static int opt_in(const struct ckpt_hooks *new)
{
	struct sigaction action = {
		.sa_sigaction = handle_signal,
		.sa_flags = SA_SIGINFO | SA_RESTART | SA_ONSTACK,
	};
	struct sigaction previous;
	int saved_errno;

	sigfillset(&action.sa_mask);
	if (sigaction(SIGCKPT, &action, &previous))
		return -1;
	if (lcr_prctl(PR_CHECKPOINT_OPT_IN, new->limit_ms, 0)) {
		saved_errno = errno;
		sigaction(SIGCKPT, &previous, NULL);
		errno = saved_errno;
		return -1;
	}
	if (!handled)
		old_action = previous;
	handled = true;
	hooks = *new;
	return 0;
}

static int opt_out(void)
{
	if (!handled)
		return lcr_prctl(PR_CHECKPOINT_GET_OPT_IN, 0, 0) < 0 ? -1 : 0;
	if (lcr_prctl(PR_CHECKPOINT_OPT_OUT, 0, 0) || sigaction(SIGCKPT, &old_action, NULL))
		return -1;
	handled = false;
	memset(&hooks, 0, sizeof(hooks));
	return 0;
}

int ckpt_hooks_set(const struct ckpt_hooks *user)
{
	int saved_errno = errno, ret;
	struct ckpt_hooks new;
	sigset_t signals;

	if (lcr_copy_options(&new, sizeof(new), HOOKS_SIZE_VER0, user))
		return -1;
	if (new.flags) {
		errno = EINVAL;
		return -1;
	}
	if (i_am_owner) {
		errno = EDEADLK;
		return -1;
	}
	block_signals(&signals);
	become_owner();
	ret = user ? opt_in(&new) : opt_out();
	if (ret)
		saved_errno = errno;
	own();
	pthread_sigmask(SIG_SETMASK, &signals, NULL);
	errno = saved_errno;
	return ret;
}
