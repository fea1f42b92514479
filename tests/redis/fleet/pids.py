"""Forked children that get the process number of one before: each change is one of its own all the same. As root."""
import os
import shutil
import subprocess
import sys

from checks import equal, test
from servers import Server
from workers import binding

LAST_PID = "/proc/sys/kernel/ns_last_pid"
CHILDREN = 5


def child_changes(url):
    """In a process number space of its own: what is read after the change of each child."""
    with binding().Store.redis(url) as store:
        for number in range(CHILDREN):
            with open(LAST_PID, "w", encoding="ascii") as last:
                last.write("99")
            child = os.fork()
            if child == 0:
                store.set("flag", number)
                os._exit(0)
            os.waitpid(child, 0)
            print(child, store.get("flag"))


@test
def children_with_the_same_number_make_changes_of_their_own():
    unshare = ["unshare", "--pid", "--fork", "--mount-proc"]
    if os.geteuid() != 0 or not shutil.which("unshare") or subprocess.call([*unshare, "test", "-w", LAST_PID]) != 0:
        print("SKIPPED: no process number space to be had here")
        return
    with Server("pids") as server:
        done = subprocess.run([*unshare, sys.executable, __file__, server.url], check=True, capture_output=True,
                              text=True)
        equal([f"100 {number}" for number in range(CHILDREN)], done.stdout.splitlines(), "what the children have set")


if __name__ == "__main__":
    child_changes(sys.argv[1])
