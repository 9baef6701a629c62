/* 3x3 convolutions and their gradients by Winograd's algorithm, F(4x4, 3x3) (Lavin and Gray, arXiv 1509.09308).
 *
 * A 4x4 tile of the output is computed from a 6x6 tile of the input with 36 products a channel pair, where the plain
 * way needs 144. Both are seen as values of polynomials at the points 0, +-P, +-Q and infinity. P = 5/8 and Q = 3/2
 * halve the rounding error of the usual 1 and 2, so that it is about twice that of the plain sum in float32.
 */
#include "products.h"

#define TILES 24     /* tiles worked on at a time, so that all of a block stays in the second-level cache */
#define POINTS 36    /* 6 x 6 */
#define PP 0.390625f /* P squared */
#define QQ 2.25f     /* Q squared */
#define P 0.625f
#define Q 1.5f

/* ---- Winograd's transforms, each of one line of a tile ---- */

INLINE void input_line(const pack d[6], pack u[6]) {
    pack even = d[4] - all(QQ) * d[2], odd = all(P) * (d[3] - all(QQ) * d[1]);
    pack even2 = d[4] - all(PP) * d[2], odd2 = all(Q) * (d[3] - all(PP) * d[1]);
    u[0] = d[4] - all(PP + QQ) * d[2] + all(PP * QQ) * d[0];
    u[1] = even + odd;
    u[2] = even - odd;
    u[3] = even2 + odd2;
    u[4] = even2 - odd2;
    u[5] = d[5] - all(PP + QQ) * d[3] + all(PP * QQ) * d[1];
}

INLINE void output_line(const pack m[6], pack y[4]) {
    pack sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4], difference2 = m[3] - m[4];
    y[0] = m[0] + sum + sum2;
    y[1] = all(P) * difference + all(Q) * difference2;
    y[2] = all(PP) * sum + all(QQ) * sum2;
    y[3] = all(P * PP) * difference + all(Q * QQ) * difference2 + m[5];
}

#define F0 (1.0f / (PP * QQ))
#define FP (1.0f / (2.0f * PP * (PP - QQ)))
#define FQ (1.0f / (2.0f * QQ * (QQ - PP)))

/* A line of 4 gradients as a filter. */
INLINE void gradient_line(const pack d[4], pack v[6]) {
    pack even = all(FP) * (d[0] + all(PP) * d[2]), odd = all(FP * P) * (d[1] + all(PP) * d[3]);
    pack even2 = all(FQ) * (d[0] + all(QQ) * d[2]), odd2 = all(FQ * Q) * (d[1] + all(QQ) * d[3]);
    v[0] = all(F0) * d[0];
    v[1] = even + odd;
    v[2] = even - odd;
    v[3] = even2 + odd2;
    v[4] = even2 - odd2;
    v[5] = d[3];
}

static void kernel_line(const float g[3], float u[6]) {
    u[0] = F0 * g[0];
    u[1] = FP * (g[0] + P * g[1] + PP * g[2]);
    u[2] = FP * (g[0] - P * g[1] + PP * g[2]);
    u[3] = FQ * (g[0] + Q * g[1] + QQ * g[2]);
    u[4] = FQ * (g[0] - Q * g[1] + QQ * g[2]);
    u[5] = g[2];
}

typedef struct {
    long image, top, left;
} Place;

INLINE Place place_of(const Convolution *c, long tile) {
    long row = tile / c->columns;
    return (Place){row / c->rows, (row % c->rows) * 4, (tile % c->columns) * 4};
}

/* Read `size` x `size` pixels from (top, left); those outside the picture are zero. */
INLINE void read_tile(const float *x, long stride, const Convolution *c, Place at, long top, long left, int size,
                      pack *out) {
    const float *base = x + ((at.image * c->height + top) * c->width + left) * stride;
    if (top >= 0 && left >= 0 && top + size <= c->height && left + size <= c->width) {
        for (int i = 0; i < size; i++)
            for (int j = 0; j < size; j++) out[i * size + j] = load(base + (i * c->width + j) * stride);
        return;
    }
    for (int i = 0; i < size; i++)
        for (int j = 0; j < size; j++) {
            int inside = top + i >= 0 && top + i < c->height && left + j >= 0 && left + j < c->width;
            out[i * size + j] = inside ? load(base + (i * c->width + j) * stride) : all(0.0f);
        }
}

