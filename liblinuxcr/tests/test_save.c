// SPDX-License-Identifier: LGPL-2.1
/*
 * Calls of the library, above all ckpt_save(), with a kernel that is made up: the
 * linker puts the functions __wrap_...() here before those of the C library, so
 * that each of them can fail.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <asm/unistd.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "../src/internal.h"
#include "ktap.h"
#include "synth.h"

#define NEW_IMAGE "the new image"
#define OLD_IMAGE "the old image"

/* What the next calls are to do: fail with this errno value unless it is 0 */
static struct {
	int tmpfile_error;
	int fsync_error;
	int dir_fsync_error;
	int linkat_error;
	int renameat_error;
	int checkpoint_error;
	int checkpoint_result;
	const char *log;
	void (*hook)(void);
	const struct synth *image;	/* in place of NEW_IMAGE */
	const pid_t *tree;		/* what is stopped with the process, up to 0 */

	/* what checkpoint() was called with */
	long pid;
	size_t args_size;
	struct checkpoint_args args;
	struct restart_args restart_args;
} fake;

long __wrap_syscall(long number, ...);
int __real_openat(int dir_fd, const char *path, int flags, ...);
int __wrap_openat(int dir_fd, const char *path, int flags, ...);
int __real_fsync(int fd);
int __wrap_fsync(int fd);
int __real_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags);
int __wrap_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags);
int __real_renameat(int old_fd, const char *old, int new_fd, const char *new);
int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new);

static int fail(int error)
{
	errno = error;
	return -1;
}

int __wrap_openat(int dir_fd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & (O_CREAT | O_TMPFILE))
		mode = va_arg(args, mode_t);
	va_end(args);
	if ((flags & O_TMPFILE) == O_TMPFILE && fake.tmpfile_error)
		return fail(fake.tmpfile_error);
	return __real_openat(dir_fd, path, flags, mode);
}

int __wrap_fsync(int fd)
{
	struct stat st;
	int error;

	fstat(fd, &st);
	error = S_ISDIR(st.st_mode) ? fake.dir_fsync_error : fake.fsync_error;
	return error ? fail(error) : __real_fsync(fd);
}

int __wrap_linkat(int old_fd, const char *old, int new_fd, const char *new, int flags)
{
	if (fake.linkat_error)
		return fail(fake.linkat_error);
	return __real_linkat(old_fd, old, new_fd, new, flags);
}

int __wrap_renameat(int old_fd, const char *old, int new_fd, const char *new)
{
	if (fake.renameat_error)
		return fail(fake.renameat_error);
	return __real_renameat(old_fd, old, new_fd, new);
}

static char child_state(pid_t pid)
{
	char name[32], state = '?';
	FILE *file;

	snprintf(name, sizeof(name), "/proc/%d/stat", (int)pid);
	file = fopen(name, "r");
	if (!file || fscanf(file, "%*d %*s %c", &state) != 1)
		state = '?';
	if (file)
		fclose(file);
	return state;
}

static long fake_checkpoint(pid_t pid, const struct checkpoint_args *args, size_t size)
{
	struct checkpoint_stats *stats = (void *)(uintptr_t)args->stats;
	char *log = (char *)(uintptr_t)args->log;

	fake.pid = pid;
	fake.args = *args;
	fake.args_size = size;
	if (fake.hook)
		fake.hook();
	if (log && fake.log) {
		snprintf(log, args->log_size, "%s", fake.log);
		stats->log_bytes = strlen(fake.log);
	}
	if (stats)
		stats->total_ns = 17;
	/* A checkpoint that fails may have written something. */
	if (fake.image) {
		if (write(args->image_fd, fake.image->data, fake.image->size) < 0)
			return -1;
	} else if (args->image_fd >= 0 &&
	    write(args->image_fd, NEW_IMAGE, fake.checkpoint_error ? 3 : strlen(NEW_IMAGE)) < 0)
		return -1;
	if (fake.checkpoint_error)
		return fail(fake.checkpoint_error);
	if ((args->flags & CHECKPOINT_LEAVE_STOPPED) && child_state(pid) != 'T') {
		kill(pid, SIGSTOP);
		waitpid(pid, NULL, WUNTRACED);
	}
	for (; fake.tree && *fake.tree; fake.tree++) {
		kill(*fake.tree, SIGSTOP);
		while (child_state(*fake.tree) != 'T')
			usleep(1000);
	}
	return fake.checkpoint_result;
}

