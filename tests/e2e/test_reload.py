# SPDX-License-Identifier: GPL-2.0-or-later
"""Reload: atomic, cuts what it must and nothing else; a bad file changes nothing."""

import os
import re
import signal

import pytest

from clients import OPEN, REFUSED, SILENT, connect, echo, outcome, udp_outcome
from load import ShortConnections, Transfer, knocking
from net import wait_for

STRICT = "default in drop\ndefault out drop\n"
RULES_A = STRICT + "allow in tcp 80\nallow in tcp 9000\nallow in tcp 7777\n"
RULES_B = """
set office = 10.77.1.0/24, fd77:0:0:1::/64
default in drop
reject in tcp 7777
drop in tcp,udp 6660-6669
allow in tcp 9000 from @office
allow in http,https
default out drop
"""


@pytest.mark.seconds(180)
def test_200_reloads_under_load(firewall, servers, witness, net, side):
    """By SIGHUP and by the command line in turn. No allowed connection is cut, old or new, and no
    SYN of one has to be sent twice; no packet to a denied port gets through at any moment,
    although the rules change around it."""
    servers.tcp(80, 9000, 6666).udp(6666)
    seen = witness(denied="meta l4proto { tcp, udp } th dport 6666")
    daemon = firewall(RULES_A)
    first, repeated = daemon.status()["generation"], net.cli.figure("TCPSynRetrans")
    with Transfer(net.cli, side.srv, 9000) as transfer, \
            ShortConnections(net.cli, side.srv, 80, net.srv, 0.001) as short, \
            knocking(net.cli, side.srv, 6666) as knocks:
        for number in range(200):
            rules = RULES_B if number % 2 == 0 else RULES_A
            if number % 4 < 2:
                daemon.reload_by_signal(rules)
            else:
                daemon.reload(rules)
            short.wait_rounds(2)
    assert daemon.status()["generation"] >= first + 200
    assert transfer.errors == [] and transfer.whole() and transfer.rounds > 100
    assert short.errors == [] and short.rounds >= 400
    assert knocks.rounds > 200 and seen.before("denied") > 400
    assert seen.behind("denied") == 0
    assert not servers.accepted[6666] and not servers.datagrams[6666]
    assert net.cli.figure("TCPSynRetrans") == repeated, "a SYN to an allowed port was dropped"


def test_new_rules_hold_at_once(firewall, servers, net, side):
    """When reload returns, the new rules judge: open becomes shut and back, with no wait."""
    servers.tcp(7777)
    daemon = firewall(RULES_A)
    for _ in range(10):
        assert outcome(net.cli, side.srv, 7777) == OPEN
        daemon.reload(RULES_B)
        assert outcome(net.cli, side.srv, 7777) == REFUSED
        daemon.reload(RULES_A)


def test_reload_by_sighup(firewall, servers, net, side):
    servers.tcp(81)
    daemon = firewall(STRICT)
    assert outcome(net.cli, side.srv, 81) == SILENT
    daemon.reload_by_signal(STRICT + "allow in tcp 81\n")
    assert outcome(net.cli, side.srv, 81) == OPEN
    assert daemon.status()["last_reload"]["ok"] is True


def test_a_forbidden_connection_is_cut(firewall, servers, net, side):
    """What the new rules would not let in does not go on; what they would, does."""
    servers.tcp(80, 81)
    daemon = firewall(STRICT + "allow in tcp 80\nallow in tcp 81\n")
    with connect(net.cli, side.srv, 80) as stays, connect(net.cli, side.srv, 81) as goes:
        assert echo(stays) and echo(goes)
        done = daemon.reload(STRICT + "# moved\nallow in tcp 80\n")
        assert "1" in done.stdout  # one connection cut
        goes.settimeout(0.6)
        with pytest.raises(OSError):
            echo(goes)
            echo(goes)
        assert echo(stays)
        row, = daemon.connections("tcp", "state", "established")
        assert row["local_port"] == 80 and row["rule"]["line"] == 4


def test_a_connection_is_cut_by_its_source(firewall, servers, net, side):
    servers.tcp(80)
    daemon = firewall(STRICT + "allow in tcp 80\n")
    with connect(net.cli, side.srv, 80, side.cli) as stays, \
            connect(net.cli, side.srv, 80, side.cli_b) as goes:
        assert echo(stays) and echo(goes)
        daemon.reload(STRICT + f"drop in any from {side.cli_b}\nallow in tcp 80\n")
        goes.settimeout(0.6)
        with pytest.raises(OSError):
            echo(goes)
            echo(goes)
        assert echo(stays)


