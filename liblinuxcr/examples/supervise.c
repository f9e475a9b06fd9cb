// SPDX-License-Identifier: LGPL-2.1
/*
 * Run a program, save it every few seconds, and restart it from its last image
 * when it crashes, or when it was running while the machine went down:
 *
 *	supervise IMAGE SECONDS PROGRAM [ARGUMENT]...
 *
 * The same command starts and resumes: it begins with IMAGE if there is one. When
 * the program ends by itself IMAGE is removed and its exit status passed on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/wait.h>
#include <liblinuxcr.h>

#define MAX_CRASHES 3	/* without an image in between */

static struct ckpt_report *report;

static pid_t start(char **argv)
{
	pid_t pid = fork();

	if (pid == 0) {
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		execvp(argv[0], argv);
		perror(argv[0]);
		_exit(127);
	}
	if (pid < 0)
		perror("fork");
	return pid;
}

static pid_t resume(const char *image)
{
	struct ckpt_restart_options opts = { .size = sizeof(opts), .report = report };
	pid_t pid = ckpt_restart_file(image, &opts);

	if (pid < 0)
		fprintf(stderr, "supervise: cannot restart %s: %s\n%s", image,
			strerror(errno), ckpt_report_text(report));
	else
		fprintf(stderr, "supervise: restarted process %d\n", (int)pid);
	return pid;
}

static int save(pid_t pid, const char *image)
{
	struct ckpt_options opts = { .size = sizeof(opts), .report = report };
	int ret = ckpt_save(pid, image, &opts);

	if (ret)	/* the image before it is still there */
		fprintf(stderr, "supervise: cannot save process %d: %s\n%s", (int)pid,
			strerror(errno), ckpt_report_text(report));
	return ret;
}

int main(int argc, char **argv)
{
	struct timespec interval = { .tv_sec = argc > 3 ? atol(argv[2]) : 0 };
	int status, crashes = 0;
	const char *image;
	sigset_t child;
	pid_t pid;

	if (interval.tv_sec <= 0) {
		fprintf(stderr, "usage: %s IMAGE SECONDS PROGRAM [ARGUMENT]...\n",
			argv[0]);
		return 2;
	}
	image = argv[1];
	report = ckpt_report_new(0);
	if (!report) {
		perror("supervise");
		return 1;
	}
	/* Blocked, so that sigtimedwait() can wait for the end or the next save. */
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	sigprocmask(SIG_BLOCK, &child, NULL);

	pid = access(image, F_OK) ? start(argv + 3) : resume(image);
	while (pid > 0) {
		int sig = sigtimedwait(&child, NULL, &interval);

		if (waitpid(pid, &status, WNOHANG) == pid) {
			if (WIFEXITED(status)) {
				unlink(image);
				return WEXITSTATUS(status);
			}
			fprintf(stderr, "supervise: process %d: %s\n", (int)pid,
				strsignal(WTERMSIG(status)));
			if (++crashes > MAX_CRASHES || access(image, F_OK))
				return 128 + WTERMSIG(status);
			pid = resume(image);
		} else if (sig < 0 && errno == EAGAIN && !save(pid, image)) {
			crashes = 0;
		}
	}
	return 1;
}
