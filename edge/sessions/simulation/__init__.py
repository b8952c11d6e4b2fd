"""Simulation: a flow tried out without network and without waiting, by the executor that serves real sessions.

A *script* says what happens: who calls whom and when, the keys that are typed, the texts that come, what came of a
dialed destination, what a web server answers. A *transcript* says what the flow did about it and why.

    script.py      the script
    transcript.py  the transcript, and how it is printed
    stage.py       a clock that moves only when somebody waits, and the notes that are taken
    watch.py       a run that tells of each step as it begins and ends
    prompt.py      how long an audio file lasts
    call.py        the call: implements `flows.session.CallSession`
    text.py        the text: implements `flows.session.MessageSession`
    manners.py     whom the edge would not text
    simulator.py   puts them together

Two rules. Nothing is made up in silence: what a simulation cannot know it assumes, and the transcript says so. And the
same script gives the same transcript, to the letter, wherever it is run: ids are made from the script, and the clock is
the script's.
"""
