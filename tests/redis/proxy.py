#!/usr/bin/env python3
"""A proxy on loopback that spoils the connection to a Redis in the ways networks do.

    proxy.py HOST:PORT     prints its own port, then obeys lines on standard input and answers each with "ok":

MODE [NAME=VALUE]...

    pass                   forwards everything, what it holds too
    delay ms=MS            each answer that long after it came
    drip ms=MS             answers a byte at a time, with a pause after each
    cut bytes=N            ends the connection after N bytes of the answer to a command
    lose                   forwards a command and ends the connection instead of passing the answer on
    drop                   ends the connection instead of forwarding a command
    hold                   a black hole: takes what the client sends, and forwards it when the mode changes, even if the
                           client has gone, as a network that was away does
    stall                  the same, but the client is not even read
    reset                  ends all connections, then passes

with these for cut, lose, drop, hold and stall:

    of=NAME,NAME...        only those commands, in upper case; all others are passed on. "data" means all but those that
                           greet: HELLO, AUTH, CLIENT, SELECT, PING, ROLE
    percent=P              only that part of them, at random"""
import os
import random
import re
import socket
import sys
import threading
import time

GREETING = {b"HELLO", b"AUTH", b"CLIENT", b"SELECT", b"PING", b"ROLE"}
LINE = re.compile(rb"[*$](\d+)\r\n")


def next_command(data):
    """The name of the first command in the data and its length; None if it is not whole."""
    head = LINE.match(data)
    if not head:
        return None
    at, name = head.end(), b""
    for index in range(int(head.group(1))):
        word = LINE.match(data, at)
        if not word:
            return None
        at = word.end() + int(word.group(1)) + 2
        if at > len(data):
            return None
        if index == 0:
            name = data[word.end():at - 2].upper()
    return name, at


class Mode:
    def __init__(self, name="pass", of="", percent="100", **numbers):
        self.name, self.of, self.percent = name, set(of.encode().split(b",")) - {b""}, float(percent)
        self.ms, self.bytes = int(numbers.pop("ms", 0)), int(numbers.pop("bytes", 0))
        assert name in ("pass", "delay", "drip", "cut", "lose", "drop", "hold", "stall") and not numbers, name

    def meets(self, command):
        is_meant = command not in GREETING if self.of == {b"data"} else not self.of or command in self.of
        return is_meant and random.random() * 100 < self.percent


class Connection:
    """A client, the connection to the server that it stands for, and a thread for each direction."""

    def __init__(self, proxy, client):
        self.proxy, self.client = proxy, client
        self.server = socket.create_connection(proxy.target)
        for end in (client, self.server):
            end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.spoils = None  # what becomes of the answer to the last command: a Mode
        for direction in (self.ask, self.answer):
            threading.Thread(target=self.run, args=[direction], daemon=True).start()

    def run(self, direction):
        try:
            direction()
        except OSError:
            pass
        self.end()

    def end(self):
        self.proxy.connections.discard(self)
        for end in (self.client, self.server):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    def ask(self):
        waiting = b""
        while True:
            mode = self.proxy.mode
            if mode.name == "stall" and not mode.of:
                self.proxy.wait_while(mode)
            data = self.client.recv(65536)
            if not data:
                return
            waiting += data
            while (command := next_command(waiting)) is not None:
                name, length = command
                if not self.forward(name, waiting[:length]):
                    return
                waiting = waiting[length:]

    def forward(self, name, data):
        """Whether the connection goes on."""
        mode = self.proxy.mode
        if mode.name != "pass" and mode.meets(name):
            if mode.name == "drop":
                return False
            if mode.name in ("hold", "stall"):
                self.proxy.wait_while(mode)
            elif mode.name in ("cut", "lose"):
                self.spoils = mode
        self.server.sendall(data)
        return True

    def answer(self):
        while data := self.server.recv(65536):
            mode = self.proxy.mode
            if self.spoils:
                self.client.sendall(data[:self.spoils.bytes if self.spoils.name == "cut" else 0])
                return
            if mode.name in ("hold", "stall") and not mode.of:
                self.proxy.wait_while(mode)
            elif mode.name == "delay":
                time.sleep(mode.ms / 1000)
            elif mode.name == "drip":
                for byte in data:
                    self.client.sendall(bytes([byte]))
                    if self.proxy.mode is mode:
                        time.sleep(mode.ms / 1000)
                continue
            self.client.sendall(data)


class Proxy:
    def __init__(self, host, port, listen_to=0):
        self.target, self.mode, self.connections = (host, port), Mode(), set()
        self.changed = threading.Condition()
        self.listener = socket.create_server(("127.0.0.1", listen_to), backlog=256)
        self.port = self.listener.getsockname()[1]
        self.accepted = 0
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        while True:
            client = self.listener.accept()[0]
            self.accepted += 1
            try:
                self.connections.add(Connection(self, client))
            except OSError:  # the server is not there, which the client shall see
                client.close()

    def wait_while(self, mode):
        with self.changed:
            self.changed.wait_for(lambda: self.mode is not mode)

    def set(self, name, **settings):
        resets = name == "reset"
        with self.changed:
            self.mode = Mode("pass" if resets else name, **settings)
            self.changed.notify_all()
        for connection in list(self.connections) if resets else ():
            connection.end()


def main():
    host, _, port = sys.argv[1].rpartition(":")
    proxy = Proxy(host, int(port))
    print(proxy.port, flush=True)
    for line in sys.stdin:
        name, *settings = line.split()
        proxy.set(name, **dict(setting.split("=", 1) for setting in settings))
        print("ok", flush=True)
    os._exit(0)


if __name__ == "__main__":
    main()
