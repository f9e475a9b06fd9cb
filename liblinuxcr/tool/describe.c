// SPDX-License-Identifier: GPL-2.0
/* What the records of an image mean, for ckpt info. */
#include <arpa/inet.h>
#include <elf.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sched.h>
#include <search.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <linux/checkpoint_image.h>

#include "image.h"

#define MAX_THREADS_SHOWN	8

/**
 * struct page_counts - pages by what the image says of them
 * @here:	their contents are in it
 * @zero:	they hold only zeros
 * @parent:	they are as in the parent image
 */
struct page_counts {
	uint64_t here;
	uint64_t zero;
	uint64_t parent;
};

/**
 * struct pages_item - what is kept of a PAGES record, as its payload
 * @counts:	its pages
 * @nr_runs:	its number of runs
 * @first:	address of the first one
 */
struct pages_item {
	struct page_counts counts;
	uint64_t nr_runs;
	uint64_t first;
};

/**
 * struct item - a record kept
 * @record:	the record
 * @payload:	what its payload points to
 */
struct item {
	struct ckpt_record record;
	uint64_t payload[];
};

/**
 * struct summary - what has been learnt about an image so far
 * @header:	its header
 * @keep_all:	keep all records, not only those that others refer to
 * @defined:	tree, for tsearch(3), of the first item of each type and object
 * @items:	the records kept, in the order of the image
 * @nr_items:	their number
 * @space:	elements of @items allocated
 * @nr_records:	records seen
 * @pages:	pages in them
 * @nr_pages_records: PAGES records
 * @metadata_bytes: the other ones
 * @image_bytes: to the end of the last one
 */
struct summary {
	const struct ckpt_header *header;
	bool keep_all;
	void *defined;
	struct item **items;
	size_t nr_items;
	size_t space;
	uint64_t nr_records;
	struct page_counts pages;
	uint64_t nr_pages_records;
	uint64_t metadata_bytes;
	uint64_t image_bytes;
};

/* For %.*s: text of at most @size bytes, the NUL of which may be missing */
static int length(const void *text, size_t size)
{
	return strnlen(text, size);
}

#define ARRAY(array) length(array, sizeof(array)), (const char *)(array)

struct summary *summary_new(const struct ckpt_header *header, bool keep_all)
{
	struct summary *summary = calloc(1, sizeof(*summary));

	if (!summary)
		out_of_memory();
	summary->header = header;
	summary->keep_all = keep_all;
	return summary;
}

static void leave_item(void *item)
{
	(void)item;
}

void summary_free(struct summary *summary)
{
	size_t i;

	tdestroy(summary->defined, leave_item);
	for (i = 0; i < summary->nr_items; i++)
		free(summary->items[i]);
	free(summary->items);
	free(summary);
}

static int compare_items(const void *one, const void *other)
{
	const struct ckpt_record *a = &((const struct item *)one)->record;
	const struct ckpt_record *b = &((const struct item *)other)->record;

	if (a->type != b->type)
		return a->type < b->type ? -1 : 1;
	return (a->objref > b->objref) - (a->objref < b->objref);
}

/* The first record of its type that defines the object, or NULL */
static const struct item *find(const struct summary *summary, uint32_t type,
			       uint32_t objref)
{
	const struct item key = { .record = { .type = type, .objref = objref } };
	const struct item *const *found = tfind(&key, &summary->defined, compare_items);

	return found ? *found : NULL;
}

/* The next record of a type, from item *@i on; NULL after the last one */
static const struct item *next_item(const struct summary *summary, uint32_t type,
				    size_t *i)
{
	while (*i < summary->nr_items) {
		const struct item *item = summary->items[(*i)++];

		if (item->record.type == type)
			return item;
	}
	return NULL;
}

static void keep_as(struct summary *summary, const struct ckpt_record *record,
		    const void *payload, size_t length)
{
	struct item *item;

	if (summary->nr_items == summary->space) {
		summary->space = summary->space ? 2 * summary->space : 256;
		summary->items = checked_realloc(summary->items, summary->space,
						 sizeof(*summary->items));
	}
	item = checked_realloc(NULL, 1, sizeof(*item) + length);
	item->record = *record;
	item->record.payload = item->payload;
	item->record.payload_length = length;
	memcpy(item->payload, payload, length);
	summary->items[summary->nr_items++] = item;
	/* VMA and FD records, of which an object has many, are not looked up. */
	if (!tsearch(item, &summary->defined, compare_items))
		out_of_memory();
}

static void keep(struct summary *summary, const struct ckpt_record *record)
{
	keep_as(summary, record, record->payload, record->payload_length);
}

static void add_pages(struct summary *summary, const struct ckpt_record *record)
{
	const struct ckpt_pages *pages = record->payload;
	struct pages_item item = {
		.nr_runs = pages->nr_runs,
		.first = pages->runs[0].addr,
	};
	uint32_t i;

	for (i = 0; i < pages->nr_runs; i++) {
		const struct ckpt_run *run = &pages->runs[i];

		switch (run->kind) {
		case CKPT_RUN_DATA:
			item.counts.here += run->nr_pages;
			break;
		case CKPT_RUN_ZERO:
			item.counts.zero += run->nr_pages;
			break;
		case CKPT_RUN_PARENT:
			item.counts.parent += run->nr_pages;
			break;
		}
	}
	summary->nr_pages_records++;
	summary->pages.here += item.counts.here;
	summary->pages.zero += item.counts.zero;
	summary->pages.parent += item.counts.parent;
	if (summary->keep_all)
		keep_as(summary, record, &item, sizeof(item));
}

const struct ckpt_record *summary_record(const struct summary *summary, size_t i)
{
	return i < summary->nr_items ? &summary->items[i]->record : NULL;
}

void summary_add(struct summary *summary, const struct ckpt_record *record)
{
	summary->nr_records++;
	summary->image_bytes = record->offset + sizeof(struct ckpt_rec) + record->length;
	switch (record->type) {
	case CKPT_REC_PAGES:
		add_pages(summary, record);
		return;
	case CKPT_REC_PROCESS:
	case CKPT_REC_PROCESS_SIGNALS:
	case CKPT_REC_THREAD:
	case CKPT_REC_FD:
	case CKPT_REC_FILE:
	case CKPT_REC_FS:
	case CKPT_REC_PATH:
	case CKPT_REC_MM:
	case CKPT_REC_VMA:
	case CKPT_REC_SHMEM:
	case CKPT_REC_PIPE:
	case CKPT_REC_UNIX:
	case CKPT_REC_MQUEUE:
	case CKPT_REC_UNLINKED:
	case CKPT_REC_PTY:
		keep(summary, record);
		break;
	default:
		if (summary->keep_all)
			keep(summary, record);
	}
	summary->metadata_bytes += sizeof(struct ckpt_rec) + record->length;
}

/* Text for free() */
__attribute__((format(printf, 1, 2)))
static char *text(const char *format, ...)
{
	va_list args;
	char *result;

	va_start(args, format);
	if (vasprintf(&result, format, args) < 0)
		out_of_memory();
	va_end(args);
	return result;
}

