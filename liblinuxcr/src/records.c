// SPDX-License-Identifier: LGPL-2.1
/* The types of records this library knows. */
#include <stddef.h>

#include <linux/checkpoint_image.h>

#include "internal.h"

#define RECORD(type, min_length) { CKPT_REC_##type, #type, 1, min_length }

static const struct lcr_record_type types[] = {
	RECORD(HEADER,		sizeof(struct ckpt_header)),
	RECORD(TRAILER,		sizeof(struct ckpt_trailer) +
				sizeof(struct ckpt_trailer_end)),
	RECORD(PAGES,		sizeof(struct ckpt_pages) + sizeof(struct ckpt_run)),
	RECORD(PROCESS,		sizeof(struct ckpt_process)),
	RECORD(THREAD,		sizeof(struct ckpt_rec_thread)),
	RECORD(REGSET,		sizeof(struct ckpt_regset)),
	RECORD(CREDS,		sizeof(struct ckpt_creds)),
	RECORD(SCHED,		sizeof(struct ckpt_sched)),
	RECORD(RLIMITS,		sizeof(struct ckpt_rlimits)),
	RECORD(USAGE,		sizeof(struct ckpt_usage)),
	RECORD(PROCESS_USAGE,	sizeof(struct ckpt_process_usage)),
	RECORD(AUTO,		sizeof(struct ckpt_rec_auto)),
	RECORD(SECCOMP,		sizeof(struct ckpt_seccomp)),
	RECORD(SECCOMP_FILTER,	sizeof(struct ckpt_seccomp_filter)),
	RECORD(TASK_MEMPOLICY,	sizeof(struct ckpt_task_mempolicy)),
	RECORD(SYSCALL_DISPATCH, sizeof(struct ckpt_syscall_dispatch)),
	RECORD(SIGHAND,		sizeof(struct ckpt_sighand)),
	RECORD(SIGNALS,		offsetof(struct ckpt_signals, fault_addr)),
	RECORD(SIGQUEUE,	sizeof(struct ckpt_sigqueue)),
	RECORD(RESTART_BLOCK,	sizeof(struct ckpt_restart_block)),
	RECORD(ITIMERS,		sizeof(struct ckpt_itimers)),
	RECORD(POSIX_TIMER,	sizeof(struct ckpt_posix_timer)),
	RECORD(PROCESS_SIGNALS,	sizeof(struct ckpt_process_signals)),
	RECORD(MM,		sizeof(struct ckpt_mm)),
	RECORD(VMA,		sizeof(struct ckpt_vma)),
	RECORD(SHMEM,		sizeof(struct ckpt_shmem)),
	RECORD(MEMPOLICY,	sizeof(struct ckpt_mempolicy)),
	RECORD(AIO_CONTEXT,	sizeof(struct ckpt_aio)),
	RECORD(FILES,		sizeof(struct ckpt_files)),
	RECORD(FD,		sizeof(struct ckpt_fd)),
	RECORD(FILE,		sizeof(struct ckpt_file)),
	RECORD(FS,		sizeof(struct ckpt_fs)),
	RECORD(PATH,		sizeof(struct ckpt_path)),
	RECORD(EPOLL_ITEM,	sizeof(struct ckpt_epoll_item)),
	RECORD(INOTIFY_WATCH,	sizeof(struct ckpt_inotify_watch)),
	RECORD(INOTIFY_EVENT,	sizeof(struct ckpt_inotify_event)),
	RECORD(PIPE,		sizeof(struct ckpt_pipe)),
	RECORD(PIPE_BUFFER,	sizeof(struct ckpt_pipe_buffer)),
	RECORD(SOCK,		sizeof(struct ckpt_sock)),
	RECORD(UNIX,		sizeof(struct ckpt_unix)),
	RECORD(UNIX_MSG,	sizeof(struct ckpt_unix_msg)),
	RECORD(INET,		sizeof(struct ckpt_inet)),
	RECORD(INET_OPTION,	sizeof(struct ckpt_inet_option)),
	RECORD(INET_DEVICE,	sizeof(struct ckpt_inet_device)),
	RECORD(INET_MSG,	sizeof(struct ckpt_inet_msg)),
	RECORD(NETLINK,		sizeof(struct ckpt_netlink)),
	RECORD(SYSV_SHM,	sizeof(struct ckpt_sysv_shm)),
	RECORD(SYSV_SEM,	sizeof(struct ckpt_sysv_sem)),
	RECORD(SEM_UNDO,	sizeof(struct ckpt_sem_undo)),
	RECORD(SYSV_MSGQ,	sizeof(struct ckpt_sysv_msgq)),
	RECORD(MSG,		sizeof(struct ckpt_msg)),
	RECORD(MQUEUE,		sizeof(struct ckpt_mqueue)),
	RECORD(FILE_OWNER,	sizeof(struct ckpt_file_owner)),
	RECORD(FILE_LOCK,	sizeof(struct ckpt_file_lock)),
	RECORD(UNLINKED,	sizeof(struct ckpt_unlinked)),
	RECORD(XATTR,		sizeof(struct ckpt_xattr)),
	RECORD(PTY,		sizeof(struct ckpt_pty)),
	RECORD(TTY,		sizeof(struct ckpt_tty)),
	RECORD(TTY_SESSION,	sizeof(struct ckpt_tty_session)),
};

const struct lcr_record_type *lcr_record_type(uint32_t type)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (types[i].type == type)
			return &types[i];
	return NULL;
}

const char *ckpt_record_name(uint32_t type)
{
	const struct lcr_record_type *known = lcr_record_type(type);

	return known ? known->name : NULL;
}
