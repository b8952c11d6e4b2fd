"""Commands for people: flows tried out, compared with what they did before and drawn; what became of calls and texts.

source.py     a flow by its file, or by its id or name in the database
command.py    `edge simulate` and `edge flow show`
explain.py    `edge explain`; asking.py asks the edge that runs for what only its memory has
records.py    `edge calls` and `edge messages`
trunks.py     `edge trunk`
golden.py     transcripts that are kept beside flows, and compared
"""
