"""With FLAGSTORE_LIB_DIR set, a wheel carries the library of that directory and is for this platform; without, it is
for any platform and finds an installed library. All else is in pyproject.toml."""
import os
import shutil
import sysconfig

from setuptools import setup
from setuptools.command.build_py import build_py
from wheel.bdist_wheel import bdist_wheel

SONAME = "libflagstore.so.0.2"
FOLDER = os.environ.get("FLAGSTORE_LIB_DIR")


class CarryLibrary(build_py):
    def run(self):
        super().run()
        if FOLDER and not getattr(self, "editable_mode", False):  # that would put it into the sources
            shutil.copy(os.path.join(FOLDER, SONAME), os.path.join(self.build_lib, "flagstore", SONAME))


class ForPlatform(bdist_wheel):
    def finalize_options(self):
        super().finalize_options()
        self.root_is_pure = not FOLDER

    def get_tag(self):
        # ctypes needs no Python of a certain version, only the library its platform.
        platform = sysconfig.get_platform().replace("-", "_").replace(".", "_")
        return ("py3", "none", platform) if FOLDER else super().get_tag()


setup(cmdclass={"build_py": CarryLibrary, "bdist_wheel": ForPlatform})
