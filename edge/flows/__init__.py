"""Flows: what happens to a call or a text, as a list of steps that its owner wrote.

A *document* is the JSON that comes in. Compiled, it is a `Flow`: a name, a version and its *steps*. A step has an id,
an *action* with its options, and a step that follows it. A *run* is one flow at work for one session; the *executor*
takes the steps one after another. A *medium* is what a session is: a call or a message. The *library* hands out flows
that are stored.

    session.py    what an action may ask of a call or a text
    action.py     what an action is, and the table of all of them
    address.py    numbers and URIs as options carry them
    variables.py  ${names}, and who may set them
    step.py       one step of a document: its options checked, or filled in when they hold variables
    flow.py       the whole document: ids, jumps, media; `compile_flow`
    loops.py      steps that go round without a wait
    run.py        one run: its variables, its log, its outcome
    executor.py   takes the steps
    eager.py      starts a run without a task, until it first waits
    table.py      flows and their versions in SQL
    library.py    flows by id, from memory, Redis or SQL
    graph.py      a flow as steps and ways, and as Mermaid
    layout.py     places for them, in layers
    drawing.py    the picture, as SVG
    calendar.py   opening hours and holidays
    caller_list.py  lists of callers, and who is in one
    resource.py   calendars and lists of callers in SQL, and by id or name from memory, Redis or SQL
    limits.py     every limit
"""
