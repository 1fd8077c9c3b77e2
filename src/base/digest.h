// SHA-256 over bytes as they come, so that anyone can recompute a digest with standard tools.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace tributary {

using DigestBytes = std::array<std::uint8_t, 32>;

class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&& other) noexcept;
  Sha256(const Sha256&) = delete;
  Sha256& operator=(const Sha256&) = delete;

  Sha256& update(const void* data, std::size_t size_bytes);
  Sha256& update(std::string_view bytes) { return update(bytes.data(), bytes.size()); }
  [[nodiscard]] DigestBytes finish();  // once; the object is spent afterwards

 private:
  void* context_;
};

[[nodiscard]] std::string hex(const DigestBytes& digest);
[[nodiscard]] std::string sha256_hex(std::string_view bytes);

// The digests of each 16 MiB block of a file and their root: SHA-256 over the concatenated block digests.
struct FileDigest {
  static constexpr std::size_t block_bytes = std::size_t{16} << 20;
  std::uint64_t size_bytes = 0;
  std::vector<DigestBytes> blocks;
  [[nodiscard]] DigestBytes root() const;
};

// Throws: Error{missing} when the file is absent, Error{io} when reading fails.
[[nodiscard]] FileDigest digest_file(const std::filesystem::path& path);

}  // namespace tributary
