#include "train/note_cache.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "batches/pair_sequences.h"
#include "checkpoint/serving/encoder_folder.h"
#include "comm/agree.h"
#include "model/families/encoder.h"
#include "train/note_segment.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr std::int64_t pack_tokens = 4096;  // encoded together while the cache is built

// What the sequences are made of.
FieldSelection fields_of_sequences(const BlockList& model) {
  const bool pairs = model.marked_pairs.has_value();
  return {.statics = false, .series = false, .tokens = true, .text = pairs, .images = false, .labels = pairs, .entities = pairs};
}

const char* name_of(const BlockList& model) { return model.marked_pairs ? "pair cache" : "note cache"; }

struct SegmentName {
  int part = 0;
  std::int64_t segment = 0;
};

std::string file_of(const SegmentName& name) { return fmt::format("part-{:05d}-segment-{:06d}", name.part, name.segment); }

std::vector<SegmentName> all_segments(const Catalogue& catalogue) {
  std::vector<SegmentName> names;
  for (std::size_t part = 0; part < catalogue.parts.size(); ++part)
    for (std::int64_t s = 0; s * catalogue.chunk_rows < catalogue.parts[part].total_rows(); ++s) names.push_back({static_cast<int>(part), s});
  return names;
}

std::string key_of(const NoteCacheInputs& in, const at::Tensor& parameters) {
  const DataConfig& data = in.settings.data;
  const Catalogue& catalogue = in.data.catalogue;
  const std::optional<std::size_t>& pairs = in.network.model.marked_pairs;
  const std::string marked = pairs ? fmt::format("task {} marked {}\n", *pairs, fmt::join(marker_tokens(), " ")) : "";
  return sha256_hex(fmt::format("{} 1\n{}encoder {}\ndata {}\ntokenizer {}\nwindows {} {}\nnotes {} {}\n{}\n{}\n", name_of(in.network.model), marked,
                                encoder_digest(in.settings.model.text, in.network.layout.whole, parameters), catalogue.content_digest,
                                catalogue.tokenizer_digest, data.window_tokens, data.window_stride, data.notes_per_record, data.tokens_per_note,
                                in.compute.type == at::kFloat ? "float32" : at::toString(in.compute.type), in.computed_with))
      .substr(0, 32);
}

// Runs the encoder alone over rows of the data set.
class NoteEncoder {
 public:
  NoteEncoder(const NoteCacheInputs& in, const at::Tensor& parameters)
      : in_(in),
        blocks_(encoder_blocks(in)),
        layout_(lay_out(blocks_, {0})),
        parameters_(make_arena(layout_.whole, at::kFloat)),
        engine_(blocks_, layout_),
        pairs_(in.network.model.marked_pairs.has_value()),
        source_(make_source(in.data, fields_of_sequences(in.network.model))),
        collator_(make_collator(in.data, in.data.catalogue.schema, in.settings.data, fields_of_sequences(in.network.model), in.network.model.marked_pairs)) {
    copy_parameters(in.network.layout.whole, parameters, layout_.whole, parameters_);
    parameters_ = parameters_.to(in.compute.device, in.compute.type);
  }

  [[nodiscard]] NoteSegment encode(const SegmentName& name) const {
    const Catalogue& catalogue = in_.data.catalogue;
    const std::int64_t first = name.segment * catalogue.chunk_rows;
    const std::int64_t rows = std::min(catalogue.chunk_rows, catalogue.parts[static_cast<std::size_t>(name.part)].total_rows() - first);
    const auto block = std::make_shared<const RecordBlock>(source_->read(name.part, first, rows));
    NoteSegment segment{in_.settings.model.text.width, first, {0}, {}};
    std::vector<RowRef> pack;
    std::int64_t held = 0;
    for (std::int64_t row = 0; row < rows; ++row) {
      const RowRef reference{{name.part, first + row}, block, row};
      const NoteTensors own = collator_.collate({reference}).notes;
      const auto tokens = own.window_lengths.sum().item<std::int64_t>();
      segment.offsets.push_back(segment.offsets.back() + (pairs_ ? own.windows() : tokens));
      if (held > 0 && held + tokens > pack_tokens) run(pack, held, segment);
      pack.push_back(reference);
      held += tokens;
    }
    run(pack, held, segment);
    return segment;
  }

