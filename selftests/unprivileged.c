// SPDX-License-Identifier: GPL-2.0
/*
 * What an ordinary user may do, and that an image can give nobody what he could
 * not get by other system calls.
 */
#include <grp.h>
#include <mqueue.h>
#include <stddef.h>
#include <sys/inotify.h>
#include <sys/msg.h>
#include <sys/sem.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <linux/securebits.h>

#include "ckpt_test.h"
#include "ckpt_image.h"

#define USER	1000

#ifndef CAP_CHECKPOINT_RESTORE
#define CAP_CHECKPOINT_RESTORE 40
#endif

FIXTURE(user)
{
	struct victim v;
};

FIXTURE_SETUP(user)
{
	REQUIRE_REAL_CHECKPOINT();
	if (getuid())
		SKIP(return, "only root can become somebody else");
	victim_init(&self->v);
	ASSERT_EQ(0, chown(self->v.dir, USER, USER));
}

FIXTURE_TEARDOWN(user)
{
	victim_cleanup(&self->v);
}

/* ---- who does it ---- */

/* Become an ordinary user who has @caps all the same. */
static int become_user(uint64_t caps)
{
	struct __user_cap_header_struct head = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct set[2] = {
		{ .permitted = (uint32_t)caps, .effective = (uint32_t)caps },
		{ .permitted = caps >> 32, .effective = caps >> 32 },
	};

	if (getuid() == USER)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) || setgroups(0, NULL) || setresgid(USER, USER, USER) ||
	    setresuid(USER, USER, USER) || syscall(__NR_capset, &head, set))
		return -1;
	/* not a secret any more: his own processes may be looked at */
	return prctl(PR_SET_DUMPABLE, 1);
}

#define CAP(name) (1ULL << CAP_##name)

/*
 * Part of a test in another process, with other rights: 0 if all is well.
 * EXPECT_*() do not get back from there, so it says itself what is wrong.
 */
#define CHILD(name) static int name(struct victim *v, long arg)

#define C_EQUAL(expected, seen)						\
	do {								\
		long __want = (long)(expected), __got = (long)(seen);	\
									\
		if (__want != __got) {					\
			test_log("%s:%d: %s: %ld, not %ld", __FILE__, __LINE__, \
				 #seen, __got, __want);			\
			show_log(v->log);				\
			return 1;					\
		}							\
	} while (0)

#define C_TRUE(cond) C_EQUAL(true, !!(cond))

static int in_child(struct victim *v, int (*child)(struct victim *, long), long arg)
{
	int status, ret;
	pid_t pid;

	fflush(stderr);
	pid = fork();
	if (pid < 0)
		return -1;
	if (!pid) {
		ret = child(v, arg);
		victim_kill(v);
		_exit(ret);
	}
	if (waitpid(pid, &status, 0) != pid)
		return -1;
	if (WIFSIGNALED(status))
		test_log("child ended by signal %d", WTERMSIG(status));
	return status;
}

/* ---- victims ---- */

VICTIM(plain)
{
	uid_t uid = getuid();
	char *area = malloc(10000);

	memset(area, 'a', 10000);
	victim_ready();
	V_EQUAL('a', area[9999]);
	V_EQUAL(uid, getuid());
}

VICTIM(undumpable)
{
	V_SYS(prctl(PR_SET_DUMPABLE, 0));
	victim_ready();
}

/* Opened with rights that it gives up later. */
VICTIM(opened_as_root)
{
	char path[128];

	snprintf(path, sizeof(path), "%s/secret", victim_dir);
	V_SYS(open(path, O_RDWR | O_CREAT, 0600));
	V_EQUAL(0, become_user(0));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	victim_ready();
}

VICTIM(raised_limits)
{
	V_SYS(setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 100, 3000 }));
	V_EQUAL(0, become_user(0));
	victim_ready();
}

VICTIM(nice_as_root)
{
	V_SYS(setpriority(PRIO_PROCESS, 0, -5));
	V_EQUAL(0, become_user(0));
	victim_ready();
}

