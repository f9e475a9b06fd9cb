# SPDX-License-Identifier: GPL-2.0
#
# Shared by the scripts here; sourced, with $BUILD set by the Makefile.

: "${top:=$(cd "$(dirname "$0")/.." && pwd)}"
: "${BUILD:=$top/build}"
tree=$BUILD/linux
tarball=${KERNEL_TARBALL:-/usr/src/linux-source-6.12.tar.xz}
patches=$top/patches

# How to compile a kernel: with ccache, where it is installed. A cache directory
# beside the build directory outlives it; objects are the same wherever the
# repository lies.
cache=${LINUXCR_CACHE:-$HOME/.cache/linux-cr}
if [ -z "${KCC:-}" ]; then
	KCC=gcc
	if command -v ccache > /dev/null; then
		KCC="ccache gcc"
		[ ! -d "$cache" ] || export CCACHE_DIR="${CCACHE_DIR:-$cache/ccache}"
		export CCACHE_BASEDIR="$BUILD" CCACHE_NOHASHDIR=1
	fi
fi

# The user's git configuration must not change what the tree or the patches
# look like.
export GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1

say()
{
	echo "  $*" >&2
}

die()
{
	echo "${0##*/}: $*" >&2
	exit 1
}

tree_git()
{
	git -C "$tree" "$@"
}

# The names in patches/series, without comments.
series()
{
	[ ! -f "$patches/series" ] || sed 's/#.*//; s/[[:space:]]*$//; /^$/d' "$patches/series"
}

# What the series is, in one word.
series_sum()
{
	(cd "$patches" 2>/dev/null && series | xargs -r cat 2>/dev/null; series) |
		sha256sum | cut -d' ' -f1
}

# The tree as it stands, uncommitted changes and new files included.
tree_state()
{
	{
		tree_git rev-parse 'HEAD^{tree}'
		tree_git diff HEAD
		tree_git ls-files -o -z |
			(cd "$tree" && xargs -0r sha256sum)
	} | sha256sum | cut -d' ' -f1
}

tree_is_clean()
{
	[ -z "$(tree_git status --porcelain)" ]
}
