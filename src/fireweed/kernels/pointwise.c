/* Convolutions that are matrix products of the pixels as they lie, or nearly so: 1x1, and 3x3 of few channels. */
#include "products.h"

/* ---- 3x3 convolutions of few channels, such as photos: a product of each row of pixels, spread out, with the kernel
 * ---- */

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

static void few_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long size = spread_size(c);
    Finish f = {c->bias, c->relu, 0};
    float *spread = scratch(c->width * size);
    (void)number;
    if (!spread) c->failed = 1;
    for (long line = first; line < last && !c->failed; line++) {
        spread_row(c, line, spread);
        product(spread, size, c->weights, c->to, c->y + line * c->width * c->y_stride, c->y_stride, c->width,
                9 * c->from, c->to, &f);
    }
    free(spread);
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
EXPORT int convolve_few(const float *x, const float *kernel, const float *bias, long relu, float *y, long y_stride,
                        long images, long height, long width, long from, long to, long threads) {
    Convolution c = {.x = x,
                     .weights = kernel,
                     .bias = bias,
                     .relu = relu,
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
    if (!sums || add_up(few_gradient_part, &c, images * height, sums, spread_size(&c) * to, threads)) c.failed = 1;
    if (!c.failed) memcpy(gradient, sums, 9 * from * to * sizeof(float));
    free(sums);
    return c.failed;
}

/* ---- 1x1 convolutions: matrix products over all pixels ---- */

#define PIXELS 96 /* at a time, so that they stay in the first-level cache */

static void pointwise_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    Finish f = {c->bias, c->relu, c->add};
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

/* y = x kernel for all pixels, then bias, relu, and added to what y holds, as asked; kernel: (from, to). */
EXPORT int convolve_1x1(const float *x, long x_stride, const float *kernel, const float *bias, long relu, long add,
                        float *y, long y_stride, long pixels, long from, long to, long threads) {
    Convolution c = {.x = x,
                     .x_stride = x_stride,
                     .weights = kernel,
                     .bias = bias,
                     .relu = relu,
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
    return add_up(pointwise_gradient_part, &c, (pixels + PIXELS - 1) / PIXELS, gradient, from * to, threads);
}
