# SPDX-License-Identifier: GPL-2.0-or-later
"""Faults of the host: rights that are missing, a kernel that lacks something, a clock that jumps, disks
that are full or read-only, memory that runs out, a log that nobody reads, a control socket that is
gone. At start one clear line and exit 1; while running the packets do not notice.

A damaged state file and a missing state directory are in test_restart.py, kill -9 in test_failure.py."""

import fcntl
import os
import socket
import subprocess
from contextlib import contextmanager

import pytest

from clients import OPEN, SILENT, connect, echo, outcome
from crowd import CLOSED, RULES, SHORT
from daemon import BUILD, ENVIRONMENT, program
from faults import LOG_GROUP, log_owner, queue_line, refused_to_start, wait_log
from net import run, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
SANITIZED = "debug" in BUILD or "tsan" in BUILD
plain_build_only = pytest.mark.skipif(SANITIZED, reason="sanitizers want the address space and the first place "
                                                        "among the libraries for themselves")
LOGGED = RULES.replace(f"allow in tcp {SHORT}", f"drop in log udp {CLOSED}\nallow in tcp {SHORT}")
YEARS = 10 * 365 * 86400


@pytest.fixture(scope="session")
def shim(tmp_path_factory):
    target = str(tmp_path_factory.mktemp("shim") / "shim.so")
    subprocess.run([os.environ.get("CC", "cc"), "-shared", "-fPIC", "-O1", "-Wall", "-Wextra", "-Werror",
                    "-o", target, os.path.join(HERE, "fault_shim.c")], check=True)
    return target


# rights, and what the kernel has not

UNPRIVILEGED = {
    "another user": ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"],
    "root without CAP_NET_ADMIN": ["setpriv", "--bounding-set=-net_admin", "--inh-caps=-net_admin"],
    "root of a user namespace": ["unshare", "--user", "--map-root-user"],
}


@pytest.mark.parametrize("who", UNPRIVILEGED)
def test_no_permission(firewall, net, who):
    """One line: what, why, and what to do; and nothing was changed."""
    daemon = firewall(RULES, started=False)
    for path, mode in ((daemon.directory, 0o777), (daemon.state, 0o777), (daemon.rules, 0o644)):
        os.chmod(path, mode)
    daemon.wrapper = UNPRIVILEGED[who]
    said = refused_to_start(daemon, "no permission", "run as root or with CAP_NET_ADMIN")
    assert len(said) == 1
    assert net.srv.run("nft", "list", "ruleset").stdout == ""
    assert not os.path.exists(daemon.socket)


@pytest.mark.parametrize("who", UNPRIVILEGED)
def test_no_permission_beside_a_running_daemon(firewall, net, servers, side, who):
    """Whoever tries it does not disturb the one that stands."""
    servers.tcp(SHORT)
    first = firewall(RULES)
    second = firewall(RULES, started=False)
    os.chmod(second.directory, 0o777)
    os.chmod(second.rules, 0o644)
    second.wrapper = UNPRIVILEGED[who]
    refused_to_start(second)
    assert first.running and outcome(net.cli, side.srv, SHORT, patience=3) == OPEN
    assert outcome(net.cli, side.srv, CLOSED, patience=0.2) == SILENT


@plain_build_only
@pytest.mark.parametrize("protocol, name", [(12, "netfilter"), (0, "network interfaces"), (4, "sock")])
def test_a_kernel_without_a_netlink_protocol(firewall, net, shim, protocol, name):
    daemon = firewall(RULES, started=False)
    daemon.wrapper = ["env", f"LD_PRELOAD={shim}", f"SHIM_NO_NETLINK={protocol}"]
    refused_to_start(daemon, name, "Protocol not supported")
    assert net.srv.run("nft", "list", "ruleset").stdout == ""


SUBSYSTEMS = {"queue": (3, "nfqueue 0", "nfnetlink_queue"),
              "log": (4, f"nflog group {LOG_GROUP}", "nfnetlink_log"),
              "nftables": (10, "nftables", "nf_tables")}


@plain_build_only
@pytest.mark.parametrize("what", SUBSYSTEMS)
def test_a_kernel_without_a_netfilter_module(firewall, net, shim, what):
    """One line that names it, exit 1, nothing left in the kernel; with the module it starts."""
    number, *texts = SUBSYSTEMS[what]
    daemon = firewall(RULES, started=False)
    daemon.wrapper = ["env", f"LD_PRELOAD={shim}", f"SHIM_NO_SUBSYSTEM={number}"]
    assert len(refused_to_start(daemon, *texts)) == 1
    assert net.srv.run("nft", "list", "ruleset").stdout == ""
    assert queue_line(net.srv) is None and log_owner(net.srv) is None
    assert not os.path.exists(daemon.socket)
    daemon.wrapper = []
    daemon.start()


