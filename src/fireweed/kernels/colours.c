/* The colour changes of photos in training, one pass over the pixels: mirror, saturation, brightness, then contrast.
 *
 * Photos are uint8 RGB, colours last. A row is split into its three colours, which lie in the first-level cache until
 * they are written as one again; plain loops over them are what compilers turn into vectors.
 */
#include "vectors.h"

#include <math.h>
#include <stdint.h>

typedef struct {
    uint8_t *red, *green, *blue;
} Row;

INLINE int larger(int a, int b) { return a > b ? a : b; }
INLINE int smaller(int a, int b) { return a < b ? a : b; }

static void split(const uint8_t *restrict from, Row row, long columns, int mirrored) {
    uint8_t *restrict red = row.red, *restrict green = row.green, *restrict blue = row.blue;
    if (mirrored) {
        for (long x = 0; x < columns; x++) {
            red[columns - 1 - x] = from[3 * x];
            green[columns - 1 - x] = from[3 * x + 1];
            blue[columns - 1 - x] = from[3 * x + 2];
        }
        return;
    }
    for (long x = 0; x < columns; x++) {
        red[x] = from[3 * x];
        green[x] = from[3 * x + 1];
        blue[x] = from[3 * x + 2];
    }
}

static void join(Row row, uint8_t *restrict to, long columns) {
    const uint8_t *restrict red = row.red, *restrict green = row.green, *restrict blue = row.blue;
    for (long x = 0; x < columns; x++) {
        to[3 * x] = red[x];
        to[3 * x + 1] = green[x];
        to[3 * x + 2] = blue[x];
    }
}

INLINE uint8_t rounded(float value) { return (uint8_t)(int)rintf(value); }

/* With V the largest of a pixel's colours, c becomes V - (V - c) factor: up to a factor of 1, a mean of the two. */
static void fade(Row row, long columns, float factor) {
    uint8_t *restrict red = row.red, *restrict green = row.green, *restrict blue = row.blue;
    float rest = 1.0f - factor;
    for (long x = 0; x < columns; x++) {
        float most = rest * (float)larger(larger(red[x], green[x]), blue[x]);
        red[x] = rounded((float)red[x] * factor + most);
        green[x] = rounded((float)green[x] * factor + most);
        blue[x] = rounded((float)blue[x] * factor + most);
    }
}

/* The same with min(factor, V / (V - m)), m being the smallest: past that it would be below 0. Where V = m the pixel is
 * grey, V - c is 0, and any finite number does. */
static void saturate(Row row, long columns, float factor) {
    uint8_t *restrict red = row.red, *restrict green = row.green, *restrict blue = row.blue;
    for (long x = 0; x < columns; x++) {
        int most = larger(larger(red[x], green[x]), blue[x]);
        int chroma = most - smaller(smaller(red[x], green[x]), blue[x]);
        float limit = (float)most / (float)larger(chroma, 1);
        float stretch = limit < factor ? limit : factor;
        red[x] = (uint8_t)(most - rounded((float)(most - red[x]) * stretch));
        green[x] = (uint8_t)(most - rounded((float)(most - green[x]) * stretch));
        blue[x] = (uint8_t)(most - rounded((float)(most - blue[x]) * stretch));
    }
}

static void brighten(uint8_t *values, long count, int shift) {
    for (long i = 0; i < count; i++) values[i] = (uint8_t)larger(0, smaller(255, values[i] + shift));
}

static void add_colours(Row row, long columns, uint64_t sums[3]) {
    const uint8_t *colours[3] = {row.red, row.green, row.blue};
    for (int c = 0; c < 3; c++) {
        uint32_t sum = 0;
        for (long x = 0; x < columns; x++) sum += colours[c][x];
        sums[c] += sum;
    }
}

/* Multiply each value's distance from its colour's mean: v becomes factor v + (1 - factor) mean. */
static void stretch(uint8_t *restrict values, long count, float factor, float mean) {
    float offset = mean - mean * factor;
    for (long i = 0; i < count; i++) {
        float value = (float)values[i] * factor + offset;
        value = value < 0.0f ? 0.0f : value;
        value = value > 255.0f ? 255.0f : value;
        values[i] = rounded(value);
    }
}

static void stretch_contrast(uint8_t *image, Row row, long rows, long columns, float factor, const uint64_t sums[3]) {
    float means[3];
    for (int c = 0; c < 3; c++) means[c] = (float)((double)sums[c] / (double)(rows * columns));
    for (long y = 0; y < rows; y++) {
        split(image + y * columns * 3, row, columns, 0);
        stretch(row.red, columns, factor, means[0]);
        stretch(row.green, columns, factor, means[1]);
        stretch(row.blue, columns, factor, means[2]);
        join(row, image + y * columns * 3, columns);
    }
}

/* Change `photos` photos of rows x columns pixels into `to`, one after the other there.
 *
 * A photo at from[i] has `steps[i]` bytes from one row to the next; it may be its own target, but no other part of it.
 * mirrored, saturation, brightness (a fraction of 255) and contrast hold one number a photo.
 */
EXPORT int recolour(const uint8_t *const *from, const long *steps, const uint8_t *mirrored, const float *saturation,
                    const float *brightness, const float *contrast, uint8_t *to, long photos, long rows,
                    long columns) {
    uint8_t *room = malloc((size_t)columns * 3);
    if (!room) return 1;
    Row row = {room, room + columns, room + 2 * columns};
    for (long i = 0; i < photos; i++) {
        uint8_t *target = to + i * rows * columns * 3;
        float moved = 255.0f * brightness[i];
        int shift = (int)(moved + (moved < 0 ? -0.5f : 0.5f));
        uint64_t sums[3] = {0};
        for (long y = 0; y < rows; y++) {
            split(from[i] + y * steps[i], row, columns, mirrored[i]);
            if (saturation[i] < 1.0f) fade(row, columns, saturation[i]);
            if (saturation[i] > 1.0f) saturate(row, columns, saturation[i]);
            if (shift) brighten(room, 3 * columns, shift);
            if (contrast[i] != 1.0f) add_colours(row, columns, sums);
            join(row, target + y * columns * 3, columns);
        }
        if (contrast[i] != 1.0f) stretch_contrast(target, row, rows, columns, contrast[i], sums);
    }
    free(room);
    return 0;
}
