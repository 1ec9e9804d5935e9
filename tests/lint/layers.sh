#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Who may include whom: core <- host <- kernel <- daemon, and core <- host <- cli. And libcore.a may
# need of libc only what neither tells the time, nor opens, prints or logs anything.
# usage: layers.sh LIBCORE
set -eu
failed=0

forbid() { # FOLDER PATTERN: no file of src/FOLDER or its headers includes sallyport/PATTERN or ../PATTERN
	if grep -nE "#include \"((sallyport|\.\.)/)($2)/" src/"$1"/*.[ch] include/sallyport/"$1"/*.h 2>/dev/null; then
		echo "layers: src/$1 must not include from $2" >&2
		failed=1
	fi
}
forbid core 'host|kernel|daemon|cli'
forbid host 'kernel|daemon|cli'
forbid kernel 'host|daemon|cli'
forbid cli 'kernel|daemon'
forbid daemon 'cli'

foreign=$(nm --undefined-only --format=just-symbols "$1" | sed '/^$/d;/:$/d;s/@.*//' | sort -u |
	grep -vxF "$(nm --defined-only --extern-only --format=just-symbols "$1" | sed '/^$/d;/:$/d' | sort -u)" |
	grep -vxFf tests/lint/libc-allowed.txt || true)
if [ -n "$foreign" ]; then
	echo "layers: libcore.a needs what tests/lint/libc-allowed.txt does not list:" >&2
	echo "$foreign" >&2
	failed=1
fi
exit $failed
