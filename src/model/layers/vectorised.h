// Compiles a function three times and picks one when the program loads: for AVX-512, for AVX2 with FMA, and plain.
// Sanitizers run before the choice could be made, so they get the plain one.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TRIBUTARY_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRIBUTARY_VECTORISED
#endif
#define TRIBUTARY_INLINE inline __attribute__((always_inline))
