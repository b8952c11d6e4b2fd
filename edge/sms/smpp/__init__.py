"""SMPP 3.4, as an ESME: the side that connects to a carrier's SMSC, sends texts and is brought some.

pdu        a header and a body, as they lie on the wire
address    a number as it stands in one, with its type and plan
bind       what makes a connection one that texts go by: as transmitter, as receiver, or both ways
session    one connection from its bind to its end
status     what a response says: taken, or why not
window     how many of our submits may be without their responses
incoming   what a deliver_sm is: a text, a part of one, or a receipt
outgoing   the submit_sm of a text, one or several
receipt    a deliver_sm that brings no text, but tells what became of one of ours
repeats    which texts are the same again, where the carrier gives them no ids
"""
