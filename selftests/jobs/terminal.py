#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""A terminal, in which tmux runs, in which an interactive bash runs."""
import os
import pty
import sys

pid, fd = pty.fork()
if pid == 0:
    os.environ["TERM"] = "xterm"
    os.environ["PS1"] = "> "
    os.environ["LC_ALL"] = "C.UTF-8"
    os.execvp("tmux", ["tmux", "-f", "/dev/null", "-S", "socket", "new-session",
                       "-x", "80", "-y", "24", "bash", "--norc", "--noprofile", "-i"])
try:
    while os.read(fd, 4096):
        pass
except OSError:
    pass
_, status = os.waitpid(pid, 0)
with open("ticks", encoding="ascii") as ticks:
    sys.stdout.write(ticks.read())
sys.exit(os.waitstatus_to_exitcode(status))
