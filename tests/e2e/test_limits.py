# SPDX-License-Identifier: GPL-2.0-or-later
"""Large files load; strange files get a clear error, and never a crash."""

import os
import pathlib
import re

import pytest

from clients import OPEN, SILENT, Stopwatch, outcome
from daemon import BUILD, ENVIRONMENT, program
from net import IPV4, run

SLOW = 6 if "debug" in BUILD or "tsan" in BUILD else 1  # a build with sanitizers takes its time


def check(path, timeout=60):
    """`sallyport check`: (exit status, what it said). A crash is neither 0 nor 1."""
    done = run(program("sallyport"), "check", path, check=False, timeout=timeout * SLOW, env=ENVIRONMENT)
    assert done.returncode in (0, 1), done.stderr[-2000:]
    return done.returncode, done.stdout + done.stderr


def many_rules(count):
    """Rules that differ in port and address, the last of them for the scratch network."""
    lines = ["default in drop", "default out allow"]
    for number in range(count - 1):
        lines.append(f"allow in tcp {1 + number % 60000} from 10.{100 + number // 65536}."
                     f"{number // 256 % 256}.{number % 256}")
    lines.append("allow in tcp 80")
    return "\n".join(lines) + "\n"


def many_members(count):
    return "".join(f"{11 + n // 0x1000000}.{n >> 16 & 255}.{n >> 8 & 255}.{n & 255}\n"
                   for n in range(0, 2 * count, 2))


@pytest.mark.seconds(300)
def test_100_000_rules(firewall, servers, net, side):
    """They load, the daemon starts with them, and the last one counts."""
    servers.tcp(80, 81)
    daemon = firewall(many_rules(100_000), started=False)
    with Stopwatch() as watch:
        status, said = check(daemon.rules)
    assert status == 0, said[-2000:]
    assert watch.seconds < 10 * SLOW
    daemon.start(timeout=60 * SLOW)
    assert outcome(net.cli, side.srv, 80, patience=3) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT
    assert daemon.status()["rules"] == 100_000


@pytest.mark.seconds(300)
def test_1_000_000_set_members(firewall, servers, net):
    side = IPV4
    servers.tcp(80, 81)
    daemon = firewall('set many from file "many.txt"\ndefault in drop\nallow in tcp 80 from not @many\n'
                      "allow in tcp 81 from @many\n", started=False)
    daemon.write("many.txt", many_members(1_000_000))
    with Stopwatch() as watch:
        status, said = check(daemon.rules)
    assert status == 0, said[-2000:]
    assert watch.seconds < 10 * SLOW
    daemon.start(timeout=90 * SLOW)
    assert outcome(net.cli, side.srv, 80, patience=3) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT
    answer, = daemon.json("explain", "in tcp from 11.0.0.4 to 81")
    assert answer["verdict"] == "allow"
    answer, = daemon.json("explain", "in tcp from 11.0.0.5 to 81")
    assert answer["verdict"] == "drop"


# what is no rules file

def sparse(path):
    with open(path, "wb") as file:
        file.truncate(1 << 30)


def junk(path):
    path.write_bytes(bytes((n * 167 + n // 7) % 256 for n in range(100_000)))


def nul_byte(path):
    path.write_bytes(b"allow in tcp 22\nallow in\0 tcp 23\n")


def long_line(path):
    path.write_bytes(b"allow in tcp " + b"1," * (1 << 19) + b"2\n")


def loop(path):
    path.write_text(f'include "{path.parent}/other.rules"\n')
    (path.parent / "other.rules").write_text(f'include "{path}"\n')


def itself(path):
    path.write_text(f'include "{path}"\n')


def deep(path):
    for level in range(100):
        (path.parent / f"{level}.rules").write_text(f'include "{path.parent}/{level + 1}.rules"\n')
    (path.parent / "100.rules").write_text("allow in tcp 22\n")
    path.write_text(f'include "{path.parent}/0.rules"\n')


def directory(path):
    path.mkdir()


def missing(path):
    pass


def device(path):
    path.symlink_to("/dev/zero")


def fifo(path):
    os.mkfifo(path)


def unclosed(path):
    path.write_text('include "nothing\n')


BAD_FILES = {sparse: "", junk: "", nul_byte: "NUL", long_line: "65536|64 KiB|too long|longer",
             loop: "include", itself: "include", deep: "include", directory: "directory",
             missing: "No such file|not found|does not exist", device: "regular|device",
             fifo: "regular|fifo|pipe", unclosed: '"'}


@pytest.mark.parametrize("make", BAD_FILES, ids=lambda make: make.__name__)
def test_a_bad_file_gets_a_clear_error(tmp_path, make):
    """Named, in few lines, in little time, exit 1: by the command line and by the daemon."""
    path = tmp_path / "my.rules"
    make(path)
    with Stopwatch() as watch:
        status, said = check(path, 10)
    assert status == 1
    assert watch.seconds < 3 * SLOW
    assert str(path.parent) in said and re.search(BAD_FILES[make], said, re.I), said[:2000]
    assert len(said.splitlines()) <= 80 and len(said) < 20000
    assert all(line.isprintable() for line in said.replace("\t", " ").split("\n"))
    done = run(program("sallyportd"), "--rules", path, "--check", check=False, env=ENVIRONMENT)
    assert done.returncode == 1 and str(path.parent) in done.stderr


def test_at_most_twenty_errors(tmp_path):
    path = tmp_path / "my.rules"
    path.write_text("alow in tcp 22\n" * 1000)
    status, said = check(path)
    assert status == 1 and said.count("error:") <= 21
    assert f"{path}:1:1" in said and f"{path}:20:1" in said


@pytest.mark.parametrize("make", [junk, nul_byte, long_line, itself, directory, sparse, missing],
                         ids=lambda make: make.__name__)
def test_a_running_daemon_refuses_them(firewall, servers, net, make):
    """As a reload: refused, and the old rules stand."""
    side = IPV4
    servers.tcp(80)
    daemon = firewall("default in drop\nallow in tcp 80\n")
    generation = daemon.status()["generation"]
    os.unlink(daemon.rules)
    make(pathlib.Path(daemon.rules))
    assert daemon.sallyport("reload", check=False).returncode == 1
    assert daemon.status()["generation"] == generation
    assert outcome(net.cli, side.srv, 80) == OPEN
