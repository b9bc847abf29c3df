# SPDX-License-Identifier: MIT
"""Running the client under `nestfd run`."""
import os
import subprocess
import unittest

NESTFD = os.environ["NESTFD"]
CLIENT = os.environ["CLIENT"]
CLIENT_STATIC = os.environ["CLIENT_STATIC"]
SANITIZE = os.environ.get("SANITIZE", "none")
# A keeper forked while another thread starts: libasan's allocator, unlike
# glibc's, takes no care of fork(), and its lock stays taken in the keeper.
KEEPERS_MAY_HANG = "address" in SANITIZE


def sanitizer_library():
    """What must be preloaded before an instrumented library, or None"""
    for word, name in (("address", "libasan.so"), ("thread", "libtsan.so")):
        if word in SANITIZE:
            path = subprocess.run(["gcc", "-print-file-name=" + name],
                                  capture_output=True, text=True).stdout
            return path.strip()
    return None


def environment(**more):
    env = dict(os.environ)
    library = sanitizer_library()
    if library:
        env["LD_PRELOAD"] = library
        # The client is not built for it, and forks in the middle of things.
        env["ASAN_OPTIONS"] = ("detect_leaks=0:handle_segv=0:handle_sigbus=0:"
                               "allow_user_segv_handler=1")
    env.update(more)
    return env


def nestfd_run(*args, **kwargs):
    kwargs.setdefault("timeout", 60)
    kwargs.setdefault("env", environment())
    kwargs.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([NESTFD, "run", *args], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, **kwargs)


class Case(unittest.TestCase):
    def scenario(self, *args, options=("--device", "edu@5"), status=0):
        r = nestfd_run(*options, "--", CLIENT, *args)
        self.assertEqual((r.returncode, r.stderr), (status, ""), args)
        return r.stdout


def main():
    if "thread" in SANITIZE:
        print("skipped: TSan and interposed signal handling do not mix")
        raise SystemExit(77)
    unittest.main(verbosity=2)
