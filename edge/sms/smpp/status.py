"""What a response says in its command_status (SMPP 3.4 §5.1.3), and what that means for a text of ours.

`busy`       the carrier gets too many, or is not ready: everything for it waits
`later`      this text, for now: it is tried again
`no`         this text, for good, whoever is asked
`elsewhere`  this text, by this carrier: it does not like our number, its own settings, or something it keeps to itself

What is not in the table is of the carrier's own making (0x400 to 0x4FF), or of a later version: `elsewhere`, unless its
section says that it passes.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final, Literal

from edge.sms.carrier import Busy, NotNow, Refused, SendError

Meaning = Literal["taken", "busy", "later", "no", "elsewhere"]

ROK: Final = 0x00
RINVMSGLEN: Final = 0x01
RINVCMDLEN: Final = 0x02
RINVCMDID: Final = 0x03
RINVBNDSTS: Final = 0x04
RALYBND: Final = 0x05
RSYSERR: Final = 0x08
RINVSRCADR: Final = 0x0A
RINVDSTADR: Final = 0x0B
RBINDFAIL: Final = 0x0D
RINVPASWD: Final = 0x0E
RINVSYSID: Final = 0x0F
RMSGQFUL: Final = 0x14
RINVSERTYP: Final = 0x15
RTHROTTLED: Final = 0x58
RINVSCHED: Final = 0x61
RINVEXPIRY: Final = 0x62
RX_T_APPN: Final = 0x64
RX_P_APPN: Final = 0x65
RINVOPTPARSTREAM: Final = 0xC0
RINVPARLEN: Final = 0xC2
RINVOPTPARAMVAL: Final = 0xC4
RINVDCS: Final = 0x104

_TABLE: Final[dict[int, tuple[str, Meaning]]] = {
    ROK: ("ESME_ROK", "taken"),
    RINVMSGLEN: ("ESME_RINVMSGLEN", "no"),
    RINVCMDLEN: ("ESME_RINVCMDLEN", "elsewhere"),
    RINVCMDID: ("ESME_RINVCMDID", "elsewhere"),
    RINVBNDSTS: ("ESME_RINVBNDSTS", "busy"),
    RALYBND: ("ESME_RALYBND", "busy"),
    0x06: ("ESME_RINVPRTFLG", "elsewhere"),
    0x07: ("ESME_RINVREGDLVFLG", "elsewhere"),
    RSYSERR: ("ESME_RSYSERR", "later"),
    RINVSRCADR: ("ESME_RINVSRCADR", "elsewhere"),
    RINVDSTADR: ("ESME_RINVDSTADR", "no"),
    0x0C: ("ESME_RINVMSGID", "elsewhere"),
    RBINDFAIL: ("ESME_RBINDFAIL", "busy"),
    RINVPASWD: ("ESME_RINVPASWD", "busy"),
    RINVSYSID: ("ESME_RINVSYSID", "busy"),
    0x11: ("ESME_RCANCELFAIL", "elsewhere"),
    0x13: ("ESME_RREPLACEFAIL", "elsewhere"),
    RMSGQFUL: ("ESME_RMSGQFUL", "busy"),
    RINVSERTYP: ("ESME_RINVSERTYP", "elsewhere"),
    0x33: ("ESME_RINVNUMDESTS", "elsewhere"),
    0x34: ("ESME_RINVDLNAME", "elsewhere"),
    0x40: ("ESME_RINVDESTFLAG", "elsewhere"),
    0x42: ("ESME_RINVSUBREP", "elsewhere"),
    0x43: ("ESME_RINVESMCLASS", "elsewhere"),
    0x44: ("ESME_RCNTSUBDL", "elsewhere"),
    0x45: ("ESME_RSUBMITFAIL", "elsewhere"),
    0x48: ("ESME_RINVSRCTON", "elsewhere"),
    0x49: ("ESME_RINVSRCNPI", "elsewhere"),
    0x50: ("ESME_RINVDSTTON", "elsewhere"),
    0x51: ("ESME_RINVDSTNPI", "elsewhere"),
    0x53: ("ESME_RINVSYSTYP", "elsewhere"),
    0x54: ("ESME_RINVREPFLAG", "elsewhere"),
    0x55: ("ESME_RINVNUMMSGS", "elsewhere"),
    RTHROTTLED: ("ESME_RTHROTTLED", "busy"),
    RINVSCHED: ("ESME_RINVSCHED", "elsewhere"),
    RINVEXPIRY: ("ESME_RINVEXPIRY", "elsewhere"),
    0x63: ("ESME_RINVDFTMSGID", "elsewhere"),
    RX_T_APPN: ("ESME_RX_T_APPN", "later"),
    RX_P_APPN: ("ESME_RX_P_APPN", "elsewhere"),
    0x66: ("ESME_RX_R_APPN", "elsewhere"),
    0x67: ("ESME_RQUERYFAIL", "elsewhere"),
    RINVOPTPARSTREAM: ("ESME_RINVOPTPARSTREAM", "elsewhere"),
    0xC1: ("ESME_ROPTPARNOTALLWD", "elsewhere"),
    RINVPARLEN: ("ESME_RINVPARLEN", "elsewhere"),
    0xC3: ("ESME_RMISSINGOPTPARAM", "elsewhere"),
    RINVOPTPARAMVAL: ("ESME_RINVOPTPARAMVAL", "elsewhere"),
    0xFE: ("ESME_RDELIVERYFAILURE", "elsewhere"),
    0xFF: ("ESME_RUNKNOWNERR", "later"),
    # of SMPP 5.0 §4.7.6, which servers of 3.4 send too
    0x100: ("ESME_RSERTYPUNAUTH", "elsewhere"),
    0x101: ("ESME_RPROHIBITED", "elsewhere"),
    0x102: ("ESME_RSERTYPUNAVAIL", "later"),
    0x103: ("ESME_RSERTYPDENIED", "elsewhere"),
    RINVDCS: ("ESME_RINVDCS", "elsewhere"),
    0x105: ("ESME_RINVSRCADDRSUBUNIT", "elsewhere"),
    0x106: ("ESME_RINVDSTADDRSUBUNIT", "elsewhere"),
}
NAMES: Final = tuple(name for name, _ in _TABLE.values())
OTHER: Final = "other"  # in metrics: whatever is not in the table

HOPELESS: Final = frozenset(
    {RINVPASWD, RINVSYSID}
)  # a bind refused so will be refused again: some carriers lock us out


def name(status: int) -> str:
    """`ESME_RTHROTTLED`, or the number where nobody gave it a name."""
    known = _TABLE.get(status)
    return known[0] if known is not None else f"status 0x{status:08X}"


def label(status: int) -> str:
    """The name for a metric's label: `other` for what is not in the table."""
    known = _TABLE.get(status)
    return known[0] if known is not None else OTHER


def error(status: int, carrier: str, *, wait: float, passing: Collection[int] = ()) -> SendError:
    """What a response other than ESME_ROK means for the text. `passing` are those that are `later` by configuration."""
    known = _TABLE.get(status)
    meaning = "later" if status in passing else known[1] if known is not None else "elsewhere"
    sentence, code = f"carrier {carrier} answered {name(status)}", f"0x{status:02X}"
    match meaning:
        case "busy":
            return Busy(sentence, code=code, after=wait)
        case "later":
            return NotNow(sentence, code=code)
        case _:
            return Refused(sentence, code=code, elsewhere=meaning == "elsewhere")