long __wrap_syscall(long number, ...)
{
	va_list args;
	long ret;

	va_start(args, number);
	if (number == __NR_checkpoint) {
		pid_t pid = va_arg(args, pid_t);
		struct checkpoint_args *checkpoint_args = va_arg(args, void *);

		ret = fake_checkpoint(pid, checkpoint_args, va_arg(args, size_t));
	} else if (number == __NR_restart) {
		fake.restart_args = *va_arg(args, struct restart_args *);
		fake.args_size = va_arg(args, size_t);
		ret = fake.checkpoint_error ? fail(fake.checkpoint_error) : 4711;
	} else {
		ret = fail(ENOSYS);
	}
	va_end(args);
	return ret;
}

/* /dev/null: an image nobody wants */
static int null_fd;

/* A directory of its own for each test, which is the current one then */
static char dir[] = "/tmp/test_save.XXXXXX";

static void enter_dir(void)
{
	strcpy(dir + sizeof(dir) - 7, "XXXXXX");
	if (!mkdtemp(dir) || chdir(dir))
		abort();
	memset(&fake, 0, sizeof(fake));
}

static void leave_dir(void)
{
	char command[64];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	if (chdir("/") || system(command))
		abort();
}

static void write_file(const char *name, const char *text)
{
	FILE *file = fopen(name, "w");

	if (!file || fputs(text, file) < 0 || fclose(file))
		abort();
}

static bool file_is(const char *name, const char *text)
{
	char buffer[64] = "";
	FILE *file = fopen(name, "r");

	if (!file)
		return false;
	if (!fgets(buffer, sizeof(buffer), file))
		buffer[0] = '\0';
	fclose(file);
	return !strcmp(buffer, text);
}

/* Files in the current directory */
static int count_files(void)
{
	struct dirent *entry;
	DIR *stream = opendir(".");
	int count = 0;

	while ((entry = readdir(stream)))
		count += strcmp(entry->d_name, ".") && strcmp(entry->d_name, "..");
	closedir(stream);
	return count;
}

static int count_fds(void)
{
	int fd, count = 0;

	for (fd = 0; fd < 64; fd++)
		count += fcntl(fd, F_GETFD) >= 0;
	return count;
}

static bool saves_new(void)
{
	struct stat st;

	errno = EXDEV;
	CHECK(ckpt_save(123, "image", NULL) == 0);
	CHECK(errno == EXDEV, "errno is left alone");
	CHECK(file_is("image", NEW_IMAGE));
	CHECK(!stat("image", &st) && (st.st_mode & 07777) == 0600);
	CHECK(count_files() == 1);
	return true;
}

static bool new_file_is_saved(void)
{
	bool ok;
	int fds = count_fds();

	enter_dir();
	ok = saves_new();
	leave_dir();
	CHECK(ok);
	CHECK(count_fds() == fds);
	return true;
}

static bool new_file_is_saved_without_tmpfile(void)
{
	bool ok;
	int fds = count_fds();

	enter_dir();
	fake.tmpfile_error = EOPNOTSUPP;
	ok = saves_new();
	leave_dir();
	CHECK(ok);
	CHECK(count_fds() == fds);
	return true;
}

static bool old_file_is_replaced(void)
{
	enter_dir();
	write_file("image", OLD_IMAGE);
	CHECK(!link("image", "link"));
	CHECK(ckpt_save(123, "image", NULL) == 0);
	CHECK(file_is("image", NEW_IMAGE) && file_is("link", OLD_IMAGE));
	leave_dir();
	return true;
}

