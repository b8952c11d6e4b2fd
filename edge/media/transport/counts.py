"""What is counted of all streams."""

from __future__ import annotations

from edge.metrics import counter, gauge

STREAMS = gauge("media_streams", "Media streams that are open.")
PACKETS = counter("rtp_packets_total", "RTP packets.", ["direction"])
LATE = counter("rtp_late_packets_total", "RTP packets sent more than 5 ms after their time.")
UNSENT = counter("rtp_unsent_packets_total", "RTP packets that the system did not take.")
DISCARDED = counter(
    "rtp_discarded_total",
    "Datagrams for a stream that were not of it, by why: not from its source, or of no format that was agreed.",
    ["why"],
)
EXHAUSTED = counter("media_ports_exhausted_total", "Streams refused because no pair of ports was free.")
UNAUTHENTIC = counter(
    "rtp_unauthentic_packets_total", "SRTP and SRTCP packets whose signature was wrong, or that came a second time."
)
TIMEOUTS = counter("media_timeouts_total", "Streams whose other side fell silent.")

SENT, RECEIVED = PACKETS.labels("sent"), PACKETS.labels("received")
