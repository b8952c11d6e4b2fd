"""Sessions: what one call or one text does here, from the wire to its flow and to its record.

What calls and texts stand on is in this folder; what each of them does, in a package of its own. Each of these knows
those above it, none knows those below it, and calls and texts do not know each other:

    tables.py                        what happened, in SQL
    memory.py · conversation.py      what is kept of a number of ours and a peer
    entrance.py · admission.py       whom a request is from, and whether it is let in
    proofs.py                        whether it proves that, where its trunk has to
    trunks/                          registering at carriers, and seeing whether their targets answer
    overload.py · proofs.py          not when there is too much to do, and some only with a proof of who they are
    route.py · origin.py             which flow runs, and on whose behalf
    nearest.py                       what was nearly it, for who asks why nothing was found
    following.py                     what runs after it
    canary.py · step_counts.py       how flows did, by the records
    queues/                          rows in SQL that wait for work, and the processes that share it
    deliveries/                      webhooks and emails
    outside.py                       asks and tells the world for a session: URLs, other flows, deliveries
    events/                          an account's server is told of what happens
    texts/                           a text, from its carrier to its flow, and from its flow to its carrier
    calls/                           a call, from its INVITE to its record; calls of our own, and two that are joined
    simulation/                      a flow tried out without any of that
"""
