// What happens to a data set on disk is found: never silently wrong data.
#include <gtest/gtest.h>

#include "base/digest.h"
#include "base/error.h"
#include "base/files.h"
#include "shards/shard_reader.h"
#include "shards/token_rewrite.h"
#include "shards/verification.h"
#include "support/folder.h"
#include "support/random_source.h"
#include "support/singleton_mpi.h"

namespace tributary {
namespace {

using test::RandomSource;
using test::RandomSourceOptions;

class Damage : public testing::Test {
 protected:
  void SetUp() override {
    test::start_mpi();
    RandomSource source;
    catalogue_ = write_shards(Communicator::self(), source, set_, test::random_write_options({}));
  }
  // The kind and words of the error that reading the first part gives.
  std::pair<ErrorKind, std::string> error_of_reading(const Catalogue& catalogue, Verify verify) {
    try {
      ShardReader reader(set_, catalogue, verify);
      static_cast<void>(reader.read(0, 0, catalogue.parts[0].total_rows(), {}));
    } catch (const Error& error) {
      return {error.kind(), error.what()};
    }
    return {ErrorKind::internal, "nothing was found"};
  }
  test::Folder folder_;
  std::filesystem::path set_ = folder_.path() / "set", part_ = set_ / "part-00000.h5";
  Catalogue catalogue_;
};

TEST_F(Damage, every_one_of_100_flipped_bits_is_found) {
  const std::string good = read_file(part_);
  int found = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto bit = static_cast<std::size_t>(uniform(derive_key(Draw::synth, {77}), i) * static_cast<double>(good.size() * 8));
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    write_file(part_, bad);
    const auto [kind, words] = error_of_reading(catalogue_, Verify::stamp);
    EXPECT_EQ(kind, ErrorKind::data) << bit << ": " << words;
    EXPECT_NE(words.find("part-00000.h5: block 0"), std::string::npos) << words;
    found += kind == ErrorKind::data ? 1 : 0;
  }
  EXPECT_EQ(found, 100);
  write_file(part_, good);
  EXPECT_TRUE(verify_data_set(Communicator::self(), set_, catalogue_).empty());
}

// Without digests the checksums inside the file remain: reading either fails or gives what was written.
TEST_F(Damage, without_verification_flipped_bits_never_give_other_records) {
  const std::string good = read_file(part_);
  RandomSource source;
  const RecordBlock expected = source.records(0, 0, 59);
  int failed = 0, right = 0;
  for (std::uint64_t i = 0; i < 100; ++i) {
    const auto bit = static_cast<std::size_t>(uniform(derive_key(Draw::synth, {78}), i) * static_cast<double>(good.size() * 8));
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(static_cast<unsigned char>(bad[bit / 8]) ^ (1U << (bit % 8)));
    write_file(part_, bad);
    try {
      ShardReader reader(set_, catalogue_, Verify::never);
      const RecordBlock block = reader.read(0, 0, 59, {});
      EXPECT_EQ(block.series[0].values, expected.series[0].values) << bit;
      EXPECT_EQ(block.notes.token_ids, expected.notes.token_ids) << bit;
      EXPECT_EQ(block.images, expected.images) << bit;
      ++right;
    } catch (const Error&) {
      ++failed;
    }
  }
  EXPECT_EQ(failed + right, 100);
}

TEST_F(Damage, a_truncated_part_is_found_at_any_length) {
  const std::string good = read_file(part_);
  for (const std::size_t size : {std::size_t{0}, std::size_t{1}, std::size_t{100}, good.size() / 2, good.size() - 1}) {
    write_file(part_, good.substr(0, size));
    const auto [kind, words] = error_of_reading(catalogue_, Verify::always);
    EXPECT_EQ(kind, ErrorKind::data) << words;
    EXPECT_NE(words.find("truncated"), std::string::npos) << words;
    EXPECT_NE(error_of_reading(catalogue_, Verify::never).first, ErrorKind::internal);
  }
}

TEST_F(Damage, a_missing_part_is_named) {
  std::filesystem::remove(part_);
  for (const Verify verify : {Verify::always, Verify::stamp, Verify::never}) {
    const auto [kind, words] = error_of_reading(catalogue_, verify);
    EXPECT_EQ(kind, ErrorKind::missing);
    EXPECT_NE(words.find("part-00000.h5"), std::string::npos) << words;
  }
}

TEST_F(Damage, a_part_of_another_data_set_is_refused) {
  Catalogue other = catalogue_;
  std::swap(other.parts[0], other.parts[1]);
  EXPECT_NE(error_of_reading(other, Verify::never).second.find("is part 1 of its data set"), std::string::npos);
  other = catalogue_;
  other.parts[0].rows[1] += 1;
  EXPECT_NE(error_of_reading(other, Verify::never).second.find("has 59 rows, the catalogue says 60"), std::string::npos);
  other = catalogue_;
  other.schema.series[0].channels.pop_back();
  EXPECT_NE(error_of_reading(other, Verify::never).second.find("/series/vitals/observed has shape [59, 6, 3], the catalogue says [59, 6, 2]"),
            std::string::npos);
  other = catalogue_;
  other.tokenizer_digest = "ffff";
  EXPECT_NE(error_of_reading(other, Verify::never).second.find("/tokens/ffff"), std::string::npos);
}

TEST_F(Damage, a_changed_part_is_not_trusted_for_its_old_stamp) {
  EXPECT_EQ(error_of_reading(catalogue_, Verify::stamp).first, ErrorKind::internal);
  ASSERT_TRUE(std::filesystem::exists(part_.string() + ".verified"));
  std::string bad = read_file(part_);
  bad[bad.size() / 2] = static_cast<char>(bad[bad.size() / 2] ^ 1);
  write_file(part_, bad);
  EXPECT_EQ(error_of_reading(catalogue_, Verify::stamp).first, ErrorKind::data);
}

TEST_F(Damage, a_changed_catalogue_is_refused) {
  const std::string good = read_file(set_ / "catalogue.json");
  const auto told = [&](const std::string& from, const std::string& to) {
    std::string text = good;
    const std::size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    write_file(set_ / "catalogue.json", text.replace(at, from.size(), to));
    try {
      static_cast<void>(load_catalogue(set_));
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::data);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(told("\"format_version\": 1", "\"format_version\": 7").find("format version 7; this program reads version 1"), std::string::npos);
  EXPECT_NE(told("\"unit\": \"kg\"", "\"unit\": \"lb\"").find("self_digest"), std::string::npos);
  EXPECT_NE(told("\"chunk_rows\"", "\"chunk_lows\"").find("self_digest"), std::string::npos);
  EXPECT_NE(told("{", "").find("not a JSON document"), std::string::npos);
  write_file(set_ / "catalogue.json", good);
  write_file(set_ / "vocab.txt", "[PAD]\n");
  EXPECT_THROW(static_cast<void>(load_catalogue(set_)), Error);
  std::filesystem::remove(set_ / "catalogue.json");
  try {
    static_cast<void>(load_catalogue(set_));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::missing);
  }
}

TEST_F(Damage, tokens_can_be_replaced_and_put_back) {
  const auto letters = [](std::string_view text) {
    TokenizedText tokens;
    for (const char c : text) {
      tokens.begin.push_back(static_cast<std::int32_t>(tokens.ids.size()));
      tokens.ids.push_back(static_cast<unsigned char>(c) % 7);
      tokens.end.push_back(static_cast<std::int32_t>(tokens.ids.size()));
    }
    tokens.marks.assign(tokens.ids.size(), 0);
    return tokens;
  };
  const std::vector<std::string> vocabulary{"a", "b", "c", "d", "e", "f", "g"};
  write_file(set_ / "part-00001-left.h5", "of a rewrite that died");
  const Catalogue changed = rewrite_tokens(Communicator::self(), set_, letters, vocabulary, "letters");
  EXPECT_EQ(to_json(load_catalogue(set_)), to_json(changed));
  EXPECT_EQ(load_catalogue(set_).vocabulary, vocabulary);
  EXPECT_NE(changed.content_digest, catalogue_.content_digest);
  EXPECT_EQ(changed.normalisation, catalogue_.normalisation);
  EXPECT_FALSE(std::filesystem::exists(part_) || std::filesystem::exists(set_ / "part-00001-left.h5") || std::filesystem::exists(set_ / "vocab.txt"));
  FieldSelection fields;
  fields.text = true;
  const RecordBlock block = ShardReader(set_, changed, Verify::always).read(0, 0, 59, fields);
  EXPECT_EQ(block.notes.token_offsets, block.notes.text_offsets);
  EXPECT_GT(block.notes.token_ids.size(), 100U);
  EXPECT_EQ(block.entities.mention_token, block.entities.mention_begin);  // a token a byte
  EXPECT_GT(block.entities.mention_token.size(), 50U);
  RandomSource source;
  EXPECT_EQ(block.series[1].values, source.records(0, 0, 59).series[1].values);
  // The first tokenizer again: words of the vocabulary, looked up.
  const auto words = [](std::string_view text) {
    const auto list = test::random_vocabulary();
    TokenizedText tokens;
    for (std::size_t begin = 0; begin < text.size();) {
      const std::size_t end = std::min(text.find(' ', begin), text.size());
      tokens.ids.push_back(static_cast<std::int32_t>(std::find(list.begin(), list.end(), text.substr(begin, end - begin)) - list.begin()));
      const bool sentence = tokens.ids.size() == 1 || tokens.ids[tokens.ids.size() - 2] == 15;
      tokens.begin.push_back(static_cast<std::int32_t>(begin));
      tokens.end.push_back(static_cast<std::int32_t>(end));
      tokens.marks.push_back(static_cast<std::uint8_t>((sentence ? starts_sentence : 0) | (begin == 0 ? starts_paragraph : 0)));
      begin = end + 1;
    }
    return tokens;
  };
  const Catalogue back = rewrite_tokens(Communicator::self(), set_, words, test::random_vocabulary(), catalogue_.tokenizer_digest);
  EXPECT_EQ(back.content_digest, catalogue_.content_digest);
  EXPECT_TRUE(verify_data_set(Communicator::self(), set_, back).empty());
}

}  // namespace
}  // namespace tributary
