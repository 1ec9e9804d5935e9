# SPDX-License-Identifier: GPL-2.0-or-later
"""What only an intruder would try ends the daemon, and not the firewall: the kernel goes on."""

import signal

import pytest

from inject import Ended
from intruder import attempt, injecting, need_filter

AT_FDCWD = -100
RULES = "default in drop\nallow in tcp 80\n"
DEADLY = {
    "runs a program": ("execve", "/bin/sh", 0, 0),
    "runs a program by its descriptor": ("execveat", AT_FDCWD, "/bin/sh", 0, 0, 0),
    "makes a process": ("clone", int(signal.SIGCHLD), 0, 0, 0, 0),
    "makes a process that shares its memory": ("vfork",),
    "traces a process": ("ptrace", 16, 1, 0, 0),
    "reads another process": ("process_vm_readv", 1, 0, 0, 0, 0, 0),
    "writes another process": ("process_vm_writev", 1, 0, 0, 0, 0, 0),
    "becomes another user": ("setuid", 65534),
    "becomes root": ("setresuid", 0, 0, 0),
    "changes its groups": ("setgroups", 0, 0),
    "takes capabilities": ("capset", 0, 0),
    "mounts": ("mount", "none", "/mnt", "tmpfs", 0, 0),
    "unmounts": ("umount2", "/proc", 2),
    "changes its root": ("chroot", "/tmp"),
    "makes a device": ("mknod", "/tmp/sallyport-device", 0o20600, 0x103),
    "leaves its namespaces": ("unshare", 0x40000000),
    "enters a namespace": ("setns", 0, 0),
    "loads a module": ("init_module", 0, 0, 0),
    "loads a module by its descriptor": ("finit_module", 0, 0, 0),
    "removes a module": ("delete_module", "nf_tables", 0),
    "loads another kernel": ("kexec_file_load", 0, 0, 0, 0, 0),
    "loads a BPF program": ("bpf", 5, 0, 0),
    "watches the machine": ("perf_event_open", 0, 0, -1, -1, 0),
    "takes over page faults": ("userfaultfd", 0),
    "opens an io_uring": ("io_uring_setup", 1, 0),
    "takes keys": ("keyctl", 0, 0),
    "reboots": ("reboot", 0, 0, 0),
    "makes a call of the x32 interface": (0x40000000 + 2, "/etc/services", 0),
}


@injecting
@pytest.mark.parametrize("what", DEADLY)
def test_call_that_kills(firewall, net, what):
    """The kernel ends the daemon at once, and goes on judging by its rules."""
    daemon = firewall(RULES)
    need_filter(daemon)
    with pytest.raises(Ended) as ended:
        attempt(daemon, *DEADLY[what])
    daemon.process.returncode = -ended.value.signal  # who traces it reaps it
    daemon.process = None
    assert ended.value.signal == signal.SIGSYS
    assert "in_guard" in net.srv.run("nft", "list", "table", "inet", "sallyport").stdout
