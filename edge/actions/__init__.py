"""Actions: what a step of a flow can do, one file each.

Making a class of `edge.flows.action.Action` enters it into the table; `plugins.load("edge.actions")` imports all of
them. In each file the same order: what it does, what happens when it fails, an example; the options; `run`.
"""