/* Whatever fails, the old image stays, and nothing else */
static bool survives(int *what, int error)
{
	int tmpfile_error, fds = count_fds();

	for (tmpfile_error = 0; tmpfile_error < 2; tmpfile_error++) {
		enter_dir();
		write_file("image", OLD_IMAGE);
		fake.tmpfile_error = tmpfile_error ? EOPNOTSUPP : 0;
		*what = error;
		if (what == &fake.linkat_error && tmpfile_error) {
			leave_dir();
			continue;
		}
		CHECK(ckpt_save(123, "image", NULL) == -1);
		CHECK(errno == error, "%s", strerror(errno));
		CHECK(file_is("image", OLD_IMAGE));
		CHECK(count_files() == 1);
		leave_dir();
	}
	CHECK(count_fds() == fds);
	return true;
}

static bool old_image_survives_a_failed_checkpoint(void)
{
	static const int errors[] = { EOPNOTSUPP, EPERM, ESRCH, ENOSPC, EINTR, EIO };
	size_t i;

	for (i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		CHECK(survives(&fake.checkpoint_error, errors[i]));
	return true;
}

static bool old_image_survives_a_failed_fsync(void)
{
	return survives(&fake.fsync_error, EIO) && survives(&fake.fsync_error, ENOSPC);
}

static bool old_image_survives_a_failed_link(void)
{
	return survives(&fake.linkat_error, ENOSPC);
}

static bool old_image_survives_a_failed_rename(void)
{
	return survives(&fake.renameat_error, EDQUOT);
}

static bool failed_directory_fsync_is_reported(void)
{
	enter_dir();
	fake.dir_fsync_error = EIO;
	CHECK(ckpt_save(123, "image", NULL) == -1 && errno == EIO);
	fake.dir_fsync_error = EINVAL;	/* a file system without that */
	CHECK(ckpt_save(123, "image", NULL) == 0);
	CHECK(count_files() == 1);
	leave_dir();
	return true;
}

static bool only_regular_files_are_replaced(void)
{
	char name[NAME_MAX + 2];

	enter_dir();
	write_file("file", OLD_IMAGE);
	CHECK(!symlink("file", "symlink") && !symlink("nowhere", "dangling"));
	CHECK(!mkfifo("fifo", 0600) && !mkdir("dir", 0700));
	CHECK(ckpt_save(1, "symlink", NULL) == -1 && errno == ELOOP);
	CHECK(ckpt_save(1, "dangling", NULL) == -1 && errno == ELOOP);
	CHECK(ckpt_save(1, "fifo", NULL) == -1 && errno == EINVAL);
	CHECK(ckpt_save(1, "dir", NULL) == -1 && errno == EISDIR);
	CHECK(ckpt_save(1, "dir/", NULL) == -1 && errno == EISDIR);
	CHECK(ckpt_save(1, "dir/.", NULL) == -1 && errno == EISDIR);
	CHECK(ckpt_save(1, "/", NULL) == -1 && errno == EISDIR);
	CHECK(ckpt_save(1, "", NULL) == -1 && errno == ENOENT);
	CHECK(ckpt_save(1, "missing/image", NULL) == -1 && errno == ENOENT);
	CHECK(ckpt_save(1, "file/image", NULL) == -1 && errno == ENOTDIR);
	memset(name, 'n', sizeof(name));
	name[NAME_MAX + 1] = '\0';
	CHECK(ckpt_save(1, name, NULL) == -1 && errno == ENAMETOOLONG);
	CHECK(!fake.args_size, "no checkpoint was taken");
	CHECK(file_is("file", OLD_IMAGE));
	CHECK(count_files() == 5);
	leave_dir();
	return true;
}

static bool long_names_work(void)
{
	char name[NAME_MAX + 1];
	int pass;

	memset(name, 'n', sizeof(name));
	name[NAME_MAX] = '\0';
	for (pass = 0; pass < 2; pass++) {
		enter_dir();
		fake.tmpfile_error = pass ? EOPNOTSUPP : 0;
		CHECK(ckpt_save(1, name, NULL) == 0, "%s", strerror(errno));
		CHECK(file_is(name, NEW_IMAGE) && count_files() == 1);
		leave_dir();
	}
	return true;
}

static void change_dir(void)
{
	if (chdir("/"))
		abort();
}

static bool chdir_meanwhile_does_not_matter(void)
{
	int pass;

	for (pass = 0; pass < 2; pass++) {
		enter_dir();
		fake.tmpfile_error = pass ? EOPNOTSUPP : 0;
		fake.hook = change_dir;
		CHECK(ckpt_save(1, "image", NULL) == 0);
		CHECK(!chdir(dir) && file_is("image", NEW_IMAGE) && count_files() == 1);
		leave_dir();
	}
	return true;
}

static void replace_dir(void)
{
	if (rename("sub", "moved") || symlink("victim", "sub"))
		abort();
}

static bool another_directory_is_not_written_to(void)
{
	enter_dir();
	CHECK(!mkdir("sub", 0700) && !mkdir("victim", 0700));
	write_file("victim/image", OLD_IMAGE);
	fake.hook = replace_dir;
	CHECK(ckpt_save(1, "sub/image", NULL) == -1, "%s", strerror(errno));
	CHECK(file_is("victim/image", OLD_IMAGE));
	leave_dir();
	return true;
}

static void image_to_null(void)
{
	/* As it is in a restarted process */
	if (dup2(null_fd, fake.args.image_fd) < 0)
		abort();
}

static bool restarted_process_leaves_files_alone(void)
{
	int fds = count_fds();

	enter_dir();
	write_file("image", OLD_IMAGE);
	fake.hook = image_to_null;
	fake.checkpoint_result = 1;
	errno = EXDEV;
	CHECK(ckpt_save(0, "image", NULL) == 1 && errno == EXDEV);
	CHECK(fake.pid == 0);
	CHECK(file_is("image", OLD_IMAGE) && count_files() == 1);
	CHECK(count_fds() == fds);
	leave_dir();
	return true;
}

static int open_fds_at_checkpoint;

static void count_open_fds(void)
{
	open_fds_at_checkpoint = count_fds();
}

static bool only_the_image_is_open_at_the_checkpoint(void)
{
	int fds, pass;

	for (pass = 0; pass < 2; pass++) {
		enter_dir();
		fds = count_fds();
		fake.tmpfile_error = pass ? EOPNOTSUPP : 0;
		fake.hook = count_open_fds;
		CHECK(ckpt_save(0, "image", NULL) == 0);
		CHECK(open_fds_at_checkpoint == fds + 1);
		leave_dir();
	}
	return true;
}

static pid_t start_child(bool stopped)
{
	pid_t pid = fork();

	if (pid == 0)
		for (;;)
			pause();
	if (stopped) {
		kill(pid, SIGSTOP);
		waitpid(pid, NULL, WUNTRACED);
	}
	return pid;
}

static bool process_is_killed_when_its_image_is_safe(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };
	pid_t pid = start_child(false);
	int status, fds = count_fds();

	enter_dir();
	CHECK(ckpt_save(pid, "image", &opts) == 0);
	CHECK(fake.args.flags == CHECKPOINT_LEAVE_STOPPED);
	CHECK(file_is("image", NEW_IMAGE));
	CHECK(waitpid(pid, &status, WNOHANG) == pid, "it is dead at once");
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	CHECK(count_fds() == fds);
	leave_dir();
	return true;
}

