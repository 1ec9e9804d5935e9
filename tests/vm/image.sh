#!/bin/sh
# SPDX-License-Identifier: GPL-2.0-or-later
# image.sh DIRECTORY: makes the guest's disk (root.img) with its kernel and initrd, and
# prints the directory that holds them, DIRECTORY/image-KEY. The key names all that
# goes in, so an image is made once and used until that changes.
#
# The release is the host's own, since its libraries must fit the programs built here;
# the packages come from where the host's apt has them from.
set -eu

packages=systemd,systemd-sysv,udev,kmod,initramfs-tools,linux-image-cloud-amd64,\
nftables,iproute2,netbase,procps,python3,\
libmnl0,libnftnl11,libnetfilter-queue1,libsystemd0,libjansson4,libcap-ng0,libseccomp2

die() {
	echo "image.sh: $*" >&2
	exit 1
}

# The first source of apt that has the release itself, not its updates.
mirror_of() {
	# shellcheck disable=SC2016 # apt's own words
	apt-get indextargets --format '$(SITE) $(RELEASE) $(COMPONENT)' 'Identifier: Packages' |
		sed -n "s/ $1 main\$//p" | head -n 1
}

# debootstrap fetches by wget, which takes the proxy from the environment.
use_proxy_of_apt() {
	proxy=
	eval "$(apt-config shell proxy Acquire::http::Proxy)"
	if [ -n "$proxy" ] && [ "$proxy" != DIRECT ]; then
		export http_proxy="$proxy"
	fi
}

# Unpacks what check.py hands over on the second disk, and runs it with its output on the
# second serial port, after every start.
write_unit() {
	cat >"$1/etc/systemd/system/guest-test.service" <<-'END'
		[Unit]
		Description=What the host hands over

		[Service]
		Type=exec
		ExecStart=/bin/sh -c 'test -e /guest || tar -C / --no-overwrite-dir -xf /dev/vdb; exec python3 -u /guest/main.py'
		StandardInput=tty
		StandardOutput=tty
		StandardError=tty
		TTYPath=/dev/ttyS1
		TimeoutStopSec=5

		[Install]
		WantedBy=multi-user.target
	END
	ln -s ../guest-test.service "$1/etc/systemd/system/multi-user.target.wants/guest-test.service"
}

# What a test guest never needs costs seconds at every start of an emulated machine.
make_quick() {
	for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
		e2scrub_reap.service fstrim.timer systemd-timesyncd.service systemd-pstore.service systemd-binfmt.service \
		getty@tty1.service getty-static.service serial-getty@ttyS0.service serial-getty@ttyS1.service; do
		ln -sf /dev/null "$1/etc/systemd/system/$unit"
	done
	# An initrd of the two drivers that the root disk needs.
	printf '%s\n' virtio_pci virtio_blk >>"$1/etc/initramfs-tools/modules"
	sed -i 's/^MODULES=.*/MODULES=list/' "$1/etc/initramfs-tools/initramfs.conf"
	chroot "$1" update-initramfs -u -k all
}

# Runs as root.
fill() {
	target=$1 suite=$2 mirror=$3
	debootstrap --variant=minbase --include="$packages" "$suite" "$target/root" "$mirror" \
		>"$target/debootstrap.log" 2>&1 ||
		die "debootstrap failed, see $target/debootstrap.log: $(tail -n 1 "$target/debootstrap.log")"
	echo guest >"$target/root/etc/hostname"
	echo LABEL=root / ext4 defaults 0 1 >"$target/root/etc/fstab"
	make_quick "$target/root" >>"$target/debootstrap.log" 2>&1
	write_unit "$target/root"
	cp "$target"/root/boot/vmlinuz-* "$target/vmlinuz"
	cp "$target"/root/boot/initrd.img-* "$target/initrd"
	rm -rf "$target/root/var/cache/apt" "$target/root/var/lib/apt/lists"
	mke2fs -q -t ext4 -L root -d "$target/root" "$target/root.img" 1500M >/dev/null
	rm -rf "$target/root"
}

make_image() {
	image=$1
	# shellcheck source=/dev/null
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	mirror=$(mirror_of "$suite")
	[ -n "$mirror" ] || die "apt has no source for $suite main"
	use_proxy_of_apt
	echo "making the guest's image: $suite from $mirror (once, a minute or two)" >&2
	rm -rf "$image.part"
	mkdir -p "$image.part"
	if [ "$(id -u)" = 0 ]; then
		fill "$image.part" "$suite" "$mirror"
	else
		sudo --preserve-env=http_proxy "$0" --fill "$image.part" "$suite" "$mirror"
		sudo chown -R "$(id -u):$(id -g)" "$image.part"
	fi
	rm -rf "${image%-*}"-????????????
	mv "$image.part" "$image"
}

PATH=$PATH:/usr/sbin:/sbin
if [ "$1" = --fill ]; then
	shift
	fill "$@"
	exit
fi
[ "$(dpkg --print-architecture)" = amd64 ] || die "the guest is made for amd64 only"
key=$(cat "$0" /etc/os-release | sha256sum | cut -c 1-12)
image=$1/image-$key
[ -e "$image" ] || make_image "$image"
echo "$image"
