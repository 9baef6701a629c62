/* Pooling: the largest value, or the average, of each window of pixels. */
#include "vectors.h"

typedef struct {
    const float *x;
    float *y;
    long x_stride, y_stride, height, width, rows, columns, channels; /* rows, columns: of windows */
    long high, wide, down, right, top, left; /* size of a window; steps between windows; where the first begins */
    long averages;
} Pooling;

/* The larger of two; what is not a number stays so, as elsewhere. */
INLINE pack larger(pack v, pack w) {
    mask keeps = ~(mask)(w > v) & (mask)(w == w);
    return (pack)((keeps & (mask)v) | (~keeps & (mask)w));
}

/* Pool one window, whose pixels begin at x, for all channels. */
INLINE void pool_window(const Pooling *p, const float *x, long high, long wide, float *y) {
    for (long channel = 0; channel < p->channels; channel += LANES) {
        pack v = load(x + channel);
        for (long i = 0; i < high; i++)
            for (long j = i == 0; j < wide; j++) {
                pack w = load(x + (i * p->width + j) * p->x_stride + channel);
                v = p->averages ? v + w : larger(v, w);
            }
        store(y + channel, p->averages ? v * all(1.0f / (float)(high * wide)) : v);
    }
}

static void pool_part(void *job, long first, long last, int number) {
    const Pooling *p = job;
    (void)number;
    for (long line = first; line < last; line++) {
        long image = line / p->rows, row = line % p->rows * p->down - p->top;
        long top = row > 0 ? row : 0, bottom = row + p->high < p->height ? row + p->high : p->height;
        for (long q = 0; q < p->columns; q++) {
            long column = q * p->right - p->left, left = column > 0 ? column : 0;
            long right = column + p->wide < p->width ? column + p->wide : p->width;
            const float *x = p->x + ((image * p->height + top) * p->width + left) * p->x_stride;
            float *y = p->y + (line * p->columns + q) * p->y_stride;
            if (bottom - top == 2 && right - left == 2)
                pool_window(p, x, 2, 2, y); /* the usual one, unrolled */
            else
                pool_window(p, x, bottom - top, right - left, y);
        }
    }
}

/* y = the largest value, or the average, of each window of x; what lies outside the picture does not count. */
EXPORT int pool(const float *x, long x_stride, float *y, long y_stride, long images, long height, long width, long rows,
                long columns, long channels, long high, long wide, long down, long right, long top, long left,
                long averages, long threads) {
    Pooling p = {.x = x,
                 .y = y,
                 .x_stride = x_stride,
                 .y_stride = y_stride,
                 .height = height,
                 .width = width,
                 .rows = rows,
                 .columns = columns,
                 .channels = channels,
                 .high = high,
                 .wide = wide,
                 .down = down,
                 .right = right,
                 .top = top,
                 .left = left,
                 .averages = averages};
    in_parallel(pool_part, &p, images * rows, threads);
    return 0;
}
