"""What can go wrong on a bench.

AgentError
├── BenchFileError      bench.yaml cannot be used; says the line
├── PlanError           an image, model or golden set that does not fit the board
├── EmulatorError       an emulated board or node did not start, or died
├── NoSuchBoardError    no board, probe or console by that name
├── NoSwitchError       nothing switches the board's power
├── NoMeterError        nothing measures the board's power
├── BoardBusyError      somebody else holds the board
│   └── QuarantinedError    nobody is to use it until a person lets it out
├── LeaseError          who holds which board cannot be told
├── AgentBusyError      an agent already runs with that state folder
├── StepFailed          one step on a board failed: names board, step, cause
│   ├── StepTimeout
│   ├── CoreLockedUp    an emulated board's program ended its emulator
│   ├── BoardGone       probe, console or meter was unplugged meanwhile
│   ├── SwitchError     power may not be as it should
│   │   └── SwitchRefused   nothing was switched
│   ├── MeterError      the power meter is gone, silent or not what bench.yaml says
│   └── ConsoleError    the console's peer broke off, stayed silent or answered nonsense
└── BoardSaidNo         the board answered with a Result other than success
"""

from __future__ import annotations


class AgentError(Exception):
    """Root. `what` says what happened and to what; `hint` says what to do next."""

    def __init__(self, what: str, hint: str) -> None:
        super().__init__(f"{what}; {hint}")
        self.what = what
        self.hint = hint


class BenchFileError(AgentError):
    pass


class PlanError(AgentError):
    pass


class EmulatorError(AgentError):
    pass


class NoSuchBoardError(AgentError):
    pass


class NoSwitchError(AgentError):
    pass


class NoMeterError(AgentError):
    pass


class BoardBusyError(AgentError):
    pass


class LeaseError(AgentError):
    pass


class AgentBusyError(AgentError):
    pass


class QuarantinedError(BoardBusyError):
    pass


class StepFailed(AgentError):
    """`board` and `step` name where it happened."""

    def __init__(self, board: str, step: str, cause: str, hint: str) -> None:
        super().__init__(f"{board}: {step}: {cause}", hint)
        self.board = board
        self.step = step
        self.cause = cause


class StepTimeout(StepFailed):
    pass


class CoreLockedUp(StepFailed):
    pass


class BoardGone(StepFailed):
    pass


class SwitchError(StepFailed):
    pass


class SwitchRefused(SwitchError):
    pass


class ConsoleError(StepFailed):
    pass


class MeterError(StepFailed):
    pass


class BoardSaidNo(AgentError):
    """`result` is the wire's Result number."""

    def __init__(self, board: str, what: str, result: int, hint: str) -> None:
        super().__init__(f"{board}: {what}", hint)
        self.board = board
        self.result = result
