// SPDX-License-Identifier: GPL-2.0
/*
 * What cannot be checkpointed is refused: with EOPNOTSUPP and a report that
 * names the process and the resource, before anything is written, and without
 * harm to the process, which goes on to use the resource.
 */
#include <pthread.h>
#include <stddef.h>
#include <linux/aio_abi.h>
#include <linux/bpf.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/netlink.h>
#include <linux/perf_event.h>
#include <linux/userfaultfd.h>
#include <mqueue.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/fanotify.h>
#include <sys/file.h>
#include <sys/io.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/msg.h>
#include <sys/pidfd.h>
#include <sys/ptrace.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <net/if.h>
#include <sys/xattr.h>

#include "ckpt_test.h"

CKPT_FIXTURE_ONCE(refuse)

/*
 * The victim that the resource is tried on says with word 0 that the kernel or
 * the machine has no such thing.
 */
static void __noreturn victim_lacks(void)
{
	vpage->word[0] = 1;
	victim_ready();
	_exit(0);
}

#define UNTOUCHED "what was there before"

/* Does each line of the report begin with the process or one of its threads? */
static bool names_process(struct victim *v)
{
	const char *line = v->log;
	char path[64];
	int tid;

	if (!*line)
		return false;
	for (; line && *line; line = strchr(line, '\n'), line += line ? 1 : 0) {
		if (sscanf(line, "pid %d (", &tid) != 1)
			return false;
		snprintf(path, sizeof(path), "/proc/%d/task/%d", v->pid, tid);
		if (access(path, F_OK))
			return false;
	}
	return true;
}

/* Refused, in both ways, with all of @words in the report; then it goes on. */
static int expect_refused(struct victim *v, const char *name, const char *const *words)
{
	char check_log[LOG_SIZE];
	const size_t len = strlen(UNTOUCHED);
	struct checkpoint_args args;
	struct stat st;
	int bad = 0;
	long ret;

	if (dry_run())
		return victim_finish(v);

	ret = victim_try_checkpoint(v, CHECKPOINT_CHECK);
	if (ret != -EOPNOTSUPP) {
		test_log("CHECK: %ld", ret);
		bad = -1;
	}
	memcpy(check_log, v->log, sizeof(check_log));

	if (ftruncate(v->image, 0) || pwrite(v->image, UNTOUCHED, len, 0) != (ssize_t)len ||
	    lseek(v->image, len, SEEK_SET) != (off_t)len)
		return -1;
	args = checkpoint_args(v, 0);
	ret = sys_checkpoint(v->pid, &args, sizeof(args));
	if (ret != -EOPNOTSUPP) {
		test_log("checkpoint: %ld", ret);
		bad = -1;
	}
	if (fstat(v->image, &st) || st.st_size != (off_t)len ||
	    lseek(v->image, 0, SEEK_CUR) != (off_t)len || v->stats.bytes) {
		test_log("something was written");
		bad = -1;
	}
	if (!names_process(v)) {
		test_log("the report does not name process %d or a thread of it", v->pid);
		bad = -1;
	}
	for (; *words; words++)
		if (!strcasestr(v->log, *words)) {
			test_log("the report does not name '%s'", *words);
			bad = -1;
		}
	if (strcmp(check_log, v->log)) {
		test_log("CHECK has another report: %s", check_log);
		bad = -1;
	}
	if (bad)
		show_log(v->log);
	return bad | victim_finish(v);
}

