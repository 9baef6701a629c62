/* Convolutions that are matrix products of the pixels as they lie, or nearly so: 1x1, and 3x3 of few channels. */
#include "products.h"

/* ---- 3x3 convolutions of few channels, such as photos ---- */

INLINE long spread_size(const Convolution *c) { return (9 * c->from + LANES - 1) / LANES * LANES; }

/* Lay the 3 x 3 x from values that each output of a row needs side by side; zeros outside the picture and at the end.
 */
static void spread_row(const Convolution *c, long line, float *out) {
    long size = spread_size(c), three = 3 * c->from, row = line % c->height;
    memset(out, 0, c->width * size * sizeof(float));
    for (long i = 0; i < 3; i++) {
        if (row + i < 1 || row + i > c->height) continue;
        const float *x = c->x + (line + i - 1) * c->width * c->from;
        for (long q = 0; q < c->width; q++) {
            long skip = q == 0 ? c->from : 0, count = three - skip - (q == c->width - 1 ? c->from : 0);
            float *to = out + q * size + i * three + skip;
            const float *from = x + (q - 1) * c->from + skip;
            for (long k = 0; k < count; k++) to[k] = from[k];
        }
    }
}

/* Copy the rows above, at and below a line, with a pixel of zeros at both ends; rows outside the picture are zero. */
static void copy_rows(const Convolution *c, long line, float *out) {
    long size = c->width * c->from, row = line % c->height;
    for (long i = 0; i < 3; i++, out += size + 2 * c->from) {
        if (row + i < 1 || row + i > c->height)
            memset(out + c->from, 0, size * sizeof(float));
        else
            memcpy(out + c->from, c->x + (line + i - 1) * size, size * sizeof(float));
    }
}

/* R pixels' outputs, V vectors each: the 3 x from values of a pixel and its neighbours lie in a row as they are. */
#define FEW_TIMES(R, V)                                                                                                \
    INLINE void few_times_##R##_##V(const float *rows, long row, long from, const float *b, long sb, pack acc[R][V]) { \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++) acc[r][v] = all(0.0f);                                                         \
        for (long i = 0; i < 3; i++)                                                                                   \
            for (long k = 0; k < 3 * from; k++, b += sb) {                                                             \
                pack weights[V];                                                                                       \
                for (int v = 0; v < V; v++) weights[v] = load(b + v * LANES);                                          \
                for (int r = 0; r < R; r++) {                                                                          \
                    pack value = all(rows[i * row + r * from + k]);                                                    \
                    for (int v = 0; v < V; v++) acc[r][v] += value * weights[v];                                       \
                }                                                                                                      \
            }                                                                                                          \
    }
#define FEW(R, V)                                                                                                      \
    for (; q + R <= c->width; q += R) {                                                                                \
        pack acc[R][V];                                                                                                \
        few_times_##R##_##V(rows + q * c->from, row, c->from, c->weights + n, c->to, acc);                             \
        for (int r = 0; r < R; r++)                                                                                    \
            for (long v = 0, m = n; v < V; v++, m += LANES) finish(y + (q + r) * c->y_stride + m, acc[r][v], m, &f);   \
    }
#if REGISTERS == 32
FEW_TIMES(12, 2) FEW_TIMES(12, 1) FEW_TIMES(1, 2) FEW_TIMES(1, 1)
#define FEW2 FEW(12, 2)
#define FEW1 FEW(12, 1)
#else
FEW_TIMES(6, 2) FEW_TIMES(8, 1) FEW_TIMES(1, 2) FEW_TIMES(1, 1)
#define FEW2 FEW(6, 2)
#define FEW1 FEW(8, 1)
#endif

static void few_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long row = (c->width + 2) * c->from;
    Finish f = {c->bias, c->relu, 0, c->scale, c->shift};
    float *rows = scratch(3 * row);
    (void)number;
    if (!rows)
        c->failed = 1;
    else
        memset(rows, 0, 3 * row * sizeof(float));
    for (long line = first; line < last && !c->failed; line++) {
        float *y = c->y + line * c->width * c->y_stride;
        copy_rows(c, line, rows);
        for (long n = 0; n < c->to;) {
            long q = 0;
            if (c->to - n >= 2 * LANES) {
                FEW2
                FEW(1, 2)
                n += 2 * LANES;
            } else {
                FEW1
                FEW(1, 1)
                n += LANES;
            }
        }
    }
    free(rows);
}

