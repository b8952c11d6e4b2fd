"""What goes on between us and carriers beside calls and texts.

registration  we tell a carrier where we are, and go on telling it, so that its calls come to us
probe         an OPTIONS now and then, to see whether a target answers
target        one place that requests to a trunk go to; it is up, down, or nobody has asked
"""
