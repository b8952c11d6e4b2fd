"""Relay: the packets that one stream receives become packets of another, without being decoded.

A `Relay` is one direction of it. The payload is passed on as it is, or in the other law; payload types become those
that the other side agreed to; how much audio is in a packet stays as it comes. What the listener gets remains one RTP
stream, that of its `Sender`: the SSRC is ours, sequence and timestamps go on from what was sent before. Within the
relay they keep the distances they came with, so a loss is a loss and a pause a pause for the listener, too, and packets
that overtook each other can be put in order again.

The distance is measured anew, and the marker bit set, at the first packet, when another source begins (SSRC), when its
sequence or time jumps, and after each change of what was agreed. The timestamp is then that of the sender's clock,
which goes on unheard meanwhile.

Not passed on: what was not agreed with the listener (comfort noise, which we never offer, and keys where there is no
telephone-event), anything while the listener is on hold, contributing sources and header extensions, which mean nothing
on another leg. Their sequence numbers are closed up.
"""

from __future__ import annotations

from edge.media.g711 import RATE, table
from edge.media.receiver import MAX_DROPOUT, MAX_MISORDER
from edge.media.rtp import HEADER, HEADER_BYTES, MARKER, VERSION, BadRtp, later, read
from edge.media.sdp import Negotiated
from edge.media.sender import Sender

MAX_DRIFT = 5 * RATE  # between the source's time and the clock of the sender: clocks differ, and networks stall

_pack, _unpack = HEADER.pack, HEADER.unpack_from


class Relay:
    """Makes the sender's packets of those of a source."""

    __slots__ = (
        "_audio",
        "_end",
        "_floor",
        "_floor_packets",
        "_sender",
        "_sequence_on",
        "_ssrc",
        "_table",
        "_time_on",
        "_types",
    )

    def __init__(self, sender: Sender) -> None:
        self._sender = sender
        self._types: dict[int, int] = {}  # of the source → of the listener; what is not here is not passed on
        self._audio = -1  # the source's type of audio
        self._table: bytes | None = None  # from one law to the other
        self._ssrc: int | None = None  # the source that the distances are of
        self._sequence_on = 0  # from its sequence numbers to ours
        self._time_on = 0  # and timestamps
        self._floor = 0  # the number of the last packet that had other distances,
        self._floor_packets = 0  # and how many the sender had sent then
        self._end = sender.timestamp  # of the latest audio

    def agree(self, source: Negotiated | None) -> None:
        """What the source sends, None while that is unknown; what the listener gets, its sender knows.

        The same again has no effect.
        """
        sender = self._sender
        types: dict[int, int] = {}
        translation = None
        if source is not None and source.receives and sender.on:
            types[source.payload_type] = sender.payload_type
            if source.dtmf_payload_type is not None and sender.event_type is not None:
                types[source.dtmf_payload_type] = sender.event_type
            translation = table(source.codec, sender.codec)
            self._audio = source.payload_type
        if (types, translation) != (self._types, self._table):
            self._types, self._table = types, translation
            self._ssrc = None

    def packet(self, data: bytes) -> bytes | None:
        """The packet that the listener gets for this one; None when it gets none."""
        if len(data) < HEADER_BYTES:
            return None
        first, second, sequence, timestamp, ssrc = _unpack(data)
        kind = second & 0x7F
        new_kind = self._types.get(kind)
        if new_kind is None:
            self._close_up(sequence, ssrc)
            return None
        payload = data[HEADER_BYTES:]
        if first != VERSION:
            try:
                payload = read(data).payload
            except BadRtp:
                return None
        sender = self._sender
        marker = second & MARKER
        new_sequence = sequence + self._sequence_on & 0xFFFF
        new_timestamp = timestamp + self._time_on & 0xFFFFFFFF
        if (
            ssrc == self._ssrc
            and new_sequence - sender.sequence & 0xFFFF == 1
            and new_timestamp - sender.timestamp + MAX_DRIFT & 0xFFFFFFFF < 2 * MAX_DRIFT
        ):
            sender.sequence = new_sequence
        else:
            placed = self._place(kind, sequence, timestamp, ssrc)
            if placed is None:
                return None
            new_sequence, new_timestamp, first_of_all = placed
            marker |= first_of_all
        if self._table is not None and kind == self._audio:
            payload = payload.translate(self._table)
        size = len(payload)
        if kind == self._audio:
            self._end = new_timestamp + size
        sender.packets += 1
        if size != sender.samples:
            sender.surplus += size - sender.samples
        return _pack(VERSION, marker | new_kind, new_sequence, new_timestamp, sender.ssrc) + payload

    def end(self) -> None:
        """The sender speaks for itself again."""
        self._sender.resume(self._end & 0xFFFFFFFF)

    def _place(self, kind: int, sequence: int, timestamp: int, ssrc: int) -> tuple[int, int, int] | None:
        """The new sequence, timestamp and marker bit of a packet that is not simply the next; None: it is too late."""
        sender = self._sender
        new_sequence = sequence + self._sequence_on & 0xFFFF
        new_timestamp = timestamp + self._time_on & 0xFFFFFFFF
        drifted = new_timestamp - sender.timestamp + MAX_DRIFT & 0xFFFFFFFF >= 2 * MAX_DRIFT
        if ssrc == self._ssrc and not (drifted and kind == self._audio):  # a long press carries the time it began
            ahead = new_sequence - sender.sequence & 0xFFFF
            if 0 < ahead < MAX_DROPOUT:
                sender.sequence = new_sequence
                return new_sequence, new_timestamp, 0
            back = -ahead & 0xFFFF
            if back <= MAX_MISORDER:  # overtaken, or a duplicate
                return (new_sequence, new_timestamp, 0) if back < self._distance() else None
        self._ssrc = ssrc
        self._set_floor()
        sender.sequence = new_sequence = sender.sequence + 1 & 0xFFFF
        new_timestamp = later(sender.timestamp, self._end)
        self._sequence_on = new_sequence - sequence
        self._time_on = new_timestamp - timestamp
        return new_sequence, new_timestamp, MARKER

    def _close_up(self, sequence: int, ssrc: int) -> None:
        """A packet is left out, which must not look like a loss."""
        ahead = sequence + self._sequence_on - self._sender.sequence & 0xFFFF
        if ssrc == self._ssrc and 0 < ahead < MAX_DROPOUT:
            self._sequence_on -= 1
            self._set_floor()

    def _set_floor(self) -> None:
        """Numbers up to the present one are taken: by a prompt, or by packets with another distance."""
        self._floor, self._floor_packets = self._sender.sequence, self._sender.packets

    def _distance(self) -> int:
        """How many numbers there are above the floor, as far as that matters."""
        if self._sender.packets - self._floor_packets > MAX_DROPOUT:
            return MAX_DROPOUT
        return self._sender.sequence - self._floor & 0xFFFF
