// Compiles a function for several processors and picks one: for AVX-512, for AVX2 with FMA, and plain.
// Sanitizers run before the choice could be made when the program loads, so they get the plain one.
#pragma once

#if defined(__x86_64__) && !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
#define TRIBUTARY_PROCESSORS 1
#define TRIBUTARY_VECTORISED __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default")))
#else
#define TRIBUTARY_PROCESSORS 0
#define TRIBUTARY_VECTORISED
#endif
#define TRIBUTARY_INLINE inline __attribute__((always_inline))

namespace tributary {

// Floats a vector register holds. Code written with wider vectors is cut up by the compiler, which then keeps the parts in memory (GCC 12; it made the matrix
// product six times slower).
inline int register_floats() {
#if TRIBUTARY_PROCESSORS
  static const int floats = __builtin_cpu_supports("x86-64-v4") ? 16 : __builtin_cpu_supports("x86-64-v3") ? 8 : 4;
  return floats;
#else
  return 4;
#endif
}

#if TRIBUTARY_PROCESSORS
template <class Work, class... A>
__attribute__((target("arch=x86-64-v4"))) auto run_with_16_floats(A... arguments) {
  return Work::template run<16>(arguments...);
}
template <class Work, class... A>
__attribute__((target("arch=x86-64-v3"))) auto run_with_8_floats(A... arguments) {
  return Work::template run<8>(arguments...);
}
#endif

// Work::run<floats a register holds>(arguments), compiled for the processor at hand; `run` is a static TRIBUTARY_INLINE member.
template <class Work, class... A>
auto run_vectorised(A... arguments) {
#if TRIBUTARY_PROCESSORS
  if (register_floats() == 16) return run_with_16_floats<Work>(arguments...);
  if (register_floats() == 8) return run_with_8_floats<Work>(arguments...);
#endif
  return Work::template run<4>(arguments...);
}

}  // namespace tributary
