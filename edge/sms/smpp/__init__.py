"""SMPP 3.4, as an ESME: the side that connects to a carrier's SMSC, sends texts and is brought some.

pdu        a header and a body, as they lie on the wire
bind       what makes a connection one that texts go by: as transmitter, as receiver, or both ways
session    one connection from its bind to its end
status     what a response says: taken, or why not
window     how many of our submits may be without their responses
receipt    a deliver_sm that brings no text, but tells what became of one of ours
"""
