/* safetensors: what is taken has every tensor inside of the bytes, back to
 * back, and found again by its name; what is not says what is wrong. */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "engine/model/safetensors.h"

/* Bytes of all tensors. */
static size_t touch(const struct sn_safetensors *file)
{
    size_t total = 0;
    for (size_t i = 0; i < sn_safetensors_count(file); i++) {
        const struct sn_st_tensor *t = sn_safetensors_at(file, i);
        size_t n = sn_st_count(t) * sn_st_dtype_bytes(t->dtype);
        fuzz_touch(t->data, n);
        FUZZ_REQUIRE(sn_safetensors_find(file, t->name) == t);
        FUZZ_REQUIRE(t->ndim >= 0 && t->ndim <= SN_ST_MAX_DIMS);
        total += n;
    }
    return total;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sn_safetensors *file = NULL;
    struct sn_error err = {0};
    struct sn_note note;
    void *bytes = malloc(size > 0 ? size : 1); /* aligned */
    if (bytes == NULL)
        return 0;
    memcpy(bytes, data, size);
    if (sn_safetensors_parse(bytes, size, &file, &err) == SN_OK) {
        uint64_t header;
        memcpy(&header, bytes, sizeof header);
        FUZZ_REQUIRE(8 + header + touch(file) == size);
        for (size_t i = 0; sn_safetensors_note_at(file, i, &note); i++)
            FUZZ_REQUIRE(
                strcmp(sn_safetensors_note(file, note.key), note.value) == 0);
        sn_safetensors_free(file);
    } else {
        FUZZ_REQUIRE(err.message[0] != '\0');
    }
    free(bytes);
    return 0;
}
