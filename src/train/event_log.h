// events.jsonl: one JSON object a line, written by rank 0 as things happen. Never record text.
#pragma once

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "train/step_record.h"

namespace tributary {

// {"event": "step", "step", "epoch", "loss", "task_losses": {...}, "gradient_norm", "learning_rate", "applied", "leaves", "records", "seconds", ...};
// numbers as the shortest text that reads back to the same bits.
[[nodiscard]] std::string to_json_line(const StepRecord& record, const std::vector<std::string>& tasks);

class EventLog {
 public:
  // Keeps the lines of a former run up to and including those of `last_step` (0: starts anew). Throws: Error{cannot_create, io}.
  EventLog(const std::filesystem::path& path, std::int64_t last_step);

  // Throws: Error{io} when the disk is full.
  void write(const std::string& line);

 private:
  struct Close {
    void operator()(std::FILE* file) const { std::fclose(file); }
  };
  std::filesystem::path path_;
  std::unique_ptr<std::FILE, Close> file_;
};

// The lines that belong to steps 1 .. last_step; a torn last line is dropped.
[[nodiscard]] std::string lines_up_to(const std::string& text, std::int64_t last_step);

}  // namespace tributary
