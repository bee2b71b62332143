"""Writes a C program that calls every function of countersign.h wrongly, out of the header itself, so
that no function can be left out.

Usage: misuse.py HEADER > misuse.c

Each function is called with nothing but NULL and 0; and for each handle that it takes, with everything else in
order (other handles live and of the right type), once with NULL in its place, with a number, with an address,
with a handle that was freed, and with a live handle of every other type. That has to be refused for this handle
and no other reason; what returns no status has to return its nothing; no live handle may suffer, and none may be
left over. Then all of that in two threads at once, each with handles of its own. race.c has what two threads do
to the same handles.
"""

import re
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass
class Parameter:
    type: str
    name: str

    @property
    def is_pointer(self) -> bool:
        return self.type.endswith("*")

    @property
    def bare(self) -> str:
        return re.sub(r"\bconst\b|\bstruct\b|\*", "", self.type).strip()

    def is_handle(self, opaque: set[str]) -> bool:
        return self.bare in opaque and self.type.count("*") == 1

    def is_place(self, opaque: set[str]) -> bool:
        return self.bare in opaque and self.type.count("*") == 2


@dataclass
class Function:
    returns: str
    name: str
    parameters: list[Parameter]

    @property
    def has_status(self) -> bool:
        """Whether what it returns says how the call went; the status of an error is something to read."""
        plain = {"countersign_error_code", "countersign_error_cause", "countersign_status_name"}
        return self.returns == "countersign_status" and self.name not in plain


def without_comments(header: str) -> str:
    return re.sub(r"//[^\n]*|/\*.*?\*/", "", header, flags=re.S)


def functions(header: str) -> list[Function]:
    """Every exported function, as cbindgen writes them."""
    found = []
    text = without_comments(header)
    for match in re.finditer(r"^([\w ]+?[ *]+)(countersign_\w+)\(([^;{}]*?)\);", text, flags=re.S | re.M):
        words = [" ".join(part.split()) for part in match[3].split(",")]
        parameters = []
        for word in words:
            if word == "void":
                continue
            split = re.fullmatch(r"(.*?[ *])(\w+)", word)
            assert split, f"{match[2]}: {word!r}"
            parameters.append(Parameter(split[1].strip(), split[2]))
        found.append(Function(" ".join(match[1].split()), match[2], parameters))
    exported = set(re.findall(r"\b(countersign_\w+)\(", text))
    assert len(found) == len(exported) > 80, "a function was not understood"
    return found


def handles(header: str) -> set[str]:
    """Types that the header only names."""
    return set(re.findall(r"^typedef struct (countersign_\w+) \1;", header, flags=re.M))


# What each returns that has nothing to say.
NOTHING = {
    "uint64_t": "== 0",
    "size_t": "== 0",
    "bool": "== false",
    "int64_t": "== INT64_MIN",
    "countersign_status": "== COUNTERSIGN_OK",
    "const char *": "== NULL",
    "const uint8_t *": "== NULL",
}

# Arguments that are fine, by type and by name.
IN_ORDER = {
    "countersign_context": "&context",
    "countersign_vehicle": "&vehicle",
    "countersign_ecu_id": "ecus",
    "countersign_primary_options": "&primary_options",
    "countersign_decryption": "&decryption",
    "countersign_sink": "&sink",
    "mapping": "MAPPING",
    "address": '"127.0.0.1:0"',
    "now": "context.now",
    "installed": "NULL",
    "last_installed": "NULL",
    "offline_name": "NULL",
}


def null(parameter: Parameter) -> str:
    return "NULL" if parameter.is_pointer or parameter.bare == "countersign_progress" else "0"


def in_order(parameter: Parameter, opaque: set[str]) -> str:
    """An argument that is fine by itself."""
    if parameter.name == "error" and parameter.type.count("*") == 2:
        return "&error"
    if parameter.is_place(opaque):
        return "(void *)&place"
    if parameter.is_handle(opaque):
        return f"(void *)live->{parameter.bare.removeprefix('countersign_')}"
    for known in (parameter.name, parameter.bare):
        if known in IN_ORDER and (parameter.is_pointer or known == "now") and parameter.type.count("*") < 2:
            # `now` is also the name of a place for a time.
            return "room" if known == "now" and parameter.is_pointer else IN_ORDER[known]
    if not parameter.is_pointer:
        return null(parameter)
    return '"text"' if parameter.bare == "char" and parameter.type.count("*") == 1 else "(void *)room"


