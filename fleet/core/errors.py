"""What the manager says no to. Every message says what happened, to what, and what to do next.

FleetError
├── NotFound          no such device, release, rollout
│   └── NoSuchToken   a word that no one-time token of this fleet has
├── Conflict          it is there, but its state does not allow this
├── Refused           could be carried out, but must not be (budget, foreign key, wrong device type)
├── BadInput          bytes or values that do not fit; carries what was expected
└── Unavailable       a tool, port, disk or server that is not there (what to do stands in the message)
"""

from __future__ import annotations


class FleetError(Exception):
    """Root of the tree. `str()` of it is one line for a person."""


class NotFound(FleetError):
    pass


class NoSuchToken(NotFound):
    pass


class Conflict(FleetError):
    pass


class Refused(FleetError):
    pass


class BadInput(FleetError):
    pass


class Unavailable(FleetError):
    pass
