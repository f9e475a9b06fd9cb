// SPDX-License-Identifier: LGPL-2.1
/*
 * The processes of an image that has just been taken, and is to be acted upon: they
 * have been stopped by the checkpoint, with their parents, so none of them can have been
 * waited for by its parent. Who is a child of the parent that the image names, up to the
 * root process, which the caller holds, is the process that is in the image.
 *
 * Children come first: a process that ends, or goes on, before those below it could
 * have an effect on them. One whose parent ends while it is stopped might be continued.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/pidfd.h>

#include "internal.h"

#define KILL_WAIT_MS	10000

/**
 * struct process - a process of the image
 * @objref:	its object
 * @parent:	its parent, NULL for the root
 * @pid:	its process ID
 * @zombie:	it had ended
 * @stopped:	it had been stopped before
 * @found:	it is there
 */
struct process {
	uint32_t objref;
	const struct process *parent;
	pid_t pid;
	bool zombie;
	bool stopped;
	bool found;
};

struct tree {
	struct process *processes;
	size_t nr_processes;
};

char lcr_process_state(pid_t pid, pid_t *ppid)
{
	char name[32], stat[512], *end, state = 0;
	int parent = 0;
	FILE *file;
	size_t n;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	file = fopen(name, "re");
	if (!file)
		return 0;
	n = fread(stat, 1, sizeof(stat) - 1, file);
	fclose(file);
	stat[n] = '\0';
	end = strrchr(stat, ')');
	if (!end || sscanf(end + 1, " %c %d", &state, &parent) != 2)
		return 0;
	if (ppid)
		*ppid = parent;
	return state;
}

/* In an image the objrefs of processes ascend, and parents come before children. */
static struct process *find(const struct tree *tree, uint32_t objref)
{
	size_t low = 0, high = tree->nr_processes, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (tree->processes[middle].objref < objref)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < tree->nr_processes && tree->processes[low].objref == objref)
		return &tree->processes[low];
	return NULL;
}

static int add_process(struct tree *tree, size_t space, const struct ckpt_record *record)
{
	const struct ckpt_process *process = record->payload;
	struct process *last = tree->nr_processes ?
			       &tree->processes[tree->nr_processes - 1] : NULL;
	struct process new = {
		.objref = record->objref,
		.pid = process->pid,
		.zombie = process->flags & CKPT_PROCESS_ZOMBIE,
	};

	new.parent = find(tree, process->parent);
	if (!last != !new.parent || (last && last->objref >= new.objref) ||
	    tree->nr_processes == space)
		return -1;
	tree->processes[tree->nr_processes++] = new;
	return 0;
}

static int read_processes(struct tree *tree, struct ckpt_image *image)
{
	const size_t space = ckpt_image_header(image)->nr_tasks;
	const struct ckpt_record *record;
	struct process *process;
	int ret;

	tree->processes = calloc(space, sizeof(*tree->processes));
	if (!tree->processes)
		return -1;
	while ((ret = ckpt_image_next(image, &record)) > 0) {
		const struct ckpt_process_signals *signals = record->payload;

		switch (record->type) {
		case CKPT_REC_PROCESS:
			if (add_process(tree, space, record))
				return -1;
			break;
		case CKPT_REC_PROCESS_SIGNALS:
			process = find(tree, record->objref);
			if (process)
				process->stopped = signals->stop_signal;
			break;
		case CKPT_REC_PAGES:
		case CKPT_REC_TRAILER:
			return tree->nr_processes ? 0 : -1;
		}
	}
	return -1;
}

/* The file position of @fd may be in use: a writer that was interrupted has it. */
static int read_tree(struct tree *tree, int fd)
{
	struct ckpt_image *image;
	char name[32];
	int ret;

	snprintf(name, sizeof(name), "/proc/self/fd/%d", fd);
	image = ckpt_image_open(name, CKPT_IMAGE_SKIP_DATA, NULL);
	if (!image)
		return -1;
	ret = read_processes(tree, image);
	ckpt_image_close(image);
	return ret;
}

static bool is_child(const struct process *process)
{
	pid_t ppid;

	return lcr_process_state(process->pid, &ppid) && ppid == process->parent->pid;
}

/* Send a signal to a process that has been found to be the one in the image. */
static void signal_process(const struct process *process, int sig)
{
	int pidfd = pidfd_open(process->pid, 0);

	if (pidfd < 0)
		return;
	/* Once more, now that the process ID stands for this one only */
	if (is_child(process))
		pidfd_send_signal(pidfd, sig, NULL, 0);
	close(pidfd);
}

/* Find the descendants of the root process that are in the image, and signal them. */
static void signal_descendants(struct tree *tree, int fd, int root_pidfd, int sig)
{
	size_t i;

	if (read_tree(tree, fd) || pidfd_send_signal(root_pidfd, 0, NULL, 0)) {
		tree->nr_processes = 0;
		return;
	}
	tree->processes[0].found = true;
	for (i = 1; i < tree->nr_processes; i++) {
		struct process *process = &tree->processes[i];

		process->found = process->parent->found && is_child(process);
	}
	for (i = tree->nr_processes; i-- > 1; ) {
		const struct process *process = &tree->processes[i];

		if (process->found && !process->zombie &&
		    (sig != SIGCONT || !process->stopped))
			signal_process(process, sig);
	}
}

static int64_t now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * INT64_C(1000) + now.tv_nsec / 1000000;
}

/* Wait until a process has ended. */
static void wait_for_end(int pidfd, int64_t deadline)
{
	struct pollfd ended = { .fd = pidfd, .events = POLLIN };
	int64_t left = deadline - now_ms();

	poll(&ended, 1, left > 0 ? left : 0);
}

int lcr_kill_tree(int fd, int root_pidfd)
{
	int64_t deadline = now_ms() + KILL_WAIT_MS;
	struct tree tree = { };
	int pidfd, ret;
	size_t i;

	signal_descendants(&tree, fd, root_pidfd, SIGKILL);
	ret = pidfd_send_signal(root_pidfd, SIGKILL, NULL, 0) && errno != ESRCH ? -1 : 0;
	if (!ret)
		wait_for_end(root_pidfd, deadline);
	for (i = 1; i < tree.nr_processes && !ret; i++) {
		if (!tree.processes[i].found || tree.processes[i].zombie)
			continue;
		pidfd = pidfd_open(tree.processes[i].pid, 0);
		if (pidfd < 0)
			continue;
		wait_for_end(pidfd, deadline);
		close(pidfd);
	}
	free(tree.processes);
	return ret;
}

void lcr_continue_tree(int fd, int root_pidfd, bool root_was_stopped)
{
	struct tree tree = { };

	signal_descendants(&tree, fd, root_pidfd, SIGCONT);
	if (!root_was_stopped)
		pidfd_send_signal(root_pidfd, SIGCONT, NULL, 0);
	free(tree.processes);
}
