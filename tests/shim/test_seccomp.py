#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""nestfd run --via seccomp: static programs, and whatever else asks for it."""
import os
import resource
import shutil
import signal
import subprocess
import tempfile
import time
import unittest

import kit
from kit import CLIENT, CLIENT_STATIC, NESTFD, Case, environment, nestfd_run

GO = r"""
package main

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"unsafe"
)

func main() {
	fd, err := syscall.Open("/dev/iommu", syscall.O_RDWR, 0)
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	var all sync.WaitGroup
	for i := 0; i < 8; i++ {
		all.Add(1)
		go func() {
			for j := 0; j < 200; j++ {
				arg := [3]uint32{12, 0, 0}
				_, _, e := syscall.Syscall(syscall.SYS_IOCTL, uintptr(fd),
					0x3b81, uintptr(unsafe.Pointer(&arg)))
				if e != 0 || arg[2] == 0 {
					fmt.Println(e, arg)
					os.Exit(1)
				}
			}
			all.Done()
		}()
	}
	all.Wait()
}
"""


# A program that may not make the system call NUMBER: ENOSYS
WITHOUT = r"""
import ctypes, os, struct, sys
def op(code, yes, no, k):
    return struct.pack("HBBI", code, yes, no, k)
code = (op(0x20, 0, 0, 0) + op(0x15, 0, 1, int(sys.argv[1])) +
        op(0x06, 0, 0, 0x50000 | 38) + op(0x06, 0, 0, 0x7fff0000))
code = ctypes.create_string_buffer(code)
libc = ctypes.CDLL(None)
assert not libc.prctl(38, 1, 0, 0, 0)
assert not libc.prctl(22, 2, ctypes.create_string_buffer(
    struct.pack("HxxxxxxQ", 4, ctypes.addressof(code))))
os.execv(sys.argv[2], sys.argv[2:])
"""