static void few_gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long size = spread_size(c);
    float *spread = scratch(c->width * size), *sums = c->sums + number * size * c->to;
    if (!spread) c->failed = 1;
    for (long line = first; line < last && !c->failed; line++) {
        spread_row(c, line, spread);
        outer_product(spread, size, c->d + line * c->width * c->d_stride, c->d_stride, sums, c->to, c->width, size,
                      c->to);
    }
    free(spread);
}

/* 3x3 "same" convolution of x (without stride: its pixels side by side) with the plain kernel (3, 3, from, to). */
EXPORT int convolve_few(const float *x, const float *kernel, const float *bias, long relu, const float *scale,
                        const float *shift, float *y, long y_stride, long images, long height, long width, long from,
                        long to, long threads) {
    Convolution c = {.x = x,
                     .weights = kernel,
                     .bias = bias,
                     .relu = relu,
                     .scale = scale,
                     .shift = shift,
                     .y = y,
                     .y_stride = y_stride,
                     .height = height,
                     .width = width,
                     .from = from,
                     .to = to};
    in_parallel(few_part, &c, images * height, threads);
    return c.failed;
}

/* Gradient of its kernel. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_few(const float *x, const float *d, long d_stride, float *gradient, long images, long height,
                               long width, long from, long to, long threads) {
    Convolution c = {.x = x, .d = d, .d_stride = d_stride, .height = height, .width = width, .from = from, .to = to};
    float *sums = scratch(spread_size(&c) * to);
    if (!sums || sum_up(few_gradient_part, &c, images * height, sums, spread_size(&c) * to, threads)) c.failed = 1;
    if (!c.failed) memcpy(gradient, sums, 9 * from * to * sizeof(float));
    free(sums);
    return c.failed;
}

/* ---- 1x1 convolutions: matrix products over all pixels ---- */

#define PIXELS 96 /* at a time, so that they stay in the first-level cache */

static void pointwise_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    Finish f = {c->bias, c->relu, c->add, c->scale, c->shift};
    (void)number;
    for (long p = first * PIXELS; p < last * PIXELS && p < c->height; p += PIXELS)
        product(c->x + p * c->x_stride, c->x_stride, c->weights, c->to, c->y + p * c->y_stride, c->y_stride,
                c->height - p < PIXELS ? c->height - p : PIXELS, c->from, c->to, &f);
}

static void pointwise_gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    float *sums = c->sums + number * c->from * c->to;
    for (long p = first * PIXELS; p < last * PIXELS && p < c->height; p += PIXELS)
        outer_product(c->x + p * c->x_stride, c->x_stride, c->d + p * c->d_stride, c->d_stride, sums, c->to,
                      c->height - p < PIXELS ? c->height - p : PIXELS, c->from, c->to);
}

/* y = x kernel for all pixels, then bias, relu, scale and shift (NULL: none), and added to what y holds, as asked;
 * kernel: (from, to). */
EXPORT int convolve_1x1(const float *x, long x_stride, const float *kernel, const float *bias, long relu,
                        const float *scale, const float *shift, long add, float *y, long y_stride, long pixels,
                        long from, long to, long threads) {
    Convolution c = {.x = x,
                     .x_stride = x_stride,
                     .weights = kernel,
                     .bias = bias,
                     .relu = relu,
                     .scale = scale,
                     .shift = shift,
                     .add = add,
                     .y = y,
                     .y_stride = y_stride,
                     .height = pixels,
                     .from = from,
                     .to = to};
    in_parallel(pointwise_part, &c, (pixels + PIXELS - 1) / PIXELS, threads);
    return 0;
}

/* Gradient of the kernel (from, to) of a 1x1 convolution. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_1x1(const float *x, long x_stride, const float *d, long d_stride, float *gradient,
                               long pixels, long from, long to, long threads) {
    Convolution c = {
        .x = x, .x_stride = x_stride, .d = d, .d_stride = d_stride, .height = pixels, .from = from, .to = to};
    return sum_up(pointwise_gradient_part, &c, (pixels + PIXELS - 1) / PIXELS, gradient, from * to, threads);
}