 private:
  static BlockList encoder_blocks(const NoteCacheInputs& in) {
    BlockList list;
    list.outputs = {add_encoder(list, in.settings.model.text, static_cast<std::int64_t>(in.data.catalogue.vocabulary.size()))};
    return list;
  }

  void run(std::vector<RowRef>& pack, std::int64_t& held, NoteSegment& segment) const {
    if (held > 0) {
      const Batch batch = collator_.collate(pack);
      const std::int64_t windows = batch.notes.windows();
      for (std::int64_t begin = 0, end = 0; begin < windows; begin = end) {
        std::int64_t tokens = 0;
        for (end = begin; end < windows; ++end) {
          const auto next = batch.notes.window_lengths[end].item<std::int64_t>();
          if (end > begin && tokens + next > pack_tokens) break;
          tokens += next;
        }
        encode_windows(batch, begin, end, segment);
      }
    }
    pack.clear();
    held = 0;
  }

  // Windows [begin, end) of the batch: a record may have many more than a pack should hold.
  void encode_windows(Batch batch, std::int64_t begin, std::int64_t end, NoteSegment& segment) const {
    batch.notes.window_ids = batch.notes.window_ids.narrow(0, begin, end - begin);
    batch.notes.window_lengths = batch.notes.window_lengths.narrow(0, begin, end - begin);
    at::Tensor hidden = engine_.evaluate(parameters_, {LeafContext{}, &batch}).outputs.at(0);
    check(hidden.size(0) == batch.notes.window_lengths.sum().item<std::int64_t>(), "NoteEncoder: {} tokens came back", hidden.size(0));
    if (in_.alive) in_.alive();  // a segment of pairs may take minutes
    if (pairs_) hidden = hidden.index_select(0, first_rows(batch.notes.window_lengths));
    hidden = hidden.to(at::kFloat).contiguous();
    segment.values.insert(segment.values.end(), hidden.const_data_ptr<float>(), hidden.const_data_ptr<float>() + hidden.numel());
  }

  const NoteCacheInputs& in_;
  BlockList blocks_;
  ModelLayout layout_;
  at::Tensor parameters_;
  Engine engine_;
  bool pairs_;  // of each sequence the hidden state of [CLS] alone
  std::unique_ptr<RowSource> source_;
  Collator collator_;
};

// The segments of a cache, opened at first use.
class Segments {
 public:
  Segments(fs::path folder, std::int64_t chunk_rows, std::int64_t width) : folder_(std::move(folder)), chunk_rows_(chunk_rows), width_(width) {}

  struct Vectors {
    const float* values;  // [count, width]
    std::int64_t count;
  };
  [[nodiscard]] Vectors of(const RecordPlace& place) {
    const MappedSegment& segment = segment_of(place);
    return {segment.values(place.row % chunk_rows_), segment.tokens(place.row % chunk_rows_)};
  }
  [[nodiscard]] at::Tensor empty(std::int64_t count) const { return at::empty({count, width_}, at::kFloat); }
  void copy(const float* values, std::int64_t count, const at::Tensor& into, std::int64_t row) const {
    if (count > 0) std::memcpy(into.data_ptr<float>() + row * width_, values, static_cast<std::size_t>(count * width_) * sizeof(float));
  }
  [[nodiscard]] std::int64_t width() const { return width_; }
  [[noreturn]] void refuse(const RecordPlace& place, std::int64_t found, std::int64_t expected, const char* what) const {
    fail(ErrorKind::data, "{}: part {}, row {}: the cache holds {} {}, the leaf's records have {}; remove the folder, it is built anew", folder_.string(),
         place.part, place.row, found, what, expected);
  }

 private:
  const MappedSegment& segment_of(const RecordPlace& place) {
    const std::pair<int, std::int64_t> name{place.part, place.row / chunk_rows_};
    auto found = open_.find(name);
    if (found == open_.end()) found = open_.try_emplace(name, folder_ / file_of({name.first, name.second})).first;
    return found->second;
  }

  fs::path folder_;
  std::int64_t chunk_rows_, width_;
  std::map<std::pair<int, std::int64_t>, MappedSegment> open_;
};

// Every token of the records' windows.
class NoteCache : public HiddenSource {
 public:
  explicit NoteCache(Segments segments) : segments_(std::move(segments)) {}

