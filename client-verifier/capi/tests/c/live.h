/* One live handle of each type, out of a TUF repository with the image fw.img and the files of the test vector
 * uptane-director/honest. Everything that this device brings is its own: store, transport, Director, key. */
#ifndef LIVE_H
#define LIVE_H

#define _POSIX_C_SOURCE 200809L
#include <countersign/countersign.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* Where things are. The vector has `director` and `image`, `repository` is what repo-tool publishes. */
struct places {
    const char *repository, *vector, *home;
};

struct live {
    countersign_session *session;
    countersign_trusted *trusted;
    countersign_target *target;
    countersign_image *image;
    countersign_verified *verified;
    countersign_client *client;
    countersign_root *root;
    countersign_director *director;
    countersign_update *update;
    countersign_directed *directed;
    countersign_ecu *ecu;
    countersign_server *server;
    countersign_primary *primary;
    countersign_cycle *cycle;
    countersign_bundle *bundle;
    countersign_error *error;
    /* One that is given to a callback, and gone when that returns. */
    const countersign_buffer *buffer;
    struct store *store;
};

static void die(const char *what) {
    fprintf(stderr, "live: %s\n", what);
    abort();
}

/* A call that has to succeed. */
static void must(const char *what, countersign_status status, countersign_error *error) {
    if (status == COUNTERSIGN_OK) return;
    fprintf(stderr, "live: %s: %s\n", what, error ? countersign_error_message(error) : "?");
    abort();
}
#define MUST(call) do { countersign_error *e = NULL; countersign_status s = (call); must(#call, s, e); } while (0)

#define LONGEST_PATH 1024

static const char *path_of(char *room, const char *format, ...) {
    va_list arguments;
    va_start(arguments, format);
    int len = vsnprintf(room, LONGEST_PATH, format, arguments);
    va_end(arguments);
    if (len < 0 || len >= LONGEST_PATH) die("a path is too long");
    return room;
}

/* NULL if there is none. */
static uint8_t *slurp(const char *path, size_t *len) {
    enum { MOST = 1 << 20 };
    FILE *file = fopen(path, "rb");
    if (!file) return NULL;
    uint8_t *bytes = malloc(MOST);
    if (!bytes) die("no memory");
    *len = fread(bytes, 1, MOST, file);
    if (ferror(file) || *len == MOST) die(path);
    fclose(file);
    return bytes;
}

// --- A store in memory ---

struct record {
    char name[64];
    uint8_t *bytes;
    size_t len;
    uint64_t under;
};

struct store {
    struct record records[32];
    int count;
    const countersign_buffer *buffer;
};

static int32_t store_load(void *user, const char *name, countersign_buffer *buffer, uint64_t *under) {
    struct store *store = user;
    store->buffer = buffer;
    for (int i = 0; i < store->count; i++) {
        struct record *record = &store->records[i];
        if (strcmp(record->name, name)) continue;
        *under = record->under;
        return countersign_buffer_append(buffer, record->bytes, record->len, NULL) ? COUNTERSIGN_ANSWER_FAILED
                                                                                   : COUNTERSIGN_ANSWER_OK;
    }
    return COUNTERSIGN_ANSWER_NOT_FOUND;
}

static int32_t store_save(void *user, const char *name, const uint8_t *bytes, size_t len, uint64_t under) {
    struct store *store = user;
    int i = 0;
    while (i < store->count && strcmp(store->records[i].name, name)) i++;
    if (i == 32 || strlen(name) >= sizeof store->records[i].name) return COUNTERSIGN_ANSWER_FAILED;
    uint8_t *copy = malloc(len ? len : 1);
    if (!copy) return COUNTERSIGN_ANSWER_FAILED;
    memcpy(copy, bytes, len);
    if (i == store->count) store->count++;
    else free(store->records[i].bytes);
    struct record *record = &store->records[i];
    strcpy(record->name, name);
    record->bytes = copy, record->len = len, record->under = under;
    return COUNTERSIGN_ANSWER_OK;
}

static void store_free(struct store *store) {
    for (int i = 0; i < store->count; i++) free(store->records[i].bytes);
    free(store);
}

// --- A transport of files: `user` is the folder that an address of ours stands for ---

#define ADDRESS "https://files.invalid/"

static int32_t file_open(void *user, const char *url, uint64_t from, void **body, uint64_t *starts_at, uint64_t *length) {
    char path[LONGEST_PATH];
    (void)from;
    if (strncmp(url, ADDRESS, strlen(ADDRESS))) return COUNTERSIGN_ANSWER_FAILED;
    *body = fopen(path_of(path, "%s/%s", (const char *)user, url + strlen(ADDRESS)), "rb");
    if (!*body) return errno == ENOENT ? COUNTERSIGN_ANSWER_NOT_FOUND : COUNTERSIGN_ANSWER_FAILED;
    *starts_at = 0;
    *length = UINT64_MAX;
    return COUNTERSIGN_ANSWER_OK;
}

static ptrdiff_t file_read(void *body, uint8_t *buffer, size_t len) {
    size_t n = fread(buffer, 1, len, body);
    return n == 0 && ferror(body) ? -1 : (ptrdiff_t)n;
}

