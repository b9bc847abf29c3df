# SPDX-License-Identifier: MIT
"""The table of errors in a program under `nestfd run`, served in its own
process and from outside."""
import itertools
import os
import sys
import unittest

sys.path.insert(0, os.environ["SHIM_KIT"])
import kit  # noqa: E402

CLIENT = os.environ["ERRORS_CLIENT"]
NONE, ILL, ATC, ABT_FEW, GONE, LATE, SLOW, ABT = range(8)
OPCODES = (0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x40, 0x46)
# Of cases.h: an ATC_INV as the target, and commands with ATC_INVs behind them
NH_VA, ATC_INV, SYNC = 4, 7, 8
PLACES = 7


class Table(unittest.TestCase):
    def client(self, via, inject, *args, ats=""):
        options = ["--via", via, "--atc-window", "none",
                   "--device", "edu@0x100" + ats,
                   "--device", "edu@0x101" + ats]
        if inject:
            options += ["--inject", inject]
        r = kit.nestfd_run(*options, "--", CLIENT, *map(str, args))
        # the driver says what happens to the unit; what is wrong stands apart
        self.assertEqual(r.returncode, 0, (options, args, r.stderr[:2000]))

    def table(self, via, way, fault, inject=None, op=0):
        self.client(via, inject, way, fault, op)

    def table_ats(self, via, way, fault, inject=None, op=0):
        self.client(via, inject, way, fault, op, "ats", ats=",ats")

    def before_quarantine(self, via, way):
        """No case of these meets a device that has spent its budget."""
        for target in (NH_VA, ATC_INV, SYNC):
            for place in range(PLACES):
                self.client(via, "atc-timeout:dev=0x100", way, ATC, 0, "ats",
                            target, place, ats=",ats")


def add(name, method, *args):
    setattr(Table, "test_" + name, lambda self: method(self, *args))


for via, way in itertools.product(("preload", "seccomp"), ("array", "ring")):
    both = f"{via}_{way}"
    for method, ats in ((Table.table, ""), (Table.table_ats, "_ats")):
        add(f"{both}{ats}_good_hardware", method, via, way, NONE)
        add(f"{both}{ats}_aborts_that_pass", method, via, way, ABT_FEW,
            "abt:n=3")
        add(f"{both}{ats}_dead_unit", method, via, way, ABT, "abt")
        add(f"{both}{ats}_slow_unit", method, via, way, SLOW,
            "slow-sync:us=30")
        for op in OPCODES:
            add(f"{both}{ats}_illegal_{op:#04x}", method, via, way, ILL,
                f"ill:op={op}", op)
    add(f"{both}_silent_device", Table.before_quarantine, via, way)
    add(f"{both}_silent_device_in_quarantine", Table.table_ats, via, way, ATC,
        "atc-timeout:dev=0x100")
    add(f"{both}_device_that_is_gone", Table.table_ats, via, way, GONE,
        "gone:dev=0x100,us=1000")
    add(f"{both}_late_device", Table.table_ats, via, way, LATE,
        "atc-late:dev=0x100,us=100")

if __name__ == "__main__":
    if "thread" in kit.SANITIZE:
        print("skipped: TSan and interposed signal handling do not mix")
        raise SystemExit(77)
    unittest.main()
