"""Queues: rows in SQL that wait for work, on a database that several processes share.

    claims.py    which process is at work on which row
    leases.py    what only one process may do: a carrier that wants one client has a lease
    lanes.py     work in order for each key, and as much at once as is allowed
    gate.py      the rate of a channel, and its pauses when it is busy
    sender.py    gives one channel what is due, and writes down what became of it
    books.py     what a sender is told of what it sends, and how it writes down the end of it
    backlog.py   the rows of all channels: what is put, what was left by the dead, what moves to another channel

A channel is a way out: a carrier of texts, webhooks, emails. What a row is, its owner knows: the outbox
(`texts/outbox.py`), the inbox, the deliveries, the events. Nothing here asks what is sent.
"""
