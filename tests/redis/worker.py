"""One client of faults.py in Python; what it does is said in worker.c."""
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "include", "python"))
from flagstore import Batch, FlagstoreError, Store  # noqa: E402

NUMBERS = {"read_mode", "when_lost", "flags", "max_bytes", "connections", "wait_replicas"}
TEXTS = {"fallback_path", "hash", "username", "password", "password_file", "tls_ca_file", "tls_cert_file",
         "tls_key_file", "tls_server_name", "sentinel_master"}
TIMES = {"open_timeout_ms", "call_timeout_ms", "max_stale_ms", "verify_ms", "spread_ms", "retry_max_ms", "wait_ms"}


def die(*words):
    os.write(2, f"worker: {' '.join(words)}\n".encode())
    os._exit(2)


class Client:
    """A handle."""

    def __init__(self, url, *options):
        self.store = Store.redis(url, **dict(map(option, options)))
        self.after, self.seen, self.watching = 1, [], None

    def get(self, key):
        text = self.store.get_json(key)
        return "absent" if text is None else text

    def set(self, key, text):
        self.store.set_json(key, text)

    def delete(self, key):
        return self.store.delete(key)

    def list(self):
        return self.store.list_all_json()

    def commit(self, key, expected, text):
        with Batch() as batch:
            batch.expect_json(key, None if expected == "absent" else expected)
            batch.set_json(key, text)
            self.store.commit(batch)

    def revision(self):
        self.after = self.store.revision()
        return self.after

    def wait(self, timeout):
        revision = self.store.wait(self.after, int(timeout) / 1000)
        self.after = revision or self.after
        return revision is not None

    def watch(self):
        self.watching = self.store.watch(
            lambda key, _old, new: self.seen.append(f"{key}={'absent' if new is None else new}"))

    def tell_seen(self):
        told = list(self.seen)
        del self.seen[:len(told)]  # another may have come
        return " ".join(told)

    def status(self):
        now = self.store.status()
        return f"{now.state} {now.push} {round(now.age * 1000)} {now.reconnects} {now.refreshes}"

    def sync(self, timeout):
        self.store.sync(int(timeout) / 1000)

    def close(self):
        if self.watching:
            self.watching.close()
        self.store.close()


def option(word):
    name, given, value = word.partition("=")
    if given and name in TEXTS:
        return name, value
    if given and name in NUMBERS:
        return name, int(value)
    if given and name in TIMES:
        milliseconds = int(value)
        if name == "spread_ms" and milliseconds < 0:
            return "spread", 0  # the binding's "at once"
        return name[:-3], milliseconds / 1000 if milliseconds else None
    return die("no option", word)


CALLS = {"get": (Client.get, 1), "set": (Client.set, 2), "delete": (Client.delete, 1), "list": (Client.list, 0),
         "commit": (Client.commit, 3), "revision": (Client.revision, 0), "wait": (Client.wait, 1),
         "watch": (Client.watch, 0), "seen": (Client.tell_seen, 0), "status": (Client.status, 0),
         "sync": (Client.sync, 1), "close": (Client.close, 0)}


def shown(value):
    text = "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
    return "".join(" " if letter < " " else letter for letter in text)


def answer(clients, command, handle, *words):
    start, code = time.monotonic(), 0
    try:
        if command == "open":
            clients[handle], value = Client(*words), None
        else:
            work, count = CALLS.get(command, (None, -1))
            if count != len(words) or handle not in clients:
                die("what is", command, handle, *words)
            client = clients.pop(handle) if command == "close" else clients[handle]
            value = work(client, *words)
    except FlagstoreError as error:
        code, value = error.code, error.message
    elapsed = (time.monotonic() - start) * 1000
    line = f"{code} {elapsed:.3f} {shown(value)}\n".encode("utf-8", "backslashreplace")
    sys.stdout.buffer.write(line)
    sys.stdout.buffer.flush()


def main():
    clients = {}
    for line in sys.stdin.buffer:
        words = line.decode().split()
        if len(words) < 2:
            die("not a command")
        answer(clients, *words)
    for client in clients.values():
        client.close()


if __name__ == "__main__":
    main()
