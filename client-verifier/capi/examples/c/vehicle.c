/*
 * A Primary whose only ECU is its own, in a vehicle that brings everything: a gateway that carries files to and
 * from the repositories, a key that OpenSSL has, a device, and an installer with three names for images.
 *
 *   cc vehicle.c -o vehicle $(pkg-config --cflags --libs countersign libcrypto)
 *   ./vehicle HOME KEY provision DIRECTOR_ROOT IMAGE_ROOT
 *   ./vehicle HOME KEY cycle GATEWAY
 *
 * KEY is an Ed25519 key in PEM. GATEWAY has `director` and `image`, each as it is served, and takes manifests.
 */
#define _POSIX_C_SOURCE 200809L
#include <countersign/countersign.h>

#include <errno.h>
#include <fcntl.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define VIN "VIN-OF-THIS-CAR"
#define SERIAL "P1"
#define HARDWARE "pcu-a"
/* Nothing is asked for at this address: it says which files the gateway is to bring. */
#define BASE "https://gateway.invalid/"

static const char mapping[] =
    "{\"repositories\": {\"director\": [\"" BASE "director\"], \"image\": [\"" BASE "image\"]},"
    " \"mapping\": [{\"paths\": [\"*\"], \"repositories\": [\"director\", \"image\"], \"threshold\": 2, \"terminating\": true}]}";

typedef char path_text[4096];

static int join(path_text path, const char *folder, const char *name) {
    int len = snprintf(path, sizeof(path_text), "%s/%s", folder, name);
    return len < 0 || (size_t)len >= sizeof(path_text);
}

static int failed(const char *what) {
    fprintf(stderr, "vehicle: %s: %s\n", what, strerror(errno));
    return 1;
}

static int refused(countersign_error *error) {
    fprintf(stderr, "vehicle: %s: %s\n", countersign_error_name(error), countersign_error_message(error));
    countersign_error_free(error);
    return 1;
}

/* Makes the names in a directory durable; 0 if that went well. */
static int sync_directory(const char *path) {
    int directory = open(path, O_RDONLY | O_DIRECTORY);
    if (directory < 0) return 1;
    int wrong = fsync(directory) != 0;
    return close(directory) != 0 || wrong;
}

// [gateway]
/* A transport: files that the gateway has brought. What it cannot tell is not "not found": that would hide a
 * new Root. */
static int32_t open_file(void *gateway, const char *url, uint64_t range_from, void **body, uint64_t *starts_at,
                         uint64_t *length) {
    path_text path;
    (void)range_from;
    if (strncmp(url, BASE, strlen(BASE)) || join(path, gateway, url + strlen(BASE))) return COUNTERSIGN_ANSWER_FAILED;
    *body = fopen(path, "rb");
    if (!*body) return errno == ENOENT ? COUNTERSIGN_ANSWER_NOT_FOUND : COUNTERSIGN_ANSWER_FAILED;
    *starts_at = 0;
    *length = UINT64_MAX;
    return COUNTERSIGN_ANSWER_OK;
}

static ptrdiff_t read_file(void *body, uint8_t *buffer, size_t len) {
    size_t n = fread(buffer, 1, len, body);
    return n == 0 && ferror(body) ? -1 : (ptrdiff_t)n;
}

static void close_file(void *body) { fclose(body); }

/* The Director's service: the gateway sends on what lies there. */
static int32_t put_manifest(void *gateway, const uint8_t *manifest, size_t len) {
    path_text path, unfinished;
    if (join(path, gateway, "manifest.json") || join(unfinished, gateway, "manifest.new")) return COUNTERSIGN_ANSWER_FAILED;
    FILE *file = fopen(unfinished, "wb");
    if (!file) return COUNTERSIGN_ANSWER_FAILED;
    int wrong = fwrite(manifest, 1, len, file) != len || fflush(file) || fsync(fileno(file));
    wrong |= fclose(file) != 0;
    wrong = wrong || rename(unfinished, path) || sync_directory(gateway);
    return wrong ? COUNTERSIGN_ANSWER_FAILED : COUNTERSIGN_ANSWER_OK;
}