@plain_build_only
def test_a_kernel_without_conntracks_netlink(firewall, traffic, shim):
    """What others have open through this host cannot be asked for: the daemon says so and does without."""
    daemon = firewall(RULES, started=False)
    daemon.wrapper = ["env", f"LD_PRELOAD={shim}", "SHIM_NO_SUBSYSTEM=1"]
    daemon.start()
    wait_log(daemon, "conntrack cannot be read")
    flows = traffic()
    flows.check()
    daemon.restart()
    flows.check()


# the clock

@plain_build_only
@pytest.mark.parametrize("step", [YEARS, -YEARS, -(1 << 31)], ids=["ten years on", "ten years back", "before 1970"])
def test_a_wall_clock_that_is_stepped(firewall, traffic, net, shim, side, step):
    """Time is counted by the monotonic clock: nothing runs out early or lives for ever, and a
    restart with another date takes up what was saved."""
    daemon = firewall(RULES, started=False)
    clock = daemon.write("clock", "0")
    daemon.wrapper = ["env", f"LD_PRELOAD={shim}", f"SHIM_CLOCK={clock}"]
    daemon.start()
    flows = traffic()
    for seconds in (step, 0, -step, step):
        daemon.write("clock", str(seconds))
        flows.check_established(1000)
        flows.check_open()
        assert all(0 <= row["age"] < 100 and 0 <= row["idle"] < 100 for row in daemon.connections())
    daemon.reload()
    assert abs(daemon.status()["last_reload"]["time"] - step) < 1 << 31 or step < 0
    daemon.stop_for_restart()
    daemon.write("clock", "0")
    daemon.start()
    assert "ignored" not in daemon.log()
    assert all(0 <= row["age"] < 100 for row in daemon.connections())
    flows.check()


# disks

@contextmanager
def mounted(path, options):
    """A file system of its own on the directory."""
    run("mount", "-t", "tmpfs", "-o", options, "sallyport-test", path)
    try:
        yield
    finally:
        run("umount", "-l", path)


def fill(directory):
    with open(os.path.join(directory, "filler"), "wb", buffering=0) as file, pytest.raises(OSError, match="space"):
        while True:
            file.write(bytes(4096))


def test_a_full_disk_at_the_stop(firewall, traffic, side):
    """What cannot be saved is said; the stop succeeds, and the next start finds no half of a file."""
    daemon = firewall(RULES, started=False)
    with mounted(daemon.state, "size=64k"):
        daemon.start()
        flows = traffic()
        fill(daemon.state)
        daemon.stop_for_restart()
        line = wait_log(daemon, "connections are not saved")
        assert daemon.state in line and "No space left" in line
        assert os.listdir(daemon.state) == ["filler"]
        flows.check_established()
        daemon.start()
        flows.check()


def test_a_read_only_disk_at_the_stop(firewall, traffic):
    daemon = firewall(RULES, started=False)
    with mounted(daemon.state, "ro"):
        daemon.start()
        flows = traffic()
        daemon.stop_for_restart()
        assert "Read-only" in wait_log(daemon, "connections are not saved")
        daemon.start()
        flows.check()


def test_a_read_only_disk_at_the_start(firewall, traffic):
    """A saved file that cannot be removed would serve every start from now on: it is not used."""
    daemon = firewall(RULES, started=False)
    with mounted(daemon.state, "size=64k"):
        daemon.start()
        flows = traffic()
        daemon.stop_for_restart()
        run("mount", "-o", "remount,ro", daemon.state)
        daemon.start()
        assert "it is ignored" in wait_log(daemon, "cannot be removed")
        flows.check()
        daemon.stop_for_restart()
        daemon.start()
        flows.check()


# memory

@plain_build_only
def test_no_memory_for_the_table(firewall, net):
    daemon = firewall("connections 10000000\n" + RULES, started=False)
    daemon.wrapper = ["prlimit", f"--as={200 << 20}"]
    refused_to_start(daemon, "no memory for a table of 10000000 connections", "sallyport.rules(5)")
    assert net.srv.run("nft", "list", "ruleset").stdout == ""


def memory_of(daemon):
    with open(f"/proc/{daemon.process.pid}/status", encoding="ascii") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmSize")) << 10


