"""SIPp scenarios out of a few words: what is sent, what has to come back, and what stands in it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from itertools import count
from typing import Final
from xml.sax.saxutils import quoteattr

CALLED: Final = "sip:[service]@[remote_ip]:[remote_port]"
SDP: Final = (
    "v=0\r\no=- 1 1 IN IP4 [local_ip]\r\ns=-\r\nc=IN IP4 [media_ip]\r\nt=0 0\r\nm=audio [media_port] RTP/AVP 0 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\n"
)
VIDEO_ONLY: Final = (
    "v=0\r\no=- 1 1 IN IP4 [local_ip]\r\ns=-\r\nc=IN IP4 [media_ip]\r\nt=0 0\r\nm=audio [media_port] RTP/AVP 18\r\n"
)

Fields = Mapping[str, str | None]  # None: without that field


class Scenario:
    """Steps in their order; `xml` is the whole."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._steps: list[str] = []
        self._variables = count(1)
        self._used: list[int] = []

    def send(
        self,
        method: str,
        *,
        uri: str = CALLED,
        cseq: int = 1,
        body: str = "",
        kind: str = "application/sdp",
        fields: Fields | None = None,
        branch: str = "[branch]",
        to: str = "[peer_tag_param]",
        version: str = "SIP/2.0",
    ) -> Scenario:
        """A request; it is repeated until it is answered."""
        lines: dict[str, str | None] = {
            "Via": f"SIP/2.0/[transport] [local_ip]:[local_port];branch={branch};rport",
            "Max-Forwards": "70",
            "From": "<sip:+14155550199@[local_ip]:[local_port]>;tag=[pid]s[call_number]",
            "To": f"<{uri}>{to}",
            "Call-ID": "[call_id]",
            "CSeq": f"{cseq} {method}",
            "Contact": "<sip:caller@[local_ip]:[local_port]>",
            "Content-Type": kind if body else None,
        }
        lines |= dict(fields or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items() if value is not None)
        message = f"{method} {uri} {version}\r\n{head}Content-Length: [len]\r\n\r\n{body}"
        again = "" if method == "ACK" else ' retrans="500"'
        self._steps.append(f"<send{again}><![CDATA[\n{message}\n]]></send>")
        return self

    def answer(self, status: str = "200 OK") -> Scenario:
        """A response to the last request."""
        fields = "".join(f"[last_{name}:]\r\n" for name in ("Via", "From", "To", "Call-ID", "CSeq"))
        self._steps.append(f"<send><![CDATA[\nSIP/2.0 {status}\r\n{fields}Content-Length: 0\r\n\r\n\n]]></send>")
        return self

    def wants(self, what: int | str, **headers: str) -> Scenario:
        """A response or a request has to come; each of `headers` (with _ for -) is a pattern for that field."""
        which = f'response="{what}"' if isinstance(what, int) else f'request="{what}"'
        checks = []
        for header, pattern in headers.items():
            variable = next(self._variables)
            self._used.append(variable)
            name = quoteattr(header.replace("_", "-") + ":")
            looks = f'<ereg regexp={quoteattr(pattern)} search_in="hdr" header={name}'
            checks.append(f'{looks} check_it="true" assign_to="{variable}"/>')
        action = f"<action>{''.join(checks)}</action>" if checks else ""
        self._steps.append(f'<recv {which} timeout="12000">{action}</recv>')
        return self

    def trying(self) -> Scenario:
        """A 100 may come, or an answer that was as fast."""
        self._steps.append('<recv response="100" optional="true" timeout="12000"></recv>')
        return self

    def call(self, *, uri: str = CALLED, fields: Fields | None = None) -> Scenario:
        """INVITE with an offer."""
        return self.send("INVITE", body=SDP, to="", fields=fields, uri=uri)

    def up(self) -> Scenario:
        """A call that is answered and acknowledged."""
        return self.call().trying().wants(200).send("ACK")

    def refused(self, status: int, **headers: str) -> Scenario:
        """The INVITE before is refused, and that is acknowledged with its own branch."""
        self.trying().wants(status, **headers)
        lines = "[last_Via:]\r\nMax-Forwards: 70\r\n[last_From:]\r\n[last_To:]\r\nCall-ID: [call_id]\r\nCSeq: 1 ACK\r\n"
        self._steps.append(f"<send><![CDATA[\nACK {CALLED} SIP/2.0\r\n{lines}Content-Length: 0\r\n\r\n\n]]></send>")
        return self

    def hang_up(self, cseq: int = 9) -> Scenario:
        return self.send("BYE", cseq=cseq).wants(200)

    def pause(self, milliseconds: int) -> Scenario:
        self._steps.append(f'<pause milliseconds="{milliseconds}"/>')
        return self

    @property
    def xml(self) -> str:
        """As SIPp reads it; lines end as it wants them."""
        used = f'<Reference variables="{",".join(map(str, self._used))}"/>' if self._used else ""
        steps = "\n".join(self._steps)
        head = f'<?xml version="1.0" encoding="UTF-8"?>\n<scenario name={quoteattr(self._name)}>'
        text = f"{head}\n{steps}\n{used}</scenario>\n"
        return re.sub(r"\r\n", "\n", text)
