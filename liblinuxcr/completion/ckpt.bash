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
	local command=${COMP_WORDS[1]} options word operands=0 i

	COMPREPLY=()
	if ((COMP_CWORD == 1)); then
		mapfile -t COMPREPLY < <(compgen -W \
			"save restart check info verify merge --help --version" -- "$cur")
		return
	fi
	case $command in
	save)	 options="--leave-stopped --kill --external-fd --timeout --incremental
			--tracker --full-every --keep --parent --stats --json --help" ;;
	restart) options="--detach --inherit-fd --host-clocks --leave-stopped --parent-dir
			--parent --stats --json --help" ;;
	check)	 options="--external-fd --timeout --json --help" ;;
	info)	 options="--records --parent-dir --json --help" ;;
	verify)	 options="--quiet --parent-dir --json --help" ;;
	merge)	 options="--output --parent-dir --json --help" ;;
	*)	 return ;;
	esac
	case $prev in
	--external-fd | --inherit-fd | --timeout | --full-every | --keep) return ;;
	--tracker)
		mapfile -t COMPREPLY < <(compgen -W "shadow write-protect none" -- "$cur")
		return ;;
	--parent-dir)
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
		--tracker | --parent-dir | --parent | --output | -o) ((i++)) ;;
		-?*)	;;
		*)	((operands++)) ;;
		esac
	done
	if [[ $command == check || $command == save ]] && ((operands == 0)); then
		_ckpt_pids "$cur"
	elif [[ $command != check ]]; then
		compopt -o filenames
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
	fi
}

complete -F _ckpt ckpt
