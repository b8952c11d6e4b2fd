"""Flows worked on without a daemon: tried out, compared with what they did before, drawn.

source.py     a flow by its file, or by its id or name in the database
command.py    `edge simulate` and `edge flow show`
golden.py     transcripts that are kept beside flows, and compared
"""
