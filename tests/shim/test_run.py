#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd run as a user meets it: options, exit codes, signals, messages."""
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import unittest

import kit
from kit import CLIENT, CLIENT_STATIC, NESTFD, Case, environment, nestfd_run


# IOMMU_GET_HW_INFO of devices 1 and 2: bits of PASIDs, IDR0.PRI
HW_INFO = """
import ctypes, fcntl, os, struct
fd = os.open("/dev/iommu", os.O_RDWR)
for dev in 1, 2:
    data = (ctypes.c_uint32 * 10)()
    arg = bytearray(struct.pack("=IIIIQIBxxxQ", 40, 0, dev, 40,
                                ctypes.addressof(data), 0, 0, 0))
    fcntl.ioctl(fd, 0x3b8a, arg)
    print(arg[28], data[2] >> 16 & 1)
"""

# An IOAS, and of device 1: type and length of what there is, bits of PASIDs;
# of VT-d flags, CAP.ND and SAGAW, ECAP.NEST and PRS
VTD_INFO = """
import ctypes, fcntl, os, struct
fd = os.open("/dev/iommu", os.O_RDWR)
ioas = bytearray(struct.pack("=III", 12, 0, 0))
fcntl.ioctl(fd, 0x3b81, ioas)
data = (ctypes.c_uint64 * 3)()
arg = bytearray(struct.pack("=IIIIQIBxxxQ", 40, 0, 1, 24,
                            ctypes.addressof(data), 0, 0, 0))
fcntl.ioctl(fd, 0x3b8a, arg)
kind, bits = struct.unpack_from("=IB", arg, 24)
length, = struct.unpack_from("=I", arg, 12)
flags, cap, ecap = data
print(struct.unpack("=III", ioas)[2] > 0, kind, length, bits, flags,
      cap & 7, cap >> 8 & 31, ecap >> 26 & 1, ecap >> 29 & 1)
fcntl.ioctl(fd, 0x3b80, bytearray(struct.pack("=II", 8, *struct.unpack(
    "=8xI", ioas))))
"""