static bool process_goes_on_if_its_image_is_not_safe(void)
{
	struct ckpt_options opts = { .size = sizeof(opts) };
	int turn, stopped, fds = count_fds();
	pid_t pid;

	for (turn = 0; turn < 4; turn++) {
		stopped = turn % 2;
		opts.flags = turn / 2 ? CKPT_LEAVE_STOPPED : CKPT_KILL;
		pid = start_child(stopped);
		enter_dir();
		write_file("image", OLD_IMAGE);
		fake.fsync_error = EIO;
		CHECK(ckpt_save(pid, "image", &opts) == -1 && errno == EIO);
		if (stopped)
			CHECK(child_state(pid) == 'T', "it stays stopped");
		else
			CHECK(child_state(pid) != 'T', "it goes on");
		fake.checkpoint_error = EOPNOTSUPP;
		CHECK(ckpt_save(pid, "image", &opts) == -1 && errno == EOPNOTSUPP);
		CHECK((child_state(pid) == 'T') == stopped);
		CHECK(file_is("image", OLD_IMAGE) && count_files() == 1);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		leave_dir();
	}
	CHECK(count_fds() == fds);
	return true;
}

/* A process with two children, of which one is stopped, and a stranger */
enum { ROOT, CHILD, STOPPED, STRANGER, NR_PROCESSES };