/* This Director names no time server: the time is the device's, below. */
static int32_t attest(void *gateway, const uint8_t *nonces, size_t count, countersign_buffer *attestation) {
    (void)gateway, (void)nonces, (void)count, (void)attestation;
    return COUNTERSIGN_ANSWER_NOT_FOUND;
}
// [end gateway]

// [device]
/* The key never leaves where it lives: it is asked for signatures. */
static int32_t sign(void *key, const uint8_t *message, size_t message_len, uint8_t *signature, size_t *signature_len) {
    EVP_MD_CTX *context = EVP_MD_CTX_new();
    int done = context && EVP_DigestSignInit(context, NULL, NULL, NULL, key) == 1 &&
               EVP_DigestSign(context, signature, signature_len, message, message_len) == 1;
    EVP_MD_CTX_free(context);
    return !done;
}

static int64_t secure_time(void *user) {
    struct timespec now;
    (void)user;
    return clock_gettime(CLOCK_REALTIME, &now) ? INT64_MIN : (int64_t)now.tv_sec;
}

/* Whether the vehicle stands, and its battery is full. */
static bool may_install(void *user) {
    (void)user;
    return true;
}

/* What runs has come this far: it works. A real device asks more of a new image. */
static int32_t health(void *user) {
    (void)user;
    return COUNTERSIGN_HEALTH_WORKS;
}
// [end device]

// [installer]
/* An installer: `active` runs, `staged` comes next, and `former` (empty for none) is the way back. What a function
 * says stays so after a power cut; one that is cut off has done all or nothing. */
struct slots {
    const char *folder;
    path_text active, staged, unfinished, former;
    FILE *staging;
};

/* The trial begins where `active` gets another image than `former` has: with one rename. */
static int32_t is_on_trial(void *user) {
    struct slots *slots = user;
    struct stat former, active;
    if (stat(slots->former, &former) || stat(slots->active, &active)) return errno == ENOENT ? 0 : -1;
    return former.st_ino != active.st_ino;
}

static int32_t precheck(void *user, uint64_t length) {
    /* The former image may still be needed. */
    return length > 1u << 30 || is_on_trial(user) ? COUNTERSIGN_PRECONDITION_FAILED : 0;
}

static int32_t begin(void *user, const char *path, uint64_t length) {
    struct slots *slots = user;
    (void)path, (void)length;
    if (remove(slots->staged) && errno != ENOENT) return COUNTERSIGN_INSTALL_FAILED;
    slots->staging = fopen(slots->unfinished, "wb");
    return slots->staging ? 0 : COUNTERSIGN_INSTALL_FAILED;
}

static int32_t write_staged(void *user, const uint8_t *bytes, size_t len) {
    struct slots *slots = user;
    return fwrite(bytes, 1, len, slots->staging) == len ? 0 : COUNTERSIGN_INSTALL_FAILED;
}

static int32_t end(void *user, bool is_whole) {
    struct slots *slots = user;
    int wrong = fflush(slots->staging) || fsync(fileno(slots->staging));
    wrong |= fclose(slots->staging) != 0;
    slots->staging = NULL;
    if (!is_whole) return remove(slots->unfinished) ? COUNTERSIGN_INSTALL_FAILED : 0;
    wrong = wrong || rename(slots->unfinished, slots->staged) || sync_directory(slots->folder);
    return wrong ? COUNTERSIGN_INSTALL_FAILED : 0;
}

static ptrdiff_t read_at(const char *path, uint64_t offset, uint8_t *buffer, size_t len) {
    int file = open(path, O_RDONLY);
    if (file < 0) return errno == ENOENT ? 0 : -1;
    ptrdiff_t n = pread(file, buffer, len, (off_t)offset);
    close(file);
    return n;
}

static ptrdiff_t read_staged(void *user, uint64_t offset, uint8_t *buffer, size_t len) {
    return read_at(((struct slots *)user)->staged, offset, buffer, len);
}

static ptrdiff_t read_active(void *user, uint64_t offset, uint8_t *buffer, size_t len) {
    return read_at(((struct slots *)user)->active, offset, buffer, len);
}

