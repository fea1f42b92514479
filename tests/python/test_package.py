"""The package: its wheel, its types, where it finds the library, and that it has all of the header."""
import ast
import glob
import os
import re
import shutil
import subprocess
import unittest
import venv

import flagstore
import scripts
import tools
from flagstore import _native
from stores import FolderCase

PROJECT = os.path.join(tools.ROOT, "include", "python")
PACKAGE = os.path.join(PROJECT, "flagstore")
LIBRARIES = os.environ.get("FLAGSTORE_LIB_DIR")
SAY = "import flagstore; print(flagstore.version(), flagstore.__file__)"
USE = """
    import sys
    import flagstore
    with flagstore.Store.file(sys.argv[1]) as store:
        store["key"] = 1
    print(flagstore.__file__)
    print(flagstore._native.lib._name)
"""


def without(*names):
    return {name: value for name, value in os.environ.items() if name not in names}


def text_of(*path):
    with open(os.path.join(*path), encoding="utf-8") as file:
        return file.read()


class Header(unittest.TestCase):
    def setUp(self):
        folder = os.environ.get("FLAGSTORE_INCLUDE_DIR", os.path.join(tools.ROOT, "include"))
        self.header = text_of(folder, "flagstore.h")

    def test_every_function_is_bound(self):
        functions = set(re.findall(r"^\w[\w *]*\bflagstore_(\w+)\(", self.header, re.MULTILINE))
        self.assertGreater(len(functions), 60)
        self.assertEqual(functions, set(_native.FUNCTIONS))

    def test_every_constant_is_there_with_its_number(self):
        constants = dict(re.findall(r"^#define FLAGSTORE_(\w+) (\d+)$", self.header, re.MULTILINE))
        for name, number in constants.items():
            if not name.startswith(("VERSION_", "ABI_")):
                short = name if name == "TYPE_MISMATCH" else name.replace("TYPE_", "")
                self.assertEqual(getattr(flagstore, short), int(number), name)
        self.assertEqual(int(constants["ABI_VERSION"]), _native.ABI_VERSION)

    def test_one_version_everywhere(self):
        version = re.search(r'^#define FLAGSTORE_VERSION "(.*)"$', self.header, re.MULTILINE).group(1)
        self.assertEqual((flagstore.__version__, flagstore.version()), (version, version))
        self.assertIn(f'\nversion = "{version}"\n', text_of(PROJECT, "pyproject.toml"))
        self.assertIn(f'"{_native.SONAME}"', text_of(PROJECT, "setup.py"))


class Sources(unittest.TestCase):
    def test_they_are_in_the_grammar_of_the_least_python(self):
        least = re.search(r'requires-python = ">=3\.(\d+)"', text_of(PROJECT, "pyproject.toml")).group(1)
        for path in glob.glob(os.path.join(PACKAGE, "*.py")):
            ast.parse(text_of(path), path, feature_version=(3, int(least)))

    def test_what_is_public_is_documented_and_exported(self):
        for name in flagstore.__all__:
            thing = getattr(flagstore, name)
            if callable(thing):
                self.assertTrue(thing.__doc__, name)
        public = {name for name in vars(flagstore) if not name.startswith("_")} - {"annotations", "openfeature"}
        self.assertEqual(public, set(flagstore.__all__))

    def test_mypy_has_nothing_to_say(self):
        python = tools.python_with("mypy", "openfeature")
        done = subprocess.run([python, "-m", "mypy", "--strict", "--cache-dir", os.devnull, PACKAGE], cwd=PROJECT,
                              capture_output=True, text=True, check=False)
        self.assertEqual(done.returncode, 0, done.stdout)


