"""TLS: who is believed, whom the server believes, and deadlines that hold behind it."""
import os

from certificates import Authority
from checks import check, equal, one_of, test, until
from pipe import Pipe
from servers import Server
from workers import BACKEND, FRESH, LIVE, OK, STALE, UNAVAILABLE, UNCERTAIN, WATCHED, Worker, refused

own, other = Authority("own"), Authority("other")
LOCAL = ("DNS:localhost", "IP:127.0.0.1")
# A refused certificate does not get better by waiting; but a server that ends a handshake may only look unreachable.
REFUSALS = (BACKEND, UNAVAILABLE)


def server(certificate, clients="no", authority=own):
    cert, key = certificate
    return Server("tls", f"tls-cert-file {cert}", f"tls-key-file {key}", f"tls-ca-cert-file {authority.ca}",
                  f"tls-auth-clients {clients}", tls=True)


def url_of(running, host="127.0.0.1", scheme="rediss"):
    return f"{scheme}://{host}:{running.port}"


def works(worker, url, key="flag", **options):
    """A change, a read, and a watched store that hears of it."""
    fresh = worker.open(url, **options)
    fresh.set(key, "1")
    equal("1", fresh.get(key), f"get over {url}")
    watched = worker.open(url, read_mode=WATCHED, spread_ms=-1, **options)
    fresh.set(key, "2")
    until(lambda: watched.get(key) == "2", f"a watched store over {url} hears of a change")
    equal(LIVE, watched.state(), "its state")
    watched.close()
    fresh.close()


def refuses(worker, what, url, words=(), **options):
    for read_mode in (FRESH, WATCHED):
        error = refused(worker, url, read_mode=read_mode, open_timeout_ms=500, **options)
        check(error is not None, f"{what}: nothing was refused")
        one_of(REFUSALS, error.code, f"{what}: {error}")
        if words:
            check(any(word in error.message.lower() for word in words), f"{what}: the message says why: {error}")


@test
def it_believes_the_given_authority_and_no_other():
    with server(own.certificate("both", *LOCAL)) as running, Worker() as worker:
        works(worker, url_of(running), tls_ca_file=own.ca)
        works(worker, url_of(running, "localhost"), tls_ca_file=own.ca)
        refuses(worker, "another authority", url_of(running), ["certificate", "issuer"], tls_ca_file=other.ca)
        refuses(worker, "the system's authorities", url_of(running), ["certificate", "issuer"])
        refuses(worker, "no TLS at a port for TLS", url_of(running, scheme="redis"), tls_ca_file=own.ca)
        equal(b"2", running("HGET", "flagstore", "flag"), "what the refused ones left")


@test
def it_takes_rsa_and_ecdsa():
    rsa = Authority("rsa", ("rsa:2048",))
    with server(rsa.certificate("server", *LOCAL), authority=rsa) as running, Worker() as worker:
        works(worker, url_of(running), tls_ca_file=rsa.ca)


@test
def the_certificate_must_have_the_name():
    with server(own.certificate("elsewhere", "DNS:flags.example")) as running, Worker() as worker:
        for host in ("127.0.0.1", "localhost"):
            refuses(worker, f"a certificate without {host}", url_of(running, host), ["name", "certificate"],
                    tls_ca_file=own.ca)
        works(worker, url_of(running), tls_ca_file=own.ca, tls_server_name="flags.example")
        refuses(worker, "another name", url_of(running), ["name", "certificate"], tls_ca_file=own.ca,
                tls_server_name="other.example")


@test
def a_server_may_ask_for_a_certificate():
    cert, key = own.certificate("client", "DNS:client.example")
    strange_cert, strange_key = other.certificate("stranger", "DNS:client.example")
    with server(own.certificate("asking", *LOCAL), clients="yes") as running, Worker() as worker:
        url = url_of(running)
        works(worker, url, tls_ca_file=own.ca, tls_cert_file=cert, tls_key_file=key)
        refuses(worker, "no certificate", url, tls_ca_file=own.ca)
        refuses(worker, "a certificate of another authority", url, tls_ca_file=own.ca, tls_cert_file=strange_cert,
                tls_key_file=strange_key)


@test
def files_that_cannot_be_used_are_said():
    cert, key = own.certificate("files", *LOCAL)
    _, strange_key = other.certificate("files", *LOCAL)
    empty = os.path.join(own.directory, "empty.pem")
    open(empty, "w", encoding="ascii").close()
    with server((cert, key)) as running, Worker() as worker:
        for what, options in {
                "a missing file": {"tls_ca_file": empty + ".missing"},
                "a file without a certificate": {"tls_ca_file": empty},
                "a certificate without its key": {"tls_ca_file": own.ca, "tls_cert_file": cert},
                "a key of another": {"tls_ca_file": own.ca, "tls_cert_file": cert, "tls_key_file": strange_key},
        }.items():
            error = refused(worker, url_of(running), open_timeout_ms=500, **options)
            check(error is not None and error.message, f"{what} is an error with a message, got {error}")


@test
def deadlines_hold_behind_tls():
    """A server that stops in mid-handshake, that sends a byte now and then, or that was stopped: 300 ms are promised,
    and ten times that is allowed here, for the machine may be busy."""
    with server(own.certificate("slow", *LOCAL)) as running, Worker() as worker, Pipe(running.port) as pipe:
        url = f"rediss://127.0.0.1:{pipe.port}"
        options = {"tls_ca_file": own.ca, "call_timeout_ms": 300}
        fresh = worker.open(url, **options)
        fresh.set("flag", "1")
        watched = worker.open(url, read_mode=WATCHED, **options)
        for mode in ("drip", "black hole"):
            for established in (True, False):
                pipe.set(mode)
                if not established:
                    pipe.cut()
                for verb, words, codes in (("get", ("flag",), (UNAVAILABLE,)),
                                           ("set", ("flag", "2"), (UNAVAILABLE, UNCERTAIN)),
                                           ("list", (), (UNAVAILABLE,))):
                    one_of(codes, fresh.code(verb, *words), f"{verb} with a {mode}, established: {established}")
                    check(fresh.last_ms < 3000, f"{verb} with a {mode} took {fresh.last_ms} ms of 300")
            until(lambda: watched.state() == STALE, f"a {mode} is noticed by a watched store")
            equal("1", watched.get("flag"), "which serves what it has")
            pipe.set("pass")
            until(lambda: watched.state() == LIVE, "and is live again", 60)
            until(lambda: fresh.code("set", "flag", "1") == OK, "so is the FRESH one")
        running.pause()
        equal(UNAVAILABLE, fresh.code("get", "flag"), "get of a stopped server")
        check(fresh.last_ms < 3000, f"get of a stopped server took {fresh.last_ms} ms of 300")
        running.resume()
        until(lambda: watched.state() == LIVE, "a stopped server goes on")
        works(worker, url, **options)
