#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""The same client of /dev/iommu, built once for arm64, on a real Linux and on
nestfd. ./dev test-peers linux calls this.

  linux.py [--verbose] [--build FOLDER]

Linux 7.2 for arm64 is booted under QEMU (no KVM: it is emulated), with an
SMMUv3 of both stages and two edu devices on vfio-pci. client/ runs there on the
kernel's /dev/iommu, then, in the same machine, under nestfd run and in one
process with libnestfd. Exit status 77: nothing was run."""
import argparse
import collections
import os
import pathlib
import re
import struct
import subprocess
import sys
import tempfile
import threading

TOP = pathlib.Path(__file__).resolve().parents[2]
HERE = TOP / "tests" / "peers"
CROSS = "aarch64-linux-gnu-"
BUILT = ("tools/nestfd", "src/shim/libnestfd-preload.so",
         "tests/peers/peers_client")
RUNS = {
    "linux": "the kernel's /dev/iommu",
    "preload": "nestfd run --via preload",
    "seccomp": "nestfd run --via seccomp",
    "inside": "libnestfd, in one process",
}
EDU = ("0000:00:04.0", "0000:00:05.0")
MACHINE = ["-M", "virt,iommu=smmuv3,gic-version=3", "-global",
           "arm-smmuv3.stage=nested", "-cpu", "cortex-a57",
           "-smp", "1", "-m", "1024", "-nodefaults", "-display", "none",
           "-device", "edu,addr=4", "-device", "edu,addr=5"]
SECONDS = 900  # emulated, on a machine that may be busy
FW_CFG = 0x09020000  # of the virt machine
RAM = 0x40000000


class Missing(Exception):
    """Something that this test needs is not here and cannot be had"""


def fetch_parts():
    done = subprocess.run([str(HERE / "linux-parts.sh")], text=True,
                          stdout=subprocess.PIPE)
    if done.returncode == 77:
        raise Missing("the packages of QEMU, Linux and arm64's libraries "
                      "cannot be fetched")
    if done.returncode:
        raise SystemExit("failed: linux-parts.sh")
    return pathlib.Path(done.stdout.strip())


def qemu_command(parts):
    """QEMU by its own dynamic linker, with its own libraries"""
    root = parts / "qemu"
    loader = next(iter(sorted(root.glob("usr/lib*/ld-linux*.so.*"))), None)
    if not loader:
        raise Missing("QEMU's packages have no dynamic linker")
    libraries = sorted(root.glob("usr/lib/*-linux-gnu"))[0]
    return [str(loader), "--library-path", str(libraries),
            str(root / "usr/bin/qemu-system-aarch64"),
            "-L", str(root / "usr/share/qemu"),
            "-bios", str(root / "usr/share/qemu-efi-aarch64/QEMU_EFI.fd"),
            *MACHINE, "-accel", "tcg"]


class Qtest:
    """A machine that does not run, and its memory"""

    def __init__(self, command):
        self.qemu = subprocess.Popen(
            [*command, "-S", "-qtest", "stdio", "-qtest-log", "none"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def do(self, words):
        self.qemu.stdin.write(words + "\n")
        self.qemu.stdin.flush()
        for line in self.qemu.stdout:
            if line.startswith("OK"):
                return line.split()[1:]
            if not line.startswith("IRQ"):
                raise RuntimeError(f"QEMU answers {words}: {line}")
        raise RuntimeError("QEMU has ended")

    def fw_cfg(self, item, size):
        """@size bytes of an item, by fw_cfg's DMA interface (QEMU,
        docs/specs/fw_cfg.rst): select, read"""
        ask = struct.pack(">IIQ", item << 16 | 8 | 2, size, RAM + 0x100000)
        at = int.from_bytes(struct.pack(">Q", RAM), "little")
        self.do(f"write {RAM:#x} {len(ask)} 0x{ask.hex()}")
        self.do(f"writeq {FW_CFG + 16:#x} {at:#x}")
        data, = self.do(f"read {RAM + 0x100000:#x} {size}")
        return bytes.fromhex(data[2:])

    def fw_cfg_file(self, wanted):
        count, = struct.unpack(">I", self.fw_cfg(0x19, 4))
        folder = self.fw_cfg(0x19, 4 + 64 * count)
        for i in range(count):
            size, item, _, name = struct.unpack_from(">IHH56s", folder,
                                                     4 + 64 * i)
            if name.rstrip(b"\0").decode() == wanted:
                return self.fw_cfg(item, size)
        raise RuntimeError(f"QEMU's firmware has no {wanted}")

    def close(self):
        self.qemu.kill()
        self.qemu.communicate()


def canwbs(iort):
    """The IORT with its root complexes marked CANWBS ("coherent whatever the
    device says"): without it Linux nests only on an SMMU with S2FWB, which
    QEMU's has not. A newer revision replaces the firmware's table."""
    iort = bytearray(iort)
    nodes, at = struct.unpack_from("<II", iort, 36)
    marked = 0
    for _ in range(nodes):
        kind, length = struct.unpack_from("<BH", iort, at)
        if kind == 2:
            iort[at + 16 + 7] |= 4  # memory access properties: flags
            marked += 1
        at += length
    assert marked, "no root complex"
    revision, = struct.unpack_from("<I", iort, 24)
    struct.pack_into("<I", iort, 24, revision + 1)
    iort[9] = 0
    iort[9] = -sum(iort) & 0xff
    return bytes(iort)


def make_iort(command):
    machine = Qtest(command)
    try:
        tables = machine.fw_cfg_file("etc/acpi/tables")
    finally:
        machine.close()
    at = tables.index(b"IORT")
    length, = struct.unpack_from("<I", tables, at + 4)
    return canwbs(tables[at:at + length])


class Cpio:
    """An initramfs: newc"""

    def __init__(self):
        self.data = bytearray()
        self.inode = 0
        self.folders = set()

    def entry(self, name, mode, content=b""):
        self.inode += 1
        name = name.encode() + b"\0"
        fields = (self.inode, mode, 0, 0, 1, 0, len(content), 0, 0, 0, 0,
                  len(name), 0)
        self.data += b"070701" + b"".join(b"%08x" % f for f in fields) + name
        self.data += bytes(-len(self.data) % 4) + content
        self.data += bytes(-len(self.data) % 4)

    def folder(self, name):
        parent = os.path.dirname(name)
        if parent:
            self.folder(parent)
        if name not in self.folders:
            self.folders.add(name)
            self.entry(name, 0o40755)

    def add(self, name, content, mode=0o100755):
        self.folder(os.path.dirname(name) or "dev")
        self.entry(name, mode, content)

    def link(self, name, to):
        self.add(name, to.encode(), 0o120777)

    def bytes(self):
        self.entry("TRAILER!!!", 0)
        return bytes(self.data) + bytes(-len(self.data) % 512)


def cross_file(sysroot):
    return f"""[binaries]
c = '{CROSS}gcc'
ar = '{CROSS}ar'
objcopy = '{CROSS}objcopy'
strip = '{CROSS}strip'
pkgconfig = 'pkg-config'

[properties]
sys_root = '{sysroot}'
pkg_config_libdir = '{sysroot}/usr/lib/aarch64-linux-gnu/pkgconfig'

[built-in options]
c_args = ['--sysroot={sysroot}']
c_link_args = ['--sysroot={sysroot}']

[host_machine]
system = 'linux'
cpu_family = 'aarch64'
cpu = 'aarch64'
endian = 'little'
"""


def quietly(*words):
    done = subprocess.run(words, stdout=subprocess.PIPE, text=True,
                          stderr=subprocess.STDOUT)
    if done.returncode:
        print(done.stdout)
        raise SystemExit(f"failed: {' '.join(map(str, words))}")


def build(sysroot, out):
    """nestfd, its preloaded library and the client for arm64"""
    if not (out / "build.ninja").exists():
        out.mkdir(parents=True, exist_ok=True)
        cross = out / "cross.ini"
        cross.write_text(cross_file(sysroot))
        quietly("meson", "setup", "--cross-file", str(cross), str(out),
                str(TOP))
    quietly("ninja", "-C", str(out), *BUILT)
    return [out / name for name in BUILT]


def libraries(sysroot, programs):
    """The shared libraries that @programs want, and those they want"""
    folders = [sysroot / "lib", sysroot / "lib/aarch64-linux-gnu",
               sysroot / "usr/lib/aarch64-linux-gnu"]
    found, todo = {}, list(programs)
    while todo:
        text = subprocess.run(["readelf", "-d", str(todo.pop())], check=True,
                              stdout=subprocess.PIPE, text=True).stdout
        for name in re.findall(r"\(NEEDED\).*\[(.*)\]", text):
            if name in found:
                continue
            at = next((f / name for f in folders if (f / name).exists()), None)
            if not at:
                raise SystemExit(f"no {name} in {sysroot}")
            found[name] = at
            todo.append(at)
    return found


INIT = r"""#!/bin/busybox sh
/bin/busybox --install -s /bin
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs dev /dev
mount -t tmpfs tmp /tmp
for device in DEVICES; do
	echo vfio-pci >/sys/bus/pci/devices/$device/driver_override
	echo $device >/sys/bus/pci/drivers_probe
done
echo "== $(uname -srm)"
run() {
	echo "== begin $1"
	shift
	"$@"
	echo "== status $?"
}
dmesg -n 1
nestfd="/nestfd/nestfd run --iommu smmuv3 --cache hostile"
nestfd="$nestfd --device edu@0x20 --device edu@0x28"
run linux /nestfd/peers_client linux
run preload $nestfd --via preload -- /nestfd/peers_client run
run seccomp $nestfd --via seccomp -- /nestfd/peers_client run
run inside /nestfd/peers_client inside
echo "== last words of the kernel"
dmesg | grep -iE 'smmu|iort|vfio|oops|panic' | tail -n 12
poweroff -f
"""


def make_initrd(parts, iort, programs):
    early = Cpio()
    early.add("kernel/firmware/acpi/iort.aml", iort, 0o100644)
    disk = Cpio()
    for folder in ("dev", "proc", "sys", "tmp", "bin"):
        disk.folder(folder)
    disk.add("bin/busybox",
             next((parts / "linux").glob("usr/bin/busybox")).read_bytes())
    disk.add("init", INIT.replace("DEVICES", " ".join(EDU)).encode())
    for program in programs:
        disk.add("nestfd/" + program.name, program.read_bytes())
    for name, path in libraries(parts / "sysroot", programs).items():
        disk.add("lib/" + name, path.read_bytes())
    return early.bytes() + disk.bytes()


def boot(parts, command, initrd, echo):
    """What the machine's serial port said"""
    with tempfile.TemporaryDirectory(prefix="nestfd-linux-") as folder:
        disk = pathlib.Path(folder) / "initrd"
        disk.write_bytes(initrd)
        qemu = subprocess.Popen(
            ["nice", "-n", "10", *command, "-serial", "stdio", "-no-reboot",
             "-kernel", str(parts / "linux" / "Image"), "-initrd", str(disk),
             "-append", "console=ttyAMA0 quiet panic=-1 rdinit=/init"],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
        timer = threading.Timer(SECONDS, qemu.kill)
        timer.start()
        lines = []
        for raw in qemu.stdout:
            line = re.sub(r"\x1b\[[0-9;?=]*[A-Za-z]", "",
                          raw.decode(errors="replace")).rstrip()
            lines.append(line)
            if echo:
                print(line, flush=True)
        timer.cancel()
        qemu.wait()
    return lines


class Run:
    """What one run of the client has printed"""

    def __init__(self, name):
        self.name = name
        self.words = collections.Counter()
        self.status = None
        self.bad = []
        self.said = {}
        self.lines = []

    def line(self, line):
        self.lines.append(line)
        match = re.match(r"(ok|FAIL|skip) +(.*)", line)
        if match:
            self.words[match.group(1)] += 1
            if match.group(1) == "FAIL":
                self.bad.append(match.group(2))
        match = re.match(r"(\d+) passed, (\d+) failed, (\d+) skipped$", line)
        if match:
            self.said = dict(zip(("ok", "FAIL", "skip"),
                                 map(int, match.groups())))

    def complete(self):
        """It has ended by itself, and not a line of it is missing"""
        return (self.status == (1 if self.bad else 0) and
                {word: self.words[word] for word in ("ok", "FAIL", "skip")} ==
                self.said)


def read_runs(lines):
    runs, run = [], None
    for line in lines:
        match = re.match(r"== (begin|status) (\S+)$", line)
        if match and match.group(1) == "begin":
            run = Run(match.group(2))
            runs.append(run)
        elif match:
            if run:
                run.status = int(match.group(2))
            run = None
        elif run:
            run.line(line)
    return runs


def report(lines, verbose):
    runs = {run.name: run for run in read_runs(lines)}
    total = collections.Counter()
    for name, what in RUNS.items():
        run = runs.get(name) or Run(name)
        if not run.complete():
            run.bad.append("the client has not come to its end")
            run.words["FAIL"] += 1
        total.update(run.words)
        print(f"{what}: {run.words['ok']} ok, {run.words['FAIL']} failed, "
              f"{run.words['skip']} skipped")
        for line in run.lines:
            if line.startswith("NESTFD_EXT_ENABLE") or " rings" in line:
                print(f"    {line}")
        for bad in run.bad:
            print(f"    FAIL {bad}")
        reasons = collections.Counter(
            line.rsplit(": ", 1)[1] for line in run.lines
            if line.startswith("skip"))
        for reason, n in reasons.items():
            print(f"    skipped {n}: {reason}")
    if total["FAIL"] and not verbose:
        print("\n".join(["what the machine said:", *lines[-400:]]))
    print(f"{total['ok']} passed, {total['FAIL']} failed, "
          f"{total['skip']} skipped")
    return 1 if total["FAIL"] else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=str(TOP / "build-arm64"))
    parser.add_argument("--verbose", action="store_true")
    args = parser.parse_args()
    try:
        parts = fetch_parts()
        command = qemu_command(parts)
    except Missing as missing:
        print(f"skipped: {missing}\n0 passed, 0 failed, 1 skipped")
        return 77
    programs = build(parts / "sysroot", pathlib.Path(args.build))
    initrd = make_initrd(parts, make_iort(command), programs)
    lines = boot(parts, command, initrd, args.verbose)
    for line in lines:
        if line.startswith("== Linux"):
            print(f"booted: {line[3:]}")
    return report(lines, args.verbose)


if __name__ == "__main__":
    sys.exit(main())