VICTIM(real_time_as_root)
{
	struct sched_param param = { .sched_priority = 2 };

	V_SYS(sched_setscheduler(0, SCHED_RR, &param));
	V_EQUAL(0, become_user(0));
	victim_ready();
}

VICTIM(plain_user)
{
	V_EQUAL(0, become_user(0));
	victim_ready();
	V_EQUAL(USER, geteuid());
}

static int image_of(struct victim *v, const char *name)
{
	return victim_start(v, name) || victim_checkpoint(v, 0) || victim_kill(v);
}

/* ---- checkpoint ---- */

CHILD(checkpoint_own)
{
	C_EQUAL(0, become_user(0));
	C_EQUAL(0, victim_start(v, "plain"));
	C_EQUAL(0, victim_checkpoint(v, 0));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

TEST_F(user, an_ordinary_user_can_checkpoint_his_process)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_own, 0));
}

CHILD(checkpoint_undumpable)
{
	C_EQUAL(0, become_user(0));
	C_EQUAL(0, victim_spawn(v, "undumpable", NULL));
	/* not even its memory can be looked at: give it time instead */
	sleep_ms(500);
	C_EQUAL(-EPERM, victim_try_checkpoint(v, 0));
	C_EQUAL(0, lseek(v->image, 0, SEEK_END));
	kill(v->pid, SIGKILL);
	return 0;
}

TEST_F(user, an_undumpable_process_is_eperm_for_its_user)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_undumpable, 0));
}

CHILD(checkpoint_not_a_child)
{
	C_EQUAL(0, become_user(0));
	C_EQUAL(-EPERM, victim_try_checkpoint(v, 0));
	return 0;
}

TEST_F(user, the_limits_of_ptrace_apply)
{
	static const char scope[] = "/proc/sys/kernel/yama/ptrace_scope";
	struct victim v;
	char old[16];
	int status;

	if (read_text(scope, old, sizeof(old)) <= 0)
		SKIP(return, "kernel without Yama");
	ASSERT_EQ(0, victim_start(&self->v, "plain_user"));
	v = self->v;

	/* a child of somebody else, though of the same user */
	v.alive = false;
	ASSERT_EQ(0, write_text(scope, "1"));
	status = in_child(&v, checkpoint_not_a_child, 0);
	write_text(scope, old);
	EXPECT_EQ(0, status);
	ASSERT_EQ(0, victim_finish(&self->v));
}

/* ---- restart without the right to ---- */

CHILD(restart_without_rights)
{
	C_EQUAL(0, become_user(0));
	C_EQUAL(-EPERM, victim_try_restart(v, RESTART_HOST_CLOCKS));
	C_TRUE(strstr(v->log, "CAP_CHECKPOINT_RESTORE"));
	C_EQUAL(-EPERM, victim_try_restart(v, 0));
	C_EQUAL(-1, kill(v->pid, 0));
	return 0;
}

TEST_F(user, restart_without_a_capability_is_eperm)
{
	ASSERT_EQ(0, image_of(&self->v, "plain_user"));
	ASSERT_EQ(0, in_child(&self->v, restart_without_rights, 0));
}

CHILD(restart_with_host_clocks)
{
	C_EQUAL(0, become_user(CAP(CHECKPOINT_RESTORE)));
	C_EQUAL(-EPERM, victim_try_restart(v, 0));
	C_TRUE(strstr(v->log, "CAP_SYS_TIME"));
	C_EQUAL(-1, kill(v->pid, 0));
	C_EQUAL(v->pid, victim_try_restart(v, RESTART_HOST_CLOCKS));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

TEST_F(user, without_a_time_namespace_only_with_the_clocks_of_the_host)
{
	ASSERT_EQ(0, image_of(&self->v, "plain_user"));
	ASSERT_EQ(0, in_child(&self->v, restart_with_host_clocks, 0));
}

CHILD(restart_refused)
{
	C_EQUAL(0, become_user(CAP(CHECKPOINT_RESTORE)));
	C_EQUAL(arg, victim_try_restart(v, RESTART_HOST_CLOCKS));
	C_TRUE(v->log[0]);
	C_EQUAL(-1, kill(v->pid, 0));
	return 0;
}

TEST_F(user, the_process_of_root_is_eperm)
{
	ASSERT_EQ(0, image_of(&self->v, "plain"));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM));
}

