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
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FOUND, ABSENT, FAILED, LONGER };

typedef char path_text[4096];

static int refused(countersign_error *error) {
    fprintf(stderr, "own_io: %s: %s\n", countersign_error_name(error), countersign_error_message(error));
    countersign_error_free(error);
    return 1;
}

static int failed(const char *what, const char *path) {
    fprintf(stderr, "own_io: cannot %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

/* FOLDER/NAME. A path that was cut would be another one. */
static int join(path_text path, const char *folder, const char *name) {
    int len = snprintf(path, sizeof(path_text), "%s/%s", folder, name);
    if (len >= 0 && (size_t)len < sizeof(path_text)) return 0;
    errno = ENAMETOOLONG;
    return failed("name a file in", folder);
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

/* Makes the names in a directory durable. */
static int sync_directory(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    if (directory < 0) return failed("open", path);
    int wrong = fsync(directory) != 0;
    wrong |= close(directory) != 0;
    return wrong ? failed("sync", path) : 0;
}

// [save]
/* Keeps a file durably: after a power cut there is the old one or this one. The first eight bytes are the
 * Root version that it was accepted under. */
static int save(const char *state, const char *name, const uint8_t *bytes, size_t len, uint64_t under) {
    path_text path, unfinished;
    /* No name of the store ends with a `+`, whatever a role is called. */
    if (join(path, state, name) || join(unfinished, state, "unfinished+")) return 1;
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
    return sync_directory(state);
}
// [end save]

// [load]
/* Answers COUNTERSIGN_STEP_LOAD. Say "not found" only of what was never kept: a device that took a damaged
 * record for none would forget how far it has come. */
static int load(countersign_session *session, const char *state, const char *name) {
    countersign_error *error = NULL;
    unsigned char *bytes = NULL;
    size_t len = 0;
    uint64_t under = 0;
    path_text path;
    if (join(path, state, name)) return 1;
    int found = read_file(path, 1u << 30, &bytes, &len), status = 0;
    if (found == ABSENT) {
        status = countersign_session_supply_not_found(session, &error);
    } else if (found != FOUND || len < sizeof under) {
        free(bytes);
        fprintf(stderr, "own_io: %s is damaged, or cannot be read\n", path);
        return 1;
    } else {
        memcpy(&under, bytes, sizeof under);
        status = countersign_session_supply_stored(session, bytes + sizeof under, len - sizeof under, under, &error);
    }
    free(bytes);
    return status ? refused(error) : 0;
}
// [end load]

// [drive]
/* Answers COUNTERSIGN_STEP_FETCH out of `repository`/metadata. */
static int fetch(countersign_session *session, const char *repository, const countersign_step *step) {
    countersign_error *error = NULL;
    unsigned char *bytes = NULL;
    size_t len = 0;
    path_text folder, path;
    if (join(folder, repository, "metadata") || join(path, folder, step->name)) return 1;
    int found = read_file(path, step->max_len, &bytes, &len), status = 0;
    if (found == FOUND) status = countersign_session_supply_fetched(session, bytes, len, &error);
    if (found == ABSENT) status = countersign_session_supply_not_found(session, &error);
    if (found == LONGER) status = countersign_session_supply_too_large(session, &error);
    free(bytes);
    if (found == FAILED) return failed("read", path);
    return status ? refused(error) : 0;
}

/* Answers every step of a session: what is trusted is kept in `state`. */
static int drive(countersign_session *session, const char *state, const char *repository) {
    countersign_step step;
    countersign_error *error = NULL;
    int wrong = 0;
    while (!wrong) {
        if (countersign_session_next(session, &step, &error)) return refused(error);
        switch (step.kind) {
        case COUNTERSIGN_STEP_DONE:
            return 0;
        case COUNTERSIGN_STEP_LOAD:
            wrong = load(session, state, step.name);
            break;
        case COUNTERSIGN_STEP_FETCH:
            wrong = fetch(session, repository, &step);
            break;
        case COUNTERSIGN_STEP_SAVE:
            /* The history first: a Root in force that is missing there could not be explained later. */
            if (step.history_name)
                wrong = save(state, step.history_name, step.bytes, step.len, step.accepted_under);
            if (!wrong) wrong = save(state, step.name, step.bytes, step.len, step.accepted_under);
            if (!wrong && countersign_session_supply_saved(session, &error)) return refused(error);
            break;
        default:
            fputs("own_io: the library is newer than this program\n", stderr);
            return 1;
        }
    }
    return wrong;
}
// [end drive]

// [image]
/* Copies the image to `staged` while it is checked. The proof is all that makes it more than bytes. */
static int stage(countersign_target *target, const char *repository, const char *staged, int64_t now,
                 countersign_verified **verified) {
    countersign_error *error = NULL;
    countersign_image *image = NULL;
    path_text folder, path;
    if (countersign_target_open(target, now, &image, &error)) return refused(error);
    /* As it stands in a URL: a name with other than plain characters would have to be decoded. What can be opened
     * has a hash that is known, and so a place. */
    const char *remote = countersign_target_remote_path(target);
    int status = 0, wrong = join(folder, repository, "targets") || join(path, folder, remote);
    FILE *from = wrong ? NULL : fopen(path, "rb"), *to = from ? fopen(staged, "wb") : NULL;
    if (!to) {
        if (!wrong) failed(from ? "make" : "read", from ? staged : path);
        if (from) fclose(from);
        countersign_image_free(image);
        return 1;
    }
    unsigned char buffer[16384];
    size_t n;
    while (!status && !wrong && (n = fread(buffer, 1, sizeof buffer, from)) > 0) {
        status = countersign_image_update(image, buffer, n, &error);
        wrong = !status && fwrite(buffer, 1, n, to) != n;
    }
    wrong |= ferror(from) || fflush(to) || fsync(fileno(to));
    wrong |= fclose(to) != 0;
    fclose(from);
    if (!status && !wrong) {
        status = countersign_image_finish(image, verified, &error);
        image = NULL; /* Given up, whatever came of it. */
    }
    countersign_image_free(image);
    if (status) return refused(error);
    return wrong ? failed("copy", staged) : 0;
}
// [end image]

// [install]
/* Takes the proof, and asks it once more whether the metadata is still fresh: between staging and installing
 * there may be days. Here installing is giving the file its name. */
static int install(const countersign_verified *verified, const char *staged, const char *output) {
    countersign_error *error = NULL;
    int64_t now;
    if (countersign_system_time(&now, &error)) return refused(error);
    if (countersign_verified_check_fresh(verified, now, &error)) return refused(error);
    char *folder = strdup(output);
    if (!folder || rename(staged, output)) {
        free(folder);
        return failed("rename", staged);
    }
    /* Only then would the new name survive a power cut. */
    int wrong = sync_directory(dirname(folder));
    free(folder);
    return wrong;
}
// [end install]

// [init]
/* At manufacture, once: the first Root, which came here out of band. Putting another one in the place of a
 * trusted Root would take the device back to what that one believes. */
static int init(const char *state, const char *first) {
    countersign_error *error = NULL;
    unsigned char *root;
    size_t len;
    uint64_t version;
    char history[32];
    path_text path;
    if (join(path, state, "root")) return 1;
    if (access(path, F_OK) == 0) errno = EEXIST;
    if (errno != ENOENT) return failed("begin with a new Root: look at", path);
    if (read_file(first, 1u << 20, &root, &len) != FOUND) {
        free(root);
        return failed("read", first);
    }
    if (countersign_provision_root(root, len, &version, &error)) {
        free(root);
        return refused(error);
    }
    int wrong = mkdir(state, 0700) && errno != EEXIST ? failed("make", state) : 0;
    if (!wrong) wrong = join(path, state, "..") || sync_directory(path);
    snprintf(history, sizeof history, "root+%llu", (unsigned long long)version);
    /* Under its own name last: that is what makes this device one that trusts it. */
    if (!wrong) wrong = save(state, history, root, len, version) || save(state, "root", root, len, version);
    free(root);
    return wrong;
}
// [end init]

static int usage(void) {
    fputs("usage: own_io STATE init ROOT | own_io STATE update REPOSITORY NAME OUTPUT\n", stderr);
    return 1;
}

static int update(const char *state, const char *repository, const char *name, const char *output) {
    countersign_error *error = NULL;
    countersign_session *session = NULL;
    countersign_trusted *trusted = NULL;
    countersign_target *target = NULL;
    countersign_verified *verified = NULL;
    countersign_context context = {.repository = repository};
    path_text staged;
    int status;
    /* In the same directory, so that a rename can give it its name. */
    if (snprintf(staged, sizeof staged, "%s.unproven", output) >= (int)sizeof staged) return usage();
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

    if (!status) status = stage(target, repository, staged, context.now, &verified);
    if (!status) status = install(verified, staged, output);
    if (status) remove(staged);
    countersign_verified_free(verified);
    countersign_target_free(target);
    countersign_trusted_free(trusted);
    return status;
}

int main(int argc, char **argv) {
    if (argc == 4 && !strcmp(argv[2], "init")) return init(argv[1], argv[3]);
    if (argc == 6 && !strcmp(argv[2], "update")) return update(argv[1], argv[3], argv[4], argv[5]);
    return usage();
}
