"""A plain client of Redis for the tests' own questions: one connection, one command at a time."""
import socket


class Refused(Exception):
    """The server's words."""


class Client:
    def __init__(self, address, timeout=10, tls=None):
        """`address`: a port on loopback, or the path of a socket; `tls`: an ssl.SSLContext."""
        if isinstance(address, int):
            self.socket = socket.create_connection(("127.0.0.1", address), timeout)
        else:
            self.socket = socket.socket(socket.AF_UNIX)
            self.socket.settimeout(timeout)
            self.socket.connect(address)
        if tls:
            self.socket = tls.wrap_socket(self.socket)
        self.stream = self.socket.makefile("rb")

    def __call__(self, *words):
        """The reply: bytes, int, None or a list of those. Raises Refused, and OSError where no server answers."""
        words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
        reply = self._reply()
        if isinstance(reply, Refused):
            raise reply
        return reply

    def _reply(self):
        line = self.stream.readline()
        if not line.endswith(b"\r\n"):
            raise ConnectionError("the server has closed the connection")
        kind, rest = line[:1], line[1:-2]
        if kind == b"+":
            return rest
        if kind == b"-":
            return Refused(rest.decode())
        if kind == b":":
            return int(rest)
        if kind == b"$":
            return None if rest == b"-1" else self.stream.read(int(rest) + 2)[:-2]
        return None if rest == b"-1" else [self._reply() for _ in range(int(rest))]

    def close(self):
        self.stream.close()
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