static int32_t activate(void *user, const countersign_verified *verified) {
    struct slots *slots = user;
    struct stat staged;
    if (stat(slots->staged, &staged) || (uint64_t)staged.st_size != countersign_verified_length(verified))
        return COUNTERSIGN_INSTALL_FAILED;
    if (remove(slots->former) && errno != ENOENT) return COUNTERSIGN_INSTALL_FAILED;
    if (link(slots->active, slots->former)) {
        int none = errno == ENOENT ? open(slots->former, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
        if (none < 0 || close(none)) return COUNTERSIGN_INSTALL_FAILED;
    }
    /* The way back is durable before anything new runs. */
    if (sync_directory(slots->folder) || rename(slots->staged, slots->active)) return COUNTERSIGN_INSTALL_FAILED;
    return sync_directory(slots->folder) ? COUNTERSIGN_INSTALL_FAILED : 0;
}

static int32_t confirm(void *user) {
    struct slots *slots = user;
    return remove(slots->former) || sync_directory(slots->folder) ? COUNTERSIGN_INSTALL_FAILED : 0;
}

static int32_t rollback(void *user) {
    struct slots *slots = user;
    return rename(slots->former, slots->active) || sync_directory(slots->folder) ? COUNTERSIGN_INSTALL_FAILED : 0;
}
// [end installer]

/* What the ECU and its Primary are made of. It holds pointers into itself, so it stays where it is. */
struct vehicle {
    path_text ecu_directory, primary_directory, images;
    char public_key[256];
    EVP_PKEY *key;
    struct slots slots;
    countersign_signer signer;
    countersign_host host;
    countersign_installer installer;
    countersign_fetcher fetcher;
    countersign_director_link link;
    countersign_ecu_options ecu;
    countersign_primary_options primary;
};

static int open_key(struct vehicle *vehicle, const char *path) {
    FILE *file = fopen(path, "rb");
    unsigned char raw[32];
    size_t len = sizeof raw;
    if (!file) return failed(path);
    vehicle->key = PEM_read_PrivateKey(file, NULL, NULL, NULL);
    fclose(file);
    if (!vehicle->key || EVP_PKEY_get_raw_public_key(vehicle->key, raw, &len) != 1 || len != sizeof raw) {
        fprintf(stderr, "vehicle: %s holds no Ed25519 key\n", path);
        return 1;
    }
    char *to = vehicle->public_key;
    to += sprintf(to, "{\"keytype\": \"ed25519\", \"scheme\": \"ed25519\", \"keyval\": {\"public\": \"");
    for (size_t i = 0; i < sizeof raw; i++) to += sprintf(to, "%02x", raw[i]);
    strcpy(to, "\"}}");
    return 0;
}

// [parts]
static int put_together(struct vehicle *vehicle, const char *home, char *gateway) {
    struct slots *slots = &vehicle->slots;
    slots->folder = vehicle->images;
    if (join(vehicle->ecu_directory, home, "ecu") || join(vehicle->primary_directory, home, "primary") ||
        join(vehicle->images, home, "images") || join(slots->active, slots->folder, "active") ||
        join(slots->staged, slots->folder, "staged") || join(slots->unfinished, slots->folder, "unfinished") ||
        join(slots->former, slots->folder, "former"))
        return 1;
    vehicle->signer = (countersign_signer){vehicle->key, vehicle->public_key, sign};
    vehicle->host = (countersign_host){NULL, secure_time, may_install, health};
    vehicle->installer = (countersign_installer){
        .user = slots, .precheck = precheck, .begin = begin, .write = write_staged, .end = end,
        .read_staged = read_staged, .activate = activate, .confirm = confirm, .rollback = rollback,
        .is_on_trial = is_on_trial, .read_active = read_active,
    };
    vehicle->fetcher = (countersign_fetcher){gateway, open_file, read_file, close_file};
    vehicle->link = (countersign_director_link){gateway, put_manifest, attest};
    vehicle->ecu = (countersign_ecu_options){
        .size = sizeof vehicle->ecu, .vin = VIN, .serial = SERIAL, .hardware_id = HARDWARE, .mapping = mapping,
        .directory = vehicle->ecu_directory, .signer = &vehicle->signer, .host = &vehicle->host,
        .installer = &vehicle->installer,
    };
    vehicle->primary = (countersign_primary_options){
        .size = sizeof vehicle->primary, .vin = VIN, .serial = SERIAL, .hardware_id = HARDWARE, .mapping = mapping,
        .directory = vehicle->primary_directory, .signer = &vehicle->signer, .fetcher = &vehicle->fetcher,
        .director = &vehicle->link,
    };
    return 0;
}
// [end parts]

/* Reads a whole file of a Root's size; NULL if it cannot. */
static uint8_t *read_root(const char *path, size_t *len) {
    enum { MOST = 512 << 10 };
    FILE *file = fopen(path, "rb");
    uint8_t *bytes = file ? malloc(MOST + 1) : NULL;
    *len = bytes ? fread(bytes, 1, MOST + 1, file) : 0;
    if (bytes && (ferror(file) || *len > MOST)) {
        free(bytes);
        bytes = NULL;
    }
    if (file) fclose(file);
    return bytes;
}

// [provision]
/* At manufacture: the first Roots of both repositories, for the ECU and for its Primary. */
static int provision(struct vehicle *vehicle, const char *director_path, const char *image_path) {
    countersign_error *error = NULL;
    size_t director_len, image_len;
    uint8_t *director = read_root(director_path, &director_len), *image = read_root(image_path, &image_len);
    int wrong = 0;
    if (!director || !image || (mkdir(vehicle->images, 0700) && errno != EEXIST)) {
        wrong = failed("cannot begin");
    } else if (countersign_ecu_provision(&vehicle->ecu, director, director_len, image, image_len, NULL, &error) ||
               countersign_primary_provision(&vehicle->primary, director, director_len, image, image_len, &error)) {
        wrong = refused(error);
    }
    free(director);
    free(image);
    return wrong;
}
// [end provision]

// [cycle]
/* What came of a cycle, for every ECU that it came to. */
static void report(const countersign_cycle *cycle) {
    static const char *const outcomes[] = {"nothing", "installed", "on trial", "refused", "unreachable", "abandoned"};
    for (size_t i = 0; i < countersign_cycle_ecus(cycle); i++) {
        const char *serial, *message;
        countersign_ecu_outcome outcome;
        if (countersign_cycle_ecu(cycle, i, &serial, &outcome, &message, NULL)) continue;
        printf("%s: %s%s%s\n", serial, outcome < 6 ? outcomes[outcome] : "?", *message ? ": " : "", message);
    }
    const char *unreported = countersign_cycle_unreported(cycle);
    if (unreported) printf("not reported: %s\n", unreported);
}

/* One cycle. There is something to say of it also when it was refused. */
static int cycle(struct vehicle *vehicle) {
    countersign_error *error = NULL;
    countersign_ecu *ecu = NULL;
    countersign_primary *primary = NULL;
    countersign_cycle *cycle = NULL;
    int status = countersign_ecu_open(&vehicle->ecu, &ecu, &error);
    /* The Primary has the ECU from here on, whatever comes of it. */
    if (!status) status = countersign_primary_open(&vehicle->primary, ecu, &primary, &error);
    if (!status) status = countersign_primary_cycle(primary, &cycle, &error);
    if (cycle) report(cycle);
    countersign_cycle_free(cycle);
    countersign_primary_free(primary);
    return status ? refused(error) : 0;
}
// [end cycle]

int main(int argc, char **argv) {
    static struct vehicle vehicle;
    const int is_provision = argc == 6 && !strcmp(argv[3], "provision");
    if (!is_provision && (argc != 5 || strcmp(argv[3], "cycle"))) {
        fputs("usage: vehicle HOME KEY provision DIRECTOR_ROOT IMAGE_ROOT | vehicle HOME KEY cycle GATEWAY\n", stderr);
        return 1;
    }
    int wrong = open_key(&vehicle, argv[2]) || put_together(&vehicle, argv[1], argv[4]);
    if (!wrong) wrong = is_provision ? provision(&vehicle, argv[4], argv[5]) : cycle(&vehicle);
    EVP_PKEY_free(vehicle.key);
    return wrong;
}
