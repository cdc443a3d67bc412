#include "table.h"

#define S(name) TF_UPDATE_STATE_##name
#define CELL(next, action, flags) {S(next), ACTION_##action, CELL_KNOWN | (flags)}
/* On record and told; told only; neither. */
#define GO(next, action) CELL(next, action, CELL_RECORD | CELL_TELL)
#define TELL(next, action) CELL(next, action, CELL_TELL)
#define DO(next, action) CELL(next, action, 0)
/* Ignored: it cannot happen here, comes too late, or changes nothing. */
#define IGNORE(state) {S(state), ACTION_NONE, CELL_KNOWN}

/* A newer want replaces whatever an older one began. Only a challenger that runs may be kept. */
#define NEWER_WANT                                                                \
    [EVENT_OFFER] = GO(OFFERED, OFFER), [EVENT_CURRENT] = GO(CONFIRMED, CURRENT), \
    [EVENT_FIRMWARE] = GO(FAILED, FAIL), [EVENT_STAY] = GO(IDLE, STOP)

/* Answers that only one state waits for. */
#define NO_DOWNLOAD(state) [EVENT_DAMAGED] = IGNORE(state), [EVENT_STALL] = IGNORE(state)
#define NO_SHADOW(state) [EVENT_KEEP] = IGNORE(state), [EVENT_CHALLENGE] = IGNORE(state)
#define NO_DOOR(state) \
    [EVENT_START] = IGNORE(state), [EVENT_WAIT] = IGNORE(state), [EVENT_PRESENT] = IGNORE(state)
#define NO_TRIAL(state) \
    [EVENT_PASS] = IGNORE(state), [EVENT_HALFWAY] = IGNORE(state), [EVENT_REJECT] = IGNORE(state)

/* Nothing is under way: only a newer want changes that. */
#define SETTLED(state)                  \
    {NEWER_WANT,                        \
     [EVENT_WITHDRAW] = IGNORE(state),  \
     [EVENT_REMIND] = IGNORE(state),    \
     [EVENT_RESTART] = IGNORE(state),   \
     [EVENT_LINK_UP] = IGNORE(state),   \
     [EVENT_LINK_DOWN] = IGNORE(state), \
     [EVENT_DUE] = IGNORE(state),       \
     [EVENT_EXPIRE] = IGNORE(state),    \
     [EVENT_REFUSE] = IGNORE(state),    \
     [EVENT_VERIFIED] = IGNORE(state),  \
     [EVENT_PROCEED] = IGNORE(state),   \
     NO_DOWNLOAD(state),                \
     NO_DOOR(state),                    \
     NO_SHADOW(state),                  \
     NO_TRIAL(state)}

