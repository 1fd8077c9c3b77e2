#include "base/processor.h"

#include <cpuid.h>

namespace tributary {

bool processor_has_bfloat16() {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  constexpr unsigned avx512_bf16 = 1U << 5, amx_bf16 = 1U << 22;  // leaf 7: subleaf 1 eax, subleaf 0 edx
  if (__get_cpuid_count(7, 1, &eax, &ebx, &ecx, &edx) != 0 && (eax & avx512_bf16) != 0) return true;
  return __get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) != 0 && (edx & amx_bf16) != 0;
}

}  // namespace tributary
