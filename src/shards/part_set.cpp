#include "shards/part_set.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>
#include <optional>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "comm/agree.h"
#include "shards/block_checks.h"
#include "shards/normalisation.h"
#include "shards/part_file.h"
#include "shards/part_writer.h"

namespace tributary {
namespace {

using Json = nlohmann::json;
using PartRows = std::vector<std::array<std::int64_t, split_count>>;

std::int64_t total(const std::array<std::int64_t, split_count>& rows) { return rows[0] + rows[1] + rows[2]; }

// What this rank writes, and with whom. Ranks <= parts: parts, largest first, to the rank with the fewest rows so far. More ranks: parts in order to
// contiguous teams.
struct Team {
  int color = 0;
  std::vector<int> parts;
};

Team team_of(const PartRows& rows, int ranks, int rank) {
  const int parts = static_cast<int>(rows.size());
  if (ranks > parts) {
    const int part = static_cast<int>(static_cast<std::int64_t>(rank) * parts / ranks);
    return {part, {part}};
  }
  std::vector<int> order(rows.size());
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(),
                   [&](int a, int b) { return total(rows[static_cast<std::size_t>(a)]) > total(rows[static_cast<std::size_t>(b)]); });
  std::vector<std::int64_t> load(static_cast<std::size_t>(ranks), 0);
  Team team{rank, {}};
  for (const int part : order) {
    const auto least = std::min_element(load.begin(), load.end());
    *least += total(rows[static_cast<std::size_t>(part)]) + 1;
    if (least - load.begin() == rank) team.parts.push_back(part);
  }
  std::sort(team.parts.begin(), team.parts.end());
  return team;
}

// What a part adds to the catalogue.
struct PartResult {
  PartInfo info;
  std::vector<Moments> moments;
  std::vector<LabelCounts> counts;
};

struct Job {
  RecordSource& source;
  const std::filesystem::path& directory;
  const std::vector<std::string>& files;
  const WriteOptions& options;
  const PartRows& rows;
  const std::vector<PartColumn>& columns;
};

RecordBlock empty_block(const Schema& schema) {
  RecordBlock block;
  block.series.resize(schema.series.size());
  block.labels.resize(schema.tasks.size());
  if (schema.notes) block.notes.note_offsets = block.notes.text_offsets = block.notes.token_offsets = {0};
  EntityColumns& e = block.entities;
  if (schema.has_entities()) e.concept_offsets = e.concept_id_offsets = e.mention_offsets = e.relation_offsets = {0};
  return block;
}

// Moments of the round's blocks in row order: ranks hold consecutive blocks.
void add_moments(const Communicator& team, const std::vector<Moments>& own, std::vector<Moments>& sums) {
  const std::string_view bytes(reinterpret_cast<const char*>(own.data()), own.size() * sizeof(Moments));
  const std::vector<std::string> messages = team.size() == 1 ? std::vector<std::string>{std::string(bytes)} : team.all_gather(bytes);
  for (const std::string& message : messages)
    for (std::size_t i = 0; i * sizeof(Moments) < message.size(); ++i) {
      Moments next;
      std::copy_n(message.data() + i * sizeof(Moments), sizeof(Moments), reinterpret_cast<char*>(&next));
      combine(sums[i % sums.size()], next);
    }
}

// One round: each rank takes the next rows of its own, all write together.
void write_round(const Communicator& team, const Job& job, int part, std::int64_t first, std::int64_t count, PartWriter& writer, PartResult& result) {
  const Schema& schema = job.source.schema();
  RecordBlock block = empty_block(schema);
  ColumnSlab slab;
  std::vector<Moments> moments;
  together(team, [&] {
    if (count > 0) block = job.source.records(part, first, count);
    check(block.rows == count, "{}: the source gave {} rows, {} were asked for", result.info.file, block.rows, count);
    check_block(schema, block, {result.info.file, first, result.info.rows}, static_cast<std::int64_t>(job.options.vocabulary.size()));
    slab = slab_of(schema, job.columns, block);
    count_labels(schema, block, result.counts);
    if (job.options.normalisation == nullptr) moments = block_moments(schema, block, job.options.chunk_rows);
  });
  if (job.options.normalisation == nullptr && !result.moments.empty()) add_moments(team, moments, result.moments);
  writer.write(slab);
}

// By the team's first rank: what the library said it wrote is not yet on disk, and a full disk may go unnoticed.
void verify_written(const std::filesystem::path& path, const Job& job, int part, const std::vector<std::string>& digests, PartResult& result) {
  sync_path(path);
  Catalogue expected;
  expected.schema = job.source.schema();
  expected.tokenizer_digest = job.options.tokenizer_digest;
  expected.chunk_rows = job.options.chunk_rows;
  expected.parts.resize(job.rows.size());
  expected.parts[static_cast<std::size_t>(part)].rows = result.info.rows;
  const std::vector<std::string> found = content_digests(PartFile(path, expected, part), job.options.chunk_rows);
  for (std::size_t c = 0; c < found.size(); ++c)
    if (found[c] != digests[c])
      fail(ErrorKind::io, "{}: {} reads back differently from what was written; is the disk full or failing?", path.string(), job.columns[c].path);
  const FileDigest digest = digest_file(path);
  result.info.size_bytes = digest.size_bytes;
  for (const DigestBytes& block : digest.blocks) result.info.block_digests.push_back(hex(block));
  result.info.file_digest = hex(digest.root());
  result.info.content_digest = part_content_digest(job.columns, digests);
}

PartResult write_part(const Communicator& team, const Job& job, int part) {
  PartResult result;
  result.info.file = job.files[static_cast<std::size_t>(part)];
  result.info.rows = job.rows[static_cast<std::size_t>(part)];
  result.counts = no_counts(job.source.schema());
  result.moments.resize(channel_count(job.source.schema()));
  const std::int64_t rows = result.info.total_rows(), at_once = rows_at_once(job.columns, job.options.chunk_rows);
  const std::filesystem::path path = job.directory / result.info.file;
  PartWriter writer(team, path, job.columns, rows, job.options.chunk_rows, part);
  std::int64_t first = 0;
  do {
    const std::int64_t own = std::min(rows, first + team.rank() * at_once);
    write_round(team, job, part, own, std::min(at_once, rows - own), writer, result);
    first += at_once * team.size();
  } while (first < rows);
  const std::vector<std::string> digests = writer.finish();
  together(team, [&] {
    if (team.rank() == 0) verify_written(path, job, part, digests, result);
  });
  return result;
}

std::string pack(int part, const PartResult& result, bool leads) {
  Json json = {{"part", part}, {"leads", leads}, {"moments", Json::array()}, {"counts", Json::array()}};
  for (const LabelCounts& task : result.counts) json["counts"].push_back({task.valid, task.classes});
  if (!leads) return json.dump();
  const PartInfo& info = result.info;
  json["info"] = {info.size_bytes, info.block_digests, info.file_digest, info.content_digest};
  for (const Moments& m : result.moments) json["moments"].push_back({m.count, m.mean, m.squares});
  return json.dump();
}

void add_counts(const Json& list, std::vector<LabelCounts>& sums) {
  for (std::size_t t = 0; t < sums.size(); ++t) {
    const auto valid = list[t][0].get<std::array<std::int64_t, split_count>>();
    const auto classes = list[t][1].get<std::vector<std::array<std::int64_t, split_count>>>();
    for (std::size_t s = 0; s < split_count; ++s) {
      sums[t].valid[s] += valid[s];
      for (std::size_t k = 0; k < classes.size(); ++k) sums[t].classes[k][s] += classes[k][s];
    }
  }
}

// The same catalogue on every rank, from what all ranks have written.
Catalogue gather_catalogue(const Communicator& comm, const Job& job, const std::vector<std::pair<int, PartResult>>& own, bool leads) {
  Json list = Json::array();
  for (const auto& [part, result] : own) list.push_back(Json::parse(pack(part, result, leads)));
  Catalogue catalogue;
  catalogue.schema = job.source.schema();
  catalogue.chunk_rows = job.options.chunk_rows;
  catalogue.split_salt = job.options.split_salt;
  catalogue.origin = job.options.origin;
  catalogue.vocabulary = job.options.vocabulary;
  catalogue.tokenizer_digest = job.options.tokenizer_digest;
  catalogue.tokenizer = job.options.tokenizer;
  catalogue.label_counts = no_counts(catalogue.schema);
  catalogue.parts.resize(job.rows.size());
  std::vector<std::vector<Moments>> moments(job.rows.size());
  for (const std::string& message : comm.all_gather(list.dump()))
    for (const Json& entry : Json::parse(message)) {
      add_counts(entry["counts"], catalogue.label_counts);
      if (!entry["leads"].get<bool>()) continue;
      const auto part = entry["part"].get<std::size_t>();
      catalogue.parts[part] = {job.files[part], job.rows[part], entry["info"][0], entry["info"][1], entry["info"][2], entry["info"][3]};
      for (const Json& m : entry["moments"]) moments[part].push_back({m[0], m[1], m[2]});
    }
  std::vector<Moments> sums(channel_count(catalogue.schema));
  for (const auto& part : moments)
    for (std::size_t c = 0; c < part.size(); ++c) combine(sums[c], part[c]);
  catalogue.normalisation = job.options.normalisation != nullptr ? *job.options.normalisation : normalisation_of(catalogue.schema, sums);
  std::vector<std::string> digests;
  for (const PartInfo& part : catalogue.parts) digests.push_back(part.content_digest);
  catalogue.content_digest = data_set_content_digest(digests);
  return catalogue;
}

void check_options(const RecordSource& source, const PartRows& rows, const WriteOptions& options) {
  check_schema(source.schema());
  if (rows.empty()) fail(ErrorKind::configuration, "a data set needs at least one part");
  if (options.chunk_rows < 1) fail(ErrorKind::configuration, "chunk_rows is {}; at least 1", options.chunk_rows);
  for (const auto& part : rows) check(part[0] >= 0 && part[1] >= 0 && part[2] >= 0, "a part with a negative number of rows");
  const std::string& digest = options.tokenizer_digest;
  const bool named = !digest.empty() && std::all_of(digest.begin(), digest.end(), [](unsigned char c) { return std::isalnum(c) != 0; });
  if (source.schema().notes) check(named, "tokenizer digest '{}' is not of letters and digits", digest);
  if (options.normalisation == nullptr) return;
  bool fits = options.normalisation->statics.size() == source.schema().statics.size() && options.normalisation->series.size() == source.schema().series.size();
  for (std::size_t g = 0; fits && g < source.schema().series.size(); ++g)
    fits = options.normalisation->series[g].size() == source.schema().series[g].channels.size();
  if (!fits) fail(ErrorKind::data, "the normalisation given does not have one entry a channel of this data set");
}

}  // namespace

