// What this processor is good at.
#pragma once

namespace tributary {

// Whether it multiplies matrices of bfloat16 by itself (AVX512_BF16 or AMX). Without, they cost about a hundred times as much as float32.
[[nodiscard]] bool processor_has_bfloat16();

}  // namespace tributary
