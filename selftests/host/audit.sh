#!/bin/bash
# SPDX-License-Identifier: GPL-2.0
#
# Is every field of the structures that the series saves accounted for, and would it be
# noticed if not? See Documentation/field-audit.rst.

here=$(cd "$(dirname "$0")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
number=0 status=0

result()
{
	number=$((number + 1))
	echo "$1 $number $2"
	[ "$1" = ok ] || status=1
}

# audit [OPTION]: its lines as results
audit()
{
	local word text
	"$here/../../kernel-config/audit/run" "$@" > "$work/out" 2> "$work/err"
	while read -r word text; do
		case $word in
		ok)	result ok "$text" ;;
		FAIL)	result "not ok" "$text" ;;
		esac
	done < "$work/out"
	if ! grep -q ' passed, [0-9]* failed$' "$work/out"; then
		sed 's/^/# /' "$work/err"
		result "not ok" "audit/run $* came to its end"
	fi
}

echo "TAP version 13"
audit
audit --self-test
echo "1..$number"
exit $status