std::string part_file_name(std::size_t part, const std::string& tag) { return fmt::format("part-{:05}{}{}.h5", part, tag.empty() ? "" : "-", tag); }

Catalogue write_parts(const Communicator& comm, RecordSource& source, const std::filesystem::path& directory, const std::vector<std::string>& files,
                      const WriteOptions& options) {
  const PartRows rows = agreed(comm, [&] {
    PartRows list = source.part_rows();
    check_options(source, list, options);
    check(files.size() == list.size(), "{} file names for {} parts", files.size(), list.size());
    return list;
  });
  const std::vector<PartColumn> columns = part_columns(source.schema(), options.tokenizer_digest);
  const Job job{source, directory, files, options, rows, columns};
  const Team team = team_of(rows, comm.size(), comm.rank());
  const Communicator team_comm = comm.split(team.color, comm.rank());
  std::vector<std::pair<int, PartResult>> results;
  std::exception_ptr failure;
  try {
    for (const int part : team.parts) results.emplace_back(part, write_part(team_comm, job, part));
  } catch (const PeerFailed&) {  // the rank that failed speaks below
  } catch (...) {
    failure = std::current_exception();
  }
  agree(comm, failure);
  return gather_catalogue(comm, job, results, team_comm.rank() == 0);
}

}  // namespace tributary
