// A failed MPI call as an Error.
#pragma once

namespace tributary {

// Throws: Error{launch} with rank, operation and the library's words unless `code` is MPI_SUCCESS.
void throw_on(int code, const char* operation, int rank);

}  // namespace tributary
