/* Small matrix products, whose sums stay in registers, and what the convolutions made of them share. */
#ifndef FIREWEED_PRODUCTS_H
#define FIREWEED_PRODUCTS_H

#include "vectors.h"

/* c[r][n] = sum over k of a[r][k] b[k][n], for R rows and V vectors of columns; the sums stay in registers. */
#define ROWS_TIMES(R, V)                                                                                               \
    INLINE void rows_times_##R##_##V(const float *a, long sa, const float *b, long sb, long depth, pack acc[R][V]) {   \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++) acc[r][v] = all(0.0f);                                                         \
        for (long k = 0; k < depth; k++) {                                                                             \
            pack row[V];                                                                                               \
            for (int v = 0; v < V; v++) row[v] = load(b + k * sb + v * LANES);                                         \
            for (int r = 0; r < R; r++) {                                                                              \
                pack value = all(a[r * sa + k]);                                                                       \
                for (int v = 0; v < V; v++) acc[r][v] += value * row[v];                                               \
            }                                                                                                          \
        }                                                                                                              \
    }
/* c[m][n] += sum over t of a[t][m] b[t][n], for R columns of a and V vectors of columns of b. */
#define OUTER(R, V)                                                                                                    \
    INLINE void outer_##R##_##V(const float *a, long sa, const float *b, long sb, long depth, float *c, long sc) {     \
        pack acc[R][V];                                                                                                \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++) acc[r][v] = load(c + r * sc + v * LANES);                                      \
        for (long t = 0; t < depth; t++) {                                                                             \
            pack row[V];                                                                                               \
            for (int v = 0; v < V; v++) row[v] = load(b + t * sb + v * LANES);                                         \
            for (int r = 0; r < R; r++) {                                                                              \
                pack value = all(a[t * sa + r]);                                                                       \
                for (int v = 0; v < V; v++) acc[r][v] += value * row[v];                                               \
            }                                                                                                          \
        }                                                                                                              \
        for (int r = 0; r < R; r++)                                                                                    \
            for (int v = 0; v < V; v++) store(c + r * sc + v * LANES, acc[r][v]);                                      \
    }
#if REGISTERS == 32
#define R3 8
#define R2 12
#define R1 12
ROWS_TIMES(8, 3)
ROWS_TIMES(12, 2) ROWS_TIMES(12, 1) ROWS_TIMES(1, 1) OUTER(8, 3) OUTER(8, 2) OUTER(8, 1)
#define TIMES3 rows_times_8_3
#define TIMES2 rows_times_12_2
#define TIMES1 rows_times_12_1
#define OUTER3 outer_8_3
#define OUTER2 outer_8_2
#define OUTER1 outer_8_1
#define OUTER_ROWS 8
#else
#define R3 4
#define R2 6
#define R1 8
ROWS_TIMES(4, 3)
ROWS_TIMES(6, 2) ROWS_TIMES(8, 1) ROWS_TIMES(1, 1) OUTER(4, 3) OUTER(4, 2) OUTER(8, 1)
#define TIMES3 rows_times_4_3
#define TIMES2 rows_times_6_2
#define TIMES1 rows_times_8_1
#define OUTER3 outer_4_3
#define OUTER2 outer_4_2
#define OUTER1 outer_8_1
#define OUTER_ROWS 4
#endif

    typedef struct {
    const float *bias;
    long relu, add;
    const float *scale, *shift; /* of each channel, behind the relu; none where scale is NULL */
} Finish;

INLINE void finish(float *c, pack v, long channel, const Finish *f) {
    if (f->add) v += load(c);
    if (f->bias) v += load(f->bias + channel);
    if (f->relu) v = relu_of(v);
    if (f->scale) v = v * load(f->scale + channel) + load(f->shift + channel);
    store(c, v);
}

#define BLOCK(R, V, TIMES)                                                                                             \
    for (; r + R <= rows; r += R) {                                                                                    \
        pack acc[R][V];                                                                                                \
        TIMES(a + r * sa, sa, b + n, sb, depth, acc);                                                                  \
        for (int i = 0; i < R; i++)                                                                                    \
            for (int v = 0; v < V; v++) finish(c + (r + i) * sc + n + v * LANES, acc[i][v], n + v * LANES, f);         \
    }

/* c = a b with what `f` says done to it; a: rows x depth, b: depth x columns. */
static __attribute__((unused)) void product(const float *a, long sa, const float *b, long sb, float *c, long sc,
                                            long rows, long depth, long columns, const Finish *f) {
    long n = 0;
    while (n < columns) {
        long r = 0, left = (columns - n) / LANES;
        int wide = left % 3 == 0 || left > 4 ? 3 : left >= 2 ? 2 : 1;
        if (wide == 3) {
            BLOCK(R3, 3, TIMES3)
        } else if (wide == 2) {
            BLOCK(R2, 2, TIMES2)
        } else {
            BLOCK(R1, 1, TIMES1)
        }
        for (int v = 0; v < wide && r < rows; v++)
            for (long q = r; q < rows; q++) {
                pack acc[1][1];
                long m = n + v * LANES;
                rows_times_1_1(a + q * sa, sa, b + m, sb, depth, acc);
                finish(c + q * sc + m, acc[0][0], m, f);
            }
        n += wide * LANES;
    }
}

/* c += a' b; a: depth x rows, b: depth x columns. */
INLINE void outer_product(const float *a, long sa, const float *b, long sb, float *c, long sc, long depth, long rows,
                          long columns) {
    long n = 0;
    while (n < columns) {
        long left = (columns - n) / LANES;
        int wide = left % 3 == 0 || left > 4 ? 3 : left >= 2 ? 2 : 1;
        if (wide == 3)
            for (long m = 0; m < rows; m += OUTER_ROWS) OUTER3(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        else if (wide == 2)
            for (long m = 0; m < rows; m += OUTER_ROWS) OUTER2(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        else
            for (long m = 0; m < rows; m += 8) OUTER1(a + m, sa, b + n, sb, depth, c + m * sc + n, sc);
        n += wide * LANES;
    }
}

typedef struct {
    const float *x, *d, *weights, *bias; /* input; gradient; transformed kernel */
    float *y, *sums;                     /* output; one sum a thread */
    long x_stride, d_stride, y_stride, height, width;
    long rows, columns; /* of tiles */
    long from, to;      /* channels of x and y */
    long relu, add;
    const float *scale, *shift;
    int failed;
} Convolution;

/* Let each thread make sums of its own, of `size` floats, then add them up. Returns 0, or 1 without memory. */
static __attribute__((unused)) int sum_up(void (*work)(void *, long, long, int), Convolution *c, long count,
                                          float *total, long size, long threads) {
    if (threads > MAX_THREADS) threads = MAX_THREADS;
    if (threads > count) threads = count > 0 ? count : 1;
    c->sums = scratch(threads * size);
    if (!c->sums) return 1;
    memset(c->sums, 0, threads * size * sizeof(float));
    in_parallel(work, c, count, threads);
    memset(total, 0, size * sizeof(float));
    for (long i = 0; i < threads; i++)
        for (long k = 0; k < size; k++) total[k] += c->sums[i * size + k];
    free(c->sums);
    return 0;
}

#endif
