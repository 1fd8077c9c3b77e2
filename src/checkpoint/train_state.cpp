#include "checkpoint/train_state.h"

#include <boost/archive/binary_iarchive.hpp>
#include <boost/archive/binary_oarchive.hpp>
#include <boost/serialization/string.hpp>
#include <boost/serialization/vector.hpp>
#include <boost/serialization/version.hpp>
#include <cstring>
#include <sstream>

#include "base/digest.h"
#include "base/error.h"

BOOST_CLASS_VERSION(tributary::TrainState, 1)  // 0: without a loss scale

namespace tributary {

template <class Archive>
void serialize(Archive& archive, Validation& v, unsigned) {
  archive& v.step& v.value;
}

template <class Archive>
void serialize(Archive& archive, TrainState& s, unsigned version) {
  archive& s.step& s.updates& s.seed& s.total_steps& s.skipped_in_row& s.skipped& s.has_best& s.best_value& s.best_step;
  archive& s.validations_without_improvement& s.validations& s.data_digest& s.settings_digest;
  if (version > 0) archive& s.loss_scale& s.loss_scale_good_steps;
}

namespace {

constexpr std::string_view magic = "TRIBSTAT";
constexpr std::uint32_t state_version = 1;
constexpr std::size_t head_bytes = 8 + 4 + 8, digest_bytes = 32;

template <class Integer>
void append(std::string& bytes, Integer value) {
  for (std::size_t i = 0; i < sizeof(Integer); ++i) bytes += static_cast<char>(static_cast<unsigned char>(value >> (8 * i)));
}

template <class Integer>
Integer integer_at(std::string_view bytes, std::size_t position) {
  Integer value = 0;
  for (std::size_t i = 0; i < sizeof(Integer); ++i) value |= static_cast<Integer>(static_cast<unsigned char>(bytes[position + i])) << (8 * i);
  return value;
}

}  // namespace

std::string to_bytes(const TrainState& state) {
  std::ostringstream payload;
  {
    boost::archive::binary_oarchive archive(payload);
    archive << state;
  }
  std::string bytes(magic);
  append(bytes, state_version);
  append(bytes, static_cast<std::uint64_t>(payload.str().size()));
  bytes += payload.str();
  const DigestBytes digest = Sha256().update(bytes).finish();
  bytes.append(digest.begin(), digest.end());
  return bytes;
}

TrainState train_state_from_bytes(std::string_view bytes, const std::string& where) {
  if (bytes.size() < head_bytes || bytes.substr(0, magic.size()) != magic) fail(ErrorKind::data, "{}: not a training state ({} bytes)", where, bytes.size());
  const auto version = integer_at<std::uint32_t>(bytes, 8);
  if (version != state_version) fail(ErrorKind::data, "{}: training state of version {}, this program reads version {}", where, version, state_version);
  const auto size = integer_at<std::uint64_t>(bytes, 12);
  if (size > bytes.size() || bytes.size() != head_bytes + size + digest_bytes) {
    fail(ErrorKind::data, "{}: truncated or damaged: {} bytes, its head says {}", where, bytes.size(), head_bytes + size + digest_bytes);
  }
  const std::string_view framed = bytes.substr(0, head_bytes + size), told = bytes.substr(head_bytes + size);
  const DigestBytes digest = Sha256().update(framed).finish();
  if (std::memcmp(digest.data(), told.data(), digest_bytes) != 0) fail(ErrorKind::data, "{}: damaged: its SHA-256 does not fit its content", where);
  TrainState state;
  try {
    std::istringstream payload(std::string(framed.substr(head_bytes)));
    boost::archive::binary_iarchive archive(payload);
    archive >> state;
  } catch (const boost::archive::archive_exception& error) {
    fail(ErrorKind::data, "{}: written by a newer serialization library: {}", where, error.what());
  }
  return state;
}

}  // namespace tributary
