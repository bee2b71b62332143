/*
 * Countersign: verified updates after TUF and Uptane. This header is generated; do not edit it.
 *
 * Results. A function that can fail returns a status: 0, or the number of a refusal. Its last
 * parameter may be NULL; otherwise it gets the particulars, or NULL after a success. You free them
 * with countersign_error_free. Where a function fails, the places for its results hold NULL, 0, false,
 * or INT64_MIN for a time, unless its text says otherwise. A function that returns no status returns
 * the same for what is no handle of its type.
 *
 * Handles. Every type named "struct" below without members is a handle. What a function gives you is
 * yours: free it with the function of its type. Where a handle "is given up", the library has it from
 * then on, also if the call fails. A handle that was freed, or is of another type, is refused with
 * COUNTERSIGN_MISUSE; it is never followed. Freeing NULL, or twice, does nothing. Freeing does not
 * wait: a call that runs on another thread ends undisturbed, and goes on calling your callbacks until
 * then. So what a `user` pointer points to has to live until the handle is freed and every call that
 * had it has returned.
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