TEST_F(user, a_file_he_cannot_open_is_eacces)
{
	ASSERT_EQ(0, image_of(&self->v, "opened_as_root"));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EACCES));
}

TEST_F(user, a_raised_limit_is_eperm)
{
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 500, 4000 }));
	ASSERT_EQ(0, image_of(&self->v, "raised_limits"));
	ASSERT_EQ(0, setrlimit(RLIMIT_NOFILE, &(struct rlimit){ 500, 2000 }));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM));
}

TEST_F(user, a_lower_nice_value_is_eperm)
{
	ASSERT_EQ(0, image_of(&self->v, "nice_as_root"));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM));
}

TEST_F(user, a_real_time_policy_is_eperm)
{
	ASSERT_EQ(0, image_of(&self->v, "real_time_as_root"));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM));
}

/* ---- restart in namespaces of his own ---- */

static int map_ids(void)
{
	char map[64];

	snprintf(map, sizeof(map), "%d %d 1", USER, USER);
	return write_text("/proc/self/setgroups", "deny") ||
	       write_text("/proc/self/uid_map", map) || write_text("/proc/self/gid_map", map);
}

/* As init of a new pid namespace: restart what was checkpointed outside. */
CHILD(restart_as_init)
{
	C_EQUAL(1, getpid());
	C_EQUAL(arg, victim_try_restart(v, 0));
	if (arg < 0) {
		C_TRUE(v->log[0]);
		C_EQUAL(-1, kill(v->pid, 0));
		return 0;
	}
	v->turn = 1;
	C_EQUAL(0, victim_finish(v));
	return 0;
}

CHILD(in_own_namespaces)
{
	C_EQUAL(0, become_user(0));
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return 77;
	C_EQUAL(0, map_ids());
	return in_child(v, restart_as_init, arg) ? 1 : 0;
}

CHILD(checkpoint_then_in_own_namespaces)
{
	C_EQUAL(0, become_user(0));
	C_EQUAL(0, image_of(v, "plain"));
	return in_own_namespaces(v, v->pid);
}

TEST_F(user, an_ordinary_user_can_restart_in_namespaces_of_his_own)
{
	int status = in_child(&self->v, checkpoint_then_in_own_namespaces, 0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP(return, "no user namespaces for ordinary users");
	ASSERT_EQ(0, status);
}

TEST_F(user, root_is_not_to_be_had_in_namespaces_of_his_own)
{
	int status;

	ASSERT_EQ(0, image_of(&self->v, "plain"));
	status = in_child(&self->v, in_own_namespaces, -EPERM);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP(return, "no user namespaces for ordinary users");
	ASSERT_EQ(0, status);
}

/* ---- images that were changed ---- */

/* The process of user 1000, whose image asks for something more. */
#define GREEDY(name, type, structure, change)				\
	TEST_F(user, an_image_cannot_give_##name)			\
	{								\
		struct image img;					\
		struct structure *p;					\
									\
		ASSERT_EQ(0, image_of(&self->v, "plain_user"));		\
		ASSERT_EQ(0, load_image(&img, self->v.image));		\
		p = find(&img, type, 0);				\
		ASSERT_NE(NULL, p);					\
		change;							\
		seal(&img);						\
		ASSERT_EQ((ssize_t)img.len,				\
			  pwrite(self->v.image, img.data, img.len, 0));	\
		ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM)); \
	}

