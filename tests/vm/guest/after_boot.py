# SPDX-License-Identifier: GPL-2.0-or-later
"""After the reboot: nobody started the service by hand."""

import pathlib

import ground
from ground import need


class World:
    def __init__(self):
        ground.build_network()
        for port in (22, 8080, 9999):
            ground.serve_tcp(port)
        self.client = ground.Client()


def comes_up(_):
    """after a reboot the enabled service is up by itself"""
    before = pathlib.Path("/guest/rebooted").read_text()
    need(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text() != before, "the guest did not reboot")
    ground.wait_for(ground.is_active, "the service")
    need(ground.status()["dispatch"] == "native", "dispatch is not native")


def before_network(_):
    """it is ready before network-pre.target, so before any network is configured"""
    ground.wait_for(lambda: ground.unit_property("ActiveState", "network-pre.target") == "active", "network-pre.target")
    ready = int(ground.unit_property("ActiveEnterTimestampMonotonic"))
    network = int(ground.unit_property("ActiveEnterTimestampMonotonic", "network-pre.target"))
    need(0 < ready <= network, f"ready at {ready} us, network-pre.target at {network} us")
    need(ground.unit_property("NRestarts") == "0", "it needed a second try")


def judges(world):
    """after a reboot allowed is allowed and denied is denied"""
    world.client.sees(22, "open")
    world.client.sees(8080, "open")
    world.client.sees(9999, "filtered")


def no_failed_units(_):
    """nothing in the guest failed to start"""
    failed = ground.succeed("systemctl", "--failed", "--plain", "--no-legend").strip()
    need(not failed, failed)


def removed(world):
    """disabled and stopped, the firewall is gone and the port opens"""
    ground.succeed("systemctl", "disable", "--now", "sallyport")
    need("sallyport" not in ground.ruleset(), "rules are left in the kernel")
    world.client.sees(9999, "open")


STORY = [comes_up, before_network, judges, no_failed_units, removed]
