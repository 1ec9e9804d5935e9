# SPDX-License-Identifier: GPL-2.0-or-later
"""The command line on a running firewall: what it says is what real packets did."""

import itertools
import json
import os
import re
import socket

import pytest
from scapy.layers.inet import TCP

from clients import OPEN, REFUSED, SILENT, connect, echo, outcome, ping, udp_socket
from daemon import ENVIRONMENT, program
from net import run, wait_for
from wire import Wire, ip

RULES = """\
default in drop
default out allow
set office = 10.77.1.2, fd77:0:0:1::2
allow in tcp 22 from @office
allow in http,https
reject in tcp 113
allow in udp 53
drop in log tcp 23
"""
MEMBERS = ["proto", "local", "local_port", "remote", "remote_port", "direction", "state", "age", "idle",
           "rule", "generation"]


@pytest.fixture
def traffic(firewall, servers, servers_at, net, side):
    """A firewall with one connection of each kind: (daemon, {name: socket})."""
    servers.tcp(22, 80).udp(53)
    servers_at(net.cli).tcp(8080)
    daemon = firewall(RULES)
    socks = {"ssh": connect(net.cli, side.srv, 22, side.cli),
             "web": connect(net.cli, side.srv, 80, side.cli_b),
             "out": connect(net.srv, side.cli, 8080),
             "dns": udp_socket(net.cli, side.srv, 53, side.cli_b)}
    for sock in socks.values():
        sock.settimeout(5)
        assert echo(sock)
    # The last copies of the handshakes may still be on their way.
    wait_for(lambda: {row["state"] for row in daemon.connections("tcp")} == {"ESTABLISHED"},
             "the connections are known to be established")
    yield daemon, socks
    for sock in socks.values():
        sock.close()


# status

def test_status(firewall, net):
    daemon = firewall(RULES)
    text = daemon.sallyport("status").stdout
    assert daemon.rules in text and re.search(r"sallyportd \d+\.\d+", text)
    status, = daemon.json("status")
    assert status["pid"] == daemon.process.pid and status["rules_file"] == daemon.rules
    assert status["rules"] == 5 and status["essentials"] > 0
    assert status["defaults"] == {"in": "drop", "out": "allow"}
    assert status["connections"]["count"] == 0 and status["last_reload"] is None
    assert [queue["number"] for queue in status["queues"]] == [0]


def test_status_counts_connections(traffic):
    daemon, _ = traffic
    assert daemon.json("status")[0]["connections"]["count"] == 4


# list

def test_list_json_is_one_object_a_line(traffic, net, side):
    """The members that DESIGN promises, with the values that the sockets say."""
    daemon, socks = traffic
    lines = daemon.sallyport("list", "--json").stdout.splitlines()
    rows = [json.loads(line) for line in lines]
    assert len(rows) == 4
    for row in rows:
        assert [member for member in MEMBERS if member not in row] == []
    ssh = next(row for row in rows if row["local_port"] == 22)
    assert (ssh["proto"], ssh["local"], ssh["remote"], ssh["remote_port"]) == \
        ("tcp", side.srv, side.cli, socks["ssh"].getsockname()[1])
    assert (ssh["direction"], ssh["state"], ssh["service"]) == ("in", "ESTABLISHED", "ssh")
    assert ssh["rule"] == {"file": daemon.rules, "line": 4}
    out = next(row for row in rows if row["direction"] == "out")
    assert (out["remote"], out["remote_port"], out["rule"]) == (side.cli, 8080, None)
    assert out["local_port"] == socks["out"].getsockname()[1]
    dns = next(row for row in rows if row["proto"] == "udp")
    assert dns["rule"]["line"] == 7 and dns["state"] == "REPLIED"
    assert all(0 <= row["age"] < 60 and 0 <= row["idle"] < 60 for row in rows)