/* REFUSED(what, words that the report has to contain...) { the victim } */
#define REFUSED(what, ...)						\
	VICTIM(what);							\
	TEST_F(refuse, what)						\
	{								\
		static const char *const words[] = { __VA_ARGS__, NULL };\
									\
		ASSERT_EQ(0, victim_start(&self->v, #what));		\
		if (victim_word(&self->v, 0))				\
			SKIP(return, "not available here");		\
		ASSERT_EQ(0, expect_refused(&self->v, #what, words));	\
	}								\
	static void victim_##what(void)

/* A descriptor that is to be found in the report as "fd 77". */
static int as_77(int fd)
{
	if (fd < 0)
		victim_lacks();
	V_EQUAL(77, dup2(fd, 77));
	close(fd);
	return 77;
}

static int open_file(const char *name)
{
	return V_SYS(open(file_name(name), O_RDWR | O_CREAT, 0644));
}

/* ---- open files ---- */

REFUSED(tcp_connection, "fd 77", "socket", "127.0.0.1", "established")
{
	struct sockaddr_in addr = { .sin_family = AF_INET };
	socklen_t len = sizeof(addr);
	int l = V_SYS(socket(AF_INET, SOCK_STREAM, 0));
	struct ifreq ifr = { .ifr_name = "lo", .ifr_flags = IFF_UP };

	V_SYS(ioctl(l, SIOCSIFFLAGS, &ifr));
	as_77(socket(AF_INET, SOCK_STREAM, 0));
	addr.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	V_SYS(bind(l, (struct sockaddr *)&addr, sizeof(addr)));
	V_SYS(listen(l, 1));
	V_SYS(getsockname(l, (struct sockaddr *)&addr, &len));
	V_SYS(connect(77, (struct sockaddr *)&addr, sizeof(addr)));
	victim_ready();
	V_EQUAL(1, send(77, "x", 1, 0));
}

REFUSED(packet_socket, "fd 77", "socket", "AF_PACKET")
{
	as_77(socket(AF_PACKET, SOCK_RAW, 0));
	victim_ready();
}

REFUSED(fanotify, "fd 77", "fanotify")
{
	as_77(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
	victim_ready();
}

REFUSED(io_uring, "fd 77", "io_uring")
{
	struct io_uring_params params = {};

	as_77(syscall(__NR_io_uring_setup, 4, &params));
	victim_ready();
	V_EQUAL(0, syscall(__NR_io_uring_enter, 77, 0, 0, 0, NULL, 0));
}

REFUSED(userfaultfd, "fd 77", "userfaultfd")
{
	struct uffdio_api api = { .api = UFFD_API };

	as_77(syscall(__NR_userfaultfd, 0));
	victim_ready();
	V_SYS(ioctl(77, UFFDIO_API, &api));
}

REFUSED(memory_under_userfaultfd, "userfaultfd")
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	void *area;

	as_77(syscall(__NR_userfaultfd, 0));
	V_SYS(ioctl(77, UFFDIO_API, &api));
	area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	reg.range.start = (uintptr_t)area;
	reg.range.len = 8192;
	V_SYS(ioctl(77, UFFDIO_REGISTER, &reg));
	victim_ready();
	V_SYS(ioctl(77, UFFDIO_UNREGISTER, &reg.range));
}

REFUSED(perf_event, "fd 77", "perf")
{
	struct perf_event_attr attr = {
		.type = PERF_TYPE_SOFTWARE,
		.size = sizeof(attr),
		.config = PERF_COUNT_SW_TASK_CLOCK,
	};

	as_77(syscall(__NR_perf_event_open, &attr, 0, -1, -1, 0));
	victim_ready();
}

REFUSED(bpf_map, "fd 77", "bpf")
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY,
		.key_size = 4,
		.value_size = 8,
		.max_entries = 1,
	};

	as_77(syscall(__NR_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
	victim_ready();
}

REFUSED(message_queue_that_notifies_a_thread, "fd 77", "ckpt_test", "SIGEV_THREAD")
{
	struct mq_attr attr = { .mq_maxmsg = 2, .mq_msgsize = 8 };
	struct sigevent ev = { .sigev_notify = SIGEV_THREAD };
	static char cookie[32];
	int fd;

	fd = mq_open("/ckpt_test", O_RDWR | O_CREAT, 0600, &attr);
	as_77(fd);
	ev.sigev_signo = V_SYS(socket(AF_NETLINK, SOCK_RAW, 0));
	ev.sigev_value.sival_ptr = cookie;
	V_SYS(syscall(__NR_mq_notify, 77, &ev));
	victim_ready();
	V_SYS(mq_unlink("/ckpt_test"));
	V_SYS(mq_send(77, "x", 1, 0));
}

REFUSED(path_of_a_deleted_file, "fd 77", "deleted")
{
	close(open_file("file"));
	as_77(open(file_name("file"), O_PATH));
	V_SYS(unlink(file_name("file")));
	victim_ready();
	V_SYS(fcntl(77, F_GETFD));
}

REFUSED(file_whose_other_name_is_not_known, "fd 77", "others")
{
	char one[64], two[80];

	/* not on a tmpfs, which forgets nothing */
	snprintf(one, sizeof(one), "/var/tmp/ckpt_test.%d", getpid());
	snprintf(two, sizeof(two), "%s.other", one);
	as_77(V_SYS(open(one, O_RDWR | O_CREAT | O_EXCL, 0600)));
	V_SYS(link(one, two));
	V_SYS(unlink(one));
	if (write_text("/proc/sys/vm/drop_caches", "2"))
		victim_lacks();
	victim_ready();
	V_EQUAL(1, write(77, "x", 1));
	V_SYS(unlink(two));
}

REFUSED(deleted_file_with_attributes, "fd 77", "chattr")
{
	int flags = FS_APPEND_FL;

	as_77(open_file("file"));
	V_SYS(unlink(file_name("file")));
	if (ioctl(77, FS_IOC_SETFLAGS, &flags))
		victim_lacks();
	victim_ready();
	V_EQUAL(1, write(77, "x", 1));
}

REFUSED(covered_file, "fd 77")
{
	V_SYS(mkdir(file_name("dir"), 0755));
	as_77(open_file("dir/file"));
	if (mount("cover", file_name("dir"), "tmpfs", 0, NULL))
		victim_lacks();
	victim_ready();
	V_SYS(umount2(file_name("dir"), MNT_DETACH));
}

REFUSED(proc_file_of_another_process, "fd 77", "proc")
{
	char buf[16];

	as_77(open("/proc/1/status", O_RDONLY));
	victim_ready();
	V_CHECK(read(77, buf, 16) == 16);
}

REFUSED(proc_file_that_acts, "fd 77", "proc")
{
	as_77(open("/proc/sys/kernel/hostname", O_RDWR));
	victim_ready();
}

REFUSED(proc_file_of_a_descriptor, "fd 77", "descriptor")
{
	as_77(open("/proc/self/fdinfo/1", O_RDONLY));
	victim_ready();
}

REFUSED(sysfs_file, "fd 77", "sysfs")
{
	as_77(open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY));
	victim_ready();
}

REFUSED(namespace_file, "fd 77")
{
	as_77(open("/proc/self/ns/net", O_RDONLY));
	victim_ready();
}

REFUSED(secret_memory, "fd 77")
{
	as_77(syscall(__NR_memfd_secret, 0));
	victim_ready();
}

REFUSED(landlock_ruleset, "fd 77")
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_WRITE_FILE,
	};

	as_77(syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0));
	victim_ready();
}

