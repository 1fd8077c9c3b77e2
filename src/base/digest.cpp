#include "base/digest.h"

#include <openssl/evp.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"

namespace tributary {

Sha256::Sha256() : context_(EVP_MD_CTX_new()) {
  check(context_ != nullptr && EVP_DigestInit_ex(static_cast<EVP_MD_CTX*>(context_), EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
}
Sha256::~Sha256() { EVP_MD_CTX_free(static_cast<EVP_MD_CTX*>(context_)); }
Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}

Sha256& Sha256::update(const void* data, std::size_t size_bytes) {
  check(EVP_DigestUpdate(static_cast<EVP_MD_CTX*>(context_), data, size_bytes) == 1, "SHA-256 update failed");
  return *this;
}

DigestBytes Sha256::finish() {
  DigestBytes digest{};
  unsigned size = 0;
  check(EVP_DigestFinal_ex(static_cast<EVP_MD_CTX*>(context_), digest.data(), &size) == 1 && size == digest.size(), "SHA-256 final failed");
  return digest;
}

std::string hex(const DigestBytes& digest) {
  std::string text;
  for (const std::uint8_t byte : digest) text += fmt::format("{:02x}", byte);
  return text;
}

std::string sha256_hex(std::string_view bytes) { return hex(Sha256().update(bytes).finish()); }

DigestBytes FileDigest::root() const {
  Sha256 sha;
  for (const DigestBytes& block : blocks) sha.update(block.data(), block.size());
  return sha.finish();
}

FileDigest digest_file(const std::filesystem::path& path) {
  const std::unique_ptr<std::FILE, int (*)(std::FILE*)> file(std::fopen(path.c_str(), "rb"), &std::fclose);
  if (!file) fail(errno == ENOENT ? ErrorKind::missing : ErrorKind::io, "{}: cannot open: {}", path.string(), std::strerror(errno));
  FileDigest digest;
  std::vector<char> buffer(FileDigest::block_bytes);
  for (;;) {
    const std::size_t count = std::fread(buffer.data(), 1, buffer.size(), file.get());
    if (std::ferror(file.get()) != 0) fail(ErrorKind::io, "{}: read failed at byte {}: {}", path.string(), digest.size_bytes, std::strerror(errno));
    if (count == 0) break;
    digest.size_bytes += count;
    digest.blocks.push_back(Sha256().update(buffer.data(), count).finish());
  }
  return digest;
}

}  // namespace tributary