def test_an_outgoing_connection_is_cut(firewall, servers_at, net, side):
    servers_at(net.cli).tcp(80)
    daemon = firewall("default in drop\ndefault out allow\n")
    with connect(net.srv, side.cli, 80) as sock:
        assert echo(sock)
        daemon.reload("default in drop\ndefault out allow\nreject out tcp 80\n")
        sock.settimeout(0.6)
        with pytest.raises(OSError):
            echo(sock)
            echo(sock)


BAD = STRICT + "allow in tcp 80\nalow in tcp 81\nallow in tcp 99999\nallow in sssh\n"


@pytest.mark.parametrize("way", ["command", "signal"])
def test_a_bad_file_changes_nothing(firewall, servers, net, side, way):
    """The old rules stay, open connections stay, the message says what and where, and `status`
    shows the failed reload."""
    servers.tcp(80, 81)
    daemon = firewall(STRICT + "allow in tcp 80\n")
    before = daemon.status()
    with connect(net.cli, side.srv, 80) as sock:
        daemon.write("sallyport.rules", BAD)
        if way == "command":
            done = daemon.sallyport("reload", check=False)
            assert done.returncode == 1
            text = done.stdout + done.stderr
            assert "sallyport.rules:4:1" in text and "alow in tcp 81" in text and "^" in text
            assert "sallyport.rules:5" in text and "99999" in text
            assert "sallyport.rules:6" in text and re.search("did you mean `?ssh", text)
        else:
            daemon.process.send_signal(signal.SIGHUP)
        failed = wait_for(lambda: (daemon.status()["last_reload"] or {}).get("ok") is False and
                          daemon.status()["last_reload"], "status shows the failed reload")
        assert daemon.rules in failed["message"]
        after = daemon.status()
        assert after["generation"] == before["generation"] and after["rules"] == before["rules"]
        assert "refused" in daemon.sallyport("status").stdout
        assert "sallyport.rules:4:1" in daemon.log()
        assert echo(sock)
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 81) == SILENT
    daemon.reload(STRICT + "allow in tcp 81\n")
    assert daemon.status()["last_reload"]["ok"] is True
    assert outcome(net.cli, side.srv, 81) == OPEN


def test_a_failed_expect_is_a_bad_file(firewall, servers, net, side):
    servers.tcp(80)
    daemon = firewall(STRICT + "allow in tcp 80\n")
    daemon.write("sallyport.rules", STRICT + "expect allow in tcp from 192.0.2.7 to 80\n")
    done = daemon.sallyport("reload", check=False)
    assert done.returncode == 1 and "sallyport.rules:3" in done.stdout + done.stderr
    assert outcome(net.cli, side.srv, 80) == OPEN


def test_a_missing_file_is_a_bad_file(firewall, servers, net, side):
    servers.tcp(80)
    daemon = firewall(STRICT + "allow in tcp 80\n")
    os.unlink(daemon.rules)
    assert daemon.sallyport("reload", check=False).returncode == 1
    assert outcome(net.cli, side.srv, 80) == OPEN


def test_sets_and_includes_are_read_again(firewall, servers, net, side):
    servers.tcp(80, 81)
    daemon = firewall('set friends from file "friends.txt"\ninclude "rules.d/*.rules"\n' + STRICT +
                      "allow in tcp 80 from @friends\n",
                      files={"friends.txt": "192.0.2.1\n", "rules.d/one.rules": "# nothing yet\n"})
    assert outcome(net.cli, side.srv, 80) == SILENT
    daemon.write("friends.txt", f"192.0.2.1\n{side.cli}\n")
    daemon.write("rules.d/two.rules", "allow in tcp 81\n")
    daemon.reload()
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 80, side.cli_b) == SILENT
    assert outcome(net.cli, side.srv, 81) == OPEN


def test_udp_and_defaults_change(firewall, servers, net, side):
    servers.udp(53)
    daemon = firewall("default in allow\n")
    assert udp_outcome(net.cli, side.srv, 53) == OPEN
    daemon.reload("default in reject\n")
    assert udp_outcome(net.cli, side.srv, 53) == REFUSED
    daemon.reload("default in drop\n")
    assert udp_outcome(net.cli, side.srv, 53) == SILENT


def test_hasty_sighups_end_in_the_last_file(firewall, servers, net, side):
    """Many signals at once may become one reload, but the last file written is the one in force."""
    servers.tcp(80, 81)
    daemon = firewall(STRICT + "allow in tcp 80\n")
    for number in range(20):
        port = 80 if number % 2 else 81
        daemon.write("sallyport.rules", STRICT + f"allow in tcp {port}\n")
        daemon.process.send_signal(signal.SIGHUP)
    daemon.write("sallyport.rules", STRICT + "allow in tcp 81\n")
    daemon.process.send_signal(signal.SIGHUP)
    wait_for(lambda: outcome(net.cli, side.srv, 81) == OPEN and
             outcome(net.cli, side.srv, 80) == SILENT, "the last file is in force")