static void start_tree(pid_t *pids)
{
	int fds[2];

	if (pipe(fds))
		abort();
	pids[ROOT] = fork();
	if (!pids[ROOT]) {
		pids[CHILD] = start_child(false);
		pids[STOPPED] = start_child(true);
		if (write(fds[1], pids + CHILD, 2 * sizeof(*pids)) < 0)
			_exit(1);
		for (;;)
			pause();
	}
	if (read(fds[0], pids + CHILD, 2 * sizeof(*pids)) != 2 * sizeof(*pids))
		abort();
	close(fds[0]);
	close(fds[1]);
	pids[STRANGER] = start_child(false);
}

/* The image says that the stranger is a child, which has the ID of one that is gone. */
static void make_tree_image(struct synth *synth, const pid_t *pids)
{
	const struct ckpt_run run = {
		.addr = 0x10000000, .nr_pages = 1, .kind = CKPT_RUN_DATA,
	};
	int i;

	synth_init(synth);
	synth->header.nr_tasks = NR_PROCESSES;
	synth_header(synth);
	for (i = 0; i < NR_PROCESSES; i++) {
		const struct ckpt_process process = { .pid = pids[i], .parent = i ? 1 : 0 };
		const struct ckpt_process_signals signals = {
			.stop_signal = i == STOPPED ? SIGSTOP : 0,
		};

		synth_record(synth, CKPT_REC_PROCESS, 1 + i, &process, sizeof(process));
		synth_record(synth, CKPT_REC_PROCESS_SIGNALS, 1 + i, &signals,
			     sizeof(signals));
	}
	synth_pages(synth, 10, &run, 1, 1);
	synth_trailer(synth);
}

/* Of one that has ended nobody may have taken notice. */
static bool has_ended(pid_t pid)
{
	const char state = child_state(pid);

	return state == '?' || state == 'Z' || state == 'X';
}

static bool descendants_are_killed_too(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };
	pid_t pids[NR_PROCESSES], tree[] = { 0, 0 };
	int fds = count_fds();
	struct synth image;

	start_tree(pids);
	make_tree_image(&image, pids);
	enter_dir();
	fake.image = &image;
	tree[0] = pids[CHILD];
	fake.tree = tree;
	CHECK(ckpt_save(pids[ROOT], "image", &opts) == 0);
	CHECK(waitpid(pids[ROOT], NULL, WNOHANG) == pids[ROOT]);
	CHECK(has_ended(pids[CHILD]) && has_ended(pids[STOPPED]));
	CHECK(!has_ended(pids[STRANGER]), "it is nobody's child");
	CHECK(count_fds() == fds);
	kill(pids[STRANGER], SIGKILL);
	waitpid(pids[STRANGER], NULL, 0);
	synth_free(&image);
	leave_dir();
	return true;
}