class CommandLine(Case):
    def refuses(self, line, *args):
        r = nestfd_run(*args)
        self.assertEqual((r.returncode, r.stdout), (2, ""), args)
        self.assertEqual(r.stderr.split("\n")[0], "nestfd run: " + line)

    def test_what_is_not_there_is_refused_in_one_line(self):
        self.refuses("which program?")
        self.refuses("--iommu amdvi: not built yet", "--iommu=amdvi", "true")
        self.refuses("--iommu x: no such kind", "--iommu", "x", "true")
        self.refuses("--via x: no such way", "--via", "x", "true")
        self.refuses("--cache lazy: fast or hostile", "--cache", "lazy",
                     "true")
        words = "edu@SID[,ats][,pri][,pasid=BITS]"
        for device in ("", "edu", "edu@", "edu@x", "nvme@1", "edu@-1",
                       "edu@1x", "edu@4294967296", "edu@1,", "edu@1,,ats",
                       "edu@1,ats,", "edu@1,ats,ats", "edu@1,pri",
                       "edu@1,ats,pri,pri", "edu@1,pasid", "edu@1,pasid=",
                       "edu@1,pasid=0", "edu@1,pasid=21", "edu@1,pasid=-1",
                       "edu@1,pasid=4x", "edu@1,pasid=4,pasid=4",
                       "edu@1,pasid=18446744073709551617", "edu@1,ATS",
                       "edu@1, ats", "edu@1 ats", "edu@1,ats=1", "edu@1,x",
                       "edu@,ats", "edu@1,pasid=" + "0" * 60 + "4"):
            self.refuses(f"--device {device}: must be {words}",
                         "--device", device, "true")
        self.refuses("--device: at most 64",
                     *[f"--device=edu@{n}" for n in range(65)], "true")
        for word in ("ats", "ats,pri"):
            self.refuses(f"--device: mock has no ATS: edu@3 edu@4,{word}",
                         "--device", "edu@3", "--device", f"edu@4,{word}",
                         "--iommu", "mock", "true")
        self.refuses("--device edu@0x10: there is one already", "--device",
                     "edu@16", "--device", "edu@0x10", "true")
        for fd in ("", "-1", "x", "1024", "3x"):
            self.refuses(f"--fd {fd}: must be 0 to 1023", "--fd", fd, "true")
        words = ("KIND[:p=PROBABILITY][,n=COUNT][,dev=SID][,op=OPCODE]"
                 "[,us=DELAY][,seed=N]")
        for fault in ("", "x", "ill:", "ill:p=2", "abt:dev=1", "ill ill",
                      "ill:n=" + "0" * 300 + "1"):
            self.refuses(f"--inject {fault}: must be {words}", "--inject",
                         fault, "true")
        self.refuses("--inject: at most 16", *["--inject=ill"] * 17, "true")
        for fault in ("abt", "gone", "atc-late", "atc-timeout"):
            self.refuses(f"--inject: mock has none such: {fault}", "--inject",
                         fault, "--iommu", "mock", "true")

    def test_devices_are_what_was_asked_for(self):
        for first, second, answer in (
                ("edu@1", "edu@2", "0 0\n0 0\n"),
                ("edu@0x1,pasid=4", "edu@2,ats,pasid=0x14", "4 0\n20 0\n"),
                ("edu@1,pasid=20,ats", "edu@2,pri,ats", "20 1\n0 1\n")):
            for via in ("preload", "seccomp"):
                r = nestfd_run("--via", via, "--device", first, "--device",
                               second, sys.executable, "-c", HW_INFO)
                self.assertEqual((r.stderr, r.stdout), ("", answer))

    def test_vtd_is_what_was_asked_for(self):
        # IOMMU_HW_INFO_TYPE_INTEL_VTD, ERRATA_772415; 39, 48, 57 bits
        for device, answer in (
                ("edu@1", "True 1 24 0 1 6 14 1 0\n"),
                ("edu@1,ats,pasid=8", "True 1 24 8 1 6 14 1 0\n"),
                ("edu@1,ats,pri", "True 1 24 0 1 6 14 1 1\n")):
            for via in ("preload", "seccomp"):
                r = nestfd_run("--iommu", "vtd", "--via", via, "--device",
                               device, sys.executable, "-c", VTD_INFO)
                self.assertEqual((r.stderr, r.stdout, r.returncode),
                                 ("", answer, 0))

    def test_an_fd_that_no_program_may_have(self):
        def fewer():
            resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        for via in ("preload", "seccomp"):
            r = nestfd_run("--via", via, "--fd", "200", "true",
                           preexec_fn=fewer)
            self.assertEqual((r.returncode, r.stderr), (
                2, "nestfd run: --fd 200: the limit of open files is 200 "
                   "(ulimit -n)\n"))
        r = nestfd_run("--fd", "199", CLIENT, "is-mine", "199",
                       preexec_fn=fewer)
        self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_options_behind_the_program_are_the_program_s(self):
        r = nestfd_run("echo", "--iommu", "mock", "-v", "--")
        self.assertEqual((r.returncode, r.stdout), (0, "--iommu mock -v --\n"))
        r = nestfd_run("--", "echo", "--help")
        self.assertIn("Usage: echo ", r.stdout)

    def test_a_window_that_is_none(self):
        for text in ("", "0", "1s", "-1", "1000001", "nothing", "99999999999"):
            r = nestfd_run("--atc-window", text, "true")
            self.assertEqual(r.returncode, 2, text)
            self.assertIn(f"--atc-window {text}: 1 to 1000000, or none",
                          r.stderr)
        for text in ("1", "1000000", "none"):
            for via in ("preload", "seccomp"):
                r = nestfd_run("--via", via, "--atc-window", text, "true")
                self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_help(self):
        r = nestfd_run("--help")
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        for option in ("--iommu", "--cache", "--device", "--via", "--fd",
                       "--inject", "--memlock", "--atc-window",
                       "--trace", "--stats", "--verbose"):
            self.assertIn(option, r.stdout)

    def test_a_trace_file_that_cannot_be_written(self):
        r = nestfd_run("--trace", "/nowhere/trace", "true")
        self.assertEqual((r.returncode, r.stderr), (
            1, "nestfd run: /nowhere/trace: No such file or directory\n"))


