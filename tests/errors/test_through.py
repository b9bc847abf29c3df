# SPDX-License-Identifier: MIT
"""The tables of test_errors.c in a program under `nestfd run`: arrays, rings,
and a virtual SMMU's registers, with every kind of error.

usage: test_through.py preload|seccomp [unittest's arguments]

Spied: `nestfd run` with spy.c in it, a new machine for each case, and what is
cached afterwards is compared as well. Blind: `nestfd run` as it is; what the
program can see is compared: answers, CONS, ERR, GERROR and its interrupt."""
import os
import re
import subprocess
import sys
import unittest

sys.path.insert(0, os.environ["SHIM_KIT"])
import kit  # noqa: E402

THROUGH = os.environ["ERRORS_THROUGH"]
SPIED = os.environ["ERRORS_NESTFD"]
VIA = sys.argv.pop(1)
RANDOM_SPANS = 100

# What hardware knows of the table's commands, and CMD_SYNC, whose every one
# being illegal is a dead unit: no bed can be made on it (test_run.py has one).
OPCODES = (0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x40)
CFGI_CD_ALL = 0x06  # what a guest's CFGI_ALL is made of, at boot
# Tests of test_errors.c for what is injected into the unit of all cases: a
# device that does not answer is soon in quarantine, to no difference.
INJECTED = (
    ("good_hardware", None, "_of_good_hardware", ""),
    ("silent_device", "atc-timeout:dev=0x100", "_for_a_silent_device",
     "_with_a_silent_device"),
    ("aborts_that_pass", "abt:n=3", "_with_aborts_that_pass", "_with_aborts"),
    ("device_that_is_gone", "gone:dev=0x100",
     *2 * ("_for_a_device_that_is_gone",)),
    ("late_device", "atc-late:dev=0x100,us=100", *2 * ("_for_a_late_device",)),
    ("slow_unit", "slow-sync:us=30", *2 * ("_to_a_slow_unit",)),
    ("every_opcode", None, *2 * ("_of_every_opcode",)),
    ("hole", None, None, "_with_a_hole"),  # in the guest's own memory
)


class Through(unittest.TestCase):
    def through(self, nestfd, options, *args, devices=2, **more):
        command = [nestfd, "run", "--via", VIA, "--atc-window", "none",
                   "--cache", "hostile"]
        for sid in range(0x100, 0x100 + devices):
            command += ["--device", f"edu@{sid:#x},ats"]
        r = subprocess.run(
            [*command, *options, "--", THROUGH, *map(str, args)],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, text=True, timeout=1000,
            env=kit.environment(**more))
        self.assertEqual(r.returncode, 0, (options, args, r.stdout[-3000:]))
        return int(re.search(r"PASSED  \] (\d+) test", r.stdout)[1])

    def spied(self, tests, at_least=1):
        passed = self.through(SPIED, [], tests, RANDOM_SPANS, devices=3,
                              SPIED="1")
        self.assertGreaterEqual(passed, at_least)

    def blind(self, tests, *inject, op=-1):
        options = [word for rule in inject for word in ("--inject", rule)]
        self.assertEqual(self.through(kit.NESTFD, options, tests, 0, op), 1)


class Spied(Through):
    def test_arrays(self):
        self.spied("arrays_*", 9)

    def test_rings(self):
        self.spied("rings_*", 9)

    def test_guests_over_arrays(self):
        self.spied("guests_over_arrays*", 10)

    def test_guests_over_rings(self):
        self.spied("guests_over_rings*", 10)

    def test_anything(self):
        self.spied("anything_anywhere")


@unittest.skipIf("address" in kit.SANITIZE, "the spied ones take long enough")
class Blind(Through):
    pass


def add(name, *args, **more):
    setattr(Blind, "test_" + name, lambda self: self.blind(*args, **more))


for guest, way in enumerate(("arrays", "rings", "guests_over_arrays",
                             "guests_over_rings")):
    guest = guest > 1
    for name, inject, *tests in INJECTED:
        if tests[guest] is not None:
            add(f"{way}_{name}", way + tests[guest],
                *([inject] if inject else []))
    for op in OPCODES:
        if not guest or op != CFGI_CD_ALL:
            add(f"{way}_illegal_{op:#04x}", way + "_with_illegal_commands",
                f"ill:op={op}", op=op)

if __name__ == "__main__":
    if "thread" in kit.SANITIZE:
        print("skipped: TSan and interposed signal handling do not mix")
        raise SystemExit(77)
    unittest.main()