@plain_build_only
def test_memory_that_runs_out_while_running(firewall, traffic):
    """A reload that has no memory is refused; the old rules stay, and packets do not notice."""
    daemon = firewall(RULES)
    flows = traffic()
    many = "".join(f"allow in tcp {1 + number % 6000} from 10.{number >> 16}.{number >> 8 & 255}.{number & 255}\n"
                   for number in range(30_000))
    limit = f"{memory_of(daemon) + (6 << 20)}"
    run("prlimit", f"--pid={daemon.process.pid}", f"--as={limit}:{limit}")
    daemon.write("sallyport.rules", RULES + many)
    done = daemon.sallyport("reload", check=False)
    assert done.returncode == 1 and "memory" in done.stdout + done.stderr
    assert daemon.status()["generation"] == 1
    flows.check()
    daemon.reload(RULES)
    flows.check()


@plain_build_only
def test_no_more_descriptors(firewall, traffic):
    """Clients are turned away until there are some again; packets do not notice."""
    daemon = firewall(RULES)
    flows = traffic()
    pid = daemon.process.pid
    run("prlimit", f"--pid={pid}", f"--nofile={len(os.listdir(f'/proc/{pid}/fd'))}:1024")
    done = subprocess.run(["timeout", "0.5", program("sallyport"), "--socket", daemon.socket, "status"],
                          env=ENVIRONMENT, capture_output=True, check=False)
    assert done.returncode != 0
    flows.check()
    run("prlimit", f"--pid={pid}", "--nofile=1024:1024")
    wait_for(lambda: daemon.sallyport("status", check=False).returncode == 0, "it answers again")


# the log

@contextmanager
def logging_to_a_pipe(daemon):
    """The daemon's stderr is a pipe of a page that nobody reads: yields the reading end."""
    reading, writing = os.pipe()
    fcntl.fcntl(writing, 1031, 4096)  # F_SETPIPE_SZ
    path, daemon.log_path = daemon.log_path, f"/proc/{os.getpid()}/fd/{writing}"
    try:
        daemon.start()
    finally:
        daemon.log_path = path
        os.close(writing)
    try:
        yield reading
    finally:
        if reading is not None:
            os.close(reading)


def knock(flows, times=300):
    with flows.net.cli.socket(flows.side.family, socket.SOCK_DGRAM) as sock:
        for _ in range(times):
            sock.sendto(b"log me", (flows.side.srv, CLOSED))


def test_a_log_that_nobody_reads(firewall, traffic):
    """Lines are lost, nothing else: packets are judged, commands answered, rules reloaded, and the
    daemon stops when it is told to."""
    daemon = firewall(LOGGED, started=False)
    with logging_to_a_pipe(daemon) as reading:
        flows = traffic()
        knock(flows)
        for _ in range(3):
            daemon.reload()
        flows.check()
        assert daemon.status()["generation"] == 4
        os.set_blocking(reading, False)
        assert b"sallyportd: " in os.read(reading, 4096)
        assert daemon.stop() == 0


def test_a_log_whose_reader_is_gone(firewall, traffic):
    daemon = firewall(LOGGED, started=False)
    reading, writing = os.pipe()
    path, daemon.log_path = daemon.log_path, f"/proc/{os.getpid()}/fd/{writing}"
    try:
        daemon.start()
    finally:
        daemon.log_path = path
        os.close(writing)
        os.close(reading)
    flows = traffic()
    knock(flows)
    daemon.reload()
    flows.check()
    assert daemon.stop() == 0


# the control socket

def test_no_directory_for_the_control_socket(firewall, net):
    daemon = firewall(RULES, started=False)
    daemon.socket = os.path.join(daemon.directory, "missing", "control")
    refused_to_start(daemon, f"control socket {daemon.socket}", "No such file or directory")
    assert net.srv.run("nft", "list", "ruleset").stdout == ""


def test_something_else_where_the_control_socket_should_be(firewall, net):
    daemon = firewall(RULES, started=False)
    daemon.write("control", "precious")
    refused_to_start(daemon, daemon.socket, "is in the way")
    with open(daemon.socket, encoding="ascii") as file:
        assert file.read() == "precious"
    assert net.srv.run("nft", "list", "ruleset").stdout == ""


def test_a_stale_control_socket_is_taken_over(firewall, net, servers, side):
    servers.tcp(SHORT)
    daemon = firewall(RULES)
    daemon.kill()
    assert os.path.exists(daemon.socket)
    daemon.start()
    assert outcome(net.cli, side.srv, SHORT, patience=3) == OPEN
    assert daemon.stop() == 0 and not os.path.exists(daemon.socket)


def test_a_control_socket_removed_while_running(firewall, traffic):
    """Nobody can ask any more; the firewall stands, and stops and starts as ever."""
    daemon = firewall(RULES)
    flows = traffic()
    os.unlink(daemon.socket)
    flows.check()
    daemon.stop_for_restart()
    daemon.start()
    flows.check()