static bool descendants_go_on_too(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };
	pid_t pids[NR_PROCESSES], tree[] = { 0, 0 };
	int i, fds = count_fds();
	struct synth image;

	start_tree(pids);
	make_tree_image(&image, pids);
	enter_dir();
	fake.image = &image;
	fake.fsync_error = EIO;
	tree[0] = pids[CHILD];
	fake.tree = tree;
	CHECK(ckpt_save(pids[ROOT], "image", &opts) == -1 && errno == EIO);
	CHECK(child_state(pids[ROOT]) != 'T' && child_state(pids[CHILD]) != 'T');
	CHECK(child_state(pids[STOPPED]) == 'T', "as it was before");
	CHECK(count_fds() == fds);
	for (i = NR_PROCESSES; i--; )
		kill(pids[i], SIGKILL);
	waitpid(pids[ROOT], NULL, 0);
	waitpid(pids[STRANGER], NULL, 0);
	synth_free(&image);
	leave_dir();
	return true;
}

static bool caller_is_not_stopped_with_the_tree(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };

	enter_dir();
	CHECK(ckpt_save(getppid(), "image", &opts) == -1 && errno == EINVAL);
	opts.flags = CKPT_LEAVE_STOPPED;
	CHECK(ckpt_save(getppid(), "image", &opts) == -1 && errno == EINVAL);
	CHECK(!fake.args_size && !count_files());
	leave_dir();
	return true;
}

static bool kill_flag_is_passed_on_otherwise(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .flags = CKPT_KILL };

	enter_dir();
	CHECK(ckpt_save(0, "image", &opts) == 0 && fake.args.flags == CHECKPOINT_KILL);
	CHECK(ckpt_checkpoint(1, null_fd, &opts) == 0 && fake.args.flags == CHECKPOINT_KILL);
	opts.flags |= CKPT_LEAVE_STOPPED;
	CHECK(ckpt_save(1, "image", &opts) == -1 && errno == EINVAL);
	opts.flags = CKPT_KILL;
	CHECK(ckpt_save(INT_MAX, "new", &opts) == -1 && errno == ESRCH);
	CHECK(count_files() == 1);
	leave_dir();
	return true;
}

static bool arguments_reach_the_kernel(void)
{
	const struct ckpt_external_fd external[] = { { 0, 5 }, { 12, 9 } };
	struct ckpt_options opts = {
		.size = sizeof(opts), .flags = CKPT_LEAVE_STOPPED,
		.timeout_ns = 1234567890123, .external_fds = external,
		.nr_external_fds = 2, .report = ckpt_report_new(1000),
	};
	pid_t pid = start_child(false);

	memset(&fake, 0, sizeof(fake));
	CHECK(ckpt_checkpoint(pid, null_fd, &opts) == 0);
	CHECK(fake.pid == pid && fake.args_size == sizeof(fake.args));
	CHECK(fake.args.image_fd == null_fd && fake.args.flags == CHECKPOINT_LEAVE_STOPPED);
	CHECK(fake.args.timeout_ns == 1234567890123);
	CHECK(fake.args.external == (uintptr_t)external && fake.args.external_nr == 2);
	CHECK(fake.args.log && fake.args.log_size == 1000);
	CHECK(fake.args.stats && fake.args.stats_size == sizeof(struct checkpoint_stats));
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);

	opts.flags = CKPT_INCREMENTAL;
	opts.tracker = CKPT_TRACKER_WRITE_PROTECT;
	memset(opts.parent_uuid, 0x5a, sizeof(opts.parent_uuid));
	CHECK(ckpt_checkpoint(8, null_fd, &opts) == 0);
	CHECK(fake.args.flags == CHECKPOINT_INCREMENTAL);
	CHECK(fake.args.tracker == CHECKPOINT_TRACKER_WRITE_PROTECT && !fake.args.reserved);
	CHECK(!memcmp(fake.args.parent_uuid, opts.parent_uuid, sizeof(opts.parent_uuid)));
	opts.reserved = 1;
	CHECK(ckpt_checkpoint(8, null_fd, &opts) == -1 && errno == EINVAL);
	opts.reserved = 0;
	opts.size = 48;			/* as a program compiled before there were chains */
	opts.flags = 0;
	CHECK(ckpt_checkpoint(8, null_fd, &opts) == 0 && !fake.args.tracker);
	opts.size = sizeof(opts);
	opts.tracker = CKPT_TRACKER_OFF;
	memset(opts.parent_uuid, 0, sizeof(opts.parent_uuid));

	CHECK(ckpt_check(8, &opts) == 0);
	CHECK(fake.args.flags == CHECKPOINT_CHECK && fake.args.image_fd == -1);
	opts.flags = CKPT_SINGLE;
	CHECK(ckpt_check(8, &opts) == 0);
	CHECK(fake.args.flags == (CHECKPOINT_CHECK | CHECKPOINT_SINGLE));
	CHECK(ckpt_checkpoint(8, null_fd, &opts) == 0 && fake.args.flags == CHECKPOINT_SINGLE);
	ckpt_report_free(opts.report);

	CHECK(ckpt_checkpoint(0, null_fd, NULL) == 0);
	CHECK(!fake.args.log && !fake.args.log_size && !fake.args.stats &&
	      !fake.args.stats_size && !fake.args.flags);
	return true;
}

