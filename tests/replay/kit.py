# SPDX-License-Identifier: MIT
"""What the tests of nestfd replay share: running it, and reading recordings
without any of its code."""
import collections
import json
import lzma
import os
import shutil
import struct
import subprocess
import sys
import tempfile

NESTFD = os.environ["NESTFD"]
TRACES = os.environ["NESTFD_TRACES"]
sys.dont_write_bytecode = True


def run(*args, **kwargs):
    kwargs.setdefault("stdout", subprocess.PIPE)
    return subprocess.run([NESTFD, *map(str, args)], stderr=subprocess.PIPE,
                          text=True, timeout=300, **kwargs)


def replay(*args):
    """(exit code, the report of the only recording)"""
    r = run("replay", "--json", *args)
    if r.returncode == 2:
        raise AssertionError(r.stderr)
    return r.returncode, json.loads(r.stdout)["recordings"][0]


def trace(name):
    return os.path.join(TRACES, name)


def recording(path):
    """One that is not of the tree may be absent: then there is no test."""
    if not os.path.isdir(path) and \
            not os.path.realpath(path).startswith(os.path.realpath(TRACES)):
        print("skipped: no recording", os.path.basename(path), "in ../shared")
        sys.exit(77)
    return path


def meta(path):
    with open(os.path.join(path, "meta.json")) as f:
        return json.load(f)


def unpack(path, name):
    with lzma.open(os.path.join(path, name), "rt", encoding="ascii") as f:
        return f.read()


def log_counts(path):
    return collections.Counter(
        line.split(" ", 1)[0].strip()
        for line in unpack(path, "log.txt.xz").splitlines())


class Altered:
    """A copy of a recording, of which parts are changed"""

    def __init__(self, path):
        self.dir = tempfile.TemporaryDirectory()
        self.path = os.path.join(self.dir.name, "recording")
        shutil.copytree(path, self.path)
        for name in os.listdir(self.path):
            os.chmod(os.path.join(self.path, name), 0o644)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.dir.cleanup()

    def file(self, name):
        return os.path.join(self.path, name)

    def lines(self, name, change):
        """change(lines) edits the list of a compressed text in place"""
        lines = unpack(self.path, name).splitlines()
        before = list(lines)
        change(lines)
        assert lines != before, "nothing was changed"
        with lzma.open(self.file(name), "wt", encoding="ascii") as f:
            f.write("\n".join(lines) + "\n")

    def line(self, name, tag, fields, number=0):
        """Set fields {place: text} of the number-th line that starts so"""
        def change(lines):
            found = [i for i, line in enumerate(lines)
                     if line.split(" ")[0] == tag]
            words = lines[found[number]].split(" ")
            for place, text in fields.items():
                words[place] = text(words[place]) if callable(text) else text
            lines[found[number]] = " ".join(words)
        self.lines(name, change)

    def byte(self, name, offset, flip):
        with open(self.file(name), "r+b") as f:
            f.seek(offset)
            old = f.read(1)[0]
            f.seek(offset)
            f.write(bytes([old ^ flip]))

    def cut(self, name, length):
        with open(self.file(name), "r+b") as f:
            f.truncate(length)


def commands(path):
    """[(word 0, word 1)], of four words if the commands are that wide"""
    data = lzma.open(os.path.join(path, "commands.bin.xz")).read()
    return list(struct.iter_unpack("<%dQ" % (meta(path)["entry_bytes"] // 8),
                                   data))
