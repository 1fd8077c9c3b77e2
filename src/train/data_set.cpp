#include "train/data_set.h"

#include "base/error.h"
#include "comm/agree.h"

namespace tributary {

Verify verify_named(const std::string& name) {
  if (name == "always") return Verify::always;
  if (name == "stamp") return Verify::stamp;
  if (name == "never") return Verify::never;
  fail(ErrorKind::configuration, "data.verify = \"{}\"; allowed: always, stamp, never", name);
}

DataSet open_data_set(const Communicator& comm, const std::filesystem::path& directory, Verify verify) {
  Catalogue catalogue = agreed(comm, [&] { return load_catalogue(directory); });
  RecordIndex index = load_index(comm, directory, catalogue, verify);
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
