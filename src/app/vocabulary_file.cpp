#include "app/vocabulary_file.h"

#include "base/files.h"
#include "comm/agree.h"
#include "ingest/tokenizer.h"

namespace tributary {

std::vector<std::string> read_vocabulary(const Communicator& comm, const std::string& path) {
  const std::string own = agreed(comm, [&] { return comm.rank() == 0 ? read_file(path) : std::string(); });
  const std::string lines = comm.broadcast(own, 0);
  return agreed(comm, [&] {
    try {
      return make_ascii_wordpiece(vocabulary_from_lines(lines))->vocabulary();
    } catch (const Error& error) {
      throw Error(error.kind(), error.what(), path);
    }
  });
}

}  // namespace tributary
