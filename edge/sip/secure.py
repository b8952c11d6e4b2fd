"""TLS over the octets of one connection: told what came, gives what is to be sent. It knows no socket and no clock.

A connection that was refused, or that shows nothing better than rubbish, ends with `Insecure`. What is left to be sent
then, an alert that says why, is still there to be taken.
"""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from typing import Final

from edge.sip.certificate import names, proves

CHUNK: Final = 65_536  # octets read at once


class Insecure(Exception):
    """There will be no TLS on this connection, or no more."""


class Secured:
    """One connection. `wanted`: names one of which the other side must show, when it is us who connect."""

    __slots__ = ("_in", "_object", "_out", "_wanted", "names", "over", "stands")

    def __init__(self, context: ssl.SSLContext, *, wanted: Sequence[str] | None = None) -> None:
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in, self._out, server_side=wanted is None, server_hostname=_indicated(wanted)
        )
        self._wanted = wanted
        self.names: tuple[str, ...] = ()  # that the other side showed
        self.stands = False  # the handshake is over
        self.over = False  # the other side said that nothing more comes

    def begin(self) -> None:
        """Say hello, when it is us who connect."""
        self._shake()

    def feed(self, data: bytes) -> bytes:
        """What these octets mean. Raises Insecure."""
        self._in.write(data)
        if not self.stands and not self._shake():
            return b""
        chunks = []
        while True:
            try:
                chunk = self._object.read(CHUNK)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                if not isinstance(error, ssl.SSLZeroReturnError):
                    raise Insecure(_said(error)) from None
                chunk = b""
            if not chunk:
                self.over = True
                break
            chunks.append(chunk)
        return b"".join(chunks)

    def seal(self, data: bytes) -> bytes:
        """The octets to send for these. Raises Insecure."""
        try:
            self._object.write(data)
        except ssl.SSLError as error:
            raise Insecure(_said(error)) from None
        return self.take()

    def finish(self) -> bytes:
        """The octets that say that nothing more comes."""
        try:
            self._object.unwrap()
        except ssl.SSLError:  # the other side has not said it yet, or there never was a handshake
            pass
        return self.take()

    def take(self) -> bytes:
        """What is to be sent now."""
        return self._out.read()

    def _shake(self) -> bool:
        try:
            self._object.do_handshake()
        except ssl.SSLWantReadError:
            return False
        except ssl.SSLError as error:
            raise Insecure(_said(error)) from None
        shown = self._object.getpeercert(binary_form=True)
        self.names = names(shown) if shown else ()
        if self._wanted is not None and not proves(self.names, self._wanted):
            raise Insecure(
                f"its certificate is for {', '.join(self.names) or 'nobody'}, not {' or '.join(self._wanted)}"
            )
        self.stands = True
        return True


def _indicated(wanted: Sequence[str] | None) -> str | None:
    """The name to ask for (RFC 6066 §3); a context that checks no names wants none for an address."""
    return wanted[0].removeprefix("sip:") if wanted else None


def _said(error: ssl.SSLError) -> str:
    verdict = getattr(error, "verify_message", None)
    return str(verdict or error.reason or "no TLS").replace("_", " ").lower()
