#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# Installs the packages of the named groups: build demo test bench lint fuzz coverage vm.
# Where all is there already: no network, no root, nothing written. Without apt-get:
# names what is missing, and fails only if something is.
set -eu

# A line: group, package of Debian and Ubuntu, and how to see on another system that
# what it brings is there: a command, lib:NAME for pkg-config, py:MODULE for Python.
packages='
build gcc gcc
build libc6-dev gcc
build make make
build pkg-config pkg-config
build libmnl-dev lib:libmnl
build libnftnl-dev lib:libnftnl
build libnetfilter-queue-dev lib:libnetfilter_queue
build libsystemd-dev lib:libsystemd
build libjansson-dev lib:jansson
build libcap-ng-dev lib:libcap-ng
build libseccomp-dev lib:libseccomp
demo python3 python3
demo iproute2 ip
demo nftables nft
demo netbase getent
demo procps ps
demo curl curl
demo netcat-openbsd nc
test libcmocka-dev lib:cmocka
test iptables iptables
test nmap nmap
test nginx-light nginx
test openssh-server sshd
test openssh-client ssh
test dnsmasq-base dnsmasq
test bind9-dnsutils dig
test iperf3 iperf3
test tcpdump tcpdump
test mandoc mandoc
test python3-pytest py:pytest
test python3-pytest-xdist py:xdist
test python3-scapy py:scapy
lint clang clang
lint clang-format clang-format
lint clang-tidy clang-tidy
lint cppcheck cppcheck
lint shellcheck shellcheck
lint mandoc mandoc
bench python3 python3
bench iproute2 ip
bench nftables nft
bench iptables iptables
bench nginx-light nginx
bench wrk wrk
bench iperf3 iperf3
bench ufw ufw
fuzz clang clang
coverage gcovr gcovr
fuzz libclang-rt-dev clang
vm python3 python3
vm systemd systemd-analyze
vm debootstrap debootstrap
vm e2fsprogs mke2fs
vm qemu-system-x86 qemu-system-x86_64
'
# What brings a service along that nobody asked to run.
services='nginx.service ssh.service ssh.socket iperf3.service ufw.service'

die() {
	echo "deps: $*" >&2
	exit 1
}

# Debian names clang's runtime after clang's version, which apt knows after an update.
exact_name() {
	if [ "$1" = libclang-rt-dev ]; then
		apt-cache depends clang | sed -n 's/.*Depends: clang-\([0-9]*\)$/libclang-rt-\1-dev/p' | head -n 1
	else
		echo "$1"
	fi
}

installed() {
	case $1 in
	libclang-rt-dev) pattern='libclang-rt-*-dev' ;;
	*) pattern=$1 ;;
	esac
	dpkg-query -W -f '${db:Status-Status}\n' "$pattern" 2>/dev/null | grep -qx installed
}

present() {
	case $1 in
	lib:*) pkg-config --exists "${1#lib:}" 2>/dev/null ;;
	py:*) /usr/bin/python3 -c "import ${1#py:}" 2>/dev/null ;;
	*) PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null 2>&1 ;;
	esac
}

wanted() {
	for group; do
		echo "$packages" | sed -n "s/^$group //p"
	done | sort -u
}

missing_packages() {
	wanted "$@" | while read -r package _; do
		installed "$package" || echo "$package"
	done
}

missing_elsewhere() {
	wanted "$@" | while read -r package probe; do
		present "$probe" || echo "  $package (as Debian names it): $probe"
	done
}

known_services() {
	for unit in $services; do
		if [ -e "/lib/systemd/system/$unit" ] || [ -e "/usr/lib/systemd/system/$unit" ]; then
			echo "$unit"
		fi
	done
}

# Runs as root: installs, and leaves no new service running, now or after a reboot.
install_packages() {
	policy=/usr/sbin/policy-rc.d
	before=$(known_services)
	if [ ! -e $policy ]; then
		trap 'rm -f "$policy"' EXIT
		trap 'exit 1' INT TERM HUP
		printf '#!/bin/sh\nexit 101\n' >$policy
		chmod 755 $policy
	fi
	export DEBIAN_FRONTEND=noninteractive
	apt-get -q update
	names=$(for package; do exact_name "$package"; done)
	# shellcheck disable=SC2086 # a list of names
	apt-get -q install -y --no-install-recommends $names
	for unit in $(known_services); do
		case " $(echo "$before" | tr '\n' ' ') " in
		*" $unit "*) ;;
		*) systemctl disable "$unit" 2>/dev/null || : ;;
		esac
	done
}

main() {
	[ $# -gt 0 ] || die "which groups? build demo test bench lint fuzz coverage vm"
	if ! command -v apt-get >/dev/null 2>&1; then
		missing=$(missing_elsewhere "$@")
		[ -z "$missing" ] && return
		die "no apt-get here; please install what brings
$missing"
	fi
	missing=$(missing_packages "$@")
	[ -z "$missing" ] && return
	# shellcheck disable=SC2086 # a list of names
	set -- $missing
	echo "deps: installing $*"
	if [ "$(id -u)" = 0 ]; then
		install_packages "$@"
	elif command -v sudo >/dev/null 2>&1; then
		sudo "$0" --install "$@"
	else
		die "needs root, and sudo is not there: apt-get install $*"
	fi
}

if [ "${1:-}" = --install ]; then
	shift
	install_packages "$@"
else
	main "$@"
fi
