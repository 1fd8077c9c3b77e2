// Made-up records: a pure function of seed and record number, equal on every machine, for tests, tutorials and scaling studies.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "ingest/tokenizer.h"
#include "shards/shard_writer.h"

namespace tributary {

struct SynthOptions {
  std::int64_t records = 0;
  std::uint64_t seed = 1;
  std::int64_t parts = 0;  // 0: one a started 8192 records
  // Chance that a record has the modality; 0: the data set lacks it.
  double notes = 1, series = 1, images = 0, statics = 1;
  std::int64_t steps = 48;  // hours
  std::int64_t notes_per_record = 3;
  std::int64_t note_words = 60;  // on average
  std::string salt;              // of the split
};

// A record whose modality is absent keeps the labels that it would have with it. About 1.2 records a patient.
// Memory: 4 bytes a record, and 24 bytes a record of one part.
class SynthSource final : public RecordSource {
 public:
  // Throws: Error{configuration} naming the option that is out of range.
  explicit SynthSource(const SynthOptions& options);
  ~SynthSource() override;
  [[nodiscard]] const Schema& schema() const override;
  [[nodiscard]] std::vector<std::array<std::int64_t, split_count>> part_rows() const override;
  [[nodiscard]] RecordBlock records(int part, std::int64_t first, std::int64_t rows) override;  // Throws: Error{internal} for rows outside the part

  [[nodiscard]] const Tokenizer& tokenizer() const;  // of the token columns
  [[nodiscard]] std::string origin() const;          // "synth" with a digest of all that decides the records' content

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tributary