static void transform_input(const Convolution *c, long first, long tiles, float *u, long point) {
    for (long t = 0; t < tiles; t++) {
        Place at = place_of(c, first + t);
        for (long channel = 0; channel < c->from; channel += LANES) {
            pack d[36], lines[36];
            read_tile(c->x + channel, c->x_stride, c, at, at.top - 1, at.left - 1, 6, d);
            for (int j = 0; j < 6; j++) {
                pack column[6] = {d[j], d[6 + j], d[12 + j], d[18 + j], d[24 + j], d[30 + j]}, out[6];
                input_line(column, out);
                for (int i = 0; i < 6; i++) lines[i * 6 + j] = out[i];
            }
            for (int i = 0; i < 6; i++) {
                pack out[6];
                input_line(lines + i * 6, out);
                for (int j = 0; j < 6; j++) store(u + (i * 6 + j) * point + t * c->from + channel, out[j]);
            }
        }
    }
}

static void transform_output(const Convolution *c, long first, long tiles, const float *m, long point) {
    for (long t = 0; t < tiles; t++) {
        Place at = place_of(c, first + t);
        long high = c->height - at.top < 4 ? c->height - at.top : 4,
             wide = c->width - at.left < 4 ? c->width - at.left : 4;
        float *y = c->y + ((at.image * c->height + at.top) * c->width + at.left) * c->y_stride;
        for (long channel = 0; channel < c->to; channel += LANES) {
            pack lines[24];
            Finish f = {c->bias, c->relu, c->add, c->scale, c->shift};
            for (int j = 0; j < 6; j++) {
                pack column[6], out[4];
                for (int i = 0; i < 6; i++) column[i] = load(m + (i * 6 + j) * point + t * c->to + channel);
                output_line(column, out);
                for (int i = 0; i < 4; i++) lines[i * 6 + j] = out[i];
            }
            for (int i = 0; i < high; i++) {
                pack out[4];
                output_line(lines + i * 6, out);
                for (int j = 0; j < wide; j++)
                    finish(y + (i * c->width + j) * c->y_stride + channel, out[j], channel, &f);
            }
        }
    }
}

static void forward_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long from_point = TILES * c->from + 16,
         to_point = TILES * c->to + 16; /* 16: keeps the 36 planes out of one set of the cache */
    float *u = scratch(POINTS * from_point), *m = scratch(POINTS * to_point);
    static const Finish plain = {0};
    (void)number;
    if (!u || !m) c->failed = 1;
    for (long tile = first; tile < last && !c->failed; tile += TILES) {
        long tiles = last - tile < TILES ? last - tile : TILES;
        transform_input(c, tile, tiles, u, from_point);
        for (int e = 0; e < POINTS; e++)
            product(u + e * from_point, c->from, c->weights + e * c->from * c->to, c->to, m + e * to_point, c->to,
                    tiles, c->from, c->to, &plain);
        transform_output(c, tile, tiles, m, to_point);
    }
    free(u);
    free(m);
}

static void gradient_part(void *job, long first, long last, int number) {
    Convolution *c = job;
    long x_point = TILES * c->from + 16, d_point = TILES * c->to + 16, size = c->from * c->to;
    float *u = scratch(POINTS * x_point), *v = scratch(POINTS * d_point), *sums = c->sums + number * POINTS * size;
    if (!u || !v) c->failed = 1;
    for (long tile = first; tile < last && !c->failed; tile += TILES) {
        long tiles = last - tile < TILES ? last - tile : TILES;
        transform_input(c, tile, tiles, u, x_point);
        for (long t = 0; t < tiles; t++) {
            Place at = place_of(c, tile + t);
            for (long channel = 0; channel < c->to; channel += LANES) {
                pack d[16], lines[24];
                read_tile(c->d + channel, c->d_stride, c, at, at.top, at.left, 4, d);
                for (int j = 0; j < 4; j++) {
                    pack column[4] = {d[j], d[4 + j], d[8 + j], d[12 + j]}, out[6];
                    gradient_line(column, out);
                    for (int i = 0; i < 6; i++) lines[i * 4 + j] = out[i];
                }
                for (int i = 0; i < 6; i++) {
                    pack out[6];
                    gradient_line(lines + i * 4, out);
                    for (int j = 0; j < 6; j++) store(v + (i * 6 + j) * d_point + t * c->to + channel, out[j]);
                }
            }
        }
        for (int e = 0; e < POINTS; e++)
            outer_product(u + e * x_point, c->from, v + e * d_point, c->to, sums + e * size, c->to, tiles, c->from,
                          c->to);
    }
    free(u);
    free(v);
}

