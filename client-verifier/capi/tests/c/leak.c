/* Leaves a handle behind, to see that no_handles_left.c notices. */
#include <countersign/countersign.h>

int main(void) {
    countersign_error *error = 0;
    return countersign_client_new(0, 0, &error) == COUNTERSIGN_MISUSE ? 0 : 1;
}
