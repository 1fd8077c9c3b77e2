// Writes the marked sequence of every candidate pair of a data set's first task, for scripts that compare them: a line for each pair with document, head
// concept, tail concept and token ids, tabs between.
#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "train/data_set.h"

namespace {

using namespace tributary;

std::string concept_id(const RecordBlock& block, std::size_t number) {
  const auto begin = static_cast<std::size_t>(block.entities.concept_id_offsets[number]),
             end = static_cast<std::size_t>(block.entities.concept_id_offsets[number + 1]);
  return block.entities.concept_ids.substr(begin, end - begin);
}

void write_record(const Collator& collator, const RowRef& row) {
  const Batch batch = collator.collate({row});
  const auto first = static_cast<std::size_t>(row.block->entities.concept_offsets[static_cast<std::size_t>(row.row)]);
  for (std::int64_t p = 0; p < batch.notes.windows(); ++p) {
    const auto id = [&](const at::Tensor& numbers) { return concept_id(*row.block, first + static_cast<std::size_t>(numbers[p].item<std::int64_t>())); };
    std::printf("%s\t%s\t%s\t", row.block->ids[static_cast<std::size_t>(row.row)].c_str(), id(batch.pairs[0].head).c_str(), id(batch.pairs[0].tail).c_str());
    const at::Tensor ids = batch.notes.window_ids[p].narrow(0, 0, batch.notes.window_lengths[p].item<std::int64_t>()).contiguous();
    for (std::int64_t i = 0; i < ids.size(0); ++i) std::printf("%lld ", static_cast<long long>(ids.const_data_ptr<std::int64_t>()[i]));
    std::printf("\n");
  }
}

}  // namespace

int main(int argc, char** argv) {
  const MpiRuntime runtime(argc, argv);
  if (argc != 3) {
    std::fputs("usage: write_pairs SHARDS WINDOW_TOKENS\n", stderr);
    return static_cast<int>(ErrorKind::configuration);
  }
  try {
    const DataSet data = open_data_set(Communicator::self(), argv[1], Verify::never);
    DataConfig config;
    config.window_tokens = std::atoi(argv[2]);
    config.window_stride = config.window_tokens / 2;
    FieldSelection fields;
    fields.text = true;
    const Collator collator = make_collator(data, data.catalogue.schema, config, fields, 0);
    const auto source = make_source(data, fields);
    for (std::size_t part = 0; part < data.catalogue.parts.size(); ++part) {
      const auto block = std::make_shared<const RecordBlock>(source->read(static_cast<int>(part), 0, data.catalogue.parts[part].total_rows()));
      for (std::int64_t row = 0; row < block->rows; ++row) write_record(collator, {{static_cast<std::int32_t>(part), row}, block, row});
    }
  } catch (const Error& error) {
    std::fprintf(stderr, "%s\n", error.what());
    return error.exit_code();
  }
  return 0;
}