def cases(called: list[Function], opaque: set[str]) -> list[tuple[str, str, str]]:
    """For each handle of each function: its name, its type, and the body of a call with `wrong` for it."""
    made = []
    for function in called:
        for tested in function.parameters:
            if not tested.is_handle(opaque):
                continue
            arguments = ", ".join(
                "(void *)wrong" if parameter is tested else in_order(parameter, opaque)
                for parameter in function.parameters
            )
            call = f"{function.name}({arguments})"
            name = f"{function.name}, {tested.name}"
            if function.has_status:
                body = f'countersign_status status = {call};\n    refused("{name}", status, error, place);'
            elif function.returns == "void":
                assert function.name.endswith("_free"), function.name
                body = f"{call};"
            elif function.returns == "struct countersign_versions":
                body = f'struct countersign_versions v = {call};\n    nothing("{name}", !v.root && !v.timestamp && !v.snapshot && !v.targets);'
            else:
                body = f'nothing("{name}", {call} {NOTHING[function.returns]});'
            # The only one that is given a handle up beside another one.
            if function.name == "countersign_session_resolve" and tested.name == "trusted":
                body += '\n    nothing("the director is given up", countersign_director_targets_version(live->director) == 0);'
                body += "\n    live->director = new_director(live, places);"
            made.append((name, tested.bare, body))
    return made


def main() -> None:
    header = Path(sys.argv[1]).read_text()
    opaque = handles(header)
    called = functions(header)
    made = cases(called, opaque)
    assert len(made) > 75, len(made)
    print(PROLOGUE)
    print("static void with_null(void) {")
    for function in called:
        arguments = ", ".join(null(parameter) for parameter in function.parameters)
        call = f"{function.name}({arguments})"
        print(f'    misuse("{function.name}", {call});' if function.has_status else f"    (void){call};")
    print("}\n")
    for number, (_, _, body) in enumerate(made):
        print(f"static void case_{number}(struct live *live, const struct places *places, const void *wrong) {{")
        print(f"    SCENE\n    {body}\n}}\n")
    print("static const struct wrong_case cases[] = {")
    for number, (name, type_, _) in enumerate(made):
        print(f'    {{"{name}", "{type_}", case_{number}}},')
    print("};\n\nstatic void list(const struct live *live, struct handle *all) {")
    types = sorted(opaque)
    for number, type_ in enumerate(types):
        print(f'    all[{number}] = (struct handle){{"{type_}", live->{type_.removeprefix("countersign_")}}};')
    print(f"}}\n\n#define TYPES {len(types)}\n")
    print(EPILOGUE)


PROLOGUE = r"""/* Generated by misuse.py. */
#include "live.h"

#include <pthread.h>

struct wrong_case {
    const char *name, *type;
    void (*run)(struct live *live, const struct places *places, const void *wrong);
};

struct handle {
    const char *type;
    const void *handle;
};

static int32_t no_bytes(void *user, const uint8_t *bytes, size_t len) { (void)user, (void)bytes; return len > 0; }
static int32_t no_key(void *user, const uint8_t *peer, size_t len, uint8_t *shared) {
    (void)user, (void)peer, (void)len, (void)shared;
    return 1;
}
/* A file of the process that nobody makes: what is refused for its handle does not look. */
static const countersign_primary_options primary_options = {
    .size = sizeof primary_options, .vin = VIN, .serial = "P1", .hardware_id = "pcu-a", .mapping = MAPPING,
    .directory = "/nonexistent", .signer = &signer, .director = &director_link};

/* Everything that a call may want beside its handles. */
#define SCENE \
    countersign_error *error = NULL; void *place = NULL; \
    union { char bytes[4096]; uint64_t aligned; } space = {{0}}; void *room = &space; \
    const countersign_context context = {.now = 1893456000}; \
    countersign_sink sink = {.write = no_bytes}; \
    countersign_decryption decryption = {NULL, PUBLIC_KEY, no_key}; \
    (void)error, (void)place, (void)room, (void)context, (void)sink, (void)decryption, (void)live, (void)places;

static void nothing(const char *name, bool is_so) {
    if (is_so) return;
    fprintf(stderr, "%s: answers for what is no handle\n", name);
    abort();
}

static void misuse(const char *name, countersign_status status) {
    if (status == COUNTERSIGN_MISUSE) return;
    fprintf(stderr, "%s: %d\n", name, (int)status);
    abort();
}

/* Refused for the handle: not for anything else, and nothing came of it. */
static void refused(const char *name, countersign_status status, countersign_error *error, const void *place) {
    const char *message = countersign_error_message(error);
    misuse(name, status);
    if (!message || (!strstr(message, "this is no handle of ") && !strstr(message, "NULL was given for ")) || place) {
        fprintf(stderr, "%s: %s\n", name, message ? message : "no error");
        abort();
    }
    countersign_error_free(error);
}
"""