static bool restart_arguments_reach_the_kernel(void)
{
	const struct ckpt_inherited_fd fds[] = { { 0, 3, 0, 0 }, { 7, 8, 12, 0 } };
	struct ckpt_restart_options opts = {
		.size = sizeof(opts), .fds = fds, .nr_fds = 2,
		.flags = CKPT_RESTART_HOST_CLOCKS | CKPT_RESTART_LEAVE_STOPPED,
	};
	int open_fds = count_fds();

	memset(&fake, 0, sizeof(fake));
	CHECK(ckpt_restart(5, &opts) == 4711);
	CHECK(fake.args_size == sizeof(fake.restart_args));
	CHECK(fake.restart_args.image_fd == 5 && fake.restart_args.fds_nr == 2);
	CHECK(fake.restart_args.fds == (uintptr_t)fds);
	CHECK(fake.restart_args.flags == (RESTART_HOST_CLOCKS | RESTART_LEAVE_STOPPED));
	CHECK(ckpt_restart_file("/dev/null", NULL) == 4711);
	CHECK(ckpt_restart_file("/nonexistent", NULL) == -1 && errno == ENOENT);
	fake.checkpoint_error = EEXIST;
	CHECK(ckpt_restart_file("/dev/null", NULL) == -1 && errno == EEXIST);
	CHECK(count_fds() == open_fds);
	opts.flags = 4;
	CHECK(ckpt_restart(5, &opts) == -1 && errno == EINVAL);
	return true;
}

static bool option_sizes_are_checked(void)
{
	struct {
		struct ckpt_options opts;
		uint64_t later;
	} newer = { .opts.size = sizeof(newer) };

	memset(&fake, 0, sizeof(fake));
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == 0, "unused new members are fine");
	newer.later = 1;
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == -1 && errno == E2BIG);
	CHECK(ckpt_save(1, "/tmp/x", &newer.opts) == -1 && errno == E2BIG);
	newer.opts.size = sizeof(newer.opts);
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == 0);
	newer.opts.size = 0;
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == -1 && errno == EINVAL);
	newer.opts.size = 40;
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == -1 && errno == EINVAL);
	newer.opts.size = sizeof(newer.opts);
	newer.opts.flags = 1;
	CHECK(ckpt_checkpoint(1, null_fd, &newer.opts) == -1 && errno == EINVAL);
	newer.opts.flags = CKPT_KILL;
	CHECK(ckpt_check(1, &newer.opts) == -1 && errno == EINVAL);
	return true;
}

