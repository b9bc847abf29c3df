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
NONE, ILL, ABT_FEW, ABT = 0, 1, 3, 4
OPCODES = (0x05, 0x06, 0x10, 0x11, 0x12, 0x13, 0x40, 0x46)


class Table(unittest.TestCase):
    def table(self, via, way, fault, inject=None, op=0):
        args = ["--via", via, "--device", "edu@0x100", "--device",
                "edu@0x101"]
        if inject:
            args += ["--inject", inject]
        r = kit.nestfd_run(*args, "--", CLIENT, way, str(fault), hex(op))
        # the driver says what happens to the unit; what is wrong stands apart
        self.assertEqual(r.returncode, 0, (args, way, r.stderr[:2000]))


def add(name, *args):
    setattr(Table, "test_" + name, lambda self: self.table(*args))


for via, way in itertools.product(("preload", "seccomp"), ("array", "ring")):
    add(f"{via}_{way}_good_hardware", via, way, NONE)
    add(f"{via}_{way}_aborts_that_pass", via, way, ABT_FEW, "abt:n=3")
    add(f"{via}_{way}_dead_unit", via, way, ABT, "abt")
    for op in OPCODES:
        add(f"{via}_{way}_illegal_{op:#04x}", via, way, ILL, f"ill:op={op}",
            op)

if __name__ == "__main__":
    if "thread" in kit.SANITIZE:
        print("skipped: TSan and interposed signal handling do not mix")
        raise SystemExit(77)
    unittest.main()
