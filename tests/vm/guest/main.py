# SPDX-License-Identifier: GPL-2.0-or-later
"""Runs in the guest after every start: the first part, a real reboot, the second part,
power off. Prints a line a test for the host."""

import pathlib
import sys
import traceback

sys.path.insert(0, "/guest")
import after_boot  # noqa: E402
import first_run  # noqa: E402
import ground  # noqa: E402

REBOOTED = pathlib.Path("/guest/rebooted")


def run_test(test, world):
    name = test.__doc__
    try:
        test(world)
        print(f"ok {name}", flush=True)
    except ground.Failed as problem:
        tell(name, str(problem))
    except Exception:  # a test that breaks is a test that fails
        tell(name, traceback.format_exc(limit=-3))


def tell(name, problem):
    print(f"FAIL {name}: {' | '.join(problem.splitlines())}", flush=True)
    lines = ground.run("journalctl", "-u", "sallyport.service", "-n", "12", "--no-pager", "-o", "cat").stdout
    for line in lines.splitlines():
        print(f"     journal: {line}", flush=True)


def main():
    part = after_boot if REBOOTED.exists() else first_run
    world = part.World()
    for test in part.STORY:
        run_test(test, world)
    if part is first_run:
        REBOOTED.write_text(pathlib.Path("/proc/sys/kernel/random/boot_id").read_text())
        ground.succeed("systemctl", "reboot")
    else:
        print("guest: done", flush=True)
        ground.succeed("systemctl", "poweroff")


main()