static bool reports_hold_what_the_kernel_says(void)
{
	struct ckpt_options opts = { .size = sizeof(opts), .report = ckpt_report_new(16) };

	memset(&fake, 0, sizeof(fake));
	CHECK(opts.report);
	CHECK(!strcmp(ckpt_report_text(opts.report), ""));
	fake.log = "0123456789abcde";
	CHECK(ckpt_checkpoint(1, null_fd, &opts) == 0);
	CHECK(!strcmp(ckpt_report_text(opts.report), fake.log));
	CHECK(!ckpt_report_truncated(opts.report));
	CHECK(ckpt_report_stats(opts.report)->total_ns == 17);
	fake.log = "0123456789abcdef";
	CHECK(ckpt_checkpoint(1, null_fd, &opts) == 0);
	CHECK(!strcmp(ckpt_report_text(opts.report), "0123456789abcde"));
	CHECK(ckpt_report_truncated(opts.report));
	opts.flags = 1;
	CHECK(ckpt_checkpoint(1, null_fd, &opts) == -1);
	CHECK(!strcmp(ckpt_report_text(opts.report), ""), "each call starts it anew");
	CHECK(!ckpt_report_stats(opts.report)->total_ns);
	opts.flags = 0;
	CHECK(ckpt_checkpoint(1, null_fd, &opts) == 0);
	CHECK(ckpt_save(1, "/nonexistent/image", &opts) == -1);
	CHECK(!strcmp(ckpt_report_text(opts.report), ""));
	ckpt_report_free(opts.report);
	ckpt_report_free(NULL);
	CHECK(!ckpt_report_new((1 << 20) + 1) && errno == EINVAL);
	return true;
}

int main(void)
{
	static const struct test tests[] = {
		{ "an image is saved to a new file",
		  new_file_is_saved },
		{ "also where the file system has no O_TMPFILE",
		  new_file_is_saved_without_tmpfile },
		{ "an old image is replaced, not overwritten",
		  old_file_is_replaced },
		{ "an old image survives a failed checkpoint",
		  old_image_survives_a_failed_checkpoint },
		{ "an old image survives a failed fsync",
		  old_image_survives_a_failed_fsync },
		{ "an old image survives a failed link",
		  old_image_survives_a_failed_link },
		{ "an old image survives a failed rename",
		  old_image_survives_a_failed_rename },
		{ "a failed fsync of the directory is reported",
		  failed_directory_fsync_is_reported },
		{ "nothing but regular files is replaced",
		  only_regular_files_are_replaced },
		{ "names may be as long as names can be",
		  long_names_work },
		{ "a chdir meanwhile does not matter",
		  chdir_meanwhile_does_not_matter },
		{ "another directory in its place is not written to",
		  another_directory_is_not_written_to },
		{ "the restarted process leaves all files alone",
		  restarted_process_leaves_files_alone },
		{ "no descriptor but that of the image is open at the checkpoint",
		  only_the_image_is_open_at_the_checkpoint },
		{ "CKPT_KILL kills when the image is safe",
		  process_is_killed_when_its_image_is_safe },
		{ "a process goes on when its image is not safe",
		  process_goes_on_if_its_image_is_not_safe },
		{ "CKPT_KILL kills the descendants that are in the image, and nobody else",
		  descendants_are_killed_too },
		{ "descendants go on when the image is not safe, unless they were stopped",
		  descendants_go_on_too },
		{ "nobody stops or kills a tree that he is part of",
		  caller_is_not_stopped_with_the_tree },
		{ "CKPT_KILL is passed on where it cannot be done later",
		  kill_flag_is_passed_on_otherwise },
		{ "all options reach checkpoint(2)",
		  arguments_reach_the_kernel },
		{ "all options reach restart(2)",
		  restart_arguments_reach_the_kernel },
		{ "option structures are checked",
		  option_sizes_are_checked },
		{ "reports hold what the kernel says",
		  reports_hold_what_the_kernel_says },
	};

	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	return run_tests(tests, sizeof(tests) / sizeof(tests[0]));
}