/* ", 5 of zeros, 7 of the parent", as far as there are any */
static char *other_pages(const struct page_counts *counts)
{
	char *zero = counts->zero ? text(", %" PRIu64 " of zeros", counts->zero) : NULL;
	char *parent = counts->parent ?
		       text(", %" PRIu64 " of the parent", counts->parent) : NULL;
	char *both = text("%s%s", zero ? zero : "", parent ? parent : "");

	free(zero);
	free(parent);
	return both;
}

static char *describe_pages(const struct pages_item *pages)
{
	char *others = other_pages(&pages->counts);
	char *line = text("%s%s in %s, %" PRIx64 " ...",
			  format_count(pages->counts.here, "page"), others,
			  format_count(pages->nr_runs, "run"), pages->first);

	free(others);
	return line;
}

/* The name that an item may have after its structure of @size bytes */
static char *trailing_name(const struct item *item, size_t size, uint32_t name_len)
{
	const char *name = (const char *)item->payload + size;
	size_t space = item->record.payload_length - size;

	return text("%.*s", length(name, name_len < space ? name_len : space), name);
}

static char *unlinked_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_UNLINKED, objref);
	const struct ckpt_unlinked *unlinked;
	char *name, *result;

	if (!item)
		return text("(deleted file %" PRIu32 ")", objref);
	unlinked = (const void *)item->payload;
	name = trailing_name(item, offsetof(struct ckpt_unlinked, name), unlinked->name_len);
	result = text("%s (deleted)", name);
	free(name);
	return result;
}

static char *path_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_PATH, objref);
	const struct ckpt_path *path;

	/* A working directory may be one. */
	if (!item && find(summary, CKPT_REC_UNLINKED, objref))
		return unlinked_name(summary, objref);
	if (!item)
		return text("(path %" PRIu32 ")", objref);
	path = (const void *)item->payload;
	return trailing_name(item, sizeof(*path), path->path_len);
}

static char *shmem_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_SHMEM, objref);
	const struct ckpt_shmem *shmem;

	if (!item)
		return text("(shared memory %" PRIu32 ")", objref);
	shmem = (const void *)item->payload;
	return trailing_name(item, offsetof(struct ckpt_shmem, name), shmem->name_len);
}

static char *mqueue_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_MQUEUE, objref);
	const struct ckpt_mqueue *queue;

	if (!item)
		return text("(message queue %" PRIu32 ")", objref);
	queue = (const void *)item->payload;
	return trailing_name(item, offsetof(struct ckpt_mqueue, name), queue->name_len);
}

static char *pipe_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_PIPE, objref);
	const struct ckpt_pipe *pipe;

	if (!item)
		return text("(pipe %" PRIu32 ")", objref);
	pipe = (const void *)item->payload;
	return pipe->node.path ? path_name(summary, pipe->node.path) : text("pipe %" PRIu32, objref);
}

/* "@name" where it is abstract */
static char *unix_name(const struct ckpt_unix *sock)
{
	const char *name = (const char *)sock->name;
	size_t len = sock->name_len < sizeof(sock->name) ? sock->name_len : sizeof(sock->name);
	char *result;

	if (!len || *name)
		return text("%.*s", length(name, len), name);
	result = text("@%.*s", length(name + 1, len - 1), name + 1);
	return result;
}

static char *sock_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_UNIX, objref);
	const struct ckpt_unix *sock;
	char *name, *result;

	if (!item)
		return text("socket %" PRIu32, objref);
	sock = (const void *)item->payload;
	name = unix_name(sock);
	result = text("unix socket %" PRIu32 "%s%s", objref, *name ? " " : "", name);
	free(name);
	return result;
}

/* "-1.5 s" for -1500000000 */
static char *left(int64_t ns)
{
	uint64_t size = ns < 0 ? -(uint64_t)ns : (uint64_t)ns;

	return text("%s%s", ns < 0 ? "-" : "", format_time(size));
}

static char *timerfd_name(const struct ckpt_file_timerfd *timer)
{
	char *time, *result;

	if (!(timer->flags & CKPT_TIMERFD_ARMED) || timer->flags & CKPT_TIMERFD_ABSOLUTE)
		return text("clock %" PRId32 ", %s", timer->clock,
			    timer->flags & CKPT_TIMERFD_ARMED ? "absolute" : "not armed");
	time = left(timer->deadline);
	result = text("clock %" PRId32 ", %s left", timer->clock, time);
	free(time);
	return result;
}

/* What there is to say of a file without a name, or NULL */
static char *anonymous_name(const char *type, const void *rest, size_t size)
{
	const struct ckpt_file_eventfd *eventfd = rest;
	const struct ckpt_file_epoll *epoll = rest;
	const struct ckpt_file_signalfd *signalfd = rest;
	const struct ckpt_file_inotify *inotify = rest;
	const struct ckpt_file_pidfd *pidfd = rest;

	if (!strncmp(type, "eventfd", CKPT_FILE_TYPE_MAX) && size >= sizeof(*eventfd))
		return text("counter %" PRIu64 "%s", (uint64_t)eventfd->count,
			    eventfd->flags & CKPT_FILE_EVENTFD_SEMAPHORE ?
			    ", semaphore" : "");
	if (!strncmp(type, "epoll", CKPT_FILE_TYPE_MAX) && size >= sizeof(*epoll))
		return text("%s", format_count(epoll->nr_items, "item"));
	if (!strncmp(type, "timerfd", CKPT_FILE_TYPE_MAX) &&
	    size >= sizeof(struct ckpt_file_timerfd))
		return timerfd_name(rest);
	if (!strncmp(type, "signalfd", CKPT_FILE_TYPE_MAX) && size >= sizeof(*signalfd))
		return text("signals %" PRIx64, (uint64_t)signalfd->mask);
	if (!strncmp(type, "inotify", CKPT_FILE_TYPE_MAX) && size >= sizeof(*inotify))
		return text("%" PRIu32 " watch%s", inotify->nr_watches,
			    inotify->nr_watches == 1 ? "" : "es");
	if (!strncmp(type, "pidfd", CKPT_FILE_TYPE_MAX) && size >= sizeof(*pidfd))
		return pidfd->kind == CKPT_PIDFD_ENDED ? text("ended process") :
		       text("pid %" PRIu32 "%s", pidfd->pid,
			    pidfd->kind == CKPT_PIDFD_IMAGE ? "" : ", not in the image");
	return NULL;
}

/* "/dev/pts/3", or "/dev/pts/3 (master)" */
static char *pty_name(const struct summary *summary, const struct ckpt_file_pty *file)
{
	const struct item *item = find(summary, CKPT_REC_PTY, file->pty);
	const struct ckpt_pty *pty;

	if (!item)
		return text("(pty %" PRIu32 ")", file->pty);
	pty = (const void *)item->payload;
	return text("/dev/pts/%" PRIu32 "%s", pty->index,
		    file->kind == CKPT_FILE_PTY_MASTER ? " (master)" : "");
}