REFUSED(fuse_device, "fd 77")
{
	as_77(open("/dev/fuse", O_RDWR));
	victim_ready();
}

/* ---- what hangs on open files ---- */

REFUSED(lock_on_what_the_restarter_provides, "fd 0", "lock")
{
	V_SYS(flock(0, LOCK_EX));
	victim_ready();
	V_SYS(flock(0, LOCK_UN));
}

REFUSED(owner_of_what_the_restarter_provides, "fd 0", "F_SETOWN")
{
	V_SYS(fcntl(0, F_SETOWN, getpid()));
	victim_ready();
	V_EQUAL(getpid(), fcntl(0, F_GETOWN));
}

REFUSED(directory_notification, "fd 77", "F_NOTIFY")
{
	signal(SIGIO, SIG_IGN);
	as_77(open(victim_dir, O_RDONLY | O_DIRECTORY));
	V_SYS(fcntl(77, F_NOTIFY, DN_CREATE));
	victim_ready();
	V_SYS(fcntl(77, F_NOTIFY, 0));
}

/* ---- directories ---- */

REFUSED(root_without_a_way_to_the_program, "root")
{
	V_SYS(chroot(victim_dir));
	V_SYS(chdir("/"));
	victim_ready();
}

/* ---- memory ---- */

REFUSED(sysv_shared_memory_open_as_a_file, "SYSV", "as a file")
{
	char *area, path[96];
	int id, fd;

	id = V_SYS(shmget(IPC_PRIVATE, 8192, IPC_CREAT | 0600));
	area = shmat(id, NULL, 0);
	V_CHECK(area != (void *)-1);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	area[0] = 'x';
	snprintf(path, sizeof(path), "/proc/self/map_files/%lx-%lx", (long)area, (long)area + 8192);
	fd = open(path, O_RDWR);
	if (fd < 0)
		victim_lacks();
	victim_ready();
	V_EQUAL('x', area[0]);
}

