#include "train/data_set.h"

#include "base/error.h"
#include "comm/agree.h"
#include "shards/verification.h"

namespace tributary {

Verify verify_named(const std::string& name) {
  if (name == "always") return Verify::always;
  if (name == "stamp") return Verify::stamp;
  if (name == "never") return Verify::never;
  fail(ErrorKind::configuration, "data.verify = \"{}\"; allowed: always, stamp, never", name);
}

DataSet open_data_set(const Communicator& comm, const std::filesystem::path& directory, Verify verify, const std::function<void()>& alive) {
  Catalogue catalogue = agreed(comm, [&] { return load_catalogue(directory); });
  // Part by part here and not in load_index, so that somebody who watches over the ranks hears of each.
  agreed(comm, [&] {
    for (auto p = static_cast<std::size_t>(comm.rank()); p < catalogue.parts.size(); p += static_cast<std::size_t>(comm.size())) {
      verify_part(directory, catalogue.parts[p], verify);
      if (alive) alive();
    }
  });
  RecordIndex index = load_index(comm, directory, catalogue, Verify::never);
  return {directory, std::move(catalogue), std::move(index), verify};
}

std::unique_ptr<RowSource> make_source(const DataSet& data, const FieldSelection& fields) {
  return std::make_unique<ShardRowSource>(ShardReader(data.directory, data.catalogue, data.verify), fields);
}

Collator make_collator(const DataSet& data, const DataConfig& config) {
  const bool text = data.catalogue.schema.notes;
  return {data.catalogue.schema, data.catalogue.normalisation, text ? special_tokens(data.catalogue.vocabulary) : SpecialTokens{}, config};
}

}  // namespace tributary
