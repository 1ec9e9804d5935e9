#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# What the linker and the compiler have put into our programs against those who find a bug.
# usage: hardening.sh PROGRAM...
set -eu
failed=0

complain() {
	echo "hardening: $program: $*" >&2
	failed=1
}

segment() { # NAME: its flags, one letter each
	LC_ALL=C readelf --wide --segments "$program" | awk -v name="$1" '$1 == name { print $7 $8 $9 }' |
		sed 's/0x.*//'
}

dynamic() { # PATTERN: is there such a line in the dynamic section?
	LC_ALL=C readelf --wide --dynamic "$program" | grep -qE "$1"
}

imports() { # PATTERN: does it call such a function of a library?
	LC_ALL=C readelf --wide --dyn-syms "$program" | awk '$7 == "UND" { sub(/@.*/, "", $8); print $8 }' |
		grep -qxE "$1"
}

check_linking() {
	LC_ALL=C readelf --file-header "$program" | grep -q 'Type: *DYN' || complain "no PIE"
	dynamic 'FLAGS_1.*PIE' || complain "no PIE"
	[ -n "$(segment GNU_RELRO)" ] || complain "no RELRO"
	dynamic '(FLAGS).*(BIND_NOW|NOW)' || complain "symbols are bound late, so RELRO is not full"
	case $(segment GNU_STACK) in
	RW) ;;
	*) complain "the stack is executable" ;;
	esac
	segment LOAD | grep -q 'W.*E' && complain "a segment is writable and executable"
	dynamic '(RPATH|RUNPATH)' && complain "libraries are searched where a path in the program says"
	dynamic 'TEXTREL' && complain "its code is relocated"
	return 0
}

check_compiling() {
	imports __stack_chk_fail || complain "no stack protector"
	imports '__[a-z]+_chk' || complain "no FORTIFY_SOURCE"
}

# gcc notes its flags for every source file.
check_every_file() {
	notes=$(LC_ALL=C readelf --wide --debug-dump=info "$program" | grep -E 'DW_AT_producer.*GNU C' || true)
	[ -n "$notes" ] || return 0
	flags='fstack-protector-strong fstack-clash-protection'
	# The linker keeps its mark only where libc has it too, so the mark cannot be asked for.
	if LC_ALL=C readelf --file-header "$program" | grep -q 'X86-64'; then
		flags="$flags fcf-protection"
	fi
	for flag in $flags; do
		without=$(echo "$notes" | grep -cv -e "-$flag" || true)
		[ "$without" = 0 ] || complain "$without source files without -$flag"
	done
}

for program; do
	check_linking
	check_compiling
	check_every_file
done
exit $failed
