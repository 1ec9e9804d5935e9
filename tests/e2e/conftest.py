# SPDX-License-Identifier: GPL-2.0-or-later
"""Fixtures of the end-to-end tests: a scratch network a module, a firewall a test."""

import os
import shutil
import signal
import subprocess

import pytest

import net as network
from arena import Arena
from clients import Servers
from daemon import BUILD, Daemon, program
from faults import Traffic
from net import BOTH, Network
from witness import Witness

HERE = os.path.dirname(os.path.abspath(__file__))
TEST_SECONDS = 120


def pytest_configure(config):
    config.addinivalue_line("markers", "seconds(n): how long the test may take at most")


def pytest_sessionstart(session):
    if os.geteuid() != 0:
        pytest.exit("the end-to-end tests make network namespaces: run them as root", 2)
    for name in ("sallyportd", "sallyport"):
        if not os.access(program(name), os.X_OK):
            pytest.exit(f"{program(name)} is missing: run make first", 2)
    network.interrupt_on_signals()
    network.sweep()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failing test shows its daemon's log, and what that and the kernel know of connections."""
    report = (yield).get_result()
    if report.failed:
        for daemon in getattr(item, "daemons", ()):
            name = daemon.namespace.name
            report.sections.append((f"sallyportd in {name}", daemon.log()[-3000:]))
            report.sections.append((f"connections in {name}", daemon.known()[-6000:]))


@pytest.fixture(autouse=True)
def time_limit(request):
    """A test that hangs is a test that fails."""
    marker = request.node.get_closest_marker("seconds")
    seconds = marker.args[0] if marker else TEST_SECONDS

    def expired(*_):
        raise network.Timeout(f"the test took longer than {seconds} s")
    before = signal.signal(signal.SIGALRM, expired)
    signal.alarm(seconds)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def net():
    with Network() as scratch:
        yield scratch


@pytest.fixture(autouse=True)
def no_leftovers(request):
    """A daemon takes over the host's open connections when it starts: the next test's must not
    find those of this one."""
    yield
    if "net" in request.fixturenames:
        for namespace in request.getfixturevalue("net").namespaces:
            namespace.run("ss", "--tcp", "--kill", check=False)


@pytest.fixture(params=BOTH, ids=lambda side: side.name)
def side(request):
    """The test runs once with IPv4 and once with IPv6."""
    return request.param


@pytest.fixture
def firewall(request, net):
    """firewall(rules, files={...}, options=[...]) -> a started Daemon in net.srv.

    At the end every daemon is stopped, must have ended well, and nothing of it stays."""
    daemons = request.node.daemons = []

    def start(rules, files=None, options=(), namespace=None, started=True, timeout=20):
        daemon = Daemon(namespace or net.srv, rules, files, options)
        daemons.append(daemon)
        return daemon.start(timeout) if started else daemon
    yield start
    try:
        for daemon in daemons:
            daemon.finish()
    finally:
        for namespace in net.namespaces:
            namespace.end_processes()
            namespace.run("nft", "flush", "ruleset", check=False)
        request.node.logs = [daemon.log() for daemon in daemons]
        for daemon in daemons:
            if not os.environ.get("SALLYPORT_KEEP"):
                shutil.rmtree(daemon.directory, ignore_errors=True)


@pytest.fixture
def servers(net):
    """Echo servers on the guarded host: servers.tcp(80, 443).udp(53)."""
    these = Servers(net.srv)
    yield these
    these.close()


@pytest.fixture
def servers_at():
    """Echo servers in another namespace: servers_at(net.cli).tcp(80)."""
    made = []

    def make(namespace):
        made.append(Servers(namespace))
        return made[-1]
    yield make
    for these in made:
        these.close()


@pytest.fixture
def traffic(net, side, servers, servers_at):
    """traffic(...) -> a Traffic of faults.py between the client and the guarded host."""
    made = []

    def make(**options):
        made.append(Traffic(net, side, servers, servers_at(net.cli), **options))
        return made[-1]
    yield make
    for one in made:
        one.close()


@pytest.fixture
def witness(net):
    """witness(name="tcp dport 22") -> a Witness in net.srv."""
    made = []

    def make(**matches):
        made.append(Witness(net.srv, **matches))
        return made[-1]
    yield make
    for one in made:
        one.remove()


@pytest.fixture(scope="module")
def arena():
    made = Arena()
    yield made
    made.close()


@pytest.fixture(scope="module")
def headless():
    """An arena whose daemon has been killed: the guard judges."""
    made = Arena()
    made.daemon.kill()
    yield made
    made.close()


@pytest.fixture(scope="session")
def tuple_server(tmp_path_factory):
    """The small C server, compiled."""
    target = str(tmp_path_factory.mktemp("bin") / "tuple_server")
    subprocess.run([os.environ.get("CC", "cc"), "-O1", "-Wall", "-Wextra", "-Werror", "-o", target,
                    os.path.join(HERE, "tuple_server.c")], check=True)
    return target


def pytest_report_header(config):
    return f"build: {BUILD}"