GREEDY(the_user_id_of_root, CKPT_REC_CREDS, ckpt_creds, p->uid = 0)
GREEDY(the_effective_user_id_of_root, CKPT_REC_CREDS, ckpt_creds, p->euid = 0)
GREEDY(the_saved_user_id_of_root, CKPT_REC_CREDS, ckpt_creds, p->suid = 0)
GREEDY(the_file_system_user_id_of_root, CKPT_REC_CREDS, ckpt_creds, p->fsuid = 0)
GREEDY(the_group_of_root, CKPT_REC_CREDS, ckpt_creds, p->egid = 0)
GREEDY(the_saved_group_of_root, CKPT_REC_CREDS, ckpt_creds, p->sgid = 0)
GREEDY(another_user_id, CKPT_REC_CREDS, ckpt_creds,
	p->uid = p->euid = p->suid = p->fsuid = USER + 1)
GREEDY(permitted_capabilities, CKPT_REC_CREDS, ckpt_creds,
	p->cap_permitted |= CAP(SYS_ADMIN))
GREEDY(all_capabilities, CKPT_REC_CREDS, ckpt_creds,
	p->cap_permitted = p->cap_effective = p->cap_inheritable = p->cap_bounding)
GREEDY(inheritable_capabilities, CKPT_REC_CREDS, ckpt_creds,
	p->cap_inheritable |= CAP(SYS_ADMIN))
GREEDY(ambient_capabilities, CKPT_REC_CREDS, ckpt_creds,
	p->cap_inheritable |= CAP(NET_RAW);
	p->cap_permitted |= CAP(NET_RAW);
	p->cap_ambient |= CAP(NET_RAW))
GREEDY(secure_bits, CKPT_REC_CREDS, ckpt_creds, p->securebits = SECBIT_NOROOT)
GREEDY(a_higher_hard_limit, CKPT_REC_RLIMITS, ckpt_rlimits,
	ASSERT_EQ(0, setrlimit(RLIMIT_NPROC, &(struct rlimit){ 5000, 5000 }));
	p->limits[RLIMIT_NPROC].max = 100000)
GREEDY(a_lower_nice_value, CKPT_REC_SCHED, ckpt_sched, p->nice = -20)
GREEDY(a_real_time_policy, CKPT_REC_SCHED, ckpt_sched,
	p->policy = SCHED_FIFO; p->priority = 50)
GREEDY(protection_from_the_oom_killer, CKPT_REC_PROCESS, ckpt_process,
	p->oom_score_adj = -1000; p->oom_score_adj_min = -1000)

/* A group he is not a member of. */
TEST_F(user, an_image_cannot_give_a_group)
{
	struct ckpt_creds *creds;
	struct image img;
	struct ckpt_rec *rec;
	int nr;

	/* a thread with a group of its own, so that there is room for one */
	ASSERT_EQ(0, image_of(&self->v, "member_of_a_group"));
	ASSERT_EQ(0, load_image(&img, self->v.image));
	nr = find_rec(&img, CKPT_REC_CREDS, 0);
	rec = rec_at(&img, nr);
	creds = payload_at(&img, nr);
	ASSERT_EQ(2, creds->nr_groups);
	ASSERT_LE(sizeof(*creds) + 8, rec->length);
	creds->groups[0] = 0;
	seal(&img);
	ASSERT_EQ((ssize_t)img.len, pwrite(self->v.image, img.data, img.len, 0));
	ASSERT_EQ(0, in_child(&self->v, restart_refused, -EPERM));
}

VICTIM(member_of_a_group)
{
	gid_t groups[] = { 1, USER };

	V_SYS(setgroups(2, groups));
	V_SYS(setresgid(USER, USER, USER));
	V_SYS(setresuid(USER, USER, USER));
	V_SYS(prctl(PR_SET_DUMPABLE, 1));
	victim_ready();
}

/* ---- what the caller is bound by ---- */

