/* Linked into every program of the tests: at its end no handle may be out. AddressSanitizer and valgrind cannot
 * see one that is, for the library's table still reaches it. Also C++. */
#include <countersign/countersign.h>

#include <stdio.h>
#include <unistd.h>

__attribute__((destructor)) static void no_handle_is_left(void) {
    size_t left = countersign_live_handles();
    if (left != 0) {
        fprintf(stderr, "handles are left: %zu\n", left);
        _exit(98);
    }
}
