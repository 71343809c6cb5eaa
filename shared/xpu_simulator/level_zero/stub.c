/* A libze_loader.so.1 without hardware: the calls of Level-Zero's Sysman that read, answered from a scenario file.
 *
 * The file is named by LEVEL_ZERO_STUB_SCENARIO; docs/simulator.md explains its lines. It is read again when it changes.
 * Structures are laid out as zes_api.h and ze_api.h of Level-Zero have them, from API 1.4 on. A caller that sets no or a
 * wrong stype, leaves pNext as it was, or casts handles to 32 bits gets an error here, where a driver might crash.
 *
 * -DAPI=104 leaves out what loaders of API 1.4 do not have.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#ifndef API
#define API 112
#endif
#define EXPORT __attribute__((visibility("default")))

typedef uint32_t result_t;
typedef uint8_t bool8_t;

enum {
    SUCCESS = 0,
    DEVICE_LOST = 0x70000001,
    NOT_AVAILABLE = 0x70010001,
    UNINITIALIZED = 0x78000001,
    UNSUPPORTED_FEATURE = 0x78000003,
    INVALID_ARGUMENT = 0x78000004,
    INVALID_NULL_HANDLE = 0x78000005,
    INVALID_NULL_POINTER = 0x78000007,
};

/* ---- structures ---- */

#define HEADER uint32_t stype; void *pNext
#define PLACE bool8_t onSubdevice; uint32_t subdeviceId

typedef struct { HEADER; } header_t;
typedef struct { int32_t gen, width; int64_t maxBandwidth; } pci_speed_t;
typedef struct {
    HEADER;
    uint32_t type, vendorId, deviceId, flags, subdeviceId, coreClockRate;
    uint64_t maxMemAllocSize;
    uint32_t maxHardwareContexts, maxCommandQueuePriority, numThreadsPerEU, physicalEUSimdWidth, numEUsPerSubslice;
    uint32_t numSubslicesPerSlice, numSlices;
    uint64_t timerResolution;
    uint32_t timestampValidBits, kernelTimestampValidBits;
    uint8_t uuid[16];
    char name[256];
} ze_device_properties_t;
typedef struct {
    HEADER;
    ze_device_properties_t core;
    uint32_t numSubdevices;
    char serialNumber[64], boardNumber[64], brandName[64], modelName[64], vendorName[64], driverVersion[64];
} device_properties_t;
typedef struct { HEADER; uint8_t uuid[16]; uint32_t type, flags; } device_ext_properties_t;
typedef struct { HEADER; uint32_t reset, repaired; } device_state_t;
typedef struct {
    HEADER;
    uint32_t domain, bus, device, function;
    pci_speed_t maxSpeed;
    bool8_t haveBandwidthCounters, havePacketCounters, haveReplayCounters;
} pci_properties_t;
typedef struct { HEADER; uint32_t status, qualityIssues, stabilityIssues; pci_speed_t speed; } pci_state_t;
typedef struct { uint64_t timestamp, replayCounter, packetCounter, rxCounter, txCounter; pci_speed_t speed; } pci_stats_t;
typedef struct {
    HEADER;
    uint32_t type;
    PLACE;
    uint32_t location;
    uint64_t physicalSize;
    int32_t busWidth, numChannels;
} mem_properties_t;
typedef struct { HEADER; uint32_t health; uint64_t free, size; } mem_state_t;
typedef struct { uint64_t readCounter, writeCounter, maxBandwidth, timestamp; } mem_bandwidth_t;
typedef struct { HEADER; uint32_t type; PLACE; double maxTemperature; bool8_t critical, threshold1, threshold2; } temp_properties_t;
typedef struct {
    HEADER;
    PLACE;
    bool8_t canControl, isEnergyThresholdSupported;
    int32_t defaultLimit, minLimit, maxLimit;
} power_properties_t;
typedef struct { HEADER; uint32_t domain; void *defaultLimit; } power_ext_properties_t;
typedef struct {
    HEADER;
    uint32_t level, source, limitUnit;
    bool8_t enabledStateLocked, enabled, intervalValueLocked;
    int32_t interval;
    bool8_t limitValueLocked;
    int32_t limit;
} power_limit_ext_t;
typedef struct { uint64_t energy, timestamp; } energy_counter_t;
typedef struct {
    HEADER;
    uint32_t type;
    PLACE;
    bool8_t canControl, isThrottleEventSupported;
    double min, max;
} freq_properties_t;
typedef struct {
    HEADER;
    double currentVoltage, request, tdp, efficient, actual;
    uint32_t throttleReasons;
} freq_state_t;
typedef struct { double min, max; } freq_range_t;
typedef struct { uint64_t throttleTime, timestamp; } throttle_time_t;
typedef struct { HEADER; uint32_t type; PLACE; } engine_properties_t;
typedef struct { uint64_t activeTime, timestamp; } engine_stats_t;
typedef struct { HEADER; uint32_t type; PLACE; } ras_properties_t;
typedef struct { HEADER; uint64_t category[7]; } ras_state_t;
typedef struct { uint32_t category; uint64_t errorCounter; } ras_state_exp_t;
typedef struct { HEADER; PLACE; bool8_t canControl; char name[64], version[64]; } firmware_properties_t;
typedef struct { uint32_t fabricId, attachId; uint8_t portNumber; } port_id_t;
typedef struct { int64_t bitRate; int32_t width; } port_speed_t;
typedef struct {
    HEADER;
    char model[256];
    PLACE;
    port_id_t portId;
    port_speed_t maxRxSpeed, maxTxSpeed;
} port_properties_t;
typedef struct {
    HEADER;
    uint32_t status, qualityIssues, failureReasons;
    port_id_t remotePortId;
    port_speed_t rxSpeed, txSpeed;
} port_state_t;
typedef struct { HEADER; bool8_t enabled, beaconing; } port_config_t;
typedef struct { HEADER; uint64_t linkFailures, firmwareCommunicationErrors, firmwareErrors, linkDegradations; } port_errors_t;
typedef struct { uint64_t timestamp, rxCounter, txCounter; } port_throughput_t;

