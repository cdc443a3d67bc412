#include "config_table.h"

#define GO(next, action) {TF_CONFIG_##next, CONFIG_ACTION_##action, CONFIG_CELL_KNOWN | CONFIG_CELL_RECORD}
#define DO(next, action) {TF_CONFIG_##next, CONFIG_ACTION_##action, CONFIG_CELL_KNOWN}
/* It cannot happen here, or changes nothing. */
#define IGNORE(state) {TF_CONFIG_##state, CONFIG_ACTION_NONE, CONFIG_CELL_KNOWN}

const config_cell_t tf_config_table[TF_CONFIG_STATES][CONFIG_EVENTS] = {
    [TF_CONFIG_SETTLED] =
        {
            [CONFIG_OFFER] = DO(SETTLED, WRITE),
            [CONFIG_WRITTEN] = GO(STAGED, NONE),
            [CONFIG_UNWRITABLE] = GO(SETTLED, REFUSE),
            [CONFIG_BEGIN] = IGNORE(SETTLED),
            [CONFIG_RESTART] = IGNORE(SETTLED),
            [CONFIG_REACHED] = IGNORE(SETTLED),
            [CONFIG_MISSED] = IGNORE(SETTLED),
            [CONFIG_SPENT] = IGNORE(SETTLED),
            [CONFIG_LATE] = IGNORE(SETTLED),
            [CONFIG_DAMAGED] = IGNORE(SETTLED),
            [CONFIG_LOST] = GO(SETTLED, KEEP),
        },
    [TF_CONFIG_STAGED] =
        {
            /* On record before the region is touched: what a power cut leaves there is nobody's. */
            [CONFIG_OFFER] = GO(SETTLED, WRITE),
            [CONFIG_WRITTEN] = IGNORE(STAGED),
            [CONFIG_UNWRITABLE] = IGNORE(STAGED),
            [CONFIG_BEGIN] = GO(TRIAL, TRY),
            [CONFIG_RESTART] = IGNORE(STAGED),
            [CONFIG_REACHED] = IGNORE(STAGED),
            [CONFIG_MISSED] = IGNORE(STAGED),
            [CONFIG_SPENT] = IGNORE(STAGED),
            [CONFIG_LATE] = IGNORE(STAGED),
            /* The want that named it comes again. */
            [CONFIG_DAMAGED] = GO(SETTLED, NONE),
            [CONFIG_LOST] = GO(SETTLED, KEEP),
        },
    [TF_CONFIG_TRIAL] =
        {
            /* It would go to the region that is in use. */
            [CONFIG_OFFER] = IGNORE(TRIAL),
            [CONFIG_WRITTEN] = IGNORE(TRIAL),
            [CONFIG_UNWRITABLE] = IGNORE(TRIAL),
            [CONFIG_BEGIN] = IGNORE(TRIAL),
            [CONFIG_RESTART] = DO(TRIAL, AGAIN),
            [CONFIG_REACHED] = GO(SETTLED, KEEP),
            [CONFIG_MISSED] = DO(TRIAL, AGAIN),
            [CONFIG_SPENT] = GO(SETTLED, REFUSE),
            [CONFIG_LATE] = GO(SETTLED, REFUSE),
            [CONFIG_DAMAGED] = GO(SETTLED, NONE),
            [CONFIG_LOST] = GO(SETTLED, KEEP),
        },
};