class Seccomp(Case):
    def works(self, *args, status=0, out="", err=""):
        r = nestfd_run(*args)
        self.assertEqual((r.returncode, r.stdout, r.stderr),
                         (status, out, err), args)

    def test_a_static_program_is_served_without_being_asked_for(self):
        self.works("--", CLIENT_STATIC)
        self.works("-v", "--", CLIENT_STATIC, err=(
            f"nestfd run: {CLIENT_STATIC}: served by seccomp: a static "
            "program, into which nothing can be preloaded\n"))
        self.works("--", CLIENT_STATIC, "forks")

    def test_a_dynamic_program_when_asked_for(self):
        self.works("--via", "seccomp", "--", "sh", "-c",
                   f"{CLIENT_STATIC} && {CLIENT_STATIC} forks")
        self.works("--via", "seccomp", "-v", "--", "true", err=(
            f"nestfd run: {shutil.which('true')}: served by seccomp: "
            "as asked for\n"))

    def scenarios(self, options, names):
        for name in names:
            with self.subTest(name=name):
                self.works("--via", "seccomp", *options, "--", CLIENT,
                           *name.split())

    def test_scenarios_of_the_preloaded(self):
        self.scenarios(("--device", "edu@5"), (
            "calls", "duplicates", "contexts", "memory", "close-everything",
            "reused-ids", "threads", "closes-meanwhile"))

    def test_scenarios_of_several_processes(self):
        self.scenarios(("--device", "edu@5"), (
            "forks", "fork-data", "fork-queue", "orphans",
            "execs", "execs unused", "sends", "spawns", "threads forwarded"))

    def test_scenarios_with_signals(self):
        self.scenarios(("--device", "edu@5"), (
            "handler-before", "handler-after", "bus-errors", "blocked",
            "handler-jumps", "actions"))

    def test_scenarios_of_hostile_programs(self):
        self.scenarios(("--device", "edu@5"), (
            "wild-pointers", "sizes", "numbers", "garbage 1",
            "abuse-of-the-fd"))
        self.scenarios((), ("read-only-struct",))

    def test_scenarios_with_queues(self):
        self.scenarios(("--iommu", "mock"), (
            "queue-outlives", "queue-closed-meanwhile", "queue-forked",
            "queue-executed", "queue-executed itself", "fault-queues",
            "files-stay"))

    def test_a_hundred_thousand_objects(self):
        self.scenarios((), ("many-objects",))

    def test_error_codes_and_rings_for_who_asks(self):
        self.works("--via", "seccomp", "--device", "edu@5", "--", CLIENT,
                   "ring")

    def test_fd(self):
        self.works("--fd", "9", "--", CLIENT_STATIC, "9")
        for fd in range(0, 12):
            self.works("--via", "seccomp", "--fd", str(fd), "--",
                       CLIENT_STATIC, str(fd))

    def test_the_limit_of_fds_is_the_program_s_own(self):
        # ulimit -n says the soft one
        r = nestfd_run("--via", "seccomp", "--", "sh", "-c", "ulimit -n")
        own = subprocess.run(["sh", "-c", "ulimit -n"], capture_output=True,
                             text=True, check=True)
        self.assertEqual(r.stdout, own.stdout)

    def test_what_it_makes_the_server_allocate_is_bounded(self):
        if "address" in kit.SANITIZE:
            self.skipTest("ASan's allocator needs more than the limit")

        def less():
            resource.setrlimit(resource.RLIMIT_DATA, (32 << 20, 32 << 20))
        r = nestfd_run("--", CLIENT_STATIC, "hoards", "1000000",
                       preexec_fn=less)
        self.assertEqual((r.returncode, r.stderr), (0, ""))
        # without a limit there is one, which is not the program's
        r = nestfd_run("--via", "seccomp", "--", "sh", "-c",
                       "ulimit -d; cat /proc/$PPID/limits")
        own = subprocess.run(["sh", "-c", "ulimit -d"], capture_output=True,
                             text=True, check=True).stdout
        self.assertTrue(r.stdout.startswith(own))
        self.assertRegex(r.stdout, r"\nMax data size +[0-9]+ ")

    @unittest.skipIf(os.uname().machine != "x86_64", "numbers are x86-64's")
    def test_what_is_missing_is_said_in_a_line(self):
        for number, words in (
                (317, "this kernel has no seccomp user notification"),
                (434, "this kernel has no pidfd_open(2)"),
                (438, "processes may not take each other's fds "
                      "(pidfd_getfd(2))"),
                (310, "processes may not read each other's memory "
                      "(process_vm_readv(2))")):
            r = subprocess.run(
                ["python3", "-c", WITHOUT, str(number), NESTFD, "run", "--",
                 CLIENT_STATIC], env=environment(), capture_output=True,
                text=True, timeout=60)
            self.assertEqual((r.returncode, r.stdout, r.stderr), (
                2, "", f"nestfd run: --via seccomp: {words}\n"))
        self.works("--via", "seccomp", "--", NESTFD, "run", "--",
                   CLIENT_STATIC, status=2, err=(
                       "nestfd run: seccomp filter: there is one already "
                       "that somebody listens to\n"))

    def test_status_and_signals(self):
        self.works("--via", "seccomp", "--", "sh", "-c", "exit 7", status=7)
        self.works("--via", "seccomp", "--", "sh", "-c", "kill -9 $$",
                   status=137)
        p = subprocess.Popen([NESTFD, "run", "--via", "seccomp", "--", "sh",
                              "-c", "trap 'exit 5' TERM; echo up; "
                              "while :; do sleep 0.05; done"],
                             stdout=subprocess.PIPE, env=environment())
        self.assertEqual(p.stdout.readline(), b"up\n")
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 5)
        p.stdout.close()

    def test_programs_that_cannot_be_run(self):
        self.works("--via", "seccomp", "--", "/nowhere/x", status=127,
                   err="nestfd run: /nowhere/x: No such file or directory\n")
        with tempfile.NamedTemporaryFile("w") as f:
            f.write("#!/nowhere/sh\n")
            f.flush()
            os.chmod(f.name, 0o755)
            # the text file is busy only while it is open for writing
            copy = f.name + ".sh"
            shutil.copy(f.name, copy)
            try:
                self.works("--via", "seccomp", "--", copy, status=127, err=(
                    f"nestfd run: {copy}: No such file or directory\n"))
            finally:
                os.unlink(copy)

    def test_what_the_program_leaves_is_served_to_its_end(self):
        self.works("--", CLIENT_STATIC, "leaves", status=7,
                   out="still served\n")

    def test_leaving_can_be_cut_short(self):
        p = subprocess.Popen([NESTFD, "run", "--via", "seccomp", "--", "sh",
                              "-c", "sleep 30 & echo $!"],
                             stdout=subprocess.PIPE, env=environment())
        left = int(p.stdout.readline())
        time.sleep(0.3)
        p.send_signal(signal.SIGTERM)
        self.assertEqual(p.wait(20), 0)
        os.kill(left, signal.SIGKILL)
        p.stdout.close()

    def test_trace_and_stats(self):
        r = nestfd_run("--trace", "-", "--stats", "--", CLIENT_STATIC)
        self.assertEqual((r.returncode, r.stdout), (0, ""))
        lines = r.stderr.split("\n")
        self.assertEqual(lines[:3], [
            'open("/dev/iommu", 0x2) = 3',
            "ioctl(3, IOMMU_IOAS_ALLOC, {size=12, flags=0} => "
            "{out_ioas_id=1}) = 0",
            "ioctl(3, IOMMU_DESTROY, {size=8, id=1}) = 0"])
        self.assertRegex(r.stderr, r"\n +1 +0 +[0-9.]+ +[0-9]+  "
                         r"IOMMU_IOAS_ALLOC\n")

    def test_a_trace_tells_of_closes(self):
        r = nestfd_run("--via", "seccomp", "--trace", "-", "--stats", "--",
                       "sh", "-c", "exec 9<>/dev/iommu 9>&-")
        self.assertRegex(r.stderr, r'open\("/dev/iommu", 0x\w+\) = (\d+)\n'
                         r"close\(\1\) = 0\nclose\(9\) = 0\n")
        self.assertRegex(r.stderr, r"\n +2 +0 +[0-9.]+ +[0-9]+  close\n")

    def test_exec_keeps_what_is_open(self):
        self.works("--via", "seccomp", "--", "sh", "-c",
                   f"exec 9<>/dev/iommu; exec {CLIENT_STATIC} 9")
        self.works("--via", "seccomp", "--", "sh", "-c",
                   f"exec 9<>/dev/iommu; {CLIENT_STATIC} 9; "
                   f"{CLIENT_STATIC} 9 & wait $!")

    def test_other_ioctls_do_not_wait(self):
        r = nestfd_run("--", CLIENT_STATIC, "many", "500")
        self.assertEqual(r.returncode, 0)
        words = r.stdout.split()
        ours, others = float(words[0]), float(words[4])
        print(r.stdout, end="")
        if kit.SANITIZE == "none":
            self.assertLess(others * 3, ours)

    def test_a_go_program(self):
        if not shutil.which("go"):
            self.skipTest("no go compiler")
        with tempfile.TemporaryDirectory() as folder:
            source = os.path.join(folder, "main.go")
            with open(source, "w") as f:
                f.write(GO)
            program = os.path.join(folder, "main")
            subprocess.run(["go", "build", "-o", program, source], check=True,
                           env=dict(os.environ, GOCACHE=folder,
                                    GO111MODULE="off"))
            self.works("--", program)


if __name__ == "__main__":
    r = nestfd_run("--via", "seccomp", "--", "true")
    if r.returncode == 2:
        print("skipped:", r.stderr)
        raise SystemExit(77)
    kit.main()