/* ---- the scenario: objects with keys, in order ---- */

typedef enum {
    LIBRARY, DRIVER, DEVICE, TEMPERATURE, MEMORY, POWER, FREQUENCY, ENGINE, RAS, FIRMWARE, FABRIC, KINDS
} kind_t;
static const char *const KEYWORDS[KINDS] = {
    "library", "driver", "device", "temperature", "memory", "power", "frequency", "engine", "ras", "firmware", "fabric",
};
typedef struct { char *name, *value; } pair_t;
typedef struct object {
    kind_t kind;
    int driver, device, index; /* its device's place in the scenario, and its own among those of its kind */
    char key[96];              /* what it is called as long as this process lives */
    pair_t *pairs;
    int pair_count;
} object_t;
typedef struct { object_t *objects; int count; char *text; } scenario_t;

/* What has been counted of an object, which survives a new scenario. */
enum { COUNTERS = 3, CALLS = 40 };
typedef struct {
    char key[96];
    double counters[COUNTERS];
    uint64_t counted_at[COUNTERS];
    struct { const char *call; enum { OUTCOMES, VALUES } of; unsigned times; } calls[CALLS];
} memory_t;

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static scenario_t scenario;
static struct stat read_as;
static memory_t **memories;
static int memory_count;
static enum { FRESH, SYSMAN, SYSMAN_FAILED, CORE } state;
static object_t *known; /* the drivers and devices there were at the start: as in the real library, they stay */
static int known_count;

static uint64_t now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000u + (uint64_t)now.tv_nsec / 1000u;
}

static const char *find(const object_t *object, const char *name) {
    for (int i = 0; object && i < object->pair_count; i++)
        if (!strcmp(object->pairs[i].name, name)) return object->pairs[i].value;
    return NULL;
}

static void free_scenario(scenario_t *old) {
    for (int i = 0; i < old->count; i++) free(old->objects[i].pairs);
    free(old->objects);
    free(old->text);
    memset(old, 0, sizeof *old);
}

static int count_of(const scenario_t *in, kind_t kind, int driver, int device) {
    int count = 0;
    for (int i = 0; i < in->count; i++) {
        const object_t *other = &in->objects[i];
        count += other->kind == kind && (kind == LIBRARY || kind == DRIVER || other->driver == driver) &&
                 (kind <= DEVICE || other->device == device);
    }
    return count;
}

/* One line: a keyword and name=value pairs, separated by blanks. An error is its text. */
static const char *add_line(scenario_t *into, char *line, int *driver, int *device) {
    char *rest = line, *word = strtok_r(line, " \t\r", &rest);
    if (!word || word[0] == '#') return NULL;
    int kind = 0;
    while (kind < KINDS && strcmp(word, KEYWORDS[kind])) kind++;
    if (kind == KINDS) return "an unknown keyword";
    if (kind == DRIVER) *driver += 1, *device = -1;
    if (kind == DEVICE) *device += 1;
    if (kind == DEVICE && *driver < 0) return "a device before any driver";
    if (kind > DEVICE && *device < 0) return "a component before any device";
    object_t object = {.kind = (kind_t)kind, .driver = *driver, .device = *device};
    object.index = count_of(into, object.kind, *driver, *device);
    while ((word = strtok_r(NULL, " \t\r", &rest))) {
        char *value = strchr(word, '=');
        if (!value || value == word) return "a word that is not name=value";
        *value++ = 0;
        pair_t *pairs = realloc(object.pairs, sizeof(pair_t) * (size_t)(object.pair_count + 1));
        if (!pairs) return "no memory";
        object.pairs = pairs;
        object.pairs[object.pair_count++] = (pair_t){word, value};
    }
    if (kind == DEVICE) {
        const char *bdf = find(&object, "bdf");
        int same = 0;
        if (!bdf || strlen(bdf) > 32) return "a device without bdf=";
        for (int i = 0; i < into->count; i++) {
            const char *other = find(&into->objects[i], "bdf");
            same += other && !strcmp(other, bdf);
        }
        snprintf(object.key, sizeof object.key, "%s#%d", bdf, same);
    } else if (kind > DEVICE) {
        for (int i = 0; i < into->count; i++)
            if (into->objects[i].kind == DEVICE && into->objects[i].driver == *driver && into->objects[i].device == *device)
                snprintf(object.key, sizeof object.key, "%.40s/%s%d", into->objects[i].key, KEYWORDS[kind], object.index);
    } else {
        snprintf(object.key, sizeof object.key, "%s%d", KEYWORDS[kind], object.index);
    }
    object_t *objects = realloc(into->objects, sizeof(object_t) * (size_t)(into->count + 1));
    if (!objects) return "no memory";
    into->objects = objects;
    into->objects[into->count++] = object;
    return NULL;
}

