"""`python -m tests.mutants`: bootloader and update engine with one check or one order removed each.

The firmware's tests must see every one. By hand, not in `make test`: it takes minutes, and it links the
BearSSL that the `host` preset built.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEARSSL = ROOT / "build" / "deps" / "bearssl" / "inc"
LIBRARY = ROOT / "build" / "firmware" / "host" / "libbearssl.a"
FLAGS = ("-O1", "-g", "-std=c11", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
ROOMS = ("apps", "boot", "console", "ota", "telemetry", "wire", "include", "tests")
# What a client of SMP reaches the engine by; what waits for the broker; when the radio is on.
MORE = ("apps/node/images.c", "console/smp.c", "telemetry/ring.c", "apps/node/sleeper.c")
RIG = ("config_world.c", "flash_sim.c", "image_maker.c", "machine.c", "packer.c", "world.c")
TESTS = (
    *("test_state", "test_ring", "test_sleeper", "test_wakes"),
    *("test_boot", "test_firmware_update", "test_shadow", "test_shadow_cut", "test_firmware_cut"),
    *("test_config", "test_config_cut", "test_transfer", "test_local"),
)
# Of the bootloader and of firmware behind one; host tests have neither.
ON_BOARDS = ("main.c", "services.c", "lent.c", "ecdsa_none.c")
TIMEOUT_S = 180


@dataclass(frozen=True)
class Mutant:
    name: str
    file: str
    before: str
    after: str


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
        "the active slot is the one written to",
        "ota/engine.c",
        "    if (active == TF_BOOT_NO_SLOT) active = update->config.booted;\n    return active == 0 ? 1 : 0;",
        "    return active;",
    ),
    Mutant(
        "the bootloader is not asked for a trial",
        "ota/firmware.c",
        "    if (!tf_boot_request(update->config.boot, tf_engine_free_slot(update),\n"
        "                         tf_firmware_token(&update->record))) {",
        "    if (update->record.tries > 9) {",
    ),
    Mutant(
        "confirmed without a self-test",
        "ota/firmware.c",
        "    update->trial_due = true;\n",
        "    (void)tf_firmware_confirm(update);\n    return fact(EVENT_PASS, TF_RESULT_SUCCESS, NULL);\n",
    ),
    Mutant(
        "the bootloader is not told of a confirmation",
        "ota/firmware.c",
        "    return tf_boot_confirm(update->config.boot, update->candidate.security_counter);",
        "    return true;",
    ),
    Mutant(
        "the bootloader is not told of a refusal",
        "ota/firmware.c",
        "    (void)tf_boot_reject(boot, result);\n    if (update",
        "    (void)result;\n    if (update",
    ),
    Mutant(
        "what the bootloader made of a request is not looked at",
        "ota/firmware.c",
        "    if (boot->token != tf_firmware_token(&update->record)) {",
        "    if (boot->token != tf_firmware_token(&update->record) || boot->pending == TF_BOOT_NO_SLOT) {",
    ),
    Mutant(
        "a slot that was being filled counts as filled",
        "ota/install.c",
        "< TF_UPDATE_SLOT_CANDIDATE) return false;",
        "< TF_UPDATE_SLOT_EMPTY) return false;",
    ),
    Mutant(
        "the model that runs may be dropped",
        "ota/install.c",
        "        if (drops != NULL) return",
        "        if (false) return",
    ),
    Mutant(
        "a newer want is taken during a trial",
        "ota/update.c",
        "    bool held = record->firmware && record->state == TF_UPDATE_STATE_TRIAL;",
        "    bool held = false;",
    ),
    Mutant(
        "a model of another firmware counts as damaged",
        "ota/update.c",
        "if (result == TF_RESULT_SUCCESS || result == TF_RESULT_UNSUPPORTED_TYPE) return;",
        "if (result == TF_RESULT_SUCCESS) return;",
    ),
    Mutant(
        "the model is forgotten once its firmware is confirmed",
        "ota/update.c",
        "more ? EVENT_HALFWAY : EVENT_PASS",
        "EVENT_PASS",
    ),
    Mutant(
        "a challenger is confirmed once its vectors pass",
        "ota/table.c",
        "[EVENT_PASS] = TELL(SHADOW, ACCOMPANY)",
        "[EVENT_PASS] = GO(CONFIRMED, CONFIRM)",
    ),
    Mutant(
        "a challenger's slot counts as confirmed",
        "ota/shadow.c",
        "    update->shadow_due = true;\n",
        "    update->shadow_due = true;\n    update->record.slots[1] = TF_UPDATE_SLOT_CONFIRMED;\n",
    ),
    Mutant(
        "a challenger is not verified after a reset",
        "ota/shadow.c",
        "    if (checked.event != EVENT_VERIFIED) return checked;\n",
        "",
    ),
    Mutant(
        "crashes with a challenger are not counted",
        "ota/engine.c",
        "            if (update->config.crashed) record->tries++;\n",
        "",
    ),
    Mutant(
        "power cuts count as a challenger's crashes",
        "ota/engine.c",
        "            if (update->config.crashed) record->tries++;\n",
        "            record->tries++;\n",
    ),
    Mutant(
        "crashes with a challenger are not on record",
        "ota/table.c",
        "[EVENT_RESTART] = CELL(SHADOW, RESUME, CELL_RECORD)",
        "[EVENT_RESTART] = DO(SHADOW, RESUME)",
    ),
    Mutant(
        "a challenger does not survive a reset",
        "ota/table.c",
        "[EVENT_RESTART] = CELL(SHADOW, RESUME, CELL_RECORD)",
        "[EVENT_RESTART] = GO(CONFIRMED, CURRENT)",
    ),
    Mutant(
        "a challenger runs on while its slot is written to",
        "ota/update.c",
        "    if (update->shadow_runs && !shadow) {",
        "    if (update->shadow_runs && !shadow && update->record.state == TF_UPDATE_STATE_CONFIRMED) {",
    ),
    Mutant(
        "a challenger that was staged is not recorded as wanted",
        "ota/state.c",
        "        put(&writer, KEY_SHADOW_BYTES, record->shadow_bytes);\n",
        "        put(&writer, KEY_SHADOW_BYTES, 1);\n",
    ),
    Mutant(
        "a challenger is forgotten once its model is confirmed",
        "ota/engine.c",
        "    return record->has_next || record->has_shadow;",
        "    return record->has_next;",
    ),
    Mutant(
        "a challenger runs where no model does",
        "ota/shadow.c",
        "    if (!update->runs) return",
        "    if (false) return",
    ),
    Mutant(
        "the result of the last run's vectors stands",
        "ota/engine.c",
        "            record->result = TF_RESULT_INITIAL; /* its golden vectors have not passed since */\n",
        "",
    ),
    Mutant(
        "a change is written over the configuration in use",
        "ota/config_store.c",
        "    uint32_t offset = layout->region_offset[free_region(store)];\n",
        "    uint32_t offset = layout->region_offset[store->record.active];\n",
    ),
    Mutant(
        "a configuration is kept before the broker was reached",
        "ota/config_table.c",
        "[CONFIG_BEGIN] = GO(TRIAL, TRY)",
        "[CONFIG_BEGIN] = GO(SETTLED, KEEP)",
    ),
    Mutant(
        "attempts with a configuration are not counted",
        "ota/config_store.c",
        "    after.tries++;\n",
        "",
    ),
    Mutant(
        "an attempt that cannot be counted is made",
        "ota/config_store.c",
        "return store->record.tries < TF_CONFIG_TRIES && write_record(store, &after);",
        "return store->record.tries < TF_CONFIG_TRIES && (write_record(store, &after) || true);",
    ),
    Mutant(
        "a staged configuration is replaced without a record",
        "ota/config_table.c",
        "[CONFIG_OFFER] = GO(SETTLED, WRITE),\n            [CONFIG_WRITTEN] = IGNORE(STAGED)",
        "[CONFIG_OFFER] = DO(SETTLED, WRITE),\n            [CONFIG_WRITTEN] = IGNORE(STAGED)",
    ),
    Mutant(
        "a refused configuration is tried again",
        "ota/config_store.c",
        "    if (store->record.refused != 0 && !is_after(sequence, store->record.refused)) return false;\n",
        "",
    ),
    Mutant(
        "what was written is not read back",
        "ota/config_store.c",
        "    return whole && read_region(store, free_region(store), &after) ?",
        "    return whole || true ?",
    ),
    Mutant(
        "the key of the configuration before is lost",
        "ota/config_store.c",
        "    if (change->server.text != NULL)",
        "    after->tls.key = after->tls.ca_name;\n    if (change->server.text != NULL)",
    ),
    Mutant(
        "a lost configuration is not replaced by the other",
        "ota/config_store.c",
        "    if (!active) fact.event = CONFIG_LOST;\n",
        "",
    ),
    Mutant(
        "a delta is taken whatever it starts from",
        "ota/transfer.c",
        "manifest->encoding == TF_ENCODING_DELTA && !take_base(",
        "manifest->encoding == TF_ENCODING_DELTA && take_base(update, manifest->base) && !take_base(",
    ),
    Mutant(
        "a base is known by what its slot says",
        "ota/transfer.c",
        "    return tf_equal(actual, digest, sizeof actual);\n}\n\nfact_t tf_transfer_accept",
        "    return true;\n}\n\nfact_t tf_transfer_accept",
    ),
    Mutant(
        "encoded sectors go to the slot",
        "ota/transfer.c",
        "return is_encoded(update) ? update->config.layout.staging_offset : tf_engine_free_offset(update);",
        "return tf_engine_free_offset(update);",
    ),
    Mutant(
        "an encoded image is not checked",
        "ota/transfer.c",
        "    fetch->unpacking = false;\n    return tf_install_check(update);",
        "    fetch->unpacking = false;\n    return fact(EVENT_VERIFIED, TF_RESULT_INITIAL, NULL);",
    ),
    Mutant(
        "a chunk disturbs the unpacking",
        "ota/fetch.c",
        "fetch->group != TF_UPDATE_NO_GROUP && topic->group == fetch->group",
        "topic->group == fetch->group",
    ),
    Mutant(
        "a slot is written before it is on record that it holds nothing",
        "ota/engine.c",
        "    if (*slot == TF_UPDATE_SLOT_FILLING) return true;\n",
        "    if (*slot != 99u) return true;\n",
    ),
    Mutant(
        "the room for an image is not looked at",
        "ota/transfer.c",
        "if (manifest->image_bytes > tf_engine_slot_bytes(update))",
        "if (false)",
    ),
    Mutant(
        "an upload begins before its slot is on record as being filled",
        "ota/local.c",
        "    if (!hold(update, &place, TF_UPDATE_SLOT_FILLING)) return say(TF_LOCAL_FLASH);\n",
        "",
    ),
    Mutant(
        "what was uploaded is taken unverified",
        "ota/local.c",
        "    if (!good) {\n        found.status = TF_LOCAL_REFUSED;",
        "    if (!good && image->reason == NULL) {\n        found.status = TF_LOCAL_REFUSED;",
    ),
    Mutant(
        "a trial that no want asked for has the token of the one before",
        "ota/firmware.c",
        "update->config.boot->record.sequence | 0x80000000u",
        "0x80000000u",
    ),
    Mutant(
        "an upload goes on in a slot that a want has taken",
        "ota/local.c",
        "update->upload.sequence == update->record.sequence",
        "true",
    ),
    Mutant(
        "an uploaded image that is gone is waited for",
        "ota/install.c",
        "if (record->generation == 0) return",
        "if (false) return",
    ),
    Mutant(
        "an image that is no candidate may be tried",
        "ota/local.c",
        "if (*place->holds < TF_UPDATE_SLOT_CANDIDATE) return false;",
        "",
    ),
    Mutant(
        "a sector's first record is read once",
        "boot/record_log.c",
        "READS = 12",
        "READS = 1",
    ),
    Mutant(
        "what a full ring drops is not counted",
        "telemetry/ring.c",
        "    ring->lost += pass(ring, newest);\n",
        "    (void)pass(ring, newest);\n",
    ),
    Mutant(
        "the ring goes on in the sector that it finds",
        "telemetry/ring.c",
        "    ring->fresh = true;\n    ring->tail =",
        "    ring->tail =",
    ),
    Mutant(
        "a message is not read back",
        "telemetry/ring.c",
        "    if (written == NULL || memcmp(written, ring->area, size) != 0) return false;\n",
        "    if (written == NULL) return false;\n",
    ),
    Mutant(
        "records do not say what is acknowledged",
        "telemetry/ring.c",
        "    tf_write_uint(&writer, ring->acknowledged);\n",
        "    tf_write_uint(&writer, 0);\n",
    ),
    Mutant(
        "a record that reads well only now counts as one of the ring's",
        "telemetry/ring.c",
        "record.message.data == NULL || newer(record.sequence, ring->sequence)",
        "record.message.data == NULL",
    ),
    Mutant(
        "a group is asked for whatever the wake has left",
        "ota/fetch.c",
        "return now->left_bytes >= bytes",
        "return bytes > 0",
    ),
    Mutant(
        "a budget that holds no group is waited with",
        "ota/fetch.c",
        "if (now->budget_bytes < bytes + REPORT_BYTES)",
        "if (now->budget_bytes < REPORT_BYTES)",
    ),
    Mutant(
        "the end of a wake does not end a download",
        "ota/update.c",
        "now->has_budget && now->left_bytes == 0",
        "now->has_budget && now->budget_bytes == 0",
    ),
    Mutant(
        "why an update waits is what it waited for first",
        "ota/engine.c",
        "if (moves || waits || (cell->flags",
        "if (moves || (waits && false) || (cell->flags",
    ),
    Mutant(
        "bytes end a wake before the want was heard",
        "apps/node/sleeper.c",
        "(facts->heard && sleeper_left_bytes",
        "(sleeper_left_bytes",
    ),
    Mutant(
        "a wake may be of any length",
        "apps/node/sleeper.c",
        "(awake_ms > SLEEPER_AWAKE_LEAST_MS ? awake_ms : SLEEPER_AWAKE_LEAST_MS)",
        "awake_ms",
    ),
    Mutant(
        "the radio stays on in its sleep",
        "apps/node/sleeper.c",
        "            [SLEEPER_DUE] = TO(ASLEEP, OFF),\n",
        "            [SLEEPER_DUE] = TO(ASLEEP, NOTHING),\n",
    ),
)


def compile_tests(folder: Path) -> Path:
    """Folder with the test programs of the sources in `folder`. Raises CalledProcessError."""
    includes = [f"-I{folder / 'include'}", f"-I{BEARSSL}"]
    sources = [
        *(p for p in sorted((folder / "boot").glob("*.c")) if p.name not in ON_BOARDS),
        *sorted((folder / "ota").glob("*.c")),
        *sorted((folder / "wire").glob("*.c")),
        *(folder / name for name in MORE),
        *(folder / "tests" / name for name in RIG),
    ]
    objects = []
    for source in sources:
        # The test for cuts remembers what a signature's check said, in place of the library's file.
        target = folder / "tests" / "ecdsa_once.c" if source.name == "ecdsa_m31.c" else source
        objects.append(folder / f"{source.parent.name}-{source.stem}.o")
        subprocess.run(
            ["gcc", *FLAGS, *includes, "-c", str(target), "-o", str(objects[-1])],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    for test in TESTS:
        command = ["gcc", *FLAGS, *includes, str(folder / "tests" / f"{test}.c"), *map(str, objects)]
        subprocess.run(
            [*command, str(LIBRARY), "-o", str(folder / test)],
            check=True,
            capture_output=True,
            timeout=TIMEOUT_S,
        )
    return folder


def seen_by(folder: Path) -> str | None:
    """The first test that fails, and its words; None: all pass."""
    for test in TESTS:
        try:
            done = subprocess.run(
                [str(folder / test)], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
            )
        except subprocess.TimeoutExpired:
            return f"{test}: no end within {TIMEOUT_S} s"
        if done.returncode != 0:
            lines = [line for line in done.stderr.splitlines() if line.strip()]
            return f"{test}: {lines[-1] if lines else done.returncode}"
    return None


def main() -> int:
    survived = 0
    for mutant in (None, *MUTANTS):
        with tempfile.TemporaryDirectory(prefix="tinyfleet-mutant-") as name:
            folder = Path(name)
            for room in ROOMS:
                shutil.copytree(
                    ROOT / "firmware" / room, folder / room, ignore=shutil.ignore_patterns("fuzz")
                )
            if mutant is not None:
                path = folder / mutant.file
                text = path.read_text()
                if text.count(mutant.before) != 1:
                    print(f"STALE     {mutant.name}: {mutant.file} no longer holds what it changes")
                    survived += 1
                    continue
                path.write_text(text.replace(mutant.before, mutant.after))
            why = seen_by(compile_tests(folder))
        if mutant is None:
            if why is not None:
                print(f"the code as it is fails: {why}")
                return 1
            continue
        print(
            f"{'seen    ' if why else 'SURVIVED'}  {mutant.name}{'' if why is None else f' ({why[-100:]})'}",
            flush=True,
        )
        survived += why is None
    print(f"{len(MUTANTS) - survived} of {len(MUTANTS)} mutants seen")
    return 1 if survived else 0


if __name__ == "__main__":
    sys.exit(main())