/* What a FILE record stands for: a path, a name, or nothing that is known here */
static char *file_name(const struct summary *summary, const void *payload, size_t size)
{
	const struct ckpt_file *file = payload;
	const void *rest = file + 1;
	const char *type = (const char *)file->type;
	char *name;

	size -= sizeof(*file);
	if ((!strncmp(type, "regular", sizeof(file->type)) ||
	     !strncmp(type, "directory", sizeof(file->type)) ||
	     !strncmp(type, "opath", sizeof(file->type)) ||
	     !strncmp(type, "memdev", sizeof(file->type))) &&
	    size >= sizeof(struct ckpt_file_path)) {
		const struct ckpt_file_path *path = rest;

		return path_name(summary, path->path);
	}
	if (!strncmp(type, "shmem", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_shmem)) {
		const struct ckpt_file_shmem *shmem = rest;

		return shmem_name(summary, shmem->shmem);
	}
	if (!strncmp(type, "pipe", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_pipe)) {
		const struct ckpt_file_pipe *pipe = rest;

		return pipe_name(summary, pipe->pipe);
	}
	if (!strncmp(type, "socket", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_sock)) {
		const struct ckpt_file_sock *sock = rest;

		return sock_name(summary, sock->sock);
	}
	if (!strncmp(type, "sysvshm", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_shm)) {
		const struct ckpt_file_shm *shm = rest;

		return shmem_name(summary, shm->shmem);
	}
	if (!strncmp(type, "mqueue", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_mqueue)) {
		const struct ckpt_file_mqueue *queue = rest;

		return mqueue_name(summary, queue->queue);
	}
	if (!strncmp(type, "unlinked", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_unlinked)) {
		const struct ckpt_file_unlinked *unlinked = rest;

		return unlinked_name(summary, unlinked->object);
	}
	if (!strncmp(type, "pty", sizeof(file->type)) &&
	    size >= sizeof(struct ckpt_file_pty))
		return pty_name(summary, rest);
	if ((!strncmp(type, "inherit", sizeof(file->type)) ||
	     !strncmp(type, "external", sizeof(file->type))) &&
	    size >= sizeof(struct ckpt_file_inherit)) {
		const struct ckpt_file_inherit *inherit = rest;

		return text("%.*s", ARRAY(inherit->name));
	}
	name = anonymous_name(type, rest, size);
	return name ? name : text("%s", "");
}

static char *file_object_name(const struct summary *summary, uint32_t objref)
{
	const struct item *item = find(summary, CKPT_REC_FILE, objref);

	if (!item)
		return text("(file %" PRIu32 ")", objref);
	return file_name(summary, item->payload, item->record.payload_length);
}

static const char *access_mode(uint32_t flags)
{
	if (flags & O_PATH)
		return "path";
	if ((flags & O_ACCMODE) == O_RDONLY)
		return "read";
	return (flags & O_ACCMODE) == O_WRONLY ? "write" : "read, write";
}

static const char *vma_flags(const struct ckpt_vma *vma)
{
	static char flags[5];

	flags[0] = vma->prot & 1 ? 'r' : '-';
	flags[1] = vma->prot & 2 ? 'w' : '-';
	flags[2] = vma->prot & 4 ? 'x' : '-';
	flags[3] = vma->flags & CKPT_VMA_F_SHARED ? 's' : 'p';
	return flags;
}

static char *vma_name(const struct summary *summary, const struct ckpt_vma *vma,
		      const char *name, size_t space)
{
	int size = length(name, vma->name_len < space ? vma->name_len : space);

	switch (vma->type) {
	case CKPT_VMA_FILE:
		return file_object_name(summary, vma->file);
	case CKPT_VMA_VDSO:
		return text("[vdso]");
	case CKPT_VMA_VVAR:
		return text("[vvar]");
	}
	if (size)
		return text("[anon:%.*s]", size, name);
	return text("%s", vma->flags & CKPT_VMA_F_GROWSDOWN ? "[stack]" : "");
}

static const char *policy_name(uint32_t policy)
{
	static const char * const names[] = {
		[SCHED_OTHER] = "other", [SCHED_FIFO] = "fifo", [SCHED_RR] = "rr",
		[SCHED_BATCH] = "batch", [SCHED_IDLE] = "idle", [6] = "deadline",
	};

	if (policy < sizeof(names) / sizeof(names[0]) && names[policy])
		return names[policy];
	return "unknown policy";
}

static const char *restart_kind(uint32_t kind)
{
	static const char * const names[] = {
		[CKPT_RESTART_NANOSLEEP] = "sleep",
		[CKPT_RESTART_CPU_SLEEP] = "sleep for CPU time",
		[CKPT_RESTART_FUTEX] = "futex", [CKPT_RESTART_POLL] = "poll",
		[CKPT_RESTART_WAIT] = "interrupted call",
	};

	if (kind < sizeof(names) / sizeof(names[0]) && names[kind])
		return names[kind];
	return "unknown wait";
}

static unsigned int count_handlers(const struct ckpt_sighand *sighand)
{
	unsigned int i, count = 0;

	for (i = 0; i < CKPT_NSIG; i++)
		count += sighand->action[i].handler > 1;
	return count;
}

static char *describe_times(const struct ckpt_usage *usage)
{
	return text("%s user, %s system", format_time(usage->utime),
		    format_time(usage->stime));
}

static char *describe_restart_block(const struct ckpt_restart_block *block)
{
	char *time, *result;

	if (block->flags & CKPT_RESTART_ABSOLUTE ||
	    (block->kind == CKPT_RESTART_POLL && !(block->flags & CKPT_RESTART_TIMEOUT)))
		return text("%s", restart_kind(block->kind));
	time = left(block->deadline);
	result = text("%s, %s left", restart_kind(block->kind), time);
	free(time);
	return result;
}

static char *describe_timer(const struct ckpt_posix_timer *timer)
{
	char *time, *result;

	if (!(timer->flags & CKPT_TIMER_ARMED) || timer->flags & CKPT_TIMER_ABSOLUTE)
		return text("timer %" PRId32 ", clock %" PRId32 ", %s", timer->id,
			    timer->clock,
			    timer->flags & CKPT_TIMER_ARMED ? "absolute" : "not armed");
	time = left(timer->deadline);
	result = text("timer %" PRId32 ", clock %" PRId32 ", %s left", timer->id,
		      timer->clock, time);
	free(time);
	return result;
}

static char *describe_file(const struct ckpt_record *record,
			   const struct summary *summary)
{
	const struct ckpt_file *file = record->payload;
	char *name = file_name(summary, file, record->payload_length);
	char *result;

	result = text("%.*s %s (%s) at %" PRId64, ARRAY(file->type), name,
		      access_mode(file->flags), (int64_t)file->pos);
	free(name);
	return result;
}