/* Read the scenario if its file is another one than the last time; a file with a mistake leaves things as they are. */
static void refresh(void) {
    const char *path = getenv("LEVEL_ZERO_STUB_SCENARIO");
    struct stat found;
    if (!path || stat(path, &found)) return;
    if (found.st_ino == read_as.st_ino && found.st_size == read_as.st_size &&
        found.st_mtim.tv_sec == read_as.st_mtim.tv_sec && found.st_mtim.tv_nsec == read_as.st_mtim.tv_nsec)
        return;
    read_as = found;
    FILE *file = fopen(path, "r");
    if (!file) return;
    scenario_t fresh = {.text = calloc(1, (size_t)found.st_size + 1)};
    size_t length = fresh.text ? fread(fresh.text, 1, (size_t)found.st_size, file) : 0;
    fclose(file);
    if (!fresh.text) return;
    fresh.text[length] = 0;
    int driver = -1, device = -1, number = 0;
    for (char *line = fresh.text; line;) {
        char *end = strchr(line, '\n');
        if (end) *end++ = 0;
        number++;
        const char *error = add_line(&fresh, line, &driver, &device);
        if (error) {
            fprintf(stderr, "%s:%d: %s; the scenario stays as it was\n", path, number, error);
            free_scenario(&fresh);
            return;
        }
        line = end;
    }
    free_scenario(&scenario);
    scenario = fresh;
}

static memory_t *remember(const object_t *object) {
    for (int i = 0; i < memory_count; i++)
        if (!strcmp(memories[i]->key, object->key)) return memories[i];
    memories = realloc(memories, sizeof *memories * (size_t)(memory_count + 1));
    memory_t *fresh = memories ? calloc(1, sizeof *fresh) : NULL;
    if (!fresh) abort();
    memcpy(fresh->key, object->key, sizeof fresh->key);
    return memories[memory_count++] = fresh;
}

/* How many of a call's outcomes, or of its values, were used before. */
static unsigned used(const object_t *object, const char *call, int of) {
    memory_t *memory = remember(object);
    for (int i = 0; i < CALLS; i++) {
        if (!memory->calls[i].call) memory->calls[i].call = call, memory->calls[i].of = of;
        if (!strcmp(memory->calls[i].call, call) && (int)memory->calls[i].of == of) return memory->calls[i].times++;
    }
    return 0;
}

/* The n-th of values separated by commas, or the last one. */
static const char *nth(const char *values, unsigned n) {
    while (values && n--) {
        const char *comma = strchr(values, ',');
        if (!comma) break;
        values = comma + 1;
    }
    return values;
}

static double number(const object_t *object, const char *name, unsigned n, double otherwise) {
    const char *value = nth(find(object, name), n);
    return value ? strtod(value, NULL) : otherwise;
}

static uint64_t whole(const object_t *object, const char *name, unsigned n, uint64_t otherwise) {
    const char *value = nth(find(object, name), n);
    return value ? strtoull(value, NULL, 0) : otherwise;
}

/* A text, with %41 for A, cut at the field's end; as long as the field it has no NUL, as some drivers do. */
static void text(const object_t *object, const char *name, char *into, size_t size, const char *otherwise) {
    const char *value = find(object, name);
    size_t length = 0;
    memset(into, 0, size);
    for (value = value ? value : otherwise; *value && length < size; length++) {
        char digits[3] = {0};
        if (value[0] == '%' && value[1] && value[2]) {
            memcpy(digits, value + 1, 2);
            into[length] = (char)strtol(digits, NULL, 16);
            value += 3;
        } else {
            into[length] = *value++;
        }
    }
}

/* A counter that has grown by `rate` per second since it was last looked at; or the values that are given for it. */
static uint64_t counter(const object_t *object, int which, const char *name, double rate, unsigned n) {
    memory_t *memory = remember(object);
    uint64_t now = now_us();
    if (memory->counted_at[which])
        memory->counters[which] += rate * (double)(now - memory->counted_at[which]) / 1e6;
    memory->counted_at[which] = now;
    return find(object, name) ? whole(object, name, n, 0) : 1000000u + (uint64_t)memory->counters[which];
}

static uint64_t timestamp(const object_t *object, unsigned n) { return whole(object, "timestamp", n, now_us()); }

static void place(const object_t *object, bool8_t *on_subdevice, uint32_t *subdevice) {
    *on_subdevice = find(object, "subdevice") != NULL;
    *subdevice = (uint32_t)whole(object, "subdevice", 0, 0);
}

/* ---- handles: numbers that do not fit 32 bits ---- */

#define MAGIC UINT64_C(0x5e10000000000000)
#define CORE_HANDLE UINT64_C(0x0008000000000000)
typedef void *handle_t;