const cell_t tf_update_table[STATE_COUNT][EVENT_COUNT] =
    {
        [S(IDLE)] = SETTLED(IDLE),

        [S(OFFERED)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = DO(OFFERED, CONSIDER),
                [EVENT_RESTART] = DO(OFFERED, CONSIDER),
                [EVENT_LINK_UP] = DO(OFFERED, CONSIDER),
                [EVENT_LINK_DOWN] = IGNORE(OFFERED),
                [EVENT_DUE] = DO(OFFERED, CONSIDER),
                [EVENT_START] = GO(DOWNLOADING, FETCH),
                [EVENT_WAIT] = GO(DEFERRED, DEFER),
                [EVENT_EXPIRE] = GO(FAILED, FAIL),
                [EVENT_PRESENT] = GO(VERIFIED, PRESENT),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = IGNORE(OFFERED),
                [EVENT_PROCEED] = IGNORE(OFFERED),
                NO_DOWNLOAD(OFFERED),
                NO_SHADOW(OFFERED),
                NO_TRIAL(OFFERED),
            },

        [S(DEFERRED)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = DO(DEFERRED, CONSIDER),
                [EVENT_RESTART] = DO(DEFERRED, CONSIDER),
                [EVENT_LINK_UP] = DO(DEFERRED, CONSIDER),
                [EVENT_LINK_DOWN] = IGNORE(DEFERRED),
                [EVENT_DUE] = DO(DEFERRED, CONSIDER),
                [EVENT_START] = GO(DOWNLOADING, FETCH),
                [EVENT_WAIT] = DO(DEFERRED, DEFER),
                [EVENT_EXPIRE] = GO(FAILED, FAIL),
                [EVENT_PRESENT] = GO(VERIFIED, PRESENT),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = IGNORE(DEFERRED),
                [EVENT_PROCEED] = IGNORE(DEFERRED),
                NO_DOWNLOAD(DEFERRED),
                NO_SHADOW(DEFERRED),
                NO_TRIAL(DEFERRED),
            },

        [S(DOWNLOADING)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = IGNORE(DOWNLOADING),
                [EVENT_RESTART] = DO(PAUSED, PAUSE),
                [EVENT_LINK_UP] = DO(DOWNLOADING, FETCH),
                [EVENT_LINK_DOWN] = DO(PAUSED, PAUSE),
                [EVENT_DUE] = DO(DOWNLOADING, CONTINUE),
                [EVENT_START] = IGNORE(DOWNLOADING),
                [EVENT_WAIT] = GO(DEFERRED, DEFER),
                [EVENT_EXPIRE] = GO(FAILED, FAIL),
                [EVENT_PRESENT] = IGNORE(DOWNLOADING),
                [EVENT_DAMAGED] = TELL(DOWNLOADING, REFETCH),
                [EVENT_STALL] = TELL(PAUSED, PAUSE),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = GO(VERIFIED, PRESENT),
                [EVENT_PROCEED] = IGNORE(DOWNLOADING),
                NO_SHADOW(DOWNLOADING),
                NO_TRIAL(DOWNLOADING),
            },

        [S(PAUSED)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = DO(PAUSED, CONSIDER),
                [EVENT_RESTART] = DO(PAUSED, PAUSE),
                [EVENT_LINK_UP] = DO(PAUSED, CONSIDER),
                [EVENT_LINK_DOWN] = DO(PAUSED, PAUSE),
                [EVENT_DUE] = DO(PAUSED, CONSIDER),
                [EVENT_START] = GO(DOWNLOADING, FETCH),
                [EVENT_WAIT] = GO(DEFERRED, DEFER),
                [EVENT_EXPIRE] = GO(FAILED, FAIL),
                [EVENT_PRESENT] = GO(VERIFIED, PRESENT),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = IGNORE(PAUSED),
                [EVENT_PROCEED] = IGNORE(PAUSED),
                NO_DOWNLOAD(PAUSED),
                NO_SHADOW(PAUSED),
                NO_TRIAL(PAUSED),
            },

        [S(VERIFIED)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = IGNORE(VERIFIED),
                [EVENT_RESTART] = DO(VERIFIED, CHECK),
                [EVENT_LINK_UP] = IGNORE(VERIFIED),
                [EVENT_LINK_DOWN] = IGNORE(VERIFIED),
                [EVENT_DUE] = IGNORE(VERIFIED),
                [EVENT_EXPIRE] = IGNORE(VERIFIED),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = IGNORE(VERIFIED),
                [EVENT_PROCEED] = GO(STAGED, STAGE),
                NO_DOWNLOAD(VERIFIED),
                NO_SHADOW(VERIFIED),
                NO_DOOR(VERIFIED),
                NO_TRIAL(VERIFIED),
            },

        [S(STAGED)] =
            {
                NEWER_WANT,
                [EVENT_WITHDRAW] = GO(IDLE, STOP),
                [EVENT_REMIND] = IGNORE(STAGED),
                [EVENT_RESTART] = DO(STAGED, CHECK),
                [EVENT_LINK_UP] = IGNORE(STAGED),
                [EVENT_LINK_DOWN] = IGNORE(STAGED),
                [EVENT_DUE] = IGNORE(STAGED),
                [EVENT_EXPIRE] = IGNORE(STAGED),
                [EVENT_REFUSE] = GO(FAILED, FAIL),
                [EVENT_VERIFIED] = IGNORE(STAGED),
                [EVENT_PROCEED] = GO(TRIAL, TRY),
                [EVENT_CHALLENGE] = GO(SHADOW, CHALLENGE),
                [EVENT_KEEP] = IGNORE(STAGED),
                NO_DOWNLOAD(STAGED),
                NO_DOOR(STAGED),
                NO_TRIAL(STAGED),
            },

        [S(TRIAL)] =
            {
                NEWER_WANT,
                /* What runs is the candidate: it ends its trial, and the manager may ask for another model
                   then. */
                [EVENT_WITHDRAW] = IGNORE(TRIAL),
                [EVENT_REMIND] = IGNORE(TRIAL),
                [EVENT_RESTART] = DO(TRIAL, RETRY),
                [EVENT_LINK_UP] = IGNORE(TRIAL),
                [EVENT_LINK_DOWN] = IGNORE(TRIAL),
                [EVENT_DUE] = GO(REVERTED, FAIL),
                [EVENT_EXPIRE] = IGNORE(TRIAL),
                [EVENT_REFUSE] = GO(REVERTED, FAIL),
                [EVENT_VERIFIED] = IGNORE(TRIAL),
                [EVENT_PROCEED] = GO(TRIAL, TRY),
                [EVENT_PASS] = GO(CONFIRMED, CONFIRM),
                [EVENT_HALFWAY] = GO(OFFERED, ADVANCE),
                [EVENT_REJECT] = GO(REVERTED, FAIL),
                NO_DOWNLOAD(TRIAL),
                NO_SHADOW(TRIAL),
                NO_DOOR(TRIAL),
            },

        [S(CONFIRMED)] = SETTLED(CONFIRMED),
        [S(REVERTED)] = SETTLED(REVERTED),
        [S(FAILED)] = SETTLED(FAILED),

        [S(SHADOW)] =
            {
                NEWER_WANT,
                [EVENT_KEEP] = GO(SHADOW, KEEP),
                [EVENT_WITHDRAW] = IGNORE(SHADOW),
                [EVENT_REMIND] = IGNORE(SHADOW),
                [EVENT_RESTART] = CELL(SHADOW, RESUME, CELL_RECORD),
                [EVENT_LINK_UP] = IGNORE(SHADOW),
                [EVENT_LINK_DOWN] = IGNORE(SHADOW),
                [EVENT_DUE] = GO(REVERTED, FAIL),
                [EVENT_EXPIRE] = IGNORE(SHADOW),
                [EVENT_REFUSE] = GO(REVERTED, FAIL),
                [EVENT_VERIFIED] = IGNORE(SHADOW),
                [EVENT_PROCEED] = IGNORE(SHADOW),
                [EVENT_PASS] = TELL(SHADOW, ACCOMPANY),
                [EVENT_HALFWAY] = IGNORE(SHADOW),
                [EVENT_REJECT] = GO(REVERTED, FAIL),
                [EVENT_CHALLENGE] = IGNORE(SHADOW),
                NO_DOWNLOAD(SHADOW),
                NO_DOOR(SHADOW),
            },
};
