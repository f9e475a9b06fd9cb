#!/bin/sh
# SPDX-License-Identifier: GPL-2.0
#
# A Java program: java.sh COMMAND [ARGUMENT...]
#
# A virtual machine changes its code while it runs. An emulated processor of QEMU 7.2
# (TCG) that is translating it just then goes on with the old code for ever, which
# crashes the program sooner or later. So there it gets one processor, and as many
# threads as on two.
if grep -q '^model name.*QEMU TCG' /proc/cpuinfo; then
	export JAVA_TOOL_OPTIONS="-XX:ActiveProcessorCount=2"
	exec taskset --cpu-list 0 "$@"
fi
exec "$@"
