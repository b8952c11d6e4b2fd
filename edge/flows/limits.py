"""Every limit on flows and their runs. What a limit cuts says so: a fault when stored, `cut_by` when run."""

from __future__ import annotations

# A document.
STEPS_PER_FLOW = 500
DOCUMENT_CHARACTERS = 262_144  # of its JSON
DOCUMENT_DEPTH = 12  # lists and objects inside each other
NAME_CHARACTERS = 255
DETAIL_CHARACTERS = 4_096
STEP_ID_CHARACTERS = 255
NAMES_LOOKED_UP = 50  # of calendars and lists of callers that its steps name, when it is shown
LOOPS = 10  # told at once
LOOP_STEPS = 10  # of one loop that are named
FAULTS = 100  # told at once; whoever has more will come again

# A run.
STEPS_PER_RUN = 1_000
RUN_SECONDS = 4 * 3600.0
FETCHED_BYTES = 65_536  # of actions that a URL gives
FETCHED_STEPS = 100  # among them
COMPLETIONS = 5  # flows that run one after another when a session is over
PARKED_MILLISECONDS = 30 * 24 * 3_600_000  # one wait for a text
FLOWS_DEEP = 10  # flows that wait for one that they entered
STEPS_PER_TURN = 100  # after so many steps the event loop gets its turn, whether or not a step waited
WAIT_MILLISECONDS = 3_600_000  # one sleep, one gathering of digits
LOG_ENTRIES = 100  # the last steps of a run that its record keeps
NOTE_CHARACTERS = 200

# Variables.
VARIABLES = 100  # that one run sets itself
VARIABLE_NAME_CHARACTERS = 255
VARIABLE_CHARACTERS = 32_768
VARIABLES_CHARACTERS = 65_536  # all that one run sets itself, together
EXPANDED_CHARACTERS = 65_536  # what variables may add to the options of one step

# What is remembered of one person beyond a run.
MEMORIES = 32
MEMORY_CHARACTERS = 1_024  # of one value

# What actions take.
TEXT_CHARACTERS = 1_600  # of a text to send: ten parts of a long SMS
DESTINATIONS = 20
RING_MILLISECONDS = 180_000  # of one destination
WEBHOOK_CHARACTERS = 65_536  # of what a webhook says
ANSWER_BYTES = 32_768  # of what a server answers to it
ANSWER_NAMES = 100  # of an object in that, which become variables
ANSWER_NAME_CHARACTERS = 64
SUBJECT_CHARACTERS = 255  # of an email
CONTENT_CHARACTERS = 16_384  # to encode more takes too long beside calls
ATTACHMENTS = 10
SOURCES = 100  # of one `play`
DIGITS = 100  # of one `digits_send`
TALK_CHARACTERS = 5_000  # of a text to speak, with its markup
MEDIA_DATA_CHARACTERS = 4_096  # told to the other side of a fork
SOURCE_CHARACTERS = 2_048  # a file name or URL

# Calendars.
WEEKLY_SPANS = 100
DAY_SPANS = 10
HOLIDAYS = 1_000  # of one calendar; of one step

# Lists of callers.
CALLER_ENTRIES = 10_000
STEP_CALLERS = 1_000  # that one step names itself

# A customer.
RESOURCES_PER_CUSTOMER = 1_000  # calendars; lists of callers

# What one process keeps in memory of those of all customers.
CALENDARS_IN_MEMORY = 10_000
CALLER_LISTS_IN_MEMORY = 500  # a full one takes 2 MB
FLOWS_PER_CUSTOMER = 10_000
