# SPDX-License-Identifier: GPL-2.0-or-later
"""What stands in the kernel: readable, ours alone, without conntrack, and enough by itself when
the daemon is gone."""

import json
import re
import signal

import pytest

from clients import OPEN, REFUSED, SILENT, connect, echo, outcome, udp_outcome
from net import wait_for

STRICT = "default in drop\ndefault out drop\n"
RULES = """# line 1
default in drop
default out allow
set office = 10.77.1.0/24, fd77:0:0:1::/64
allow in tcp 80
allow in tcp 81 from @office
reject in tcp 113
drop in udp 500-502
allow in udp 53
"""
OTHER = """
table inet other {
	set numbers {
		type inet_service
		elements = { 1, 2, 3 }
	}
	chain input {
		type filter hook input priority 10
		tcp dport 31337 counter packets 7 bytes 7 drop comment "mine"
	}
}
table ip sallyhome {
	chain c {
	}
}
"""


def ruleset(net):
    return net.srv.run("nft", "list", "ruleset").stdout


def without_comments(text):
    return re.sub(r'comment "[^"]*"', "", text)


def our_tables(net):
    return re.findall(r"^table (\w+) sallyport", ruleset(net), re.M)


def test_comments_name_the_line(firewall, net):
    """Every line of the file that is a rule can be found in `nft list ruleset`."""
    firewall(RULES)
    comments = re.findall(r'comment "([^"]*)"', ruleset(net))
    for line in (5, 6, 7, 8, 9):
        assert any(re.search(rf"sallyport\.rules:{line}\b", comment) for comment in comments), \
            f"no comment for line {line} in {comments}"
    assert not any(re.search(r"sallyport\.rules:(1|4|10)\b", comment) for comment in comments)


def test_dispatch_is_there_and_status_says_which(firewall, net):
    daemon = firewall(RULES)
    dispatch = daemon.status()["dispatch"]
    assert dispatch in ("native", "xtables")
    text = ruleset(net)
    assert re.search(r"queue num 0 bypass|NFQUEUE", text)
    assert sorted(our_tables(net)) == ["inet", "ip6"]
    assert dispatch in daemon.sallyport("status").stdout


def test_named_sets_have_their_members(firewall, net):
    firewall(RULES)
    text = ruleset(net)
    assert "office" in text and "10.77.1.0/24" in text and "fd77:0:0:1::/64" in text


def test_the_listing_can_be_read_as_json(firewall, net):
    """nft reads back what libnftnl wrote, expression by expression."""
    firewall(RULES)
    listing = json.loads(net.srv.run("nft", "-j", "list", "table", "inet", "sallyport").stdout)
    chains = [item["chain"] for item in listing["nftables"] if "chain" in item]
    hooks = {chain["hook"] for chain in chains if "hook" in chain}
    assert {"prerouting", "output", "postrouting"} <= hooks


def test_conntrack_is_not_started(firewall, servers, net, side):
    """No ct expression, and traffic leaves no conntrack entry behind."""
    servers.tcp(80).udp(53)
    firewall(RULES)
    assert not re.search(r"\bct\b", without_comments(ruleset(net)))
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
        assert udp_outcome(net.cli, side.srv, 53) == OPEN
        assert net.srv.read("nf_conntrack") == ""


def test_other_tables_are_left_alone(firewall, net):
    """Start, reload, stop: what others have in the kernel is the same, byte for byte."""
    net.srv.run("nft", "-f", "-", input=OTHER)
    before = ruleset(net)
    daemon = firewall(RULES)

    def others():
        return [net.srv.run("nft", "list", "table", *table.split()).stdout
                for table in ("inet other", "ip sallyhome")]
    during = others()
    daemon.reload(STRICT)
    assert others() == during
    assert daemon.stop() == 0
    assert ruleset(net) == before