static char *describe_unix(const struct ckpt_unix *sock)
{
	char *name = unix_name(sock), *result;

	result = text("%s%s%s%s%s, %s",
		      sock->type == SOCK_STREAM ? "stream" :
		      sock->type == SOCK_DGRAM ? "dgram" : "seqpacket",
		      sock->state == CKPT_UNIX_LISTENING ? ", listens" : "",
		      sock->listener ? ", to be accepted" : "", *name ? " " : "", name,
		      format_count(sock->nr_messages, "message"));
	free(name);
	return result;
}

/* Which of the two protocols it is, only the SOCK tells: those of IPv4 are short. */
static void inet_address(const uint8_t *address, uint16_t port, char *buf, size_t size)
{
	char ip[INET6_ADDRSTRLEN] = "";
	bool v6 = false;
	int i;

	for (i = 4; i < 16; i++)
		v6 |= address[i] != 0;
	inet_ntop(v6 ? AF_INET6 : AF_INET, address, ip, sizeof(ip));
	snprintf(buf, size, v6 ? "[%s]:%u" : "%s:%u", ip, port);
}

static char *describe_inet(const struct ckpt_inet *sock)
{
	char own[INET6_ADDRSTRLEN + 16], peer[INET6_ADDRSTRLEN + 16];
	bool connected = sock->flags & CKPT_INET_CONNECTED;

	inet_address(sock->address, sock->port, own, sizeof(own));
	inet_address(sock->peer, sock->peer_port, peer, sizeof(peer));
	return text("%s%s%s%s, %s", own, connected ? " to " : "", connected ? peer : "",
		    sock->flags & CKPT_INET_LISTENING ? ", listens" : "",
		    format_count(sock->nr_messages, "message"));
}

static char *describe_vma(const struct ckpt_record *record,
			  const struct summary *summary)
{
	const struct ckpt_vma *vma = record->payload;
	char *name = vma_name(summary, vma, (const char *)vma->name,
			      record->payload_length - sizeof(*vma));
	char *result;

	result = text("%" PRIx64 "-%" PRIx64 " %s %s", (uint64_t)vma->start,
		      (uint64_t)vma->end, vma_flags(vma), name);
	free(name);
	return result;
}

/* What wait(2) would say */
static char *describe_end(uint32_t exit_code)
{
	if (WIFEXITED(exit_code))
		return text("exit status %d", WEXITSTATUS(exit_code));
	return text("killed by signal %d%s", WTERMSIG(exit_code),
		    WCOREDUMP(exit_code) ? ", core dumped" : "");
}

static char *describe_process(const struct ckpt_process *process)
{
	char *end = process->flags & CKPT_PROCESS_ZOMBIE ?
		    describe_end(process->exit_code) : NULL;
	char *result;

	result = text("pid %" PRIu32 ", parent %" PRIu32 ", %s%s%s%s%s%s", process->pid,
		      process->ppid, format_count(process->nr_threads, "thread"),
		      process->flags & CKPT_PROCESS_OUTER_SESSION ? ", outer session" : "",
		      process->flags & CKPT_PROCESS_OUTER_GROUP ? ", outer group" : "",
		      process->flags & CKPT_PROCESS_SUBREAPER ? ", subreaper" : "",
		      end ? ", zombie: " : "", end ? end : "");
	free(end);
	return result;
}

static bool has_own_files(const struct summary *summary,
			  const struct ckpt_rec_thread *thread)
{
	const struct item *item = find(summary, CKPT_REC_PROCESS, thread->process);
	const struct ckpt_process *process = item ? (const void *)item->payload : NULL;

	return process && thread->files && thread->files != process->files;
}

static bool has_own_directory(const struct summary *summary,
			      const struct ckpt_rec_thread *thread)
{
	const struct item *item = find(summary, CKPT_REC_PROCESS, thread->process);
	const struct ckpt_process *process = item ? (const void *)item->payload : NULL;

	return process && thread->fs && thread->fs != process->fs;
}

static char *describe_thread(const struct ckpt_rec_thread *thread,
			     const struct summary *summary)
{
	char *end = thread->flags & CKPT_THREAD_ENDED ?
		    describe_end(thread->exit_code) : NULL;
	char *vfork = thread->vfork_tid ?
		      text(", waits in vfork for %" PRIu32, thread->vfork_tid) : NULL;
	char *result;

	result = text("tid %" PRIu32 ", %.*s%s%s%s%s%s", thread->tid, ARRAY(thread->comm),
		      vfork ? vfork : "",
		      has_own_files(summary, thread) ? ", descriptors of its own" : "",
		      has_own_directory(summary, thread) ? ", directory of its own" : "",
		      end ? ", has ended: " : "", end ? end : "");
	free(vfork);
	free(end);
	return result;
}

static char *describe_owner(const struct ckpt_file_owner *owner)
{
	static const char * const names[] = { "thread", "process", "group" };
	char *who = text("no owner"), *result;

	if (owner->pid) {
		free(who);
		who = text("%s %" PRId32, owner->type < 3 ? names[owner->type] : "?",
			   owner->pid);
	}
	result = text("%s, signal %" PRIu32 "%s", who, owner->signum,
		      owner->flags & CKPT_OWNER_ASYNC ? ", O_ASYNC" : "");
	free(who);
	return result;
}

static char *describe_lock(const struct ckpt_file_lock *lock)
{
	const char *type = lock->type == F_WRLCK ? "exclusive" : "shared";

	switch (lock->kind) {
	case CKPT_LOCK_FLOCK:
		return text("flock, %s", type);
	case CKPT_LOCK_POSIX:
	case CKPT_LOCK_OFD:
		return text("%s lock, %s, %" PRIu64 "-%" PRIu64,
			    lock->kind == CKPT_LOCK_OFD ? "description's record" : "record",
			    type, (uint64_t)lock->start, (uint64_t)lock->end);
	case CKPT_LOCK_LEASE:
		return text("lease, %s", type);
	}
	return text("unknown lock");
}

