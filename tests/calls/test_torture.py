"""The torture messages of RFC 4475 and RFC 5118 against a running daemon, and seeds that must never break it.

Each message goes over UDP as it is, over UDP with the Request-URI of a number that exists, over TCP and TLS. What is
right is in the INDEX.tsv of the vectors, in a small language of its own; see `Expected`.
"""

from __future__ import annotations

import csv
import itertools
import re
import socket
import ssl
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.calls.conftest import STAYS, VECTORS, vectors
from tests.calls.daemon import HOST, Daemon
from tests.calls.raw import HERE, Answer, Client, ack, bye, unique
from tests.calls.secured import Secured

SETS = ("rfc4475", "rfc5118")
FINAL_SECONDS = 3.0
SILENCE_SECONDS = 0.3
LEAK_BYTES = 12_000_000

KEEP_BRANCH = {"badbranch.dat"}  # its point is a branch that is only the magic cookie

# Over TCP these mean something else than over UDP.
TCP = {
    "baddn.dat": "silence",  # the file ends before the empty line: a datagram ends the header there, a stream does not
    "clerr.dat": "silence",  # RFC 4475 §3.1.2.2: the rest of the body may still come
    "inv2543.dat": "400 | any-final",  # RFC 4475 §3.4.1: no Content-Length, which a stream needs
}

counter = itertools.count(1)


@dataclass(frozen=True)
class Expected:
    """What INDEX.tsv says: alternatives split by `|`.

    `!400` and `!5xx` forbid; `any-final` and `liberal` take what is left; `silence` is no answer at all;
    `any-final-without-sdp-body` and `!483-if-endpoint` are what they say.
    """

    text: str

    @property
    def words(self) -> list[str]:
        return [word.strip() for word in self.text.split("|")]

    @property
    def silence_only(self) -> bool:
        return self.words == ["silence"]

    def known_number(self) -> Expected:
        """What is right when the number is one of ours: 404 is so no longer, unless nothing else would be."""
        words = [word for word in self.words if word != "404"]
        return Expected(" | ".join(words)) if any(not word.startswith("!") for word in words) else self

    def allows(self, answer: Answer | None) -> bool:
        if answer is None:
            return "silence" in self.words
        forbidden = [word.removeprefix("!").partition("-")[0] for word in self.words if word.startswith("!")]
        if any(_fits(answer.status, code) for code in forbidden):
            return False
        for word in self.words:
            if word in ("any-final", "liberal"):
                return True
            if word == "any-final-without-sdp-body" and not answer.has_sdp:
                return True
            if re.fullmatch(r"\d(\d\d|xx)", word) and _fits(answer.status, word):
                return True
        return False


def _fits(status: int, code: str) -> bool:
    return str(status)[0] == code[0] if code.endswith("xx") else str(status) == code


@dataclass(frozen=True)
class Vector:
    """One message of the index."""

    path: Path
    kind: str
    expected: Expected

    @property
    def data(self) -> bytes:
        return self.path.read_bytes()


def index() -> Iterator[Vector]:
    for name in SETS:
        folder = VECTORS / name
        if not folder.is_dir():
            continue
        for row in csv.DictReader((folder / "INDEX.tsv").open(), delimiter="\t"):
            for path in sorted(folder.glob(f"{Path(row['file']).stem}.*")):
                yield Vector(path, row["kind"], Expected(row["expected (UAS over UDP)"]))


ALL = list(index())
# With another Request-URI a message whose fault is in its request line would be another message.
LINE_IS_THE_POINT = {
    *("wsinv", "intmeth", "esc01", "esc02", "semiuri", "ltgtruri", "lwsruri", "lwsstart", "trws", "escruri", "badvers"),
    *("unkscm", "novelsc", "ipv6-good", "ipv6-bad", "port-ambiguous", "port-unambiguous"),
}
REQUESTS = [v for v in ALL if v.kind not in ("response",) and not v.data.startswith(b"SIP/")]
TO_A_NUMBER = [v for v in REQUESTS if v.path.stem not in LINE_IS_THE_POINT]


def each(vectors: list[Vector]) -> pytest.MarkDecorator:
    """Parametrize over vectors; without them one test is left, and skipped."""
    absent = pytest.param(None, marks=pytest.mark.skip(reason="the vectors are not here"), id="absent")
    found = [pytest.param(v, id=f"{v.path.parent.name}/{v.path.name}") for v in vectors]
    return pytest.mark.parametrize("vector", found or [absent])


