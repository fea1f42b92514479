"""A proxy on loopback for what cannot be read on the way, TLS: it passes bytes on, drips them, or swallows them."""
import contextlib
import socket
import threading
import time


class Pipe:
    """Modes: "pass"; "drip", a byte of the server's every 50 ms; "black hole", which is read and forwarded nowhere."""

    def __init__(self, port):
        self.target, self.mode, self.ends = port, "pass", set()
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=64)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode):
        """Also for connections that are there; those that a black hole has swallowed from end when it ends."""
        ends_them = self.mode == "black hole" and mode != self.mode
        self.mode = mode
        if ends_them:
            self.cut()

    def cut(self):
        """Ends all connections."""
        for end in list(self.ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _accept(self):
        while True:
            try:
                client = self.listener.accept()[0]
            except OSError:  # closed
                return
            try:
                server = socket.create_connection(("127.0.0.1", self.target))
            except OSError:
                client.close()
                continue
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.ends.add(end)
            for source, sink, drips in ((client, server, False), (server, client, True)):
                threading.Thread(target=self._copy, args=(source, sink, drips), daemon=True).start()

    def _copy(self, source, sink, drips):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if self.mode == "black hole":
                    continue
                if drips:
                    data = self._drip(data, sink)
                sink.sendall(data)
        for end in (source, sink):
            self.ends.discard(end)
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def _drip(self, data, sink):
        """Byte by byte as long as that is wanted; what is left then."""
        while data and self.mode == "drip":
            sink.sendall(data[:1])
            data = data[1:]
            time.sleep(0.05)
        return data

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()
        self.cut()
