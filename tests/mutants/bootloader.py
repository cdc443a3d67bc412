"""Mutants of the bootloader and of what it shares with the firmware."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
    Mutant(
        "the counter is raised by a trial",
        "boot/boot_state.c",
        "    after.pending = slot;\n",
        "    after.pending = slot;\n    raise(&after, 2);\n",
    ),
    Mutant("tries are not counted", "boot/boot_state.c", "    after.tries++;\n", ""),
    Mutant(
        "the watchdog does not end a trial",
        "boot/decide.c",
        "if (record->tries > 0 && reset == TF_RESET_WATCHDOG) return VIEW_BITTEN;",
        "(void)reset;",
    ),
    Mutant(
        "a try that cannot be counted is made",
        "boot/decide.c",
        "if (!written && row->write == WRITE_COUNT",
        "if (false && !written && row->write == WRITE_COUNT",
    ),
    Mutant(
        "a slot on trial starts unverified",
        "boot/decide.c",
        "bool good = checked->result == TF_RESULT_SUCCESS;",
        "bool good = checked->result == TF_RESULT_SUCCESS || slot == boot->record.pending;",
    ),
    Mutant(
        "a slot's address is not compared",
        "boot/verify.c",
        "(parts->flags & start_flags) != flags || parts->load_address != policy->address",
        "(parts->flags & start_flags) != flags",
    ),
    Mutant(
        "the counter of firmware is not held against it",
        "boot/boot_state.c",
        "    policy.security_counter = boot->record.security_counter;\n",
        "    policy.security_counter = 0;\n",
    ),
    Mutant(
        "a place that may be half written is written again",
        "boot/record_log.c",
        "            log->sector = sector;\n",
        "            log->sector = sector;\n            log->next = at + place->record_bytes;\n",
    ),
    Mutant(
        "a record is not read back",
        "boot/record_log.c",
        "return written != NULL && memcmp(written, area, place->record_bytes) == 0;",
        "return written != NULL;",
    ),
    Mutant(
        "a sector's first record is read once",
        "boot/record_log.c",
        "READS = 12",
        "READS = 1",
    ),
)
