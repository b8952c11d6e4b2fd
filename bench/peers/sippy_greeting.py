"""The greeting job for Sippy: answer, 3 s of µ-law from its RTP endpoint, BYE. Usage: … PORT"""

from __future__ import annotations

import sys
from typing import Any

from sippy.CCEvents import CCEventConnect, CCEventDisconnect, CCEventTry
from sippy.Core.EventDispatcher import ED2
from sippy.MsgBody import MsgBody
from sippy.Rtp.Codecs.G711 import G711Codec
from sippy.Rtp.Conf import RTPConf
from sippy.Rtp.Core.AudioChunk import AudioChunk
from sippy.Rtp.EPoint import RTPEPoint
from sippy.Rtp.Params import RTPParams
from sippy.SipConf import SipConf
from sippy.SipTransactionManager import SipTransactionManager
from sippy.Time.Timeout import Timeout
from sippy.UA import UA

HOST = "127.0.0.1"
SECONDS = 3.0
PCM = bytes(2 * int(8000 * SECONDS))
SDP = (
    "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nc=IN IP4 {host}\r\nt=0 0\r\n"
    "m=audio {port} RTP/AVP 0\r\na=rtpmap:0 PCMU/8000\r\na=sendrecv\r\n"
)


class Quiet:
    """A logger that keeps nothing."""

    def write(self, *_arguments: Any, **_named: Any) -> None:
        pass

    def __getattr__(self, _name: str) -> Any:
        return self.write


class Call:
    """One call: its signalling, its RTP endpoint, and the end of its greeting."""

    def __init__(self, config: dict[str, Any], rtp: RTPConf) -> None:
        self.rtp = rtp
        self.endpoint: RTPEPoint | None = None
        self.ua = UA(config, self.happened)
        self.ua.disc_cbs = self.ua.fail_cbs = self.ua.dead_cbs = (self.over,)

    def happened(self, event: Any, _ua: UA) -> None:
        if not isinstance(event, CCEventTry):
            return
        offer = event.getData()[3]
        offer.parse()
        section = offer.content.sections[0]
        params = RTPParams((section.c_header.addr, section.m_header.port), out_sr=8000)
        params.codec = G711Codec
        self.endpoint = RTPEPoint(self.rtp, params, lambda *_: None)
        answer = MsgBody(SDP.format(host=HOST, port=params.rtp_lport))
        self.ua.recvEvent(CCEventConnect((200, "OK", answer)))
        self.endpoint.soundout(AudioChunk(PCM, 8000))
        Timeout(self.hang_up, SECONDS)

    def hang_up(self) -> None:
        self.ua.recvEvent(CCEventDisconnect())

    def over(self, *_arguments: Any) -> None:
        endpoint, self.endpoint = self.endpoint, None
        if endpoint is not None:
            endpoint.shutdown()


def main(port: int) -> None:
    SipConf.my_uaname = "Sippy"
    config: dict[str, Any] = {"_sip_address": HOST, "_sip_port": port, "_sip_logger": Quiet(), "nh_addr": (HOST, 5060)}
    rtp = RTPConf(22000, 30000)

    def received(request: Any, transaction: Any) -> Any:
        if request.getHFBody("to").getTag() is not None:
            return request.genResponse(481, "Call Leg/Transaction Does Not Exist"), None, None
        if request.getMethod() == "INVITE":
            return Call(config, rtp).ua.recvRequest(request, transaction)
        return request.genResponse(200, "OK"), None, None

    config["_sip_tm"] = SipTransactionManager(config, received)
    ED2.loop()


main(int(sys.argv[1]))