def test_an_accept_of_ours_does_not_overrule_others(firewall, servers, net, side):
    servers.tcp(80)
    firewall("default in allow\nallow in tcp 80\n")
    assert outcome(net.cli, side.srv, 80) == OPEN
    net.srv.run("nft", "-f", "-", input="table inet other { chain input { type filter hook input "
                "priority 10; tcp dport 80 drop; }; }")
    assert outcome(net.cli, side.srv, 80) == SILENT


def test_clean_stop_removes_everything(firewall, servers, net, side):
    servers.tcp(99)
    daemon = firewall(RULES)
    assert our_tables(net) and outcome(net.cli, side.srv, 99) == SILENT
    assert daemon.stop() == 0
    assert ruleset(net) == ""
    assert outcome(net.cli, side.srv, 99) == OPEN


def test_a_flush_by_somebody_else_is_noticed(firewall, servers, net, side):
    servers.tcp(80, 99)
    daemon = firewall(RULES)
    before = set(our_tables(net))
    for _ in range(3):
        net.srv.run("nft", "flush", "ruleset")
        wait_for(lambda: set(our_tables(net)) == before, "the tables are back")
        assert outcome(net.cli, side.srv, 99) == SILENT
        assert outcome(net.cli, side.srv, 80) == OPEN
    assert daemon.running


def test_a_single_deleted_table_is_noticed(firewall, servers, net):
    daemon = firewall(RULES)
    before = set(our_tables(net))
    assert "inet" in before
    for family in sorted(before):
        net.srv.run("nft", "delete", "table", family, "sallyport")
        wait_for(lambda: set(our_tables(net)) == before, f"table {family} sallyport is back")
    assert daemon.running


def test_other_programs_changes_are_no_alarm(firewall, net):
    """Tables of others come and go without a reinstallation."""
    daemon = firewall(RULES)
    before = daemon.log()
    for _ in range(5):
        net.srv.run("nft", "-f", "-", input=OTHER)
        net.srv.run("nft", "delete", "table", "inet", "other")
        net.srv.run("nft", "delete", "table", "ip", "sallyhome")
    daemon.status()
    assert daemon.log() == before


# without the daemon

GUARDED = """
default in drop
default out allow
set office = 10.77.1.2, fd77:0:0:1::2
allow in tcp 80
allow in tcp 81 from @office
allow in udp 53
reject in tcp 113
reject out tcp 25
"""


def test_killed_daemon_leaves_the_guard(firewall, servers, servers_at, net, side):
    """kill -9: the kernel goes on with the same port policy. Nothing that is closed is open,
    nothing that is open is closed, and connections go on."""
    servers.tcp(80, 81, 99, 113).udp(53, 99)
    servers_at(net.cli).tcp(25, 8080)
    daemon = firewall(GUARDED)
    with connect(net.cli, side.srv, 80) as inward, connect(net.srv, side.cli, 8080) as outward:
        assert echo(inward) and echo(outward)
        daemon.kill()
        assert echo(inward, b"q" * 100000) and echo(outward, b"q" * 100000)
        assert outcome(net.cli, side.srv, 80, patience=3) == OPEN
        assert outcome(net.cli, side.srv, 81, side.cli, patience=3) == OPEN
        assert outcome(net.cli, side.srv, 81, side.cli_b) == SILENT
        assert outcome(net.cli, side.srv, 99) == SILENT
        assert outcome(net.cli, side.srv, 113) == REFUSED
        assert outcome(net.srv, side.cli, 8080, patience=3) == OPEN
        assert outcome(net.srv, side.cli, 25) == REFUSED
        assert udp_outcome(net.cli, side.srv, 53, patience=3) == OPEN
        assert udp_outcome(net.cli, side.srv, 99) == SILENT


def test_a_stopped_daemon_is_a_full_queue(firewall, servers, net, side):
    """SIGSTOP: packets wait; when it goes on, they are judged, and nothing closed was open."""
    servers.tcp(80, 99)
    daemon = firewall(GUARDED)
    daemon.process.send_signal(signal.SIGSTOP)
    try:
        assert outcome(net.cli, side.srv, 99) == SILENT
    finally:
        daemon.process.send_signal(signal.SIGCONT)
    assert outcome(net.cli, side.srv, 80, patience=3) == OPEN


