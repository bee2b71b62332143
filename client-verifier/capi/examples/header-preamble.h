/*
 * Countersign: verified updates after TUF and Uptane. This header is generated; do not edit it.
 *
 * Results. A function that can fail returns a status: 0, or the number of a refusal. Its last
 * parameter may be NULL; otherwise it gets the particulars, or NULL after a success. You free them
 * with countersign_error_free. Where a function fails, the places for its results hold NULL.
 *
 * Handles. Every type named "struct" below without members is a handle. What a function gives you is
 * yours: free it with the function of its type. Where a handle "is given up", the library has it from
 * then on, also if the call fails. A handle that was freed, or is of another type, is refused with
 * COUNTERSIGN_MISUSE; it is never followed. Freeing NULL, or twice, does nothing.
 *
 * Texts are UTF-8 and end with a NUL. Those that you give are copied; those that you get live as long
 * as the handle they come from.
 *
 * Threads. Every function may be called from any thread. A handle that never changes may be used by
 * any number of threads at once; of the others one call at a time, and a second one is refused with
 * COUNTERSIGN_MISUSE rather than kept waiting. Callbacks run on the thread of the call that needs
 * them. They may call this library, but not with a handle that is in use. They must not throw, nor
 * leave by longjmp.
 *
 * A defect of the library is COUNTERSIGN_INTERNAL: no panic crosses into your code. The handle that it
 * happened to can only be freed.
 */