static void file_close(void *body) { fclose(body); }

// --- What an ECU brings: no key at all, for nobody looks at these signatures ---

#define VIN "VIN-OF-THIS-CAR"
#define EIGHT "5a5a5a5a5a5a5a5a"
#define PUBLIC_KEY "{\"keytype\":\"ed25519\",\"scheme\":\"ed25519\",\"keyval\":{\"public\":\"" EIGHT EIGHT EIGHT EIGHT "\"}}"
#define MAPPING "{\"repositories\":{\"director\":[\"" ADDRESS "director\"],\"image\":[\"" ADDRESS "image\"]},\"mapping\":" \
    "[{\"paths\":[\"*\"],\"repositories\":[\"director\",\"image\"],\"threshold\":2,\"terminating\":true}]}"

static int32_t sign_nothing(void *user, const uint8_t *message, size_t len, uint8_t *signature, size_t *signature_len) {
    (void)user, (void)message, (void)len;
    memset(signature, 0x5a, 64);
    *signature_len = 64;
    return 0;
}

static int32_t put_manifest(void *user, const uint8_t *manifest, size_t len) {
    (void)user, (void)manifest, (void)len;
    return COUNTERSIGN_ANSWER_OK;
}

static int32_t attest(void *user, const uint8_t *nonces, size_t count, countersign_buffer *attestation) {
    (void)user, (void)nonces, (void)count, (void)attestation;
    return COUNTERSIGN_ANSWER_NOT_FOUND;
}

static const countersign_signer signer = {NULL, PUBLIC_KEY, sign_nothing};
static const countersign_director_link director_link = {NULL, put_manifest, attest};
static const countersign_ecu_id ecus[] = {{"P1", "pcu-a"}, {"S1", "brake-b"}, {"S2", "lamp-c"}};
static const countersign_vehicle vehicle = {VIN, ecus, 3, false};

// --- Sessions ---

/* Drives a session over the files of `folder` of the vector, with a store that has the first Root. */
static void drive(countersign_session *session, const struct places *places, const char *folder) {
    for (;;) {
        countersign_step step;
        char path[LONGEST_PATH];
        uint8_t *bytes = NULL;
        size_t len = 0;
        MUST(countersign_session_next(session, &step, &e));
        switch (step.kind) {
        case COUNTERSIGN_STEP_DONE:
            return;
        case COUNTERSIGN_STEP_LOAD:
            if (!strcmp(step.name, "root") || !strcmp(step.name, "root+1"))
                bytes = slurp(path_of(path, "%s/%s/metadata/1.root.json", places->vector, folder), &len);
            if (bytes) MUST(countersign_session_supply_stored(session, bytes, len, 1, &e));
            break;
        case COUNTERSIGN_STEP_FETCH:
            bytes = slurp(path_of(path, "%s/%s/metadata/%s", places->vector, folder, step.name), &len);
            if (bytes && len <= step.max_len) MUST(countersign_session_supply_fetched(session, bytes, len, &e));
            break;
        case COUNTERSIGN_STEP_SAVE:
            MUST(countersign_session_supply_saved(session, &e));
            continue;
        default:
            die("a step of no kind");
        }
        if (!bytes) MUST(countersign_session_supply_not_found(session, &e));
        free(bytes);
    }
}

static countersign_context context_now(void) {
    countersign_context context = {.repository = "test"};
    MUST(countersign_system_time(&context.now, &e));
    return context;
}

static countersign_director *new_director(const struct live *live, const struct places *places) {
    countersign_context context = context_now();
    countersign_session *session = NULL;
    countersign_director *director = NULL;
    MUST(countersign_session_director(live->root, &vehicle, NULL, &context, &session, &e));
    drive(session, places, "director");
    MUST(countersign_session_take_director(session, &director, &e));
    countersign_session_free(session);
    return director;
}

/* Root, Director, Image repository, both together, and one image of what they say. */
static void as_ecu(struct live *live, const struct places *places) {
    countersign_context context = context_now();
    countersign_session *session = NULL;
    countersign_trusted *images = NULL;
    MUST(countersign_session_follow_root(&context, &session, &e));
    drive(session, places, "director");
    MUST(countersign_session_take_root(session, &live->root, &e));
    countersign_session_free(session);
    countersign_director *director = new_director(live, places);
    MUST(countersign_session_image(director, &context, &session, &e));
    drive(session, places, "image");
    MUST(countersign_session_take_trusted(session, &images, &e));
    countersign_session_free(session);
    MUST(countersign_session_resolve(director, images, MAPPING, NULL, 0, &session, &e));
    drive(session, places, "image");
    MUST(countersign_session_take_update(session, &live->update, &e));
    countersign_session_free(session);
    countersign_trusted_free(images);
    if (countersign_update_count(live->update) != 2) die("two images are assigned");
    MUST(countersign_update_image(live->update, 0, &live->directed, &e));
    live->director = new_director(live, places);
}