def hear(client: Client, vector: Vector, data: bytes, expected: Expected) -> Answer | None:
    """Send, wait for the answer, and leave nothing open: a final answer to an INVITE gets its ACK, a call its BYE."""
    mark = fresh()
    message = own(vector, data, mark)
    client.send(message)
    answer = client.final(SILENCE_SECONDS if expected.silence_only else FINAL_SECONDS, mark)
    if answer is not None and answer.value("CSeq").endswith(b"INVITE"):
        client.send(ack(message, answer))
        if answer.status < 300:
            client.send(bye(answer))
            client.final(1.0, mark)
    return answer


def said(answer: Answer | None) -> str:
    return "silence" if answer is None else answer.data.decode(errors="replace")


def fresh() -> str:
    return f"-{time.monotonic_ns()}-{next(counter)}"


def own(vector: Vector, data: bytes, mark: str) -> bytes:
    return unique(data, mark, branch=vector.path.name not in KEEP_BRANCH)


@each(ALL)
def test_over_udp_as_it_is(edge_daemon: Daemon, vector: Vector) -> None:
    with Client(edge_daemon.sip) as client:
        answer = hear(client, vector, vector.data, vector.expected)
        assert vector.expected.allows(answer), f"wanted {vector.expected.text}, got {said(answer)}"
    assert edge_daemon.answers()


@each(TO_A_NUMBER)
def test_over_udp_to_a_number_of_ours(edge_daemon: Daemon, vector: Vector) -> None:
    uri = f"sip:{STAYS}@127.0.0.1:{edge_daemon.sip[1]}".encode()
    method, _, rest = vector.data.partition(b" ")
    message = b" ".join([method, uri, rest.partition(b" ")[2]])
    expected = vector.expected.known_number()
    with Client(edge_daemon.sip) as client:
        answer = hear(client, vector, message, expected)
        assert expected.allows(answer), f"wanted {expected.text}, got {said(answer)}"
    assert edge_daemon.answers()


def connect(secured: Secured, transport: str) -> socket.socket:
    address = secured.address if transport == "tls" else secured.daemon.sip
    plain = socket.create_connection(address, timeout=2, source_address=(HERE, 0))
    return secured.authority.client().wrap_socket(plain, server_hostname=HOST) if transport == "tls" else plain


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@each(ALL)
def test_over_a_stream(edge_daemon: Daemon, edge_secured: Secured, vector: Vector, transport: str) -> None:
    expected = Expected(TCP[vector.path.name]) if vector.path.name in TCP else vector.expected
    with connect(edge_secured, transport) as sock:
        sock.sendall(own(vector, vector.data, fresh()))
        answer = first_final(sock, SILENCE_SECONDS if "silence" in expected.words else FINAL_SECONDS)
        assert expected.allows(answer), f"wanted {expected.text}, got {said(answer)}"
    assert edge_daemon.answers()


def first_final(sock: socket.socket, seconds: float) -> Answer | None:
    """The first final response on a stream, None when there is none in time or the daemon closes."""
    deadline = time.monotonic() + seconds
    buffer = b""
    while (left := deadline - time.monotonic()) > 0:
        sock.settimeout(left)
        try:
            data = sock.recv(65536)
        except (TimeoutError, ConnectionResetError, ssl.SSLError):
            return None
        buffer += data
        for part in re.split(rb"(?=SIP/2\.0 \d)", buffer):
            if part.startswith(b"SIP/2.0 ") and b"\r\n\r\n" in part and (answer := Answer(part)).final:
                return answer
        if not data:
            return None
    return None


def test_two_requests_in_one_segment_are_two_on_tcp_and_one_on_udp(edge_daemon: Daemon) -> None:
    """dblreq.dat, RFC 4475 §3.1.1.8: what follows in a datagram is ignored, on a stream it is the next message."""
    message = (vectors("rfc4475") / "dblreq.dat").read_bytes()
    with Client(edge_daemon.sip) as client:
        mark = fresh()
        client.send(unique(message, mark))
        finals = {answer.value("CSeq").split()[1] for answer in client.answers(0.5, mark) if answer.final}
    assert finals == {b"REGISTER"}


@pytest.mark.parametrize("transport", ["tcp", "tls"])
def test_a_length_that_is_never_reached_ends_the_connection_not_the_daemon(
    edge_daemon: Daemon, edge_secured: Secured, transport: str
) -> None:
    """clerr.dat, §3.1.2.2: the sender gives up, the daemon forgets."""
    message = (vectors("rfc4475") / "clerr.dat").read_bytes()
    with connect(edge_secured, transport) as sock:
        sock.sendall(message)
        if isinstance(sock, ssl.SSLSocket):
            assert sock.unwrap().recv(1) == b""  # its goodbye was answered
        else:
            sock.shutdown(socket.SHUT_WR)
            assert sock.recv(1) == b""
    assert edge_daemon.answers()