def test_a_new_daemon_takes_over_from_a_killed_one(firewall, servers, net, side):
    """The stale tables do not stand in its way, and are gone when it stops."""
    servers.tcp(80, 99)
    daemon = firewall(GUARDED)
    daemon.kill()
    again = firewall(STRICT + "allow in tcp 99\n")
    assert outcome(net.cli, side.srv, 80) == SILENT
    assert outcome(net.cli, side.srv, 99) == OPEN
    assert again.stop() == 0
    assert our_tables(net) == []


def test_open_connections_outlive_a_new_daemon(firewall, servers, servers_at, net, side):
    """Crash and start again: what the rules allow goes on in both directions and is listed; what
    they do not is cut."""
    servers.tcp(80, 81)
    servers_at(net.cli).tcp(8080)
    daemon = firewall("default in drop\ndefault out allow\nallow in tcp 80,81\n")
    with connect(net.cli, side.srv, 80) as inward, connect(net.srv, side.cli, 8080) as outward, \
            connect(net.cli, side.srv, 81) as forbidden:
        assert echo(inward) and echo(outward) and echo(forbidden)
        daemon.kill()
        again = firewall("default in drop\ndefault out allow\nallow in tcp 80\n")
        rows = {(row["direction"], row["local_port"] if row["direction"] == "in" else row["remote_port"])
                for row in again.connections("tcp", "state", "established")}
        assert rows == {("in", 80), ("out", 8080)}
        assert echo(inward, b"q" * 100000) and echo(outward, b"q" * 100000)
        forbidden.settimeout(0.6)
        with pytest.raises(OSError):
            echo(forbidden)


def test_a_second_daemon_is_refused(firewall, servers, net, side):
    """The queue has an owner: one clear line, exit 1, and the first goes on as before."""
    servers.tcp(80)
    first = firewall(GUARDED)
    second = firewall("default in allow\n", started=False)
    second.launch()
    assert second.process.wait(10) == 1
    assert "queue" in second.log() or "running" in second.log()
    assert len(second.log().strip().splitlines()) <= 3
    assert first.running and outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.cli, side.srv, 99) == SILENT


def test_the_rest_of_the_mark_is_kept(firewall, servers, net, side):
    """Other people's bits of the packet mark come through; ours do not stay behind."""
    servers.tcp(80).udp(53)
    firewall(GUARDED)
    net.srv.run("nft", "-f", "-", input="""
table inet witness {
	counter kept { }
	counter lost { }
	chain before { type filter hook prerouting priority -450; iif wan0 meta mark set 0x01234567; }
	chain behind { type filter hook input priority 500;
		iif wan0 meta mark 0x01234567 counter name kept accept
		iif wan0 meta l4proto { tcp, udp } counter name lost
	}
}""")
    with connect(net.cli, side.srv, 80) as sock:
        assert echo(sock)
    assert udp_outcome(net.cli, side.srv, 53) == OPEN
    text = net.srv.run("nft", "list", "counters").stdout
    assert int(re.search(r"counter kept \{\s*packets (\d+)", text)[1]) >= 4
    assert int(re.search(r"counter lost \{\s*packets (\d+)", text)[1]) == 0


@pytest.mark.parametrize("queues", ["7", "4-5"])
def test_other_queue_numbers(firewall, servers, net, side, queues):
    """More than one queue is more than one worker; the connections are one table."""
    servers.tcp(80).udp(53)
    daemon = firewall(GUARDED, options=["--queue", queues])
    first, _, last = queues.partition("-")
    numbers = list(range(int(first), int(last or first) + 1))
    assert [queue["number"] for queue in daemon.status()["queues"]] == numbers
    for source in (side.cli, side.cli_b):
        with connect(net.cli, side.srv, 80, source) as sock:
            assert echo(sock)
        assert udp_outcome(net.cli, side.srv, 53, source) == OPEN
    assert outcome(net.cli2, side.srv_lan, 80) == OPEN
