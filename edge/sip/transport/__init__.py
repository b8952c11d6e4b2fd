"""Sockets and the clock for one agent: the only modules of this package that know them.

An endpoint is the whole of it, with the turns and the one timer; datagrams are one UDP socket, a stream is one
connection, streams are all of them, tls is what secures them.
"""

from edge.sip.transport.address import is_address, outward
from edge.sip.transport.endpoint import Endpoint

__all__ = ["Endpoint", "is_address", "outward"]
