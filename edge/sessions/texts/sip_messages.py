"""Sends the SIP MESSAGEs of the outbox: puts the agent's "done" back together with whoever waits for it."""

from __future__ import annotations

import asyncio

from edge.carriers.site import ANY_LOCAL, PLAIN_TEXT
from edge.sessions.proofs import login_of
from edge.sip.events import Event, TextDone
from edge.sip.grammar import print_host
from edge.sip.peer import Peer
from edge.sip.transport import Endpoint
from edge.trunks.trunk import Trunk


class SipMessages:
    """Implements `carriers.site.MessageSender` on one endpoint; `handle` must get the endpoint's TextDone events."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._waiting: dict[int, asyncio.Future[int]] = {}

    async def send(
        self, peer: Peer, *, uri: str, from_user: str, body: bytes, trunk: Trunk, content_type: str = PLAIN_TEXT
    ) -> int:
        """See `MessageSender`. Waits for the endpoint to listen, for the outbox begins before it.

        Raises OSError when no address of ours fits the peer.
        """
        endpoint = self._endpoint
        await endpoint.listening.wait()
        if peer.local == ANY_LOCAL:
            peer = peer._replace(local=endpoint.local_for(peer))
        host, port = trunk.advertise or peer.local[0], peer.local[1]
        message_id = endpoint.agent.send_text(
            peer=peer,
            uri=uri,
            from_=f"<sip:{from_user}@{print_host(host)}:{port}>",
            to=f"<{uri}>",
            body=body,
            content_type=content_type,
            now=endpoint.now(),
            login=None if trunk.credentials is None else login_of(trunk.credentials),
            advertise=trunk.advertise,
        )
        done: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = done
        endpoint.flush()
        try:
            return await done
        finally:
            del self._waiting[message_id]

    def handle(self, event: Event) -> None:
        if isinstance(event, TextDone):
            waiting = self._waiting.get(event.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(event.status)