/* The blocking client, with its own store and transport. */
static void as_client(struct live *live, const struct places *places) {
    char path[LONGEST_PATH];
    size_t len = 0;
    live->store = calloc(1, sizeof *live->store);
    if (!live->store) die("no memory");
    countersign_store store = {live->store, store_load, store_save};
    countersign_fetcher fetcher = {(void *)places->repository, file_open, file_read, file_close};
    countersign_client_options options = {
        .size = sizeof options, .metadata_url = ADDRESS "metadata", .store = &store, .fetcher = &fetcher};
    uint8_t *root = slurp(path_of(path, "%s/metadata/1.root.json", places->repository), &len);
    if (!root) die("there is no root");
    MUST(countersign_client_new(&options, &live->client, &e));
    MUST(countersign_client_init(live->client, root, len, &e));
    free(root);
    MUST(countersign_client_refresh(live->client, COUNTERSIGN_SYSTEM_TIME, &live->trusted, &e));
    MUST(countersign_client_find(live->client, live->trusted, "fw.img", &live->target, &e));
    path_of(path, "%s/downloads", places->home);
    if (mkdir(path, 0700)) die(path);
    MUST(countersign_client_download(live->client, live->trusted, live->target, ADDRESS "targets", path, path, NULL,
                                     NULL, &live->verified, &e));
    live->buffer = live->store->buffer;
    countersign_context context = context_now();
    MUST(countersign_target_open(live->target, context.now, &live->image, &e));
    MUST(countersign_session_refresh(&context, &live->session, &e));
}

static countersign_ecu *new_ecu(const struct places *places, const char *name) {
    char directory[LONGEST_PATH], path[LONGEST_PATH];
    size_t director_len = 0, image_len = 0;
    countersign_ecu *ecu = NULL;
    path_of(directory, "%s/%s", places->home, name);
    countersign_ecu_options options = {.size = sizeof options, .vin = VIN, .serial = "P1", .hardware_id = "pcu-a",
                                       .mapping = MAPPING, .directory = directory, .signer = &signer};
    uint8_t *director = slurp(path_of(path, "%s/director/metadata/1.root.json", places->vector), &director_len);
    uint8_t *image = slurp(path_of(path, "%s/image/metadata/1.root.json", places->vector), &image_len);
    if (!director || !image) die("there are no roots");
    MUST(countersign_ecu_provision(&options, director, director_len, image, image_len, NULL, &e));
    MUST(countersign_ecu_open(&options, &ecu, &e));
    free(director);
    free(image);
    return ecu;
}

static void as_vehicle(struct live *live, const struct places *places) {
    char directory[LONGEST_PATH], path[LONGEST_PATH];
    size_t director_len = 0, image_len = 0;
    live->ecu = new_ecu(places, "ecu");
    MUST(countersign_ecu_listen(new_ecu(places, "secondary"), "127.0.0.1:0", &live->server, &e));
    countersign_fetcher fetcher = {(void *)places->vector, file_open, file_read, file_close};
    path_of(directory, "%s/primary", places->home);
    countersign_primary_options options = {
        .size = sizeof options, .vin = VIN, .serial = "P1", .hardware_id = "pcu-a", .mapping = MAPPING,
        .directory = directory, .signer = &signer, .fetcher = &fetcher, .director = &director_link};
    uint8_t *director = slurp(path_of(path, "%s/director/metadata/1.root.json", places->vector), &director_len);
    uint8_t *image = slurp(path_of(path, "%s/image/metadata/1.root.json", places->vector), &image_len);
    if (!director || !image) die("there are no roots");
    MUST(countersign_primary_provision(&options, director, director_len, image, image_len, &e));
    free(director);
    free(image);
    MUST(countersign_primary_open(&options, new_ecu(places, "own"), &live->primary, &e));
    /* S1 is not in this vehicle, so the cycle is refused: and there is a handle of it all the same. */
    if (countersign_primary_fetch(live->primary, &live->cycle, NULL) != COUNTERSIGN_ECU_UNKNOWN) die("the cycle");
    path_of(path, "%s/../../../uptane-bundles/honest/given/1-bundle", places->vector);
    MUST(countersign_bundle_open(path, &live->bundle, &e));
}

static void make_live(struct live *live, const struct places *places) {
    memset(live, 0, sizeof *live);
    if (mkdir(places->home, 0700)) die(places->home);
    as_client(live, places);
    as_ecu(live, places);
    as_vehicle(live, places);
    if (countersign_client_new(NULL, NULL, &live->error) != COUNTERSIGN_MISUSE) die("no options");
}

static void free_live(struct live *live) {
    countersign_session_free(live->session);
    countersign_trusted_free(live->trusted);
    countersign_target_free(live->target);
    countersign_image_free(live->image);
    countersign_verified_free(live->verified);
    countersign_client_free(live->client);
    countersign_root_free(live->root);
    countersign_director_free(live->director);
    countersign_update_free(live->update);
    countersign_directed_free(live->directed);
    countersign_ecu_free(live->ecu);
    countersign_server_free(live->server);
    countersign_primary_free(live->primary);
    countersign_cycle_free(live->cycle);
    countersign_bundle_free(live->bundle);
    countersign_error_free(live->error);
    store_free(live->store);
}

#endif
