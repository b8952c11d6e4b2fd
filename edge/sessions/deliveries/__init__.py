"""Deliveries: webhooks and emails that flows send, each a row before its step is over, and sent until it is taken.

desk.py         takes them over; a queue of each kind (`queues/backlog.py`)
delivery.py     one of them, its row, the table that lists and purges them
webhook.py      a request, signed after Standard Webhooks; also the one whose answer a flow waits for
mail.py         an email, by `letter.py` (SMTP)
attachment.py   its recordings, which `parcel.py` encodes in a process of its own
"""