EPILOGUE = r"""/* They answer as live handles do. */
static void still_there(const struct live *live, const char *after) {
    const countersign_status any = countersign_error_code(live->error);
    const char *serial = NULL, *message = NULL;
    countersign_ecu_outcome outcome;
    countersign_error *error = NULL;
    (void)serial, (void)message, (void)outcome;
    const bool there =
        any == COUNTERSIGN_MISUSE && countersign_trusted_versions(live->trusted).root == 1 &&
        countersign_target_length(live->target) > 0 && countersign_verified_length(live->verified) > 0 &&
        countersign_root_version(live->root) == 1 && countersign_director_targets_version(live->director) == 1 &&
        countersign_update_count(live->update) == 2 && countersign_directed_length(live->directed) > 0 &&
        countersign_server_address(live->server) != NULL && countersign_cycle_targets_version(live->cycle) == 0 &&
        countersign_bundle_offline_name(live->bundle) != NULL &&
        countersign_image_update(live->image, NULL, 0, &error) == COUNTERSIGN_OK;
    if (there) return;
    fprintf(stderr, "%s: a live handle suffered\n", after);
    abort();
}

/* `count` is 0 where other threads have handles, too. */
static void all_cases(struct live *live, const struct places *places, size_t count) {
    countersign_error *freed = NULL;
    misuse("countersign_client_new", countersign_client_new(NULL, NULL, &freed));
    countersign_error_free(freed);
    /* Even: handles are odd, and counted up. */
    const void *const never[] = {NULL, (const void *)(uintptr_t)12344, &freed, freed, live->buffer};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct handle others[TYPES];
        for (size_t j = 0; j < sizeof never / sizeof *never; j++) cases[i].run(live, places, never[j]);
        list(live, others);
        for (size_t j = 0; j < TYPES; j++) {
            if (!strcmp(others[j].type, cases[i].type) || !others[j].handle) continue;
            cases[i].run(live, places, others[j].handle);
            list(live, others);
        }
        still_there(live, cases[i].name);
        if (count && countersign_live_handles() != count) {
            fprintf(stderr, "%s: %zu handles, and there were %zu\n", cases[i].name, countersign_live_handles(), count);
            abort();
        }
    }
}

static void *in_thread(void *places) {
    struct live live;
    make_live(&live, places);
    with_null();
    all_cases(&live, places, 0);
    free_live(&live);
    /* Twice does nothing. */
    countersign_error_free(live.error);
    countersign_client_free(live.client);
    return NULL;
}

int main(int argc, char **argv) {
    if (argc != 4) return 2;
    char homes[3][LONGEST_PATH];
    struct places places[3];
    for (int i = 0; i < 3; i++)
        places[i] = (struct places){argv[1], argv[2], path_of(homes[i], "%s/%d", argv[3], i)};
    struct live live;
    make_live(&live, &places[2]);
    all_cases(&live, &places[2], countersign_live_handles());
    free_live(&live);
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, in_thread, &places[i])) return 1;
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    return 0;
}
"""

main()
