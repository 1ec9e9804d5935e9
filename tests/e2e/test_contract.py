# SPDX-License-Identifier: GPL-2.0-or-later
"""The contract for scripts: word for word what others build upon. No helper of these tests
stands between the script and the programs, but for the namespaces."""

import json
import subprocess
import time

from clients import OPEN, SILENT, connect, echo, outcome
from daemon import program
from net import wait_for

RULES = "default in drop\nallow in tcp 22 from 192.0.2.0/24\nallow in tcp 80\nreject in tcp 113\n"


def test_the_contract(net, servers, side, tmp_path):
    """sallyportd --rules FILE --socket PATH --foreground in any network namespace as root; ready
    when `sallyport --socket PATH status` exits 0; `list --json`; SIGTERM ends it with 0."""
    servers.tcp(80, 81)
    rules, control = tmp_path / "rules", tmp_path / "socket"
    rules.write_text(RULES)
    sallyport = [program("sallyport"), "--socket", control]
    daemon = subprocess.Popen(["ip", "netns", "exec", net.srv.name, program("sallyportd"),
                               "--rules", rules, "--socket", control, "--foreground"],
                              stderr=subprocess.DEVNULL)
    try:
        deadline = time.monotonic() + 20
        while subprocess.run([*sallyport, "status"], capture_output=True).returncode != 0:
            assert daemon.poll() is None and time.monotonic() < deadline
            time.sleep(0.02)
        assert outcome(net.cli, side.srv, 80) == OPEN
        assert outcome(net.cli, side.srv, 81) == SILENT
        with connect(net.cli, side.srv, 80) as sock:
            assert echo(sock)
            def established():
                output = subprocess.run([*sallyport, "list", "--json"], capture_output=True, text=True).stdout
                rows = [json.loads(line) for line in output.splitlines()]
                return [row for row in rows if row["state"] == "ESTABLISHED"]
            row, = wait_for(established, "the connection is listed as established")
            assert {"proto", "local", "local_port", "remote", "remote_port", "direction", "state",
                    "age", "idle", "rule", "generation"} <= set(row)
            assert (row["proto"], row["local"], row["local_port"], row["remote"], row["remote_port"],
                    row["direction"]) == ("tcp", side.srv, 80, *sock.getsockname()[:2], "in")
            assert row["rule"] == {"file": str(rules), "line": 3}
        daemon.terminate()
        assert daemon.wait(10) == 0
    finally:
        daemon.kill()
        daemon.wait()
        net.srv.run("nft", "flush", "ruleset")
    assert subprocess.run([*sallyport, "status"], capture_output=True).returncode == 1


def test_explain(tmp_path):
    """`sallyport explain --rules FILE --json PROBE`: verdict and rule, null for the default."""
    rules = tmp_path / "rules"
    rules.write_text(RULES)

    def explain(probe):
        done = subprocess.run([program("sallyport"), "explain", "--rules", rules, "--json", *probe.split()],
                              capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        answer = json.loads(done.stdout)
        return answer["verdict"], answer["rule"] and answer["rule"]["line"]
    assert explain("in tcp from 192.0.2.7:40000 to 22") == ("allow", 2)
    assert explain("in tcp from 203.0.113.9 to 22") == ("drop", None)
    assert explain("in tcp from [2001:db8::7]:40000 to 80") == ("allow", 3)
    assert explain("in tcp from 192.0.2.7 to 192.0.2.1:113") == ("reject", 4)
    assert explain("out udp to 192.0.2.1:53") == ("allow", None)


def test_another_namespace_is_another_firewall(firewall, servers, servers_at, net, side):
    """Two daemons in two namespaces of one host know nothing of each other."""
    servers.tcp(80)
    servers_at(net.cli2).tcp(80)
    here = firewall("default in drop\nallow in tcp 80\n")
    there = firewall("default in drop\nreject in tcp 80\n", namespace=net.cli2)
    assert outcome(net.cli, side.srv, 80) == OPEN
    assert outcome(net.srv, side.cli2, 80) == "refused"
    here.stop()
    assert outcome(net.srv, side.cli2, 80) == "refused"
    assert there.running
