# SPDX-License-Identifier: GPL-2.0-or-later
"""Who got past the firewall: counters in a table of the test's own.

`before` counts what the wire delivers (prerouting, ahead of every chain of sallyport),
`behind` what the firewall lets through to local sockets (input, at the end).
So that something was dropped is seen as `before` moving and `behind` not: nobody has to
wait for silence.
"""

from net import wait_for

TABLE = """
table inet witness {{
{counters}
	chain before {{
		type filter hook prerouting priority -450;
{before}
	}}
	chain behind {{
		type filter hook input priority 500;
{behind}
	}}
}}
"""


class Witness:
    """Counts by name; `matches` is {name: "nftables match"}."""

    def __init__(self, namespace, **matches):
        self.namespace = namespace
        lines = {"counters": [], "before": [], "behind": []}
        for name, match in matches.items():
            for place in ("before", "behind"):
                lines["counters"].append(f"\tcounter {name}_{place} {{ }}")
                lines[place].append(f"\t\t{match} counter name {name}_{place}")
        text = TABLE.format(**{key: "\n".join(value) for key, value in lines.items()})
        namespace.run("nft", "-f", "-", input=text)

    def _count(self, name):
        import json
        output = self.namespace.run("nft", "-j", "list", "counter", "inet", "witness", name).stdout
        for item in json.loads(output)["nftables"]:
            if "counter" in item:
                return item["counter"]["packets"]
        raise AssertionError(f"no counter {name}")

    def before(self, name):
        return self._count(name + "_before")

    def behind(self, name):
        return self._count(name + "_behind")

    def wait_before(self, name, packets, timeout=5):
        wait_for(lambda: self.before(name) >= packets, f"{packets} packets for {name}", timeout)

    def remove(self):
        self.namespace.run("nft", "delete", "table", "inet", "witness", check=False)