class Programs(Case):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)

    def path(self, name, text=None, mode=0o755):
        path = os.path.join(self.folder.name, name)
        if text is not None:
            with open(path, "w") as f:
                f.write(text)
            os.chmod(path, mode)
        return path

    def says(self, code, program, message):
        r = nestfd_run(program)
        self.assertEqual((r.returncode, r.stdout, r.stderr),
                         (code, "", f"nestfd run: {program}: {message}\n"))

    def test_one_that_does_not_exist(self):
        self.says(127, "/nowhere/program", "No such file or directory")
        self.says(127, "no-program-has-this-name", "No such file or directory")
        self.says(127, "", "No such file or directory")
        self.says(127, self.path("file", "") + "/x", "Not a directory")

    def test_one_that_is_not_executable(self):
        self.says(126, self.path("text", "hello", 0o644), "Permission denied")
        self.says(126, self.folder.name, "Permission denied")

    def test_one_whose_interpreter_is_missing(self):
        self.says(127, self.path("script", "#!/nowhere/sh\n"),
                  "No such file or directory")

    def test_scripts(self):
        r = nestfd_run(self.path("s", "#!/bin/sh\nexec $CLIENT calls\n"))
        self.assertEqual((r.returncode, r.stderr), (0, ""))

    def test_exit_status(self):
        for status in (0, 1, 2, 7, 126, 255):
            r = nestfd_run("--", "sh", "-c", f"exit {status}")
            self.assertEqual((r.returncode, r.stderr), (status, ""))

    def test_death_by_a_signal(self):
        for sig in (signal.SIGKILL, signal.SIGABRT, signal.SIGUSR1):
            r = nestfd_run("--", CLIENT, "crashes", str(int(sig)))
            self.assertEqual((r.returncode, r.stderr), (128 + sig, ""))

    def test_death_by_a_fault(self):
        r = nestfd_run("--", CLIENT, "crashes")
        self.assertEqual((r.returncode, r.stderr),
                         (128 + signal.SIGSEGV, ""))

    def test_static_programs_need_seccomp(self):
        r = nestfd_run("--via", "preload", "--", CLIENT_STATIC)
        self.assertEqual((r.returncode, r.stderr), (
            2, f"nestfd run: {CLIENT_STATIC}: a static program, into which "
               "nothing can be preloaded\n"
               f"nestfd run: {CLIENT_STATIC}: needs --via seccomp\n"))

    def test_setuid_programs_need_seccomp(self):
        if os.getuid():
            self.skipTest("only root can make one that is somebody else's")
        program = self.path("program")
        shutil.copy(CLIENT, program)
        os.chown(program, 65534, 65534)
        for mode in (0o4755, 0o2755):
            os.chmod(program, mode)
            r = nestfd_run("--via", "preload", "--", program, "calls")
            self.assertEqual(r.returncode, 2)
            self.assertIn("setuid, setgid or with file capabilities",
                          r.stderr)

    def test_verbose_says_how(self):
        r = nestfd_run("-v", "--", CLIENT, "calls")
        self.assertEqual((r.returncode, r.stderr), (
            0, f"nestfd run: {CLIENT}: served by preload: "
               "a dynamic program\n"))

    def test_any_file_as_a_program(self):
        """whatever it looks like, there is an answer"""
        with open(CLIENT, "rb") as f:
            elf = f.read(4096)
        for cut in (0, 1, 4, 16, 63, 64, 65, 100, 256, 4095):
            path = self.path("cut")
            with open(path, "wb") as f:
                f.write(elf[:cut])
            os.chmod(path, 0o755)
            r = nestfd_run("--", path)
            # what the kernel has begun to load it kills
            self.assertIn(r.returncode, (0, 2, 126, 127, 139), cut)


class Signals(Case):
    def start(self, *args):
        p = subprocess.Popen([NESTFD, "run", "--", *args],
                             env=environment(), stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        self.addCleanup(p.stdout.close)
        self.addCleanup(p.stderr.close)
        self.assertEqual(p.stdout.readline(), "ready\n")
        return p

    def test_they_go_to_the_program(self):
        for sig in (signal.SIGTERM, signal.SIGHUP):
            p = self.start(CLIENT, "waits")
            p.send_signal(sig)
            self.assertEqual(p.wait(20), 40 + sig)
        for sig in (signal.SIGINT, signal.SIGQUIT, signal.SIGUSR1):
            p = self.start(CLIENT, "waits")
            p.send_signal(sig)
            self.assertEqual(p.wait(20), 128 + sig)

    def test_the_program_s_mask_and_actions_are_ours(self):
        code = ("import signal; print(sorted(map(int, "
                "signal.pthread_sigmask(0, []))), "
                "signal.getsignal(signal.SIGCHLD), "
                "signal.getsignal(signal.SIGUSR2))")
        r = nestfd_run("--", "python3", "-c", code)
        plain = subprocess.run(["python3", "-c", code], text=True,
                               capture_output=True)
        self.assertEqual(r.stdout, plain.stdout)


@unittest.skipIf(kit.KEEPERS_MAY_HANG, "libasan does not mind fork()")
class NothingStays(Case):
    def test_no_process_is_left(self):
        for args in (("execs",), ("orphans",), ("forks",),
                     ("execs", "unused"), ("sends",)):
            self.scenario(*args)
        deadline = time.time() + 20
        while time.time() < deadline:
            left = [p for p in os.listdir("/proc") if p.isdigit()
                    and self.is_keeper(p)]
            if not left:
                return
            time.sleep(0.1)
        self.fail(f"keepers left: {left}")

    @staticmethod
    def is_keeper(pid):
        try:
            with open(f"/proc/{pid}/cmdline") as f:
                mine = f.read().startswith(CLIENT + "\0")
            with open(f"/proc/{pid}/comm") as f:
                return mine and f.read() == "nestfd-keeper\n"
        except OSError:
            return False

    def test_pipes_end_when_the_program_ends(self):
        """a keeper must not hold the program's standard output"""
        r = subprocess.run(["sh", "-c", f"{NESTFD} run -- {CLIENT} orphans "
                            "| cat"], env=environment(), timeout=30,
                           stdout=subprocess.DEVNULL,
                           stderr=subprocess.DEVNULL)
        self.assertEqual(r.returncode, 0)


if __name__ == "__main__":
    kit.main()