def test_list_is_readable(traffic, net, side):
    """Aligned, sorted, and with IPv4 within 80 columns."""
    daemon, socks = traffic
    lines = daemon.sallyport("list").stdout.splitlines()
    assert lines[0].split() == ["PROTO", "LOCAL", "REMOTE", "DIR", "STATE", "AGE", "IDLE", "RULE"]
    assert len(lines) == 5
    assert side.endpoint(side.cli, socks["ssh"].getsockname()[1]) in "\n".join(lines)
    begin = lines[0].index("REMOTE")
    assert {line[begin - 1] for line in lines} == {" "} and " " not in {line[begin] for line in lines}
    if side.version == 4:
        assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("words, expected", [
    ("all", "ssh web out dns"), ("", "ssh web out dns"), ("tcp", "ssh web out"), ("udp", "dns"),
    ("in", "ssh web dns"), ("out", "out"), ("in tcp", "ssh web"), ("port 22", "ssh"),
    ("port 22-80", "ssh web dns"), ("local-port 80", "web"), ("remote-port 8080", "out"),
    ("local-port 8080", ""), ("state established", "ssh web out"), ("state replied", "dns"),
    ("state syn_sent", ""), ("rule 5", "web"), ("rule sallyport.rules:4", "ssh"),
    ("rule default", "out"), ("address {cli_b}", "web dns"), ("remote {cli}", "ssh out"),
    ("remote {cli_net}", "ssh web out dns"), ("local {cli_net}", "ssh web out dns"),
    ("remote 192.0.2.0/24", ""), ("remote {cli}-{cli_b} udp", "dns"),
    ("in tcp port 80 remote {cli_b}", "web"), ("in tcp port 80 remote {cli}", ""),
])
def test_list_filters(traffic, side, words, expected):
    daemon, socks = traffic
    names = {(sock.type, *(sock.getpeername() if name == "out" else sock.getsockname())[:2]): name
             for name, sock in socks.items()}
    kinds = {"tcp": socket.SOCK_STREAM, "udp": socket.SOCK_DGRAM}
    words = words.format(cli=side.cli, cli_b=side.cli_b, cli_net=side.cli_net).split()
    rows = daemon.json("list", *words)
    assert sorted(names[kinds[row["proto"]], row["remote"], row["remote_port"]] for row in rows) == \
        sorted(expected.split())


def test_a_closed_connection_leaves_the_list(traffic):
    """Its row says TIME_WAIT first, and is established no more."""
    daemon, socks = traffic
    socks["web"].close()
    wait_for(lambda: not daemon.connections("port", "80", "state", "established"), "the row moves on")
    states = {row["state"] for row in daemon.connections("port", "80")}
    assert states <= {"FIN_WAIT", "CLOSE_WAIT", "LAST_ACK", "TIME_WAIT", "CLOSED"}


def test_ping_is_a_row(firewall, net, side):
    daemon = firewall(RULES + f"allow in {side.icmp} echo-request\n")
    assert ping(net.cli, side.srv, patience=3)
    row, = daemon.json("list", side.icmp)
    assert (row["proto"], row["direction"], row["remote"]) == (side.icmp, "in", side.cli)


def test_a_reader_that_stops_early_is_no_error(traffic):
    """`sallyport list | head -1` says nothing on stderr and leaves the daemon well."""
    daemon, _ = traffic
    done = run("sh", "-c", f"{program('sallyport')} --socket {daemon.socket} list | head -1",
               env=ENVIRONMENT)
    assert done.stdout.startswith("PROTO") and done.stderr == ""
    assert len(daemon.connections()) == 4


# kill

def test_kill_cuts_the_connection(traffic):
    daemon, socks = traffic
    done = daemon.sallyport("kill", "port", "22")
    assert done.stdout.startswith("1 connection")
    assert not daemon.connections("port", "22")
    socks["ssh"].settimeout(0.6)
    with pytest.raises(OSError):
        echo(socks["ssh"])
        echo(socks["ssh"])
    assert echo(socks["web"]) and echo(socks["out"])


def test_a_killed_connection_may_be_opened_again(traffic, net, side):
    daemon, socks = traffic
    daemon.sallyport("kill", "rule", "4")
    with connect(net.cli, side.srv, 22, side.cli) as sock:
        assert echo(sock)


def test_kill_needs_a_filter(traffic):
    """A slip of the finger does not cut everything: `kill` alone is wrong usage, `kill all` is not."""
    daemon, _ = traffic
    assert daemon.sallyport("kill", check=False).returncode in (1, 2)
    assert len(daemon.connections()) == 4
    assert daemon.sallyport("kill", "udp", "port", "99", check=False).returncode == 1
    assert daemon.sallyport("kill", "all").stdout.startswith("4 connections")
    assert not daemon.connections("state", "established")


# rules

def rule_line(daemon, line):
    return next(row for row in daemon.json("rules") if row["rule"] and row["rule"]["line"] == line
                and row["rule"]["file"].endswith("sallyport.rules"))


