"""Limits of a connection to an SMSC, in one place."""

from __future__ import annotations

from typing import Final

PDU: Final = 73_728  # octets; 65,535 of a message_payload, and room for everything else
STRING: Final = 254  # octets of a C-octet string that comes in; the specification has 65 at the most, carriers more
BIND: Final = 10.0  # s for the answer to our bind
ALIVE: Final = 10.0  # s for the answer to an enquire_link
LEAVE: Final = 1.0  # s for what is still at work when one side unbinds, and again for the answer to the unbind
SEQUENCES: Final = 0x7FFFFFFF  # §3.2: sequence numbers go from 1 to this, and begin again
