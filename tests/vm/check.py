#!/usr/bin/python3
# SPDX-License-Identifier: GPL-2.0-or-later
"""check.py CACHE: `make install` into a tree, the tree into a guest, and the guest's own tests.

Every test is a line, `ok NAME` or `FAIL NAME: why`; the last line is `N passed, N failed`.
A guest that hangs, dies or does not come to its end counts as a failed test."""

import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
import tempfile
import threading
import time

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent.parent
BOOTS, BOOT_DEADLINE = 3, 120  # seconds, from power on to the kernel's last word before it starts a program
DEADLINE = 600  # from there to power off
BOOTED = "as init process"
LAST_WORD = "guest: done"


class Results:
    def __init__(self):
        self.passed = self.failed = 0
        self.finished = False

    def line(self, text):
        text = text.rstrip()
        self.passed += text.startswith("ok ")
        self.failed += text.startswith("FAIL ")
        self.finished |= text == LAST_WORD
        if text and text != LAST_WORD:
            print(text, flush=True)

    def check(self, name, problem):
        self.line(f"FAIL {name}: {problem}" if problem else f"ok {name}")


def make(*arguments):
    command = [os.environ.get("MAKE", "make"), "--no-print-directory", "-C", str(TOP), *arguments]
    subprocess.run(command + ["PREFIX=/usr", "SYSCONFDIR=/etc"], check=True, stdout=subprocess.DEVNULL)


def files_in(tree):
    return {str(path.relative_to(tree)) for path in tree.rglob("*") if not path.is_dir()}


def check_install(results, tree):
    """Installs into `tree`, and shows on a copy what a second install and an uninstall do."""
    make("install", f"DESTDIR={tree}")
    expected = {"usr/sbin/sallyportd", "usr/sbin/sallyport", "usr/lib/systemd/system/sallyport.service",
                "usr/lib/sysusers.d/sallyport.conf", "etc/sallyport/sallyport.rules",
                "usr/share/man/man8/sallyportd.8", "usr/share/man/man8/sallyport.8",
                "usr/share/man/man5/sallyport.rules.5", "usr/share/doc/sallyport/examples/bastion.rules"}
    missing = expected - files_in(tree)
    results.check("install puts everything in its place", missing and f"missing: {sorted(missing)}")

    with tempfile.TemporaryDirectory() as copy:
        copy = pathlib.Path(copy, "tree")
        shutil.copytree(tree, copy)
        rules = copy / "etc/sallyport/sallyport.rules"
        rules.write_text("# mine\n")
        make("install", f"DESTDIR={copy}")
        results.check("a second install leaves the rules alone", rules.read_text() != "# mine\n" and "overwritten")
        make("uninstall", f"DESTDIR={copy}")
        left = files_in(copy) - {"etc/sallyport/sallyport.rules"}
        results.check("uninstall leaves the rules and nothing else",
                      sorted(left) or not rules.exists() and "the rules are gone")


def pack(tree, disk):
    """One tar as a disk: the tree, and the tests under /guest."""
    def by_root(entry):
        entry.uid = entry.gid = 0
        entry.uname = entry.gname = "root"
        return entry

    with tarfile.open(disk, "w") as tar:
        for name in sorted(os.listdir(tree)):
            tar.add(tree / name, name, filter=by_root)
        tar.add(HERE / "guest", "guest", filter=lambda entry: None if "__pycache__" in entry.name else by_root(entry))
        tar.add(TOP / "tests/e2e/inject.py", "guest/inject.py", filter=by_root)


def accelerator():
    """KVM only where the processor has it: /dev/kvm may be there all the same, and then hangs."""
    flags = pathlib.Path("/proc/cpuinfo").read_text().split()
    if os.access("/dev/kvm", os.R_OK | os.W_OK) and {"vmx", "svm"} & set(flags):
        return ["-accel", "kvm", "-cpu", "host"]
    return ["-accel", "tcg,thread=multi", "-cpu", "qemu64"]


def start_guest(image, disk, console):
    drives = [f"file={image}/root.img,if=virtio,format=raw,snapshot=on",
              f"file={disk},if=virtio,format=raw,readonly=on"]
    command = ["qemu-system-x86_64", *accelerator(), "-smp", "2", "-m", "1024", "-nodefaults", "-display", "none",
               "-kernel", f"{image}/vmlinuz", "-initrd", f"{image}/initrd",
               "-append", "root=LABEL=root rw console=ttyS0 systemd.show_status=1 mitigations=off",
               "-serial", f"file:{console}", "-serial", "stdio", "-device", "virtio-rng-pci", "-nic", "none"]
    for drive in drives:
        command += ["-drive", drive]
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace")


def boots(guest, console):
    deadline = time.monotonic() + BOOT_DEADLINE
    while guest.poll() is None and time.monotonic() < deadline:
        if BOOTED in console.read_text(errors="replace"):
            return True
        time.sleep(0.5)
    return False


def boot_guest(image, disk, console):
    """An emulated kernel has been seen to stand still in its first second, before anything of ours runs."""
    for _ in range(BOOTS):
        console.write_text("")
        guest = start_guest(image, disk, console)
        if boots(guest, console):
            break
        guest.kill()
        guest.wait()
        print(f"     the guest's kernel did not get to its first program within {BOOT_DEADLINE} s")
    return guest


def run_guest(results, image, disk, console):
    guest = boot_guest(image, disk, console)
    start = time.monotonic()
    alarm = threading.Timer(DEADLINE, guest.kill)
    alarm.start()
    try:
        for text in guest.stdout:
            results.line(text)
        guest.wait()
    finally:
        alarm.cancel()
        guest.kill()
        guest.wait()
    print(f"     {time.monotonic() - start:.0f} s from its first program to power off, {' '.join(accelerator()[:2])}")
    overslept = f"no end within {DEADLINE} s" if guest.returncode < 0 else "it stopped early"
    results.check("the guest comes to its end and powers off",
                  (not results.finished or guest.returncode) and f"{overslept}; its console: {console}")


def main():
    cache = pathlib.Path(sys.argv[1]).resolve()
    cache.mkdir(parents=True, exist_ok=True)
    image = subprocess.run([HERE / "image.sh", cache], check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    results = Results()
    with tempfile.TemporaryDirectory(prefix="sallyport-vm-") as scratch:
        tree = pathlib.Path(scratch, "tree")
        check_install(results, tree)
        pack(tree, f"{scratch}/disk.tar")
        run_guest(results, image, f"{scratch}/disk.tar", cache / "console.log")
    print(f"{results.passed} passed, {results.failed} failed")
    return 1 if results.failed else 0


if __name__ == "__main__":
    sys.exit(main())
