#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# One fuzzer for so many seconds; says how many inputs it tried and what they reached.
# usage: run.sh SECONDS NAME
set -eu
seconds=$1
name=$2
found=build/fuzz/found/$name
log=build/fuzz/$name.log

mkdir -p "$found"
if ! "build/fuzz/$name" -max_total_time="$seconds" -timeout=60 -print_final_stats=1 \
	-artifact_prefix="build/fuzz/$name-" "$found" "tests/fuzz/corpus/$name" 2>"$log"; then
	echo "== $name failed; the input that did it is beside $log"
	tail -n 40 "$log"
	exit 255 # ends xargs
fi
inputs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")
reached=$(sed -n 's/^#[0-9]*\tDONE *\(cov: [0-9]* ft: [0-9]*\).*/\1/p' "$log")
echo "== $name: $inputs inputs, $reached"
if [ "${inputs:-0}" -lt $((seconds * 10)) ]; then
	echo "== $name: it tried next to nothing; see $log"
	exit 255
fi