char *describe_record(const struct ckpt_record *record, const struct summary *summary)
{
	const union {
		struct ckpt_process process;
		struct ckpt_rec_thread thread;
		struct ckpt_regset regset;
		struct ckpt_creds creds;
		struct ckpt_sched sched;
		struct ckpt_usage usage;
		struct ckpt_process_usage process_usage;
		struct ckpt_sighand sighand;
		struct ckpt_signals signals;
		struct ckpt_process_signals process_signals;
		struct ckpt_sigqueue sigqueue;
		struct ckpt_restart_block restart_block;
		struct ckpt_posix_timer timer;
		struct ckpt_rec_auto rec_auto;
		struct ckpt_mm mm;
		struct ckpt_shmem shmem;
		struct ckpt_files files;
		struct ckpt_fd fd;
		struct ckpt_fs fs;
		struct ckpt_path path;
		struct ckpt_epoll_item epoll_item;
		struct ckpt_inotify_watch inotify_watch;
		struct ckpt_inotify_event inotify_event;
		struct ckpt_pipe pipe;
		struct ckpt_pipe_buffer pipe_buffer;
		struct ckpt_sock sock;
		struct ckpt_unix unix_sock;
		struct ckpt_unix_msg unix_msg;
		struct ckpt_inet inet;
		struct ckpt_inet_option inet_option;
		struct ckpt_inet_device inet_device;
		struct ckpt_inet_msg inet_msg;
		struct ckpt_netlink netlink;
		struct ckpt_sysv_shm shm;
		struct ckpt_sysv_sem sem;
		struct ckpt_sem_undo undo;
		struct ckpt_sysv_msgq msgq;
		struct ckpt_msg msg;
		struct ckpt_mqueue mqueue;
		struct ckpt_file_owner owner;
		struct ckpt_file_lock lock;
		struct ckpt_unlinked unlinked;
		struct ckpt_xattr xattr;
		struct ckpt_seccomp seccomp;
		struct ckpt_seccomp_filter seccomp_filter;
		struct ckpt_task_mempolicy mempolicy;
		struct ckpt_syscall_dispatch dispatch;
		struct ckpt_aio aio;
		struct ckpt_pty pty;
		struct ckpt_tty tty;
		struct ckpt_tty_session tty_session;
		struct pages_item pages;
		struct ckpt_trailer trailer;
	} *p = record->payload;
	char *name, *result;
	size_t space;

	switch (record->type) {
	case CKPT_REC_HEADER:
		return text("%.*s", ARRAY(summary->header->comm));
	case CKPT_REC_TRAILER:
		return text("%s", format_count(p->trailer.nr_index, "PAGES record"));
	case CKPT_REC_PAGES:
		return describe_pages(&p->pages);
	case CKPT_REC_PROCESS:
		return describe_process(&p->process);
	case CKPT_REC_THREAD:
		return describe_thread(&p->thread, summary);
	case CKPT_REC_REGSET:
		return text("%s, %" PRIu32 " bytes",
			    p->regset.note == NT_PRSTATUS ? "general registers" :
			    p->regset.note == NT_X86_XSTATE ? "extended state" : "unknown",
			    p->regset.size);
	case CKPT_REC_CREDS:
		return text("user %" PRIu32 ", group %" PRIu32, p->creds.euid, p->creds.egid);
	case CKPT_REC_SCHED:
		return text("%s, nice %" PRId32 ", priority %" PRIu32,
			    policy_name(p->sched.policy), p->sched.nice, p->sched.priority);
	case CKPT_REC_USAGE:
		return describe_times(&p->usage);
	case CKPT_REC_PROCESS_USAGE:
		return text("children %s user, %s system", format_time(p->process_usage.cutime),
			    format_time(p->process_usage.cstime));
	case CKPT_REC_AUTO:
		return text("%s, %s", p->rec_auto.interval_ms || p->rec_auto.mtbf_s ?
			    "at intervals" : "on request",
			    format_count(p->rec_auto.nr_taken, "image"));
	case CKPT_REC_SECCOMP:
		return text("%s mode", p->seccomp.mode == 1 ? "strict" : "filter");
	case CKPT_REC_SECCOMP_FILTER:
		return text("%s", format_count(p->seccomp_filter.nr_insns, "instruction"));
	case CKPT_REC_TASK_MEMPOLICY:
		return text("mode %" PRIu32 ", nodes %" PRIx64, p->mempolicy.mode,
			    (uint64_t)p->mempolicy.nodes[0]);
	case CKPT_REC_SYSCALL_DISPATCH:
		return text("except %" PRIx64 "-%" PRIx64, (uint64_t)p->dispatch.offset,
			    (uint64_t)(p->dispatch.offset + p->dispatch.len));
	case CKPT_REC_SIGHAND:
		return text("%s", format_count(count_handlers(&p->sighand), "handler"));
	case CKPT_REC_SIGNALS:
		return text("blocked %016" PRIx64 ", pending %016" PRIx64,
			    (uint64_t)p->signals.blocked, (uint64_t)p->signals.pending);
	case CKPT_REC_PROCESS_SIGNALS:
		return text("pending %016" PRIx64 "%s",
			    (uint64_t)p->process_signals.pending,
			    p->process_signals.stop_signal ? ", stopped" : "");
	case CKPT_REC_SIGQUEUE:
		return text("%" PRIu32 " queued", p->sigqueue.nr);
	case CKPT_REC_RESTART_BLOCK:
		return describe_restart_block(&p->restart_block);
	case CKPT_REC_POSIX_TIMER:
		return describe_timer(&p->timer);
	case CKPT_REC_MM:
		return text("%s", format_count(p->mm.nr_vmas, "area"));
	case CKPT_REC_VMA:
		return describe_vma(record, summary);
	case CKPT_REC_AIO_CONTEXT:
		return text("%" PRIx64 ", %s, %s", (uint64_t)p->aio.start,
			    format_count(p->aio.max_reqs, "request"),
			    format_count(p->aio.nr_events, "event"));
	case CKPT_REC_SHMEM:
		space = record->payload_length - offsetof(struct ckpt_shmem, name);
		return text("%.*s, %s",
			    length(p->shmem.name, p->shmem.name_len < space ?
				   p->shmem.name_len : space),
			    (const char *)p->shmem.name, format_bytes(p->shmem.size));
	case CKPT_REC_FILES:
		return text("%s", format_count(p->files.nr_fds, "descriptor"));
	case CKPT_REC_FD:
		return text("%" PRIu32 " is file %" PRIu32 "%s", p->fd.fd, p->fd.file,
			    p->fd.flags & CKPT_FD_CLOEXEC ? ", close-on-exec" : "");
	case CKPT_REC_FILE:
		return describe_file(record, summary);
	case CKPT_REC_FS:
		return text("umask %04" PRIo32, p->fs.umask);
	case CKPT_REC_PTY:
		return text("/dev/pts/%" PRIu32 "%s", p->pty.index,
			    p->pty.flags & CKPT_PTY_MASTER_CLOSED ? ", master closed" : "");
	case CKPT_REC_TTY:
		return text("%s, %" PRIu32 " bytes not read, %" PRIu32 " on their way",
			    p->tty.end == CKPT_TTY_MASTER ? "master" : "slave",
			    p->tty.nr_read, p->tty.nr_pending);
	case CKPT_REC_TTY_SESSION:
		return text("foreground process group %" PRIu32, p->tty_session.pgrp);
	case CKPT_REC_PATH:
		space = record->payload_length - sizeof(p->path);
		return text("%.*s", length(p->path.path, space), (const char *)p->path.path);
	case CKPT_REC_EPOLL_ITEM:
		return text("fd %" PRIu32 ", file %" PRIu32 ", events %" PRIx32 "%s",
			    p->epoll_item.fd, p->epoll_item.file, p->epoll_item.events,
			    p->epoll_item.flags & CKPT_EPOLL_READY ? ", ready" : "");
	case CKPT_REC_INOTIFY_WATCH:
		name = path_name(summary, p->inotify_watch.path);
		result = text("watch %" PRIu32 ", mask %" PRIx32 ", %s",
			      p->inotify_watch.wd, p->inotify_watch.mask, name);
		free(name);
		return result;
	case CKPT_REC_INOTIFY_EVENT:
		space = record->payload_length - sizeof(p->inotify_event);
		return text("watch %" PRId32 ", mask %" PRIx32 " %.*s",
			    p->inotify_event.wd, p->inotify_event.mask,
			    length(p->inotify_event.name,
				   p->inotify_event.name_len < space ?
				   p->inotify_event.name_len : space),
			    (const char *)p->inotify_event.name);
	case CKPT_REC_PIPE:
		return text("capacity %s, %s", format_bytes(p->pipe.size),
			    format_count(p->pipe.nr_buffers, "buffer"));
	case CKPT_REC_PIPE_BUFFER:
		return text("%" PRIu32 " bytes%s", p->pipe_buffer.len,
			    p->pipe_buffer.flags & CKPT_PIPE_BUFFER_PACKET ? ", packet" : "");
	case CKPT_REC_SOCK:
		return text("family %" PRIu32 ", type %" PRIu32, p->sock.family, p->sock.type);
	case CKPT_REC_UNIX:
		return describe_unix(&p->unix_sock);
	case CKPT_REC_INET:
		return describe_inet(&p->inet);
	case CKPT_REC_INET_OPTION:
		return text("level %" PRIu32 ", option %" PRIu32 ", %" PRIu32 " bytes",
			    p->inet_option.level, p->inet_option.name, p->inet_option.len);
	case CKPT_REC_INET_DEVICE:
		return text("%" PRIu32 " %.*s", p->inet_device.index,
			    ARRAY(p->inet_device.name));
	case CKPT_REC_INET_MSG:
		return text("%" PRIu32 " bytes from port %" PRIu16, p->inet_msg.len,
			    p->inet_msg.from_port);
	case CKPT_REC_NETLINK:
		return text("port ID %" PRIu32 ", %s", p->netlink.portid,
			    format_count(p->netlink.nr_groups, "group"));
	case CKPT_REC_UNIX_MSG:
		return text("%" PRIu32 " bytes, %s", p->unix_msg.len,
			    format_count(p->unix_msg.nr_files, "file"));
	case CKPT_REC_SYSV_SHM:
		return text("ID %" PRId32 ", key %#" PRIx32, p->shm.ipc.id,
			    (uint32_t)p->shm.ipc.key);
	case CKPT_REC_SYSV_SEM:
		return text("ID %" PRId32 ", key %#" PRIx32 ", %s", p->sem.ipc.id,
			    (uint32_t)p->sem.ipc.key, format_count(p->sem.nsems, "semaphore"));
	case CKPT_REC_SEM_UNDO:
		return text("of semaphores %" PRId32, p->undo.semid);
	case CKPT_REC_SYSV_MSGQ:
		return text("ID %" PRId32 ", key %#" PRIx32 ", %s", p->msgq.ipc.id,
			    (uint32_t)p->msgq.ipc.key,
			    format_count(p->msgq.nr_messages, "message"));
	case CKPT_REC_MSG:
		return text("type %" PRId64 ", %s", (int64_t)p->msg.type,
			    format_bytes(p->msg.size));
	case CKPT_REC_MQUEUE:
		space = record->payload_length - offsetof(struct ckpt_mqueue, name);
		return text("/%.*s, %s",
			    length(p->mqueue.name, p->mqueue.name_len < space ?
				   p->mqueue.name_len : space),
			    (const char *)p->mqueue.name,
			    format_count(p->mqueue.nr_messages, "message"));
	case CKPT_REC_FILE_OWNER:
		return describe_owner(&p->owner);
	case CKPT_REC_FILE_LOCK:
		return describe_lock(&p->lock);
	case CKPT_REC_UNLINKED:
		space = record->payload_length - offsetof(struct ckpt_unlinked, name);
		return text("%.*s, %s",
			    length(p->unlinked.name, p->unlinked.name_len < space ?
				   p->unlinked.name_len : space),
			    (const char *)p->unlinked.name,
			    S_ISDIR(p->unlinked.mode) ? "directory" :
			    format_bytes(p->unlinked.size));
	case CKPT_REC_XATTR:
		space = record->payload_length - sizeof(p->xattr);
		return text("%.*s", length(p->xattr.data, p->xattr.name_len < space ?
					   p->xattr.name_len : space),
			    (const char *)p->xattr.data);
	default:
		return NULL;
	}
}