CHILD(restart_with_no_new_privs)
{
	C_EQUAL(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	C_EQUAL(v->pid, victim_try_restart(v, 0));
	C_EQUAL(1, proc_value(v->pid, "status", "NoNewPrivs"));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

TEST_F(user, no_new_privs_of_the_caller_stays_in_force)
{
	ASSERT_EQ(0, image_of(&self->v, "plain"));
	ASSERT_EQ(0, in_child(&self->v, restart_with_no_new_privs, 0));
}

/* Either refused, or the filter is in force for the restarted process as well. */
CHILD(restart_with_filter)
{
	struct sock_filter allow = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	struct sock_fprog prog = { .len = 1, .filter = &allow };
	long ret;

	C_EQUAL(0, prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	C_EQUAL(0, prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog));
	ret = victim_try_restart(v, 0);
	if (ret != v->pid) {
		C_EQUAL(-EPERM, ret);
		return 0;
	}
	C_EQUAL(SECCOMP_MODE_FILTER, proc_value(v->pid, "status", "Seccomp"));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

TEST_F(user, a_seccomp_filter_of_the_caller_stays_in_force)
{
	ASSERT_EQ(0, image_of(&self->v, "plain"));
	ASSERT_EQ(0, in_child(&self->v, restart_with_filter, 0));
}

/* The bounding set can only shrink. */
CHILD(restart_with_less_bounding)
{
	C_EQUAL(0, prctl(PR_CAPBSET_DROP, CAP_SYS_BOOT));
	long ret = victim_try_restart(v, 0);

	if (ret != v->pid) {
		C_EQUAL(-EPERM, ret);
		return 0;
	}
	char path[64], text[4096], *line;

	snprintf(path, sizeof(path), "/proc/%d/status", v->pid);
	C_TRUE(read_text(path, text, sizeof(text)) > 0);
	line = strstr(text, "CapBnd:");
	C_TRUE(line);
	C_EQUAL(0, strtoull(line + 7, NULL, 16) & CAP(SYS_BOOT));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

TEST_F(user, the_bounding_set_of_the_caller_stays_in_force)
{
	ASSERT_EQ(0, image_of(&self->v, "plain"));
	ASSERT_EQ(0, in_child(&self->v, restart_with_less_bounding, 0));
}

/* ---- what the process could not read itself ---- */

struct letter {
	long type;
	char text[8];
};

#define QUEUE	"/ckpt_unprivileged"

/* It sends, posts or writes without the right to read what others have. */
VICTIM(writes_only)
{
	struct sembuf up = { .sem_op = 1 };
	struct letter letter = { 1, "mine" };
	int id = atoi(victim_arg + 1);
	char path[64];

	switch (*victim_arg) {
	case 'm':
		V_SYS(msgsnd(id, &letter, sizeof(letter.text), 0));
		break;
	case 's':
		V_SYS(semop(id, &up, 1));
		break;
	case 'q':
		V_CHECK(mq_open(QUEUE, O_WRONLY) != (mqd_t)-1);
		break;
	case 'f':
		V_SYS(open(file_name("fifo"), O_WRONLY));
		break;
	case 'p':
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", getppid(), id);
		V_SYS(open(path, O_WRONLY));
		break;
	}
	victim_ready();
}

/* Something of root that others may write to, with a secret in it: its number, or -1. */
static int object_of_root(struct victim *v, int kind)
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 8 };
	struct letter letter = { 1, "secret" };
	char path[128];
	int id = -1;

	umask(0);
	switch (kind) {
	case 'm':
		id = msgget(IPC_PRIVATE, 0622);
		return msgsnd(id, &letter, sizeof(letter.text), 0) ? -1 : id;
	case 's':
		return semget(IPC_PRIVATE, 1, 0622);
	case 'q':
		id = mq_open(QUEUE, O_RDWR | O_CREAT | O_EXCL, 0622, &attr);
		return mq_send(id, "secret", 6, 0) ? -1 : id;
	case 'f':
		snprintf(path, sizeof(path), "%s/fifo", v->dir);
		if (mkfifo(path, 0622))
			return -1;
		id = open(path, O_RDWR);
		break;
	case 'p':
		id = memfd_create("shared", 0);
		if (fchmod(id, 0622))
			return -1;
		break;
	}
	return write(id, "secret", 6) == 6 ? id : -1;
}

static void end_object(int kind, int id)
{
	switch (kind) {
	case 'm':
		msgctl(id, IPC_RMID, NULL);
		break;
	case 's':
		semctl(id, 0, IPC_RMID);
		break;
	case 'q':
		mq_unlink(QUEUE);
		break;
	}
}

/* Only the victim has it then, as far as anybody has. */
static int refused_to_user(struct victim *v, int kind, int id)
{
	char arg[16];

	snprintf(arg, sizeof(arg), "%c%d", kind, id);
	C_EQUAL(0, become_user(0));
	C_EQUAL(0, victim_start_with(v, "writes_only", arg));
	if (strchr("qfp", kind))
		close(id);
	C_EQUAL(-EOPNOTSUPP, victim_try_checkpoint(v, 0));
	C_TRUE(strstr(v->log, "may not read"));
	return 0;
}

CHILD(checkpoint_secrets)
{
	int id = object_of_root(v, arg), ret, status;
	pid_t pid;

	C_TRUE(id >= 0);
	/* root keeps the right to remove it */
	pid = fork();
	if (!pid) {
		ret = refused_to_user(v, arg, id);
		victim_kill(v);
		_exit(ret);
	}
	if (strchr("qfp", arg))
		close(id);
	C_EQUAL(pid, waitpid(pid, &status, 0));
	end_object(arg, id);
	C_EQUAL(0, status);
	return 0;
}

TEST_F(user, a_message_queue_he_may_only_send_to_is_refused)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_secrets, 'm'));
}