class Finding(FolderCase):
    """Of the library, by a copy of the folder."""

    def setUp(self):
        super().setUp()
        self.copied = os.path.join(self.folder, "flagstore")
        shutil.copytree(PACKAGE, self.copied, ignore=shutil.ignore_patterns("__pycache__"))

    def run_copy(self, source, *arguments, **variables):
        environment = {**without("FLAGSTORE_LIB_DIR", "LD_LIBRARY_PATH"), "PYTHONPATH": self.folder, **variables}
        return scripts.run(source, *arguments, env=environment)

    def test_a_copied_folder_will_do(self):
        if not LIBRARIES:
            tools.skip("FLAGSTORE_LIB_DIR is not set")
        for variables in [{"FLAGSTORE_LIB_DIR": LIBRARIES}, {"LD_LIBRARY_PATH": LIBRARIES}]:
            status, said, complaints = self.run_copy(SAY, **variables)
            self.assertEqual((status, complaints), (0, ""))
            self.assertEqual(said.split()[1:], [os.path.join(self.copied, "__init__.py")])
        beside = os.path.join(self.copied, _native.SONAME)
        shutil.copy(os.path.join(LIBRARIES, _native.SONAME), beside)
        self.assertEqual(self.run_copy(USE, self.path)[1].splitlines()[1], beside)
        status, said, _ = self.run_copy(USE, self.path, FLAGSTORE_LIB_DIR=LIBRARIES)
        self.assertEqual(said.splitlines()[1], os.path.join(LIBRARIES, _native.SONAME))

    def test_an_import_that_fails_says_what_to_do(self):
        for variables, words in [({"FLAGSTORE_LIB_DIR": self.folder}, [self.folder, "must be the directory"]),
                                 ({"FLAGSTORE_LIB_DIR": "/no/such"}, ["/no/such", _native.SONAME])]:
            status, _, complaints = self.run_copy(SAY, **variables)
            self.assertEqual(status, 1)
            for word in ["ImportError", *words]:
                self.assertIn(word, complaints)
        with open(os.path.join(self.copied, _native.SONAME), "wb"):
            status, _, complaints = self.run_copy(SAY)
        self.assertIn("ImportError: flagstore cannot load its library", complaints)


class Wheel(FolderCase):
    """Built and installed as the README says, in virtual environments of their own."""

    def setUp(self):
        super().setUp()
        if not LIBRARIES:
            tools.skip("FLAGSTORE_LIB_DIR is not set")
        self.environment = os.path.join(self.folder, "venv")
        venv.create(self.environment, with_pip=True)
        self.python = os.path.join(self.environment, "bin", "python")
        self.project = os.path.join(self.folder, "project")  # setuptools writes beside what it builds
        leave = shutil.ignore_patterns("__pycache__", "build", "*.egg-info")
        shutil.copytree(PROJECT, self.project, ignore=leave)

    def pip(self, *arguments, **variables):
        done = subprocess.run([self.python, "-m", "pip", "--disable-pip-version-check", *arguments],
                              capture_output=True, text=True, check=False, cwd=self.folder,
                              env={**without("FLAGSTORE_LIB_DIR", "PYTHONPATH"), **variables})
        if done.returncode != 0:
            tools.skip(f"pip cannot {arguments[0]}: it needs setuptools from an index\n{done.stderr[-2000:]}")

    def use(self, **variables):
        return scripts.run(USE, self.path, program=self.python,
                           env={**without("FLAGSTORE_LIB_DIR", "PYTHONPATH", "LD_LIBRARY_PATH"), **variables})

    def test_a_wheel_carries_the_library(self):
        self.pip("wheel", "--no-deps", "-w", self.folder, self.project, FLAGSTORE_LIB_DIR=LIBRARIES)
        wheel, = glob.glob(os.path.join(self.folder, "*.whl"))
        self.assertRegex(os.path.basename(wheel), r"^flagstore-[\d.]+-py3-none-linux_\w+\.whl$")
        self.pip("install", "--no-deps", wheel)
        status, said, complaints = self.use()
        self.assertEqual((status, complaints), (0, ""))
        package, library = said.splitlines()
        self.assertTrue(package.startswith(self.environment), package)
        self.assertEqual(library, os.path.join(os.path.dirname(package), _native.SONAME))
        self.assertTrue(os.path.exists(os.path.join(os.path.dirname(package), "py.typed")))
        self.assertEqual(self.read(), b'{\n  "key": 1\n}\n')

    def test_an_install_without_the_library_finds_one(self):
        self.pip("install", "--no-deps", self.project)
        self.assertEqual(self.use(FLAGSTORE_LIB_DIR=LIBRARIES)[0], 0)
        package = self.use(LD_LIBRARY_PATH=LIBRARIES)[1].splitlines()[0]
        self.assertFalse(os.path.exists(os.path.join(os.path.dirname(package), _native.SONAME)))
