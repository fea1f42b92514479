"""The process of the soak that forks: forks.c."""
import json
import subprocess
import threading

from checks import Failed, check
from workers import build


class Forker:
    def __init__(self, url):
        self.command, self.failure, self.process, self.said = [build("forks.c"), url], None, None, ""

    def start(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=subprocess.PIPE, text=True)
        threading.Thread(target=self.watch, daemon=True).start()

    def watch(self):
        """It must not end before it is told to."""
        status = self.process.wait()
        if status:
            self.failure = Failed(f"forks ended with {status}")

    def stop(self):
        try:
            self.said, words = self.process.communicate(timeout=120)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise Failed("forks hangs") from None
        if self.process.returncode:
            raise Failed(f"forks ended with {self.process.returncode}: {words}")

    def check(self, server):
        """What is certain is there."""
        for i, word in enumerate(self.said.split()[4:]):
            certain, may_be_more = map(int, word.split(":"))
            text = server("HGET", "flagstore", f"fork.{i}")
            found = json.loads(text)["n"] if text else 0
            check(certain <= found <= certain + may_be_more, f"fork.{i}: {certain} are certain, {found} are there")
        check(int(self.said.split()[0]) > 0, "there were children")

    def report(self):
        children, answers, acknowledged, uncertain = self.said.split()[:4]
        return (f"forks: {children} children, which made {acknowledged} changes for certain and {uncertain} perhaps; "
                f"{answers} answers in their parent meanwhile")
