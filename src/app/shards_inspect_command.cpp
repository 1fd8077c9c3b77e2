#include <memory>

#include "app/commands.h"
#include "base/error.h"
#include "comm/agree.h"
#include "shards/summary.h"
#include "shards/verification.h"

namespace tributary {
namespace {

void inspect(const Session& session, const std::string& directory) {
  const Catalogue catalogue = agreed(session.world, [&] { return load_catalogue(directory); });
  const DataSetSummary summary = summarise(session.world, directory, catalogue, Verify::never);
  if (session.world.rank() == 0) fmt::print("{}: {}", directory, to_text(catalogue, summary));
}

void verify(const Session& session, const std::string& directory) {
  const Catalogue catalogue = agreed(session.world, [&] { return load_catalogue(directory); });
  const std::vector<PartFault> faults = verify_data_set(session.world, directory, catalogue);
  if (session.world.rank() == 0) {
    for (const PartFault& fault : faults) fmt::print("{}\n", fault.what);
    if (faults.empty())
      fmt::print("{}: good; {} records in {} parts, content {}\n", directory, catalogue.total_rows(), catalogue.parts.size(), catalogue.content_digest);
    std::fflush(stdout);
  }
  if (!faults.empty())
    throw Error(ErrorKind::data,
                fmt::format("{} of {} parts are not what the catalogue tells; the first: {}", faults.size(), catalogue.parts.size(), faults[0].what), directory)
        .mark_shared();
}

}  // namespace

void add_shards_inspect(CLI::App& shards, const Session& session) {
  CLI::App* command = shards.add_subcommand("inspect", "Say what a data set holds: records, fields, units, missing rates, text, label balance");
  command->footer("Examples:\n  tributary shards inspect runs/shards\n  mpirun -n 4 tributary shards inspect runs/shards");
  const auto directory = std::make_shared<std::string>();
  command->add_option("DIR", *directory, "directory of the data set")->required();
  command->callback([&session, directory] { inspect(session, *directory); });
}

void add_shards_verify(CLI::App& shards, const Session& session) {
  CLI::App* command = shards.add_subcommand("verify", "Recompute all digests of a data set; exit code 65 when one differs");
  command->footer(
      "Names the first bad block or field of each damaged part.\n"
      "Examples:\n  tributary shards verify runs/shards\n  mpirun -n 4 tributary shards verify runs/shards");
  const auto directory = std::make_shared<std::string>();
  command->add_option("DIR", *directory, "directory of the data set")->required();
  command->callback([&session, directory] { verify(session, *directory); });
}

}  // namespace tributary
