/* What the library is, and whether this machine can run it. */
#include "vectors.h"

/* Raised with every change of a function's arguments or meaning; native.py takes no library of another version. */
EXPORT int version(void) { return 3; }

/* Whether this machine has the instructions that the library was built with. */
EXPORT int usable(void) {
#if defined(__AVX512VL__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("fma");
#elif defined(__AVX2__)
    __builtin_cpu_init();
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
#else
    return 1;
#endif
}