REFUSED(sysv_shared_memory_of_a_part_of_a_huge_page, "huge")
{
	char *area;
	int id;

	write_text("/proc/sys/vm/nr_hugepages", "4");
	id = shmget(IPC_PRIVATE, 3 << 20, IPC_CREAT | SHM_HUGETLB | 0600);
	if (id < 0)
		victim_lacks();
	area = shmat(id, NULL, 0);
	V_CHECK(area != (void *)-1);
	V_SYS(shmctl(id, IPC_RMID, NULL));
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
	V_SYS(shmdt(area));
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

REFUSED(shared_memory_with_a_numa_policy, "NUMA policy")
{
	unsigned long node0 = 1;
	char *area;

	area = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	V_CHECK(area != MAP_FAILED);
	if (syscall(__NR_mbind, area, 4096, 2 /* MPOL_BIND */, &node0, 64, 0))
		victim_lacks();
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
}

/* The contents of a file there are in no other place than in memory. */
REFUSED(huge_pages_of_a_file_on_hugetlbfs, "huge")
{
	char *area;
	int fd;

	write_text("/proc/sys/vm/nr_hugepages", "4");
	fd = open("/dev/hugepages/ckpt_test", O_RDWR | O_CREAT, 0600);
	if (fd < 0 || unlink("/dev/hugepages/ckpt_test") || ftruncate(fd, 2 << 20))
		victim_lacks();
	area = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (area == MAP_FAILED)
		victim_lacks();
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
	V_SYS(munmap(area, 2 << 20));
	close(fd);
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

REFUSED(private_huge_pages_that_may_not_be_written_to, "huge")
{
	char *area;

	write_text("/proc/sys/vm/nr_hugepages", "4");
	area = mmap(NULL, 2 << 20, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB, -1, 0);
	if (area == MAP_FAILED)
		victim_lacks();
	area[0] = 'x';
	V_SYS(mprotect(area, 2 << 20, PROT_READ));
	victim_ready();
	V_EQUAL('x', area[0]);
	V_SYS(munmap(area, 2 << 20));
	write_text("/proc/sys/vm/nr_hugepages", "0");
}

REFUSED(mapping_of_secret_memory, "secret")
{
	char *area;
	int fd;

	fd = syscall(__NR_memfd_secret, 0);
	if (fd < 0)
		victim_lacks();
	V_SYS(ftruncate(fd, 4096));
	area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
}

REFUSED(asynchronous_io_that_polls, "aio", "IOCB_CMD_POLL")
{
	struct iocb iocb = {
		.aio_lio_opcode = IOCB_CMD_POLL,
		.aio_buf = 1,	/* POLLIN */
	}, *list = &iocb;
	struct io_event event;
	aio_context_t ctx = 0;
	int fd[2];

	if (syscall(__NR_io_setup, 4, &ctx))
		victim_lacks();
	V_SYS(pipe(fd));
	iocb.aio_fildes = fd[0];
	V_EQUAL(1, syscall(__NR_io_submit, ctx, 1, &list));
	victim_ready();
	V_EQUAL(1, write(fd[1], "x", 1));
	V_EQUAL(1, syscall(__NR_io_getevents, ctx, 1, 1, &event, NULL));
	V_SYS(syscall(__NR_io_destroy, ctx));
}

REFUSED(memfd_with_an_access_control_list, "fd 77", "access control list")
{
	/* struct posix_acl_xattr_header and its entries: tag, permissions, ID */
	static const struct {
		uint32_t version;
		struct {
			uint16_t tag, perm;
			uint32_t id;
		} entry[5];
	} acl = { 2, { { 1, 6, -1 }, { 2, 4, 4711 }, { 4, 0, -1 }, { 16, 4, -1 }, { 32, 0, -1 } } };
	char seen[sizeof(acl)];
	int fd = as_77(memfd_create("acl", 0));

	if (fsetxattr(fd, "system.posix_acl_access", &acl, sizeof(acl), 0))
		victim_lacks();
	victim_ready();
	V_EQUAL(sizeof(acl), fgetxattr(fd, "system.posix_acl_access", seen, sizeof(seen)));
	V_CHECK(!memcmp(&acl, seen, sizeof(acl)));
}

/* word 1: descriptor of the test's memfd, word 2: the test's pid */
VICTIM(maps_the_memory_of_another_process)
{
	char path[64], *area;
	int fd;

	victim_ready();
	snprintf(path, sizeof(path), "/proc/%ld/fd/%ld", vpage->word[2], vpage->word[1]);
	fd = V_SYS(open(path, O_RDWR));
	area = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	V_CHECK(area != MAP_FAILED);
	close(fd);
	area[0] = 'x';
	victim_ready();
	V_EQUAL('x', area[0]);
}

TEST_F(refuse, memory_that_another_process_maps)
{
	static const char *const words[] = { "shared", "memfd", NULL };
	int fd = memfd_create("common", MFD_CLOEXEC);
	void *area;

	ASSERT_EQ(0, ftruncate(fd, 4096));
	area = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fd, 0);
	ASSERT_NE(MAP_FAILED, area);
	ASSERT_EQ(0, victim_start(&self->v, "maps_the_memory_of_another_process"));
	ASSERT_EQ(0, victim_set_word(&self->v, 1, fd));
	ASSERT_EQ(0, victim_set_word(&self->v, 2, getpid()));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, expect_refused(&self->v, "common", words));
}