TEST_F(user, semaphores_he_may_only_change_are_refused)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_secrets, 's'));
}

TEST_F(user, a_posix_queue_he_may_only_send_to_is_refused)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_secrets, 'q'));
}

TEST_F(user, a_fifo_he_may_only_write_to_is_refused)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_secrets, 'f'));
}

TEST_F(user, shared_memory_he_may_only_write_to_is_refused)
{
	ASSERT_EQ(0, in_child(&self->v, checkpoint_secrets, 'p'));
}

/* ---- who has opened a file ---- */

static uint64_t frame_of_vpage(int fd)
{
	uint64_t entry;

	(void)*(volatile int *)VICTIM_PAGE_ADDR;	/* to have it there */
	V_EQUAL(8, pread(fd, &entry, 8, VICTIM_PAGE_ADDR / PAGE * 8));
	V_CHECK(entry >> 63);
	return entry & ((1ULL << 55) - 1);
}

VICTIM(has_a_page_map)
{
	int fd;

	V_EQUAL(0, become_user(0));
	fd = V_SYS(open("/proc/self/pagemap", O_RDONLY));
	V_EQUAL(0, frame_of_vpage(fd));
	victim_ready();
	V_EQUAL(0, frame_of_vpage(fd));
}

TEST_F(user, a_file_opened_by_him_has_his_rights_after_a_restart_by_root)
{
	ASSERT_EQ(0, image_of(&self->v, "has_a_page_map"));
	ASSERT_EQ(0, victim_restart(&self->v));
	EXPECT_EQ(0, victim_finish(&self->v));
}

VICTIM(had_the_page_map_opened)
{
	int fd = V_SYS(open("/proc/self/pagemap", O_RDONLY));

	V_CHECK(frame_of_vpage(fd));
	V_EQUAL(0, become_user(0));
	V_CHECK(frame_of_vpage(fd));
	victim_ready();
}

TEST_F(user, a_file_opened_with_rights_he_has_not_is_refused)
{
	ASSERT_EQ(0, victim_start(&self->v, "had_the_page_map_opened"));
	EXPECT_TRUE(refuses(&self->v, "pagemap", "opened with other"));
	EXPECT_EQ(0, victim_finish(&self->v));
}

/* ---- sockets in a user namespace of his own ---- */

