/* Two threads and the same live handles: a call is refused while another one uses the handle, or it does what it
 * does alone. Nothing else comes of it, whatever the threads do.
 *
 *   race REPOSITORY VECTOR HOME */
#include "live.h"

#include <pthread.h>
#include <stdatomic.h>

#define ROUNDS 300

static struct live live;
static countersign_context context;
static atomic_int done;

/* OK or MISUSE; says whether it was OK. */
static bool either(const char *what, countersign_status status, countersign_error **error) {
    if (status != COUNTERSIGN_OK && status != COUNTERSIGN_MISUSE) {
        fprintf(stderr, "%s: %s\n", what, countersign_error_message(*error));
        abort();
    }
    countersign_error_free(*error);
    *error = NULL;
    return status == COUNTERSIGN_OK;
}

static void *on_client(void *unused) {
    for (int i = 0; i < ROUNDS / 10; i++) {
        countersign_error *error = NULL;
        countersign_trusted *trusted = NULL;
        countersign_target *target = NULL;
        if (either("refresh", countersign_client_refresh(live.client, context.now, &trusted, &error), &error)) done++;
        else if (trusted) abort();
        countersign_trusted_free(trusted);
        either("find", countersign_client_find(live.client, live.trusted, "fw.img", &target, &error), &error);
        countersign_target_free(target);
    }
    return unused;
}

static void *on_session(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        countersign_error *error = NULL;
        countersign_step step;
        countersign_trusted *trusted = NULL;
        /* Nobody answers it, so it stays the same. */
        if (either("next", countersign_session_next(live.session, &step, &error), &error)) {
            if (step.kind != COUNTERSIGN_STEP_LOAD) abort();
            done++;
        }
        if (either("take", countersign_session_take_trusted(live.session, &trusted, &error), &error)) abort();
    }
    return unused;
}

/* All bytes of this image are the same, so it is whole in whatever order they come; and not before each was taken
 * once. */
static atomic_ullong left;

static void *on_image(void *unused) {
    uint8_t bytes[64];
    memset(bytes, 'A', sizeof bytes);
    for (;;) {
        unsigned long long have = left;
        size_t n = have < sizeof bytes ? (size_t)have : sizeof bytes;
        if (n == 0) break;
        if (!atomic_compare_exchange_strong(&left, &have, have - n)) continue;
        countersign_error *error = NULL;
        while (!either("update", countersign_image_update(live.image, bytes, n, &error), &error)) {}
    }
    return unused;
}

static void *finish_image(void *unused) {
    countersign_error *error = NULL;
    countersign_verified *verified = NULL;
    if (either("finish", countersign_image_finish(live.image, &verified, &error), &error)) done++;
    else if (verified) abort();
    countersign_verified_free(verified);
    return unused;
}

static void *on_trusted(void *unused) {
    for (int i = 0; i < ROUNDS; i++) {
        countersign_error *error = NULL;
        countersign_session *session = NULL;
        countersign_step step;
        if (countersign_trusted_versions(live.trusted).root != 1) abort();
        if (!either("search", countersign_session_search(live.trusted, "fw.img", &session, &error), &error)) continue;
        /* It is this thread's own, and the state with it. */
        MUST(countersign_session_next(session, &step, &e));
        countersign_session_free(session);
        done++;
    }
    return unused;
}

/* One thread gives the session up that the other one uses. */
static void *use_session(void *unused) {
    countersign_status status = COUNTERSIGN_OK;
    while (status == COUNTERSIGN_OK) {
        countersign_error *error = NULL;
        countersign_step step;
        status = countersign_session_next(live.session, &step, &error);
        either("next", status, &error);
    }
    return unused;
}

static void *free_session(void *unused) {
    countersign_session_free(live.session);
    return unused;
}

static void both(const char *what, void *(*one)(void *), void *(*other)(void *), int least, int most) {
    pthread_t threads[2];
    done = 0;
    if (pthread_create(&threads[0], NULL, one, NULL) || pthread_create(&threads[1], NULL, other, NULL)) die(what);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    if (done < least || done > most) {
        fprintf(stderr, "%s: %d calls succeeded\n", what, (int)done);
        abort();
    }
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    const struct places places = {argv[1], argv[2], argv[3]};
    make_live(&live, &places);
    context = context_now();
    left = countersign_target_length(live.target);
    both("client", on_client, on_client, 1, 2 * ROUNDS);
    both("session", on_session, on_session, 1, 2 * ROUNDS);
    both("image", on_image, on_image, 0, 0);
    both("the end of an image", finish_image, finish_image, 1, 1);
    both("trusted", on_trusted, on_trusted, 1, 2 * ROUNDS);
    both("a session given up", use_session, free_session, 0, 0);
    free_live(&live);
    return 0;
}