/* ---- processes ---- */

static void __noreturn wait_to_be_killed(void)
{
	for (;;)
		pause();
}

static char other_stack[65536] __aligned(16);

static int outsider(void *arg)
{
	while (!vpage->word[3])
		sleep_ms(1);
	return 0;
}

/* A process that is not its child but shares something with it. */
static void share_with_outsider(int flags)
{
	V_SYS(clone(outsider, other_stack + sizeof(other_stack), flags | CLONE_PARENT | SIGCHLD,
		    NULL));
}

REFUSED(memory_shared_with_an_outsider, "memory", "CLONE_VM")
{
	share_with_outsider(CLONE_VM);
	victim_ready();
	vpage->word[3] = 1;
}

REFUSED(descriptors_shared_with_an_outsider, "descriptors", "CLONE_FILES")
{
	share_with_outsider(CLONE_VM | CLONE_FILES);
	victim_ready();
	vpage->word[3] = 1;
}

REFUSED(directories_shared_with_an_outsider, "directory", "CLONE_FS")
{
	share_with_outsider(CLONE_VM | CLONE_FS);
	victim_ready();
	vpage->word[3] = 1;
}

REFUSED(handlers_shared_with_an_outsider, "handlers")
{
	share_with_outsider(CLONE_VM | CLONE_SIGHAND);
	victim_ready();
	vpage->word[3] = 1;
}

/* Has a ring that adds to descriptor 77, which it closes, until @victim has ended. */
static void ring_of_outsider(pid_t victim, int ready)
{
	struct io_uring_params params = {};
	int ring = V_SYS(syscall(__NR_io_uring_setup, 4, &params)), event = 77;
	struct pollfd ended = { .fd = pidfd_open(victim, 0), .events = POLLIN };

	V_SYS(syscall(__NR_io_uring_register, ring, IORING_REGISTER_EVENTFD, &event, 1));
	close(77);
	V_SYS(write(ready, "x", 1));
	close(ready);
	poll(&ended, 1, -1);
	_exit(0);
}

/* The process has the only descriptor, but the kernel would go on with the old one. */
REFUSED(eventfd_the_kernel_adds_to, "fd 77", "eventfd", "in use by the kernel")
{
	pid_t self = getpid();
	int ready[2];
	char c;

	as_77(eventfd(0, 0));
	V_SYS(pipe(ready));
	if (!V_SYS(syscall(__NR_clone, CLONE_PARENT | SIGCHLD, NULL, NULL, NULL, 0)))
		ring_of_outsider(self, ready[1]);
	close(ready[1]);
	V_EQUAL(1, read(ready[0], &c, 1));
	close(ready[0]);
	victim_ready();
	V_EQUAL(0, eventfd_write(77, 1));
}