def test_rules_counters_move(traffic, net, side):
    daemon, _ = traffic
    rows = daemon.json("rules")
    assert [row["text"] for row in rows[-2:]] == ["default in drop", "default out allow"]
    assert any(row["essential"] for row in rows)
    ssh = rule_line(daemon, 4)
    assert ssh["connections"] == 1 and ssh["packets"] >= 3 and ssh["last_hit"] is not None
    before = {line: rule_line(daemon, line) for line in (4, 5, 6)}
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        assert outcome(net.cli, side.srv, 113) == REFUSED
        wait_for(lambda: rule_line(daemon, 5)["connections"] == before[5]["connections"] + 1,
                 "a new connection of line 5")
        wait_for(lambda: rule_line(daemon, 6)["packets"] == before[6]["packets"] + 1,
                 "a refused packet at line 6")
        assert rule_line(daemon, 4)["connections"] == before[4]["connections"]


def test_rules_text_shows_every_rule(traffic):
    daemon, _ = traffic
    text = daemon.sallyport("rules").stdout
    for line in RULES.splitlines()[3:]:
        assert line in text
    assert "default in drop" in text


def test_the_default_is_counted(traffic, net, side):
    daemon, _ = traffic
    count = lambda: daemon.json("rules")[-2]["packets"]  # noqa: E731
    before = count()
    assert outcome(net.cli, side.srv, 4444) == SILENT
    assert count() > before


# stats

def test_stats_name_the_reasons(traffic, net, side):
    daemon, _ = traffic
    stats, = daemon.json("stats")
    assert set(stats) >= {"reasons", "kernel", "table", "daemon"}
    assert stats["reasons"]["pass.rule"] == 3 and stats["reasons"]["pass.default"] == 1
    assert stats["reasons"]["pass.connection"] > 0
    assert stats["table"]["inserted"] == 4
    before = stats["reasons"]["drop.no-connection"]
    with Wire(net) as wire:
        wire.send(ip(side, side.cli, side.srv) / TCP(sport=4001, dport=80, flags="A", seq=1, ack=1))
        wait_for(lambda: daemon.reason("drop.no-connection") == before + 1, "the stray ACK is counted")
    assert "drop.no-connection" in daemon.sallyport("stats").stdout


# explain

PROBES = list(itertools.product((22, 80, 81, 113), ("cli", "cli_b")))


def test_explain_tells_what_packets_meet(firewall, servers, net, side):
    """For every port and source: the verdict that explain gives is what a real client sees."""
    servers.tcp(22, 80, 81, 113)
    daemon = firewall(RULES)
    meaning = {"allow": OPEN, "drop": SILENT, "reject": REFUSED}
    for port, name in PROBES:
        source = getattr(side, name)
        answer, = daemon.json("explain", "in", "tcp", "from", source, "to", str(port), "on", "wan0")
        assert meaning[answer["verdict"]] == outcome(net.cli, side.srv, port, source), (port, name)


def test_explain_names_the_line_and_the_near_miss(firewall, net, side):
    daemon = firewall(RULES)
    answer, = daemon.json("explain", f"in tcp from {side.cli_b} to 22")
    assert answer["verdict"] == "drop" and answer["rule"] is None
    assert answer["near"][0]["rule"]["line"] == 4 and answer["near"][0]["verdict"] == "allow"
    text = daemon.sallyport("explain", "in", "tcp", "from", side.cli_b, "to", "22").stdout
    assert "drop" in text and "line 4 would allow it but for the source" in text
    answer, = daemon.json("explain", f"in tcp from {side.cli} to 22")
    assert answer["verdict"] == "allow" and answer["rule"] == {"file": daemon.rules, "line": 4}


def test_explain_without_a_daemon(tmp_path):
    """`explain --rules FILE` needs no daemon and no privilege."""
    rules = tmp_path / "my.rules"
    rules.write_text(RULES)
    tmp_path.chmod(0o755)
    command = [program("sallyport"), "explain", "--rules", str(rules), "--json"]
    for probe in (["in tcp from 10.77.1.2 to 22"], "in tcp from 10.77.1.2 to 22".split()):
        answer = json.loads(run(*command, *probe).stdout)
        assert answer["verdict"] == "allow" and answer["rule"] == {"file": str(rules), "line": 4}
    answer = json.loads(run(*command, "in tcp from [2001:db8::1]:4000 to 23").stdout)
    assert answer["verdict"] == "drop" and answer["rule"]["line"] == 8


# check

