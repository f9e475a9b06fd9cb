// SPDX-License-Identifier: GPL-2.0
/*
 * ckpt: checkpoint and restart processes, look into images.
 *
 * See ckpt(1).
 */
#include <errno.h>
#include <string.h>

#include "ckpt.h"

static const struct command {
	const char *name;
	int (*run)(int argc, char **argv);
	const char *help;
} commands[] = {
	{ "save", command_save,
"usage: ckpt save [OPTION]... PID FILE\n"
"Save process PID with all its descendants to the image FILE; \"-\" is standard\n"
"output, which must not be a terminal. A FILE that exists is replaced only when\n"
"the new image is complete and on stable storage.\n"
"\n"
"      --single           only the process, without its descendants\n"
"      --leave-stopped    leave the processes stopped, as by SIGSTOP\n"
"      --kill             kill the processes when their image is safe\n"
"      --external-fd N    do not save descriptor N of the process: whoever\n"
"                         restarts it will provide one.  PID/N: of a descendant\n"
"      --timeout SECONDS  wait that long for them to stop (default 10)\n"
"      --incremental      write only what has changed: images FILE.000001,\n"
"                         FILE.000002 ..., and FILE as a link to the newest\n"
"      --tracker NAME     how to find out what changes: shadow, write-protect or\n"
"                         none (default the first of them that the kernel has)\n"
"      --full-every N     take a full image every N images (default 10)\n"
"      --keep N           remove images of FILE that the newest N do not need\n"
"      --parent IMAGE     FILE \"-\": the image before, its file or UUID\n"
"      --stats            show figures on standard error\n"
"      --json             the result in JSON on standard output\n"
"                         (FILE \"-\": on standard error)\n"
"  -h, --help             show this text\n"
	},
	{ "restart", command_restart,
"usage: ckpt restart [OPTION]... FILE\n"
"       ckpt restart --latest [OPTION]... DIR\n"
"Restart a process, with its descendants, from the image FILE; \"-\" is standard\n"
"input. It gets the process ID it had, and descriptors 0, 1 and 2 of ckpt where\n"
"its own were a terminal, a pipe or /dev/null. Without --detach ckpt waits for\n"
"it, passes signals on to it and ends with its exit status, or 128 + N for signal\n"
"N.\n"
"\n"
"  -d, --detach           do not wait: print the process ID\n"
"      --inherit-fd N[:M] its descriptor N is to be ckpt's descriptor M (or N).\n"
"                         PID/N[:M]: of a descendant\n"
"      --host-clocks      no time namespace: CLOCK_MONOTONIC and CLOCK_BOOTTIME\n"
"                         jump, but no privilege is needed for them\n"
"      --leave-stopped    let it begin stopped: SIGCONT lets it go on\n"
"      --parent-dir DIR   look for parents of FILE there too\n"
"      --parent FILE      the parent, then its parent ..., in place of a search\n"
"      --latest           from the newest image in DIR that is complete and\n"
"                         undamaged, all that it needs included, and is yours\n"
"      --name NAME        in DIR, look at images of processes of that name\n"
"      --pid PID          and of that process ID only\n"
"      --all              each job in DIR, with /dev/null for descriptors 0 to 2;\n"
"                         implies --detach\n"
"      --stats            show figures on standard error\n"
"      --json             the result in JSON on standard error\n"
"                         (--detach: on standard output)\n"
"  -h, --help             show this text\n"
	},
	{ "check", command_check,
"usage: ckpt check [OPTION]... PID\n"
"Find out whether process PID with all its descendants could be checkpointed, and\n"
"all that prevents it. Nothing is written; they are held up for a moment.\n"
"\n"
"      --single           only the process, without its descendants\n"
"      --external-fd N    as for ckpt save\n"
"      --timeout SECONDS  as for ckpt save\n"
"      --json             the result in JSON\n"
"  -h, --help             show this text\n"
	},
	{ "info", command_info,
"usage: ckpt info [OPTION]... FILE\n"
"Show what is in the image FILE; \"-\" is standard input. The contents of memory\n"
"are not read: see ckpt verify. Of an increment, its chain is shown too.\n"
"\n"
"      --records          list every record\n"
"      --parent-dir DIR   look for parents of FILE there too\n"
"      --json             in JSON\n"
"  -h, --help             show this text\n"
	},
	{ "verify", command_verify,
"usage: ckpt verify [OPTION]... FILE...\n"
"Read images to the end and check that they are complete and undamaged; \"-\" is\n"
"standard input. With an increment, all images that it needs are checked.\n"
"\n"
"  -q, --quiet            only the exit status tells\n"
"      --parent-dir DIR   look for parents there too\n"
"      --json             the results in JSON\n"
"  -h, --help             show this text\n"
	},
	{ "merge", command_merge,
"usage: ckpt merge [OPTION]... FILE\n"
"Make one full image out of the increment FILE and all that it needs. Where FILE\n"
"is a link made by ckpt save --incremental, it becomes the next of its images.\n"
"\n"
"  -o, --output OUT       write it to OUT; \"-\" is standard output\n"
"      --parent-dir DIR   look for parents of FILE there too\n"
"      --json             the result in JSON on standard output\n"
"                         (OUT \"-\": on standard error)\n"
"  -h, --help             show this text\n"
	},
	{ "kill", command_kill,
"usage: ckpt kill [OPTION]... PID...\n"
"Send processes SIGCKPT: the kernel checkpoints them, each with its descendants,\n"
"and they go on. Images go where the settings of the process, or\n"
"kernel.checkpoint_pattern, say. Where the kernel has no SIGCKPT nothing is sent.\n"
"\n"
"      --full             full images, whatever the settings say\n"
"      --incremental      increments of the last images, where that is possible\n"
"      --exit             kill each when its image is safe\n"
"      --tree             with its descendants, which is the default\n"
"      --single           without its descendants\n"
"      --wait             wait for the images, and print their paths\n"
"      --timeout TIME     likewise, no longer than that: 500ms, 30s, 5m\n"
"      --json             likewise, the results in JSON\n"
"  -h, --help             show this text\n"
	},
	{ "auto", command_auto,
"usage: ckpt auto PID --every TIME|--mtbf TIME [OPTION]...\n"
"       ckpt auto PID --off\n"
"Let the kernel checkpoint process PID again and again, by itself. What was set\n"
"up before is replaced. TIME is a number with ms, s, m, h or d: 10m, 1.5h.\n"
"\n"
"      --every TIME       from one checkpoint to the next\n"
"      --mtbf TIME        mean time between failures, from which and from what a\n"
"                         checkpoint costs the best interval follows\n"
"      --off              end it, and forget what was set up\n"
"      --full-every N     take a full image every N images (default 10; 1 if\n"
"                         --pattern has no %n)\n"
"      --keep N           remove all but the newest N chains (default 2; 0: none)\n"
"      --tracker NAME     how to find out what changes: shadow, write-protect,\n"
"                         none, or auto for the best there is (default)\n"
"      --across-exec      go on when the process executes another program\n"
"      --remove-at-exit[=always]\n"
"                         remove the images when the process exits with status 0,\n"
"                         or however it ends\n"
"      --pattern PATTERN  where images go (default: kernel.checkpoint_pattern)\n"
"      --dir DIR          likewise, into DIR: --pattern DIR/%e.%p.%n.ckpt\n"
"  -h, --help             show this text\n"
	},
	{ "status", command_status,
"usage: ckpt status [OPTION]... [PID]...\n"
"Show what has become of the checkpoints that the kernel takes by itself: of each\n"
"PID in detail, or in a line each of all processes of which there is something to\n"
"say.\n"
"\n"
"      --json             in JSON\n"
"      --watch            again every second, until interrupted\n"
"  -h, --help             show this text\n"
	},
};

