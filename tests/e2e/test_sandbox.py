# SPDX-License-Identifier: GPL-2.0-or-later
"""Least privilege of a daemon that root has started by hand: what it holds, and what an intruder in
it could do. Each forbidden thing is tried by the running daemon itself (intruder.py); what kills it is in
test_sandbox_kills.py."""

import os
import shutil
import signal
import socket
import tempfile

import pytest

from clients import OPEN, outcome
from daemon import Daemon
from inject import Ended
from intruder import attempt, injecting, need_filter, threads
from net import Network
from test_sandbox_kills import DEADLY

CAP_NET_ADMIN = 1 << 12
RULES = "default in drop\nallow in tcp 80\n"
UNCONFINED = "does not confine its own paths"
RDONLY, WRONLY, RDWR, CREAT = os.O_RDONLY, os.O_WRONLY, os.O_RDWR, os.O_CREAT
AT_FDCWD = -100
READ, WRITE, EXEC = 1, 2, 4
PRIVATE_ANONYMOUS = 0x22


@pytest.fixture(scope="module")
def running(net):
    """One daemon for all that does not kill it. Its socket has a directory of its own, as it has in /run."""
    daemon = Daemon(net.srv, RULES)
    daemon.write("run/beside", "")
    daemon.socket = os.path.join(daemon.directory, "run", "control")
    daemon.start()
    with tempfile.NamedTemporaryFile(prefix="sallyport-e2e-", delete=False) as file:
        daemon.elsewhere = file.name
    yield daemon
    if os.path.exists(daemon.elsewhere):
        os.unlink(daemon.elsewhere)
    daemon.finish()
    shutil.rmtree(daemon.directory)


def need_landlock(daemon):
    if UNCONFINED in daemon.log():
        pytest.skip("this kernel has no Landlock")


@pytest.mark.parametrize("kind, expected", [("CapEff", CAP_NET_ADMIN), ("CapPrm", CAP_NET_ADMIN),
                                            ("CapBnd", 0), ("CapInh", 0), ("CapAmb", 0)])
def test_every_thread_holds_net_admin_alone(running, kind, expected):
    found = {name: int(fields[kind], 16) for name, fields in threads(running).items()}
    assert {"sallyportd", "queue-0", "copies"} <= set(found)
    assert set(found.values()) == {expected}, found


def test_no_thread_may_gain_privileges(running):
    assert {fields["NoNewPrivs"] for fields in threads(running).values()} == {"1"}


def test_every_thread_is_behind_the_filter(running):
    need_filter(running)
    found = {name: (fields["Seccomp"], fields["Seccomp_filters"]) for name, fields in threads(running).items()}
    assert len(found) >= 3 and set(found.values()) == {("2", "1")}, found


# Positive ones too: what fails here fails because it is forbidden, not because nothing works.
PATHS = {
    "reads a file": ("OK", "open", "/etc/services", RDONLY),
    "reads its rules": ("OK", "open", "{directory}/sallyport.rules", RDONLY),
    "makes a file in its state directory": ("OK", "open", "{state}/new", WRONLY | CREAT, 0o600),
    "renames a file there": ("OK", "renameat", AT_FDCWD, "{state}/new", AT_FDCWD, "{state}/newer"),
    "removes a file there": ("OK", "unlink", "{state}/newer"),
    "writes /etc/passwd": ("EACCES", "open", "/etc/passwd", WRONLY),
    "writes its rules": ("EACCES", "open", "{directory}/sallyport.rules", RDWR),
    "removes its rules": ("EACCES", "unlink", "{directory}/sallyport.rules"),
    "makes a file beside its rules": ("EACCES", "open", "{directory}/new", WRONLY | CREAT, 0o600),
    "makes a file beside its socket": ("EACCES", "open", "{directory}/run/new", WRONLY | CREAT, 0o600),
    "writes a file beside its socket": ("EACCES", "open", "{directory}/run/beside", WRONLY),
    "makes a file in /tmp": ("EACCES", "openat", AT_FDCWD, "/tmp/sallyport-new", WRONLY | CREAT, 0o600),
    "leaves its state directory by ..": ("EACCES", "open", "{state}/../new", WRONLY | CREAT, 0o600),
    "renames its rules into its state": ("EACCES", "renameat", AT_FDCWD, "{directory}/sallyport.rules", AT_FDCWD,
                                         "{state}/new"),
    "renames a file beside its socket into its state": ("EXDEV", "renameat", AT_FDCWD, "{directory}/run/beside",
                                                        AT_FDCWD, "{state}/new"),
    # It may take its socket away at the end, and so whatever else lies in that directory, which is for it alone.
    "removes a file beside its socket": ("OK", "unlink", "{directory}/run/beside"),
    "removes a file elsewhere": ("EACCES", "unlink", "{elsewhere}"),
    "writes its own memory as a file": ("EACCES", "open", "/proc/self/mem", RDWR),
    "writes a sysctl": ("EACCES", "open", "/proc/sys/net/ipv4/ip_forward", WRONLY),
    "writes a disk": ("EACCES", "open", "/dev/vda", WRONLY),
}


