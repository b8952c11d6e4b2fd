"""Limits of a connection to an SMSC, in one place."""

from __future__ import annotations

from typing import Final

from edge.sms.carrier import LEAVE_SECONDS

PDU: Final = 73_728  # octets; 65,535 of a message_payload, and room for everything else
STRING: Final = 254  # octets of a C-octet string that comes in; the specification has 65 at the most, carriers more
ID: Final = 255  # characters of what an SMSC calls a text; the specification has 64, an index takes some thousand
BIND: Final = 10.0  # s for the answer to our bind
PROVE: Final = 2.0  # s after a response of ours until its reading is proven by an enquire_link
ALIVE: Final = 10.0  # s for the answer to an enquire_link
UNREAD: Final = 60.0  # s in which nothing of what we write is read
LEAVE: Final = LEAVE_SECONDS / 2  # s for what is still at work when one side unbinds …
UNBIND: Final = LEAVE_SECONDS / 4  # … and for the answer to our unbind; what is left is for the connections to close
CONNECT: Final = 10.0  # s for a connection to be there, its TLS too
FIRST_PAUSE: Final = 0.5  # s before a connection is tried again; doubles up to the section's `reconnect_seconds`
STEADY: Final = 10.0  # s; a connection that lasted for less was none, the pauses go on growing
SPREAD: Final = 0.2  # a pause is up to this part longer or shorter
BEGUN: Final = 10_000  # texts of which some parts were taken and others not; their taken ones are remembered
SEQUENCES: Final = 0x7FFFFFFF  # §3.2: sequence numbers go from 1 to this, and begin again
