"""Texts, whatever carrier they come and go by.

text      a message that came in: who, to whom, what, and the id its carrier knows it by
part      a piece of a long text that came as a short message of its own, to be joined with the others
alphabet  how octets are letters: GSM's of 7 bits (`gsm.py`), UCS-2, others
keyword   a text that is STOP, START, HELP or the like
verdict   what its carrier is told: received, or refused and why
carrier   a way for texts to come in and go out; one instance for each section of the configuration
route     how an answer gets back to where a text came from, in the carrier's own words
receipt   what a carrier gives for a text it took over
report    what it tells of that text later
"""