@injecting
@pytest.mark.parametrize("what", PATHS)
def test_path(running, what):
    need_landlock(running)
    expected, *call = PATHS[what]
    if call[1] == "/dev/vda" and not os.path.exists(call[1]):
        pytest.skip("no such disk here")
    assert attempt(running, *call) == expected


ABSENT = {
    "makes a directory": ("ENOSYS", "mkdir", "{state}/new", 0o700),
    "changes a mode": ("ENOSYS", "chmod", "{elsewhere}", 0o666),
    "makes a link": ("ENOSYS", "symlink", "/etc/passwd", "{state}/new"),
    "makes a hard link": ("ENOSYS", "link", "/etc/passwd", "{state}/new"),
    "maps memory to write and run": ("ENOSYS", "mmap", 0, 4096, READ | WRITE | EXEC, PRIVATE_ANONYMOUS, -1, 0),
    "makes memory executable": ("ENOSYS", "mprotect", 0, 4096, READ | EXEC),
    "starts a process by clone3": ("ENOSYS", "clone3", 0, 0),
    "signals another process": ("ENOSYS", "kill", 1, 0),
    "becomes dumpable": ("ENOSYS", "prctl", 4, 1),
    "types into a terminal": ("ENOSYS", "ioctl", 0, 0x5412, "x"),
    "lifts a limit": ("ENOSYS", "prlimit64", 0, 7, 0, 0),
}


def thread_of(daemon, name):
    return int(threads(daemon)[name]["Pid"])


@injecting
@pytest.mark.parametrize("thread", ["sallyportd", "queue-0", "copies"])
@pytest.mark.parametrize("what", ABSENT)
def test_call_that_does_not_exist(running, what, thread):
    need_filter(running)
    expected, *call = ABSENT[what]
    assert attempt(running, *call, thread=thread_of(running, thread)) == expected


FAMILIES = {"AF_UNIX": "OK", "AF_NETLINK": "OK"}
FAMILIES.update((name, "EAFNOSUPPORT") for name in (
    "AF_UNSPEC", "AF_INET", "AF_INET6", "AF_PACKET", "AF_KEY", "AF_ALG", "AF_VSOCK", "AF_CAN", "AF_BLUETOOTH",
    "AF_RDS", "AF_TIPC", "AF_QIPCRTR"))


@injecting
@pytest.mark.parametrize("family", FAMILIES)
def test_socket_family(running, family):
    need_filter(running)
    kind = socket.SOCK_RAW if family == "AF_NETLINK" else socket.SOCK_DGRAM
    assert attempt(running, "socket", int(getattr(socket, family)), kind, 0) == FAMILIES[family]


@injecting
def test_a_worker_is_held_as_the_main_thread_is(running):
    need_filter(running)
    for name, fields in threads(running).items():
        assert attempt(running, "socket", socket.AF_INET, socket.SOCK_STREAM, 0,
                       thread=int(fields["Pid"])) == "EAFNOSUPPORT", name


@injecting
@pytest.mark.parametrize("thread", ["queue-0", "copies"])
def test_a_worker_that_runs_a_program_ends_all_of_the_daemon(thread):
    """And not that thread alone, which nobody would notice. The rest is in test_sandbox_kills.py."""
    with Network() as net:
        daemon = Daemon(net.srv, RULES).start()
        need_filter(daemon)
        with pytest.raises(Ended) as ended:
            attempt(daemon, *DEADLY["runs a program"], thread=thread_of(daemon, thread))
        assert ended.value.signal == signal.SIGSYS
        assert daemon.process.wait(5) == -signal.SIGSYS
        assert "in_guard" in net.srv.run("nft", "list", "table", "inet", "sallyport").stdout
    shutil.rmtree(daemon.directory)


@injecting
def test_it_goes_on_after_all_that(running, net, servers, side):
    """What was tried above has changed nothing; a reload reads files, and the end saves and cleans up."""
    servers.tcp(80, 81)
    assert running.stats()["daemon"]["cpu_ms"] < 60000
    running.reload(RULES)
    assert outcome(net.cli, side.srv, 80) == OPEN
    running.reload(RULES + "allow in tcp 81\n")
    assert outcome(net.cli, side.srv, 81) == OPEN
