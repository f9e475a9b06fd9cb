// SPDX-License-Identifier: GPL-2.0
/* A file being written, of which a signal that ends ckpt leaves nothing behind. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <unistd.h>
#include <sys/pidfd.h>

#include "../src/internal.h"
#include "ckpt.h"

/*
 * Whoever holds the lock, the main thread to give the file its name or the other one
 * to remove it, has the last word.
 */
static struct {
	pthread_mutex_t lock;
	struct lcr_save save;
	sigset_t signals;
} saving = { .lock = PTHREAD_MUTEX_INITIALIZER };

/*
 * The checkpoint may be complete, and so leave the tree stopped, at any time before
 * the end of ckpt. So once more it is continued after that, by a child.
 */
static void continue_after_end(void)
{
	struct pollfd ended = { .fd = pidfd_open(getpid(), 0), .events = POLLIN };

	if (!saving.save.stopped || ended.fd < 0 || fork())
		return;
	poll(&ended, 1, -1);
	lcr_continue_tree(saving.save.fd, saving.save.pidfd, saving.save.was_stopped);
	_exit(0);
}

/* Waits for a signal that ends ckpt, and lets it do so without leaving a file. */
static void *watch_signals(void *unused)
{
	int sig;

	(void)unused;
	if (sigwait(&saving.signals, &sig))
		return NULL;
	pthread_mutex_lock(&saving.lock);
	continue_after_end();
	lcr_save_discard(&saving.save);
	signal(sig, SIG_DFL);
	kill(getpid(), sig);
	pthread_sigmask(SIG_UNBLOCK, &saving.signals, NULL);
	return NULL;	/* not reached: the lock stays held */
}

/* Block the signals that shall end a save, but not those the caller ignores. */
static void block_signals(void)
{
	static const int signals[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action;
	size_t i;

	sigemptyset(&saving.signals);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (!sigaction(signals[i], NULL, &action) &&
		    action.sa_handler != SIG_IGN)
			sigaddset(&saving.signals, signals[i]);
	pthread_sigmask(SIG_BLOCK, &saving.signals, NULL);
}

/*
 * From here on, signals end ckpt. If that leaves behind neither a file with a name
 * nor a stopped process, there is nothing to watch for.
 */
static int allow_signals(bool stops)
{
	pthread_t watcher;

	if (saving.save.temp || stops)
		return pthread_create(&watcher, NULL, watch_signals, NULL);
	return pthread_sigmask(SIG_UNBLOCK, &saving.signals, NULL);
}

struct lcr_save *saving_begin(const char *file, const struct lcr_series *series, bool stops)
{
	int error;

	block_signals();
	if (series ? lcr_save_begin_next(&saving.save, series) :
		     lcr_save_begin(&saving.save, file))
		return NULL;
	error = allow_signals(stops);
	if (error) {
		lcr_save_discard(&saving.save);
		errno = error;
		return NULL;
	}
	return &saving.save;
}

int saving_end(bool good)
{
	pthread_sigmask(SIG_BLOCK, &saving.signals, NULL);
	pthread_mutex_lock(&saving.lock);
	if (good)
		return lcr_save_commit(&saving.save);
	lcr_save_discard(&saving.save);
	return 0;
}