/* word 1: whom to trace */
VICTIM(tracer)
{
	victim_ready();
	V_SYS(ptrace(PTRACE_SEIZE, vpage->word[1], 0, 0));
	victim_ready();
	V_SYS(ptrace(PTRACE_INTERRUPT, vpage->word[1], 0, 0));
	V_EQUAL(vpage->word[1], waitpid(vpage->word[1], NULL, __WALL));
	V_SYS(ptrace(PTRACE_DETACH, vpage->word[1], 0, 0));
}

TEST_F(refuse, tracer_of_another_process)
{
	static const char *const words[] = { "trace", NULL };
	struct victim other;

	victim_init(&other);
	ASSERT_EQ(0, victim_start(&other, "fanotify"));
	ASSERT_EQ(0, victim_start(&self->v, "tracer"));
	ASSERT_EQ(0, victim_set_word(&self->v, 1, other.pid));
	ASSERT_EQ(0, victim_next(&self->v));
	EXPECT_EQ(0, expect_refused(&self->v, "tracer", words));
	EXPECT_EQ(0, victim_finish(&other));
	victim_cleanup(&other);
}

/* ---- namespaces ---- */

static void in_other_namespace(int flag)
{
	if (unshare(flag))
		victim_lacks();
	victim_ready();
}

REFUSED(uts_namespace, "uts", "namespace")
{
	in_other_namespace(CLONE_NEWUTS);
}

REFUSED(ipc_namespace, "ipc", "namespace")
{
	in_other_namespace(CLONE_NEWIPC);
}

REFUSED(mount_namespace, "mount", "namespace")
{
	in_other_namespace(CLONE_NEWNS);
}

REFUSED(network_namespace, "net", "namespace")
{
	in_other_namespace(CLONE_NEWNET);
}

REFUSED(cgroup_namespace, "cgroup", "namespace")
{
	in_other_namespace(CLONE_NEWCGROUP);
}

REFUSED(user_namespace, "user", "namespace")
{
	in_other_namespace(CLONE_NEWUSER);
}

REFUSED(pid_namespace_for_children, "pid", "namespace")
{
	in_other_namespace(CLONE_NEWPID);
}

REFUSED(time_namespace_for_children, "time", "namespace")
{
	in_other_namespace(CLONE_NEWTIME);
}

TEST_F(refuse, process_in_another_pid_namespace)
{
	static const char *const words[] = { "pid", "namespace", NULL };
	int p[2], status;
	pid_t pid;

	/* the victim is made by a child that does not share the pid namespace */
	ASSERT_EQ(0, pipe2(p, O_CLOEXEC));
	pid = fork();
	ASSERT_LE(0, pid);
	if (!pid) {
		pid_t init;

		if (unshare(CLONE_NEWPID))
			_exit(2);
		init = fork();
		if (!init) {
			/* not as the init, which is another reason to refuse */
			fork();
			if (getpid() == 2)
				close(p[0]);
			wait_to_be_killed();
		}
		if (write(p[1], &init, sizeof(init)) != sizeof(init))
			_exit(3);
		wait_to_be_killed();
	}

	char path[64], text[64];
	pid_t init, inner = 0;

	close(p[1]);
	if (read(p[0], &init, sizeof(init)) != sizeof(init))
		SKIP(return, "no pid namespaces");
	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", init, init);
	ASSERT_TRUE(WAIT_FOR(read_text(path, text, sizeof(text)) > 0 && (inner = atoi(text))));

	struct checkpoint_args args = checkpoint_args(&self->v, 0);
	long ret = dry_run() ? -EOPNOTSUPP : sys_checkpoint(inner, &args, sizeof(args));

	kill(init, SIGKILL);
	kill(pid, SIGKILL);
	waitpid(pid, &status, 0);
	EXPECT_EQ(-EOPNOTSUPP, ret);
	if (!dry_run()) {
		EXPECT_NE(NULL, strcasestr(self->v.log, words[0]));
		EXPECT_NE(NULL, strcasestr(self->v.log, words[1]));
	}
}

/* ---- attributes of threads ---- */

REFUSED(landlock_restrictions, "landlock")
{
	struct landlock_ruleset_attr attr = {
		.handled_access_fs = LANDLOCK_ACCESS_FS_MAKE_FIFO,
	};
	int fd;

	fd = syscall(__NR_landlock_create_ruleset, &attr, sizeof(attr), 0);
	if (fd < 0)
		victim_lacks();
	V_SYS(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0));
	V_SYS(syscall(__NR_landlock_restrict_self, fd, 0));
	close(fd);
	victim_ready();
	V_EQUAL(-1, mkfifo(file_name("fifo"), 0644));
}

