#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd run --memlock: both values, in both ways in."""
import errno
import unittest

import kit
from kit import CLIENT, nestfd_run


class Memlock(unittest.TestCase):
    def ask(self, via, *options):
        r = nestfd_run("--iommu", "mock", "--via", via, *options, "--", CLIENT)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        return {line.split()[0]: int(line.split()[1])
                for line in r.stdout.splitlines()}

    def test_by_default_pages_are_counted_only(self):
        nothing = dict.fromkeys(
            ("mode", "ioas", "device", "three", "file", "two", "child"), 0)
        for via in ("preload", "seccomp"):
            self.assertEqual(self.ask(via), nothing, via)
            self.assertEqual(self.ask(via, "--memlock", "count"), nothing, via)

    def test_enforced_it_is_linux_s(self):
        for via in ("preload", "seccomp"):
            self.assertEqual(
                self.ask(via, "--memlock", "enforce"),
                {"mode": errno.EPERM, "ioas": 0, "device": 0,
                 "three": errno.ENOMEM, "file": errno.ENOMEM, "two": 0,
                 "child": errno.ENOMEM}, via)

    def test_other_words_are_refused(self):
        r = nestfd_run("--memlock", "no", "true")
        self.assertEqual((r.returncode, r.stdout), (2, ""))
        self.assertEqual(r.stderr.split("\n")[0],
                         "nestfd run: --memlock no: count or enforce")
        self.assertIn("--memlock", nestfd_run("--help").stdout)


if __name__ == "__main__":
    kit.main()
