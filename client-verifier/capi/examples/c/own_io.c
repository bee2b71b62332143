/*
 * A client that brings its own transport and its own storage, over the two-call session: here a
 * directory that somebody has mounted, such as a USB stick, and a directory for what is trusted.
 * Nothing in it knows HTTP.
 *
 *   cc own_io.c -o own_io $(pkg-config --cflags --libs countersign)
 *   ./own_io STATE init ROOT
 *   ./own_io STATE update REPOSITORY NAME OUTPUT
 */
#define _POSIX_C_SOURCE 200809L
#include <countersign/countersign.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND, ABSENT, FAILED, LONGER };

static int refused(countersign_error *error) {
    fprintf(stderr, "own_io: %s: %s\n", countersign_error_name(error), countersign_error_message(error));
    countersign_error_free(error);
    return 1;
}

static int failed(const char *what, const char *path) {
    fprintf(stderr, "own_io: cannot %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

/* Reads a file of at most `max` bytes. That it cannot be read is not that it is not there. */
static int read_file(const char *path, uint64_t max, unsigned char **bytes, size_t *len) {
    *bytes = NULL;
    *len = 0;
    FILE *file = fopen(path, "rb");
    if (!file) return errno == ENOENT ? ABSENT : FAILED;
    size_t room = 0;
    int result = FOUND;
    while (result == FOUND) {
        if (*len == room) {
            unsigned char *more = realloc(*bytes, room = room ? 2 * room : 4096);
            if (!more) { result = FAILED; break; }
            *bytes = more;
        }
        size_t n = fread(*bytes + *len, 1, room - *len, file);
        if (n == 0) break;
        *len += n;
        if (*len > max) result = LONGER;
    }
    if (ferror(file)) result = FAILED;
    fclose(file);
    return result;
}

// [save]
/* Keeps a file durably: after a power cut there is the old one or this one. The first eight bytes are the
 * Root version that it was accepted under. */
static int save(const char *state, const char *name, const uint8_t *bytes, size_t len, uint64_t under) {
    char path[4096], unfinished[4096];
    snprintf(path, sizeof path, "%s/%s", state, name);
    snprintf(unfinished, sizeof unfinished, "%s/unfinished", state);
    int file = open(unfinished, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    if (file < 0) return failed("make", unfinished);
    int wrong = write(file, &under, sizeof under) != (ssize_t)sizeof under;
    for (size_t done = 0; !wrong && done < len;) {
        ssize_t n = write(file, bytes + done, len - done);
        if (n <= 0) wrong = 1;
        else done += (size_t)n;
    }
    wrong |= fsync(file) != 0;
    wrong |= close(file) != 0;
    if (wrong || rename(unfinished, path) != 0) return failed("write", path);
    int directory = open(state, O_RDONLY);
    if (directory < 0) return failed("open", state);
    wrong = fsync(directory) != 0;
    close(directory);
    return wrong ? failed("sync", state) : 0;
}
// [end save]

// [drive]
/* Answers every step of a session: files of the repository from `repository`/metadata, trusted files from
 * `state`. */
static int drive(countersign_session *session, const char *state, const char *repository) {
    countersign_step step;
    countersign_error *error = NULL;
    for (;;) {
        unsigned char *bytes = NULL;
        size_t len = 0;
        char path[4096];
        int status = countersign_session_next(session, &step, &error);
        if (status) return refused(error);
        switch (step.kind) {
        case COUNTERSIGN_STEP_DONE:
            return 0;
        case COUNTERSIGN_STEP_LOAD:
            snprintf(path, sizeof path, "%s/%s", state, step.name);
            switch (read_file(path, 1u << 30, &bytes, &len)) {
            case FOUND: {
                uint64_t under = 0;
                size_t skip = len < sizeof under ? len : sizeof under;
                memcpy(&under, bytes, skip);
                status = countersign_session_supply_stored(session, bytes + skip, len - skip, under, &error);
                break;
            }
            case ABSENT:
                status = countersign_session_supply_not_found(session, &error);
                break;
            default:
                free(bytes);
                return failed("read", path);
            }
            break;
        case COUNTERSIGN_STEP_FETCH:
            snprintf(path, sizeof path, "%s/metadata/%s", repository, step.name);
            switch (read_file(path, step.max_len, &bytes, &len)) {
            case FOUND:
                status = countersign_session_supply_fetched(session, bytes, len, &error);
                break;
            case ABSENT:
                status = countersign_session_supply_not_found(session, &error);
                break;
            case LONGER:
                status = countersign_session_supply_too_large(session, &error);
                break;
            default:
                free(bytes);
                return failed("read", path);
            }
            break;
        case COUNTERSIGN_STEP_SAVE:
            if (step.history_name && save(state, step.history_name, step.bytes, step.len, step.accepted_under))
                return 1;
            if (save(state, step.name, step.bytes, step.len, step.accepted_under)) return 1;
            status = countersign_session_supply_saved(session, &error);
            break;
        }
        free(bytes);
        if (status) return refused(error);
    }
}
// [end drive]

// [image]
/* Copies the image to `output` while it is checked. Only what passes the gate keeps its name. */
static int fetch(countersign_target *target, const char *repository, const char *output, int64_t now) {
    countersign_error *error = NULL;
    countersign_image *image = NULL;
    countersign_verified *verified = NULL;
    char path[4096], staged[4096];
    if (countersign_target_open(target, now, &image, &error)) return refused(error);
    /* As it stands in a URL: a name with other than plain characters would have to be decoded. */
    snprintf(path, sizeof path, "%s/targets/%s", repository, countersign_target_remote_path(target));
    snprintf(staged, sizeof staged, "%s.unproven", output);
    FILE *from = fopen(path, "rb");
    if (!from) {
        countersign_image_free(image);
        return failed("read", path);
    }
    FILE *to = fopen(staged, "wb");
    if (!to) {
        fclose(from);
        countersign_image_free(image);
        return failed("make", staged);
    }
    unsigned char buffer[16384];
    size_t n;
    int status = 0;
    while (!status && (n = fread(buffer, 1, sizeof buffer, from)) > 0) {
        status = countersign_image_update(image, buffer, n, &error);
        if (!status && fwrite(buffer, 1, n, to) != n) {
            status = -1;
        }
    }
    if (!status && ferror(from)) status = -1;
    if (!status) {
        status = countersign_image_finish(image, &verified, &error);
        image = NULL; /* Given up, whatever came of it. */
    }
    countersign_image_free(image);
    fclose(from);
    if ((fflush(to) || fsync(fileno(to))) && !status) status = -1;
    fclose(to);
    /* Activating takes the proof: here that is giving the file its name. */
    if (!status && verified && rename(staged, output)) status = -1;
    countersign_verified_free(verified);
    if (status) remove(staged);
    if (status > 0) return refused(error);
    return status ? failed("copy", output) : 0;
}
// [end image]

// [init]
static int init(const char *state, const char *path) {
    countersign_error *error = NULL;
    unsigned char *root;
    size_t len;
    uint64_t version;
    char history[32];
    if (read_file(path, 1u << 20, &root, &len) != FOUND) {
        free(root);
        return failed("read", path);
    }
    if (countersign_provision_root(root, len, &version, &error)) {
        free(root);
        return refused(error);
    }
    snprintf(history, sizeof history, "root+%llu", (unsigned long long)version);
    mkdir(state, 0700);
    int status = save(state, history, root, len, version) || save(state, "root", root, len, version);
    free(root);
    return status;
}
// [end init]

static int update(const char *state, const char *repository, const char *name, const char *output) {
    countersign_error *error = NULL;
    countersign_session *session = NULL;
    countersign_trusted *trusted = NULL;
    countersign_target *target = NULL;
    countersign_context context = {.repository = repository};
    int status;
    if (countersign_system_time(&context.now, &error)) return refused(error);

    if (countersign_session_refresh(&context, &session, &error)) return refused(error);
    status = drive(session, state, repository);
    if (!status && countersign_session_take_trusted(session, &trusted, &error)) status = refused(error);
    countersign_session_free(session);
    session = NULL;

    if (!status && countersign_session_search(trusted, name, &session, &error)) status = refused(error);
    if (!status) status = drive(session, state, repository);
    if (!status && countersign_session_take_target(session, &target, &error)) status = refused(error);
    countersign_session_free(session);

    if (!status) status = fetch(target, repository, output, context.now);
    countersign_target_free(target);
    countersign_trusted_free(trusted);
    return status;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[2], "init")) return init(argv[1], argv[3]);
    if (argc == 6 && !strcmp(argv[2], "update")) return update(argv[1], argv[3], argv[4], argv[5]);
    fputs("usage: own_io STATE init ROOT | own_io STATE update REPOSITORY NAME OUTPUT\n", stderr);
    return 1;
}