static uint64_t mapped_bytes(const struct summary *summary, uint64_t *count)
{
	const struct ckpt_vma *vma;
	const struct item *item;
	uint64_t bytes = 0;
	size_t i = 0;

	*count = 0;
	while ((item = next_item(summary, CKPT_REC_VMA, &i))) {
		vma = (const void *)item->payload;
		bytes += vma->end - vma->start;
		++*count;
	}
	return bytes;
}

/**
 * struct relation - an item that refers to an object
 * @objref:	the object
 * @order:	which one of several it is
 * @item:	the item
 */
struct relation {
	uint32_t objref;
	size_t order;
	const struct item *item;
};

/**
 * struct relations - items of one type, by the object that they refer to
 * @all:	these
 * @nr:		their number
 */
struct relations {
	struct relation *all;
	size_t nr;
};

static int compare_relations(const void *left, const void *right)
{
	const struct relation *a = left, *b = right;

	if (a->objref != b->objref)
		return a->objref < b->objref ? -1 : 1;
	return a->order < b->order ? -1 : a->order > b->order;
}

/* The objref is the 32-bit number at @offset of the payload. */
static void relate(struct relations *relations, const struct summary *summary,
		   uint32_t type, size_t offset)
{
	const struct item *item;
	size_t i = 0;

	*relations = (struct relations){ };
	while ((item = next_item(summary, type, &i))) {
		if (!(relations->nr & (relations->nr - 1)))
			relations->all = checked_realloc(relations->all,
							 relations->nr ? 2 * relations->nr : 1,
							 sizeof(*relations->all));
		relations->all[relations->nr] = (struct relation){
			.order = relations->nr,
			.item = item,
		};
		memcpy(&relations->all[relations->nr].objref,
		       (const char *)item->payload + offset, sizeof(uint32_t));
		relations->nr++;
	}
	if (relations->nr)
		qsort(relations->all, relations->nr, sizeof(*relations->all),
		      compare_relations);
}

/* The first that refers to the object, or NULL; others follow in the array. */
static const struct relation *related(const struct relations *relations, uint32_t objref)
{
	size_t low = 0, high = relations->nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (relations->all[middle].objref < objref)
			low = middle + 1;
		else
			high = middle;
	}
	if (low < relations->nr && relations->all[low].objref == objref)
		return &relations->all[low];
	return NULL;
}

/* The name of a process is that of its first thread. */
static char *process_comm_text(const struct relations *threads, uint32_t objref)
{
	const struct relation *leader = related(threads, objref);
	const struct ckpt_rec_thread *thread;

	if (!leader)
		return text("(process %" PRIu32 ")", objref);
	thread = (const void *)leader->item->payload;
	return text("%.*s", ARRAY(thread->comm));
}

