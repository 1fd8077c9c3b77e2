#include "train/data_set.h"

#include <algorithm>

#include "base/error.h"
#include "comm/agree.h"
#include "shards/verification.h"
#include "train/plan_digest.h"

namespace tributary {

Verify verify_named(const std::string& name) {
  if (name == "always") return Verify::always;
  if (name == "stamp") return Verify::stamp;
  check(name == "never", "data.verify = \"{}\" passed the configuration", name);
  return Verify::never;
}

DataSet open_data_set(const Communicator& comm, const std::filesystem::path& directory, Verify verify, const std::function<void()>& alive) {
  Catalogue catalogue = agreed(comm, [&] { return load_catalogue(directory); });
  require_equal_plans(comm, {digest_of_data(catalogue)});  // the folder may be another one on another node
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

void require_training_records(const DataSet& data) {
  if (data.index.rows(Split::train) == 0)
    fail(ErrorKind::data, "{}: the training split has no records; build the shards with another split.salt or more records", data.directory.string());
}

std::unique_ptr<RowSource> make_source(const DataSet& data, const FieldSelection& fields) {
  return std::make_unique<ShardRowSource>(ShardReader(data.directory, data.catalogue, data.verify), fields);
}

FieldSelection fields_of(const Schema& schema, const DataConfig& config, const std::vector<BatchField>& read, bool marked_pairs) {
  FieldSelection fields = fields_to_read(schema, config);
  const auto wanted = [&](BatchField field) { return std::find(read.begin(), read.end(), field) != read.end(); };
  fields.statics = fields.statics && wanted(BatchField::statics);
  fields.series = fields.series && wanted(BatchField::series);
  fields.tokens = fields.tokens && wanted(BatchField::notes);
  fields.images = fields.images && wanted(BatchField::image);
  fields.text = fields.tokens && marked_pairs;
  // Which pairs are marked follows from the concepts and from what is known of them.
  fields.entities = fields.entities && (fields.text || wanted(BatchField::entities));
  fields.labels = fields.text || wanted(BatchField::labels);
  return fields;
}

Collator make_collator(const DataSet& data, const Schema& schema, const DataConfig& config, const FieldSelection& fields,
                       const std::optional<std::size_t>& marked_pairs) {
  const Catalogue& catalogue = data.catalogue;
  const bool masked = std::any_of(schema.tasks.begin(), schema.tasks.end(), [](const Task& task) { return task.kind == TaskKind::masked_token; });
  return {schema,
          catalogue.normalisation,
          schema.notes ? special_tokens(catalogue.vocabulary) : SpecialTokens{},
          config,
          fields,
          marked_pairs ? std::optional(pair_marking(catalogue, *marked_pairs)) : std::nullopt,
          masked ? std::optional(masking_rule(catalogue.vocabulary, catalogue.tokenizer, config.mask_fraction)) : std::nullopt};
}

}  // namespace tributary
