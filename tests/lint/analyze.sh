#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# gcc's static analyzer over some files. What it is known to get wrong stands, with the reason, in
# tests/lint/analyzer-known.txt: a file, a function, a warning a line.
# usage: analyze.sh FLAG... -- FILE...
set -eu
known=tests/lint/analyzer-known.txt
failed=0

flags=
while [ "$1" != -- ]; do
	flags="$flags $1"
	shift
done
shift

# Prints "FILE FUNCTION WARNING" for every finding in the compiler's output.
findings() {
	sed -nE "s/^[^ ]+: In function '([^']+)':$/in \1/p; s/^([^ :]+):[0-9]+:[0-9]+: (warning|error): .*\[-W(analyzer-[a-z-]+)\]$/at \1 \3/p" |
		awk '$1 == "in" { name = $2 } $1 == "at" { print $2, name, $3 }' | sort -u
}

for file; do
	# shellcheck disable=SC2086 # a list of flags
	output=$(LC_ALL=C gcc $flags -Iinclude -D_GNU_SOURCE '-DSALLYPORT_VERSION=""' -std=gnu11 -O2 -fanalyzer -c -o /dev/null "$file" 2>&1) || {
		echo "$output"
		failed=1
	}
	new=$(echo "$output" | findings | grep -vxFf "$known" || true)
	if [ -n "$new" ]; then
		echo "$output"
		echo "$new"
		failed=1
	fi
done
exit $failed
