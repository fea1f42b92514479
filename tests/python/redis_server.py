"""The Redis that tests may use: that of tests/redis/bindings.sh, whose URL is FLAGSTORE_REDIS, with TLS
FLAGSTORE_REDIS_TLS. Without the feature in the library there is nothing to test on one; with it a server that is
missing is skipped, loudly."""
import os
import re
import subprocess
import sys
import uuid

import flagstore
import tools

URL = os.environ.get("FLAGSTORE_REDIS", "")
TLS_URL = os.environ.get("FLAGSTORE_REDIS_TLS", "")
CERTIFICATES = os.environ.get("FLAGSTORE_REDIS_CERTIFICATES", "")
IS_BUILT = flagstore.has_feature("redis")
PATIENT = {"call_timeout": 60, "open_timeout": 60, "spread": 0, "retry_max": 0.02}
if URL and not IS_BUILT:
    sys.exit("FLAGSTORE_REDIS is set, but the library was built without Redis")


def needed():
    """Called by a test that needs one."""
    if not URL:
        tools.skip("FLAGSTORE_REDIS names no server: see tests/redis/bindings.sh")


def new_hash():
    return "python:" + uuid.uuid4().hex


def open_hash(name=None, **options):
    return flagstore.Store.redis(URL, hash=name or new_hash(), **{**PATIENT, **options})


def cli(*words):
    """What redis-cli says."""
    done = subprocess.run(["redis-cli", "-u", URL, *words], capture_output=True, text=True, timeout=60, check=True)
    if done.stderr or done.stdout.startswith("ERR"):
        raise AssertionError(f"{words}: {done.stdout}{done.stderr}")
    return done.stdout.strip()


def with_user(user, password):
    """The URL with these instead of what it has."""
    return re.sub("//(.*@)?", f"//{user}:{password}@", URL, count=1)