/* 3x3 "same" convolution: y = x * kernel, then bias, relu, scale and shift (NULL: none), and added to what y holds.
 * `weights` comes from transform_kernel. Returns 0, or 1 without memory. */
EXPORT int convolve_3x3(const float *x, long x_stride, const float *weights, const float *bias, long relu,
                        const float *scale, const float *shift, long add, float *y, long y_stride, long images,
                        long height, long width, long from, long to, long threads) {
    Convolution c = {.x = x,
                     .x_stride = x_stride,
                     .weights = weights,
                     .bias = bias,
                     .relu = relu,
                     .scale = scale,
                     .shift = shift,
                     .add = add,
                     .y = y,
                     .y_stride = y_stride,
                     .height = height,
                     .width = width,
                     .rows = (height + 3) / 4,
                     .columns = (width + 3) / 4,
                     .from = from,
                     .to = to};
    in_parallel(forward_part, &c, images * c.rows * c.columns, threads);
    return c.failed;
}

/* kernel (3, 3, from, to) to weights (36, from, to); `backward`, for gradients: turned by 180 degrees, (36, to, from).
 */
EXPORT void transform_kernel(const float *kernel, float *weights, long from, long to, long backward) {
    long size = from * to;
    for (long a = 0; a < from; a++)
        for (long b = 0; b < to; b++) {
            float lines[3][6], g[3];
            float *w = weights + (backward ? b * from + a : a * to + b);
            for (int i = 0; i < 3; i++) {
                for (int j = 0; j < 3; j++) g[j] = kernel[((backward ? 8 - i * 3 - j : i * 3 + j) * from + a) * to + b];
                kernel_line(g, lines[i]);
            }
            for (int j = 0; j < 6; j++) {
                float column[3] = {lines[0][j], lines[1][j], lines[2][j]}, out[6];
                kernel_line(column, out);
                for (int i = 0; i < 6; i++) w[(i * 6 + j) * size] = out[i];
            }
        }
}

/* Gradient of the kernel (3, 3, from, to) of a 3x3 "same" convolution. Returns 0, or 1 without memory. */
EXPORT int kernel_gradient_3x3(const float *x, long x_stride, const float *d, long d_stride, float *gradient,
                               long images, long height, long width, long from, long to, long threads) {
    long size = from * to;
    Convolution c = {.x = x,
                     .x_stride = x_stride,
                     .d = d,
                     .d_stride = d_stride,
                     .height = height,
                     .width = width,
                     .rows = (height + 3) / 4,
                     .columns = (width + 3) / 4,
                     .from = from,
                     .to = to};
    float *sums = scratch(POINTS * size);
    if (!sums || sum_up(gradient_part, &c, images * c.rows * c.columns, sums, POINTS * size, threads)) c.failed = 1;
    for (long k = 0; k < size && !c.failed; k++) {
        float s[36], lines[18];
        for (int e = 0; e < POINTS; e++) s[e] = sums[e * size + k];
        for (int j = 0; j < 6; j++) {
            float sum = s[6 + j] + s[12 + j], difference = s[6 + j] - s[12 + j], sum2 = s[18 + j] + s[24 + j],
                  difference2 = s[18 + j] - s[24 + j];
            lines[j] = s[j] + sum + sum2;
            lines[6 + j] = P * difference + Q * difference2;
            lines[12 + j] = PP * sum + QQ * sum2 + s[30 + j];
        }
        for (int i = 0; i < 3; i++) {
            float *m = lines + i * 6, sum = m[1] + m[2], difference = m[1] - m[2], sum2 = m[3] + m[4],
                  difference2 = m[3] - m[4];
            gradient[(i * 3 + 0) * size + k] = m[0] + sum + sum2;
            gradient[(i * 3 + 1) * size + k] = P * difference + Q * difference2;
            gradient[(i * 3 + 2) * size + k] = PP * sum + QQ * sum2 + m[5];
        }
    }
    free(sums);
    return c.failed;
}