static const char *process_state(const struct summary *summary, const struct item *item)
{
	const struct ckpt_process *process = (const void *)item->payload;
	const struct ckpt_process_signals *signals;

	if (process->flags & CKPT_PROCESS_ZOMBIE)
		return "zombie";
	item = find(summary, CKPT_REC_PROCESS_SIGNALS, item->record.objref);
	signals = item ? (const void *)item->payload : NULL;
	return signals && signals->stop_signal ? "stopped" : "running";
}

/**
 * struct family - the processes as a tree
 * @summary:	what is known of the image
 * @threads:	the threads by their process
 * @children:	the processes by their parent
 */
struct family {
	const struct summary *summary;
	struct relations threads;
	struct relations children;
};

static void print_member(const struct family *family, const struct item *item,
			 unsigned int depth)
{
	const struct ckpt_process *process = (const void *)item->payload;
	char *name = process_comm_text(&family->threads, item->record.objref);
	char *end;

	printf("           %7" PRIu32 " %7" PRIu32 "  %-7s  %*s", process->pid, process->ppid,
	       process_state(family->summary, item), 2 * (int)depth, "");
	print_text(stdout, "", name);
	free(name);
	if (process->flags & CKPT_PROCESS_ZOMBIE) {
		end = describe_end(process->exit_code);
		printf(" (%s)", end);
		free(end);
	}
	putchar('\n');
}

/* The next child of the same parent, or NULL */
static const struct relation *next_child(const struct family *family,
					 const struct relation *child)
{
	const struct relations *children = &family->children;

	if (child + 1 < children->all + children->nr && child[1].objref == child->objref)
		return child + 1;
	return NULL;
}

/*
 * Each process after its parent, children in their order. In a damaged image some may be
 * their own ancestors: it ends when there are as many lines as processes.
 */
static void print_tree(const struct summary *summary)
{
	struct family family = { .summary = summary };
	const struct relation **path = NULL;
	const struct relation *child;
	unsigned int depth = 0;
	size_t count = 0;

	relate(&family.threads, summary, CKPT_REC_THREAD,
	       offsetof(struct ckpt_rec_thread, process));
	relate(&family.children, summary, CKPT_REC_PROCESS,
	       offsetof(struct ckpt_process, parent));
	printf("processes  %7s %7s  %-7s  name\n", "pid", "parent", "state");
	child = related(&family.children, 0);
	while (child && count++ < family.children.nr) {
		print_member(&family, child->item, depth);
		if (!(depth & (depth - 1)))
			path = checked_realloc(path, depth ? 2 * depth : 1, sizeof(*path));
		path[depth++] = child;
		child = related(&family.children, child->item->record.objref);
		while (!child && depth)
			child = next_child(&family, path[--depth]);
	}
	free(path);
	free(family.threads.all);
	free(family.children.all);
}

static void print_process(const struct summary *summary, const struct item *item)
{
	const struct ckpt_process *process = (const void *)item->payload;
	const struct item *fs_item, *mm_item;
	char *name;

	printf("process    %" PRIu32 " ", process->pid);
	if (item->record.objref == summary->header->root)
		print_text(stdout, "", (const char *)summary->header->comm);
	printf(", parent %" PRIu32 ", process group %" PRIu32 ", session %" PRIu32 "\n",
	       process->ppid, process->pgid, process->sid);

	mm_item = find(summary, CKPT_REC_MM, process->mm);
	if (mm_item) {
		const struct ckpt_mm *mm = (const void *)mm_item->payload;

		name = file_object_name(summary, mm->exe);
		print_text(stdout, "program    ", mm->exe ? name : "none");
		putchar('\n');
		free(name);
	}
	fs_item = find(summary, CKPT_REC_FS, process->fs);
	if (fs_item) {
		const struct ckpt_fs *fs = (const void *)fs_item->payload;

		name = path_name(summary, fs->pwd);
		print_text(stdout, "directory  ", name);
		putchar('\n');
		free(name);
	}
}

/* The root, then all if there are more. Returns their number. */
static size_t print_processes(const struct summary *summary)
{
	const struct item *item;
	size_t i = 0, count = 0;

	while ((item = next_item(summary, CKPT_REC_PROCESS, &i)))
		if (!count++)
			print_process(summary, item);
	if (count > 1)
		print_tree(summary);
	return count;
}

static void print_threads(const struct summary *summary)
{
	const struct ckpt_rec_thread *thread;
	const struct item *item;
	uint64_t count = 0;
	char *name;
	size_t i = 0;

	printf("threads    %" PRIu32 ":", summary->header->nr_tasks);
	while ((item = next_item(summary, CKPT_REC_THREAD, &i))) {
		thread = (const void *)item->payload;
		if (++count > MAX_THREADS_SHOWN) {
			printf(", ...");
			break;
		}
		name = text("%s %" PRIu32 " %.*s", count > 1 ? "," : "", thread->tid,
			    ARRAY(thread->comm));
		print_text(stdout, "", name);
		free(name);
	}
	putchar('\n');
}

/* Whose table of descriptors it is: processes, or threads that have one of their own */
static void print_owners(const struct relations *processes, const struct relations *threads,
			 uint32_t table)
{
	const struct relations *relations = related(processes, table) ? processes : threads;
	const struct relation *owner = related(relations, table);
	const char *separator = "";
	unsigned int count = 0;

	printf("files      of ");
	for (; owner && owner < relations->all + relations->nr && owner->objref == table;
	     owner++) {
		const struct ckpt_process *process = (const void *)owner->item->payload;
		const struct ckpt_rec_thread *thread = (const void *)owner->item->payload;

		if (++count > MAX_THREADS_SHOWN) {
			printf(", ...");
			break;
		}
		printf("%s%" PRIu32, separator,
		       relations == processes ? process->pid : thread->tid);
		separator = ", ";
	}
	printf("%s\n", count ? "" : "nobody");
}

static void print_fd(const struct summary *summary, const struct ckpt_fd *fd,
		     const char *title)
{
	const struct item *item = find(summary, CKPT_REC_FILE, fd->file);
	const struct ckpt_file *file = item ? (const void *)item->payload : NULL;
	char *name, *line;

	if (!file)
		return;
	name = file_name(summary, file, item->record.payload_length);
	line = text("%4" PRIu32 "  %.*s  %s  (%s)", fd->fd, ARRAY(file->type), name,
		    access_mode(file->flags));
	printf("%s", title);
	print_text(stdout, "", line);
	putchar('\n');
	free(line);
	free(name);
}

/* With several processes, table by table */
static void print_files(const struct summary *summary, bool several)
{
	const char *title = several ? "           " : "files      ";
	struct relations processes, threads;
	const struct item *item;
	uint32_t table = 0;
	size_t i = 0;

	relate(&processes, summary, CKPT_REC_PROCESS, offsetof(struct ckpt_process, files));
	relate(&threads, summary, CKPT_REC_THREAD, offsetof(struct ckpt_rec_thread, files));
	while ((item = next_item(summary, CKPT_REC_FD, &i))) {
		if (several && item->record.objref != table)
			print_owners(&processes, &threads, item->record.objref);
		table = item->record.objref;
		print_fd(summary, (const void *)item->payload, title);
		title = "           ";
	}
	free(processes.all);
	free(threads.all);
}

