"""The greeting job for aiosipua with aiortp: answer, 3 s of µ-law in paced packets, BYE. Usage: … PORT"""

from __future__ import annotations

import asyncio
import itertools
import logging
import sys
from collections.abc import Iterator

from aiortp import RTPSession
from aiosipua import IncomingCall, SipUAS, negotiate_sdp
from aiosipua.transport import UdpSipTransport

HOST = "127.0.0.1"
FRAMES = 150
FRAME = bytes([0x55]) * 160

ports: Iterator[int] = itertools.cycle(range(22000, 30000, 2))


async def greet(uas: SipUAS, call: IncomingCall) -> None:
    if call.sdp_offer is None:
        call.reject(488)
        return
    while True:
        port = next(ports)
        answer, payload_type = negotiate_sdp(offer=call.sdp_offer, local_ip=HOST, rtp_port=port)
        try:
            media = await RTPSession.create(
                local_addr=(HOST, port),
                remote_addr=call.sdp_offer.rtp_address,
                payload_type=payload_type,
                paced=True,
            )
            break
        except OSError:
            continue
    call.accept(answer)
    for _ in range(FRAMES):
        media.send_audio_auto(FRAME)
    await media.drain()
    call.hangup()
    await media.close()
    uas._calls.pop(call.call_id, None)  # a call that we hang up ourselves is not forgotten otherwise


async def main(port: int) -> None:
    logging.disable(logging.CRITICAL)
    uas = SipUAS(UdpSipTransport(local_addr=(HOST, port)))
    tasks: set[asyncio.Task[None]] = set()

    def offered(call: IncomingCall) -> None:
        task = asyncio.get_running_loop().create_task(greet(uas, call))
        tasks.add(task)
        task.add_done_callback(tasks.discard)

    uas.on_invite = offered
    await uas.start()
    await asyncio.Event().wait()


asyncio.run(main(int(sys.argv[1])))
