# SPDX-License-Identifier: GPL-2.0-or-later
"""The kernel's lease sets, read and changed by nft as an administrator would."""

import json
from dataclasses import dataclass

from net import wait_for

LEASES = ("lease4", "lease6")
HALVES = ("half_in4", "half_in6", "half_out4", "half_out6")


@dataclass(frozen=True)
class Key:
    """A connection as the lease sets name it, seen from the guarded host."""

    local: str
    local_port: int
    remote: str
    remote_port: int
    protocol: str = "tcp"

    def __str__(self):
        return f"{self.local} . {self.local_port} . {self.remote} . {self.remote_port} . {self.protocol}"

    def reversed(self):
        return Key(self.remote, self.remote_port, self.local, self.local_port, self.protocol)


def key_of(sock, protocol="tcp"):
    """Of a connection whose socket is on the other host."""
    return Key(*sock.getpeername()[:2], *sock.getsockname()[:2], protocol)


def own_key_of(sock, protocol="tcp"):
    """Of a connection whose socket is on the guarded host."""
    return key_of(sock, protocol).reversed()


def family_set(kind, key):
    """lease4, half_in6, ..."""
    return kind + ("6" if ":" in key.local else "4")


def elements(namespace, name):
    """{Key: seconds that are left} of one of the sets."""
    listing = json.loads(namespace.run("nft", "-j", "list", "set", "inet", "sallyport", name).stdout)
    found, = [item["set"].get("elem", []) for item in listing["nftables"] if "set" in item]
    return {Key(*item["elem"]["val"]["concat"]): item["elem"]["expires"] for item in found}


def leases(namespace, kind="lease"):
    """Both families."""
    return {**elements(namespace, kind + "4"), **elements(namespace, kind + "6")}


def lease_left(namespace, key, kind="lease"):
    """Seconds that the key's lease is good for, or None."""
    return elements(namespace, family_set(kind, key)).get(key)


def wait_leased(namespace, key, timeout=2):
    return wait_for(lambda: lease_left(namespace, key), f"a lease for {key}", timeout)


def wait_not_leased(namespace, key, timeout=2):
    wait_for(lambda: lease_left(namespace, key) is None, f"no lease for {key}", timeout)


def end_leases(namespace, keys):
    """As if their time were up; their place in the handshake's set is long gone then."""
    for name in HALVES:
        namespace.run("nft", "flush", "set", "inet", "sallyport", name)
    for name in LEASES:
        standing = elements(namespace, name)
        wanted = [str(key) for key in keys if key in standing]
        if wanted:
            namespace.run("nft", "delete", "element", "inet", "sallyport", name, f"{{ {', '.join(wanted)} }}")


def end_lease(namespace, key):
    end_leases(namespace, [key])


def forget_leases(namespace):
    """Empties the sets; what they stood for is decided anew."""
    text = "".join(f"flush set inet sallyport {name}\n" for name in LEASES + HALVES)
    namespace.run("nft", "-f", "-", input=text)