static handle_t handle(kind_t kind, int driver, int device, int index) {
    uint64_t core = state == CORE ? CORE_HANDLE : 0;
    return (handle_t)(uintptr_t)(MAGIC | core | (uint64_t)kind << 40 | (uint64_t)driver << 32 | (uint64_t)device << 16 |
                                 (uint64_t)index);
}

static const object_t *find_key(kind_t kind, const char *key) {
    for (int i = 0; i < scenario.count; i++)
        if (scenario.objects[i].kind == kind && !strcmp(scenario.objects[i].key, key)) return &scenario.objects[i];
    return NULL;
}

static const object_t *known_object(kind_t kind, int driver, int device) {
    for (int i = 0; i < known_count; i++)
        if (known[i].kind == kind && known[i].driver == driver && (kind == DRIVER || known[i].device == device))
            return &known[i];
    return NULL;
}

static const object_t *library(void) {
    for (int i = 0; i < scenario.count; i++)
        if (scenario.objects[i].kind == LIBRARY) return &scenario.objects[i];
    return NULL;
}

/* What a handle stands for in the scenario of this moment, and its device. */
static result_t resolve(handle_t value, kind_t kind, const object_t **object, const object_t **device) {
    uint64_t bits = (uint64_t)(uintptr_t)value;
    if (state == FRESH || state == SYSMAN_FAILED) return UNINITIALIZED;
    if ((bits & ~UINT64_C(0x000fffffffffffff)) != MAGIC || (kind_t)(bits >> 40 & 0xff) != kind) return INVALID_NULL_HANDLE;
    if (((bits & CORE_HANDLE) != 0) != (state == CORE)) return INVALID_NULL_HANDLE;
    int in_driver = (int)(bits >> 32 & 0xff), in_device = (int)(bits >> 16 & 0xffff);
    const object_t *owner = known_object(kind == DRIVER ? DRIVER : DEVICE, in_driver, in_device);
    if (!owner) return INVALID_NULL_HANDLE;
    const object_t *there = find_key(owner->kind, owner->key);
    if (!there) return DEVICE_LOST;
    *device = there;
    *object = there;
    if (kind <= DEVICE) return SUCCESS;
    char key[96];
    snprintf(key, sizeof key, "%.40s/%s%d", owner->key, KEYWORDS[kind], (int)(bits & 0xffff));
    *object = find_key(kind, key);
    return *object ? SUCCESS : NOT_AVAILABLE;
}

/* The words hang, crash and exit, or a code, that the scenario has for a call: at the object, its device, or the library. */
static const char *outcome(const char *call, const object_t *object, const object_t *device) {
    const object_t *places[] = {object, device, library()};
    for (int i = 0; i < 3; i++) {
        const char *value = find(places[i], call);
        if (value) return nth(value, strchr(value, ',') ? used(places[i], call, OUTCOMES) : 0);
    }
    return NULL;
}

static bool is_word(const char *value, const char *word) { return value && !strncmp(value, word, strlen(word)); }

/* Take the lock and find what a call is about; on SUCCESS the caller unlocks. */
static result_t enter(const char *call, handle_t value, kind_t kind, const object_t **object) {
    const object_t *device = NULL;
    pthread_mutex_lock(&lock);
    for (;;) {
        refresh();
        *object = NULL;
        result_t result = kind == LIBRARY ? SUCCESS : resolve(value, kind, object, &device);
        if (result == SUCCESS) {
            const char *word = outcome(call, *object, device);
            if (is_word(word, "hang")) { /* until the scenario says otherwise */
                pthread_mutex_unlock(&lock);
                nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
                pthread_mutex_lock(&lock);
                continue;
            }
            if (is_word(word, "crash")) raise(SIGSEGV);
            if (is_word(word, "exit")) _exit(EXIT_FAILURE);
            result = word ? (result_t)strtoul(word, NULL, 0) : SUCCESS;
        }
        if (result != SUCCESS) pthread_mutex_unlock(&lock);
        return result;
    }
}

static result_t leave(result_t result) {
    pthread_mutex_unlock(&lock);
    return result;
}

static result_t checked(const void *structure, uint32_t stype) {
    const header_t *header = structure;
    if (!header) return INVALID_NULL_POINTER;
    return header->stype == stype && !header->pNext ? SUCCESS : INVALID_ARGUMENT;
}

/* ---- drivers and devices ---- */

static void freeze(void) {
    known = calloc((size_t)scenario.count + 1, sizeof *known);
    for (int i = 0; known && i < scenario.count; i++)
        if (scenario.objects[i].kind == DRIVER || scenario.objects[i].kind == DEVICE) {
            known[known_count] = scenario.objects[i];
            known[known_count].pairs = NULL;
            known[known_count++].pair_count = 0;
        }
}

static result_t initialise(const char *call, int becomes, bool possible) {
    const object_t *none;
    result_t result = enter(call, NULL, LIBRARY, &none);
    if (result != SUCCESS) {
        if (becomes == SYSMAN) state = SYSMAN_FAILED;
        return result;
    }
    if (state == FRESH && possible && scenario.count) {
        state = becomes;
        freeze();
    }
    return leave((int)state == becomes ? SUCCESS : UNINITIALIZED);
}

