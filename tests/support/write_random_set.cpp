// Writes a random data set into the directory given, for scripts that read it: 2 parts, more than one row block and round in the first. Further arguments are
// tokens that its vocabulary holds beside the words of the notes.
#include <cstdio>

#include "base/error.h"
#include "support/random_source.h"

int main(int argc, char** argv) {
  using namespace tributary;
  const MpiRuntime runtime(argc, argv);
  if (argc < 2) {
    std::fputs("usage: write_random_set DIRECTORY [TOKEN...]\n", stderr);
    return static_cast<int>(ErrorKind::configuration);
  }
  const auto world = Communicator::world();
  test::RandomSourceOptions options;
  options.part_rows = {{600, 90, 111}, {33, 0, 5}};
  test::RandomSource source(options);
  WriteOptions write = random_write_options(options);
  write.vocabulary.insert(write.vocabulary.end(), argv + 2, argv + argc);
  try {
    write_shards(world, source, argv[1], write);
  } catch (const Error& error) {
    std::fprintf(stderr, "rank %d: %s\n", world.rank(), error.what());
    return error.exit_code();
  }
  return 0;
}
