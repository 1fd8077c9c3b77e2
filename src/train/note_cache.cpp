#include "train/note_cache.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <span>

#include "base/clock.h"
#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "checkpoint/serving/encoder_folder.h"
#include "comm/agree.h"
#include "model/families/encoder.h"
#include "train/note_segment.h"

namespace tributary {
namespace {

namespace fs = std::filesystem;

constexpr FieldSelection tokens_only{
    .statics = false, .series = false, .tokens = true, .text = false, .images = false, .entities = false};  // and labels, which a batch always has
constexpr std::int64_t pack_tokens = 4096;                                                                  // encoded together while the cache is built

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

std::string key_of(const NoteCacheInputs& in) {
  const DataConfig& data = in.settings.data;
  const Catalogue& catalogue = in.data.catalogue;
  return sha256_hex(fmt::format("note cache 1\nencoder {}\ndata {}\ntokenizer {}\nwindows {} {}\nnotes {} {}\nfloat32\n{}\n",
                                encoder_digest(in.settings.model.text, in.network.layout, in.parameters), catalogue.content_digest, catalogue.tokenizer_digest,
                                data.window_tokens, data.window_stride, data.notes_per_record, data.tokens_per_note, in.computed_with))
      .substr(0, 32);
}

// Runs the encoder alone over rows of the data set.
class NoteEncoder {
 public:
  explicit NoteEncoder(const NoteCacheInputs& in)
      : in_(in),
        blocks_(encoder_blocks(in)),
        engine_(blocks_, in.network.layout),
        source_(make_source(in.data, tokens_only)),
        collator_(make_collator(in.data, in.settings.data, tokens_only)) {}

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
      const std::int64_t tokens = collator_.collate({reference}).notes.window_lengths.sum().item<std::int64_t>();
      segment.offsets.push_back(segment.offsets.back() + tokens);
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
      const at::Tensor hidden = engine_.evaluate(in_.parameters, {LeafContext{}, &batch}).outputs.at(0).contiguous();
      check(hidden.size(0) == held, "NoteEncoder: {} tokens came back of {}", hidden.size(0), held);
      segment.values.insert(segment.values.end(), hidden.const_data_ptr<float>(), hidden.const_data_ptr<float>() + hidden.numel());
    }
    pack.clear();
    held = 0;
  }

  const NoteCacheInputs& in_;
  BlockList blocks_;
  Engine engine_;
  std::unique_ptr<RowSource> source_;
  Collator collator_;
};

class NoteCache : public HiddenSource {
 public:
  NoteCache(fs::path folder, std::int64_t chunk_rows, std::int64_t width) : folder_(std::move(folder)), chunk_rows_(chunk_rows), width_(width) {}

  at::Tensor hidden(const std::vector<RecordPlace>& places, const NoteTensors& notes) override {
    const std::int64_t tokens = notes.window_lengths.sum().item<std::int64_t>();
    at::Tensor result = at::empty({tokens, width_}, at::kFloat);
    std::int64_t filled = 0;
    for (const RecordPlace& place : places) {
      const MappedSegment& segment = segment_of(place);
      const std::int64_t row = place.row % chunk_rows_, count = segment.tokens(row);
      if (filled + count > tokens) refuse(place, filled + count, tokens);
      if (count > 0) std::memcpy(result.data_ptr<float>() + filled * width_, segment.values(row), static_cast<std::size_t>(count * width_) * sizeof(float));
      filled += count;
    }
    if (filled != tokens) refuse(places.back(), filled, tokens);
    return result;
  }

 private:
  const MappedSegment& segment_of(const RecordPlace& place) {
    const std::pair<int, std::int64_t> name{place.part, place.row / chunk_rows_};
    auto found = open_.find(name);
    if (found == open_.end()) found = open_.try_emplace(name, folder_ / file_of({name.first, name.second})).first;
    return found->second;
  }
  [[noreturn]] void refuse(const RecordPlace& place, std::int64_t found, std::int64_t tokens) const {
    fail(ErrorKind::data, "{}: part {}, row {}: the cache holds {} tokens for the leaf's records, their notes have {}; remove the folder, it is built anew",
         folder_.string(), place.part, place.row, found, tokens);
  }

  fs::path folder_;
  std::int64_t chunk_rows_, width_;
  std::map<std::pair<int, std::int64_t>, MappedSegment> open_;
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
  // Equal on all ranks, who hold the same parameters.
  const fs::path folder = fs::path(directory) / comm.broadcast(comm.rank() == 0 ? key_of(inputs) : std::string(), 0);
  const std::vector<SegmentName> names = all_segments(inputs.data.catalogue);
  const std::vector<std::size_t> faulty = faulty_segments(comm, log, folder, names, inputs.alive);
  if (!faulty.empty() && build == CacheBuild::nothing) return nullptr;
  const Stopwatch watch;
  agreed(comm, [&] {
    if (faulty.empty()) return;
    make_directories(folder);
    const NoteEncoder encoder(inputs);
    for (auto i = static_cast<std::size_t>(comm.rank()); i < faulty.size(); i += static_cast<std::size_t>(comm.size())) {
      write_segment(folder / file_of(names[faulty[i]]), encoder.encode(names[faulty[i]]));
      if (inputs.alive) inputs.alive();
    }
  });
  log.once("note cache {}: {} segments, {} of them encoded now in {:.1f} s", folder.string(), names.size(), faulty.size(), watch.elapsed_s());
  return std::make_unique<NoteCache>(folder, inputs.data.catalogue.chunk_rows, inputs.settings.model.text.width);
}

}  // namespace tributary