static result_t list_drivers(const char *call, int in_state, uint32_t *count, handle_t *handles) {
    const object_t *none;
    result_t result = enter(call, NULL, LIBRARY, &none);
    if (result != SUCCESS) return result;
    if ((int)state != in_state) return leave(UNINITIALIZED);
    if (!count) return leave(INVALID_NULL_POINTER);
    uint32_t found = 0;
    for (int i = 0; i < known_count; i++) {
        if (known[i].kind != DRIVER) continue;
        if (handles && found < *count) handles[found] = handle(DRIVER, known[i].driver, 0, 0);
        found++;
    }
    if (!handles || *count > found) *count = found;
    return leave(SUCCESS);
}

static result_t list_devices(const char *call, int in_state, handle_t driver, uint32_t *count, handle_t *handles) {
    const object_t *object;
    result_t result = enter(call, driver, DRIVER, &object);
    if (result != SUCCESS) return result;
    if ((int)state != in_state) return leave(UNINITIALIZED);
    if (!count) return leave(INVALID_NULL_POINTER);
    int in_driver = (int)((uint64_t)(uintptr_t)driver >> 32 & 0xff);
    uint32_t found = 0;
    for (int i = 0; i < known_count; i++) {
        if (known[i].kind != DEVICE || known[i].driver != in_driver) continue;
        if (handles && found < *count) handles[found] = handle(DEVICE, in_driver, known[i].device, 0);
        found++;
    }
    uint32_t extra = handles ? 0 : (uint32_t)whole(object, "extra", 0, 0);
    if (!handles || *count > found) *count = found + extra;
    return leave(SUCCESS);
}

static result_t list_components(const char *call, kind_t kind, handle_t device, uint32_t *count, handle_t *handles) {
    const object_t *object;
    result_t result = enter(call, device, DEVICE, &object);
    if (result != SUCCESS) return result;
    if (!count) return leave(INVALID_NULL_POINTER);
    uint64_t bits = (uint64_t)(uintptr_t)device;
    uint32_t found = (uint32_t)count_of(&scenario, kind, object->driver, object->device);
    for (uint32_t i = 0; handles && i < found && i < *count; i++)
        handles[i] = handle(kind, (int)(bits >> 32 & 0xff), (int)(bits >> 16 & 0xffff), (int)i);
    uint32_t extra = handles ? 0 : (uint32_t)whole(object, "extra", 0, 0); /* some that go before they are listed */
    if (!handles || *count > found) *count = found + extra;
    return leave(SUCCESS);
}

#if API >= 105
EXPORT result_t zesInit(uint32_t flags) { return flags ? INVALID_ARGUMENT : initialise("zesInit", SYSMAN, true); }
EXPORT result_t zesDriverGet(uint32_t *count, handle_t *drivers) { return list_drivers("zesDriverGet", SYSMAN, count, drivers); }
EXPORT result_t zesDeviceGet(handle_t driver, uint32_t *count, handle_t *devices) {
    return list_devices("zesDeviceGet", SYSMAN, driver, count, devices);
}
#endif
EXPORT result_t zeInit(uint32_t flags) { return flags > 1 ? INVALID_ARGUMENT : initialise("zeInit", CORE, true); }
EXPORT result_t zeDriverGet(uint32_t *count, handle_t *drivers) { return list_drivers("zeDriverGet", CORE, count, drivers); }
EXPORT result_t zeDeviceGet(handle_t driver, uint32_t *count, handle_t *devices) {
    return list_devices("zeDeviceGet", CORE, driver, count, devices);
}

static void fill_core(const object_t *device, ze_device_properties_t *core) {
    const char *uuid = find(device, "uuid");
    core->type = (uint32_t)whole(device, "type", 0, 1);
    core->vendorId = (uint32_t)whole(device, "vendor", 0, 0x8086);
    core->deviceId = (uint32_t)whole(device, "device", 0, 0x56c0);
    core->flags = (whole(device, "integrated", 0, 0) ? 1u : 0u) | (find(device, "subdevice") ? 2u : 0u);
    core->subdeviceId = (uint32_t)whole(device, "subdevice", 0, 0);
    for (int i = 0; i < 16; i++) {
        unsigned byte = 0;
        if (uuid && strlen(uuid) >= 32) sscanf(uuid + i * 2, "%2x", &byte);
        core->uuid[i] = (uint8_t)byte;
    }
    text(device, "name", core->name, sizeof core->name, "Simulated%20GPU");
}

EXPORT result_t zeDeviceGetProperties(handle_t device, ze_device_properties_t *properties) {
    const object_t *object;
    result_t result = enter("zeDeviceGetProperties", device, DEVICE, &object);
    if (result != SUCCESS) return result;
    result = checked(properties, 0x3);
    if (result == SUCCESS) fill_core(object, properties);
    return leave(result);
}

/* Without ZES_ENABLE_SYSMAN in the environment, core handles are no Sysman handles. */
static result_t enter_sysman(const char *call, handle_t value, kind_t kind, const object_t **object) {
    const char *enabled = getenv("ZES_ENABLE_SYSMAN");
    if (state == CORE && !(enabled && !strcmp(enabled, "1"))) return UNINITIALIZED;
    return enter(call, value, kind, object);
}

