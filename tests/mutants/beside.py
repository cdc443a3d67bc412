"""Mutants of what stands beside the engine: configurations, encodings, SMP, the ring, sleep."""

from __future__ import annotations

from tests.mutants.mutant import Mutant

MUTANTS = (
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
        "an upload goes on in a slot that a want has taken",
        "ota/local.c",
        "update->upload.sequence == update->record.sequence",
        "true",
    ),
    Mutant(
        "an image that is no candidate may be tried",
        "ota/local.c",
        "if (*place->holds < TF_UPDATE_SLOT_CANDIDATE) return false;",
        "",
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
