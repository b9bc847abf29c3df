#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd run --trace and --stats."""
import os
import re
import subprocess
import tempfile

import kit
from kit import CLIENT, CLIENT_STATIC, Case, nestfd_run

HERE = os.path.dirname(os.path.abspath(__file__))


def normal(text):
    """Addresses vary from run to run, registers with the model."""
    text = re.sub(r"data=\[0, 0, [^]]*\]\}\) = 0", "data=[REGISTERS]}) = 0",
                  text)
    return re.sub(r"0x[57][0-9a-f]{11}\b", "ADDRESS", text)


class Trace(Case):
    def trace(self, *args, options=("--device", "edu@5")):
        with tempfile.TemporaryDirectory() as folder:
            path = os.path.join(folder, "trace")
            r = nestfd_run(*options, "--trace", path, "--", CLIENT, *args)
            self.assertEqual((r.returncode, r.stderr), (0, ""))
            with open(path) as f:
                return f.read()

    def test_every_call_is_decoded(self):
        with open(os.path.join(HERE, "traced.golden")) as f:
            self.assertEqual(normal(self.trace("traced")), f.read())

    def test_standard_error(self):
        r = nestfd_run("--device", "edu@5", "--trace", "-", "--", CLIENT,
                       "traced")
        self.assertEqual(normal(r.stderr), normal(self.trace("traced")))

    def test_standard_error_that_is_a_file(self):
        with tempfile.NamedTemporaryFile("r") as f:
            with open(f.name, "w") as to:
                subprocess.run([kit.NESTFD, "run", "--device", "edu@5",
                                "--stats", "--trace", "-", "--", CLIENT,
                                "traced"], stderr=to, timeout=60,
                               stdout=subprocess.DEVNULL,
                               env=kit.environment(), check=True)
            text = f.read()
        lines = normal(self.trace("traced"))
        self.assertTrue(normal(text).startswith(lines))
        self.assertIn("ns/call", text[len(lines):])

    def test_lines_that_cannot_be_written_are_counted(self):
        for program, lines in ((CLIENT, 7), (CLIENT_STATIC, 3)):
            r = nestfd_run("--trace", "/dev/full", "--", program,
                           *(["calls"] if program == CLIENT else []))
            self.assertEqual((r.returncode, r.stderr), (
                0, "nestfd run: --trace /dev/full: No space left on device: "
                   f"{lines} lines are lost\n"))

    def test_who_reads_it_may_go_away(self):
        for via in ("preload", "seccomp"):
            with tempfile.TemporaryDirectory() as folder:
                path = os.path.join(folder, "trace")
                os.mkfifo(path)
                with subprocess.Popen(["head", "-n", "1", path],
                                      stdout=subprocess.DEVNULL):
                    r = nestfd_run("--via", via, "--trace", path, "--",
                                   "sh", "-c", f"{CLIENT} threads; "
                                   f"{CLIENT} calls")
            self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_a_program_that_touches_nothing(self):
        self.assertEqual(self.trace("touches-nothing"), "")

    def test_verbose_lines_begin_with_the_thread(self):
        with tempfile.NamedTemporaryFile("r") as f:
            r = nestfd_run("-v", "--trace", f.name, "--", CLIENT, "threads")
            self.assertEqual(r.returncode, 0)
            threads = set()
            for line in f:
                m = re.match(r"\[pid (\d+)\] (open|ioctl|close)\(", line)
                self.assertIsNotNone(m, line)
                threads.add(m.group(1))
        self.assertEqual(len(threads), 9)

    def test_lines_of_threads_do_not_mix(self):
        lines = self.trace("threads").splitlines()
        self.assertEqual(len(lines), 2 + 8 * 2000 * 2)
        for line in lines:
            self.assertRegex(line, r"^(open|ioctl)\(.*\) = \d+$")

    def test_children_are_traced_too(self):
        text = self.trace("forks")
        self.assertGreaterEqual(text.count("IOMMU_IOAS_ALLOC"), 10)
        self.assertIn("ioctl(3, IOMMU_DESTROY, NULL) = -1 EFAULT", text)

    def test_hostile_arguments(self):
        for scenario in ("wild-pointers", "sizes", "numbers", "garbage"):
            for line in self.trace(scenario).splitlines():
                self.assertRegex(
                    line, r"^(open|close|ioctl)\(.*\) = (-1 E[A-Z0-9]+ \(.*\)"
                          r"|\d+)$")


class Stats(Case):
    def test_the_table(self):
        r = nestfd_run("--stats", "--", CLIENT, "calls")
        self.assertEqual(r.returncode, 0)
        rows = [line.split(None, 4) for line in r.stderr.splitlines()]
        self.assertEqual(rows[0], ["calls", "errors", "total", "ms",
                                   "ns/call  call"])
        counts = {row[4]: (int(row[0]), int(row[1])) for row in rows[1:]}
        # two calls of the scenario are on a closed fd: not ours any more
        self.assertEqual(counts, {
            "IOMMU_IOAS_ALLOC": (2, 0), "IOMMU_DESTROY": (3, 1),
            "open": (1, 0), "close": (1, 0), "total": (7, 1)})

    def test_all_processes_count(self):
        r = nestfd_run("--stats", "--", CLIENT, "threads", "forwarded")
        self.assertEqual(r.returncode, 0)
        self.assertRegex(r.stderr, r"\n +32001 +0 .* IOMMU_IOAS_ALLOC\n")
        self.assertRegex(r.stderr, r"\n +32000 +0 .* IOMMU_DESTROY\n")

    def test_a_program_that_dies(self):
        r = nestfd_run("--stats", "--", CLIENT, "crashes", "9")
        self.assertEqual(r.returncode, 137)
        self.assertRegex(r.stderr, r"\n +1 +1 .* IOMMU_DESTROY\n")

    def test_nothing_to_count(self):
        r = nestfd_run("--stats", "--", CLIENT, "touches-nothing")
        self.assertEqual(r.returncode, 0)
        self.assertEqual(len(r.stderr.splitlines()), 2)


if __name__ == "__main__":
    kit.main()
