# SPDX-License-Identifier: GPL-2.0
# bash completion for ckpt(1)

_ckpt_pids()
{
	local dir pids=()

	for dir in /proc/[1-9]*; do
		pids+=("${dir#/proc/}")
	done
	mapfile -t COMPREPLY < <(compgen -W "${pids[*]}" -- "$1")
}

_ckpt()
{
	local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]}
	local command=${COMP_WORDS[1]} options word words operands=0 i

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			"save restart check info verify merge kill auto status --help --version" -- "$cur")
		return
	fi
	case $command in
	save)	 options="--single --leave-stopped --kill --external-fd --timeout --incremental
			--tracker --full-every --keep --parent --stats --json --help" ;;
	restart) options="--detach --inherit-fd --host-clocks --leave-stopped --parent-dir
			--parent --latest --all --name --pid --stats --json --help" ;;
	check)	 options="--single --external-fd --timeout --json --help" ;;
	info)	 options="--records --parent-dir --json --help" ;;
	verify)	 options="--quiet --parent-dir --json --help" ;;
	merge)	 options="--output --parent-dir --json --help" ;;
	kill)	 options="--full --incremental --exit --tree --single --wait --timeout --json
			--help" ;;
	auto)	 options="--every --mtbf --off --full-every --keep --tracker --across-exec
			--remove-at-exit --pattern --dir --help" ;;
	status)	 options="--json --watch --help" ;;
	*)	 return ;;
	esac
	case $prev in
	--external-fd | --inherit-fd | --timeout | --full-every | --keep | --every | --mtbf | \
	--pattern | --name | --pid) return ;;
	--tracker)
		words="shadow write-protect none"
		[[ $command == auto ]] && words+=" auto"
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return ;;
	--parent-dir | --dir)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return ;;
	--parent | --output | -o)
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return ;;
	esac
	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		return
	fi
	# Which operand is it? Options with a value take the word after them.
	for ((i = 2; i < COMP_CWORD; i++)); do
		word=${COMP_WORDS[i]}
		case $word in
		--external-fd | --inherit-fd | --timeout | --full-every | --keep | \
		--tracker | --parent-dir | --parent | --output | -o | --every | --mtbf | \
		--pattern | --dir | --name | --pid) ((i++)) ;;
		-?*)	;;
		*)	((operands++)) ;;
		esac
	done
	if [[ $command == kill || $command == status ]] ||
	   [[ $command =~ ^(check|save|auto)$ && $operands -eq 0 ]]; then
		_ckpt_pids "$cur"
	elif [[ $command != check && $command != auto ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _ckpt ckpt
