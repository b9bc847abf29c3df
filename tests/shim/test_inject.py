#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd run --inject: what a program is told of errors of the hardware. The
program is this file itself, on both ways in."""
import ctypes
import errno
import fcntl
import os
import struct
import sys
import time
import unittest

import kit

# Words of four invalidations: TLBI_NH_VA and TLBI_NH_ASID (0x11) in turn
COMMANDS = (0x12, 0x1001, 0x11, 0, 0x12, 0x1001, 0x11, 0)


class Iommu:
    """The structs of <linux/iommufd.h>; all begin with their size."""

    def __init__(self):
        self.fd = os.open("/dev/iommu", os.O_RDWR)

    def call(self, number, layout, *fields):
        """(0 or an errno, the struct without its size)"""
        size = struct.calcsize("=I" + layout)
        buf = bytearray(struct.pack("=I" + layout, size, *fields))
        try:
            fcntl.ioctl(self.fd, 0x3b00 | number, buf)
            error = 0
        except OSError as e:
            error = e.errno
        return error, struct.unpack("=I" + layout, buf)[1:]

    def must(self, *args):
        error, fields = self.call(*args)
        if error:
            raise OSError(error, os.strerror(error))
        return fields


def program():
    """Prints the answer of one IOMMU_HWPT_INVALIDATE, and its milliseconds."""
    iommu = Iommu()
    ioas = iommu.must(0x81, "II", 0, 0)[1]
    # device 1, a nest parent
    hwpt = iommu.must(0x89, "IIIIIIIQII", 1, 1, ioas, 0, 0, 0, 0, 0, 0, 0)[3]
    viommu = iommu.must(0x90, "IIIII", 0, 1, 1, hwpt, 0)[4]
    words = (ctypes.c_uint64 * len(COMMANDS))(*COMMANDS)
    start = time.monotonic()
    error, fields = iommu.call(0x8d, "IQIIII", viommu,
                               ctypes.addressof(words), 1, 16, 4, 0)
    print(error, fields[4], int((time.monotonic() - start) * 1000))


class Inject(unittest.TestCase):
    def invalidate(self, *rules):
        """(errno, entries done, milliseconds), the same in each way"""
        answers = []
        options = [word for rule in rules for word in ("--inject", rule)]
        for via in ("preload", "seccomp"):
            r = kit.nestfd_run("--via", via, "--device", "edu@5", *options,
                               sys.executable, os.path.abspath(__file__),
                               "program")
            self.assertEqual((r.returncode, r.stderr), (0, ""), via)
            answers.append(tuple(map(int, r.stdout.split())))
        self.assertEqual(answers[0][:2], answers[1][:2])
        return answers[0][0], answers[0][1], min(a[2] for a in answers)

    def test_nothing_is_wrong_without_a_rule(self):
        self.assertEqual(self.invalidate()[:2], (0, 4))

    def test_the_entry_that_is_called_illegal_is_named(self):
        self.assertEqual(self.invalidate("ill:op=0x11,n=1")[:2],
                         (errno.EIO, 1))
        self.assertEqual(self.invalidate("ill:op=0x12,n=1")[:2],
                         (errno.EIO, 0))

    def test_a_rule_for_what_does_not_come(self):
        self.assertEqual(self.invalidate("ill:op=0x13")[:2], (0, 4))
        self.assertEqual(self.invalidate("gone", "atc-timeout:dev=5")[:2],
                         (0, 4))

    def test_an_abort_that_passes_is_not_seen(self):
        self.assertEqual(self.invalidate("abt:n=1")[:2], (0, 4))

    def test_an_abort_that_does_not_is_the_unit_s_end(self):
        self.assertEqual(self.invalidate("abt")[:2], (errno.EIO, 0))

    def test_a_slow_sync_is_waited_for(self):
        error, done, took = self.invalidate("slow-sync:n=1,us=200000")
        self.assertEqual((error, done), (0, 4))
        self.assertGreaterEqual(took, 200)

    def test_rules_add_up(self):
        error, done, took = self.invalidate("ill:op=0x11,n=1",
                                            "slow-sync:n=1,us=200000")
        self.assertEqual((error, done), (errno.EIO, 1))
        self.assertGreaterEqual(took, 200)


if __name__ == "__main__":
    if sys.argv[1:] == ["program"]:
        program()
    else:
        kit.main()
