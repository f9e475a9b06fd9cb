// SPDX-License-Identifier: GPL-2.0
/*
 * Compiled with debug information to learn which fields the structures of a kernel
 * configuration have.
 */
#include <linux/cred.h>
#include <linux/fdtable.h>
#include <linux/fs.h>
#include <linux/fs_struct.h>
#include <linux/iocontext.h>
#include <linux/mempolicy.h>
#include <linux/mm_types.h>
#include <linux/nsproxy.h>
#include <linux/posix-timers.h>
#include <linux/sched.h>
#include <linux/sched/coredump.h>
#include <linux/sched/jobctl.h>
#include <linux/sched/signal.h>
#include <linux/shmem_fs.h>
#include <linux/thread_info.h>
#include <linux/time_namespace.h>
#include <asm/mmu.h>
#include <asm/processor.h>
#include <uapi/linux/checkpoint_image.h>

#include "kernel/checkpoint/auto.h"
