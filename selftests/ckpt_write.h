/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Ways to write to one's memory other than by an instruction that stores: each of them
 * gets at the page in its own way.
 */
#ifndef CKPT_WRITE_H
#define CKPT_WRITE_H

#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>

#include "ckpt_memory.h"

static inline void write_by_kernel(char *to, const char *from, size_t len)
{
	struct iovec local = { (void *)from, len }, remote = { to, len };

	V_CHECK(process_vm_writev(getpid(), &local, 1, &remote, 1, 0) == (ssize_t)len);
}

/* Also where the process may only read. */
static inline void write_by_proc(char *to, const char *from, size_t len)
{
	int fd = V_SYS(open("/proc/self/mem", O_RDWR | O_CLOEXEC));

	V_CHECK(pwrite(fd, from, len, (uintptr_t)to) == (ssize_t)len);
	close(fd);
}

/* By a child; also where the process may only read. */
static inline void write_by_ptrace(char *to, const char *from, size_t len)
{
	pid_t pid = getpid(), child;
	int status;
	size_t i;

	child = V_SYS(fork());
	if (!child) {
		bool done = !ptrace(PTRACE_SEIZE, pid, 0, 0) &&
			    !ptrace(PTRACE_INTERRUPT, pid, 0, 0) &&
			    waitpid(pid, NULL, __WALL) == pid;

		for (i = 0; done && i < len; i += sizeof(long))
			done = !ptrace(PTRACE_POKEDATA, pid, to + i, *(long *)(from + i));
		_exit(!(done && !ptrace(PTRACE_DETACH, pid, 0, 0)));
	}
	V_CHECK(waitpid(child, &status, 0) == child);
	V_EQUAL(0, status);
}

/* Of the file @fd, which best is opened with O_DIRECT. */
static inline void read_by_aio(int fd, char *to, size_t len, off_t offset)
{
	struct iocb cb = {
		.aio_lio_opcode = IOCB_CMD_PREAD, .aio_fildes = fd,
		.aio_buf = (uintptr_t)to, .aio_nbytes = len, .aio_offset = offset,
	}, *cbs = &cb;
	aio_context_t context = 0;
	struct io_event event;

	V_SYS(syscall(__NR_io_setup, 1, &context));
	V_EQUAL(1, syscall(__NR_io_submit, context, 1, &cbs));
	V_EQUAL(1, syscall(__NR_io_getevents, context, 1, 1, &event, NULL));
	V_EQUAL(len, event.res);
	V_SYS(syscall(__NR_io_destroy, context));
}

/* ---- io_uring(7) with one registered buffer ---- */

/**
 * struct uring - one ring of four entries
 * @fd:		its descriptor; -1: the kernel has none or does not let us
 * @p:		its parameters
 * @rings:	both of its rings
 * @sqes:	its submission queue entries
 */
struct uring {
	int			fd;
	struct io_uring_params	p;
	char			*rings;
	struct io_uring_sqe	*sqes;
};

static inline size_t uring_size(const struct uring *u)
{
	size_t sq = u->p.sq_off.array + u->p.sq_entries * sizeof(uint32_t);
	size_t cq = u->p.cq_off.cqes + u->p.cq_entries * sizeof(struct io_uring_cqe);

	return sq > cq ? sq : cq;
}

static inline bool uring_open(struct uring *u, void *buffer, size_t len)
{
	struct iovec iov = { buffer, len };
	const int prot = PROT_READ | PROT_WRITE;

	memset(u, 0, sizeof(*u));
	u->fd = syscall(__NR_io_uring_setup, 4, &u->p);
	if (u->fd < 0)
		return false;
	V_CHECK(u->p.features & IORING_FEAT_SINGLE_MMAP);
	u->rings = mmap(NULL, uring_size(u), prot, MAP_SHARED | MAP_POPULATE, u->fd,
			IORING_OFF_SQ_RING);
	u->sqes = mmap(NULL, u->p.sq_entries * sizeof(*u->sqes), prot,
		       MAP_SHARED | MAP_POPULATE, u->fd, IORING_OFF_SQES);
	V_CHECK(u->rings != MAP_FAILED && u->sqes != MAP_FAILED);
	V_SYS(syscall(__NR_io_uring_register, u->fd, IORING_REGISTER_BUFFERS, &iov, 1));
	return true;
}

