"""Sockets, clocks and the loop for connections to SMSCs.

link     one connection: octets to its session and back, and what its events mean to those who wait
binds    the connections of one carrier, kept up
"""