void summary_print(const struct summary *summary)
{
	char *others = other_pages(&summary->pages);
	uint64_t nr_vmas, bytes;
	bool several;

	bytes = mapped_bytes(summary, &nr_vmas);
	several = print_processes(summary) > 1;
	print_threads(summary);
	printf("memory     %s mapped in %s; %s (%s) in the image%s\n",
	       format_bytes(bytes), format_count(nr_vmas, "area"),
	       format_count(summary->pages.here, "page"),
	       format_bytes(summary->pages.here * summary->header->page_size), others);
	free(others);
	print_files(summary, several);
	printf("size       %s: %s in %s, %s of them metadata\n",
	       format_bytes(summary->image_bytes),
	       format_count(summary->image_bytes, "byte"),
	       format_count(summary->nr_records, "record"),
	       format_bytes(summary->metadata_bytes));
}

/* A string which is freed then */
static void json_text(struct json *json, const char *key, char *value)
{
	json_string(json, key, value);
	free(value);
}

static void json_process(struct json *json, const struct summary *summary,
			 const struct item *item, const struct relations *threads)
{
	const struct ckpt_process *process = (const void *)item->payload;
	const struct item *other;

	json_begin(json, NULL, '{');
	json_u64(json, "objref", item->record.objref);
	json_u64(json, "pid", process->pid);
	json_u64(json, "ppid", process->ppid);
	json_u64(json, "pgid", process->pgid);
	json_u64(json, "sid", process->sid);
	json_text(json, "comm", process_comm_text(threads, item->record.objref));
	json_string(json, "state", process_state(summary, item));
	if (process->parent) {
		json_u64(json, "parent", process->parent);
		json_u64(json, "parent_tid", process->parent_tid);
	}
	if (process->flags & CKPT_PROCESS_ZOMBIE)
		json_u64(json, "exit_code", process->exit_code);
	json_u64(json, "exit_signal", process->exit_signal);
	json_bool(json, "subreaper", process->flags & CKPT_PROCESS_SUBREAPER);
	json_bool(json, "outer_session", process->flags & CKPT_PROCESS_OUTER_SESSION);
	json_bool(json, "outer_group", process->flags & CKPT_PROCESS_OUTER_GROUP);
	json_u64(json, "mm", process->mm);
	json_u64(json, "files", process->files);
	other = find(summary, CKPT_REC_MM, process->mm);
	if (other) {
		const struct ckpt_mm *mm = (const void *)other->payload;

		if (mm->exe)
			json_text(json, "exe", file_object_name(summary, mm->exe));
	}
	other = find(summary, CKPT_REC_FS, process->fs);
	if (other) {
		const struct ckpt_fs *fs = (const void *)other->payload;

		json_text(json, "cwd", path_name(summary, fs->pwd));
		json_u64(json, "umask", fs->umask);
	}
	json_end(json, '}');
}

static void json_processes(struct json *json, const struct summary *summary)
{
	struct relations threads;
	const struct item *item;
	size_t i = 0;

	relate(&threads, summary, CKPT_REC_THREAD,
	       offsetof(struct ckpt_rec_thread, process));
	json_begin(json, "processes", '[');
	while ((item = next_item(summary, CKPT_REC_PROCESS, &i)))
		json_process(json, summary, item, &threads);
	json_end(json, ']');
	free(threads.all);
}

static void json_threads(struct json *json, const struct summary *summary)
{
	const struct ckpt_rec_thread *thread;
	const struct item *item;
	size_t i = 0;

	json_begin(json, "threads", '[');
	while ((item = next_item(summary, CKPT_REC_THREAD, &i))) {
		thread = (const void *)item->payload;
		json_begin(json, NULL, '{');
		json_u64(json, "tid", thread->tid);
		json_u64(json, "process", thread->process);
		json_text(json, "comm", text("%.*s", ARRAY(thread->comm)));
		json_bool(json, "ended", thread->flags & CKPT_THREAD_ENDED);
		if (thread->flags & CKPT_THREAD_ENDED)
			json_u64(json, "exit_code", thread->exit_code);
		if (thread->vfork_tid)
			json_u64(json, "vfork_child", thread->vfork_tid);
		json_bool(json, "own_files", has_own_files(summary, thread));
		json_bool(json, "own_directory", has_own_directory(summary, thread));
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void json_vmas(struct json *json, const struct summary *summary)
{
	const struct ckpt_vma *vma;
	const struct item *item;
	size_t i = 0;

	json_begin(json, "vmas", '[');
	while ((item = next_item(summary, CKPT_REC_VMA, &i))) {
		vma = (const void *)item->payload;
		json_begin(json, NULL, '{');
		json_u64(json, "mm", item->record.objref);
		json_u64(json, "start", vma->start);
		json_u64(json, "end", vma->end);
		json_string(json, "flags", vma_flags(vma));
		json_u64(json, "offset", vma->offset);
		json_text(json, "name", vma_name(summary, vma, (const char *)vma->name,
						 item->record.payload_length - sizeof(*vma)));
		json_end(json, '}');
	}
	json_end(json, ']');
}

static void json_files(struct json *json, const struct summary *summary)
{
	const struct item *item, *file_item;
	const struct ckpt_file *file;
	const struct ckpt_fd *fd;
	size_t i = 0;

	json_begin(json, "files", '[');
	while ((item = next_item(summary, CKPT_REC_FD, &i))) {
		fd = (const void *)item->payload;
		file_item = find(summary, CKPT_REC_FILE, fd->file);
		json_begin(json, NULL, '{');
		json_u64(json, "table", item->record.objref);
		json_u64(json, "fd", fd->fd);
		json_bool(json, "cloexec", fd->flags & CKPT_FD_CLOEXEC);
		json_u64(json, "file", fd->file);
		if (file_item) {
			file = (const void *)file_item->payload;
			json_text(json, "type", text("%.*s", ARRAY(file->type)));
			json_text(json, "name",
				  file_name(summary, file,
					    file_item->record.payload_length));
			json_u64(json, "flags", file->flags);
			json_s64(json, "pos", file->pos);
		}
		json_end(json, '}');
	}
	json_end(json, ']');
}

void summary_json(struct json *json, const struct summary *summary)
{
	json_processes(json, summary);
	json_threads(json, summary);
	json_vmas(json, summary);
	json_files(json, summary);
	json_u64(json, "records_number", summary->nr_records);
	json_u64(json, "pages", summary->pages.here);
	json_u64(json, "pages_zero", summary->pages.zero);
	json_u64(json, "pages_parent", summary->pages.parent);
	json_u64(json, "pages_records", summary->nr_pages_records);
	json_u64(json, "metadata_bytes", summary->metadata_bytes);
	json_u64(json, "image_bytes", summary->image_bytes);
}