/* Into the registered buffer. */
static inline void uring_read(struct uring *u, int fd, char *to, size_t len, off_t offset)
{
	_Atomic uint32_t *tail = (_Atomic uint32_t *)(u->rings + u->p.sq_off.tail);
	_Atomic uint32_t *seen = (_Atomic uint32_t *)(u->rings + u->p.cq_off.head);
	uint32_t mask = *(uint32_t *)(u->rings + u->p.sq_off.ring_mask);
	struct io_uring_cqe *cqes = (void *)(u->rings + u->p.cq_off.cqes);
	uint32_t at = *tail & mask, head = *seen;

	u->sqes[at] = (struct io_uring_sqe) {
		.opcode = IORING_OP_READ_FIXED, .fd = fd, .addr = (uintptr_t)to, .len = len,
		.off = offset,
	};
	((uint32_t *)(u->rings + u->p.sq_off.array))[at] = at;
	atomic_fetch_add(tail, 1);
	V_EQUAL(1, syscall(__NR_io_uring_enter, u->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0));
	mask = *(uint32_t *)(u->rings + u->p.cq_off.ring_mask);
	V_EQUAL(len, cqes[head & mask].res);
	atomic_store(seen, head + 1);
}

static inline void uring_close(struct uring *u)
{
	V_SYS(syscall(__NR_io_uring_register, u->fd, IORING_UNREGISTER_BUFFERS, NULL, 0));
	munmap(u->sqes, u->p.sq_entries * sizeof(*u->sqes));
	munmap(u->rings, uring_size(u));
	close(u->fd);
}

struct uring_job {
	int	fd;
	char	*to;
	size_t	len;
	off_t	offset;
	bool	done;
};

static inline void *uring_job(void *arg)
{
	struct uring_job *job = arg;
	struct uring u;

	job->done = uring_open(&u, job->to, job->len);
	if (job->done) {
		uring_read(&u, job->fd, job->to, job->len, job->offset);
		uring_close(&u);
	}
	return NULL;
}

/*
 * All of it; false if the kernel has no io_uring.  By a thread of its own: when that has
 * ended, nothing of io_uring is left in the process.
 */
static inline bool read_by_uring(int fd, char *to, size_t len, off_t offset)
{
	struct uring_job job = { fd, to, len, offset };
	pthread_t thread;

	V_EQUAL(0, pthread_create(&thread, NULL, uring_job, &job));
	V_EQUAL(0, pthread_join(thread, NULL));
	return job.done;
}

/* ---- userfaultfd(2) ---- */

/* A descriptor for faults in @range, or -1 if the kernel has none. */
static inline int uffd_open(void *range, size_t len)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = {
		.range = { (uintptr_t)range, len }, .mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int fd = syscall(__NR_userfaultfd, O_CLOEXEC | O_NONBLOCK);

	if (fd < 0)
		return -1;
	V_SYS(ioctl(fd, UFFDIO_API, &api));
	V_SYS(ioctl(fd, UFFDIO_REGISTER, &reg));
	return fd;
}

/* To where nothing is; 0 if the kernel does it. */
static inline int copy_by_uffd(char *to, const char *from, size_t len)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len,
	};
	int fd = uffd_open(to, len), err;

	if (fd < 0)
		return -1;
	err = ioctl(fd, UFFDIO_COPY, &copy);
	close(fd);
	return err;
}

static inline int zero_by_uffd(char *to, size_t len)
{
	struct uffdio_zeropage zero = { .range = { (uintptr_t)to, len } };
	int fd = uffd_open(to, len), err;

	if (fd < 0)
		return -1;
	err = ioctl(fd, UFFDIO_ZEROPAGE, &zero);
	close(fd);
	return err;
}

static inline int move_by_uffd(char *to, char *from, size_t len)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = len,
	};
	int fd = uffd_open(to, len), err;

	if (fd < 0)
		return -1;
	err = ioctl(fd, UFFDIO_MOVE, &move);
	close(fd);
	return err;
}

/* ---- moving pages in physical memory ---- */

/* Pages to @node; those that are there, or cannot be moved, stay. */
static inline void move_to_node(char *area, size_t nr, int node)
{
	void *pages[64];
	int nodes[64], status[64];
	size_t i, step;

	for (; nr; nr -= step, area += step * PAGE) {
		step = nr < 64 ? nr : 64;
		for (i = 0; i < step; i++) {
			pages[i] = area + i * PAGE;
			nodes[i] = node;
		}
		syscall(__NR_move_pages, 0, step, pages, nodes, status, 2);
	}
}

/* Nodes with memory are numbered from 0 here. */
static inline int nr_nodes(void)
{
	char path[64];
	int node = 0;

	do
		snprintf(path, sizeof(path), "/sys/devices/system/node/node%d", ++node);
	while (!access(path, F_OK));
	return node;
}

/* Into small pages, not only small entries; false if the kernel cannot be told to. */
static inline bool split_huge_pages(char *area, size_t len)
{
	char text[64];

	snprintf(text, sizeof(text), "%d,%#lx,%#lx", getpid(), (long)area, (long)area + len);
	return !write_text("/sys/kernel/debug/split_huge_pages", text);
}

#endif /* CKPT_WRITE_H */
