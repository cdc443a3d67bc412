/* Metadata of a plan (wire/ARTIFACT.md section 6). */
#ifndef TF_METADATA_H
#define TF_METADATA_H

#include "tinyfleet/runtime.h"

/* Reads and checks the map into the model; false, with `where` set, when it is not the CBOR that ARTIFACT.md
 * allows. */
bool tf_read_metadata(tf_model_t *model, uint32_t at, uint32_t bytes);

#endif
