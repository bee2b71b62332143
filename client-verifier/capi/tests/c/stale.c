/* Preloaded: says that the metadata of every image has expired since. A program that installs without asking
 * does not notice. */
#include <countersign/countersign.h>

countersign_status countersign_verified_check_fresh(const struct countersign_verified *verified, int64_t now,
                                                    struct countersign_error **error) {
    (void)verified, (void)now;
    /* Any error will do: of this one it is known how to make it. */
    int64_t *nowhere = 0;
    (void)countersign_system_time(nowhere, error);
    return COUNTERSIGN_EXPIRED;
}