/* A call that fills a structure with a header: `object`, `out` and, for values that are lists, `n` are at hand. */
#define READS(call, KIND, type, STYPE, ...)                                            \
    EXPORT result_t call(handle_t handle_, type *out) {                                \
        const object_t *object;                                                        \
        result_t result = enter_sysman(#call, handle_, KIND, &object);                 \
        if (result != SUCCESS) return result;                                          \
        if (!out) return leave(INVALID_NULL_POINTER);                                  \
        if (STYPE && (result = checked(out, STYPE)) != SUCCESS) return leave(result);  \
        unsigned n = used(object, #call, VALUES);                                           \
        (void)n;                                                                       \
        __VA_ARGS__                                                                    \
        return leave(SUCCESS);                                                         \
    }
#define ENUMERATES(call, KIND)                                                         \
    EXPORT result_t call(handle_t device, uint32_t *count, handle_t *handles) {        \
        return list_components(#call, KIND, device, count, handles);                   \
    }

EXPORT result_t zesDeviceGetProperties(handle_t device, device_properties_t *out) {
    const object_t *object;
    result_t result = enter_sysman("zesDeviceGetProperties", device, DEVICE, &object);
    if (result != SUCCESS) return result;
    device_ext_properties_t *extension = out ? out->pNext : NULL;
    if (!out || out->stype != 0x1) return leave(out ? INVALID_ARGUMENT : INVALID_NULL_POINTER);
    if (extension && (extension->stype != 0x2d || extension->pNext)) return leave(INVALID_ARGUMENT);
    fill_core(object, &out->core);
    if (extension && API >= 107) {
        memcpy(extension->uuid, out->core.uuid, sizeof extension->uuid);
        extension->type = out->core.type;
        extension->flags = out->core.flags;
    }
    out->numSubdevices = (uint32_t)whole(object, "subdevices", 0, 0);
    text(object, "serial", out->serialNumber, sizeof out->serialNumber, "unknown");
    text(object, "board", out->boardNumber, sizeof out->boardNumber, "unknown");
    text(object, "brand", out->brandName, sizeof out->brandName, "unknown");
    text(object, "model", out->modelName, sizeof out->modelName, "Simulated%20GPU");
    text(object, "vendor_name", out->vendorName, sizeof out->vendorName, "Intel(R)%20Corporation");
    text(object, "driver_version", out->driverVersion, sizeof out->driverVersion, "1.6.0");
    return leave(SUCCESS);
}

READS(zesDeviceGetState, DEVICE, device_state_t, 0x15, {
    out->reset = (uint32_t)whole(object, "reset", n, 0);
    out->repaired = (uint32_t)whole(object, "repaired", n, 0);
})

static pci_speed_t speed(const object_t *object, const char *gen, const char *width) {
    pci_speed_t found = {(int32_t)number(object, gen, 0, 4), (int32_t)number(object, width, 0, 16), -1};
    static const double GIGABITS[] = {0, 2.5, 5, 8, 16, 32, 64};
    if (found.gen > 0 && found.gen < 7 && found.width > 0)
        found.maxBandwidth = (int64_t)(GIGABITS[found.gen] * 1e9 / 8 * (found.gen < 3 ? 0.8 : 128.0 / 130) * found.width);
    return found;
}

READS(zesDevicePciGetProperties, DEVICE, pci_properties_t, 0x2, {
    unsigned domain = 0, bus = 0, device = 0, function = 0;
    sscanf(find(object, "bdf"), "%x:%x:%x.%x", &domain, &bus, &device, &function);
    out->domain = domain;
    out->bus = bus;
    out->device = device;
    out->function = function;
    out->maxSpeed = speed(object, "pci_max_gen", "pci_max_width");
    out->haveBandwidthCounters = find(object, "pci_rx") != NULL || find(object, "pci_rx_rate") != NULL;
    out->havePacketCounters = 0;
    out->haveReplayCounters = find(object, "pci_replays") != NULL;
})
READS(zesDevicePciGetState, DEVICE, pci_state_t, 0x17, {
    out->status = (uint32_t)whole(object, "pci_status", n, 1);
    out->qualityIssues = (uint32_t)whole(object, "pci_quality", n, 0);
    out->stabilityIssues = (uint32_t)whole(object, "pci_stability", n, 0);
    out->speed = speed(object, "pci_gen", "pci_width");
})
READS(zesDevicePciGetStats, DEVICE, pci_stats_t, 0, {
    out->timestamp = timestamp(object, n);
    out->replayCounter = whole(object, "pci_replays", n, 0);
    out->packetCounter = 0;
    out->rxCounter = counter(object, 0, "pci_rx", number(object, "pci_rx_rate", 0, 0), n);
    out->txCounter = counter(object, 1, "pci_tx", number(object, "pci_tx_rate", 0, 0), n);
    out->speed = speed(object, "pci_gen", "pci_width");
})

/* ---- components ---- */

ENUMERATES(zesDeviceEnumMemoryModules, MEMORY)
READS(zesMemoryGetProperties, MEMORY, mem_properties_t, 0xb, {
    out->type = (uint32_t)whole(object, "type", 0, 17);
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->location = (uint32_t)whole(object, "location", 0, 1);
    out->physicalSize = whole(object, "physical", 0, 0);
    out->busWidth = (int32_t)number(object, "bus_width", 0, -1);
    out->numChannels = (int32_t)number(object, "channels", 0, -1);
})
READS(zesMemoryGetState, MEMORY, mem_state_t, 0x1e, {
    out->health = (uint32_t)whole(object, "health", n, 1);
    out->size = whole(object, "size", n, 0);
    out->free = whole(object, "free", n, out->size);
})
READS(zesMemoryGetBandwidth, MEMORY, mem_bandwidth_t, 0, {
    if (!find(object, "read") && !find(object, "read_rate")) return leave(UNSUPPORTED_FEATURE);
    out->readCounter = counter(object, 0, "read", number(object, "read_rate", 0, 0), n);
    out->writeCounter = counter(object, 1, "write", number(object, "write_rate", 0, 0), n);
    out->maxBandwidth = whole(object, "max_rate", 0, 0);
    out->timestamp = timestamp(object, n);
})

ENUMERATES(zesDeviceEnumTemperatureSensors, TEMPERATURE)
READS(zesTemperatureGetProperties, TEMPERATURE, temp_properties_t, 0x14, {
    out->type = (uint32_t)whole(object, "type", 0, 0);
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->maxTemperature = number(object, "max", 0, -1);
    out->critical = out->threshold1 = out->threshold2 = 0;
})
READS(zesTemperatureGetState, TEMPERATURE, double, 0, { *out = number(object, "celsius", n, 40); })

ENUMERATES(zesDeviceEnumPowerDomains, POWER)
EXPORT result_t zesPowerGetProperties(handle_t power, power_properties_t *out) {
    const object_t *object;
    result_t result = enter_sysman("zesPowerGetProperties", power, POWER, &object);
    if (result != SUCCESS) return result;
    power_ext_properties_t *extension = out ? out->pNext : NULL;
    if (!out || out->stype != 0xd) return leave(out ? INVALID_ARGUMENT : INVALID_NULL_POINTER);
    if (extension && (extension->stype != 0x28 || extension->pNext || extension->defaultLimit)) return leave(INVALID_ARGUMENT);
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->canControl = out->isEnergyThresholdSupported = 0;
    out->defaultLimit = out->minLimit = out->maxLimit = -1;
    if (extension) extension->domain = (uint32_t)whole(object, "domain", 0, 1);
    return leave(SUCCESS);
}
READS(zesPowerGetEnergyCounter, POWER, energy_counter_t, 0, {
    out->energy = counter(object, 0, "energy", number(object, "watts", 0, 0) * 1e6, n);
    out->timestamp = timestamp(object, n);
})
EXPORT result_t zesPowerGetLimitsExt(handle_t power, uint32_t *count, power_limit_ext_t *out) {
    const object_t *object;
    result_t result = enter_sysman("zesPowerGetLimitsExt", power, POWER, &object);
    if (result != SUCCESS) return result;
    if (!count) return leave(INVALID_NULL_POINTER);
    uint32_t found = find(object, "limit") ? 1 : 0;
    if (out && *count >= 1 && found) {
        if ((result = checked(out, 0x27)) != SUCCESS) return leave(result);
        out->level = (uint32_t)whole(object, "level", 0, 1);
        out->source = 0;
        out->limitUnit = (uint32_t)whole(object, "unit", 0, 2);
        out->enabled = (bool8_t)whole(object, "enabled", 0, 1);
        out->enabledStateLocked = out->intervalValueLocked = out->limitValueLocked = 1;
        out->interval = -1;
        out->limit = (int32_t)number(object, "limit", 0, 0);
    }
    if (!out || *count > found) *count = found;
    return leave(SUCCESS);
}

ENUMERATES(zesDeviceEnumFrequencyDomains, FREQUENCY)
READS(zesFrequencyGetProperties, FREQUENCY, freq_properties_t, 0x9, {
    out->type = (uint32_t)whole(object, "type", 0, 0);
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->canControl = out->isThrottleEventSupported = 0;
    out->min = number(object, "min", 0, 300);
    out->max = number(object, "max", 0, 2050);
})
READS(zesFrequencyGetState, FREQUENCY, freq_state_t, 0x1b, {
    out->currentVoltage = -1;
    out->request = number(object, "request", n, -1);
    out->tdp = out->efficient = -1;
    out->actual = number(object, "actual", n, 1000);
    out->throttleReasons = (uint32_t)whole(object, "throttle", n, 0);
})
READS(zesFrequencyGetRange, FREQUENCY, freq_range_t, 0, {
    out->min = number(object, "set_min", 0, number(object, "min", 0, 300));
    out->max = number(object, "set_max", 0, number(object, "max", 0, 2050));
})
READS(zesFrequencyGetThrottleTime, FREQUENCY, throttle_time_t, 0, {
    out->throttleTime = counter(object, 0, "throttle_time", number(object, "throttled", 0, 0) * 1e6, n);
    out->timestamp = timestamp(object, n);
})

ENUMERATES(zesDeviceEnumEngineGroups, ENGINE)
READS(zesEngineGetProperties, ENGINE, engine_properties_t, 0x5, {
    out->type = (uint32_t)whole(object, "type", 0, 0);
    place(object, &out->onSubdevice, &out->subdeviceId);
})
READS(zesEngineGetActivity, ENGINE, engine_stats_t, 0, {
    out->activeTime = counter(object, 0, "active", number(object, "busy", 0, 0) * 1e6, n);
    out->timestamp = timestamp(object, n);
})

ENUMERATES(zesDeviceEnumRasErrorSets, RAS)
READS(zesRasGetProperties, RAS, ras_properties_t, 0xf, {
    out->type = (uint32_t)whole(object, "type", 0, 0);
    place(object, &out->onSubdevice, &out->subdeviceId);
})
static const char *const CATEGORIES[] = {
    "reset", "programming", "driver", "compute", "non_compute", "cache", "display", "memory", "scale", "l3fabric",
};
EXPORT result_t zesRasGetState(handle_t ras, bool8_t clear, ras_state_t *out) {
    const object_t *object;
    result_t result = enter_sysman("zesRasGetState", ras, RAS, &object);
    if (result != SUCCESS) return result;
    if (clear) return leave(INVALID_ARGUMENT); /* nobody may clear what others count */
    if ((result = checked(out, 0x22)) != SUCCESS) return leave(result);
    unsigned n = used(object, "zesRasGetState", VALUES);
    for (int i = 0; i < 7; i++) out->category[i] = whole(object, CATEGORIES[i], n, 0);
    return leave(SUCCESS);
}
#if API >= 107
EXPORT result_t zesRasGetStateExp(handle_t ras, uint32_t *count, ras_state_exp_t *out) {
    const object_t *object;
    result_t result = enter_sysman("zesRasGetStateExp", ras, RAS, &object);
    if (result != SUCCESS) return result;
    if (!find(object, "exp")) return leave(UNSUPPORTED_FEATURE);
    if (!count) return leave(INVALID_NULL_POINTER);
    unsigned n = out ? used(object, "zesRasGetStateExp", VALUES) : 0;
    for (uint32_t i = 0; out && i < 10 && i < *count; i++) {
        out[i].category = i;
        out[i].errorCounter = whole(object, CATEGORIES[i], n, 0);
    }
    if (!out || *count > 10) *count = 10;
    return leave(SUCCESS);
}
#endif

ENUMERATES(zesDeviceEnumFirmwares, FIRMWARE)
READS(zesFirmwareGetProperties, FIRMWARE, firmware_properties_t, 0x8, {
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->canControl = 0;
    text(object, "name", out->name, sizeof out->name, "GSC");
    text(object, "version", out->version, sizeof out->version, "unknown");
})

ENUMERATES(zesDeviceEnumFabricPorts, FABRIC)
READS(zesFabricPortGetProperties, FABRIC, port_properties_t, 0x6, {
    text(object, "model", out->model, sizeof out->model, "XeLink");
    place(object, &out->onSubdevice, &out->subdeviceId);
    out->portId = (port_id_t){(uint32_t)whole(object, "id", 0, 0), (uint32_t)whole(object, "id", 1, 0),
                              (uint8_t)whole(object, "id", 2, 0)};
    out->maxRxSpeed = (port_speed_t){(int64_t)number(object, "max_rate", 0, -1), (int32_t)number(object, "max_rx", 0, 4)};
    out->maxTxSpeed = (port_speed_t){(int64_t)number(object, "max_rate", 0, -1), (int32_t)number(object, "max_tx", 0, 4)};
})
READS(zesFabricPortGetConfig, FABRIC, port_config_t, 0x18, {
    out->enabled = (bool8_t)whole(object, "enabled", n, 1);
    out->beaconing = 0;
})
READS(zesFabricPortGetState, FABRIC, port_state_t, 0x19, {
    out->status = (uint32_t)whole(object, "status", n, 1);
    out->qualityIssues = (uint32_t)whole(object, "quality", n, 0);
    out->failureReasons = (uint32_t)whole(object, "failure", n, 0);
    out->remotePortId = (port_id_t){(uint32_t)whole(object, "remote", 0, 0), (uint32_t)whole(object, "remote", 1, 0),
                                    (uint8_t)whole(object, "remote", 2, 0)};
    out->rxSpeed = out->txSpeed = (port_speed_t){(int64_t)number(object, "rate", n, -1), (int32_t)number(object, "lanes", n, 4)};
})
#if API >= 107
READS(zesFabricPortGetFabricErrorCounters, FABRIC, port_errors_t, 0x2a, {
    out->linkFailures = whole(object, "link_failures", n, 0);
    out->firmwareCommunicationErrors = whole(object, "fw_communication_errors", n, 0);
    out->firmwareErrors = whole(object, "fw_errors", n, 0);
    out->linkDegradations = whole(object, "link_degradations", n, 0);
})
#endif
READS(zesFabricPortGetThroughput, FABRIC, port_throughput_t, 0, {
    out->timestamp = timestamp(object, n);
    out->rxCounter = counter(object, 0, "rx", number(object, "rx_rate", 0, 0), n);
    out->txCounter = counter(object, 1, "tx", number(object, "tx_rate", 0, 0), n);
})
