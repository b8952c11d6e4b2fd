"""Trunks: the SIP sides of carriers.

trunk    networks that SIP is accepted from, under one name; everything else is a stranger
country  how the trunk writes numbers that do not begin with a plus
target   where requests to the trunk go: a host, a port and a transport
"""