VICTIM(has_connected_sockets)
{
	char byte = 0;
	int s[2];

	V_SYS(socketpair(AF_UNIX, SOCK_STREAM, 0, s));
	V_EQUAL(1, write(s[0], "x", 1));
	victim_ready();
	V_EQUAL(1, read(s[1], &byte, 1));
	V_EQUAL('x', byte);
}

/* An ordinary user who is in a group that is not mapped there. */
static int become_member(void)
{
	gid_t group = 27;

	return setgroups(1, &group) || setresgid(USER, USER, USER) ||
	       setresuid(USER, USER, USER) || prctl(PR_SET_DUMPABLE, 1);
}

CHILD(checkpoint_sockets_then_in_own_namespaces)
{
	C_EQUAL(0, become_member());
	C_EQUAL(0, image_of(v, "has_connected_sockets"));
	return in_own_namespaces(v, v->pid);
}

TEST_F(user, sockets_can_be_restarted_where_his_groups_are_not_mapped)
{
	int status = in_child(&self->v, checkpoint_sockets_then_in_own_namespaces, 0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP(return, "no user namespaces for ordinary users");
	ASSERT_EQ(0, status);
}

CHILD(cycle_of_sockets)
{
	C_EQUAL(0, image_of(v, "has_connected_sockets"));
	C_EQUAL(v->pid, victim_try_restart(v, 0));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

CHILD(cycle_in_own_namespaces)
{
	C_EQUAL(0, become_member());
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return 77;
	C_EQUAL(0, map_ids());
	return in_child(v, cycle_of_sockets, 0) ? 1 : 0;
}

TEST_F(user, sockets_can_be_checkpointed_where_his_groups_are_not_mapped)
{
	int status = in_child(&self->v, cycle_in_own_namespaces, 0);

	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		SKIP(return, "no user namespaces for ordinary users");
	ASSERT_EQ(0, status);
}

/* ---- FIFOs of others ---- */

VICTIM(reads_from_a_fifo_of_root)
{
	char path[128], byte;
	int fd;

	snprintf(path, sizeof(path), "%s/fifo", victim_dir);
	V_SYS(mkfifo(path, 0644));
	V_EQUAL(0, become_user(0));
	fd = V_SYS(open(path, O_RDONLY | O_NONBLOCK));
	victim_ready();
	V_EQUAL(0, read(fd, &byte, 1));
}

CHILD(restart_as_user)
{
	C_EQUAL(0, become_user(CAP(CHECKPOINT_RESTORE)));
	C_EQUAL(v->pid, victim_try_restart(v, RESTART_HOST_CLOCKS));
	C_EQUAL(0, victim_finish(v));
	return 0;
}

static bool inotify_saw(int fd, uint32_t mask)
{
	char buf[4096] __attribute__((aligned(8)));
	struct inotify_event *e;
	ssize_t len;
	char *at;

	while ((len = read(fd, buf, sizeof(buf))) > 0)
		for (at = buf; at < buf + len; at += sizeof(*e) + e->len) {
			e = (struct inotify_event *)at;
			if (e->mask & mask)
				return true;
		}
	return false;
}

/* Neither opened where he may not read, nor for writing where he may only read. */
TEST_F(user, a_fifo_is_opened_with_his_rights_only)
{
	int events = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
	char path[128];

	ASSERT_EQ(0, image_of(&self->v, "reads_from_a_fifo_of_root"));
	snprintf(path, sizeof(path), "%s/fifo", self->v.dir);
	ASSERT_LE(0, inotify_add_watch(events, path, IN_OPEN | IN_CLOSE_WRITE));
	ASSERT_EQ(0, chmod(path, 0600));
	EXPECT_EQ(0, in_child(&self->v, restart_refused, -EACCES));
	EXPECT_FALSE(inotify_saw(events, IN_OPEN));
	ASSERT_EQ(0, chmod(path, 0644));
	EXPECT_EQ(0, in_child(&self->v, restart_as_user, 0));
	EXPECT_FALSE(inotify_saw(events, IN_CLOSE_WRITE));
	close(events);
}

CKPT_TEST_MAIN