  at::Tensor hidden(const Batch& batch) override {
    const auto tokens = batch.notes.window_lengths.sum().item<std::int64_t>();
    const at::Tensor result = segments_.empty(tokens);
    std::int64_t filled = 0;
    for (const RecordPlace& place : batch.places) {
      const auto [values, count] = segments_.of(place);
      if (filled + count > tokens) segments_.refuse(place, filled + count, tokens, "tokens");
      segments_.copy(values, count, result, filled);
      filled += count;
    }
    if (filled != tokens) segments_.refuse(batch.places.back(), filled, tokens, "tokens");
    return result;
  }

 private:
  Segments segments_;
};

// A vector for each pair of the leaf, found by its number among the candidates of its record.
class PairCache : public HiddenSource {
 public:
  PairCache(Segments segments, std::size_t task) : segments_(std::move(segments)), task_(task) {}

  at::Tensor hidden(const Batch& batch) override {
    const PairTensors& pairs = batch.pairs.at(task_);
    const at::Tensor result = segments_.empty(pairs.record.size(0));
    const std::int64_t *record = pairs.record.const_data_ptr<std::int64_t>(), *candidate = pairs.candidate.const_data_ptr<std::int64_t>();
    for (std::int64_t p = 0; p < result.size(0); ++p) {
      const RecordPlace& place = batch.places[static_cast<std::size_t>(record[p])];
      const auto [values, count] = segments_.of(place);
      if (candidate[p] >= count) segments_.refuse(place, count, candidate[p] + 1, "pairs or more");
      segments_.copy(values + candidate[p] * segments_.width(), 1, result, p);
    }
    return result;
  }

 private:
  Segments segments_;
  std::size_t task_;
};

// Numbers of the segments that lack or are damaged, found by all ranks together.
std::vector<std::size_t> faulty_segments(const Communicator& comm, const Log& log, const fs::path& folder, const std::vector<SegmentName>& names,
                                         const std::function<void()>& alive) {
  const std::string own = agreed(comm, [&] {
    std::string found;
    for (auto s = static_cast<std::size_t>(comm.rank()); s < names.size(); s += static_cast<std::size_t>(comm.size())) {
      const fs::path file = folder / file_of(names[s]);
      const bool there = fs::exists(file), whole = there && segment_is_whole(file);
      if (there && !whole) log.warn("{} is damaged and is computed again", file.string());
      found += whole ? '1' : '0';
      if (alive) alive();
    }
    return found;
  });
  const std::vector<std::string> all = comm.all_gather(own);
  std::vector<std::size_t> faulty;
  const auto ranks = static_cast<std::size_t>(comm.size());
  for (std::size_t s = 0; s < names.size(); ++s)
    if (all[s % ranks][s / ranks] == '0') faulty.push_back(s);
  return faulty;
}

}  // namespace

std::unique_ptr<HiddenSource> open_note_cache(const Communicator& comm, const Log& log, const NoteCacheInputs& inputs, CacheBuild build) {
  const std::string& directory = inputs.settings.model.text.cache;
  if (directory.empty() || !inputs.data.catalogue.schema.notes) return nullptr;
  const at::Tensor parameters = inputs.whole_parameters();
  // Equal on all ranks, who hold the same parameters.
  const fs::path folder = fs::path(directory) / comm.broadcast(comm.rank() == 0 ? key_of(inputs, parameters) : std::string(), 0);
  const std::vector<SegmentName> names = all_segments(inputs.data.catalogue);
  const std::vector<std::size_t> faulty = faulty_segments(comm, log, folder, names, inputs.alive);
  if (!faulty.empty() && build == CacheBuild::nothing) return nullptr;
  const Stopwatch watch;
  agreed(comm, [&] {
    if (faulty.empty()) return;
    make_directories(folder);
    const NoteEncoder encoder(inputs, parameters);
    for (auto i = static_cast<std::size_t>(comm.rank()); i < faulty.size(); i += static_cast<std::size_t>(comm.size())) {
      write_segment(folder / file_of(names[faulty[i]]), encoder.encode(names[faulty[i]]));
      if (inputs.alive) inputs.alive();
    }
  });
  log.once("{} {}: {} segments, {} of them encoded now in {:.1f} s", name_of(inputs.network.model), folder.string(), names.size(), faulty.size(),
           watch.elapsed_s());
  Segments segments(folder, inputs.data.catalogue.chunk_rows, inputs.settings.model.text.width);
  if (const auto& task = inputs.network.model.marked_pairs) return std::make_unique<PairCache>(std::move(segments), *task);
  return std::make_unique<NoteCache>(std::move(segments));
}

}  // namespace tributary
