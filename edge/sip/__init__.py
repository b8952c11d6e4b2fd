"""SIP (RFC 3261) for a server at the border: values, then machines, then sockets.

The words of this package:

message      a `Request` or a `Response`, read from one datagram or one frame; immutable field        one header line: a
name and a raw value, unfolded and stripped; names are full and in lower case value        what a field means: `Via`,
`Address`, `CSeq`, `Uri`, `Params`; frozen, equal by content, reads, prints itself Malformed    the sender wrote
something wrong; has the status to answer with and the request as far as it is readable sent-by      host and port in a
Via: where its writer wants the response peer         transport, local address, remote address and connection: where a
message came from or goes to transaction  one request and all its responses (§17) dialog       what two ends keep
between transactions: Call-ID, two tags, two CSeq numbers, the route set (§12) offer        an INVITE nobody has
answered yet; a `Call` is one that was answered agent        the one object that is told datagrams and verbs, and gives
datagrams and events back

Only `transport.py` knows sockets and the clock.
"""
