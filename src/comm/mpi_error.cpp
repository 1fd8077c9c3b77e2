#include "comm/mpi_error.h"

#include <mpi.h>

#include <array>
#include <string_view>

#include "base/error.h"

namespace tributary {

void throw_on(int code, const char* operation, int rank) {
  if (code == MPI_SUCCESS) [[likely]]
    return;
  std::array<char, MPI_MAX_ERROR_STRING> text{};
  int length = 0;
  MPI_Error_string(code, text.data(), &length);
  fail(ErrorKind::launch, "rank {}: {} failed: {}", rank, operation, std::string_view(text.data(), static_cast<std::size_t>(length)));
}

}  // namespace tributary
