"""How much the SIP side keeps and how long, in one place.

The story of the bound: what a stranger can make us remember is a server transaction (32 s at the most), a dialog that
he keeps up, a text that waits for its row in SQL (shorter than its transaction) and a TCP connection. Each has a number
here. Above it new requests get a stateless 503 with Retry-After, which costs an answer and remembers nothing, and
connections are closed at once; what is already there is served to its end.
"""

from __future__ import annotations

SERVER_TRANSACTIONS = 100_000  # about 1 kB each; a redirect holds one for 5 s: 20,000 calls/s
CLIENT_TRANSACTIONS = 20_000  # requests of ours without their final answer, or just after it
DIALOGS = 20_000  # calls answered or ringing
PENDING_TEXTS = 10_000  # MESSAGEs the user has not decided on: far above what SQL takes in a second

REFUSALS = 20_000  # INVITEs refused lately whose answer is kept, 0.5 kB each
REFUSED_SECONDS = 64.0  # s it is kept: twice as long as any transaction

BODY = 32 * 1024  # octets of an INVITE's body; 513 above. SDP with ICE and video stays below 8 kB
TEXT = 16 * 1024  # octets of a MESSAGE's body; RFC 3428 §8 wants 1300 on the wire, ten SMS parts are 1.6 kB

UNANSWERED_REPEAT = 60.0  # s; RFC 3261 §13.3.1.1: a provisional answer each minute keeps proxies from giving up
UNANSWERED = 600.0  # s until an offer nobody decides on gets a 480: longer than any flow rings
UNDECIDED_TEXT = 40.0  # s until a MESSAGE nobody decides on is forgotten: its last repeat (32 s) and the way here
ANSWERLESS = 5.0  # s a call goes on whose ACK brought no answer to our offer, in case its caller makes one of his own
REOFFER = 30.0  # s until a re-INVITE nobody decides on gets a 500
REINVITE = 60.0  # s a re-INVITE of ours may be pondered over before we cancel it
RINGING = 180.0  # s an INVITE of ours may ring before we cancel it (Timer C of §16.6)
UPDATE = 20.0  # s until an UPDATE or PRACK nobody decides on is refused: well before its sender gives up (Timer F)
SESSION_MAX = 86_400  # s of a session interval (RFC 4028); longer ones are made that
REFRESH_AGAIN = 10.0  # s between tries of a session refresh that was refused
FORKS = 16  # early dialogs of one INVITE of ours; phones beyond that are heard when one answers
WAITING_1XX = 4  # reliable provisional answers that wait for the PRACK of one before; more are left out
UPGRADE = 1300  # octets of a request over UDP; a larger one goes by TCP (RFC 3261 §18.1.1)
NO_TCP = 600.0  # s until TCP is tried again where it was refused
NO_TCP_PEERS = 1_024  # addresses that are known to refuse it
SUBSCRIPTION = 180.0  # s a REFER of ours may stay without a NOTIFY, whatever Expires the peer writes
RETRY_AFTER = (2, 10)  # s, the span of Retry-After in a 503: longer ones make carriers take us out of service

CONNECTIONS = 2_000  # TCP and TLS connections in all
CONNECTIONS_PER_SOURCE = 100  # of one address; a carrier's proxies use a handful
IDLE = 900.0  # s without an octet until a TCP connection is closed; RFC 5626 §4.4.1 pings each 95–120 s
SLOW = 32.0  # s a started message may take to arrive whole (RFC 4475 §3.1.2.2: a Content-Length that never comes)
CONNECT = 5.0  # s for a connection of ours to stand, its TLS too
HANDSHAKES = 200  # of TLS that others have begun and not finished
HANDSHAKE = 10.0  # s for one of those
UNSENT = 256 * 1024  # octets waiting in one TCP connection; a peer that does not read is cut off
PEERS = 65_536  # remote UDP addresses whose Peer value is kept
INSIDE = 65_536  # messages of ours to ourselves that wait for their turn: three for each transaction there may be
QUEUED = 4_096  # datagrams waiting for a full socket buffer; more are lost, as the network may
