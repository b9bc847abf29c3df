#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What a stranger gets from `meson install`: headers, both libraries, a
pkg-config file; and that the libraries show exactly what the headers declare.

Usage: test_installed.py BUILD_DIR SOURCE_DIR CC CXX VERSION; 77: no tools
"""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import unittest

CLIENT = r"""
#include <nestfd/device.h>
#include <nestfd/model.h>
#include <nestfd/nestfd.h>
#include <nestfd/viommu.h>
#include <stdio.h>
#include <string.h>

/* Names that a program of its own may use without asking. */
int viommu_alloc(void);
int guard_init(void);
int ids_init(void);
int viommu_alloc(void) { return 1; }
int guard_init(void) { return 2; }
int ids_init(void) { return 3; }

int main(void)
{
	struct nestfd_machine_config config;
	struct { uint32_t size, flags, id; } ioas = { 12, 0, 0 };
	struct nestfd_machine *machine;
	struct nestfd *ctx;

	memset(&config, 0, sizeof(config));
	config.size = sizeof(config);
	config.arch = NESTFD_ARCH_SMMUV3;
	if (nestfd_machine_create(&config, &machine) ||
	    nestfd_open(machine, &ctx) || nestfd_ioctl(ctx, 0x3b81, &ioas))
		return 1;
	printf("ioas %u %d\n", ioas.id,
	       viommu_alloc() + guard_init() + ids_init());
	nestfd_machine_destroy(machine);
	return 0;
}
"""
EXPECTED = "ioas 1 6\n"
WARNINGS = ["-Wall", "-Wextra", "-Werror", "-pedantic-errors"]


def run(*argv, **kwargs):
    done = subprocess.run([str(a) for a in argv], capture_output=True,
                          text=True, check=False, **kwargs)
    if done.returncode:
        raise AssertionError("%s: exit %d\n%s%s" % (
            " ".join(str(a) for a in argv), done.returncode, done.stdout,
            done.stderr))
    return done.stdout


def defined(path, *options):
    """Names of the global symbols that @path defines."""
    names = set()
    for line in run("nm", "--defined-only", *options, path).splitlines():
        fields = line.split()
        if len(fields) == 3 and fields[1] in "TDBRVWi":
            names.add(fields[2].split("@")[0])
    return names


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.tmp = pathlib.Path(tempfile.mkdtemp(prefix="nestfd-installed-"))
        cls.addClassCleanup(shutil.rmtree, cls.tmp)
        cls.root = cls.tmp / "root"
        run("meson", "install", "-C", BUILD, "--no-rebuild", "--destdir",
            cls.root)
        cls.pc = next(cls.root.rglob("nestfd.pc"))
        cls.so = next(cls.root.rglob("libnestfd.so"))
        cls.archive = next(cls.root.rglob("libnestfd.a"))
        cls.env = dict(os.environ, PKG_CONFIG_PATH=str(cls.pc.parent),
                       PKG_CONFIG_SYSROOT_DIR=str(cls.root),
                       LD_LIBRARY_PATH=str(cls.so.parent))

    def pkg_config(self, *options):
        return run("pkg-config", *options, "nestfd", env=self.env).split()

    def build(self, compiler, standard, suffix, libs):
        source = self.tmp / ("client" + suffix)
        source.write_text(CLIENT)
        program = self.tmp / "client"
        run(*compiler, standard, *WARNINGS, source, "-o", program,
            *self.pkg_config("--cflags"), *libs)
        self.assertEqual(run(program, env=self.env), EXPECTED)

    def test_all_public_headers_are_there(self):
        installed = {p.name for p in self.root.rglob("include/nestfd/*.h")}
        ours = {p.name for p in (SOURCE / "include/nestfd").iterdir()}
        self.assertEqual(installed, ours)

    def test_the_abis_header_is_where_pkg_config_says(self):
        uapi, = self.pkg_config("--variable=uapidir")
        if not uapi.startswith(str(self.root)):  # pkgconf leaves it out here
            uapi = str(self.root) + uapi
        source = self.tmp / "abi.c"
        source.write_text("#include <linux/iommufd.h>\n")
        said = run(*CC, "-std=c11", *WARNINGS, "-M", "-I", uapi, source)
        self.assertIn(uapi + "/linux/iommufd.h", said)

    def test_each_header_stands_alone(self):
        for header in (SOURCE / "include/nestfd").iterdir():
            for compiler, standard, suffix in ((CC, "-std=c11", ".c"),
                                               (CXX, "-std=c++17", ".cc")):
                source = self.tmp / ("alone" + suffix)
                source.write_text("#include <nestfd/%s>\n" % header.name)
                run(*compiler, standard, *WARNINGS, "-fsyntax-only", source,
                    *self.pkg_config("--cflags"))

    def test_a_c11_client_links_and_runs(self):
        self.build(CC, "-std=c11", ".c", self.pkg_config("--libs"))

    def test_a_cxx_client_links_and_runs(self):
        self.build(CXX, "-std=c++17", ".cc", self.pkg_config("--libs"))

    def test_a_client_of_the_archive_links_and_runs(self):
        libs = [self.archive if lib == "-lnestfd" else lib
                for lib in self.pkg_config("--libs", "--static")]
        self.build(CC, "-std=c11", ".c", libs)

    def test_the_version_is_the_projects(self):
        self.assertEqual(self.pkg_config("--modversion"), [VERSION])

    def test_the_library_has_the_name_that_clients_ask_for(self):
        dynamic = run("readelf", "-d", self.so)
        self.assertIn("[libnestfd.so.0]", dynamic)

    def test_it_shows_what_the_map_says(self):
        text = (SOURCE / "src/lib/nestfd.map").read_text()
        wanted = set(re.findall(r"^\s+(nestfd_\w+);", text, re.M))
        self.assertEqual(defined(self.so, "-D"), wanted)

    def test_the_map_says_what_the_headers_declare(self):
        text = (SOURCE / "src/lib/nestfd.map").read_text()
        mapped = set(re.findall(r"^\s+(nestfd_\w+);", text, re.M))
        declared = set()
        for header in (SOURCE / "include/nestfd").iterdir():
            code = re.sub(r"/\*.*?\*/", "", header.read_text(), flags=re.S)
            declared |= set(re.findall(r"^\w[\w \*]*?\b(nestfd_\w+)\(", code,
                                       re.M))
        self.assertEqual(declared, mapped)

    def test_the_archive_keeps_its_other_names_to_itself(self):
        self.assertEqual(
            {n for n in defined(self.archive) if not n.startswith("nestfd_")},
            set())


if __name__ == "__main__":
    if not all(shutil.which(t) for t in ("meson", "nm", "pkg-config")):
        sys.exit(77)
    BUILD, SOURCE = (pathlib.Path(a).resolve() for a in sys.argv[1:3])
    CC, CXX, VERSION = sys.argv[3].split(), sys.argv[4].split(), sys.argv[5]
    unittest.main(argv=sys.argv[:1])
