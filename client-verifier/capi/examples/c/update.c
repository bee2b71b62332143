/*
 * An updater in C: follows a repository, and brings images into a directory.
 *
 *   cc update.c -o update $(pkg-config --cflags --libs countersign)
 *
 *   ./update --metadata-dir D init ROOT
 *   ./update --metadata-dir D --metadata-url U refresh
 *   ./update --metadata-dir D --metadata-url U --target-name N --target-base-url B --target-dir T download
 *
 * It exits with 0 when it is content and with 1 when it refuses, and prints why as JSON.
 */
#include <countersign/countersign.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_NAMES 16

struct arguments {
    const char *metadata_dir, *metadata_url, *target_base_url, *target_dir;
    const char *names[MAX_NAMES];
    int names_count;
    const char *command, *root;
};

static int usage(void) {
    fputs("usage: update --metadata-dir D [--metadata-url U] [--target-name N] [--target-base-url B]\n"
          "              [--target-dir T] init ROOT | refresh | download\n", stderr);
    return 1;
}

static int parse(int argc, char **argv, struct arguments *out) {
    memset(out, 0, sizeof *out);
    for (int i = 1; i < argc; i++) {
        const char *word = argv[i], **place = NULL;
        if (!strcmp(word, "--metadata-dir")) place = &out->metadata_dir;
        else if (!strcmp(word, "--metadata-url")) place = &out->metadata_url;
        else if (!strcmp(word, "--target-base-url")) place = &out->target_base_url;
        else if (!strcmp(word, "--target-dir")) place = &out->target_dir;
        else if (!strcmp(word, "--target-name") && out->names_count < MAX_NAMES)
            place = &out->names[out->names_count++];
        else if (!out->command && word[0] != '-') { out->command = word; continue; }
        else if (out->command && !out->root) { out->root = word; continue; }
        if (!place || ++i == argc) return 0;
        *place = argv[i];
    }
    return out->command && out->metadata_dir;
}

static void print_text(const char *text) {
    putchar('"');
    for (; text && *text; text++) {
        if (*text == '"' || *text == '\\') putchar('\\');
        putchar(*text);
    }
    putchar('"');
}

/* Prints why, frees the error, and returns the exit status. */
static int refused(countersign_error *error) {
    printf("{\"ok\": false, \"code\": %d, \"name\": ", (int)countersign_error_code(error));
    print_text(countersign_error_name(error));
    printf(", \"attack\": ");
    print_text(countersign_error_attack(error));
    printf(", \"role\": ");
    print_text(countersign_error_role(error));
    printf(", \"message\": ");
    print_text(countersign_error_message(error));
    printf("}\n");
    countersign_error_free(error);
    return 1;
}

static unsigned char *read_file(const char *path, size_t *len) {
    FILE *file = fopen(path, "rb");
    unsigned char *bytes = NULL;
    size_t room = 0;
    *len = 0;
    int wrong = 0;
    if (!file) return NULL;
    for (;;) {
        if (*len == room) {
            unsigned char *more = realloc(bytes, room = room ? 2 * room : 4096);
            if (!more) { wrong = 1; break; }
            bytes = more;
        }
        size_t n = fread(bytes + *len, 1, room - *len, file);
        if (n == 0) break;
        *len += n;
    }
    /* Some of a file is not the file. */
    if (wrong || ferror(file)) { free(bytes); bytes = NULL; }
    fclose(file);
    return bytes;
}

static int init(countersign_client *client, const char *path) {
    countersign_error *error = NULL;
    size_t len;
    unsigned char *root = path ? read_file(path, &len) : NULL;
    if (!root) {
        fprintf(stderr, "update: cannot read the root\n");
        return 1;
    }
    int status = countersign_client_init(client, root, len, &error);
    free(root);
    return status ? refused(error) : 0;
}

// [update]
static void progress(void *name, uint64_t received, uint64_t length) {
    fprintf(stderr, "\r%s: %llu of %llu bytes", (const char *)name,
            (unsigned long long)received, (unsigned long long)length);
}

/* Takes the proof, not a path: and asks it whether the metadata is still fresh, for between downloading and
 * installing there may be days. Switching to the image would go here. */
static int install(const countersign_verified *verified, countersign_error **error) {
    int64_t now;
    int status = countersign_system_time(&now, error);
    if (!status) status = countersign_verified_check_fresh(verified, now, error);
    if (!status) fprintf(stderr, "\n%s: verified, installing\n", countersign_verified_file(verified));
    return status;
}

/* Brings the image `name` into a directory; it has its name there only once it is proven. */
static int fetch(countersign_client *client, countersign_trusted *trusted, const char *name,
                 const char *targets_url, const char *directory, countersign_error **error) {
    countersign_target *target = NULL;
    countersign_verified *verified = NULL;
    int status = countersign_client_find(client, trusted, name, &target, error);
    if (!status)
        status = countersign_client_download(client, trusted, target, targets_url, directory, NULL,
                                             progress, (void *)name, &verified, error);
    if (!status) status = install(verified, error);
    countersign_verified_free(verified);
    countersign_target_free(target);
    return status;
}

static int update(countersign_client *client, const struct arguments *arguments) {
    countersign_error *error = NULL;
    countersign_trusted *trusted = NULL;
    int status = countersign_client_refresh(client, COUNTERSIGN_SYSTEM_TIME, &trusted, &error);
    for (int i = 0; !status && i < arguments->names_count; i++)
        status = fetch(client, trusted, arguments->names[i], arguments->target_base_url,
                       arguments->target_dir, &error);
    countersign_trusted_free(trusted);
    return status ? refused(error) : 0;
}
// [end update]

int main(int argc, char **argv) {
    struct arguments arguments;
    if (!parse(argc, argv, &arguments)) return usage();
    int is_init = !strcmp(arguments.command, "init");
    if (strcmp(arguments.command, "download")) arguments.names_count = 0;

    countersign_client_options options = {
        .size = sizeof options,
        .metadata_dir = arguments.metadata_dir,
        /* `init` makes no request. */
        .metadata_url = is_init ? "https://none.invalid/" : arguments.metadata_url,
    };
    countersign_client *client = NULL;
    countersign_error *error = NULL;
    if (countersign_client_new(&options, &client, &error)) return refused(error);
    int status = is_init ? init(client, arguments.root) : update(client, &arguments);
    countersign_client_free(client);
    if (!status) printf("{\"ok\": true}\n");
    return status;
}