REFUSED(thread_keyring, "key")
{
	if (syscall(__NR_keyctl, KEYCTL_GET_KEYRING_ID, KEY_SPEC_THREAD_KEYRING, 1) < 0)
		victim_lacks();
	victim_ready();
}

static volatile int semaphore_set = -1;

static volatile bool thread_ready, thread_failed;

static void *adjusting_thread(void *arg)
{
	struct sembuf up = { .sem_op = 1, .sem_flg = SEM_UNDO };

	thread_failed = unshare(CLONE_SYSVSEM) || semop(semaphore_set, &up, 1);
	thread_ready = true;
	while (!vpage->word[3])
		sleep_ms(1);
	return NULL;
}

REFUSED(semaphore_adjustments_of_a_thread, "semaphore")
{
	pthread_t thread;

	semaphore_set = V_SYS(semget(IPC_PRIVATE, 1, IPC_CREAT | 0600));
	V_EQUAL(0, pthread_create(&thread, NULL, adjusting_thread, NULL));
	while (!thread_ready)
		sleep_ms(1);
	V_CHECK(!thread_failed);
	victim_ready();
	V_EQUAL(1, semctl(semaphore_set, 0, GETVAL));
	vpage->word[3] = 1;
	V_EQUAL(0, pthread_join(thread, NULL));
	/* The adjustment comes after the end that pthread_join() waits for. */
	V_CHECK(WAIT_FOR(!semctl(semaphore_set, 0, GETVAL)));
	V_SYS(semctl(semaphore_set, 0, IPC_RMID));
}

REFUSED(port_permissions, "port")
{
	if (ioperm(0x80, 1, 1))
		victim_lacks();
	victim_ready();
}

/* ---- all at once ---- */

static const char *const many_words[] = {
	"fd 50", "fd 51", "fd 52", "fd 53", "deleted", "F_NOTIFY",
	"uts", NULL
};

VICTIM(many_things)
{
	V_EQUAL(50, dup2(V_SYS(socket(AF_PACKET, SOCK_DGRAM, 0)), 50));
	V_EQUAL(51, dup2(V_SYS(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY)), 51));
	close(open_file("deleted"));
	V_EQUAL(52, dup2(V_SYS(open(file_name("deleted"), O_PATH)), 52));
	V_SYS(unlink(file_name("deleted")));
	V_EQUAL(53, dup2(V_SYS(open(victim_dir, O_RDONLY | O_DIRECTORY)), 53));
	V_SYS(close_range(3, 49, 0));
	signal(SIGIO, SIG_IGN);
	V_SYS(fcntl(53, F_NOTIFY, DN_CREATE));
	V_SYS(unshare(CLONE_NEWUTS));
	victim_ready();
}

TEST_F(refuse, everything_is_reported_at_once)
{
	ASSERT_EQ(0, victim_start(&self->v, "many_things"));
	ASSERT_EQ(0, expect_refused(&self->v, "many_things", many_words));
	if (!dry_run()) {
		const char *line = self->v.log;
		int lines = 0;

		while ((line = strchr(line, '\n'))) {
			line++;
			lines++;
		}
		/* a line for each finding */
		EXPECT_LE(5, lines);
	}
}

/* What was refused once is not held against the process afterwards. */
VICTIM(refused_then_not)
{
	as_77(fanotify_init(FAN_CLASS_NOTIF, O_RDONLY));
	victim_ready();
	close(77);
	victim_ready();
}

TEST_F(refuse, a_process_can_be_checkpointed_once_the_reason_is_gone)
{
	REQUIRE_REAL_CHECKPOINT();
	ASSERT_EQ(0, victim_start(&self->v, "refused_then_not"));
	EXPECT_EQ(-EOPNOTSUPP, victim_try_checkpoint(&self->v, 0));
	ASSERT_EQ(0, victim_next(&self->v));
	ASSERT_EQ(0, victim_cycle(&self->v, true));
	ASSERT_EQ(0, victim_finish(&self->v));
}

CKPT_TEST_MAIN