@pytest.mark.parametrize("transport", ["tcp", "tls"])
@pytest.mark.parametrize("name", ["ncl.dat", "mcl01.dat"])
def test_framing_that_is_lost_closes_the_connection(
    edge_daemon: Daemon, edge_secured: Secured, name: str, transport: str
) -> None:
    """§3.1.2.3, §3.3.9: after a length that cannot be believed nothing on the stream can be."""
    message = (vectors("rfc4475") / name).read_bytes()
    with connect(edge_secured, transport) as sock:
        sock.sendall(unique(message, fresh()))
        while sock.recv(65536):
            pass
    assert edge_daemon.answers()


# Seeds


def seeds() -> list[Path]:
    folder = VECTORS / "seeds"
    return sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else []


def as_datagrams(path: Path) -> Iterator[bytes]:
    """A seed as what it is, and dressed as SIP where it is not: SDP as the body of an INVITE, a URI in its place."""
    data = path.read_bytes()
    yield data
    if b"\n" in data and b"\r\n" not in data:
        yield data.replace(b"\n", b"\r\n")
    if "sdp" in path.parent.name:
        yield _invite(b"sip:" + STAYS.encode() + b"@127.0.0.1", data)
    if "uri" in path.parent.name:
        yield from (_invite(uri, b"") for uri in re.split(rb"[\0\r\n]+", data) if uri)
    if found := re.search(rb'string\("(.*)"\)', data):
        yield found.group(1).decode("unicode_escape").encode("latin-1")


def _invite(uri: bytes, body: bytes) -> bytes:
    token = b"%d-%d" % (time.monotonic_ns(), next(counter))
    return (
        b"INVITE %s SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2;branch=z9hG4bK%s\r\nMax-Forwards: 70\r\n"
        b"From: <sip:seed@127.0.0.2>;tag=%s\r\nTo: <%s>\r\nCall-ID: %s\r\nCSeq: 1 INVITE\r\n"
        b"Contact: <sip:seed@127.0.0.2>\r\nContent-Type: application/sdp\r\nContent-Length: %d\r\n\r\n%s"
    ) % (uri, token, token, uri, token, len(body), body)


def shower(daemon: Daemon, paths: list[Path]) -> None:
    """All seeds over UDP, and over TCP where a stream may end anywhere; calls that come of it are ended."""
    invite = _invite(b"sip:127.0.0.1", b"")
    with Client(daemon.sip) as client:
        for path in paths:
            for datagram in as_datagrams(path):
                if not datagram or len(datagram) > 65000:
                    continue
                if datagram.startswith(b"INVITE "):
                    invite = datagram
                client.send(datagram)
                for answer in client.answers(0.01):  # of an earlier seed, too, when the machine is slow
                    if answer.final and answer.value("CSeq").endswith(b"INVITE"):
                        client.send(ack(invite, answer))
                        if answer.status < 300:
                            client.send(bye(answer))
                with socket.create_connection(daemon.sip, timeout=2, source_address=(HERE, 0)) as sock:
                    sock.sendall(datagram)


def test_seeds_never_crash_hang_or_leak(edge_daemon: Daemon) -> None:
    vectors("seeds")
    paths = seeds()
    shower(edge_daemon, paths)  # what is loaded, compiled and cached once is not a leak
    assert edge_daemon.answers(1.0)
    before = edge_daemon.memory_bytes
    for _ in range(4):
        shower(edge_daemon, paths)
        assert edge_daemon.answers(1.0)
    assert edge_daemon.alive, edge_daemon.words()
    assert edge_daemon.memory_bytes - before < LEAK_BYTES


# The language of the index


@pytest.mark.parametrize(
    ("text", "status", "allowed"),
    [
        ("!400 | any-final", 404, True),
        ("!400 | any-final", 400, False),
        ("!400 | any-final", None, False),
        ("400 | silence", None, True),
        ("400 | liberal", 200, True),
        ("501 | 405 | 404", 405, True),
        ("501 | 405 | 404", 400, False),
        ("silence", 400, False),
        ("!5xx | any-final", 503, False),
        ("2xx | 404 | !483-if-endpoint | any-final", 483, False),
        ("2xx | 404 | !483-if-endpoint | any-final", 200, True),
        ("any-final-without-sdp-body", 200, True),
        ("406 | 400", 415, False),
    ],
)
def test_the_language_of_the_index(text: str, status: int | None, allowed: bool) -> None:
    answer = None if status is None else Answer(f"SIP/2.0 {status} x\r\n\r\n".encode())
    assert Expected(text).allows(answer) is allowed


def test_an_answer_with_sdp_is_told_from_one_without() -> None:
    with_sdp = Answer(b"SIP/2.0 200 OK\r\nContent-Type: application/sdp\r\n\r\nv=0")
    assert not Expected("any-final-without-sdp-body").allows(with_sdp)