def test_check(tmp_path):
    good, bad = tmp_path / "good.rules", tmp_path / "bad.rules"
    good.write_text(RULES)
    bad.write_text("allow in tcp 22 from 10.0.0.300\n")
    assert run(program("sallyport"), "check", good).returncode == 0
    assert run(program("sallyportd"), "--rules", good, "--check").returncode == 0
    for command in ([program("sallyport"), "check", bad], [program("sallyportd"), "--rules", bad, "--check"]):
        done = run(*command, check=False)
        assert done.returncode == 1
        text = done.stdout + done.stderr
        assert re.search(rf"{bad}:1:22: error:", text), text
        assert "allow in tcp 22 from 10.0.0.300" in text and "^" in text


def test_a_daemon_does_not_start_on_a_bad_file(firewall, net):
    daemon = firewall("allow in tcp 22 frm 10.0.0.1\n", started=False)
    daemon.launch()
    assert daemon.process.wait(10) == 1
    assert "sallyport.rules:1:17" in daemon.log() and "^" in daemon.log()
    assert net.srv.run("nft", "list", "ruleset").stdout == ""


def test_a_daemon_without_a_rules_file(firewall, net):
    daemon = firewall("", started=False)
    os.unlink(daemon.rules)
    daemon.launch()
    assert daemon.process.wait(10) == 1
    assert daemon.rules in daemon.log() and len(daemon.log().strip().splitlines()) <= 3


# errors

def sallyport(*words):
    return run(program("sallyport"), *words, check=False, env=ENVIRONMENT)


def test_no_daemon_is_said_plainly(tmp_path):
    for command in ("status", "list", "rules", "stats", "reload"):
        done = sallyport("--socket", tmp_path / "none", command)
        assert done.returncode == 1
        assert str(tmp_path / "none") in done.stderr and len(done.stderr.splitlines()) <= 2


@pytest.mark.parametrize("words", [
    "", "statu", "--bogus status", "list prt 22", "list port", "list port 70000", "list address 10.0.0",
    "kill port x", "list state open", "status extra", "--socket", "explain", "list in out",
])
def test_wrong_words_are_exit_2(tmp_path, words):
    done = sallyport("--socket", str(tmp_path / "none"), *words.split()) if words != "--socket" \
        else sallyport("--socket")
    assert done.returncode == 2
    assert done.stderr.strip()


def test_a_near_word_suggests_itself():
    assert re.search("did you mean .?status", sallyport("statsu").stderr)


@pytest.mark.parametrize("name", ["sallyport", "sallyportd"])
def test_help_and_version(name):
    assert re.match(name + r" \d+\.\d+\.\d+", run(program(name), "--version").stdout)
    assert "usage" in run(program(name), "--help").stdout.lower()


# the control socket

def test_control_garbage_hurts_nobody(firewall, servers, net, side):
    """Garbage, a line without end, half a line, many idle clients: packets never wait for them."""
    servers.tcp(80)
    daemon = firewall(RULES)
    idle = []
    for payload in (b"\0\xff\xfe garbage\n", b"x" * 200000, b'{"command":"list"', b"[]\n",
                    b'{"command":"kill"}\n', b'{"command":"nonsense"}\n', b"{" * 5000 + b"\n"):
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(5)
        control.connect(daemon.socket)
        try:
            control.sendall(payload)
        except (BrokenPipeError, ConnectionResetError):
            pass
        idle.append(control)
    for _ in range(60):
        control = socket.socket(socket.AF_UNIX)
        control.settimeout(1)
        try:
            control.connect(daemon.socket)
            idle.append(control)
        except OSError:
            control.close()
            break
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
    for control in idle:
        control.close()
    wait_for(lambda: daemon.sallyport("status", check=False).returncode == 0, "the socket answers again")


def test_the_control_socket_is_not_for_everybody(firewall, net):
    """An ordinary user is turned away; at the latest, changes nothing."""
    daemon = firewall(RULES)
    os.chmod(daemon.directory, 0o755)
    command = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", program("sallyport"),
               "--socket", daemon.socket]
    generation = daemon.status()["generation"]
    for words in (["reload"], ["kill", "all"]):
        done = run(*command, *words, check=False)
        assert done.returncode == 1
        assert re.search("permission|not allowed|may not|denied", done.stderr, re.I), done.stderr
    assert daemon.status()["generation"] == generation


def test_the_socket_is_removed_at_the_end(firewall, net):
    daemon = firewall(RULES)
    assert os.path.exists(daemon.socket)
    assert daemon.stop() == 0
    assert not os.path.exists(daemon.socket)

