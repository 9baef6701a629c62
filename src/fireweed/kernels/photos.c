/* Photos as nets take them. */
#include "vectors.h"

typedef struct {
    const unsigned char *x;
    float *y, scale, shift;
} Photos;

static void floats_part(void *job, long first, long last, int number) {
    const Photos *p = job;
    const unsigned char *x = p->x;
    float *y = p->y, scale = p->scale, shift = p->shift;
    (void)number;
    for (long i = first; i < last; i++) y[i] = (float)x[i] * scale + shift;
}

/* y = x * scale + shift for `count` bytes. */
EXPORT int floats_of(const unsigned char *x, float *y, float scale, float shift, long count, long threads) {
    Photos p = {.x = x, .y = y, .scale = scale, .shift = shift};
    in_parallel(floats_part, &p, count, threads);
    return 0;
}
