"""Mutants of the update engine."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
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
        "a trial that no want asked for has the token of the one before",
        "ota/firmware.c",
        "update->config.boot->record.sequence | 0x80000000u",
        "0x80000000u",
    ),
    Mutant(
        "an uploaded image that is gone is waited for",
        "ota/install.c",
        "if (record->generation == 0) return",
        "if (false) return",
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
)