#define NR_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static const char help[] =
"usage: ckpt COMMAND [OPTION]... [ARGUMENT]...\n"
"Checkpoint and restart of processes.\n"
"\n"
"  save PID FILE    save a running process to an image\n"
"  restart FILE     restart a process from an image\n"
"  check PID        say whether, and if not why, a process can be saved\n"
"  info FILE        show what is in an image\n"
"  verify FILE...   check that images are complete and undamaged\n"
"  merge FILE       make one full image out of increments\n"
"  kill PID...      let the kernel checkpoint processes, by SIGCKPT\n"
"  auto PID         let it checkpoint one automatically\n"
"  status [PID]...  show what becomes of these checkpoints\n"
"\n"
"  -h, --help       show this text; \"ckpt COMMAND --help\" for the options\n"
"  -V, --version    show the version\n"
"\n"
"Exit status: 0 done, 1 failed, 2 wrong usage. ckpt restart: that of the\n"
"restarted process, 128 + N if signal N killed it, 125 if there is none.\n";

int show_help(const char *command)
{
	size_t i;

	for (i = 0; i < NR_COMMANDS; i++)
		if (!strcmp(command, commands[i].name))
			fputs(commands[i].help, stdout);
	return STATUS_OK;
}

/* Output that could not be written is a failure, also when all else went well. */
static int finish_output(int status)
{
	if (fflush(stdout) || ferror(stdout)) {
		message("cannot write to standard output: %s", strerror(errno));
		return status ? status : STATUS_FAILED;
	}
	return status;
}

int main(int argc, char **argv)
{
	const char *name;
	size_t i;

	if (argc < 2)
		return usage_error("", "no command given");
	name = argv[1];
	if (!strcmp(name, "-h") || !strcmp(name, "--help") || !strcmp(name, "help")) {
		fputs(help, stdout);
		return finish_output(STATUS_OK);
	}
	if (!strcmp(name, "-V") || !strcmp(name, "--version")) {
		printf("ckpt %s\n", ckpt_version());
		return finish_output(STATUS_OK);
	}
	for (i = 0; i < NR_COMMANDS; i++) {
		if (!strcmp(name, commands[i].name))
			return finish_output(commands[i].run(argc - 1, argv + 1));
	}
	return usage_error("", "unknown command \"%s\"", name);
}
